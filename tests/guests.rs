//! Guests that want more than they get.

use crate::hostile::template;
use crate::support::bench::{Outcome, case, repository};
use crate::support::{Bench, component};

/// A disk with a partition of 1 MiB that the hostile guest makes, and one after it.
const SPEC: &str = r#"
disk = { seed = "00000000000000000000000000000001" }
[[partition]]
name = "victim"
type = "linux-generic"
size = "1MiB"
filesystem = "hostile"

[[partition]]
name = "neighbour"
type = "linux-generic"
size = "1MiB"
filesystem = "swap"
"#;

/// Builds a disk with the guest, which must fail, in the same way within each wall; what it says.
fn refused(bench: &Bench, name: &str, options: &[&str]) -> String {
    refused_as(1, bench, name, options)
}

/// The same, with this exit code.
fn refused_as(code: i32, bench: &Bench, name: &str, options: &[&str]) -> String {
    let [wasm, process] = ["wasm", "process"].map(|walls| {
        let outcome = built_with(bench, name, &[options, &["--walls", walls]].concat());
        assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);
        assert!(!bench.path("disk.img").exists());
        outcome.stderr
    });
    assert_eq!(wasm, process);
    wasm
}

fn built_with(bench: &Bench, name: &str, options: &[&str]) -> Outcome {
    bench.write("image.toml", SPEC);
    let guest = format!("hostile={name}.wasm");
    let arguments = [
        "build",
        "image.toml",
        "-o",
        "disk.img",
        "-q",
        "--guest",
        &guest,
    ];
    bench.run(&[&arguments[..], options].concat())
}

#[test]
fn an_import_beyond_the_contract_is_refused_by_name() {
    for (name, import) in [
        (
            "sockets",
            "wasi:sockets/instance-network@0.2.12#instance-network",
        ),
        (
            "preopens",
            "wasi:filesystem/preopens@0.2.12#get-directories",
        ),
        ("function", "run-program"),
    ] {
        let bench = Bench::new();
        component::component(&bench, name);
        assert_eq!(
            refused_as(2, &bench, name, &[]),
            format!(
                "error: the guest 'hostile' imports {import}, which is not in the contract: \
                 a formatter gets its partition, its tree and nothing else\n"
            )
        );
    }
}

#[test]
fn a_function_that_an_interface_does_not_have_is_refused_by_name() {
    let bench = Bench::new();
    component::component(&bench, "unlisted");
    let error = refused_as(2, &bench, "unlisted", &[]);
    assert!(error.contains("the guest 'hostile'"), "{error}");
    assert!(error.contains("read-host-file"), "{error}");
}

#[test]
fn what_is_no_component_is_refused() {
    let bench = Bench::new();
    bench.write("text.wasm", "no component");
    let error = refused_as(2, &bench, "text", &[]);
    let start = "error: the guest 'hostile' is not a WebAssembly component that can run here: ";
    assert!(error.starts_with(start), "{error}");
}

#[test]
fn a_guest_is_not_taken_for_the_maker_of_a_file_system_that_it_does_not_make() {
    let bench = Bench::new();
    let erofs = repository("guests/dist/erofs.wasm");
    let guest = format!("squashfs={}", erofs.display());
    let size = ["--size", "4MiB", "-o", "made.img"];
    let outcome = bench.run(&[&["mkfs", "squashfs", "--guest", &guest][..], &size].concat());
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    let expected = "error: the guest 'squashfs' makes erofs, and no squashfs";
    assert!(outcome.stderr.starts_with(expected), "{}", outcome.stderr);
    assert!(bench.names().is_empty());
}

#[test]
fn a_guest_that_is_not_there_is_named() {
    let bench = Bench::new();
    assert_eq!(
        refused_as(2, &bench, "absent", &[]),
        "error: absent.wasm: the guest 'hostile' cannot be read: No such file or directory (os error 2)\n"
    );
}

#[test]
fn a_guest_that_the_spec_does_not_pin_is_refused() {
    let bench = Bench::new();
    component::formatter(&bench, "write-everywhere");
    let pinned = "0".repeat(64);
    bench.write(
        "image.toml",
        format!("{SPEC}\n[guests]\nhostile = {{ file = \"write-everywhere.wasm\", sha256 = \"{pinned}\" }}\n"),
    );
    let outcome = bench.run(&["build", "image.toml", "-o", "disk.img"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    let start = "error: write-everywhere.wasm: the guest 'hostile' has the SHA-256 digest ";
    assert!(outcome.stderr.starts_with(start), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(&pinned), "{}", outcome.stderr);
    assert!(!bench.path("disk.img").exists());
}

#[test]
fn an_endless_loop_is_stopped() {
    let bench = Bench::new();
    component::formatter(&bench, "endless-loop");
    let error = refused(&bench, "endless-loop", &["--time-limit", "1"]);
    assert_eq!(
        error,
        "error: partition 'victim': the guest 'hostile' was stopped after 1 seconds; give it more with --time-limit\n"
    );
}

#[test]
fn memory_has_a_limit() {
    let bench = Bench::new();
    component::formatter(&bench, "memory-hog");
    let error = refused(&bench, "memory-hog", &["--memory-limit", "40MiB"]);
    let asked = (2 * 256 + 256 + 1) * 65536;
    assert_eq!(
        error,
        format!(
            "error: partition 'victim': the guest 'hostile' exceeded a limit: \
             it asked for {asked} bytes of memory, and the limit is 41943040\n"
        )
    );
}

#[test]
fn the_stack_has_a_limit() {
    let bench = Bench::new();
    component::formatter(&bench, "deep-recursion");
    assert_eq!(
        refused(&bench, "deep-recursion", &[]),
        "error: partition 'victim': the guest 'hostile' failed: wasm trap: call stack exhausted\n"
    );
}

#[test]
fn a_trap_is_an_error_of_the_partition() {
    let bench = Bench::new();
    component::formatter(&bench, "trap");
    assert_eq!(
        refused(&bench, "trap", &[]),
        "error: partition 'victim': the guest 'hostile' failed: wasm trap: wasm `unreachable` instruction executed\n"
    );
}

#[test]
fn a_write_past_the_end_of_the_partition_is_refused() {
    let bench = Bench::new();
    component::formatter(&bench, "write-outside");
    let error = refused(&bench, "write-outside", &[]);
    let start = "error: partition 'victim': the formatter 'hostile' says: it could not use its partition: insufficient-space";
    assert!(error.starts_with(start), "{error}");
}

#[test]
fn a_partition_cannot_grow() {
    let bench = Bench::new();
    component::formatter(&bench, "grow-partition");
    let error = refused(&bench, "grow-partition", &[]);
    let start = "error: partition 'victim': the formatter 'hostile' says: it could not use its partition: not-permitted";
    assert!(error.starts_with(start), "{error}");
}

#[test]
fn a_path_leads_nowhere() {
    let bench = Bench::new();
    component::formatter(&bench, "open-path");
    let error = refused(&bench, "open-path", &[]);
    let start = "error: partition 'victim': the formatter 'hostile' says: it could not use its partition: not-directory";
    assert!(error.starts_with(start), "{error}");
}

/// What is said of a formatter with this text, whose `$format` has this body.
fn said_of(text: &str, body: &str, options: &[&str]) -> (Option<i32>, String) {
    let [wasm, process] = ["wasm", "process"].map(|walls| {
        let bench = Bench::new();
        let text = format!("{text} {}", template::format(body));
        bench.write("own.wasm", component::formatter_of(&text));
        let made = ["mkfs", "own", "-o", "own.img", "--size", "1MiB"];
        let guest = ["--guest", "own=own.wasm", "--walls", walls];
        let outcome = bench.run(&[&made[..], &guest, options].concat());
        (outcome.code, outcome.stderr)
    });
    assert_eq!(wasm.0, process.0, "{}", process.1);
    wasm
}

#[test]
fn what_a_formatter_logged_is_told_if_it_fails_too() {
    const TEXT: &str = r#"(data (i32.const 2048) "read a bad block looking around")"#;
    const LOG: &str = "(call $log (i32.const 2) (i32.const 2048) (i32.const 16)) \
                       (call $log (i32.const 1) (i32.const 2065) (i32.const 6)) \
                       (call $log (i32.const 0) (i32.const 2073) (i32.const 6))";
    let too_large = "(call $refuse (i32.const 1) (i32.const 0)) (i64.store (i32.const 528) (i64.const 5)) (i32.const -2)";
    for (end, code, told) in [
        (
            "(unreachable)",
            1,
            "the guest 'own' failed: wasm trap: wasm `unreachable` instruction executed",
        ),
        (
            too_large,
            2,
            "the formatter 'own' says: too large: the most that hostile can have is 5 bytes",
        ),
    ] {
        let body = format!("{LOG} {end}");
        let error = format!("error: {told}; it says:\n    | read a bad block\n");
        assert_eq!(said_of(TEXT, &body, &["-q"]), (Some(code), error.clone()));
        let (_, said) = said_of(TEXT, &body, &["-v"]);
        assert!(said.ends_with(&error), "{said}");
        for line in ["read a bad block", "lookin", "around"] {
            let line = format!("\nown: its formatter says: {line}\n");
            assert!(said.contains(&line), "{said}");
        }
    }
    // One that succeeds says as much.
    let body = format!("{LOG} (i32.const -1)");
    let (code, said) = said_of(TEXT, &body, &["-v"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("\nwarning: own: its formatter says: read a bad block\n"),
        "{said}"
    );
    assert!(
        said.contains("\nown: its formatter says: around\n"),
        "{said}"
    );
    let warned = "warning: own: its formatter says: read a bad block\n".to_owned();
    assert_eq!(said_of(TEXT, &body, &["-q"]), (Some(0), warned));
}

/// The formatter describes no options, and labels of 16 bytes, and looks at neither.
#[test]
fn options_and_labels_that_a_formatter_does_not_describe_are_refused_for_it() {
    let made = |options: &[&str]| said_of("", "(i32.const -1)", options);
    assert_eq!(
        made(&["-q", "--label", "sixteen letters!"]),
        (Some(0), String::new())
    );
    assert_eq!(
        made(&["-q", "--label", "seventeen letters"]),
        (
            Some(2),
            "error: the label 'seventeen letters' has 17 bytes, and hostile has room for 16\n"
                .to_owned()
        )
    );
    assert_eq!(
        made(&["-q", "--option", "it's=1"]),
        (
            Some(2),
            "error: hostile has no option 'it's', and no others\n".to_owned()
        )
    );
    let bench = Bench::new();
    component::formatter(&bench, "write-everywhere");
    bench.write(
        "image.toml",
        "[[partition]]\ntype = \"linux-generic\"\nsize = \"1MiB\"\nfilesystem = \"own\"\noptions = { speed = \"2\" }\n\
         [guests]\nown = \"write-everywhere.wasm\"\n",
    );
    let outcome = bench.run(&["build", "image.toml", "-o", "disk.img"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    let place = "hostile has no option 'speed', and no others\n --> image.toml:5:";
    assert!(outcome.stderr.contains(place), "{}", outcome.stderr);
}

#[test]
fn a_reader_is_shown_as_one_and_neither_is_taken_for_the_other() {
    let bench = Bench::new();
    let [formatter, reader] =
        ["swap", "read-squashfs"].map(|name| repository(format!("guests/dist/{name}.wasm")));
    let (formatter, reader) = (formatter.to_str().unwrap(), reader.to_str().unwrap());
    let shown = bench.done(&["guests", reader]);
    assert!(shown.starts_with("read-squashfs 0.1.0: "), "{shown}");
    assert!(shown.contains("\n  reads         squashfs\n"), "{shown}");
    assert!(shown.contains("--reader NAME=FILE"), "{shown}");
    assert!(shown.contains("cellblock:format/listing@"), "{shown}");
    let shown = bench.done(&["guests", "--json", reader]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown[0]["reads"], serde_json::json!(["squashfs"]));

    for walls in ["wasm", "process"] {
        let guest = format!("own={reader}");
        let made = [
            "mkfs", "own", "-o", "own.img", "--size", "1MiB", "--guest", &guest,
        ];
        let outcome = bench.run(&[&made[..], &["--walls", walls]].concat());
        assert_eq!(
            (outcome.code, &*outcome.stderr),
            (
                Some(2),
                "error: the guest 'own' is a reader, and makes no file systems: --reader own=FILE.wasm has it read them\n"
            )
        );
        bench.write("zeros.img", vec![0; 1 << 20]);
        let guest = format!("own={formatter}");
        let outcome = bench.run(&["ls", "zeros.img", "--reader", &guest, "--walls", walls]);
        assert_eq!(
            (outcome.code, &*outcome.stderr),
            (
                Some(2),
                "error: the reader 'own' is a formatter, and reads no file systems: --guest own=FILE.wasm has it make them\n"
            )
        );
    }
    let outcome = bench.run(&["ls", "zeros.img"]);
    let none = "zeros.img holds no file system that is known; there are readers of erofs, ";
    assert!(outcome.stderr.contains(none), "{}", outcome.stderr);
}

#[test]
fn what_is_read_back_can_be_read_by_a_reader_of_ones_own() {
    let bench = Bench::new();
    bench.write("root/file", "content");
    let [formatter, reader] =
        ["squashfs", "read-squashfs"].map(|name| repository(format!("guests/dist/{name}.wasm")));
    let guest = format!("mine={}", formatter.display());
    let reader = format!("own={}", reader.display());
    let made = [
        "mkfs",
        "mine",
        "-o",
        "made.img",
        "--content",
        "root,owner=0:0",
        "--guest",
        &guest,
    ];
    for (options, verified) in [
        (&["--reader", &reader][..], "own"),
        (&["--reader", &reader, "--verify"], "own"),
        (&["--verify"], "read-squashfs"),
    ] {
        let record = bench.done(&[&made[..], options, &["--json", "-"]].concat());
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        assert_eq!(
            record["partitions"][0]["filesystem"]["verified-by"],
            verified
        );
    }
}

/// README: what is wrong with a file that was named is 2, and what goes wrong as it runs is 1.
#[test]
fn a_guest_that_is_refused_before_it_runs_ends_with_2_and_one_that_fails_with_1() {
    let bench = Bench::new();
    component::component(&bench, "sockets");
    component::component(&bench, "unlisted");
    component::formatter(&bench, "trap");
    component::formatter(&bench, "endless-loop");
    bench.write("text.wasm", "no component");
    bench.write("module.wasm", b"\0asm\x01\0\0\0");
    let reader = repository("guests/dist/read-ext.wasm");
    std::fs::copy(reader, bench.path("reader.wasm")).unwrap();
    let pinned = format!("trap.wasm,sha256={}", "0".repeat(64));
    for (guest, code) in [
        ("absent.wasm", 2),
        ("text.wasm", 2),
        ("module.wasm", 2),
        ("reader.wasm", 2),
        ("sockets.wasm", 2),
        ("unlisted.wasm", 2),
        (&pinned, 2),
        ("trap.wasm", 1),
        ("endless-loop.wasm", 1),
    ] {
        let guest = format!("own={guest}");
        let made = [
            "mkfs",
            "own",
            "-o",
            "own.img",
            "--size",
            "1MiB",
            "--time-limit",
            "1",
        ];
        let outcome = bench.run(&[&made[..], &["--guest", &guest]].concat());
        assert_eq!(outcome.code, Some(code), "{guest}: {}", outcome.stderr);
        assert!(!bench.path("own.img").exists());
    }
}

#[test]
fn a_guest_that_writes_everywhere_changes_nothing_outside() {
    const MEBIBYTE: usize = 1 << 20;
    let bench = Bench::new();
    component::formatter(&bench, "write-everywhere");
    built_with(&bench, "write-everywhere", &[]).done();
    let hostile = std::fs::read(bench.path("disk.img")).unwrap();

    bench.write("image.toml", SPEC.replace("filesystem = \"hostile\"\n", ""));
    bench.done(&["build", "image.toml", "-o", "empty.img", "-q"]);
    let without = std::fs::read(bench.path("empty.img")).unwrap();
    assert!(hostile == without, "the guest reached something");
    assert!(
        hostile[MEBIBYTE..2 * MEBIBYTE]
            .iter()
            .all(|byte| *byte == 0)
    );
}

#[test]
fn the_built_in_guests_reach_the_contract_and_nothing_else() {
    let bench = Bench::new();
    let listed = bench.done(&["guests", "--json"]);
    let guests: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let guests = guests.as_array().unwrap();
    assert!(guests.len() >= 4);
    for guest in guests {
        let capabilities = guest["capabilities"].as_array().unwrap();
        assert!(!capabilities.is_empty());
        for capability in capabilities {
            let capability = capability.as_str().unwrap();
            assert!(
                capability.starts_with("cellblock:format/")
                    || capability == "wasi:filesystem/types@0.2.12#[method]descriptor.write",
                "{capability}"
            );
        }
    }
}

#[test]
fn a_guest_in_a_file_is_shown_like_one_that_is_built_in() {
    let bench = Bench::new();
    let file = case("../../guests/dist/swap.wasm");
    let shown = bench.done(&["guests", file.to_str().unwrap()]);
    assert!(shown.starts_with("swap 0.1.0: "), "{shown}");
    let all = bench.done(&["guests"]);
    assert!(all.contains(&shown), "{shown}");
}

#[test]
fn one_built_in_formatter_is_shown_by_its_name_or_a_kind_and_a_file_of_that_name_by_its_path() {
    let bench = Bench::new();
    let all = bench.done(&["guests"]);
    let fat = bench.done(&["guests", "vfat"]);
    assert!(all.contains(&fat) && fat.starts_with("vfat "), "{fat}");
    assert!(
        fat.contains("identified by a serial number of 32 bits\n"),
        "{fat}"
    );
    assert_eq!(bench.done(&["guests", "fat32"]), fat);
    std::fs::copy(case("../../guests/dist/swap.wasm"), bench.path("vfat")).unwrap();
    let shown = bench.done(&["guests", "./vfat"]);
    assert!(shown.contains("makes         swap\n"), "{shown}");
    assert!(shown.contains("identified by a UUID\n"), "{shown}");
}
