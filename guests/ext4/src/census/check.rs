//! What the format has no room for.

use cellblock_guest::{Device, FormatError, NodeId, NodeProblem, Timestamp};

use crate::indirect;
use crate::options::Options;

const NAME_LIMIT: u32 = 255;
/// The kernel takes no longer target, whatever the size of blocks.
const TARGET_LIMIT: u32 = 4095;
const MAJOR_LIMIT: u32 = 1 << 12;
const MINOR_LIMIT: u32 = 1 << 20;

pub(super) fn name(node: NodeId, name: &[u8]) -> Result<(), FormatError> {
    let problem = if name.len() > NAME_LIMIT as usize {
        NodeProblem::NameTooLong(NAME_LIMIT)
    } else if matches!(name, b"" | b"." | b"..") {
        NodeProblem::NameReserved
    } else if !may_have(name, b'/') && !may_have(name, 0) {
        return Ok(());
    } else if name.contains(&b'/') {
        NodeProblem::NameCharacter('/')
    } else if name.contains(&0) {
        NodeProblem::NameCharacter('\0')
    } else {
        return Ok(());
    };
    Err(FormatError::node(node, problem))
}

/// Whether `byte` is in `name`, with mistakes to the safe side: eight bytes a step, of which one is zero where a
/// subtraction borrows.
fn may_have(name: &[u8], byte: u8) -> bool {
    const LOW: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let Some(last) = name.last_chunk() else {
        return name.contains(&byte);
    };
    let pattern = u64::from_ne_bytes([byte; 8]);
    let (chunks, _) = name.as_chunks();
    chunks.iter().chain([last]).any(|chunk| {
        let difference = u64::from_ne_bytes(*chunk) ^ pattern;
        difference.wrapping_sub(LOW) & !difference & HIGH != 0
    })
}

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

pub(super) fn device(node: NodeId, device: Device) -> Result<(), FormatError> {
    if device.major >= MAJOR_LIMIT || device.minor >= MINOR_LIMIT {
        return Err(FormatError::node(node, NodeProblem::Device));
    }
    Ok(())
}

/// Times that e2fsck takes for mistaken ones before 1970, and changes: from 2310-04-04 to 2378-04-22.
const DOUBTED: std::ops::Range<i64> = (3 << 32) - (1 << 31)..3 << 32;

/// Seconds have 32 bits and a sign, and in large inodes two bits more.
pub(super) fn time(options: &Options, node: NodeId, time: Timestamp) -> Result<(), FormatError> {
    let first = i64::from(i32::MIN);
    let length = if options.inode_size > crate::format::Inode::BASE_SIZE {
        1_i64 << 34
    } else {
        1_i64 << 32
    };
    let counted = (first..first + length).contains(&time.seconds);
    if counted && !DOUBTED.contains(&time.seconds) && time.nanoseconds < 1_000_000_000 {
        return Ok(());
    }
    Err(FormatError::node(node, NodeProblem::Time))
}
