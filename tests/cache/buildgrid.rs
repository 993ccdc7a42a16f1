//! BuildGrid, a server of the Remote Execution API that knows nothing of us, and servers that are none.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddrV4, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;

use super::{FILESYSTEMS, bench, build};
use crate::support::Grid;
use crate::support::bench::address;

const KEYS: [&str; 4] = ["--cache-key", "key.pem", "--cache-trust", "trust.pem"];
/// A machine with much to do answers late, and is not down.
const PATIENT: [&str; 2] = ["--cache-timeout", "120"];

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn buildgrid_keeps_partitions_and_its_faults_cost_time_alone() {
    let bench = bench();
    let Some(server) = Grid::start(&bench.path("grid"), &["--content", "images"]) else {
        return;
    };
    // Chunks of which several go with one request, and some do not.
    let noise: Vec<u8> = (0_u32..3 << 20)
        .map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect();
    bench.write("root/noise", noise);
    let address = server.address;
    let url = format!("grpc://{address}/images");
    let with = [&["--cache", &*url], &KEYS[..], &PATIENT].concat();
    let right = build(&bench, &with);
    assert_eq!((right.cached(), right.said()), (vec![], vec![]));
    let reading = [
        &["--cache", &*url, "--cache-mode", "read"],
        &KEYS[2..],
        &PATIENT,
    ]
    .concat();
    let hot = build(&bench, &reading);
    assert_eq!((hot.cached(), hot.said()), (FILESYSTEMS.to_vec(), vec![]));
    assert_eq!(hot.digest, right.digest);

    // Another instance has nothing, and says so.
    let wrong = format!("grpc://{address}/others");
    let elsewhere = [&["--cache", &*wrong], &KEYS[..], &PATIENT].concat();
    let built = build(&bench, &elsewhere);
    assert_eq!((&built.digest, built.cached()), (&right.digest, vec![]));
    assert_eq!(built.said().len(), 1, "{:?}", built.said());

    // It gives other bytes than it was given.
    for file in files(&bench.path("grid/cas")) {
        let mut bytes = fs::read(&file).unwrap();
        if bytes.len() > 60_000 {
            bytes[50_000] ^= 1;
            fs::write(&file, bytes).unwrap();
        }
    }
    let built = build(&bench, &reading);
    assert_eq!(built.digest, right.digest);
    assert!(built.cached().len() < FILESYSTEMS.len());
    assert_eq!(built.said().len(), 1, "{:?}", built.said());

    drop(server);
    let built = build(&bench, &with);
    assert_eq!((&built.digest, built.cached()), (&right.digest, vec![]));
    assert_eq!(built.said().len(), 1, "{:?}", built.said());
}

/// Answers each connection so, and then waits.
fn answering(bytes: &'static [u8]) -> SocketAddrV4 {
    let at = address();
    let listener = TcpListener::bind(at).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let _ = stream.write_all(bytes);
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest);
            });
        }
    });
    at
}

#[test]
fn what_is_no_server_of_grpc_costs_time_alone() {
    let bench = bench();
    let right = build(&bench, &[]);
    for bytes in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhey",
        // The beginning of HTTP/2, and a frame of a length that nobody has asked for.
        b"\0\0\0\x04\0\0\0\0\0\xff\xff\xff\x00\x00\0\0\0\x01",
    ] {
        let url = format!("grpc://{}", answering(bytes));
        let with = [&["--cache", &*url, "--cache-timeout", "1"], &KEYS[..]].concat();
        let built = build(&bench, &with);
        assert_eq!((&built.digest, built.cached()), (&right.digest, vec![]));
        assert_eq!(built.said().len(), 1, "{:?}", built.said());
    }
}
