//! A disk's partition table.

use arbitrary::{Result, Unstructured};
use cellblock_table::json_like_sfdisk;
use cellblock_table::{Decoded, SectorSize, Severity, Table, TableError};

use crate::disk::Disk;

/// Bytes at each end of a disk that are known: an MBR, a header, 128 entries, and a few sectors.
const END: usize = 48 << 10;

/// Reads the table of a disk whose ends are given; what can be read is described, written, and read back.
pub fn table(data: &[u8]) {
    table_shown(data, |_| ());
}

/// Like [`table`], and gives what can be read to `show`: the program has pictures of its own, which this crate does not know.
pub fn table_shown(data: &[u8], show: impl Fn(&Table)) {
    let Ok((disk, sector_size)) = disk(Unstructured::new(data)) else {
        return;
    };
    let decode = |disk: &Disk| match sector_size {
        None => Table::decode(disk),
        Some(size) => Table::decode_as(disk, size),
    };
    match decode(&disk) {
        Ok(decoded) => {
            describe(&decoded);
            show(&decoded.table);
            write_back(&decoded.table);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A disk, and the sector size that is known of it.
fn disk(mut bytes: Unstructured<'_>) -> Result<(Disk, Option<SectorSize>)> {
    let flags: u8 = bytes.arbitrary()?;
    let sector_size =
        [None, Some(SectorSize::B512), Some(SectorSize::B4096)][usize::from(flags & 3) % 3];
    let size = u64::from(bytes.arbitrary::<u32>()?) << (flags >> 4);
    let tail_length = usize::from(bytes.arbitrary::<u16>()?)
        .min(END)
        .min(bytes.len());
    let tail = bytes.bytes(tail_length)?.to_vec();
    let head = bytes.take_rest();
    let mut disk = Disk::new(size, head[..head.len().min(END)].to_vec(), tail);
    if flags & 4 != 0 {
        let sector = if flags & 8 == 0 { 512 } else { 4096 };
        seal(&mut disk, sector);
    }
    Ok((disk, sector_size))
}

/// Gives both headers of a GPT the signatures and checksums that their contents have, so that what lies behind those is reached.
fn seal(disk: &mut Disk, sector: usize) {
    if let Some(signature) = disk.head.get_mut(510..512) {
        signature.copy_from_slice(&[0x55, 0xaa]);
    }
    let entries = disk.head.get(2 * sector..).unwrap_or_default().to_vec();
    seal_header(disk.head.get_mut(sector..2 * sector), &entries);
    let header = disk.tail.len().saturating_sub(sector);
    let (entries, header) = disk.tail.split_at_mut(header);
    seal_header(Some(header), entries);
}

/// UEFI 2.10, table 5-5. The entries are the last bytes of `entries`, for a backup, or the first, for a primary header.
fn seal_header(header: Option<&mut [u8]>, entries: &[u8]) {
    let Some(header) = header.filter(|header| header.len() >= 92) else {
        return;
    };
    header[..8].copy_from_slice(b"EFI PART");
    header[12..16].copy_from_slice(&92_u32.to_le_bytes());
    let field = |header: &[u8], at: usize| {
        let bytes = header[at..at + 4].try_into().expect("four bytes");
        usize::try_from(u32::from_le_bytes(bytes)).expect("a pointer holds 32 bits")
    };
    let length = field(header, 80).saturating_mul(field(header, 84));
    if let Some(entries) = entries.get(..length) {
        header[88..92].copy_from_slice(&crc32fast::hash(entries).to_le_bytes());
    }
    header[16..20].fill(0);
    let checksum = crc32fast::hash(&header[..92]);
    header[16..20].copy_from_slice(&checksum.to_le_bytes());
}

/// Puts a table through all that is said of it.
fn describe(decoded: &Decoded) {
    for finding in &decoded.findings {
        assert!(!finding.to_string().is_empty());
    }
    let report = json_like_sfdisk(&decoded.table, "disk").with_entries(decoded.entries);
    assert!(serde_json::to_string(&report).is_ok());
}

/// What can be written to an empty disk is read back as it was, and nothing is wrong with it.
fn write_back(table: &Table) {
    let mut disk = Disk::new(table.disk_bytes(), Vec::new(), Vec::new());
    let regions = match table.encode() {
        Ok(regions) => regions,
        Err(error) => return refuse(&error),
    };
    for region in regions {
        disk.write(region);
    }
    let again = Table::decode_as(&disk, table.sector_size).expect("a table that was just written");
    let mut settled = table.clone();
    for partition in &mut settled.partitions {
        partition.boot_record = table.boot_record(partition);
    }
    assert_eq!(again.table, settled);
    let damage = |finding: &&cellblock_table::Finding| finding.severity() != Severity::Advice;
    assert_eq!(again.findings.iter().find(damage), None);
}

fn refuse(error: &TableError) {
    assert!(!error.to_string().is_empty());
}
