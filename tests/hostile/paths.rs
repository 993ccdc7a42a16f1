//! Guests that look for the way out, through every function that takes a path.

use super::runner::{Attack, formatter, withstand};
use super::template::format;

const TRICKS: [&str; 16] = [
    "..",
    "../../../../etc/passwd",
    "/etc/passwd",
    "/",
    ".",
    "",
    "link",
    "link/",
    "content/",
    "/proc/self/fd/3",
    "/proc/self/root/etc/passwd",
    "/dev/kmem",
    "neighbour",
    "disk.img",
    "./../disk.img",
    "a\\00b",
];

/// Calls `call` with every trick, in `$a` and `$l`, and refuses with the code at `code`, which must always be the same.
fn tricks(name: &str, call: &str, code: u32) -> Attack {
    let mut start = 8192;
    let (mut data, mut calls) = (String::new(), String::new());
    for trick in TRICKS {
        let length = trick.replace("\\00", "0").len();
        data += &format!("(data (i32.const {start}) \"{trick}\")");
        calls += &format!("(call $try (local.get $p) (i32.const {start}) (i32.const {length}))");
        start += 64;
    }
    let body = format!("{calls} (i32.const 24)");
    let text = format!(
        "{data} {} (func $try (param $p i32) (param $a i32) (param $l i32)
           {call}
           (if (i32.ne (i32.load8_u (i32.const 1024)) (i32.const 1)) (then (unreachable)))
           (if (i32.ne (i32.load8_u (i32.const {code})) (i32.const 24)) (then (unreachable))))",
        format(&body)
    );
    formatter(name, "no path is resolved", &text)
        .refused("it could not use its partition: not-directory")
}

#[test]
fn paths() {
    let path = "(local.get $a) (local.get $l)";
    let answer = "(i32.const 1024)";
    let one = |function: &str| format!("(call {function} (local.get $p) {path} {answer})");
    let flagged =
        |function: &str| format!("(call {function} (local.get $p) (i32.const 1) {path} {answer})");
    withstand(
        "paths",
        vec![
            tricks(
                "open-at, to read",
                &format!(
                    "(call $open (local.get $p) (i32.const 1) {path} (i32.const 0) (i32.const 1) {answer})"
                ),
                1028,
            ),
            tricks(
                "open-at, to create and write",
                &format!(
                    "(call $open (local.get $p) (i32.const 0) {path} (i32.const 9) (i32.const 34) {answer})"
                ),
                1028,
            ),
            tricks(
                "open-at, as a directory",
                &format!(
                    "(call $open (local.get $p) (i32.const 1) {path} (i32.const 2) (i32.const 33) {answer})"
                ),
                1028,
            ),
            tricks("stat-at", &flagged("$stat_at"), 1032),
            tricks("metadata-hash-at", &flagged("$hash_at"), 1032),
            tricks("create-directory-at", &one("$create_directory"), 1025),
            tricks("remove-directory-at", &one("$remove_directory"), 1025),
            tricks("unlink-file-at", &one("$unlink"), 1025),
            tricks("readlink-at", &one("$readlink"), 1028),
            tricks(
                "symlink-at",
                &format!("(call $symlink (local.get $p) {path} {path} {answer})"),
                1025,
            ),
            tricks(
                "rename-at",
                &format!("(call $rename (local.get $p) {path} (local.get $p) {path} {answer})"),
                1025,
            ),
            tricks(
                "link-at",
                &format!(
                    "(call $link (local.get $p) (i32.const 1) {path} (local.get $p) {path} {answer})"
                ),
                1025,
            ),
            tricks(
                "set-times-at",
                &format!(
                    "(call $set_times_at (local.get $p) (i32.const 1) {path} (i32.const 1) (i64.const 0) (i32.const 0) (i32.const 2) (i64.const 0) (i32.const 0) {answer})"
                ),
                1025,
            ),
            tricks(
                "read-directory",
                "(call $read_directory (local.get $p) (i32.const 1024))",
                1028,
            ),
        ],
    );
}
