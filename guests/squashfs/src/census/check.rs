//! What the format has no room for.

use cellblock_guest::{Device, FormatError, NodeId, NodeProblem, Timestamp};

use crate::options::Options;

const NAME_LIMIT: u32 = 255;
/// The kernel takes no longer target.
const TARGET_LIMIT: u32 = 4095;
const MAJOR_LIMIT: u32 = 1 << 12;
const MINOR_LIMIT: u32 = 1 << 20;
/// The most blocks of a file: each has four bytes in the inode, and is read over by whoever looks for one behind it.
const BLOCK_LIMIT: u64 = 1 << 26;

pub(super) fn name(node: NodeId, name: &[u8]) -> Result<(), FormatError> {
    let problem = if name.len() > NAME_LIMIT as usize {
        NodeProblem::NameTooLong(NAME_LIMIT)
    } else if matches!(name, b"" | b"." | b"..") {
        NodeProblem::NameReserved
    } else if name.contains(&b'/') {
        NodeProblem::NameCharacter('/')
    } else if name.contains(&0) {
        NodeProblem::NameCharacter('\0')
    } else {
        return Ok(());
    };
    Err(FormatError::node(node, problem))
}

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

/// The number of a device as inodes have it.
pub(super) fn device(node: NodeId, device: Device) -> Result<u32, FormatError> {
    let Device { major, minor } = device;
    if major >= MAJOR_LIMIT || minor >= MINOR_LIMIT {
        return Err(FormatError::node(node, NodeProblem::Device));
    }
    Ok(minor & 0xFF | major << 8 | (minor >> 8) << 20)
}

/// The seconds since 1970: 32 bits, without fractions.
pub(super) fn time(node: NodeId, time: Timestamp) -> Result<u32, FormatError> {
    u32::try_from(time.seconds).map_err(|_| FormatError::node(node, NodeProblem::Time))
}
