//! The system calls that a cell's process is left with, and the arguments that they may have: the table of `SECURITY.md`,
//! as code.

use serde::{Deserialize, Serialize};

use super::shared;

/// A machine that the second wall is known on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    X86_64,
    Aarch64,
}

impl Machine {
    /// The one that this program runs on, if it is known.
    pub(super) fn here() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::X86_64),
            "aarch64" => Some(Self::Aarch64),
            _ => None,
        }
    }
}

/// How far a process has locked itself up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It compiles a guest, or makes its compiled code ready.
    Compiling,
    /// It runs a guest.
    Running,
}

/// What one argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// From 0 on.
    pub(super) argument: u8,
    pub(super) must: Must,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Must {
    /// Be `value`, once `mask` is applied: the bits that are looked at. The kernel reads descriptors, operations and the flags
    /// of sockets as 32 bits.
    Be { mask: u64, value: u64 },
    /// Be this much, or more.
    BeAtLeast(u64),
}

/// A system call that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Allowed {
    pub(super) call: Call,
    /// Lists of conditions, one of which must hold as a whole. No list at all allows every argument.
    pub(super) alternatives: Vec<Vec<Condition>>,
}

macro_rules! calls {
    ($($name:ident: $x86_64:literal, $aarch64:literal;)*) => {
        /// A system call that is left in one of the stages.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(non_camel_case_types, reason = "the kernel's names")]
        pub(super) enum Call {
            $($name,)*
        }

        impl Call {
            pub(super) const ALL: &[Self] = &[$(Self::$name,)*];

            pub(super) fn number(self, machine: Machine) -> i64 {
                match (self, machine) {
                    $((Self::$name, Machine::X86_64) => $x86_64,)*
                    $((Self::$name, Machine::Aarch64) => $aarch64,)*
                }
            }

            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

calls! {
    brk: 12, 214;
    clock_gettime: 228, 113;
    close: 3, 57;
    exit: 60, 93;
    exit_group: 231, 94;
    futex: 202, 98;
    getpid: 39, 172;
    getrandom: 318, 278;
    gettid: 186, 178;
    madvise: 28, 233;
    membarrier: 324, 283;
    mmap: 9, 222;
    mprotect: 10, 226;
    munmap: 11, 215;
    prctl: 157, 167;
    read: 0, 63;
    recvfrom: 45, 207;
    restart_syscall: 219, 128;
    rseq: 334, 293;
    rt_sigaction: 13, 134;
    rt_sigprocmask: 14, 135;
    rt_sigreturn: 15, 139;
    sched_yield: 24, 124;
    seccomp: 317, 277;
    sendto: 44, 206;
    set_robust_list: 273, 99;
    sigaltstack: 131, 132;
    tgkill: 234, 131;
    write: 1, 64;
}

/// Time, memory that is given back, signals to itself and the end, and what a thread begins with.
const WITH_ANY_ARGUMENTS: &[Call] = &[
    Call::brk,
    Call::clock_gettime,
    Call::close,
    Call::exit,
    Call::exit_group,
    Call::getpid,
    Call::getrandom,
    Call::gettid,
    Call::munmap,
    Call::restart_syscall,
    Call::rseq,
    Call::rt_sigaction,
    Call::rt_sigprocmask,
    Call::rt_sigreturn,
    Call::sched_yield,
    Call::set_robust_list,
    Call::sigaltstack,
];

/// An argument that the kernel reads as 32 bits.
const INT: u64 = 0xffff_ffff;

/// Flags of `mmap` that change where a mapping stands, not what it is: without them it is private, of no file, does not
/// grow by itself, and is not locked or of huge pages.
const PLACING: u64 = bits(libc::MAP_FIXED)
    | bits(libc::MAP_FIXED_NOREPLACE)
    | bits(libc::MAP_NORESERVE)
    | bits(libc::MAP_STACK);
const PRIVATE: u64 = bits(libc::MAP_PRIVATE) | bits(libc::MAP_ANONYMOUS);
const ACCESSIBLE: u64 = bits(libc::PROT_READ) | bits(libc::PROT_WRITE);
const EXECUTABLE: u64 = bits(libc::PROT_EXEC);
/// Whether a `futex` is of this process alone, and which clock it looks at.
const FUTEX_FLAGS: u64 = bits(libc::FUTEX_PRIVATE_FLAG) | bits(libc::FUTEX_CLOCK_REALTIME);
const FUTEX_OPERATIONS: [u64; 4] = [
    bits(libc::FUTEX_WAIT),
    bits(libc::FUTEX_WAKE),
    bits(libc::FUTEX_WAIT_BITSET),
    bits(libc::FUTEX_WAKE_BITSET),
];
const ADVICE: [u64; 2] = [bits(libc::MADV_DONTNEED), bits(libc::MADV_FREE)];

/// A constant of the kernel's as the bits of an argument.
const fn bits(constant: i32) -> u64 {
    constant.unsigned_abs() as u64
}

/// What is left in `stage` of a process with the number `own` whose channel is the descriptor `channel`.
pub(super) fn allowed(stage: Stage, machine: Machine, own: u64, channel: u64) -> Vec<Allowed> {
    let with = |call, alternatives: Vec<Vec<Condition>>| Allowed { call, alternatives };
    let masked = |argument, mask, value| Condition {
        argument,
        must: Must::Be { mask, value },
    };
    let is = |argument, value| masked(argument, INT, value);
    // Of these bits none may be set but those of `among`.
    let among = |argument, among: u64| masked(argument, !among, 0);
    let accessible = match stage {
        Stage::Compiling => ACCESSIBLE | EXECUTABLE,
        Stage::Running => ACCESSIBLE,
    };
    let mut protections = vec![vec![among(2, ACCESSIBLE)]];
    if stage == Stage::Compiling {
        // Memory that the host writes to never becomes code.
        let unshared = Condition {
            argument: 0,
            must: Must::BeAtLeast(shared::PLACE_END),
        };
        protections.push(vec![among(2, accessible), unshared]);
    }
    let mut left: Vec<Allowed> = WITH_ANY_ARGUMENTS
        .iter()
        .map(|call| with(*call, Vec::new()))
        .collect();
    let anonymous = masked(3, !PLACING, PRIVATE);
    let operation = |operation| masked(1, INT & !FUTEX_FLAGS, operation);
    let silent = masked(3, INT & !bits(libc::MSG_NOSIGNAL), 0);
    left.extend([
        with(Call::read, vec![vec![is(0, channel)]]),
        with(Call::write, vec![vec![is(0, channel)]]),
        with(Call::recvfrom, vec![vec![is(0, channel), is(3, 0)]]),
        with(Call::sendto, vec![vec![is(0, channel), silent]]),
        with(Call::mmap, vec![vec![among(2, accessible), anonymous]]),
        with(Call::mprotect, protections),
        with(
            Call::futex,
            FUTEX_OPERATIONS.map(|one| vec![operation(one)]).to_vec(),
        ),
        with(Call::madvise, ADVICE.map(|one| vec![is(2, one)]).to_vec()),
        // How a process aborts.
        with(Call::tgkill, vec![vec![is(0, own)]]),
    ]);
    if stage == Stage::Compiling {
        left.extend([
            // The way to the second stage, which only takes away.
            with(
                Call::seccomp,
                vec![vec![is(0, u64::from(libc::SECCOMP_SET_MODE_FILTER))]],
            ),
            with(
                Call::prctl,
                vec![vec![is(0, bits(libc::PR_SET_NO_NEW_PRIVS)), is(1, 1)]],
            ),
        ]);
        if machine == Machine::Aarch64 {
            // How written code is made visible to all cores.
            left.push(with(Call::membarrier, Vec::new()));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_c_library() {
        let machine = Machine::here().expect("a machine with a wall");
        for (call, number) in [
            (Call::brk, libc::SYS_brk),
            (Call::clock_gettime, libc::SYS_clock_gettime),
            (Call::close, libc::SYS_close),
            (Call::exit, libc::SYS_exit),
            (Call::exit_group, libc::SYS_exit_group),
            (Call::futex, libc::SYS_futex),
            (Call::getpid, libc::SYS_getpid),
            (Call::getrandom, libc::SYS_getrandom),
            (Call::gettid, libc::SYS_gettid),
            (Call::madvise, libc::SYS_madvise),
            (Call::membarrier, libc::SYS_membarrier),
            (Call::mmap, libc::SYS_mmap),
            (Call::mprotect, libc::SYS_mprotect),
            (Call::munmap, libc::SYS_munmap),
            (Call::prctl, libc::SYS_prctl),
            (Call::read, libc::SYS_read),
            (Call::recvfrom, libc::SYS_recvfrom),
            (Call::restart_syscall, libc::SYS_restart_syscall),
            (Call::rseq, libc::SYS_rseq),
            (Call::rt_sigaction, libc::SYS_rt_sigaction),
            (Call::rt_sigprocmask, libc::SYS_rt_sigprocmask),
            (Call::rt_sigreturn, libc::SYS_rt_sigreturn),
            (Call::sched_yield, libc::SYS_sched_yield),
            (Call::seccomp, libc::SYS_seccomp),
            (Call::sendto, libc::SYS_sendto),
            (Call::set_robust_list, libc::SYS_set_robust_list),
            (Call::sigaltstack, libc::SYS_sigaltstack),
            (Call::tgkill, libc::SYS_tgkill),
            (Call::write, libc::SYS_write),
        ] {
            assert_eq!(call.number(machine), number, "{}", call.name());
        }
    }
}
