//! Starts the program once more, in namespaces of its own where the kernel lets it.
//!
//! A process cannot leave its PID namespace, but it can be started in another one, in which it is the only process and no
//! number means another. Root's is cloned into that one, and leaves the others by itself, while its host goes on. Anybody
//! else's needs a namespace of users for it, whose rights are gone once it is the program: it is cloned into all at once.
//! Where neither is allowed it is started as any program is, and leaves what it can.

use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, WaitOptions, geteuid, kill_process, waitpid};

use super::ARGUMENT;

/// The program itself, also where its file has been replaced since.
const PROGRAM: &CStr = c"/proc/self/exe";
/// What is its folder.
const FOLDER: &CStr = c"/";
/// The bytes of the stack that the new process has until it is the program.
const STACK: usize = 64 << 10;

/// Into which namespaces a process is cloned, and how the record names them.
struct Namespaces {
    flags: c_int,
    names: &'static CStr,
}

const OF_ROOT: Namespaces = Namespaces {
    flags: libc::CLONE_NEWPID,
    names: c"pid-namespace",
};
const OF_ANYBODY: Namespaces = Namespaces {
    flags: libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWNS,
    names: c"user-namespace,pid-namespace,network-namespace,ipc-namespace,uts-namespace,mount-namespace",
};

/// Standard input, output and error of a new process.
pub(super) struct Streams(pub(super) [OwnedFd; 3]);

/// A process that was started.
pub(super) enum Spawned {
    /// In the namespaces of this one.
    Beside(Child),
    /// In its own; none once it was waited for.
    Apart(Option<Pid>),
}

impl Spawned {
    /// Ends it if it has not ended: how it did.
    pub(super) fn end(&mut self) -> io::Result<ExitStatus> {
        match self {
            Self::Beside(child) => {
                // There is nothing to kill where it has been waited for.
                let _ = child.kill();
                child.wait()
            }
            Self::Apart(pid) => {
                let Some(pid) = pid.take() else {
                    return Err(io::ErrorKind::NotFound.into());
                };
                kill_process(pid, Signal::KILL)?;
                let waited = rustix::io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
                let (_, status) = waited?.ok_or(io::ErrorKind::NotFound)?;
                Ok(ExitStatus::from_raw(status.as_raw()))
            }
        }
    }
}

/// Starts the program to be a cell.
///
/// # Errors
/// What the kernel says.
pub(super) fn cell(streams: Streams) -> io::Result<Spawned> {
    if let Some(pid) = in_namespaces(&streams) {
        return Ok(Spawned::Apart(Some(pid)));
    }
    let Streams([input, output, error]) = streams;
    let child = Command::new(PROGRAM.to_str().expect("it is ASCII"))
        .arg(ARGUMENT)
        .env_clear()
        .current_dir("/")
        .stdin(input)
        .stdout(output)
        .stderr(error)
        .spawn()?;
    Ok(Spawned::Beside(child))
}

/// The names of the namespaces that this process was started in, if it was cloned into them.
pub(super) fn namespaces(argument: Option<&str>) -> Vec<&'static str> {
    let known = [OF_ROOT, OF_ANYBODY].map(|it| it.names.to_str().expect("they are ASCII"));
    let ours = known.into_iter().find(|names| argument == Some(names));
    ours.map_or_else(Vec::new, |names| names.split(',').collect())
}

/// What the new process does before it is the program.
struct Plan {
    streams: [RawFd; 3],
    arguments: [*const libc::c_char; 4],
    environment: [*const libc::c_char; 1],
    /// Whether it could not become the program, which it tells before it ends.
    has_failed: AtomicBool,
}

/// The process, if the kernel lets it be in namespaces of its own.
fn in_namespaces(streams: &Streams) -> Option<Pid> {
    let descriptors = streams.0.each_ref().map(|stream| stream.as_raw_fd());
    // Where one of them had the number of another, putting that in its place would close it.
    if descriptors
        .iter()
        .any(|number| *number <= libc::STDERR_FILENO)
    {
        return None;
    }
    let Namespaces { flags, names } = match geteuid().is_root() {
        true => OF_ROOT,
        false => OF_ANYBODY,
    };
    let argument = std::ffi::CString::new(ARGUMENT).ok()?;
    let plan = Plan {
        streams: descriptors,
        arguments: [
            PROGRAM.as_ptr(),
            argument.as_ptr(),
            names.as_ptr(),
            ptr::null(),
        ],
        environment: [ptr::null()],
        has_failed: AtomicBool::new(false),
    };
    let pid = clone(flags, &plan)?;
    if plan.has_failed.load(Ordering::Relaxed) {
        // What the reason is shows where it is started as any program is.
        let _ = Spawned::Apart(Some(pid)).end();
        return None;
    }
    Some(pid)
}

/// Clones this process; the new one shares its memory, and it waits, until that one is another program or has ended.
#[expect(unsafe_code, reason = "a process is cloned")]
fn clone(flags: c_int, plan: &Plan) -> Option<Pid> {
    // Aligned as both machines want a stack.
    let mut stack = vec![0_u128; STACK / size_of::<u128>()];
    let end = stack.as_mut_ptr_range().end.cast::<c_void>();
    let plan = ptr::from_ref(plan).cast_mut().cast::<c_void>();
    let flags = flags | libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `become_cell` has the stack for itself; it only makes system calls, allocates and frees nothing, and ends in another
    // program, or ends. This thread goes on when that is so, so that stack and plan live as long. No signal is handled
    // meanwhile, by which the new process could run code of this one. Both sets are written before they are read.
    let pid = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        let pid = libc::clone(become_cell, end, flags, plan);
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
        pid
    };
    Pid::from_raw(pid).filter(|pid| pid.as_raw_nonzero().get() > 0)
}

/// The new process, until it is the program.
#[expect(unsafe_code, reason = "system calls, and nothing else")]
extern "C" fn become_cell(plan: *mut c_void) -> c_int {
    // SAFETY: it is the plan of `clone`, which waits. Every pointer in it is to a text that ends in NUL, or ends a list.
    unsafe {
        let plan = &*plan.cast::<Plan>();
        let mut streams = plan.streams.iter().zip(0..);
        let are_there = streams.all(|(stream, number)| libc::dup2(*stream, number) >= 0);
        if are_there && libc::chdir(FOLDER.as_ptr()) == 0 {
            libc::execve(
                PROGRAM.as_ptr(),
                plan.arguments.as_ptr(),
                plan.environment.as_ptr(),
            );
        }
        plan.has_failed.store(true, Ordering::Relaxed);
        libc::_exit(127)
    }
}

/// Lets signals come again, which were held back when this process was cloned.
#[expect(unsafe_code, reason = "the mask of signals is set")]
pub(super) fn let_signals_come() {
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is written before it is read.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}
