//! monolithicSparse: all tables, twice, and grains as they are behind them, where the disk has them if they can be.

use zerocopy::IntoBytes as _;

use super::super::units::arrange;
use super::super::{Disk, Writer};
use super::format::{
    DESCRIPTOR, Descriptor, ENTRIES, GRAIN, GRAIN_BYTES, SECTOR, TABLE, header, little_endian,
};
use crate::ImageError;
use crate::structures::vmdk::flags;

pub(super) fn write(
    disk: &Disk<'_>,
    sectors: u64,
    descriptor: &Descriptor<'_>,
    to: &Writer<'_>,
) -> Result<(), ImageError> {
    let places = Places::of(sectors);
    let arrangement = arrange(disk, to, GRAIN_BYTES, |_| places.overhead / GRAIN)?;
    let mut header = header(1, flags::HAS_LINE_ENDS | flags::HAS_REDUNDANT, sectors);
    header.redundant_directory = places.directories[0].into();
    header.directory = places.directories[1].into();
    header.overhead = places.overhead.into();
    to.at(0, header.as_bytes())?;
    to.at(SECTOR, descriptor.text().as_bytes())?;
    for directory in places.directories {
        let first = directory + places.directory;
        let entries: Vec<u32> = (0..places.tables)
            .map(|table| sector(first + table * TABLE))
            .collect();
        to.at(directory * SECTOR, &little_endian(&entries))?;
    }
    let mut table = Table {
        entries: vec![0; 512],
        index: 0,
    };
    for (index, place) in arrangement.places() {
        if index / ENTRIES != table.index {
            table.write(&places, to)?;
            table.index = index / ENTRIES;
        }
        let entry = usize::try_from(index % ENTRIES).expect("a table has 512 entries");
        table.entries[entry] = sector(place * GRAIN);
    }
    table.write(&places, to)
}

/// Where tables are, in sectors.
struct Places {
    /// The redundant directory and the other; tables follow each.
    directories: [u64; 2],
    /// The sectors of a directory.
    directory: u64,
    tables: u64,
    /// The sectors before the grains.
    overhead: u64,
}

impl Places {
    fn of(sectors: u64) -> Self {
        let tables = sectors.div_ceil(GRAIN * ENTRIES);
        let directory = (tables * 4).div_ceil(SECTOR);
        let both = directory + tables * TABLE;
        let first = 1 + DESCRIPTOR;
        Self {
            directories: [first, first + both],
            directory,
            tables,
            overhead: (first + 2 * both).next_multiple_of(GRAIN),
        }
    }
}

/// A place as tables have it.
fn sector(place: u64) -> u32 {
    u32::try_from(place).expect("a disk of 2 TiB at most, and its tables, has fewer sectors")
}

struct Table {
    entries: Vec<u32>,
    index: u64,
}

impl Table {
    /// Writes it to both of its places.
    fn write(&mut self, places: &Places, to: &Writer<'_>) -> Result<(), ImageError> {
        for directory in places.directories {
            let place = directory + places.directory + self.index * TABLE;
            to.at(place * SECTOR, &little_endian(&self.entries))?;
        }
        self.entries.fill(0);
        Ok(())
    }
}
