//! Guests that abuse what compresses and compares for them. The tree has a file of 100,000 bytes, node 1, and one of 512 KiB
//! of holes, node 2.

use super::runner::{Attack, formatter, withstand};
use super::template::format;

const BUDGET: &str = "budget of the tree";
const PIECES: &str = "numbers of the call";
const RANGES: &str = "checked ranges";
const SETTINGS: &str = "checked settings";
const DEADLINE: &str = "deadline";
const CROSSING: &str = "bound of a crossing";

/// The cases of `encode-error`.
const SETTINGS_ERROR: u32 = 0;
const BLOCK: u32 = 1;
const EXHAUSTED: u32 = 2;
const PIECE: u32 = 3;
const PLACE: u32 = 4;
const FAILED: u32 = 5;

/// Zstandard, level 3, in units of 512 bytes.
const ZSTD: [i64; 6] = [3, 3, 0, 0, 0, 512];

/// One block of one span at 2048, and its count at 2040.
const ONE: &str = "(i32.const 2040) (i32.const 1) (i32.const 2048) (i32.const 1) (i32.const 1024)";

fn numbers(settings: [i64; 6]) -> String {
    settings
        .map(|number| format!("(i32.const {number})"))
        .join(" ")
}

/// Writes the one block.
fn span(file: i64, offset: i64, length: i64) -> String {
    format!(
        "(i32.store (i32.const 2040) (i32.const 1)) (i32.store (i32.const 2048) (i32.const {file}))
         (i64.store (i32.const 2056) (i64.const {offset})) (i64.store (i32.const 2064) (i64.const {length}))"
    )
}

/// Asks for the one block.
fn encode(settings: [i64; 6]) -> String {
    format!("(call $encode {} {ONE})", numbers(settings))
}

/// The last answer must be this error.
fn refused_as(error: u32) -> String {
    format!(
        "(if (i32.ne (i32.load8_u (i32.const 1024)) (i32.const 1)) (then (unreachable)))
         (if (i32.ne (i32.load8_u (i32.const 1028)) (i32.const {error})) (then (unreachable)))"
    )
}

/// The last answer must be none.
const WELL: &str = "(if (i32.load8_u (i32.const 1024)) (then (unreachable)))";

/// Writes a placement of a piece at 3072, and asks for it.
fn place(piece: i64, offset: i64, zeros: i64) -> String {
    format!(
        "(i32.store (i32.const 3072) (i32.const {piece})) (i64.store (i32.const 3080) (i64.const {offset}))
         (i32.store (i32.const 3088) (i32.const {zeros})) (i32.store (i32.const 3092) (i32.const {zeros}))
         (call $place_pieces (i32.const 3072) (i32.const 1) (i32.const 1024))"
    )
}

/// Has the file's first 50,000 bytes encoded as piece 0.
fn one_piece() -> String {
    format!(
        "{} {} {WELL} (call $pieces (i32.const 9) (i32.const 1024)) {WELL}",
        span(1, 0, 50_000),
        encode(ZSTD)
    )
}

/// It must run to its end, and have no effect.
fn harmless(name: &str, wall: &'static str, body: &str) -> Attack {
    formatter(name, wall, &format(&format!("{body} (i32.const -1)")))
}

fn bad_span(name: &str, file: i64, offset: i64, length: i64) -> Attack {
    let body = format!(
        "{} {} {}",
        span(file, offset, length),
        encode(ZSTD),
        refused_as(BLOCK)
    );
    harmless(name, RANGES, &body)
}

fn bad_settings(name: &str, settings: [i64; 6]) -> Attack {
    let body = format!(
        "{} {} {}",
        span(1, 0, 50_000),
        encode(settings),
        refused_as(SETTINGS_ERROR)
    );
    harmless(name, SETTINGS, &body)
}

fn no_piece(name: &str, before: &str, piece: i64) -> Attack {
    let body = format!(
        "{before} {} {} (call $bytes (i32.const {piece}) (i32.const 1024)) {}",
        place(piece, 0, 0),
        refused_as(PIECE),
        refused_as(PIECE)
    );
    harmless(name, PIECES, &body)
}

#[test]
fn handles_of_pieces() {
    let twice = format!(
        "{} {} {WELL} {} {}",
        one_piece(),
        place(0, 0, 0),
        place(0, 4096, 0),
        refused_as(PIECE)
    );
    let kept_after = format!(
        "{} {} {WELL} (call $bytes (i32.const 0) (i32.const 1024)) {}",
        one_piece(),
        place(0, 0, 0),
        refused_as(PIECE)
    );
    let measure = format!(
        r#"(func $measure (export "cellblock:format/formatter@0.1.5#measure")
          (param i32 i32 i64 i64 i32 i32 i32 i64 i64 i64 i64 i64 i32 i32 i32 i32) (result i32)
          {} {} {} (call $measured (i64.const 1048576)))"#,
        one_piece(),
        place(0, 0, 0),
        refused_as(FAILED)
    );
    withstand(
        "handles of pieces",
        vec![
            no_piece("a piece where none was asked for", "", 0),
            no_piece("a forged piece", &one_piece(), 77),
            no_piece("a piece of number -1", &one_piece(), -1),
            no_piece(
                "a piece that is not told yet",
                &format!("{} {}", span(1, 0, 50_000), encode(ZSTD)),
                0,
            ),
            no_piece(
                "a piece that was not kept",
                &format!(
                    "{} {} (call $pieces (i32.const 9) (i32.const 1024))",
                    span(1, 0, 100),
                    encode(ZSTD)
                ),
                0,
            ),
            harmless("a piece that is placed twice", PIECES, &twice),
            harmless("the bytes of a piece that is placed", PIECES, &kept_after),
            formatter("a piece that measure places", PIECES, &measure).size("minimum"),
        ],
    );
}

#[test]
fn places_of_pieces() {
    let at = |name: &str, offset: i64, zeros: i64| {
        harmless(
            name,
            RANGES,
            &format!(
                "{} {} {}",
                one_piece(),
                place(0, offset, zeros),
                refused_as(PLACE)
            ),
        )
    };
    let overlap = format!(
        "{} (call $encode {} {ONE}) {WELL} (call $pieces (i32.const 9) (i32.const 1024)) {} {WELL} {} {}",
        one_piece(),
        numbers([3, 4, 0, 0, 0, 512]),
        place(0, 8192, 0),
        place(1, 8193, 0),
        refused_as(PLACE)
    );
    withstand(
        "places of pieces",
        vec![
            at("a piece at the end", 1 << 20, 0),
            at("a piece into what follows", (1 << 20) + 512, 0),
            at("a piece before the start", -512, 0),
            at("a piece at 2^63", i64::MIN, 0),
            at("a piece with 4 GiB of zeros around it", 0, -1),
            harmless("a piece over another", RANGES, &overlap),
        ],
    );
}

#[test]
fn ranges_of_blocks() {
    let counts = |name: &str, count: i64| {
        let body = format!(
            "{} (i32.store (i32.const 2040) (i32.const {count})) {} {}",
            span(1, 0, 1),
            encode(ZSTD),
            refused_as(BLOCK)
        );
        harmless(name, RANGES, &body)
    };
    withstand(
        "ranges of blocks",
        vec![
            bad_span("a directory", 0, 0, 1),
            bad_span("a node that is none", 99, 0, 1),
            bad_span("node -1", -1, 0, 1),
            bad_span("an empty range", 1, 0, 0),
            bad_span("a range past the end", 1, 99_999, 2),
            bad_span("a range at 2^63", 1, i64::MIN, 1),
            bad_span("a range that wraps around", 1, 1, -1),
            bad_span("an endless range", 2, 0, i64::MAX),
            counts("a block without ranges", 0),
            counts("a block of more ranges than there are", 2),
            counts("a block of 2^32 - 1 ranges", -1),
            bad_settings("level 99", [3, 99, 0, 0, 0, 512]),
            bad_settings("a window of 2 GiB", [3, 3, 1 << 31, 0, 0, 512]),
            bad_settings("a dictionary of 1.5 GiB", [4, 9, 1536 << 20, 0, 0, 512]),
            bad_settings("pieces of one byte", [2, 0, 0, 0, 1, 1]),
            bad_settings("pieces in units of one byte", [2, 0, 0, 0, 4096, 1]),
            formatter(
                "a method that is none",
                SETTINGS,
                &format(&format!(
                    "{} {} (i32.const -1)",
                    span(1, 0, 1),
                    encode([6, 3, 0, 0, 0, 512])
                )),
            )
            .refused("the guest 'hostile' failed: "),
        ],
    );
}

#[test]
fn more_than_there_is_to_encode() {
    let waiting = format!(
        "(call $pieces (i32.const -1) (i32.const 1024)) {WELL} (if (i32.load (i32.const 1032)) (then (unreachable))) {} (i32.const -1)",
        "(call $pieces (i32.const 0) (i32.const 1024))"
    );
    // A million blocks of one byte in each call: counts from 1 MiB on, and spans from 8 MiB on.
    let million = format!(
        "(drop (memory.grow (i32.const 600)))
         (loop $fill
           (i32.store (i32.add (i32.const 1048576) (i32.mul (local.get $i) (i32.const 4))) (i32.const 1))
           (i32.store (i32.add (i32.const 8388608) (i32.mul (local.get $i) (i32.const 24))) (i32.const 1))
           (i64.store (i32.add (i32.const 8388616) (i32.mul (local.get $i) (i32.const 24)))
             (i64.extend_i32_u (i32.rem_u (local.get $i) (i32.const 99990))))
           (i64.store (i32.add (i32.const 8388624) (i32.mul (local.get $i) (i32.const 24)))
             (i64.add (i64.const 1) (i64.extend_i32_u (i32.div_u (local.get $i) (i32.const 99990)))))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $fill (i32.lt_u (local.get $i) (i32.const 1000000))))
         (loop $again
           (call $encode {} (i32.const 1048576) (i32.const 1000000) (i32.const 8388608) (i32.const 1000000) (i32.const 1024))
           (br_if $again (i32.eqz (i32.load8_u (i32.const 1024))))) {} (i32.const -1)",
        numbers([2, 0, 0, 0, 0, 1]),
        refused_as(EXHAUSTED)
    );
    // The same block again and again.
    let again = format!(
        "{} (loop $again {} (br_if $again (i32.eqz (i32.load8_u (i32.const 1024))))) {} (i32.const -1)",
        span(1, 0, 100_000),
        encode(ZSTD),
        refused_as(EXHAUSTED)
    );
    // Inputs of 1 MiB that are all the same memory: pairs of address and length.
    let aliased = |count: u32| {
        format!(
            "(drop (memory.grow (i32.const 64)))
             (loop $fill
               (i32.store (i32.add (i32.const 2097152) (i32.mul (local.get $i) (i32.const 8))) (i32.const 65536))
               (i32.store (i32.add (i32.const 2097156) (i32.mul (local.get $i) (i32.const 8))) (i32.const 1048576))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $fill (i32.lt_u (local.get $i) (i32.const {count}))))
             (call $encode_bytes {} (i32.const 2097152) (i32.const {count}) (i32.const 1024))",
            numbers([4, 0, 0, 0, 0, 1])
        )
    };
    withstand(
        "more than there is to encode",
        vec![
            formatter("results that were not asked for", PIECES, &format(&waiting)),
            formatter(
                "a million blocks that are never placed",
                BUDGET,
                &format(&million),
            )
            .memory(128 << 20),
            formatter("one block without end", BUDGET, &format(&again)),
            formatter(
                "its own memory, a hundred times",
                BUDGET,
                &format(&format!(
                    "{} {} (i32.const -1)",
                    aliased(100),
                    refused_as(EXHAUSTED)
                )),
            ),
            formatter(
                "its own memory, a thousand times",
                CROSSING,
                &format(&format!("{} (i32.const -1)", aliased(1000))),
            )
            .refused("too much data is being copied between the host and the guest"),
        ],
    );
}

#[test]
fn time_of_codecs() {
    // The slowest settings on ever other ranges of the file, and no look at what comes of them but the last.
    let slow = |then: &str| {
        format!(
            "{} (loop $again
               (i64.store (i32.const 2056) (i64.extend_i32_u (local.get $i)))
               {}
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $again (i32.eqz (i32.load8_u (i32.const 1024))))) {then} (i32.const -1)",
            span(1, 0, 90_000),
            encode([4, 109, 0, 0, 0, 1])
        )
    };
    let pieces = "(loop $more (call $pieces (i32.const 1) (i32.const 1024)) (br $more))";
    withstand(
        "time of codecs",
        vec![
            formatter(
                "slow blocks that nobody waits for",
                BUDGET,
                &format(&slow("")),
            ),
            formatter("results without end", DEADLINE, &format(&slow(pieces)))
                .seconds(1)
                .refused("was stopped after 1 second"),
        ],
    );
}

#[test]
fn digests() {
    let error = |call: &str, case: u32| format!("{call} {}", refused_as(case));
    let files = |file: i64| {
        format!(
            "(i32.store (i32.const 2048) (i32.const {file})) (call $digests (i32.const 2048) (i32.const 1) (i32.const 1024))"
        )
    };
    let blocks = |file: i64, size: i64| {
        format!("(call $block_digests (i32.const {file}) (i32.const {size}) (i32.const 1024))")
    };
    // So many times node 1: the list alone has 4 MiB.
    let many = |count: u32, then: &str| {
        format!(
            "(drop (memory.grow (i32.const 80)))
             (loop $fill
               (i32.store (i32.add (i32.const 65536) (i32.mul (local.get $i) (i32.const 4))) (i32.const 1))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $fill (i32.lt_u (local.get $i) (i32.const {count}))))
             (call $digests (i32.const 65536) (i32.const {count}) (i32.const 1024)) {then} (i32.const -1)"
        )
    };
    withstand(
        "digests",
        vec![
            harmless("the digest of a directory", RANGES, &error(&files(0), 0)),
            harmless(
                "the digest of a node that is none",
                RANGES,
                &error(&files(-1), 0),
            ),
            harmless(
                "digests of blocks of 0 bytes",
                RANGES,
                &error(&blocks(1, 0), 1),
            ),
            harmless(
                "digests of blocks of 1 byte",
                RANGES,
                &error(&blocks(1, 1), 1),
            ),
            harmless(
                "digests of blocks of 2 GiB",
                RANGES,
                &error(&blocks(1, 1 << 31), 1),
            ),
            formatter(
                "the digest of one file, a million times",
                "memory limit",
                &format(&many(1 << 20, "")),
            )
            .memory(32 << 20)
            .refused("the guest 'hostile' "),
            formatter(
                "the digest of one file, a million times and once more",
                RANGES,
                &format(&many((1 << 20) + 1, &refused_as(1))),
            ),
        ],
    );
}

/// The contract has no error of a formatter for what it had encoded: its host remembers what was wrong.
#[test]
fn refused_encodings_are_told_with_what_is_wrong() {
    let told = |name: &str, asked: &str, case: u32, what: &str| {
        let body = format!(
            "{asked} {} (call $refuse (i32.const 7) (i32.const 2)) (i32.const -2)",
            refused_as(case)
        );
        formatter(name, SETTINGS, &format(&body)).refused(format!(
            "the formatter 'hostile' says: it asked for an encoding that cannot be: {what}\n"
        ))
    };
    let block = |file: i64, offset: i64, length: i64| {
        format!("{} {}", span(file, offset, length), encode(ZSTD))
    };
    let twice = format!(
        "{} {} {WELL} {}",
        one_piece(),
        place(0, 0, 0),
        place(0, 65_536, 0)
    );
    withstand(
        "words for refused encodings",
        vec![
            told(
                "a level that is none",
                &format!("{} {}", span(1, 0, 9), encode([3, 99, 0, 0, 0, 512])),
                SETTINGS_ERROR,
                "zstd has no level 99; it has 1 to 22",
            ),
            told(
                "an empty block",
                &block(1, 0, 0),
                BLOCK,
                "block 0 of its batch has an empty span of /data",
            ),
            told(
                "a block past the end of its file",
                &block(1, 99_999, 2),
                BLOCK,
                "block 0 of its batch reaches past the end of its file: 2 bytes of /data from byte 99 999 on; the file has 100 000 bytes",
            ),
            told(
                "a block of a directory",
                &block(0, 0, 9),
                BLOCK,
                "block 0 of its batch is of no file: /, a directory",
            ),
            told(
                "a piece twice",
                &twice,
                PIECE,
                "piece 0, which was placed before",
            ),
            told(
                "a piece that was not told",
                &place(7, 0, 0),
                PIECE,
                "piece 7, of the 0 that it was told",
            ),
        ],
    );
}
