//! The superblock: what stands where.

use cellblock_guest::fields::Fields;
use cellblock_guest::reader::{Codec, Partition, ReaderError};

/// A table that is not there has this for its place.
const ABSENT: u64 = u64::MAX;
const MAGIC: u32 = 0x7371_7368;
const LENGTH: usize = 96;

/// The superblock of squashfs 4.0.
#[derive(Clone, Debug)]
pub(crate) struct Superblock {
    pub(crate) inodes: u32,
    pub(crate) modified: u32,
    /// From 4 KiB to 1 MiB.
    pub(crate) block_size: u32,
    pub(crate) fragments: u32,
    pub(crate) codec: Codec,
    pub(crate) ids: u16,
    pub(crate) root: u64,
    /// The bytes of the file system, which are all in the partition.
    pub(crate) size: u64,
    pub(crate) id_table: u64,
    pub(crate) attribute_table: Option<u64>,
    pub(crate) inode_table: u64,
    pub(crate) directory_table: u64,
    pub(crate) fragment_table: Option<u64>,
    pub(crate) export_table: Option<u64>,
}

impl Superblock {
    pub(crate) fn read(partition: &dyn Partition) -> Result<Self, ReaderError> {
        if partition.size() < LENGTH as u64 {
            return Err(ReaderError::Unrecognised);
        }
        let bytes = partition.bytes(0, LENGTH)?;
        let mut fields = Fields(&bytes);
        let (superblock, block_log) = Self::parse(&mut fields)?.ok_or(ReaderError::Unrecognised)?;
        superblock.check(block_log, partition.size())?;
        Ok(superblock)
    }

    fn parse(fields: &mut Fields<'_>) -> Result<Option<(Self, u16)>, ReaderError> {
        match fields.u32() {
            Some(MAGIC) => {}
            Some(other) if other == MAGIC.swap_bytes() => {
                return Err(ReaderError::Unsupported("big-endian squashfs".to_owned()));
            }
            _ => return Err(ReaderError::Unrecognised),
        }
        let whole = *fields;
        // Versions before 4 have other fields: their place is the same.
        let mut version = Fields(whole.0.get(24..).unwrap_or_default());
        if let (Some(major), Some(minor)) = (version.u16(), version.u16())
            && (major, minor) != (4, 0)
        {
            let what = format!("squashfs {major}.{minor}");
            return Err(ReaderError::Unsupported(what));
        }
        let mut codec = Fields(whole.0.get(16..).unwrap_or_default());
        let codec = match codec.u16() {
            Some(1) => Codec::Zlib,
            // Of squashfs-tools with patches: no kernel mounts it.
            Some(2) => return Err(ReaderError::Unsupported("compression lzma".to_owned())),
            Some(3) => Codec::Lzo,
            Some(4) => Codec::Xz,
            Some(5) => Codec::Lz4,
            Some(6) => Codec::Zstd,
            other => {
                let what = format!("compression {}", other.unwrap_or_default());
                return Err(ReaderError::Unsupported(what));
            }
        };
        Ok(Self::fields(fields, codec))
    }

    fn fields(fields: &mut Fields<'_>, codec: Codec) -> Option<(Self, u16)> {
        let inodes = fields.u32()?;
        let modified = fields.u32()?;
        let block_size = fields.u32()?;
        let fragments = fields.u32()?;
        let _compression = fields.u16()?;
        let block_log = fields.u16()?;
        let _flags = fields.u16()?;
        let ids = fields.u16()?;
        let _version = fields.u32()?;
        let present = |place: u64| (place != ABSENT).then_some(place);
        let superblock = Self {
            inodes,
            modified,
            block_size,
            fragments,
            codec,
            ids,
            root: fields.u64()?,
            size: fields.u64()?,
            id_table: fields.u64()?,
            attribute_table: present(fields.u64()?),
            inode_table: fields.u64()?,
            directory_table: fields.u64()?,
            fragment_table: present(fields.u64()?),
            export_table: present(fields.u64()?),
        };
        Some((superblock, block_log))
    }

    fn check(&self, block_log: u16, partition: u64) -> Result<(), ReaderError> {
        let damaged = |problem: String| Err(ReaderError::damaged("the superblock", 0, problem));
        let size = self.block_size;
        if !size.is_power_of_two()
            || !(4096..=1 << 20).contains(&size)
            || size.trailing_zeros() != block_log.into()
        {
            return damaged(format!(
                "has blocks of {size} bytes, and says 2^{block_log}"
            ));
        }
        if self.size > partition {
            return damaged(format!(
                "says that the file system has {} bytes, and the partition has {partition}",
                self.size
            ));
        }
        if self.inode_table > self.directory_table || self.directory_table > self.size {
            return damaged(format!(
                "has its inodes at {}, its directories at {}, and {} bytes in all",
                self.inode_table, self.directory_table, self.size
            ));
        }
        if self.ids == 0 {
            return damaged("has no owners".to_owned());
        }
        Ok(())
    }
}
