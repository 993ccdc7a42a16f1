//! The tree, taken in: what each inode says, and in which order inodes and listings stand.
//!
//! Inodes of files come first, directory by directory, so that a listing has them in one run. Directories follow, the
//! deepest first: a listing says where the inodes in it are, and the inode of a directory where its listing is.

mod check;

use std::ops::Range;

use cellblock_guest::unix::{check_name, device_number};
use cellblock_guest::{FormatError, Kind, Node, NodeId, Tree, each_node};

use crate::attributes::{Attributes, SetId};
use crate::format::InodeType;
use crate::options::Options;
use crate::owners::{OwnerId, Owners};

/// A regular file, by its position among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId(pub(crate) u32);

impl FileId {
    /// The id as an index.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A range of [`Census`]'s text.
#[derive(Clone, Copy, Debug)]
struct Text {
    start: u32,
    length: u16,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// A directory, so many below the root.
    Directory { depth: u32 },
    /// A regular file.
    File(FileId),
    /// A symbolic link.
    Symlink(Target),
    /// Another name of a node.
    Link(NodeId),
    /// A device, with its number as inodes have it.
    Device { kind: InodeType, number: u32 },
    /// A named pipe or a socket.
    Plain(InodeType),
}

/// The target of a symbolic link: ask [`Census::target`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target(Text);

/// A node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// The directory that holds it.
    pub(crate) parent: NodeId,
    name: Text,
    /// What it is.
    pub(crate) what: What,
    /// The 12 permission bits.
    pub(crate) mode: u16,
    /// The owner.
    pub(crate) user: OwnerId,
    /// The group.
    pub(crate) group: OwnerId,
    /// In seconds since 1970.
    pub(crate) modified: u32,
    /// The attributes.
    pub(crate) attributes: SetId,
    /// The number of names; of a directory 2, and one for each directory in it.
    pub(crate) links: u32,
}

/// A regular file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    /// Its first name.
    pub(crate) node: NodeId,
    /// Bytes.
    pub(crate) size: u64,
    /// Whether it may have holes.
    pub(crate) is_sparse: bool,
}

/// A tree.
#[derive(Debug, Default)]
pub(crate) struct Census {
    entries: Vec<Entry>,
    /// Names and targets.
    text: Vec<u8>,
    /// The regular files, in the tree's order.
    pub(crate) files: Vec<File>,
    /// The sets of attributes.
    pub(crate) attributes: Attributes,
    /// Users and groups.
    pub(crate) owners: Owners,
    /// The nodes but for the root, directory by directory.
    children: Vec<NodeId>,
    /// Where each node's children begin in `children`.
    first_child: Vec<u32>,
    /// The inode's number of each node.
    numbers: Vec<u32>,
    /// What has an inode and is no directory, in the order of the inodes.
    leaves: Vec<NodeId>,
    /// The directories, in the order of the inodes: the deepest first.
    directories: Vec<NodeId>,
}

impl Census {
    /// Takes in the tree.
    ///
    /// # Errors
    /// [`FormatError`] if a node cannot be stored.
    pub(crate) fn take(options: &Options, tree: &mut dyn Tree) -> Result<Self, FormatError> {
        let mut census = Self::default();
        each_node(tree, |id, node| census.add(options, id, &node))?;
        census.attributes.seal();
        if census.owners.are_dropped() {
            for entry in &mut census.entries {
                (entry.user, entry.group) = (OwnerId::default(), OwnerId::default());
            }
        }
        census.order();
        Ok(census)
    }

    fn add(&mut self, options: &Options, id: NodeId, node: &Node<'_>) -> Result<(), FormatError> {
        if id != NodeId::ROOT {
            check_name(id, &node.name)?;
        }
        let what = self.what(options, id, node)?;
        if let What::Link(target) = what {
            self.entries[target.index()].links += 1;
        }
        let is_directory = matches!(what, What::Directory { .. });
        if is_directory && id != NodeId::ROOT {
            self.entries[node.parent.index()].links += 1;
        }
        let name = self.keep(id, &node.name)?;
        // What a link says of itself is what its target says.
        let has_inode = !matches!(what, What::Link(_));
        let (mut user, mut group) = (OwnerId::default(), OwnerId::default());
        let mut attributes = SetId::NONE;
        if has_inode {
            user = self.owners.add(options, id, node.uid)?;
            group = self.owners.add(options, id, node.gid)?;
            attributes = self.attributes.add(options, id, &node.attributes)?;
        }
        self.entries.push(Entry {
            parent: node.parent,
            name,
            what,
            mode: node.mode,
            user,
            group,
            modified: check::time(id, node.modified)?,
            attributes,
            links: if is_directory { 2 } else { 1 },
        });
        Ok(())
    }

    fn what(
        &mut self,
        options: &Options,
        id: NodeId,
        node: &Node<'_>,
    ) -> Result<What, FormatError> {
        Ok(match &node.kind {
            Kind::Directory if id == NodeId::ROOT => What::Directory { depth: 0 },
            Kind::Directory => {
                let What::Directory { depth } = self.entries[node.parent.index()].what else {
                    unreachable!("a parent is a directory");
                };
                What::Directory { depth: depth + 1 }
            }
            Kind::File { size, sparse } => {
                check::file_size(options, id, *size)?;
                let number = u32::try_from(self.files.len()).expect("there are fewer than nodes");
                self.files.push(File {
                    node: id,
                    size: *size,
                    is_sparse: *sparse,
                });
                What::File(FileId(number))
            }
            Kind::Symlink(target) => {
                check::target(id, target)?;
                What::Symlink(Target(self.keep(id, target)?))
            }
            Kind::HardLink(target) => What::Link(*target),
            Kind::CharacterDevice(device) => What::Device {
                kind: InodeType::CHARACTER_DEVICE,
                number: device_number(id, *device)?,
            },
            Kind::BlockDevice(device) => What::Device {
                kind: InodeType::BLOCK_DEVICE,
                number: device_number(id, *device)?,
            },
            Kind::Fifo => What::Plain(InodeType::FIFO),
            Kind::Socket => What::Plain(InodeType::SOCKET),
        })
    }

    fn keep(&mut self, id: NodeId, bytes: &[u8]) -> Result<Text, FormatError> {
        let start = u32::try_from(self.text.len());
        let start = start.map_err(|_| FormatError::TooManyNodes(id.0.into()))?;
        self.text.extend_from_slice(bytes);
        let length = u16::try_from(bytes.len()).expect("longer ones were refused");
        Ok(Text { start, length })
    }

    /// Puts the nodes in order, once all are there.
    fn order(&mut self) {
        let count = self.entries.len();
        let mut first_child = vec![0_u32; count + 1];
        for entry in &self.entries[1..] {
            first_child[entry.parent.index() + 1] += 1;
        }
        for index in 1..=count {
            first_child[index] += first_child[index - 1];
        }
        let mut next = first_child.clone();
        let mut children = vec![NodeId::ROOT; count - 1];
        for (id, entry) in self.nodes().skip(1) {
            let place = &mut next[entry.parent.index()];
            children[*place as usize] = id;
            *place += 1;
        }
        drop(next);
        let is_leaf = |id: &NodeId| {
            let what = self.entries[id.index()].what;
            !matches!(what, What::Directory { .. } | What::Link(_))
        };
        let leaves: Vec<NodeId> = children.iter().copied().filter(is_leaf).collect();
        let mut directories: Vec<(u32, NodeId)> = self
            .nodes()
            .filter_map(|(id, entry)| match entry.what {
                What::Directory { depth } => Some((depth, id)),
                _ => None,
            })
            .collect();
        directories.sort_by_key(|(depth, id)| (std::cmp::Reverse(*depth), *id));
        let directories: Vec<NodeId> = directories.into_iter().map(|(_, id)| id).collect();
        let mut numbers = vec![0; count];
        for (number, id) in (1..).zip(leaves.iter().chain(&directories)) {
            numbers[id.index()] = number;
        }
        (self.first_child, self.children) = (first_child, children);
        (self.leaves, self.directories, self.numbers) = (leaves, directories, numbers);
    }

    fn nodes(&self) -> impl Iterator<Item = (NodeId, &Entry)> {
        (0..).map(NodeId).zip(&self.entries)
    }

    /// The node with this id.
    pub(crate) fn entry(&self, id: NodeId) -> &Entry {
        &self.entries[id.index()]
    }

    /// The node that a name stands for: itself, or what it links to.
    pub(crate) fn resolve(&self, id: NodeId) -> NodeId {
        match self.entry(id).what {
            What::Link(target) => target,
            _ => id,
        }
    }

    /// The number of names.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// A node's name.
    pub(crate) fn name(&self, id: NodeId) -> &[u8] {
        self.slice(self.entry(id).name)
    }

    /// The target of a symbolic link.
    pub(crate) fn target(&self, target: Target) -> &[u8] {
        self.slice(target.0)
    }

    fn slice(&self, text: Text) -> &[u8] {
        let start = text.start as usize;
        &self.text[start..start + usize::from(text.length)]
    }

    /// The names in a directory, by their bytes.
    pub(crate) fn children(&self, directory: NodeId) -> &[NodeId] {
        let [first, end] = [0, 1].map(|more| self.first_child[directory.index() + more] as usize);
        &self.children[first..end]
    }

    /// The nodes at and below `top`.
    pub(crate) fn subtree(&self, top: NodeId) -> Range<usize> {
        let below = self.entries[top.index() + 1..]
            .iter()
            .take_while(|entry| entry.parent >= top)
            .count();
        top.index()..top.index() + 1 + below
    }

    /// What stands at a path from the root.
    pub(crate) fn find(&self, path: &str) -> Option<NodeId> {
        let names = path.split('/').filter(|name| !name.is_empty());
        names.into_iter().try_fold(NodeId::ROOT, |directory, name| {
            let children = self.children(directory);
            let found = children.binary_search_by(|id| self.name(*id).cmp(name.as_bytes()));
            found.ok().map(|index| children[index])
        })
    }

    /// What has an inode and is no directory, in the order of the inodes.
    pub(crate) fn leaves(&self) -> &[NodeId] {
        &self.leaves
    }

    /// The directories in the order of their inodes, those of one depth together.
    pub(crate) fn levels(&self) -> impl Iterator<Item = &[NodeId]> {
        let depth = |id: NodeId| match self.entry(id).what {
            What::Directory { depth } => depth,
            _ => unreachable!("only directories are in this list"),
        };
        self.directories
            .chunk_by(move |a, b| depth(*a) == depth(*b))
    }

    /// The nodes that have inodes, in the order of the inodes' numbers.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = NodeId> {
        self.leaves.iter().chain(&self.directories).copied()
    }

    /// The number of a node's inode.
    pub(crate) fn number(&self, id: NodeId) -> u32 {
        self.numbers[id.index()]
    }

    /// The number of inodes.
    ///
    /// # Errors
    /// [`FormatError::TooManyNodes`] if no 32 bits count them.
    pub(crate) fn inodes(&self) -> Result<u32, FormatError> {
        // The root's parent has the number behind the last.
        const LIMIT: u32 = u32::MAX - 1;
        u32::try_from(self.leaves.len() + self.directories.len())
            .ok()
            .filter(|count| *count <= LIMIT)
            .ok_or(FormatError::TooManyNodes(LIMIT.into()))
    }
}
