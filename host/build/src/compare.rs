//! What differs between two trees: names, attributes and bytes.

use std::cmp::Ordering;
use std::fmt;

use serde::Serialize;

use crate::verify::Held;
use cellblock_text::PathBytes;
use cellblock_tree::source::SourceError;
use cellblock_tree::{Kind, Node, NodeId, Timestamp, Tree};

/// One path that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// The path; bytes that are not UTF-8 are escaped.
    pub path: String,
    /// What of it.
    #[serde(flatten)]
    pub what: What,
}

/// How a path differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum What {
    /// Only the second tree has it.
    Added,
    /// Only the first tree has it.
    Removed,
    /// Both have it.
    Changed {
        /// What is another, with both values where they are short.
        aspects: Vec<Aspect>,
    },
}

/// One thing that is another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Aspect {
    /// `type`, `mode`, `owner`, `time`, `attributes`, `size`, `content`, `target`, `device` or `hard-link`.
    pub name: &'static str,
    /// The first tree's.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub was: String,
    /// The second tree's.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub is: String,
}

/// What of nodes is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Times are left alone.
    pub ignore_times: bool,
    /// The second tree is that of a file system that was made of the first one, and holds this of it; otherwise all.
    pub held: Option<Held>,
}

impl fmt::Display for Difference {
    /// On one line: `+ /path` of what only the second tree has, `- /path` of what only the first one has, and else `~`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.what {
            What::Added => write!(f, "+ {path}"),
            What::Removed => write!(f, "- {path}"),
            What::Changed { aspects } => {
                write!(f, "~ {path}:")?;
                for (index, aspect) in aspects.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma} {}", aspect.name)?;
                    match (aspect.was.is_empty(), aspect.is.is_empty()) {
                        (true, true) => {}
                        (true, false) => write!(f, " {}", aspect.is)?,
                        (false, _) => write!(f, " {} -> {}", aspect.was, aspect.is)?,
                    }
                }
                Ok(())
            }
        }
    }
}

/// The bytes that are compared at once.
const PIECE: u64 = 1 << 20;

/// Two nodes of a path, or the only one.
pub(crate) enum Pair {
    /// Only the first tree has it.
    First(NodeId),
    /// Only the second tree has it.
    Second(NodeId),
    /// Both have it, and this is another; nothing if they are equal.
    Both(NodeId, NodeId, Vec<Aspect>),
}

/// What differs between two trees, in the order of paths; `told` hears of each.
///
/// # Errors
/// [`SourceError`] if a file cannot be read.
pub fn compare(
    first: &Tree,
    second: &Tree,
    compared: Compared,
    told: &mut dyn FnMut(Difference),
) -> Result<(), SourceError> {
    pairs(first, second, compared, &mut |pair| {
        let (tree, id, what) = match pair {
            Pair::First(id) => (first, id, What::Removed),
            Pair::Second(id) => (second, id, What::Added),
            Pair::Both(_, _, aspects) if aspects.is_empty() => return,
            Pair::Both(id, _, aspects) => (first, id, What::Changed { aspects }),
        };
        let path = PathBytes(tree.path(id)).to_string();
        told(Difference { path, what });
    })
}

/// All paths of two trees, in their order.
pub(crate) fn pairs(
    first: &Tree,
    second: &Tree,
    compared: Compared,
    told: &mut dyn FnMut(Pair),
) -> Result<(), SourceError> {
    let mut comparison = Comparison {
        first,
        second,
        readers: [first.reader(), second.reader()],
        compared,
    };
    let (mut left, mut right) = (0, 0);
    loop {
        let order = match (path(first, left), path(second, right)) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => in_order(&a, &b),
        };
        let (a, b) = (NodeId(left), NodeId(right));
        let held = compared.held;
        let pair = match order {
            Ordering::Less if held.is_some_and(|it| it.drops(first, &first.node(a))) => None,
            Ordering::Less => Some(Pair::First(a)),
            Ordering::Greater if held.is_some_and(|it| it.is_own(second, &second.node(b))) => None,
            Ordering::Greater => Some(Pair::Second(b)),
            Ordering::Equal => {
                let aspects = comparison.aspects(&first.node(a), &second.node(b))?;
                Some(Pair::Both(a, b, aspects))
            }
        };
        pair.into_iter().for_each(&mut *told);
        left += u32::from(order != Ordering::Greater);
        right += u32::from(order != Ordering::Less);
    }
}

fn path(tree: &Tree, id: u32) -> Option<Vec<u8>> {
    (id < tree.len()).then(|| tree.path(NodeId(id)))
}

/// The order of trees: name by name.
fn in_order(a: &[u8], b: &[u8]) -> Ordering {
    let key = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    a.iter().map(key).cmp(b.iter().map(key))
}

/// The node that a hard link is another name of, or the node itself.
fn original(tree: &Tree, id: NodeId) -> NodeId {
    match tree.node(id).kind {
        Kind::HardLink(first) => *first,
        _ => id,
    }
}

struct Comparison<'t> {
    first: &'t Tree,
    second: &'t Tree,
    readers: [cellblock_tree::Reader<'t>; 2],
    compared: Compared,
}

impl Comparison<'_> {
    fn aspects(&mut self, a: &Node<'_>, b: &Node<'_>) -> Result<Vec<Aspect>, SourceError> {
        let mut aspects = Vec::new();
        let mut differs = |name, was: String, is: String| {
            if was != is {
                aspects.push(Aspect { name, was, is });
            }
        };
        let held = self.compared.held;
        if held.is_none_or(Held::modes) {
            // Linux has one mode of links.
            let is_link = held.is_some() && matches!(a.kind, Kind::Symlink(_));
            let octal = |node: &Node<'_>| format!("{:04o}", node.mode);
            if !is_link {
                differs("mode", octal(a), octal(b));
            }
        }
        if held.is_none_or(Held::owners) {
            let owner = |node: &Node<'_>| format!("{}:{}", node.uid, node.gid);
            differs("owner", owner(a), owner(b));
        }
        let time = held.map_or(Some(a.modified), |held| held.time(a));
        if let Some(time) = time.filter(|_| !self.compared.ignore_times) {
            let text = |time: Timestamp| format!("{}.{:09}", time.seconds, time.nanoseconds);
            differs("time", text(time), text(b.modified));
        }
        let has_attributes = match held {
            Some(held) => held.attributes(a, b),
            None => a.attributes == b.attributes,
        };
        if !has_attributes {
            aspects.push(Aspect {
                name: "attributes",
                was: names(a),
                is: names(b),
            });
        }
        let aspect = |name, was: String, is: String| Aspect { name, was, is };
        let (a, b) = match held {
            Some(held) if held.breaks_links() => (
                self.first.node(original(self.first, a.id)),
                self.second.node(original(self.second, b.id)),
            ),
            _ => (*a, *b),
        };
        match (a.kind, b.kind) {
            (Kind::File { size: was, .. }, Kind::File { size: is, .. }) => {
                if was != is {
                    aspects.push(aspect("size", was.to_string(), is.to_string()));
                } else if !self.same_bytes(a.id, b.id, *was)? {
                    aspects.push(aspect("content", String::new(), String::new()));
                }
            }
            (Kind::Symlink(was), Kind::Symlink(is)) if was != is => {
                let shown = |target: &[u8]| PathBytes::from(target).to_string();
                aspects.push(aspect("target", shown(was), shown(is)));
            }
            (Kind::HardLink(was), Kind::HardLink(is)) => {
                let (was, is) = (self.first.path(*was), self.second.path(*is));
                if was != is {
                    let shown = |path| PathBytes(path).to_string();
                    aspects.push(aspect("hard-link", shown(was), shown(is)));
                }
            }
            (
                Kind::CharacterDevice { major, minor } | Kind::BlockDevice { major, minor },
                Kind::CharacterDevice {
                    major: other_major,
                    minor: other_minor,
                }
                | Kind::BlockDevice {
                    major: other_major,
                    minor: other_minor,
                },
            ) if std::mem::discriminant(a.kind) == std::mem::discriminant(b.kind)
                && (major, minor) != (other_major, other_minor) =>
            {
                let was = format!("{major}:{minor}");
                let is = format!("{other_major}:{other_minor}");
                aspects.push(aspect("device", was, is));
            }
            (was, is) if std::mem::discriminant(was) != std::mem::discriminant(is) => {
                aspects.insert(
                    0,
                    aspect("type", was.noun().to_owned(), is.noun().to_owned()),
                );
            }
            _ => {}
        }
        Ok(aspects)
    }

    fn same_bytes(&mut self, a: NodeId, b: NodeId, size: u64) -> Result<bool, SourceError> {
        let [first, second] = &mut self.readers;
        let mut ranges = first.ranges(a)?;
        ranges.extend(second.ranges(b)?);
        ranges.sort_by_key(|range| range.offset);
        let mut done = 0;
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for range in ranges {
            // What neither has data of is zeros in both.
            done = done.max(range.offset);
            let end = (range.offset + range.length).min(size);
            while done < end {
                let length = usize::try_from((end - done).min(PIECE)).expect("at most PIECE");
                one.resize(length, 0);
                other.resize(length, 0);
                first.read(a, done, &mut one)?;
                second.read(b, done, &mut other)?;
                if one != other {
                    return Ok(false);
                }
                done += length as u64;
            }
        }
        Ok(true)
    }
}

/// The names of attributes, with a comma between them.
fn names(node: &Node<'_>) -> String {
    let names: Vec<String> = node
        .attributes
        .iter()
        .map(|it| PathBytes(it.name.clone()).to_string())
        .collect();
    names.join(",")
}
