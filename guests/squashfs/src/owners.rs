//! Users and groups: one table of numbers, which inodes refer to by 16 bits.

use std::collections::BTreeMap;

use cellblock_guest::{FormatError, NodeId, NodeProblem};

use crate::options::Options;

/// The most that the superblock can count.
const LIMIT: usize = u16::MAX as usize;

/// An owner's position in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnerId(pub(crate) u16);

/// All owners of a tree.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    ids: BTreeMap<u32, OwnerId>,
    numbers: Vec<u32>,
    are_dropped: bool,
}

impl Owners {
    /// The position of a user's or a group's `number`.
    ///
    /// # Errors
    /// [`FormatError::Node`] if there are too many.
    pub(crate) fn add(
        &mut self,
        options: &Options,
        node: NodeId,
        number: u32,
    ) -> Result<OwnerId, FormatError> {
        if let Some(id) = self.ids.get(&number) {
            return Ok(*id);
        }
        if self.numbers.len() >= LIMIT {
            if !options.drop_owners {
                return Err(FormatError::node(node, NodeProblem::Owner));
            }
            self.are_dropped = true;
            return Ok(OwnerId::default());
        }
        let id = OwnerId(u16::try_from(self.numbers.len()).expect("there are at most 65,535"));
        self.numbers.push(number);
        self.ids.insert(number, id);
        Ok(id)
    }

    /// Whether there are more than the format can tell apart, so that all belongs to root.
    pub(crate) fn are_dropped(&self) -> bool {
        self.are_dropped
    }

    /// The table.
    pub(crate) fn numbers(&self) -> &[u32] {
        if self.are_dropped {
            &[0]
        } else {
            &self.numbers
        }
    }
}
