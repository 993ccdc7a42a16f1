//! Emission: contents first, so that the host copies them while the rest is written.

use cellblock_guest::{Buffered, FormatError, Output, Placement, Request, Tree};
use zerocopy::IntoBytes as _;
use zerocopy::little_endian::{U16, U32};

use crate::checksum;
use crate::contents::{Contents, Entry, Item};
use crate::format::{
    Attributes, BACKUP_SECTOR, BOOT_CODE, BOOT_SIGNATURE, BootSector16, BootSector32, DRIVE_NUMBER,
    DirectoryEntry, EXTENDED_SIGNATURE, FIRST_CLUSTER, Fat32Block, INFORMATION_SECTOR,
    IdentityBlock, Information, LongNameEntry, MEDIA, NO_LABEL, ParameterBlock, SLOT_BYTES,
    SYSTEM_NAME,
};
use crate::layout::{Chains, Volume, Width};
use crate::moment::Moment;
use crate::names::{self, ShortName};
use crate::options::Options;

/// The geometry that most BIOSes tell of a disk without a better one. The sectors of a track must divide those of the
/// volume, or mtools refuses it.
const MOST_SECTORS_PER_TRACK: u32 = 32;
const HEADS: u16 = 64;
/// Fewer zeros than this are written where that joins two writes.
const JOINED_BYTES: u32 = 4096;
const DOT: ShortName = *b".          ";
const DOT_DOT: ShortName = *b"..         ";

/// Writes one volume.
pub(crate) struct Writer<'a> {
    request: &'a Request,
    options: &'a Options,
    volume: &'a Volume,
    contents: &'a Contents,
    chains: &'a Chains,
}

impl<'a> Writer<'a> {
    /// All that there is to write.
    pub(crate) fn new(
        request: &'a Request,
        options: &'a Options,
        volume: &'a Volume,
        contents: &'a Contents,
        chains: &'a Chains,
    ) -> Self {
        Self {
            request,
            options,
            volume,
            contents,
            chains,
        }
    }

    /// Places the files' contents; holes stay the zeros that the partition has.
    pub(crate) fn place(
        &self,
        tree: &mut dyn Tree,
        output: &mut dyn Output,
    ) -> Result<(), FormatError> {
        let mut output = Buffered::new(output);
        let cluster_bytes = u64::from(self.volume.shape.cluster_bytes());
        for (file, first) in self.contents.files.iter().zip(&self.chains.files) {
            if file.size == 0 {
                continue;
            }
            let start = self.volume.cluster_offset(*first);
            let size = u64::from(file.size);
            let rest = size.next_multiple_of(cluster_bytes) - size;
            let padding = u32::try_from(rest).expect("it is less than a cluster");
            let padding = if padding < JOINED_BYTES { padding } else { 0 };
            let mut place = |offset: u64, length: u64| {
                let is_last = offset.checked_add(length) == Some(size);
                output.place(Placement {
                    file: file.source,
                    file_offset: offset,
                    partition_offset: start.saturating_add(offset),
                    length,
                    padding: if is_last { padding } else { 0 },
                })
            };
            if file.sparse {
                for range in tree.ranges(file.source)? {
                    place(range.offset, range.length)?;
                }
            } else {
                place(0, size)?;
            }
        }
        output.finish()
    }

    /// Writes everything else, in the order of the disk.
    pub(crate) fn write(&self, output: &mut dyn Output) -> Result<(), FormatError> {
        let mut output = Buffered::new(output);
        self.write_reserved(&mut output)?;
        for index in 0..self.volume.shape.fat_count {
            self.write_fat(self.volume.fat_offset(index), &mut output)?;
        }
        for index in 0..self.contents.directories.len() {
            let offset = match self.chains.directories[index] {
                0 => self.volume.root_offset(),
                cluster => self.volume.cluster_offset(cluster),
            };
            let mut bytes = self.directory(index);
            let cluster_bytes = self.volume.shape.cluster_bytes() as usize;
            let padded = bytes.len().next_multiple_of(cluster_bytes);
            let in_clusters = self.chains.directories[index] != 0;
            if in_clusters && padded - bytes.len() < JOINED_BYTES as usize {
                bytes.resize(padded, 0);
            }
            output.write(offset, &bytes)?;
        }
        output.finish()
    }

    fn write_reserved(&self, output: &mut Buffered) -> Result<(), FormatError> {
        if self.volume.shape.width != Width::Fat32 {
            return output.write(0, self.boot_sector_16().as_bytes());
        }
        let sector_bytes = u64::from(self.volume.shape.sector_bytes);
        let (boot_sector, information) = (self.boot_sector_32(), self.information());
        for first in [0, BACKUP_SECTOR] {
            output.write(u64::from(first) * sector_bytes, boot_sector.as_bytes())?;
            let sector = u64::from(first + INFORMATION_SECTOR);
            output.write(sector * sector_bytes, information.as_bytes())?;
        }
        Ok(())
    }

    fn boot_sector_16(&self) -> BootSector16 {
        let code_offset = size_of::<ParameterBlock>() + size_of::<IdentityBlock>();
        BootSector16 {
            parameters: self.parameters(code_offset),
            identity: self.identity(),
            code: boot_code(),
            signature: BOOT_SIGNATURE,
        }
    }

    fn boot_sector_32(&self) -> BootSector32 {
        let code_offset =
            size_of::<ParameterBlock>() + size_of::<Fat32Block>() + size_of::<IdentityBlock>();
        BootSector32 {
            parameters: self.parameters(code_offset),
            fat32: Fat32Block {
                fat_sectors: U32::new(self.volume.fat_sectors),
                mirroring: U16::ZERO,
                version: U16::ZERO,
                root_cluster: U32::new(self.chains.directories[0]),
                information_sector: U16::new(INFORMATION_SECTOR),
                backup_sector: U16::new(BACKUP_SECTOR),
                reserved: [0; 12],
            },
            identity: self.identity(),
            code: boot_code(),
            signature: BOOT_SIGNATURE,
        }
    }

    fn parameters(&self, code_offset: usize) -> ParameterBlock {
        let volume = self.volume;
        let shape = &volume.shape;
        let is_32 = shape.width == Width::Fat32;
        let count_16 = u16::try_from(volume.sector_count).ok().filter(|_| !is_32);
        let sectors_per_track = 1
            << volume
                .sector_count
                .trailing_zeros()
                .min(MOST_SECTORS_PER_TRACK.ilog2());
        let hidden = self.request.disk_offset / u64::from(shape.sector_bytes);
        // A short jump counts from behind itself.
        let distance = u8::try_from(code_offset - 2).expect("the fields before it have 90 bytes");
        ParameterBlock {
            jump: [0xEB, distance, 0x90],
            system_name: SYSTEM_NAME,
            bytes_per_sector: U16::new(narrow(shape.sector_bytes)),
            sectors_per_cluster: u8::try_from(shape.sectors_per_cluster)
                .expect("a cluster has at most 128 sectors"),
            reserved_sectors: U16::new(narrow(volume.reserved_sectors)),
            fat_count: u8::try_from(shape.fat_count).expect("there are at most 2 tables"),
            root_slots: U16::new(narrow(
                shape.root_sectors * (shape.sector_bytes / SLOT_BYTES),
            )),
            sector_count_16: U16::new(count_16.unwrap_or(0)),
            media: MEDIA,
            fat_sectors_16: U16::new(if is_32 { 0 } else { narrow(volume.fat_sectors) }),
            sectors_per_track: U16::new(sectors_per_track),
            heads: U16::new(HEADS),
            // Beyond 2 TiB the field has no room, and only a boot code would look at it.
            hidden_sectors: U32::new(u32::try_from(hidden).unwrap_or(0)),
            sector_count_32: U32::new(if count_16.is_some() {
                0
            } else {
                volume.sector_count
            }),
        }
    }

    fn identity(&self) -> IdentityBlock {
        IdentityBlock {
            drive_number: DRIVE_NUMBER,
            state: 0,
            signature: EXTENDED_SIGNATURE,
            volume_id: U32::new(self.volume_id()),
            label: self.options.label.map_or(NO_LABEL, |label| label.0),
            type_name: match self.volume.shape.width {
                Width::Fat12 => *b"FAT12   ",
                Width::Fat16 => *b"FAT16   ",
                Width::Fat32 => *b"FAT32   ",
            },
        }
    }

    /// The last four bytes of the identifier, so that the id is shown as the last eight digits of the UUID.
    fn volume_id(&self) -> u32 {
        let [.., a, b, c, d] = self.request.uuid.0;
        u32::from_be_bytes([a, b, c, d])
    }

    /// The volume id as systems show it.
    pub(crate) fn volume_id_as_shown(&self) -> String {
        let id = self.volume_id();
        format!("{:04X}-{:04X}", id >> 16, id & 0xFFFF)
    }

    fn information(&self) -> Information {
        let free = self.volume.clusters - self.chains.used;
        let next_free = match free {
            0 => Information::NONE,
            _ => FIRST_CLUSTER + self.chains.used,
        };
        Information {
            lead: Information::LEAD,
            reserved: [0; 480],
            structure: Information::STRUCTURE,
            free_clusters: U32::new(free),
            next_free: U32::new(next_free),
            more_reserved: [0; 12],
            trail: Information::TRAIL,
        }
    }

    /// Writes an allocation table as far as it is used: free entries are zeros.
    fn write_fat(&self, offset: u64, output: &mut Buffered) -> Result<(), FormatError> {
        let width = self.volume.shape.width;
        let mut packer = Packer {
            width,
            output,
            offset,
            half: None,
        };
        let end_of_chain = match width {
            Width::Fat12 => 0x0FFF,
            Width::Fat16 => 0xFFFF,
            Width::Fat32 => 0x0FFF_FFFF,
        };
        // The first two entries are no clusters': the media byte under ones, and the flags of a clean volume, all ones.
        packer.push(end_of_chain & !0xFF | u32::from(MEDIA))?;
        packer.push(end_of_chain)?;
        let firsts = self.chains.directories.iter().chain(&self.chains.files);
        // Chains are contiguous and follow each other: each ends where the next begins.
        let mut starts = firsts
            .copied()
            .filter(|first| *first > FIRST_CLUSTER)
            .peekable();
        let end = FIRST_CLUSTER + self.chains.used;
        for cluster in FIRST_CLUSTER..end {
            let next = cluster + 1;
            if next == end || starts.next_if_eq(&next).is_some() {
                packer.push(end_of_chain)?;
            } else {
                packer.push(next)?;
            }
        }
        packer.finish()
    }

    /// The bytes of a directory.
    fn directory(&self, index: usize) -> Vec<u8> {
        let directory = &self.contents.directories[index];
        let mut bytes = Vec::with_capacity(directory.slots as usize * SLOT_BYTES as usize);
        if index == 0 {
            if let Some(label) = self.options.label {
                let moment = Moment::nearest(self.request.time);
                push(
                    &mut bytes,
                    &entry(label.0, Attributes::VOLUME_LABEL, moment, 0, 0),
                );
            }
        } else {
            // The parent's cluster is 0 where that is the root, even on FAT32 (FAT 1.03, page 25).
            let parent = match directory.parent {
                0 => 0,
                parent => self.chains.directories[parent],
            };
            for (name, cluster) in [(DOT, self.chains.directories[index]), (DOT_DOT, parent)] {
                push(
                    &mut bytes,
                    &entry(name, Attributes::DIRECTORY, directory.moment, cluster, 0),
                );
            }
        }
        for named in &directory.entries {
            push_long_name(&mut bytes, named);
            let (cluster, size) = match named.item {
                Item::Directory(index) => (self.chains.directories[index], 0),
                Item::File(index) => (self.chains.files[index], self.contents.files[index].size),
            };
            push(
                &mut bytes,
                &entry(
                    named.short_name,
                    named.attributes,
                    named.moment,
                    cluster,
                    size,
                ),
            );
        }
        bytes
    }
}

/// The boot code, and zeros behind it.
fn boot_code<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut code = [0; LENGTH];
    code[..BOOT_CODE.len()].copy_from_slice(&BOOT_CODE);
    code
}

/// `value`, which the layout keeps within 16 bits.
fn narrow(value: u32) -> u16 {
    u16::try_from(value).expect("the layout keeps it within 16 bits")
}

fn push(bytes: &mut Vec<u8>, entry: &DirectoryEntry) {
    bytes.extend_from_slice(entry.as_bytes());
}

fn entry(
    name: ShortName,
    attributes: Attributes,
    moment: Moment,
    cluster: u32,
    size: u32,
) -> DirectoryEntry {
    let [low_0, low_1, high_0, high_1] = cluster.to_le_bytes();
    DirectoryEntry {
        name,
        attributes: attributes.bits(),
        case: 0,
        created_hundredths: moment.hundredths,
        created_time: U16::new(moment.time),
        created_date: U16::new(moment.date),
        accessed_date: U16::new(moment.date),
        cluster_high: U16::from_bytes([high_0, high_1]),
        modified_time: U16::new(moment.time),
        modified_date: U16::new(moment.date),
        cluster_low: U16::from_bytes([low_0, low_1]),
        size: U32::new(size),
    }
}

/// Appends the long name of `entry`, its last part first.
fn push_long_name(bytes: &mut Vec<u8>, entry: &Entry) {
    let parts = names::long_parts(&entry.name);
    let checksum = checksum::of_short_name(&entry.short_name);
    for (index, part) in parts.iter().enumerate().rev() {
        let order = u8::try_from(index + 1).expect("255 units are 20 parts");
        let is_last = index + 1 == parts.len();
        let units = part.map(U16::new);
        let [a, b, c, d, e, f, g, h, i, j, k, l, m] = units;
        let entry = LongNameEntry {
            order: if is_last {
                order | LongNameEntry::LAST
            } else {
                order
            },
            units_1: [a, b, c, d, e],
            attributes: Attributes::LONG_NAME.bits(),
            entry_type: 0,
            checksum,
            units_2: [f, g, h, i, j, k],
            cluster: U16::ZERO,
            units_3: [l, m],
        };
        bytes.extend_from_slice(entry.as_bytes());
    }
}

/// Writes entries of an allocation table, one behind the other.
struct Packer<'a, 'b> {
    width: Width,
    output: &'a mut Buffered<'b>,
    offset: u64,
    /// The first of two 12-bit entries, which share three bytes.
    half: Option<u32>,
}

impl Packer<'_, '_> {
    fn push(&mut self, entry: u32) -> Result<(), FormatError> {
        let [a, b, c, d] = entry.to_le_bytes();
        match self.width {
            Width::Fat16 => self.append(&[a, b]),
            Width::Fat32 => self.append(&[a, b, c, d]),
            Width::Fat12 => match self.half.take() {
                None => {
                    self.half = Some(entry);
                    Ok(())
                }
                Some(first) => {
                    let [a, b, c, _] = (first | entry << 12).to_le_bytes();
                    self.append(&[a, b, c])
                }
            },
        }
    }

    fn finish(mut self) -> Result<(), FormatError> {
        if let Some(last) = self.half.take() {
            let [a, b, ..] = last.to_le_bytes();
            self.append(&[a, b])?;
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        self.output.write(self.offset, bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }
}
