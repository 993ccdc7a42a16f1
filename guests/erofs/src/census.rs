//! The tree, read once into compact tables: everything about it that does not depend on where it goes.

use cellblock_guest::unix::{check_name, device_number};
use cellblock_guest::{
    FormatError, Kind, Node, NodeId, NodeProblem, Timestamp, Totals, Tree, each_node,
};

use crate::attributes::{Attributes, SetId};
use crate::directory::Child;
use crate::format::{FileType, file_kind};
use crate::options::{Candidate, Compression, Options};

/// The kernel takes no longer target.
const TARGET_LIMIT: u32 = 4095;
/// The largest file that the kernel has offsets for. Bytes.
const FILE_LIMIT: u64 = i64::MAX as u64;

/// The position of an inode in [`Census::inodes`], in the tree's order; the root is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InodeIndex(pub(crate) u32);

impl InodeIndex {
    pub(crate) const ROOT: Self = Self(0);

    pub(crate) fn position(self) -> usize {
        self.0 as usize
    }
}

/// What an inode is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    /// A directory, by its position in [`Census::directories`].
    Directory(u32),
    /// A regular file, by its position in [`Census::files`].
    File(u32),
    /// A symbolic link, whose target is among the names.
    Symlink { start: u64, length: u16 },
    /// A device, as the kernel counts them.
    Device(u32),
    /// A fifo or a socket.
    Empty,
}

/// What is known of an inode.
#[derive(Clone, Debug)]
pub(crate) struct Inode {
    /// Type and permissions.
    pub(crate) mode: u16,
    /// Names; of a directory those that its own entries and those of its directories give it.
    pub(crate) links: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) modified: Timestamp,
    pub(crate) attributes: Option<SetId>,
    pub(crate) body: Body,
}

/// What is known of a regular file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    pub(crate) inode: InodeIndex,
    pub(crate) node: NodeId,
    /// Bytes.
    pub(crate) size: u64,
    /// Whether it has holes.
    pub(crate) sparse: bool,
    /// How it is to be compressed: the position in [`Census::compressions`].
    pub(crate) compression: Option<u8>,
}

/// What is known of a directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Directory {
    pub(crate) inode: InodeIndex,
    pub(crate) parent: InodeIndex,
    /// The position of its first entry in [`Census::children`].
    first_child: u32,
    children: u32,
}

/// The whole tree.
#[derive(Debug)]
pub(crate) struct Census {
    /// By [`InodeIndex`].
    pub(crate) inodes: Vec<Inode>,
    pub(crate) files: Vec<File>,
    pub(crate) directories: Vec<Directory>,
    pub(crate) attributes: Attributes,
    /// What files are compressed with, each once.
    pub(crate) compressions: Vec<Compression>,
    /// The bytes of all names and targets.
    names: Vec<u8>,
    /// The entries of all directories, each directory's together, ascending by name.
    children: Vec<Child>,
}

impl Census {
    /// Reads `tree`.
    ///
    /// # Errors
    /// [`FormatError::Node`] for the first node that cannot be stored.
    pub(crate) fn take(options: &Options, tree: &mut dyn Tree) -> Result<Self, FormatError> {
        let mut reader = Reader::new(options, &tree.totals(1));
        each_node(tree, |id, node| reader.add(id, &node))?;
        Ok(reader.finish())
    }

    /// A name or a target.
    pub(crate) fn text(&self, start: u64, length: u16) -> &[u8] {
        let start = usize::try_from(start).expect("names are in memory");
        &self.names[start..start + usize::from(length)]
    }

    pub(crate) fn children(&self, directory: &Directory) -> &[Child] {
        let start = directory.first_child as usize;
        &self.children[start..start + directory.children as usize]
    }
}

/// Reads a tree.
struct Reader<'a> {
    options: &'a Options,
    census: Census,
    /// The directory of each entry, by its position, and the entry.
    entries: Vec<(u32, Child)>,
    /// The inode of each node.
    of_nodes: Vec<InodeIndex>,
    /// The path of the last node, and where each of its parts ends; kept where rules ask for paths.
    path: Path,
}

impl<'a> Reader<'a> {
    fn new(options: &'a Options, totals: &Totals) -> Self {
        let nodes = totals.nodes as usize;
        let names = usize::try_from(totals.names.saturating_add(totals.targets)).unwrap_or(0);
        Self {
            options,
            census: Census {
                inodes: Vec::with_capacity(nodes),
                files: Vec::new(),
                directories: Vec::with_capacity(totals.directories as usize),
                attributes: Attributes::default(),
                compressions: Vec::new(),
                names: Vec::with_capacity(names),
                children: Vec::new(),
            },
            entries: Vec::with_capacity(nodes),
            of_nodes: Vec::with_capacity(nodes),
            path: Path::default(),
        }
    }

    fn add(&mut self, id: NodeId, node: &Node<'_>) -> Result<(), FormatError> {
        if id == NodeId::ROOT {
            let body = self.add_directory(InodeIndex::ROOT);
            self.add_inode(id, node, file_kind::DIRECTORY, body)?;
            self.of_nodes.push(InodeIndex::ROOT);
            return Ok(());
        }
        check_name(id, &node.name)?;
        let parent = self.directory_of(id, node.parent)?;
        if self.options.rules.need_paths() {
            self.path.step(node.parent, id, &node.name);
        }
        let (inode, file_type) = match &node.kind {
            Kind::HardLink(target) => self.add_link(id, *target)?,
            kind => self.add_node(id, parent, node, kind)?,
        };
        if file_type == FileType::Directory {
            let of_parent = self.census.directories[parent as usize].inode;
            self.census.inodes[of_parent.position()].links += 1;
        }
        let start = self.census.names.len() as u64;
        self.census.names.extend_from_slice(&node.name);
        let child = Child {
            start,
            inode,
            length: u8::try_from(node.name.len()).expect("the length of names is checked"),
            file_type,
        };
        self.entries.push((parent, child));
        self.of_nodes.push(inode);
        Ok(())
    }

    /// The position of the directory that holds a node.
    fn directory_of(&self, id: NodeId, parent: NodeId) -> Result<u32, FormatError> {
        let inode = self.of_nodes.get(parent.index());
        match inode.map(|inode| self.census.inodes[inode.position()].body) {
            Some(Body::Directory(position)) => Ok(position),
            _ => Err(FormatError::node(id, NodeProblem::Kind)),
        }
    }

    /// Notes another name of a node.
    fn add_link(
        &mut self,
        id: NodeId,
        target: NodeId,
    ) -> Result<(InodeIndex, FileType), FormatError> {
        let refused = || FormatError::node(id, NodeProblem::HardLink);
        let index = *self.of_nodes.get(target.index()).ok_or_else(refused)?;
        let inode = &mut self.census.inodes[index.position()];
        let file_type = file_type(inode.mode);
        if file_type == FileType::Directory {
            return Err(refused());
        }
        let more = inode.links.checked_add(1);
        let problem = NodeProblem::TooManyLinks(u32::MAX);
        inode.links = more.ok_or(FormatError::node(id, problem))?;
        Ok((index, file_type))
    }

    /// Notes a node that is none before.
    fn add_node(
        &mut self,
        id: NodeId,
        parent: u32,
        node: &Node<'_>,
        kind: &Kind<'_>,
    ) -> Result<(InodeIndex, FileType), FormatError> {
        let (kind, body) = match kind {
            Kind::Directory => {
                let parent = self.census.directories[parent as usize].inode;
                (file_kind::DIRECTORY, self.add_directory(parent))
            }
            Kind::File { size, sparse } => (file_kind::REGULAR, self.add_file(id, *size, *sparse)?),
            Kind::Symlink(target) => (file_kind::SYMLINK, self.add_symlink(id, target)?),
            Kind::CharacterDevice(device) => (
                file_kind::CHARACTER_DEVICE,
                Body::Device(device_number(id, *device)?),
            ),
            Kind::BlockDevice(device) => (
                file_kind::BLOCK_DEVICE,
                Body::Device(device_number(id, *device)?),
            ),
            Kind::Fifo => (file_kind::FIFO, Body::Empty),
            Kind::Socket => (file_kind::SOCKET, Body::Empty),
            Kind::HardLink(_) => unreachable!("the caller has taken links"),
        };
        let index = self.add_inode(id, node, kind, body)?;
        Ok((index, file_type(kind)))
    }

    fn next_inode(&self) -> InodeIndex {
        let count = u32::try_from(self.census.inodes.len());
        InodeIndex(count.expect("there are fewer inodes than nodes, whose numbers have 32 bits"))
    }

    fn add_directory(&mut self, parent: InodeIndex) -> Body {
        let position = u32::try_from(self.census.directories.len());
        let inode = self.next_inode();
        self.census.directories.push(Directory {
            inode,
            parent,
            first_child: 0,
            children: 0,
        });
        Body::Directory(position.expect("there are fewer directories than nodes"))
    }

    fn add_file(&mut self, id: NodeId, size: u64, sparse: bool) -> Result<Body, FormatError> {
        if size > FILE_LIMIT {
            let problem = NodeProblem::FileTooLarge(FILE_LIMIT);
            return Err(FormatError::node(id, problem));
        }
        let candidate = Candidate {
            path: &self.path.bytes,
            size,
        };
        let compression = self.options.rules.choose(&candidate);
        let compression = compression.map(|wanted| self.compression(wanted));
        let position = u32::try_from(self.census.files.len());
        let inode = self.next_inode();
        self.census.files.push(File {
            inode,
            node: id,
            size,
            sparse,
            compression,
        });
        Ok(Body::File(
            position.expect("there are fewer files than nodes"),
        ))
    }

    /// The position of a compression. There are few.
    fn compression(&mut self, wanted: Compression) -> u8 {
        let known = &mut self.census.compressions;
        let position = known.iter().position(|known| *known == wanted);
        let position = position.unwrap_or_else(|| {
            known.push(wanted);
            known.len() - 1
        });
        u8::try_from(position).expect("a value of an option names far fewer than 256")
    }

    fn add_symlink(&mut self, id: NodeId, target: &[u8]) -> Result<Body, FormatError> {
        // No system has a link to nothing, and a zero would end the target early.
        if target.is_empty() || target.contains(&0) {
            return Err(FormatError::node(id, NodeProblem::Kind));
        }
        let too_long = FormatError::node(id, NodeProblem::TargetTooLong(TARGET_LIMIT));
        if target.len() > TARGET_LIMIT as usize {
            return Err(too_long);
        }
        let start = self.census.names.len() as u64;
        self.census.names.extend_from_slice(target);
        let length = u16::try_from(target.len()).map_err(|_| too_long)?;
        Ok(Body::Symlink { start, length })
    }

    fn add_inode(
        &mut self,
        id: NodeId,
        node: &Node<'_>,
        kind: u16,
        body: Body,
    ) -> Result<InodeIndex, FormatError> {
        let index = self.next_inode();
        if node.modified.nanoseconds >= 1_000_000_000 {
            return Err(FormatError::node(id, NodeProblem::Time));
        }
        let census = &mut self.census;
        let attributes = census.attributes.add(self.options, id, &node.attributes)?;
        census.inodes.push(Inode {
            mode: kind | node.mode & 0o7777,
            // A directory has its name and its `.`.
            links: if kind == file_kind::DIRECTORY { 2 } else { 1 },
            uid: node.uid,
            gid: node.gid,
            modified: node.modified,
            attributes,
            body,
        });
        Ok(index)
    }

    /// Brings the entries of each directory together, in their order.
    fn finish(mut self) -> Census {
        let census = &mut self.census;
        census.attributes.seal(self.options);
        for (directory, _) in &self.entries {
            census.directories[*directory as usize].children += 1;
        }
        let mut end = 0;
        for directory in &mut census.directories {
            directory.first_child = end;
            end += directory.children;
        }
        let mut next: Vec<u32> = census
            .directories
            .iter()
            .map(|directory| directory.first_child)
            .collect();
        let Some((_, any)) = self.entries.first() else {
            return self.census;
        };
        census.children = vec![*any; self.entries.len()];
        for (directory, child) in &self.entries {
            let place = &mut next[*directory as usize];
            census.children[*place as usize] = *child;
            *place += 1;
        }
        self.census
    }
}

/// The path of the node that was seen last.
#[derive(Default)]
struct Path {
    bytes: Vec<u8>,
    /// The nodes on the way, and where each one's name ends.
    parts: Vec<(NodeId, usize)>,
}

impl Path {
    /// Goes on to a node of the directory `parent`.
    fn step(&mut self, parent: NodeId, id: NodeId, name: &[u8]) {
        while self.parts.last().is_some_and(|(node, _)| *node != parent) {
            self.parts.pop();
        }
        self.bytes
            .truncate(self.parts.last().map_or(0, |(_, end)| *end));
        if !self.bytes.is_empty() {
            self.bytes.push(b'/');
        }
        self.bytes.extend_from_slice(name);
        self.parts.push((id, self.bytes.len()));
    }
}

fn file_type(mode: u16) -> FileType {
    match mode & 0o170_000 {
        file_kind::DIRECTORY => FileType::Directory,
        file_kind::REGULAR => FileType::Regular,
        file_kind::SYMLINK => FileType::Symlink,
        file_kind::CHARACTER_DEVICE => FileType::CharacterDevice,
        file_kind::BLOCK_DEVICE => FileType::BlockDevice,
        file_kind::FIFO => FileType::Fifo,
        _ => FileType::Socket,
    }
}
