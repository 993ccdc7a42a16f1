//! FAT12, FAT16 and FAT32: the boot sector, the table, and the label in the root directory (Microsoft's "FAT: General
//! Overview of On-Disk Format" 1.03), little-endian.

use std::io;

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Superblock, Volume, padded, serial};

/// The media descriptors that there are: this one, and from the second one on.
const FLOPPY: u8 = 0xf0;
const LEAST_MEDIA: u8 = 0xf8;
/// A serial number and a label follow.
const EXTENDED: u8 = 0x29;
/// A serial number alone follows.
const EXTENDED_SERIAL: u8 = 0x28;
/// Fewer clusters than this are counted in 12 bits.
const FAT16_CLUSTERS: u64 = 4085;
/// Fewer clusters than this, and not fewer than those, in 16 bits.
const FAT32_CLUSTERS: u64 = 65_525;
/// The most clusters that 28 bits count.
const MOST_CLUSTERS: u64 = 0x0fff_fff5;
/// The label of a volume that has none.
const NO_NAME: &str = "NO NAME";
/// The most of a root directory that is looked through for a label, in bytes.
const MOST_DIRECTORY: usize = 1 << 20;
/// An entry of a directory, in bytes.
const ENTRY: usize = 32;
/// The bits of an entry's attributes: read-only, hidden, system, volume label.
const LONG_NAME: u8 = 0x0f;
const VOLUME_LABEL: u8 = 0x08;

/// The boot sector.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct BootSector {
    jump: [u8; 3],
    maker: [u8; 8],
    sector_bytes: U16,
    cluster_sectors: u8,
    reserved_sectors: U16,
    tables: u8,
    root_entries: U16,
    sectors_16: U16,
    media: u8,
    table_sectors_16: U16,
    geometry: [u8; 8],
    sectors_32: U32,
    /// A FAT32 has [`Wide`] here, and the others [`Extension`].
    rest: [u8; 474],
    signature: U16,
}

const _: () = assert!(size_of::<BootSector>() == 512);

/// What a FAT32 has more.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Wide {
    table_sectors: U32,
    flags: U16,
    version: U16,
    root_cluster: U32,
    information_sector: U16,
    backup_sector: U16,
    reserved: [u8; 12],
    extension: Extension,
}

/// What identifies the volume.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Extension {
    drive: u8,
    reserved: u8,
    signature: u8,
    serial: U32,
    label: [u8; 11],
    /// Text for people.
    kind: [u8; 8],
}

/// What a FAT32 notes of its free clusters.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Information {
    /// "RRaA".
    begin: [u8; 4],
    reserved: [u8; 480],
    /// "rrAa".
    middle: [u8; 4],
    free_clusters: U32,
}

pub(super) fn find(volume: &Volume<'_>) -> io::Result<Option<Superblock>> {
    let Some(sector) = volume.read::<BootSector>(0)? else {
        return Ok(None);
    };
    let Some(geometry) = Geometry::of(&sector) else {
        return Ok(None);
    };
    let extension = geometry.extension(&sector);
    let extension = extension.filter(|it| matches!(it.signature, EXTENDED | EXTENDED_SERIAL));
    let in_sector = extension
        .as_ref()
        .filter(|it| it.signature == EXTENDED)
        .and_then(|it| padded(&it.label))
        .filter(|label| label != NO_NAME);
    let free = geometry.free_clusters(volume)?;
    let told = Superblock {
        version: Some(geometry.version().to_owned()),
        label: geometry.label(volume)?.or(in_sector),
        uuid: extension.and_then(|it| serial(it.serial.get())),
        ..Superblock::named("vfat")
    };
    let size = geometry.sectors * geometry.sector_bytes;
    Ok(Some(told.sized(
        Some(size),
        free.map(|free| free * geometry.cluster_bytes()),
    )))
}

/// Where its parts lie, checked: at most 2⁴¹ sectors of at most 4096 bytes, so that no offset in bytes overflows.
struct Geometry {
    /// 512 to 4096.
    sector_bytes: u64,
    /// 1 to 128.
    cluster_sectors: u64,
    /// Of the whole volume.
    sectors: u64,
    /// Before the tables.
    reserved_sectors: u64,
    /// Before the first cluster.
    data_begin: u64,
    root_begin: u64,
    /// 0 in a FAT32, whose root directory lies in clusters.
    root_entries: u64,
    clusters: u64,
    wide: Option<Wide>,
}

impl Geometry {
    /// Of a sector that Linux takes for that of a FAT (`fat_read_bpb` of fs/fat/inode.c): it needs neither a jump at the beginning
    /// nor a signature at the end.
    fn of(sector: &BootSector) -> Option<Self> {
        let sector_bytes = u64::from(sector.sector_bytes.get());
        let cluster_sectors = u64::from(sector.cluster_sectors);
        let reserved_sectors = u64::from(sector.reserved_sectors.get());
        let is_fat = sector_bytes.is_power_of_two()
            && (512..=4096).contains(&sector_bytes)
            && cluster_sectors.is_power_of_two()
            && reserved_sectors > 0
            && sector.tables > 0
            && (sector.media == FLOPPY || sector.media >= LEAST_MEDIA);
        if !is_fat {
            return None;
        }
        let sectors = match sector.sectors_16.get() {
            0 => u64::from(sector.sectors_32.get()),
            sectors => u64::from(sectors),
        };
        let (table_sectors, wide) = match sector.table_sectors_16.get() {
            0 => {
                let (wide, _) = Wide::read_from_prefix(&sector.rest).ok()?;
                (u64::from(wide.table_sectors.get()), Some(wide))
            }
            sectors => (u64::from(sectors), None),
        };
        let root_entries = u64::from(sector.root_entries.get());
        let root_begin = reserved_sectors + u64::from(sector.tables) * table_sectors;
        let root_sectors = (root_entries * ENTRY as u64).div_ceil(sector_bytes);
        let data_begin = root_begin + root_sectors;
        let clusters = sectors.checked_sub(data_begin)? / cluster_sectors;
        let most = if wide.is_some() {
            MOST_CLUSTERS
        } else {
            FAT32_CLUSTERS
        };
        (table_sectors > 0 && clusters > 0 && clusters < most).then_some(Self {
            sector_bytes,
            cluster_sectors,
            sectors,
            reserved_sectors,
            data_begin,
            root_begin,
            root_entries,
            clusters,
            wide,
        })
    }

    fn version(&self) -> &'static str {
        if self.wide.is_some() {
            "FAT32"
        } else if self.clusters >= FAT16_CLUSTERS {
            "FAT16"
        } else {
            "FAT12"
        }
    }

    fn cluster_bytes(&self) -> u64 {
        self.cluster_sectors * self.sector_bytes
    }

    fn extension(&self, sector: &BootSector) -> Option<Extension> {
        let skipped = if self.wide.is_some() {
            size_of::<Wide>() - size_of::<Extension>()
        } else {
            0
        };
        let rest = sector.rest.get(skipped..)?;
        Some(Extension::read_from_prefix(rest).ok()?.0)
    }

    /// As many as the table says, or as a FAT32 has noted.
    fn free_clusters(&self, volume: &Volume<'_>) -> io::Result<Option<u64>> {
        if let Some(wide) = &self.wide {
            let offset = u64::from(wide.information_sector.get()) * self.sector_bytes;
            let noted = volume.read::<Information>(offset)?;
            let noted = noted.filter(|it| it.begin == *b"RRaA" && it.middle == *b"rrAa");
            let free = noted.map(|it| u64::from(it.free_clusters.get()));
            return Ok(free.filter(|free| *free <= self.clusters));
        }
        let bits: u64 = if self.clusters >= FAT16_CLUSTERS {
            16
        } else {
            12
        };
        // The first two entries are of no cluster.
        let entries = self.clusters + 2;
        let bytes = usize::try_from((entries * bits).div_ceil(8)).expect("at most 128 KiB");
        let mut table = vec![0; bytes];
        let begin = self.reserved_sectors * self.sector_bytes;
        if !volume.fill(begin, &mut table)? {
            return Ok(None);
        }
        let entries = usize::try_from(entries).expect("fewer than 65,527");
        let free = (2..entries).filter(|index| entry(&table, *index, bits) == 0);
        Ok(Some(free.count() as u64))
    }

    /// The label in the root directory, which is the one that systems show.
    fn label(&self, volume: &Volume<'_>) -> io::Result<Option<String>> {
        if let Some(wide) = &self.wide {
            return self.label_in_clusters(volume, wide.root_cluster.get());
        }
        let bytes = usize::try_from(self.root_entries).expect("16 bits") * ENTRY;
        let mut directory = vec![0; bytes.min(MOST_DIRECTORY)];
        let is_there = volume.fill(self.root_begin * self.sector_bytes, &mut directory)?;
        Ok(if is_there {
            label_in(&directory).label()
        } else {
            None
        })
    }

    /// The label in a directory that begins in this cluster.
    fn label_in_clusters(&self, volume: &Volume<'_>, first: u32) -> io::Result<Option<String>> {
        let cluster_bytes = usize::try_from(self.cluster_bytes()).expect("at most 512 KiB");
        let mut directory = vec![0; cluster_bytes];
        let mut cluster = u64::from(first);
        // However the clusters lead on, or around in a circle.
        for _ in 0..MOST_DIRECTORY.div_ceil(cluster_bytes) {
            let is_there = (2..self.clusters + 2).contains(&cluster);
            let sector = self.data_begin + cluster.saturating_sub(2) * self.cluster_sectors;
            if !is_there || !volume.fill(sector * self.sector_bytes, &mut directory)? {
                return Ok(None);
            }
            match label_in(&directory) {
                Found::Nothing => {}
                found => return Ok(found.label()),
            }
            let entry = self.reserved_sectors * self.sector_bytes + cluster * 4;
            let Some(next) = volume.read::<U32>(entry)? else {
                return Ok(None);
            };
            // The highest four bits are reserved.
            cluster = u64::from(next.get() & 0x0fff_ffff);
        }
        Ok(None)
    }
}

/// An entry of a table of 12 or 16 bits an entry; 1 where the table has no such one.
fn entry(table: &[u8], index: usize, bits: u64) -> u16 {
    let at = if bits == 16 {
        index * 2
    } else {
        index + index / 2
    };
    let low = table.get(at).copied().unwrap_or(1);
    let high = table.get(at + 1).copied().unwrap_or(0);
    let pair = u16::from_le_bytes([low, high]);
    match (bits, index % 2) {
        (16, _) => pair,
        (_, 0) => pair & 0xfff,
        _ => pair >> 4,
    }
}

/// What a part of a directory says of the label.
enum Found {
    Label(Option<String>),
    /// The directory ends here.
    End,
    /// It goes on.
    Nothing,
}

impl Found {
    fn label(self) -> Option<String> {
        match self {
            Self::Label(label) => label,
            Self::End | Self::Nothing => None,
        }
    }
}

fn label_in(directory: &[u8]) -> Found {
    for entry in directory.chunks_exact(ENTRY) {
        let (first, attributes) = (entry[0], entry[11]);
        if first == 0 {
            return Found::End;
        }
        let is_deleted = first == 0xe5;
        let is_label =
            attributes & LONG_NAME != LONG_NAME && attributes & VOLUME_LABEL == VOLUME_LABEL;
        if is_label && !is_deleted {
            let label = padded(&entry[..11]);
            return Found::Label(label.filter(|label| label != NO_NAME));
        }
    }
    Found::Nothing
}
