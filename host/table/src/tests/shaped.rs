//! Tables whose own parts lie elsewhere than usual, and disks without any.

use cellblock_judges::judge;
use serde_json::Value;

use super::judged::{blank, image};
use super::*;

/// The usual GPT with another shape.
fn shaped(sector_size: SectorSize, shape: Shape) -> Table {
    let usual = gpt_table(sector_size);
    let table = Table::new(usual.disk_id, sector_size, usual.disk_sectors, shape).unwrap();
    Table {
        partitions: usual.partitions,
        ..table
    }
}

/// Entries behind a boot loader of 64 KiB.
const MOVED: Shape = Shape {
    entries: Lba(130),
    backup: true,
    guard_number: 1,
};

/// No copy at the end.
const ALONE: Shape = Shape {
    entries: Lba(2),
    backup: false,
    guard_number: 1,
};

fn write(table: &Table) -> tempfile::TempDir {
    let folder = blank(table.disk_bytes());
    std::fs::write(folder.path().join("disk.img"), disk(table)).unwrap();
    folder
}

#[test]
fn what_is_written_is_read_back() {
    for sector_size in SectorSize::ALL {
        let table = shaped(sector_size, MOVED);
        let decoded = decode(&disk(&table)).unwrap();
        assert_eq!((decoded.table, decoded.findings), (table, vec![]));

        let table = shaped(sector_size, ALONE);
        let decoded = decode(&disk(&table)).unwrap();
        assert_eq!(
            (decoded.table, decoded.findings),
            (table, vec![Finding::NoBackup])
        );
    }
}

#[test]
fn a_boot_loader_has_room_before_moved_entries() {
    let table = shaped(SectorSize::B512, MOVED);
    assert_eq!(table.first_usable, Lba(162));
    let regions: Vec<_> = table
        .encode()
        .unwrap()
        .iter()
        .map(|region| (region.offset / 512, region.bytes.len() / 512))
        .collect();
    assert_eq!(regions, [(0, 2), (130, 32), (131_072 - 33, 33)]);
}

#[test]
fn without_a_backup_partitions_may_reach_the_end() {
    let mut table = shaped(SectorSize::B512, ALONE);
    table.partitions[2].sectors = 131_072 - table.partitions[2].start.0;
    let decoded = decode(&disk(&table)).unwrap();
    assert_eq!(
        (decoded.table, decoded.findings),
        (table, vec![Finding::NoBackup])
    );
}

#[test]
fn sfdisk_and_sgdisk_read_moved_entries() {
    let table = shaped(SectorSize::B512, MOVED);
    let folder = write(&table);
    if let Some(sgdisk) = judge("sgdisk") {
        let verdict = sgdisk.answer(&["--verify", "disk.img"], folder.path(), "");
        assert!(verdict.contains("No problems found."), "{verdict}");
    }
    if let Some(sfdisk) = judge("sfdisk") {
        let verdict = sfdisk.answer(&["--verify", "disk.img"], folder.path(), "");
        assert!(verdict.contains("No errors detected."), "{verdict}");
        let theirs = sfdisk.answer(&["--json", "disk.img"], folder.path(), "");
        let report = json_like_sfdisk(&table, "disk.img");
        assert_eq!(
            serde_json::from_str::<Value>(&theirs).unwrap(),
            serde_json::to_value(&report).unwrap()
        );
    }
}

#[test]
fn entries_that_sgdisk_moved_are_read() {
    let Some(sgdisk) = judge("sgdisk") else {
        return;
    };
    let folder = blank(64 << 20);
    let arguments = [
        "--move-main-table=1000",
        "--new=1:4096:+1M",
        "--change-name=1:hello",
        "disk.img",
    ];
    sgdisk.answer(&arguments, folder.path(), "");
    let decoded = decode(&image(&folder)).unwrap();
    assert_eq!(decoded.table.shape.entries, Lba(1000));
    assert_eq!(decoded.table.partitions[0].name, "hello");
    assert_eq!(decoded.findings, []);
}

#[test]
fn sfdisk_and_sgdisk_read_the_partitions_of_a_table_without_backup() {
    let table = shaped(SectorSize::B512, ALONE);
    let folder = write(&table);
    if let Some(sfdisk) = judge("sfdisk") {
        let theirs = sfdisk.answer(&["--json", "disk.img"], folder.path(), "");
        let report = json_like_sfdisk(&table, "disk.img");
        assert_eq!(
            serde_json::from_str::<Value>(&theirs).unwrap(),
            serde_json::to_value(&report).unwrap()
        );
    }
    if let Some(sgdisk) = judge("sgdisk") {
        let list = sgdisk.answer(&["--print", "disk.img"], folder.path(), "");
        for partition in &table.partitions {
            let (number, start) = (partition.number.to_string(), partition.start.to_string());
            let is_listed = list.lines().any(|line| {
                let mut words = line.split_whitespace();
                words.next() == Some(&number) && words.next() == Some(&start)
            });
            assert!(is_listed, "{number} {start}\n{list}");
        }
    }
}

#[test]
fn the_guard_of_a_hybrid_mbr_takes_any_entry() {
    for guard_number in 1..=4 {
        let mut table = gpt_table(SectorSize::B512);
        table.shape.guard_number = guard_number;
        table.partitions[0].mbr_type = Some(0x0c);
        table.partitions[2].mbr_type = Some(0x83);
        let bytes = disk(&table);
        assert_eq!(decode(&bytes).unwrap().table, table);
        let folder = write(&table);
        if let Some(sgdisk) = judge("sgdisk") {
            let verdict = sgdisk.answer(&["--verify", "disk.img"], folder.path(), "");
            assert!(verdict.contains("No problems found."), "{verdict}");
        }
        let Some(sfdisk) = judge("sfdisk") else {
            continue;
        };
        let arguments = ["--label-nested", "dos", "--json", "disk.img"];
        let theirs: Value =
            serde_json::from_str(&sfdisk.answer(&arguments, folder.path(), "")).unwrap();
        let partitions = theirs["partitiontable"]["partitions"].as_array().unwrap();
        let guard = partitions
            .iter()
            .find(|partition| partition["type"] == "ee")
            .unwrap();
        assert_eq!(guard["node"], format!("disk.img{guard_number}"));
        assert_eq!(partitions.len(), 3);
    }
}

#[test]
fn shapes_that_cannot_be_are_refused() {
    let refused = |shape| {
        let mut table = gpt_table(SectorSize::B512);
        table.partitions[0].mbr_type = Some(0x0c);
        Table { shape, ..table }.encode().unwrap_err().to_string()
    };
    let usual = Shape::default();
    let guard = |guard_number| Shape {
        guard_number,
        ..usual
    };
    assert_eq!(
        refused(guard(5)),
        "the MBR has entries 1 to 4, so its guard cannot be in entry 5"
    );
    assert!(refused(guard(0)).contains("cannot be in entry 0"));
    let entries = |entries| Shape { entries, ..usual };
    assert_eq!(
        refused(entries(Lba(1))),
        "the entries of a GPT cannot begin in sector 1: the MBR and the header take sectors 0 and 1"
    );
    assert!(refused(entries(Lba(3))).contains("the table leaves 35 to 131 038 free"));
    assert!(refused(entries(Lba(u64::MAX))).contains("too small for GPT"));
}

#[test]
fn a_disk_without_a_table_has_partitions_from_its_first_sector_to_its_last() {
    let shape = Shape::default();
    let mut table = Table::new(DiskId::None, SectorSize::B512, 100, shape).unwrap();
    table.partitions = vec![
        Partition::new(1, Lba(0), 16, PartitionType::None),
        Partition::new(2, Lba(16), 84, PartitionType::None),
    ];
    assert_eq!(table.encode().unwrap(), []);
    table.partitions[1].sectors = 85;
    assert!(
        table
            .encode()
            .unwrap_err()
            .to_string()
            .contains("lies outside")
    );
    table.partitions[1].sectors = 84;
    table.partitions[1].id = Some(id(1));
    assert_eq!(
        table.encode().unwrap_err().to_string(),
        "partition 2 has a GUID, which a disk without a table does not store"
    );
}
