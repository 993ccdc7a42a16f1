//! A tree as bytes, and back: nodes in order, and the pieces that the content of files is of.
//!
//! ```text
//!     cellblock tree 1\n  pieces: count, digest and length each  nodes: count, each with its ranges of data
//! ```
//!
//! A piece is at most [`PIECE`] bytes of a range of data of a file, from the range's start on; holes have no pieces, and equal
//! pieces are one.

use cellblock_tree::volume::{ToldNode, ToldPlace, VolumeBuilder};
use cellblock_tree::{Attribute, Kind, Node, NodeId, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::ActionFault;

/// What the file begins with: another number where it changes its form.
const FORM: &[u8] = b"cellblock tree 1\n";
/// The most bytes of the file: several million nodes.
pub(super) const MOST_TREE: u64 = 256 << 20;
/// The most bytes of a piece.
pub(super) const PIECE: u32 = 1 << 20;
/// The most pieces that files are of, each counted as often as it is used: 16 TiB of content.
const MOST_USES: usize = 16 << 20;

/// Bytes of content, by their digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Piece {
    /// SHA-256.
    pub(super) digest: [u8; 32],
    /// The number of its bytes.
    pub(super) length: u32,
}

/// A range of a file's data, and the pieces that it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataRange {
    pub(super) offset: u64,
    pub(super) length: u64,
    /// By their numbers.
    pub(super) pieces: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct NodeDocument<'a> {
    parent: u32,
    #[serde(borrow)]
    name: &'a [u8],
    mode: u16,
    uid: u32,
    gid: u32,
    modified: Timestamp,
    #[serde(borrow)]
    kind: KindDocument<'a>,
    #[serde(borrow)]
    attributes: Vec<(&'a [u8], &'a [u8])>,
}

#[derive(Serialize, Deserialize)]
enum KindDocument<'a> {
    Directory,
    File { size: u64, ranges: Vec<DataRange> },
    Symlink(#[serde(borrow)] &'a [u8]),
    HardLink(u32),
    CharacterDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
    Socket,
}

/// The bytes of a tree with these pieces; `ranges` tells those of a file.
pub(super) fn encode<'t>(
    pieces: &[Piece],
    nodes: impl ExactSizeIterator<Item = Node<'t>>,
    mut ranges: impl FnMut(NodeId) -> Vec<DataRange>,
) -> Vec<u8> {
    let mut bytes = FORM.to_vec();
    push(&mut bytes, &pieces.len());
    for piece in pieces {
        push(&mut bytes, piece);
    }
    push(&mut bytes, &nodes.len());
    for node in nodes {
        let kind = match node.kind {
            Kind::Directory => KindDocument::Directory,
            Kind::File { size, .. } => KindDocument::File {
                size: *size,
                ranges: ranges(node.id),
            },
            Kind::Symlink(target) => KindDocument::Symlink(target),
            Kind::HardLink(first) => KindDocument::HardLink(first.0),
            Kind::CharacterDevice { major, minor } => KindDocument::CharacterDevice(*major, *minor),
            Kind::BlockDevice { major, minor } => KindDocument::BlockDevice(*major, *minor),
            Kind::Fifo => KindDocument::Fifo,
            Kind::Socket => KindDocument::Socket,
        };
        let attributes = node.attributes.iter();
        let document = NodeDocument {
            parent: node.parent.0,
            name: node.name,
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            modified: node.modified,
            kind,
            attributes: attributes.map(|it| (&it.name[..], &it.value[..])).collect(),
        };
        push(&mut bytes, &document);
    }
    bytes
}

fn push(bytes: &mut Vec<u8>, document: &impl Serialize) {
    let longer = postcard::to_extend(document, std::mem::take(bytes));
    *bytes = longer.expect("there is no bound to a vector");
}

/// What a file with a tree says.
pub(super) struct Decoded {
    /// The nodes; the content of files begins at addresses in a row of all uses of pieces.
    pub(super) builder: VolumeBuilder,
    pub(super) pieces: Vec<Piece>,
    /// Where each use of a piece begins in that row, and the piece's number; ascending.
    pub(super) uses: Vec<(u64, u32)>,
    /// Where the row ends.
    pub(super) end: u64,
}

/// Reads a file with a tree, which nobody has checked.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, ActionFault> {
    let rest = bytes.strip_prefix(FORM).ok_or(ActionFault::Form)?;
    let mut reading = Reading {
        whole: bytes.len(),
        rest,
    };
    let count: usize = reading.next("the number of pieces")?;
    let mut decoded = Decoded {
        // Their addresses are given here, and lie in the row.
        builder: VolumeBuilder::new(u64::MAX),
        pieces: Vec::new(),
        uses: Vec::new(),
        end: 0,
    };
    for number in 0..count {
        let piece: Piece = reading.next("a piece")?;
        if !(1..=PIECE).contains(&piece.length) {
            return Err(ActionFault::PieceLength {
                piece: number,
                length: piece.length,
                limit: PIECE,
            });
        }
        decoded.pieces.push(piece);
    }
    let nodes: usize = reading.next("the number of nodes")?;
    for number in 0..nodes {
        let node: NodeDocument<'_> = reading.next("a node")?;
        decoded.node(number, node)?;
    }
    match reading.rest.len() {
        0 => Ok(decoded),
        bytes => Err(ActionFault::Longer { bytes }),
    }
}

struct Reading<'a> {
    whole: usize,
    rest: &'a [u8],
}

impl<'a> Reading<'a> {
    fn next<D: Deserialize<'a>>(&mut self, what: &'static str) -> Result<D, ActionFault> {
        let damaged = |_| ActionFault::Damaged {
            at: self.whole - self.rest.len(),
            what,
        };
        let (document, rest) = postcard::take_from_bytes(self.rest).map_err(damaged)?;
        self.rest = rest;
        Ok(document)
    }
}

impl Decoded {
    fn node(&mut self, number: usize, node: NodeDocument<'_>) -> Result<(), ActionFault> {
        let mut data = Vec::new();
        let kind = match node.kind {
            KindDocument::Directory => Kind::Directory,
            KindDocument::File { size, ranges } => {
                data = ranges;
                Kind::File {
                    size,
                    sparse: false,
                }
            }
            KindDocument::Symlink(target) => Kind::Symlink(target.into()),
            KindDocument::HardLink(first) => Kind::HardLink(NodeId(first)),
            KindDocument::CharacterDevice(major, minor) => Kind::CharacterDevice { major, minor },
            KindDocument::BlockDevice(major, minor) => Kind::BlockDevice { major, minor },
            KindDocument::Fifo => Kind::Fifo,
            KindDocument::Socket => Kind::Socket,
        };
        let attributes = node.attributes.iter();
        let attributes = attributes.map(|(name, value)| Attribute {
            name: name.to_vec(),
            value: value.to_vec(),
        });
        self.builder.node(ToldNode {
            parent: node.parent,
            name: node.name,
            kind,
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            modified: node.modified,
            attributes: attributes.collect(),
        })?;
        data.iter().try_for_each(|range| self.range(number, range))
    }

    fn range(&mut self, node: usize, range: &DataRange) -> Result<(), ActionFault> {
        let start = self.end;
        for number in &range.pieces {
            let piece = self.pieces.get(*number as usize);
            let piece =
                piece
                    .filter(|_| self.uses.len() < MOST_USES)
                    .ok_or(ActionFault::NoPiece {
                        node,
                        piece: *number,
                        pieces: self.pieces.len(),
                    })?;
            self.uses.push((self.end, *number));
            self.end += u64::from(piece.length);
        }
        if self.end - start != range.length {
            return Err(ActionFault::Pieces {
                node,
                length: range.length,
                pieces: self.end - start,
            });
        }
        let node = u32::try_from(node).map_err(|_| cellblock_tree::volume::VolumeFault::Memory)?;
        let place = ToldPlace::Plain(start);
        Ok(self
            .builder
            .extent(node, range.offset, range.length, place)?)
    }
}
