//! The reader of erofs: from a partition to its nodes, and where the bytes of files are.
//!
//! ```text
//!   superblock ──> inodes ──> attributes, of their own and shared
//!                    |
//!                 mapping: blocks in a row, chunks, clusters (compact or full indexes, extents), parts of the packed inode
//!                  /      \
//!          directory      content ──> extents for the host
//! ```
//!
//! It shares no code with the formatter but the SDK. What it reads nobody has checked: each number is held against what there
//! is before it is used. An inode is read once, however many names it has, and metadata that overlaps, which would make a small
//! file system a large tree, is refused.

#![deny(unsafe_code)]

mod attributes;
mod content;
mod directory;
mod inode;
mod mapping;
mod meta;
mod superblock;

#[cfg(target_arch = "wasm32")]
#[allow(
    unsafe_code,
    reason = "what the bindings of the contract export and import"
)]
mod component;

use std::borrow::Cow;
use std::collections::BTreeMap;

use cellblock_guest::reader::{
    Listing, Partition, Reader, ReaderDescription, ReaderError, ReaderRequest, Teller, Volume,
};
use cellblock_guest::{Attribute, Kind, Node, NodeId, Uuid};

use attributes::Prefixes;
use content::Packed;
use inode::Inode;
use meta::Open;
use superblock::Superblock;

/// The longest target of a symbolic link.
const TARGET_LIMIT: u64 = 4095;

/// The reader.
#[derive(Clone, Copy, Debug)]
pub struct Erofs;

impl Reader for Erofs {
    fn describe() -> ReaderDescription {
        ReaderDescription {
            name: "erofs",
            version: env!("CARGO_PKG_VERSION"),
            summary: "reads erofs",
            kinds: &["erofs"],
        }
    }

    fn probe(partition: &dyn Partition) -> Result<Volume, ReaderError> {
        let open = Open::new(partition)?;
        let packed = Packed::read(&open)?;
        volume(&open.superblock, &prefixes(&open, &packed)?)
    }

    fn read(
        request: &ReaderRequest,
        partition: &dyn Partition,
        listing: &mut dyn Listing,
    ) -> Result<Volume, ReaderError> {
        let open = Open::new(partition)?;
        let packed = Packed::read(&open)?;
        let prefixes = prefixes(&open, &packed)?;
        let volume = volume(&open.superblock, &prefixes)?;
        let walk = Walk {
            prefixes,
            open: &open,
            packed: &packed,
            wants_extents: request.extents,
            teller: Teller::new(listing),
            told: BTreeMap::new(),
            shared_bytes: 0,
            extents: 0,
        };
        walk.all()?;
        Ok(volume)
    }
}

fn volume(superblock: &Superblock, prefixes: &Prefixes) -> Result<Volume, ReaderError> {
    let uuid = superblock.uuid;
    let mut properties = vec![("inodes".to_owned(), superblock.inodes.to_string())];
    if let Some(number) = superblock.digests {
        let prefix = prefixes.get(usize::from(number)).ok_or_else(|| {
            let problem = format!(
                "names the digests of files by prefix {number} of {}",
                prefixes.len()
            );
            ReaderError::damaged("the superblock", None, problem)
        })?;
        let name = prefix.name.escape_ascii().to_string();
        properties.push(("digests of files".to_owned(), name));
    }
    Ok(Volume {
        kind: "erofs".to_owned(),
        label: superblock.label.clone(),
        identifier: match uuid == [0; 16] {
            true => String::new(),
            false => Uuid(uuid).to_string(),
        },
        block_size: 1 << superblock.block_bits,
        size: superblock.size(),
        free: 0,
        properties,
    })
}

/// The prefixes of attributes that the file system has of its own.
fn prefixes(open: &Open<'_>, packed: &Packed) -> Result<Prefixes, ReaderError> {
    const NAME: &str = "the table of prefixes of attributes";
    /// More than 255 of the longest.
    const LIMIT: u64 = 128 << 10;
    let superblock = &open.superblock;
    let (count, place) = superblock.prefixes;
    let offset = u64::from(place) * 4;
    if count == 0 {
        return Ok(Prefixes::new());
    }
    let bytes = match superblock.packed {
        Some(number) if superblock.prefixes_are_packed => {
            let inode = Inode::read(open, number, "the superblock")?;
            content::range(open, packed, &inode, (offset, LIMIT))?
        }
        _ => {
            let length = superblock.size().saturating_sub(offset).min(LIMIT);
            let length = usize::try_from(length).expect("it is small");
            open.bytes(offset, length, NAME)?
        }
    };
    attributes::prefixes(&bytes, count)
}

/// A way through all directories.
struct Walk<'a> {
    open: &'a Open<'a>,
    packed: &'a Packed,
    prefixes: Prefixes,
    wants_extents: bool,
    teller: Teller<'a>,
    /// The node of each inode that was told; none of a directory.
    told: BTreeMap<u64, Option<NodeId>>,
    shared_bytes: u64,
    extents: u64,
}

impl Walk<'_> {
    fn all(mut self) -> Result<(), ReaderError> {
        let root = Inode::read(self.open, self.open.superblock.root, "the superblock")?;
        if root.kind != inode::Kind::Directory {
            return Err(root.damaged("is the root, and no directory"));
        }
        let mut waiting = Vec::new();
        self.tell(root, NodeId::ROOT, b"", &mut waiting)?;
        while let Some((directory, id)) = waiting.pop() {
            self.list(&directory, id, &mut waiting)?;
        }
        self.teller.finish();
        Ok(())
    }

    fn list(
        &mut self,
        directory: &Inode,
        parent: NodeId,
        waiting: &mut Vec<(Inode, NodeId)>,
    ) -> Result<(), ReaderError> {
        let content = content::bytes(self.open, self.packed, directory)?;
        let block_size =
            usize::try_from(self.open.superblock.block_size()).expect("a block has at most 64 KiB");
        let owner = directory.name();
        for (name, number) in directory::entries(directory, &content, block_size)? {
            let inode = Inode::read(self.open, number, &owner)?;
            match self.told.get(&number) {
                Some(Some(first)) => {
                    let kind = Kind::HardLink(*first);
                    self.teller.node(node(&inode, parent, name, kind, &[]))?;
                }
                Some(None) => return Err(inode.damaged("is a directory with two names")),
                None => self.tell(inode, parent, name, waiting)?,
            }
        }
        Ok(())
    }

    /// Tells the first name of an inode, and its extents.
    fn tell(
        &mut self,
        inode: Inode,
        parent: NodeId,
        name: &[u8],
        waiting: &mut Vec<(Inode, NodeId)>,
    ) -> Result<(), ReaderError> {
        self.open.spend(32, &inode.name())?;
        let (open, packed) = (self.open, self.packed);
        let shared_bytes = &mut self.shared_bytes;
        let attributes = attributes::attributes(open, &self.prefixes, &inode, shared_bytes)?;
        let kind = self.kind(&inode)?;
        let node = node(&inode, parent, name, kind, &attributes);
        let id = self.teller.node(node)?;
        let is_directory = inode.kind == inode::Kind::Directory;
        self.told
            .insert(inode.number, (!is_directory).then_some(id));
        if is_directory {
            waiting.push((inode, id));
        } else if inode.kind == inode::Kind::File && self.wants_extents {
            let teller = &mut self.teller;
            content::tell(open, packed, (&inode, id), &mut self.extents, teller)?;
        }
        Ok(())
    }

    fn kind(&self, inode: &Inode) -> Result<Kind<'static>, ReaderError> {
        Ok(match inode.kind {
            inode::Kind::Directory => Kind::Directory,
            inode::Kind::File => Kind::File {
                size: inode.size,
                sparse: false,
            },
            inode::Kind::Symlink => {
                if inode.size > TARGET_LIMIT {
                    return Err(inode.damaged(format!("has a target of {} bytes", inode.size)));
                }
                let target = content::bytes(self.open, self.packed, inode)?;
                if target.is_empty() || target.contains(&0) {
                    return Err(inode.damaged("is a symbolic link to nothing"));
                }
                Kind::symlink(target)
            }
            inode::Kind::CharacterDevice => Kind::CharacterDevice(inode.device()),
            inode::Kind::BlockDevice => Kind::BlockDevice(inode.device()),
            inode::Kind::Fifo => Kind::Fifo,
            inode::Kind::Socket => Kind::Socket,
        })
    }
}

fn node<'a>(
    inode: &Inode,
    parent: NodeId,
    name: &'a [u8],
    kind: Kind<'static>,
    attributes: &'a [Attribute],
) -> Node<'a> {
    Node {
        parent,
        name: Cow::Borrowed(name),
        kind,
        mode: inode.mode,
        uid: inode.uid,
        gid: inode.gid,
        modified: inode.modified,
        attributes: Cow::Borrowed(attributes),
    }
}
