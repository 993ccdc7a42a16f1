//! What the user asks for, with mke2fs's defaults.

use cellblock_guest::{
    FormatError, LabelProblem, Losses, OptionDescription, Request, SettingProblem,
};

use crate::format::{
    Compatible, GroupDescriptor, Incompatible, Inode, InodeNumber, ReadOnlyCompatible,
};

/// The longest label. Bytes.
pub(crate) const LABEL_LIMIT: u32 = 16;

/// Every option, for `describe`.
pub(crate) const DESCRIPTIONS: &[OptionDescription] = &[
    OptionDescription {
        name: "block-size",
        value: "1024|2048|4096",
        default: "4096",
        documentation: "The size of a block in bytes.",
    },
    OptionDescription {
        name: "features",
        value: "NAME,^NAME,...",
        default: "those of mke2fs for ext4",
        documentation: "Features to turn on, or off with ^: has_journal, resize_inode, dir_index, sparse_super, \
                        metadata_csum, metadata_csum_seed, uninit_bg, 64bit, flex_bg, large_dir.",
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
        name: "inodes",
        value: "COUNT",
        default: "by inode-ratio",
        documentation: "The number of inodes, rounded up to whole blocks of them in each group.",
    },
    OptionDescription {
        name: "journal",
        value: "auto|yes|no|SIZE",
        default: "auto",
        documentation: "The journal's size, as 64MiB; auto takes it from the partition's size, and makes none below 2048 blocks.",
    },
    OptionDescription {
        name: "last-mounted",
        value: "PATH",
        default: "none",
        documentation: "Where it is said to have been mounted last.",
    },
    OptionDescription {
        name: "reserved-blocks",
        value: "PERCENT%|COUNT",
        default: "5%",
        documentation: "Blocks that only root may use; they count as free.",
    },
];

/// The features of a file system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Features {
    pub(crate) compatible: Compatible,
    pub(crate) incompatible: Incompatible,
    pub(crate) read_only: ReadOnlyCompatible,
}

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

/// What is to be made, whatever the partition's size.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Bytes: 1024, 2048 or 4096.
    pub(crate) block_size: u32,
    /// Bytes.
    pub(crate) inode_size: u16,
    pub(crate) features: Features,
    pub(crate) inodes: InodeCount,
    pub(crate) reserved: Reserved,
    pub(crate) journal: Journal,
    pub(crate) hash_seed: [u8; 16],
    pub(crate) uuid: [u8; 16],
    pub(crate) label: [u8; 16],
    pub(crate) last_mounted: [u8; 64],
    /// Seconds since 1970, what 34 bits hold.
    pub(crate) time: u64,
    /// Nanoseconds after `time`.
    pub(crate) nanoseconds: u32,
    /// Whether attributes that cannot be stored are left out.
    pub(crate) drop_attributes: bool,
}

impl Options {
    /// What `request` asks for.
    ///
    /// # Errors
    /// [`FormatError::Kind`], [`FormatError::Label`] or [`FormatError::Setting`].
    pub(crate) fn new(request: &Request) -> Result<Self, FormatError> {
        if request.kind != "ext4" {
            return Err(FormatError::Kind);
        }
        let block_size = setting(request, "block-size", |value| {
            matches!(value, "1024" | "2048" | "4096")
                .then(|| value.parse().ok())
                .flatten()
        })?
        .unwrap_or(4096);
        let features = features(request)?;
        Ok(Self {
            block_size,
            inode_size: 256,
            features,
            inodes: inodes(request, block_size)?,
            reserved: setting(request, "reserved-blocks", parse_reserved)?
                .unwrap_or(Reserved::Share(50_000)),
            journal: journal(request, block_size, features)?,
            hash_seed: setting(request, "hash-seed", parse_uuid)?.unwrap_or(request.seed.0),
            uuid: request.uuid.0,
            label: label(request)?,
            last_mounted: setting(request, "last-mounted", |value| padded(value.as_bytes()))?
                .unwrap_or([0; 64]),
            time: u64::try_from(request.time.seconds)
                .unwrap_or(0)
                .min(LAST_SECOND),
            nanoseconds: request.time.nanoseconds,
            drop_attributes: request.drop.contains(Losses::ATTRIBUTES),
        })
    }

    pub(crate) fn has_resize_inode(&self) -> bool {
        self.features.compatible.contains(Compatible::RESIZE_INODE)
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

    pub(crate) fn has_sparse_backups(&self) -> bool {
        self.features
            .read_only
            .contains(ReadOnlyCompatible::SPARSE_BACKUPS)
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

/// The last moment that an inode can tell: 34 bits, less those before 1970.
const LAST_SECOND: u64 = (1 << 34) - (1 << 31) - 1;

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

fn inodes(request: &Request, block_size: u32) -> Result<InodeCount, FormatError> {
    let ratio = setting(request, "inode-ratio", |value| value.parse().ok())?;
    let count = setting(request, "inodes", |value| value.parse().ok())?;
    match (ratio, count) {
        (Some(_), Some(_)) => Err(conflict("inodes", "inode-ratio")),
        (Some(ratio), None) => {
            in_bounds("inode-ratio", ratio, 1024, 64 << 20).map(InodeCount::Ratio)
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

fn journal(request: &Request, block_size: u32, features: Features) -> Result<Journal, FormatError> {
    let name = "journal";
    let size = match request.setting(name) {
        Some("no") => return Ok(Journal::None),
        _ if !features.compatible.contains(Compatible::JOURNAL) => {
            return match request.setting(name) {
                None | Some("auto") => Ok(Journal::None),
                Some(_) => Err(conflict(name, "features")),
            };
        }
        None | Some("auto") => return Ok(Journal::Automatic),
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

/// mke2fs's ext4.
const DEFAULT_FEATURES: Features = Features {
    compatible: Compatible::JOURNAL
        .union(Compatible::ATTRIBUTES)
        .union(Compatible::RESIZE_INODE)
        .union(Compatible::DIRECTORY_INDEX),
    incompatible: Incompatible::FILE_TYPE
        .union(Incompatible::EXTENTS)
        .union(Incompatible::WIDE)
        .union(Incompatible::FLEXIBLE_GROUPS),
    read_only: ReadOnlyCompatible::SPARSE_BACKUPS
        .union(ReadOnlyCompatible::LARGE_FILES)
        .union(ReadOnlyCompatible::HUGE_FILES)
        .union(ReadOnlyCompatible::MANY_SUBDIRECTORIES)
        .union(ReadOnlyCompatible::EXTRA_INODE_SIZE)
        .union(ReadOnlyCompatible::METADATA_CHECKSUMS),
};

fn features(request: &Request) -> Result<Features, FormatError> {
    let name = "features";
    let mut features = DEFAULT_FEATURES;
    let value = request.setting(name).unwrap_or_default();
    for word in value.split([',', ' ']).filter(|word| !word.is_empty()) {
        let (feature, on) = word
            .strip_prefix('^')
            .map_or((word, true), |feature| (feature, false));
        if !set_feature(&mut features, feature, on) {
            return Err(FormatError::setting(name, SettingProblem::Malformed));
        }
    }
    let has = |bits| features.read_only.contains(bits);
    let checksums = has(ReadOnlyCompatible::METADATA_CHECKSUMS);
    if checksums {
        // One checksum of a group is enough, and the kernel refuses both.
        features
            .read_only
            .remove(ReadOnlyCompatible::GROUP_CHECKSUMS);
    } else if features.incompatible.contains(Incompatible::CHECKSUM_SEED) {
        return Err(conflict(name, "metadata_csum_seed needs metadata_csum"));
    }
    if features.compatible.contains(Compatible::RESIZE_INODE)
        && !features
            .read_only
            .contains(ReadOnlyCompatible::SPARSE_BACKUPS)
    {
        return Err(conflict(name, "resize_inode needs sparse_super"));
    }
    Ok(features)
}

/// Turns a feature on or off; false if there is no such choice.
fn set_feature(features: &mut Features, name: &str, on: bool) -> bool {
    let read_only = &mut features.read_only;
    match name {
        "has_journal" => features.compatible.set(Compatible::JOURNAL, on),
        "resize_inode" => features.compatible.set(Compatible::RESIZE_INODE, on),
        "dir_index" => features.compatible.set(Compatible::DIRECTORY_INDEX, on),
        "64bit" => features.incompatible.set(Incompatible::WIDE, on),
        "flex_bg" => features.incompatible.set(Incompatible::FLEXIBLE_GROUPS, on),
        "metadata_csum_seed" => features.incompatible.set(Incompatible::CHECKSUM_SEED, on),
        "large_dir" => features
            .incompatible
            .set(Incompatible::LARGE_DIRECTORIES, on),
        "sparse_super" => read_only.set(ReadOnlyCompatible::SPARSE_BACKUPS, on),
        "metadata_csum" => read_only.set(ReadOnlyCompatible::METADATA_CHECKSUMS, on),
        "uninit_bg" => read_only.set(ReadOnlyCompatible::GROUP_CHECKSUMS, on),
        _ => return false,
    }
    true
}
