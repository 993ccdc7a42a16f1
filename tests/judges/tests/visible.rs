//! A skip is seen by whoever runs the tests, and fails them where judges are required.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

use cellblock_judges::{Ability, judge, lacks};

#[test]
#[ignore = "the other tests run it, and look at what the harness lets through"]
fn a_judge_is_missing() {
    println!("captured");
    // It is said once.
    for _ in 0..3 {
        assert!(judge("no-such-judge").is_none());
    }
}

#[test]
#[ignore = "the other tests run it, and look at what the harness lets through"]
fn an_ability_is_missing() {
    lacks(Ability::Landlock, "a kernel from before 5.13");
}

/// Runs one of the two above with a harness of its own.
fn run(test: &str, variables: &[(&str, &str)]) -> (Output, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", test]);
    for name in [
        "CELLBLOCK_JUDGES",
        "CELLBLOCK_JUDGES_ALLOW",
        "CELLBLOCK_JUDGES_LOG",
    ] {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

#[test]
fn a_skip_is_seen_past_the_harness() {
    let (output, said) = run("a_judge_is_missing", &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        said,
        "skipped: no no-such-judge: not installed (a_judge_is_missing)\n"
    );
    assert!(!String::from_utf8_lossy(&output.stdout).contains("captured"));
}

#[test]
fn a_required_judge_fails_the_test() {
    let required = ("CELLBLOCK_JUDGES", "required");
    let (output, _) = run("a_judge_is_missing", &[required]);
    assert_eq!(output.status.code(), Some(101), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("no no-such-judge: not installed;"), "{said}");

    let allowed = ("CELLBLOCK_JUDGES_ALLOW", "no-such-judge: it is made up");
    let (output, said) = run("a_judge_is_missing", &[required, allowed]);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("(allowed: it is made up)"), "{said}");
}

#[test]
fn an_ability_is_named_and_logged_but_fails_nothing() {
    let log = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("skips-{}", std::process::id()));
    let variables = [
        ("CELLBLOCK_JUDGES", "required"),
        ("CELLBLOCK_JUDGES_LOG", log.to_str().unwrap()),
    ];
    let (output, said) = run("an_ability_is_missing", &variables);
    assert!(output.status.success(), "{output:?}");
    let expected =
        "skipped: this machine lacks Landlock: a kernel from before 5.13 (an_ability_is_missing)\n";
    assert_eq!(said, expected);
    assert_eq!(std::fs::read_to_string(&log).unwrap(), expected);
    std::fs::remove_file(log).unwrap();
}
