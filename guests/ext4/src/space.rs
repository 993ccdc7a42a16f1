//! Where things stand: the places of the file system's own metadata, and the runs of blocks that are left for the tree.
//!
//! ```text
//!   flexible group                                           next
//!   +------------+---------------+---------------+--------+--+----
//!   | superblock | block bitmaps | inode bitmaps | inode  |  | superblock?
//!   | descriptors|               |               | tables |  |
//!   +------------+---------------+---------------+--------+--+----
//!                                    free from here ------>
//! ```

use crate::geometry::Geometry;

/// Consecutive blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: u64,
    pub(crate) count: u64,
}

impl Run {
    /// The block after the last.
    pub(crate) fn end(self) -> u64 {
        self.start + self.count
    }

    /// The part from `block` on.
    pub(crate) fn after(self, block: u64) -> Self {
        let start = self.start.max(block);
        Self {
            start,
            count: self.end().saturating_sub(start),
        }
    }
}

/// The blocks of a group's own metadata.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GroupTables {
    pub(crate) block_bitmap: u64,
    pub(crate) inode_bitmap: u64,
    /// The first.
    pub(crate) inode_table: u64,
}

/// The places in a file system.
#[derive(Debug)]
pub(crate) struct Space {
    /// By group.
    pub(crate) tables: Vec<GroupTables>,
    /// The blocks of the file system's own metadata: ascending, and apart.
    pub(crate) fixed: Vec<Run>,
    /// All other blocks: ascending, and apart. The last run has no end, so that what does not fit can be counted.
    free: Vec<Run>,
}

/// A block so far away that none comes after it.
const ENDLESS: u64 = 1 << 60;

impl Space {
    /// Places the metadata; none if it does not fit.
    pub(crate) fn new(geometry: &Geometry) -> Option<Self> {
        let heads: Vec<Run> = (0..geometry.groups)
            .map(|group| Run {
                start: geometry.group_start(group),
                count: geometry.head_blocks(group),
            })
            .filter(|head| head.count > 0)
            .collect();
        let mut planner = Planner {
            heads: &heads,
            fixed: Vec::new(),
            cursor: 0,
        };
        let mut tables = Vec::with_capacity(geometry.groups as usize);
        let mut first = 0;
        while first < geometry.groups {
            let count = geometry.groups_per_flex.min(geometry.groups - first);
            planner.place_flexible_group(geometry, first, count, &mut tables);
            first += count;
        }
        planner.place_heads(geometry.blocks);
        let fixed = planner.fixed;
        if fixed.last().is_some_and(|run| run.end() > geometry.blocks) {
            return None;
        }
        let mut free = Vec::with_capacity(fixed.len() + 1);
        let mut at = u64::from(geometry.first_data_block);
        for run in &fixed {
            if run.start > at {
                free.push(Run {
                    start: at,
                    count: run.start - at,
                });
            }
            at = run.end();
        }
        free.push(Run {
            start: at,
            count: ENDLESS - at,
        });
        Some(Self {
            tables,
            fixed,
            free,
        })
    }

    /// The first free block.
    pub(crate) fn cursor(&self) -> Cursor<'_> {
        Cursor {
            free: &self.free,
            taken: 0,
        }
    }
}

/// Places metadata from the first block to the last.
struct Planner<'a> {
    /// What groups begin with, as far as it is not placed yet.
    heads: &'a [Run],
    fixed: Vec<Run>,
    /// The block after all that is placed.
    cursor: u64,
}

impl Planner<'_> {
    fn place_flexible_group(
        &mut self,
        geometry: &Geometry,
        first: u32,
        count: u32,
        tables: &mut Vec<GroupTables>,
    ) {
        let start = geometry.group_start(first);
        self.place_heads(start + 1);
        self.cursor = self.cursor.max(start);
        let block_bitmaps = self.take(u64::from(count));
        let inode_bitmaps = self.take(u64::from(count));
        for index in 0..u64::from(count) {
            tables.push(GroupTables {
                block_bitmap: block_bitmaps + index,
                inode_bitmap: inode_bitmaps + index,
                inode_table: self.take(u64::from(geometry.inode_table_blocks)),
            });
        }
    }

    /// Takes the next consecutive blocks that no head interrupts.
    fn take(&mut self, count: u64) -> u64 {
        while self.place_head(self.cursor + count) {}
        let start = self.cursor;
        self.add(Run { start, count });
        start
    }

    /// Places the heads that begin before `end`.
    fn place_heads(&mut self, end: u64) {
        while self.place_head(end) {}
    }

    /// Places the next head, if it begins before `end`.
    fn place_head(&mut self, end: u64) -> bool {
        match self.heads.split_first() {
            Some((head, rest)) if head.start < end => {
                self.heads = rest;
                self.add(*head);
                true
            }
            _ => false,
        }
    }

    fn add(&mut self, run: Run) {
        self.cursor = run.end();
        match self.fixed.last_mut() {
            Some(last) if last.end() == run.start => last.count += run.count,
            _ => self.fixed.push(run),
        }
    }
}

/// A place among the free blocks, which are taken in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    /// The runs from the current one on.
    free: &'a [Run],
    /// Blocks taken of the current run.
    taken: u64,
}

impl Cursor<'_> {
    /// A cursor that nothing interrupts, from block 0.
    pub(crate) fn endless() -> Self {
        const ALL: &[Run] = &[Run {
            start: 0,
            count: ENDLESS,
        }];
        Self {
            free: ALL,
            taken: 0,
        }
    }

    /// Takes the next blocks, as many as are consecutive and at most `most`.
    pub(crate) fn take(&mut self, most: u64) -> Run {
        loop {
            let Some((run, rest)) = self.free.split_first() else {
                return Run {
                    start: ENDLESS,
                    count: most,
                };
            };
            let left = run.count - self.taken;
            if left > 0 {
                let count = left.min(most);
                let start = run.start + self.taken;
                self.taken += count;
                return Run { start, count };
            }
            self.free = rest;
            self.taken = 0;
        }
    }

    /// Takes the next blocks if so many are consecutive.
    pub(crate) fn take_together(&mut self, blocks: u64) -> Option<Run> {
        let run = self.free.first()?;
        let taken = self.taken.checked_add(blocks)?;
        if taken > run.count {
            return None;
        }
        let start = run.start + self.taken;
        self.taken = taken;
        Some(Run {
            start,
            count: blocks,
        })
    }

    /// The block after the last that was taken.
    pub(crate) fn position(&self) -> u64 {
        self.free
            .first()
            .map_or(ENDLESS, |run| run.start + self.taken)
    }
}
