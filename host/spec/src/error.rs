//! What can be wrong with a spec.

use std::fmt;

use thiserror::Error;

use super::diagnostic::{Diagnostic, render};
use super::place::{Files, Place};
use super::value::ValueError;
use super::volumes::fault::VolumeFault;
use super::yaml::YamlFault;
use cellblock_text::excerpt;

/// The most problems that are drawn: each is looked for in the whole text, and nobody mends more at a time.
const MOST_SAID: usize = 50;

/// A spec that cannot be used: everything that is wrong with it, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// At least one problem.
    pub problems: Vec<Problem>,
}

impl SpecError {
    /// Draws the problems beside their lines in `files`, which the spec was read from: the first 50, and how many more there
    /// are. The result ends without a newline.
    pub fn render(&self, files: &Files, color: bool) -> String {
        let said = self.problems.iter().take(MOST_SAID);
        let diagnostics: Vec<Diagnostic> = said.map(Problem::diagnostic).collect();
        let drawn = render(&diagnostics, files, color);
        match self.unsaid() {
            0 => drawn,
            more => {
                format!("{drawn}\n\nerror: {more} more mistakes; these are the first {MOST_SAID}")
            }
        }
    }

    /// How many problems are not drawn.
    fn unsaid(&self) -> usize {
        self.problems.len().saturating_sub(MOST_SAID)
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(MOST_SAID).enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{problem}")?;
        }
        match self.unsaid() {
            0 => Ok(()),
            more => write!(formatter, "; {more} more mistakes"),
        }
    }
}

impl std::error::Error for SpecError {}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{within}{kind}")]
pub struct Problem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// Where.
    pub place: Place,
    /// The table that it is in.
    pub within: Within,
}

impl Problem {
    fn diagnostic(&self) -> Diagnostic {
        Diagnostic {
            title: self.to_string(),
            place: Some((self.place.clone(), self.kind.label())),
            related: self.kind.related(),
            help: self.kind.help(),
        }
    }
}

/// The table of the spec that a problem is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Within {
    /// The top of the file.
    Top,
    /// `[disk]`.
    Disk,
    /// A partition: its place in the file counted from 1, and its name if it has one.
    Partition {
        /// Its place in the file, counted from 1.
        position: usize,
        /// Its name, if it has one.
        name: Option<String>,
    },
    /// `[boot]`, or a table in it.
    Boot {
        /// The table, such as `grub-efi`.
        part: Option<&'static str>,
    },
    /// A volume of imagecraft's or snapd's.
    Volume {
        /// Its name.
        name: String,
    },
    /// A structure of snapd's, which need not be a partition: its place in the volume counted from 1, and its name if it
    /// has one.
    Structure {
        /// Its place in the volume, counted from 1.
        position: usize,
        /// Its name, if it has one.
        name: Option<String>,
    },
    /// A platform of imagecraft's.
    Platform {
        /// Its name.
        name: String,
    },
    /// `[cache]`.
    Cache,
    /// An entry of `[guests]`.
    Guest {
        /// The file system it makes.
        name: String,
    },
}

impl fmt::Display for Within {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Disk => write!(formatter, "disk: "),
            Self::Partition {
                name: Some(name), ..
            } => write!(formatter, "partition '{}': ", excerpt(name)),
            Self::Partition {
                position,
                name: None,
            } => write!(formatter, "partition {position}: "),
            Self::Boot { part: None } => write!(formatter, "boot: "),
            Self::Boot { part: Some(part) } => write!(formatter, "boot.{part}: "),
            Self::Structure {
                name: Some(name), ..
            } => write!(formatter, "structure '{}': ", excerpt(name)),
            Self::Structure {
                position,
                name: None,
            } => write!(formatter, "structure {position}: "),
            Self::Volume { name } => write!(formatter, "volume '{}': ", excerpt(name)),
            Self::Platform { name } => write!(formatter, "platform '{}': ", excerpt(name)),
            Self::Cache => write!(formatter, "cache: "),
            Self::Guest { name } => write!(formatter, "guest '{}': ", excerpt(name)),
        }
    }
}

/// What is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProblemKind {
    /// The text is not TOML.
    #[error("not valid TOML: {message}")]
    Syntax {
        /// What the parser says.
        message: String,
    },
    /// A key that two files give a value.
    #[error("the key `{}` is given twice", excerpt(.key))]
    GivenTwice {
        /// The key.
        key: String,
        /// Where it stands for the first time.
        first: Place,
    },
    /// A key beside a file in YAML, whose volumes leave no choice.
    #[error("`{key}` follows from the volume")]
    DecidedByVolume {
        /// The key.
        key: &'static str,
    },
    /// A key that means nothing here.
    #[error("unknown key `{}`", excerpt(.key))]
    UnknownKey {
        /// The key.
        key: String,
        /// The known key that is spelled most like it.
        nearest: Option<&'static str>,
        /// The keys that mean something here.
        known: Vec<&'static str>,
    },
    /// A key that must be there is not.
    #[error("the key `{key}` is missing")]
    MissingKey {
        /// The key.
        key: &'static str,
        /// What to write.
        example: &'static str,
    },
    /// A value that could not be understood.
    #[error("{}: {error}", excerpt(.key))]
    Value {
        /// The key.
        key: String,
        /// What is wrong with its value.
        error: ValueError,
    },
    /// A spec without partitions.
    #[error("there is no partition")]
    NoPartitions,
    /// A partition with a file system and raw content.
    #[error("both `filesystem` and `raw` are there")]
    FilesystemAndRaw,
    /// A hash tree in a partition that has content of its own.
    #[error("both `{verity}` and `{key}` are there")]
    VerityBeside {
        /// `verity` or `verity-signature`.
        verity: &'static str,
        /// The other key.
        key: &'static str,
    },
    /// A hash tree is of one thing.
    #[error("it names {found} of `of` and `behind = true`")]
    VerityOver {
        /// `both` or `none`.
        found: &'static str,
    },
    /// A hash tree behind data that are not there.
    #[error("`behind` is there, and neither `filesystem` nor `raw`")]
    VerityBehindNothing,
    /// A signature comes from one place.
    #[error("it names {found} of `key` and `signature`")]
    SignedBy {
        /// How many.
        found: usize,
    },
    /// Two profiles of a kernel with one name.
    #[error("there is a profile `{}` already", excerpt(.id))]
    SameProfile {
        /// The name.
        id: String,
    },
    /// A UUID of a superblock that is not to be there.
    #[error("`uuid` stands in the superblock, and superblock = false")]
    UuidWithoutSuperblock,
    /// Error correction over blocks of two sizes.
    #[error(
        "`fec-roots` needs blocks of one size: a data block has {data} bytes, and a hash block {hash}"
    )]
    FecOfUnequalBlocks {
        /// The bytes of a data block.
        data: u32,
        /// The bytes of a hash block.
        hash: u32,
    },
    /// A key of file systems in a partition without one.
    #[error("`{key}` needs a file system")]
    NeedsFilesystem {
        /// The key.
        key: &'static str,
    },
    /// A partition without content whose size nothing decides.
    #[error("nothing says how large this empty partition is")]
    EmptyWithoutSize,
    /// An empty partition with a size that only a formatter can decide.
    #[error("an empty partition has no minimum size")]
    EmptyMinimum,
    /// A content source that names none or several of its kinds.
    #[error(
        "a content source names {found} of `directory`, `archive`, `oci`, `image`, `file`, `text` and `template`"
    )]
    ContentKinds {
        /// How many it names.
        found: usize,
    },
    /// A text or a template that has no name.
    #[error("a `text` or `template` has no `to`")]
    WithoutDestination,
    /// A single file that names none or several of its kinds.
    #[error("it names {found} of `file`, `text` and `template`")]
    SingleFileKinds {
        /// How many it names.
        found: usize,
    },
    /// Two boot loaders that want to be what firmware starts.
    #[error("both `grub-efi` and `systemd-boot` are there")]
    TwoLoaders,
    /// A name that systemd-boot does not take.
    #[error("`{}` is no name of a boot entry", excerpt(.name))]
    NotAnEntry {
        /// As it was written.
        name: String,
    },
    /// A key of directories and archives beside a text or a file.
    #[error("`{key}` says nothing about a single file")]
    KeyOfTree {
        /// The key.
        key: &'static str,
    },
    /// A key of container images beside something else.
    #[error("`{key}` chooses among container images, and this is none")]
    KeyOfImage {
        /// The key.
        key: &'static str,
    },
    /// A folder of objects beside something else than a dumpfile.
    #[error("`basedir` is where the objects of a composefs dumpfile are, and this is none")]
    BasedirOfOther,
    /// The key of disk images beside something else.
    #[error("`partition` is one of a disk image, and this is none")]
    KeyOfDisk,
    /// Times of a text or a template, which have none.
    #[error("`times` says nothing about what is written here: it has no time of its own")]
    TimesOfText,
    /// An entry of `raw` that names several of a file and an address, or neither.
    #[error("an entry of `raw` names {found} of `file`, `lba-of` and `lba`")]
    RawKinds {
        /// How many it names.
        found: usize,
    },
    /// A key of one kind of `raw` entry in the other kind.
    #[error("`{key}` needs `{needs}`")]
    RawNeeds {
        /// The key.
        key: &'static str,
        /// What it goes with.
        needs: &'static str,
    },
    /// A key that one kind of table has no room for.
    #[error("`{key}` cannot be stored in {table}")]
    NotInThisTable {
        /// The key.
        key: &'static str,
        /// The kind of table, such as "an MBR".
        table: &'static str,
        /// What to write instead.
        instead: &'static str,
    },
    /// A partition of a disk without a table that does not say where it is.
    #[error("nothing says where this partition lies: the disk has no table")]
    NeedsOffset,
    /// The text is not YAML that can be read.
    #[error(transparent)]
    Yaml(#[from] YamlFault),
    /// What imagecraft or snapd would refuse.
    #[error(transparent)]
    Volume(#[from] VolumeFault),
    /// A size that a formatter would have to measure that is a command.
    #[error("a command makes this file system, and cannot tell its smallest size")]
    Unmeasured,
    /// A value that a command does not get.
    #[error("the {what} would be lost: the command line of this file system has no {placeholder}")]
    NotInCommandLine {
        /// What it is, such as `label`.
        what: String,
        /// What the command line would have to name.
        placeholder: String,
    },
    /// A file system that no guest makes.
    #[error("unknown file system `{}`", excerpt(.kind))]
    UnknownFilesystem {
        /// As it was written.
        kind: String,
        /// The known kind that is spelled most like it.
        nearest: Option<String>,
        /// The file systems there are guests for.
        known: Vec<String>,
    },
}

impl ProblemKind {
    /// Whether this key in the table would have been all that it takes.
    pub(crate) fn is_lack_of(&self, wished: &str) -> bool {
        match self {
            Self::MissingKey { key, .. } => *key == wished,
            Self::NeedsFilesystem { .. } => wished == "filesystem",
            Self::EmptyWithoutSize => {
                matches!(
                    wished,
                    "size" | "filesystem" | "raw" | "verity" | "verity-signature"
                )
            }
            Self::ContentKinds { found: 0 } => {
                matches!(
                    wished,
                    "directory" | "archive" | "oci" | "file" | "text" | "template"
                )
            }
            Self::WithoutDestination => wished == "to",
            Self::NeedsOffset => wished == "offset",
            Self::NoPartitions => wished == "partition",
            _ => false,
        }
    }

    /// What to say at the place.
    fn label(&self) -> String {
        match self {
            Self::Syntax { .. } | Self::Yaml(_) => "here".to_owned(),
            Self::Volume(fault) => fault.label(),
            Self::UnknownKey {
                nearest: Some(nearest),
                ..
            } => format!("did you mean `{nearest}`?"),
            Self::UnknownKey { .. } => "nothing has this name".to_owned(),
            Self::MissingKey { .. } => "in this table".to_owned(),
            Self::GivenTwice { .. } | Self::DecidedByVolume { .. } => "here".to_owned(),
            Self::Value { .. } => "this value".to_owned(),
            Self::NoPartitions => "in this file".to_owned(),
            Self::FilesystemAndRaw | Self::VerityBeside { .. } => "one of them must go".to_owned(),
            Self::VerityOver { .. } => "this hash tree".to_owned(),
            Self::VerityBehindNothing => "there are no data to stand behind".to_owned(),
            Self::UuidWithoutSuperblock => "nothing holds it".to_owned(),
            Self::FecOfUnequalBlocks { .. } => "it goes over both".to_owned(),
            Self::SignedBy { .. } => "this signature".to_owned(),
            Self::SameProfile { .. } => "the other one".to_owned(),
            Self::NeedsFilesystem { .. } => "this partition has none".to_owned(),
            Self::EmptyWithoutSize | Self::EmptyMinimum | Self::NeedsOffset => {
                "this partition".to_owned()
            }
            Self::ContentKinds { .. } | Self::WithoutDestination => "this source".to_owned(),
            Self::SingleFileKinds { .. } => "this file".to_owned(),
            Self::TwoLoaders => "one of them must go".to_owned(),
            Self::NotAnEntry { .. } => "this entry".to_owned(),
            Self::KeyOfTree { .. }
            | Self::KeyOfImage { .. }
            | Self::KeyOfDisk
            | Self::BasedirOfOther
            | Self::TimesOfText => "on this source".to_owned(),
            Self::RawKinds { .. } => "this entry".to_owned(),
            Self::RawNeeds { .. } => "on this entry".to_owned(),
            Self::NotInThisTable { table, .. } => format!("not in {table}"),
            Self::Unmeasured => "nothing measures this".to_owned(),
            Self::NotInCommandLine { .. } => "nothing takes this".to_owned(),
            Self::UnknownFilesystem {
                nearest: Some(nearest),
                ..
            } => {
                format!("did you mean `{nearest}`?")
            }
            Self::UnknownFilesystem { .. } => "no guest makes this".to_owned(),
        }
    }

    /// What to change, where the title and the label do not say it.
    fn help(&self) -> Option<String> {
        match self {
            Self::UnknownKey { known, .. } => {
                Some(format!("the keys here are {}", known.join(", ")))
            }
            Self::GivenTwice { .. } => Some(
                "keep one of them: of two files the tables are joined, and not their values"
                    .to_owned(),
            ),
            Self::MissingKey { example, .. } => Some(format!("write, for example, {example}")),
            Self::NoPartitions => Some("add a table that begins with [[partition]]".to_owned()),
            Self::FilesystemAndRaw => {
                Some("a partition is made by a formatter or copied from files, not both".to_owned())
            }
            Self::VerityBeside {
                verity: "verity", ..
            } => Some(
                "the data of this tree are in the partition that `of` names; behind = true puts a tree behind the data in its own"
                    .to_owned(),
            ),
            Self::VerityBeside { .. } => {
                Some("a signature has a partition of its own: `of` names the one with the data".to_owned())
            }
            Self::SignedBy { .. } => Some(
                "name exactly one of them: the private key, or a signature that was made where the key is"
                    .to_owned(),
            ),
            Self::VerityOver { .. } => Some(
                "name exactly one of them: `of` another partition, or behind = true for the data in this one"
                    .to_owned(),
            ),
            Self::VerityBehindNothing => {
                Some("give it a `filesystem` or `raw`, or name another partition by `of`".to_owned())
            }
            Self::UuidWithoutSuperblock => Some("remove one of them".to_owned()),
            Self::SameProfile { .. } => Some("give it another id".to_owned()),
            Self::FecOfUnequalBlocks { .. } => {
                Some("give `data-block-size` and `hash-block-size` one value, or leave both out".to_owned())
            }
            Self::NeedsFilesystem { .. } => {
                Some("add `filesystem`, for example filesystem = \"ext4\"".to_owned())
            }
            Self::EmptyWithoutSize | Self::EmptyMinimum => {
                Some("add a `size`, for example size = \"64MiB\"".to_owned())
            }
            Self::ContentKinds { .. } | Self::SingleFileKinds { .. } => {
                Some("name exactly one of them".to_owned())
            }
            Self::TwoLoaders => Some("firmware starts one of them".to_owned()),
            Self::NotAnEntry { .. } => Some(
                "write letters, digits, `+`, `-`, `_` and `.`; `.conf` is put behind it".to_owned(),
            ),
            Self::WithoutDestination => {
                Some("add the path of the file, for example to = \"/etc/hostname\"".to_owned())
            }
            Self::KeyOfTree { key } => {
                Some(format!("remove `{key}`, or name a directory or an archive"))
            }
            Self::KeyOfImage { key } => {
                Some(format!("remove `{key}`, or name an image with `oci`"))
            }
            Self::BasedirOfOther => {
                Some("remove `basedir`, or name a dumpfile with `composefs`".to_owned())
            }
            Self::KeyOfDisk => Some("remove `partition`, or name a disk with `image`".to_owned()),
            Self::TimesOfText => Some("remove `times`".to_owned()),
            Self::RawKinds { .. } => Some(
                "name one: a file to copy, or a partition or an offset whose sector is written"
                    .to_owned(),
            ),
            Self::RawNeeds { .. } | Self::DecidedByVolume { .. } => Some("remove it".to_owned()),
            Self::NotInThisTable { instead, .. } => Some((*instead).to_owned()),
            Self::NeedsOffset => Some("add an `offset`, for example offset = \"32KiB\"".to_owned()),
            Self::Unmeasured => Some("give a size, for example size = \"64MiB\"".to_owned()),
            Self::NotInCommandLine { what, placeholder } => Some(format!(
                "add {placeholder} to `command`, or remove the {what}"
            )),
            Self::UnknownFilesystem { known, .. } => Some(format!(
                "the file systems are {}; a formatter of your own is named in [guests]",
                known.join(", ")
            )),
            Self::Volume(fault) => fault.help(),
            Self::Syntax { message } if message.contains("leading zero") => Some(
                "a number has no leading zero; a mode goes in quotes, as in mode = \"0644\"".to_owned(),
            ),
            Self::Syntax { .. } | Self::Yaml(_) | Self::Value { .. } => None,
        }
    }

    /// The other place that it has to do with, and what to say there.
    fn related(&self) -> Option<(Place, String)> {
        let place = match self {
            Self::GivenTwice { first, .. } => Some(first.clone()),
            Self::Yaml(fault) => fault.related(),
            Self::Volume(fault) => fault.related(),
            _ => None,
        };
        place.map(|place| (place, "the other one".to_owned()))
    }
}
