//! What both kinds have in common: the header, the descriptor, the tables.

use std::fmt;

use zerocopy::{Immutable, IntoBytes, LE, U16, U32, U64, Unaligned};

use super::Subformat;

/// Bytes of a sector, in which all is counted.
pub(super) const SECTOR: u64 = 512;
/// Sectors of a grain.
pub(super) const GRAIN: u64 = 128;
/// Bytes of a grain.
pub(super) const GRAIN_BYTES: u64 = GRAIN * SECTOR;
/// Entries of a table.
pub(super) const ENTRIES: u64 = 512;
/// Sectors of a table.
pub(super) const TABLE: u64 = ENTRIES * 4 / SECTOR;
/// Sectors for the descriptor, which begins behind the header.
pub(super) const DESCRIPTOR: u64 = 20;

/// What helps against a disk that has other sectors.
pub(super) const ADVICE: &str = "give it a size in whole sectors of 512 bytes";

/// The header; of a stream also the footer. Numbers are little-endian, places and lengths in sectors.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    pub(super) magic: [u8; 4],
    pub(super) version: U32<LE>,
    pub(super) flags: U32<LE>,
    pub(super) capacity: U64<LE>,
    pub(super) grain: U64<LE>,
    pub(super) descriptor: U64<LE>,
    pub(super) descriptor_length: U64<LE>,
    pub(super) table_entries: U32<LE>,
    pub(super) redundant_directory: U64<LE>,
    pub(super) directory: U64<LE>,
    /// What stands before the grains.
    pub(super) overhead: U64<LE>,
    pub(super) is_unclean: u8,
    /// Ends of lines, so that a transfer as text is found out.
    pub(super) line_ends: [u8; 4],
    pub(super) compression: U16<LE>,
    pub(super) padding: [u8; 433],
}

const _: () = assert!(size_of::<Header>() == 512);

/// The header has ends of lines.
pub(super) const HAS_LINE_ENDS: u32 = 1;
/// There is a second directory.
pub(super) const HAS_REDUNDANT: u32 = 1 << 1;
/// Grains are compressed, and everything has a marker.
pub(super) const IS_STREAM: u32 = 1 << 16 | 1 << 17;

impl Header {
    pub(super) fn new(version: u32, flags: u32, capacity: u64) -> Self {
        Self {
            magic: *b"KDMV",
            version: version.into(),
            flags: flags.into(),
            capacity: capacity.into(),
            grain: GRAIN.into(),
            descriptor: 1.into(),
            descriptor_length: DESCRIPTOR.into(),
            table_entries: 512.into(),
            redundant_directory: 0.into(),
            directory: 0.into(),
            overhead: 0.into(),
            is_unclean: 0,
            line_ends: *b"\n \r\n",
            compression: 0.into(),
            padding: [0; 433],
        }
    }
}

/// The text that describes the disk.
pub(super) struct Descriptor<'a> {
    pub(super) subformat: Subformat,
    pub(super) adapter: &'static str,
    pub(super) hardware: u32,
    /// The sectors of the disk.
    pub(super) sectors: u64,
    /// What stands for its content.
    pub(super) content: u32,
    /// The name of the file.
    pub(super) name: &'a str,
}

impl Descriptor<'_> {
    /// Heads, and sectors of a track, as the adapter has them.
    fn geometry(&self) -> (u64, u64) {
        if self.adapter == "ide" {
            (16, 63)
        } else {
            (255, 63)
        }
    }
}

impl fmt::Display for Descriptor<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            adapter,
            hardware,
            sectors,
            content,
            ..
        } = self;
        // What has no parent has this number for one, and no disk has it for its own.
        let content = content.min(&0xffff_fffd);
        let (kind, name) = match self.subformat {
            // Whoever receives a stream gives it a name: what is said within is not looked at.
            Subformat::StreamOptimized => ("streamOptimized", "disk.vmdk"),
            Subformat::MonolithicSparse => ("monolithicSparse", self.name),
        };
        // The longest name of a file leaves room; what would end the text within quotes is left out.
        let name: String = name
            .chars()
            .filter(|it| !it.is_control() && *it != '"')
            .collect();
        let (heads, track) = self.geometry();
        let cylinders = (sectors / (heads * track)).clamp(1, 16_383);
        write!(
            formatter,
            "# Disk DescriptorFile\n\
             version=1\n\
             CID={content:08x}\n\
             parentCID=ffffffff\n\
             createType=\"{kind}\"\n\
             \n\
             # Extent description\n\
             RW {sectors} SPARSE \"{name}\"\n\
             \n\
             # The Disk Data Base\n\
             #DDB\n\
             \n\
             ddb.adapterType = \"{adapter}\"\n\
             ddb.geometry.cylinders = \"{cylinders}\"\n\
             ddb.geometry.heads = \"{heads}\"\n\
             ddb.geometry.sectors = \"{track}\"\n\
             ddb.virtualHWVersion = \"{hardware}\"\n"
        )
    }
}

/// Entries of a table as they are written.
pub(super) fn little_endian(entries: &[u32]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|entry| entry.to_le_bytes())
        .collect()
}
