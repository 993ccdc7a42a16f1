//! What a command gets: arguments, one file, clocks that stand, random numbers from the seed.

use super::{made, mkfs};
use crate::support::Bench;

#[test]
fn arguments_are_those_of_the_command_line() {
    let options = [
        "--guest-command",
        "arguments=mkfs.test [-n {label}] [-s {option:spc}] {size} {sector-size} {time} {uuid} {serial} {{}} {partition}",
        "--label",
        "two words",
        "--time",
        "86400",
        "--uuid",
        "12345678-9abc-def0-1234-56789abcdef0",
    ];
    let made = made("arguments", &options);
    let expected = [
        "mkfs.test",
        "-n",
        "two words",
        "1048576",
        "512",
        "86400",
        "12345678-9abc-def0-1234-56789abcdef0",
        "9abcdef0",
        "{}",
        "/partition.img",
    ]
    .map(|argument| format!("{argument}\0"))
    .concat();
    assert!(
        made.starts_with(expected.as_bytes()),
        "{}",
        made[..200].escape_ascii()
    );
    assert!(made[expected.len()..].iter().all(|byte| *byte == 0));
}

#[test]
fn the_record_tells_the_arguments_and_the_digest() {
    let bench = Bench::new();
    let record = mkfs(&bench, "arguments", &["--size", "1MiB", "--json", "-"]).done();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let filesystem = &record["partitions"][0]["filesystem"];
    assert_eq!(
        filesystem["command"],
        serde_json::json!(["arguments", "/partition.img"])
    );
    let digest = crate::support::bench::sha256(&bench.path("arguments.wasm"));
    assert_eq!(filesystem["guest-digest"], digest);
    let capabilities = filesystem["capabilities"].to_string();
    assert!(
        capabilities.contains("wasi_snapshot_preview1#path_open"),
        "{capabilities}"
    );
}

#[test]
fn there_is_one_file_and_no_other_path() {
    let made = made("paths", &[]);
    let expected = [
        54, 44, 44, 2, 44, 0, 20, 0, 54, 31, 2, 2, 2, 2, 28, 0, 4, 8, 37,
    ];
    assert_eq!(made[..expected.len()], expected);
    assert_eq!(&made[512..525], b"partition.img");
}

#[test]
fn the_file_never_grows_past_the_partition() {
    let made = made("resize", &[]);
    let expected = [0, 1, 51, 51, 22, 22, 0, 128, 0, 0, 0, 0, 0, 100, 0, 0, 0];
    assert_eq!(made[..expected.len()], expected);
    assert!(made[expected.len()..].iter().all(|byte| *byte == 0));
}

#[test]
fn addresses_outside_its_memory_are_refused() {
    let made = made("pointers", &[]);
    let expected = [
        21, 21, 21, 21, 21, 28, 21, 21, 21, 28, 21, 21, 8, 8, 31, 70, 28, 0, 8,
    ];
    assert_eq!(made[..expected.len()], expected);
}

#[test]
fn the_clock_stands_and_randomness_has_a_seed() {
    let seed = |digit: &str| digit.repeat(32);
    let with = |seed: &str| made("environment", &["--time", "1000", "--seed", seed]);
    let first = with(&seed("1"));
    assert!(first == with(&seed("1")));
    let other = with(&seed("2"));
    assert_eq!(first[..32], other[..32]);
    assert_ne!(first[32..96], other[32..96]);
    let number = |start: usize| u64::from_le_bytes(first[start..start + 8].try_into().unwrap());
    let second = 1_000_000_000;
    assert_eq!((number(0), number(24)), (1000 * second, 1000 * second));
    let waited = number(16) - number(8);
    assert!(
        (5 * second..5 * second + 100_000).contains(&waited),
        "{waited}"
    );
}

#[test]
fn many_small_writes_are_no_burden() {
    for walls in super::WALLS {
        let bench = Bench::new();
        let begun = std::time::Instant::now();
        mkfs(&bench, "fill", &["--size", "64MiB", "--walls", walls]).done();
        eprintln!(
            "64 MiB in pieces of 4 KiB within {walls}: {:?}",
            begun.elapsed()
        );
        let made = std::fs::read(bench.path("made.img")).unwrap();
        assert!(made.len() == 64 << 20 && made.iter().all(|byte| *byte == 0x55));
    }
}
