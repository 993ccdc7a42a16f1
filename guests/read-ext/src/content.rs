//! Where the bytes of files are, and the bytes of what is read here.

use cellblock_guest::NodeId;
use cellblock_guest::reader::{FileExtent, Place, ReaderError};

use crate::attributes;
use crate::inode::{Flags, Inode};
use crate::mapping::{Run, all_runs, runs};
use crate::volume::Ext;

/// The extents of a file, of which `node` is the first name.
pub(crate) fn extents(
    ext: &Ext<'_>,
    inode: &Inode,
    node: NodeId,
) -> Result<Vec<FileExtent>, ReaderError> {
    if inode.flags.contains(Flags::INLINE_DATA) {
        // A file may go on behind what it holds in itself: kernels read zeros there.
        let bytes = held(ext, inode)?;
        return Ok(vec![FileExtent {
            file: node,
            offset: 0,
            length: bytes.len() as u64,
            place: Place::Inline(bytes),
        }]);
    }
    let mut extents = Vec::new();
    for run in runs(ext, inode)? {
        for part in parts(ext, run) {
            let size = u64::from(ext.superblock.block_size);
            let offset = part.logical * size;
            // Blocks behind the end are allocated in advance, or hold what verifies the file.
            let length = (part.count * size).min(inode.size.saturating_sub(offset));
            if length == 0 {
                continue;
            }
            let place = match ext.place(part.physical) {
                Some(start) => Place::Plain(start),
                None => {
                    let mut bytes = ext.blocks(part.physical, 1, &inode.name())?;
                    bytes.truncate(usize::try_from(length).expect("a block is in memory"));
                    Place::Inline(bytes)
                }
            };
            extents.push(FileExtent {
                file: node,
                offset,
                length,
                place,
            });
        }
    }
    Ok(extents)
}

/// A run, block by block where the journal has newer ones.
fn parts(ext: &Ext<'_>, run: Run) -> Vec<Run> {
    if !ext.is_replayed(run.physical, run.count) {
        return vec![run];
    }
    let block = |index| Run {
        logical: run.logical + index,
        physical: run.physical + index,
        count: 1,
    };
    (0..run.count).map(block).collect()
}

/// The bytes of a directory, a link's target or a large attribute, of which there may be `limit`.
pub(crate) fn bytes(ext: &Ext<'_>, inode: &Inode, limit: u64) -> Result<Vec<u8>, ReaderError> {
    if inode.size > limit {
        return Err(inode.damaged(format!(
            "has {} bytes, where {limit} are the most",
            inode.size
        )));
    }
    if inode.flags.contains(Flags::INLINE_DATA) {
        return inline(ext, inode);
    }
    let size = u64::from(ext.superblock.block_size);
    let mut bytes = Vec::new();
    for run in all_runs(ext, inode)? {
        let wanted = inode.size.div_ceil(size).saturating_sub(run.logical);
        let count = run.count.min(wanted);
        if count == 0 {
            break;
        }
        ext.spend(count)?;
        bytes.resize(index(run.logical * size), 0);
        let count = u32::try_from(count).map_err(|_| inode.damaged("has too many blocks"))?;
        bytes.extend(ext.blocks(run.physical, count, &inode.name())?);
    }
    bytes.resize(index(inode.size), 0);
    Ok(bytes)
}

/// All of a directory or of a link's target that stands inside the inode.
pub(crate) fn inline(ext: &Ext<'_>, inode: &Inode) -> Result<Vec<u8>, ReaderError> {
    let bytes = held(ext, inode)?;
    if inode.size > bytes.len() as u64 {
        return Err(inode.damaged(format!(
            "has {} bytes, and {} in itself",
            inode.size,
            bytes.len()
        )));
    }
    Ok(bytes)
}

/// What stands inside the inode, up to its size: in the place of its map, and in an attribute of its own.
fn held(ext: &Ext<'_>, inode: &Inode) -> Result<Vec<u8>, ReaderError> {
    let mut bytes = inode.map.to_vec();
    bytes.extend(attributes::inline_data(ext, inode)?);
    bytes.truncate(usize::try_from(inode.size).unwrap_or(usize::MAX));
    Ok(bytes)
}

fn index(bytes: u64) -> usize {
    usize::try_from(bytes).expect("what is read here has a limit")
}
