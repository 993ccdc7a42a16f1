//! Lists of blocks, as ext2 and ext3 map files: twelve blocks in the inode, then those of a list, of a list of lists, and of
//! a list of lists of lists.
//!
//! ```text
//!   inode's map        tier 1                tier 2
//!   +----+
//!   |  0 |--> block    +---+
//!   | .. |             | 0 |--> block        +---+       +---+
//!   | 11 |--> block    | . |                 | 0 |-----> | 0 |--> block
//!   | 12 |-----------> +---+                 | . |       | . |
//!   | 13 |---------------------------------> +---+       +---+
//!   | 14 |--> tier 3
//!   +----+
//! ```

use std::ops::Range;

use cellblock_guest::FormatError;

use crate::extents::low;
use crate::mapping::{BlockSink, MappedRun};

/// Blocks that the inode itself lists.
const DIRECT: u64 = FIRST_TIER as u64;

/// The slot of the inode that leads to the first tier.
const FIRST_TIER: usize = 12;

/// The longest way from the inode to a block: a list of lists of lists.
const TIERS: usize = 3;

/// Bytes of a block number.
const SLOT: u32 = 4;

/// The lists of a file.
#[derive(Clone, Copy)]
pub(crate) struct IndirectMap<'a> {
    runs: &'a [MappedRun],
    block_size: u32,
}

/// A number of lists for each tier, and in it for each height over the blocks.
type Counts = [[u64; TIERS]; TIERS];

/// A list: its tier, and its number among those of the same height in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ListId {
    tier: usize,
    number: u64,
}

/// An entry of a list: where it stands, and to what it leads.
#[derive(Clone, Copy)]
struct Entry {
    list: ListId,
    slot: u64,
    place: u64,
}

impl<'a> IndirectMap<'a> {
    /// The lists of `runs`, which ascend.
    pub(crate) fn new(block_size: u32, runs: &'a [MappedRun]) -> Self {
        Self { runs, block_size }
    }

    /// Block numbers in a list.
    fn slots(self) -> u64 {
        u64::from(self.block_size / SLOT)
    }

    /// The blocks of a file that a tier covers.
    fn tier(self, tier: usize) -> Range<u64> {
        let mut start = DIRECT;
        let mut length = self.slots();
        for _ in 0..tier {
            start += length;
            length *= self.slots();
        }
        start..start + length
    }

    /// All lists.
    pub(crate) fn node_count(self) -> u64 {
        // Nearly all files are so small.
        if self.runs.last().is_none_or(|last| end(last) <= DIRECT) {
            return 0;
        }
        self.counts().iter().flatten().sum()
    }

    /// The lists of a file of so many blocks, without holes.
    fn lists_over(self, blocks: u64) -> u64 {
        let mut lists = 0;
        for tier in 0..TIERS {
            let covered = self.tier(tier);
            let mut level = blocks.min(covered.end).saturating_sub(covered.start);
            for _ in 0..=tier {
                level = level.div_ceil(self.slots());
                lists += level;
            }
        }
        lists
    }

    fn counts(self) -> Counts {
        let mut counts = [[0; TIERS]; TIERS];
        for (tier, counts) in counts.iter_mut().enumerate() {
            let covered = self.tier(tier);
            let mut span = 1;
            for count in &mut counts[..=tier] {
                span *= self.slots();
                let mut next = 0;
                for mapped in self.runs {
                    let blocks = part(mapped, &covered);
                    if blocks.is_empty() {
                        continue;
                    }
                    let first = (blocks.start - covered.start) / span;
                    let after = (blocks.end - 1 - covered.start) / span + 1;
                    *count += after - first.max(next);
                    next = after;
                }
            }
        }
        counts
    }

    /// What stands in the inode. The lists have `places`, those next to the blocks first, then those above.
    pub(crate) fn root(self, places: &[u64]) -> [u8; 60] {
        let mut root = [0; 60];
        let slots = root.as_chunks_mut().0;
        for (slot, place) in self.entries_of(0..DIRECT) {
            let slot = usize::try_from(slot).expect("an inode has few");
            slots[slot] = low(place).to_le_bytes();
        }
        if places.is_empty() {
            return root;
        }
        let counts = self.counts();
        let mut before = 0;
        for height in 0..TIERS {
            for (tier, counts) in counts.iter().enumerate() {
                if tier == height && counts[height] > 0 {
                    let place = usize::try_from(before).expect("places are in memory");
                    slots[FIRST_TIER + tier] = low(places[place]).to_le_bytes();
                }
                before += counts[height];
            }
        }
        root
    }

    /// Blocks in `range` of the file, from its start, with their places.
    fn entries_of(self, range: Range<u64>) -> impl Iterator<Item = (u64, u64)> {
        self.runs.iter().flat_map(move |mapped| {
            let offset = |block: u64| block - u64::from(mapped.logical) + mapped.run.start;
            let start = range.start;
            part(mapped, &range).map(move |block| (block - start, offset(block)))
        })
    }

    /// Writes all lists to `sink` with their `places`.
    pub(crate) fn write(self, places: &[u64], sink: &mut BlockSink<'_>) -> Result<(), FormatError> {
        let slots = self.slots();
        let mut writer = ListWriter {
            places: places.iter().copied(),
            block: vec![0; self.block_size as usize],
            sink,
        };
        let blocks = (0..TIERS).flat_map(|tier| {
            self.entries_of(self.tier(tier))
                .map(move |(block, place)| Entry {
                    list: ListId {
                        tier,
                        number: block / slots,
                    },
                    slot: block % slots,
                    place,
                })
        });
        let mut lists = writer.write_level(blocks)?;
        for height in 1..TIERS {
            let above =
                lists
                    .iter()
                    .filter(|(list, _)| list.tier >= height)
                    .map(|(list, place)| Entry {
                        list: ListId {
                            tier: list.tier,
                            number: list.number / slots,
                        },
                        slot: list.number % slots,
                        place: *place,
                    });
            lists = writer.write_level(above)?;
        }
        Ok(())
    }
}

/// Writes lists, all of one height before those above.
struct ListWriter<'p, 's, 'f> {
    places: std::iter::Copied<std::slice::Iter<'p, u64>>,
    block: Vec<u8>,
    sink: &'s mut BlockSink<'f>,
}

impl ListWriter<'_, '_, '_> {
    /// Writes the lists of `entries`, and tells their places.
    fn write_level(
        &mut self,
        entries: impl Iterator<Item = Entry>,
    ) -> Result<Vec<(ListId, u64)>, FormatError> {
        let mut lists = Vec::new();
        let mut current = None;
        for entry in entries {
            if current != Some(entry.list) {
                self.finish(current, &mut lists)?;
                current = Some(entry.list);
            }
            let slots = self.block.as_chunks_mut().0;
            let slot = usize::try_from(entry.slot).expect("it is in a block");
            slots[slot] = low(entry.place).to_le_bytes();
        }
        self.finish(current, &mut lists)?;
        Ok(lists)
    }

    fn finish(
        &mut self,
        list: Option<ListId>,
        lists: &mut Vec<(ListId, u64)>,
    ) -> Result<(), FormatError> {
        let Some(list) = list else {
            return Ok(());
        };
        let place = self.places.next().expect("every list has its place");
        (self.sink)(place, &self.block)?;
        self.block.fill(0);
        lists.push((list, place));
        Ok(())
    }
}

/// The block after the last of a run, in the file.
fn end(mapped: &MappedRun) -> u64 {
    u64::from(mapped.logical) + mapped.run.count
}

/// The blocks of a run that are in `range`.
fn part(mapped: &MappedRun, range: &Range<u64>) -> Range<u64> {
    u64::from(mapped.logical).max(range.start)..end(mapped).min(range.end)
}

/// The most blocks of a file for which Linux trusts that they and their lists are no more than `limit`.
pub(crate) fn most_blocks(block_size: u32, limit: u64) -> u64 {
    let map = IndirectMap::new(block_size, &[]);
    let all = map.tier(TIERS - 1).end;
    if all + map.lists_over(all) <= limit {
        all
    } else {
        limit.saturating_sub(map.lists_over(limit))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use super::*;
    use crate::space::Run;

    /// Follows the lists of a map from the inode to each block that they lead to.
    fn follow(map: IndirectMap<'_>) -> BTreeMap<u64, u64> {
        let count = map.node_count();
        let places: Vec<u64> = (0..count).map(|index| 1_000_000 + index).collect();
        let mut lists = BTreeMap::new();
        map.write(&places, &mut |place, bytes| {
            assert!(lists.insert(place, bytes.to_vec()).is_none());
            Ok(())
        })
        .unwrap();
        assert!(lists.keys().eq(&places));
        let root = map.root(&places);
        let mut found = BTreeMap::new();
        let numbers = |bytes: &[u8]| -> Vec<u64> {
            let words = bytes.as_chunks().0.iter();
            words
                .map(|word| u64::from(u32::from_le_bytes(*word)))
                .collect()
        };
        for (slot, place) in numbers(&root).into_iter().enumerate() {
            let mut level = vec![(slot as u64, place)];
            if slot >= FIRST_TIER {
                let tier = slot - FIRST_TIER;
                level = vec![(0, place)];
                for _ in 0..=tier {
                    level.retain(|(_, place)| *place != 0);
                    level = level
                        .iter()
                        .flat_map(|(number, place)| {
                            let list = numbers(&lists.remove(place).unwrap());
                            let first = number * map.slots();
                            (first..).zip(list).collect::<Vec<_>>()
                        })
                        .collect();
                }
                for (block, _) in &mut level {
                    *block += map.tier(tier).start;
                }
            }
            found.extend(level.into_iter().filter(|(_, place)| *place != 0));
        }
        assert!(lists.is_empty(), "lists that nothing leads to");
        found
    }

    fn check(block_size: u32, ranges: &[(u32, u64)]) {
        let mut start = 5;
        let mut runs = Vec::new();
        let mut expected = BTreeMap::new();
        for (logical, count) in ranges {
            let run = Run {
                start,
                count: *count,
            };
            runs.push(MappedRun {
                logical: *logical,
                run,
            });
            expected.extend((0..*count).map(|block| (u64::from(*logical) + block, start + block)));
            start += count + 3;
        }
        assert_eq!(follow(IndirectMap::new(block_size, &runs)), expected);
    }

    #[test]
    fn lists_lead_to_every_block() {
        let tier_3 = 12 + 256 + 256 * 256;
        for ranges in [
            &[][..],
            &[(0, 1)],
            &[(0, 12)],
            &[(0, 13)],
            &[(11, 2), (14, 1)],
            &[(0, 12 + 256)],
            &[(0, 12 + 257)],
            &[(12 + 255, 2)],
            &[(12 + 256 + 255, 2)],
            &[(tier_3 - 1, 2)],
            &[(tier_3, 1), (tier_3 + 256 * 256 - 1, 2)],
            &[(0, u64::from(tier_3) + 70_000)],
            &[(3, 9), (300, 1), (302, 1), (100_000, 20), (16_000_000, 1)],
        ] {
            check(1024, ranges);
        }
        check(
            4096,
            &[(0, 12 + 1024 + 5), (1_100_000, 3), (1_000_000_000, 1)],
        );
    }

    /// What Linux takes for the largest size where sectors are counted in 32 bits.
    #[test]
    fn the_largest_file_is_that_of_the_kernel() {
        let limit = |block_size: u32| u64::from(u32::MAX) / u64::from(block_size / 512);
        assert_eq!(
            most_blocks(1024, limit(1024)),
            12 + 256 + 65536 + 16_777_216
        );
        assert_eq!(most_blocks(4096, limit(4096)), 536_346_110);
        assert_eq!(
            most_blocks(4096, u64::MAX),
            12 + 1024 + (1 << 20) + (1 << 30)
        );
    }
}
