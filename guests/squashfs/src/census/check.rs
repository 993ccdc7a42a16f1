//! What the format has no room for.

use cellblock_guest::{FormatError, NodeId, NodeProblem, Timestamp};

use crate::options::Options;

/// The kernel takes no longer target.
const TARGET_LIMIT: u32 = 4095;
/// The most blocks of a file: each has four bytes in the inode, and is read over by whoever looks for one behind it.
const BLOCK_LIMIT: u64 = 1 << 26;

pub(super) fn file_size(options: &Options, node: NodeId, size: u64) -> Result<(), FormatError> {
    let limit = BLOCK_LIMIT * u64::from(options.block_size);
    if size > limit {
        return Err(FormatError::node(node, NodeProblem::FileTooLarge(limit)));
    }
    Ok(())
}

pub(super) fn target(node: NodeId, target: &[u8]) -> Result<(), FormatError> {
    if target.len() > TARGET_LIMIT as usize {
        return Err(FormatError::node(
            node,
            NodeProblem::TargetTooLong(TARGET_LIMIT),
        ));
    }
    // No system has a link to nothing, and a zero would end the target early.
    if target.is_empty() || target.contains(&0) {
        return Err(FormatError::node(node, NodeProblem::Kind));
    }
    Ok(())
}

/// The seconds since 1970: 32 bits, without fractions.
pub(super) fn time(node: NodeId, time: Timestamp) -> Result<u32, FormatError> {
    u32::try_from(time.seconds).map_err(|_| FormatError::node(node, NodeProblem::Time))
}
