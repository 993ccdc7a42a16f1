//! Extended attributes: from the kernel's names and encodings to the format's, in inodes first, then in blocks that
//! equal sets share.

use std::collections::BTreeMap;
use std::rc::Rc;

use cellblock_guest::{Attribute, FormatError, NodeId, NodeProblem};
use zerocopy::IntoBytes as _;
use zerocopy::little_endian::U32;

use crate::checksum::crc32c;
use crate::format::{AttributeBlockHeader, AttributeEntry, INLINE_ATTRIBUTES_MAGIC};
use crate::options::Options;

/// Bytes of the zeros that end the entries.
const END: usize = 4;

/// Prefixes of names, and what stands for them. A prefix that is a whole name has an empty suffix.
const NAMESPACES: [(&[u8], u8, bool); 5] = [
    (b"user.", 1, false),
    (b"system.posix_acl_access", 2, true),
    (b"system.posix_acl_default", 3, true),
    (b"trusted.", 4, false),
    (b"security.", 6, false),
];

/// The index and the suffix of the attribute in which an inode has content of its own.
const CONTENT: (u8, &[u8]) = (7, b"data");

/// An attribute as the format stores it. The order is that of entries in a block, but for the length of suffixes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stored {
    index: u8,
    suffix_length: u8,
    suffix: Vec<u8>,
    value: Vec<u8>,
}

impl Stored {
    fn new(attribute: &Attribute) -> Option<Self> {
        let (prefix, index, whole) = NAMESPACES
            .iter()
            .find(|(prefix, ..)| attribute.name.starts_with(prefix))?;
        let suffix = attribute.name[prefix.len()..].to_vec();
        if suffix.is_empty() != *whole {
            return None;
        }
        let value = if *whole {
            access_control_list(&attribute.value)?
        } else {
            attribute.value.clone()
        };
        Some(Self {
            index: *index,
            suffix_length: u8::try_from(suffix.len()).ok()?,
            suffix,
            value,
        })
    }

    /// The content of an inode, beyond what is in its map.
    fn content(beyond: &[u8]) -> Self {
        let (index, suffix) = CONTENT;
        Self {
            index,
            suffix_length: u8::try_from(suffix.len()).expect("the name is short"),
            suffix: suffix.to_vec(),
            value: beyond.to_vec(),
        }
    }

    /// Bytes of the entry and the value.
    fn size(&self) -> usize {
        size_of::<AttributeEntry>()
            + self.suffix.len().next_multiple_of(4)
            + self.value.len().next_multiple_of(4)
    }

    fn hash(&self) -> u32 {
        let of_name = self.suffix.iter().fold(0_u32, |hash, byte| {
            (hash << 5) ^ (hash >> 27) ^ u32::from(*byte)
        });
        self.value.chunks(4).fold(of_name, |hash, bytes| {
            let mut word = [0; 4];
            word[..bytes.len()].copy_from_slice(bytes);
            hash.rotate_left(16) ^ u32::from_le_bytes(word)
        })
    }
}

/// An access control list in the format's encoding: without identifiers where a tag has none.
fn access_control_list(value: &[u8]) -> Option<Vec<u8>> {
    const KERNEL_VERSION: [u8; 4] = 2_u32.to_le_bytes();
    const STORED_VERSION: [u8; 4] = 1_u32.to_le_bytes();
    let (entries, []) = value.strip_prefix(&KERNEL_VERSION)?.as_chunks::<8>() else {
        return None;
    };
    let mut stored = STORED_VERSION.to_vec();
    for entry in entries {
        let (tag_and_permissions, identifier) = entry.split_at(4);
        stored.extend_from_slice(tag_and_permissions);
        match u16::from_le_bytes([entry[0], entry[1]]) {
            // A user or a group with a name.
            0x02 | 0x08 => stored.extend_from_slice(identifier),
            // The owner, the group, the mask, the others.
            0x01 | 0x04 | 0x10 | 0x20 => {}
            _ => return None,
        }
    }
    Some(stored)
}

/// A set of attributes that at least one inode has.
#[derive(Debug)]
struct Set {
    /// Those in the inode come first.
    attributes: Rc<[Stored]>,
    inline: usize,
    /// The block that the next inode with this set refers to.
    block: Option<BlockId>,
}

/// Which of the attribute blocks; the position among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockId(pub(crate) u32);

/// Which set of attributes an inode has, and its block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InodeAttributes {
    set: u32,
    pub(crate) block: Option<BlockId>,
}

/// All attributes of a tree.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    sets: Vec<Set>,
    by_content: BTreeMap<Vec<Attribute>, u32>,
    /// The set and the number of inodes of each block.
    blocks: Vec<(u32, u32)>,
}

impl Attributes {
    /// Notes that an inode has `attributes`.
    ///
    /// # Errors
    /// [`FormatError::Node`] if they cannot be stored.
    pub(crate) fn add(
        &mut self,
        options: &Options,
        node: NodeId,
        attributes: &[Attribute],
    ) -> Result<Option<InodeAttributes>, FormatError> {
        if attributes.is_empty() {
            return Ok(None);
        }
        let set = match self.by_content.get(attributes) {
            Some(set) => *set,
            None => self.add_set(options, node, attributes)?,
        };
        let block = self.refer_to_block(set);
        Ok(Some(InodeAttributes { set, block }))
    }

    fn add_set(
        &mut self,
        options: &Options,
        node: NodeId,
        attributes: &[Attribute],
    ) -> Result<u32, FormatError> {
        let mut stored = Vec::with_capacity(attributes.len());
        for attribute in attributes {
            match Stored::new(attribute).filter(|_| options.has_attributes()) {
                Some(attribute) => stored.push(attribute),
                None if options.drop_attributes => {}
                None => return Err(FormatError::node(node, NodeProblem::Attributes)),
            }
        }
        let inline = inline_first(&mut stored, options.inline_attribute_space());
        let space = options.block_size as usize - size_of::<AttributeBlockHeader>() - END;
        let in_block: usize = stored[inline..].iter().map(Stored::size).sum();
        if in_block > space {
            let limit = u64::from(options.block_size);
            return Err(FormatError::node(
                node,
                NodeProblem::AttributesTooLarge(limit),
            ));
        }
        let id = u32::try_from(self.sets.len()).map_err(|_| FormatError::TooManyNodes(1 << 32))?;
        self.sets.push(Set {
            attributes: stored.into(),
            inline,
            block: None,
        });
        self.by_content.insert(attributes.to_vec(), id);
        Ok(id)
    }

    /// The block of one more inode with `set`, a new one when the last has as many inodes as it may.
    fn refer_to_block(&mut self, set: u32) -> Option<BlockId> {
        let entry = &mut self.sets[set as usize];
        if entry.inline == entry.attributes.len() {
            return None;
        }
        if let Some(block) = entry.block {
            let references = &mut self.blocks[block.0 as usize].1;
            if *references < AttributeBlockHeader::MAXIMUM_REFERENCES {
                *references += 1;
                return Some(block);
            }
        }
        let block =
            BlockId(u32::try_from(self.blocks.len()).expect("there are fewer blocks than inodes"));
        self.blocks.push((set, 1));
        entry.block = Some(block);
        entry.block
    }

    /// Forgets what only [`Attributes::add`] needs.
    pub(crate) fn seal(&mut self) {
        self.by_content = BTreeMap::new();
    }

    /// The number of attribute blocks.
    pub(crate) fn blocks(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// The attribute blocks, in order.
    pub(crate) fn block_ids(&self) -> impl Iterator<Item = BlockId> {
        (0..).zip(&self.blocks).map(|(id, _)| BlockId(id))
    }

    /// The attributes that stand in an inode itself.
    fn inline(&self, attributes: Option<InodeAttributes>) -> &[Stored] {
        attributes.map_or(&[], |attributes| {
            let set = &self.sets[attributes.set as usize];
            &set.attributes[..set.inline]
        })
    }

    /// The bytes of content, beyond those in its map, for which an inode has room beside its attributes. None if content may
    /// not stand in it.
    pub(crate) fn inline_room(
        &self,
        options: &Options,
        attributes: Option<InodeAttributes>,
    ) -> Option<u32> {
        if !options.has_inline_data() {
            return None;
        }
        let taken: usize = self.inline(attributes).iter().map(Stored::size).sum();
        let room = options
            .inline_attribute_space()
            .checked_sub(END + taken + Stored::content(&[]).size())?;
        Some(u32::try_from(room).expect("an inode has at most 4096 bytes"))
    }

    /// Writes those of an inode's attributes that stand in it to `space`, the rest of the inode, which is zeros; and if its
    /// content stands in it too, what of that is `beyond` its map. Returns whether there was anything.
    pub(crate) fn write_inline(
        &self,
        attributes: Option<InodeAttributes>,
        beyond: Option<&[u8]>,
        space: &mut [u8],
    ) -> bool {
        let content = beyond.map(Stored::content);
        let mut all = self.inline(attributes).iter().chain(&content).peekable();
        if all.peek().is_none() {
            return false;
        }
        let (magic, entries) = space.split_at_mut(4);
        magic.copy_from_slice(&INLINE_ATTRIBUTES_MAGIC.to_le_bytes());
        write_entries(entries, 0, all, false);
        true
    }

    /// The bytes of an attribute block that stands at `place`, with its checksum if there is a `seed`.
    pub(crate) fn write_block(
        &self,
        block: BlockId,
        place: u64,
        seed: Option<u32>,
        bytes: &mut [u8],
    ) {
        let (set, references) = self.blocks[block.0 as usize];
        let set = &self.sets[set as usize];
        let attributes = &set.attributes[set.inline..];
        bytes.fill(0);
        write_entries(bytes, size_of::<AttributeBlockHeader>(), attributes, true);
        let mut header = AttributeBlockHeader {
            magic: INLINE_ATTRIBUTES_MAGIC.into(),
            references: references.into(),
            blocks: 1.into(),
            hash: block_hash(attributes).into(),
            checksum: 0.into(),
            reserved: [U32::ZERO; 3],
        };
        bytes[..size_of::<AttributeBlockHeader>()].copy_from_slice(header.as_bytes());
        if let Some(seed) = seed {
            header.checksum = crc32c(crc32c(seed, &place.to_le_bytes()), bytes).into();
            bytes[..size_of::<AttributeBlockHeader>()].copy_from_slice(header.as_bytes());
        }
    }
}

/// Moves those attributes to the front that go into an inode with so much `space`, the largest that fit, and tells their number.
fn inline_first(attributes: &mut [Stored], space: usize) -> usize {
    let mut left = space.saturating_sub(END);
    attributes.sort_by(|a, b| b.size().cmp(&a.size()).then_with(|| a.cmp(b)));
    let mut goes_inline = Vec::with_capacity(attributes.len());
    for attribute in &*attributes {
        let fits = attribute.size() <= left;
        if fits {
            left -= attribute.size();
            goes_inline.push(attribute.clone());
        }
    }
    attributes.sort_by(|a, b| {
        let outside = |attribute| !goes_inline.contains(attribute);
        outside(a).cmp(&outside(b)).then_with(|| a.cmp(b))
    });
    goes_inline.len()
}

/// Writes entries from `start` on, and their values from the end backwards. Offsets count from the start of `bytes`.
fn write_entries<'a>(
    bytes: &mut [u8],
    start: usize,
    attributes: impl IntoIterator<Item = &'a Stored>,
    hashed: bool,
) {
    let mut at = start;
    let mut end = bytes.len();
    for attribute in attributes {
        end -= attribute.value.len().next_multiple_of(4);
        bytes[end..end + attribute.value.len()].copy_from_slice(&attribute.value);
        let offset = if attribute.value.is_empty() { 0 } else { end };
        let entry = AttributeEntry {
            name_length: attribute.suffix_length,
            name_index: attribute.index,
            value_offset: u16::try_from(offset)
                .expect("a block has at most 4096 bytes")
                .into(),
            value_inode: 0.into(),
            value_size: u32::try_from(attribute.value.len())
                .expect("a block has at most 4096 bytes")
                .into(),
            hash: if hashed { attribute.hash() } else { 0 }.into(),
        };
        let name = at + size_of::<AttributeEntry>();
        bytes[at..name].copy_from_slice(entry.as_bytes());
        bytes[name..name + attribute.suffix.len()].copy_from_slice(&attribute.suffix);
        at = name + attribute.suffix.len().next_multiple_of(4);
    }
}

/// The hash by which the kernel finds equal blocks; 0 says that it should not.
fn block_hash(attributes: &[Stored]) -> u32 {
    let mut hash = 0_u32;
    for attribute in attributes {
        match attribute.hash() {
            0 => return 0,
            of_entry => hash = hash.rotate_left(16) ^ of_entry,
        }
    }
    hash
}
