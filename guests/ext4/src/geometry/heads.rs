//! What groups begin with: the superblock or a backup of it, and group descriptors.
//!
//! ```text
//!   all descriptors beside each superblock         those of a meta group in three of its groups
//!   +------------+-------------+----------+       +------------+------------+
//!   | superblock | descriptors | kept for |       | superblock | one block  |   first, second and last
//!   |            | of all      | more     |       | or nothing | of them    |   group of the meta group
//!   +------------+-------------+----------+       +------------+------------+
//! ```

use super::Geometry;

/// Which groups but the first have a backup of the superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backups {
    /// Every one.
    All,
    /// Group 1, and the powers of 3, 5 and 7.
    Sparse,
    /// These, ascending; 0 for none.
    Two([u32; 2]),
}

impl Backups {
    /// Two backups, in the second and in the last of so many groups.
    pub(super) fn two(groups: u32) -> Self {
        Self::Two(match groups {
            0 | 1 => [0, 0],
            2 => [0, 1],
            _ => [1, groups - 1],
        })
    }

    /// Whether a group has a superblock.
    fn has(self, group: u32) -> bool {
        let power_of = |base: u32| {
            let mut power = base;
            while power < group && power <= u32::MAX / base {
                power *= base;
            }
            power == group
        };
        match self {
            Self::All => true,
            Self::Sparse => group < 2 || [3, 5, 7].into_iter().any(power_of),
            Self::Two(backups) => group == 0 || backups.contains(&group),
        }
    }

    /// How many of so many groups have a superblock.
    fn count(self, groups: u32) -> u64 {
        match self {
            Self::All => u64::from(groups),
            Self::Sparse => {
                let powers = [3_u32, 5, 7].into_iter().map(|base| {
                    let mut power = u64::from(base);
                    let mut count = 0;
                    while power < u64::from(groups) {
                        power *= u64::from(base);
                        count += 1;
                    }
                    count
                });
                u64::from(groups.min(2)) + powers.sum::<u64>()
            }
            Self::Two(backups) => {
                let others = backups.into_iter().filter(|group| *group > 0).count();
                1 + others as u64
            }
        }
    }
}

impl Geometry {
    /// Whether a group begins with a superblock.
    pub(crate) fn has_superblock(&self, group: u32) -> bool {
        self.backups.has(group)
    }

    /// The groups after the first that begin with a superblock.
    pub(crate) fn backup_groups(&self) -> impl Iterator<Item = u32> {
        (1..self.groups).filter(|group| self.has_superblock(*group))
    }

    /// Whether a group has the block of its meta group's descriptors.
    pub(crate) fn has_descriptor_block(&self, group: u32) -> bool {
        let last = self.descriptors_per_block - 1;
        let position = group % self.descriptors_per_block;
        self.has_meta_groups && (position < 2 || position == last)
    }

    /// The blocks that a group begins with.
    pub(crate) fn head_blocks(&self, group: u32) -> u64 {
        let superblock = u64::from(self.has_superblock(group));
        if self.has_meta_groups {
            superblock + u64::from(self.has_descriptor_block(group))
        } else {
            superblock * self.superblock_blocks()
        }
    }

    /// The blocks of a superblock and of what is in each group that has one.
    fn superblock_blocks(&self) -> u64 {
        if self.has_meta_groups {
            1
        } else {
            1 + u64::from(self.descriptor_blocks) + u64::from(self.reserved_descriptor_blocks)
        }
    }

    /// The most blocks that any group begins with.
    pub(super) fn longest_head(&self) -> u64 {
        self.superblock_blocks() + u64::from(self.has_meta_groups)
    }

    /// The blocks that all groups begin with.
    pub(super) fn all_heads(&self) -> u64 {
        let superblocks = self.backups.count(self.groups) * self.superblock_blocks();
        if !self.has_meta_groups {
            return superblocks;
        }
        let whole = u64::from(self.groups / self.descriptors_per_block);
        let rest = u64::from(self.groups % self.descriptors_per_block);
        superblocks + 3 * whole + rest.min(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_are_counted_as_they_stand() {
        for groups in 1..500 {
            for backups in [Backups::All, Backups::Sparse, Backups::two(groups)] {
                let counted = (0..groups).filter(|group| backups.has(*group)).count();
                assert_eq!(
                    backups.count(groups),
                    counted as u64,
                    "{groups} {backups:?}"
                );
            }
        }
    }
}
