//! Guests that do not keep to what they say, or break off.

use super::runner::{Attack, formatter, withstand};
use super::template::format;

const DESCRIBE: &str =
    r#"(func $describe (export "cellblock:format/formatter@0.1.5#describe") (result i32)"#;
const MEASURE: &str = r#"(func $measure (export "cellblock:format/formatter@0.1.5#measure")
  (param i32 i32 i64 i64 i32 i32 i32 i64 i64 i64 i64 i64 i32 i32 i32 i32) (result i32)"#;
const AFTER: &str =
    r#"(func $after (export "cabi_post_cellblock:format/formatter@0.1.5#format") (param i32)"#;

/// A formatter that answers `measure` so, for a partition of the smallest size.
fn measured(name: &str, size: i64) -> Attack {
    let text = format!("{MEASURE} (call $measured (i64.const {size})))");
    formatter(name, "the plan", &text).size("minimum")
}

/// Answers with this error, these 16 bytes of detail, and a node that is not there after them.
fn error(name: &str, error: u32, detail: [i64; 2]) -> Attack {
    let [first, second] = detail;
    let body = format!(
        "(call $refuse (i32.const {error}) (i32.const 0))
         (i64.store (i32.const 528) (i64.const {first})) (i64.store (i32.const 536) (i64.const {second}))
         (i32.store (i32.const 544) (i32.const 77)) (i32.const -2)"
    );
    formatter(name, "typed answers", &format(&body))
}

#[test]
fn lies() {
    withstand(
        "lies",
        vec![
            measured("a measure of 2^64 - 1", -1).unplanned(),
            measured("a measure of 2^63", i64::MIN).unplanned(),
            measured("a measure of a byte", 1),
            measured("a measure of nothing", 0).refused(
                "the guest 'hostile' failed: it says that its file system takes no bytes\n",
            ),
            formatter(
                "success without a write",
                "nothing: it may",
                &format("(i32.const -1)"),
            ),
            formatter(
                "2^64 - 1 bytes used of 1 MiB",
                "checked answers",
                &format(
                    "(call $succeed) (i64.store (i32.const 520) (i64.const -1)) (i32.const -2)",
                ),
            )
            .refused(
                "it says that 18 446 744 073 709 551 615 bytes of its partition are used, which has 1 048 576\n",
            ),
            error("too small, though it is not", 0, [0, -1])
                .refused("the formatter 'hostile' says: too small: hostile with this content needs 0 bytes, but the \
                          partition has 18 446 744 073 709 551 615, which is enough: that is a fault of the formatter\n"),
            error("too small, though it measured so much", 0, [2 << 20, 1 << 20])
                .size("minimum")
                .refused("although the formatter measured 1 048 576 bytes itself: that is a fault of the formatter\n"),
            error("too large for itself", 1, [0, 0])
                .refused("the formatter 'hostile' says: too large: the most that hostile can have is 0 bytes"),
            error("not its kind", 2, [0, 0]).refused("the formatter 'hostile' says: it does not make hostile"),
            error("a node that is not in the tree", 5, [0xffff_ffff, 0])
                .refused("(a node that is not in the tree)"),
            error("a collision with what is not there", 5, [1, 9]).refused("another"),
            error("no room for nodes", 6, [0, 0]).refused("too many files"),
            error("content that failed, though it did not", 7, [2, 0])
                .refused("the formatter 'hostile' says: content could not be read, although all that was asked for was\n"),
            error("a placement that failed, though it did not", 8, [4, 0])
                .refused("the formatter 'hostile' says: it asked for a placement that cannot be: the content could not be copied"),
            error("an error that does not exist", 200, [0, 0])
                .refused("the guest 'hostile' failed: "),
            error("a problem that does not exist", 5, [1, 255])
                .refused("the guest 'hostile' failed: "),
            error("a character that is none", 3, [0xd800_0000_0001, 0])
                .refused("the guest 'hostile' failed: "),
            error("a code of wasi:filesystem that does not exist", 9, [99, 0])
                .refused("the guest 'hostile' failed: "),
            formatter(
                "a description of no kinds",
                "the catalog",
                r#"(data (i32.const 256)
              "\00\00\00\00" "\07\00\00\00" "\07\00\00\00" "\05\00\00\00" "\0c\00\00\00" "\16\00\00\00"
              "\00\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\00\00\00" "\00\00\00\00" "\ff\ff\ff\ff")"#,
            ),
        ],
    );
}

#[test]
fn breaking_off() {
    let trap = "the guest 'hostile' failed: wasm trap: wasm `unreachable` instruction executed\n";
    withstand(
        "breaking off",
        vec![
            formatter("in describe", "trap", &format!("{DESCRIBE} (unreachable))")).not_loaded(trap),
            formatter("in measure", "trap", &format!("{MEASURE} (unreachable))")).size("minimum").refused(trap),
            formatter("in format", "trap", &format("(unreachable)")).refused(trap),
            formatter("at the start", "trap", "(func $begin (unreachable)) (start $begin)").not_loaded(trap),
            formatter("while the host passes something", "trap", r#"(func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (unreachable))"#).refused(trap),
            formatter("after its answer", "trap", &format!("{AFTER} (unreachable))")).refused(trap),
            formatter("after writing half", "trap", &format("(call $write (local.get $p) (i32.const 0) (i32.const 4096) (i64.const 0) (i32.const 1024)) (unreachable)")).refused(trap),
            formatter("by a division by zero", "trap", &format("(i32.div_u (i32.const 1) (local.get $i))")).refused("integer divide by zero\n"),
            formatter("by a load from nowhere", "trap", &format("(i32.load (i32.const -4))")).refused("out of bounds memory access\n"),
            formatter("by a call of nothing", "trap", &format!("(table 1 funcref) (type $f (func)) {}", format("(call_indirect (type $f) (i32.const 0)) (i32.const -1)"))).refused("uninitialized element\n"),
            formatter("by memory from nowhere", "checked addresses", r#"(func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const -16))"#).refused("the guest 'hostile' failed: "),
            formatter("by memory that is not aligned", "checked addresses", r#"(func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4097))"#).refused("the guest 'hostile' failed: "),
            formatter("by an answer from nowhere", "checked addresses", &format!("{DESCRIBE} (i32.const -64))")).not_loaded("failed: "),
            formatter("by an answer that is not aligned", "checked addresses", &format!("{DESCRIBE} (i32.const 257))")).not_loaded("failed: "),
            formatter("by a call of the host while it passes something", "one call at a time", r#"(func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (call $rewind) (i32.const 4096))"#).refused("the guest 'hostile' failed: "),
        ],
    );
}
