//! What the user asks for, with mke2fs's defaults.

mod features;
mod profile;

use cellblock_guest::htree::{Method, NameHash};
use cellblock_guest::{
    FormatError, LabelProblem, Losses, NodeId, NodeProblem, OptionDescription, Request,
    SettingProblem, Timestamp,
};

use crate::format::{
    Compatible, GroupDescriptor, Incompatible, Inode, InodeNumber, ReadOnlyCompatible,
};
use crate::times;

use profile::Profile;

pub(crate) use features::Features;
pub(crate) use profile::{Generation, SMALL_END};

/// The longest label. Bytes.
pub(crate) const LABEL_LIMIT: u32 = 16;

/// Every option, for `describe`.
pub(crate) const DESCRIPTIONS: &[OptionDescription] = &[
    OptionDescription {
        name: "block-size",
        value: "1024|2048|4096",
        default: "4096; in a profile of Debian 1024 below 512 MiB",
        documentation: "The size of a block in bytes.",
    },
    OptionDescription {
        name: "features",
        value: "NAME,^NAME,...",
        default: "those of the kind in the profile",
        documentation: "Features to turn on, or off with ^, as mke2fs has it: 64bit, dir_index, dir_nlink, ext_attr, extent, \
                        extra_isize, filetype, flex_bg, has_journal, huge_file, inline_data, large_dir, large_file, meta_bg, \
                        metadata_csum, metadata_csum_seed, orphan_file, resize_inode, sparse_super, sparse_super2, \
                        stable_inodes, uninit_bg; none turns all off. What is in the tree turns on large_file, and in ext4 \
                        large_dir without ^large_dir; so many groups that their descriptors fill the first one turn on meta_bg.",
    },
    OptionDescription {
        name: "hash-seed",
        value: "UUID",
        default: "from the seed",
        documentation: "The seed of the hashes in directories.",
    },
    OptionDescription {
        name: "inode-ratio",
        value: "BYTES",
        default: "by the size: 8192 below 3 MiB, 4096 below 512 MiB, 16384 below 4 TiB, 32768 below 16 TiB, else 65536",
        documentation: "One inode for so many bytes of the partition, and never fewer than the tree needs.",
    },
    OptionDescription {
        name: "inode-size",
        value: "128|256|512|1024",
        default: "256",
        documentation: "The size of an inode in bytes. One of 128 has no fractions of seconds, no times after 2038-01-19, and \
                        no room for attributes.",
    },
    OptionDescription {
        name: "inodes",
        value: "COUNT",
        default: "by inode-ratio",
        documentation: "The number of inodes, rounded up to whole blocks of them in each group.",
    },
    OptionDescription {
        name: "journal",
        value: "auto|yes|no|SIZE",
        default: "auto",
        documentation: "The journal's size, as 64MiB; auto takes it from the partition's size, and makes none in ext2, nor in an ext4 below 2048 blocks.",
    },
    OptionDescription {
        name: "last-mounted",
        value: "PATH",
        default: "none",
        documentation: "Where it is said to have been mounted last.",
    },
    OptionDescription {
        name: "profile",
        value: "debian-12|debian-13|ubuntu-22.04|ubuntu-24.04",
        default: "ubuntu-24.04",
        documentation: "The release whose features and sizes of blocks are the default. The file systems of debian-13 need GRUB 2.12, \
                        e2fsprogs 1.47 and, after a crash, Linux 5.15.",
    },
    OptionDescription {
        name: "reserved-blocks",
        value: "PERCENT%|COUNT",
        default: "5%",
        documentation: "Blocks that only root may use; they count as free.",
    },
];

/// How many inodes there are, beyond those that the tree needs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum InodeCount {
    /// By the size, as mke2fs's usage types have it.
    Automatic,
    /// One for so many bytes.
    Ratio(u64),
    /// So many.
    Count(u32),
}

/// The blocks that only root may use.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reserved {
    /// In millionths of all blocks.
    Share(u64),
    /// In blocks.
    Blocks(u64),
}

/// The journal's size.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Journal {
    /// No journal.
    None,
    /// By the size; none in a very small file system.
    Automatic,
    /// By the size, but there is one.
    Always,
    /// In blocks.
    Blocks(u32),
}

/// The groups with backups of the superblock, whatever their number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BackupPolicy {
    /// Every one.
    All,
    /// Group 1, and the powers of 3, 5 and 7.
    Sparse,
    /// Group 1 and the last.
    Two,
}

/// What is to be made, whatever the partition's size.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Whether a directory that needs it turns on the feature `LARGE_DIRECTORIES`.
    may_add_large_directories: bool,
    /// Bytes: 1024, 2048 or 4096.
    pub(crate) block_size: u32,
    /// Bytes: a power of two from 128 to 1024.
    pub(crate) inode_size: u16,
    pub(crate) features: Features,
    pub(crate) inodes: InodeCount,
    pub(crate) reserved: Reserved,
    pub(crate) journal: Journal,
    /// Whether it is called ext3 and was asked for without what tells that from ext2, a journal.
    pub(crate) is_ext2_by_features: bool,
    pub(crate) hash_seed: [u8; 16],
    pub(crate) uuid: [u8; 16],
    pub(crate) label: [u8; 16],
    pub(crate) last_mounted: [u8; 64],
    /// From 1970 on, and what inodes can tell.
    pub(crate) time: Timestamp,
    /// Whether attributes that cannot be stored are left out.
    pub(crate) drop_attributes: bool,
}

impl Options {
    /// What `request` asks for in a partition of `size` bytes, whatever size it has itself.
    ///
    /// # Errors
    /// [`FormatError::Kind`], [`FormatError::Label`] or [`FormatError::Setting`]; that of the root's time for the one of the
    /// whole, if that is none.
    pub(crate) fn new(request: &Request, size: u64) -> Result<Self, FormatError> {
        let generation = Generation::named(&request.kind).ok_or(FormatError::Kind)?;
        let profile = profile(request)?;
        let block_size = match given_block_size(request)? {
            Some(block_size) => block_size,
            None => profile.block_size(size, request.sector_size),
        };
        let features = Features::of(request, generation, profile)?;
        let inode_size = inode_size(request, features)?;
        let journal = journal(request, generation, block_size, features)?;
        if block_size < request.sector_size {
            let bounds = SettingProblem::OutOfRange(u64::from(request.sector_size), 4096);
            return Err(FormatError::setting("block-size", bounds));
        }
        if !times::counts_for_the_whole(inode_size, request.time) {
            return Err(FormatError::node(NodeId::ROOT, NodeProblem::Time));
        }
        Ok(Self {
            may_add_large_directories: generation == Generation::Ext4
                && features::choice(request, "large_dir") != Some(false),
            block_size,
            inode_size,
            features,
            inodes: inodes(request, block_size, inode_size)?,
            reserved: setting(request, "reserved-blocks", parse_reserved)?
                .unwrap_or(Reserved::Share(50_000)),
            is_ext2_by_features: generation == Generation::Ext3 && matches!(journal, Journal::None),
            journal,
            hash_seed: setting(request, "hash-seed", parse_uuid)?.unwrap_or(request.seed.0),
            uuid: request.uuid.0,
            label: label(request)?,
            last_mounted: setting(request, "last-mounted", |value| padded(value.as_bytes()))?
                .unwrap_or([0; 64]),
            time: request.time,
            drop_attributes: request.drop.contains(Losses::ATTRIBUTES),
        })
    }

    /// The time of what the format makes itself, as far as inodes can tell it.
    pub(crate) fn own_time(&self) -> Timestamp {
        if self.inode_size > Inode::BASE_SIZE {
            return self.time;
        }
        Timestamp {
            nanoseconds: 0,
            ..self.time
        }
    }

    /// How names in indexed directories are hashed: what the superblock says, too.
    pub(crate) fn name_hash(&self) -> NameHash {
        NameHash::new(Method::HalfMd4, true, self.hash_seed)
    }

    pub(crate) fn has_extents(&self) -> bool {
        self.features.incompatible.contains(Incompatible::EXTENTS)
    }

    pub(crate) fn has_huge_files(&self) -> bool {
        self.features
            .read_only
            .contains(ReadOnlyCompatible::HUGE_FILES)
    }

    /// Whether directories may be so large that they need the feature `LARGE_DIRECTORIES`.
    pub(crate) fn may_have_large_directories(&self) -> bool {
        self.may_add_large_directories
            || self
                .features
                .incompatible
                .contains(Incompatible::LARGE_DIRECTORIES)
    }

    /// Whether a directory may have more directories than are counted.
    pub(crate) fn may_have_many_subdirectories(&self) -> bool {
        self.features
            .read_only
            .contains(ReadOnlyCompatible::MANY_SUBDIRECTORIES)
    }

    pub(crate) fn has_file_types(&self) -> bool {
        self.features.incompatible.contains(Incompatible::FILE_TYPE)
    }

    pub(crate) fn has_resize_inode(&self) -> bool {
        self.features.compatible.contains(Compatible::RESIZE_INODE)
    }

    pub(crate) fn has_orphan_file(&self) -> bool {
        self.features.compatible.contains(Compatible::ORPHAN_FILE)
    }

    /// Whether there may be extended attributes.
    pub(crate) fn has_attributes(&self) -> bool {
        self.features.compatible.contains(Compatible::ATTRIBUTES)
    }

    /// Whether short content stands in inodes.
    pub(crate) fn has_inline_data(&self) -> bool {
        self.features
            .incompatible
            .contains(Incompatible::INLINE_CONTENT)
    }

    pub(crate) fn has_directory_index(&self) -> bool {
        self.features
            .compatible
            .contains(Compatible::DIRECTORY_INDEX)
    }

    pub(crate) fn has_metadata_checksums(&self) -> bool {
        self.features
            .read_only
            .contains(ReadOnlyCompatible::METADATA_CHECKSUMS)
    }

    /// Whether groups may stay uninitialised, which their descriptors' checksums vouch for.
    pub(crate) fn has_group_flags(&self) -> bool {
        self.features.read_only.intersects(
            ReadOnlyCompatible::METADATA_CHECKSUMS | ReadOnlyCompatible::GROUP_CHECKSUMS,
        )
    }

    pub(crate) fn has_meta_groups(&self) -> bool {
        self.features
            .incompatible
            .contains(Incompatible::META_GROUPS)
    }

    /// Which groups are to have backups of the superblock.
    pub(crate) fn backups(&self) -> BackupPolicy {
        let features = self.features;
        if features.compatible.contains(Compatible::TWO_BACKUPS) {
            BackupPolicy::Two
        } else if features
            .read_only
            .contains(ReadOnlyCompatible::SPARSE_BACKUPS)
        {
            BackupPolicy::Sparse
        } else {
            BackupPolicy::All
        }
    }

    /// Bytes of a group descriptor.
    pub(crate) fn descriptor_size(&self) -> u16 {
        if self.features.incompatible.contains(Incompatible::WIDE) {
            GroupDescriptor::WIDE_SIZE
        } else {
            GroupDescriptor::NARROW_SIZE
        }
    }

    /// How many groups have their bitmaps and tables together, as a power of two.
    pub(crate) fn log_groups_per_flex(&self) -> u8 {
        if self
            .features
            .incompatible
            .contains(Incompatible::FLEXIBLE_GROUPS)
        {
            4
        } else {
            0
        }
    }

    /// Bytes of attributes that an inode holds after their magic number.
    pub(crate) fn inline_attribute_space(&self) -> usize {
        usize::from(
            self.inode_size
                .saturating_sub(Inode::BASE_SIZE + Inode::EXTRA_SIZE + 4),
        )
    }

    /// The number of blocks that `bytes` take.
    pub(crate) fn blocks_for(&self, bytes: u64) -> u64 {
        bytes.div_ceil(u64::from(self.block_size))
    }
}

/// Whether the size of a partition decides that of blocks: at [`SMALL_END`].
///
/// # Errors
/// [`FormatError::Setting`].
pub(crate) fn block_size_depends(request: &Request) -> Result<bool, FormatError> {
    let profile = profile(request)?;
    let [small, usual] = [0, SMALL_END].map(|size| profile.block_size(size, request.sector_size));
    Ok(given_block_size(request)?.is_none() && small != usual)
}

fn profile(request: &Request) -> Result<Profile, FormatError> {
    Ok(setting(request, "profile", Profile::named)?.unwrap_or(Profile::DEFAULT))
}

/// Bytes.
fn given_block_size(request: &Request) -> Result<Option<u32>, FormatError> {
    setting(request, "block-size", |value| {
        matches!(value, "1024" | "2048" | "4096")
            .then(|| value.parse().ok())
            .flatten()
    })
}

/// The value of the option `name`, as `parse` understands it.
fn setting<T>(
    request: &Request,
    name: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, FormatError> {
    request
        .setting(name)
        .map(|value| {
            parse(value).ok_or_else(|| FormatError::setting(name, SettingProblem::Malformed))
        })
        .transpose()
}

/// `bytes`, filled with zeros, unless they are too many.
fn padded<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let mut result = [0; N];
    result.get_mut(..bytes.len())?.copy_from_slice(bytes);
    (!bytes.contains(&0)).then_some(result)
}

fn label(request: &Request) -> Result<[u8; 16], FormatError> {
    if request.label.contains('\0') {
        return Err(FormatError::Label(LabelProblem::Character('\0')));
    }
    padded(request.label.as_bytes()).ok_or(FormatError::Label(LabelProblem::TooLong(LABEL_LIMIT)))
}

fn in_bounds(name: &str, value: u64, low: u64, high: u64) -> Result<u64, FormatError> {
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(FormatError::setting(
            name,
            SettingProblem::OutOfRange(low, high),
        ))
    }
}

fn conflict(name: &str, other: &str) -> FormatError {
    FormatError::setting(name, SettingProblem::Conflict(other.to_owned()))
}

fn inode_size(request: &Request, features: Features) -> Result<u16, FormatError> {
    let size: u16 = setting(request, "inode-size", |value| {
        matches!(value, "128" | "256" | "512" | "1024")
            .then(|| value.parse().ok())
            .flatten()
    })?
    .unwrap_or(256);
    let has_inline_data = features.incompatible.contains(Incompatible::INLINE_CONTENT);
    if has_inline_data && size == Inode::BASE_SIZE {
        return Err(conflict(
            "inode-size",
            "inline_data needs inodes of at least 256 bytes",
        ));
    }
    Ok(size)
}

fn inodes(request: &Request, block_size: u32, inode_size: u16) -> Result<InodeCount, FormatError> {
    let ratio = setting(request, "inode-ratio", |value| value.parse().ok())?;
    let count = setting(request, "inodes", |value| value.parse().ok())?;
    match (ratio, count) {
        (Some(_), Some(_)) => Err(conflict("inodes", "inode-ratio")),
        (Some(ratio), None) => {
            // There is one for each block at most, and inodes take half of all bytes at most.
            let least = match 2 * u32::from(inode_size) {
                half if half > block_size => half,
                _ => 1024,
            };
            in_bounds("inode-ratio", ratio, u64::from(least), 64 << 20).map(InodeCount::Ratio)
        }
        (None, Some(count)) => {
            let least = u64::from(InodeNumber::FIRST.0) + 1;
            let most = u64::from(u32::MAX - 8 * block_size);
            let count = in_bounds("inodes", count, least, most)?;
            Ok(u32::try_from(count).map_or(InodeCount::Automatic, InodeCount::Count))
        }
        (None, None) => Ok(InodeCount::Automatic),
    }
}

fn journal(
    request: &Request,
    generation: Generation,
    block_size: u32,
    features: Features,
) -> Result<Journal, FormatError> {
    let name = "journal";
    let size = match request.setting(name) {
        Some("no") if features::choice(request, "has_journal") == Some(true) => {
            return Err(conflict(name, "features"));
        }
        Some("no") => return Ok(Journal::None),
        None | Some("auto") => {
            return Ok(match features.compatible.contains(Compatible::JOURNAL) {
                // Without one it would be an ext2, which nobody mounts as ext3.
                true if generation == Generation::Ext3 => Journal::Always,
                true => Journal::Automatic,
                false => Journal::None,
            });
        }
        // Asking for one is enough, as in mke2fs, but for whom the features say otherwise.
        Some(_) if features::choice(request, "has_journal") == Some(false) => {
            return Err(conflict(name, "features"));
        }
        Some("yes") => return Ok(Journal::Always),
        Some(_) => setting(request, name, parse_size)?.unwrap_or(0),
    };
    let block = u64::from(block_size);
    let bytes = in_bounds(
        name,
        size,
        block * u64::from(JOURNAL_BLOCKS.0),
        block * u64::from(JOURNAL_BLOCKS.1),
    )?;
    Ok(u32::try_from(bytes / block).map_or(Journal::Automatic, Journal::Blocks))
}

/// The fewest and the most blocks of a journal.
const JOURNAL_BLOCKS: (u32, u32) = (1024, 10_240_000);

/// A percentage, or a count of blocks.
fn parse_reserved(value: &str) -> Option<Reserved> {
    let Some(percent) = value.strip_suffix('%') else {
        return value.parse().ok().map(Reserved::Blocks);
    };
    let (whole, fraction) = percent.split_once('.').unwrap_or((percent, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 4 {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<4}").parse().ok()?;
    let share = whole
        .parse::<u64>()
        .ok()?
        .checked_mul(10_000)?
        .checked_add(fraction)?;
    (share <= 500_000).then_some(Reserved::Share(share))
}

/// A size in bytes, or with a binary unit.
fn parse_size(value: &str) -> Option<u64> {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &value[digits.len()..] {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        _ => return None,
    };
    digits
        .trim_end()
        .parse::<u64>()
        .ok()?
        .checked_mul(1 << shift)
}

fn parse_uuid(value: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = value.bytes().filter(|byte| *byte != b'-').collect();
    if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let text = std::str::from_utf8(&digits).ok()?;
    Some(u128::from_str_radix(text, 16).ok()?.to_be_bytes())
}
