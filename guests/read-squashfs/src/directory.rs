//! Lists of directories.

use cellblock_guest::fields::Fields;
use cellblock_guest::reader::ReaderError;

use crate::inode::Directory;
use crate::metadata::{Metadata, Reference};

/// A directory without entries has this size.
const EMPTY: u32 = 3;
/// The most entries behind one header.
const RUN_LIMIT: u32 = 256;
/// The longest name in bytes.
const NAME_LIMIT: usize = 255;

/// A name in a directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) inode: Reference,
}

/// The bytes of a directory's list.
pub(crate) fn length(directory: &Directory) -> usize {
    directory.size.saturating_sub(EMPTY) as usize
}

/// The entries of the directory of `owner`.
pub(crate) fn entries<'a>(
    table: &'a Metadata,
    directory: &Directory,
    owner: &str,
) -> Result<Vec<Entry<'a>>, ReaderError> {
    let damaged = |problem: String| ReaderError::damaged(owner, None, problem);
    let length = length(directory);
    if length == 0 {
        return Ok(Vec::new());
    }
    let mut fields = table.at(directory.list, || owner.to_owned())?;
    let list = fields.bytes(length).ok_or_else(|| {
        damaged(format!(
            "has a list of {length} bytes, which ends behind the table of directories"
        ))
    })?;
    let mut entries = Vec::new();
    let mut fields = Fields(list);
    while !fields.0.is_empty() {
        run(&mut fields, &mut entries)
            .ok_or_else(|| damaged("has a list that ends within an entry".to_owned()))?
            .map_err(damaged)?;
    }
    let mut names: Vec<&[u8]> = entries.iter().map(|entry| entry.name).collect();
    names.sort_unstable();
    match names.windows(2).find(|two| two[0] == two[1]) {
        None => Ok(entries),
        Some(two) => {
            let name = two[0].escape_ascii();
            Err(damaged(format!("has two entries '{name}'")))
        }
    }
}

/// A header and the entries behind it.
fn run<'a>(fields: &mut Fields<'a>, entries: &mut Vec<Entry<'a>>) -> Option<Result<(), String>> {
    let before_last = fields.u32()?;
    let block = u64::from(fields.u32()?);
    let _number = fields.u32()?;
    if before_last >= RUN_LIMIT {
        let problem = format!("has a header of {before_last} entries and one more");
        return Some(Err(problem));
    }
    for _ in 0..=before_last {
        let offset = fields.u16()?;
        let _number = fields.u16()?;
        let _kind = fields.u16()?;
        let length = usize::from(fields.u16()?) + 1;
        let name = fields.bytes(length)?;
        if length > NAME_LIMIT
            || matches!(name, b"." | b"..")
            || name.iter().any(|byte| matches!(byte, b'/' | 0))
        {
            let name = name.escape_ascii();
            return Some(Err(format!("has a file called '{name}'")));
        }
        let inode = Reference { block, offset };
        entries.push(Entry { name, inode });
    }
    Some(Ok(()))
}
