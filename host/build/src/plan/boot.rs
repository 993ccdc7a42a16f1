//! Where firmware finds what it starts.

use super::error::{Locate, PlanError, Reason};
use super::identity::Identity;
use super::layout::Disk;
use super::raw::{RawLengths, length};
use super::space::{BOOT_CODE, ByteSpan, Occupant, Taken};
use super::{Scheme, SectorSize};
use cellblock_contract::Kinds;
use cellblock_spec::{GrubBiosSpec, PartitionSpec, Spec};
use cellblock_table::Lba;

/// Where GRUB's core image goes, in sectors of 512 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrubPlan {
    /// Its first sector.
    pub core: Lba,
}

/// The index of the EFI system partition, if anything is to go there.
///
/// # Errors
/// When there is none with a file system that firmware can read.
pub fn esp(spec: &Spec, kinds: &Kinds) -> Result<Option<usize>, PlanError> {
    let Some(place) = spec.boot.needs_esp() else {
        return Ok(None);
    };
    let is_readable = |partition: &PartitionSpec| {
        let kind = partition.filesystem.as_ref().map(|it| &*it.kind.value);
        kind.is_some_and(|kind| kinds.get(kind).uefi)
    };
    let found = spec
        .partitions
        .iter()
        .position(|partition| partition.kind.value.name() == Some("esp") && is_readable(partition));
    match found {
        Some(index) => Ok(Some(index)),
        None => Err(Reason::NoEsp.at(Some(place))),
    }
}

/// The disk as far as GRUB's place on it depends on it.
pub(super) struct Surroundings<'a> {
    pub(super) disk: &'a Disk,
    pub(super) identities: &'a [Identity],
    pub(super) spans: &'a [ByteSpan],
    /// What nothing may be written over.
    pub(super) taken: &'a [Taken],
}

/// Where GRUB goes, and what it takes of the disk outside of partitions.
pub(super) fn grub(
    spec: &Spec,
    around: &Surroundings<'_>,
    lengths: &RawLengths,
) -> Result<Option<(GrubPlan, Vec<Taken>)>, PlanError> {
    let Some(grub) = &spec.boot.grub_bios else {
        return Ok(None);
    };
    let core = &grub.core_image;
    let at = |reason: Reason| reason.at(Some(core.place.clone()));
    if around.disk.sector_size != SectorSize::B512 {
        let sector = around.disk.sector_size.bytes();
        return Err(at(Reason::GrubSector { sector }));
    }
    let sector = SectorSize::B512.bytes();
    let bytes = length(core, lengths);
    let room = match around.disk.scheme {
        Scheme::Gpt => bios_boot(spec, around),
        Scheme::Mbr => Some(gap(around)),
        Scheme::None => return Err(at(Reason::GrubWithoutTable)),
    };
    let room = room.ok_or_else(|| at(Reason::NoBiosBoot { bytes }))?;
    let size = room.end - room.start;
    let needed = bytes.next_multiple_of(sector);
    if needed > size {
        return Err(at(Reason::CoreTooLarge {
            file: core.value.clone(),
            needed,
            size,
            is_gap: around.disk.scheme == Scheme::Mbr,
            occupant: room.occupant,
        }));
    }
    let plan = GrubPlan {
        core: Lba(room.start / sector),
    };
    Ok(Some((
        plan,
        taken(grub, around, room.start..room.start + needed),
    )))
}

/// Where the core image may go.
struct Room {
    start: u64,
    end: u64,
    /// The partition that it is, or behind the gap that it is.
    occupant: Occupant,
}

/// The BIOS boot partition, unless something else is in it.
fn bios_boot(spec: &Spec, around: &Surroundings<'_>) -> Option<Room> {
    let index = spec.partitions.iter().position(|partition| {
        partition.kind.value.name() == Some("bios-boot")
            && partition.filesystem.is_none()
            && partition.raw.is_empty()
    })?;
    let span = around.spans[index];
    Some(Room {
        start: span.start,
        end: span.end(),
        occupant: Occupant::Partition(around.identities[index].named()),
    })
}

/// The gap between an MBR and what comes first behind it.
fn gap(around: &Surroundings<'_>) -> Room {
    let start = around.disk.first_usable();
    let first = around
        .taken
        .iter()
        .filter(|taken| taken.range.start >= start)
        .min_by_key(|taken| taken.range.start);
    first.map_or(
        Room {
            start,
            end: start,
            occupant: Occupant::Table,
        },
        |taken| Room {
            start,
            end: taken.range.start,
            occupant: taken.occupant.clone(),
        },
    )
}

/// What of GRUB lies outside of partitions.
fn taken(grub: &GrubBiosSpec, around: &Surroundings<'_>, core: std::ops::Range<u64>) -> Vec<Taken> {
    let mut taken = vec![Taken {
        range: 0..BOOT_CODE,
        occupant: Occupant::File(grub.boot_image.value.clone()),
    }];
    if around.disk.scheme == Scheme::Mbr {
        taken.push(Taken {
            range: core,
            occupant: Occupant::File(grub.core_image.value.clone()),
        });
    }
    taken
}
