//! The tree, read once into compact tables: everything about it that does not depend on the partition's size.

mod check;
mod inline;

use cellblock_guest::unix::{check_name, device_number};
use cellblock_guest::{
    FormatError, Kind, Node, NodeId, NodeProblem, Timestamp, Totals, Tree, each_node,
};

use crate::attributes::{Attributes, InodeAttributes};
use crate::directory::{self, Child, Names, Shape};
use crate::format::{FileType, InodeNumber, file_kind};
use crate::options::Options;

/// The most names of a file.
const LINK_LIMIT: u16 = 65_000;

/// The most directories in a directory whose names are counted.
pub(crate) const COUNTED_SUBDIRECTORIES: u32 = LINK_LIMIT as u32 - 2;

/// Files of this size need the feature `LARGE_FILES`. Bytes.
pub(crate) const LARGE_FILE: u64 = 1 << 31;

/// The name of the directory for what e2fsck finds.
const LOST_AND_FOUND: &[u8] = b"lost+found";

/// The position of an inode in [`Census::inodes`]: the root, `lost+found`, and the others in the tree's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InodeIndex(u32);

impl InodeIndex {
    pub(crate) const ROOT: Self = Self(0);
    const LOST_AND_FOUND: Self = Self(1);
    /// Directories that always have blocks.
    const IN_BLOCKS: [Self; 2] = [Self::ROOT, Self::LOST_AND_FOUND];

    /// Its number on disk.
    pub(crate) fn number(self) -> InodeNumber {
        match self {
            Self::ROOT => InodeNumber::ROOT,
            Self(index) => InodeNumber(index + InodeNumber::FIRST.0 - 1),
        }
    }

    /// The one after it.
    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    fn position(self) -> usize {
        self.0 as usize
    }
}

/// What an inode is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    /// A directory, by its position in [`Census::directories`].
    Directory(u32),
    /// A regular file.
    File {
        node: NodeId,
        /// Bytes.
        size: u64,
        /// The position of its data in [`Census::sparse`]; none if all of it is data.
        ranges: Option<u32>,
    },
    /// A symbolic link, whose target is among the names.
    Symlink { start: u32, length: u16 },
    /// A regular file or a symbolic link whose content stands in the inode, and is among the names.
    Inline { start: u32, length: u16 },
    /// A device.
    Device { major: u32, minor: u32 },
    /// A fifo or a socket.
    Empty,
}

/// What is known of an inode.
#[derive(Clone, Debug)]
pub(crate) struct Inode {
    /// Type and permissions.
    pub(crate) mode: u16,
    /// Names; not counted for directories.
    pub(crate) links: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) modified: Timestamp,
    pub(crate) attributes: Option<InodeAttributes>,
    pub(crate) body: Body,
}

/// What is known of a directory.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub(crate) inode: InodeIndex,
    pub(crate) parent: InodeIndex,
    /// The position of its first entry in [`Census::children`].
    first_child: u32,
    children: u32,
    /// Directories in it.
    pub(crate) subdirectories: u32,
    pub(crate) shape: Shape,
}

/// A range of blocks of a file that has data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockRange {
    pub(crate) first: u32,
    pub(crate) count: u64,
}

/// The whole tree.
#[derive(Debug)]
pub(crate) struct Census {
    /// By [`InodeIndex`].
    pub(crate) inodes: Vec<Inode>,
    pub(crate) directories: Vec<Directory>,
    pub(crate) names: Names,
    pub(crate) attributes: Attributes,
    /// Data of files with holes.
    sparse: Vec<Vec<BlockRange>>,
    /// The entries of all directories, each directory's together.
    children: Vec<Child>,
    /// Whether a directory is so large that its index needs a third level.
    pub(crate) has_large_directory: bool,
    /// Whether the size of a file needs the feature `LARGE_FILES`.
    pub(crate) has_large_file: bool,
}

impl Census {
    /// Reads `tree`, which has these `totals`, and shows what is known to `follow` after each node.
    ///
    /// # Errors
    /// [`FormatError::Node`] for the first node that cannot be stored; [`FormatError::Tree`] if it cannot be read; those of
    /// `follow`.
    pub(crate) fn take(
        options: &Options,
        totals: &Totals,
        tree: &mut dyn Tree,
        mut follow: impl FnMut(&Self) -> Result<(), FormatError>,
    ) -> Result<Self, FormatError> {
        let mut reader = Reader::new(options);
        reader.make_room(totals);
        each_node(tree, |id, node| {
            reader.add(id, &node)?;
            follow(&reader.census)
        })?;
        reader.read_inline(tree)?;
        reader.read_ranges(tree)?;
        reader.finish()
    }

    /// The inodes from the first on, whether the tree needs them or the format.
    pub(crate) fn last_inode(&self) -> InodeNumber {
        let inodes =
            u32::try_from(self.inodes.len()).expect("inodes are counted as they are added");
        InodeNumber(InodeNumber::FIRST.0 + inodes - 2)
    }

    /// An inode, if it is known.
    pub(crate) fn inode(&self, index: InodeIndex) -> Option<&Inode> {
        self.inodes.get(index.position())
    }

    /// All inodes with their numbers, ascending.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (InodeNumber, &Inode)> {
        (0..)
            .map(InodeIndex)
            .map(InodeIndex::number)
            .zip(&self.inodes)
    }

    pub(crate) fn children(&self, directory: &Directory) -> &[Child] {
        let start = directory.first_child as usize;
        &self.children[start..start + directory.children as usize]
    }

    /// The blocks of a file that have data, ascending.
    pub(crate) fn ranges(&self, ranges: Option<u32>) -> Option<&[BlockRange]> {
        ranges.map(|index| self.sparse[index as usize].as_slice())
    }
}

/// An entry before directories are known: the position of the directory, and the entry.
type Entry = (u32, Child);

/// Reads a tree.
struct Reader<'a> {
    options: &'a Options,
    census: Census,
    entries: Vec<Entry>,
    /// The inode of each node.
    of_nodes: Vec<InodeIndex>,
    has_lost_and_found: bool,
}

impl<'a> Reader<'a> {
    fn new(options: &'a Options) -> Self {
        let made = Inode {
            mode: file_kind::DIRECTORY | 0o700,
            links: 1,
            uid: 0,
            gid: 0,
            modified: options.own_time(),
            attributes: None,
            body: Body::Directory(1),
        };
        let mut root = made.clone();
        root.mode = file_kind::DIRECTORY | 0o755;
        root.body = Body::Directory(0);
        let directory = |inode| Directory {
            inode,
            parent: InodeIndex::ROOT,
            first_child: 0,
            children: 0,
            subdirectories: 0,
            shape: Shape::default(),
        };
        Self {
            options,
            census: Census {
                inodes: vec![root, made],
                directories: vec![
                    directory(InodeIndex::ROOT),
                    directory(InodeIndex::LOST_AND_FOUND),
                ],
                names: Names::default(),
                attributes: Attributes::default(),
                sparse: Vec::new(),
                children: Vec::new(),
                has_large_directory: false,
                has_large_file: false,
            },
            entries: Vec::new(),
            of_nodes: Vec::new(),
            has_lost_and_found: false,
        }
    }

    /// Takes memory once for all nodes.
    fn make_room(&mut self, totals: &Totals) {
        let nodes = totals.nodes as usize;
        self.census.inodes.reserve_exact(nodes);
        self.census.names.make_room(totals);
        self.entries.reserve_exact(nodes);
        self.of_nodes.reserve_exact(nodes);
    }

    fn add(&mut self, id: NodeId, node: &Node<'_>) -> Result<(), FormatError> {
        if id == NodeId::ROOT {
            let inode = self.inode(id, node, Body::Directory(0))?;
            self.census.inodes[0] = self.with_attributes(id, inode, node)?;
            self.of_nodes.push(InodeIndex::ROOT);
            return Ok(());
        }
        check_name(id, &node.name)?;
        let parent = self.directory_of(id, node.parent)?;
        let is_lost_and_found = parent == 0 && *node.name == *LOST_AND_FOUND;
        if is_lost_and_found && (node.kind != Kind::Directory || self.has_lost_and_found) {
            // What e2fsck finds goes there: it is no other thing, under whatever name that has besides.
            return Err(FormatError::node(id, NodeProblem::NameReserved));
        }
        let (index, file_type) = if let Kind::HardLink(target) = node.kind {
            self.link(id, target)?
        } else {
            self.add_inode(id, parent, node, is_lost_and_found)?
        };
        let child = self.child(&node.name, index, file_type)?;
        self.entries.push((parent, child));
        self.of_nodes.push(index);
        if !matches!(node.kind, Kind::HardLink(_)) && !node.attributes.is_empty() {
            let attributes = self
                .census
                .attributes
                .add(self.options, id, &node.attributes)?;
            self.census.inodes[index.position()].attributes = attributes;
        }
        Ok(())
    }

    fn with_attributes(
        &mut self,
        id: NodeId,
        mut inode: Inode,
        node: &Node<'_>,
    ) -> Result<Inode, FormatError> {
        inode.attributes = self
            .census
            .attributes
            .add(self.options, id, &node.attributes)?;
        Ok(inode)
    }

    /// The position of a directory that is a node's parent.
    fn directory_of(&self, id: NodeId, parent: NodeId) -> Result<u32, FormatError> {
        let inode = self
            .of_nodes
            .get(parent.index())
            .map(|index| &self.census.inodes[index.position()].body);
        match inode {
            Some(Body::Directory(position)) => Ok(*position),
            _ => Err(FormatError::node(id, NodeProblem::Kind)),
        }
    }

    fn child(
        &mut self,
        name: &[u8],
        inode: InodeIndex,
        file_type: FileType,
    ) -> Result<Child, FormatError> {
        let start = self.census.names.add(name)?;
        let length = u8::try_from(name.len()).expect("the length of names is checked");
        Ok(Child {
            start,
            inode: inode.number(),
            length,
            file_type,
        })
    }

    /// Notes another name of a node.
    fn link(&mut self, id: NodeId, target: NodeId) -> Result<(InodeIndex, FileType), FormatError> {
        let index = *self
            .of_nodes
            .get(target.index())
            .ok_or(FormatError::node(id, NodeProblem::HardLink))?;
        let inode = &mut self.census.inodes[index.position()];
        if matches!(inode.body, Body::Directory(_)) {
            return Err(FormatError::node(id, NodeProblem::HardLink));
        }
        if inode.links == LINK_LIMIT {
            let problem = NodeProblem::TooManyLinks(u32::from(LINK_LIMIT));
            return Err(FormatError::node(target, problem));
        }
        inode.links += 1;
        Ok((index, file_type(inode.mode)))
    }

    fn add_inode(
        &mut self,
        id: NodeId,
        parent: u32,
        node: &Node<'_>,
        is_lost_and_found: bool,
    ) -> Result<(InodeIndex, FileType), FormatError> {
        let next = InodeIndex(
            u32::try_from(self.census.inodes.len())
                .ok()
                .filter(|next| *next < u32::MAX - InodeNumber::FIRST.0)
                .ok_or(FormatError::TooManyNodes(u64::from(u32::MAX)))?,
        );
        let index = if is_lost_and_found {
            self.has_lost_and_found = true;
            InodeIndex::LOST_AND_FOUND
        } else {
            next
        };
        let body = self.body(id, index, parent, &node.kind)?;
        let inode = self.inode(id, node, body)?;
        let file_type = file_type(inode.mode);
        if is_lost_and_found {
            self.census.inodes[index.position()] = inode;
        } else {
            self.census.inodes.push(inode);
        }
        Ok((index, file_type))
    }

    fn body(
        &mut self,
        id: NodeId,
        index: InodeIndex,
        parent: u32,
        kind: &Kind<'_>,
    ) -> Result<Body, FormatError> {
        Ok(match kind {
            Kind::Directory => Body::Directory(self.add_directory(index, parent)),
            Kind::File { size, sparse } => {
                check::file_size(self.options, id, *size)?;
                self.census.has_large_file |= *size >= LARGE_FILE;
                Body::File {
                    node: id,
                    size: *size,
                    // Which ones is known when all nodes are read; see `read_ranges`.
                    ranges: sparse.then_some(0),
                }
            }
            Kind::Symlink(target) => {
                check::target(self.options, id, target)?;
                Body::Symlink {
                    start: self.census.names.add(target)?,
                    length: u16::try_from(target.len()).expect("the length of targets is checked"),
                }
            }
            Kind::CharacterDevice(device) | Kind::BlockDevice(device) => {
                device_number(id, *device)?;
                Body::Device {
                    major: device.major,
                    minor: device.minor,
                }
            }
            Kind::Fifo | Kind::Socket => Body::Empty,
            Kind::HardLink(_) => return Err(FormatError::node(id, NodeProblem::HardLink)),
        })
    }

    fn add_directory(&mut self, index: InodeIndex, parent: u32) -> u32 {
        let directories = &mut self.census.directories;
        let parent_inode = directories[parent as usize].inode;
        directories[parent as usize].subdirectories += 1;
        if index == InodeIndex::LOST_AND_FOUND {
            return 1;
        }
        directories.push(Directory {
            inode: index,
            parent: parent_inode,
            first_child: 0,
            children: 0,
            subdirectories: 0,
            shape: Shape::default(),
        });
        u32::try_from(directories.len() - 1).expect("there are fewer directories than inodes")
    }

    fn inode(&self, id: NodeId, node: &Node<'_>, body: Body) -> Result<Inode, FormatError> {
        check::time(self.options, id, node.modified)?;
        Ok(Inode {
            mode: kind_bits(&node.kind) | (node.mode & 0o7777),
            links: 1,
            uid: node.uid,
            gid: node.gid,
            modified: node.modified,
            attributes: None,
            body,
        })
    }

    /// Asks where files with holes have data.
    fn read_ranges(&mut self, tree: &mut dyn Tree) -> Result<(), FormatError> {
        for inode in &mut self.census.inodes {
            let Body::File {
                node,
                size,
                ranges: ranges @ Some(_),
            } = &mut inode.body
            else {
                continue;
            };
            let blocks = block_ranges(self.options, *size, tree.ranges(*node)?);
            let number = u32::try_from(self.census.sparse.len());
            *ranges = Some(number.expect("there are fewer sparse files than nodes"));
            self.census.sparse.push(blocks);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Census, FormatError> {
        if !self.has_lost_and_found {
            let child = self.child(
                LOST_AND_FOUND,
                InodeIndex::LOST_AND_FOUND,
                FileType::DIRECTORY,
            )?;
            self.entries.push((0, child));
            self.census.directories[0].subdirectories += 1;
        }
        self.census.attributes.seal();
        self.group_children();
        self.shape_directories()?;
        Ok(self.census)
    }

    /// Gathers the entries of each directory, in the tree's order.
    fn group_children(&mut self) {
        let directories = &mut self.census.directories;
        for (parent, _) in &self.entries {
            directories[*parent as usize].children += 1;
        }
        let mut next = 0;
        for directory in directories.iter_mut() {
            directory.first_child = next;
            next += directory.children;
            directory.children = 0;
        }
        let Some((_, any)) = self.entries.first() else {
            return;
        };
        let mut children = vec![*any; self.entries.len()];
        for (parent, child) in std::mem::take(&mut self.entries) {
            let directory = &mut directories[parent as usize];
            children[(directory.first_child + directory.children) as usize] = child;
            directory.children += 1;
        }
        self.census.children = children;
    }

    fn shape_directories(&mut self) -> Result<(), FormatError> {
        let census = &mut self.census;
        let hash = self.options.name_hash();
        let limits = directory::Limits::new(self.options);
        let mut scratch = Vec::new();
        for directory in &mut census.directories {
            let start = directory.first_child as usize;
            let children = &mut census.children[start..start + directory.children as usize];
            let error = |problem| {
                let inode = directory.inode;
                let node = self.of_nodes.iter().position(|index| *index == inode);
                // The lost+found that no node asks for is in no one's way.
                let node = node.map_or(NodeId::ROOT, |node| {
                    NodeId(u32::try_from(node).expect("a node has a number of 32 bits"))
                });
                FormatError::node(node, problem)
            };
            if directory.subdirectories > COUNTED_SUBDIRECTORIES
                && !self.options.may_have_many_subdirectories()
            {
                return Err(error(NodeProblem::TooManyLinks(u32::from(LINK_LIMIT))));
            }
            let inode = &census.inodes[directory.inode.position()];
            let room = census
                .attributes
                .inline_room(self.options, inode.attributes);
            let inline = room
                // The kernel takes no root without blocks, and what e2fsck finds goes to blocks that are there already.
                .filter(|_| !InodeIndex::IN_BLOCKS.contains(&directory.inode))
                .and_then(|room| directory::arrange_inline(children, room));
            let shape = inline.or_else(|| {
                directory::arrange(&limits, &census.names, hash, children, &mut scratch)
            });
            let is_allowed = |shape: &Shape| {
                self.options.may_have_large_directories()
                    || !shape.needs_large_directories(self.options.block_size)
            };
            let too_large = NodeProblem::DirectoryTooLarge(u64::from(directory.children));
            let mut shape = shape.filter(is_allowed).ok_or_else(|| error(too_large))?;
            if directory.inode == InodeIndex::LOST_AND_FOUND {
                shape.spare_for_lost_and_found(self.options.block_size);
            }
            census.has_large_directory |= shape.needs_large_directories(self.options.block_size);
            directory.shape = shape;
        }
        Ok(())
    }
}

/// The whole blocks that hold `ranges` of a file, ascending and apart.
fn block_ranges(
    options: &Options,
    size: u64,
    ranges: Vec<cellblock_guest::Range>,
) -> Vec<BlockRange> {
    let block = u64::from(options.block_size);
    let mut result: Vec<BlockRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        let end = range.offset.saturating_add(range.length).min(size);
        let mut first = range.offset / block;
        if let Some(last) = result.last_mut() {
            let last_end = u64::from(last.first) + last.count;
            if first <= last_end {
                let count = end.div_ceil(block).saturating_sub(u64::from(last.first));
                last.count = last.count.max(count);
                continue;
            }
            first = first.max(last_end);
        }
        let count = end.div_ceil(block).saturating_sub(first);
        if count > 0 {
            let first = u32::try_from(first).expect("the size of files is checked");
            result.push(BlockRange { first, count });
        }
    }
    result
}

fn kind_bits(kind: &Kind<'_>) -> u16 {
    match kind {
        Kind::Directory => file_kind::DIRECTORY,
        Kind::File { .. } | Kind::HardLink(_) => file_kind::REGULAR,
        Kind::Symlink(_) => file_kind::SYMLINK,
        Kind::CharacterDevice(_) => file_kind::CHARACTER_DEVICE,
        Kind::BlockDevice(_) => file_kind::BLOCK_DEVICE,
        Kind::Fifo => file_kind::FIFO,
        Kind::Socket => file_kind::SOCKET,
    }
}

fn file_type(mode: u16) -> FileType {
    match mode & 0xF000 {
        file_kind::DIRECTORY => FileType::DIRECTORY,
        file_kind::SYMLINK => FileType::SYMLINK,
        file_kind::CHARACTER_DEVICE => FileType::CHARACTER_DEVICE,
        file_kind::BLOCK_DEVICE => FileType::BLOCK_DEVICE,
        file_kind::FIFO => FileType::FIFO,
        file_kind::SOCKET => FileType::SOCKET,
        _ => FileType::REGULAR,
    }
}
