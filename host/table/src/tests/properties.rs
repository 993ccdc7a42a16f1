//! What holds for any table and any bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Numbers, lengths and the gaps before them, of partitions that follow each other.
fn spans() -> impl Strategy<Value = Vec<(u64, u64)>> {
    vec((0..5_000_u64, 1..5_000_u64), 0..20)
}

fn any_gpt() -> impl Strategy<Value = Table> {
    let names = vec("\\PC{0,18}", 20);
    (spans(), names, vec(any::<u64>(), 20), any::<bool>()).prop_map(
        |(spans, names, attributes, big)| {
            let sector_size = if big {
                SectorSize::B4096
            } else {
                SectorSize::B512
            };
            let mut table = Table::gpt(DISK, sector_size, 250_000).unwrap();
            let mut next = table.first_usable.0;
            for (number, (gap, sectors)) in (1..).zip(spans) {
                let index = usize::try_from(number).unwrap() - 1;
                table.partitions.push(Partition {
                    name: names[index].clone(),
                    attributes: Attributes::from_bits_retain(attributes[index]),
                    ..gpt_partition(number * 3, next + gap, sectors, "linux-generic")
                });
                next += gap + sectors;
            }
            table
        },
    )
}

fn any_mbr() -> impl Strategy<Value = Table> {
    (spans(), any::<u32>()).prop_map(|(spans, disk_id)| {
        let mut table = Table::mbr(disk_id, SectorSize::B512, 1_000_000).unwrap();
        let (gap_before_logical, mut next) = (table.alignment(), 1);
        let mut place = |number: u32, (gap, sectors): (u64, u64), lead: u64| {
            let start = next + lead + gap;
            next = start + sectors;
            mbr_partition(number, start, sectors, 0x83)
        };
        let logicals = spans.iter().skip(3);
        table.partitions = (1..=3)
            .zip(&spans)
            .map(|(number, span)| place(number, *span, 0))
            .collect();
        let logicals: Vec<_> = (5..)
            .zip(logicals)
            .map(|(number, span)| place(number, *span, gap_before_logical))
            .collect();
        table.partitions.extend(table.extended_around(4, &logicals));
        table.partitions.extend(logicals);
        table
    })
}

/// A disk of 8 MiB: a good table with some bytes changed, where tables are.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((0..20_480_usize, any::<bool>(), any::<u8>()), 0..40);
    (any::<bool>(), changes).prop_map(|(gpt, changes)| {
        let table = if gpt {
            gpt_table(SectorSize::B512)
        } else {
            mbr_table()
        };
        let mut disk = disk(&table);
        if !gpt {
            // The chain of logical partitions comes within reach of the changes.
            disk.copy_within(26_624 * 512..26_625 * 512, 1024);
            disk[0x1be + 3 * 16 + 8..0x1be + 3 * 16 + 12].copy_from_slice(&2_u32.to_le_bytes());
        }
        let length = disk.len();
        for (at, from_end, byte) in changes {
            disk[if from_end { length - 1 - at } else { at }] = byte;
        }
        disk
    })
}

/// Gives a header the checksums that its content has, so that what lies behind them is reached.
fn seal(disk: &mut [u8]) {
    let count = u32::from_le_bytes(disk[512 + 80..512 + 84].try_into().unwrap());
    let bytes = u32::from_le_bytes(disk[512 + 84..512 + 88].try_into().unwrap());
    let length = usize::try_from(u64::from(count) * u64::from(bytes)).unwrap();
    if let Some(entries) = disk.get(1024..1024 + length) {
        let checksum = crc32fast::hash(entries);
        disk[512 + 88..512 + 92].copy_from_slice(&checksum.to_le_bytes());
    }
    disk[512 + 16..512 + 20].fill(0);
    let checksum = crc32fast::hash(&disk[512..512 + 92]);
    disk[512 + 16..512 + 20].copy_from_slice(&checksum.to_le_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_gpt_is_read_back(table in any_gpt()) {
        let decoded = decode(&disk(&table)).unwrap();
        prop_assert_eq!(decoded.table, table);
        prop_assert!(decoded.findings.iter().all(|finding| finding.severity() == Severity::Advice));
    }

    #[test]
    fn any_mbr_is_read_back(table in any_mbr()) {
        let decoded = decode(&disk(&table)).unwrap();
        prop_assert_eq!(decoded.table, settled(&table));
        prop_assert!(decoded.findings.iter().all(|finding| finding.severity() == Severity::Advice));
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in vec(any::<u8>(), 0..65_536), signed in any::<bool>()) {
        if let (true, Some(signature)) = (signed, bytes.get_mut(510..512)) {
            signature.copy_from_slice(&[0x55, 0xaa]);
        }
        shown(&bytes);
    }

    #[test]
    fn damaged_tables_never_panic(mut disk in damaged(), sealed in any::<bool>()) {
        shown(&disk);
        if sealed {
            seal(&mut disk);
            shown(&disk);
        }
    }
}

/// Decodes, and puts what comes of it through all that a user could see.
fn shown(disk: &[u8]) {
    let Ok(Decoded {
        table, findings, ..
    }) = decode(disk)
    else {
        return;
    };
    for finding in findings {
        assert!(!finding.to_string().is_empty());
    }
    assert!(serde_json::to_string(&json_like_sfdisk(&table, "disk")).is_ok());
    drop(table.encode());
}
