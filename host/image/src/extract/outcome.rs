//! What a copy takes along, what it has made, and why it stopped.

use std::io;
use std::path::PathBuf;

use cellblock_text::PathBytes;
use cellblock_tree::NodeId;
use cellblock_tree::source::SourceError;

/// What is taken along beside bytes, names, the permissions of users, and times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taking {
    /// Set-user-ID, set-group-ID and sticky bits.
    pub special_bits: bool,
    /// Devices, fifos and sockets.
    pub special_files: bool,
    /// Owners and groups.
    pub owners: bool,
}

impl Taking {
    /// The bits of a mode that are taken along.
    pub(super) fn bits(self) -> u16 {
        if self.special_bits { 0o7777 } else { 0o777 }
    }
}

/// What was written, and what was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Files, directories and links that were made.
    pub made: u64,
    /// The bytes of data of the files.
    pub bytes: u64,
    /// Devices, fifos and sockets that were left out.
    pub special_files: u64,
    /// Files and directories whose special bits were left out.
    pub special_bits: u64,
    /// Files and directories whose extended attributes were left out.
    pub attributes: u64,
    /// Those that have another time than they were given: no file system holds all.
    pub times: Altered,
    /// Those that have other permissions than they were given.
    pub modes: Altered,
}

/// What the target's file system has not taken as it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Altered {
    /// How many there are.
    pub count: u64,
    /// The first of them in the order of the tree.
    pub first: Option<NodeId>,
}

impl Altered {
    pub(super) fn note(&mut self, node: NodeId, is_altered: bool) {
        if is_altered {
            self.count += 1;
            self.first = Some(self.first.map_or(node, |first| first.min(node)));
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            first: self.first.into_iter().chain(other.first).min(),
        }
    }
}

/// Why it stopped. What was made until then is left.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The directory cannot be opened.
    #[error("{}: {source}", folder.display())]
    Folder {
        /// The directory.
        folder: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// Something cannot be made.
    #[error("{}: {path}: {source}{}", folder.display(), hint(source))]
    Make {
        /// The directory.
        folder: PathBuf,
        /// The path beneath it.
        path: PathBytes,
        /// What the kernel says.
        source: io::Error,
    },
    /// The tree cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It stopped on the way.
    #[error("{error}; {} files, directories and links are left there{}", left.made, left.unfinished())]
    Stopped {
        /// Why.
        error: Box<ExtractError>,
        /// What was made until then.
        left: Left,
    },
}

/// What is left of a copy that stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Files, directories and links.
    pub made: u64,
    /// Those of the files that have not all of their bytes.
    pub empty: u64,
    /// The first of these, beneath the directory.
    pub first: Option<PathBytes>,
}

impl Left {
    fn unfinished(&self) -> String {
        match &self.first {
            None => String::new(),
            Some(first) => format!(
                ", {} of them without all of their bytes, the first {first}",
                self.empty
            ),
        }
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            "; nothing that is there is replaced: name an empty directory"
        }
        _ => "",
    }
}
