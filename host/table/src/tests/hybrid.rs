//! The MBR of a hybrid table, read, written and refused.

use cellblock_judges::judge;

use super::judged::{blank, image};
use super::*;

/// The usual GPT, with the first and the last of its partitions in the MBR.
fn hybrid_table(sector_size: SectorSize) -> Table {
    let mut table = gpt_table(sector_size);
    table.partitions[0].mbr_type = Some(0x0c);
    table.partitions[0].active = true;
    table.partitions[2].mbr_type = Some(0x83);
    table
}

/// The entries of the MBR at the start of a disk.
fn entries(disk: &[u8]) -> &[u8] {
    &disk[0x1be..0x200]
}

#[test]
fn what_is_written_is_read_back() {
    for sector_size in SectorSize::ALL {
        let table = hybrid_table(sector_size);
        let decoded = decode(&disk(&table)).unwrap();
        assert_eq!(decoded.table, table);
        assert_eq!(decoded.findings, [Finding::HybridMbr { partitions: 2 }]);
    }
}

#[test]
fn the_guard_ends_before_the_first_partition_of_the_mbr() {
    let mut table = hybrid_table(SectorSize::B512);
    table.partitions[0].mbr_type = None;
    table.partitions[0].active = false;
    let disk = disk(&table);
    let guard = &entries(&disk)[..16];
    assert_eq!((guard[0], guard[4]), (0, 0xee));
    assert_eq!(guard[8..12], 1_u32.to_le_bytes());
    assert_eq!(guard[12..], (81_920_u32 - 1).to_le_bytes());
}

#[test]
fn our_entries_are_those_of_sgdisk() {
    let Some(sgdisk) = judge("sgdisk") else {
        return;
    };
    let mut table = gpt_table(SectorSize::B512);
    table.partitions[0].mbr_type = Some(0xef);
    table.partitions[2].mbr_type = Some(0x83);
    let ours = disk(&table);
    let folder = blank(table.disk_bytes());
    std::fs::write(folder.path().join("disk.img"), &ours).unwrap();
    sgdisk.answer(&["--hybrid=1:7", "disk.img"], folder.path(), "");
    assert_eq!(entries(&image(&folder)), entries(&ours));
    let verdict = sgdisk.answer(&["--verify", "disk.img"], folder.path(), "");
    assert!(verdict.contains("No problems found."), "{verdict}");
}

#[test]
fn a_guard_in_another_place_is_read() {
    let Some(sgdisk) = judge("sgdisk") else {
        return;
    };
    let folder = blank(64 << 20);
    let arguments = [
        "--new=1:2048:+10M",
        "--typecode=1:0700",
        "--new=5:30000:+1M",
        "--hybrid=5:1:EE",
        "disk.img",
    ];
    sgdisk.answer(&arguments, folder.path(), "");
    let decoded = decode(&image(&folder)).unwrap();
    let types: Vec<_> = decoded
        .table
        .partitions
        .iter()
        .map(|partition| (partition.number, partition.mbr_type))
        .collect();
    assert_eq!(types, [(1, Some(0x07)), (5, Some(0x83))]);
    let damage = decoded
        .findings
        .iter()
        .find(|finding| finding.severity() == Severity::Damage);
    assert_eq!(damage, None);
}

#[test]
fn an_entry_that_is_no_partition_of_the_gpt_is_found() {
    let mut disk = disk(&hybrid_table(SectorSize::B512));
    // The length of the entry after the guard.
    disk[0x1ce + 12] ^= 1;
    let decoded = decode(&disk).unwrap();
    assert_eq!(decoded.table.partitions[0].mbr_type, None);
    let finding = &decoded.findings[1];
    assert_eq!(finding.severity(), Severity::Damage);
    assert_eq!(
        finding.to_string(),
        "entry 2 of the MBR (type 0x0c) describes 16 385 sectors from sector 2048, \
         which is no partition of the GPT"
    );
}

#[test]
fn what_a_hybrid_mbr_cannot_describe_is_refused() {
    let refused = |change: &dyn Fn(&mut Table)| {
        let mut table = hybrid_table(SectorSize::B512);
        change(&mut table);
        table.encode().unwrap_err().to_string()
    };
    assert_eq!(
        refused(&|table| {
            for number in [4, 5] {
                let mut more =
                    gpt_partition(number, 62_000 + u64::from(number), 1, "linux-generic");
                more.mbr_type = Some(0x83);
                table.partitions.push(more);
            }
        }),
        "4 partitions have a type for the hybrid MBR, which has room for 3"
    );
    for kind in [0, 0x05, 0x0f, 0x85, 0xee] {
        assert_eq!(
            refused(&|table| table.partitions[2].mbr_type = Some(kind)),
            format!("partition 7 cannot have type 0x{kind:02x} in a hybrid MBR")
        );
    }
    assert_eq!(
        refused(&|table| {
            table.disk_sectors = 1 << 33;
            table.last_usable = Lba((1 << 33) - 34);
            table.partitions[2].sectors = 1 << 32;
        }),
        "partition 7 (sectors 81 920 to 4 295 049 215) ends beyond sector 4 294 967 295, \
         the last that a hybrid MBR can address"
    );
    assert_eq!(
        refused(&|table| table.partitions[1].active = true),
        "partition 2 has the active flag (use the attribute legacy-boot), which GPT does not store"
    );
}

#[test]
fn an_mbr_alone_has_no_second_type() {
    let mut table = mbr_table();
    table.partitions[0].mbr_type = Some(0x83);
    assert!(
        table
            .encode()
            .unwrap_err()
            .to_string()
            .contains("a type in a hybrid MBR")
    );
}
