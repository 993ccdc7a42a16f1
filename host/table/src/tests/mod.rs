#![allow(clippy::unwrap_used)]

mod hybrid;
mod judged;
mod properties;
mod refused;
mod repaired;
mod shaped;

use uuid::{Uuid, uuid};

use super::*;

const DISK: Uuid = uuid!("11111111-2222-3333-4444-555555555555");

fn id(number: u32) -> Uuid {
    Uuid::from_u128(0xaaaaaaaa_2222_3333_4444_555555555500 + u128::from(number))
}

fn kind(name: &str) -> PartitionType {
    PartitionType::Gpt(by_name(name).unwrap())
}

/// A GPT partition with a GUID.
fn gpt_partition(number: u32, start: u64, sectors: u64, type_name: &str) -> Partition {
    Partition {
        id: Some(id(number)),
        ..Partition::new(number, Lba(start), sectors, kind(type_name))
    }
}

fn mbr_partition(number: u32, start: u64, sectors: u64, byte: u8) -> Partition {
    Partition::new(number, Lba(start), sectors, PartitionType::Mbr(byte))
}

/// A GPT of 64 MiB with an odd numbering, a name beyond ASCII, and attributes.
fn gpt_table(sector_size: SectorSize) -> Table {
    let mut table = Table::gpt(DISK, sector_size, (64 << 20) / sector_size.bytes()).unwrap();
    let mib = table.alignment();
    table.partitions = vec![
        Partition {
            name: "efi ünï 根".to_owned(),
            attributes: Attributes::REQUIRED
                | Attributes::LEGACY_BOOT
                | Attributes::READ_ONLY
                | Attributes::NO_AUTO,
            ..gpt_partition(1, mib, 8 * mib, "esp")
        },
        Partition {
            name: "root".to_owned(),
            ..gpt_partition(2, 10 * mib, 20 * mib, "root-x86-64")
        },
        gpt_partition(7, 40 * mib, 20 * mib, "linux-generic"),
    ];
    table
}

/// An MBR of 100 MiB with three primary and three logical partitions.
fn mbr_table() -> Table {
    let mut table = Table::mbr(0xdead_beef, SectorSize::B512, (100 << 20) / 512).unwrap();
    let logicals = [
        mbr_partition(5, 28_672, 8192, 0x83),
        mbr_partition(6, 40_960, 8192, 0x83),
        mbr_partition(7, 51_200, 4096, 0x82),
    ];
    table.partitions = vec![
        Partition {
            active: true,
            ..mbr_partition(1, 2048, 8192, 0x0c)
        },
        mbr_partition(2, 10_240, 8192, 0x83),
        mbr_partition(3, 18_432, 8192, 0x82),
    ];
    table.partitions.extend(table.extended_around(4, &logicals));
    table.partitions.extend(logicals);
    table
}

/// The disk that a table describes, with nothing but the table on it.
fn disk(table: &Table) -> Vec<u8> {
    let mut disk = vec![0; usize::try_from(table.disk_bytes()).unwrap()];
    for region in table.encode().unwrap() {
        let start = usize::try_from(region.offset).unwrap();
        disk[start..start + region.bytes.len()].copy_from_slice(&region.bytes);
    }
    disk
}

fn decode(disk: &[u8]) -> Result<Decoded, TableError> {
    Table::decode(&disk)
}

/// The table with every choice made explicit, as it is read back.
fn settled(table: &Table) -> Table {
    let mut settled = table.clone();
    for partition in &mut settled.partitions {
        partition.boot_record = table.boot_record(partition);
    }
    settled
}

#[test]
fn what_is_written_is_read_back() {
    for table in [
        gpt_table(SectorSize::B512),
        gpt_table(SectorSize::B4096),
        mbr_table(),
    ] {
        let decoded = decode(&disk(&table)).unwrap();
        assert_eq!(decoded.table, settled(&table));
        assert_eq!(decoded.findings, []);
    }
}

#[test]
fn regions_cover_both_copies_of_a_gpt() {
    let regions = gpt_table(SectorSize::B512).encode().unwrap();
    let spans: Vec<_> = regions
        .iter()
        .map(|region| (region.offset, region.bytes.len()))
        .collect();
    assert_eq!(spans, [(0, 34 * 512), ((64 << 20) - 33 * 512, 33 * 512)]);
    let regions = gpt_table(SectorSize::B4096).encode().unwrap();
    let spans: Vec<_> = regions
        .iter()
        .map(|region| (region.offset, region.bytes.len()))
        .collect();
    assert_eq!(spans, [(0, 6 * 4096), ((64 << 20) - 5 * 4096, 5 * 4096)]);
}

#[test]
fn a_damaged_primary_is_replaced_by_the_backup() {
    let table = gpt_table(SectorSize::B512);
    let mut disk = disk(&table);
    disk[512..1024].fill(0);
    let decoded = decode(&disk).unwrap();
    assert_eq!(decoded.table, table);
    assert_eq!(
        decoded.findings,
        [
            Finding::Primary(HeaderFault::Missing { at: Lba(1) }),
            Finding::BackupUsed
        ]
    );
    let last = disk.len() - 512;
    disk[last] = 0;
    assert!(matches!(decode(&disk), Err(TableError::Damaged { .. })));
}

#[test]
fn a_backup_that_is_missing_or_elsewhere_is_found() {
    let table = gpt_table(SectorSize::B512);
    let mut disk = disk(&table);
    let (whole, mut grown) = (disk.len(), disk.clone());
    disk.truncate(whole - 512);
    let at = Lba(table.disk_sectors - 1);
    assert_eq!(
        decode(&disk).unwrap().findings.last(),
        Some(&Finding::Backup(HeaderFault::BeyondDisk { at }))
    );
    disk.resize(whole, 0);
    assert_eq!(
        decode(&disk).unwrap().findings,
        [Finding::Backup(HeaderFault::Missing { at })]
    );

    grown.resize(whole + 5120, 0);
    let misplaced = Finding::BackupMisplaced {
        at,
        expected: Lba(at.0 + 10),
    };
    assert!(decode(&grown).unwrap().findings.contains(&misplaced));
}

#[test]
fn every_bit_of_the_headers_matters() {
    let table = gpt_table(SectorSize::B512);
    let mut disk = disk(&table);
    let last = disk.len() - 512;
    for start in [512, last] {
        for at in start..start + 92 {
            disk[at] ^= 0x10;
            let decoded = decode(&disk).unwrap();
            disk[at] ^= 0x10;
            assert_eq!(decoded.table, table);
            assert!(
                decoded
                    .findings
                    .iter()
                    .any(|finding| finding.severity() != Severity::Advice),
                "byte {at}"
            );
        }
    }
}

#[test]
fn copies_that_differ_are_found() {
    let table = gpt_table(SectorSize::B512);
    let mut other = table.clone();
    other.partitions[1].name = "other".to_owned();
    let mut disk = disk(&table);
    let [_, backup] = <[Region; 2]>::try_from(other.encode().unwrap()).unwrap();
    let start = usize::try_from(backup.offset).unwrap();
    disk[start..].copy_from_slice(&backup.bytes);
    assert_eq!(
        decode(&disk).unwrap().findings,
        [Finding::CopiesDiffer {
            what: "the entries"
        }]
    );
}

#[test]
fn an_mbr_over_a_gpt_counts_and_a_missing_one_does_not() {
    let table = gpt_table(SectorSize::B512);
    let mut disk = disk(&table);
    disk[0x1fe..0x200].fill(0);
    let decoded = decode(&disk).unwrap();
    assert_eq!(
        (decoded.table, decoded.findings),
        (table, vec![Finding::NotProtected])
    );

    let mbr = mbr_table().encode().unwrap();
    disk[..512].copy_from_slice(&mbr[0].bytes);
    let decoded = decode(&disk).unwrap();
    assert_eq!(decoded.table.scheme(), Scheme::Mbr);
    assert_eq!(decoded.findings[0], Finding::GptBehindMbr);
}

#[test]
fn odd_placements_are_found() {
    let mut table = gpt_table(SectorSize::B512);
    table.partitions[1].start = Lba(60_001);
    let twins = table.partitions[1].id;
    table.partitions.truncate(2);
    table.partitions.push(Partition {
        ..gpt_partition(3, 30_000, 100, "swap")
    });
    let mut disk = disk(&table);
    let entry = 1024 + 2 * 128;
    disk[entry + 16..entry + 32].copy_from_slice(&twins.unwrap().to_bytes_le());
    disk[entry + 32..entry + 40].copy_from_slice(&60_005_u64.to_le_bytes());
    disk[entry + 40..entry + 48].copy_from_slice(&200_000_u64.to_le_bytes());
    let checksum = crc32fast::hash(&disk[1024..1024 + 128 * 128]);
    disk[512 + 88..512 + 92].copy_from_slice(&checksum.to_le_bytes());
    disk[512 + 16..512 + 20].fill(0);
    let checksum = crc32fast::hash(&disk[512..512 + 92]);
    disk[512 + 16..512 + 20].copy_from_slice(&checksum.to_le_bytes());

    let findings: Vec<String> = decode(&disk)
        .unwrap()
        .findings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        findings,
        [
            "the primary and the backup GPT differ in the entries: the primary was used",
            "partition 2 starts at byte 30 720 512, which is not a multiple of 1 MiB",
            "partition 3 (sectors 60 005 to 200 000) ends beyond the disk, which has 131 072 sectors",
            "partition 3 starts at byte 30 722 560, which is not a multiple of 1 MiB",
            "partition 2 (sectors 60 001 to 100 960) overlaps partition 3 (sectors 60 005 to 200 000)",
            "partitions 2 and 3 have the same GUID aaaaaaaa-2222-3333-4444-555555555502",
        ]
    );
}

#[test]
fn a_chain_that_breaks_or_loops_ends() {
    let table = mbr_table();
    let whole = disk(&table);
    let second = 38_912 * 512;
    let mut broken = whole.clone();
    broken[second + 510] = 0;
    assert_eq!(
        decode(&broken).unwrap().findings,
        [Finding::ChainBroken { at: Lba(38_912) }]
    );

    let mut looping = whole;
    let third = 49_152 * 512;
    let link = third + 0x1ce;
    let own = u32::try_from(49_152 - table.extended().unwrap().start.0).unwrap();
    looping[link + 4] = 0x05;
    looping[link + 8..link + 12].copy_from_slice(&own.to_le_bytes());
    looping[link + 12..link + 16].copy_from_slice(&1_u32.to_le_bytes());
    assert_eq!(
        decode(&looping).unwrap().findings,
        [Finding::ChainEndless { at: Lba(49_152) }]
    );
}

#[test]
fn partitions_that_may_hold_the_table_itself_are_found() {
    let table = gpt_table(SectorSize::B512);
    let whole = disk(&table);
    let last = whole.len() - 512;
    for (header, at, usable) in [(512, 40, 33_u64), (last, 48, 131_039)] {
        let mut disk = whole.clone();
        disk[header + at..header + at + 8].copy_from_slice(&usable.to_le_bytes());
        disk[header + 16..header + 20].fill(0);
        let checksum = crc32fast::hash(&disk[header..header + 92]);
        disk[header + 16..header + 20].copy_from_slice(&checksum.to_le_bytes());
        let found = decode(&disk).unwrap().findings;
        let expected = |finding: &Finding| {
            let (Finding::Primary(fault) | Finding::Backup(fault)) = finding else {
                return false;
            };
            matches!(fault, HeaderFault::UsableRange { .. })
        };
        assert!(found.iter().any(expected), "{found:?}");
    }

    let table = mbr_table();
    let mut disk = disk(&table);
    // The first logical partition grows over the boot record of the second.
    let length = 0x1be + 12;
    let first = 26_624 * 512;
    disk[first + length..first + length + 4].copy_from_slice(&12_000_u32.to_le_bytes());
    let found = decode(&disk).unwrap().findings;
    assert_eq!(
        found[0].to_string(),
        "the boot record of partition 6 at sector 38 912 lies inside partition 5 (sectors 28 672 to 40 671)"
    );
    assert_eq!(found[0].severity(), Severity::Damage);
}

#[test]
fn what_is_no_table_is_said() {
    let absence = |disk: &[u8]| match decode(disk) {
        Err(TableError::NoTable(absence)) => absence,
        other => panic!("{other:?}"),
    };
    assert_eq!(absence(&[0; 100]), Absence::TooShort { size: 100 });
    assert_eq!(absence(&[0; 8192]), Absence::NoSignature);
    let mut sector = vec![0; 1 << 20];
    sector[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    sector[0x36..0x3e].copy_from_slice(b"FAT12   ");
    assert_eq!(absence(&sector), Absence::FileSystem);
    // A FAT need not say that it is one: sectors of 512 bytes, clusters of 4, one reserved, two tables, a medium.
    sector[0x36] = 0;
    let fat = [0, 2, 4, 1, 0, 2, 0, 2, 0, 0, 0xf8];
    sector[11..22].copy_from_slice(&fat);
    assert_eq!(absence(&sector), Absence::FileSystem);
    for at in [12, 13, 14, 16, 21] {
        sector[at] = 0;
        assert!(decode(&sector).unwrap().table.partitions.is_empty());
        sector[11..22].copy_from_slice(&fat);
    }
    sector[11..22].fill(0);
    sector[0x1be] = 0x7f;
    assert_eq!(absence(&sector), Absence::BootIndicator { byte: 0x7f });
}
