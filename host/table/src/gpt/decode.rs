//! The bytes of a GPT to a table.

use uuid::Uuid;
use zerocopy::{FromBytes, IntoBytes};

use super::PRIMARY;
use super::format::{ENTRY_BYTES, Entry, HEADER_BYTES, Header, REVISION, SIGNATURE};
use crate::detect::{Detected, Disk};
use crate::{
    Attributes, Decoded, DiskId, Finding, HeaderFault, Lba, Partition, PartitionType, SectorSize,
    Shape, Table, TableError, check, mbr,
};

/// The longest array of entries that is read, in bytes: 32,768 entries of the usual size.
const MAX_ENTRIES_BYTES: u64 = 4 << 20;

/// One sound copy of the table.
pub(super) struct Copy {
    pub(super) header: Header,
    pub(super) entries: Vec<u8>,
}

/// Whether sector 1, in sectors of this size, begins like a header.
pub(crate) fn has_primary(disk: &Disk<'_>, sector_size: SectorSize) -> Result<bool, TableError> {
    let bytes = disk.read(PRIMARY.to_bytes(sector_size), SIGNATURE.len())?;
    Ok(bytes.is_some_and(|bytes| bytes == SIGNATURE))
}

/// Reads the GPT of a disk, in sectors of the size with which one is found.
///
/// As in the kernel, the MBR decides: with a boot signature and no protective entry it is the table itself.
pub(super) fn detect(disk: &Disk<'_>) -> Result<Detected, TableError> {
    let Some(record) = mbr::BootRecord::read(disk, 0)? else {
        return Ok(Detected::Absent(None));
    };
    if record.is_in_force() {
        return Ok(Detected::Absent(None));
    }
    let (mut with_primary, mut without) = (Vec::new(), Vec::new());
    for size in disk.sector_sizes() {
        if has_primary(disk, size)? {
            with_primary.push(size);
        } else {
            without.push(size);
        }
    }
    let mut damaged = None;
    for &sector_size in with_primary.iter().chain(&without) {
        match decode(disk, &record, sector_size) {
            // Where no size fits, the one whose primary header is recognisable tells most.
            Err(TableError::Damaged { primary, backup }) => {
                damaged.get_or_insert(TableError::Damaged { primary, backup });
            }
            result => return Ok(Detected::Table(result?)),
        }
    }
    match damaged {
        Some(error) if record.is_protective() || !with_primary.is_empty() => Err(error),
        _ => Ok(Detected::Absent(None)),
    }
}

/// Reads the GPT of a disk with sectors of this size: the primary copy, or if that is damaged the
/// backup.
fn decode(
    disk: &Disk<'_>,
    record: &mbr::BootRecord,
    sector_size: SectorSize,
) -> Result<Decoded, TableError> {
    let reader = Reader::new(disk, sector_size);
    let last = Lba(reader.disk_sectors.saturating_sub(1));
    let primary = reader.copy(PRIMARY)?;
    let mut shape = Shape::default();
    let mut backup_at = last;
    if let Ok(copy) = &primary {
        backup_at = Lba(copy.header.alternate_lba.get());
        shape.entries = Lba(copy.header.entries_lba.get());
        shape.backup = backup_at != PRIMARY;
    }
    let backup = if shape.backup {
        Some(reader.copy(backup_at)?)
    } else {
        None
    };

    let mut findings = protection(record, reader.disk_sectors);
    findings.extend(primary.as_ref().err().map(|fault| Finding::Primary(*fault)));
    match &backup {
        None => findings.push(Finding::NoBackup),
        Some(Err(fault)) => findings.push(Finding::Backup(*fault)),
        Some(Ok(_)) if backup_at != last => findings.push(Finding::BackupMisplaced {
            at: backup_at,
            expected: last,
        }),
        Some(Ok(_)) => {}
    }
    let copy = match (primary, backup) {
        (Ok(primary), Some(Ok(backup))) => {
            findings
                .extend(difference(&primary, &backup).map(|what| Finding::CopiesDiffer { what }));
            primary
        }
        (Ok(primary), _) => primary,
        (Err(_), Some(Ok(backup))) => {
            findings.push(Finding::BackupUsed);
            backup
        }
        (Err(primary), Some(Err(backup))) => return Err(TableError::Damaged { primary, backup }),
        (Err(_), None) => unreachable!("only a sound primary header says that there is no backup"),
    };

    let mut table = reader.table(&copy, shape, &mut findings);
    findings.extend(mbr::read_hybrid(record, &mut table));
    findings.extend(check::findings(&table));
    Ok(Decoded {
        table,
        entries: Some(copy.header.entry_count.get()),
        findings,
    })
}

/// What is to be said of the protective MBR.
fn protection(record: &mbr::BootRecord, disk_sectors: u64) -> Vec<Finding> {
    let Some((start, sectors)) = record.protective_range() else {
        return vec![Finding::NotProtected];
    };
    let partitions = record.beside_protective();
    if partitions > 0 {
        return vec![Finding::HybridMbr { partitions }];
    }
    let expected = mbr::protective_sectors(disk_sectors);
    // Some programs write the largest number whatever the disk's size, which protects it as well.
    if start == 1 && (sectors == expected || sectors == u32::MAX) {
        return Vec::new();
    }
    vec![Finding::ProtectiveExtent {
        start,
        sectors,
        expected,
    }]
}

/// In what two copies differ, if they do.
pub(super) fn difference(primary: &Copy, backup: &Copy) -> Option<&'static str> {
    let (left, right) = (&primary.header, &backup.header);
    if left.disk_id != right.disk_id {
        return Some("the disk's GUID");
    }
    if (left.first_usable, left.last_usable) != (right.first_usable, right.last_usable) {
        return Some("the usable sectors");
    }
    if (left.entry_count, left.entry_bytes) != (right.entry_count, right.entry_bytes) {
        return Some("the number or size of the entries");
    }
    if right.alternate_lba.get() != PRIMARY.0 {
        return Some("where the primary is");
    }
    (primary.entries != backup.entries).then_some("the entries")
}

/// Reads copies of a GPT.
pub(super) struct Reader<'a> {
    disk: &'a Disk<'a>,
    sector_size: SectorSize,
    pub(super) disk_sectors: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(disk: &'a Disk<'a>, sector_size: SectorSize) -> Self {
        Self {
            disk,
            sector_size,
            disk_sectors: disk.size / sector_size.bytes(),
        }
    }

    /// The copy whose header is in a sector, or what is wrong with it; an error only when the disk
    /// cannot be read.
    pub(super) fn copy(&self, at: Lba) -> Result<Result<Copy, HeaderFault>, TableError> {
        let sector = match at.0.checked_mul(self.sector_size.bytes()) {
            Some(offset) => self.disk.read(offset, self.sector_size.length())?,
            None => None,
        };
        let Some(sector) = sector else {
            return Ok(Err(HeaderFault::BeyondDisk { at }));
        };
        let header = match header(&sector, at) {
            Ok(header) => header,
            Err(fault) => return Ok(Err(fault)),
        };
        match self.entries(&header)? {
            Err(fault) => Ok(Err(fault)),
            Ok(entries) => Ok(self.usable(&header).map(|()| Copy { header, entries })),
        }
    }

    /// The entries that a header leads to, or what is wrong with them.
    fn entries(&self, header: &Header) -> Result<Result<Vec<u8>, HeaderFault>, TableError> {
        let (count, bytes) = (header.entry_count.get(), header.entry_bytes.get());
        let length = u64::from(count) * u64::from(bytes);
        let multiple = bytes / ENTRY_BYTES;
        if !bytes.is_multiple_of(ENTRY_BYTES)
            || !multiple.is_power_of_two()
            || length > MAX_ENTRIES_BYTES
        {
            return Ok(Err(HeaderFault::EntryShape { count, bytes }));
        }
        let at = Lba(header.entries_lba.get());
        let (Ok(length), Some(offset)) = (
            usize::try_from(length),
            at.0.checked_mul(self.sector_size.bytes()),
        ) else {
            return Ok(Err(HeaderFault::EntriesBeyondDisk { at }));
        };
        let Some(entries) = self.disk.read(offset, length)? else {
            return Ok(Err(HeaderFault::EntriesBeyondDisk { at }));
        };
        let (stored, computed) = (header.entries_checksum.get(), crc32fast::hash(&entries));
        if stored != computed {
            return Ok(Err(HeaderFault::EntriesChecksum { stored, computed }));
        }
        Ok(Ok(entries))
    }

    fn usable(&self, header: &Header) -> Result<(), HeaderFault> {
        let (first, last) = (
            Lba(header.first_usable.get()),
            Lba(header.last_usable.get()),
        );
        let entries = Lba(header.entries_lba.get());
        let bytes = u64::from(header.entry_count.get()) * u64::from(header.entry_bytes.get());
        let after = Lba(entries
            .0
            .saturating_add(self.sector_size.sectors_for(bytes)));
        let own = Lba(header.my_lba.get());
        let holds_the_table = first < after && entries <= last || first <= own && own <= last;
        if first > last || first <= PRIMARY || holds_the_table {
            return Err(HeaderFault::UsableRange { first, last });
        }
        Ok(())
    }

    fn table(&self, copy: &Copy, shape: Shape, findings: &mut Vec<Finding>) -> Table {
        let entry_bytes = usize::try_from(copy.header.entry_bytes.get())
            .expect("all entries together were read into memory");
        let partitions = (1..)
            .zip(copy.entries.chunks_exact(entry_bytes))
            .filter_map(|(number, bytes)| Some((number, Entry::read_from_prefix(bytes).ok()?.0)))
            .filter(|(_, entry)| entry.kind != [0; 16])
            .filter_map(|(number, entry)| partition(number, &entry, findings))
            .collect();
        Table {
            disk_id: DiskId::Gpt(Uuid::from_bytes_le(copy.header.disk_id)),
            sector_size: self.sector_size,
            disk_sectors: self.disk_sectors,
            first_usable: Lba(copy.header.first_usable.get()),
            last_usable: Lba(copy.header.last_usable.get()),
            shape,
            partitions,
        }
    }
}

/// The header in a sector, or what is wrong with it.
pub(super) fn header(sector: &[u8], at: Lba) -> Result<Header, HeaderFault> {
    let missing = HeaderFault::Missing { at };
    let (mut header, _) = Header::read_from_prefix(sector).map_err(|_| missing)?;
    if header.signature != SIGNATURE {
        return Err(missing);
    }
    let revision = header.revision.get();
    if revision >> 16 != REVISION >> 16 {
        return Err(HeaderFault::Revision { revision });
    }
    let bytes = header.header_bytes.get();
    let covered = usize::try_from(bytes)
        .ok()
        .filter(|_| bytes >= HEADER_BYTES);
    let Some(rest) = covered.and_then(|covered| sector.get(size_of::<Header>()..covered)) else {
        return Err(HeaderFault::Size { bytes });
    };
    let stored = header.checksum.get();
    header.checksum = 0.into();
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header.as_bytes());
    hasher.update(rest);
    let computed = hasher.finalize();
    if stored != computed {
        return Err(HeaderFault::Checksum { stored, computed });
    }
    let says = Lba(header.my_lba.get());
    if says != at {
        return Err(HeaderFault::Misplaced { at, says });
    }
    Ok(header)
}

/// The partition of an entry in use; none, with a finding, when its end is before its start.
fn partition(number: u32, entry: &Entry, findings: &mut Vec<Finding>) -> Option<Partition> {
    let (first, last) = (Lba(entry.first.get()), Lba(entry.last.get()));
    let Some(sectors) = last
        .0
        .checked_sub(first.0)
        .and_then(|length| length.checked_add(1))
    else {
        findings.push(Finding::Inverted {
            number,
            first,
            last,
        });
        return None;
    };
    let units = entry
        .name
        .iter()
        .map(|unit| unit.get())
        .take_while(|unit| *unit != 0);
    let units: Vec<u16> = units.collect();
    let name = String::from_utf16(&units).unwrap_or_else(|_| {
        findings.push(Finding::NameNotUtf16 { number });
        String::from_utf16_lossy(&units)
    });
    let kind = PartitionType::Gpt(Uuid::from_bytes_le(entry.kind));
    Some(Partition {
        id: Some(Uuid::from_bytes_le(entry.id)),
        name,
        attributes: Attributes::from_bits_retain(entry.attributes.get()),
        ..Partition::new(number, first, sectors, kind)
    })
}
