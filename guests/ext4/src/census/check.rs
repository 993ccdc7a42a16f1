//! What the format has no room for.

use cellblock_guest::{FormatError, NodeId, NodeProblem, Timestamp};

use crate::indirect;
use crate::options::Options;
use crate::times;

/// The kernel takes no longer target, whatever the size of blocks.
const TARGET_LIMIT: u32 = 4095;

/// A file has block numbers of 32 bits, the last of which means the end, and what its map and the count of its sectors
/// take.
pub(super) fn file_size(options: &Options, node: NodeId, size: u64) -> Result<(), FormatError> {
    let block_size = u64::from(options.block_size);
    let countable = if options.has_huge_files() {
        (1_u64 << 48) - 1
    } else {
        u64::from(u32::MAX) / (block_size / 512)
    };
    let blocks = if options.has_extents() {
        countable
    } else {
        indirect::most_blocks(options.block_size, countable)
    };
    let limit = blocks.min(u64::from(u32::MAX)) * block_size;
    if size > limit {
        return Err(FormatError::node(node, NodeProblem::FileTooLarge(limit)));
    }
    Ok(())
}

/// A target has its block to itself, with a zero at the end.
pub(super) fn target(options: &Options, node: NodeId, target: &[u8]) -> Result<(), FormatError> {
    let limit = TARGET_LIMIT.min(options.block_size - 1);
    if target.len() > limit as usize {
        return Err(FormatError::node(node, NodeProblem::TargetTooLong(limit)));
    }
    // No system has a link to nothing, and a zero would end the target early.
    if target.is_empty() || target.contains(&0) {
        return Err(FormatError::node(node, NodeProblem::Kind));
    }
    Ok(())
}

/// A node's time has to be one that its inode counts.
pub(super) fn time(options: &Options, node: NodeId, time: Timestamp) -> Result<(), FormatError> {
    if times::counts(options.inode_size, time) {
        Ok(())
    } else {
        Err(FormatError::node(node, NodeProblem::Time))
    }
}
