//! What goes into the volume: the tree, checked for what FAT can store.

use std::collections::BTreeMap;

use cellblock_guest::{
    FormatError, Kind, Losses, Node, NodeId, NodeProblem, ReadError, Request, Tree, each_node,
};

use crate::format::{Attributes, SLOT_BYTES};
use crate::moment::Moment;
use crate::names::{self, ShortName};

/// The largest file in bytes.
const FILE_LIMIT: u64 = u32::MAX as u64;
/// The slots that a directory can have.
pub(crate) const SLOT_LIMIT: u32 = 65_535;
/// `.` and `..`, which every directory but the root begins with.
const SLOTS_OF_DOTS: u32 = 2;
/// The mode bits that nothing in FAT stands for, and nobody expects it to keep: see the crate's documentation.
const PERMISSION_BITS: u16 = 0o777;
const WRITE_BITS: u16 = 0o222;

/// The tree.
#[derive(Debug)]
pub(crate) struct Contents {
    /// All directories, in the tree's order; the first is the root.
    pub(crate) directories: Vec<Directory>,
    /// All files, in the tree's order.
    pub(crate) files: Vec<File>,
    /// How many of both, but the root, have the first or the last time that FAT counts instead of their own.
    pub(crate) redated: u32,
}

/// A directory.
#[derive(Debug)]
pub(crate) struct Directory {
    node: NodeId,
    /// The directory above, as an index into [`Contents::directories`]; the root's is its own.
    pub(crate) parent: usize,
    /// When it was modified.
    pub(crate) moment: Moment,
    /// The names in it, in the tree's order.
    pub(crate) entries: Vec<Entry>,
    /// The slots that its entries take, with `.`, `..` and the label.
    pub(crate) slots: u32,
}

/// A name in a directory.
#[derive(Debug)]
pub(crate) struct Entry {
    node: NodeId,
    /// The long name.
    pub(crate) name: Box<str>,
    /// The short name.
    pub(crate) short_name: ShortName,
    /// What it is, and whether it may be written.
    pub(crate) attributes: Attributes,
    /// When it was modified.
    pub(crate) moment: Moment,
    /// What it stands for.
    pub(crate) item: Item,
}

/// What a name stands for, as an index.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item {
    /// Into [`Contents::directories`].
    Directory(usize),
    /// Into [`Contents::files`].
    File(usize),
}

/// The content of a file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// The node that has the content: another one for a copy that stands for a hard link.
    pub(crate) source: NodeId,
    /// Bytes.
    pub(crate) size: u32,
    /// Whether there are holes.
    pub(crate) sparse: bool,
}

impl Contents {
    /// Reads `tree` and names everything.
    pub(crate) fn read(
        request: &Request,
        has_label: bool,
        tree: &mut dyn Tree,
    ) -> Result<Self, FormatError> {
        let mut reader = Reader::new(request.drop);
        each_node(tree, |id, node| reader.add(id, node))?;
        let mut contents = reader.contents;
        if contents.directories.is_empty() {
            return Err(ReadError::Source.into());
        }
        for (index, directory) in contents.directories.iter_mut().enumerate() {
            let own = if index == 0 {
                u32::from(has_label)
            } else {
                SLOTS_OF_DOTS
            };
            directory.complete(own)?;
        }
        Ok(contents)
    }

    /// The slots of the root directory.
    pub(crate) fn root_slots(&self) -> u32 {
        self.directories[0].slots
    }

    /// How many clusters of `cluster_bytes` the tree takes, with or without its root directory.
    pub(crate) fn clusters(&self, cluster_bytes: u32, root_in_clusters: bool) -> u64 {
        let directories = self.directories.iter().skip(usize::from(!root_in_clusters));
        let of_directories: u64 = directories
            .map(|directory| u64::from(directory.clusters(cluster_bytes)))
            .sum();
        let of_files: u64 = self
            .files
            .iter()
            .map(|file| u64::from(file.clusters(cluster_bytes)))
            .sum();
        of_directories + of_files
    }
}

impl Directory {
    /// The length of its chain; never 0.
    pub(crate) fn clusters(&self, cluster_bytes: u32) -> u32 {
        (self.slots * SLOT_BYTES).div_ceil(cluster_bytes).max(1)
    }

    /// Finds collisions, gives the short names and counts the slots, with `own_slots` that are no entry's.
    fn complete(&mut self, own_slots: u32) -> Result<(), FormatError> {
        let mut by_folded_name: BTreeMap<String, NodeId> = BTreeMap::new();
        let mut slots = u64::from(own_slots);
        for entry in &self.entries {
            if let Some(other) = by_folded_name.insert(names::folded(&entry.name), entry.node) {
                return Err(FormatError::node(
                    entry.node,
                    NodeProblem::NameCollision(other),
                ));
            }
            slots += u64::from(names::slots(&entry.name));
        }
        let too_large = NodeProblem::DirectoryTooLarge(SLOT_LIMIT.into());
        self.slots = u32::try_from(slots)
            .ok()
            .filter(|slots| *slots <= SLOT_LIMIT)
            .ok_or(FormatError::node(self.node, too_large))?;
        let short_names = names::aliases(self.entries.iter().map(|entry| &*entry.name))
            .map_err(|index| FormatError::node(self.entries[index].node, too_large))?;
        for (entry, short_name) in self.entries.iter_mut().zip(short_names) {
            entry.short_name = short_name;
        }
        Ok(())
    }
}

impl File {
    /// The length of its chain; 0 if it is empty.
    pub(crate) fn clusters(&self, cluster_bytes: u32) -> u32 {
        self.size.div_ceil(cluster_bytes)
    }
}

/// What became of a node.
#[derive(Clone, Copy)]
enum Fate {
    Dropped,
    Directory(usize),
    File(usize),
}

/// Takes the nodes in, one by one.
struct Reader {
    drop: Losses,
    owner: Option<(u32, u32)>,
    fates: Vec<Fate>,
    contents: Contents,
}

impl Reader {
    fn new(drop: Losses) -> Self {
        Self {
            drop,
            owner: None,
            fates: Vec::new(),
            contents: Contents {
                directories: Vec::new(),
                files: Vec::new(),
                redated: 0,
            },
        }
    }

    fn add(&mut self, id: NodeId, node: Node<'_>) -> Result<(), FormatError> {
        let fate = self.fate(&node.kind).map_err(|failure| failure.of(id))?;
        self.fates.push(fate);
        if matches!(fate, Fate::Dropped) {
            return Ok(());
        }
        self.check_losses(&node)
            .map_err(|problem| FormatError::node(id, problem))?;
        let is_root = id == NodeId::ROOT;
        // The root has no time of its own.
        if !is_root && !Moment::counts(node.modified) {
            self.contents.redated += 1;
        }
        let moment = Moment::nearest(node.modified);
        let parent = match self.fates.get(node.parent.index()) {
            Some(Fate::Directory(parent)) => *parent,
            _ => return Err(ReadError::Source.into()),
        };
        let (item, mut attributes) = match fate {
            Fate::File(index) => (Item::File(index), Attributes::ARCHIVE),
            Fate::Directory(index) => (Item::Directory(index), Attributes::DIRECTORY),
            Fate::Dropped => return Ok(()),
        };
        if let Item::Directory(_) = item {
            self.contents.directories.push(Directory {
                node: id,
                parent,
                moment,
                entries: Vec::new(),
                slots: 0,
            });
        } else {
            // On a directory the attribute does not forbid writing, it means other things.
            attributes.set(Attributes::READ_ONLY, node.mode & WRITE_BITS == 0);
        }
        if !is_root {
            let name = names::check(node.name.into_owned())
                .map_err(|problem| FormatError::node(id, problem))?;
            self.contents.directories[parent].entries.push(Entry {
                node: id,
                name,
                short_name: [b' '; 11],
                attributes,
                moment,
                item,
            });
        }
        Ok(())
    }

    /// What becomes of a node of `kind`. A file's content is taken in at once.
    fn fate(&mut self, kind: &Kind<'_>) -> Result<Fate, Failure> {
        match kind {
            Kind::Directory => Ok(Fate::Directory(self.contents.directories.len())),
            Kind::File { size, sparse } => {
                let size =
                    u32::try_from(*size).map_err(|_| NodeProblem::FileTooLarge(FILE_LIMIT))?;
                let source =
                    NodeId(u32::try_from(self.fates.len()).map_err(|_| ReadError::Source)?);
                Ok(self.file(File {
                    source,
                    size,
                    sparse: *sparse,
                }))
            }
            Kind::HardLink(target) => match self.fates.get(target.index()) {
                Some(Fate::Dropped) => Ok(Fate::Dropped),
                Some(Fate::File(_)) if !self.drop.contains(Losses::HARD_LINKS) => {
                    Err(NodeProblem::HardLink.into())
                }
                Some(Fate::File(index)) => {
                    let copy = self.contents.files[*index].clone();
                    Ok(self.file(copy))
                }
                _ => Err(ReadError::NotAFile.into()),
            },
            Kind::Symlink(_) => self.dropped(Losses::SYMLINKS),
            Kind::CharacterDevice(_) | Kind::BlockDevice(_) | Kind::Fifo | Kind::Socket => {
                self.dropped(Losses::SPECIAL_FILES)
            }
        }
    }

    fn file(&mut self, file: File) -> Fate {
        self.contents.files.push(file);
        Fate::File(self.contents.files.len() - 1)
    }

    fn dropped(&self, loss: Losses) -> Result<Fate, Failure> {
        if self.drop.contains(loss) {
            Ok(Fate::Dropped)
        } else {
            Err(NodeProblem::Kind.into())
        }
    }

    fn check_losses(&mut self, node: &Node<'_>) -> Result<(), NodeProblem> {
        let owner = (node.uid, node.gid);
        let is_directory = node.kind == Kind::Directory;
        let lost = [
            // One owner of all files is no loss: it is who mounts the volume. Directories that lead to them may have been
            // made by the host.
            (
                !is_directory && *self.owner.get_or_insert(owner) != owner,
                Losses::OWNERS,
                NodeProblem::Owner,
            ),
            (
                node.mode & !PERMISSION_BITS != 0,
                Losses::PERMISSIONS,
                NodeProblem::Permissions,
            ),
            (
                !node.attributes.is_empty(),
                Losses::ATTRIBUTES,
                NodeProblem::Attributes,
            ),
        ];
        for (is_lost, loss, problem) in lost {
            if is_lost && !self.drop.contains(loss) {
                return Err(problem);
            }
        }
        Ok(())
    }
}

/// Why a node has no fate.
enum Failure {
    Node(NodeProblem),
    Tree(ReadError),
}

impl Failure {
    fn of(self, id: NodeId) -> FormatError {
        match self {
            Self::Node(problem) => FormatError::node(id, problem),
            Self::Tree(error) => error.into(),
        }
    }
}

impl From<NodeProblem> for Failure {
    fn from(problem: NodeProblem) -> Self {
        Self::Node(problem)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::Tree(error)
    }
}
