//! Which columns of the picture each partition and each gap gets.

use std::cmp::Reverse;
use std::ops::Range;

use crate::report::text::{columns, cut};
use cellblock_build::table::{Lba, Partition, Table, gaps};
use cellblock_build::text::human;
use cellblock_build::text::printable;

/// The columns of a box's two sides.
const SIDES: usize = 2;

/// The columns inside a box from which on a margin on either side leaves enough.
const ROOM_FOR_MARGINS: usize = 9;

/// A partition or a gap, with its place in the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// The width, in columns.
    pub(super) columns: usize,
    /// What is in it; a gap has nothing.
    pub(super) content: Option<Caption>,
    /// What is written in a gap: its size, if that fits.
    pub(super) free: String,
    /// Whether it is part of the extended partition.
    pub(super) in_extended: bool,
}

/// What is written in a partition's box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caption {
    /// The partition's number.
    pub(super) number: u32,
    /// The first line: number and name, or as much of it as fits.
    pub(super) caption: String,
    /// The second line: the size, if it fits.
    pub(super) size: String,
}

/// A stretch of the disk.
struct Stretch<'a> {
    sectors: u64,
    /// How many of a gap's sectors partitions may use.
    free: u64,
    /// How many of a gap's sectors the table cannot count.
    beyond: u64,
    partition: Option<&'a Partition>,
    in_extended: bool,
}

/// The sectors that partitions may use, and that none has.
pub(super) fn free_sectors(table: &Table) -> u64 {
    stretches(table).iter().map(|stretch| stretch.free).sum()
}

/// The sectors that the table cannot count: those of a disk that is too large for its MBR.
pub(super) fn sectors_beyond(table: &Table) -> u64 {
    let reach = table.scheme().addressable_sectors();
    table.disk_sectors.saturating_sub(reach)
}

/// The blocks of the picture, in disk order, together at most `width` columns; `None` when so many
/// partitions cannot be told apart in that.
pub(super) fn blocks(table: &Table, width: usize) -> Option<Vec<Block>> {
    let stretches = stretches(table);
    let floors: Vec<usize> = stretches.iter().map(floor).collect();
    let spare = width.checked_sub(floors.iter().sum())?;
    let widths = share(&stretches, &floors, spare);
    let blocks = stretches
        .iter()
        .zip(widths)
        .map(|(stretch, columns)| Block {
            columns,
            content: stretch
                .partition
                .map(|partition| content(table, partition, columns - SIDES)),
            free: size_of_gap(table, stretch, columns),
            in_extended: stretch.in_extended,
        });
    Some(blocks.collect())
}

/// All but the extended partition, in which others lie.
fn in_disk_order(table: &Table) -> Vec<&Partition> {
    let mut partitions: Vec<&Partition> = table.with_content().collect();
    partitions.sort_by_key(|partition| (partition.start, partition.number));
    partitions
}

fn stretches(table: &Table) -> Vec<Stretch<'_>> {
    let partitions = in_disk_order(table);
    let taken = partitions
        .iter()
        .map(|one| one.start.0..one.last().0.saturating_add(1));
    let free = gaps(taken, 0..table.disk_sectors);
    let mut stretches: Vec<(u64, Stretch<'_>)> = Vec::new();
    for partition in partitions {
        let stretch = Stretch {
            sectors: partition.sectors,
            free: 0,
            beyond: 0,
            partition: Some(partition),
            in_extended: partition.is_logical(),
        };
        stretches.push((partition.start.0, stretch));
    }
    stretches.extend(free.into_iter().flat_map(|gap| divided(table, gap)));
    stretches.sort_by_key(|(start, _)| *start);
    stretches.into_iter().map(|(_, stretch)| stretch).collect()
}

/// A gap with its first sector, divided where the extended partition starts or ends in it, and where the table cannot count any further.
fn divided(table: &Table, gap: Range<u64>) -> Vec<(u64, Stretch<'static>)> {
    let Range { start: first, end } = gap;
    let inside = table
        .extended()
        .map(|extended| (extended.start.0, extended.last().0.saturating_add(1)));
    let mut bounds = vec![first];
    if let Some((start, stop)) = inside {
        bounds.extend(
            [start, stop]
                .into_iter()
                .filter(|bound| first < *bound && *bound < end),
        );
    }
    let reach = table.disk_sectors - sectors_beyond(table);
    if first < reach && reach < end {
        bounds.push(reach);
    }
    bounds.push(end);
    let usable_end = table.last_usable.0.saturating_add(1);
    let pairs = bounds.windows(2).filter(|pair| pair[0] < pair[1]);
    let divided = pairs.map(|pair| {
        let stretch = Stretch {
            sectors: pair[1] - pair[0],
            free: pair[1]
                .min(usable_end)
                .saturating_sub(pair[0].max(table.first_usable.0)),
            beyond: if pair[0] < reach {
                0
            } else {
                pair[1] - pair[0]
            },
            partition: None,
            in_extended: inside.is_some_and(|(start, stop)| (start..stop).contains(&pair[0])),
        };
        (pair[0], stretch)
    });
    divided.collect()
}

/// The fewest columns of a stretch: a gap must show, a partition must show its number.
fn floor(stretch: &Stretch<'_>) -> usize {
    stretch
        .partition
        .map_or(1, |partition| partition.number.to_string().len() + SIDES)
}

/// Adds the spare columns to the floors, one by one to the stretch that is most squeezed: with the
/// most sectors a column. So all that is wider than its floor is to one scale, and the columns are
/// always used up.
fn share(stretches: &[Stretch<'_>], floors: &[usize], spare: usize) -> Vec<usize> {
    let mut widths = floors.to_vec();
    for _ in 0..spare {
        let squeezed = (0..widths.len()).max_by_key(|&index| {
            let columns = (widths[index] as u128).max(1);
            // The shift keeps fractions of a sector; of equals the first counts.
            (
                (u128::from(stretches[index].sectors) << 32) / columns,
                Reverse(index),
            )
        });
        if let Some(index) = squeezed {
            widths[index] += 1;
        }
    }
    widths
}

/// The size of a gap, where at least two columns on either side stay.
fn size_of_gap(table: &Table, stretch: &Stretch<'_>, room: usize) -> String {
    let bytes = |sectors| human(Lba(sectors).to_bytes(table.sector_size));
    let text = match stretch.beyond {
        0 => format!(" {} free ", bytes(stretch.free)),
        beyond => format!(" {} out of reach ", bytes(beyond)),
    };
    if columns(&text) + 4 <= room {
        text
    } else {
        String::new()
    }
}

fn content(table: &Table, partition: &Partition, room: usize) -> Caption {
    let margin = if room < ROOM_FOR_MARGINS { "" } else { " " };
    let room = room - 2 * margin.len();
    let size = human(Lba(partition.sectors).to_bytes(table.sector_size));
    let size = if columns(&size) <= room {
        size
    } else {
        String::new()
    };
    let caption = caption(
        &partition.number.to_string(),
        &printable(&label(partition)),
        room,
    );
    Caption {
        number: partition.number,
        caption: format!("{margin}{caption}"),
        size: format!("{margin}{size}"),
    }
}

/// The partition's name, or without one its type's.
fn label(partition: &Partition) -> String {
    if partition.name.is_empty() {
        partition.kind.to_string()
    } else {
        partition.name.clone()
    }
}

/// Number and name; the number alone where less than three letters of the name would stay.
fn caption(number: &str, name: &str, room: usize) -> String {
    match room.saturating_sub(number.len() + 1) {
        left if left >= columns(name).clamp(1, 4) => format!("{number} {}", cut(name, left)),
        _ => number.to_owned(),
    }
}
