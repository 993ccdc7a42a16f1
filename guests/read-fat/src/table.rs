//! The table: which cluster follows which. Each cluster has one owner, so that no chain is a loop.

use cellblock_guest::reader::{Partition, ReaderError};

use crate::boot::{Boot, Width};

/// The table of a partition, and the clusters that have an owner.
pub(crate) struct Table<'a> {
    partition: &'a dyn Partition,
    boot: &'a Boot,
    owned: Vec<u64>,
    /// Where the bytes begin, in the table.
    start: u64,
    window: Vec<u8>,
}

/// Clusters in a row. Bytes of the partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) start: u64,
    pub(crate) length: u64,
}

enum Next {
    Cluster(u32),
    End,
}

impl<'a> Table<'a> {
    /// All of FAT12's table, so that none of its entries is torn.
    const WINDOW: u64 = 64 << 10;

    pub(crate) fn new(partition: &'a dyn Partition, boot: &'a Boot) -> Self {
        Self {
            partition,
            boot,
            owned: vec![0; boot.clusters as usize / 64 + 1],
            start: 0,
            window: Vec::new(),
        }
    }

    /// The clusters of `owner` from `first` on: as many as `size` bytes take, or all.
    pub(crate) fn chain(
        &mut self,
        first: u32,
        size: Option<u64>,
        owner: &str,
    ) -> Result<Vec<Run>, ReaderError> {
        let damaged = |problem: String| ReaderError::damaged(owner, None, problem);
        let cluster_size = self.boot.cluster_size;
        let mut wanted = size.map_or(u64::MAX, |size| size.div_ceil(cluster_size));
        let mut runs: Vec<Run> = Vec::new();
        let mut cluster = first;
        while wanted > 0 {
            if cluster < 2 || cluster - 2 >= self.boot.clusters {
                return Err(damaged(format!(
                    "has cluster {cluster}, and there are 2 to {}",
                    u64::from(self.boot.clusters) + 1
                )));
            }
            if !self.own(cluster) {
                return Err(damaged(format!("has cluster {cluster}, which is in use")));
            }
            let start = self.boot.data + u64::from(cluster - 2) * cluster_size;
            match runs.last_mut() {
                Some(last) if last.start + last.length == start => last.length += cluster_size,
                _ => runs.push(Run {
                    start,
                    length: cluster_size,
                }),
            }
            wanted -= 1;
            match self.next(cluster)? {
                Next::Cluster(next) => cluster = next,
                Next::End if size.is_some() && wanted > 0 => {
                    return Err(damaged(format!(
                        "has {} bytes, and {wanted} clusters fewer than that takes",
                        size.unwrap_or_default()
                    )));
                }
                Next::End => break,
            }
        }
        Ok(runs)
    }

    /// Marks a cluster; whether it was not.
    fn own(&mut self, cluster: u32) -> bool {
        let word = &mut self.owned[cluster as usize / 64];
        let bit = 1 << (cluster % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn next(&mut self, cluster: u32) -> Result<Next, ReaderError> {
        let entry = self.entry(cluster)?;
        let end = match self.boot.width {
            Width::Twelve => 0xFF8,
            Width::Sixteen => 0xFFF8,
            Width::ThirtyTwo => 0x0FFF_FFF8,
        };
        Ok(if entry >= end {
            Next::End
        } else {
            Next::Cluster(entry)
        })
    }

    fn entry(&mut self, cluster: u32) -> Result<u32, ReaderError> {
        let cluster = u64::from(cluster);
        Ok(match self.boot.width {
            Width::Twelve => {
                let two = u16::from_le_bytes(self.bytes(cluster * 3 / 2)?);
                let shift = if cluster % 2 == 0 { 0 } else { 4 };
                u32::from(two >> shift & 0xFFF)
            }
            Width::Sixteen => u16::from_le_bytes(self.bytes(cluster * 2)?).into(),
            Width::ThirtyTwo => u32::from_le_bytes(self.bytes(cluster * 4)?) & 0x0FFF_FFFF,
        })
    }

    fn bytes<const LENGTH: usize>(&mut self, offset: u64) -> Result<[u8; LENGTH], ReaderError> {
        let start = offset / Self::WINDOW * Self::WINDOW;
        if self.window.is_empty() || self.start != start {
            let length = Self::WINDOW.min(self.boot.table_size.saturating_sub(start));
            let length = usize::try_from(length).expect("a window is small");
            self.window = self.partition.bytes(self.boot.table + start, length)?;
            self.start = start;
        }
        let within = usize::try_from(offset - start).expect("a window is small");
        let bytes = self.window.get(within..).and_then(|it| it.first_chunk());
        bytes
            .copied()
            .ok_or_else(|| ReaderError::damaged("the table", self.boot.table, "ends early"))
    }

    /// How many clusters are free: by FAT32's word for it, or by the table where there is none.
    pub(crate) fn free(&mut self) -> Result<u32, ReaderError> {
        if let Some(free) = self.free_of_information()? {
            return Ok(free);
        }
        let mut free = 0;
        for cluster in 0..self.boot.clusters {
            free += u32::from(self.entry(cluster + 2)? == 0);
        }
        Ok(free)
    }

    /// The number that FAT32 keeps; none if it keeps none, or says that it does not know (0xFFFFFFFF).
    fn free_of_information(&self) -> Result<Option<u32>, ReaderError> {
        let Some(place) = self.boot.information else {
            return Ok(None);
        };
        let bytes = self.partition.bytes(place, 512)?;
        let word = |at: usize| {
            let bytes = bytes.get(at..).and_then(|it| it.first_chunk());
            u32::from_le_bytes(bytes.copied().unwrap_or_default())
        };
        let is_valid = word(0) == 0x4161_5252 && word(484) == 0x6141_7272;
        let free = word(488);
        Ok((is_valid && free <= self.boot.clusters).then_some(free))
    }
}
