//! Clusters as they are: all tables stand before them, and each stands where the disk has it if it can.
//!
//! ```text
//!     header | first-level table | table of counts | blocks of counts | second-level tables | clusters
//! ```

use super::super::units::{Arrangement, Units, arrange};
use super::super::{Disk, Writer};
use super::ENTRY;
use super::clusters::big_endian;
use super::counts::COUNT;
use super::header::Tables;
use crate::ImageError;
use crate::structures::qcow2::entry::COPIED;

/// Writes all but the header.
pub(super) fn write(disk: &Disk<'_>, cluster: u64, to: &Writer<'_>) -> Result<Tables, ImageError> {
    let arrangement = arrange(disk, to, cluster, |units| {
        Head::of(cluster, disk.size, units).end()
    })?;
    let head = Head::of(cluster, disk.size, arrangement.units());
    head.write(&arrangement, to)?;
    let narrow = |count: u64| u32::try_from(count).expect("the size was checked");
    Ok(Tables {
        first_level: head.first_level() * cluster,
        first_level_entries: narrow(head.first_level_entries),
        counts: head.counts_table() * cluster,
        counts_clusters: narrow(head.counts_table_clusters),
    })
}

/// What stands before the clusters of the disk: how many clusters each part has.
#[derive(Debug)]
struct Head {
    cluster: u64,
    first_level_entries: u64,
    counts_table_clusters: u64,
    counts_blocks: u64,
    second_levels: u64,
}

impl Head {
    fn of(cluster: u64, size: u64, units: &Units) -> Self {
        let entries = cluster / ENTRY;
        let mut head = Self {
            cluster,
            first_level_entries: size.div_ceil(cluster * entries),
            counts_table_clusters: 0,
            counts_blocks: 0,
            second_levels: units.groups(entries).count(),
        };
        // They count themselves, too.
        loop {
            let blocks = (head.end() + units.count()).div_ceil(cluster / COUNT);
            let table = (blocks * ENTRY).div_ceil(cluster);
            if (blocks, table) == (head.counts_blocks, head.counts_table_clusters) {
                return head;
            }
            (head.counts_blocks, head.counts_table_clusters) = (blocks, table);
        }
    }

    /// Where each part begins, in clusters: behind the header's cluster, and behind one another.
    fn first_level(&self) -> u64 {
        1
    }

    fn counts_table(&self) -> u64 {
        self.first_level() + (self.first_level_entries * ENTRY).div_ceil(self.cluster)
    }

    fn counts(&self) -> u64 {
        self.counts_table() + self.counts_table_clusters
    }

    fn second_level(&self) -> u64 {
        self.counts() + self.counts_blocks
    }

    /// Where the clusters of the disk begin.
    fn end(&self) -> u64 {
        self.second_level() + self.second_levels
    }

    fn write(&self, arrangement: &Arrangement, to: &Writer<'_>) -> Result<(), ImageError> {
        let narrow = |count| usize::try_from(count).expect("the size was checked");
        let entries = self.cluster / ENTRY;
        let mut first_level = vec![0; narrow(self.first_level_entries)];
        let groups = arrangement.units().groups(entries);
        for (group, place) in groups.each().zip(self.second_level()..) {
            first_level[narrow(group)] = (place * self.cluster) | COPIED;
        }
        to.at(self.first_level() * self.cluster, &big_endian(&first_level))?;

        let blocks = self.counts()..self.second_level();
        let table: Vec<u64> = blocks.clone().map(|block| block * self.cluster).collect();
        to.at(self.counts_table() * self.cluster, &big_endian(&table))?;
        // Every cluster of the file has one reference.
        let mut left = arrangement.end();
        for block in blocks {
            let counted = left.min(self.cluster / COUNT);
            let counts = 1_u16.to_be_bytes().repeat(narrow(counted));
            to.at(block * self.cluster, &counts)?;
            left -= counted;
        }

        let mut second_level = vec![0; narrow(entries)];
        let mut places = arrangement.places().peekable();
        for place in self.second_level()..self.end() {
            let group = places.peek().map(|(unit, _)| unit / entries);
            second_level.fill(0);
            while let Some((unit, of_unit)) =
                places.next_if(|(unit, _)| Some(unit / entries) == group)
            {
                second_level[narrow(unit % entries)] = (of_unit * self.cluster) | COPIED;
            }
            to.at(place * self.cluster, &big_endian(&second_level))?;
        }
        Ok(())
    }
}
