//! Guests that take what there is.

use super::modules::with_instances;
use super::runner::{bytes, formatter, withstand};
use super::template::format;

const MEBIBYTE: u64 = 1 << 20;

#[test]
fn memory_without_bound() {
    let padding = r#"(data (i32.const 2048) "\01\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00" "\01\00\00\00\00\00\00\00" "\ff\ff\ff\ef\00\00\00\00")"#;
    let resource = r#"(import "[export]hostile:more/things" "[resource-new]thing" (func $new (param i32) (result i32)))"#;
    let tables = "(table 2000 funcref)".repeat(60);
    let many_tables = "(table 1 funcref)".repeat(100);
    withstand(
        "memory, tables, instances, handles",
        vec![
            formatter("memory 16 MiB at a time", "memory limit", &format("(loop $again (br_if $again (i32.ne (memory.grow (i32.const 256)) (i32.const -1)))) (unreachable)"))
                .refused("the guest 'hostile' exceeded a limit: it asked for 67174400 bytes of memory, and the limit is 67108864\n"),
            formatter("4 GiB of memory from the start", "memory limit", r#"(memory (export "memory") 65536)"#)
                .not_loaded("exceeded a limit: it asked for 4294967296 bytes of memory, and the limit is 67108864"),
            formatter("many memories", "memory limit", &"(memory 50)".repeat(40))
                .not_loaded("exceeded a limit: it asked for"),
            formatter("a table that grows", "table limit", &format!("(table $t 0 funcref) {}", format("(loop $again (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 10000)) (i32.const -1)))) (unreachable)")))
                .refused("exceeded a limit: it asked for 110000 table elements, and the limit is 100000\n"),
            formatter("large tables from the start", "table limit", &tables)
                .not_loaded("exceeded a limit: it asked for"),
            formatter("a hundred tables", "table limit", &format!("{many_tables} {}", format("(call $rewind) (call $next (i32.const 1) (i32.const 1024)) (i32.const -1)")))
                .not_loaded("table"),
            bytes("two hundred instances", "instance limit", with_instances(200))
                .not_loaded("instance count too high"),
            formatter("resources of its own", "handle limit", &format!("{resource} {}", format("(loop $again (drop (call $new (i32.const 0))) (br $again)) (unreachable)")))
                .refused("cannot allocate another handle: store handle limit exceeded\n"),
            formatter("a padding of 4 GiB", "nothing is buffered", &format!("{padding} {}", format("(call $place (i32.const 2048) (i32.const 1) (i32.const 1024)) (i32.const -1)")))
                .size("5GiB"),
            formatter("a message of 300 MiB", "limit of one call", &format("(drop (memory.grow (i32.const 4800))) (call $log (i32.const 2) (i32.const 0) (i32.const 314572800)) (i32.const -1)"))
                .memory(400 * MEBIBYTE)
                .refused("too much data is being copied between the host and the guest"),
            formatter("a write of 300 MiB", "limit of one call", &format("(drop (memory.grow (i32.const 4800))) (call $write (local.get $p) (i32.const 0) (i32.const 314572800) (i64.const 0) (i32.const 1024)) (i32.const -1)"))
                .memory(400 * MEBIBYTE)
                .refused("too much data is being copied between the host and the guest"),
            formatter("a batch of 3 million placements", "deadline", &million(3_000_000))
                .size("16MiB")
                .memory(300 * MEBIBYTE)
                .seconds(2)
                .refused("was stopped after 2 seconds"),
        ],
    );
}

/// Places single bytes of a file two bytes apart, all at once.
fn million(count: u32) -> String {
    format(&format!(
        "(drop (memory.grow (i32.const 2000)))
         (loop $again
           (i32.store (i32.add (i32.const 65536) (i32.mul (local.get $i) (i32.const 40))) (i32.const 1))
           (i64.store (i32.add (i32.const 65552) (i32.mul (local.get $i) (i32.const 40))) (i64.extend_i32_u (i32.mul (local.get $i) (i32.const 2))))
           (i64.store (i32.add (i32.const 65560) (i32.mul (local.get $i) (i32.const 40))) (i64.const 1))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $again (i32.lt_u (local.get $i) (i32.const {count}))))
         (call $place (i32.const 65536) (i32.const {count}) (i32.const 1024))
         (i32.const -1)"
    ))
}
