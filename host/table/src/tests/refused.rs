//! Tables that are not written, and what is said of them.

use super::*;

fn refused(table: &Table) -> String {
    table.encode().unwrap_err().to_string()
}

fn gpt_with(change: impl FnOnce(&mut Table)) -> String {
    let mut table = gpt_table(SectorSize::B512);
    change(&mut table);
    refused(&table)
}

fn mbr_with(change: impl FnOnce(&mut Table)) -> String {
    let mut table = mbr_table();
    change(&mut table);
    refused(&table)
}

#[test]
fn partitions_out_of_place() {
    assert_eq!(
        gpt_with(|table| table.partitions[0].sectors = 20_000),
        "partition 1 (sectors 2048 to 22 047) overlaps partition 2 (sectors 20 480 to 61 439); \
         move or shrink one of them"
    );
    assert_eq!(
        gpt_with(|table| table.partitions[2].sectors = 50_000),
        "partition 7 (sectors 81 920 to 131 919) lies outside sectors 34 to 131 038, \
         which partitions may use; move it, or make the disk larger"
    );
    assert!(gpt_with(|table| table.partitions[0].start = Lba(33)).contains("lies outside"));
    assert!(gpt_with(|table| table.partitions[0].sectors = u64::MAX).contains("lies outside"));
    assert_eq!(
        gpt_with(|table| table.partitions[0].sectors = 0),
        "partition 1 is empty; give it at least one sector"
    );
}

#[test]
fn the_usable_range_keeps_clear_of_the_table() {
    assert!(gpt_with(|table| table.first_usable = Lba(33)).contains("leaves 34 to 131 038 free"));
    assert!(gpt_with(|table| table.last_usable = Lba(131_039)).contains("leaves 34 to 131 038"));
}

#[test]
fn numbers_and_identifiers_that_clash() {
    assert_eq!(
        gpt_with(|table| table.partitions[1].number = 1),
        "two partitions have number 1; numbers must differ"
    );
    assert_eq!(
        gpt_with(|table| table.partitions[1].number = 129),
        "partition number 129 does not exist in GPT, which has 1 to 128"
    );
    assert_eq!(
        gpt_with(|table| table.partitions[2].id = Some(id(1))),
        "partitions 1 and 7 have the same GUID; they must differ"
    );
    assert_eq!(
        gpt_with(|table| table.partitions[2].id = None),
        "partition 7 has no GUID, which GPT requires"
    );
}

#[test]
fn names_that_gpt_cannot_store() {
    let named = |name: &str| gpt_with(|table| table.partitions[0].name = name.to_owned());
    let crabs = "🦀".repeat(18);
    let mut table = gpt_table(SectorSize::B512);
    table.partitions[0].name.clone_from(&crabs);
    assert_eq!(decode(&disk(&table)).unwrap().table, table);
    assert_eq!(
        named(&format!("{crabs}!")),
        format!(
            "the name '{crabs}!' of partition 1 has 37 UTF-16 units, GPT stores 36; shorten it"
        )
    );
    assert!(named("a\0b").contains("NUL"));
}

#[test]
fn what_the_other_kind_of_table_stores() {
    assert!(gpt_with(|table| table.partitions[0].active = true).contains("active flag"));
    assert!(
        gpt_with(|table| table.partitions[0].kind = PartitionType::Mbr(0x83))
            .contains("does not store")
    );
    assert!(mbr_with(|table| table.partitions[0].kind = kind("esp")).contains("does not store"));
    assert!(
        mbr_with(|table| table.partitions[0].kind = PartitionType::Mbr(0))
            .contains("does not store")
    );
    assert!(mbr_with(|table| table.partitions[0].id = Some(id(1))).contains("has a GUID"));
    assert_eq!(
        mbr_with(|table| table.partitions[0].kind = PartitionType::Mbr(0xee)),
        "partition 1 has type 0xee, by which an MBR says that the disk has a GPT; give it another type"
    );
    assert!(
        mbr_with(|table| table.partitions[0].attributes = Attributes::NO_AUTO)
            .contains("attributes")
    );
}

#[test]
fn logical_partitions_out_of_place() {
    assert_eq!(
        mbr_with(|table| drop(table.partitions.remove(3))),
        "partition 5 is logical, and there is no extended partition; add one among 1 to 4"
    );
    assert_eq!(
        mbr_with(|table| drop(table.partitions.remove(5))),
        "logical partition 7 follows 5; logical partitions are numbered from 5 without gaps"
    );
    assert_eq!(
        mbr_with(|table| table.partitions[6].sectors = 4097),
        "partition 7 (sectors 51 200 to 55 296), with its boot record at sector 49 152, \
         lies outside the extended partition 4 (sectors 26 624 to 55 295)"
    );
    assert!(mbr_with(|table| table.partitions[5].start = Lba(30_000)).contains("overlaps"));
    assert!(
        mbr_with(|table| table.partitions[2].kind = PartitionType::Mbr(0x05))
            .contains("both extended")
    );
    assert_eq!(
        mbr_with(|table| table.partitions[4].boot_record = Some(Lba(26_625))),
        "the boot record of partition 5 is at sector 26 625, but the first one must be \
         at sector 26 624, where the extended partition starts"
    );
    for boot_record in [26_624, 28_672, 40_960] {
        let message = mbr_with(|table| table.partitions[5].boot_record = Some(Lba(boot_record)));
        assert!(message.contains("is not in free space"), "{message}");
    }
}

#[test]
fn disks_of_impossible_size() {
    let gpt = |sectors| Table::gpt(DISK, SectorSize::B512, sectors);
    assert_eq!(
        gpt(67).unwrap_err().to_string(),
        "a disk of 67 sectors of 512 bytes is too small for GPT, which needs at least 68; \
         make the disk larger"
    );
    assert_eq!(gpt(68).unwrap().first_usable, gpt(68).unwrap().last_usable);
    assert!(matches!(
        gpt(u64::MAX),
        Err(TableError::DiskTooLarge { .. })
    ));
    assert!(matches!(
        SectorSize::try_from(520),
        Err(TableError::SectorSize { bytes: 520 })
    ));
    assert_eq!(
        Table::mbr(1, SectorSize::B512, 1 << 40)
            .unwrap()
            .last_usable,
        Lba((1 << 32) - 1)
    );
}
