//! Clusters: in a row (`NoFatChain`, section 6.3.4.2), or by the table (section 4.1). Each has one owner, so that no chain is
//! a loop, and nothing is read twice.

use cellblock_guest::reader::{Partition, ReaderError};

use super::boot::Boot;
use super::owned::Owned;

/// What stands in the table behind the last cluster of a chain (section 4.1.3).
const END: u32 = 0xFFFF_FFFF;
const BAD: u32 = 0xFFFF_FFF7;

/// Where the bytes of something are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allocation {
    pub(crate) first: u32,
    /// In bytes.
    pub(crate) length: u64,
    pub(crate) is_contiguous: bool,
}

/// Clusters in a row. Bytes of the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: u64,
    pub(crate) length: u64,
}

/// All clusters of a partition.
pub(crate) struct Clusters<'a> {
    partition: &'a dyn Partition,
    boot: &'a Boot,
    pub(crate) owned: Owned,
    /// Where the window begins, in the table.
    start: u64,
    window: Vec<u8>,
}

impl<'a> Clusters<'a> {
    /// Bytes of the table that are read at once.
    const WINDOW: u64 = 8 << 10;

    pub(crate) fn new(partition: &'a dyn Partition, boot: &'a Boot) -> Self {
        Self {
            partition,
            boot,
            owned: Owned::new(boot.clusters),
            start: 0,
            window: Vec::new(),
        }
    }

    /// Takes the clusters of `owner`, run by run.
    ///
    /// # Errors
    /// [`ReaderError::Damaged`] if there are none such, others have them, or the chain is too short.
    pub(crate) fn each_run(
        &mut self,
        of: &Allocation,
        owner: &str,
        take: &mut dyn FnMut(Run),
    ) -> Result<(), ReaderError> {
        let wanted = of.length.div_ceil(self.boot.cluster_size);
        if wanted > u64::from(self.boot.clusters) {
            return Err(ReaderError::damaged(
                owner,
                None,
                format!(
                    "has {} bytes, which take {wanted} clusters, and there are {}",
                    of.length, self.boot.clusters
                ),
            ));
        }
        if of.is_contiguous && wanted > 0 {
            self.own(of.first, wanted, owner)?;
            take(self.run(of.first, wanted));
            return Ok(());
        }
        let is_short = |left: u64| {
            let problem = format!(
                "has {} bytes, and {left} clusters fewer than that takes",
                of.length
            );
            ReaderError::damaged(owner, None, problem)
        };
        let left = self.chain(of.first, wanted, owner, take)?;
        if left > 0 {
            Err(is_short(left))
        } else {
            Ok(())
        }
    }

    /// Takes the clusters of `owner` to the end of their chain, which may have `limit` of them.
    ///
    /// # Errors
    /// As [`Self::each_run`].
    pub(crate) fn whole_chain(
        &mut self,
        first: u32,
        limit: u64,
        owner: &str,
    ) -> Result<Vec<Run>, ReaderError> {
        let mut runs = Vec::new();
        let left = self.chain(first, limit + 1, owner, &mut |run| runs.push(run))?;
        if left == 0 {
            let problem = format!("has more than {limit} clusters");
            return Err(ReaderError::damaged(owner, None, problem));
        }
        Ok(runs)
    }

    /// Follows the table for as many as are wanted, or to the chain's end: how many are left then.
    fn chain(
        &mut self,
        first: u32,
        wanted: u64,
        owner: &str,
        take: &mut dyn FnMut(Run),
    ) -> Result<u64, ReaderError> {
        let mut left = wanted;
        let mut cluster = first;
        let mut run: Option<Run> = None;
        while left > 0 {
            self.own(cluster, 1, owner)?;
            let one = self.run(cluster, 1);
            match &mut run {
                Some(run) if run.start + run.length == one.start => run.length += one.length,
                _ => {
                    if let Some(run) = run.replace(one) {
                        take(run);
                    }
                }
            }
            left -= 1;
            if left == 0 {
                break;
            }
            match self.entry(cluster)? {
                END => break,
                BAD => {
                    let problem = format!("has a bad cluster behind cluster {cluster}");
                    return Err(ReaderError::damaged(owner, None, problem));
                }
                next => cluster = next,
            }
        }
        if let Some(run) = run {
            take(run);
        }
        Ok(left)
    }

    fn run(&self, first: u32, count: u64) -> Run {
        Run {
            start: self.boot.heap + u64::from(first - 2) * self.boot.cluster_size,
            length: count * self.boot.cluster_size,
        }
    }

    fn own(&mut self, first: u32, count: u64, owner: &str) -> Result<(), ReaderError> {
        let last = u64::from(self.boot.clusters) + 1;
        let end = u64::from(first) + count - 1;
        if first < 2 || end > last {
            let cluster = if first < 2 { first.into() } else { end };
            let problem = format!("has cluster {cluster}, and there are 2 to {last}");
            return Err(ReaderError::damaged(owner, None, problem));
        }
        self.owned.own(first - 2, count).map_err(|index| {
            let problem = format!("has cluster {}, which is in use", u64::from(index) + 2);
            ReaderError::damaged(owner, None, problem)
        })
    }

    /// What the table says of a cluster that there is.
    fn entry(&mut self, cluster: u32) -> Result<u32, ReaderError> {
        let offset = u64::from(cluster) * 4;
        let start = offset / Self::WINDOW * Self::WINDOW;
        if self.window.is_empty() || self.start != start {
            let size = (u64::from(self.boot.clusters) + 2) * 4;
            let length = usize::try_from(Self::WINDOW.min(size - start)).expect("it is small");
            self.window = self.partition.bytes(self.boot.table + start, length)?;
            self.start = start;
        }
        let within = usize::try_from(offset - start).expect("a window is small");
        let bytes = self.window[within..].first_chunk();
        Ok(u32::from_le_bytes(
            *bytes.expect("windows have whole entries"),
        ))
    }
}
