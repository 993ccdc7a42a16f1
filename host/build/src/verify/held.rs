//! What a file system can hold of a tree: what it has to be equal in, if it was made of that.
//!
//! | Kind | Held otherwise than it was given |
//! |---|---|
//! | FAT | no owners and modes; times in steps of two seconds from 1980 to 2107, and none of the root |
//! | squashfs | times in seconds |
//! | ext2, ext3, ext4 | times in seconds, if inodes have 128 bytes; a folder `lost+found` of their own |
//! | erofs | nothing |

use cellblock_contract::{Loss, Losses, Volume};
use cellblock_tree::{Kind, Node, NodeId, Timestamp, Tree};

/// 1980-01-01, and the last two seconds of 2107: FAT's first and last times.
const FAT_TIMES: (i64, i64) = (315_532_800, 4_354_819_198);

/// What a file system holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// What it was allowed to lose.
    lost: Losses,
    /// Whether it is a FAT.
    is_fat: bool,
    /// Whether its formatter makes a folder of its own.
    has_lost_and_found: bool,
    /// Whether it has parts of seconds.
    has_nanoseconds: bool,
}

impl Held {
    /// What the file system of this description holds, of which `lost` was dropped.
    #[must_use]
    pub fn by(volume: &Volume, lost: Losses) -> Self {
        let kind = &*volume.kind;
        let small = volume
            .properties
            .iter()
            .any(|property| property.name == "inode size" && property.value == "128");
        let is_fat = kind == "vfat" || kind.starts_with("fat");
        Self {
            lost,
            is_fat,
            has_lost_and_found: kind.starts_with("ext"),
            has_nanoseconds: !is_fat && kind != "squashfs" && !small,
        }
    }

    /// Whether it has the permission bits.
    pub(crate) fn modes(self) -> bool {
        !self.is_fat && !self.lost.contains(Loss::Permissions)
    }

    /// Whether it has owners.
    pub(crate) fn owners(self) -> bool {
        !self.is_fat && !self.lost.contains(Loss::Owners)
    }

    /// The time that it holds of a node; none if it holds none.
    pub(crate) fn time(self, node: &Node<'_>) -> Option<Timestamp> {
        let mut time = node.modified;
        if self.is_fat {
            if node.id == NodeId::ROOT {
                return None;
            }
            time.seconds = time.seconds.clamp(FAT_TIMES.0, FAT_TIMES.1);
            time.seconds -= time.seconds.rem_euclid(2);
        }
        if !self.has_nanoseconds {
            time.nanoseconds = 0;
        }
        Some(time)
    }

    /// Whether the attributes that it has, `found`, are all that it has to have of `node`.
    pub(crate) fn attributes(self, node: &Node<'_>, found: &Node<'_>) -> bool {
        if self.lost.contains(Loss::Attributes) {
            let mut found = found.attributes.iter();
            return found.all(|one| node.attributes.contains(one));
        }
        node.attributes == found.attributes
    }

    /// Whether names of one file are files of their own.
    pub(crate) fn breaks_links(self) -> bool {
        self.lost.contains(Loss::HardLinks)
    }

    /// Whether a node need not be there.
    pub(crate) fn drops(self, tree: &Tree, node: &Node<'_>) -> bool {
        let kind = match node.kind {
            Kind::HardLink(first) => tree.node(*first).kind,
            kind => kind,
        };
        match kind {
            Kind::Symlink(_) => self.lost.contains(Loss::Symlinks),
            Kind::CharacterDevice { .. } | Kind::BlockDevice { .. } | Kind::Fifo | Kind::Socket => {
                self.lost.contains(Loss::SpecialFiles)
            }
            _ => false,
        }
    }

    /// Whether a node that is too many is the format's own: an empty `lost+found` of root's.
    pub(crate) fn is_own(self, tree: &Tree, node: &Node<'_>) -> bool {
        let next = NodeId(node.id.0 + 1);
        let is_empty = next.0 >= tree.len() || tree.node(next).parent != node.id;
        self.has_lost_and_found
            && node.parent == NodeId::ROOT
            && node.name == b"lost+found"
            && *node.kind == Kind::Directory
            && (node.uid, node.gid) == (0, 0)
            && is_empty
    }
}
