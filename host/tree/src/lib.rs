//! What goes into a file system: nodes in one fixed order, and the bytes of their files.
//!
//! A [`Tree`] is made by [`crate::source::read_sources`] and never changes afterwards. Its nodes stand depth
//! first, parents before children, siblings by the bytes of their names, so that equal content gives an equal
//! tree wherever it came from:
//!
//! ```text
//! id  0 1   2           3      4   5
//!     / etc etc/fstab   etc/hosts usr usr/bin …
//! ```
//!
//! Metadata is in memory (about 150 bytes a node); file content stays where it is, in the source directory or
//! in the archive, and is fetched by a [`Reader`].

#![forbid(unsafe_code)]

mod digest;
mod known;
pub mod overlayfs;
pub mod pax;
mod reader;
pub mod recognise;
pub mod source;
mod totals;
pub mod validate;
pub mod volume;

use std::sync::Arc;

use crate::source::SourceError;
use crate::source::store::{Store, StoredFile};

use serde::{Deserialize, Serialize};

pub use digest::TreeDigests;
pub use known::{Disks, KnownFiles};
pub use reader::{Data, Extent, Portion, Reader};
pub use totals::Totals;

/// A node's position in the tree's order; the root is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The root directory.
    pub const ROOT: Self = Self(0);

    fn index(self) -> usize {
        index(self.0)
    }
}

/// A `u32` as an index. Linux targets have pointers of at least 32 bits.
pub(crate) fn index(id: u32) -> usize {
    usize::try_from(id).expect("a pointer holds 32 bits")
}

/// A point in time: seconds since 1970-01-01T00:00:00Z, negative before it, and nanoseconds that are added.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp {
    /// Seconds since the epoch.
    pub seconds: i64,
    /// Nanoseconds after that second, 0 to 999,999,999.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// 1980-01-01T00:00:00Z: the time of a tree of which nobody says any. It is the earliest that FAT stores.
    pub const FALLBACK: Self = Self {
        seconds: 315_532_800,
        nanoseconds: 0,
    };

    /// Seconds since the epoch with nine digits behind the point: -1.25 is a quarter of a second before -1.
    #[must_use]
    pub fn decimal(self) -> String {
        match (self.seconds, self.nanoseconds) {
            (whole @ ..0, fraction @ 1..) => {
                let whole = (whole + 1).unsigned_abs();
                format!("-{whole}.{:09}", 1_000_000_000 - fraction)
            }
            (whole, fraction) => format!("{whole}.{fraction:09}"),
        }
    }
}

/// An extended attribute in the kernel's own encoding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attribute {
    /// The full name with its namespace, such as `user.note` or `system.posix_acl_access`.
    pub name: Vec<u8>,
    /// The value, as `getxattr(2)` returns it.
    pub value: Vec<u8>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Length in bytes, holes included.
        size: u64,
        /// Whether the source has holes in it; [`Reader::ranges`] tells where it has data.
        sparse: bool,
    },
    /// A symbolic link, with its target.
    Symlink(Box<[u8]>),
    /// Another name of an earlier node, which is anything but a directory or another hard link.
    HardLink(NodeId),
    /// A character device.
    CharacterDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl Kind {
    /// What it is called in messages, with its article.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Directory => "a directory",
            Self::File { .. } => "a file",
            Self::Symlink(_) => "a symbolic link",
            Self::HardLink(_) => "a hard link",
            Self::CharacterDevice { .. } => "a character device",
            Self::BlockDevice { .. } => "a block device",
            Self::Fifo => "a fifo",
            Self::Socket => "a socket",
        }
    }
}

/// A stretch of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
}

/// One node, borrowed from its tree.
#[derive(Clone, Copy, Debug)]
pub struct Node<'t> {
    /// Where it stands.
    pub id: NodeId,
    /// The directory that it is in; the root is its own parent.
    pub parent: NodeId,
    /// Its name: any bytes but `/` and NUL; empty for the root.
    pub name: &'t [u8],
    /// What it is.
    pub kind: &'t Kind,
    /// The twelve permission bits; 0777 for every symbolic link.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change of its content.
    pub modified: Timestamp,
    /// Extended attributes, sorted by name, each once: [`validate`] has held them against the kernel's rules.
    pub attributes: &'t [Attribute],
}

/// A node as the tree keeps it. A name ends where the next one begins.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) parent: NodeId,
    pub(crate) name_start: usize,
    pub(crate) kind: Kind,
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) modified: Timestamp,
    /// Index into the tree's attribute sets.
    pub(crate) attributes: u32,
    /// Index into the tree's contents; meaningful for files only.
    pub(crate) content: u32,
}

/// The nodes that go into one file system. See the [module](self).
#[derive(Debug)]
pub struct Tree {
    pub(crate) entries: Vec<Entry>,
    pub(crate) names: Vec<u8>,
    pub(crate) attribute_sets: Vec<Arc<[Attribute]>>,
    pub(crate) contents: Vec<StoredFile>,
    pub(crate) stores: Vec<Box<dyn Store>>,
    pub(crate) newest: Timestamp,
    /// Whether any source has a time.
    pub(crate) dated: bool,
}

impl Tree {
    /// Number of nodes, the root included: at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a tree always has its root")]
    pub fn len(&self) -> u32 {
        u32::try_from(self.entries.len()).expect("nodes are counted when the tree is made")
    }

    /// The node at `id`.
    ///
    /// # Panics
    /// If `id` is not below [`Tree::len`].
    #[must_use]
    pub fn node(&self, id: NodeId) -> Node<'_> {
        let entry = &self.entries[id.index()];
        Node {
            id,
            parent: entry.parent,
            name: self.name(id),
            kind: &entry.kind,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            modified: entry.modified,
            attributes: &self.attribute_sets[index(entry.attributes)],
        }
    }

    /// The size in bytes of the file `id`; none of what is no file, or not in the tree.
    #[must_use]
    pub fn file_size(&self, id: NodeId) -> Option<u64> {
        match (id.0 < self.len()).then(|| self.node(id).kind) {
            Some(Kind::File { size, .. }) => Some(*size),
            _ => None,
        }
    }

    /// The node that a hard link is another name of, or the node itself.
    ///
    /// # Panics
    /// If `id` is not below [`Tree::len`].
    #[must_use]
    pub fn original(&self, id: NodeId) -> Node<'_> {
        let node = self.node(id);
        match node.kind {
            Kind::HardLink(first) => self.node(*first),
            _ => node,
        }
    }

    /// All nodes in order.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = Node<'_>> + ExactSizeIterator {
        (0..self.len()).map(|id| self.node(NodeId(id)))
    }

    fn name(&self, id: NodeId) -> &[u8] {
        let start = self.entries[id.index()].name_start;
        let end = self
            .entries
            .get(id.index() + 1)
            .map_or(self.names.len(), |next| next.name_start);
        &self.names[start..end]
    }

    /// The node's path from the root: `/etc/fstab`, or `/` for the root itself.
    ///
    /// # Panics
    /// If `id` is not below [`Tree::len`].
    #[must_use]
    pub fn path(&self, id: NodeId) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = id;
        while at != NodeId::ROOT {
            names.push(self.name(at));
            at = self.entries[at.index()].parent;
        }
        join_path(names.into_iter().rev())
    }

    /// The newest time of any node that a source has; when there is none, the default time, or else
    /// [`Timestamp::FALLBACK`].
    #[must_use]
    pub fn newest(&self) -> Timestamp {
        self.newest
    }

    /// Whether any node has a time from its source.
    #[must_use]
    pub fn is_dated(&self) -> bool {
        self.dated
    }

    /// The lengths of all files together, in bytes, holes included and hard links counted once.
    #[must_use]
    pub fn total_file_bytes(&self) -> u64 {
        self.totals(1).content
    }

    /// The bytes of each node by its number: of a file its length, of a directory that of all files below it. A hard link has none.
    #[must_use]
    pub fn sizes(&self) -> Vec<u64> {
        let mut sizes = vec![0_u64; self.entries.len()];
        // Children have larger numbers than their directories.
        for node in self.nodes().rev() {
            if let Kind::File { size, .. } = node.kind {
                sizes[node.id.index()] = *size;
            }
            if node.id != NodeId::ROOT {
                let size = sizes[node.id.index()];
                let parent = &mut sizes[node.parent.index()];
                *parent = parent.saturating_add(size);
            }
        }
        sizes
    }

    /// Where `file` has data; see [`Reader::ranges`], which is cheaper for many files.
    ///
    /// # Errors
    /// As [`Reader::ranges`].
    pub fn ranges(&self, file: NodeId) -> Result<Vec<Range>, SourceError> {
        self.reader().ranges(file)
    }

    /// A reader of file content. Each thread has its own.
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(self)
    }

    /// SHA-256 over all metadata in order: what the tree is, without the bytes of its files and without where
    /// they have holes, which is an accident of how the source is stored.
    ///
    /// The hashed bytes are `cellblock tree 1\n`, then for each node, integers in little endian and byte strings
    /// preceded by their length as a `u64`: parent (`u32`), name, mode (`u16`), uid (`u32`), gid (`u32`), seconds
    /// (`i64`), nanoseconds (`u32`), the kind as one letter (`d` directory, `f` file and its size as `u64`, `l`
    /// symbolic link and its target, `h` hard link and its node as `u32`, `c` or `b` device with major and minor as
    /// `u32`, `p` fifo, `s` socket), the number of attributes (`u64`), and each one's name and value.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        digest::metadata(self)
    }

    /// SHA-256 over where files have holes: with the other two, all that a formatter can see of a tree.
    ///
    /// The hashed bytes are `cellblock holes 1\n`, then for each file with holes in order, integers in little endian: its node
    /// (`u32`), the number of its ranges of data (`u64`), and of each range offset and length (`u64`).
    ///
    /// # Errors
    /// When a file cannot be read, or is no longer what it was when the tree was made.
    pub fn holes_digest(&self) -> Result<[u8; 32], SourceError> {
        digest::holes(self)
    }

    /// All three digests. All content is read.
    ///
    /// # Errors
    /// When a file cannot be read, or is no longer what it was when the tree was made.
    pub fn digests(&self) -> Result<TreeDigests, SourceError> {
        Ok(TreeDigests {
            metadata: self.digest(),
            content: self.content_digest()?,
            holes: self.holes_digest()?,
        })
    }

    /// [`Tree::digests`], for which only those files are read whose digests are not `known`.
    ///
    /// # Errors
    /// When a file cannot be read, or is no longer what it was when the tree was made.
    pub fn digests_with(&self, known: &KnownFiles) -> Result<TreeDigests, SourceError> {
        Ok(TreeDigests {
            metadata: self.digest(),
            content: digest::content(self, Some(known))?,
            holes: self.holes_digest()?,
        })
    }

    /// A digest of which directories and archives of the host the bytes of its files are in, by device and inode; nothing if they are in none.
    #[must_use]
    pub fn origins(&self) -> Option<[u8; 32]> {
        digest::origins(self)
    }

    /// SHA-256 over the bytes of all files in order. All content is read, on as many threads as the machine has.
    ///
    /// A file's own digest is the SHA-256 of its size (`u64`, little endian) and of the SHA-256 of each of its
    /// pieces of 1 MiB, the last one shorter; the tree's is that of `cellblock content 1\n` and of the digests of all
    /// files in order, hard links not repeated. Holes cost no reading.
    ///
    /// # Errors
    /// When a file cannot be read, or is no longer what it was when the tree was made.
    pub fn content_digest(&self) -> Result<[u8; 32], SourceError> {
        digest::content(self, None)
    }
}

/// `/a/b` from its names; `/` from none.
pub(crate) fn join_path<'n>(names: impl Iterator<Item = &'n [u8]>) -> Vec<u8> {
    let mut path = Vec::new();
    for name in names {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_are_told_as_they_are() {
        for (whole, fraction, expected) in [
            (0, 0, "0.000000000"),
            (-1, 500_000_000, "-0.500000000"),
            (-2, 500_000_000, "-1.500000000"),
            (-2, 0, "-2.000000000"),
            (1, 5, "1.000000005"),
            (i64::MIN, 1, "-9223372036854775807.999999999"),
        ] {
            let time = Timestamp {
                seconds: whole,
                nanoseconds: fraction,
            };
            assert_eq!(time.decimal(), expected);
        }
    }
}
