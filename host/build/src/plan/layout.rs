//! Where each partition lies on the disk.

use super::error::{Locate, PlanError, Reason};
use super::sectors::whole_sectors;
use super::space::{BOOT_CODE, ByteSpan, MOST_BYTES, Named, Occupant, Taken};
use super::{Scheme, SectorSize};
use cellblock_spec::{DiskSize, Place, Placed, Spec};
use cellblock_table::{ALIGNMENT, BOOT_RECORD_SPACE, Lba, Shape};

/// A disk of size "auto" is a multiple of this, in bytes.
const DISK_MULTIPLE: u64 = ALIGNMENT;

/// The disk, as far as it does not depend on its partitions.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) scheme: Scheme,
    pub(super) sector_size: SectorSize,
    /// Partitions start at multiples of this many bytes.
    pub(super) alignment: u64,
    /// Where the table's own parts lie.
    pub(super) shape: Shape,
    /// The space before a logical partition that belongs to its boot record, in bytes.
    pub(super) boot_record_space: u64,
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
    /// The space before the partition that belongs to its boot record, in bytes; 0 unless it is logical.
    pub(super) space_before: u64,
}

impl Request {
    fn error(&self, reason: Reason, place: Option<&Place>) -> PlanError {
        reason
            .at(Some(place.unwrap_or(&self.place).clone()))
            .of(self.named.clone())
    }

    fn too_large(&self) -> PlanError {
        self.error(
            Reason::TooLarge { most: MOST_BYTES },
            self.length_place.as_ref(),
        )
    }
}

/// The disk with every partition in its place.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) disk_size: u64,
    /// In the order of the requests.
    pub(super) spans: Vec<ByteSpan>,
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
            alignment: multiple(
                spec.disk.alignment.as_ref(),
                spec.disk.scheme().alignment(),
                sector_size,
                |alignment, sector| Reason::Alignment { alignment, sector },
            )?,
            shape: shape(spec, sector_size)?,
            boot_record_space: multiple(
                spec.disk.layout.boot_record_space.as_ref(),
                BOOT_RECORD_SPACE,
                sector_size,
                |space, sector| Reason::BootRecordSpace { space, sector },
            )?,
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
        let reserved = self.scheme.reserved(self.sector_size, &self.shape);
        reserved.first_usable().to_bytes(self.sector_size)
    }

    /// The bytes at the end of the disk that belong to the table.
    fn backup(&self) -> u64 {
        let reserved = self.scheme.reserved(self.sector_size, &self.shape);
        Lba(reserved.at_end).to_bytes(self.sector_size)
    }

    /// The end of what the table can address, in bytes.
    fn addressable(&self) -> u64 {
        self.addressable_by(self.scheme)
    }

    /// The end of what a table of this kind can address, in bytes.
    pub(super) fn addressable_by(&self, scheme: Scheme) -> u64 {
        let sectors = Lba(scheme.addressable_sectors());
        sectors.to_bytes(self.sector_size).min(MOST_BYTES)
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
    let reserved = disk.scheme.reserved(disk.sector_size, &disk.shape);
    let at_start = reserved.at_start.iter().map(|sectors| {
        let bytes =
            sectors.start.to_bytes(disk.sector_size)..sectors.end.to_bytes(disk.sector_size);
        bytes.start.max(BOOT_CODE)..bytes.end
    });
    let at_end = layout.disk_size - disk.backup()..layout.disk_size;
    let mut taken: Vec<Taken> = at_start
        .chain([at_end])
        .map(|range| Taken {
            range,
            occupant: Occupant::Table,
        })
        .collect();
    for (request, span) in requests.iter().zip(&layout.spans) {
        let named = || request.named.clone();
        if request.space_before > 0 {
            let record = span.start - request.space_before;
            taken.push(Taken {
                range: record..record + disk.sector_size.bytes(),
                occupant: Occupant::BootRecord(named()),
            });
        }
        taken.push(Taken {
            range: span.start..span.end(),
            occupant: Occupant::Partition(named()),
        });
    }
    taken
}

/// A number of bytes that is whole sectors, given or by default.
fn multiple(
    spec: Option<&Placed<u64>>,
    default: u64,
    sector_size: SectorSize,
    reason: impl Fn(u64, u64) -> Reason,
) -> Result<u64, PlanError> {
    let Some(Placed { value, place }) = spec else {
        return Ok(default);
    };
    let sector = sector_size.bytes();
    if *value == 0 || !value.is_multiple_of(sector) {
        return Err(reason(*value, sector).at(Some(place.clone())));
    }
    Ok(*value)
}

/// Where the table's own parts lie, given or by default.
fn shape(spec: &Spec, sector_size: SectorSize) -> Result<Shape, PlanError> {
    let layout = &spec.disk.layout;
    let usual = Shape::default();
    let mut shape = Shape {
        entries: usual.entries,
        backup: layout
            .gpt_backup
            .as_ref()
            .map_or(usual.backup, |backup| backup.value),
        guard_number: layout
            .protective_number
            .as_ref()
            .map_or(usual.guard_number, |number| number.value),
    };
    if let Some(Placed { value, place }) = &layout.gpt_location {
        let sector = sector_size.bytes();
        let first = usual.entries.to_bytes(sector_size);
        if *value < first || !value.is_multiple_of(sector) {
            let reason = Reason::GptLocation {
                location: *value,
                first,
                sector,
            };
            return Err(reason.at(Some(place.clone())));
        }
        shape.entries = Lba(value / sector);
        if *value > MOST_BYTES / 2 {
            return Err(Reason::TooLarge { most: MOST_BYTES }.at(Some(place.clone())));
        }
    }
    Ok(shape)
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
            spans: least,
        });
    };
    check_fits(disk, requests, &least, disk_size, needed)?;
    let rest = requests
        .iter()
        .position(|request| request.length == Length::Rest);
    let spans = match rest {
        Some(index) => {
            let end = end_of_rest(disk, &requests[index + 1..], disk_size);
            place_all(disk, requests, end - least[index].start)?
        }
        None => least,
    };
    Ok(Layout { disk_size, spans })
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

/// Where the partitions are whose place does not depend on content: those of a given length at a given offset, or behind others that
/// are such. It is where [`lay_out`] puts them, if the disk can be.
pub(super) fn settled(disk: &Disk, requests: &[Option<Request>]) -> Vec<Option<ByteSpan>> {
    let mut spans: Vec<Option<ByteSpan>> = Vec::with_capacity(requests.len());
    for (index, request) in requests.iter().enumerate() {
        let before = match index.checked_sub(1) {
            Some(before) => requests[before].as_ref().zip(spans[before]),
            None => None,
        };
        let is_anchored = index == 0 || before.is_some();
        let placed = request.as_ref().and_then(|request| {
            let Length::Bytes(size) = request.length else {
                return None;
            };
            if !is_anchored && request.offset.is_none() {
                return None;
            }
            let start = start(disk, request, before).ok()?;
            let end = start.checked_add(size)?;
            (end <= disk.addressable()).then_some(ByteSpan { start, size })
        });
        spans.push(placed);
    }
    spans
}

/// Places the partitions one after the other; the one that takes the rest gets `rest` bytes.
fn place_all(disk: &Disk, requests: &[Request], rest: u64) -> Result<Vec<ByteSpan>, PlanError> {
    let mut spans: Vec<ByteSpan> = Vec::with_capacity(requests.len());
    for (index, request) in requests.iter().enumerate() {
        let before = spans.last().map(|span| (&requests[index - 1], *span));
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
        spans.push(ByteSpan { start, size });
    }
    Ok(spans)
}

/// Where a partition starts: at its offset, or at the first aligned place behind the one before it.
fn start(
    disk: &Disk,
    request: &Request,
    before: Option<(&Request, ByteSpan)>,
) -> Result<u64, PlanError> {
    let cursor = before.map_or(disk.first_usable(), |(_, span)| span.end());
    let free = cursor
        .checked_add(request.space_before)
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
        _ if offset >= cursor && offset - cursor >= request.space_before => return Ok(offset),
        _ if offset >= cursor => Reason::NoRoomForBootRecord {
            offset,
            record: request.space_before,
            free,
        },
        None => Reason::InsideTable {
            offset,
            first: cursor,
        },
        Some((other, span)) if offset < span.start => Reason::Misordered {
            offset,
            other: other.named.clone(),
            start: span.start,
        },
        Some((other, span)) => Reason::Overlap {
            offset,
            other: other.named.clone(),
            end: span.end(),
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
    spans: &[ByteSpan],
    raw_end: u64,
) -> Result<u64, PlanError> {
    let end = spans
        .last()
        .map_or(disk.first_usable(), |span| span.end())
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
    spans: &[ByteSpan],
    disk_size: u64,
    needed: u64,
) -> Result<(), PlanError> {
    let usable_end = disk_size.saturating_sub(disk.backup());
    let Some(outside) = spans.iter().position(|span| span.end() > usable_end) else {
        return Ok(());
    };
    let reason = Reason::DiskTooSmall {
        disk: disk_size,
        needed,
        missing: needed - disk_size,
    };
    let error = reason
        .at(disk.size_place.clone())
        .of(requests[outside].named.clone());
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
                space_before,
                ..
            },
        )) => (&following[..index], offset.value - space_before),
        _ => (following, usable_end),
    };
    for request in packed.iter().rev() {
        let size = match request.length {
            Length::Bytes(bytes) => bytes,
            Length::Rest => 0,
        };
        end = disk.align_down(end - size) - request.space_before;
    }
    disk.align_down(end)
}

/// The size of the disk, when the spec fixes it.
pub(super) fn fixed_disk_size(spec: &Spec) -> Option<&Placed<DiskSize>> {
    spec.disk
        .size
        .as_ref()
        .filter(|size| size.value != DiskSize::Auto)
}
