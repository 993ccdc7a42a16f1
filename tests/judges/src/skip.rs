//! What a test says that leaves something out.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

/// What a kernel, or a user, may not be able to do, so that no installing would help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// To be the superuser.
    Superuser,
    /// To do something that only ordinary users are refused.
    OrdinaryUser,
    /// Loop devices, and mounting what is in them.
    LoopDevices,
    /// To mount a kind of file system.
    Mount,
    /// Namespaces of one's own.
    Namespaces,
    /// To trace other processes.
    Trace,
    /// Extended attributes where the tests keep their files.
    Attributes,
    /// Files with holes where the tests keep their files.
    Holes,
    /// A disk that the kernel writes to where the project is.
    Disk,
    /// Files, or memory, of the size that a test needs.
    Room,
    /// To make device nodes.
    Devices,
    /// Landlock.
    Landlock,
    /// Virtual machines at the speed of the processor.
    Kvm,
    /// A network, or a mirror of packages.
    Network,
}

impl fmt::Display for Ability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Superuser => "rights of the superuser",
            Self::OrdinaryUser => "an ordinary user",
            Self::LoopDevices => "loop devices",
            Self::Mount => "a file system that can be mounted",
            Self::Namespaces => "namespaces",
            Self::Trace => "tracing",
            Self::Attributes => "extended attributes",
            Self::Holes => "files with holes",
            Self::Disk => "a file system whose times tell of a change",
            Self::Room => "room",
            Self::Devices => "device nodes",
            Self::Landlock => "Landlock",
            Self::Kvm => "KVM",
            Self::Network => "a network",
        })
    }
}

/// Says that the machine cannot do what a test needs. The test must leave then.
///
/// # Panics
/// If it cannot be said.
pub fn lacks(ability: Ability, why: &str) {
    say(&format!("this machine lacks {ability}: {}", why.trim()));
}

/// Says that a test is skipped, or a part of it, because a program or a file called `name` is missing, and `why`.
///
/// # Panics
/// If judges are required and this one is not allowed to be missing: see the [crate].
#[track_caller]
pub fn skipped(name: &str, why: &str) {
    let required = variable("CELLBLOCK_JUDGES");
    let allowed = variable("CELLBLOCK_JUDGES_ALLOW");
    match consequence(name, &required, &allowed) {
        Consequence::Skip(None) => say(&format!("no {name}: {}", why.trim())),
        Consequence::Skip(Some(reason)) => {
            say(&format!("no {name}: {} (allowed: {reason})", why.trim()));
        }
        Consequence::Fail => panic!(
            "no {name}: {}; CELLBLOCK_JUDGES=required makes this a failure \
             unless CELLBLOCK_JUDGES_ALLOW has '{name}: REASON'",
            why.trim()
        ),
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// What comes of a missing judge.
#[derive(Debug, PartialEq, Eq)]
enum Consequence {
    /// A line, with the reason for which it may be missing.
    Skip(Option<String>),
    Fail,
}

/// What comes of the missing judge `name`, given the values of the two variables.
fn consequence(name: &str, required: &str, allowed: &str) -> Consequence {
    match required {
        "" => return Consequence::Skip(None),
        "required" => {}
        other => panic!("CELLBLOCK_JUDGES is '{other}': 'required', or leave it unset"),
    }
    for entry in allowed.split(',') {
        let Some((allowed, reason)) = entry.split_once(':') else {
            assert!(
                entry.trim().is_empty(),
                "CELLBLOCK_JUDGES_ALLOW has '{entry}' without a reason: write 'NAME: REASON'"
            );
            continue;
        };
        if allowed.trim() == name {
            return Consequence::Skip(Some(reason.trim().to_owned()));
        }
    }
    Consequence::Fail
}

/// Writes a line where people see it, once for each test. The harness captures what tests print, but not what goes to the
/// descriptor.
fn say(what: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let test = std::thread::current();
    let name = test.name().unwrap_or("a test");
    let line = format!("skipped: {what} ({name})\n");
    // A test that failed while it held the lock has left the set whole.
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if !said.insert(line.clone()) {
        return;
    }
    drop(said);
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    if let Some(log) = std::env::var_os("CELLBLOCK_JUDGES_LOG") {
        let mut log = File::options().create(true).append(true).open(log).unwrap();
        log.write_all(line.as_bytes()).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::{Consequence, consequence};

    #[test]
    fn a_missing_judge_is_a_skip_unless_it_is_required() {
        let skip = |reason: &str| Consequence::Skip(Some(reason.to_owned()));
        for (required, allowed, expected) in [
            ("", "", Consequence::Skip(None)),
            ("", "sfdisk: not here", Consequence::Skip(None)),
            ("required", "", Consequence::Fail),
            ("required", "sgdisk: not here,", Consequence::Fail),
            ("required", "sfdis: a part of its name", Consequence::Fail),
            ("required", "sgdisk: a, sfdisk: not here", skip("not here")),
        ] {
            assert_eq!(
                consequence("sfdisk", required, allowed),
                expected,
                "{required:?} {allowed:?}"
            );
        }
    }

    #[test]
    #[should_panic(expected = "without a reason")]
    fn a_judge_is_not_allowed_to_be_missing_without_a_reason() {
        consequence("sfdisk", "required", "sfdisk");
    }

    #[test]
    #[should_panic(expected = "'yes'")]
    fn an_unknown_value_is_refused() {
        consequence("sfdisk", "yes", "");
    }
}
