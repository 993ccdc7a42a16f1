//! The bitmap of clusters that are in use (section 7.1). Nothing is read by it; it tells what is free, and whether it is right.

use cellblock_guest::reader::{Partition, ReaderError};

use super::boot::Boot;
use super::clusters::{Clusters, Run};
use super::directory::Special;
use super::owned::Owned;

/// Where a bitmap is.
pub(crate) struct Bitmap(Vec<Run>);

/// What it says.
pub(crate) struct Survey {
    /// The clusters that it calls free.
    pub(crate) free: u64,
    /// How many of them have an owner, and the first of these.
    pub(crate) unmarked: u64,
    pub(crate) first: Option<u64>,
}

impl Bitmap {
    const NAME: &str = "the allocation bitmap";

    /// That of the table that counts; none if the root has none.
    pub(crate) fn find(
        boot: &Boot,
        special: &Special,
        clusters: &mut Clusters<'_>,
    ) -> Result<Option<Self>, ReaderError> {
        let Some(allocation) = special.bitmaps[usize::from(boot.is_second)] else {
            return Ok(None);
        };
        let (length, wanted) = (allocation.length, Self::length(boot));
        if length < wanted {
            let count = boot.clusters;
            let problem = format!("has {length} bytes, and {count} clusters take {wanted}");
            return Err(ReaderError::damaged(Self::NAME, None, problem));
        }
        let mut runs = Vec::new();
        clusters.each_run(&allocation, Self::NAME, &mut |run| runs.push(run))?;
        Ok(Some(Self(runs)))
    }

    /// Its bytes.
    fn length(boot: &Boot) -> u64 {
        u64::from(boot.clusters).div_ceil(8)
    }

    /// Reads all of it.
    pub(crate) fn survey(
        &self,
        partition: &dyn Partition,
        boot: &Boot,
        owned: &Owned,
    ) -> Result<Survey, ReaderError> {
        /// What a page of owners takes.
        const PAGE: u64 = Owned::PAGE / 8;
        let mut survey = Survey {
            free: 0,
            unmarked: 0,
            first: None,
        };
        let mut left = Self::length(boot);
        let mut pages = 0_usize..;
        // Clusters may be smaller than a page.
        let mut bytes = Vec::new();
        let mut runs = self.0.iter().copied();
        let mut run = Run {
            start: 0,
            length: 0,
        };
        while left > 0 {
            let wanted = PAGE.min(left);
            bytes.clear();
            while (bytes.len() as u64) < wanted {
                if run.length == 0 {
                    run = runs.next().expect("its clusters were counted");
                }
                let length = run.length.min(wanted - bytes.len() as u64);
                let count = usize::try_from(length).expect("it is small");
                bytes.extend(partition.bytes(run.start, count)?);
                run.start += length;
                run.length -= length;
            }
            left -= wanted;
            if left == 0 {
                // What is behind the last cluster is not free.
                let used = boot.clusters % 8;
                if used > 0
                    && let Some(last) = bytes.last_mut()
                {
                    *last |= 0xFF << used;
                }
            }
            survey.free += bytes
                .iter()
                .map(|byte| u64::from(byte.count_zeros()))
                .sum::<u64>();
            let page = pages.next().expect("there are few");
            let (count, first) = owned.beyond(page, &bytes);
            survey.unmarked += count;
            if survey.first.is_none() {
                let base = page as u64 * Owned::PAGE + 2;
                survey.first = first.map(|first| base + first);
            }
        }
        Ok(survey)
    }
}
