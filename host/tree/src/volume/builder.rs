//! Takes in what a reader tells, and holds it against what a tree can be.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use cellblock_text::PathBytes;

use super::{Blocks, Decoders, EncodedBlock, ToldNode, ToldPlace, VolumeFault};
use crate::source::attributes::AttributeSets;
use crate::source::forest::{Body, Forest, Inode, InodeId, Metadata};
use crate::source::store::{StoredFile, VolumePiece, VolumePlace, VolumeStore};
use crate::validate::{self, Fault};
use crate::{Attribute, Kind, Tree};

/// The longest path in bytes.
pub(super) const PATH_LIMIT: u32 = 16 << 10;
/// The most bytes of memory that a tree takes.
pub(super) const MEMORY: u64 = 3 << 30;
/// What a node takes beside its name, its target and its attributes, and what an extent takes.
const NODE_BYTES: u64 = 200;
const EXTENT_BYTES: u64 = 48;
/// What an encoded extent takes more.
const ENCODED_BYTES: u64 = size_of::<EncodedBlock>() as u64 + 16;
/// The longest name, in bytes: FAT's 255 UTF-16 units in UTF-8. Other file systems have 255 bytes.
const NAME_LIMIT: usize = 3 * 255;
/// The largest file of Linux, in bytes: `MAX_LFS_FILESIZE` of 64 bits.
const SIZE_LIMIT: u64 = i64::MAX as u64;
/// The largest numbers of a device of Linux: 12 bits and 20 (`linux/kdev_t.h`).
const DEVICE_LIMITS: (u32, u32) = (0xfff, 0xf_ffff);
/// The longest target of a symbolic link.
const TARGET_LIMIT: usize = 4095;

/// Takes in what a reader tells. See the [module](super).
#[derive(Debug)]
pub struct VolumeBuilder {
    /// The bytes of the partition.
    size: u64,
    forest: Forest,
    sets: AttributeSets,
    /// The inode of each node.
    inodes: Vec<InodeId>,
    /// The bytes of each inode's path. That of its first name.
    paths: Vec<u32>,
    parents: Vec<InodeId>,
    /// The pieces of each file, by its number in the store.
    files: Vec<Vec<VolumePiece>>,
    memory: u64,
}

impl VolumeBuilder {
    /// A tree of nothing yet, of a partition of `size` bytes.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self {
            size,
            forest: Forest::new(),
            sets: AttributeSets::new(),
            inodes: Vec::new(),
            paths: Vec::new(),
            parents: Vec::new(),
            files: Vec::new(),
            memory: 0,
        }
    }

    /// How many nodes were told.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.inodes.len()
    }

    /// Takes in the next node.
    ///
    /// # Errors
    /// [`VolumeFault`] if no tree has it.
    pub fn node(&mut self, told: ToldNode<'_>) -> Result<(), VolumeFault> {
        let attributes: usize = told
            .attributes
            .iter()
            .map(|it| it.name.len() + it.value.len() + size_of::<Attribute>())
            .sum();
        let target = match &told.kind {
            Kind::Symlink(target) => target.len(),
            _ => 0,
        };
        self.take_memory(NODE_BYTES + (told.name.len() + target + attributes) as u64)?;
        if self.inodes.is_empty() {
            return self.root(told);
        }
        let lost = || VolumeFault::Parent {
            name: told.name.into(),
            parent: told.parent,
        };
        let parent = *self.inodes.get(told.parent as usize).ok_or_else(lost)?;
        if !matches!(self.forest.body(parent), Body::Directory(_)) {
            return Err(lost());
        }
        if !is_name(told.name) {
            return Err(VolumeFault::Name {
                directory: self.path(parent),
                name: told.name.into(),
            });
        }
        let length = self.paths[parent.index()] as usize + 1 + told.name.len();
        // What no u32 holds is beyond the limit all the more.
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        if length > PATH_LIMIT {
            return Err(VolumeFault::Deep {
                directory: self.path(parent),
            });
        }
        let path = || self.path_in(parent, told.name);
        let inode = match &told.kind {
            Kind::HardLink(first) => {
                let found = self.inodes.get(first.0 as usize).copied();
                let is_linkable =
                    |inode: &InodeId| !matches!(self.forest.body(*inode), Body::Directory(_));
                found.filter(is_linkable).ok_or_else(|| VolumeFault::Link {
                    path: path(),
                    node: first.0.into(),
                })?
            }
            kind => {
                check(&told, kind, path)?;
                let body = match kind {
                    Kind::Directory => Body::Directory(Default::default()),
                    Kind::File { size, .. } => {
                        let number =
                            u32::try_from(self.files.len()).map_err(|_| VolumeFault::Memory)?;
                        self.files.push(Vec::new());
                        Body::File {
                            size: *size,
                            sparse: *size > 0,
                            content: StoredFile { store: 0, number },
                        }
                    }
                    other => Body::Other(other.clone()),
                };
                let metadata = self.metadata(&told);
                let inode = Inode {
                    metadata: Some(metadata),
                    body,
                };
                self.paths.push(length);
                self.parents.push(parent);
                self.forest.add(inode).map_err(|_| VolumeFault::Memory)?
            }
        };
        if !self.forest.name_once(parent, told.name, inode) {
            return Err(VolumeFault::Twice {
                path: self.path_in(parent, told.name),
            });
        }
        self.inodes.push(inode);
        Ok(())
    }

    fn root(&mut self, told: ToldNode<'_>) -> Result<(), VolumeFault> {
        if told.kind != Kind::Directory || !told.name.is_empty() || told.parent != 0 {
            return Err(VolumeFault::Root);
        }
        check(&told, &told.kind, || PathBytes(b"/".to_vec()))?;
        let metadata = self.metadata(&told);
        self.forest.set_metadata(InodeId::ROOT, metadata);
        self.inodes.push(InodeId::ROOT);
        self.paths.push(0);
        self.parents.push(InodeId::ROOT);
        Ok(())
    }

    fn metadata(&mut self, told: &ToldNode<'_>) -> Metadata {
        Metadata {
            mode: told.mode,
            uid: told.uid,
            gid: told.gid,
            modified: Some(told.modified),
            attributes: self.sets.number(told.attributes.clone()),
        }
    }

    /// Takes in the next bytes of a file.
    ///
    /// # Errors
    /// [`VolumeFault`] if no file has them.
    pub fn extent(
        &mut self,
        node: u32,
        offset: u64,
        length: u64,
        place: ToldPlace,
    ) -> Result<(), VolumeFault> {
        let no_file = VolumeFault::NotAFile(node);
        let Some(inode) = self.inodes.get(node as usize).copied() else {
            return Err(no_file);
        };
        let Body::File { size, content, .. } = self.forest.body(inode) else {
            return Err(no_file);
        };
        let (size, number) = (*size, content.number as usize);
        let told = self.files[number].last().map_or(0, VolumePiece::end);
        let end = offset.checked_add(length);
        if length == 0 || offset < told || end.is_none_or(|end| end > size) {
            return Err(VolumeFault::Extent {
                path: self.path(inode),
                offset,
                length,
                size,
                told,
            });
        }
        let outside = |offset| VolumeFault::Outside {
            path: self.path(inode),
            offset,
            size: self.size,
        };
        let short = |holds| VolumeFault::Short {
            path: self.path(inode),
            length,
            holds,
        };
        let mut memory = EXTENT_BYTES;
        let place = match place {
            ToldPlace::Plain(start) => {
                let end = start.checked_add(length);
                if end.is_none_or(|end| end > self.size) {
                    return Err(outside(start));
                }
                VolumePlace::Plain(start)
            }
            ToldPlace::Encoded(block, skip) => {
                memory += ENCODED_BYTES;
                if !block.fits(self.size) {
                    return Err(outside(block.offset));
                }
                let holds = block.decoded.saturating_sub(skip).into();
                if length > holds {
                    return Err(short(holds));
                }
                VolumePlace::Encoded(Box::new(block), skip)
            }
            ToldPlace::Inline(bytes) => {
                if bytes.len() as u64 != length {
                    return Err(short(bytes.len() as u64));
                }
                memory += length;
                VolumePlace::Inline(bytes.into())
            }
        };
        self.take_memory(memory)?;
        self.files[number].push(VolumePiece {
            offset,
            length,
            place,
        });
        Ok(())
    }

    fn take_memory(&mut self, bytes: u64) -> Result<(), VolumeFault> {
        self.memory += bytes;
        if self.memory > MEMORY {
            return Err(VolumeFault::Memory);
        }
        Ok(())
    }

    /// The path of a name in a directory.
    fn path_in(&self, directory: InodeId, name: &[u8]) -> PathBytes {
        let mut path = self.path(directory).0;
        if path != b"/" {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        PathBytes(path)
    }

    /// The path of an inode, by its first name.
    fn path(&self, inode: InodeId) -> PathBytes {
        let mut names: Vec<&[u8]> = Vec::new();
        let mut at = inode;
        while at != InodeId::ROOT {
            let parent = self.parents[at.index()];
            names.push(self.forest.name_of(parent, at).unwrap_or(b"?"));
            at = parent;
        }
        PathBytes(crate::join_path(names.into_iter().rev()))
    }

    /// The tree. Its bytes are those of `blocks`, which are called `name` in messages, and what is encoded of them is decoded
    /// by what `decoders` start.
    ///
    /// Attributes that no kernel takes are left out, since one that is broken should hide no file; the first is told.
    ///
    /// # Errors
    /// [`VolumeFault`] if no root was told, there are too many nodes, or one has an owner that nobody is.
    pub fn finish(
        mut self,
        name: PathBuf,
        blocks: Arc<dyn Blocks>,
        decoders: Arc<dyn Decoders>,
    ) -> Result<FinishedVolume, VolumeFault> {
        if self.inodes.is_empty() {
            return Err(VolumeFault::Root);
        }
        let left_out = self.leave_out()?;
        for (_, inode) in self.forest.inodes_mut() {
            if let Body::File {
                size,
                sparse,
                content,
            } = &mut inode.body
            {
                let pieces = &self.files[content.number as usize];
                let told: u64 = pieces.iter().map(|piece| piece.length).sum();
                *sparse = told < *size;
            }
        }
        let files = self.files.into_iter().map(Into::into).collect();
        let store = VolumeStore::new(name, blocks, decoders, files);
        let tree = self
            .forest
            .into_tree(vec![Box::new(store)], self.sets, None)
            .map_err(|_| VolumeFault::Nodes)?;
        Ok(FinishedVolume { tree, left_out })
    }

    /// Holds all nodes against the kernel's own rules, without the attributes that break them.
    fn leave_out(&mut self) -> Result<Option<LeftOut>, VolumeFault> {
        let Err((path, fault)) = validate::check(&mut self.forest, &mut self.sets, false) else {
            return Ok(None);
        };
        validate::check(&mut self.forest, &mut self.sets, true).map_err(|(path, fault)| {
            VolumeFault::Invalid {
                path: PathBytes(path),
                fault,
            }
        })?;
        Ok(Some(LeftOut {
            path: PathBytes(path),
            fault,
        }))
    }
}

/// A file system as a tree.
#[derive(Debug)]
pub struct FinishedVolume {
    /// What is in it.
    pub tree: Tree,
    /// What is not, though it was told.
    pub left_out: Option<LeftOut>,
}

/// Attributes that no kernel takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The first file that had some.
    pub path: PathBytes,
    /// What is wrong with the first of them.
    pub fault: Fault,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, fault } = self;
        write!(
            formatter,
            "attributes that Linux does not take were left out; the first is of {path}: {}",
            fault.problem()
        )
    }
}

/// Holds what is told beside a node's name against what there is.
fn check(
    told: &ToldNode<'_>,
    kind: &Kind,
    path: impl Fn() -> PathBytes,
) -> Result<(), VolumeFault> {
    let is_possible = match *kind {
        Kind::File { size, .. } => size <= SIZE_LIMIT,
        Kind::CharacterDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            major <= DEVICE_LIMITS.0 && minor <= DEVICE_LIMITS.1
        }
        _ => true,
    };
    if !is_possible || told.mode > 0o7777 || told.modified.nanoseconds >= 1_000_000_000 {
        return Err(VolumeFault::Metadata { path: path() });
    }
    if let Kind::Symlink(target) = kind
        && (target.is_empty() || target.len() > TARGET_LIMIT || target.contains(&0))
    {
        return Err(VolumeFault::Target {
            path: path(),
            length: target.len(),
        });
    }
    Ok(())
}

/// Whether a file can be called so.
fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..")
        && name.len() <= NAME_LIMIT
        && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::Timestamp;

    fn told(name: &[u8], kind: Kind) -> ToldNode<'_> {
        ToldNode {
            parent: 0,
            name,
            kind,
            mode: 0o755,
            uid: 0,
            gid: 0,
            modified: Timestamp {
                seconds: 0,
                nanoseconds: 0,
            },
            attributes: Vec::new(),
        }
    }

    /// All that is kept of a node counts: of a link that is its target, which a file system may tell at each of many names.
    #[test]
    fn what_takes_more_memory_than_there_may_be_is_refused() {
        let target = || vec![b't'; TARGET_LIMIT];
        let attribute = || Attribute {
            name: b"user.a".to_vec(),
            value: target(),
        };
        let file = Kind::File {
            size: 1,
            sparse: false,
        };
        for (kind, attributes) in [
            (Kind::Symlink(target().into()), Vec::new()),
            (file, vec![attribute()]),
        ] {
            let mut builder = VolumeBuilder::new(1 << 20);
            builder.node(told(b"", Kind::Directory)).unwrap();
            let mut node = |name: &'static [u8], left| {
                builder.memory = MEMORY - left;
                builder.node(ToldNode {
                    attributes: attributes.clone(),
                    ..told(name, kind.clone())
                })
            };
            assert_eq!(node(b"a", 2 * TARGET_LIMIT as u64), Ok(()));
            assert_eq!(node(b"b", TARGET_LIMIT as u64), Err(VolumeFault::Memory));
        }
    }
}
