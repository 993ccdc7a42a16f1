//! Preview 1 held against the public wasi-testsuite: its README has the table of how each program ends here.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use super::WALLS;
use crate::support::bench::repository;
use crate::support::{Bench, Outcome, judge};

const AS_EXPECTED: &str = "as expected";

/// Each program of the README's table, with the words that it ends by.
fn table() -> BTreeMap<&'static str, &'static str> {
    let page = include_str!("README.md");
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| Program |"));
    rows.skip(2)
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [name, ends, why] = cells[..] else {
                panic!("{line}");
            };
            assert_eq!(ends == AS_EXPECTED, why.is_empty(), "{line}");
            (name.trim_matches('`'), ends.trim_matches('`'))
        })
        .collect()
}

/// What the suite says of a program: the file beside it, if there is one.
fn wishes(bench: &Bench, name: &str) -> Value {
    let text = fs::read_to_string(bench.path(format!("{name}.json")));
    text.map_or(json!({}), |text| serde_json::from_str(&text).unwrap())
}

/// Has the program make a partition.
fn run(bench: &Bench, name: &str, wishes: &Value, walls: &str) -> Outcome {
    let mut command = vec![json!(name)];
    command.extend(wishes["args"].as_array().into_iter().flatten().cloned());
    let command = Value::from(command);
    let spec = format!(
        "[disk]\ntime = 0\n\n[[partition]]\nname = \"data\"\ntype = \"linux-generic\"\nsize = \"1MiB\"\n\
         filesystem = \"program\"\n\n[guests.program]\nfile = \"{name}.wasm\"\ncommand = {command}\n"
    );
    bench.write("image.toml", spec);
    bench.run(&["build", "-o", "disk.img", "--walls", walls, "-v"])
}

/// Whether a program has ended as the suite expects: with its exit code, and with what it is to say, which is handed on.
fn is_as_expected(outcome: &Outcome, wishes: &Value) -> bool {
    let said = wishes["stdout"].as_str().unwrap_or_default();
    let ended = match wishes["exit_code"].as_i64() {
        None | Some(0) => outcome.code == Some(0),
        Some(code) => outcome
            .stderr
            .ends_with(&format!("ended with exit code {code}\n")),
    };
    ended && outcome.stderr.contains(said)
}

#[test]
fn programs_of_the_public_suite_end_as_the_table_says() {
    let Some(tar) = judge("tar") else {
        return;
    };
    let bench = Bench::new();
    let archive = repository("tests/commands/suite/programs.tar.xz");
    let folder = bench.folder().to_str().unwrap();
    let unpacked = tar.run(&["-C", folder, "-xf"], &archive);
    assert!(unpacked.status.success());
    let table = table();
    let mut programs: Vec<String> = bench.names();
    programs.retain(|name| name.ends_with(".wasm"));
    let names: Vec<&str> = table.keys().copied().collect();
    let there: Vec<&str> = programs.iter().map(|it| &it[..it.len() - 5]).collect();
    assert_eq!(names, there);
    for (name, ends) in table {
        let wishes = wishes(&bench, name);
        for walls in WALLS {
            let outcome = run(&bench, name, &wishes, walls);
            let as_expected = is_as_expected(&outcome, &wishes);
            let said = &outcome.stderr;
            assert_eq!(as_expected, ends == AS_EXPECTED, "{name}: {said}");
            assert!(as_expected || said.contains(ends), "{name}: {ends}: {said}");
        }
    }
}
