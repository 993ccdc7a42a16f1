//! Directories: blocks that have entries at their beginning, and the names of these behind them.

use cellblock_guest::fields::Fields;
use cellblock_guest::reader::ReaderError;

use crate::inode::Inode;

const ENTRY: usize = 12;
/// The longest name in bytes.
const NAME_LIMIT: usize = 255;

/// The names in `content`, that of a directory, and the numbers of their inodes; without `.` and `..`.
pub(crate) fn entries<'a>(
    inode: &Inode,
    content: &'a [u8],
    block_size: usize,
) -> Result<Vec<(&'a [u8], u64)>, ReaderError> {
    let mut all = Vec::new();
    for (number, block) in content.chunks(block_size).enumerate() {
        take(block, &mut all)
            .ok_or_else(|| "ends within an entry".to_owned())
            .flatten()
            .map_err(|problem| {
                ReaderError::damaged(format!("block {number} of {}", inode.name()), None, problem)
            })?;
    }
    let mut names: Vec<&[u8]> = all.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    match names.windows(2).find(|two| two[0] == two[1]) {
        None => Ok(all),
        Some(two) => {
            let name = two[0].escape_ascii();
            Err(inode.damaged(format!("has two entries '{name}'")))
        }
    }
}

fn take<'a>(block: &'a [u8], all: &mut Vec<(&'a [u8], u64)>) -> Option<Result<(), String>> {
    let first = usize::from(Fields(block.get(8..)?).u16()?);
    if first < ENTRY || first % ENTRY != 0 || first > block.len() {
        return Some(Err(format!("has its first name at {first}")));
    }
    let count = first / ENTRY;
    let entry = |index: usize| {
        let mut fields = Fields(block.get(index * ENTRY..)?);
        Some((fields.u64()?, usize::from(fields.u16()?)))
    };
    for index in 0..count {
        let (inode, start) = entry(index)?;
        let end = if index + 1 < count {
            entry(index + 1)?.1
        } else {
            block.len()
        };
        let Some(name) = block.get(start..end).filter(|_| start >= first) else {
            return Some(Err(format!("has a name from {start} to {end}")));
        };
        // What is left of a block is zeros.
        let name = match index + 1 < count {
            true => name,
            false => name.split(|byte| *byte == 0).next()?,
        };
        if matches!(name, b"." | b"..") {
            continue;
        }
        if name.is_empty()
            || name.len() > NAME_LIMIT
            || name.iter().any(|byte| matches!(byte, b'/' | 0))
        {
            let name = name.escape_ascii();
            return Some(Err(format!("has a file called '{name}'")));
        }
        all.push((name, inode));
    }
    Some(Ok(()))
}
