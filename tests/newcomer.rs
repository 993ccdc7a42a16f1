//! What a newcomer tries first.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::support::Bench;
use crate::support::bench::sha256;

const SPEC: &str = "[[partition]]\nname = \"data\"\ntype = \"linux\"\nsize = \"4MiB\"\n";

#[test]
fn init_writes_a_spec_once() {
    let bench = Bench::new();
    let outcome = bench.run(&["init"]);
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""));
    let written = fs::read_to_string(bench.path("image.toml")).unwrap();
    assert!(written.contains("[[partition]]"), "{written}");
    let again = bench.run(&["init"]);
    let expected =
        "error: image.toml: exists, and is not replaced; name another file, or remove it\n";
    assert_eq!((again.code, &*again.stderr), (Some(2), expected));
    let nowhere = bench.run(&["init", "absent/image.toml"]);
    let expected = "error: absent/image.toml: No such file or directory (os error 2)\n";
    assert_eq!((nowhere.code, &*nowhere.stderr), (Some(2), expected));
    let shown = bench.run(&["init", "-"]);
    assert_eq!(shown.stdout, written);
    // It is a spec as it stands, whatever it names.
    let converted = bench.run(&["convert", "image.toml"]);
    assert_eq!(converted.code, Some(0), "{}", converted.stderr);
}

#[test]
fn what_is_named_and_cannot_be_is_a_mistake_of_the_command_line() {
    let bench = Bench::new();
    bench.create_folder("folder");
    bench.write("file", "text");
    for (arguments, words) in [
        (
            &["show", "folder"][..],
            "folder: is a directory, and an image is a file",
        ),
        (&["ls", "file/image"], "file/image: Not a directory"),
        (&["manual", "absent"], "absent/cellblock.1: No such file"),
    ] {
        let outcome = bench.run(arguments);
        assert!(
            outcome.code == Some(2) && outcome.stderr.contains(words),
            "{arguments:?}: {:?} {}",
            outcome.code,
            outcome.stderr
        );
    }
}

#[test]
fn what_a_command_has_no_use_of_is_not_ignored() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    bench.write("root/file", "content");
    for option in [
        &["--kernel", "absent"][..],
        &["--platform", "pc"],
        &["--without-root"],
    ] {
        let outcome = bench.run(&[&["build", "image.toml"][..], option].concat());
        let words = format!("{} is for an imagecraft.yaml or a gadget.yaml", option[0]);
        assert!(outcome.stderr.contains(&words), "{}", outcome.stderr);
        assert_eq!(outcome.code, Some(2));
    }
    let make = ["mkfs", "ext4", "-q", "-o", "root.img", "--content", "root"];
    assert_eq!(bench.run(&make).code, Some(0));
    for name in ["root.tar.gz", "root.tgz", "root.tar.zst"] {
        let outcome = bench.run(&["tar", "root.img", "-o", name]);
        let words = "the name says a compressed archive, and a plain one is written";
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
        assert_eq!((outcome.code, bench.path(name).exists()), (Some(2), false));
    }
}

#[test]
fn build_finds_the_spec_of_the_folder() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    let outcome = bench.run(&["build", "-q"]);
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""));
    assert_eq!(bench.names(), ["image.img", "image.toml"]);
}

#[test]
fn the_image_of_a_spec_without_a_name_is_a_disk() {
    let bench = Bench::new();
    let mut command = bench.cellblock();
    command.args(["build", "-q", "-"]).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(SPEC.as_bytes()).unwrap();
    drop(input);
    assert!(child.wait().unwrap().success());
    assert_eq!(bench.names(), ["disk.img"]);
}

/// What a command prints that gets `input` through a pipe.
fn piped(bench: &Bench, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = bench
        .cellblock()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    output.stdout
}

#[test]
fn an_image_goes_to_standard_output_and_a_partition_comes_from_standard_input() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    let output = |arguments: &[&str], input: &[u8]| piped(&bench, arguments, input);
    let streamed = output(&["build", "image.toml", "-o", "-"], b"");
    let outcome = bench.run(&["build", "-q", "-o", "disk.img"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(fs::read(bench.path("disk.img")).unwrap() == streamed);
    output(&["splice", "disk.img", "data", "-"], &[7; 1000]);
    let cut = output(&["cut", "disk.img", "data", "-o", "-"], b"");
    assert_eq!(cut.len(), 4 << 20);
    assert!(cut[..1000].iter().all(|byte| *byte == 7));
    assert!(cut[1000..].iter().all(|byte| *byte == 0));
}

#[test]
fn one_stream_takes_one_thing() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    let outcome = bench.run(&["build", "-o", "-", "--json", "-"]);
    let expected = "error: standard output takes the image or the record, not both: name a file with -o or --json\n";
    assert_eq!((outcome.code, &*outcome.stderr), (Some(2), expected));
    assert_eq!(outcome.stdout, "");
}

#[test]
fn colors_are_as_typed_then_as_the_environment_says() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    let has_color = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = bench.cellblock();
        command.args(arguments).args(["build", "-o", "disk.img"]);
        command
            .env_remove("NO_COLOR")
            .envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert!(output.status.success());
        output.stdout.contains(&0x1b)
    };
    for (arguments, variables, expected) in [
        (&[][..], &[][..], false),
        (&["--color", "always"], &[], true),
        (&["--color", "always"], &[("NO_COLOR", "1")], true),
        (&[], &[("CLICOLOR_FORCE", "1")], true),
        (&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (&["--color", "never"], &[("CLICOLOR_FORCE", "1")], false),
    ] {
        assert_eq!(
            has_color(arguments, variables),
            expected,
            "{arguments:?} {variables:?}"
        );
    }
}

#[test]
fn the_record_has_the_seed_the_digest_and_what_file_systems_are_called() {
    let bench = Bench::new();
    let filesystem = "filesystem = \"ext4\"\nlabel = \"home\"\nuuid = \"11111111-2222-3333-4444-555555555555\"\n";
    bench.write("image.toml", format!("{SPEC}{filesystem}"));
    let outcome = bench.run(&["build", "-o", "disk.img", "--seed", "random", "--json", "-"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let record: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let image = fs::read(bench.path("disk.img")).unwrap();
    assert_eq!(record["sha256"], sha256(&bench.path("disk.img")));
    assert_eq!(record["partitions"][0]["filesystem"]["label"], "home");
    let uuid = &record["partitions"][0]["filesystem"]["uuid"];
    assert_eq!(uuid, "11111111-2222-3333-4444-555555555555");
    let seed = record["seed"].as_str().unwrap();
    assert_eq!(seed.len(), 32);
    let again = bench.run(&["build", "-o", "again.img", "--seed", seed, "-q"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(fs::read(bench.path("again.img")).unwrap() == image);
}

#[test]
fn a_plan_says_why_a_partition_is_as_large_as_it_is() {
    let bench = Bench::new();
    bench.create_folder("root");
    bench.create_folder("root/big");
    bench.write("root/big/one", vec![1; 100_000]);
    bench.write("root/small", vec![1; 10]);
    let filesystem = "filesystem = \"ext2\"\ncontent = [{ directory = \"root\" }]\n";
    bench.write("image.toml", format!("{SPEC}{filesystem}"));
    let names = bench.names();
    for arguments in [["plan", "image.toml"], ["build", "--dry-run"]] {
        let outcome = bench.run(&arguments);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        assert!(
            outcome
                .stdout
                .contains("partition 'data': 4 194 304 bytes, ext2"),
            "{}",
            outcome.stdout
        );
        assert!(
            outcome.stdout.contains("100 000 bytes  /big"),
            "{}",
            outcome.stdout
        );
        assert_eq!(bench.names(), names);
    }
    let outcome = bench.run(&["plan", "--json", "-"]);
    let plan: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let space = &plan["partitions"][0]["space"];
    let of = |key: &str| space[key].as_u64().unwrap();
    // Two files in blocks of 4 KiB.
    assert_eq!(of("content"), 102_400 + 4096);
    assert_eq!(of("content") + of("metadata") + of("spare"), 4 << 20);
    assert_eq!(space["heaviest"][0]["path"], "/big");
}

#[test]
fn programs_are_told_what_failed() {
    let bench = Bench::new();
    bench.write("big", vec![1; 5 << 20]);
    let content = "filesystem = \"ext4\"\ncontent = [{ file = \"big\", to = \"/big\" }]\n";
    bench.write("small.toml", format!("{SPEC}{content}"));
    bench.write("wrong.toml", format!("{SPEC}lable = \"x\"\n"));
    let failure = |spec: &str| -> (Option<i32>, serde_json::Value) {
        let outcome = bench.run(&["build", spec, "-o", "disk.img", "--json", "-"]);
        let document: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        (outcome.code, document["error"].clone())
    };
    let (code, error) = failure("small.toml");
    assert_eq!((code, &error["code"]), (Some(2), &2.into()));
    assert_eq!(
        (&error["partition"], &error["available"]),
        (&"data".into(), &(4 << 20).into())
    );
    assert!(error["needed"].as_u64().unwrap() > 5 << 20);
    let (code, error) = failure("wrong.toml");
    assert_eq!((code, &error["code"]), (Some(2), &2.into()));
    assert_eq!(
        (&error["path"], &error["line"]),
        (&"wrong.toml".into(), &5.into())
    );
}

#[test]
fn a_file_system_is_named_in_either_spelling() {
    let bench = Bench::new();
    for kind in [&["swap"][..], &["--filesystem", "swap"]] {
        let arguments = [&["mkfs", "-o", "swap.img", "--size", "1MiB"], kind].concat();
        let outcome = bench.run(&arguments);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        bench.write("image.toml", SPEC);
        bench.run(&["build", "-q", "-o", "disk.img"]);
        let outcome = bench.run(&[&["fill", "disk.img", "data"], kind].concat());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    }
    let neither = bench.run(&["mkfs", "-o", "swap.img"]);
    assert_eq!(neither.code, Some(2));
    let both = bench.run(&["mkfs", "ext4", "--filesystem", "ext2", "-o", "swap.img"]);
    assert_eq!(both.code, Some(2));
}

#[test]
fn what_comes_through_a_pipe_is_content_and_an_image_leaves_through_one() {
    let bench = Bench::new();
    let archive = crate::content::archive::Archive::new()
        .with("motd", b'0', b"hello")
        .bytes();
    bench.write("root.tar", &archive);
    let arguments = [
        "mkfs",
        "ext4",
        "--size",
        "4MiB",
        "--seed",
        "00000000000000000000000000000001",
    ];
    let streamed = |content: &str, input: &[u8]| {
        let ends = ["--content", content, "-o", "-"];
        piped(&bench, &[&arguments[..], &ends].concat(), input)
    };
    let dump = b"/ 0 40755 2 0 0 0 1.0 - - -\n/motd 5 100644 1 0 0 0 1.0 - hello -\n";
    bench.write("root.dump", dump);
    for (stream, content, input) in [
        ("archive:-", "archive:root.tar", &archive[..]),
        ("composefs:-", "composefs:root.dump", dump),
    ] {
        let with_names = ["--content", content, "-o", "root.img", "-q"];
        let outcome = bench.run(&[&arguments[..], &with_names].concat());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        assert!(fs::read(bench.path("root.img")).unwrap() == streamed(stream, input));
    }
    let untold = ["--content", "-", "-o", "root.img"];
    let outcome = bench.run(&[&arguments[..], &untold].concat());
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    let advice = "--content -: is standard input, and nothing tells what comes: type archive:-";
    assert!(outcome.stderr.contains(advice), "{}", outcome.stderr);
}
