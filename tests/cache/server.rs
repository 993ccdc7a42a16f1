//! Servers that we did not write the rules for: slow ones, liars, and such as cut off or never end.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{FILESYSTEMS, bench, build};

/// How a server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Honest,
    /// It takes connections and says nothing.
    Silent,
    /// One byte of each chunk is another one.
    Lies,
    /// Each chunk is another chunk.
    Swaps,
    /// Each entry is that of another partition.
    SwapsEntries,
    /// Half of what was announced, and then nothing.
    CutsOff,
    /// What it sends has no end.
    Endless,
    /// Headers without end.
    EndlessHeaders,
    /// No HTTP at all.
    Garbage,
    /// It sends whoever asks to another server.
    Redirects,
    /// It has no room.
    Full,
    /// It has lost all chunks.
    Forgets,
    /// Each byte takes its time.
    Trickles,
}

#[derive(Debug)]
struct State {
    manner: Manner,
    kept: BTreeMap<String, Vec<u8>>,
    requests: u64,
}

/// A server on the loopback.
pub(super) struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    is_over: Arc<AtomicBool>,
}

impl Server {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::new(Mutex::new(State {
                manner: Manner::Honest,
                kept: BTreeMap::new(),
                requests: 0,
            })),
            is_over: Arc::default(),
        };
        let (state, is_over) = (Arc::clone(&server.state), Arc::clone(&server.is_over));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let (state, is_over) = (Arc::clone(&state), Arc::clone(&is_over));
                // Whoever hangs up early is no failure of the server.
                thread::spawn(move || stream.and_then(|it| answer(it, &state, &is_over)));
            }
        });
        server
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/images", self.address)
    }

    /// How many requests there were since the manner was said.
    pub(super) fn count(&self) -> u64 {
        self.state.lock().unwrap().requests
    }

    /// How much is kept.
    pub(super) fn kept(&self) -> usize {
        self.state.lock().unwrap().kept.len()
    }

    fn behaves(&self, manner: Manner) {
        let mut state = self.state.lock().unwrap();
        state.manner = manner;
        state.requests = 0;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(stream: TcpStream, state: &Mutex<State>, is_over: &AtomicBool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap_or_default());
    let (manner, found, other) = {
        let mut state = state.lock().unwrap();
        state.requests += 1;
        let found = state.kept.get(path).cloned();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut others = state.kept.iter();
        let other = others
            .find(|(name, _)| name.starts_with(folder) && *name != path)
            .map(|(_, bytes)| bytes.clone());
        (state.manner, found, other)
    };
    let is_chunk = path.contains("/cas/");
    let head = |status: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
    };
    match (manner, method) {
        (Manner::Silent, _) => {
            while !is_over.load(Ordering::Relaxed) {
                thread::sleep(std::time::Duration::from_millis(20));
            }
        }
        (Manner::Garbage, _) => stream.write_all(b"\x00\x01 what do you want?\r\n\r\n")?,
        (Manner::Redirects, _) => {
            let to =
                "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(to.as_bytes())?;
        }
        (Manner::EndlessHeaders, _) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            loop {
                stream.write_all(b"X-More: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")?;
            }
        }
        (Manner::Full, "PUT") => {
            stream.write_all(head("507 Insufficient Storage", 0).as_bytes())?
        }
        (_, "PUT") => {
            state.lock().unwrap().kept.insert(path.to_owned(), body);
            stream.write_all(head("201 Created", 0).as_bytes())?;
        }
        (_, "HEAD") => {
            let status = if found.is_some() {
                "200 OK"
            } else {
                "404 Not Found"
            };
            stream.write_all(head(status, found.map_or(0, |it| it.len())).as_bytes())?;
        }
        (Manner::Forgets, _) if is_chunk => {
            stream.write_all(head("404 Not Found", 0).as_bytes())?
        }
        _ => {
            let Some(mut bytes) = found else {
                return stream.write_all(head("404 Not Found", 0).as_bytes());
            };
            match manner {
                Manner::Lies if is_chunk => bytes[0] ^= 1,
                Manner::Swaps if is_chunk => bytes = other.unwrap_or_default(),
                Manner::SwapsEntries if !is_chunk => bytes = other.unwrap_or_default(),
                _ => {}
            }
            if manner == Manner::Endless {
                stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
                loop {
                    stream.write_all(&[0; 4096])?;
                }
            }
            stream.write_all(head("200 OK", bytes.len()).as_bytes())?;
            match manner {
                Manner::CutsOff => stream.write_all(&bytes[..bytes.len() / 2])?,
                Manner::Trickles => {
                    for byte in bytes {
                        if is_over.load(Ordering::Relaxed) {
                            break;
                        }
                        stream.write_all(&[byte])?;
                        thread::sleep(std::time::Duration::from_millis(100));
                    }
                }
                _ => stream.write_all(&bytes)?,
            }
        }
    }
    Ok(())
}

/// What whoever asks this server types.
fn with<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let keys = ["--cache-key", "key.pem", "--cache-trust", "trust.pem"];
    [&["--cache", url, "--cache-timeout", "1"], &keys[..], more].concat()
}

#[test]
fn a_server_that_fails_or_lies_costs_time_and_not_the_build() {
    let bench = bench();
    let server = Server::start();
    let url = server.url();
    let right = build(&bench, &with(&url, &[]));
    let hot = build(&bench, &with(&url, &[]));
    assert_eq!((hot.cached(), hot.said()), (FILESYSTEMS.to_vec(), vec![]));
    assert_eq!(hot.digest, right.digest);
    for manner in [
        Manner::Silent,
        Manner::Lies,
        Manner::Swaps,
        Manner::CutsOff,
        Manner::Endless,
        Manner::EndlessHeaders,
        Manner::Garbage,
        Manner::Redirects,
        Manner::Trickles,
    ] {
        server.behaves(manner);
        let built = build(&bench, &with(&url, &["--cache-mode", "read", "-j1"]));
        assert_eq!(built.digest, right.digest, "{manner:?}");
        assert_eq!(built.cached(), [""; 0], "{manner:?}");
        let said = built.said();
        assert_eq!(said.len(), 1, "{manner:?}: {said:?}");
        assert!(said[0].contains(&*url), "{manner:?}: {said:?}");
        // It is left alone: an entry, a list, and the first chunk. A chunk that is wrong may be the only one: the file system that it is
        // of is made, and the others are asked for.
        let most = match manner {
            Manner::Lies | Manner::Swaps => 3 * FILESYSTEMS.len() as u64,
            _ => 4,
        };
        let requests = server.state.lock().unwrap().requests;
        assert!(requests <= most, "{manner:?}: {requests} requests");
    }
    server.behaves(Manner::Honest);
    assert_eq!(build(&bench, &with(&url, &[])).cached(), FILESYSTEMS);
}

#[test]
fn what_a_server_has_lost_is_made_and_what_it_cannot_take_is_said() {
    let bench = bench();
    let server = Server::start();
    let url = server.url();
    let right = build(&bench, &with(&url, &[]));
    server.behaves(Manner::Forgets);
    let built = build(&bench, &with(&url, &["--cache-mode", "read"]));
    assert_eq!((built.cached(), built.said()), (vec![], vec![]));
    assert_eq!(built.digest, right.digest);
    server.state.lock().unwrap().kept.clear();
    server.behaves(Manner::Full);
    let built = build(&bench, &with(&url, &["-j1"]));
    assert_eq!(built.digest, right.digest);
    assert_eq!(built.said().len(), 1, "{:?}", built.said());
    assert!(built.said()[0].contains("507"), "{:?}", built.said());
}

#[test]
fn entries_of_strangers_and_of_other_partitions_are_not_used() {
    let bench = bench();
    let server = Server::start();
    let url = server.url();
    let right = build(&bench, &with(&url, &[]));
    let stranger = [
        "--cache",
        &*url,
        "--cache-trust",
        "stranger.pem",
        "--cache-mode",
        "read",
    ];
    let built = build(&bench, &stranger);
    assert_eq!(
        (built.digest.as_str(), built.cached()),
        (right.digest.as_str(), vec![])
    );
    assert!(
        built.said()[0].contains("no key of --cache-trust"),
        "{:?}",
        built.said()
    );
    server.behaves(Manner::SwapsEntries);
    let built = build(&bench, &with(&url, &["--cache-mode", "read"]));
    assert_eq!(
        (built.digest.as_str(), built.cached()),
        (right.digest.as_str(), vec![])
    );
    assert!(
        built.said()[0].contains("another partition"),
        "{:?}",
        built.said()
    );
}

#[test]
fn a_server_that_is_not_there_is_said_once_and_a_folder_serves_in_its_place() {
    let bench = bench();
    // Nobody listens there any more.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let both = [&with(&url, &[])[..], &["--cache", "folder"]].concat();
    let right = build(&bench, &both);
    assert_eq!(right.said().len(), 1, "{:?}", right.said());
    let hot = build(&bench, &both);
    assert_eq!(
        (&hot.digest, hot.cached()),
        (&right.digest, FILESYSTEMS.to_vec())
    );
}
