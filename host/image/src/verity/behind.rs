//! Data and its hash tree in one partition.
//!
//! ```text
//!     partition | data, whole blocks | zeros | superblock | levels | error correction | zeros |
//!                                            │
//!                                       hash offset: a whole hash block
//! ```

use super::Verity;

/// Where data end and their hash tree begins, in one partition. Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The bytes of data: whole data blocks.
    pub data_size: u64,
    /// Where the tree begins, with its superblock if it has one: a whole hash block, as `veritysetup --hash-offset` takes it.
    pub hash_offset: u64,
    /// Where it ends, with what corrects errors.
    pub end: u64,
}

impl Verity {
    /// The tree behind `data_size` bytes, which are whole data blocks; `None` beyond what can be counted.
    #[must_use]
    pub fn behind(&self, data_size: u64) -> Option<Behind> {
        let hash_offset = data_size.checked_next_multiple_of(self.hash_block.into())?;
        let end = hash_offset.checked_add(self.tree(data_size).size)?;
        Some(Behind {
            data_size,
            hash_offset,
            end,
        })
    }

    /// The most data that have their tree behind them within `size` bytes, in multiples of `unit`, which are whole data blocks. `None` where
    /// there is room for none.
    #[must_use]
    pub fn behind_within(&self, size: u64, unit: u64) -> Option<Behind> {
        let fits = |units: u64| {
            let behind = self.behind(units * unit);
            behind.filter(|behind| behind.end <= size)
        };
        // More data never have a smaller tree: `fits` holds up to some number of units, and for none behind it.
        let (mut least, mut most) = (0, size / unit);
        while least < most {
            let middle = most - (most - least) / 2;
            if fits(middle).is_some() {
                least = middle;
            } else {
                most = middle - 1;
            }
        }
        (least > 0).then(|| fits(least)).flatten()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::verity::HashFunction;

    #[test]
    fn there_is_no_room_for_a_unit_more() {
        let blocks = [512, 4096, 65536];
        let all = blocks
            .iter()
            .flat_map(|data| blocks.map(|hash| (*data, hash)));
        for (data_block, hash_block) in all {
            for (superblock, fec_roots) in [(None, None), (Some([1; 16]), None), (None, Some(2))] {
                let verity = Verity {
                    hash: HashFunction::Sha256,
                    data_block,
                    hash_block,
                    salt: Vec::new(),
                    superblock,
                    fec_roots: fec_roots.filter(|_| data_block == hash_block),
                };
                let unit = u64::from(data_block).max(4096);
                for size in (0..1 << 22).step_by(52_224).chain([1 << 20, 1 << 40]) {
                    let found = verity.behind_within(size, unit);
                    if let Some(found) = found {
                        assert!(found.data_size <= found.hash_offset && found.end <= size);
                        assert!(found.hash_offset.is_multiple_of(hash_block.into()));
                        assert_eq!(verity.behind(found.data_size), Some(found));
                    }
                    let more = found.map_or(0, |found| found.data_size) + unit;
                    assert!(
                        verity.behind(more).unwrap().end > size,
                        "{verity:?}, {size}"
                    );
                }
            }
        }
    }
}
