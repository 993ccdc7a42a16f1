//! What a tree amounts to.

use super::{Kind, Tree, index};
use crate::source::store::long;

/// Sums over all nodes. One that is larger than its type holds is the largest that it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All nodes, the root among them.
    pub nodes: u32,
    /// Those that are directories.
    pub directories: u32,
    /// Those that are other names of nodes.
    pub hard_links: u32,
    /// Those with extended attributes.
    pub attributed: u32,
    /// Bytes of all names.
    pub names: u64,
    /// Bytes of the targets of all symbolic links.
    pub targets: u64,
    /// Bytes of all regular files, holes included, each file's rounded up to whole units.
    pub content: u64,
}

impl Tree {
    /// The sums, where files take whole units of `unit` bytes; 0 counts as 1.
    #[must_use]
    pub fn totals(&self, unit: u32) -> Totals {
        let unit = u64::from(unit.max(1));
        let mut totals = Totals {
            nodes: self.len(),
            names: long(self.names.len()),
            ..Totals::default()
        };
        for entry in &self.entries {
            let attributes = &self.attribute_sets[index(entry.attributes)];
            totals.attributed += u32::from(!attributes.is_empty());
            match &entry.kind {
                Kind::Directory => totals.directories += 1,
                Kind::HardLink(_) => totals.hard_links += 1,
                Kind::Symlink(target) => totals.targets += long(target.len()),
                Kind::File { size, .. } => {
                    // Saturated, as the sums are.
                    let units = size.checked_next_multiple_of(unit).unwrap_or(u64::MAX);
                    totals.content = totals.content.saturating_add(units);
                }
                Kind::CharacterDevice { .. }
                | Kind::BlockDevice { .. }
                | Kind::Fifo
                | Kind::Socket => {}
            }
        }
        totals
    }
}
