//! A whole tree as a tar archive, in the tree's order: the same bytes for the same tree.
//!
//! Files are read on several threads, and written one after another. A file with holes goes as GNU tar's sparse format 1.0 has
//! it, so that a file of an exbibyte of holes is a few blocks.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::iter;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use super::{BLOCK, Member, MemberKind, headers, padding};
use crate::source::SourceError;
use crate::{Kind, Node, NodeId, Portion, Range, Tree};

/// The bytes of a file that are read at once.
const PIECE: u64 = 1 << 20;
/// The bytes of pieces that a thread reads one after the other: small files have parts of what is decoded at once.
const GROUP: u64 = 1 << 20;
/// The groups of pieces that a thread has read ahead at the most.
const AHEAD: usize = 4;

/// Why an archive was not written.
#[derive(Debug, thiserror::Error)]
pub enum PaxError {
    /// The tree cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The archive cannot be written.
    #[error("writing the archive: {0}")]
    Write(#[from] io::Error),
}

/// What an archive came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Its members.
    pub members: u64,
    /// Sockets, which tar has no type for, and which are left out.
    pub sockets: u64,
}

/// A part of a tree, as a layer that lies over other ones: what it adds and replaces, and what it takes away.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// Of each node, whether it is in the layer. A node's directories should be, too, and the first name of a hard link.
    pub holds: Vec<bool>,
    /// The names in a directory that lower layers have and this one takes away, in their order.
    pub removed: BTreeMap<NodeId, Vec<Vec<u8>>>,
}

impl Layer {
    /// What the name of a file that takes another one away begins with.
    pub const WHITEOUT: &[u8] = b".wh.";

    /// All of a tree.
    #[must_use]
    pub fn whole(tree: &Tree) -> Self {
        Self {
            holds: vec![true; crate::index(tree.len())],
            removed: BTreeMap::new(),
        }
    }

    /// Whether a node is in it.
    #[must_use]
    pub fn holds(&self, node: NodeId) -> bool {
        self.holds[crate::index(node.0)]
    }
}

/// A piece of a file to read.
#[derive(Clone, Copy)]
struct Piece {
    file: NodeId,
    range: Range,
}

/// Writes `tree` as an archive, whose members are `./` and what is below it. Files are read on at most `jobs` threads.
///
/// # Errors
/// [`PaxError`] if a file cannot be read, or the archive not be written.
pub fn write(tree: &Tree, output: &mut dyn Write, jobs: usize) -> Result<Written, PaxError> {
    write_layer(tree, &Layer::whole(tree), output, jobs)
}

/// As [`write()`], of a part of the tree. A name that is taken away is an empty file `.wh.NAME`, right behind its directory.
///
/// # Errors
/// As [`write()`].
///
/// # Panics
/// If the layer is of another tree.
pub fn write_layer(
    tree: &Tree,
    layer: &Layer,
    output: &mut dyn Write,
    jobs: usize,
) -> Result<Written, PaxError> {
    let plan = plan(tree, layer)?;
    let jobs = jobs.clamp(1, 64);
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for first in 0..jobs {
            let (sender, groups) = sync_channel(AHEAD);
            let (emptied, buffers) = channel();
            let plan = &plan;
            scope.spawn(move || read_groups(tree, plan, first, jobs, &sender, &buffers));
            threads.push(Reading { groups, emptied });
        }
        let mut writing = Writing {
            tree,
            layer,
            plan: &plan,
            pieces: Box::new(plan.pieces(tree)),
            following: None,
            threads,
            next: 0,
            group: Vec::new(),
            taken: 0,
            output,
        };
        writing.following = writing.pieces.next();
        writing.all()
    })
}

/// What is read, in order.
struct Plan {
    files: Vec<NodeId>,
    /// Where each file with holes has data.
    sparse: BTreeMap<u32, Vec<Range>>,
}

impl Plan {
    /// All pieces. There may be more than are kept in memory: files can share their bytes.
    fn pieces<'p>(&'p self, tree: &'p Tree) -> impl Iterator<Item = Piece> + 'p {
        self.files.iter().flat_map(move |file| {
            let whole = match tree.node(*file).kind {
                Kind::File { size, .. } => Range {
                    offset: 0,
                    length: *size,
                },
                _ => Range {
                    offset: 0,
                    length: 0,
                },
            };
            let sparse = self.sparse.get(&file.0);
            let (count, whole) = (sparse.map_or(1, Vec::len), [whole]);
            (0..count).flat_map(move |at| {
                let range = sparse.map_or(whole[0], |ranges| ranges[at]);
                cut(*file, range)
            })
        })
    }
}

/// A range in pieces.
fn cut(file: NodeId, range: Range) -> impl Iterator<Item = Piece> {
    (0..range.length.div_ceil(PIECE)).map(move |number| Piece {
        file,
        range: Range {
            offset: range.offset + number * PIECE,
            length: (range.length - number * PIECE).min(PIECE),
        },
    })
}

fn plan(tree: &Tree, layer: &Layer) -> Result<Plan, SourceError> {
    let mut reader = tree.reader();
    let mut plan = Plan {
        files: Vec::new(),
        sparse: BTreeMap::new(),
    };
    for node in tree.nodes().filter(|node| layer.holds(node.id)) {
        let Kind::File { size, sparse } = *node.kind else {
            continue;
        };
        if sparse {
            let ranges = data(&mut reader, node.id, size)?;
            plan.sparse.insert(node.id.0, ranges);
        }
        plan.files.push(node.id);
    }
    Ok(plan)
}

/// Where a file has data; neighbours are one range.
fn data(
    reader: &mut crate::Reader<'_>,
    file: NodeId,
    size: u64,
) -> Result<Vec<Range>, SourceError> {
    let mut joined: Vec<Range> = Vec::new();
    if size == 0 {
        return Ok(joined);
    }
    for range in reader.ranges(file)? {
        match joined.last_mut() {
            Some(last) if last.offset + last.length == range.offset => last.length += range.length,
            _ => joined.push(range),
        }
    }
    Ok(joined)
}

/// Neighbours that one thread reads: at most `GROUP` bytes, if they are not one piece.
fn groups(pieces: impl Iterator<Item = Piece>) -> impl Iterator<Item = Vec<Piece>> {
    let mut pieces = pieces.peekable();
    iter::from_fn(move || {
        let mut group = vec![pieces.next()?];
        let mut bytes = group[0].range.length;
        while let Some(next) = pieces.next_if(|next| bytes + next.range.length <= GROUP) {
            bytes += next.range.length;
            group.push(next);
        }
        Some(group)
    })
}

/// Reads every group of pieces whose number is `first` and so many more.
fn read_groups(
    tree: &Tree,
    plan: &Plan,
    first: usize,
    step: usize,
    sender: &SyncSender<Result<Vec<u8>, SourceError>>,
    buffers: &Receiver<Vec<u8>>,
) {
    let mut reader = tree.reader();
    for group in groups(plan.pieces(tree)).skip(first).step_by(step) {
        // A new one would be zeros, page by page.
        let buffer = buffers.try_recv().unwrap_or_default();
        // Whoever writes may have given up.
        if sender
            .send(read_group(&mut reader, &group, buffer))
            .is_err()
        {
            return;
        }
    }
}

fn read_group(
    reader: &mut crate::Reader<'_>,
    group: &[Piece],
    mut bytes: Vec<u8>,
) -> Result<Vec<u8>, SourceError> {
    let length = |piece: &Piece| usize::try_from(piece.range.length).expect("at most PIECE");
    bytes.resize(group.iter().map(length).sum(), 0);
    let mut at = 0;
    let portions = group.iter().map(|piece| {
        let into = at..at + length(piece);
        at = into.end;
        Portion {
            file: piece.file,
            offset: piece.range.offset,
            into,
        }
    });
    let portions: Vec<Portion> = portions.collect();
    reader.read_joined(&portions, &mut bytes)?;
    Ok(bytes)
}

/// A thread that reads.
struct Reading {
    groups: Receiver<Result<Vec<u8>, SourceError>>,
    /// Takes what was written, to be filled again.
    emptied: Sender<Vec<u8>>,
}

struct Writing<'a> {
    tree: &'a Tree,
    layer: &'a Layer,
    plan: &'a Plan,
    pieces: Box<dyn Iterator<Item = Piece> + 'a>,
    /// The piece that comes next.
    following: Option<Piece>,
    threads: Vec<Reading>,
    /// How many groups of pieces have come.
    next: usize,
    /// The one that came last, and how many of its bytes are written.
    group: Vec<u8>,
    taken: usize,
    output: &'a mut dyn Write,
}

impl Writing<'_> {
    fn all(&mut self) -> Result<Written, PaxError> {
        let mut written = Written::default();
        for node in self.tree.nodes().filter(|node| self.layer.holds(node.id)) {
            if *self.tree.original(node.id).kind == Kind::Socket {
                written.sockets += 1;
                continue;
            }
            written.members += 1;
            self.member(&node)?;
            for name in self.layer.removed.get(&node.id).into_iter().flatten() {
                let whiteout = whiteout(self.tree, node.id, name);
                self.output.write_all(&headers(&whiteout))?;
                written.members += 1;
            }
        }
        self.output.write_all(&[0; 2 * BLOCK])?;
        self.output.flush()?;
        Ok(written)
    }

    /// Takes the next group in place of the one that is written.
    fn receive(&mut self) -> Result<(), PaxError> {
        let thread = &self.threads[self.next % self.threads.len()];
        self.next += 1;
        let group = thread
            .groups
            .recv()
            .map_err(|_| io::Error::other("a thread that reads files has ended before its time"))?;
        let written = std::mem::replace(&mut self.group, group?);
        self.taken = 0;
        // It may have nothing left to read.
        let _ = thread.emptied.send(written);
        Ok(())
    }

    fn member(&mut self, node: &Node<'_>) -> Result<(), PaxError> {
        let mut member = member(self.tree, node);
        let Kind::File { size, .. } = *node.kind else {
            self.output.write_all(&headers(&member))?;
            return Ok(());
        };
        let mut length = size;
        if let Some(ranges) = self.plan.sparse.get(&node.id.0) {
            let map = sparse_map(ranges, size);
            length = map.len() as u64 + ranges.iter().map(|range| range.length).sum::<u64>();
            let bytes = sparse_headers(&mut member, size, length);
            self.output.write_all(&bytes)?;
            self.output.write_all(&map)?;
        } else {
            self.output.write_all(&headers(&member))?;
        }
        while let Some(piece) = self.following
            && piece.file == node.id
        {
            if self.taken == self.group.len() {
                self.receive()?;
            }
            let end = self.taken + usize::try_from(piece.range.length).expect("at most PIECE");
            self.output.write_all(&self.group[self.taken..end])?;
            self.taken = end;
            self.following = self.pieces.next();
        }
        self.output.write_all(&[0; BLOCK][..padding(length)])?;
        Ok(())
    }
}

/// What a node is called in an archive.
fn member_path(tree: &Tree, id: NodeId) -> Vec<u8> {
    let path = tree.path(id);
    let below = path.strip_prefix(b"/").unwrap_or(&path);
    [b"./", below].concat()
}

/// The file that takes `name` in a directory away.
fn whiteout(tree: &Tree, directory: NodeId, name: &[u8]) -> Member {
    let mut path = member_path(tree, directory);
    if !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(Layer::WHITEOUT);
    path.extend_from_slice(name);
    Member {
        path,
        kind: MemberKind::File,
        value: 0,
        target: Vec::new(),
        mode: 0,
        uid: 0,
        gid: 0,
        seconds: 0,
        nanoseconds: 0,
        attributes: Vec::new(),
    }
}

/// The member of a node; files with holes are files.
fn member(tree: &Tree, node: &Node<'_>) -> Member {
    let device = |major: u32, minor: u32| u64::from(major) << 32 | u64::from(minor);
    let path = |id| member_path(tree, id);
    let (kind, value, target) = match node.kind {
        Kind::Directory => (MemberKind::Directory, 0, Vec::new()),
        Kind::File { size, .. } => (MemberKind::File, *size, Vec::new()),
        Kind::Symlink(target) => (MemberKind::Symlink, 0, target.to_vec()),
        Kind::HardLink(first) => (MemberKind::HardLink, 0, path(*first)),
        Kind::CharacterDevice { major, minor } => (
            MemberKind::CharacterDevice,
            device(*major, *minor),
            Vec::new(),
        ),
        Kind::BlockDevice { major, minor } => {
            (MemberKind::BlockDevice, device(*major, *minor), Vec::new())
        }
        Kind::Fifo => (MemberKind::Fifo, 0, Vec::new()),
        Kind::Socket => (MemberKind::Socket, 0, Vec::new()),
    };
    let mut own = path(node.id);
    if kind == MemberKind::Directory && !own.ends_with(b"/") {
        own.push(b'/');
    }
    Member {
        path: own,
        kind,
        value,
        target,
        mode: node.mode,
        uid: node.uid,
        gid: node.gid,
        seconds: node.modified.seconds,
        nanoseconds: node.modified.nanoseconds,
        attributes: node
            .attributes
            .iter()
            .map(|it| (it.name.clone(), it.value.clone()))
            .collect(),
    }
}

/// The map of a file with holes: the number of its ranges, and where each begins and how long it is, a decimal number a line,
/// in whole blocks. A file that ends with a hole has an empty range at its end.
fn sparse_map(ranges: &[Range], size: u64) -> Vec<u8> {
    let ends_with_data = ranges
        .last()
        .is_some_and(|last| last.offset + last.length == size);
    let mut numbers = vec![ranges.len() as u64 + u64::from(!ends_with_data)];
    for range in ranges {
        numbers.extend([range.offset, range.length]);
    }
    if !ends_with_data {
        numbers.extend([size, 0]);
    }
    let mut map: Vec<u8> = numbers
        .iter()
        .flat_map(|number| format!("{number}\n").into_bytes())
        .collect();
    map.resize(map.len() + padding(map.len() as u64), 0);
    map
}

/// The headers of a file with holes of which `stored` bytes follow.
fn sparse_headers(member: &mut Member, size: u64, stored: u64) -> Vec<u8> {
    let name = std::mem::replace(&mut member.path, b"./GNUSparseFile.0/file".to_vec());
    member.value = stored;
    let records = [
        (&b"GNU.sparse.major"[..], b"1".to_vec()),
        (b"GNU.sparse.minor", b"0".to_vec()),
        (b"GNU.sparse.name", name),
        (b"GNU.sparse.realsize", size.to_string().into_bytes()),
    ];
    super::headers_with(member, &records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_are_read_by_one_thread_and_each_once() {
        let group = |lengths: &[u64]| -> Vec<Vec<u64>> {
            let pieces = lengths.iter().map(|length| Piece {
                file: NodeId(1),
                range: Range {
                    offset: 0,
                    length: *length,
                },
            });
            let lengths = |group: Vec<Piece>| group.iter().map(|it| it.range.length).collect();
            groups(pieces).map(lengths).collect()
        };
        assert!(group(&[]).is_empty());
        assert_eq!(group(&[5, GROUP - 5, 1]), [vec![5, GROUP - 5], vec![1]]);
        assert_eq!(group(&[1, GROUP, 1]), [[1], [GROUP], [1]]);
    }
}
