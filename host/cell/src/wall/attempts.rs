//! What a process behind the wall tries in order to get out, where it should be able to do nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::thread;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal};

use super::lockdown::Bounds;
use super::message::Attempt;
use super::shared::PLACE;

/// What is mapped at once where more is taken than may be, in bytes.
const PIECE: u64 = 256 << 20;

/// Tries everything, and tells how it went, in a process with these bounds.
pub(super) fn all(host: u32, channel: RawFd, bounds: &Bounds) -> Vec<Attempt> {
    let create = |path: &str| OpenOptions::new().write(true).create_new(true).open(path);
    let number = host.cast_signed();
    let host = || Pid::from_raw(number).ok_or(io::Error::from(io::ErrorKind::NotFound));
    vec![
        attempt("open a file", File::open("/etc/passwd")),
        attempt("open itself", File::open("/proc/self/exe")),
        attempt("look at a file", std::fs::metadata("/")),
        attempt("list a folder", std::fs::read_dir("/")),
        attempt("make a file", create("/tmp/cellblock-attempt")),
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
        attempt("signal its host", host().and_then(signal)),
        attempt(
            "take a descriptor of its host",
            host().and_then(take_descriptor),
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
        attempt("lower a limit of its host", limit_of(number)),
        attempt("change the priority of its host", renice(number)),
        attempt("outlive its host", outlive()),
        attempt("be dumped", be_dumpable()),
        attempt(
            "use a descriptor it was started with",
            io::stdin().read(&mut [0]),
        ),
        attempt(
            "share memory",
            map(libc::MAP_SHARED | libc::MAP_ANONYMOUS, 0),
        ),
        attempt(
            "have a mapping that grows",
            map(
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_GROWSDOWN,
                0,
            ),
        ),
        attempt(
            "make memory executable",
            map(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, libc::PROT_EXEC),
        ),
        attempt("make what it shares executable", execute_shared()),
        attempt("take more memory than it may", take_memory(bounds)),
        attempt("take more of what it has reserved", take_reserved(bounds)),
        attempt("take more addresses than it may", take_addresses(bounds)),
        attempt("leave its namespaces", unshare()),
        attempt("mount a file system", call(libc::SYS_mount, [0; 6])),
        attempt(
            "load a program into the kernel",
            call(libc::SYS_bpf, [0; 6]),
        ),
        attempt(
            "queue work for the kernel",
            call(libc::SYS_io_uring_setup, [1, 0, 0, 0, 0, 0]),
        ),
        attempt("send out of band", send_out_of_band(channel)),
    ]
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
fn take_descriptor(host: Pid) -> io::Result<()> {
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

/// Makes a system call by its number.
#[expect(unsafe_code, reason = "calls are made by number")]
fn call(number: i64, arguments: [i64; 6]) -> io::Result<()> {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    // SAFETY: no argument of what is tried is an address of anything in this process.
    match unsafe { libc::syscall(number, first, second, third, fourth, fifth, sixth) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn limit_of(process: i32) -> io::Result<()> {
    let (files, nothing) = (i64::from(libc::RLIMIT_NOFILE), 0);
    call(
        libc::SYS_prlimit64,
        [process.into(), files, nothing, nothing, 0, 0],
    )
}

fn renice(process: i32) -> io::Result<()> {
    let (of_a_process, lowest) = (i64::from(libc::PRIO_PROCESS), 19);
    call(
        libc::SYS_setpriority,
        [of_a_process, process.into(), lowest, 0, 0, 0],
    )
}

fn outlive() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(None)?)
}

fn be_dumpable() -> io::Result<()> {
    let dumpable = rustix::process::DumpableBehavior::Dumpable;
    Ok(rustix::process::set_dumpable_behavior(dumpable)?)
}

fn map(flags: i32, executable: i32) -> io::Result<()> {
    let access = libc::PROT_READ | executable;
    call(
        libc::SYS_mmap,
        [0, 4096, access.into(), flags.into(), -1, 0],
    )
}

/// The first page of the channel's memory, as code.
fn execute_shared() -> io::Result<()> {
    let address = i64::try_from(PLACE).expect("an address of a process");
    let access = libc::PROT_READ | libc::PROT_EXEC;
    call(libc::SYS_mprotect, [address, 4096, access.into(), 0, 0, 0])
}

/// Maps memory that can be written to, piece by piece, until there is more of it than the bound, or no more is given.
fn take_memory(bounds: &Bounds) -> io::Result<()> {
    take(
        bounds.memory,
        libc::PROT_READ | libc::PROT_WRITE,
        |_| Ok(()),
    )
}

/// The same with memory that nothing may be done with when it is mapped.
fn take_reserved(bounds: &Bounds) -> io::Result<()> {
    let written = i64::from(libc::PROT_READ | libc::PROT_WRITE);
    take(bounds.memory, libc::PROT_NONE, |piece| {
        call(
            libc::SYS_mprotect,
            [piece, PIECE.cast_signed(), written, 0, 0, 0],
        )
    })
}

/// Maps what can be read alone, which costs page tables.
fn take_addresses(bounds: &Bounds) -> io::Result<()> {
    take(bounds.addresses, libc::PROT_READ, |_| Ok(()))
}

/// Maps pieces with this access, and does with each what `use_it` does, until they are more than `bound` bytes. What was
/// mapped is given back.
fn take(bound: u64, access: i32, use_it: impl Fn(i64) -> io::Result<()>) -> io::Result<()> {
    let mut pieces = Vec::new();
    let taken = (0..=bound / PIECE).try_for_each(|_| {
        let piece = map_piece(access)?;
        pieces.push(piece);
        use_it(piece)
    });
    let length = PIECE.cast_signed();
    for piece in pieces {
        call(libc::SYS_munmap, [piece, length, 0, 0, 0, 0])?;
    }
    taken
}

/// The address of a new piece.
#[expect(unsafe_code, reason = "calls are made by number")]
fn map_piece(access: i32) -> io::Result<i64> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: it stands where nothing else does, and nothing looks at it.
    let address = unsafe { libc::syscall(libc::SYS_mmap, 0, PIECE, access, flags, -1, 0) };
    match address {
        -1 => Err(io::Error::last_os_error()),
        address => Ok(address),
    }
}

fn unshare() -> io::Result<()> {
    call(
        libc::SYS_unshare,
        [libc::CLONE_NEWUSER.into(), 0, 0, 0, 0, 0],
    )
}

fn send_out_of_band(channel: RawFd) -> io::Result<()> {
    call(
        libc::SYS_sendto,
        [channel.into(), 0, 0, libc::MSG_OOB.into(), 0, 0],
    )
}
