//! How what has no owners is told: all of it is root's.

use std::borrow::Cow;

use cellblock_guest::reader::ReaderError;
use cellblock_guest::{Kind, Node, NodeId, Timestamp};

/// The mode of a directory.
const DIRECTORY: u16 = 0o755;
/// The modes of files.
const FILE: u16 = 0o644;
const READ_ONLY: u16 = 0o444;

/// The root, which has no entry, and no time.
pub(crate) fn root() -> Node<'static> {
    let time = Timestamp::default();
    node(NodeId::ROOT, b"", Kind::Directory, DIRECTORY, time)
}

pub(crate) fn directory(parent: NodeId, name: &[u8], modified: Timestamp) -> Node<'_> {
    node(parent, name, Kind::Directory, DIRECTORY, modified)
}

pub(crate) fn file<'a>(
    parent: NodeId,
    name: &'a [u8],
    kind: Kind<'static>,
    is_read_only: bool,
    modified: Timestamp,
) -> Node<'a> {
    let mode = if is_read_only { READ_ONLY } else { FILE };
    node(parent, name, kind, mode, modified)
}

fn node<'a>(
    parent: NodeId,
    name: &'a [u8],
    kind: Kind<'static>,
    mode: u16,
    modified: Timestamp,
) -> Node<'a> {
    Node {
        parent,
        name: Cow::Borrowed(name),
        kind,
        mode,
        uid: 0,
        gid: 0,
        modified,
        attributes: Cow::Borrowed(&[]),
    }
}

/// What is hidden, or of the system: marks that are not told.
#[derive(Debug, Default)]
pub(crate) struct Marked {
    count: u64,
    /// The name of the first.
    first: String,
}

impl Marked {
    /// Counts one, if it is marked.
    pub(crate) fn note(&mut self, is_marked: bool, name: &[u8]) {
        if !is_marked {
            return;
        }
        if self.count == 0 {
            self.first = String::from_utf8_lossy(name).escape_debug().to_string();
        }
        self.count += 1;
    }

    /// What is to be said of them to who copies them.
    pub(crate) fn warning(&self) -> Option<String> {
        let Self { count, first } = self;
        (*count > 0).then(|| {
            format!("files and folders that are marked as hidden or system: {count}, the first of them '{first}'; copies of them have no such marks")
        })
    }
}

/// Files with parts of a long name that are none together: Linux, too, shows their short names.
#[derive(Debug, Default)]
pub(crate) struct Torn {
    count: u64,
    /// The short name of the first.
    first: String,
}

impl Torn {
    /// Counts those of a directory, of which this is the first.
    pub(crate) fn note(&mut self, count: u64, first: &[u8]) {
        if count > 0 && self.count == 0 {
            self.first = String::from_utf8_lossy(first).escape_debug().to_string();
        }
        self.count += count;
    }

    /// What is to be said of them.
    pub(crate) fn warning(&self) -> Option<String> {
        let Self { count, first } = self;
        (*count > 0).then(|| {
            format!("files and folders whose long names are damaged: {count}, the first of them '{first}'; they are told by their short names")
        })
    }
}

/// That a directory has two entries of a name.
pub(crate) fn twice(directory: &str, name: &[u8]) -> ReaderError {
    let name = String::from_utf8_lossy(name);
    let problem = format!("has two entries called '{}'", name.escape_debug());
    ReaderError::damaged(directory, None, problem)
}

/// A serial number as it is usually written: `1A2B-3C4D`.
pub(crate) fn serial(number: u32) -> String {
    format!("{:04X}-{:04X}", number >> 16, number & 0xFFFF)
}
