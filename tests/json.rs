//! `--json`: each command has it, and every key is in `docs/json.md`.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::support::Bench;
use crate::support::bench::{repository, sha256};

const SPEC: &str = "[disk]\ntable = \"hybrid\"\n[[partition]]\nname = \"data\"\ntype = \"linux-generic\"\nsize = \"4MiB\"\nfilesystem = \"ext4\"\n\
                    label = \"data\"\nmbr-type = \"linux\"\nactive = true\nattributes = [\"grow-fs\"]\ncontent = [{ text = \"x\", to = \"/a\" }]\n";

/// The keys that have no meaning of their own: names of options, of properties, and of all that a spec may say.
const FREE: [&str; 1] = ["properties"];

/// All keys of a document.
fn keys(document: &Value, found: &mut BTreeSet<String>) {
    match document {
        Value::Object(members) => {
            for (key, value) in members {
                found.insert(key.clone());
                if !FREE.contains(&&**key) {
                    keys(value, found);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn every_command_has_it_and_every_key_is_documented() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    bench.create_folder("man");
    bench.create_folder("partitions");
    let document = |arguments: &[&str]| -> Value {
        let outcome = bench.run(arguments);
        // One document, whatever is found.
        serde_json::from_str(&outcome.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", outcome.stdout))
    };
    let mut found = BTreeSet::new();
    let commands: [&[&str]; 29] = [
        &[
            "build",
            "-o",
            "disk.img",
            "--provenance",
            "provenance.json",
            "--json",
            "-",
        ],
        &["plan", "--json", "-"],
        &["build", "--dry-run", "--json", "-"],
        &["mkfs", "ext4", "-o", "root.img", "--json", "-"],
        &["fill", "disk.img", "data", "ext2", "--json", "-"],
        &["splice", "disk.img", "data", "root.img", "--json", "-"],
        &["cut", "disk.img", "data", "-o", "cut.img", "--json", "-"],
        &["repair", "disk.img", "--json", "-"],
        &["show", "disk.img", "--json"],
        &["show", "root.img", "--json"],
        &["derive", "--json", "-"],
        &["export", "disk.img", "-o", "disk.qcow2", "--json", "-"],
        &["export", "root.img", "-o", "root.tar", "--json", "-"],
        &["tar", "root.img", "-o", "root.tar", "--json", "-"],
        &["ls", "disk.img:data", "--json"],
        &["tree", "root.img", "--json"],
        &["du", "root.img", "--json"],
        &["stat", "root.img", "--json"],
        &["cp", "root.img:/lost+found", "partitions", "--json"],
        &["diff", "root.img", "root.img", "--json"],
        &["verify-build", "provenance.json", "--json", "-"],
        &["cache", "stats", "--cache", "partitions", "--json"],
        &["cache", "gc", "--cache", "partitions", "--json"],
        &["guests", "--json"],
        &["walls", "--json"],
        &["walls", "--calls", "--json"],
        &["cache", "clear", "--cache", "partitions", "--json"],
        &["init", "new.toml", "--json"],
        &["manual", "man", "--json"],
    ];
    for arguments in commands {
        let document = document(arguments);
        assert!(document.get("error").is_none(), "{arguments:?}: {document}");
        keys(&document, &mut found);
    }
    // One that mends, and ones that fail.
    fs::File::options()
        .write(true)
        .open(bench.path("disk.img"))
        .unwrap()
        .set_len(32 << 20)
        .unwrap();
    for arguments in [
        &["repair", "disk.img", "--json", "-"][..],
        &["cut", "disk.img", "absent", "-o", "cut.img", "--json", "-"],
        &[
            "fill",
            "root.img",
            "1",
            "ext4",
            "--json",
            "-",
            "--size-is-no-option",
        ],
        &["build", "absent.toml", "--json", "-"],
        &["convert", "absent.toml", "--json"],
        &["init", "new.toml", "--json"],
        &["manual", "absent", "--json"],
        &["diff", "absent", "absent", "--json"],
        &["repair", "absent", "--json", "-"],
    ] {
        let outcome = bench.run(arguments);
        if let Ok(document) = serde_json::from_str(&outcome.stdout) {
            keys(&document, &mut found);
        } else {
            // What is no command line at all is told by the parser.
            assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.stderr);
            assert!(outcome.stdout.is_empty(), "{arguments:?}");
            assert_ne!(arguments[0], "diff");
        }
    }
    let documentation = fs::read_to_string(repository("docs/json.md")).unwrap();
    let undocumented: Vec<&String> = found
        .iter()
        .filter(|key| !documentation.contains(&format!("`{key}`")))
        .collect();
    assert!(undocumented.is_empty(), "{undocumented:?}");
    for key in ["sha256", "filesystem", "mends", "error", "attempts"] {
        assert!(found.contains(key), "{key} is in none of them");
    }
}

#[test]
fn what_is_mended_is_told() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    bench.build("image.toml", "disk.img");
    let image = bench.path("disk.img");
    let size = fs::metadata(&image).unwrap().len();
    let grown = fs::File::options().write(true).open(&image).unwrap();
    grown.set_len(size + (1 << 20)).unwrap();
    let told = |arguments: &[&str]| -> Value {
        let shown = bench.done(&[&["repair", "disk.img", "--json", "-"], arguments].concat());
        serde_json::from_str(&shown).unwrap()
    };
    let would = told(&[]);
    assert_eq!(would["written"], false);
    assert!(!would["faults"].as_array().unwrap().is_empty());
    let mends = would["mends"].as_array().unwrap();
    // Entries and header of the backup are the last bytes of the image.
    let backup = mends.iter().find(|mend| {
        let of = |key: &str| mend[key].as_u64().unwrap();
        of("start") + of("size") == size + (1 << 20)
    });
    assert!(backup.is_some(), "{would}");
    let before = fs::read(&image).unwrap();
    let did = told(&["--write"]);
    assert_eq!(
        (&did["written"], &did["mends"]),
        (&true.into(), &would["mends"])
    );
    let mut after = before.clone();
    let written = fs::read(&image).unwrap();
    for mend in mends {
        let start = usize::try_from(mend["start"].as_u64().unwrap()).unwrap();
        let end = start + usize::try_from(mend["size"].as_u64().unwrap()).unwrap();
        after[start..end].copy_from_slice(&written[start..end]);
    }
    assert!(after == written, "bytes changed beside what was told");
    let again = told(&[]);
    assert_eq!(again["mends"], Value::Array(Vec::new()));
}

#[test]
fn a_spec_is_the_same_in_json() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    let toml = bench.done(&["convert", "image.toml"]);
    let json = bench.done(&["convert", "image.toml", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["disk"]["table"], "hybrid");
    assert_eq!(json["partition"][0]["label"], "data");
    // As many keys as the TOML has lines that give one.
    let mut found = BTreeSet::new();
    keys(&json, &mut found);
    for line in toml.lines() {
        if let Some((key, _)) = line.split_once(" = ") {
            assert!(found.contains(key), "{key} is missing in {json}");
        }
    }
}

#[test]
fn a_plan_goes_to_a_file_too() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    let shown = bench.done(&["plan", "--json", "plan.json"]);
    assert!(shown.contains("partition 'data'"), "{shown}");
    let text = fs::read_to_string(bench.path("plan.json")).unwrap();
    let plan: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(plan["partitions"][0]["name"], "data");
    let outcome = bench.run(&["plan", "--json", "image.toml"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert_eq!(fs::read_to_string(bench.path("image.toml")).unwrap(), SPEC);
    assert_eq!(bench.done(&["plan", "-q"]), "");
}

/// The names that `--help` of a command lists after its heading.
fn subcommands(bench: &Bench, of: &[&str]) -> Vec<String> {
    let help = bench.done(&[of, &["--help"]].concat());
    let rows = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let rows = rows.take_while(|line| !line.is_empty());
    let names = rows.filter_map(|line| {
        let name = line.strip_prefix("  ")?;
        (!name.starts_with(' ')).then(|| name.split(' ').next().map(str::to_owned))?
    });
    names.collect()
}

#[test]
fn no_command_is_without_it() {
    /// A JSON Schema, a script, and help itself.
    const WITHOUT: [&str; 3] = ["schema", "completions", "help"];
    let bench = Bench::new();
    let commands = subcommands(&bench, &[]);
    assert!(commands.len() > 20, "{commands:?}");
    for command in commands {
        if WITHOUT.contains(&&*command) {
            continue;
        }
        let mut all: Vec<Vec<&str>> = vec![vec![&command]];
        let below = subcommands(&bench, &[&command]);
        all.extend(below.iter().map(|name| vec![&*command, name]));
        for command in all.iter().filter(|it| it.last() != Some(&"help")) {
            let help = bench.done(&[command, &["--help"][..]].concat());
            assert!(help.contains("      --json"), "{command:?}");
        }
    }
}

#[test]
fn what_standard_output_takes_is_told_in_a_file() {
    let bench = Bench::new();
    bench.write("text", "some text");
    let content = ["--content", "file:text,to=/text", "--time", "0"];
    bench.done(&[&["mkfs", "ext4", "-q", "-o", "root.img"], &content[..]].concat());
    let told = |name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(bench.path(name)).unwrap()).unwrap()
    };
    let said = bench.done(&["cat", "root.img:/text", "--json", "cat.json"]);
    assert_eq!(said, "some text");
    let cat = told("cat.json");
    assert_eq!((&cat["path"], &cat["size"]), (&"/text".into(), &9.into()));

    let mut command = bench.cellblock();
    command.args(["tar", "root.img", "-o", "-", "--json", "tar.json"]);
    let archive = command.output().unwrap();
    assert!(archive.status.success());
    let output = &told("tar.json")["outputs"][0];
    assert_eq!(output["size"], archive.stdout.len());
    assert_eq!(
        (&output["file"], &output["format"]),
        (&"-".into(), &"tar".into())
    );

    bench.done(&["tar", "root.img", "-o", "root.tar", "--json", "tar.json"]);
    let output = &told("tar.json")["outputs"][0];
    assert_eq!(output["sha256"], sha256(&bench.path("root.tar")));
    assert_eq!(fs::read(bench.path("root.tar")).unwrap(), archive.stdout);
    for arguments in [
        &["cat", "root.img:/text", "--json", "-"][..],
        &["tar", "root.img", "-o", "-", "--json", "-"],
    ] {
        let outcome = bench.run(arguments);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert_eq!(outcome.stdout, "");
    }
}
