//! Extended attributes: sets that inodes share, and values that sets share.
//!
//! ```text
//!     inode ──> set ──> attribute, attribute, …
//!                           └── its value, or where that stands if others have the same
//! ```

use std::collections::BTreeMap;

use cellblock_guest::{Attribute, FormatError, NodeId, NodeProblem};
use zerocopy::IntoBytes as _;

use crate::format::{AttributeEntry, AttributeSet, AttributeSpace, NOTHING, Reference};
use crate::metadata::{Packer, Position, Table};
use crate::options::{Options, Plain};

/// A set of attributes, by its position among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SetId(u32);

impl SetId {
    /// No attributes.
    pub(crate) const NONE: Self = Self(NOTHING);

    /// As inodes have it.
    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

const SPACES: [(&[u8], AttributeSpace); 3] = [
    (b"user.", AttributeSpace::USER),
    (b"trusted.", AttributeSpace::TRUSTED),
    (b"security.", AttributeSpace::SECURITY),
];

/// The namespace of a name and the rest, if it has one that can be stored.
fn split(name: &[u8]) -> Option<(AttributeSpace, &[u8])> {
    SPACES.iter().find_map(|(prefix, space)| {
        let rest = name.strip_prefix(*prefix)?;
        Some((*space, rest)).filter(|_| !rest.is_empty() && rest.len() <= usize::from(u16::MAX))
    })
}

/// All attributes of a tree.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    ids: BTreeMap<Vec<Attribute>, SetId>,
    /// The sets in the order of their ids, once all are known.
    sets: Vec<Vec<Attribute>>,
}

impl Attributes {
    /// The set of a node's attributes.
    ///
    /// # Errors
    /// [`FormatError::Node`] if one cannot be stored.
    pub(crate) fn add(
        &mut self,
        options: &Options,
        node: NodeId,
        attributes: &[Attribute],
    ) -> Result<SetId, FormatError> {
        if !options.attributes || attributes.is_empty() {
            return Ok(SetId::NONE);
        }
        if let Some(id) = self.ids.get(attributes) {
            return Ok(*id);
        }
        let storable = |attribute: &&Attribute| split(&attribute.name).is_some();
        let stored: Vec<Attribute> = attributes.iter().filter(storable).cloned().collect();
        if stored.len() != attributes.len() && !options.drop_attributes {
            return Err(FormatError::node(node, NodeProblem::Attributes));
        }
        if stored.is_empty() {
            return Ok(SetId::NONE);
        }
        let next = u32::try_from(self.ids.len()).expect("there are fewer sets than nodes");
        Ok(*self.ids.entry(stored).or_insert(SetId(next)))
    }

    /// Ends the counting.
    pub(crate) fn seal(&mut self) {
        let mut sets = vec![Vec::new(); self.ids.len()];
        for (set, id) in std::mem::take(&mut self.ids) {
            sets[id.0 as usize] = set;
        }
        self.sets = sets;
    }

    /// The number of sets.
    pub(crate) fn count(&self) -> usize {
        self.sets.len()
    }

    /// The table of attributes, and that of sets.
    ///
    /// # Errors
    /// [`FormatError`] if the host fails.
    pub(crate) fn tables(
        &self,
        options: &Options,
        packer: &mut Packer<'_>,
    ) -> Result<(Table, Table), FormatError> {
        let is_plain = options.plain.contains(Plain::ATTRIBUTES);
        let mut table = Table::new(is_plain);
        let shared = self.shared_values(&mut table);
        table.settle(packer)?;
        let shared: BTreeMap<&[u8], Reference> = shared
            .into_iter()
            .map(|(value, position)| (value, table.reference(position)))
            .collect();
        let mut firsts: Vec<(Position, u64)> = Vec::with_capacity(self.sets.len());
        for set in &self.sets {
            let first = table.position();
            for attribute in set {
                push(&mut table, attribute, shared.get(&*attribute.value));
            }
            firsts.push((first, table.position().0 - first.0));
            if table.is_ripe() {
                table.settle(packer)?;
            }
        }
        table.finish(packer)?;
        let mut sets = Table::new(is_plain);
        for ((first, size), set) in firsts.into_iter().zip(&self.sets) {
            let count = u32::try_from(set.len()).expect("a node has few attributes");
            let size = u32::try_from(size).expect("a node has few attributes");
            let set = AttributeSet {
                first: table.reference(first),
                count: count.into(),
                size: size.into(),
            };
            sets.push(set.as_bytes());
        }
        sets.finish(packer)?;
        Ok((table, sets))
    }

    /// Puts the values that stand in more than one place into `table`, once, and tells where.
    fn shared_values(&self, table: &mut Table) -> BTreeMap<&[u8], Position> {
        let mut seen: BTreeMap<&[u8], bool> = BTreeMap::new();
        for attribute in self.sets.iter().flatten() {
            if attribute.value.len() > size_of::<Reference>() {
                let known = seen.contains_key(&*attribute.value);
                seen.insert(&attribute.value, known);
            }
        }
        seen.retain(|_, is_shared| *is_shared);
        let mut place = |value: &[u8]| {
            let position = table.position();
            push_value(table, value);
            position
        };
        seen.into_keys()
            .map(|value| (value, place(value)))
            .collect()
    }
}

fn push(table: &mut Table, attribute: &Attribute, elsewhere: Option<&Reference>) {
    let (space, name) = split(&attribute.name).expect("others were left out");
    let flag = elsewhere.map_or(0, |_| AttributeSpace::ELSEWHERE);
    let length = u16::try_from(name.len()).expect("longer ones were left out");
    let entry = AttributeEntry {
        space: (space.0 | flag).into(),
        length: length.into(),
    };
    table.push(entry.as_bytes());
    table.push(name);
    match elsewhere {
        Some(reference) => push_value(table, reference.as_bytes()),
        None => push_value(table, &attribute.value),
    }
}

fn push_value(table: &mut Table, value: &[u8]) {
    let length = u32::try_from(value.len()).expect("a value is in memory");
    table.push(&length.to_le_bytes());
    table.push(value);
}
