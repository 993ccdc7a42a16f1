//! What the user should know of content that was read.

use std::fmt;
use std::path::PathBuf;

use cellblock_text::PathBytes;

/// Something about a source that is no error, and perhaps not what was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A pattern of `exclude` means nothing that is there.
    Unmatched {
        /// The source.
        root: PathBuf,
        /// The pattern.
        pattern: String,
    },
    /// Nothing is left of a source, since no path in it has more names than are taken off.
    Stripped {
        /// The source.
        root: PathBuf,
        /// How many names are taken off.
        strip: u32,
    },
    /// A file was left out, because the program is about to write it.
    LeftOut {
        /// The source.
        root: PathBuf,
        /// The file's path in it.
        path: PathBytes,
    },
    /// A source was taken for a container image by its looks.
    TakenForImage {
        /// The source.
        root: PathBuf,
    },
    /// The reader of a disk image has something to say.
    OfReader {
        /// The image.
        root: PathBuf,
        /// What.
        text: String,
    },
    /// A layer of an image has names below what is a symbolic link in a lower one.
    LinkHidden {
        /// The image.
        root: PathBuf,
        /// The layer.
        layer: String,
        /// The link's path.
        path: PathBytes,
        /// Where it leads.
        target: PathBytes,
        /// How many others there are in the layer.
        others: usize,
    },
    /// A layer of an image hides names below what is a symbolic link in a lower one, and so nothing.
    WhiteoutBelowLink {
        /// The image.
        root: PathBuf,
        /// The layer.
        layer: String,
        /// The link's path.
        path: PathBytes,
        /// Where it leads.
        target: PathBytes,
        /// How many others there are in the layer.
        others: usize,
    },
    /// Layers of an image have what overlayfs takes for marks of its own, and nobody has asked that they be heeded.
    OverlayMarks {
        /// The image.
        root: PathBuf,
        /// The first layer that has one.
        layer: String,
        /// The first member that has one, as the layer has it.
        path: PathBytes,
        /// What that is.
        what: &'static str,
        /// How many other members have one.
        others: usize,
    },
    /// A specification of owners and modes says what is left.
    Unheeded {
        /// The specification.
        metadata: PathBuf,
        /// The keywords, sorted.
        keywords: Vec<String>,
    },
    /// Pax headers of an archive have keywords that say nothing to this program.
    UnknownRecords {
        /// The archive, or the image whose layers they are in.
        root: PathBuf,
        /// The keywords, sorted.
        keywords: Vec<String>,
    },
    /// A source, or a layer of an image, has names below what is a file before it, and so that is lost.
    FileHidden {
        /// The source, or the layer.
        by: PathBytes,
        /// The file's path.
        path: PathBytes,
        /// What it was.
        what: &'static str,
        /// How many others there are.
        others: usize,
    },
    /// Behind the end of an archive are more members.
    BehindEnd {
        /// The archive.
        archive: String,
        /// Where the zeros begin that end it, in bytes, decompressed.
        end: u64,
        /// Where a header is.
        header: u64,
    },
    /// An archive has only what changed since an earlier one.
    Incremental {
        /// The archive.
        archive: String,
        /// How many of its directories list what it has not.
        directories: u64,
    },
    /// A source has something else where one before it has a directory, with all that is in that.
    DirectoriesHidden {
        /// The source.
        root: PathBytes,
        /// The first directory's path.
        path: PathBytes,
        /// What takes its place.
        by: &'static str,
        /// How many entries it has, those in its directories included.
        entries: u64,
        /// How many other directories are replaced.
        others: usize,
    },
    /// Others cannot enter the root directory, and so nothing of the file system.
    ClosedRoot {
        /// Its permission bits.
        mode: u16,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// A policy has different contexts for two names of one file.
    LabelsDiffer {
        /// The policy's file.
        contexts: PathBuf,
        /// The name whose context the file has.
        first: PathBytes,
        /// The other one.
        second: PathBytes,
        /// How many more names there are of which that is so.
        others: usize,
    },
}

impl Warning {
    /// That these files, with what each was, gave way to directories; `called` gives the first's own name for the message, and that of
    /// what has the directory.
    pub(super) fn of_files(
        files: Vec<(Vec<u8>, &'static str)>,
        called: impl FnOnce(&[u8]) -> (PathBytes, PathBytes),
    ) -> Option<Self> {
        let others = files.len().saturating_sub(1);
        let (path, what) = files.into_iter().min()?;
        let (by, path) = called(&path);
        Some(Self::FileHidden {
            by,
            path,
            what,
            others,
        })
    }
}

/// That it is so with others too, if there are any.
fn so_it_is_with(others: usize, nouns: &str) -> String {
    match others {
        0 => String::new(),
        others => format!("; so it is with {others} other {nouns}"),
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmatched { root, pattern } => {
                let root = root.display();
                write!(
                    formatter,
                    "{root}: exclude pattern '{pattern}' matches nothing"
                )
            }
            Self::Stripped { root, strip } => {
                let root = root.display();
                let names = if *strip == 1 { "name" } else { "names" };
                write!(
                    formatter,
                    "{root}: strip = {strip} leaves nothing of it: no path there has more than {strip} {names}"
                )
            }
            Self::LeftOut { root, path } => {
                let root = root.display();
                write!(
                    formatter,
                    "{root}: {path} is an output of this run, and left out"
                )
            }
            Self::TakenForImage { root } => {
                let root = root.display();
                write!(
                    formatter,
                    "{root}: is a container image, whose root file system is taken; to take it as it is, type directory: or archive: \
                     before its path, to say what it is, oci:"
                )
            }
            Self::Unheeded { metadata, keywords } => {
                let keywords = keywords.join(", ");
                write!(
                    formatter,
                    "{}: its keywords {keywords} change nothing: owners are taken from uid and gid, and names of users are looked up \
                     nowhere",
                    metadata.display()
                )
            }
            Self::UnknownRecords { root, keywords } => {
                let keywords = keywords.join(", ");
                write!(
                    formatter,
                    "{}: its pax headers have keywords that are not understood, and nothing is made of them: {keywords}",
                    root.display()
                )
            }
            Self::FileHidden {
                by,
                path,
                what,
                others,
            } => {
                let others = so_it_is_with(*others, "paths");
                write!(
                    formatter,
                    "{by}: has names below {path}, before it {what}, which gives way to a directory that nothing says more of{others}"
                )
            }
            Self::BehindEnd {
                archive,
                end,
                header,
            } => {
                let mark = match header - end {
                    512 => "a lone block of zeros",
                    _ => "the end mark",
                };
                write!(
                    formatter,
                    "{archive}: {mark} at byte {end} ends it, but more members follow from byte {header} on, which are not taken: where \
                     they are meant, unpack it with tar --ignore-zeros, and make the archive again"
                )
            }
            Self::Incremental {
                archive,
                directories,
            } => {
                let noun = match directories {
                    1 => "directory lists",
                    _ => "directories list",
                };
                write!(
                    formatter,
                    "{archive}: is an incremental archive: {directories} {noun} files that it has not or that were renamed; what it \
                     leaves out is not here, and what it says of deleted and renamed files is not done; a full one is made with tar \
                     --create --level=0 --listed-incremental=FILE"
                )
            }
            Self::DirectoriesHidden {
                root,
                path,
                by,
                entries,
                others,
            } => {
                let noun = if *entries == 1 { "entry" } else { "entries" };
                let others = match others {
                    0 => String::new(),
                    1 => "; so it is with another directory".to_owned(),
                    others => format!("; so it is with {others} other directories"),
                };
                write!(
                    formatter,
                    "{root}: has {by} at {path}, which hides the directory there with {entries} {noun}{others}"
                )
            }
            Self::ClosedRoot { mode, uid, gid } => write!(
                formatter,
                "the root directory has the mode {mode:04o} and the owner {uid}:{gid}, as its source has, and lets nobody else in: \
                 where others are to enter, make the mode of the source 0755"
            ),
            Self::LabelsDiffer {
                contexts,
                first,
                second,
                others,
            } => {
                let others = so_it_is_with(*others, "names");
                write!(
                    formatter,
                    "{}: has different contexts for {first} and {second}, which are one file; it has that of the first{others}",
                    contexts.display()
                )
            }
            Self::WhiteoutBelowLink {
                root,
                layer,
                path,
                target,
                others,
            } => {
                let root = root.display();
                let others = so_it_is_with(*others, "links");
                write!(
                    formatter,
                    "{root}: layer {layer} has whiteouts below {path}, in a lower layer a symbolic link to {target}: they hide nothing \
                     that the link leads to{others}"
                )
            }
            Self::OverlayMarks {
                root,
                layer,
                path,
                what,
                others,
            } => {
                let root = root.display();
                let others = so_it_is_with(*others, "members");
                write!(
                    formatter,
                    "{root}: layer {layer} has the member {path}, {what}: most likely a mark by which overlayfs hides what lower layers have, \
                     but it is taken as it is{others}; `overlay-whiteouts` has such marks hide"
                )
            }
            Self::OfReader { root, text } => write!(formatter, "{}: {text}", root.display()),
            Self::LinkHidden {
                root,
                layer,
                path,
                target,
                others,
            } => {
                let root = root.display();
                let others = match others {
                    0 => String::new(),
                    others => format!(", and so do {others} other links"),
                };
                write!(
                    formatter,
                    "{root}: layer {layer} has names below {path}, in a lower layer a symbolic link to {target}, which gives way \
                     to a directory, as it does in containerd and Docker{others}"
                )
            }
        }
    }
}
