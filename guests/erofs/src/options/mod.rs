//! What the user asks for, in mkfs.erofs's words.

mod compression;
mod features;
mod rules;

use cellblock_guest::{
    FormatError, LabelProblem, Losses, NodeId, NodeProblem, OptionDescription, Request,
    SettingProblem, Timestamp,
};

use crate::attributes::{self, Prefix};
use crate::format::Superblock;

pub(crate) use compression::Compression;
pub(crate) use features::Features;
pub(crate) use rules::{Candidate, Rules};

/// The longest label. Bytes: a zero follows it.
pub(crate) const LABEL_LIMIT: u32 = 15;

/// The largest compressed cluster. Bytes.
const LARGEST_CLUSTER: u64 = 1 << 20;

/// The most bytes of all longer prefixes: they stand behind the superblock.
const PREFIX_BYTES: usize = 2048;

/// Every option, for `describe`.
pub(crate) const DESCRIPTIONS: &[OptionDescription] = &[
    OptionDescription {
        name: "block-size",
        value: "4096|8192|16384|32768|65536",
        default: "4096",
        documentation: "The size of a block in bytes. Kernels before 6.4 mount only what has the size of their pages, and none \
                        mounts larger blocks than its pages.",
    },
    OptionDescription {
        name: "cluster-size",
        value: "BYTES",
        default: "the size of a block",
        documentation: "The most that a compressed cluster takes, as mkfs.erofs's -C: whole blocks, up to 1048576. Larger than \
                        a block, it needs Linux 5.13.",
    },
    OptionDescription {
        name: "compress-hints",
        value: "RULE;RULE;...",
        default: "none",
        documentation: "How to compress some files otherwise: PATTERN=COMPRESSION, where COMPRESSION is that of the option \
                        compression, which may end in ,cluster-size=BYTES. The first rule that fits decides. A PATTERN is a \
                        path with *, ** and ?, or a name without /; size<BYTES or size>BYTES goes by the file's size.",
    },
    OptionDescription {
        name: "compression",
        value: "none|lz4|lz4hc|zstd|deflate|lzma[,level=N][,dictsize=BYTES]",
        default: "none",
        documentation: "How to compress, as mkfs.erofs's -z. Levels: lz4hc 1 to 12 (9), zstd 1 to 22 (3), deflate 1 to 12 (1), \
                        lzma 0 to 9, and 100 to 109 for extreme (6). Kernels have lz4 since 5.4, lzma since 5.16, deflate \
                        since 6.6, zstd since 6.10.",
    },
    OptionDescription {
        name: "features",
        value: "NAME,NAME,...",
        default: "none",
        documentation: "What mkfs.erofs's -E turns on: ztailpacking (Linux 5.17), fragments and all-fragments (6.1), dedupe, \
                        which is on as far as whole files go (^dedupe turns it off), 48bit (6.15), force-inode-extended, \
                        noinline_data, nosbcrc.",
    },
    OptionDescription {
        name: "xattr-prefixes",
        value: "PREFIX,PREFIX,...",
        default: "none",
        documentation: "Prefixes of names of attributes that are stored once, as mkfs.erofs's --xattr-prefix: user.mime. and \
                        the like. They need Linux 6.4.",
    },
    OptionDescription {
        name: "xattr-tolerance",
        value: "COUNT",
        default: "2",
        documentation: "An attribute that more nodes have than this many is stored once, as mkfs.erofs's -x.",
    },
];

/// What the user asks for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The size of a block as a power of two: 12 to 16.
    pub(crate) block_bits: u8,
    /// How files are compressed.
    pub(crate) rules: Rules,
    pub(crate) features: Features,
    /// The most nodes that each have an attribute of their own.
    pub(crate) attribute_tolerance: u32,
    /// Longer prefixes of names.
    pub(crate) prefixes: Vec<Prefix>,
    /// The label, padded with zeros.
    pub(crate) label: [u8; Superblock::LABEL_BYTES],
    pub(crate) uuid: [u8; 16],
    /// The time of what the formatter makes, and of compact inodes.
    pub(crate) time: Timestamp,
    /// Whether attributes that cannot be stored are left out.
    pub(crate) drop_attributes: bool,
}

impl Options {
    /// # Errors
    /// [`FormatError`] for what cannot be; that of the root's time for the one of the whole, if that is none.
    pub(crate) fn new(request: &Request) -> Result<Self, FormatError> {
        let block_bits = block_bits(request)?;
        let features = Features::new(request)?;
        let prefixes = prefixes(request)?;
        if features.fragments && !prefixes.is_empty() {
            // Kernels before 6.17 look for prefixes in the packed inode if there is one.
            return Err(conflict("xattr-prefixes", "features=fragments"));
        }
        let rules = Rules::new(request, 1 << block_bits)?;
        if features.fragments && rules.shared().is_none() {
            return Err(conflict("features", "fragments need compression"));
        }
        // Where compact inodes have times of their own, both count from 1970 to 2106.
        let is_counted = !features.wide || u32::try_from(request.time.seconds).is_ok();
        if !is_counted || request.time.nanoseconds >= 1_000_000_000 {
            return Err(FormatError::node(NodeId::ROOT, NodeProblem::Time));
        }
        Ok(Self {
            block_bits,
            rules,
            features,
            attribute_tolerance: number(request, "xattr-tolerance", 0, u32::MAX.into())?
                .map_or(2, |count| {
                    u32::try_from(count).expect("its bounds were checked")
                }),
            prefixes,
            label: label(request)?,
            uuid: request.uuid.0,
            time: request.time,
            drop_attributes: request.drop.contains(Losses::ATTRIBUTES),
        })
    }

    /// Bytes.
    pub(crate) fn block_size(&self) -> u64 {
        1 << self.block_bits
    }

    /// The bytes of a file that its last block has, 0 if that is full.
    pub(crate) fn tail(&self, size: u64) -> u64 {
        size % self.block_size()
    }

    /// The number of blocks that `bytes` take.
    pub(crate) fn blocks_for(&self, bytes: u64) -> u64 {
        bytes.div_ceil(self.block_size())
    }
}

fn block_bits(request: &Request) -> Result<u8, FormatError> {
    match request.setting("block-size") {
        None | Some("4096") => Ok(12),
        Some("8192") => Ok(13),
        Some("16384") => Ok(14),
        Some("32768") => Ok(15),
        Some("65536") => Ok(16),
        Some(_) => Err(malformed("block-size")),
    }
}

fn label(request: &Request) -> Result<[u8; Superblock::LABEL_BYTES], FormatError> {
    if request.label.contains('\0') {
        return Err(FormatError::Label(LabelProblem::Character('\0')));
    }
    if request.label.len() > LABEL_LIMIT as usize {
        return Err(FormatError::Label(LabelProblem::TooLong(LABEL_LIMIT)));
    }
    let mut label = [0; Superblock::LABEL_BYTES];
    label[..request.label.len()].copy_from_slice(request.label.as_bytes());
    Ok(label)
}

fn prefixes(request: &Request) -> Result<Vec<Prefix>, FormatError> {
    let name = "xattr-prefixes";
    let Some(value) = request.setting(name) else {
        return Ok(Vec::new());
    };
    let prefixes: Option<Vec<Prefix>> = value.split(',').map(Prefix::new).collect();
    let prefixes = prefixes.ok_or_else(|| malformed(name))?;
    if prefixes.len() > Prefix::MOST {
        let most = Prefix::MOST as u64;
        let bounds = SettingProblem::OutOfRange(1, most);
        return Err(FormatError::setting(name, bounds));
    }
    if attributes::prefix_bytes(&prefixes).len() > PREFIX_BYTES {
        return Err(conflict(
            name,
            "more than the superblock's block has room for",
        ));
    }
    Ok(prefixes)
}

/// A number within bounds, if it is given.
fn number(request: &Request, name: &str, low: u64, high: u64) -> Result<Option<u64>, FormatError> {
    let Some(value) = request.setting(name) else {
        return Ok(None);
    };
    let number: u64 = value.parse().map_err(|_| malformed(name))?;
    if (low..=high).contains(&number) {
        Ok(Some(number))
    } else {
        let bounds = SettingProblem::OutOfRange(low, high);
        Err(FormatError::setting(name, bounds))
    }
}

fn malformed(name: &str) -> FormatError {
    FormatError::setting(name, SettingProblem::Malformed)
}

fn conflict(name: &str, other: &str) -> FormatError {
    FormatError::setting(name, SettingProblem::Conflict(other.to_owned()))
}
