//! What the user asks for, in mksquashfs's words and with its defaults, but for the codec.

mod codec;
mod describe;

use bitflags::bitflags;
use cellblock_guest::{
    FormatError, LabelProblem, Losses, NodeId, NodeProblem, Request, SettingProblem,
};

use crate::format::SuperblockFlags;

pub(crate) use codec::Codec;
pub(crate) use describe::DESCRIPTION;

bitflags! {
    /// What is stored without being compressed.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Plain: u8 {
        /// Inodes, directories, and the tables of fragments and of inodes by number.
        const INODES = 1;
        /// Owners.
        const OWNERS = 1 << 1;
        /// Blocks of files.
        const DATA = 1 << 2;
        /// Fragment blocks.
        const FRAGMENTS = 1 << 3;
        /// Extended attributes.
        const ATTRIBUTES = 1 << 4;
    }
}

/// Which files have their ends in fragment blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tails {
    /// None: each has a block of its own.
    Apart,
    /// Those of files that are shorter than a block.
    Small,
    /// Those of all files.
    All,
}

/// A path, and how early the content of what is there stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Priority {
    /// The path without a slash at either end.
    pub(crate) path: String,
    /// The higher, the earlier; 0 without one.
    pub(crate) priority: i16,
}

/// A request that can be followed.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// How to compress.
    pub(crate) codec: Codec,
    /// What not to compress.
    pub(crate) plain: Plain,
    /// The bytes of a block of a file: a power of two from 4 KiB to 1 MiB.
    pub(crate) block_size: u32,
    /// Which ends are in fragment blocks.
    pub(crate) tails: Tails,
    /// Whether equal content is stored once.
    pub(crate) once: bool,
    /// Whether there is a table of inodes by number.
    pub(crate) exportable: bool,
    /// Whether there are extended attributes.
    pub(crate) attributes: bool,
    /// Whether attributes that cannot be stored are left out.
    pub(crate) drop_attributes: bool,
    /// Whether all belongs to root if there are too many owners.
    pub(crate) drop_owners: bool,
    /// What comes first.
    pub(crate) priorities: Vec<Priority>,
    /// Of what the file system's size is a multiple. Bytes.
    pub(crate) unit: u64,
    /// When it is made, in seconds since 1970.
    pub(crate) time: u32,
}

impl Options {
    /// What `request` asks for.
    ///
    /// # Errors
    /// [`FormatError::Kind`], [`FormatError::Label`] or [`FormatError::Setting`]; that of the root's time for the one of the
    /// whole, if that is none.
    pub(crate) fn new(request: &Request) -> Result<Self, FormatError> {
        request.check_settings(&DESCRIPTION)?;
        if !DESCRIPTION.makes(&request.kind) {
            return Err(FormatError::Kind);
        }
        if !request.label.is_empty() {
            return Err(FormatError::Label(LabelProblem::TooLong(0)));
        }
        let block_size = size(request, "block-size", 4096, 1 << 20)?.unwrap_or(128 << 10);
        if !block_size.is_power_of_two() {
            return Err(malformed("block-size"));
        }
        let (codec, all_plain) = Codec::new(request, block_size)?;
        let tails = match (
            flag(request, "no-fragments")?,
            flag(request, "always-use-fragments")?,
        ) {
            (true, true) => return Err(conflict("always-use-fragments", "no-fragments")),
            (true, false) => Tails::Apart,
            (false, true) => Tails::All,
            (false, false) => Tails::Small,
        };
        let padding = size(request, "padding", 0, 1 << 20)?.unwrap_or(4096);
        if padding != 0 && !padding.is_power_of_two() {
            return Err(malformed("padding"));
        }
        let sector = request.sector_size.max(1);
        Ok(Self {
            codec,
            plain: if all_plain {
                Plain::all()
            } else {
                plain(request)?
            },
            block_size,
            tails,
            once: !flag(request, "no-duplicates")?,
            exportable: !flag(request, "no-exports")?,
            attributes: !flag(request, "no-xattrs")?,
            drop_attributes: request.drop.contains(Losses::ATTRIBUTES),
            drop_owners: request.drop.contains(Losses::OWNERS),
            priorities: priorities(request)?,
            unit: u64::from(padding.max(sector).max(KERNEL_UNIT)),
            // What is counted is from 1970 to 2106.
            time: u32::try_from(request.time.seconds)
                .map_err(|_| FormatError::node(NodeId::ROOT, NodeProblem::Time))?,
        })
    }

    /// What the superblock says of them.
    pub(crate) fn flags(&self) -> SuperblockFlags {
        let mut flags = SuperblockFlags::empty();
        let mut set = |flag, on| flags.set(flag, on);
        set(
            SuperblockFlags::PLAIN_INODES,
            self.plain.contains(Plain::INODES),
        );
        set(
            SuperblockFlags::PLAIN_OWNERS,
            self.plain.contains(Plain::OWNERS),
        );
        set(
            SuperblockFlags::PLAIN_DATA,
            self.plain.contains(Plain::DATA),
        );
        set(
            SuperblockFlags::PLAIN_FRAGMENTS,
            self.plain.contains(Plain::FRAGMENTS),
        );
        set(
            SuperblockFlags::PLAIN_ATTRIBUTES,
            self.plain.contains(Plain::ATTRIBUTES),
        );
        set(SuperblockFlags::NO_FRAGMENTS, self.tails == Tails::Apart);
        set(SuperblockFlags::ALWAYS_FRAGMENTS, self.tails == Tails::All);
        set(SuperblockFlags::DUPLICATES_REMOVED, self.once);
        set(SuperblockFlags::EXPORTABLE, self.exportable);
        set(SuperblockFlags::NO_ATTRIBUTES, !self.attributes);
        flags
    }
}

/// In what the kernel reads a device: what is not whole at its end is not read.
const KERNEL_UNIT: u32 = 1024;

fn malformed(name: &str) -> FormatError {
    FormatError::setting(name, SettingProblem::Malformed)
}

fn conflict(name: &str, other: &str) -> FormatError {
    FormatError::setting(name, SettingProblem::Conflict(other.to_owned()))
}

/// The option `name`, which is `yes` or `no`, and `no` if it is not given.
fn flag(request: &Request, name: &str) -> Result<bool, FormatError> {
    match request.setting(name) {
        None | Some("no") => Ok(false),
        Some("yes") => Ok(true),
        Some(_) => Err(malformed(name)),
    }
}

/// The option `name` as a number from `least` to `most`.
fn number(
    request: &Request,
    name: &str,
    least: u32,
    most: u32,
) -> Result<Option<u32>, FormatError> {
    request
        .setting(name)
        .map(|value| in_bounds(name, value, 0, least, most))
        .transpose()
}

/// The option `name` as bytes from `least` to `most`, plain or in binary units.
fn size(request: &Request, name: &str, least: u32, most: u32) -> Result<Option<u32>, FormatError> {
    let Some(value) = request.setting(name) else {
        return Ok(None);
    };
    let digits = value.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let shift = match &value[digits.len()..] {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        _ => return Err(malformed(name)),
    };
    in_bounds(name, digits, shift, least, most).map(Some)
}

fn in_bounds(
    name: &str,
    digits: &str,
    shift: u32,
    least: u32,
    most: u32,
) -> Result<u32, FormatError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed(name));
    }
    let shifted = digits
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift));
    shifted
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| {
            let bounds = SettingProblem::OutOfRange(least.into(), most.into());
            FormatError::setting(name, bounds)
        })
}

/// The option `no-compression`.
fn plain(request: &Request) -> Result<Plain, FormatError> {
    let name = "no-compression";
    let Some(value) = request.setting(name) else {
        return Ok(Plain::empty());
    };
    value.split(',').try_fold(Plain::empty(), |plain, word| {
        let more = match word {
            // As in mksquashfs, where inodes imply owners.
            "inodes" => Plain::INODES | Plain::OWNERS,
            "ids" => Plain::OWNERS,
            "data" => Plain::DATA,
            "fragments" => Plain::FRAGMENTS,
            "xattrs" => Plain::ATTRIBUTES,
            "all" => Plain::all(),
            _ => return Err(malformed(name)),
        };
        Ok(plain | more)
    })
}

/// The option `sort`.
fn priorities(request: &Request) -> Result<Vec<Priority>, FormatError> {
    let name = "sort";
    let Some(value) = request.setting(name) else {
        return Ok(Vec::new());
    };
    value
        .split(',')
        .map(|rule| {
            let (path, priority) = rule.rsplit_once('=').ok_or_else(|| malformed(name))?;
            let priority = priority.parse().map_err(|_| malformed(name))?;
            let path = path.trim_matches('/').to_owned();
            Ok(Priority { path, priority })
        })
        .collect()
}
