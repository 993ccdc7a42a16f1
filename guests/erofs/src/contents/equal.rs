//! Files that are equal: the first of them in the tree's order stands for all.

use std::collections::BTreeMap;

use cellblock_guest::{Digest, FormatError, NodeId};

use super::{Class, Planner, Stage};
use crate::census::File;
use crate::inodes;

/// How many digests are asked for at once.
const BATCH: usize = 4096;

/// What files must have in common to be stored once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    size: u64,
    digest: Digest,
    compression: Option<u8>,
    /// What stands behind their inodes, beside those blocks. Bytes.
    inline: u64,
}

impl Planner<'_> {
    /// For each file, the position of the first that is equal to it; that may be its own. Only files that have their size in
    /// common are compared.
    pub(super) fn firsts(
        &mut self,
        classes: &[Class],
        stage: &mut Stage<'_>,
    ) -> Result<Vec<u32>, FormatError> {
        let count = u32::try_from(classes.len()).expect("there are fewer files than nodes");
        let mut firsts: Vec<u32> = (0..count).collect();
        if !self.options.features.dedupe {
            return Ok(firsts);
        }
        let mut candidates: Vec<(u64, u32)> = Vec::new();
        for (position, class) in (0..).zip(classes) {
            let file = &self.census.files[position as usize];
            if self.is_worth_a_look(file, *class)? {
                candidates.push((file.size, position));
            }
        }
        candidates.sort_unstable();
        let same_size = candidates.chunk_by(|one, other| one.0 == other.0);
        let mut compared: Vec<u32> = same_size
            .filter(|files| files.len() > 1)
            .flatten()
            .map(|(_, position)| *position)
            .collect();
        // In the tree's order, which is that of the source as far as there is one.
        compared.sort_unstable();
        let mut known: BTreeMap<Key, u32> = BTreeMap::new();
        for batch in compared.chunks(BATCH) {
            let node = |position: &u32| self.census.files[*position as usize].node;
            let nodes: Vec<NodeId> = batch.iter().map(node).collect();
            let digests = stage.encoder().digests(&nodes)?;
            for (position, digest) in batch.iter().zip(digests) {
                let file = &self.census.files[*position as usize];
                let key = Key {
                    size: file.size,
                    digest,
                    compression: file.compression,
                    inline: inodes::inline_bytes_of_file(self.options, self.census, file),
                };
                firsts[*position as usize] = *known.entry(key).or_insert(*position);
            }
        }
        Ok(firsts)
    }

    /// Whether storing a file once would save anything. One that is mostly holes is not read.
    fn is_worth_a_look(&mut self, file: &File, class: Class) -> Result<bool, FormatError> {
        let has_blocks = match class {
            Class::Empty | Class::Small(_) => false,
            Class::Plain => {
                inodes::inline_bytes_of_file(self.options, self.census, file) < file.size
            }
            Class::Clusters(_) | Class::Packed => true,
        };
        Ok(has_blocks && (!file.sparse || self.is_dense(file)?))
    }
}
