//! What a file system can hold of a tree: what it has to be equal in, if it was made of that.
//!
//! | Kind | Held otherwise than it was given |
//! |---|---|
//! | FAT | no owners and modes; times in steps of two seconds from 1980 to 2107, and none of the root |
//! | exFAT | no owners and modes; times in steps of 10 ms from 1980 to 2107, and none of the root |
//! | squashfs | times in seconds |
//! | ext2, ext3, ext4 | times in seconds, if inodes have 128 bytes; a folder `lost+found` of their own |
//! | erofs | nothing |

use cellblock_contract::{Loss, Losses, Volume};
use cellblock_tree::{Kind, Node, NodeId, Timestamp, Tree};

/// 1980-01-01, and the last second of 2107: FAT's first and last times.
const FAT_TIMES: (i64, i64) = (315_532_800, 4_354_819_199);
/// In nanoseconds.
const SECOND: u32 = 1_000_000_000;

/// What a file system holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// What it was allowed to lose.
    lost: Losses,
    /// Whether it is a FAT, or an exFAT: without owners, modes and a time of the root.
    is_fat: bool,
    /// Whether its formatter makes a folder of its own.
    has_lost_and_found: bool,
    /// The steps of its times: whole seconds, and nanoseconds behind them.
    steps: (i64, u32),
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
        let is_exfat = kind == "exfat";
        let steps = match () {
            () if is_fat => (2, SECOND),
            () if is_exfat => (1, SECOND / 100),
            () if kind == "squashfs" || small => (1, SECOND),
            () => (1, 1),
        };
        Self {
            lost,
            is_fat: is_fat || is_exfat,
            has_lost_and_found: kind.starts_with("ext"),
            steps,
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
        }
        let (seconds, nanoseconds) = self.steps;
        time.seconds -= time.seconds.rem_euclid(seconds);
        time.nanoseconds -= time.nanoseconds % nanoseconds;
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
        match tree.original(node.id).kind {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is held of a file of 2024-03-01 00:00:03.987654321, or of another time.
    fn held(kind: &str, id: u32, seconds: i64) -> (Held, Option<(i64, u32)>) {
        let volume = Volume {
            kind: kind.to_owned(),
            label: String::new(),
            identifier: String::new(),
            block_size: 512,
            size: 0,
            free: 0,
            properties: Vec::new(),
        };
        let held = Held::by(&volume, Losses::default());
        let time = held.time(&Node {
            id: NodeId(id),
            parent: NodeId::ROOT,
            name: b"file",
            kind: &Kind::Directory,
            mode: 0o750,
            uid: 1,
            gid: 2,
            modified: Timestamp {
                seconds,
                nanoseconds: 987_654_321,
            },
            attributes: &[],
        });
        let time = time.map(|time| (time.seconds, time.nanoseconds));
        (held, time)
    }

    #[test]
    fn each_format_holds_times_in_its_own_steps() {
        const TIME: i64 = 1_709_251_203;
        for (kind, time, has_owners) in [
            ("ext4", (TIME, 987_654_321), true),
            ("squashfs", (TIME, 0), true),
            ("exfat", (TIME, 980_000_000), false),
            ("fat16", (TIME - 1, 0), false),
        ] {
            let (held, found) = held(kind, 1, TIME);
            assert_eq!(found, Some(time), "{kind}");
            assert_eq!((held.modes(), held.owners()), (has_owners, has_owners));
        }
        // Neither has a time of the root, or one before 1980.
        for kind in ["exfat", "vfat"] {
            assert_eq!(held(kind, 0, TIME).1, None);
            assert_eq!(held(kind, 1, 0).1.map(|time| time.0), Some(FAT_TIMES.0));
        }
        let last = |kind| held(kind, 1, i64::MAX).1.map(|time| time.0);
        assert_eq!(last("exfat"), Some(FAT_TIMES.1));
        assert_eq!(last("vfat"), Some(FAT_TIMES.1 - 1));
    }
}
