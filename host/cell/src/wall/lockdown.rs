//! How a process gives up what it could do, in two stages.
//!
//! ```text
//!                      before the guest's bytes come     before any of its code is called
//!     descriptors      the channel                       the channel
//!     files            none                              none
//!     user, rights     nobody, none                      nobody, none
//!     system calls     memory, waiting, the channel,     memory without execution, waiting,
//!                      the end, the second stage         the channel, the end
//!     memory, time     bounded                           bounded
//! ```
//!
//! Landlock forbids by object and seccomp by system call: either would do alone for files and for the network. Whatever is
//! not allowed fails with `EPERM`.

use std::os::fd::RawFd;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, LandlockStatus, Ruleset,
    RulesetAttr as _, RulesetStatus, Scope,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::calls::{Machine, Stage};
use super::{filter, identity};
use crate::engine::{MEMORY_GUARD, MEMORY_RESERVATION};
use cellblock_contract::Limits;

/// What a process may take beyond the memory of its guest, in bytes: the engine, and messages.
const OVERHEAD: u64 = 1 << 30;
/// The memories of a guest that there are addresses for. What pages of them cost beyond their content is bounded with them.
const MEMORIES: u64 = 32;
/// The stack of a process in bytes.
const STACK: u64 = 64 << 20;
/// The calls of a guest that one process serves at the most: it is described, measured, and formats; and it was loaded.
const CALLS: u64 = 4;

/// The newest Landlock that is asked for: an older kernel gives what it has.
const LANDLOCK: ABI = ABI::V10;

/// Closes every descriptor but `channel`, among them what whoever started the host has left open. The first thing that a
/// cell does.
///
/// # Errors
/// What the kernel says.
#[expect(unsafe_code, reason = "descriptors that nobody owns are closed")]
pub(super) fn close_all_but(channel: RawFd) -> Result<(), String> {
    let channel = u32::try_from(channel).map_err(|error| error.to_string())?;
    let ranges = [(0, channel.checked_sub(1)), (channel + 1, Some(u32::MAX))];
    for (first, last) in ranges {
        let Some(last) = last else { continue };
        // SAFETY: nothing in this process has opened a descriptor but the channel, which stays; the standard streams may be
        // closed, and nothing is opened any more that could take their numbers.
        let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0_u32) };
        if closed != 0 {
            let error = std::io::Error::last_os_error();
            return Err(format!("close_range, which says: {error}"));
        }
    }
    Ok(())
}

/// What a process may take.
pub(super) struct Bounds {
    /// Memory of its own in bytes.
    pub(super) memory: u64,
    /// Addresses in bytes.
    pub(super) addresses: u64,
    /// Seconds of processors; without, the host watches each thing that it asks for.
    seconds: Option<u64>,
}

impl Bounds {
    /// What a cell may take.
    pub(super) fn of_cell(limits: Limits) -> Self {
        // Beyond what the kernel counts there is no bound, which is what the limits say then.
        let memory = limits.memory.saturating_add(OVERHEAD);
        let reserved = MEMORIES * (MEMORY_RESERVATION + 2 * MEMORY_GUARD);
        let seconds = limits.time.as_secs().saturating_add(1);
        Self {
            memory,
            addresses: memory.saturating_add(reserved),
            seconds: Some(seconds.saturating_mul(CALLS)),
        }
    }

    /// What a codec worker may take: the libraries' tables for blocks of 16 MiB.
    pub(super) fn of_worker() -> Self {
        Self {
            memory: 2 * OVERHEAD,
            addresses: 4 * OVERHEAD,
            seconds: None,
        }
    }
}

/// Leaves files, the network, the user and its rights, and bounds memory and time: what stands then, in words for the
/// record. The calling thread is the only one; these are the namespaces that it was started in, if they are its own.
///
/// # Errors
/// What does not stand.
pub(super) fn leave_everything(
    bounds: Bounds,
    namespaces: Vec<&'static str>,
) -> Result<Vec<String>, String> {
    let mut layers: Vec<String> = identity::become_nobody(namespaces)?
        .into_iter()
        .map(str::to_owned)
        .collect();
    let landlock = leave_files()?;
    layers.splice(0..0, [format!("landlock-{landlock}"), "seccomp".to_owned()]);
    bound(bounds)?;
    Ok(layers)
}

/// Leaves nothing of the file system, and no network: the version of Landlock that holds.
fn leave_files() -> Result<u32, String> {
    let said = |error: &dyn std::fmt::Display| format!("Landlock, which says: {error}");
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        // It would list every right: the kernel has none of them.
        .map_err(|_| "Landlock".to_owned())?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LANDLOCK))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(LANDLOCK)))
        .and_then(|rules| rules.scope(Scope::from_all(LANDLOCK)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(|error| said(&error))?;
    if status.ruleset == RulesetStatus::NotEnforced || !status.no_new_privs {
        return Err("Landlock".to_owned());
    }
    match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => Ok(effective_abi as u32),
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => Err("Landlock".to_owned()),
    }
}

/// Bounds memory, addresses and time; leaves no descriptor to be opened, no process, no file and no core.
fn bound(bounds: Bounds) -> Result<(), String> {
    let stack = getrlimit(Resource::Stack).current.unwrap_or(STACK);
    for (resource, most) in [
        (Resource::As, bounds.addresses),
        (Resource::Data, bounds.memory),
        (Resource::Stack, stack.min(STACK)),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
        (Resource::Nofile, 0),
        (Resource::Nproc, 0),
        (Resource::Sigpending, 0),
    ] {
        limit(resource, most)?;
    }
    bounds
        .seconds
        .map_or(Ok(()), |seconds| limit(Resource::Cpu, seconds))
}

/// Lowers a limit to `most`, or leaves it where it is lower already.
fn limit(resource: Resource, most: u64) -> Result<(), String> {
    let most = getrlimit(resource)
        .maximum
        .map_or(most, |maximum| maximum.min(most));
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(resource, limit).map_err(|error| format!("setrlimit, which says: {error}"))
}

/// Leaves the system calls of `stage`, where the channel is the descriptor `channel`. Others fail with the error number
/// `refusal`.
///
/// # Errors
/// What the kernel says.
pub(super) fn leave_calls(stage: Stage, channel: RawFd, refusal: i32) -> Result<(), String> {
    let machine =
        Machine::here().ok_or_else(|| format!("seccomp on {}", std::env::consts::ARCH))?;
    let channel = u64::try_from(channel).map_err(|error| error.to_string())?;
    let own = std::process::id();
    let program = filter::program(stage, machine, own, channel, refusal.unsigned_abs())?;
    seccompiler::apply_filter_all_threads(&program)
        .map_err(|error| format!("seccomp, which says: {error}"))
}
