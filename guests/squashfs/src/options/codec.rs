//! The codec, as the options and the superblock have it, and as the host is asked for it.

use cellblock_guest::{Filter, FormatError, Method, Request, SettingProblem, Settings};
use zerocopy::IntoBytes as _;

use super::{conflict, in_bounds, malformed, number, size};
use crate::format::{Compressor, GzipOptions, Lz4Options, MachineCode, XzOptions, ZstdOptions};

/// A codec with its level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// zlib.
    Gzip {
        /// 1 to 9.
        level: u32,
    },
    /// LZ4: the fast one at level 0, LZ4 HC above.
    Lz4 {
        /// 0 to 12.
        level: u32,
    },
    /// xz.
    Xz {
        /// 0 to 9.
        level: u32,
        /// Bytes.
        dictionary: u32,
        /// Whether that is what the size of blocks brings.
        usual: bool,
        /// What is tried beside no filter.
        filters: Vec<(Filter, MachineCode)>,
    },
    /// Zstandard.
    Zstd {
        /// 1 to 22.
        level: u32,
    },
}

/// mksquashfs's levels.
const GZIP_LEVEL: u32 = 9;
/// The only window of the host's zlib.
const GZIP_WINDOW: u16 = 15;
const ZSTD_LEVEL: u32 = 15;
const XZ_LEVEL: u32 = 6;
const LZ4_HC_LEVEL: u32 = 12;
/// The fewest bytes of a dictionary, those of a metadata block.
const LEAST_DICTIONARY: u32 = 8192;
/// Each block is compressed once without a filter and once with each; the host compresses a tree four times at most.
const MOST_FILTERS: usize = 3;

/// The filters by their names.
const FILTERS: [(&str, Filter, MachineCode); 8] = [
    ("x86", Filter::X86, MachineCode::X86),
    ("powerpc", Filter::PowerPc, MachineCode::POWERPC),
    ("ia64", Filter::Ia64, MachineCode::IA64),
    ("arm", Filter::Arm, MachineCode::ARM),
    ("armthumb", Filter::ArmThumb, MachineCode::ARM_THUMB),
    ("sparc", Filter::Sparc, MachineCode::SPARC),
    ("arm64", Filter::Arm64, MachineCode::ARM64),
    ("riscv", Filter::RiscV, MachineCode::RISCV),
];

impl Codec {
    /// The codec that `request` asks for, and whether nothing is to be compressed with it.
    pub(super) fn new(request: &Request, block_size: u32) -> Result<(Self, bool), FormatError> {
        let value = request.setting("compression").unwrap_or("zstd");
        // The level may stand in the same option, as in that of erofs.
        let (name, own_level) = match value.split_once(",level=") {
            Some((name, level)) => (name, Some(level)),
            None => (value, None),
        };
        if own_level.is_some() && request.setting("level").is_some() {
            return Err(conflict("level", "compression"));
        }
        if own_level.is_some() && matches!(name, "none" | "lz4") {
            return Err(malformed("compression"));
        }
        let level = |least, most, usual| {
            let level = match own_level {
                Some(level) => Some(in_bounds("compression", level, 0, least, most)?),
                None => number(request, "level", least, most)?,
            };
            Ok::<_, FormatError>(level.unwrap_or(usual))
        };
        let codec = match name {
            "gzip" => Self::Gzip {
                level: level(1, 9, GZIP_LEVEL)?,
            },
            "none" => Self::Gzip { level: GZIP_LEVEL },
            "lz4" => Self::Lz4 { level: 0 },
            "lz4hc" => Self::Lz4 {
                level: level(1, 12, LZ4_HC_LEVEL)?,
            },
            "xz" => {
                let dictionary = dictionary(request, block_size)?;
                Self::Xz {
                    level: level(0, 9, XZ_LEVEL)?,
                    dictionary: dictionary.unwrap_or(block_size),
                    usual: dictionary.is_none_or(|bytes| bytes == block_size),
                    filters: filters(request)?,
                }
            }
            "zstd" => Self::Zstd {
                level: level(1, 22, ZSTD_LEVEL)?,
            },
            _ => return Err(malformed("compression")),
        };
        // What another codec would take is no wish that can be followed.
        for (option, codecs) in [
            ("level", &["gzip", "lz4hc", "xz", "zstd"][..]),
            ("dictionary-size", &["xz"]),
            ("bcj", &["xz"]),
        ] {
            if request.setting(option).is_some() && !codecs.contains(&name) {
                return Err(conflict(option, &format!("compression={name}")));
            }
        }
        Ok((codec, name == "none"))
    }

    /// Its number.
    pub(crate) fn compressor(&self) -> Compressor {
        match self {
            Self::Gzip { .. } => Compressor::GZIP,
            Self::Lz4 { .. } => Compressor::LZ4,
            Self::Xz { .. } => Compressor::XZ,
            Self::Zstd { .. } => Compressor::ZSTD,
        }
    }

    /// Its name and level, for the summary.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Gzip { level } => format!("gzip, level {level}"),
            Self::Lz4 { level: 0 } => "lz4".to_owned(),
            Self::Lz4 { level } => format!("lz4hc, level {level}"),
            Self::Xz { level, .. } => format!("xz, level {level}"),
            Self::Zstd { level } => format!("zstd, level {level}"),
        }
    }

    /// What stands behind the superblock: the options as far as they are not the usual ones.
    pub(crate) fn options(&self) -> Option<Vec<u8>> {
        match *self {
            Self::Gzip { level: GZIP_LEVEL } | Self::Zstd { level: ZSTD_LEVEL } => None,
            Self::Gzip { level } => {
                let options = GzipOptions {
                    level: level.into(),
                    window: GZIP_WINDOW.into(),
                    strategies: 0.into(),
                };
                Some(options.as_bytes().to_vec())
            }
            Self::Lz4 { level } => {
                let flags = if level == 0 {
                    0
                } else {
                    Lz4Options::HIGH_COMPRESSION
                };
                let options = Lz4Options {
                    version: Lz4Options::VERSION.into(),
                    flags: flags.into(),
                };
                Some(options.as_bytes().to_vec())
            }
            Self::Xz {
                dictionary,
                usual,
                ref filters,
                ..
            } => {
                let code: MachineCode = filters.iter().map(|(_, code)| *code).collect();
                let options = XzOptions {
                    dictionary: dictionary.into(),
                    filters: code.bits().into(),
                };
                (!usual || !filters.is_empty()).then(|| options.as_bytes().to_vec())
            }
            Self::Zstd { level } => {
                let options = ZstdOptions {
                    level: level.into(),
                };
                Some(options.as_bytes().to_vec())
            }
        }
    }

    /// What metadata is compressed with.
    pub(crate) fn metadata(&self) -> Settings {
        let (method, level, window) = match *self {
            Self::Gzip { level } => (Method::Zlib, level, 0),
            Self::Lz4 { level } => (Method::Lz4, level, 0),
            Self::Xz {
                level, dictionary, ..
            } => (Method::Xz, level, dictionary),
            Self::Zstd { level } => (Method::Zstd, level, 0),
        };
        Settings {
            method,
            level,
            window,
            filter: Filter::None,
            limit: 0,
            unit: 1,
        }
    }

    /// All that content is compressed with; each block is stored as the one makes it that makes it shortest.
    pub(crate) fn content(&self) -> Vec<Settings> {
        let plain = self.metadata();
        let mut all = vec![plain];
        if let Self::Xz { filters, .. } = self {
            all.extend(filters.iter().map(|(filter, _)| Settings {
                filter: *filter,
                ..plain
            }));
        }
        all
    }
}

/// The option `dictionary-size`. The kernel takes one or two bits.
fn dictionary(request: &Request, block_size: u32) -> Result<Option<u32>, FormatError> {
    let name = "dictionary-size";
    let Some(bytes) = size(request, name, LEAST_DICTIONARY.min(block_size), block_size)? else {
        return Ok(None);
    };
    let below_highest = bytes & !(1 << bytes.ilog2());
    let is_one_and_a_half = below_highest == 1 << (bytes.ilog2() - 1);
    if below_highest == 0 || is_one_and_a_half {
        Ok(Some(bytes))
    } else {
        Err(malformed(name))
    }
}

/// The option `bcj`.
fn filters(request: &Request) -> Result<Vec<(Filter, MachineCode)>, FormatError> {
    let name = "bcj";
    let Some(value) = request.setting(name) else {
        return Ok(Vec::new());
    };
    let mut chosen: Vec<(Filter, MachineCode)> = Vec::new();
    for word in value.split(',') {
        let found = FILTERS.iter().find(|(known, ..)| *known == word);
        let (_, filter, code) = *found.ok_or_else(|| malformed(name))?;
        if !chosen.contains(&(filter, code)) {
            chosen.push((filter, code));
        }
    }
    if chosen.len() > MOST_FILTERS {
        let most = u64::try_from(MOST_FILTERS).expect("it is small");
        return Err(FormatError::setting(
            name,
            SettingProblem::OutOfRange(0, most),
        ));
    }
    Ok(chosen)
}
