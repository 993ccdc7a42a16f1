//! Damaged tables, and what mends them; sgdisk and sfdisk say what they think of it before and after.

use cellblock_judges::judge;

use super::judged::blank;
use super::*;

/// A disk with bytes without a pattern where the partitions and the gaps before them are.
fn lived_in(table: &Table) -> Vec<u8> {
    let mut bytes = disk(table);
    let sector = usize::try_from(table.sector_size.bytes()).unwrap();
    let first = usize::try_from(table.first_usable.0).unwrap() * sector;
    let last = usize::try_from(table.last_usable.0 + 1).unwrap() * sector;
    for (at, byte) in bytes[first..last].iter_mut().enumerate() {
        *byte = u8::try_from(at % 251).unwrap() | 1;
    }
    bytes
}

/// Writes what is to be mended, one thing after the other; the names of the things.
fn mend(bytes: &mut [u8]) -> Vec<String> {
    let repair = Table::repair(&&*bytes, None).unwrap();
    assert!(!repair.faults.is_empty());
    let mut done = Vec::new();
    for Mend { what, region } in repair.mends {
        // Before each step, and in the middle of it, a sound copy is there.
        let start = usize::try_from(region.offset).unwrap();
        let half = region.bytes.len() / 2;
        for part in [0..half, half..region.bytes.len()] {
            assert!(decode(bytes).is_ok(), "before {what}");
            bytes[start + part.start..start + part.end].copy_from_slice(&region.bytes[part]);
        }
        done.push(what.to_string());
    }
    done
}

fn assert_judged(bytes: &[u8], is_sound: bool) {
    let folder = blank(0);
    std::fs::write(folder.path().join("disk.img"), bytes).unwrap();
    if let Some(sgdisk) = judge("sgdisk") {
        let output = sgdisk
            .command()
            .args(["--verify", "disk.img"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        // Of a copy or an MBR that it would write anew it says so, and that there are no problems.
        let is_content = said.contains("No problems found") && !said.contains("corrupt");
        assert_eq!(is_content, is_sound, "{said}");
    }
    if let (true, Some(sfdisk)) = (is_sound, judge("sfdisk")) {
        let said = sfdisk.answer(&["--verify", "disk.img"], folder.path(), "");
        assert!(said.contains("No errors detected."), "{said}");
    }
}

/// Fails unless the damage is found by sgdisk, mended, and nothing outside of the table changed; what was written.
fn assert_mended(table: &Table, damage: impl FnOnce(&mut Vec<u8>)) -> Vec<String> {
    let mut bytes = lived_in(table);
    damage(&mut bytes);
    let before = bytes.clone();
    if table.sector_size == SectorSize::B512 {
        assert_judged(&bytes, false);
    }
    let done = mend(&mut bytes);
    if table.sector_size == SectorSize::B512 {
        assert_judged(&bytes, true);
    }
    let decoded = decode(&bytes).unwrap();
    assert_eq!(decoded.findings, []);
    assert_eq!(decoded.table.partitions, table.partitions);
    let from = usize::try_from(table.first_usable.to_bytes(table.sector_size)).unwrap();
    let free = decoded.table.last_usable.0 + 1;
    let to = usize::try_from(Lba(free).to_bytes(table.sector_size)).unwrap();
    assert!(before[from..to] == bytes[from..to], "other bytes changed");
    assert!(before[..440] == bytes[..440], "boot code changed");
    let again = Table::repair(&bytes.as_slice(), None).unwrap();
    assert_eq!((again.faults, again.mends), (vec![], vec![]));
    done
}

#[test]
fn a_backup_that_a_longer_disk_left_behind() {
    for sector_size in SectorSize::ALL {
        for more in [sector_size.bytes(), 10 * sector_size.bytes(), 5 << 20] {
            let more = usize::try_from(more).unwrap();
            let done = assert_mended(&gpt_table(sector_size), |bytes| {
                bytes.resize(bytes.len() + more, 0);
            });
            assert_eq!(done.len(), 3, "{done:?}");
            assert!(done[0].starts_with("the backup GPT, in sectors "));
            assert_eq!(
                done[1..],
                [
                    "the primary header, in sector 1",
                    "the entry of the MBR that protects the GPT, in sector 0"
                ]
            );
        }
    }
}

#[test]
fn a_backup_that_is_missing_or_damaged() {
    let table = gpt_table(SectorSize::B512);
    let whole = "the backup GPT, in sectors 131 039 to 131 071, the last of the disk";
    for damage in [
        |bytes: &mut Vec<u8>| {
            let length = bytes.len();
            bytes[length - 33 * 512..].fill(0);
        },
        |bytes: &mut Vec<u8>| {
            let length = bytes.len();
            bytes[length - 512 + 60] ^= 1;
        },
        |bytes: &mut Vec<u8>| {
            let length = bytes.len();
            bytes[length - 33 * 512 + 5] ^= 1;
        },
    ] {
        assert_eq!(assert_mended(&table, damage), [whole]);
    }
    // A disk that ends earlier, behind its last partition.
    let done = assert_mended(&table, |bytes| bytes.truncate(bytes.len() - (2 << 20)));
    assert_eq!(
        done[0],
        "the backup GPT, in sectors 126 943 to 126 975, the last of the disk"
    );
}

#[test]
fn a_primary_that_is_damaged() {
    let table = gpt_table(SectorSize::B512);
    let header = "the primary header, in sector 1";
    let entries = "the primary entries, from sector 2 on";
    assert_eq!(
        assert_mended(&table, |bytes| bytes[512 + 60] ^= 1),
        [header]
    );
    assert_eq!(
        assert_mended(&table, |bytes| bytes[512..1024].fill(0)),
        [header]
    );
    assert_eq!(
        assert_mended(&table, |bytes| bytes[1024 + 60] ^= 1),
        [entries]
    );
    let done = assert_mended(&table, |bytes| bytes[512..34 * 512].fill(0));
    assert_eq!(done, [entries, header]);
    let done = assert_mended(&table, |bytes| {
        bytes[512 + 60] ^= 1;
        bytes[1024 + 60] ^= 1;
    });
    assert_eq!(done, [entries, header]);
}

/// The usual GPT with its entries behind a boot loader.
fn moved() -> Table {
    let usual = gpt_table(SectorSize::B512);
    let shape = Shape {
        entries: Lba(64),
        ..Shape::default()
    };
    let table = Table::new(usual.disk_id, SectorSize::B512, usual.disk_sectors, shape).unwrap();
    Table {
        partitions: usual.partitions,
        ..table
    }
}

#[test]
fn a_boot_loader_before_moved_entries_is_left_alone() {
    for destroy in [512 + 60..512 + 61, 512..1024] {
        let mut bytes = lived_in(&moved());
        bytes[1024..20_000].fill(0x5a);
        bytes[destroy].fill(0xff);
        let before = bytes.clone();
        assert_eq!(mend(&mut bytes), ["the primary header, in sector 1"]);
        assert_judged(&bytes, true);
        assert!(bytes[1024..] == before[1024..]);
        assert_eq!(decode(&bytes).unwrap().table, moved());
    }
    let mut bytes = lived_in(&moved());
    bytes[1024..20_000].fill(0x5a);
    bytes[512..1024].fill(0);
    bytes[64 * 512 + 60] ^= 1;
    assert_eq!(
        Table::repair(&bytes.as_slice(), None)
            .unwrap_err()
            .to_string(),
        "the primary header is damaged, and sectors 2 to 33 hold something else than its entries: \
         nothing tells where these were"
    );
}

#[test]
fn an_mbr_that_does_not_protect() {
    let table = gpt_table(SectorSize::B512);
    let protective = "the entry of the MBR that protects the GPT, in sector 0";
    let done = assert_mended(&table, |bytes| {
        bytes[..440].fill(0x5a);
        bytes[440..512].fill(0);
    });
    assert_eq!(done, [protective]);
    let mut bytes = lived_in(&table);
    bytes[0x1be] = 0x80;
    bytes[0x1ca..0x1ce].copy_from_slice(&7_u32.to_le_bytes());
    assert_eq!(mend(&mut bytes), [protective]);
    assert_eq!(bytes[0x1be], 0x80, "the entry is no longer active");
}

#[test]
fn other_numbers_of_entries_stay() {
    let Some(sfdisk) = judge("sfdisk") else {
        return;
    };
    let folder = blank(64 << 20);
    let script = "label: gpt\nfirst-lba: 64\ntable-length: 24\nstart=64, size=100, name=\"a\"\n24: start=2048, size=2048\n";
    sfdisk.answer(
        &["--quiet", "--no-tell-kernel", "--no-reread", "disk.img"],
        folder.path(),
        script,
    );
    let mut bytes = std::fs::read(folder.path().join("disk.img")).unwrap();
    bytes.resize(bytes.len() + 4096, 0);
    mend(&mut bytes);
    let decoded = decode(&bytes).unwrap();
    assert_eq!(decoded.entries, Some(24));
    let faults = decoded
        .findings
        .iter()
        .filter(|finding| finding.severity() != Severity::Advice);
    assert_eq!(faults.count(), 0);
    assert_judged(&bytes, true);
}

fn refused(bytes: &[u8]) -> String {
    match Table::repair(&bytes, None) {
        Err(error) => error.to_string(),
        Ok(repair) => panic!("{:?} can be repaired", repair.faults),
    }
}

#[test]
fn what_cannot_be_repaired() {
    let table = gpt_table(SectorSize::B512);
    let whole = lived_in(&table);
    let last = whole.len() - 512;

    let mut bytes = whole.clone();
    bytes[512] = 0;
    bytes[last] = 0;
    assert!(refused(&bytes).starts_with("the GPT is damaged beyond use: "));

    let mut bytes = whole.clone();
    bytes.truncate((60 << 20) + 10 * 512);
    assert_eq!(
        refused(&bytes),
        "the backup GPT takes the last 33 sectors, and partition 7 (sectors 81 920 to 122 879) reaches into them: \
         make the disk 23 sectors longer"
    );

    let mut other = table.clone();
    other.partitions[1].name = "other".to_owned();
    let mut bytes = whole.clone();
    let region = other.encode().unwrap().pop().unwrap();
    bytes[last - 32 * 512..].copy_from_slice(&region.bytes);
    assert_eq!(
        refused(&bytes),
        "both copies of the GPT are sound and differ in the entries: nothing tells which of them is meant"
    );

    let mut bytes = disk(&mbr_table());
    // The boot record of the second logical partition.
    bytes[38_912 * 512 + 510] = 0;
    assert_eq!(
        refused(&bytes),
        "this cannot be repaired, so nothing is done:\n  \
         the chain of logical partitions breaks at sector 38 912: no boot record there"
    );
    assert!(refused(&[0; 4096]).starts_with("no partition table: "));
}

#[test]
fn a_disk_that_ends_before_its_last_partition_is_read() {
    let mut bytes = lived_in(&gpt_table(SectorSize::B512));
    bytes.truncate(50 << 20);
    let decoded = decode(&bytes).unwrap();
    let severities: Vec<Severity> = decoded.findings.iter().map(Finding::severity).collect();
    assert_eq!(severities, [Severity::Warning; 3], "{:?}", decoded.findings);
    // A partition of which nothing is there is another matter.
    bytes.truncate(30 << 20);
    let worst = decode(&bytes)
        .unwrap()
        .findings
        .into_iter()
        .map(|finding| finding.severity())
        .max();
    assert_eq!(worst, Some(Severity::Damage));
}

#[test]
fn an_isohybrid_is_read_with_one_warning() {
    let mut table = Table::mbr(1, SectorSize::B512, 16_384).unwrap();
    table.partitions = vec![
        Partition {
            active: true,
            ..mbr_partition(1, 1, 16_000, 0x17)
        },
        mbr_partition(2, 256, 1000, 0xef),
    ];
    let mut bytes = vec![0; 8 << 20];
    let mut record = Table {
        partitions: vec![table.partitions[0].clone()],
        ..table.clone()
    }
    .encode()
    .unwrap()
    .remove(0)
    .bytes;
    let second = Table {
        partitions: vec![table.partitions[1].clone()],
        ..table
    };
    record[0x1ce..0x1de].copy_from_slice(&second.encode().unwrap()[0].bytes[0x1ce..0x1de]);
    // The first partition begins with the disk, as no program that partitions disks makes it.
    record[0x1be + 8] = 0;
    bytes[..512].copy_from_slice(&record);
    let is_overlap = |finding: &Finding| matches!(finding, Finding::Overlap { .. });
    assert!(decode(&bytes).unwrap().findings.iter().any(is_overlap));

    bytes[0x8000..0x8006].copy_from_slice(b"\x01CD001");
    let decoded = decode(&bytes).unwrap();
    let numbers: Vec<u32> = decoded
        .table
        .partitions
        .iter()
        .map(|one| one.number)
        .collect();
    assert_eq!(numbers, [1, 2]);
    let worst: Vec<&Finding> = decoded
        .findings
        .iter()
        .filter(|finding| finding.severity() != Severity::Advice)
        .collect();
    assert_eq!(worst, [&Finding::Isohybrid { number: 1 }]);
}

/// A disk that knows its sectors.
struct Device<'a>(&'a [u8], SectorSize);

impl ReadAt for Device<'_> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.0.read_at(offset, buffer)
    }

    fn size(&self) -> std::io::Result<u64> {
        self.0.size()
    }

    fn sector_size(&self) -> Option<SectorSize> {
        Some(self.1)
    }
}

#[test]
fn sectors_are_as_long_as_the_disk_says() {
    let mut table = Table::mbr(1, SectorSize::B4096, 16_384).unwrap();
    table.partitions = vec![mbr_partition(1, 256, 512, 0x83)];
    let bytes = disk(&table);
    let read = |size| Table::decode(&Device(&bytes, size)).unwrap();
    let decoded = read(SectorSize::B4096);
    assert_eq!((decoded.table, decoded.findings), (table.clone(), vec![]));
    let decoded = read(SectorSize::B512);
    assert_eq!(decoded.table.sector_size, SectorSize::B512);
    assert!(!decoded.findings.contains(&Finding::SectorSizeUnknown));
    // A file does not say it, and this one could be either.
    let decoded = decode(&bytes).unwrap();
    assert_eq!(decoded.table.sector_size, SectorSize::B512);
    assert_eq!(decoded.findings[0], Finding::SectorSizeUnknown);
    assert_eq!(decoded.findings[0].severity(), Severity::Advice);
    // A GPT says it, whatever the disk it was copied to has.
    let bytes = disk(&gpt_table(SectorSize::B512));
    let decoded = Table::decode(&Device(&bytes, SectorSize::B4096)).unwrap();
    assert_eq!(decoded.table, gpt_table(SectorSize::B512));
}
