//! Where the bytes of files are: in blocks of their own, and their ends together in fragments.

use cellblock_guest::NodeId;
use cellblock_guest::reader::{Encoded, FileExtent, Place, ReaderError, Teller};

use crate::inode::{File, Inode};
use crate::metadata::Metadata;
use crate::superblock::Superblock;

/// The bit of a block's length that says that it stands as it is.
const PLAIN: u32 = 1 << 24;
/// The bytes of an entry of the table of fragments.
const FRAGMENT: usize = 16;

/// Tells where the bytes of `file` are.
pub(crate) fn tell(
    superblock: &Superblock,
    fragments: &Metadata,
    (inode, file): (&Inode<'_>, &File<'_>),
    id: NodeId,
    teller: &mut Teller<'_>,
) -> Result<(), ReaderError> {
    let block_size = u64::from(superblock.block_size);
    let mut start = file.start;
    let mut offset = 0;
    let (blocks, _) = file.blocks.as_chunks();
    for stored in blocks {
        let stored = u32::from_le_bytes(*stored);
        let length = block_size.min(file.size - offset);
        if stored != 0 {
            let stored = Stored::new(superblock, start, stored, length)
                .map_err(|problem| inode.damaged(problem))?;
            start = stored.end;
            teller.extent(FileExtent {
                file: id,
                offset,
                length,
                place: stored.place(superblock, 0, length),
            });
        }
        offset += length;
    }
    let Some((fragment, skip)) = file.fragment else {
        return Ok(());
    };
    let length = file.size - offset;
    let entry = fragments
        .entry(fragment, FRAGMENT)
        .filter(|_| fragment < superblock.fragments)
        .and_then(|mut entry| Some((entry.u64()?, entry.u32()?)));
    let Some((start, stored)) = entry else {
        let problem = format!(
            "ends in fragment {fragment}, and there are {}",
            superblock.fragments
        );
        return Err(inode.damaged(problem));
    };
    let end = u64::from(skip) + length;
    if end > block_size {
        let problem = format!("ends at byte {end} of a fragment of {block_size}");
        return Err(inode.damaged(problem));
    }
    let stored = Stored::new(superblock, start, stored, end)
        .map_err(|problem| ReaderError::damaged(format!("fragment {fragment}"), None, problem))?;
    teller.extent(FileExtent {
        file: id,
        offset,
        length,
        place: stored.place(superblock, skip, block_size),
    });
    Ok(())
}

/// A block as it is stored, in the file system.
struct Stored {
    start: u64,
    end: u64,
    length: u32,
    is_plain: bool,
}

impl Stored {
    /// `stored` is its length and whether it is encoded; `needed` are the bytes that are to come out.
    fn new(superblock: &Superblock, start: u64, stored: u32, needed: u64) -> Result<Self, String> {
        let length = stored & !PLAIN;
        let is_plain = stored & PLAIN != 0;
        if length == 0 || length > superblock.block_size {
            return Err(format!("has a block of {length} bytes"));
        }
        if is_plain && u64::from(length) < needed {
            return Err(format!("needs {needed} bytes of a block of {length}"));
        }
        let end = start.checked_add(length.into());
        match end.filter(|end| *end <= superblock.size) {
            Some(end) => Ok(Self {
                start,
                end,
                length,
                is_plain,
            }),
            None => Err(format!(
                "has a block at {start}, beyond the {} bytes of the file system",
                superblock.size
            )),
        }
    }

    /// What stands behind the first `skip` bytes of the `decoded` that come out of it.
    fn place(&self, superblock: &Superblock, skip: u32, decoded: u64) -> Place {
        if self.is_plain {
            return Place::Plain(self.start + u64::from(skip));
        }
        Place::Encoded {
            block: Encoded {
                codec: superblock.codec,
                offset: self.start,
                length: self.length,
                padded: false,
                decoded: u32::try_from(decoded).expect("a block has at most 1 MiB"),
            },
            skip,
        }
    }
}
