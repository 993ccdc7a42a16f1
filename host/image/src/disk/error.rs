//! What a disk in a format of virtual machines has that is not read, or cannot be.

use cellblock_text::{PathBytes, exact, grouped};

/// Why there is no disk in a file, or a part of it is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskFault {
    /// What is not in it is in another file.
    #[error(
        "what it does not hold itself is in {base}, and no file that an image names is opened; where that is at hand, \
         `qemu-img convert` makes one whole image of both"
    )]
    Base {
        /// What it calls the other file.
        base: PathBytes,
    },
    /// Its data is in other files.
    #[error("its data is in {file}, and no file that an image names is opened{}", hint(*.is_plain))]
    DataFile {
        /// What it calls the first of them.
        file: PathBytes,
        /// Whether that is the plain disk.
        is_plain: bool,
    },
    /// A file is one of several that make up a disk.
    #[error("it is one of several files of a disk; `qemu-img convert` makes one image of them")]
    OneOfSeveral,
    /// It is encrypted.
    #[error(
        "it is encrypted ({method}); `qemu-img convert` takes the secret and makes a plain one"
    )]
    Encrypted {
        /// By what.
        method: String,
    },
    /// It is marked as damaged.
    #[error("it is marked as corrupt; `qemu-img check -r all` may mend it")]
    MarkedCorrupt,
    /// A version of the format that is not read.
    #[error("it is of version {version}, and {read} are read")]
    Version {
        /// Its version.
        version: u32,
        /// Those that are read.
        read: &'static str,
    },
    /// A kind of the format that is not read.
    #[error("it is {kind}, which is not read; `qemu-img convert` makes another of it")]
    Kind {
        /// Which.
        kind: String,
    },
    /// It needs what is not known.
    #[error("it has features that are not known, by the bits {bits:#x}")]
    Features {
        /// The bits that stand for them.
        bits: u64,
    },
    /// A number that cannot be.
    #[error("{what} is {value}, and has to be {expected}")]
    Number {
        /// Of what.
        what: &'static str,
        /// The number.
        value: u64,
        /// What it can be.
        expected: String,
    },
    /// Text that cannot be.
    #[error("{what} cannot be understood")]
    Malformed {
        /// What cannot.
        what: &'static str,
    },
    /// A checksum that is not that of what it stands in.
    #[error("the checksum of {what} is wrong")]
    Checksum {
        /// Of what.
        what: &'static str,
    },
    /// Something that would be behind the end of the file.
    #[error(
        "{what} would be at byte {} with {}, and the file has {}",
        grouped(*offset), exact(*length), exact(*file)
    )]
    Outside {
        /// What.
        what: &'static str,
        /// Where it would begin.
        offset: u64,
        /// Its length in bytes.
        length: u64,
        /// The bytes of the file.
        file: u64,
    },
    /// Two places of the disk lead to one of the file.
    #[error("{what} at byte {} is used twice", grouped(*offset))]
    Twice {
        /// What.
        what: &'static str,
        /// Where it is.
        offset: u64,
    },
    /// More data than the file has room for.
    #[error(
        "its first {} would be more data than its file has room for, which has {}", exact(*data), exact(*file)
    )]
    TooMuch {
        /// As many bytes of the disk were looked at.
        data: u64,
        /// The bytes of the file.
        file: u64,
    },
    /// A compressed part that has another length.
    #[error("what is compressed at byte {} has {} in place of {}", grouped(*offset), exact(*found), grouped(*expected))]
    Length {
        /// Where it is.
        offset: u64,
        /// Its length in bytes.
        found: u64,
        /// What was to come out.
        expected: u64,
    },
    /// A compressed part that is damaged.
    #[error("what is compressed at byte {} cannot be read: {reason}", grouped(*offset))]
    Damaged {
        /// Where it is.
        offset: u64,
        /// Why.
        reason: String,
    },
}

fn hint(is_plain: bool) -> &'static str {
    if is_plain {
        ": that is the plain disk itself, so name it"
    } else {
        ""
    }
}

impl From<DiskFault> for std::io::Error {
    fn from(fault: DiskFault) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, fault)
    }
}
