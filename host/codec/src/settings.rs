//! How to compress, and which settings there are.

use serde::{Deserialize, Serialize};

use crate::SettingsError;

/// The most bytes of a block.
pub const BLOCK_LIMIT: usize = 16 << 20;

/// A method of compression, and the form of what it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Method {
    /// Raw DEFLATE (RFC 1951). Levels 1 to 12.
    Deflate,
    /// A zlib stream (RFC 1950). Levels 1 to 9.
    Zlib,
    /// An LZ4 block, without a frame or a length. Level 0 is the fast one, 1 to 12 are LZ4 HC's.
    Lz4,
    /// One Zstandard frame with its content size, without a checksum (RFC 8878). Levels 1 to 22.
    Zstd,
    /// An .xz stream of one block, checked by CRC-32. Levels are liblzma's presets, 0 to 9, and 100 more for extreme.
    Xz,
    /// MicroLZMA: LZMA without its first byte, which holds the properties instead. Levels as for [`Method::Xz`].
    MicroLzma,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 6] = [
        Self::Deflate,
        Self::Zlib,
        Self::Lz4,
        Self::Zstd,
        Self::Xz,
        Self::MicroLzma,
    ];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deflate => "deflate",
            Self::Zlib => "zlib",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::MicroLzma => "micro-lzma",
        }
    }

    fn has_level(self, level: u32) -> bool {
        match self {
            Self::Deflate => (1..=12).contains(&level),
            Self::Zlib => (1..=9).contains(&level),
            Self::Lz4 => level <= 12,
            Self::Zstd => (1..=22).contains(&level),
            Self::Xz | Self::MicroLzma => matches!(level, 0..=9 | 100..=109),
        }
    }

    /// Its levels in words.
    const fn levels(self) -> &'static str {
        match self {
            Self::Deflate => "1 to 12",
            Self::Zlib => "1 to 9",
            Self::Lz4 => "0 to 12",
            Self::Zstd => "1 to 22",
            Self::Xz | Self::MicroLzma => "0 to 9 and 100 to 109",
        }
    }

    fn has_window(self, window: u32) -> bool {
        if window == 0 {
            return true;
        }
        match self {
            Self::Lz4 => false,
            Self::Deflate | Self::Zlib => window == DEFLATE_WINDOW,
            Self::Zstd => window.is_power_of_two() && (1 << 10..=LARGEST_WINDOW).contains(&window),
            Self::Xz | Self::MicroLzma => (1 << 12..=LARGEST_WINDOW).contains(&window),
        }
    }

    /// Its windows in words.
    const fn windows(self) -> &'static str {
        match self {
            Self::Lz4 => "none but 0",
            Self::Deflate | Self::Zlib => "32768",
            Self::Zstd => "powers of two from 1024 to 16777216",
            Self::Xz | Self::MicroLzma => "4096 to 16777216",
        }
    }

    const fn has_limit(self) -> bool {
        !matches!(self, Self::Zlib | Self::Xz)
    }
}

/// What `xz` does to machine code before it compresses, so that addresses repeat.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Filter {
    /// Nothing.
    #[default]
    None,
    /// For x86 and x86-64.
    X86,
    /// For 64-bit ARM.
    Arm64,
    /// For 32-bit ARM.
    Arm,
    /// For Thumb.
    ArmThumb,
    /// For big-endian PowerPC.
    PowerPc,
    /// For SPARC.
    Sparc,
    /// For IA-64.
    Ia64,
    /// For 64-bit and 32-bit RISC-V.
    RiscV,
}

/// The one window of libdeflate, and the largest of the format.
const DEFLATE_WINDOW: u32 = 32 << 10;

/// No block is longer, so that no larger window would find more.
const LARGEST_WINDOW: u32 = 16 << 20;

/// The least bytes of a piece with a limit, and of the units that it is counted in: a sector. It bounds how many pieces a
/// block becomes.
const SECTOR: u32 = 512;

/// How to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Settings {
    /// The method.
    pub method: Method,
    /// The level; each method says which it has.
    pub level: u32,
    /// The bytes of the dictionary or window; 0 for what the level brings. LZ4 has none, DEFLATE only one (32 KiB), zstd powers of
    /// two from 1 KiB, LZMA any number from 4 KiB; both to 16 MiB, the length of the longest block.
    pub window: u32,
    /// A filter; of [`Method::Xz`] alone.
    pub filter: Filter,
    /// The most bytes of a piece, from 512 to 16 MiB; 0 for one piece a block, however long. Not of [`Method::Zlib`] and [`Method::Xz`].
    pub limit: u32,
    /// In what the file system allots room, in bytes; 0 counts as 1. A piece that takes as many units as its content would is
    /// not kept. With a limit, the unit is from 512 bytes to that, and content that does not compress goes into such pieces of one unit.
    pub unit: u32,
}

impl Settings {
    /// The method at a level, with nothing else set: one piece a block, kept if it is shorter than its content.
    #[must_use]
    pub const fn new(method: Method, level: u32) -> Self {
        Self {
            method,
            level,
            window: 0,
            filter: Filter::None,
            limit: 0,
            unit: 1,
        }
    }

    /// Whether the method has all that is set.
    ///
    /// # Errors
    /// [`SettingsError`] with what it has not.
    pub fn check(&self) -> Result<(), SettingsError> {
        let method = self.method.name();
        if !self.method.has_level(self.level) {
            return Err(SettingsError::Level {
                method,
                level: self.level,
                levels: self.method.levels(),
            });
        }
        if !self.method.has_window(self.window) {
            return Err(SettingsError::Window {
                method,
                window: self.window,
                windows: self.method.windows(),
            });
        }
        if self.filter != Filter::None && self.method != Method::Xz {
            return Err(SettingsError::Filter { method });
        }
        if self.limit != 0 {
            let bounds = SECTOR..=LARGEST_WINDOW;
            if !self.method.has_limit() || !bounds.contains(&self.limit) {
                return Err(SettingsError::Limit {
                    method,
                    limit: self.limit,
                    limits: if self.method.has_limit() {
                        "they have at least 512, and at most 16777216"
                    } else {
                        "it has none with a limit"
                    },
                });
            }
            if !(SECTOR..=self.limit).contains(&self.unit) {
                return Err(SettingsError::Unit {
                    unit: self.unit,
                    limit: self.limit,
                });
            }
        }
        Ok(())
    }

    /// The unit, never 0.
    pub(crate) fn unit(&self) -> usize {
        self.unit.max(1) as usize
    }

    /// Whether a piece takes fewer units than its content.
    pub(crate) fn saves(&self, consumed: usize, produced: usize) -> bool {
        produced.div_ceil(self.unit()) < consumed.div_ceil(self.unit())
    }
}
