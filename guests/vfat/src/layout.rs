//! What goes where: how a size becomes a volume, and a tree a size.
//!
//! All arithmetic is on [`Shape::sectors_for`], the smallest volume of a shape with so many clusters; it grows with
//! the clusters, so that the clusters of a volume, and the smallest volume for a tree, are its inverse.

use std::ops::RangeInclusive;

use cellblock_guest::{FormatError, NodeId, NodeProblem, Shortage};

use crate::contents::{Contents, SLOT_LIMIT};
use crate::format::{FIRST_CLUSTER, SLOT_BYTES};
use crate::options::{KindOfFat, Options};

/// The largest cluster in bytes.
pub(crate) const MAXIMUM_CLUSTER_BYTES: u32 = 65_536;
/// What FAT32 needs before its allocation tables: two boot sectors and two of information, the copies from sector 6.
pub(crate) const MINIMUM_RESERVED_SECTORS_32: u32 = 8;
/// What FAT32 usually has before its allocation tables.
const USUAL_RESERVED_SECTORS_32: u32 = 32;
const USUAL_ROOT_SLOTS: u32 = 512;
const MIB: u64 = 1 << 20;
/// From this size on a volume is FAT32 if nothing else is asked, as mkfs.fat has it.
const FAT32_FROM_BYTES: u64 = 512 * MIB;
/// The sectors of a cluster to try on FAT12 and FAT16: mkfs.fat's order, then the smaller ones that it does not try.
const SECTORS_PER_CLUSTER_16: [u32; 8] = [4, 8, 16, 32, 64, 128, 2, 1];
/// FAT32's sectors of a cluster, each up to a size of the volume in sectors, as mkfs.fat has them.
const SECTORS_PER_CLUSTER_32: [(u64, u32); 5] = [
    (532_480, 1),
    (16_777_216, 8),
    (33_554_432, 16),
    (67_108_864, 32),
    (u32::MAX as u64, 64),
];

/// The bits of an entry of the allocation table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// 12 bits.
    Fat12,
    /// 16 bits.
    Fat16,
    /// 32 bits, 4 of them unused.
    Fat32,
}

impl Width {
    /// The bits.
    pub(crate) fn bits(self) -> u32 {
        match self {
            Self::Fat12 => 12,
            Self::Fat16 => 16,
            Self::Fat32 => 32,
        }
    }

    /// How many clusters there can be: the number alone tells a driver the width (FAT 1.03, page 14).
    fn clusters(self) -> RangeInclusive<u32> {
        match self {
            Self::Fat12 => 1..=4084,
            Self::Fat16 => 4085..=65_524,
            Self::Fat32 => 65_525..=0x0FFF_FFF5,
        }
    }
}

/// A volume but for its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) width: Width,
    pub(crate) sector_bytes: u32,
    pub(crate) sectors_per_cluster: u32,
    pub(crate) fat_count: u32,
    pub(crate) root_sectors: u32,
    minimum_reserved_sectors: u32,
    /// Whether sectors may be reserved so that the clusters are aligned.
    aligned: bool,
}

impl Shape {
    /// The bytes of a cluster.
    pub(crate) fn cluster_bytes(&self) -> u32 {
        self.sector_bytes * self.sectors_per_cluster
    }

    /// The sectors of one allocation table for `clusters`.
    fn fat_sectors(&self, clusters: u32) -> u32 {
        let bits = (u64::from(clusters) + u64::from(FIRST_CLUSTER)) * u64::from(self.width.bits());
        let sectors = bits.div_ceil(8).div_ceil(u64::from(self.sector_bytes));
        u32::try_from(sectors).expect("a table of 2^32 entries has 2^25 sectors")
    }

    /// The sectors before the allocation tables, so that `clusters` begin where they should.
    fn reserved_sectors(&self, clusters: u32) -> u32 {
        if !self.aligned {
            return self.minimum_reserved_sectors;
        }
        let others = self.fat_count * self.fat_sectors(clusters) + self.root_sectors;
        (self.minimum_reserved_sectors + others).next_multiple_of(self.sectors_per_cluster) - others
    }

    /// The sectors before the first cluster.
    fn data_sector(&self, clusters: u32) -> u32 {
        self.reserved_sectors(clusters)
            + self.fat_count * self.fat_sectors(clusters)
            + self.root_sectors
    }

    /// The sectors of the smallest volume with so many clusters.
    fn sectors_for(&self, clusters: u32) -> u64 {
        u64::from(self.data_sector(clusters))
            + u64::from(clusters) * u64::from(self.sectors_per_cluster)
    }

    /// The most clusters in a volume of `sectors`.
    fn clusters_in(&self, sectors: u64) -> u32 {
        let (mut fits, mut too_many) = (0, self.width.clusters().end() + 1);
        while too_many - fits > 1 {
            let middle = fits + (too_many - fits) / 2;
            if self.sectors_for(middle) <= sectors {
                fits = middle;
            } else {
                too_many = middle;
            }
        }
        fits
    }

    /// The sizes in sectors at which the number of clusters is one for the width.
    fn valid_sectors(&self) -> RangeInclusive<u64> {
        let clusters = self.width.clusters();
        let last = self.sectors_for(clusters.end() + 1) - 1;
        self.sectors_for(*clusters.start())..=last.min(u32::MAX.into())
    }
}

/// A shape and the sizes of volumes for which it is taken.
#[derive(Clone, Debug)]
struct Candidate {
    shape: Shape,
    /// Sectors.
    sizes: RangeInclusive<u64>,
}

/// The shapes that may be taken. For each size it is the first whose sizes contain it.
#[derive(Debug)]
pub(crate) struct Candidates {
    list: Vec<Candidate>,
    /// For sizes whose usual shape holds less than that of a smaller one.
    unusual: Vec<Candidate>,
    sector_bytes: u32,
}

impl Candidates {
    /// What `options` leave to choose for a tree whose root directory takes `root_slots`.
    pub(crate) fn new(options: &Options, root_slots: u32) -> Result<Self, FormatError> {
        let mut candidates = Self {
            list: Vec::new(),
            unusual: Vec::new(),
            sector_bytes: options.sector_bytes,
        };
        if let Some(limit) = options.root_slots.filter(|limit| *limit < root_slots) {
            let problem = NodeProblem::DirectoryTooLarge(limit.into());
            return Err(FormatError::node(NodeId::ROOT, problem));
        }
        let slots_in_sector = options.sector_bytes / SLOT_BYTES;
        let slots = options
            .root_slots
            .unwrap_or(root_slots.max(USUAL_ROOT_SLOTS));
        let root_sectors = slots.div_ceil(slots_in_sector);
        // A count that is no multiple of a sector's slots would leave the volume without a valid number for them.
        if root_sectors * slots_in_sector <= SLOT_LIMIT {
            candidates.add_16(options, root_sectors);
        } else if matches!(options.kind, KindOfFat::Fat12 | KindOfFat::Fat16) {
            let limit = SLOT_LIMIT / slots_in_sector * slots_in_sector;
            return Err(FormatError::node(
                NodeId::ROOT,
                NodeProblem::DirectoryTooLarge(limit.into()),
            ));
        }
        if matches!(options.kind, KindOfFat::Automatic | KindOfFat::Fat32) {
            candidates.add_32(options);
        }
        Ok(candidates)
    }

    fn add_16(&mut self, options: &Options, root_sectors: u32) {
        let widths: &[Width] = match options.kind {
            KindOfFat::Automatic => &[Width::Fat12, Width::Fat16],
            KindOfFat::Fat12 => &[Width::Fat12],
            KindOfFat::Fat16 => &[Width::Fat16],
            KindOfFat::Fat32 => &[],
        };
        let limit = match options.kind {
            KindOfFat::Automatic => FAT32_FROM_BYTES / u64::from(options.sector_bytes) - 1,
            _ => u64::MAX,
        };
        let usual = SECTORS_PER_CLUSTER_16.map(|sectors| sectors * options.sector_bytes);
        let sizes_of_cluster = match &options.cluster_bytes {
            Some(given) => std::slice::from_ref(given),
            None => &usual,
        };
        for cluster_bytes in sizes_of_cluster {
            for width in widths {
                let reserved = options.reserved_sectors.unwrap_or(1);
                let shape = shape(options, *width, *cluster_bytes, reserved, root_sectors);
                self.add(shape, 0..=limit);
            }
        }
    }

    fn add_32(&mut self, options: &Options) {
        let reserved = options
            .reserved_sectors
            .unwrap_or(USUAL_RESERVED_SECTORS_32);
        let reserved = reserved.max(MINIMUM_RESERVED_SECTORS_32);
        let shape = |cluster_bytes| shape(options, Width::Fat32, cluster_bytes, reserved, 0);
        if let Some(given) = options.cluster_bytes {
            // Below 512 MiB too: a small cluster may leave too many for FAT16, and no other width then.
            return self.add(shape(given), 0..=u64::MAX);
        }
        let sector_bytes = u64::from(options.sector_bytes);
        if matches!(options.kind, KindOfFat::Automatic) {
            let below = 0..=FAT32_FROM_BYTES / sector_bytes - 1;
            for sectors_per_cluster in [8, 4, 2, 1] {
                let shape = shape(sectors_per_cluster * options.sector_bytes);
                self.unusual.extend(candidate(shape, &below));
            }
        }
        let mut first = match options.kind {
            KindOfFat::Automatic => FAT32_FROM_BYTES / sector_bytes,
            _ => 0,
        };
        for (last, usual) in SECTORS_PER_CLUSTER_32 {
            if first > last {
                continue;
            }
            let mut cluster_bytes = (usual * options.sector_bytes).min(MAXIMUM_CLUSTER_BYTES);
            while cluster_bytes >= options.sector_bytes {
                self.add(shape(cluster_bytes), first..=last);
                cluster_bytes /= 2;
            }
            first = last + 1;
        }
    }

    /// Adds `shape` for volumes of so many sectors, as far as it is valid for them.
    fn add(&mut self, shape: Shape, sectors: RangeInclusive<u64>) {
        self.list.extend(candidate(shape, &sectors));
    }

    /// The largest volume that there can be, in sectors.
    fn largest(&self) -> u64 {
        self.list
            .iter()
            .map(|candidate| *candidate.sizes.end())
            .max()
            .unwrap_or(0)
    }

    /// The error that nothing fits, or that the partition is too large.
    fn too_large(&self) -> FormatError {
        FormatError::TooLarge(self.largest() * u64::from(self.sector_bytes))
    }

    /// The smallest volume that holds `contents`, in sectors.
    fn smallest(&self, contents: &Contents) -> Option<u64> {
        (0..self.list.len())
            .filter_map(|index| self.smallest_of(index, contents))
            .min()
    }

    /// The smallest volume that is of this candidate and holds `contents`.
    fn smallest_of(&self, index: usize, contents: &Contents) -> Option<u64> {
        let Candidate { shape, sizes } = &self.list[index];
        let clusters = u32::try_from(shape.clusters_of(contents))
            .ok()
            .filter(|clusters| clusters <= shape.width.clusters().end())?;
        let mut size = shape.sectors_for(clusters).max(*sizes.start());
        while let Some(earlier) = self.list[..index]
            .iter()
            .find(|earlier| earlier.sizes.contains(&size))
        {
            size = earlier.sizes.end() + 1;
        }
        sizes.contains(&size).then_some(size)
    }

    /// The bytes of the smallest volume that holds `contents`.
    pub(crate) fn measure(&self, contents: &Contents) -> Result<u64, FormatError> {
        let sectors = self.smallest(contents).ok_or_else(|| self.too_large())?;
        Ok(sectors * u64::from(self.sector_bytes))
    }

    /// The volume for a partition of so many bytes that holds `contents`: for every size from the measured one on there
    /// is one.
    pub(crate) fn volume(&self, bytes: u64, contents: &Contents) -> Result<Volume, FormatError> {
        let sectors = bytes / u64::from(self.sector_bytes);
        let usual = self.list.iter().find(|it| it.sizes.contains(&sectors));
        if let Some(Candidate { shape, .. }) = usual
            && shape.holds(contents, sectors)
        {
            return Ok(Volume::new(shape, sectors));
        }
        let needed = self.smallest(contents).ok_or_else(|| self.too_large())?;
        if sectors > self.largest() {
            return Err(self.too_large());
        }
        if sectors < needed {
            return Err(FormatError::TooSmall(Shortage {
                needed: needed * u64::from(self.sector_bytes),
                available: bytes,
            }));
        }
        self.unusual(sectors, contents)
            .ok_or_else(|| self.too_large())
    }

    /// The volume for a size whose usual shape holds less than that of a smaller one: with larger clusters there are fewer
    /// for small files, and FAT32 has larger tables. A FAT32 below its usual sizes, or else a volume that leaves the end of
    /// the partition out.
    fn unusual(&self, sectors: u64, contents: &Contents) -> Option<Volume> {
        let small_32 = self
            .unusual
            .iter()
            .find(|it| it.sizes.contains(&sectors) && it.shape.holds(contents, sectors));
        if let Some(Candidate { shape, .. }) = small_32 {
            return Some(Volume::new(shape, sectors));
        }
        self.list
            .iter()
            .filter(|it| *it.sizes.start() <= sectors)
            .map(|it| (sectors.min(*it.sizes.end()), &it.shape))
            .filter(|(size, shape)| shape.holds(contents, *size))
            .max_by_key(|(size, _)| *size)
            .map(|(size, shape)| Volume::new(shape, size))
    }
}

impl Shape {
    fn clusters_of(&self, contents: &Contents) -> u64 {
        contents.clusters(self.cluster_bytes(), self.width == Width::Fat32)
    }

    /// Whether a volume of so many sectors has room for `contents`.
    fn holds(&self, contents: &Contents, sectors: u64) -> bool {
        self.clusters_of(contents) <= u64::from(self.clusters_in(sectors))
    }
}

fn shape(
    options: &Options,
    width: Width,
    cluster_bytes: u32,
    reserved: u32,
    root_sectors: u32,
) -> Shape {
    Shape {
        width,
        sector_bytes: options.sector_bytes,
        sectors_per_cluster: cluster_bytes / options.sector_bytes,
        fat_count: options.fat_count,
        root_sectors,
        minimum_reserved_sectors: reserved,
        aligned: options.reserved_sectors.is_none(),
    }
}

/// `shape` for volumes of so many sectors, as far as it is valid for them.
fn candidate(shape: Shape, sectors: &RangeInclusive<u64>) -> Option<Candidate> {
    if shape.cluster_bytes() > MAXIMUM_CLUSTER_BYTES {
        return None;
    }
    let valid = shape.valid_sectors();
    let first = *sectors.start().max(valid.start());
    let last = *sectors.end().min(valid.end());
    (first <= last).then_some(Candidate {
        shape,
        sizes: first..=last,
    })
}

/// A volume with every number decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) shape: Shape,
    /// All clusters, used or free.
    pub(crate) clusters: u32,
    pub(crate) reserved_sectors: u32,
    /// Of one allocation table.
    pub(crate) fat_sectors: u32,
    pub(crate) sector_count: u32,
}

impl Volume {
    fn new(shape: &Shape, sectors: u64) -> Self {
        let clusters = shape.clusters_in(sectors);
        // A driver counts the clusters from the sectors. Where there is room for one more, but not also for the sector
        // that it would need in each allocation table, the room stays outside the volume.
        let counted = shape.sectors_for(clusters) + u64::from(shape.sectors_per_cluster) - 1;
        Self {
            clusters,
            reserved_sectors: shape.reserved_sectors(clusters),
            fat_sectors: shape.fat_sectors(clusters),
            sector_count: u32::try_from(sectors.min(counted))
                .expect("the valid sizes end at 2^32 sectors"),
            shape: shape.clone(),
        }
    }

    /// The first byte of an allocation table.
    pub(crate) fn fat_offset(&self, index: u32) -> u64 {
        self.bytes(
            u64::from(self.reserved_sectors) + u64::from(index) * u64::from(self.fat_sectors),
        )
    }

    /// The first byte of a root directory outside the clusters.
    pub(crate) fn root_offset(&self) -> u64 {
        self.fat_offset(self.shape.fat_count)
    }

    /// The first byte of a cluster.
    pub(crate) fn cluster_offset(&self, cluster: u32) -> u64 {
        let before = u64::from(cluster - FIRST_CLUSTER) * u64::from(self.shape.sectors_per_cluster);
        self.bytes(u64::from(self.shape.data_sector(self.clusters)) + before)
    }

    fn bytes(&self, sectors: u64) -> u64 {
        sectors * u64::from(self.shape.sector_bytes)
    }
}

/// Where every chain begins: directories first, then files, each contiguous.
#[derive(Debug)]
pub(crate) struct Chains {
    /// The first clusters of the directories; 0 for a root outside the clusters.
    pub(crate) directories: Vec<u32>,
    /// The first clusters of the files; 0 for an empty one.
    pub(crate) files: Vec<u32>,
    /// The clusters that they take, from the first on.
    pub(crate) used: u32,
}

impl Chains {
    /// Lays `contents` into the clusters of `volume`, which holds them.
    pub(crate) fn new(volume: &Volume, contents: &Contents) -> Self {
        let cluster_bytes = volume.shape.cluster_bytes();
        let mut next = FIRST_CLUSTER;
        let mut take = |clusters: u32| {
            let first = if clusters == 0 { 0 } else { next };
            next += clusters;
            first
        };
        let root_is_outside = volume.shape.width != Width::Fat32;
        let directories = contents.directories.iter().enumerate();
        Self {
            directories: directories
                .map(|(index, directory)| {
                    let outside = index == 0 && root_is_outside;
                    take(if outside {
                        0
                    } else {
                        directory.clusters(cluster_bytes)
                    })
                })
                .collect(),
            files: contents
                .files
                .iter()
                .map(|file| take(file.clusters(cluster_bytes)))
                .collect(),
            used: next - FIRST_CLUSTER,
        }
    }
}
