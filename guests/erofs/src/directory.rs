//! Directories: blocks of entries, ascending by name, each block's names behind its entries.

use zerocopy::IntoBytes as _;

use crate::census::{Census, Directory, InodeIndex};
use crate::format::{DirectoryEntry, FileType};

/// An entry of a directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Child {
    /// Where its name begins among all names.
    pub(crate) start: u64,
    pub(crate) inode: InodeIndex,
    /// The bytes of its name.
    pub(crate) length: u8,
    pub(crate) file_type: FileType,
}

/// What an entry says.
#[derive(Clone, Copy)]
struct Entry<'a> {
    name: &'a [u8],
    inode: InodeIndex,
    file_type: FileType,
}

impl Entry<'_> {
    fn bytes(&self) -> usize {
        size_of::<DirectoryEntry>() + self.name.len()
    }
}

/// All entries in order, with the directory itself and its parent among them.
fn entries<'a>(census: &'a Census, directory: &Directory) -> impl Iterator<Item = Entry<'a>> {
    let own = [(&b"."[..], directory.inode), (b"..", directory.parent)];
    let mut own = own.into_iter().map(|(name, inode)| Entry {
        name,
        inode,
        file_type: FileType::Directory,
    });
    let mut next_own = own.next();
    let mut children = census.children(directory).iter().map(|child| Entry {
        name: census.text(child.start, child.length.into()),
        inode: child.inode,
        file_type: child.file_type,
    });
    let mut next_child = children.next();
    std::iter::from_fn(move || {
        let own_first = match (&next_own, &next_child) {
            (Some(own), Some(child)) => own.name < child.name,
            (own, _) => own.is_some(),
        };
        if own_first {
            std::mem::replace(&mut next_own, own.next())
        } else {
            std::mem::replace(&mut next_child, children.next())
        }
    })
}

/// The bytes of a directory: all of every block but the last, and of that as far as it is used.
pub(crate) fn size(census: &Census, directory: &Directory, block_size: u64) -> u64 {
    let (mut full, mut used) = (0, 0);
    for entry in entries(census, directory) {
        let bytes = entry.bytes() as u64;
        if used + bytes > block_size {
            full += block_size;
            used = 0;
        }
        used += bytes;
    }
    full + used
}

/// The bytes of a directory, whose inodes have the numbers that `number` tells; as many as [`size`] says.
pub(crate) fn write(
    census: &Census,
    directory: &Directory,
    block_size: usize,
    number: impl Fn(InodeIndex) -> u64,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut block: Vec<Entry<'_>> = Vec::new();
    let mut used = 0;
    for entry in entries(census, directory) {
        if used + entry.bytes() > block_size {
            write_block(&block, &number, &mut bytes);
            bytes.resize(bytes.len().next_multiple_of(block_size), 0);
            block.clear();
            used = 0;
        }
        used += entry.bytes();
        block.push(entry);
    }
    write_block(&block, &number, &mut bytes);
    bytes
}

fn write_block(block: &[Entry<'_>], number: impl Fn(InodeIndex) -> u64, to: &mut Vec<u8>) {
    let mut name_offset = size_of_val(&DirectoryEntry {
        inode: 0.into(),
        name_offset: 0.into(),
        file_type: 0,
        reserved: 0,
    }) * block.len();
    for entry in block {
        let record = DirectoryEntry {
            inode: number(entry.inode).into(),
            name_offset: u16::try_from(name_offset)
                .expect("a block has at most 64 KiB, and a name more than nothing")
                .into(),
            file_type: entry.file_type as u8,
            reserved: 0,
        };
        to.extend_from_slice(record.as_bytes());
        name_offset += entry.name.len();
    }
    for entry in block {
        to.extend_from_slice(entry.name);
    }
}
