//! Why a value is not taken: each says what was typed, and how it is written.

use std::fmt;

use cellblock_text::excerpt;
use thiserror::Error;

use crate::size::SizeError;
use cellblock_contract::CommandLineError;
use cellblock_table::{Scheme, TypeError};
use cellblock_tree::source::ModeRuleError;

/// A value that could not be understood. Every variant carries the text as it was written.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ValueError {
    /// The value has another type than the key takes.
    #[error("this is {found}: write {expected}")]
    WrongType {
        /// What the key takes.
        expected: &'static str,
        /// The type that was written.
        found: &'static str,
    },
    /// The command line of a guest.
    #[error(transparent)]
    Command(#[from] CommandLineError),
    /// Not the platform of a container image.
    #[error(
        "`{}` is no platform: write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/arm64", excerpt(.text)
    )]
    NotAPlatform {
        /// What was written.
        text: String,
    },
    /// Where a guest comes from.
    #[error(transparent)]
    Guest(#[from] crate::guest::GuestFileError),
    /// A size or a size rule.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// A size in `volumes:`, which has a notation of its own.
    #[error(
        "`{}` is not a size: write a number of bytes, or one with M (MiB) or G (GiB), such as 256M", excerpt(.text)
    )]
    NotAVolumeSize {
        /// What was written.
        text: String,
    },
    /// Not a type for both tables of a hybrid in `volumes:`.
    #[error(
        "`{}` is no type of a hybrid table: write an MBR type, a comma and a GUID, such as \
         0C,C12A7328-F81F-11D2-BA4B-00A0C93EC93B", excerpt(.text)
    )]
    NotAHybridType {
        /// What was written.
        text: String,
    },
    /// Not a type of a structure in a gadget.
    #[error("`{}` is no type of a volume with {scheme}: write {}, `bare` or `mbr`", excerpt(.text), gadget_type_form(*.scheme))]
    NotAGadgetType {
        /// What was written.
        text: String,
        /// The kind of table.
        scheme: Scheme,
    },
    /// A word that is too short or too long.
    #[error("it has {length} characters: write at least {least} and at most {most}")]
    WrongLength {
        /// In characters.
        length: usize,
        /// In characters.
        least: usize,
        /// In characters.
        most: usize,
    },
    /// Not the name of a project of imagecraft's.
    #[error(
        "`{}` is no name of a project: write small letters, digits and single hyphens between them, and a letter among them", excerpt(.text)
    )]
    NotAProjectName {
        /// What was written.
        text: String,
    },
    /// Not a version of a project of imagecraft's.
    #[error(
        "`{}` is no version: write letters and digits, and between them periods, colons, hyphens, + and ~", excerpt(.text)
    )]
    NotAVersion {
        /// What was written.
        text: String,
    },
    /// Not one end of a connection in a gadget.
    #[error(
        "`{}` is no end of a connection: write a snap's identifier, or system, a colon and a name", excerpt(.text)
    )]
    NotAConnection {
        /// What was written.
        text: String,
    },
    /// Not a device that a volume can be assigned to.
    #[error(
        "`{}` is no device that can be named beforehand: write a path below /dev/disk/by-path or /dev/disk/by-id", excerpt(.text)
    )]
    NotADevice {
        /// What was written.
        text: String,
    },
    /// Not a place for an address in a gadget.
    #[error(
        "`{}` is no place of an address: write an offset of at most 4G, or one behind the name of a structure, such as mbr+92", excerpt(.text)
    )]
    NotAnOffsetWrite {
        /// What was written.
        text: String,
    },
    /// Not the size of a block.
    #[error("{bytes} bytes is no size of a block: write a power of two from {least} to {most}")]
    NotABlockSize {
        /// What was written, in bytes.
        bytes: u64,
        /// The smallest.
        least: u32,
        /// The largest.
        most: u32,
    },
    /// Not a salt.
    #[error(
        "`{}` is no salt: write two hexadecimal digits for each byte, at most 256 bytes, or `none`", excerpt(.text)
    )]
    NotASalt {
        /// What was written.
        text: String,
    },
    /// One of a fixed set of words.
    #[error("`{}` is none of {}", excerpt(.text), Choices(.choices))]
    NotAChoice {
        /// What was written.
        text: String,
        /// The words that can be written.
        choices: Vec<&'static str>,
    },
    /// An integer outside the range of its key.
    #[error("{} is outside the range {least} to {most}", excerpt(.text))]
    OutOfRange {
        /// What was written.
        text: String,
        /// The smallest value.
        least: u64,
        /// The largest value.
        most: u64,
    },
    /// Text that is empty where it must not be.
    #[error("the text is empty: write one character or more")]
    Empty,
    /// A word that YAML takes for something else than a string.
    #[error("YAML takes this for {found}: write it in quotes")]
    NeedsQuotes {
        /// What YAML takes it for.
        found: &'static str,
    },
    /// Not a UUID.
    #[error(
        "`{}` is not a UUID: write 32 hexadecimal digits, such as \"0fc63daf-8483-4772-8e79-3d69d8477de4\"", excerpt(.text)
    )]
    NotAUuid {
        /// What was written.
        text: String,
    },
    /// A partition's UUID that tells it from no other.
    #[error(
        "a UUID of zeros is what partitions without one have, and UEFI asks for one of each: write another one, or none to have one made"
    )]
    ZeroId,
    /// Not a seed.
    #[error(
        "`{}` is not a seed: write 32 hexadecimal digits, such as \"5f0c1a2b3c4d5e6f708192a3b4c5d6e7\", or \"random\"", excerpt(.text)
    )]
    NotASeed {
        /// What was written.
        text: String,
    },
    /// Neither a UUID nor a volume serial number of FAT.
    #[error(
        "`{}` is neither a UUID (32 hexadecimal digits) nor the serial number of a FAT volume \
         (8 hexadecimal digits, such as \"ABCD-1234\")", excerpt(.text)
    )]
    NotAFilesystemId {
        /// What was written.
        text: String,
    },
    /// Not an identifier of a disk.
    #[error("`{}` is not the identifier of a disk with {scheme}: write {}", excerpt(.text), disk_id_form(*.scheme))]
    NotADiskId {
        /// What was written.
        text: String,
        /// The kind of table.
        scheme: Scheme,
    },
    /// Not a pair of numeric identifiers.
    #[error(
        "`{}` is not an owner: write two numbers up to 4294967294, user and group, such as \"0:0\" (names are not looked up)", excerpt(.text)
    )]
    NotAnOwner {
        /// What was written.
        text: String,
    },
    /// Neither permission bits in octal nor clauses as chmod takes them.
    #[error(transparent)]
    Mode(#[from] ModeRuleError),
    /// Not a time.
    #[error("`{}` is not a time: write \"2024-01-31T12:00:00Z\", or whole seconds since 1970", excerpt(.text))]
    NotATime {
        /// What was written.
        text: String,
    },
    /// A number that other tools take for a date.
    #[error(
        "`{text}` may be a date, or seconds since 1970: write \"{}\", or \"+{text}\" if it is seconds",
        .date.as_deref().unwrap_or("2024-01-31T12:00:00Z")
    )]
    DateInDigits {
        /// What was written: 8 or 14 digits.
        text: String,
        /// The time that it is as a date, in UTC, if there is such a one.
        date: Option<String>,
    },
    /// Not a SHA-256 digest.
    #[error("`{}` is not a SHA-256 digest: write 64 hexadecimal digits", excerpt(.text))]
    NotADigest {
        /// What was written.
        text: String,
    },
    /// A destination that is no absolute path inside a file system.
    #[error(
        "`{}` is not a destination: write an absolute path inside the file system, such as \"/etc/fstab\", \
         without `..` components", excerpt(.text)
    )]
    NotADestination {
        /// What was written.
        text: String,
    },
    /// A unified kernel that systemd-boot would not show.
    #[error(
        "`{}` has no name that ends in `.efi`, and boot loaders look for no others: rename it", excerpt(.text)
    )]
    NotAKernel {
        /// What was written.
        text: String,
    },
    /// A name that no unified kernel can have.
    #[error(
        "`{}` is no name of a unified kernel: write letters, digits, `+`, `-`, `_` and `.`, and `.efi` behind them", excerpt(.text)
    )]
    NotAKernelName {
        /// What was written.
        text: String,
    },
    /// An add-on of a kernel is found by the end of its name.
    #[error(
        "`{}` is no name of an add-on: write letters, digits, `+`, `-`, `_` and `.`, and `.addon.efi` behind them", excerpt(.text)
    )]
    NotAnAddonName {
        /// What was written.
        text: String,
    },
    /// A profile of a kernel goes by its name.
    #[error("`{}` is no name of a profile: write letters, digits, `+`, `-`, `_` and `.`", excerpt(.text))]
    NotAProfile {
        /// What was written.
        text: String,
    },
    /// The title of a profile stands in one line, in quotation marks.
    #[error("`{}` is no title: write something in one line, without `\"` and `\\`", excerpt(.text))]
    NotATitle {
        /// What was written.
        text: String,
    },
    /// A partition type that the table does not know.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// An attribute of a partition that is not known by that name.
    #[error("`{}` is no known partition attribute: write {}, or a bit number from 0 to 63", excerpt(.text), Choices(.choices))]
    UnknownAttribute {
        /// What was written.
        text: String,
        /// The names that can be written.
        choices: Vec<&'static str>,
    },
    /// `KEY=VALUE` or `NAME=FILE` without its equals sign or one of its sides.
    #[error("`{}` has no value: write {form}", excerpt(.text))]
    NotAnAssignment {
        /// What was written.
        text: String,
        /// The form that is expected, such as `NAME=FILE.wasm`.
        form: &'static str,
    },
    /// Neither of the two things that become of times.
    #[error(
        "`{}` is not what becomes of times: write `clamp` (those after the given time become it) or `keep`", excerpt(.text)
    )]
    NotTimes {
        /// What was written.
        text: String,
    },
    /// Neither of the two things that become of hard links.
    #[error(
        "`{}` is not what becomes of hard links: write `keep` or `break` (each name becomes a file of its own)", excerpt(.text)
    )]
    NotHardLinks {
        /// What was written.
        text: String,
    },
    /// Not a part of a source.
    #[error(
        "`{}` names no directory in the source: write its path, such as \"rootfs\", without `..` components", excerpt(.text)
    )]
    NotAPart {
        /// What was written.
        text: String,
    },
    /// Not a number of names.
    #[error("`{}` is not a number of names to take off: write 0 to 65535", excerpt(.text))]
    NotACount {
        /// What was written.
        text: String,
    },
    /// Neither yes nor no.
    #[error("`{}` is neither `true` nor `false`", excerpt(.text))]
    NotABoolean {
        /// What was written.
        text: String,
    },
    /// An option of content that there is not.
    #[error(
        "`{name}` is no option of content{}; the options are {}; where it is part of a path, write the path in double quotes",
        nearest.as_ref().map(|nearest| format!(": did you mean `{nearest}`?")).unwrap_or_default(),
        Choices(known)
    )]
    UnknownContentOption {
        /// As it was typed.
        name: String,
        /// The option that is spelled most like it.
        nearest: Option<&'static str>,
        /// All options.
        known: &'static [&'static str],
    },
    /// A double quote that is not closed, or that something follows.
    #[error("`{}`: the double quote is not closed at the end, or before a comma and an option", excerpt(.text))]
    OpenQuote {
        /// What was written, from the quote on.
        text: String,
    },
    /// A content source without a path.
    #[error("`{}` names no file or directory before its options", excerpt(.text))]
    NoPath {
        /// What was written.
        text: String,
    },
}

/// Words in backquotes, parted by commas.
struct Choices<'a>(&'a [&'static str]);

impl fmt::Display for Choices<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, choice) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(formatter, "{comma}`{choice}`")?;
        }
        Ok(())
    }
}

fn gadget_type_form(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Gpt => "a GUID, two hexadecimal digits in capitals with a comma and a GUID",
        Scheme::Mbr => "two hexadecimal digits in capitals, these with a comma and a GUID",
        Scheme::None => "none",
    }
}

fn disk_id_form(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Gpt => "a UUID",
        Scheme::Mbr => "\"0x\" and 8 hexadecimal digits",
        Scheme::None => "none: nothing stores it",
    }
}
