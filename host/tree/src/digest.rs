//! The digests of a tree; their layouts are documented at [`Tree::digest`] and [`Tree::content_digest`].

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Kind, KnownFiles, NodeId, Reader, Tree};
use crate::source::SourceError;
use sha2::{Digest, Sha256};

/// Bytes of a file that are hashed as one piece.
const PIECE: usize = 1 << 20;

/// Files that a thread takes at a time: enough to keep neighbours, which share a directory, together.
const FILES_AT_A_TIME: usize = 32;

type Sum = [u8; 32];

/// What a tree is, as SHA-256 digests: two trees with the same ones are the same to any formatter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeDigests {
    /// [`Tree::digest`]: names and metadata.
    pub metadata: [u8; 32],
    /// [`Tree::content_digest`]: the bytes of all files.
    pub content: [u8; 32],
    /// [`Tree::holes_digest`]: where files have holes.
    pub holes: [u8; 32],
}

fn length(bytes: &[u8]) -> [u8; 8] {
    u64::try_from(bytes.len())
        .expect("a length fits 64 bits")
        .to_le_bytes()
}

fn string(hash: &mut Sha256, bytes: &[u8]) {
    hash.update(length(bytes));
    hash.update(bytes);
}

pub(super) fn metadata(tree: &Tree) -> Sum {
    let mut hash = Sha256::new();
    hash.update(b"cellblock tree 1\n");
    for node in tree.nodes() {
        hash.update(node.parent.0.to_le_bytes());
        string(&mut hash, node.name);
        hash.update(node.mode.to_le_bytes());
        hash.update(node.uid.to_le_bytes());
        hash.update(node.gid.to_le_bytes());
        hash.update(node.modified.seconds.to_le_bytes());
        hash.update(node.modified.nanoseconds.to_le_bytes());
        kind(&mut hash, node.kind);
        hash.update(
            u64::try_from(node.attributes.len())
                .expect("a count fits 64 bits")
                .to_le_bytes(),
        );
        for attribute in node.attributes {
            string(&mut hash, &attribute.name);
            string(&mut hash, &attribute.value);
        }
    }
    hash.finalize().into()
}

fn kind(hash: &mut Sha256, kind: &Kind) {
    let mut device = |letter: &[u8], major: u32, minor: u32| {
        hash.update(letter);
        hash.update(major.to_le_bytes());
        hash.update(minor.to_le_bytes());
    };
    match kind {
        Kind::CharacterDevice { major, minor } => device(b"c", *major, *minor),
        Kind::BlockDevice { major, minor } => device(b"b", *major, *minor),
        Kind::Directory => hash.update(b"d"),
        Kind::Fifo => hash.update(b"p"),
        Kind::Socket => hash.update(b"s"),
        Kind::File { size, .. } => {
            hash.update(b"f");
            hash.update(size.to_le_bytes());
        }
        Kind::Symlink(target) => {
            hash.update(b"l");
            string(hash, target);
        }
        Kind::HardLink(first) => {
            hash.update(b"h");
            hash.update(first.0.to_le_bytes());
        }
    }
}

pub(super) fn holes(tree: &Tree) -> Result<Sum, SourceError> {
    let mut hash = Sha256::new();
    hash.update(b"cellblock holes 1\n");
    let mut reader = tree.reader();
    for node in tree.nodes() {
        if !matches!(node.kind, Kind::File { sparse: true, .. }) {
            continue;
        }
        let ranges = reader.ranges(node.id)?;
        hash.update(node.id.0.to_le_bytes());
        hash.update((ranges.len() as u64).to_le_bytes());
        for range in ranges {
            hash.update(range.offset.to_le_bytes());
            hash.update(range.length.to_le_bytes());
        }
    }
    Ok(hash.finalize().into())
}

pub(super) fn origins(tree: &Tree) -> Option<Sum> {
    let mut hash = Sha256::new_with_prefix(b"cellblock origins 1\n");
    let mut is_any = false;
    for (device, inode) in tree.stores.iter().filter_map(|store| store.origin()) {
        hash.update(device.to_le_bytes());
        hash.update(inode.to_le_bytes());
        is_any = true;
    }
    is_any.then(|| hash.finalize().into())
}

pub(super) fn content(tree: &Tree, known: Option<&KnownFiles>) -> Result<Sum, SourceError> {
    let files: Vec<(NodeId, u64)> = tree
        .nodes()
        .filter_map(|node| match node.kind {
            Kind::File { size, .. } => Some((node.id, *size)),
            _ => None,
        })
        .collect();
    let sums = Mutex::new(vec![[0; 32]; files.len()]);
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let work = || hash_batches(tree, known, &files, &next, &sums);
        // Where no more threads may be started, those that there are do all of it.
        let start = |_| std::thread::Builder::new().spawn_scoped(scope, work).ok();
        let workers: Vec<_> = (1..threads).map_while(start).collect();
        work()?;
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect::<Result<Vec<()>, SourceError>>()
    })?;
    let mut hash = Sha256::new();
    hash.update(b"cellblock content 1\n");
    for sum in sums.into_inner().expect("no worker panicked") {
        hash.update(sum);
    }
    Ok(hash.finalize().into())
}

fn hash_batches(
    tree: &Tree,
    known: Option<&KnownFiles>,
    files: &[(NodeId, u64)],
    next: &AtomicUsize,
    sums: &Mutex<Vec<Sum>>,
) -> Result<(), SourceError> {
    let mut worker = Worker {
        reader: tree.reader(),
        buffer: vec![0; PIECE],
        hole: Sha256::digest(vec![0; PIECE]).into(),
    };
    loop {
        let from = next.fetch_add(FILES_AT_A_TIME, Ordering::Relaxed);
        let Some(rest) = files.get(from..) else {
            return Ok(());
        };
        let batch = &rest[..rest.len().min(FILES_AT_A_TIME)];
        let done = batch
            .iter()
            .map(|(file, size)| worker.known_or_hashed(known, *file, *size))
            .collect::<Result<Vec<Sum>, SourceError>>();
        if done.is_err() {
            next.store(files.len(), Ordering::Relaxed);
        }
        sums.lock().expect("no worker panicked")[from..from + batch.len()].copy_from_slice(&done?);
    }
}

struct Worker<'t> {
    reader: Reader<'t>,
    buffer: Vec<u8>,
    /// The digest of a whole piece of zeros.
    hole: Sum,
}

impl Worker<'_> {
    fn known_or_hashed(
        &mut self,
        known: Option<&KnownFiles>,
        file: NodeId,
        size: u64,
    ) -> Result<Sum, SourceError> {
        let Some((known, mark)) = known.zip(self.reader.mark(file)?) else {
            return self.file(file, size);
        };
        if let Some(sum) = known.get(&mark) {
            return Ok(sum);
        }
        let sum = self.file(file, size)?;
        known.learn(&mark, sum);
        Ok(sum)
    }

    fn file(&mut self, file: NodeId, size: u64) -> Result<Sum, SourceError> {
        let ranges = self.reader.ranges(file)?;
        let mut ranges = ranges.iter().peekable();
        let mut hash = Sha256::new();
        hash.update(size.to_le_bytes());
        let mut offset = 0;
        while offset < size {
            // What does not fit is more than a piece.
            let piece = usize::try_from(size - offset).map_or(PIECE, |rest| rest.min(PIECE));
            let end = offset + u64::try_from(piece).expect("a piece fits 64 bits");
            while ranges
                .next_if(|range| range.offset + range.length <= offset)
                .is_some()
            {}
            let is_hole = ranges.peek().is_none_or(|range| range.offset >= end);
            if is_hole && piece == PIECE {
                hash.update(self.hole);
            } else {
                let buffer = &mut self.buffer[..piece];
                self.reader.read(file, offset, buffer)?;
                hash.update(Sha256::digest(buffer));
            }
            offset = end;
        }
        Ok(hash.finalize().into())
    }
}
