//! The reader of ext2, ext3 and ext4: from a partition to its nodes, and where the bytes of files are.
//!
//! ```text
//!   superblock ──> group descriptors ──> inode tables
//!        |                                    |
//!     journal: newer blocks, in memory      inode ──> attributes
//!                                             |
//!                                          mapping: extents, or lists of blocks
//!                                          /      \
//!                                  directory      content ──> extents for the host
//! ```
//!
//! It shares no code with the formatter but the SDK. What it reads nobody has checked: each number is held against what there
//! is before it is used, metadata is read at most once a block over the whole file system, and memory is taken for what was read.
//! Values of attributes that files share are the exception, and have a bound of their own.
//!
//! Checksums are checked where the file system has them (`metadata_csum`): a wrong one is an error, since what it covers may be
//! anything. What the journal has and the disk has not is laid over it in memory, as a mount would write it. Names that are
//! encrypted are shown as the kernel shows them without the key, and what is in encrypted files as it stands, with a warning.

#![deny(unsafe_code)]

mod acl;
mod attributes;
mod content;
mod crc32;
mod directory;
mod field;
mod inode;
mod journal;
mod mapping;
mod names;
mod shared;
mod superblock;
mod untold;
mod volume;

#[cfg(target_arch = "wasm32")]
#[allow(
    unsafe_code,
    reason = "what the bindings of the contract export and import"
)]
mod component;

use std::borrow::Cow;
use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};

use cellblock_guest::reader::{
    Listing, Partition, Reader, ReaderDescription, ReaderError, ReaderRequest, Teller, Volume,
};
use cellblock_guest::{Kind, Node, NodeId, Uuid};

use inode::{Flags, Inode};
use superblock::Incompatible;
use untold::Untold;
use volume::Ext as Open;

/// The reader.
#[derive(Clone, Copy, Debug)]
pub struct Ext;

impl Reader for Ext {
    fn describe() -> ReaderDescription {
        ReaderDescription {
            name: "ext",
            version: env!("CARGO_PKG_VERSION"),
            summary: "reads ext2, ext3 and ext4",
            kinds: &["ext2", "ext3", "ext4"],
        }
    }

    fn probe(partition: &dyn Partition) -> Result<Volume, ReaderError> {
        Ok(volume(&Open::open(partition)?))
    }

    fn read(
        request: &ReaderRequest,
        partition: &dyn Partition,
        listing: &mut dyn Listing,
    ) -> Result<Volume, ReaderError> {
        let ext = Open::open(partition)?;
        let walk = Walk {
            ext: &ext,
            wants_extents: request.extents,
            teller: Teller::new(listing),
            directories: BTreeSet::new(),
            linked: BTreeMap::new(),
            untold: Untold::default(),
        };
        walk.all()?;
        Ok(volume(&ext))
    }
}

fn volume(ext: &Open<'_>) -> Volume {
    let superblock = &ext.superblock;
    let block_size = u64::from(superblock.block_size);
    let mut properties = vec![
        ("inodes".to_owned(), superblock.inodes.to_string()),
        ("inode size".to_owned(), superblock.inode_size.to_string()),
    ];
    if let Some(size) = journal_size(ext) {
        properties.push(("journal size".to_owned(), size.to_string()));
    }
    if ext.needs_replay() {
        let value = format!("{} blocks, replayed in memory", ext.replayed());
        properties.push(("journal".to_owned(), value));
    }
    Volume {
        kind: superblock.kind().to_owned(),
        label: superblock.label.clone(),
        identifier: match superblock.uuid == [0; 16] {
            true => String::new(),
            false => Uuid(superblock.uuid).to_string(),
        },
        block_size: superblock.block_size,
        size: superblock.blocks * block_size,
        free: superblock.free_blocks.min(superblock.blocks) * block_size,
        properties,
    }
}

/// The bytes of the journal, if it is in this file system.
fn journal_size(ext: &Open<'_>) -> Option<u64> {
    let number = ext.superblock.journal;
    let has_one = (1..=ext.superblock.inodes).contains(&number);
    let inode = has_one.then(|| Inode::read(ext, number, "the superblock"));
    inode?.ok().map(|inode| inode.size)
}

/// A way through all directories.
struct Walk<'a, 'b> {
    ext: &'a Open<'b>,
    wants_extents: bool,
    teller: Teller<'a>,
    /// The inodes of those that were told.
    directories: BTreeSet<u32>,
    /// The first names of inodes that have several.
    linked: BTreeMap<u32, NodeId>,
    untold: Untold,
}

impl Walk<'_, '_> {
    fn all(mut self) -> Result<(), ReaderError> {
        let root = Inode::read(self.ext, inode::ROOT, "the superblock")?;
        if root.kind != inode::Kind::Directory {
            return Err(root.damaged("is the root, and no directory"));
        }
        let mut waiting = Vec::new();
        self.tell(root, NodeId::ROOT, b"", &mut waiting)?;
        while let Some((directory, id)) = waiting.pop() {
            let owner = directory.name();
            for entry in directory::entries(self.ext, &directory)? {
                let inode = Inode::read(self.ext, entry.inode, &owner)?;
                if let Some(first) = self.linked.get(&entry.inode) {
                    let kind = Kind::HardLink(*first);
                    self.teller.node(node(&inode, id, &entry.name, kind, &[]))?;
                    continue;
                }
                self.tell(inode, id, &entry.name, &mut waiting)?;
            }
        }
        for warning in self.untold.warnings(self.wants_extents) {
            self.teller.warn(&warning);
        }
        self.teller.finish();
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
        let attributes = attributes::attributes(self.ext, &inode)?;
        let kind = self.kind(&inode)?;
        let id = self
            .teller
            .node(node(&inode, parent, name, kind, &attributes))?;
        self.untold.note(&inode, name);
        match inode.kind {
            inode::Kind::Directory => {
                if !self.directories.insert(inode.number) {
                    return Err(inode.damaged("is a directory with two names"));
                }
                waiting.push((inode, id));
                return Ok(());
            }
            inode::Kind::File if self.wants_extents => {
                for extent in content::extents(self.ext, &inode, id)? {
                    self.teller.extent(extent);
                }
            }
            _ => {}
        }
        // One that says it has one name, and has more, is told anew at each.
        if let Slot::Vacant(slot) = self.linked.entry(inode.number)
            && inode.links != 1
        {
            slot.insert(id);
        }
        Ok(())
    }

    fn kind(&self, inode: &Inode) -> Result<Kind<'static>, ReaderError> {
        Ok(match inode.kind {
            inode::Kind::Directory => Kind::Directory,
            inode::Kind::File => Kind::File {
                size: self.file_size(inode)?,
                sparse: false,
            },
            inode::Kind::Symlink => Kind::symlink(self.target(inode)?),
            inode::Kind::CharacterDevice => Kind::CharacterDevice(inode.device()),
            inode::Kind::BlockDevice => Kind::BlockDevice(inode.device()),
            inode::Kind::Fifo => Kind::Fifo,
            inode::Kind::Socket => Kind::Socket,
        })
    }

    /// No system has offsets beyond 63 bits.
    fn file_size(&self, inode: &Inode) -> Result<u64, ReaderError> {
        if i64::try_from(inode.size).is_err() {
            return Err(inode.damaged(format!("has {} bytes", inode.size)));
        }
        Ok(inode.size)
    }

    /// Whether a link's target stands in the inode, where the map is: as the kernel's `ext4_inode_is_fast_symlink` decides. What
    /// an inode takes tells nothing where large attributes count to it, but no kernel that knows them gives a short target a block.
    fn is_fast_link(&self, inode: &Inode) -> bool {
        let superblock = &self.ext.superblock;
        if inode.size >= inode::MAP as u64 {
            return false;
        }
        if superblock.incompatible.contains(Incompatible::EA_INODE) {
            return true;
        }
        let of_attributes = match inode.attributes {
            0 => 0,
            _ => u64::from(superblock.cluster_size / 512),
        };
        !inode.flags.contains(Flags::INLINE_DATA) && inode.sectors <= of_attributes
    }

    fn target(&self, inode: &Inode) -> Result<Vec<u8>, ReaderError> {
        /// The kernel's limit, with a zero at the end.
        const LIMIT: u64 = 4096;
        let mut target = if self.is_fast_link(inode) {
            let length = usize::try_from(inode.size).expect("it is below 60");
            inode.map[..length].to_vec()
        } else {
            let block = u64::from(self.ext.superblock.block_size);
            if inode.size >= block {
                return Err(inode.damaged(format!(
                    "has a target of {} bytes, which do not fit into a block of {block}",
                    inode.size
                )));
            }
            content::bytes(self.ext, inode, LIMIT)?
        };
        if inode.flags.contains(Flags::ENCRYPTED) {
            target = names::shown_target(&target);
        }
        if target.is_empty() || target.contains(&0) {
            return Err(inode.damaged("is a symbolic link to nothing"));
        }
        Ok(target)
    }
}

fn node<'a>(
    inode: &Inode,
    parent: NodeId,
    name: &'a [u8],
    kind: Kind<'static>,
    attributes: &'a [cellblock_guest::Attribute],
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
