//! What cannot become a plan, and what is said of it.

use super::*;

#[test]
fn an_overlap_names_both_partitions_and_numbers() {
    let source = spec_of(
        "",
        &[
            "name = \"a\"\nsize = \"2MiB\"",
            "name = \"b\"\nsize = 512\noffset = \"2MiB\"",
        ],
    );
    let expected = "\
error: partition 'b' (number 2): its offset of 2 097 152 bytes overlaps partition 'a' (number 1), which ends at \
3 145 728 bytes: write 3145728 or more, or leave the offset out
  --> image.toml:11:10
   |
 3 | [[partition]]
   | ------------- the other one
...
11 | offset = \"2MiB\"
   |          ^^^^^^ here";
    assert_eq!(refusal(&source), expected);
}

#[test]
fn contradictions_are_refused() {
    let two = |disk: &str, first: &str, second: &str| spec_of(disk, &[first, second]);
    let sized = |lines: &str| format!("size = \"1MiB\"\n{lines}");
    for (source, message) in [
        (
            two(
                "",
                "size = 512\noffset = \"8MiB\"",
                "size = 512\noffset = \"4MiB\"",
            ),
            "(number 2): its offset of 4 194 304 bytes lies before partition 'linux-generic' (number 1), which starts at 8 388 608 bytes",
        ),
        (
            two("", &sized("offset = 512"), &sized("")),
            "lies in the partition table, which ends at 17 408 bytes",
        ),
        (
            two("", &sized("name = \"a\""), &sized("name = \"a\"")),
            "partition 'a' (number 2): partition 1 has the same name",
        ),
        (
            two(
                "",
                &sized("filesystem = \"ext4\"\nuuid = \"00000000-0000-0000-0000-000000000000\""),
                &sized(""),
            ),
            "a `uuid` of zeros stands for none",
        ),
        (
            two(
                "table = \"mbr\"",
                &sized("active = true"),
                &sized("active = true"),
            ),
            "partition 'linux' is `active` too",
        ),
        (
            two(
                "",
                &sized("filesystem = \"ext4\"\nlabel = \"a\\nb\""),
                &sized(""),
            ),
            "the label contains the control character '\\n': remove it",
        ),
        (
            two("", &sized("number = 2"), &sized("number = 2")),
            "number 2 is also asked for by partition '1'",
        ),
        (
            two(
                "",
                &sized("id = \"00000000-0000-0000-0000-000000000001\""),
                &sized("id = \"00000000-0000-0000-0000-000000000001\""),
            ),
            "has the identifier 00000000",
        ),
        (
            two("", "size = 1000", &sized("")),
            "its size of 1000 bytes is no multiple of the sector of 512 bytes: write 512 or 1024",
        ),
        (
            two("sector-size = 4096", "size = 512", &sized("")),
            "of the sector of 4096 bytes: write 4096",
        ),
        (two("", "size = 0", &sized("")), "its size is 0"),
        (
            two("", &sized("offset = 1048577"), &sized("")),
            "its offset of 1 048 577 bytes is no multiple",
        ),
        (
            two("size = \"10MiB\"", "size = \"rest\"", "size = \"rest\""),
            "partition 'linux-generic' (number 1) takes the \"rest\" already",
        ),
        (
            two("", "size = \"rest\"", &sized("")),
            "of a disk whose size is \"auto\"",
        ),
        (
            two("size = \"3MiB\"", &sized(""), &sized("")),
            "(number 2): the disk of 3 145 728 bytes is too small: the partitions and the table need 4 194 304 bytes (1 048 576 bytes short)",
        ),
        (
            two("size = \"3MiB\"", &sized(""), "size = \"rest\""),
            "(1 048 576 bytes short)",
        ),
        (
            two("size = 1000", &sized(""), &sized("")),
            "the disk's size of 1000 bytes is no multiple of the sector of 512 bytes: write 512 or 1024",
        ),
        (
            two("alignment = 100", &sized(""), &sized("")),
            "the alignment of 100 bytes is no multiple",
        ),
        (
            two("table = \"mbr\"", "size = \"2TiB\"", &sized("")),
            "use table = \"gpt\"",
        ),
        (
            format!(
                "{}[[partition]]\ntype = \"linux\"\n{}\n",
                two(
                    "table = \"mbr\"",
                    &sized("number = 5"),
                    &sized("number = 1"),
                ),
                sized("number = 6"),
            ),
            "a primary partition lies between it and the logical ones before",
        ),
        (
            two(
                "table = \"mbr\"",
                &sized("number = 5"),
                &sized("number = 7"),
            ),
            "must be number 6, not 7",
        ),
        (
            two(
                "table = \"mbr\"",
                &sized("number = 4"),
                &sized("number = 5"),
            ),
            "number 4 is the extended partition",
        ),
        (
            two(
                "table = \"mbr\"",
                &sized("number = 5"),
                &sized("number = 6\noffset = \"3MiB\""),
            ),
            "no room for its boot record, which takes 1 048 576 bytes before it: write 4194304 or more",
        ),
        (two("", "size = \"7EiB\"", &sized("")), "unknown unit"),
        (
            two("", "size = \"8191PiB\"", "size = \"8191PiB\""),
            "longer than 9 223 372 036 854 775 807 bytes",
        ),
        (
            two("", "size = 512\nraw = [{ file = \"a\" }]", &sized("")),
            "/specs/a ends at 5000 bytes, but the partition at 512 bytes (4488 bytes short)",
        ),
        (
            two(
                "",
                "raw = [{ file = \"a\" }, { file = \"b\", offset = 4999 }]",
                &sized(""),
            ),
            "/specs/b at bytes 4999 to 9999 overlaps /specs/a at bytes 0 to 5000: move one of them",
        ),
        (
            two(
                "",
                "filesystem = \"vfat\"\nuuid = \"00000000-0000-0000-0000-000000000001\"",
                &sized(""),
            ),
            "the file system vfat has a serial number",
        ),
        (
            two(
                "",
                "filesystem = \"ext4\"\nuuid = \"ABCD-1234\"",
                &sized(""),
            ),
            "the file system ext4 has a UUID",
        ),
        (
            two(
                "",
                &sized("name = \"0123456789012345678901234567890123456\""),
                &sized(""),
            ),
            "has 37 UTF-16 units, and a GPT holds 36: shorten it by 1",
        ),
        (
            two("", &sized("name = \"a\\u0000b\""), &sized("")),
            "control character '\\0'",
        ),
    ] {
        let text = refusal_or_parse_error(&source);
        assert!(text.contains(message), "{message} is not in\n{text}");
    }
}

fn refusal_or_parse_error(source: &str) -> String {
    match Spec::parse(source, Path::new("/specs")) {
        Ok(_) => refusal(source),
        Err(error) => error.render(&Files::one("image.toml", source), false),
    }
}

#[test]
fn a_missing_raw_file_is_named() {
    let spec = parse(&spec_of(
        "",
        &["name = \"boot\"\nraw = [{ file = \"absent.img\" }]"],
    ));
    let message = raw_lengths(&spec).unwrap_err().to_string();
    assert!(
        message
            .starts_with("partition 'boot' (number 1): cannot use /specs/absent.img: No such file"),
        "{message}"
    );
    let spec = parse(&spec_of("", &["raw = [{ file = \"/\" }]"]));
    assert!(
        raw_lengths(&spec)
            .unwrap_err()
            .to_string()
            .contains("no regular file")
    );
}

#[test]
fn the_places_of_a_tables_own_parts_are_checked_at_their_lines() {
    let one = |disk: &str, partition: &str| {
        format!("[disk]\n{disk}\n[[partition]]\ntype = \"linux\"\nsize = \"1MiB\"\n{partition}\n")
    };
    let mbr = |disk: &str, partition: &str| one(&format!("table = \"mbr\"\n{disk}"), partition);
    let gpt = |disk: &str| one(disk, "").replace("\"linux\"", "\"linux-generic\"");
    for (source, line, message) in [
        (
            gpt("gpt-location = 512"),
            2,
            "the `gpt-location` of 512 bytes is not behind the header, which ends at 1024 bytes",
        ),
        (
            gpt("gpt-location = 1025"),
            2,
            "a multiple of the sector of 512 bytes",
        ),
        (gpt("gpt-location = \"9EiB\""), 2, "unknown unit"),
        (
            gpt("extended-number = 2"),
            2,
            "`extended-number` cannot be stored in a GPT",
        ),
        (
            gpt("protective-number = 2"),
            2,
            "`protective-number` cannot be stored in a GPT",
        ),
        (
            mbr("gpt-backup = false", ""),
            3,
            "`gpt-backup` cannot be stored in an MBR",
        ),
        (
            mbr("extended-number = 5", ""),
            3,
            "5 is outside the range 1 to 4",
        ),
        (
            mbr("extended-number = 2", ""),
            3,
            "no partition is logical, so the extended partition 2 would be empty",
        ),
        (
            mbr("extended-number = 2", "number = 2"),
            7,
            "number 2 is the extended partition that holds the logical ones",
        ),
        (
            mbr("boot-record-space = 100", ""),
            3,
            "the `boot-record-space` of 100 bytes is no multiple of the sector of 512 bytes",
        ),
        (
            mbr("extended-type = \"linux\"", ""),
            3,
            "`linux` is none of `extended`, `extended-chs`, `linux-extended`",
        ),
        (
            mbr("", "").replace("\"linux\"", "\"0xee\""),
            5,
            "type 0xee says that the disk has a GPT, which it has not",
        ),
        (
            one("table = \"none\"", ""),
            4,
            "`type` cannot be stored in a disk without a table",
        ),
        (
            "[disk]\ntable = \"none\"\n[[partition]]\nsize = \"1MiB\"\n".to_owned(),
            3,
            "nothing says where this partition lies: the disk has no table",
        ),
    ] {
        let refused = refusal_or_parse_error(&source);
        assert!(refused.contains(message), "{message}\n{refused}");
        assert!(
            refused.contains(&format!("image.toml:{line}:")),
            "line {line}\n{refused}"
        );
    }
}
