//! Guests that write, read and reach around their partition of 1 MiB.

use super::runner::{Attack, formatter, withstand};
use super::template::format;

const BOUNDS: &str = "the partition's bounds";

/// Calls, and refuses with the code that stands at `code`.
fn call(name: &str, wall: &'static str, call: &str, code: u32) -> Attack {
    let body = format!(
        "{call} (if (i32.eqz (i32.load8_u (i32.const 1024))) (then (return (i32.const -1)))) (i32.load8_u (i32.const {code}))"
    );
    formatter(name, wall, &format(&body))
}

fn could_not(cause: &str) -> String {
    format!("it could not use its partition: {cause}")
}

fn write(name: &str, offset: i64) -> Attack {
    let text = format!(
        "(call $write (local.get $p) (i32.const 0) (i32.const 8) (i64.const {offset}) (i32.const 1024))"
    );
    call(name, BOUNDS, &text, 1032).refused(could_not("insufficient-space"))
}

fn read(name: &str, offset: i64) -> Attack {
    let text =
        format!("(call $read (local.get $p) (i64.const 8) (i64.const {offset}) (i32.const 1024))");
    call(name, BOUNDS, &text, 1028).refused(could_not("invalid"))
}

fn size(name: &str, bytes: i64) -> Attack {
    let text = format!("(call $set_size (local.get $p) (i64.const {bytes}) (i32.const 1024))");
    call(name, BOUNDS, &text, 1025).refused(could_not("not-permitted"))
}

#[test]
fn around_the_partition() {
    let stream = |name: &str, function: &str| {
        call(
            name,
            "no streams",
            &format!("(call {function} (local.get $p) (i64.const 0) (i32.const 1024))"),
            1028,
        )
        .refused(could_not("unsupported"))
    };
    withstand(
        "around the partition",
        vec![
            write("a write across the end", (1 << 20) - 4),
            write("a write at the end", 1 << 20),
            write("a write into what follows", (1 << 20) + 512),
            write("a write at 4 GiB", 1 << 32),
            write("a write at 2^63", i64::MIN),
            write("a write before the start", -512),
            write("a write that wraps around", -4),
            read("a read past the end", (1 << 20) + 1),
            read("a read at 2^63", i64::MIN),
            read("a read before the start", -512),
            formatter("a read of 2^64 - 1 bytes", BOUNDS, &format(
                "(drop (memory.grow (i32.const 300)))
                 (call $read (local.get $p) (i64.const -1) (i64.const 0) (i32.const 1024))
                 (if (i32.ne (i32.load (i32.const 1032)) (i32.const 1048576)) (then (unreachable)))
                 (i32.const -1)")),
            formatter("bytes from outside its memory", "checked addresses", &format("(call $write (local.get $p) (i32.const 65530) (i32.const 4096) (i64.const 0) (i32.const 1024)) (i32.const -1)"))
                .refused("the guest 'hostile' failed: "),
            formatter("bytes from an address that wraps", "checked addresses", &format("(call $write (local.get $p) (i32.const -8) (i32.const 4096) (i64.const 0) (i32.const 1024)) (i32.const -1)"))
                .refused("the guest 'hostile' failed: "),
            formatter("an answer to outside its memory", "checked addresses", &format("(call $write (local.get $p) (i32.const 0) (i32.const 8) (i64.const 0) (i32.const -16)) (i32.const -1)"))
                .refused("the guest 'hostile' failed: "),
            size("growing to 4 GiB", 1 << 32),
            size("growing to 2^64 - 1", -1),
            size("cutting off all", 0),
            stream("a stream to read", "$read_via_stream"),
            stream("a stream to write", "$write_via_stream"),
            call("a stream to append", "no streams", "(call $append_via_stream (local.get $p) (i32.const 1024))", 1028)
                .refused(could_not("unsupported")),
            formatter("writes everywhere, and silence about it", BOUNDS, &format(
                "(call $write (local.get $p) (i32.const 0) (i32.const 8) (i64.const 1048576) (i32.const 1024))
                 (call $write (local.get $p) (i32.const 0) (i32.const 8) (i64.const -1048576) (i32.const 1024))
                 (call $write (local.get $p) (i32.const 0) (i32.const 8) (i64.const -4) (i32.const 1024))
                 (i32.const -1)")),
            formatter("all of its partition, with what is not zero", "nothing: it may", &format(
                "(drop (memory.grow (i32.const 32)))
                 (memory.fill (i32.const 65536) (i32.const 255) (i32.const 1048576))
                 (call $write (local.get $p) (i32.const 65536) (i32.const 1048576) (i64.const 0) (i32.const 1024))
                 (i32.load8_u (i32.const 1024))
                 (if (then (unreachable)))
                 (i32.const -1)")),
        ],
    );
}
