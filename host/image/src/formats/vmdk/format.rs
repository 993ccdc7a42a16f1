//! What both kinds have in common: the header, the descriptor, the tables.

use std::fmt;

use super::Subformat;
use crate::structures::vmdk::{Header, MAGIC, flags};

pub(super) use crate::structures::vmdk::SECTOR;

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

/// Grains are compressed, and everything has a marker.
pub(super) const IS_STREAM: u32 = flags::IS_COMPRESSED | flags::HAS_MARKERS;

/// The header; of a stream also the footer.
pub(super) fn header(version: u32, flags: u32, capacity: u64) -> Header {
    Header {
        magic: MAGIC,
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

impl Descriptor<'_> {
    /// The text, which fits the room that is left for it: the longest name of a file has 255 bytes.
    pub(super) fn text(&self) -> String {
        let text = self.to_string();
        assert!(text.len() as u64 <= DESCRIPTOR * SECTOR, "{}", text.len());
        text
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
        // What would end the text within quotes is left out.
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
