//! What is written as it is: boot code, gaps, raw partitions, and the addresses in them.

use std::fs;

use crate::support::Bench;
use crate::support::bench::assert_same_bytes;
use crate::support::judges::judge_table;

/// A disk with boot code of 440 bytes that knows where its second stage lies, a loader in the gap and a raw partition.
fn spec(table: &str) -> String {
    format!(
        "[disk]
table = \"{table}\"
size = \"8MiB\"
raw = [
    {{ file = \"boot.bin\", size = 440 }},
    {{ lba-of = \"second stage\", offset = 92 }},
    {{ file = \"loader.bin\", offset = \"32KiB\", size = \"64KiB\" }},
    {{ lba-of = \"second stage\", plus = \"1KiB\", offset = \"34KiB\" }},
]

[[partition]]
type = \"swap\"
filesystem = \"swap\"
size = \"1MiB\"

[[partition]]
name = \"second stage\"
type = \"linux-generic\"
size = \"1MiB\"
raw = [
    {{ file = \"stage.bin\", offset = 512 }},
    {{ lba-of = \"swap\", offset = 516 }},
]
"
    )
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("boot.bin", [0xb0; 440]);
    bench.write("loader.bin", [0x10; 5000]);
    bench.write("stage.bin", [0x57; 2000]);
    bench
}

/// The bytes that are expected at an offset of an image.
fn assert_at(image: &[u8], offset: usize, expected: &[u8]) {
    let found = &image[offset..offset + expected.len()];
    assert!(
        found == expected,
        "at {offset}: {found:x?}, not {expected:x?}"
    );
}

#[test]
fn bytes_go_where_the_spec_says_and_the_table_stays_whole() {
    const MIB: usize = 1 << 20;
    for table in ["gpt", "mbr"] {
        let bench = bench();
        let image = bench.build_text(&spec(table));
        judge_table(&image, table == "gpt");
        let bytes = fs::read(&image).unwrap();
        assert_at(&bytes, 0, &[0xb0; 92]);
        assert_at(&bytes, 92, &4096_u32.to_le_bytes());
        assert_at(&bytes, 96, &[0xb0; 440 - 96]);
        assert_at(&bytes, 510, &[0x55, 0xaa]);
        assert_at(&bytes, 32 << 10, &[0x10; 2048]);
        assert_at(&bytes, 34 << 10, &4098_u32.to_le_bytes());
        assert_at(&bytes, (34 << 10) + 4, &[0x10; 5000 - 2052]);
        assert_at(&bytes, (32 << 10) + 5000, &[0; 60_000]);
        assert_at(&bytes, 2 * MIB, &[0; 512]);
        assert_at(&bytes, 2 * MIB + 512, &[0x57; 4]);
        assert_at(&bytes, 2 * MIB + 516, &2048_u32.to_le_bytes());
        assert_at(&bytes, 2 * MIB + 520, &[0x57; 1992]);
        assert_at(&bytes, 3 * MIB - 512, &[0; 512]);
    }
}

#[test]
fn raw_bytes_change_nothing_else() {
    let bench = bench();
    let with = bench.build_text(&spec("gpt"));
    let first = bench.path("with.img");
    fs::rename(with, &first).unwrap();
    let text = spec("gpt");
    let (before, after) = (text.find("raw").unwrap(), text.find("[[part").unwrap());
    let without = bench.build_text(&format!("{}{}", &text[..before], &text[after..]));
    let mut bytes = fs::read(&first).unwrap();
    bytes[..440].fill(0);
    bytes[32 << 10..(32 << 10) + 5000].fill(0);
    fs::write(&first, bytes).unwrap();
    assert_same_bytes(&first, &without);
}

#[test]
fn a_file_that_is_missing_or_too_long_is_refused() {
    let bench = bench();
    let refused = |spec: &str| {
        bench.write("image.toml", spec);
        let outcome = bench.run(&["build", "image.toml"]);
        assert_eq!(outcome.code, Some(2));
        outcome.stderr
    };
    let text = spec("gpt");
    assert_eq!(
        refused(&text.replace("boot.bin", "absent.bin")),
        "\
error: cannot use absent.bin: No such file or directory (os error 2)
 --> image.toml:5:14
  |
5 |     { file = \"absent.bin\", size = 440 },
  |              ^^^^^^^^^^^^ here
"
    );
    assert_eq!(
        refused(&text.replace("\"boot.bin\"", "\"loader.bin\"")),
        "\
error: loader.bin has 5000 bytes, and its `size` is 440 bytes: 4560 bytes are too many
 --> image.toml:5:14
  |
5 |     { file = \"loader.bin\", size = 440 },
  |              ^^^^^^^^^^^^ here
"
    );
    assert_eq!(
        refused(&text.replace("lba-of = \"swap\"", "lba-of = \"swab\"")),
        "\
error: partition 'second stage' (number 2): there is no partition 'swab': did you mean 'swap'?
  --> image.toml:22:16
   |
22 |     { lba-of = \"swab\", offset = 516 },
   |                ^^^^^^ here
"
    );
    assert_eq!(
        refused(&text.replace("\"32KiB\"", "\"1000KiB\"")),
        "\
error: loader.bin at bytes 1 024 000 to 1 089 536 overlaps partition 'swap' (number 1) at bytes 1 048 576 to 2 097 152: \
what goes into a partition is written in the partition's own `raw`; to have the partition begin behind this, give it an `offset` of \"2MiB\" or more
 --> image.toml:7:14
  |
7 |     { file = \"loader.bin\", offset = \"1000KiB\", size = \"64KiB\" },
  |              ^^^^^^^^^^^^ here
"
    );
}
