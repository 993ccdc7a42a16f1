//! Guests that speak too much, or to the terminal.

use super::runner::{formatter, withstand};
use super::template::format;

const MEBIBYTE: u64 = 1 << 20;

#[test]
fn words() {
    let escape = r#"(data (i32.const 2048) "\1b]0;owned\07\1b[2J\r\n\e2\80\ae")"#;
    // 20 letters from 2048 on.
    let spoken = "(i32.const 2048) (i32.const 19)";
    let log = format!("(call $log (i32.const 2) {spoken})");
    let setting = |problem: &str, start: u32, length: u32| {
        // What is refused ends the guest, so that it takes no more than it speaks of.
        let pages = (start + length).div_ceil(65_536);
        format(&format!(
            "(drop (memory.grow (i32.const {pages})))
             (call $refuse (i32.const 4) (i32.const 0))
             (i32.store (i32.const 528) (i32.const {start})) (i32.store (i32.const 532) (i32.const {length}))
             {problem} (i32.const -2)"
        ))
    };
    let properties = |count: u32, length: u32| {
        format(&format!(
            "(drop (memory.grow (i32.const 200)))
             (call $succeed) (i32.store (i32.const 528) (i32.const 65536)) (i32.store (i32.const 532) (i32.const {count}))
             (loop $again
               (i32.store (i32.add (i32.const 65536) (i32.mul (local.get $i) (i32.const 16))) (i32.const 2048))
               (i32.store (i32.add (i32.const 65540) (i32.mul (local.get $i) (i32.const 16))) (i32.const {length}))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $i) (i32.const {count}))))
             (i32.const -2)"
        ))
    };
    let kind = r#"(data (i32.const 320) "\00\08\00\00" "\13\00\00\00")"#;
    let description = r#"(data (i32.const 256)
        "\00\08\00\00" "\13\00\00\00" "\00\08\00\00" "\13\00\00\00" "\00\08\00\00" "\13\00\00\00"
        "\40\01\00\00" "\01\00\00\00" "\00\00\00\00" "\00\00\00\00" "\10\00\00\00" "\00\00\00\00")"#;
    let huge = r#"(data (i32.const 256)
        "\00\00\00\00" "\00\00\00\06" "\00\00\00\00" "\00\00\00\06" "\00\00\00\00" "\00\00\00\06"
        "\40\01\00\00" "\01\00\00\00" "\00\00\00\00" "\00\00\00\00" "\10\00\00\00" "\00\00\00\00")
        (memory (export "memory") 1700)"#;
    withstand(
        "words",
        vec![
            formatter("control characters in the log", "escaping", &format!("{escape} {}", format(&format!("{log} (i32.const -1)"))))
                .heard("warning: victim: its formatter says: \\u{1b}]0;owned\\u{7}\\u{1b}[2J\\r\\n\\u{202e}\n"),
            formatter("a hundred thousand lines in the log", "bounded log", &format!("{escape} {}", format(&format!(
                "(loop $again {log} (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $again (i32.lt_u (local.get $i) (i32.const 100000)))) (i32.const -1)"))))
                .heard("\nwarning: victim: its formatter logged 99000 lines more than the 1000 that are kept of a log\n"),
            formatter("gigabytes in the log", "bounded log", &format(
                "(drop (memory.grow (i32.const 1000)))
                 (loop $again (call $log (i32.const 2) (i32.const 1048576) (i32.const 52428800)) (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $again (i32.lt_u (local.get $i) (i32.const 40)))) (i32.const -1)"))
                .memory(80 * MEBIBYTE),
            formatter("a level of the log that does not exist", "typed calls", &format("(call $log (i32.const 9) (i32.const 0) (i32.const 7)) (i32.const -1)"))
                .refused("the guest 'hostile' failed: "),
            formatter("what is not UTF-8 in the log", "typed calls", &format!(r#"(data (i32.const 2048) "\ff\fe") {}"#, format("(call $log (i32.const 2) (i32.const 2048) (i32.const 2)) (i32.const -1)")))
                .refused("the guest 'hostile' failed: "),
            formatter("control characters in an option's name", "escaping", &format!("{escape} {}", setting("(i32.store8 (i32.const 536) (i32.const 0))", 2048, 19)))
                .refused("has no option"),
            formatter("control characters in a conflict", "escaping", &format!("{escape} {}", setting("(i32.store8 (i32.const 536) (i32.const 3)) (i32.store (i32.const 544) (i32.const 2048)) (i32.store (i32.const 548) (i32.const 19))", 2048, 19)))
                .refused("the option"),
            formatter("an option's name of 100 MiB", "bounded words", &setting("(i32.store8 (i32.const 536) (i32.const 0))", 1 << 20, 100 << 20))
                .memory(128 * MEBIBYTE)
                .refused("has no option"),
            formatter("control characters in a kind", "escaping", &format!("{escape} {} {}", kind_for(kind), format("(call $refuse (i32.const 2) (i32.const 0)) (i32.const -2)")))
                .refused("it does not make"),
            formatter("control characters in a description", "escaping", &format!("{escape} {description}")),
            formatter("a description of 300 MiB", "limit of one call", huge)
                .memory(128 * MEBIBYTE)
                .not_loaded("too much data is being copied"),
            formatter("control characters in properties", "escaping", &format!("{escape} {}", properties(3, 19))),
            formatter("half a million properties", "bounded words", &properties(500_000, 8)),
            formatter("control characters in a function's name", "escaping", &format(r#"(call $"\1b[2Jname")"#).replacen("(func $format ", r#"(func $"\1b[2Jname" (result i32) (unreachable)) (func $format "#, 1))
                .refused("wasm trap: wasm `unreachable` instruction executed\n"),
            formatter("control characters in the name of who calls wrongly", "escaping", &format(r#"(call $"\1b[2Jname")"#).replacen("(func $format ", r#"(func $"\1b[2Jname" (result i32) (call $drop (i32.const 99)) (i32.const 0)) (func $format "#, 1))
                .refused("the guest 'hostile' failed: "),
        ],
    );
}

/// The one kind of the description, under another name.
fn kind_for(kind: &str) -> String {
    format!(
        "(func $rename_kind (memory.copy (i32.const 320) (i32.const 328) (i32.const 8))) (start $rename_kind) {}",
        kind.replace("320", "328")
    )
}
