//! Content: where it is, for the host, and what directories and links have, for the reader itself.

use cellblock_guest::NodeId;
use cellblock_guest::reader::{DecodeError, FileExtent, Place, ReaderError, Teller};

use crate::inode::Inode;
use crate::mapping::{Mapped, Spot, map};
use crate::meta::Open;

/// The most extents of all files together.
const EXTENT_LIMIT: u64 = 1 << 26;

/// The inode that has ends of files, mapped.
#[derive(Debug, Default)]
pub(crate) struct Packed(Vec<Mapped>, u64);

impl Packed {
    pub(crate) fn read(open: &Open<'_>) -> Result<Self, ReaderError> {
        let Some(number) = open.superblock.packed else {
            return Ok(Self::default());
        };
        let inode = Inode::read(open, number, "the superblock")?;
        let mapped = map(open, &inode)?;
        if mapped.iter().any(|it| matches!(it.spot, Spot::Packed(_))) {
            return Err(inode.damaged("is the packed inode, and has its end in itself"));
        }
        Ok(Self(mapped, inode.size))
    }

    /// Where the `length` bytes from `start` on are, shown as they stand from `offset` on: each with what to skip.
    fn parts(
        &self,
        owner: &Inode,
        start: u64,
        (offset, length): (u64, u64),
    ) -> Result<Vec<(Mapped, u64)>, ReaderError> {
        let end = start.checked_add(length);
        let end = end.filter(|end| *end <= self.1).ok_or_else(|| {
            owner.damaged(format!(
                "has {length} bytes from {start} on in the packed inode, which has {}",
                self.1
            ))
        })?;
        let first = self.0.partition_point(|it| it.offset + it.length <= start);
        let parts = self.0[first..].iter().take_while(|it| it.offset < end);
        Ok(parts
            .map(|it| {
                let from = it.offset.max(start);
                let to = (it.offset + it.length).min(end);
                let part = Mapped {
                    offset: offset + (from - start),
                    length: to - from,
                    spot: it.spot,
                };
                (part, from - it.offset)
            })
            .collect())
    }
}

/// Where the bytes of an inode are, each part with what to skip.
fn parts(
    open: &Open<'_>,
    packed: &Packed,
    inode: &Inode,
) -> Result<Vec<(Mapped, u64)>, ReaderError> {
    let mut parts = Vec::new();
    for mapped in map(open, inode)? {
        match mapped.spot {
            Spot::Packed(start) => {
                let range = (mapped.offset, mapped.length);
                parts.extend(packed.parts(inode, start, range)?);
            }
            _ => parts.push((mapped, 0)),
        }
    }
    Ok(parts)
}

/// Tells where the bytes of the file `inode` are.
pub(crate) fn tell(
    open: &Open<'_>,
    packed: &Packed,
    (inode, file): (&Inode, NodeId),
    told: &mut u64,
    teller: &mut Teller<'_>,
) -> Result<(), ReaderError> {
    for (mapped, skip) in parts(open, packed, inode)? {
        *told += 1;
        if *told > EXTENT_LIMIT {
            let what = format!("more than {EXTENT_LIMIT} extents");
            return Err(ReaderError::Unsupported(what));
        }
        let place = match mapped.spot {
            Spot::Encoded(block) => Place::Encoded {
                block,
                skip: u32::try_from(skip).expect("it is less than comes out of the block"),
            },
            Spot::Plain(start) => Place::Plain(start + skip),
            Spot::Packed(_) => continue,
        };
        teller.extent(FileExtent {
            file,
            offset: mapped.offset,
            length: mapped.length,
            place,
        });
    }
    Ok(())
}

/// All bytes of `inode`, a directory or a link.
pub(crate) fn bytes(
    open: &Open<'_>,
    packed: &Packed,
    inode: &Inode,
) -> Result<Vec<u8>, ReaderError> {
    let content = gather(open, inode, parts(open, packed, inode)?)?;
    if content.len() as u64 != inode.size {
        return Err(inode.damaged("has a hole"));
    }
    Ok(content)
}

/// At most `length` bytes of the packed inode from `start` on.
pub(crate) fn range(
    open: &Open<'_>,
    packed: &Packed,
    inode: &Inode,
    (start, length): (u64, u64),
) -> Result<Vec<u8>, ReaderError> {
    let length = length.min(packed.1.saturating_sub(start));
    gather(open, inode, packed.parts(inode, start, (0, length))?)
}

fn gather(
    open: &Open<'_>,
    inode: &Inode,
    parts: Vec<(Mapped, u64)>,
) -> Result<Vec<u8>, ReaderError> {
    let owner = inode.name();
    let mut content = Vec::new();
    for (mapped, skip) in parts {
        if mapped.offset != content.len() as u64 {
            return Err(inode.damaged("has a hole"));
        }
        let length = usize::try_from(mapped.length).map_err(|_| inode.damaged("is too large"))?;
        match mapped.spot {
            Spot::Plain(start) => {
                open.spend(mapped.length, &owner)?;
                content.extend(open.bytes(start + skip, length, &owner)?);
            }
            Spot::Encoded(block) => {
                let decoded = open
                    .partition
                    .decode(&[block])
                    .map_err(|error| match error {
                        DecodeError::Damaged(_) => {
                            let problem = "has a cluster that cannot be decoded";
                            ReaderError::damaged(&owner, block.offset, problem)
                        }
                        other => other.into(),
                    })?;
                let skip = usize::try_from(skip).expect("it is less than comes out of the block");
                let decoded = decoded.first().and_then(|it| it.get(skip..));
                let part = decoded.and_then(|rest| rest.get(..length));
                let part = part.ok_or_else(|| inode.damaged("has a cluster that ends early"))?;
                content.extend_from_slice(part);
            }
            Spot::Packed(_) => {}
        }
    }
    Ok(content)
}
