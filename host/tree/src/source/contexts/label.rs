//! Labels on every node of a forest.

use std::collections::BTreeMap;

use super::FileContexts;
use super::entry::FileType;
use crate::Attribute;
use crate::source::attributes::AttributeSets;
use crate::source::forest::{Body, Forest, InodeId, Metadata};

/// The attribute that holds a label.
const NAME: &[u8] = b"security.selinux";

/// Names of one file for which the policy has different contexts.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::source) struct Torn {
    /// The name whose context the file has.
    pub(in crate::source) first: Vec<u8>,
    /// The other one.
    pub(in crate::source) second: Vec<u8>,
    /// How many other names there are whose context the file has not.
    pub(in crate::source) others: usize,
}

/// Gives every node the label that its path has, with a NUL at its end, as the kernel's tools store it; where there is none it
/// has none, whatever its source says. A file with several names gets the label of the first.
pub(in crate::source) fn label(
    contexts: &FileContexts,
    forest: &mut Forest,
    sets: &mut AttributeSets,
) -> Option<Torn> {
    let (found, torn) = found(contexts, forest);
    let mut known = BTreeMap::new();
    for (index, context) in found.into_iter().enumerate() {
        let Some(context) = context else { continue };
        let id = InodeId::of_index(index);
        let metadata = forest.inode(id).metadata.clone();
        let mut metadata = metadata.unwrap_or(Metadata::IMPLIED);
        let key = (metadata.attributes, context);
        metadata.attributes = *known
            .entry(key)
            .or_insert_with(|| labelled(sets, metadata.attributes, context));
        forest.set_metadata(id, metadata);
    }
    torn
}

/// What is found for an inode: a context, or that there is none.
type Found<'c> = Option<Option<&'c str>>;

/// What is found for each inode that has a name.
fn found<'c>(contexts: &'c FileContexts, forest: &Forest) -> (Vec<Found<'c>>, Option<Torn>) {
    let mut found: Vec<Found<'c>> = vec![None; forest.inodes().len()];
    let mut torn: Option<Torn> = None;
    let mut pending = vec![(InodeId::ROOT, Vec::new())];
    while let Some((id, path)) = pending.pop() {
        let body = forest.body(id);
        let shown: &[u8] = if path.is_empty() { b"/" } else { &path };
        let context = contexts.find(shown, FileType::of_body(body));
        match found[id.index()] {
            None => found[id.index()] = Some(context),
            Some(first) if first != context => match &mut torn {
                Some(torn) => torn.others += 1,
                None => {
                    torn = Some(Torn {
                        first: forest
                            .first_named(|it| it == id)
                            .map_or_else(Vec::new, |(_, path)| path),
                        second: path.clone(),
                        others: 0,
                    });
                }
            },
            Some(_) => {}
        }
        if let Body::Directory(children) = body {
            // The last one is taken first.
            let children = children.iter().rev();
            pending
                .extend(children.map(|(name, child)| (*child, [&path, &b"/"[..], name].concat())));
        }
    }
    (found, torn)
}

impl FileType {
    fn of_body(body: &Body) -> Self {
        match body {
            Body::Directory(_) => Self::Directory,
            Body::File { .. } => Self::File,
            Body::Other(kind) => Self::of(kind),
        }
    }
}

/// A set of attributes with another label.
fn labelled(sets: &mut AttributeSets, number: u32, context: Option<&str>) -> u32 {
    let others = sets.get(number).iter().filter(|it| it.name != NAME);
    let mut attributes: Vec<Attribute> = others.cloned().collect();
    attributes.extend(context.map(|context| Attribute {
        name: NAME.to_vec(),
        value: [context.as_bytes(), b"\0"].concat(),
    }));
    sets.number(attributes)
}
