//! The clusters of the file: what goes where, and the tables that find it.

use super::super::Writer;
use super::ENTRY;
use super::counts::Counts;
use super::header::Tables;
use crate::ImageError;
use crate::structures::qcow2::entry::{COMPRESSED, COPIED, IS_ZERO, offset_bits};

/// The unit in which an entry counts the bytes of a compressed cluster.
const SECTOR_BITS: u32 = 9;

pub(super) struct Clusters<'s, 'w> {
    to: &'s Writer<'w>,
    bits: u32,
    cluster: u64,
    /// The first cluster of the file that nothing is in.
    next: u64,
    counts: Counts,
    /// Where the last compressed cluster ends, in bytes.
    tail: Option<u64>,
    first_level: Vec<u64>,
    /// The second-level table that is being filled, and its place in the first level.
    second_level: Vec<u64>,
    second_index: usize,
}

impl<'s, 'w> Clusters<'s, 'w> {
    pub(super) fn new(to: &'s Writer<'w>, bits: u32, size: u64) -> Self {
        let cluster = 1_u64 << bits;
        let entries = cluster / ENTRY;
        let narrow = |count| usize::try_from(count).expect("the size was checked");
        let mut clusters = Self {
            to,
            bits,
            cluster,
            next: 0,
            counts: Counts::new(cluster),
            tail: None,
            first_level: vec![0; narrow(size.div_ceil(cluster * entries))],
            second_level: vec![0; narrow(entries)],
            second_index: 0,
        };
        // The header's.
        clusters.take();
        clusters
    }

    /// The next cluster, with one reference.
    fn take(&mut self) -> u64 {
        let taken = self.next;
        self.next += 1;
        self.counts.add(taken);
        taken
    }

    /// A cluster of the disk as it is.
    pub(super) fn plain(&mut self, index: u64, bytes: &[u8]) -> Result<(), ImageError> {
        let place = self.take() * self.cluster;
        self.to.at(place, bytes)?;
        self.enter(index, place | COPIED)
    }

    /// A cluster of the disk that is zeros, whatever a backing file has there.
    pub(super) fn zeros(&mut self, index: u64) -> Result<(), ImageError> {
        self.enter(index, IS_ZERO)
    }

    /// A cluster of the disk, compressed.
    pub(super) fn compressed(&mut self, index: u64, bytes: &[u8]) -> Result<(), ImageError> {
        let length = bytes.len() as u64;
        let start = self.place_for(length);
        let end = start + length;
        for cluster in start / self.cluster..=(end - 1) / self.cluster {
            self.next = self.next.max(cluster + 1);
            self.counts.add(cluster);
        }
        self.tail = Some(end);
        self.to.at(start, bytes)?;
        let more_sectors = ((end - 1) >> SECTOR_BITS) - (start >> SECTOR_BITS);
        let shift = offset_bits(self.bits);
        self.enter(index, COMPRESSED | more_sectors << shift | start)
    }

    /// Where so many bytes go: behind the last ones, or into a new cluster.
    fn place_for(&self, length: u64) -> u64 {
        let fresh = self.next * self.cluster;
        let Some(tail) = self.tail else {
            return fresh;
        };
        let (cluster, within) = (tail / self.cluster, tail % self.cluster);
        if within == 0 {
            return fresh;
        }
        let fits = within + length <= self.cluster;
        let goes_on = cluster + 1 == self.next;
        let is_countable = self.counts.get(cluster) < u16::MAX;
        if (fits || goes_on) && is_countable {
            tail
        } else {
            fresh
        }
    }

    /// Writes an entry of the second level.
    fn enter(&mut self, index: u64, entry: u64) -> Result<(), ImageError> {
        let entries = self.second_level.len() as u64;
        let narrow = |count| usize::try_from(count).expect("the size was checked");
        let (first, second) = (narrow(index / entries), narrow(index % entries));
        if first != self.second_index {
            self.finish_second_level()?;
            self.second_index = first;
        }
        self.second_level[second] = entry;
        self.write_counts()
    }

    fn finish_second_level(&mut self) -> Result<(), ImageError> {
        if self.second_level.iter().all(|entry| *entry == 0) {
            return Ok(());
        }
        let place = self.take() * self.cluster;
        self.to.at(place, &big_endian(&self.second_level))?;
        self.second_level.fill(0);
        self.first_level[self.second_index] = place | COPIED;
        Ok(())
    }

    /// Writes the blocks of counts that change no more.
    fn write_counts(&mut self) -> Result<(), ImageError> {
        let tail = self.tail.map_or(self.next, |tail| tail / self.cluster);
        while let Some(block) = self.counts.ready(tail.min(self.next)) {
            let place = self.take();
            self.counts.write(block, place, self.to)?;
        }
        Ok(())
    }

    /// Writes the tables.
    pub(super) fn finish(mut self) -> Result<Tables, ImageError> {
        self.finish_second_level()?;
        self.tail = None;
        let table = big_endian(&self.first_level);
        let first_level = self.next * self.cluster;
        for _ in 0..(table.len() as u64).div_ceil(self.cluster) {
            self.take();
        }
        self.to.at(first_level, &table)?;
        let counts_clusters = self.counts.table_clusters(self.next);
        let counts = self.next * self.cluster;
        for _ in 0..counts_clusters {
            self.take();
        }
        while let Some(block) = self.counts.first_open() {
            let place = self.take();
            self.counts.write(block, place, self.to)?;
        }
        self.to.at(counts, &self.counts.table_bytes())?;
        self.to.set_length(self.next * self.cluster)?;
        let narrow = |count: u64| u32::try_from(count).expect("the size was checked");
        Ok(Tables {
            first_level,
            first_level_entries: narrow(self.first_level.len() as u64),
            counts,
            counts_clusters: narrow(counts_clusters),
        })
    }
}

/// Entries of a table as they are written.
pub(super) fn big_endian(entries: &[u64]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|entry| entry.to_be_bytes())
        .collect()
}
