//! What has to be written so that a table has no faults. It is planned here, and tried on the disk as it would be; the
//! caller writes.

use std::{fmt, io};

use cellblock_text::grouped;
use thiserror::Error;

use crate::detect::{self, Disk};
use crate::{Decoded, Finding, Lba, ReadAt, Region, SectorSize, Severity, Span, Table, TableError};

/// How a table can be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// What is wrong with it, apart from advice.
    pub faults: Vec<Finding>,
    /// What is to be written. Each is to be on the disk before the next is begun: then the disk has a sound copy of the
    /// table at any moment.
    pub mends: Vec<Mend>,
}

/// One thing to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mend {
    /// What it is.
    pub what: Mending,
    /// Its bytes, and where they go.
    pub region: Region,
}

/// What is written to mend a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mending {
    /// The backup of a GPT: entries and header, at the end of the disk.
    Backup {
        /// The first sector.
        first: Lba,
        /// The last sector, the header's.
        last: Lba,
    },
    /// The primary entries of a GPT.
    PrimaryEntries {
        /// The first sector.
        first: Lba,
    },
    /// The primary header of a GPT.
    PrimaryHeader,
    /// The MBR that guards a GPT.
    ProtectiveMbr,
}

impl fmt::Display for Mending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backup { first, last } => write!(
                f,
                "the backup GPT, in sectors {} to {}, the last of the disk",
                grouped(first.0),
                grouped(last.0)
            ),
            Self::PrimaryEntries { first } => {
                write!(
                    f,
                    "the primary entries, from sector {} on",
                    grouped(first.0)
                )
            }
            Self::PrimaryHeader => write!(f, "the primary header, in sector 1"),
            Self::ProtectiveMbr => {
                write!(f, "the entry of the MBR that protects the GPT, in sector 0")
            }
        }
    }
}

/// Why a table cannot be mended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RepairError {
    /// It cannot be read at all.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Both copies of a GPT are sound and say different things.
    #[error(
        "both copies of the GPT are sound and differ in {what}: nothing tells which of them is meant"
    )]
    CopiesDiffer {
        /// What is different.
        what: &'static str,
    },
    /// The backup of a GPT would lie over a partition.
    #[error(
        "the backup GPT takes the last {} sectors, and {span} reaches into them: make the disk {} sectors longer",
        grouped(*sectors), grouped(*missing)
    )]
    NoRoomForBackup {
        /// The sectors that the backup takes.
        sectors: u64,
        /// The partition.
        span: Span,
        /// The sectors that are missing.
        missing: u64,
    },
    /// The primary entries of a GPT could be written over something else.
    #[error(
        "the primary header is damaged, and sectors 2 to {} hold something else than its entries: nothing tells where these \
         were", grouped(last.0)
    )]
    EntriesUnknown {
        /// The last sector that they would take.
        last: Lba,
    },
    /// What has no second copy and no checksum.
    #[error("this cannot be repaired, so nothing is done:{}", Lines(findings))]
    Remaining {
        /// What is wrong.
        findings: Vec<Finding>,
    },
}

/// Findings, each on a line of its own.
struct Lines<'a>(&'a [Finding]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|finding| write!(f, "\n  {finding}"))
    }
}

impl Table {
    /// What has to be written to the disk so that nothing is wrong with its table: the backup of a GPT at the end, and
    /// what is damaged of one copy from the other. Nothing else of the disk changes, above all no partition.
    ///
    /// # Errors
    /// [`RepairError`] when the table cannot be read, or would not be sound afterwards.
    pub fn repair(
        disk: &dyn ReadAt,
        sector_size: Option<SectorSize>,
    ) -> Result<Repair, RepairError> {
        let read = Disk::new(disk, sector_size)?;
        let decoded = detect::decode(&read)?;
        let faults = faults(&decoded);
        if faults.is_empty() {
            return Ok(Repair {
                faults,
                mends: Vec::new(),
            });
        }
        let mends = decoded.table.scheme().format().mend(&read, &decoded)?;
        let mended = Mended {
            disk,
            mends: &mends,
        };
        let after = detect::decode(&Disk::new(&mended, Some(decoded.table.sector_size))?)?;
        let findings = self::faults(&after);
        if !findings.is_empty() {
            return Err(RepairError::Remaining { findings });
        }
        assert_eq!(
            after.table.partitions, decoded.table.partitions,
            "a repair moved a partition"
        );
        Ok(Repair { faults, mends })
    }
}

fn faults(decoded: &Decoded) -> Vec<Finding> {
    let is_fault = |finding: &&Finding| finding.severity() != Severity::Advice;
    decoded.findings.iter().filter(is_fault).cloned().collect()
}

/// A disk as it would be.
struct Mended<'a> {
    disk: &'a dyn ReadAt,
    mends: &'a [Mend],
}

impl ReadAt for Mended<'_> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.disk.read_at(offset, buffer)?;
        for Mend { region, .. } in self.mends {
            overlay(region, offset, buffer)?;
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.size()
    }
}

/// Puts the bytes of a region that lie in a buffer, which is from `offset` on, into it.
fn overlay(region: &Region, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    let end = |start: u64, bytes: &[u8]| {
        let length = u64::try_from(bytes.len()).map_err(io::Error::other)?;
        Ok::<u64, io::Error>(start.saturating_add(length))
    };
    let from = region.offset.max(offset);
    let to = end(region.offset, &region.bytes)?.min(end(offset, buffer)?);
    if from < to {
        let index = |base: u64| {
            let range = usize::try_from(from - base).ok()..usize::try_from(to - base).ok();
            range.start.zip(range.end).map(|(from, to)| from..to)
        };
        let (target, source) = index(offset)
            .zip(index(region.offset))
            .expect("both lie in memory");
        buffer[target].copy_from_slice(&region.bytes[source]);
    }
    Ok(())
}
