//! nginx with WebDAV, as Debian has it: a server that knows nothing of us.

use std::fs;
use std::net::{SocketAddrV4, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use super::{FILESYSTEMS, bench, build};
use crate::support::bench::address;
use crate::support::{Bench, Judge, judge};

/// A running nginx; it ends with this.
pub(super) struct Nginx {
    child: Child,
    address: SocketAddrV4,
    requests: PathBuf,
}

impl Nginx {
    /// Starts it at `address` with its files in the folder `nginx/served`.
    pub(super) fn start(nginx: &Judge, bench: &Bench, address: SocketAddrV4) -> Self {
        let folder = bench.create_folder("nginx");
        bench.create_folder("nginx/served");
        let folder = folder.display();
        bench.write(
            "nginx/nginx.conf",
            format!(
                "daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
                events {{ }}
                http {{
                  log_format lengths '$request_length $bytes_sent';
                  access_log {folder}/requests lengths;
                  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
                  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
                  scgi_temp_path {folder}/scgi;
                  server {{
                    listen {address}; root {folder}/served;
                    client_max_body_size 64m;
                    location / {{ dav_methods PUT; create_full_put_path on; }}
                  }}
                }}"
            ),
        );
        let child = nginx
            .command()
            .arg("-p")
            .arg(bench.path("nginx"))
            .arg("-c")
            .arg(bench.path("nginx/nginx.conf"))
            .args(["-e", "stderr"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let requests = bench.path("nginx/requests");
        let mut server = Self {
            child,
            address,
            requests,
        };
        while TcpStream::connect(address).is_err() {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "nginx ended: {ended:?}");
            thread::sleep(Duration::from_millis(10));
        }
        server
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bytes that it was sent, and that it sent, until now.
    pub(super) fn traffic(&self) -> (u64, u64) {
        let log = fs::read_to_string(&self.requests).unwrap();
        log.lines().fold((0, 0), |(into, out), line| {
            let (more_into, more_out) = line.split_once(' ').unwrap();
            let number = |text: &str| text.parse::<u64>().unwrap();
            (into + number(more_into), out + number(more_out))
        })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn nginx_keeps_partitions_and_its_end_costs_time_alone() {
    let Some(nginx) = judge("nginx") else {
        return;
    };
    let bench = bench();
    let address = address();
    let server = Nginx::start(&nginx, &bench, address);
    let url = server.url();
    let keys = ["--cache-key", "key.pem", "--cache-trust", "trust.pem"];
    let with = [&["--cache", &*url], &keys[..]].concat();
    let right = build(&bench, &with);
    assert_eq!((right.cached(), right.said()), (vec![], vec![]));
    let entries = fs::read_dir(bench.path("nginx/served/ac")).unwrap().count();
    assert_eq!(entries, 6, "four partitions, and what two of them measure");
    let reading = [&["--cache", &*url, "--cache-mode", "read"], &keys[2..]].concat();
    let hot = build(&bench, &reading);
    assert_eq!((hot.cached(), hot.said()), (FILESYSTEMS.to_vec(), vec![]));
    assert_eq!(hot.digest, right.digest);

    drop(server);
    let built = build(&bench, &with);
    assert_eq!((&built.digest, built.cached()), (&right.digest, vec![]));
    assert!(!built.said().is_empty());
    // The folder that it served is one that it can serve again.
    let _server = Nginx::start(&nginx, &bench, address);
    assert_eq!(build(&bench, &reading).cached(), FILESYSTEMS);
}
