//! What differs between two trees: names, attributes and bytes.

mod contents;
mod told;

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use serde::Serialize;

use contents::{Contents, Files};
pub use told::Told;

use crate::verify::Held;
use cellblock_tree::source::SourceError;
use cellblock_tree::{Kind, Node, NodeId, Tree};

/// One path that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// The path.
    #[serde(flatten, serialize_with = "Told::path")]
    pub path: Told,
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
    #[serde(
        flatten,
        skip_serializing_if = "Told::is_empty",
        serialize_with = "Told::was"
    )]
    pub was: Told,
    /// The second tree's.
    #[serde(
        flatten,
        skip_serializing_if = "Told::is_empty",
        serialize_with = "Told::is"
    )]
    pub is: Told,
}

/// What of nodes is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Times are left alone.
    pub ignore_times: bool,
    /// The second tree is that of a file system that was made of the first one, and holds this of it; otherwise all.
    pub held: Option<Held>,
    /// How many threads compare the bytes of files; none for as many as there are processors.
    pub jobs: Option<NonZeroUsize>,
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

/// So many paths, or bytes of files, are compared before they are told.
const MOST_PAIRS: usize = 4096;
const MOST_BYTES: u64 = 256 << 20;

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
        let path = Told::named("", tree.path(id));
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
    let comparison = Comparison {
        first,
        second,
        compared,
    };
    let jobs = compared.jobs.or_else(|| available_parallelism().ok());
    let contents = Contents::new(first, second, jobs.map_or(1, NonZeroUsize::get));
    let mut batch = Batch::default();
    let (mut left, mut right) = (0, 0);
    loop {
        let order = match (path(first, left), path(second, right)) {
            (None, None) => return batch.tell(&contents, told),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => in_order(&a, &b),
        };
        let (a, b) = (NodeId(left), NodeId(right));
        let held = compared.held;
        match order {
            Ordering::Less if held.is_some_and(|it| it.drops(first, &first.node(a))) => {}
            Ordering::Less => batch.pairs.push(Pair::First(a)),
            Ordering::Greater if held.is_some_and(|it| it.is_own(second, &second.node(b))) => {}
            Ordering::Greater => batch.pairs.push(Pair::Second(b)),
            Ordering::Equal => {
                let (aspects, files) = comparison.aspects(&first.node(a), &second.node(b));
                if let Some(files) = files {
                    batch.add(files);
                }
                batch.pairs.push(Pair::Both(a, b, aspects));
            }
        }
        left += u32::from(order != Ordering::Greater);
        right += u32::from(order != Ordering::Less);
        if batch.is_full() {
            batch.tell(&contents, told)?;
        }
    }
}

/// Pairs that are told together, once the bytes of their files are compared.
#[derive(Default)]
struct Batch {
    pairs: Vec<Pair>,
    files: Vec<Files>,
    /// The pair of each of the files.
    owners: Vec<usize>,
    bytes: u64,
}

impl Batch {
    /// The files of the pair that comes next.
    fn add(&mut self, files: Files) {
        self.files.push(files);
        self.owners.push(self.pairs.len());
        self.bytes = self.bytes.saturating_add(files.size);
    }

    fn is_full(&self) -> bool {
        self.pairs.len() >= MOST_PAIRS || self.bytes >= MOST_BYTES
    }

    /// Tells all of them, up to one whose file cannot be read.
    fn tell(
        &mut self,
        contents: &Contents<'_>,
        told: &mut dyn FnMut(Pair),
    ) -> Result<(), SourceError> {
        let mut failed = None;
        for (owner, is_same) in self.owners.iter().zip(contents.are_same(&self.files)) {
            match (is_same, &mut self.pairs[*owner]) {
                (Ok(false), Pair::Both(_, _, aspects)) => {
                    aspects.push(aspect("content", "", ""));
                }
                (Ok(_), _) => {}
                (Err(error), _) => failed = Some((*owner, error)),
            }
        }
        let end = failed
            .as_ref()
            .map_or(self.pairs.len(), |(owner, _)| *owner);
        self.pairs.drain(..end).for_each(&mut *told);
        *self = Self::default();
        failed.map_or(Ok(()), |(_, error)| Err(error))
    }
}

fn aspect(name: &'static str, was: impl Into<Told>, is: impl Into<Told>) -> Aspect {
    let (was, is) = (was.into(), is.into());
    Aspect { name, was, is }
}

fn path(tree: &Tree, id: u32) -> Option<Vec<u8>> {
    (id < tree.len()).then(|| tree.path(NodeId(id)))
}

/// The order of trees: name by name.
fn in_order(a: &[u8], b: &[u8]) -> Ordering {
    let key = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    a.iter().map(key).cmp(b.iter().map(key))
}

/// The trees, and what of their nodes is compared.
struct Comparison<'t> {
    first: &'t Tree,
    second: &'t Tree,
    compared: Compared,
}

impl Comparison<'_> {
    /// What of a node is another, but for its bytes; and the files, if these are to be compared.
    fn aspects(&self, a: &Node<'_>, b: &Node<'_>) -> (Vec<Aspect>, Option<Files>) {
        let mut aspects = Vec::new();
        let mut files = None;
        let held = self.compared.held;
        if held.is_none_or(Held::modes) {
            // Linux has one mode of links.
            let is_link = held.is_some() && matches!(a.kind, Kind::Symlink(_));
            if !is_link && a.mode != b.mode {
                let octal = |node: &Node<'_>| format!("{:04o}", node.mode);
                aspects.push(aspect("mode", octal(a), octal(b)));
            }
        }
        if held.is_none_or(Held::owners) && (a.uid, a.gid) != (b.uid, b.gid) {
            let owner = |node: &Node<'_>| format!("{}:{}", node.uid, node.gid);
            aspects.push(aspect("owner", owner(a), owner(b)));
        }
        let time = held.map_or(Some(a.modified), |held| held.time(a));
        let time = time.filter(|_| !self.compared.ignore_times);
        if let Some(time) = time.filter(|time| *time != b.modified) {
            aspects.push(aspect("time", time.decimal(), b.modified.decimal()));
        }
        let has_attributes = match held {
            Some(held) => held.attributes(a, b),
            None => a.attributes == b.attributes,
        };
        if !has_attributes {
            aspects.push(aspect("attributes", names(a), names(b)));
        }
        let (a, b) = match held {
            Some(held) if held.breaks_links() => {
                (self.first.original(a.id), self.second.original(b.id))
            }
            _ => (*a, *b),
        };
        match (a.kind, b.kind) {
            (Kind::File { size: was, .. }, Kind::File { size: is, .. }) => {
                if was != is {
                    aspects.push(aspect("size", was.to_string(), is.to_string()));
                } else {
                    files = Some(Files {
                        first: a.id,
                        second: b.id,
                        size: *was,
                    });
                }
            }
            (Kind::Symlink(was), Kind::Symlink(is)) if was != is => {
                let [was, is] = [was, is].map(|target| Told::named("", &**target));
                aspects.push(aspect("target", was, is));
            }
            (Kind::HardLink(was), Kind::HardLink(is)) => {
                let (was, is) = (self.first.path(*was), self.second.path(*is));
                if was != is {
                    let [was, is] = [was, is].map(|path| Told::named("", path));
                    aspects.push(aspect("hard-link", was, is));
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
                aspects.insert(0, aspect("type", was.noun(), is.noun()));
            }
            _ => {}
        }
        (aspects, files)
    }
}

/// The names of attributes, with a comma between them.
fn names(node: &Node<'_>) -> Told {
    let names = node.attributes.iter();
    let names: Vec<&[u8]> = names.map(|it| &*it.name).collect();
    Told::named("", names.join(&b','))
}
