//! Encoded content: the header of the map, and what each cluster becomes.

use cellblock_guest::fields::Fields;
use cellblock_guest::reader::{Codec, Encoded, ReaderError};

use super::{Mapped, Spot, check, clusters, extents};
use crate::inode::{Inode, Layout};
use crate::meta::Open;

/// The most bytes of a cluster, encoded.
const ENCODED_LIMIT: u64 = 1 << 20;
/// The most bytes that come out of one.
const DECODED_LIMIT: u64 = 12 << 20;

const EXTENTS: u16 = 0x1;
const INLINE: u16 = 0x8;
const INTERLACED: u16 = 0x10;
const FRAGMENT: u16 = 0x20;
/// The bit of the whole header that says that all of the file is in the packed inode.
const ALL_PACKED: u64 = 1 << 63;

/// What stands before the index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) advise: u16,
    /// The codecs of the two kinds of heads.
    pub(super) algorithms: [u8; 2],
    pub(super) cluster_bits: u32,
    /// The end's place in the packed inode, or the length of what stands behind the index, or the number of extents.
    pub(super) value: u32,
    /// The upper half of the number of extents.
    pub(super) high: u16,
    /// Where it ends.
    pub(super) end: u64,
}

impl Header {
    pub(super) fn is_inline(&self) -> bool {
        self.advise & INLINE != 0
    }

    /// The bytes of a record of an extent.
    pub(super) fn record(&self) -> u64 {
        4 << (self.advise >> 1 & 3)
    }

    pub(super) fn has_fragment(&self) -> bool {
        self.advise & FRAGMENT != 0
    }
}

/// How a cluster stands in the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Encoded(u8),
}

pub(super) fn map(open: &Open<'_>, inode: &Inode) -> Result<Vec<Mapped>, ReaderError> {
    let start = inode.end.next_multiple_of(8);
    let owner = inode.name();
    open.spend(8, &owner)?;
    let bytes = open.bytes(start, 8, &owner)?;
    let early = || inode.damaged("has a map that ends early");
    let whole = Fields(&bytes).u64().ok_or_else(early)?;
    if whole & ALL_PACKED != 0 {
        return Ok(vec![Mapped {
            offset: 0,
            length: inode.size,
            spot: Spot::Packed(whole & !ALL_PACKED),
        }]);
    }
    let mut fields = Fields(&bytes);
    let value = fields.u32().ok_or_else(early)?;
    let advise = fields.u16().ok_or_else(early)?;
    let high = fields.u16().ok_or_else(early)?;
    let [algorithm, cluster] = high.to_le_bytes();
    let header = Header {
        advise,
        algorithms: [algorithm & 15, algorithm >> 4],
        cluster_bits: open.superblock.block_bits + u32::from(cluster & 15),
        value,
        high,
        end: start + 8,
    };
    if inode.layout == Layout::CompressedFull && advise & EXTENTS != 0 {
        return extents::map(open, inode, &header);
    }
    clusters::map(open, inode, &header)
}

/// What a cluster of `length` bytes in the file system, from `start` on, is of the file: `decoded` bytes from `offset` on.
pub(super) struct Cluster {
    pub(super) form: Form,
    pub(super) start: u64,
    pub(super) length: u64,
    pub(super) offset: u64,
    pub(super) decoded: u64,
    /// Whether it stands behind the index.
    pub(super) is_inline: bool,
}

impl Cluster {
    pub(super) fn push(
        &self,
        open: &Open<'_>,
        inode: &Inode,
        header: &Header,
        mapped: &mut Vec<Mapped>,
    ) -> Result<(), ReaderError> {
        let damaged = |problem: String| Err(inode.damaged(problem));
        if self.length == 0 || self.length > ENCODED_LIMIT {
            return damaged(format!("has a cluster of {} bytes", self.length));
        }
        check(open, inode, self.start, self.length)?;
        let codec = match self.form {
            Form::Plain if self.decoded > self.length => {
                return damaged(format!(
                    "has {} bytes of a cluster of {}, as they are",
                    self.decoded, self.length
                ));
            }
            Form::Plain => {
                self.push_plain(open, header, mapped);
                return Ok(());
            }
            Form::Encoded(0) => Codec::Lz4,
            Form::Encoded(1) => Codec::MicroLzma,
            Form::Encoded(2) => Codec::Deflate,
            Form::Encoded(3) => Codec::Zstd,
            Form::Encoded(other) => return damaged(format!("has algorithm {other}")),
        };
        if self.decoded > DECODED_LIMIT {
            return damaged(format!("has a cluster of {} bytes", self.decoded));
        }
        let short = |bytes: u64| u32::try_from(bytes).expect("it was held against its limit");
        mapped.push(Mapped {
            offset: self.offset,
            length: self.decoded,
            spot: Spot::Encoded(Encoded {
                codec,
                offset: self.start,
                length: short(self.length),
                padded: codec != Codec::Lz4 || open.superblock.zero_padding,
                decoded: short(self.decoded),
            }),
        });
        Ok(())
    }

    /// Interlaced clusters keep each byte where it stands within its block of the file, and go on at the beginning.
    fn push_plain(&self, open: &Open<'_>, header: &Header, mapped: &mut Vec<Mapped>) {
        let block_size = open.superblock.block_size();
        let is_interlaced =
            header.advise & INTERLACED != 0 && self.length == block_size && !self.is_inline;
        let skip = if is_interlaced {
            self.offset % block_size
        } else {
            0
        };
        let first = self.decoded.min(self.length - skip);
        mapped.push(Mapped {
            offset: self.offset,
            length: first,
            spot: Spot::Plain(self.start + skip),
        });
        if first < self.decoded {
            mapped.push(Mapped {
                offset: self.offset + first,
                length: self.decoded - first,
                spot: Spot::Plain(self.start),
            });
        }
    }
}
