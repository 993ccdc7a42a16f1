//! The journal's superblock, in the journal's first block.

use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `journal_superblock_t`, version 2. Big-endian.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct JournalSuperblock {
    /// [`JournalSuperblock::MAGIC`].
    pub(crate) magic: U32,
    /// [`JournalSuperblock::VERSION_2`].
    pub(crate) block_type: U32,
    /// Zero.
    pub(crate) block_sequence: U32,
    /// Bytes of a block.
    pub(crate) block_size: U32,

    /// Blocks of the journal.
    pub(crate) blocks: U32,
    /// The first block of the log: 1.
    pub(crate) first_block: U32,
    /// The first transaction expected: 1.
    pub(crate) sequence: U32,
    /// Where the log starts; 0 for a log that is empty.
    pub(crate) start: U32,

    /// Zero.
    pub(crate) error: U32,
    /// Features, which the kernel turns on when it mounts.
    pub(crate) features: [U32; 3],

    /// The file system's identifier.
    pub(crate) uuid: [u8; 16],

    /// File systems that use the journal: 1.
    pub(crate) users: U32,
    /// Features' fields.
    pub(crate) unused: [u8; 188],
    /// Who uses an external journal.
    pub(crate) user_identifiers: [u8; 768],
}

impl JournalSuperblock {
    pub(crate) const MAGIC: u32 = 0xC03B_3998;
    pub(crate) const VERSION_2: u32 = 4;
}

const _: () = assert!(size_of::<JournalSuperblock>() == 1024);
