//! The superblock, 1024 bytes from the beginning.

use cellblock_guest::crc32c::crc32c;
use cellblock_guest::fields::Fields;
use cellblock_guest::reader::{Partition, ReaderError};

const OFFSET: u64 = 1024;
const MAGIC: u32 = 0xE0F5_E1E2;
/// The bytes that every version has.
const LENGTH: usize = 128;
/// The bytes of a further part.
const PART: usize = 16;

const HAS_CHECKSUM: u32 = 1;
const PLAIN_PREFIXES: u32 = 0x10;
const DIGESTS: u32 = 0x20;

const ZERO_PADDING: u32 = 1;
const FRAGMENTS: u32 = 0x20;
const LONG_PREFIXES: u32 = 0x40;
const WIDE: u32 = 0x80;
/// What this reader knows: all up to 48-bit addresses.
const KNOWN: u32 = 0xFF;

/// The superblock.
#[derive(Clone, Debug)]
pub(crate) struct Superblock {
    pub(crate) block_bits: u32,
    pub(crate) blocks: u64,
    pub(crate) root: u64,
    pub(crate) inodes: u64,
    /// Seconds: what compact inodes count from.
    pub(crate) epoch: u64,
    pub(crate) nanoseconds: u32,
    /// In blocks.
    pub(crate) inode_area: u32,
    /// In blocks.
    pub(crate) attribute_area: u32,
    pub(crate) uuid: [u8; 16],
    pub(crate) label: Vec<u8>,
    /// The inode that has the ends of files.
    pub(crate) packed: Option<u64>,
    /// Whether zeros stand before data in LZ4, not behind.
    pub(crate) zero_padding: bool,
    /// The number of prefixes of attributes, and where they are, in 4 bytes.
    pub(crate) prefixes: (u8, u32),
    /// Whether they stand in the packed inode.
    pub(crate) prefixes_are_packed: bool,
    /// The prefix that is the name of the attribute with a digest of a file's content, if there are such.
    pub(crate) digests: Option<u8>,
    pub(crate) is_wide: bool,
}

impl Superblock {
    pub(crate) fn read(partition: &dyn Partition) -> Result<Self, ReaderError> {
        if partition.size() < OFFSET + LENGTH as u64 {
            return Err(ReaderError::Unrecognised);
        }
        let mut bytes = partition.bytes(OFFSET, LENGTH)?;
        if Fields(&bytes).u32() != Some(MAGIC) {
            return Err(ReaderError::Unrecognised);
        }
        let damaged = |problem: String| ReaderError::damaged("the superblock", OFFSET, problem);
        let (block_bits, parts) = (bytes[12], usize::from(bytes[13]));
        if !(9..=16).contains(&block_bits) {
            return Err(damaged(format!("has blocks of 2^{block_bits} bytes")));
        }
        let further = partition.bytes(OFFSET + LENGTH as u64, parts * PART)?;
        bytes.extend_from_slice(&further);
        let ends = || damaged("ends early".to_owned());
        let superblock = Self::parse(&bytes).ok_or_else(ends)??;
        let compatible = Fields(&bytes[8..]).u32().ok_or_else(ends)?;
        if compatible & HAS_CHECKSUM != 0 {
            Self::check(partition, block_bits.into())?;
        }
        let size = superblock.blocks.checked_mul(superblock.block_size());
        if size.is_none_or(|size| size > partition.size()) {
            return Err(damaged(format!(
                "says that the file system has {} blocks of {} bytes, and the partition has {} bytes",
                superblock.blocks,
                superblock.block_size(),
                partition.size()
            )));
        }
        Ok(superblock)
    }

    fn parse(bytes: &[u8]) -> Option<Result<Self, ReaderError>> {
        let mut fields = Fields(bytes);
        let _magic_and_checksum = fields.u64()?;
        let compatible = fields.u32()?;
        let block_bits = u32::from(fields.u16()? & 0xFF);
        let root_or_blocks = fields.u16()?;
        let inodes = fields.u64()?;
        let epoch = fields.u64()?;
        let nanoseconds = fields.u32()?;
        let blocks = u64::from(fields.u32()?);
        let inode_area = fields.u32()?;
        let attribute_area = fields.u32()?;
        let uuid = fields.bytes(16)?.try_into().ok()?;
        let label = fields.bytes(16)?.split(|byte| *byte == 0).next()?.to_vec();
        let incompatible = fields.u32()?;
        let _algorithms = fields.u16()?;
        let devices = fields.u16()?;
        let _devices_at = fields.u16()?;
        let directory_and_prefixes = fields.u16()?;
        let (directory_bits, prefix_count) = (
            directory_and_prefixes & 0xFF,
            u8::try_from(directory_and_prefixes >> 8).ok()?,
        );
        let prefixes_at = fields.u32()?;
        let packed = fields.u64()?;
        let [_filter, digests, ..] = fields.u32()?.to_le_bytes();
        let _built = fields.u32()?;
        let unsupported = |what: String| Some(Err(ReaderError::Unsupported(what)));
        if incompatible & !KNOWN != 0 {
            return unsupported(format!("features {:#x}", incompatible & !KNOWN));
        }
        if devices != 0 {
            return unsupported("extra devices".to_owned());
        }
        if directory_bits != 0 {
            return unsupported(format!("directory blocks of 2^{directory_bits} blocks"));
        }
        let is_wide = incompatible & WIDE != 0;
        let wide_root = if is_wide { fields.u64()? } else { 0 };
        let (root, blocks) = if wide_root == 0 {
            (root_or_blocks.into(), blocks)
        } else {
            (wide_root, blocks | u64::from(root_or_blocks) << 32)
        };
        let has_prefixes = incompatible & LONG_PREFIXES != 0;
        let packed = (incompatible & FRAGMENTS != 0 && packed != 0).then_some(packed);
        Some(Ok(Self {
            block_bits,
            blocks,
            root,
            inodes,
            epoch,
            nanoseconds: nanoseconds.min(999_999_999),
            inode_area,
            attribute_area,
            uuid,
            label,
            packed,
            zero_padding: incompatible & ZERO_PADDING != 0,
            prefixes: (if has_prefixes { prefix_count } else { 0 }, prefixes_at),
            prefixes_are_packed: packed.is_some() && compatible & PLAIN_PREFIXES == 0,
            digests: (compatible & DIGESTS != 0).then_some(digests),
            is_wide,
        }))
    }

    /// The checksum is that of the rest of the block, itself as zeros.
    fn check(partition: &dyn Partition, block_bits: u32) -> Result<(), ReaderError> {
        let block = 1_u64 << block_bits;
        let length = if block > OFFSET {
            block - OFFSET
        } else {
            block
        };
        let length = usize::try_from(length).expect("a block has at most 64 KiB");
        let mut bytes = partition.bytes(OFFSET, length)?;
        let stored: Vec<u8> = bytes.splice(4..8, [0; 4]).collect();
        let is = crc32c(u32::MAX, &bytes);
        if stored == is.to_le_bytes() {
            return Ok(());
        }
        let problem = "has a wrong checksum";
        Err(ReaderError::damaged("the superblock", OFFSET, problem))
    }

    pub(crate) fn block_size(&self) -> u64 {
        1 << self.block_bits
    }

    /// The bytes of the file system, all in the partition.
    pub(crate) fn size(&self) -> u64 {
        self.blocks << self.block_bits
    }
}
