//! Guests that want more than they get.

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
            refused(&bench, name, &[]),
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
    let error = refused(&bench, "unlisted", &[]);
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
    let start =
        "error: partition 'victim': the formatter could not use its partition: insufficient-space";
    assert!(error.starts_with(start), "{error}");
}

#[test]
fn a_partition_cannot_grow() {
    let bench = Bench::new();
    component::formatter(&bench, "grow-partition");
    let error = refused(&bench, "grow-partition", &[]);
    let start =
        "error: partition 'victim': the formatter could not use its partition: not-permitted";
    assert!(error.starts_with(start), "{error}");
}

#[test]
fn a_path_leads_nowhere() {
    let bench = Bench::new();
    component::formatter(&bench, "open-path");
    let error = refused(&bench, "open-path", &[]);
    let start =
        "error: partition 'victim': the formatter could not use its partition: not-directory";
    assert!(error.starts_with(start), "{error}");
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
