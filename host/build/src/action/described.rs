//! A file system that is to be made, as the files of an action.

use std::collections::BTreeMap;
use std::sync::Arc;

use cellblock_cell::Walls;
use cellblock_contract::Limits;
use cellblock_tree::source::SourceError;
use cellblock_tree::{Kind, NodeId, Reader, Tree};
use sha2::{Digest as _, Sha256};

use super::contents::path_of;
use super::document::{Action, NamedGuest, WantedWalls};
use super::tree::{self, DataRange, PIECE, Piece};
use super::{ACTION, CONTENT, GUEST, TREE};
use crate::error::PartitionError;
use crate::filesystem::{Prepared, Slot};
use crate::parallel;

/// How many pieces a thread hashes at a time: enough to keep neighbours, which share a directory, together.
const PIECES_AT_A_TIME: usize = 64;

/// A file system that is to be made, as the files of an action.
pub(crate) struct Described {
    /// The key of the fill.
    pub(crate) key: [u8; 32],
    /// The bytes of the partition.
    pub(crate) size: u64,
    tree: Arc<Tree>,
    /// What is in memory, by name.
    documents: Vec<(&'static str, Arc<[u8]>)>,
    /// Where each piece is in the tree, by its digest.
    pieces: BTreeMap<Piece, Stretch>,
}

/// Where bytes are in the tree.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    file: NodeId,
    offset: u64,
    length: u32,
}

/// A file of an action.
pub(crate) struct ActionFile<'d> {
    /// Its path in the folder.
    pub(crate) path: String,
    /// The SHA-256 digest of its bytes.
    pub(crate) digest: [u8; 32],
    /// Their number.
    pub(crate) length: u64,
    content: Bytes<'d>,
}

#[derive(Clone, Copy)]
enum Bytes<'d> {
    Here(&'d [u8]),
    There(Stretch),
}

impl Described {
    /// Describes a file system that is to go to `place`, which reads all of its content once.
    pub(crate) fn of(
        prepared: &Prepared,
        place: &Slot,
        (limits, walls): (Limits, Walls),
        jobs: usize,
    ) -> Result<Self, PartitionError> {
        let tree = &prepared.tree;
        let (pieces, ranges) = pieces_of(tree, jobs)?;
        let told: Vec<Piece> = pieces.keys().copied().collect();
        let nodes = tree.nodes();
        let bytes = tree::encode(&told, nodes, |file| {
            ranges.get(&file).cloned().unwrap_or_default()
        });
        let (guest, component) = prepared.guest_and_component();
        let request = prepared.request(place);
        let action = Action {
            key: prepared.key(place, prepared.tree_digests()?).0,
            guest: NamedGuest::of(guest, component.is_none()),
            limits,
            walls: WantedWalls::of(walls),
            tree: Sha256::digest(&bytes).into(),
            request,
        };
        let mut documents = vec![
            (ACTION, Arc::from(action.to_bytes())),
            (TREE, Arc::from(bytes)),
        ];
        documents.extend(component.map(|component| (GUEST, component)));
        Ok(Self {
            key: action.key,
            size: place.size,
            tree: Arc::clone(tree),
            documents,
            pieces,
        })
    }

    /// Its files, each once.
    pub(crate) fn files(&self) -> impl Iterator<Item = ActionFile<'_>> {
        let documents = self.documents.iter().map(|(name, bytes)| ActionFile {
            path: (*name).to_owned(),
            digest: Sha256::digest(bytes).into(),
            length: u64::try_from(bytes.len()).expect("a length fits 64 bits"),
            content: Bytes::Here(bytes),
        });
        let pieces = self.pieces.iter().map(|(piece, stretch)| ActionFile {
            path: format!("{CONTENT}/{}", path_of(&piece.digest)),
            digest: piece.digest,
            length: piece.length.into(),
            content: Bytes::There(*stretch),
        });
        documents.chain(pieces)
    }

    /// Who reads its files.
    pub(crate) fn reader(&self) -> FileReader<'_> {
        FileReader(self.tree.reader())
    }
}

/// Reads files of an action.
pub(crate) struct FileReader<'t>(Reader<'t>);

impl FileReader<'_> {
    /// The bytes of a file, which has at most a piece's bytes unless it is a document.
    pub(crate) fn read(&mut self, file: &ActionFile<'_>) -> Result<Vec<u8>, SourceError> {
        match file.content {
            Bytes::Here(bytes) => Ok(bytes.to_vec()),
            Bytes::There(stretch) => {
                let mut bytes = vec![0; stretch.length as usize];
                self.0.read(stretch.file, stretch.offset, &mut bytes)?;
                Ok(bytes)
            }
        }
    }
}

/// The pieces of a tree, each with one place where it is, and the ranges of data of its files.
#[expect(
    clippy::type_complexity,
    reason = "they are made together, and used apart"
)]
fn pieces_of(
    tree: &Tree,
    jobs: usize,
) -> Result<(BTreeMap<Piece, Stretch>, BTreeMap<NodeId, Vec<DataRange>>), SourceError> {
    let mut reader = tree.reader();
    let mut stretches = Vec::new();
    let mut files = Vec::new();
    for node in tree.nodes() {
        if !matches!(node.kind, Kind::File { .. }) {
            continue;
        }
        for range in reader.ranges(node.id)? {
            files.push((node.id, range));
            let mut offset = range.offset;
            let end = range.offset + range.length;
            while offset < end {
                let length = u32::try_from(end - offset).map_or(PIECE, |left| left.min(PIECE));
                stretches.push(Stretch {
                    file: node.id,
                    offset,
                    length,
                });
                offset += u64::from(length);
            }
        }
    }
    let batches: Vec<&[Stretch]> = stretches.chunks(PIECES_AT_A_TIME).collect();
    let hashed = parallel::map(jobs, &batches, |batch| hashed(tree, batch))?;
    let hashed: Vec<Piece> = hashed.into_iter().flatten().collect();
    let mut pieces = BTreeMap::new();
    for (piece, stretch) in hashed.iter().zip(&stretches) {
        pieces.entry(*piece).or_insert(*stretch);
    }
    let numbers: BTreeMap<&Piece, u32> = pieces.keys().zip(0..).collect();
    let mut used = hashed.iter();
    let mut ranges: BTreeMap<NodeId, Vec<DataRange>> = BTreeMap::new();
    for (file, range) in files {
        let count = range.length.div_ceil(PIECE.into());
        let count = usize::try_from(count).expect("pieces are in memory");
        let pieces = used.by_ref().take(count).map(|piece| numbers[piece]);
        ranges.entry(file).or_default().push(DataRange {
            offset: range.offset,
            length: range.length,
            pieces: pieces.collect(),
        });
    }
    Ok((pieces, ranges))
}

fn hashed(tree: &Tree, stretches: &[Stretch]) -> Result<Vec<Piece>, SourceError> {
    let mut reader = tree.reader();
    let mut buffer = Vec::new();
    let pieces = stretches.iter().map(|stretch| {
        buffer.resize(stretch.length as usize, 0);
        reader.read(stretch.file, stretch.offset, &mut buffer)?;
        Ok(Piece {
            digest: Sha256::digest(&buffer).into(),
            length: stretch.length,
        })
    });
    pieces.collect()
}
