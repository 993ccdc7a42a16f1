//! Guests that never come back.

use super::runner::{Attack, formatter, withstand};
use super::template::format;

const DEADLINE: &str = "deadline";
const GROW: &str = "(drop (memory.grow (i32.const 300)))";

/// A formatter that does something again and again.
fn endless(name: &str, step: &str) -> Attack {
    let text = format(&format!(
        "{GROW} (loop $again {step} (br $again)) (unreachable)"
    ));
    stopped(name, &text)
}

fn stopped(name: &str, text: &str) -> Attack {
    formatter(name, DEADLINE, text)
        .seconds(1)
        .refused("the guest 'hostile' was stopped after 1 seconds; give it more with --time-limit")
}

#[test]
fn time_without_end() {
    let loop_in = "(loop $again (br $again)) (unreachable)";
    let describe = format!(
        r#"(func $describe (export "cellblock:format/formatter@0.1.5#describe") (result i32) {loop_in})"#
    );
    let answered = r#"(func $after (export "cabi_post_cellblock:format/formatter@0.1.5#format") (param i32)
        (loop $again (br $again)))"#;
    let reallocation = format!(
        r#"(func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {loop_in})"#
    );
    let before = "the guest 'hostile' was stopped after 1 seconds";
    withstand(
        "time without end",
        vec![
            endless("an endless loop", ""),
            endless(
                "endless logging",
                "(call $log (i32.const 2) (i32.const 0) (i32.const 7))",
            ),
            endless(
                "endless rewinding of the tree",
                "(global.set $free (i32.const 4096)) (call $rewind) (call $next (i32.const 100) (i32.const 1024))",
            ),
            endless(
                "endless sums over the tree",
                "(call $sum (i32.const 0) (i32.const 1024))",
            ),
            endless(
                "endless reads of a file",
                "(global.set $free (i32.const 4096)) (call $read_file (i32.const 1) (i64.const 0) (i32.const 100000) (i32.const 1024))",
            ),
            endless(
                "endless reads of the partition",
                "(global.set $free (i32.const 4096)) (call $read (local.get $p) (i64.const 1048576) (i64.const 0) (i32.const 1024))",
            ),
            endless(
                "endless writes",
                "(call $write (local.get $p) (i32.const 65536) (i32.const 1048576) (i64.const 0) (i32.const 1024))",
            ),
            endless(
                "endless refusals of a path",
                "(call $open (local.get $p) (i32.const 0) (i32.const 34) (i32.const 11) (i32.const 0) (i32.const 1) (i32.const 1024))",
            ),
            endless(
                "endless requests to grow the partition",
                "(call $set_size (local.get $p) (i64.const -1) (i32.const 1024))",
            ),
            stopped(
                "endless tail calls",
                "(func $format (param $p i32) (result i32) (return_call $format (local.get $p)))",
            ),
            stopped("an answer that is never given back", answered),
            formatter(
                "an endless start",
                DEADLINE,
                "(func $begin (loop $again (br $again))) (start $begin)",
            )
            .seconds(1)
            .not_loaded(before),
            formatter("an endless description", DEADLINE, &describe)
                .seconds(1)
                .not_loaded(before),
            stopped("an allocation that never ends", &reallocation),
        ],
    );
}

#[test]
fn the_stack() {
    let refused = "the guest 'hostile' failed: wasm trap: call stack exhausted\n";
    withstand(
        "the stack",
        vec![
            formatter("endless recursion", "stack limit", "(func $format (param $p i32) (result i32) (i32.add (call $format (local.get $p)) (i32.const 1)))").refused(refused),
            formatter("endless recursion of two", "stack limit", "(func $format (param $p i32) (result i32) (i32.add (call $other (local.get $p)) (i32.const 1))) (func $other (param $p i32) (result i32) (i32.add (call $format (local.get $p)) (i32.const 1)))").refused(refused),
            formatter("endless indirect recursion", "stack limit", "(table 1 funcref) (elem (i32.const 0) $format) (type $f (func (param i32) (result i32))) (func $format (type $f) (i32.add (call_indirect (type $f) (local.get 0) (i32.const 0)) (i32.const 1)))").refused(refused),
        ],
    );
}
