#![allow(clippy::unwrap_used)]

use uuid::{Uuid, uuid};

use super::draw;
use crate::report::text::columns;
use cellblock_build::table::{
    Attributes, Lba, Partition, PartitionType, SectorSize, Table, by_name,
};

const MIB: u64 = 2048;

fn partition(number: u32, start: u64, sectors: u64, kind: &str, name: &str) -> Partition {
    Partition {
        id: Some(Uuid::from_u128(number.into())),
        name: name.to_owned(),
        ..Partition::new(
            number,
            Lba(start),
            sectors,
            PartitionType::Gpt(by_name(kind).unwrap()),
        )
    }
}

fn gpt(mib: u64, partitions: Vec<Partition>) -> Table {
    let id = uuid!("11111111-2222-3333-4444-555555555555");
    Table {
        partitions,
        ..Table::gpt(id, SectorSize::B512, mib * MIB).unwrap()
    }
}

fn usual() -> Table {
    let root = Partition {
        attributes: Attributes::GROW_FS | Attributes::READ_ONLY,
        ..partition(3, 258 * MIB, 1200 * MIB, "root-x86-64", "root")
    };
    let bios = partition(1, MIB, MIB, "bios-boot", "");
    gpt(
        2048,
        vec![bios, partition(2, 2 * MIB, 256 * MIB, "esp", "efi"), root],
    )
}

fn mbr(partitions: Vec<(u32, u64, u64, u8)>) -> Table {
    let mut table = Table::mbr(0xdead_beef, SectorSize::B512, 100 * MIB).unwrap();
    let partitions = partitions
        .into_iter()
        .map(|(number, start, sectors, kind)| Partition {
            active: number == 1,
            ..Partition::new(
                number,
                Lba(start * MIB),
                sectors * MIB,
                PartitionType::Mbr(kind),
            )
        });
    table.partitions = partitions.collect();
    table
}

/// Compares with a picture whose lines start after the first newline.
fn assert_drawn(table: &Table, picture: &str) {
    let drawn = draw(table, 80, false);
    assert_eq!(format!("\n{drawn}"), picture, "{drawn}");
}

#[test]
fn a_hybrid_disk_says_what_its_mbr_has() {
    let mut table = usual();
    table.partitions[1].mbr_type = Some(0x0c);
    let drawn = draw(&table, 90, false);
    assert!(drawn.starts_with("GPT and MBR · 2 GiB"), "{drawn}");
    assert!(drawn.contains("Type         In MBR  Name"), "{drawn}");
    assert!(drawn.contains("esp          fat32   efi"), "{drawn}");
}

#[test]
fn what_an_mbr_cannot_count_is_out_of_reach() {
    // 3 TiB, in MiB.
    let mut table = Table::mbr(0xdead_beef, SectorSize::B512, 3 * 1024 * 1024 * MIB).unwrap();
    let whole = table.last_usable.0 + 1 - MIB;
    table.partitions = vec![Partition::new(1, Lba(MIB), whole, PartitionType::Mbr(0x83))];
    let drawn = draw(&table, 80, false);
    assert!(
        drawn
            .starts_with("MBR · 3 TiB · 512-byte sectors · 1023.5 KiB free · 1 TiB out of reach\n"),
        "{drawn}"
    );
    assert!(drawn.contains("·· 1 TiB out of reach ··"), "{drawn}");
    assert!(!drawn.contains("0 B free"), "{drawn}");
}

#[test]
fn a_usual_disk() {
    assert_drawn(
        &usual(),
        "
GPT · 2 GiB · 512-byte sectors · 590.9 MiB free
id 11111111-2222-3333-4444-555555555555

 ╭─╮╭────────╮╭──────────────────────────────────────────╮
·│1││2 efi   ││ 3 root                                   │··· 589.9 MiB free ···
·│ ││256 MiB ││ 1.1 GiB                                  │······················
 ╰─╯╰────────╯╰──────────────────────────────────────────╯

#    Start        End     Size  Type         Name  Attributes
1     2048       4095    1 MiB  bios-boot
2     4096    528 383  256 MiB  esp          efi
3  528 384  2 985 983  1.1 GiB  root-x86-64  root  grow-fs, read-only
",
    );
}

#[test]
fn logical_partitions_are_bracketed() {
    let partitions = vec![
        (1, 1, 20, 0x0c),
        (2, 21, 59, 0x0f),
        (5, 22, 30, 0x83),
        (6, 60, 20, 0x82),
    ];
    assert_drawn(
        &mbr(partitions),
        "
MBR · 100 MiB · 512-byte sectors · 29.9 MiB free
id 0xdeadbeef

 ╭──────────────╮ ╭─────────────────────╮       ╭──────────────╮
·│ 1 fat32      │·│ 5 linux             │·······│ 6 swap       │················
·│ 20 MiB       │·│ 30 MiB              │·······│ 20 MiB       │················
 ╰──────────────╯ ╰─────────────────────╯       ╰──────────────╯
                 └─ 2 extended ────────────────────────────────┘

#    Start      End    Size  Type      Attributes
1     2048   43 007  20 MiB  fat32     active
2   43 008  163 839  59 MiB  extended
5   45 056  106 495  30 MiB  linux
6  122 880  163 839  20 MiB  swap
",
    );
}

#[test]
fn an_empty_disk() {
    assert_drawn(
        &gpt(64, Vec::new()),
        "
GPT · 64 MiB · 512-byte sectors · 63.9 MiB free
id 11111111-2222-3333-4444-555555555555

································ 63.9 MiB free ·································
················································································

no partitions
",
    );
}

#[test]
fn lines_fit_any_width() {
    let long = "a name as long as a name may be 根文件根";
    let mut table = usual();
    table.partitions.push(partition(
        9,
        1500 * MIB,
        MIB,
        "root-loongarch64-verity-sig",
        long,
    ));
    for width in 40..160 {
        for line in draw(&table, width, false).lines() {
            assert!(columns(line) <= width.max(56), "{width}: {line}");
        }
    }
}

#[test]
fn a_partition_however_small_shows_its_number() {
    let mut table = gpt(
        1 << 20,
        vec![partition(1, MIB, 900_000 * MIB, "home", "home")],
    );
    table.partitions.extend(
        (2..12).map(|number| partition(number, (900_000 + u64::from(number)) * MIB, 1, "swap", "")),
    );
    let picture = draw(&table, 80, false);
    for number in 2..12 {
        assert!(picture.contains(&format!("│{number}│")), "{picture}");
    }
}

#[test]
fn more_partitions_than_fit_are_only_listed() {
    let many = (1..60)
        .map(|number| partition(number, u64::from(number) * MIB, MIB, "swap", ""))
        .collect();
    let picture = draw(&gpt(64, many), 80, false);
    assert!(picture.contains("(too many partitions to draw in 80 columns)"));
    assert!(picture.contains("\n59  "));
}

#[test]
fn names_cannot_reach_the_terminal() {
    let mut table = usual();
    table.partitions[2].name = "\u{1b}[2J\n".to_owned();
    let picture = draw(&table, 80, false);
    assert!(
        !picture.contains('\u{1b}') && picture.contains("3 \u{fffd}[2J\u{fffd}"),
        "{picture}"
    );
}

#[test]
fn colours_change_nothing_else() {
    let mut colored = draw(&usual(), 80, true);
    for code in ["0", "1", "2", "36", "32", "33", "35", "34"] {
        colored = colored.replace(&format!("\u{1b}[{code}m"), "");
    }
    let trimmed: String = colored
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    assert_eq!(trimmed, draw(&usual(), 80, false));
}

/// What the fuzzer of tables has found to read, in a terminal of no width and of more than a picture needs.
#[test]
fn seeds_of_the_fuzzer_have_a_picture() {
    cellblock_fuzz_replay::replay("table", |data| {
        cellblock_fuzz_targets::table_shown(data, |table| {
            for width in [0, 80, 200] {
                assert!(!draw(table, width, true).is_empty());
            }
        });
    });
}
