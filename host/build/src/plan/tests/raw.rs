//! What is written around the partitions, and into raw ones.

use super::*;

/// Two partitions of 1 MiB, called `a` and `b`, with entries for the disk.
fn disk(lines: &str, raw: &str) -> String {
    spec_of(
        &format!("{lines}\nraw = [{raw}]"),
        &[
            "name = \"a\"\nsize = \"1MiB\"",
            "name = \"b\"\nsize = \"1MiB\"",
        ],
    )
}

/// Offset and content of each piece, of which a file has 5,000 bytes.
fn pieces(plan: &Plan) -> Vec<(u64, RawContent)> {
    let pieces = plan.raw.iter();
    pieces
        .map(|piece| (piece.offset, piece.content.clone()))
        .collect()
}

fn file(name: &str) -> RawContent {
    RawContent::File(Path::new("/specs").join(name))
}

#[test]
fn files_are_written_in_gaps_and_addresses_after_them() {
    let plan = planned(&disk(
        "",
        "{ lba-of = \"b\", offset = 21000 }, { file = \"late\", offset = \"3MiB\", size = \"16KiB\" }, \
         { file = \"early\", offset = 20480 }, { lba-of = \"a\", plus = 1024, offset = 436 }",
    ));
    let expected = [
        (20_480, file("early")),
        (3 * MIB, file("late")),
        (436, RawContent::Bytes(vec![2, 8, 0, 0])),
        (21_000, RawContent::Bytes(vec![0, 16, 0, 0])),
    ];
    assert_eq!(pieces(&plan), expected);
    assert_eq!(plan.size, 4 * MIB);
}

#[test]
fn addresses_count_in_the_sectors_of_the_disk() {
    let plan = planned(&disk(
        "sector-size = 4096",
        "{ lba-of = \"b\", offset = 92 }",
    ));
    let expected = [(92, RawContent::Bytes(vec![0, 2, 0, 0]))];
    assert_eq!(pieces(&plan), expected);
}

#[test]
fn a_disk_is_as_large_as_what_is_written_behind_its_partitions() {
    let raw = "{ file = \"a\", offset = \"9MiB\" }";
    assert_eq!(planned(&disk("", raw)).size, 10 * MIB);
    let raw = "{ file = \"a\", offset = \"9MiB\", size = \"1020KiB\" }";
    assert_eq!(
        planned(&disk("", raw)).size,
        11 * MIB,
        "with the backup table"
    );
    assert_eq!(planned(&disk("table = \"mbr\"", raw)).size, 10 * MIB);
}

#[test]
fn an_address_goes_into_a_raw_partition() {
    let plan = planned(&spec_of(
        "",
        &[
            "raw = [{ lba-of = \"next\", offset = 8 }, { file = \"x\" }]",
            "name = \"next\"\nsize = 512",
        ],
    ));
    let expected = Fill::Raw(vec![
        RawPiece {
            content: file("x"),
            offset: 0,
            length: 5000,
        },
        RawPiece {
            content: RawContent::Bytes(vec![0, 16, 0, 0]),
            offset: 8,
            length: 4,
        },
    ]);
    assert_eq!(plan.partitions[0].fill, expected);
}

#[test]
fn what_would_be_written_over_is_named() {
    let cases = [
        (
            "",
            "{ file = \"boot.img\" }",
            "/specs/boot.img at bytes 0 to 5000 overlaps the partition table at bytes 440 to 17 408: \
             there is room for 440 bytes before it, and from 17408 on behind it",
        ),
        (
            "table = \"mbr\"",
            "{ lba-of = \"a\", offset = 437 }",
            "the address of partition 'a' at bytes 437 to 441 overlaps the partition table at bytes 440 to 512: \
             there is room for 440 bytes before it, and from 512 on behind it",
        ),
        (
            "size = \"4MiB\"",
            "{ file = \"x\", offset = 4190000, size = 3000 }",
            "/specs/x has 5000 bytes, and its `size` is 3000 bytes: 2000 bytes are too many",
        ),
        (
            "size = \"4MiB\"",
            "{ file = \"x\", offset = 4180000 }",
            "/specs/x at bytes 4 180 000 to 4 185 000 overlaps the partition table at bytes 4 177 408 to 4 194 304: \
             move it elsewhere",
        ),
        (
            "size = \"4MiB\"",
            "{ file = \"x\", offset = \"4MiB\" }",
            "/specs/x ends at 4 199 304 bytes, but the disk at 4 194 304 bytes (5000 bytes short)",
        ),
        (
            "",
            "{ file = \"x\", offset = 1048000 }",
            "/specs/x at bytes 1 048 000 to 1 053 000 overlaps partition 'a' (number 1) at bytes 1 048 576 to \
             2 097 152: what goes into a partition is written in the partition's own `raw`; to have the partition begin behind \
             this, give it an `offset` of \"2MiB\" or more",
        ),
        (
            "",
            "{ file = \"x\", offset = 20000 }, { file = \"y\", offset = 10, size = 400 }",
            "/specs/y has 5000 bytes, and its `size` is 400 bytes",
        ),
        (
            "",
            "{ file = \"x\", offset = 20000, size = 6000 }, { file = \"y\", offset = 25999 }",
            "/specs/y at bytes 25 999 to 30 999 overlaps /specs/x at bytes 20 000 to 26 000: move one of them",
        ),
        (
            "",
            "{ lba-of = \"a\", offset = 92 }, { lba-of = \"b\", offset = 95 }",
            "the address of partition 'b' at bytes 95 to 99 overlaps the address of partition 'a' at bytes 92 to 96",
        ),
        (
            "",
            "{ lba-of = \"c\", offset = 92 }",
            "there is no partition 'c'",
        ),
        (
            "",
            "{ lba-of = \"a\", plus = 100, offset = 92 }",
            "its `plus` of 100 bytes is no multiple of the sector of 512 bytes: write 0 or 512",
        ),
        (
            "",
            "{ lba-of = \"a\", plus = \"1MiB\", offset = 92 }",
            "`plus` of 1 048 576 bytes leads beyond partition 'a' (number 1), which has 1 048 576 bytes",
        ),
        (
            "",
            "{ file = \"x\", offset = \"18446744073709551615B\" }",
            "the disk would be longer than 9 223 372 036 854 775 807 bytes",
        ),
    ];
    for (lines, raw, message) in cases {
        let said = refusal(&disk(lines, raw));
        assert!(
            said.starts_with(&format!("error: {message}"))
                || said.starts_with(&format!("error: partition 'b' (number 2): {message}")),
            "{message} is not what is said:\n{said}"
        );
    }
}

#[test]
fn a_boot_record_is_not_written_over() {
    let source = spec_of(
        "table = \"mbr\"\nraw = [{ file = \"x\", offset = \"2MiB\" }]",
        &["number = 5\nsize = \"1MiB\"\noffset = \"3MiB\""],
    );
    let expected = "error: /specs/x at bytes 2 097 152 to 2 102 152 overlaps the boot record of partition 'linux' \
                    (number 5) at bytes 2 097 152 to 2 097 664: move it elsewhere\n";
    let said = refusal(&source);
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn an_address_beyond_32_bits_is_refused() {
    let source = spec_of(
        "raw = [{ lba-of = \"far\", offset = 92 }]",
        &["name = \"far\"\nsize = \"1MiB\"\noffset = \"2TiB\""],
    );
    let expected = "error: sector 4294967296 has no address of 4 bytes, which end at 4294967295: \
                    move the partition to the front\n";
    let said = refusal(&source);
    assert!(said.starts_with(expected), "{said}");
}
