//! What a codec refuses, and how it fails.

/// A setting that its method does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The level is none of the method's.
    #[error("{method} has no level {level}; it has {levels}")]
    Level {
        /// The method.
        method: &'static str,
        /// The level.
        level: u32,
        /// Those that it has.
        levels: &'static str,
    },
    /// The window is none of the method's.
    #[error("{method} has no window of {window} bytes; it has {windows}")]
    Window {
        /// The method.
        method: &'static str,
        /// The window in bytes.
        window: u32,
        /// Those that it has.
        windows: &'static str,
    },
    /// Only xz has filters.
    #[error("{method} has no filters")]
    Filter {
        /// The method.
        method: &'static str,
    },
    /// The method makes no pieces of at most so many bytes.
    #[error("{method} makes no pieces of at most {limit} bytes; {limits}")]
    Limit {
        /// The method.
        method: &'static str,
        /// The limit in bytes.
        limit: u32,
        /// Those that it has.
        limits: &'static str,
    },
    /// Pieces with a limit are counted in units of at least a sector, and at most that.
    #[error(
        "pieces of at most {limit} bytes have units of 512 to {limit} bytes, and not of {unit}"
    )]
    Unit {
        /// The unit in bytes.
        unit: u32,
        /// The limit in bytes.
        limit: u32,
    },
}

/// A library that failed, which with checked settings and enough memory none does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The settings cannot be.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The block is empty or too long.
    #[error("a block of {length} bytes, of 1 to {}", crate::BLOCK_LIMIT)]
    Block {
        /// The length of the block in bytes.
        length: usize,
    },
    /// The library gave up.
    #[error("{library} failed: {reason}")]
    Library {
        /// The library.
        library: &'static str,
        /// What it says.
        reason: String,
    },
}

impl Failure {
    pub(crate) fn library(library: &'static str, reason: impl Into<String>) -> Self {
        Self::Library {
            library,
            reason: reason.into(),
        }
    }
}
