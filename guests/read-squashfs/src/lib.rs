//! The reader of squashfs 4.0: from a partition to its nodes, and where the bytes of files are.
//!
//! ```text
//!   superblock ──> tables of metadata, decoded by the host: inodes, directories, owners, fragments, attributes
//!                       |
//!        root inode ──> lists of directories ──> inodes ──> content ──> extents for the host
//! ```
//!
//! It shares no code with the formatter but the SDK. What it reads nobody has checked: each number is held against what there
//! is before it is used. Each table is decoded once, as a whole; an inode is read once, however many names it has, and inodes
//! and lists that overlap, which would make a small file system a large tree, are refused.

#![deny(unsafe_code)]

mod attributes;
mod content;
mod directory;
mod inode;
mod metadata;
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
    Codec, Listing, Partition, Reader, ReaderDescription, ReaderError, ReaderRequest, Teller,
    Volume,
};
use cellblock_guest::{Attribute, Kind, Node, NodeId, Timestamp};

use attributes::Attributes;
use inode::{Content, Directory, Inode};
use metadata::{Metadata, Reference};
use superblock::Superblock;

/// The reader.
#[derive(Clone, Copy, Debug)]
pub struct Squashfs;

impl Reader for Squashfs {
    fn describe() -> ReaderDescription {
        ReaderDescription {
            name: "squashfs",
            version: env!("CARGO_PKG_VERSION"),
            summary: "reads squashfs 4.0",
            kinds: &["squashfs"],
        }
    }

    fn probe(partition: &dyn Partition) -> Result<Volume, ReaderError> {
        Superblock::read(partition).map(|superblock| volume(&superblock))
    }

    fn read(
        request: &ReaderRequest,
        partition: &dyn Partition,
        listing: &mut dyn Listing,
    ) -> Result<Volume, ReaderError> {
        let superblock = Superblock::read(partition)?;
        let tables = Tables::read(partition, &superblock)?;
        let walk = Walk {
            superblock: &superblock,
            tables: &tables,
            attributes: Attributes::read(partition, &superblock)?,
            wants_extents: request.extents,
            teller: Teller::new(listing),
            told: BTreeMap::new(),
            inode_bytes: 0,
            list_bytes: 0,
        };
        walk.all()?;
        Ok(volume(&superblock))
    }
}

fn volume(superblock: &Superblock) -> Volume {
    let codec = match superblock.codec {
        Codec::Zlib => "gzip",
        Codec::Lzo => "lzo",
        Codec::Xz => "xz",
        Codec::Lz4 => "lz4",
        _ => "zstd",
    };
    let properties = [
        ("compression", codec.to_owned()),
        ("inodes", superblock.inodes.to_string()),
        ("fragments", superblock.fragments.to_string()),
        ("made", format!("@{}", superblock.modified)),
    ];
    Volume {
        kind: "squashfs".to_owned(),
        block_size: superblock.block_size,
        size: superblock.size,
        properties: properties
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        ..Volume::default()
    }
}

/// The tables of metadata.
struct Tables {
    inodes: Metadata,
    directories: Metadata,
    fragments: Metadata,
    owners: Metadata,
}

impl Tables {
    const INODES: &str = "the table of inodes";
    const DIRECTORIES: &str = "the table of directories";
    const FRAGMENTS: &str = "the table of fragments";
    const OWNERS: &str = "the table of owners";

    fn read(partition: &dyn Partition, superblock: &Superblock) -> Result<Self, ReaderError> {
        let inodes = superblock.inode_table..superblock.directory_table;
        let directories = superblock.directory_table..Self::directories_end(partition, superblock)?;
        let fragments = match superblock.fragment_table {
            Some(index) if superblock.fragments > 0 => {
                let entries = (superblock.fragments, 16);
                Metadata::listed(partition, superblock, Self::FRAGMENTS, index, entries)?
            }
            _ => Metadata::default(),
        };
        let entries = (superblock.ids.into(), 4);
        Ok(Self {
            inodes: Metadata::read(partition, superblock, Self::INODES, inodes)?,
            directories: Metadata::read(partition, superblock, Self::DIRECTORIES, directories)?,
            fragments,
            owners: Metadata::listed(
                partition,
                superblock,
                Self::OWNERS,
                superblock.id_table,
                entries,
            )?,
        })
    }

    /// Nothing says how long the table of directories is: it ends where another begins.
    fn directories_end(
        partition: &dyn Partition,
        superblock: &Superblock,
    ) -> Result<u64, ReaderError> {
        let first = |name, index| metadata::first_block(partition, superblock, name, index);
        let mut ends = vec![superblock.size, superblock.id_table];
        ends.push(first(Self::OWNERS, superblock.id_table)?);
        ends.extend(superblock.attribute_table);
        ends.extend(superblock.fragment_table);
        if let Some(index) = superblock.fragment_table
            && superblock.fragments > 0
        {
            ends.push(first(Self::FRAGMENTS, index)?);
        }
        if let Some(index) = superblock.export_table {
            ends.push(index);
            ends.push(first("the table for exports", index)?);
        }
        let start = superblock.directory_table;
        let ends = ends.into_iter().filter(|end| *end >= start);
        Ok(ends.min().unwrap_or(start))
    }

    fn owner(&self, inode: &Inode<'_>, index: u16) -> Result<u32, ReaderError> {
        let owner = self.owners.entry(index.into(), 4);
        owner
            .and_then(|mut owner| owner.u32())
            .ok_or_else(|| inode.damaged(format!("has owner {index}, who is not there")))
    }
}

/// A way through all directories.
struct Walk<'a> {
    superblock: &'a Superblock,
    tables: &'a Tables,
    attributes: Attributes,
    wants_extents: bool,
    teller: Teller<'a>,
    /// The node of each inode that was told; none of a directory.
    told: BTreeMap<Reference, Option<NodeId>>,
    /// The bytes of all inodes and all lists that were read.
    inode_bytes: usize,
    list_bytes: usize,
}

impl<'a> Walk<'a> {
    fn all(mut self) -> Result<(), ReaderError> {
        let root = self.inode(self.superblock.root.into(), "the superblock")?;
        let Content::Directory(directory) = root.content else {
            return Err(root.damaged("is the root, and no directory"));
        };
        self.told.insert(self.superblock.root.into(), None);
        self.node(&root, NodeId::ROOT, b"", Kind::Directory)?;
        let mut waiting = vec![(root.number, directory, NodeId::ROOT)];
        while let Some((number, directory, id)) = waiting.pop() {
            self.list(number, &directory, id, &mut waiting)?;
        }
        self.teller.finish();
        Ok(())
    }

    fn list(
        &mut self,
        number: u32,
        directory: &Directory,
        parent: NodeId,
        waiting: &mut Vec<(u32, Directory, NodeId)>,
    ) -> Result<(), ReaderError> {
        let owner = format!("inode {number}");
        let tables = self.tables;
        self.list_bytes = self.list_bytes.saturating_add(directory::length(directory));
        if self.list_bytes > tables.directories.len() {
            let problem = "has a list that overlaps others, or ends behind the table";
            return Err(ReaderError::damaged(owner, None, problem));
        }
        for entry in directory::entries(&tables.directories, directory, &owner)? {
            let inode = self.inode(entry.inode, &owner)?;
            if let Some(first) = self.told.get(&entry.inode).copied() {
                let first = first.ok_or_else(|| inode.damaged("is a directory with two names"))?;
                self.node(&inode, parent, entry.name, Kind::HardLink(first))?;
                continue;
            }
            self.inode_bytes = self.inode_bytes.saturating_add(inode.length);
            if self.inode_bytes > tables.inodes.len() {
                return Err(inode.damaged("overlaps others"));
            }
            let id = self.node(&inode, parent, entry.name, kind(&inode)?)?;
            let told = match &inode.content {
                Content::Directory(directory) => {
                    waiting.push((inode.number, *directory, id));
                    None
                }
                Content::File(file) if self.wants_extents => {
                    let (superblock, fragments) = (self.superblock, &tables.fragments);
                    content::tell(superblock, fragments, (&inode, file), id, &mut self.teller)?;
                    Some(id)
                }
                _ => Some(id),
            };
            self.told.insert(entry.inode, told);
        }
        Ok(())
    }

    fn inode(&self, reference: Reference, owner: &str) -> Result<Inode<'a>, ReaderError> {
        Inode::read(&self.tables.inodes, self.superblock, reference, || {
            owner.to_owned()
        })
    }

    fn node(
        &mut self,
        inode: &Inode<'_>,
        parent: NodeId,
        name: &[u8],
        kind: Kind<'_>,
    ) -> Result<NodeId, ReaderError> {
        let attributes: &[Attribute] = match inode.attributes {
            Some(index) => self.attributes.set(index, || inode.name())?,
            None => &[],
        };
        self.teller.node(Node {
            parent,
            name: Cow::Borrowed(name),
            kind,
            mode: inode.mode,
            uid: self.tables.owner(inode, inode.owner)?,
            gid: self.tables.owner(inode, inode.group)?,
            modified: Timestamp {
                seconds: inode.modified.into(),
                nanoseconds: 0,
            },
            attributes: Cow::Borrowed(attributes),
        })
    }
}

fn kind<'a>(inode: &Inode<'a>) -> Result<Kind<'a>, ReaderError> {
    Ok(match &inode.content {
        Content::Directory(_) => Kind::Directory,
        Content::File(file) => Kind::File {
            size: file.size,
            sparse: false,
        },
        Content::Symlink(target) => {
            if target.is_empty() || target.contains(&0) {
                return Err(inode.damaged("is a symbolic link to nothing"));
            }
            Kind::Symlink(Cow::Borrowed(target))
        }
        Content::BlockDevice(device) => Kind::BlockDevice(*device),
        Content::CharacterDevice(device) => Kind::CharacterDevice(*device),
        Content::Fifo => Kind::Fifo,
        Content::Socket => Kind::Socket,
    })
}
