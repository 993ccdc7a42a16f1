//! How a process gives up what it could do, in two stages.
//!
//! ```text
//!                      before the guest's bytes come     before any of its code is called
//!     files            its own folder of compiled code   none
//!     system calls     those that reading and            memory without execution, waiting,
//!                      compiling take                    the channel, the end
//!     memory, cores    bounded, none                     bounded, none
//! ```
//!
//! Landlock forbids by object and seccomp by system call: either would do alone for files and for the network. Whatever is
//! not allowed fails with `EPERM`.

use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use rustix::process::{Resource, Rlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::calls;
use cellblock_contract::Limits;

/// What a process may take beyond the memory of its guest, in bytes: the engine, and messages.
const OVERHEAD: u64 = 1 << 30;

/// Leaves of the file system nothing but the folder `cache`, and no network. The calling thread and those that it starts
/// are held by it.
pub(super) fn leave_files(cache: Option<&Path>) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| format!("Landlock, which says: {error}");
    let files = AccessFs::from_all(ABI::V5);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .map_err(|error| said(&error))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(files)
        .and_then(|rules| rules.handle_access(AccessNet::from_all(ABI::V4)))
        .and_then(|rules| rules.scope(Scope::from_all(ABI::V6)))
        .and_then(Ruleset::create)
        .map_err(|error| said(&error))?;
    if let Some(folder) = cache {
        let folder = PathFd::new(folder).map_err(|error| said(&error))?;
        rules = rules
            .add_rule(PathBeneath::new(folder, files & !AccessFs::Execute))
            .map_err(|error| said(&error))?;
    }
    let status = rules.restrict_self().map_err(|error| said(&error))?;
    if status.ruleset == RulesetStatus::NotEnforced || !status.no_new_privs {
        return Err("Landlock".to_owned());
    }
    Ok(())
}

/// Bounds memory, and leaves no core file.
pub(super) fn limit_memory(limits: Limits) -> Result<(), String> {
    limit(Resource::Core, 0)?;
    limit(Resource::Data, limits.memory.saturating_add(OVERHEAD))
}

/// Leaves the system calls that compiling a guest takes, in all threads.
pub(super) fn leave_calls() -> Result<(), String> {
    let rules = calls::LOADING
        .iter()
        .chain(calls::LOADING_OLDER)
        .chain(calls::RUNNING)
        .chain(calls::ON_CHANNEL)
        .chain(calls::ON_MEMORY)
        .map(|call| (*call, Vec::new()));
    apply(&filter(rules.collect())?)
}

/// Leaves nothing but memory and the channel, which is the descriptor `channel`, in all threads.
pub(super) fn leave_all_else(channel: RawFd) -> Result<(), String> {
    leave_files(None)?;
    limit(Resource::Nofile, 0)?;
    apply(&running(channel)?)
}

fn limit(resource: Resource, most: u64) -> Result<(), String> {
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    rustix::process::setrlimit(resource, limit)
        .map_err(|error| format!("setrlimit, which says: {error}"))
}

/// The filter of the second stage.
fn running(channel: RawFd) -> Result<BpfProgram, String> {
    let own = u64::from(std::process::id());
    let channel = u64::try_from(channel).map_err(|error| error.to_string())?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = calls::RUNNING
        .iter()
        .map(|call| (*call, Vec::new()))
        .collect();
    let on_channel = rule(&[(0, SeccompCmpOp::Eq, channel)])?;
    for call in calls::ON_CHANNEL {
        rules.insert(*call, vec![on_channel.clone()]);
    }
    let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
    let anonymous = u64::from(libc::MAP_ANONYMOUS.unsigned_abs());
    let unexecutable = (2, SeccompCmpOp::MaskedEq(executable), 0);
    let of_no_file = (3, SeccompCmpOp::MaskedEq(anonymous), anonymous);
    rules.insert(
        libc::SYS_mprotect,
        vec![rule(std::slice::from_ref(&unexecutable))?],
    );
    rules.insert(libc::SYS_mmap, vec![rule(&[unexecutable, of_no_file])?]);
    // How a process aborts.
    rules.insert(libc::SYS_tgkill, vec![rule(&[(0, SeccompCmpOp::Eq, own)])?]);
    filter(rules)
}

/// A rule whose conditions are an argument's index, a comparison and a value each.
fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, String> {
    let conditions: Result<Vec<_>, _> = conditions
        .iter()
        .map(|(argument, operator, value)| {
            // Descriptors and flags are 32 bits wide, and the kernel does not look at the upper half.
            SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value)
        })
        .collect();
    conditions
        .and_then(SeccompRule::new)
        .map_err(|error| error.to_string())
}

fn filter(rules: BTreeMap<i64, Vec<SeccompRule>>) -> Result<BpfProgram, String> {
    let target = std::env::consts::ARCH
        .try_into()
        .map_err(|_| format!("seccomp for {}", std::env::consts::ARCH))?;
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, refused, SeccompAction::Allow, target)
        .and_then(TryInto::try_into)
        .map_err(|error| error.to_string())
}

fn apply(filter: &BpfProgram) -> Result<(), String> {
    seccompiler::apply_filter_all_threads(filter)
        .map_err(|error| format!("seccomp, which says: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CHANNEL: u64 = 3;

    /// What the filter says of a call: a classic BPF machine over `struct seccomp_data`.
    fn verdict(program: &BpfProgram, call: i64, arguments: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend(i32::try_from(call).unwrap().to_le_bytes());
        data.extend(0xc000_003e_u32.to_le_bytes());
        data.extend(0_u64.to_le_bytes());
        data.extend(arguments.iter().flat_map(|argument| argument.to_le_bytes()));
        let (mut position, mut accumulator) = (0, 0);
        loop {
            let step = &program[position];
            position += 1;
            let jump = |taken| usize::from(if taken { step.jt } else { step.jf });
            match step.code {
                0x06 => return step.k,
                0x20 => {
                    let at = usize::try_from(step.k).unwrap();
                    accumulator = u32::from_le_bytes(data[at..at + 4].try_into().unwrap());
                }
                0x54 => accumulator &= step.k,
                0x05 => position += usize::try_from(step.k).unwrap(),
                0x15 => position += jump(accumulator == step.k),
                0x25 => position += jump(accumulator > step.k),
                0x35 => position += jump(accumulator >= step.k),
                other => panic!("{other:#x}"),
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_running_guest_has_memory_and_its_channel() {
        let program = running(RawFd::try_from(CHANNEL).unwrap()).unwrap();
        let allowed = |call, arguments| match verdict(&program, call, arguments) {
            0x7fff_0000 => true,
            0x0005_0001 => false,
            other => panic!("{other:#x}"),
        };
        for call in 0..1024 {
            let by_number = calls::RUNNING.contains(&call);
            let refused_everything = [u64::MAX; 6];
            assert_eq!(allowed(call, refused_everything), by_number, "{call}");
        }
        for call in calls::ON_CHANNEL {
            assert!(allowed(*call, [CHANNEL, 0, 0, 0, 0, 0]));
            assert!(!allowed(*call, [CHANNEL + 1, 0, 0, 0, 0, 0]));
        }
        let [read, write, execute] = [1, 2, 4];
        let [private, anonymous] = [0x02, 0x20];
        let own = u64::from(std::process::id());
        for (call, arguments, expected) in [
            (libc::SYS_mprotect, [0, 0, read | write, 0, 0, 0], true),
            (libc::SYS_mprotect, [0, 0, read | execute, 0, 0, 0], false),
            (
                libc::SYS_mmap,
                [0, 0, write, private | anonymous, 0, 0],
                true,
            ),
            (
                libc::SYS_mmap,
                [0, 0, execute, private | anonymous, 0, 0],
                false,
            ),
            (libc::SYS_mmap, [0, 0, read, private, CHANNEL, 0], false),
            (libc::SYS_tgkill, [own, own, 6, 0, 0, 0], true),
            (libc::SYS_tgkill, [1, 1, 9, 0, 0, 0], false),
            (libc::SYS_ptrace, [0; 6], false),
            (libc::SYS_process_vm_writev, [0; 6], false),
            (libc::SYS_clone, [0; 6], false),
            (libc::SYS_clone3, [0; 6], false),
            (libc::SYS_execve, [0; 6], false),
            (libc::SYS_socket, [0; 6], false),
            (libc::SYS_kill, [0; 6], false),
            (libc::SYS_sendmsg, [CHANNEL, 0, 0, 0, 0, 0], false),
            (libc::SYS_prctl, [0; 6], false),
        ] {
            assert_eq!(allowed(call, arguments), expected, "{call} {arguments:?}");
        }
    }
}
