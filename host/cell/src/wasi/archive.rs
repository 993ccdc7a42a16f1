//! The standard input of a command: the tree as a tar archive, written while it is read.
//!
//! The root is `./`, and every other member has its path without anything before it. What may be dropped is left out here.

use std::collections::{BTreeMap, VecDeque};

use crate::bindings::cellblock::format::tree::{Kind as Told, Nodes, Range};
use crate::files::{ErrorCode, Fault};
use crate::state::Services;
use cellblock_contract::{Loss, Losses};
use cellblock_tree::pax::{BLOCK, Member, MemberKind as Kind, headers, padding};

/// The nodes that are asked for at once.
const BATCH: u32 = 1024;
/// What is written ahead of the reader, in bytes.
const AHEAD: usize = 256 << 10;

pub(super) struct Archive {
    drop: Losses,
    /// What hard links are other names of; none before the first read.
    originals: Option<BTreeMap<u32, Option<Member>>>,
    nodes: Batch,
    /// The directories above the next node: their ids, and how much of `path` is theirs.
    ancestors: Vec<(u32, usize)>,
    path: Vec<u8>,
    content: Option<OpenFile>,
    /// What is written, from `taken` on.
    buffer: Vec<u8>,
    taken: usize,
    /// Whether all members have been written.
    is_complete: bool,
}

/// Nodes that have come, and how far they are used up.
#[derive(Default)]
struct Batch {
    nodes: Option<Nodes>,
    /// The id of the first.
    first: u32,
    index: usize,
    name: usize,
    target: usize,
    attribute: usize,
}

/// A node as it came.
struct Node {
    id: u32,
    parent: u32,
    name: Vec<u8>,
    /// Its path is that of its parent still.
    member: Member,
}

/// The content of a file, on its way.
struct OpenFile {
    file: u32,
    size: u64,
    offset: u64,
    /// Where it has data; the first range ends behind `offset`.
    ranges: VecDeque<Range>,
}

impl Archive {
    pub(super) fn new(drop: Losses) -> Self {
        Self {
            drop,
            originals: None,
            nodes: Batch::default(),
            ancestors: Vec::new(),
            path: Vec::new(),
            content: None,
            buffer: Vec::new(),
            taken: 0,
            is_complete: false,
        }
    }

    /// The next bytes, at most `most`; none at the end.
    pub(super) fn read(
        &mut self,
        services: &mut impl Services,
        most: usize,
    ) -> Result<Vec<u8>, Fault> {
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.taken = 0;
            while self.buffer.len() < AHEAD && !self.is_complete {
                self.write_more(services)?;
            }
        }
        let count = most.min(self.buffer.len() - self.taken);
        let bytes = self.buffer[self.taken..self.taken + count].to_vec();
        self.taken += count;
        Ok(bytes)
    }

    /// Whether all members have been read, and of what marks the end the first block.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_complete && self.buffer.len() - self.taken <= BLOCK
    }

    fn write_more(&mut self, services: &mut impl Services) -> Result<(), Fault> {
        if let Some(mut content) = self.content.take() {
            content.write(services, &mut self.buffer)?;
            if content.offset < content.size {
                self.content = Some(content);
            } else {
                let padding = padding(content.size);
                self.buffer.resize(self.buffer.len() + padding, 0);
            }
            return Ok(());
        }
        if self.originals.is_none() {
            self.originals = Some(originals(services)?);
        }
        match self.nodes.next(services)? {
            Some(node) => self.begin(services, node),
            None => {
                self.buffer.resize(self.buffer.len() + 2 * BLOCK, 0);
                self.is_complete = true;
                Ok(())
            }
        }
    }

    /// Writes the headers of a node.
    fn begin(&mut self, services: &mut impl Services, node: Node) -> Result<(), Fault> {
        let mut member = node.member;
        member.path = self.enter(node.id, node.parent, &node.name, member.kind);
        lose(&mut member, self.drop);
        if let Some(original) = self
            .originals
            .as_mut()
            .and_then(|all| all.get_mut(&node.id))
        {
            *original = Some(member.clone());
        }
        let (file, member) = match member.kind {
            Kind::HardLink => self.link(member)?,
            _ => (node.id, member),
        };
        if is_dropped(member.kind, self.drop) {
            return Ok(());
        }
        self.buffer.extend(headers(&member));
        if matches!(member.kind, Kind::File | Kind::SparseFile) && member.value > 0 {
            self.content = Some(OpenFile::of(services, file, &member)?);
        }
        Ok(())
    }

    /// The path of a node, which comes next.
    fn enter(&mut self, id: u32, parent: u32, name: &[u8], kind: Kind) -> Vec<u8> {
        if id == 0 {
            self.ancestors.push((id, 0));
            return b"./".to_vec();
        }
        while self
            .ancestors
            .last()
            .is_some_and(|(above, _)| *above != parent)
        {
            self.ancestors.pop();
        }
        let above = self.ancestors.last().map_or(0, |(_, length)| *length);
        self.path.truncate(above);
        self.path.extend(name);
        if kind == Kind::Directory {
            self.path.push(b'/');
            self.ancestors.push((id, self.path.len()));
        }
        self.path.clone()
    }

    /// What a hard link becomes, and whose content it has: a link to the path of its original, or the same once more where
    /// links may be lost, or there is no original because that may be.
    fn link(&self, link: Member) -> Result<(u32, Member), Fault> {
        let file = u32::try_from(link.value).map_err(|_| ErrorCode::Io)?;
        let originals = self.originals.as_ref();
        let original = originals
            .and_then(|all| all.get(&file)?.as_ref())
            .ok_or(ErrorCode::Io)?;
        let is_lost = self.drop.contains(Loss::HardLinks) || is_dropped(original.kind, self.drop);
        let member = if is_lost {
            Member {
                path: link.path,
                ..original.clone()
            }
        } else {
            Member {
                target: original.path.clone(),
                ..link
            }
        };
        Ok((file, member))
    }
}

/// Leaves out of a node what may be lost.
fn lose(member: &mut Member, drop: Losses) {
    if drop.contains(Loss::Owners) {
        (member.uid, member.gid) = (0, 0);
    }
    if drop.contains(Loss::Permissions) {
        member.mode &= 0o777;
    }
    if drop.contains(Loss::Attributes) {
        member.attributes.clear();
    }
}

fn is_dropped(kind: Kind, drop: Losses) -> bool {
    match kind {
        Kind::Symlink => drop.contains(Loss::Symlinks),
        Kind::CharacterDevice | Kind::BlockDevice | Kind::Fifo | Kind::Socket => {
            drop.contains(Loss::SpecialFiles)
        }
        Kind::Directory | Kind::File | Kind::SparseFile | Kind::HardLink => false,
    }
}

/// The ids that hard links name.
fn originals(services: &mut impl Services) -> Result<BTreeMap<u32, Option<Member>>, Fault> {
    let mut originals = BTreeMap::new();
    loop {
        let nodes = services.next(BATCH)?;
        if nodes.kinds.is_empty() {
            break;
        }
        for (kind, value) in nodes.kinds.iter().zip(&nodes.values) {
            if *kind == Told::HardLink {
                originals.insert(u32::try_from(*value).map_err(|_| ErrorCode::Io)?, None);
            }
        }
    }
    services.rewind()?;
    Ok(originals)
}

fn member_kind(told: Told) -> Kind {
    match told {
        Told::Directory => Kind::Directory,
        Told::File => Kind::File,
        Told::SparseFile => Kind::SparseFile,
        Told::Symlink => Kind::Symlink,
        Told::HardLink => Kind::HardLink,
        Told::CharacterDevice => Kind::CharacterDevice,
        Told::BlockDevice => Kind::BlockDevice,
        Told::Fifo => Kind::Fifo,
        Told::Socket => Kind::Socket,
    }
}

impl Batch {
    fn next(&mut self, services: &mut impl Services) -> Result<Option<Node>, Fault> {
        let used_up = self
            .nodes
            .as_ref()
            .is_none_or(|nodes| nodes.kinds.len() == self.index);
        if used_up {
            *self = Self {
                first: self.first + u32::try_from(self.index).map_err(|_| ErrorCode::Overflow)?,
                nodes: Some(services.next(BATCH)?),
                ..Self::default()
            };
        }
        // Lists that do not go together come from no host.
        match &self.nodes {
            Some(nodes) if !nodes.kinds.is_empty() => {
                let node = self.node(nodes).ok_or(ErrorCode::Io)?;
                self.name += node.name.len();
                self.target += node.member.target.len();
                self.attribute += node.member.attributes.len();
                self.index += 1;
                Ok(Some(node))
            }
            _ => Ok(None),
        }
    }

    fn node(&self, nodes: &Nodes) -> Option<Node> {
        let index = self.index;
        let offset = u32::try_from(index).ok()?;
        let name_length = usize::try_from(*nodes.name_lengths.get(index)?).ok()?;
        let name = nodes.names.get(self.name..)?.get(..name_length)?;
        let kind = member_kind(*nodes.kinds.get(index)?);
        let value = *nodes.values.get(index)?;
        let target = match kind {
            Kind::Symlink => {
                let length = usize::try_from(value).ok()?;
                nodes.targets.get(self.target..)?.get(..length)?.to_vec()
            }
            _ => Vec::new(),
        };
        let attributes = nodes.attributes[self.attribute..]
            .iter()
            .take_while(|attribute| attribute.node == offset)
            .map(|attribute| (attribute.name.clone(), attribute.value.clone()))
            .collect();
        Some(Node {
            id: self.first + offset,
            parent: *nodes.parents.get(index)?,
            name: name.to_vec(),
            member: Member {
                path: Vec::new(),
                kind,
                value,
                target,
                mode: *nodes.modes.get(index)?,
                uid: *nodes.uids.get(index)?,
                gid: *nodes.gids.get(index)?,
                seconds: *nodes.seconds.get(index)?,
                nanoseconds: *nodes.nanoseconds.get(index)?,
                attributes,
            },
        })
    }
}

impl OpenFile {
    fn of(services: &mut impl Services, file: u32, member: &Member) -> Result<Self, Fault> {
        let size = member.value;
        let ranges = if member.kind == Kind::SparseFile {
            services.ranges(file)?.map_err(|_| ErrorCode::Io)?
        } else {
            vec![Range {
                offset: 0,
                length: size,
            }]
        };
        Ok(Self {
            file,
            size,
            offset: 0,
            ranges: ranges.into(),
        })
    }

    /// Writes the next bytes, at most [`AHEAD`] of them.
    fn write(&mut self, services: &mut impl Services, buffer: &mut Vec<u8>) -> Result<(), Fault> {
        let most = AHEAD as u64;
        let next = self.ranges.front().copied();
        let hole_end = next.map_or(self.size, |range| range.offset).min(self.size);
        if self.offset < hole_end {
            let count = (hole_end - self.offset).min(most);
            buffer.resize(
                buffer.len() + usize::try_from(count).expect("at most AHEAD"),
                0,
            );
            self.offset += count;
            return Ok(());
        }
        let end = next.map_or(self.size, |range| {
            (range.offset + range.length).min(self.size)
        });
        let count = end.saturating_sub(self.offset).min(most);
        let length = u32::try_from(count).map_err(|_| ErrorCode::Overflow)?;
        let bytes = services.read(self.file, self.offset, length)?;
        buffer.extend(bytes.map_err(|_| ErrorCode::Io)?);
        self.offset += count;
        if self.offset >= end {
            self.ranges.pop_front();
        }
        Ok(())
    }
}
