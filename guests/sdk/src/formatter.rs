//! What a formatter is asked, and what it answers.

use crate::{Encoder, FormatError, Output, SettingProblem, Timestamp, Tree};

/// 128 bits, in the order in which a UUID is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uuid(pub [u8; 16]);

impl std::fmt::Display for Uuid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

bitflags::bitflags! {
    /// What a format may leave out without an error.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Losses: u8 {
        /// Symbolic links.
        const SYMLINKS = 1;
        /// Devices, fifos and sockets.
        const SPECIAL_FILES = 1 << 1;
        /// That two names are one file: each name gets a copy.
        const HARD_LINKS = 1 << 2;
        /// Owners and groups.
        const OWNERS = 1 << 3;
        /// Permission bits.
        const PERMISSIONS = 1 << 4;
        /// Extended attributes.
        const ATTRIBUTES = 1 << 5;
    }
}

/// Everything that decides the bytes of a file system beside its tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Which of the formatter's kinds to make.
    pub kind: String,
    /// The size of the partition in bytes; 0 in [`Formatter::measure`].
    pub size: u64,
    /// Where the partition begins on its disk, in bytes; 0 if it is on none.
    pub disk_offset: u64,
    /// The disk's logical sector in bytes: 512 or 4096.
    pub sector_size: u32,
    /// The label; empty for none.
    pub label: String,
    /// The file system's identifier; formats with shorter ones take its last bytes.
    pub uuid: Uuid,
    /// From where every other identifier derives.
    pub seed: Uuid,
    /// The time of all that the formatter makes itself.
    pub time: Timestamp,
    /// What may be left out.
    pub drop: Losses,
    /// Options as name and value, in the user's order, no name twice.
    pub settings: Vec<(String, String)>,
}

impl Request {
    /// The value of the option `name`, if it is given.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    /// Refuses settings that `description` does not have.
    ///
    /// # Errors
    /// [`FormatError::Setting`] with [`SettingProblem::Unknown`] for the first such.
    pub fn check_settings(&self, description: &Description) -> Result<(), FormatError> {
        for (name, _) in &self.settings {
            if !description.options.iter().any(|known| known.name == *name) {
                return Err(FormatError::setting(name, SettingProblem::Unknown));
            }
        }
        Ok(())
    }
}

/// An option that a formatter knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionDescription {
    /// The name, in lower case with hyphens.
    pub name: &'static str,
    /// The form of its values, as `PERCENT` or `yes|no`.
    pub value: &'static str,
    /// What it is if not given.
    pub default: &'static str,
    /// What it does, in a sentence.
    pub documentation: &'static str,
}

/// What tells a file system from others of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identifier {
    /// A UUID.
    Uuid,
    /// A serial number of 32 bits: the last bytes of [`Request::uuid`].
    Serial,
    /// Nothing: the format stores none.
    None,
}

/// What a file system of one kind is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindDescription {
    /// The kind, as the spec's `filesystem` names it.
    pub name: &'static str,
    /// What tells a file system of this kind from others.
    pub identifier: Identifier,
    /// Whether systems show its labels in capitals, so that two that differ only in case look the same.
    pub capital_labels: bool,
    /// Whether it may take less room than its content has bytes.
    pub compresses: bool,
    /// Whether UEFI firmware can read it.
    pub uefi: bool,
}

impl KindDescription {
    /// A kind that stores labels and content as they are, and that firmware does not read.
    #[must_use]
    pub const fn plain(name: &'static str, identifier: Identifier) -> Self {
        Self {
            name,
            identifier,
            capital_labels: false,
            compresses: false,
            uefi: false,
        }
    }
}

/// What a formatter is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The name.
    pub name: &'static str,
    /// The version.
    pub version: &'static str,
    /// What it makes, in a sentence.
    pub summary: &'static str,
    /// The kinds that it makes.
    pub kinds: &'static [KindDescription],
    /// The options.
    pub options: &'static [OptionDescription],
    /// The longest label in bytes.
    pub label_limit: u32,
    /// What the format has no room for.
    pub lacks: Losses,
}

impl Description {
    /// Whether the formatter makes `kind`.
    #[must_use]
    pub fn makes(&self, kind: &str) -> bool {
        self.kinds.iter().any(|known| known.name == kind)
    }
}

/// Something worth telling of a finished file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// What it is, as `block size`.
    pub name: &'static str,
    /// Its value.
    pub value: String,
}

/// What came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The bytes of the partition that hold metadata or content.
    pub used: u64,
    /// What else is worth telling, in a fixed order.
    pub properties: Vec<Property>,
}

/// A maker of file systems.
pub trait Formatter {
    /// Tells what this formatter is.
    fn describe() -> Description;

    /// The smallest size in bytes of a partition that holds the tree: [`Formatter::format`] succeeds at this size
    /// and fails with [`FormatError::TooSmall`] one sector below.
    ///
    /// # Errors
    /// [`FormatError`] if no size would do.
    fn measure(request: &Request, tree: &mut dyn Tree) -> Result<u64, FormatError>;

    /// Makes the file system with the tree in it. The partition reads as zeros at first, and what is not written
    /// stays so.
    ///
    /// # Errors
    /// [`FormatError`] if the tree does not fit, cannot be stored, or the host fails.
    fn format(
        request: &Request,
        tree: &mut dyn Tree,
        output: &mut dyn Output,
    ) -> Result<Summary, FormatError>;
}

/// A maker of file systems that compresses, or stores equal content once: a [`Formatter`] that has an [`Encoder`] too.
pub trait EncodingFormatter {
    /// Tells what this formatter is.
    fn describe() -> Description;

    /// As [`Formatter::measure`]. What it encodes, [`EncodingFormatter::format`] finds encoded.
    ///
    /// # Errors
    /// [`FormatError`] if no size would do.
    fn measure(
        request: &Request,
        tree: &mut dyn Tree,
        encoder: &mut dyn Encoder,
    ) -> Result<u64, FormatError>;

    /// As [`Formatter::format`].
    ///
    /// # Errors
    /// [`FormatError`] if the tree does not fit, cannot be stored, or the host fails.
    fn format(
        request: &Request,
        tree: &mut dyn Tree,
        encoder: &mut dyn Encoder,
        output: &mut dyn Output,
    ) -> Result<Summary, FormatError>;
}
