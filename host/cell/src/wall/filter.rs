//! The seccomp filters of the two stages, made of the table of [`calls`].

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::calls::{self, Allowed, Condition, Machine, Must, Stage};

/// The filter of `stage` for a process with the number `own`, whose channel is the descriptor `channel`. What it does not
/// let through fails with the error number `refusal`.
pub(super) fn program(
    stage: Stage,
    machine: Machine,
    own: u32,
    channel: u64,
    refusal: u32,
) -> Result<BpfProgram, String> {
    let target = match machine {
        Machine::X86_64 => TargetArch::x86_64,
        Machine::Aarch64 => TargetArch::aarch64,
    };
    let rules: BTreeMap<i64, Vec<SeccompRule>> =
        calls::allowed(stage, machine, own.into(), channel)
            .iter()
            .map(|allowed| Ok((allowed.call.number(machine), rules(allowed)?)))
            .collect::<Result<_, seccompiler::BackendError>>()
            .map_err(|error| error.to_string())?;
    SeccompFilter::new(
        rules,
        SeccompAction::Errno(refusal),
        SeccompAction::Allow,
        target,
    )
    .and_then(TryInto::try_into)
    .map_err(|error| error.to_string())
}

fn rules(allowed: &Allowed) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    allowed
        .alternatives
        .iter()
        .map(|conditions| {
            let conditions: Result<Vec<_>, _> = conditions.iter().map(condition).collect();
            SeccompRule::new(conditions?)
        })
        .collect()
}

fn condition(condition: &Condition) -> Result<SeccompCondition, seccompiler::BackendError> {
    let (operation, value) = match condition.must {
        Must::Be { mask, value } => (SeccompCmpOp::MaskedEq(mask), value),
        Must::BeAtLeast(least) => (SeccompCmpOp::Ge, least),
    };
    SeccompCondition::new(
        condition.argument,
        SeccompCmpArgLen::Qword,
        operation,
        value,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::calls::Call;
    use super::super::shared::PLACE_END;
    use super::*;

    const CHANNEL: u64 = 3;
    const OWN: u32 = 4711;
    const REFUSED: u32 = 1;
    const MACHINES: [(Machine, u32); 2] = [
        (Machine::X86_64, 0xc000_003e),
        (Machine::Aarch64, 0xc000_00b7),
    ];
    const STAGES: [Stage; 2] = [Stage::Compiling, Stage::Running];

    /// What the filter says of a call: a classic BPF machine over `struct seccomp_data`.
    fn verdict(program: &BpfProgram, architecture: u32, call: i64, arguments: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend(i32::try_from(call).unwrap().to_le_bytes());
        data.extend(architecture.to_le_bytes());
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

    struct Filter {
        stage: Stage,
        machine: Machine,
        architecture: u32,
        program: BpfProgram,
    }

    impl Filter {
        fn allows(&self, number: i64, arguments: [u64; 6]) -> bool {
            match verdict(&self.program, self.architecture, number, arguments) {
                0x7fff_0000 => true,
                0x0005_0001 => false,
                other => panic!("{other:#x}"),
            }
        }

        fn allows_call(&self, call: Call, arguments: [u64; 6]) -> bool {
            self.allows(call.number(self.machine), arguments)
        }
    }

    fn filters() -> Vec<Filter> {
        let of = |(machine, architecture)| {
            STAGES.map(|stage| Filter {
                stage,
                machine,
                architecture,
                program: program(stage, machine, OWN, CHANNEL, REFUSED).unwrap(),
            })
        };
        MACHINES.into_iter().flat_map(of).collect()
    }

    #[test]
    fn a_call_that_is_not_in_the_table_is_refused_on_each_machine() {
        for filter in filters() {
            let table = calls::allowed(filter.stage, filter.machine, OWN.into(), CHANNEL);
            for number in (0..1024).chain([0x4000_0000, 0x4000_0009, 0x7fff_ffff, -1]) {
                let listed = table
                    .iter()
                    .find(|allowed| allowed.call.number(filter.machine) == number);
                let any = listed.is_some_and(|allowed| allowed.alternatives.is_empty());
                assert_eq!(filter.allows(number, [u64::MAX; 6]), any, "{number}");
            }
        }
    }

    #[test]
    fn another_architecture_kills() {
        for filter in filters() {
            let verdict = verdict(&filter.program, 0x4000_0003, 1, [0; 6]);
            assert_eq!(verdict, 0x8000_0000, "{:?}", filter.machine);
        }
    }

    #[test]
    fn arguments_are_those_that_a_cell_needs() {
        let own = u64::from(OWN);
        let [read, write, execute, grows_down] = [1, 2, 4, 0x0100_0000];
        let [shared, private, anonymous] = [0x01, 0x02, 0x20];
        let [growing, locked, reserved_not, huge, populated] =
            [0x100, 0x2000, 0x4000, 0x4_0000, 0x8000];
        let [oob, no_wait, no_signal] = [0x1, 0x40, 0x4000];
        let quiet = private | anonymous;
        // Whether it is allowed while compiling, and while running.
        let cases: &[(Call, [u64; 6], bool, bool)] = &[
            (Call::mprotect, [0, 0, read | write, 0, 0, 0], true, true),
            (
                Call::mprotect,
                [PLACE_END, 0, read | execute, 0, 0, 0],
                true,
                false,
            ),
            (
                Call::mprotect,
                [1 << 46, 0, read | execute, 0, 0, 0],
                true,
                false,
            ),
            // The last page of shared memory, and a range from below it.
            (
                Call::mprotect,
                [PLACE_END - 4096, 4096, execute, 0, 0, 0],
                false,
                false,
            ),
            (Call::mprotect, [0, 1 << 46, execute, 0, 0, 0], false, false),
            (
                Call::mprotect,
                [0, 0, read | grows_down, 0, 0, 0],
                false,
                false,
            ),
            (Call::mmap, [0, 0, write, quiet, 0, 0], true, true),
            (
                Call::mmap,
                [0, 0, 0, quiet | reserved_not, 0, 0],
                true,
                true,
            ),
            (Call::mmap, [0, 0, execute, quiet, 0, 0], true, false),
            (Call::mmap, [0, 0, read, private, CHANNEL, 0], false, false),
            (
                Call::mmap,
                [0, 0, write, shared | anonymous, 0, 0],
                false,
                false,
            ),
            (
                Call::mmap,
                [0, 0, write, quiet | shared, 0, 0],
                false,
                false,
            ),
            (
                Call::mmap,
                [0, 0, write, quiet | growing, 0, 0],
                false,
                false,
            ),
            (
                Call::mmap,
                [0, 0, write, quiet | locked, 0, 0],
                false,
                false,
            ),
            (Call::mmap, [0, 0, write, quiet | huge, 0, 0], false, false),
            (
                Call::mmap,
                [0, 0, write, quiet | populated, 0, 0],
                false,
                false,
            ),
            (Call::madvise, [0, 0, 4, 0, 0, 0], true, true),
            (Call::madvise, [0, 0, 14, 0, 0, 0], false, false),
            (Call::madvise, [0, 0, 23, 0, 0, 0], false, false),
            (Call::futex, [0, 0x80, 0, 0, 0, 0], true, true),
            (Call::futex, [0, 0x189, 0, 0, 0, 0], true, true),
            (Call::futex, [0, 3, 0, 0, 0, 0], false, false),
            (Call::futex, [0, 6, 0, 0, 0, 0], false, false),
            (Call::read, [CHANNEL, 0, 0, 0, 0, 0], true, true),
            (Call::read, [CHANNEL + 1, 0, 0, 0, 0, 0], false, false),
            (Call::write, [1, 0, 0, 0, 0, 0], false, false),
            (Call::sendto, [CHANNEL, 0, 0, no_signal, 0, 0], true, true),
            (
                Call::sendto,
                [CHANNEL, 0, 0, no_signal | oob, 0, 0],
                false,
                false,
            ),
            (Call::sendto, [CHANNEL, 0, 0, no_wait, 0, 0], false, false),
            (Call::recvfrom, [CHANNEL, 0, 0, 0, 0, 0], true, true),
            (Call::recvfrom, [CHANNEL, 0, 0, oob, 0, 0], false, false),
            (Call::tgkill, [own, own, 6, 0, 0, 0], true, true),
            (Call::tgkill, [1, 1, 9, 0, 0, 0], false, false),
            (Call::seccomp, [1, 1, 0, 0, 0, 0], true, false),
            (Call::seccomp, [0, 0, 0, 0, 0, 0], false, false),
            (Call::prctl, [38, 1, 0, 0, 0, 0], true, false),
            // PR_SET_PDEATHSIG and PR_SET_DUMPABLE.
            (Call::prctl, [1, 0, 0, 0, 0, 0], false, false),
            (Call::prctl, [4, 1, 0, 0, 0, 0], false, false),
        ];
        for filter in filters() {
            for (call, arguments, compiling, running) in cases {
                let expected = match filter.stage {
                    Stage::Compiling => *compiling,
                    Stage::Running => *running,
                };
                assert_eq!(
                    filter.allows_call(*call, *arguments),
                    expected,
                    "{} {arguments:?} {:?}",
                    call.name(),
                    filter.stage
                );
            }
        }
    }

    #[test]
    fn what_ways_out_need_is_no_call_of_a_cell() {
        let refused = [
            "clone",
            "clone3",
            "execve",
            "kill",
            "mremap",
            "openat",
            "prlimit64",
            "process_vm_writev",
            "ptrace",
            "sendmsg",
            "setpriority",
            "socket",
        ];
        for call in Call::ALL {
            assert!(!refused.contains(&call.name()));
        }
    }
}
