//! Guests that read and place what they may not: the tree has the root 0, a file 1 of 100,000 bytes, and a file 2 of
//! 524,288 bytes that is one hole.

use super::runner::{Attack, formatter, withstand};
use super::template::format;

/// A placement: file, first byte in the file, first byte in the partition, length, padding.
type Record = (u32, u64, u64, u64, u32);

const PLACEMENTS: &str = "check of placements";
const READS: &str = "check of reads";
/// Returns the error of a placement, if there is one.
const REFUSE: &str = "(if (i32.load8_u (i32.const 1024))
  (then (call $refuse (i32.const 8) (i32.load8_u (i32.const 1028))) (return (i32.const -2))))";

/// The records as text, from address 2048 on.
fn data(records: &[Record]) -> String {
    let mut bytes = Vec::new();
    for (file, file_offset, offset, length, padding) in records {
        bytes.extend_from_slice(&u64::from(*file).to_le_bytes());
        for number in [*file_offset, *offset, *length, u64::from(*padding)] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!("(data (i32.const 2048) \"{escaped}\")")
}

fn place(name: &str, records: &[Record]) -> Attack {
    let count = records.len();
    let body = format!(
        "(call $place (i32.const 2048) (i32.const {count}) (i32.const 1024)) {REFUSE} (i32.const -1)"
    );
    formatter(
        name,
        PLACEMENTS,
        &format!("{}{}", data(records), format(&body)),
    )
}

fn refused(name: &str, records: &[Record], cause: &str) -> Attack {
    let end = if cause.ends_with('\n') { "" } else { ": " };
    place(name, records).refused(format!(
        "it asked for a placement that cannot be: {cause}{end}"
    ))
}

/// Reads, and refuses with the error, which the contract's `tree` has at 1028.
fn read(name: &str, file: u32, offset: i64, length: i64) -> Attack {
    let call = format!(
        "(call $read_file (i32.const {file}) (i64.const {offset}) (i32.const {length}) (i32.const 1024))"
    );
    told(name, &call)
}

fn told(name: &str, call: &str) -> Attack {
    let body = format!(
        "{call} (if (i32.load8_u (i32.const 1024))
           (then (call $refuse (i32.const 7) (i32.load8_u (i32.const 1028))) (return (i32.const -2)))) (i32.const -1)"
    );
    formatter(name, READS, &format(&body))
}

#[test]
fn reads() {
    let no_file = "it asked for the content of something that is no file\n";
    let outside = "it asked for content outside a file\n";
    withstand(
        "reads",
        vec![
            read("a file that is not in the tree", 3, 0, 1).refused(no_file),
            read("the file 2^32 - 1", u32::MAX, 0, 1).refused(no_file),
            read("the content of a directory", 0, 0, 1).refused(no_file),
            read("a byte past the end", 1, 100_000, 1).refused(outside),
            read("a range across the end", 1, 99_999, 2).refused(outside),
            read("a range that wraps around", 1, -1, 2).refused(outside),
            read("a range at 2^63", 1, i64::MIN, 1).refused(outside),
            read("2^32 - 1 bytes", 1, 0, -1).refused(outside),
            told("holes of what is not in the tree", "(call $ranges (i32.const 9) (i32.const 1024))").refused(no_file),
            told("holes of a directory", "(call $ranges (i32.const 0) (i32.const 1024))").refused(no_file),
            formatter("nodes after the last one", READS, &format(
                "(call $next (i32.const -1) (i32.const 1024)) (call $next (i32.const -1) (i32.const 1024))
                 (if (i32.load (i32.const 1028)) (then (unreachable))) (i32.const -1)")),
        ],
    );
}

#[test]
fn placements() {
    const END: u64 = 1 << 20;
    let (past_file, past_end, covers) = (
        "it reaches past the end of its file",
        "it reaches past the end of the partition",
        "it covers other content",
    );
    let written = |first: &str, second: &str| {
        let body = format!("{first} {second} {REFUSE} (i32.const -1)");
        format!("{}{}", data(&[(1, 0, 4096, 4096, 0)]), format(&body))
    };
    let place_one = "(call $place (i32.const 2048) (i32.const 1) (i32.const 1024))";
    let write = "(call $write (local.get $p) (i32.const 0) (i32.const 8) (i64.const 8190) (i32.const 1024))";
    withstand(
        "placements",
        vec![
            refused("what is not in the tree", &[(7, 0, 0, 1, 0)], "it is of no file"),
            refused("a directory", &[(0, 0, 0, 0, 0)], "it is of no file"),
            refused("more than a file has", &[(1, 0, 0, 100_001, 0)], past_file),
            refused("a file's range that wraps around", &[(1, u64::MAX, 0, 2, 0)], past_file),
            refused("a file's range of 2^64 - 1", &[(1, 1, 0, u64::MAX, 0)], past_file),
            refused("past the end", &[(1, 0, END - 1, 2, 0)], past_end),
            refused("at 2^63", &[(1, 0, 1 << 63, 1, 0)], past_end),
            refused("at 2^64 - 1", &[(1, 0, u64::MAX, 1, 0)], past_end),
            refused("a padding past the end", &[(1, 0, END - 8, 4, 5)], past_end),
            refused("a padding of 2^32 - 1", &[(1, 0, 0, 1, u32::MAX)], past_end),
            refused("the same twice", &[(1, 0, 0, 4096, 0), (1, 0, 0, 4096, 0)], covers),
            refused("one inside another", &[(1, 0, 0, 65536, 0), (2, 0, 4096, 1, 0)], covers),
            refused("a padding over another", &[(1, 0, 4096, 4096, 0), (1, 0, 0, 4096, 1)], covers),
            refused("an empty one, given back", &[(1, 0, 0, 9, 0), (1, 0, 900_000, 0, 0), (9, 0, 0, 1, 0)], "it is of no file"),
            formatter("over what is written", PLACEMENTS, &written(write, place_one))
                .refused(format!("it asked for a placement that cannot be: {covers}: ")),
            formatter("a write over what is placed", PLACEMENTS, &format!("{}{}", data(&[(1, 0, 4096, 4096, 0)]), format(&format!(
                "{place_one} {write} (if (i32.load8_u (i32.const 1024)) (then (return (i32.load8_u (i32.const 1032))))) (i32.const -1)"))))
                .refused("it could not use its partition: busy"),
            refused("more than a file has, told with its numbers", &[(1, 5, 0, 100_000, 0)],
                "it reaches past the end of its file: 100 000 bytes of /data from byte 5 on; the file has 100 000 bytes\n"),
            refused("a padding past the end, told with its numbers", &[(1, 0, END - 8, 4, 5)],
                "it reaches past the end of the partition: 4 bytes of /data from byte 0 on and 5 of padding, at byte 1 048 568 of \
                 a partition that has 1 048 576 bytes\n"),
            refused("a directory, told by its name", &[(1, 0, 0, 9, 0), (0, 0, 9, 0, 0)], "it is of no file: /, a directory\n"),
            refused("what is placed, told with its place", &[(1, 0, 0, 65536, 0), (2, 0, 4096, 8, 0)],
                "it covers other content: 8 bytes of /holes from byte 0 on, at byte 4096 of the partition, where 8 bytes from byte \
                 4096 on were placed before\n"),
            formatter("what is written, told with its place", PLACEMENTS, &written(write, place_one))
                .refused("it covers other content: 4096 bytes of /data from byte 0 on, at byte 4096 of the partition, where 2 bytes \
                          from byte 8190 on were written before\n"),
            formatter("a write over what is placed, told with its place", PLACEMENTS, &format!("{}{}", data(&[(1, 0, 4096, 4096, 0)]), format(&format!(
                "{place_one} {write} (if (i32.load8_u (i32.const 1024)) (then (return (i32.load8_u (i32.const 1032))))) (i32.const -1)"))))
                .refused(": a write of 8 bytes at byte 8190, where 2 bytes from byte 8190 on were placed, and what is placed cannot be written\n"),
            place("holes", &[(2, 0, 0, 524_288, 0), (2, 0, 524_288, 524_288, 0)]),
            place("an empty one at the end", &[(1, 100_000, END, 0, 0)]),
            formatter("records from outside its memory", "checked addresses", &format("(call $place (i32.const 65528) (i32.const 1000) (i32.const 1024)) (i32.const -1)"))
                .refused("the guest 'hostile' failed: "),
            formatter("2^32 - 1 records", "checked addresses", &format("(call $place (i32.const 0) (i32.const -1) (i32.const 1024)) (i32.const -1)"))
                .refused("the guest 'hostile' failed: "),
            formatter("a million single bytes", "queue of the host", &format(
                "(drop (memory.grow (i32.const 700)))
                 (loop $again
                   (i32.store (i32.add (i32.const 65536) (i32.mul (local.get $i) (i32.const 40))) (i32.const 1))
                   (i64.store (i32.add (i32.const 65552) (i32.mul (local.get $i) (i32.const 40))) (i64.extend_i32_u (local.get $i)))
                   (i64.store (i32.add (i32.const 65560) (i32.mul (local.get $i) (i32.const 40))) (i64.const 1))
                   (local.set $i (i32.add (local.get $i) (i32.const 1)))
                   (br_if $again (i32.lt_u (local.get $i) (i32.const 1000000))))
                 (call $place (i32.const 65536) (i32.const 1000000) (i32.const 1024))
                 (if (i32.load8_u (i32.const 1024)) (then (unreachable)))
                 (i32.const -1)")),
        ],
    );
}

/// A run of the records, with so many bytes of the guest's own from `offset` on.
fn compose(offset: u64, own: u32, records: &[Record]) -> String {
    let (offset, count) = (offset.cast_signed(), records.len());
    format!(
        "(call $compose (i64.const {offset}) (i32.const 0) (i32.const {own}) (i32.const 2048) (i32.const {count}) (i32.const 1024))"
    )
}

fn run(name: &str, offset: u64, own: u32, records: &[Record]) -> Attack {
    let body = format!("{} {REFUSE} (i32.const -1)", compose(offset, own, records));
    let text = format!("{}{}", data(records), format(&body));
    formatter(name, PLACEMENTS, &text)
}

#[test]
fn runs() {
    const END: u64 = 1 << 20;
    let (past_file, past_end, covers) = (
        "it reaches past the end of its file",
        "it reaches past the end of the partition",
        "it covers other content",
    );
    let refused = |name: &str, offset: u64, own: u32, records: &[Record], cause: &str| {
        run(name, offset, own, records).refused(format!(
            "it asked for a placement that cannot be: {cause}: "
        ))
    };
    let records = [(1, 0, 4200, 100, 0)];
    let one = compose(4096, 200, &records);
    let after = |name: &str, first: &str, then: &str| {
        let body = format!("{first} {then} {REFUSE} (i32.const -1)");
        let text = format!("{}{}", data(&records), format(&body));
        formatter(name, PLACEMENTS, &text).refused(format!(
            "it asked for a placement that cannot be: {covers}: "
        ))
    };
    let write = |then: &str| {
        format!(
            "(call $write (local.get $p) (i32.const 0) (i32.const 8) (i64.const 4390) (i32.const 1024)) {then}"
        )
    };
    let busy = "(if (i32.load8_u (i32.const 1024)) (then (return (i32.load8_u (i32.const 1032)))))";
    let written_over = format!("{one} {} (i32.const -1)", write(busy));
    withstand(
        "runs of content and bytes",
        vec![
            refused("what is not in the tree", 0, 9, &[(7, 0, 5, 1, 0)], "it is of no file"),
            refused("a directory", 0, 9, &[(0, 0, 0, 0, 0)], "it is of no file"),
            refused("more than a file has", 0, 9, &[(1, 1, 0, 100_000, 0)], past_file),
            refused("a file's range that wraps around", 0, 9, &[(1, u64::MAX, 0, 2, 0)], past_file),
            refused("content before the run", 100, 9, &[(1, 0, 99, 1, 0)], covers),
            refused("content that the bytes do not reach", 0, 9, &[(1, 0, 10, 1, 0)], past_end),
            refused("content at 2^64 - 1", 0, 9, &[(1, 0, u64::MAX, 1, 0)], past_end),
            refused("content in no order", 0, 99, &[(1, 0, 50, 9, 0), (1, 0, 40, 9, 0)], covers),
            refused("content over content", 0, 99, &[(1, 0, 50, 9, 0), (1, 0, 58, 9, 0)], covers),
            refused("a padding over content", 0, 99, &[(1, 0, 50, 9, 9), (1, 0, 60, 9, 0)], covers),
            refused("a run across the end", END - 10, 9, &[(1, 0, END - 10, 2, 0)], past_end),
            refused("a padding of 2^32 - 1", 0, 9, &[(1, 0, 0, 1, u32::MAX)], past_end),
            refused("a run at 2^64 - 1", u64::MAX, 1, &[], past_end),
            refused("a run that wraps around", u64::MAX - 9, 9, &[(1, 0, u64::MAX - 5, 9, 0)], past_end),
            after("a run twice", &one, &one),
            after("a run over what is written", &write(""), &one),
            formatter("a write over a run", PLACEMENTS, &format!("{}{}", data(&records), format(&written_over)))
                .refused("it could not use its partition: busy"),
            run("an empty run at the end", END, 0, &[(1, 9, END, 0, 0)]),
            run("holes with bytes around them", 4096, 4096, &[(2, 0, 5000, 524_288, 0), (2, 0, 529_999, 99_999, 1)]),
            formatter("records from outside its memory", "checked addresses", &format("(call $compose (i64.const 0) (i32.const 0) (i32.const 8) (i32.const 65528) (i32.const 1000) (i32.const 1024)) (i32.const -1)"))
                .refused("the guest 'hostile' failed: "),
            formatter("bytes from outside its memory", "checked addresses", &format("(call $compose (i64.const 0) (i32.const 65530) (i32.const 4096) (i32.const 0) (i32.const 0) (i32.const 1024)) (i32.const -1)"))
                .refused("the guest 'hostile' failed: "),
            formatter("a run of 300 MiB", "limit of one call", &format("(drop (memory.grow (i32.const 4800))) (call $compose (i64.const 0) (i32.const 0) (i32.const 314572800) (i32.const 0) (i32.const 0) (i32.const 1024)) (i32.const -1)"))
                .memory(400 << 20)
                .refused("too much data is being copied between the host and the guest"),
            formatter("runs of 64 MiB, one behind the other", "queue of the host", &format(
                "(drop (memory.grow (i32.const 1024)))
                 (loop $again
                   (call $compose (i64.mul (i64.extend_i32_u (local.get $i)) (i64.const 67108864)) (i32.const 0) (i32.const 67108864) (i32.const 0) (i32.const 0) (i32.const 1024))
                   (local.set $i (i32.add (local.get $i) (i32.const 1)))
                   (br_if $again (i32.eqz (i32.load8_u (i32.const 1024)))))
                 (if (i32.ne (local.get $i) (i32.const 9)) (then (unreachable)))
                 (i32.const -1)"))
                .size("512MiB")
                .memory(80 << 20),
            formatter("a million single bytes among others", "queue of the host", &format(
                "(drop (memory.grow (i32.const 700)))
                 (loop $again
                   (i32.store (i32.add (i32.const 65536) (i32.mul (local.get $i) (i32.const 40))) (i32.const 1))
                   (i64.store (i32.add (i32.const 65552) (i32.mul (local.get $i) (i32.const 40))) (i64.extend_i32_u (i32.mul (local.get $i) (i32.const 2))))
                   (i64.store (i32.add (i32.const 65560) (i32.mul (local.get $i) (i32.const 40))) (i64.const 1))
                   (local.set $i (i32.add (local.get $i) (i32.const 1)))
                   (br_if $again (i32.lt_u (local.get $i) (i32.const 1000000))))
                 (call $compose (i64.const 0) (i32.const 0) (i32.const 1000000) (i32.const 65536) (i32.const 1000000) (i32.const 1024))
                 (if (i32.load8_u (i32.const 1024)) (then (unreachable)))
                 (i32.const -1)"))
                .size("4MiB"),
        ],
    );
}
