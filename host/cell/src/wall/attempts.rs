//! What a process behind the wall tries in order to get out, where it should be able to do nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::thread;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal};

use super::message::{Attempt, Hello};

/// Tries everything, and tells how it went.
pub(super) fn all(host: Option<Pid>, hello: &Hello) -> Vec<Attempt> {
    let inside_cache = hello.cache.as_ref().map(|folder| folder.join("attempt"));
    let create = |path| OpenOptions::new().write(true).create_new(true).open(path);
    let host = host.ok_or(io::ErrorKind::NotFound);
    let mut attempts = vec![
        attempt("open a file", File::open("/etc/passwd")),
        attempt("open itself", File::open("/proc/self/exe")),
        attempt("look at a file", std::fs::metadata("/")),
        attempt("list a folder", std::fs::read_dir("/")),
        attempt("make a file", create("/tmp/cellblock-attempt".into())),
        attempt(
            "remove a file",
            std::fs::remove_file("/tmp/cellblock-attempt"),
        ),
        attempt("make a network socket", UdpSocket::bind("127.0.0.1:0")),
        attempt("connect to a port", TcpStream::connect("127.0.0.1:1")),
        attempt("make a local socket", UnixStream::pair()),
        attempt("make a pipe", io::pipe()),
        attempt(
            "write to the standard output",
            io::stdout().write(b"attempt\n"),
        ),
        attempt(
            "signal its host",
            host.map_err(io::Error::from).and_then(signal),
        ),
        attempt(
            "take a descriptor of its host",
            host.map_err(io::Error::from).and_then(take),
        ),
        attempt("start a thread", thread::Builder::new().spawn(|| ())),
        attempt("start a program", Command::new("/bin/true").spawn()),
        attempt(
            "become another program",
            Err::<(), _>(Command::new("/bin/true").exec()),
        ),
        attempt(
            "change its user",
            rustix::thread::set_thread_uid(rustix::process::Uid::ROOT),
        ),
        attempt("change its root folder", rustix::process::chroot("/proc")),
        attempt("take back a limit", raise_limit()),
    ];
    attempts.extend(inside_cache.map(|path| attempt("write compiled code", create(path))));
    attempts
}

fn attempt<T>(what: &str, result: Result<T, impl Into<io::Error>>) -> Attempt {
    Attempt {
        what: what.to_owned(),
        refusal: result.err().map(|error| error.into().to_string()),
    }
}

fn signal(host: Pid) -> io::Result<()> {
    // One that a process ignores that does not ask for it.
    Ok(rustix::process::kill_process(host, Signal::URG)?)
}

/// What needs the right to trace the host.
fn take(host: Pid) -> io::Result<()> {
    let host = rustix::process::pidfd_open(host, PidfdFlags::empty())?;
    rustix::process::pidfd_getfd(host, 0, PidfdGetfdFlags::empty())?;
    Ok(())
}

fn raise_limit() -> io::Result<()> {
    let most = rustix::process::Rlimit {
        current: Some(1 << 20),
        maximum: Some(1 << 20),
    };
    Ok(rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        most,
    )?)
}
