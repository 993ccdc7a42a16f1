//! Extended attributes: those that many nodes have stand once, beside the inodes; the others behind the inodes that have them.

use std::collections::BTreeMap;

use cellblock_guest::{Attribute, FormatError, NodeId, NodeProblem};
use zerocopy::IntoBytes as _;

use crate::format::{AttributeEntry, AttributeHeader, LongPrefix};
use crate::options::Options;

/// Prefixes of names, and what stands for them. A prefix that is a whole name has an empty rest.
const NAMESPACES: [(&[u8], u8, bool); 5] = [
    (b"user.", 1, false),
    (b"system.posix_acl_access", 2, true),
    (b"system.posix_acl_default", 3, true),
    (b"trusted.", 4, false),
    (b"security.", 6, false),
];

/// The most bytes of a name without its prefix.
const NAME_LIMIT: usize = 255;
/// The most bytes of a value.
const VALUE_LIMIT: usize = 65_535;
/// The most bytes of an inode's attributes: so many words behind the header, of which the count is one more.
const BODY_LIMIT: usize = size_of::<AttributeHeader>() + 4 * 65_534;
/// The most shared attributes of an inode.
const SHARED_LIMIT: usize = 255;

/// A longer prefix of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    base: u8,
    /// With its namespace.
    whole: Vec<u8>,
    /// The bytes of the namespace.
    namespace: usize,
}

impl Prefix {
    /// The most of them.
    pub(crate) const MOST: usize = 128;

    /// A prefix such as `user.mime.`, in a namespace that has names.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let (namespace, base, _) = NAMESPACES
            .iter()
            .filter(|(_, _, whole)| !whole)
            .find(|(namespace, ..)| text.as_bytes().starts_with(namespace))?;
        let whole = text.as_bytes().to_vec();
        let infix = whole.len() - namespace.len();
        (1..=NAME_LIMIT).contains(&infix).then_some(Self {
            base: *base,
            whole,
            namespace: namespace.len(),
        })
    }

    /// Its bytes on disk, up to the next.
    fn write(&self, to: &mut Vec<u8>) {
        let infix = &self.whole[self.namespace..];
        let length = u16::try_from(1 + infix.len()).expect("the length of prefixes is checked");
        let head = LongPrefix {
            length: length.into(),
            base: self.base,
        };
        to.extend_from_slice(head.as_bytes());
        to.extend_from_slice(infix);
        to.resize(to.len().next_multiple_of(AttributeEntry::ALIGNMENT), 0);
    }
}

/// Longer prefixes on disk.
pub(crate) fn prefix_bytes(prefixes: &[Prefix]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for prefix in prefixes {
        prefix.write(&mut bytes);
    }
    bytes
}

/// Which set of attributes an inode has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SetId(u32);

/// Which attribute; equal ones are one.
type EntryId = u32;

/// An attribute on disk, and how many nodes have it.
#[derive(Debug)]
struct Entry {
    bytes: Vec<u8>,
    nodes: u32,
    /// Where it stands among the shared ones, in units of 4 bytes; none if it is not shared.
    place: Option<u32>,
}

/// All attributes of a tree.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    entries: Vec<Entry>,
    by_bytes: BTreeMap<Vec<u8>, EntryId>,
    sets: Vec<Vec<EntryId>>,
    by_entries: BTreeMap<Vec<EntryId>, SetId>,
    /// The bytes of all shared ones.
    shared_bytes: usize,
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
    ) -> Result<Option<SetId>, FormatError> {
        let mut set = Vec::with_capacity(attributes.len());
        let mut bytes = size_of::<AttributeHeader>();
        for attribute in attributes {
            let Some(stored) = stored(options, node, attribute)? else {
                continue;
            };
            bytes += stored.len();
            set.push(self.entry(stored)?);
        }
        // Whether they are shared is known when all have been seen; in the worst case none is.
        if bytes > BODY_LIMIT {
            let limit = BODY_LIMIT as u64;
            let problem = NodeProblem::AttributesTooLarge(limit);
            return Err(FormatError::node(node, problem));
        }
        if set.is_empty() {
            return Ok(None);
        }
        if let Some(known) = self.by_entries.get(&set) {
            return Ok(Some(*known));
        }
        let id = SetId(narrow(self.sets.len())?);
        self.sets.push(set.clone());
        self.by_entries.insert(set, id);
        Ok(Some(id))
    }

    fn entry(&mut self, bytes: Vec<u8>) -> Result<EntryId, FormatError> {
        if let Some(known) = self.by_bytes.get(&bytes) {
            self.entries[*known as usize].nodes += 1;
            return Ok(*known);
        }
        let id = narrow(self.entries.len())?;
        self.entries.push(Entry {
            bytes: bytes.clone(),
            nodes: 1,
            place: None,
        });
        self.by_bytes.insert(bytes, id);
        Ok(id)
    }

    /// Decides which attributes are shared, and forgets what only [`Attributes::add`] needs.
    pub(crate) fn seal(&mut self, options: &Options) {
        self.by_bytes = BTreeMap::new();
        self.by_entries = BTreeMap::new();
        let mut end = 0;
        for entry in &mut self.entries {
            let place = u32::try_from(end / AttributeEntry::ALIGNMENT);
            if entry.nodes > options.attribute_tolerance
                && let Ok(place) = place
            {
                entry.place = Some(place);
                end += entry.bytes.len();
            }
        }
        self.shared_bytes = end;
    }

    /// The bytes of all shared attributes.
    pub(crate) fn shared_bytes(&self) -> u64 {
        self.shared_bytes as u64
    }

    /// The shared attributes, one behind the other.
    pub(crate) fn shared(&self) -> impl Iterator<Item = &[u8]> {
        let shared = self.entries.iter().filter(|entry| entry.place.is_some());
        shared.map(|entry| entry.bytes.as_slice())
    }

    /// The shared attributes of a set, by their places, and the others.
    fn split(&self, set: SetId) -> (Vec<u32>, Vec<&[u8]>) {
        let (mut shared, mut own) = (Vec::new(), Vec::new());
        for id in &self.sets[set.0 as usize] {
            let entry = &self.entries[*id as usize];
            match entry.place {
                Some(place) if shared.len() < SHARED_LIMIT => shared.push(place),
                _ => own.push(entry.bytes.as_slice()),
            }
        }
        (shared, own)
    }

    /// The bytes that a set takes behind its inode.
    pub(crate) fn body_bytes(&self, set: Option<SetId>) -> u64 {
        let Some(set) = set else { return 0 };
        let (shared, own) = self.split(set);
        let own: usize = own.iter().map(|bytes| bytes.len()).sum();
        (size_of::<AttributeHeader>() + 4 * shared.len() + own) as u64
    }

    /// Writes a set behind its inode; the shared ones begin so many units of 4 bytes behind where they are numbered from.
    pub(crate) fn write(&self, set: SetId, shared_start: u32, to: &mut Vec<u8>) {
        let (shared, own) = self.split(set);
        let header = AttributeHeader {
            filter: 0.into(),
            shared: u8::try_from(shared.len()).expect("the number of shared ones is limited"),
            reserved: [0; 7],
        };
        to.extend_from_slice(header.as_bytes());
        for place in shared {
            to.extend_from_slice(&(shared_start + place).to_le_bytes());
        }
        for bytes in own {
            to.extend_from_slice(bytes);
        }
    }
}

/// An attribute as the format stores it; none if it is left out.
fn stored(
    options: &Options,
    node: NodeId,
    attribute: &Attribute,
) -> Result<Option<Vec<u8>>, FormatError> {
    let Some((index, rest)) = split_name(options, &attribute.name) else {
        return if options.drop_attributes {
            Ok(None)
        } else {
            Err(FormatError::node(node, NodeProblem::Attributes))
        };
    };
    let value_length = u16::try_from(attribute.value.len()).map_err(|_| {
        let problem = NodeProblem::AttributesTooLarge(VALUE_LIMIT as u64);
        FormatError::node(node, problem)
    })?;
    let entry = AttributeEntry {
        name_length: u8::try_from(rest.len()).expect("the length of names is checked"),
        name_index: index,
        value_length: value_length.into(),
    };
    let bytes = [entry.as_bytes(), rest, &attribute.value].concat();
    let aligned = bytes.len().next_multiple_of(AttributeEntry::ALIGNMENT);
    let mut padded = bytes;
    padded.resize(aligned, 0);
    Ok(Some(padded))
}

/// What stands for the prefix of a name, and the rest.
fn split_name<'a>(options: &Options, name: &'a [u8]) -> Option<(u8, &'a [u8])> {
    let prefixes = (0..).zip(&options.prefixes);
    let longest = prefixes
        .filter(|(_, prefix)| name.starts_with(&prefix.whole) && name.len() > prefix.whole.len())
        .max_by_key(|(_, prefix)| prefix.whole.len());
    let (index, rest) = match longest {
        Some((number, prefix)) => (AttributeEntry::LONG | number, &name[prefix.whole.len()..]),
        None => {
            let (prefix, index, whole) = NAMESPACES
                .iter()
                .find(|(prefix, ..)| name.starts_with(prefix))?;
            let rest = &name[prefix.len()..];
            if rest.is_empty() != *whole {
                return None;
            }
            (*index, rest)
        }
    };
    (rest.len() <= NAME_LIMIT).then_some((index, rest))
}

fn narrow(count: usize) -> Result<u32, FormatError> {
    u32::try_from(count).map_err(|_| FormatError::TooManyNodes(u64::from(u32::MAX)))
}
