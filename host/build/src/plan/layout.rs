//! Where each partition lies on the disk.

use super::error::{Locate, Named, Occupant, PlanError, Reason};
use super::length::whole_sectors;
use super::raw::Taken;
use super::{ALIGNMENT, Scheme, SectorSize, fixed_disk_size};
use cellblock_spec::{DiskSize, Place, Placed, Spec};
use cellblock_table::MAX_MBR_SECTORS;

/// The longest file, in bytes: offsets are signed.
pub(super) const MOST_BYTES: u64 = u64::MAX >> 1;
/// A disk of size "auto" is a multiple of this, in bytes.
const DISK_MULTIPLE: u64 = ALIGNMENT;
/// The space before a logical partition that belongs to its boot record, in bytes.
const BOOT_RECORD_SPACE: u64 = ALIGNMENT;
/// The array of entries of a GPT, in bytes: 128 of 128 bytes (UEFI 2.10, 5.3.2 asks for 16,384 at least).
const GPT_ENTRIES: u64 = 128 * 128;
/// The bytes at the start of the disk that a BIOS runs. The disk's signature follows (UEFI 2.10, table 5-1).
pub(super) const BOOT_CODE: u64 = 440;

/// The disk, as far as it does not depend on its partitions.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) scheme: Scheme,
    pub(super) sector_size: SectorSize,
    /// Partitions start at multiples of this many bytes.
    pub(super) alignment: u64,
    fixed_size: Option<u64>,
    size_place: Option<Place>,
}

/// How long a partition is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// This many bytes.
    Bytes(u64),
    /// Whatever is left.
    Rest,
}

/// A partition to be placed.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) named: Named,
    pub(super) length: Length,
    pub(super) length_place: Option<Place>,
    pub(super) offset: Option<Placed<u64>>,
    /// Where the partition stands in the spec.
    pub(super) place: Place,
    /// Whether it needs room for a boot record before it.
    pub(super) is_logical: bool,
}

impl Request {
    /// Bytes before the partition that belong to it.
    fn space_before(&self) -> u64 {
        if self.is_logical {
            BOOT_RECORD_SPACE
        } else {
            0
        }
    }

    fn error(&self, reason: Reason, place: Option<&Place>) -> PlanError {
        reason
            .at(Some(place.unwrap_or(&self.place).clone()))
            .of_named(self.named.clone())
    }

    fn too_large(&self) -> PlanError {
        self.error(
            Reason::TooLarge { most: MOST_BYTES },
            self.length_place.as_ref(),
        )
    }
}

/// Where a partition lies, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) start: u64,
    pub(super) size: u64,
}

impl Extent {
    pub(super) fn end(self) -> u64 {
        self.start + self.size
    }
}

/// The disk with every partition in its place.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) disk_size: u64,
    /// In the order of the requests.
    pub(super) extents: Vec<Extent>,
}

impl Disk {
    /// The disk that a spec asks for.
    pub(super) fn of(spec: &Spec) -> Result<Self, PlanError> {
        let sector_size = match spec.disk.sector_size.as_ref().map(|size| size.value) {
            Some(4096) => SectorSize::B4096,
            _ => SectorSize::B512,
        };
        let size = fixed_disk_size(spec);
        let disk = Self {
            scheme: spec.disk.scheme(),
            sector_size,
            alignment: alignment(spec.disk.alignment.as_ref(), sector_size)?,
            fixed_size: size.and_then(|size| match size.value {
                DiskSize::Fixed(bytes) => Some(bytes),
                DiskSize::Auto => None,
            }),
            size_place: spec.disk.size.as_ref().map(|size| size.place.clone()),
        };
        disk.check_size()?;
        Ok(disk)
    }

    fn check_size(&self) -> Result<(), PlanError> {
        let Some(bytes) = self.fixed_size else {
            return Ok(());
        };
        let reason = match whole_sectors("size", bytes, self.sector_size.bytes()) {
            Err(Reason::NotWholeSectors {
                bytes,
                sector,
                below,
                above,
                ..
            }) => Reason::DiskNotWholeSectors {
                bytes,
                sector,
                below,
                above,
            },
            Err(reason) => reason,
            Ok(bytes) if bytes > MOST_BYTES => Reason::TooLarge { most: MOST_BYTES },
            Ok(_) => return Ok(()),
        };
        Err(reason.at(self.size_place.clone()))
    }

    /// The first byte that a partition may use.
    pub(super) fn first_usable(&self) -> u64 {
        match self.scheme {
            Scheme::Gpt => 2 * self.sector_size.bytes() + GPT_ENTRIES,
            Scheme::Mbr => self.sector_size.bytes(),
        }
    }

    /// The bytes at the end of the disk that belong to the table.
    fn backup(&self) -> u64 {
        match self.scheme {
            Scheme::Gpt => self.sector_size.bytes() + GPT_ENTRIES,
            Scheme::Mbr => 0,
        }
    }

    /// The end of what the table can address, in bytes.
    fn addressable(&self) -> u64 {
        match self.scheme {
            Scheme::Gpt => MOST_BYTES,
            Scheme::Mbr => self.addressable_by_mbr(),
        }
    }

    /// The end of what an MBR can address, in bytes.
    pub(super) fn addressable_by_mbr(&self) -> u64 {
        MAX_MBR_SECTORS * self.sector_size.bytes()
    }

    fn align_up(&self, bytes: u64) -> Option<u64> {
        bytes
            .checked_next_multiple_of(self.alignment)
            .filter(|bytes| *bytes <= MOST_BYTES)
    }

    fn align_down(&self, bytes: u64) -> u64 {
        bytes - bytes % self.alignment
    }
}

/// What nothing may be written over from outside: the table, and the partitions.
pub(super) fn taken(disk: &Disk, requests: &[Request], layout: &Layout) -> Vec<Taken> {
    let mut taken = vec![
        Taken {
            range: BOOT_CODE..disk.first_usable(),
            occupant: Occupant::Table,
        },
        Taken {
            range: layout.disk_size - disk.backup()..layout.disk_size,
            occupant: Occupant::Table,
        },
    ];
    for (request, extent) in requests.iter().zip(&layout.extents) {
        let named = || request.named.clone();
        if request.is_logical {
            let record = extent.start - BOOT_RECORD_SPACE;
            taken.push(Taken {
                range: record..record + disk.sector_size.bytes(),
                occupant: Occupant::BootRecord(named()),
            });
        }
        taken.push(Taken {
            range: extent.start..extent.end(),
            occupant: Occupant::Partition(named()),
        });
    }
    taken
}

fn alignment(spec: Option<&Placed<u64>>, sector_size: SectorSize) -> Result<u64, PlanError> {
    let Some(alignment) = spec else {
        return Ok(ALIGNMENT);
    };
    let sector = sector_size.bytes();
    if alignment.value == 0 || !alignment.value.is_multiple_of(sector) {
        let reason = Reason::Alignment {
            alignment: alignment.value,
            sector,
        };
        return Err(reason.at(Some(alignment.place.clone())));
    }
    Ok(alignment.value)
}

/// Places every partition and decides the size of the disk.
///
/// `raw_end` is where the last of what is written around the partitions ends.
pub(super) fn lay_out(
    disk: &Disk,
    requests: &[Request],
    raw_end: u64,
) -> Result<Layout, PlanError> {
    check_rest(disk, requests)?;
    // With the least that the rest can be, everything else must fit.
    let least = place_all(disk, requests, disk.alignment)?;
    let needed = needed_size(disk, requests, &least, raw_end)?;
    let Some(disk_size) = disk.fixed_size else {
        return Ok(Layout {
            disk_size: needed,
            extents: least,
        });
    };
    check_fits(disk, requests, &least, disk_size, needed)?;
    let rest = requests
        .iter()
        .position(|request| request.length == Length::Rest);
    let extents = match rest {
        Some(index) => {
            let end = end_of_rest(disk, &requests[index + 1..], disk_size);
            place_all(disk, requests, end - least[index].start)?
        }
        None => least,
    };
    Ok(Layout { disk_size, extents })
}

fn check_rest(disk: &Disk, requests: &[Request]) -> Result<(), PlanError> {
    let mut rests = requests
        .iter()
        .filter(|request| request.length == Length::Rest);
    let Some(first) = rests.next() else {
        return Ok(());
    };
    if let Some(second) = rests.next() {
        let reason = Reason::SecondRest {
            other: first.named.clone(),
        };
        let error = second.error(reason, second.length_place.as_ref());
        return Err(error.with_related(first.length_place.clone().unwrap_or(first.place.clone())));
    }
    if disk.fixed_size.is_none() {
        return Err(first.error(Reason::RestOfAuto, first.length_place.as_ref()));
    }
    Ok(())
}

/// Places the partitions one after the other; the one that takes the rest gets `rest` bytes.
fn place_all(disk: &Disk, requests: &[Request], rest: u64) -> Result<Vec<Extent>, PlanError> {
    let mut extents: Vec<Extent> = Vec::with_capacity(requests.len());
    for (index, request) in requests.iter().enumerate() {
        let before = extents.last().map(|extent| (&requests[index - 1], *extent));
        let size = match request.length {
            Length::Bytes(bytes) => bytes,
            Length::Rest => rest,
        };
        let start = start(disk, request, before)?;
        let end = start
            .checked_add(size)
            .filter(|end| *end <= MOST_BYTES)
            .ok_or_else(|| request.too_large())?;
        let limit = disk.addressable();
        if end > limit {
            let reason = Reason::BeyondMbr {
                end,
                limit,
                sector: disk.sector_size.bytes(),
            };
            return Err(request.error(reason, request.length_place.as_ref()));
        }
        extents.push(Extent { start, size });
    }
    Ok(extents)
}

/// Where a partition starts: at its offset, or at the first aligned place behind the one before it.
fn start(
    disk: &Disk,
    request: &Request,
    before: Option<(&Request, Extent)>,
) -> Result<u64, PlanError> {
    let cursor = before.map_or(disk.first_usable(), |(_, extent)| extent.end());
    let free = cursor
        .checked_add(request.space_before())
        .and_then(|free| disk.align_up(free))
        .ok_or_else(|| request.too_large())?;
    let Some(Placed {
        value: offset,
        place,
    }) = &request.offset
    else {
        return Ok(free);
    };
    let offset = whole_sectors("offset", *offset, disk.sector_size.bytes())
        .map_err(|reason| request.error(reason, Some(place)))?;
    let reason = match before {
        _ if offset >= cursor && offset - cursor >= request.space_before() => return Ok(offset),
        _ if offset >= cursor => Reason::NoRoomForBootRecord {
            offset,
            record: BOOT_RECORD_SPACE,
            free,
        },
        None => Reason::InsideTable {
            offset,
            first: cursor,
        },
        Some((other, extent)) if offset < extent.start => Reason::Misordered {
            offset,
            other: other.named.clone(),
            start: extent.start,
        },
        Some((other, extent)) => Reason::Overlap {
            offset,
            other: other.named.clone(),
            end: extent.end(),
            free,
        },
    };
    let error = request.error(reason, Some(place));
    Err(match before {
        Some((other, _)) => {
            let related = other
                .offset
                .as_ref()
                .map_or(&other.place, |offset| &offset.place);
            error.with_related(related.clone())
        }
        None => error,
    })
}

/// The smallest multiple of 1 MiB that holds the partitions, what is around them, and the table.
fn needed_size(
    disk: &Disk,
    requests: &[Request],
    extents: &[Extent],
    raw_end: u64,
) -> Result<u64, PlanError> {
    let end = extents
        .last()
        .map_or(disk.first_usable(), |extent| extent.end())
        .max(raw_end);
    end.checked_add(disk.backup())
        .and_then(|bytes| bytes.checked_next_multiple_of(DISK_MULTIPLE))
        .filter(|bytes| *bytes <= MOST_BYTES)
        .ok_or_else(|| match requests.last() {
            Some(request) => request.too_large(),
            None => Reason::TooLarge { most: MOST_BYTES }.at(None),
        })
}

/// Refuses a disk that ends before its partitions, in the name of the first that does not fit.
fn check_fits(
    disk: &Disk,
    requests: &[Request],
    extents: &[Extent],
    disk_size: u64,
    needed: u64,
) -> Result<(), PlanError> {
    let usable_end = disk_size.saturating_sub(disk.backup());
    let Some(outside) = extents.iter().position(|extent| extent.end() > usable_end) else {
        return Ok(());
    };
    let reason = Reason::DiskTooSmall {
        disk: disk_size,
        needed,
        missing: needed - disk_size,
    };
    let error = reason
        .at(disk.size_place.clone())
        .of_named(requests[outside].named.clone());
    Err(error.with_related(requests[outside].place.clone()))
}

/// Where the rest ends, aligned, so that `following` finds its place behind it.
fn end_of_rest(disk: &Disk, following: &[Request], disk_size: u64) -> u64 {
    let usable_end = (disk_size - disk.backup()).min(disk.addressable());
    let anchor = following
        .iter()
        .position(|request| request.offset.is_some());
    let (packed, mut end) = match anchor.map(|index| (index, &following[index])) {
        Some((
            index,
            Request {
                offset: Some(offset),
                is_logical,
                ..
            },
        )) => {
            let space = if *is_logical { BOOT_RECORD_SPACE } else { 0 };
            (&following[..index], offset.value - space)
        }
        _ => (following, usable_end),
    };
    for request in packed.iter().rev() {
        let size = match request.length {
            Length::Bytes(bytes) => bytes,
            Length::Rest => 0,
        };
        end = disk.align_down(end - size) - request.space_before();
    }
    disk.align_down(end)
}
