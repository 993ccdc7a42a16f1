//! The reference counts: how many entries of tables refer to each cluster of the file.

use std::collections::BTreeMap;

use super::super::Writer;
use crate::ImageError;

/// The bytes of a count.
pub(super) const COUNT: u64 = 2;

/// Blocks of counts, of which those that change no more are written and forgotten, and the table of where they are.
#[derive(Debug)]
pub(super) struct Counts {
    cluster: u64,
    /// How many counts a block has: as many as fit into a cluster.
    in_block: u64,
    /// The blocks that are not written.
    open: BTreeMap<u64, Vec<u16>>,
    /// Where each block is, in bytes; 0 for one that is not written.
    table: Vec<u64>,
}

impl Counts {
    pub(super) fn new(cluster: u64) -> Self {
        Self {
            cluster,
            in_block: cluster / COUNT,
            open: BTreeMap::new(),
            table: Vec::new(),
        }
    }

    fn place(&self, cluster: u64) -> (u64, usize) {
        let within = usize::try_from(cluster % self.in_block).expect("a block has at most 2^20");
        (cluster / self.in_block, within)
    }

    pub(super) fn get(&self, cluster: u64) -> u16 {
        let (block, within) = self.place(cluster);
        self.open.get(&block).map_or(0, |counts| counts[within])
    }

    pub(super) fn add(&mut self, cluster: u64) {
        let (block, within) = self.place(cluster);
        let length = usize::try_from(self.in_block).expect("a block has at most 2^20");
        let counts = self.open.entry(block).or_insert_with(|| vec![0; length]);
        counts[within] += 1;
    }

    /// The first block that is not written, if all its clusters are before `end`, which is where counts may change from.
    pub(super) fn ready(&self, end: u64) -> Option<u64> {
        let (block, _) = self.open.first_key_value()?;
        ((block + 1) * self.in_block <= end).then_some(*block)
    }

    /// The first block that is not written.
    pub(super) fn first_open(&self) -> Option<u64> {
        self.open.first_key_value().map(|(block, _)| *block)
    }

    /// Writes a block to a cluster, whose own count is in it already.
    pub(super) fn write(
        &mut self,
        block: u64,
        to: u64,
        writer: &Writer<'_>,
    ) -> Result<(), ImageError> {
        let counts = self.open.remove(&block).unwrap_or_default();
        let bytes: Vec<u8> = counts.into_iter().flat_map(u16::to_be_bytes).collect();
        let index = usize::try_from(block).expect("the table is in memory");
        if self.table.len() <= index {
            self.table.resize(index + 1, 0);
        }
        self.table[index] = to * self.cluster;
        writer.at(to * self.cluster, &bytes)
    }

    /// How many clusters the table takes if `used` are in use without it, and what is left to be written is added.
    pub(super) fn table_clusters(&self, used: u64) -> u64 {
        let mut clusters = 1;
        loop {
            // Each block that is open takes a cluster, and so may one more that these begin.
            let all = used + clusters + self.open.len() as u64 + 2;
            let blocks = all.div_ceil(self.in_block) + 1;
            let needed = (blocks * 8).div_ceil(self.cluster);
            if needed <= clusters {
                return clusters;
            }
            clusters = needed;
        }
    }

    /// The table, as it is written.
    pub(super) fn table_bytes(&self) -> Vec<u8> {
        self.table
            .iter()
            .flat_map(|place| place.to_be_bytes())
            .collect()
    }
}
