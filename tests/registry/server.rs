//! Registries that nobody should believe, and one that wants a token from everybody.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{bench, refused, swap};
use crate::support::Bench;

/// How a registry behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Everybody reads.
    Open,
    /// Everybody reads who has asked for a token.
    Token,
    /// It gives no token to anybody.
    NoToken,
    /// It wants a token of somebody at another host, without TLS.
    TokenElsewhere,
    /// One byte of each blob is another one.
    Lies,
    /// What it sends has no end.
    Endless,
    /// Half of what was announced.
    CutsOff,
    /// It sends whoever asks for a blob to a path that has it.
    Redirects,
    /// It sends whoever asks over a network without TLS.
    Exposes,
    /// It sends whoever asks round and round.
    Circles,
    /// No HTTP at all.
    Garbage,
}

/// A registry on the loopback, with the blobs of a layout.
struct Server {
    address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    requests: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
}

impl Server {
    fn start(bench: &Bench) -> Self {
        let folder = fs::read_dir(bench.path("layout/blobs/sha256")).unwrap();
        let blobs = folder.map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        });
        let blobs: Arc<BTreeMap<String, Vec<u8>>> = Arc::new(blobs.collect());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            manner: Arc::new(Mutex::new(Manner::Open)),
            requests: Arc::default(),
            is_over: Arc::default(),
        };
        let (manner, requests, is_over) = (
            Arc::clone(&server.manner),
            Arc::clone(&server.requests),
            Arc::clone(&server.is_over),
        );
        thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let manner = *manner.lock().unwrap();
                let (blobs, requests) = (Arc::clone(&blobs), Arc::clone(&requests));
                // Whoever hangs up early is no failure of the server.
                thread::spawn(move || stream.and_then(|it| answer(it, manner, &blobs, &requests)));
            }
        });
        server
    }

    fn behaves(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
        self.requests.lock().unwrap().clear();
    }

    fn guest(&self, digest: &str) -> String {
        format!("oci://{}/fs/swap@{digest}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

/// The token that everybody gets.
const TOKEN: &str = "anybody.may-read";

fn answer(
    mut stream: TcpStream,
    manner: Manner,
    blobs: &BTreeMap<String, Vec<u8>>,
    requests: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let address = stream.local_addr()?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut has_token = false;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        has_token |= line.trim().to_ascii_lowercase() == format!("authorization: bearer {TOKEN}");
        if line.trim().is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let told = if has_token { "with token " } else { "" };
    requests.lock().unwrap().push(format!("{told}{path}"));
    let send = |stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]| {
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
        )?;
        stream.write_all(body)
    };
    let challenge = |realm: &str| {
        format!(
            "WWW-Authenticate: Bearer realm=\"{realm}\",service=\"a registry\",scope=\"repository:fs/swap:pull\"\r\n"
        )
    };
    let here = format!("http://{address}/token");
    if path.starts_with("/token") {
        return match manner {
            Manner::Token => {
                // Docker Hub gives it under both of its names.
                let body = format!(
                    "{{\"token\":\"{TOKEN}\",\"access_token\":\"{TOKEN}\",\"expires_in\":300}}"
                );
                send(&mut stream, "200 OK", "", body.as_bytes())
            }
            _ => send(&mut stream, "403 Forbidden", "", b""),
        };
    }
    match manner {
        Manner::Token | Manner::NoToken if !has_token => {
            return send(&mut stream, "401 Unauthorized", &challenge(&here), b"");
        }
        Manner::TokenElsewhere => {
            let elsewhere = challenge("http://tokens.example/token");
            return send(&mut stream, "401 Unauthorized", &elsewhere, b"");
        }
        Manner::Garbage => return stream.write_all(b"\x00\x01 what?\r\n\r\n"),
        Manner::Exposes => {
            let to = "Location: http://192.0.2.2:81/x\r\n";
            return send(&mut stream, "307 Temporary Redirect", to, b"");
        }
        Manner::Circles => {
            let to = format!("Location: {path}\r\n");
            return send(&mut stream, "307 Temporary Redirect", &to, b"");
        }
        Manner::Redirects if path.contains("/v2/") && path.contains("/blobs/") => {
            let to = format!("Location: {}\r\n", path.replace("/v2/", "/elsewhere/"));
            return send(&mut stream, "307 Temporary Redirect", &to, b"");
        }
        _ => {}
    }
    let name = path.rsplit(':').next().unwrap_or_default();
    let Some(bytes) = blobs.get(name) else {
        return send(&mut stream, "404 Not Found", "", b"");
    };
    let mut bytes = bytes.clone();
    match manner {
        Manner::Lies => bytes[9] ^= 1,
        Manner::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b' '; 4096])?;
            }
        }
        Manner::CutsOff => {
            let length = bytes.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
            )?;
            return stream.write_all(&bytes[..length / 2]);
        }
        _ => {}
    }
    send(&mut stream, "200 OK", "", &bytes)
}

/// What was kept goes.
fn forget(bench: &Bench) {
    let _ = fs::remove_dir_all(bench.path("home/cellblock/components"));
}

#[test]
fn a_token_that_anybody_gets_is_asked_for_once_and_goes_nowhere_else() {
    let (bench, [new, _]) = bench();
    let server = Server::start(&bench);
    let guest = server.guest(&new);
    server.behaves(Manner::Token);
    swap(&bench, "token.img", &guest).done();
    let requests = server.requests.lock().unwrap().clone();
    let [refused_first, token, manifest, blob] = &requests[..] else {
        panic!("{requests:?}");
    };
    assert!(
        refused_first.starts_with("/v2/fs/swap/manifests/sha256:"),
        "{requests:?}"
    );
    assert!(
        token.contains("scope=repository") && token.contains("service=a"),
        "{requests:?}"
    );
    assert!(
        manifest.starts_with("with token /v2/fs/swap/manifests/"),
        "{requests:?}"
    );
    assert!(
        blob.starts_with("with token /v2/fs/swap/blobs/"),
        "{requests:?}"
    );
    // What is kept needs nobody, unless nothing is to be kept.
    server.behaves(Manner::Garbage);
    swap(&bench, "kept.img", &guest).done();
    assert_eq!(server.requests.lock().unwrap().len(), 0);
    forget(&bench);
    server.behaves(Manner::Redirects);
    let guests = format!("swap={guest}");
    let once = ["mkfs", "swap", "--size", "1MiB", "-q", "--no-cache"];
    let once = [&once[..], &["-o", "once.img", "--guest", &guests]].concat();
    super::done(&bench, &once);
    assert!(!bench.path("home/cellblock/components").exists());
    for image in ["kept.img", "once.img"] {
        crate::support::bench::assert_same_bytes(&bench.path("token.img"), &bench.path(image));
    }
}

#[test]
fn a_registry_that_lies_or_has_no_end_gives_nothing() {
    let (bench, [new, _]) = bench();
    let server = Server::start(&bench);
    let guest = server.guest(&new);
    for (manner, why) in [
        (Manner::NoToken, "gives none: 403"),
        (Manner::TokenElsewhere, "no address with https"),
        (Manner::Lies, "the manifest has the digest"),
        (Manner::Endless, "more than the 4194304 bytes"),
        (Manner::CutsOff, "cannot be asked"),
        (Manner::Circles, "elsewhere more than 3 times"),
        (
            Manner::Exposes,
            "to http://192.0.2.2:81/x, which is not followed",
        ),
        (Manner::Garbage, "cannot be asked"),
    ] {
        forget(&bench);
        server.behaves(manner);
        let outcome = swap(&bench, "no.img", &guest);
        refused(&outcome, why);
        assert_eq!(outcome.code, Some(1), "{manner:?}: {}", outcome.stderr);
        assert!(!bench.path("no.img").exists(), "{manner:?}");
        assert!(
            !bench.path("home/cellblock/components").exists(),
            "{manner:?}"
        );
    }
    // What was kept and changed is fetched again.
    server.behaves(Manner::Open);
    swap(&bench, "first.img", &guest).done();
    let kept = fs::read_dir(bench.path("home/cellblock/components")).unwrap();
    for entry in kept {
        fs::write(entry.unwrap().path(), "changed").unwrap();
    }
    swap(&bench, "second.img", &guest).done();
    assert_eq!(server.requests.lock().unwrap().len(), 4);
    crate::support::bench::assert_same_bytes(&bench.path("first.img"), &bench.path("second.img"));
}
