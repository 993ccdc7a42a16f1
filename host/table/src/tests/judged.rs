//! Tables that other programs made or judge.

use std::fs::{self, File};
use std::path::Path;

use cellblock_judges::judge;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::json_like_sfdisk;

/// A folder with an empty `disk.img` of a size.
pub(super) fn blank(bytes: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    File::create(folder.path().join("disk.img"))
        .unwrap()
        .set_len(bytes)
        .unwrap();
    folder
}

/// A folder with our table in `disk.img`.
fn ours(table: &Table) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("disk.img"), disk(table)).unwrap();
    folder
}

pub(super) fn image(folder: &TempDir) -> Vec<u8> {
    fs::read(folder.path().join("disk.img")).unwrap()
}

const SFDISK: [&str; 4] = ["--quiet", "--no-tell-kernel", "--no-reread", "disk.img"];

/// The script that makes sfdisk write our table.
fn script(table: &Table) -> String {
    let report = json_like_sfdisk(table, "disk.img").partitiontable;
    let mut script = format!("label: {}\nlabel-id: {}\n", report.label, report.id);
    if let Some(first) = report.firstlba {
        script += &format!("first-lba: {first}\n");
    }
    for partition in report.partitions {
        script += &format!(
            "{} : start={}, size={}, type={}",
            partition.node, partition.start, partition.size, partition.kind
        );
        for (key, value) in [
            ("uuid", partition.uuid),
            ("name", partition.name),
            ("attrs", partition.attrs),
        ] {
            script += &value
                .map(|value| format!(", {key}=\"{value}\""))
                .unwrap_or_default();
        }
        script += if partition.bootable.is_some() {
            ", bootable\n"
        } else {
            "\n"
        };
    }
    script
}

/// Byte for byte, all of the disk. sfdisk drops a name with letters beyond 16 bits, which we store:
/// there is none here.
#[test]
fn our_bytes_are_those_of_sfdisk() {
    let Some(sfdisk) = judge("sfdisk") else {
        return;
    };
    for table in [gpt_table(SectorSize::B512), mbr_table()] {
        let folder = blank(table.disk_bytes());
        sfdisk.answer(&SFDISK, folder.path(), &script(&table));
        assert!(image(&folder) == disk(&table), "{}", table.scheme());
    }
}

#[test]
fn our_json_is_that_of_sfdisk() {
    let Some(sfdisk) = judge("sfdisk") else {
        return;
    };
    let mut empty = mbr_table();
    empty.partitions.clear();
    for table in [gpt_table(SectorSize::B512), mbr_table(), empty] {
        let folder = ours(&table);
        let theirs = sfdisk.answer(&["--json", "disk.img"], folder.path(), "");
        let report = json_like_sfdisk(&table, "disk.img");
        assert_eq!(
            serde_json::from_str::<Value>(&theirs).unwrap(),
            serde_json::to_value(&report).unwrap()
        );
    }
}

#[test]
fn our_tables_satisfy_sfdisk() {
    let Some(sfdisk) = judge("sfdisk") else {
        return;
    };
    for table in [gpt_table(SectorSize::B512), mbr_table()] {
        let folder = ours(&table);
        let verdict = sfdisk.answer(&["--verify", "disk.img"], folder.path(), "");
        assert!(verdict.contains("No errors detected."), "{verdict}");
    }
}

#[test]
fn our_tables_satisfy_sgdisk() {
    let Some(sgdisk) = judge("sgdisk") else {
        return;
    };
    let folder = ours(&gpt_table(SectorSize::B512));
    let verdict = sgdisk.answer(&["--verify", "disk.img"], folder.path(), "");
    assert!(verdict.contains("No problems found."), "{verdict}");
}

#[test]
fn our_tables_satisfy_parted() {
    let Some(parted) = judge("parted") else {
        return;
    };
    for (table, label) in [(gpt_table(SectorSize::B512), "gpt"), (mbr_table(), "msdos")] {
        let folder = ours(&table);
        let list = parted.answer(
            &["--script", "--machine", "disk.img", "unit", "s", "print"],
            folder.path(),
            "",
        );
        let rows: Vec<&str> = list.lines().skip(1).collect();
        assert!(rows[0].contains(&format!(":{label}:")), "{list}");
        for (partition, row) in table.partitions.iter().zip(&rows[1..]) {
            let (number, start, last) = (partition.number, partition.start, partition.last());
            assert!(
                row.starts_with(&format!("{number}:{start}s:{last}s:")),
                "{row}"
            );
        }
    }
}

#[test]
fn sectors_of_4096_bytes_satisfy_fdisk() {
    let Some(fdisk) = judge("fdisk") else { return };
    let table = gpt_table(SectorSize::B4096);
    let folder = ours(&table);
    let list = fdisk.answer(&["-b", "4096", "--list", "disk.img"], folder.path(), "");
    for partition in &table.partitions {
        let row = format!("disk.img{}", partition.number);
        let row = list.lines().find(|line| line.starts_with(&row)).unwrap();
        let numbers: Vec<u64> = row
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        assert_eq!(
            numbers[..3],
            [partition.start.0, partition.last().0, partition.sectors]
        );
    }
    let verdict = fdisk.answer(&["-b", "4096", "disk.img"], folder.path(), "v\nq\n");
    assert!(verdict.contains("No errors detected."), "{verdict}");
}

/// The image in the folder as we read it, without any finding of damage.
fn read(folder: &TempDir) -> Table {
    let decoded = decode(&image(folder)).unwrap();
    let damage: Vec<_> = decoded
        .findings
        .iter()
        .filter(|finding| finding.severity() == Severity::Damage)
        .collect();
    assert!(damage.is_empty(), "{damage:?}");
    decoded.table
}

/// Reads the image in the folder and compares with what sfdisk reads.
fn read_like_sfdisk(folder: &TempDir) -> Table {
    let table = read(folder);
    if let Some(sfdisk) = judge("sfdisk") {
        let theirs = sfdisk.answer(&["--json", "disk.img"], folder.path(), "");
        let report = json_like_sfdisk(&table, "disk.img");
        assert_eq!(
            serde_json::from_str::<Value>(&theirs).unwrap(),
            serde_json::to_value(&report).unwrap()
        );
    }
    table
}

#[test]
fn tables_of_sfdisk_are_read() {
    let Some(sfdisk) = judge("sfdisk") else {
        return;
    };
    let scripts = [
        "label: gpt\n3: start=4096, size=2048, type=swap, name=\"s w\", attrs=\"GUID:48,59\"\n1: start=8192, size=2048\n",
        "label: dos\nstart=2048, size=2048, type=ef, bootable\nstart=8192, size=40000, type=5\nsize=2048\nsize=4096, type=82\nsize=1000\n",
    ];
    for script in scripts {
        let folder = blank(64 << 20);
        sfdisk.answer(&SFDISK, folder.path(), script);
        read_like_sfdisk(&folder);
    }
}

#[test]
fn tables_of_sgdisk_are_read() {
    let Some(sgdisk) = judge("sgdisk") else {
        return;
    };
    let folder = blank(64 << 20);
    let arguments = [
        "--new=9:2048:+10M",
        "--typecode=9:ef00",
        "--change-name=9:hello",
        "--new=2:30000:+1M",
        "--attributes=2:set:2",
        "--attributes=2:set:63",
        "disk.img",
    ];
    sgdisk.answer(&arguments, folder.path(), "");
    let table = read_like_sfdisk(&folder);
    assert_eq!(
        table.partitions[0].attributes,
        Attributes::LEGACY_BOOT | Attributes::NO_AUTO
    );
    assert_eq!(
        (
            table.partitions[1].number,
            table.partitions[1].name.as_str()
        ),
        (9, "hello")
    );
}

#[test]
fn tables_of_parted_are_read() {
    let Some(parted) = judge("parted") else {
        return;
    };
    let scripts = [
        "mklabel gpt mkpart first ext4 1MiB 10MiB mkpart second 10MiB 63MiB set 1 esp on",
        "mklabel msdos mkpart primary 1MiB 10MiB mkpart extended 10MiB 60MiB mkpart logical 11MiB 20MiB \
         mkpart logical 21MiB 30MiB mkpart primary 60MiB 63MiB set 1 boot on",
    ];
    for script in scripts {
        let folder = blank(64 << 20);
        let arguments: Vec<&str> = ["--script", "disk.img"]
            .into_iter()
            .chain(script.split_whitespace())
            .collect();
        parted.answer(&arguments, folder.path(), "");
        let table = read_like_sfdisk(&folder);
        let again = decode(&disk(&table)).unwrap().table;
        assert_eq!(again, table);
    }
}

#[test]
fn tables_of_fdisk_in_sectors_of_4096_bytes_are_read() {
    let Some(fdisk) = judge("fdisk") else { return };
    let folder = blank(64 << 20);
    fdisk.answer(
        &["-b", "4096", "disk.img"],
        folder.path(),
        "g\nn\n1\n256\n+10M\nn\n3\n\n\nw\n",
    );
    let table = read(&folder);
    assert_eq!(table.sector_size, SectorSize::B4096);
    let spans: Vec<_> = table
        .partitions
        .iter()
        .map(|one| (one.number, one.start.0, one.sectors))
        .collect();
    assert_eq!(spans, [(1, 256, 2560), (3, 2816, 13_312)]);
}

#[test]
fn sfdisk_knows_our_types_by_the_same_guids() {
    let Some(sfdisk) = judge("sfdisk") else {
        return;
    };
    let list = sfdisk.answer(&["--label", "gpt", "--list-types"], Path::new("/"), "");
    let cases = [
        ("esp", "EFI System"),
        ("bios-boot", "BIOS boot"),
        ("xbootldr", "Linux extended boot"),
        ("swap", "Linux swap"),
        ("home", "Linux home"),
        ("lvm", "Linux LVM"),
        ("raid", "Linux RAID"),
        ("microsoft-basic", "Microsoft basic data"),
        ("microsoft-reserved", "Microsoft reserved"),
        ("windows-recovery", "Windows recovery environment"),
        ("prep-boot", "PowerPC PReP boot"),
        ("linux-generic", "Linux filesystem"),
        ("root-x86-64", "Linux root (x86-64)"),
        ("root-ppc64-le", "Linux root (PPC64LE)"),
        ("root-riscv64-verity", "Linux root verity (RISC-V-64)"),
        ("usr-arm64-verity-sig", "Linux /usr verity sign. (ARM-64)"),
    ];
    for (name, theirs) in cases {
        let guid = by_name(name).unwrap().to_string();
        let known = list
            .lines()
            .any(|line| line.to_lowercase().starts_with(&guid) && line.ends_with(theirs));
        assert!(known, "{name} {guid}");
    }
}
