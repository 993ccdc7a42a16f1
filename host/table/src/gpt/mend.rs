//! A damaged, missing or misplaced copy of a GPT anew, from the sound one.
//!
//! What is sound is written over last: the backup is on the disk before the primary header leads to it, and a primary that
//! is made from the backup leaves that alone. Two writes never depend on each other's order within one step.

use zerocopy::{FromBytes, IntoBytes};

use super::decode::{Copy, Reader, difference, header};
use super::encode::{lba, sealed};
use super::format::{ENTRY_BYTES, Entry, HEADER_BYTES, Header, SIGNATURE};
use super::{BEHIND_HEADER, PRIMARY};
use crate::detect::Disk;
use crate::repair::{Mend, Mending, RepairError};
use crate::{Lba, Region, SectorSize, Table, TableError, mbr};

/// What has to be written; nothing where the bytes are there already.
pub(super) fn mend(disk: &Disk<'_>, table: &Table) -> Result<Vec<Mend>, RepairError> {
    let reader = Reader::new(disk, table.sector_size);
    let last = Lba(reader.disk_sectors.saturating_sub(1));
    let primary = reader.copy(PRIMARY)?;
    let mut is_primary = true;
    let source = match primary {
        Ok(primary) => {
            if let Ok(backup) = reader.copy(Lba(primary.header.alternate_lba.get()))? {
                refuse_ambiguity(&primary, &backup)?;
            }
            primary
        }
        Err(primary) => {
            is_primary = false;
            let backup = reader.copy(last)?;
            backup.map_err(|backup| TableError::Damaged { primary, backup })?
        }
    };
    let mender = Mender {
        disk,
        table,
        last,
        entries_sectors: table.sector_size.sectors_for(
            u64::from(source.header.entry_count.get()) * u64::from(source.header.entry_bytes.get()),
        ),
        source,
    };
    let mut mends = if is_primary {
        mender.around_primary()?
    } else {
        mender.primary_of_backup()?
    };
    mends.extend(mender.protection()?);
    let mut needed = Vec::new();
    for mend in mends {
        let present = disk.read(mend.region.offset, mend.region.bytes.len())?;
        if present.is_none_or(|present| present != mend.region.bytes) {
            needed.push(mend);
        }
    }
    Ok(needed)
}

/// Refuses two sound copies whose difference is more than where their parts lie.
fn refuse_ambiguity(primary: &Copy, backup: &Copy) -> Result<(), RepairError> {
    let is_same = primary.header.disk_id == backup.header.disk_id
        && primary.header.entry_bytes == backup.header.entry_bytes
        && primary.entries == backup.entries;
    match difference(primary, backup) {
        Some(what) if !is_same => Err(RepairError::CopiesDiffer { what }),
        _ => Ok(()),
    }
}

/// A disk, and its sound copy.
struct Mender<'a> {
    disk: &'a Disk<'a>,
    table: &'a Table,
    /// The last sector of the disk, where the backup's header belongs.
    last: Lba,
    /// The length of the entries, in sectors.
    entries_sectors: u64,
    source: Copy,
}

impl Mender<'_> {
    /// The backup at the end, and then the primary header that leads to it.
    fn around_primary(&self) -> Result<Vec<Mend>, RepairError> {
        if !self.table.shape.backup {
            return Ok(Vec::new());
        }
        let entries = self.backup_entries()?;
        let mut last_usable = Lba(self.source.header.last_usable.get());
        if Lba(self.source.header.alternate_lba.get()) != self.last {
            last_usable = Lba(entries.0 - 1);
        }
        let primary_entries = Lba(self.source.header.entries_lba.get());
        Ok(vec![
            Mend {
                what: Mending::Backup {
                    first: entries,
                    last: self.last,
                },
                region: Region {
                    offset: entries.to_bytes(self.sector_size()),
                    bytes: [
                        self.whole_sectors_of_entries(),
                        self.header(self.last, PRIMARY, entries, last_usable),
                    ]
                    .concat(),
                },
            },
            self.primary_header(primary_entries, last_usable),
        ])
    }

    /// Where the backup's entries belong, unless a partition is there.
    fn backup_entries(&self) -> Result<Lba, RepairError> {
        let sectors = self.entries_sectors + 1;
        let first = self.last.0.saturating_sub(self.entries_sectors);
        let behind = self
            .table
            .partitions
            .iter()
            .max_by_key(|partition| partition.last());
        match behind {
            Some(partition) if partition.last().0 >= first => Err(RepairError::NoRoomForBackup {
                sectors,
                span: partition.span(),
                missing: partition.last().0 + 1 - first,
            }),
            _ if first <= self.table.first_usable.0 => {
                Err(RepairError::Table(TableError::DiskTooSmall {
                    scheme: self.table.scheme(),
                    sectors: self.table.disk_sectors,
                    needed: self.table.first_usable.0.saturating_add(sectors + 1),
                    sector_size: self.sector_size(),
                }))
            }
            _ => Ok(Lba(first)),
        }
    }

    /// The primary entries, and then the header that leads to them.
    fn primary_of_backup(&self) -> Result<Vec<Mend>, RepairError> {
        let at = self.primary_entries()?;
        let last_usable = Lba(self.source.header.last_usable.get());
        Ok(vec![
            Mend {
                what: Mending::PrimaryEntries { first: at },
                region: Region {
                    offset: at.to_bytes(self.sector_size()),
                    bytes: self.source.entries.clone(),
                },
            },
            self.primary_header(at, last_usable),
        ])
    }

    /// Where the primary entries are: where a header that is sound itself says, or where they are found, or behind the
    /// header if nothing else is there.
    fn primary_entries(&self) -> Result<Lba, RepairError> {
        let offset = PRIMARY.to_bytes(self.sector_size());
        let sector = self.disk.read(offset, self.sector_size().length())?;
        let sector = sector.unwrap_or_default();
        if let Ok(header) = header(&sector, PRIMARY) {
            let stated = Lba(header.entries_lba.get());
            if self.is_free(stated) {
                return Ok(stated);
            }
        }
        let stated = Header::read_from_prefix(&sector)
            .ok()
            .filter(|(header, _)| header.signature == SIGNATURE)
            .map(|(header, _)| Lba(header.entries_lba.get()));
        let before_usable = self
            .table
            .first_usable
            .0
            .checked_sub(self.entries_sectors)
            .map(Lba);
        let places = [stated, Some(BEHIND_HEADER), before_usable];
        for place in places.into_iter().flatten().filter(|at| self.is_free(*at)) {
            if self.bytes_at(place)? == self.source.entries {
                return Ok(place);
            }
        }
        let found = self.bytes_at(BEHIND_HEADER)?;
        let size = usize::try_from(self.source.header.entry_bytes.get().max(ENTRY_BYTES))
            .expect("all entries together were read into memory");
        let is_alike = found
            .chunks(size)
            .zip(self.source.entries.chunks(size))
            .any(|(found, entry)| found == entry && is_used(entry));
        if self.is_free(BEHIND_HEADER) && (is_alike || found.iter().all(|byte| *byte == 0)) {
            return Ok(BEHIND_HEADER);
        }
        Err(RepairError::EntriesUnknown {
            last: Lba(BEHIND_HEADER.0 + self.entries_sectors - 1),
        })
    }

    /// Whether the entries fit between the header and the first usable sector.
    fn is_free(&self, at: Lba) -> bool {
        let end = at.0.checked_add(self.entries_sectors);
        at >= BEHIND_HEADER && end.is_some_and(|end| end <= self.table.first_usable.0)
    }

    /// As many bytes as the entries take; none beyond the disk.
    fn bytes_at(&self, at: Lba) -> Result<Vec<u8>, TableError> {
        let bytes = self
            .disk
            .read(at.to_bytes(self.sector_size()), self.source.entries.len())?;
        Ok(bytes.unwrap_or_default())
    }

    /// The MBR, if it does not protect what it should.
    fn protection(&self) -> Result<Option<Mend>, TableError> {
        let record = mbr::BootRecord::read(self.disk, 0)?;
        let record = record.and_then(|record| record.protecting(self.table.disk_sectors));
        Ok(record.map(|record| Mend {
            what: Mending::ProtectiveMbr,
            region: Region {
                offset: 0,
                bytes: record.as_bytes().to_vec(),
            },
        }))
    }

    fn primary_header(&self, entries: Lba, last_usable: Lba) -> Mend {
        let alternate = if self.table.shape.backup {
            self.last
        } else {
            PRIMARY
        };
        Mend {
            what: Mending::PrimaryHeader,
            region: Region {
                offset: PRIMARY.to_bytes(self.sector_size()),
                bytes: self.header(PRIMARY, alternate, entries, last_usable),
            },
        }
    }

    fn header(&self, my: Lba, alternate: Lba, entries: Lba, last_usable: Lba) -> Vec<u8> {
        let header = Header {
            header_bytes: HEADER_BYTES.into(),
            checksum: 0.into(),
            my_lba: lba(my),
            alternate_lba: lba(alternate),
            last_usable: lba(last_usable),
            entries_lba: lba(entries),
            ..self.source.header.clone()
        };
        sealed(header, self.sector_size())
    }

    fn whole_sectors_of_entries(&self) -> Vec<u8> {
        let mut entries = self.source.entries.clone();
        entries.resize(
            entries.len().next_multiple_of(self.sector_size().length()),
            0,
        );
        entries
    }

    fn sector_size(&self) -> SectorSize {
        self.table.sector_size
    }
}

fn is_used(entry: &[u8]) -> bool {
    Entry::read_from_prefix(entry).is_ok_and(|(entry, _)| entry.kind != [0; 16])
}
