//! The bytes of directories.

use cellblock_guest::FormatError;
use zerocopy::IntoBytes as _;

use super::{Child, DOTS, Index, Leaves, Limits, Names, Shape};
use crate::checksum::crc32c;
use crate::format::{
    DirectoryTail, EntryHeader, FileType, HASH_HALF_MD4, IndexCount, IndexEntry, IndexTail,
    InodeNumber, RootInformation, entry_length,
};
use cellblock_guest::htree::NameHash;

/// Takes the blocks of a directory, in order.
type Sink<'s> = dyn FnMut(&[u8]) -> Result<(), FormatError> + 's;

/// Writes directories, one after the other.
pub(crate) struct DirectoryWriter<'a> {
    limits: Limits,
    names: &'a Names,
    hash: NameHash,
    block: Vec<u8>,
}

/// The directory that is being written.
#[derive(Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) inode: InodeNumber,
    pub(crate) parent: InodeNumber,
    /// The inode's checksum seed, if there are checksums.
    pub(crate) seed: Option<u32>,
}

impl<'a> DirectoryWriter<'a> {
    pub(crate) fn new(limits: Limits, names: &'a Names, hash: NameHash) -> Self {
        Self {
            limits,
            names,
            hash,
            block: vec![0; limits.block_size as usize],
        }
    }

    /// Hands all blocks of a directory to `sink`. `children` are as [`super::arrange`] left them.
    pub(crate) fn write(
        &mut self,
        identity: Identity,
        shape: Shape,
        children: &[Child],
        sink: &mut Sink<'_>,
    ) -> Result<(), FormatError> {
        match shape.index {
            Some(index) => self.write_indexed(identity, index, children, sink),
            None => self.write_linear(identity, shape.blocks, children, sink),
        }
    }

    fn write_linear(
        &mut self,
        identity: Identity,
        blocks: u32,
        children: &[Child],
        sink: &mut Sink<'_>,
    ) -> Result<(), FormatError> {
        let limits = self.limits;
        let mut leaves = Leaves::linear(&limits, children);
        for number in 0..blocks {
            let mut at = 0;
            if number == 0 {
                at = self.put_dots(identity, entry_length(2));
            }
            self.put_leaf(identity, at, leaves.next().unwrap_or_default());
            sink(&self.block)?;
        }
        Ok(())
    }

    fn write_indexed(
        &mut self,
        identity: Identity,
        index: Index,
        children: &[Child],
        sink: &mut Sink<'_>,
    ) -> Result<(), FormatError> {
        let limits = self.limits;
        let hashes = self.leaf_hashes(children);
        let upper = 1;
        let lower = upper + index.upper_nodes;
        let leaves = lower + index.lower_nodes;
        let per_node = limits.node_entries as usize;

        // The blocks below each level, with their lowest hashes.
        let lowest = entries(&hashes, leaves, 1);
        let middle = entries(&hashes, lower, per_node);
        let top = entries(&hashes, upper, per_node * per_node);
        let (below_root, below_upper): (&[_], &[_]) = match index.levels {
            0 => (&lowest, &[]),
            1 => (&middle, &[]),
            _ => (&top, &middle),
        };
        self.put_root(identity, index.levels, below_root);
        sink(&self.block)?;
        for node in below_upper.chunks(per_node) {
            self.put_node(identity, node);
            sink(&self.block)?;
        }
        if index.levels > 0 {
            for node in lowest.chunks(per_node) {
                self.put_node(identity, node);
                sink(&self.block)?;
            }
        }
        for leaf in Leaves::hashed(&limits, children) {
            self.put_leaf(identity, 0, leaf);
            sink(&self.block)?;
        }
        Ok(())
    }

    /// The lowest hash of each leaf; bit 0 is set where the leaf before has names of the same hash.
    fn leaf_hashes(&self, children: &[Child]) -> Vec<u32> {
        let hash_of = |child: &Child| self.hash.of(child.name(self.names)).major;
        let mut before = None;
        Leaves::hashed(&self.limits, children)
            .map(|leaf| {
                let first = leaf.first().map_or(0, hash_of);
                let continued = before == Some(first);
                before = leaf.last().map(hash_of);
                first | u32::from(continued)
            })
            .collect()
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.block[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Puts an entry that reaches `length` bytes.
    fn put_entry(&mut self, at: u32, entry: Entry<'_>, length: u32) {
        put_entry(&self.limits, &mut self.block[at as usize..], entry, length);
    }

    /// Clears the block, and puts `.` and `..`, the latter with `length` bytes; tells where they end.
    fn put_dots(&mut self, identity: Identity, length: u32) -> u32 {
        self.block.fill(0);
        let own = entry_length(1);
        self.put_entry(0, (identity.inode, FileType::DIRECTORY, b"."), own);
        self.put_entry(own, (identity.parent, FileType::DIRECTORY, b".."), length);
        DOTS
    }

    /// Puts entries from `at` on, where there are others before if it is not 0, and the tail.
    fn put_leaf(&mut self, identity: Identity, at: u32, children: &[Child]) {
        if at == 0 {
            self.block.fill(0);
        }
        let space = self.limits.entry_space;
        if children.is_empty() && at > 0 {
            self.put_dots_to_the_end(identity);
        } else {
            let bytes = &mut self.block[at as usize..space as usize];
            put_entries(&self.limits, self.names, bytes, children);
        }
        if let Some(seed) = identity.seed {
            let tail = DirectoryTail {
                inode: 0.into(),
                length: u16::try_from(DirectoryTail::SIZE)
                    .expect("a tail has 12 bytes")
                    .into(),
                name_length: 0,
                file_type: DirectoryTail::FILE_TYPE,
                checksum: crc32c(seed, &self.block[..space as usize]).into(),
            };
            self.put(space as usize, tail.as_bytes());
        }
    }

    fn put_dots_to_the_end(&mut self, identity: Identity) {
        self.put_dots(identity, self.limits.entry_space - entry_length(1));
    }

    fn put_root(&mut self, identity: Identity, levels: u8, below: &[IndexEntryValue]) {
        self.put_dots(identity, self.limits.block_size - entry_length(1));
        let information = RootInformation {
            reserved: 0.into(),
            hash_version: HASH_HALF_MD4,
            length: u8::try_from(size_of::<RootInformation>()).expect("it has 8 bytes"),
            levels,
            flags: 0,
        };
        self.put(DOTS as usize, information.as_bytes());
        let start = DOTS as usize + size_of::<RootInformation>();
        self.put_index(identity, start, self.limits.root_entries, below);
    }

    fn put_node(&mut self, identity: Identity, below: &[IndexEntryValue]) {
        self.block.fill(0);
        let size = self.limits.block_size;
        self.put_entry(0, (InodeNumber(0), FileType(0), b""), size);
        let start = EntryHeader::SIZE as usize;
        self.put_index(identity, start, self.limits.node_entries, below);
    }

    /// Puts index entries from `start` on, and the tail after the last that would fit.
    fn put_index(
        &mut self,
        identity: Identity,
        start: usize,
        limit: u32,
        below: &[IndexEntryValue],
    ) {
        let entry_size = size_of::<IndexEntry>();
        for (index, (hash, block)) in below.iter().enumerate() {
            let entry = IndexEntry {
                hash: (*hash).into(),
                block: (*block).into(),
            };
            self.put(start + index * entry_size, entry.as_bytes());
        }
        let count = IndexCount {
            limit: u16::try_from(limit)
                .expect("a block has at most 512 entries")
                .into(),
            count: u16::try_from(below.len())
                .expect("a block has at most 512 entries")
                .into(),
        };
        self.put(start, count.as_bytes());
        if let Some(seed) = identity.seed {
            let used = start + below.len() * entry_size;
            let mut tail = IndexTail {
                reserved: 0.into(),
                checksum: 0.into(),
            };
            let covered = crc32c(seed, &self.block[..used]);
            tail.checksum = crc32c(covered, tail.as_bytes()).into();
            self.put(start + limit as usize * entry_size, tail.as_bytes());
        }
    }
}

/// What an entry says.
type Entry<'a> = (InodeNumber, FileType, &'a [u8]);

/// Puts an entry that reaches `length` bytes at the start of `bytes`.
fn put_entry(limits: &Limits, bytes: &mut [u8], entry: Entry<'_>, length: u32) {
    let (inode, file_type, name) = entry;
    let header = EntryHeader {
        inode: inode.0.into(),
        length: u16::try_from(length)
            .expect("a block has at most 4096 bytes")
            .into(),
        name_length: u8::try_from(name.len()).expect("the length of names is checked"),
        file_type: if limits.has_file_types {
            file_type.0
        } else {
            0
        },
    };
    let (start, rest) = bytes.split_at_mut(EntryHeader::SIZE as usize);
    start.copy_from_slice(header.as_bytes());
    rest[..name.len()].copy_from_slice(name);
}

/// Fills `bytes` with the entries of `children`, of which the last reaches the end; with an empty one if there are none.
pub(super) fn put_entries(limits: &Limits, names: &Names, bytes: &mut [u8], children: &[Child]) {
    let space = u32::try_from(bytes.len()).expect("a block has at most 4096 bytes");
    let Some((last, others)) = children.split_last() else {
        return put_entry(limits, bytes, (InodeNumber(0), FileType(0), b""), space);
    };
    let mut at = 0;
    let mut put = |child: &Child, at: u32, length| {
        let entry = (child.inode, child.file_type, child.name(names));
        put_entry(limits, &mut bytes[at as usize..], entry, length);
    };
    for child in others {
        let length = entry_length(child.length);
        put(child, at, length);
        at += length;
    }
    put(last, at, space - at);
}

/// A hash and the block of the directory that begins with it.
type IndexEntryValue = (u32, u32);

/// Index entries for blocks from `first` on that each cover `leaves` leaves.
fn entries(hashes: &[u32], first: u32, leaves: usize) -> Vec<IndexEntryValue> {
    hashes
        .iter()
        .step_by(leaves)
        .zip(first..)
        .map(|(hash, block)| (*hash, block))
        .collect()
}
