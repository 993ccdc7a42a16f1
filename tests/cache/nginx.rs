//! nginx with WebDAV, as Debian has it: a server that knows nothing of us.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use super::{FILESYSTEMS, bench, build};
use crate::support::{Bench, Judge, judge};

/// A running nginx; it ends with this.
struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    /// Starts it on `port` with its files in the folder `served`.
    fn start(nginx: &Judge, bench: &Bench, port: u16) -> Self {
        let folder = bench.create_folder("nginx");
        bench.create_folder("nginx/served");
        let folder = folder.display();
        bench.write(
            "nginx/nginx.conf",
            format!(
                "daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
                events {{ }}
                http {{
                  access_log {folder}/requests;
                  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
                  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
                  scgi_temp_path {folder}/scgi;
                  server {{
                    listen 127.0.0.1:{port}; root {folder}/served;
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
        let mut server = Self { child, port };
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "nginx ended: {ended:?}");
            thread::sleep(Duration::from_millis(10));
        }
        server
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn nginx_keeps_partitions_and_its_end_costs_time_alone() {
    let Some(nginx) = judge("nginx") else {
        return;
    };
    let bench = bench();
    let server = Nginx::start(&nginx, &bench, free_port());
    let (url, port) = (server.url(), server.port);
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
    let _server = Nginx::start(&nginx, &bench, port);
    assert_eq!(build(&bench, &reading).cached(), FILESYSTEMS);
}
