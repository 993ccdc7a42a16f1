//! A process in the place of one that was taken over: native code that tries every system call, and tells which the filter
//! lets through.
//!
//! In its filter what is refused fails with an error number that no kernel gives, so that a refusal of the kernel is not
//! taken for one of the filter.

use std::collections::BTreeSet;
use std::os::fd::RawFd;

use serde::{Deserialize, Serialize};

use super::calls::{Call, Machine, Stage};
use super::shared::{PLACE, PLACE_END};

/// What a refused call fails with: below 4096, which is all that the kernel passes on, and above every number of its own.
pub(super) const REFUSAL: i32 = 4000;

/// A system call that a process behind the wall can make.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallTried {
    /// In which stage.
    pub stage: Stage,
    /// Its name, or its number where it has none here.
    pub call: String,
    /// With which arguments; empty for any.
    pub arguments: String,
}

/// How far numbers are tried one by one: far beyond the newest call.
const NUMBERS: i64 = 1024;
/// Numbers of other tables of calls: x32's, and those that wrap.
const HIGH: [i64; 6] = [
    0x3fff_ffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    -1,
];
/// Where x32's begin.
const X32: i64 = 0x4000_0000;

/// Calls that a process does not survive, or that wait for good. They are known by the rest of the table only.
const NOT_TRIED: [Call; 3] = [Call::exit, Call::exit_group, Call::rt_sigreturn];

/// x86-64's `uretprobe`, which kernels since 6.11 let through every filter, and which kills outside of a probe.
const URETPROBE: i64 = 335;

/// Arguments that are none: no pointer, no descriptor, no process, every flag.
const NONSENSE: [u64; 6] = [u64::MAX; 6];

/// Tries everything.
pub(super) fn all(stage: Stage, machine: Machine, channel: RawFd, host: u64) -> Vec<CallTried> {
    let mut passed = BTreeSet::new();
    let name = |number: i64| {
        let known = Call::ALL.iter().find(|call| call.number(machine) == number);
        known.map_or_else(|| number.to_string(), |call| call.name().to_owned())
    };
    let not_tried = NOT_TRIED.map(|call| call.number(machine));
    for number in (0..NUMBERS)
        .chain((0..NUMBERS).map(|number| X32 + number))
        .chain(HIGH)
    {
        if not_tried.contains(&number) || machine == Machine::X86_64 && number == URETPROBE {
            continue;
        }
        if passes(number, NONSENSE) {
            passed.insert((name(number), String::new()));
        }
    }
    let channel = u64::try_from(channel).expect("an open descriptor");
    for (call, arguments, words) in cases(channel, host) {
        let any = passed.contains(&(call.name().to_owned(), String::new()));
        if !any && passes(call.number(machine), arguments) {
            passed.insert((call.name().to_owned(), words.to_owned()));
        }
    }
    let tried = |(call, arguments)| CallTried {
        stage,
        call,
        arguments,
    };
    passed.into_iter().map(tried).collect()
}

/// Calls of whose arguments the filter allows some.
fn cases(channel: u64, host: u64) -> Vec<(Call, [u64; 6], &'static str)> {
    let own = u64::from(std::process::id());
    let [read, write, execute, grows_down] = [1, 2, 4, 0x0100_0000];
    let [shared, private, anonymous] = [0x01, 0x02, 0x20];
    let [growing, huge, locked, populated, not_reserved] =
        [0x100, 0x4_0000, 0x2000, 0x8000, 0x4000];
    let [oob, no_wait, no_signal] = [0x1, 0x40, 0x4000];
    let page = 4096;
    let mmap = |protection, flags, words| {
        let arguments = [0, page, protection, flags, u64::MAX, 0];
        (Call::mmap, arguments, words)
    };
    // Of no length: what is let through does nothing.
    let mprotect_at = |address, protection, words| {
        let arguments = [address, 0, protection, 0, 0, 0];
        (Call::mprotect, arguments, words)
    };
    let mprotect = |protection, words| mprotect_at(PLACE_END, protection, words);
    // An address of nothing: what is let through does nothing.
    let futex = |operation, words| (Call::futex, [0, operation, 0, 0, 0, 0], words);
    let madvise = |advice, words| (Call::madvise, [0, 0, advice, 0, 0, 0], words);
    let on = |call, descriptor, flags, words| (call, [descriptor, 0, 0, flags, 0, 0], words);
    let tgkill = |process, words| (Call::tgkill, [process, process, 0, 0, 0, 0], words);
    let seccomp = |operation, words| (Call::seccomp, [operation, 0, 0, 0, 0, 0], words);
    let prctl = |option, value, words| (Call::prctl, [option, value, 0, 0, 0, 0], words);
    let quiet = private | anonymous;
    vec![
        mmap(read | write, quiet, "private and anonymous"),
        mmap(0, quiet | not_reserved, "private and anonymous"),
        mmap(read | execute, quiet, "executable"),
        mmap(read, private, "a file"),
        mmap(read | write, shared | anonymous, "shared"),
        mmap(read | write, quiet | growing, "growing"),
        mmap(read | write, quiet | huge, "huge"),
        mmap(read | write, quiet | locked, "locked"),
        mmap(read | write, quiet | populated, "populated"),
        mprotect(read | write, "readable and writable"),
        mprotect(read | execute, "executable, but not what is shared"),
        mprotect_at(PLACE, read | execute, "executable, what is shared"),
        mprotect_at(
            PLACE_END - page,
            read | execute,
            "executable, what is shared",
        ),
        mprotect(read | grows_down, "growing"),
        futex(0x80, "wait and wake"),
        futex(0x81, "wait and wake"),
        futex(0x89, "wait and wake"),
        futex(0x8a, "wait and wake"),
        futex(0x02, "descriptor"),
        futex(0x83, "requeue"),
        futex(0x84, "requeue"),
        futex(0x85, "wake and change"),
        futex(0x86, "priority"),
        futex(0x8b, "priority"),
        madvise(4, "give back"),
        madvise(8, "give back"),
        madvise(3, "read ahead"),
        madvise(14, "huge"),
        madvise(12, "merge"),
        madvise(23, "populate"),
        on(Call::write, channel, 0, "the channel"),
        on(Call::read, channel, 0, "the channel"),
        on(Call::sendto, channel, no_signal, "the channel, as a stream"),
        on(Call::sendto, channel, oob, "the channel, out of band"),
        on(
            Call::sendto,
            channel,
            no_wait,
            "the channel, without waiting",
        ),
        on(Call::recvfrom, channel, oob, "the channel, out of band"),
        on(
            Call::recvfrom,
            channel,
            no_wait,
            "the channel, without waiting",
        ),
        on(Call::write, 0, 0, "standard input"),
        on(Call::write, 1, 0, "standard output"),
        on(Call::read, 2, 0, "standard error"),
        on(Call::sendto, channel + 1, no_signal, "another descriptor"),
        tgkill(own, "itself"),
        tgkill(host, "the host"),
        // The first one, which this is not unless it is alone.
        tgkill(if own == 1 { 2 } else { 1 }, "another process"),
        seccomp(1, "one more filter"),
        seccomp(2, "questions"),
        prctl(38, 1, "no new rights"),
        prctl(1, 0, "outlive the host"),
        prctl(4, 1, "be dumpable"),
        prctl(8, 1, "keep rights"),
    ]
}

#[expect(unsafe_code, reason = "calls are made by number")]
fn passes(number: i64, arguments: [u64; 6]) -> bool {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    // SAFETY: no argument is an address of anything, a mapping that it makes is new, and what it frees stands at no address:
    // a call that is let through changes nothing that this process uses.
    let result = unsafe { libc::syscall(number, first, second, third, fourth, fifth, sixth) };
    result != -1 || std::io::Error::last_os_error().raw_os_error() != Some(REFUSAL)
}
