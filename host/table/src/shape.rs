//! Where a table's own parts lie on the disk.

use crate::Lba;

/// Where a table's own parts lie, beyond what its kind fixes. [`Shape::default`] is what other programs make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// GPT: the first sector of the primary entries; 2 unless a boot loader needs the sectors behind the header.
    pub entries: Lba,
    /// GPT: whether there is a backup at the end of the disk. A primary header without one says that the backup is in
    /// its own sector, so that no firmware writes it anew over a partition.
    pub backup: bool,
    /// Hybrid MBR: the number, 1 to 4, of the entry (type 0xee) that guards the GPT; partitions take the others.
    pub guard_number: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            entries: Lba(2),
            backup: true,
            guard_number: 1,
        }
    }
}
