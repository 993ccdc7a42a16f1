//! What one call of a guest had encoded.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use cellblock_codec::{BLOCK_LIMIT, Settings};
use cellblock_contract::PiecePlacement;
use cellblock_text::{PathBytes, exact, grouped};
use cellblock_tree::NodeId;

use super::Failure;
use super::hashing::{Hash, Hashing, Run};
use super::pool::{BlockId, Pool};
use super::task::{Input, Span, Task};
use crate::denied;

/// What may be asked for beside the content of the tree, in bytes.
const BUDGET: u64 = 64 << 20;
/// The same for each of its nodes, whose inodes and names are encoded too.
const BUDGET_A_NODE: u64 = 1 << 10;
/// How many times its content may be asked for.
const BUDGET_FACTOR: u64 = 4;
/// How many spans, and how many pieces, a call may have beside those that the tree's nodes and content come to.
const ITEMS: u64 = 1 << 20;
/// Spans, and pieces, for each node of the tree.
const ITEMS_A_NODE: u64 = 4;
/// Content that is cut into small blocks has a span for so many bytes,
const SMALL_BLOCK: u64 = 4096;
/// but no more than this many of them,
const MOST_SMALL: u64 = 2 << 20;
/// and beyond that, one for so many bytes,
const LARGE_BLOCK: u64 = 64 << 10;
/// and no more than this many: files of holes alone have any size.
const MOST_LARGE: u64 = 2 << 20;
/// Content has a piece for so many bytes,
const BYTES_A_PIECE: u64 = 2048;
/// but no more than this many.
const MOST_PIECES: u64 = 64 << 20;
/// So many blocks may wait before the guest does.
const WAITING: usize = 64 << 10;
/// So many are handed on at once.
const HANDED_ON: usize = 4096;
/// The most bytes of one input of the guest's own.
const LARGEST_OWN: usize = 1 << 20;
/// The most bytes of a piece that the guest gets.
const LARGEST_BYTES: u32 = 64 << 10;
/// The most digests in one answer.
const MOST_DIGESTS: u64 = 1 << 20;

/// The blocks and pieces of one call, in its order.
pub(crate) struct Session {
    pool: Arc<Pool>,
    /// The blocks that were asked for and whose pieces are not told.
    blocks: VecDeque<BlockId>,
    /// How many pieces of the first of them are told.
    told: usize,
    /// Where the next piece of that block begins in its bytes.
    told_bytes: u64,
    pieces: Vec<Told>,
    /// The bytes that may still be asked for.
    bytes_left: u64,
    /// The spans that may still be asked for, and the pieces that may still be told.
    spans_left: u64,
    pieces_left: u64,
    /// What was wrong with what it last asked for and did not get.
    pub(crate) denied: Option<String>,
    /// Why it failed, which the guest does not know.
    pub(crate) failure: Option<Failure>,
}

/// A piece that the guest knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Where its bytes are in the spool.
    pub(super) at: u64,
    pub(super) length: u32,
    /// The bytes of content that it holds.
    pub(super) content: u32,
    /// Whether it can be placed: it was kept, and not placed before.
    can_be_placed: bool,
}

/// Why a guest does not get what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Settings,
    Block(u32),
    Exhausted,
    Piece(u32),
    /// The session keeps why.
    Failed,
    /// The time of the call is over.
    Late,
}

/// Consumed and produced bytes.
pub(super) type Lengths = (u32, u32);

impl Session {
    pub(crate) fn new(pool: &Arc<Pool>) -> Self {
        pool.begin();
        let tree = pool.tree();
        let content = tree.totals(1).content;
        let items = ITEMS + ITEMS_A_NODE * u64::from(tree.len());
        Self {
            pool: Arc::clone(pool),
            blocks: VecDeque::new(),
            told: 0,
            told_bytes: 0,
            pieces: Vec::new(),
            bytes_left: content
                .saturating_mul(BUDGET_FACTOR)
                .saturating_add(BUDGET + BUDGET_A_NODE * u64::from(tree.len())),
            spans_left: items
                + (content / SMALL_BLOCK).min(MOST_SMALL)
                + (content / LARGE_BLOCK).min(MOST_LARGE),
            pieces_left: items + (content / BYTES_A_PIECE).min(MOST_PIECES),
            denied: None,
            failure: None,
        }
    }

    fn keep<T>(&mut self, result: Result<T, Failure>) -> Result<T, Refused> {
        result.map_err(|failure| {
            self.failure.get_or_insert(failure);
            Refused::Failed
        })
    }

    /// Refuses, and keeps why.
    fn deny(&mut self, refused: Refused, why: impl Into<String>) -> Refused {
        self.denied = Some(why.into());
        refused
    }

    fn spend(&mut self, bytes: u64, spans: usize) -> Result<(), Refused> {
        let spans = spans as u64;
        let left = self.bytes_left.checked_sub(bytes);
        let Some(left) = left.zip(self.spans_left.checked_sub(spans)) else {
            let why = format!(
                "{} in {} spans, and of what this content may be asked for, {} in {} spans are left",
                exact(bytes),
                grouped(spans),
                exact(self.bytes_left),
                grouped(self.spans_left)
            );
            return Err(self.deny(Refused::Exhausted, why));
        };
        (self.bytes_left, self.spans_left) = left;
        Ok(())
    }

    fn check_settings(&mut self, settings: Settings) -> Result<(), Refused> {
        let checked = settings.check();
        checked.map_err(|error| self.deny(Refused::Settings, error.to_string()))
    }

    /// Has tasks encoded. Where very many wait already, it waits with them.
    fn ask(
        &mut self,
        tasks: impl IntoIterator<Item = Task>,
        deadline: Option<Instant>,
    ) -> Result<Vec<BlockId>, Refused> {
        let mut ids = Vec::new();
        let mut tasks = tasks.into_iter();
        loop {
            let part: Vec<Task> = tasks.by_ref().take(HANDED_ON).collect();
            if part.is_empty() {
                return Ok(ids);
            }
            let room = self.pool.wait(deadline, |state| {
                (state.waiting() < WAITING).then_some(Ok(()))
            });
            self.keep(room.ok_or(Refused::Late)?)?;
            let asked = self.pool.encode(part);
            ids.extend(self.keep(asked)?);
        }
    }

    /// The bytes of a block.
    ///
    /// # Errors
    /// Why it cannot be.
    fn check(&self, spans: &[Span]) -> Result<u64, String> {
        let tree = self.pool.tree();
        let mut bytes: u64 = 0;
        for span in spans {
            let Some(size) = tree.file_size(span.file) else {
                let node = denied::node(tree, span.file.0);
                return Err(format!("is of no file: {node}"));
            };
            let path = || PathBytes(tree.path(span.file));
            if span.length == 0 {
                return Err(format!("has an empty span of {}", path()));
            }
            let end = span.offset.checked_add(span.length);
            if end.is_none_or(|end| end > size) {
                return Err(format!(
                    "reaches past the end of its file: {} of {} from byte {} on; the file has {}",
                    exact(span.length),
                    path(),
                    grouped(span.offset),
                    exact(size)
                ));
            }
            bytes = bytes.saturating_add(span.length);
            if bytes > BLOCK_LIMIT as u64 {
                return Err(format!(
                    "has at least {}, and may have {}",
                    exact(bytes),
                    grouped(BLOCK_LIMIT as u64)
                ));
            }
        }
        match bytes {
            0 => Err("is empty".to_owned()),
            bytes => Ok(bytes),
        }
    }

    /// Has blocks encoded: as many as there are `counts`, each of so many of the `spans`.
    pub(super) fn encode(
        &mut self,
        settings: Settings,
        counts: &[u32],
        spans: &[Span],
        deadline: Option<Instant>,
    ) -> Result<(), Refused> {
        self.check_settings(settings)?;
        let mut rest = spans;
        let mut bytes = 0;
        for (index, count) in (0..).zip(counts) {
            let split = usize::try_from(*count)
                .ok()
                .and_then(|count| rest.split_at_checked(count));
            let checked = split.map(|(block, behind)| (self.check(block), behind));
            let (block, behind) = checked.unwrap_or_else(|| {
                let left = grouped(rest.len() as u64);
                (
                    Err(format!("is of {count} spans, where {left} are left")),
                    rest,
                )
            });
            bytes += block.map_err(|why| {
                self.deny(
                    Refused::Block(index),
                    format!("block {index} of its batch {why}"),
                )
            })?;
            rest = behind;
        }
        if !rest.is_empty() {
            // The number is for the message alone.
            let index = u32::try_from(counts.len()).unwrap_or(u32::MAX);
            let why = format!(
                "its blocks are of {} spans, and it gave {}",
                grouped((spans.len() - rest.len()) as u64),
                grouped(spans.len() as u64)
            );
            return Err(self.deny(Refused::Block(index), why));
        }
        self.spend(bytes, spans.len())?;
        let mut rest = spans;
        let tasks = counts.iter().map(|count| {
            let (block, behind) = rest.split_at(*count as usize);
            rest = behind;
            Task {
                settings,
                content: Input::Spans(block.to_vec()),
            }
        });
        let ids = self.ask(tasks, deadline)?;
        self.blocks.extend(ids);
        Ok(())
    }

    /// The next pieces, at most `limit`.
    pub(super) fn pieces(
        &mut self,
        limit: u32,
        deadline: Option<Instant>,
    ) -> Result<Vec<Lengths>, Refused> {
        let limit = limit as usize;
        let mut told = Vec::new();
        while told.len() < limit
            && let Some(block) = self.blocks.front().copied()
        {
            let has_some = !told.is_empty();
            // One look is enough where some are told already.
            let pool = Arc::clone(&self.pool);
            let (skip, room) = (self.told, limit - told.len());
            let seen = pool.wait(deadline, |state| match state.done(block) {
                None if has_some => Some(Ok(None)),
                None => None,
                Some(done) => Some(done.map(|done| {
                    let pieces = state.pieces(done);
                    let next = pieces[skip..].iter().take(room).copied();
                    Some((done.at, next.collect::<Vec<_>>(), pieces.len()))
                })),
            });
            let seen = seen.ok_or(Refused::Late)?;
            let Some((at, pieces, count)) = self.keep(seen)? else {
                break;
            };
            let left = self.pieces_left.checked_sub(pieces.len() as u64);
            self.pieces_left = left.ok_or_else(|| {
                self.deny(
                    Refused::Exhausted,
                    "more pieces than this content may become",
                )
            })?;
            self.told += pieces.len();
            for piece in pieces {
                self.pieces.push(Told {
                    at: at + self.told_bytes,
                    length: piece.produced,
                    content: piece.consumed,
                    can_be_placed: piece.produced > 0,
                });
                self.told_bytes += u64::from(piece.produced);
                told.push((piece.consumed, piece.produced));
            }
            if self.told == count {
                self.blocks.pop_front();
                self.told = 0;
                self.told_bytes = 0;
            }
        }
        Ok(told)
    }

    /// A piece that can be placed.
    ///
    /// # Errors
    /// Why it cannot.
    fn kept(&self, piece: u32) -> Result<Told, String> {
        let told = self.pieces.get(piece as usize).ok_or_else(|| {
            let count = grouped(self.pieces.len() as u64);
            format!("piece {piece}, of the {count} that it was told")
        })?;
        if told.length == 0 {
            return Err(format!(
                "piece {piece}, which was not kept, since it is no shorter than its content"
            ));
        }
        if !told.can_be_placed {
            return Err(format!("piece {piece}, which was placed before"));
        }
        Ok(*told)
    }

    /// The bytes of a piece that was kept and not placed.
    pub(super) fn bytes(&mut self, piece: u32) -> Result<Vec<u8>, Refused> {
        let short = self.kept(piece).and_then(|told| match told.length {
            0..=LARGEST_BYTES => Ok(told),
            length => Err(format!(
                "the bytes of piece {piece}, which has {}, and {} can be given",
                exact(u64::from(length)),
                grouped(u64::from(LARGEST_BYTES))
            )),
        });
        let told = short.map_err(|why| self.deny(Refused::Piece(0), why))?;
        let mut bytes = vec![0; told.length as usize];
        let read = self.pool.read(told.at, &mut bytes);
        self.keep(read)?;
        Ok(bytes)
    }

    /// Takes the piece that the placement at `index` asks for.
    pub(super) fn take(&mut self, index: u32, piece: u32) -> Result<Told, Refused> {
        let told = self.kept(piece);
        let told = told.map_err(|why| self.deny(Refused::Piece(index), why))?;
        self.pieces[piece as usize].can_be_placed = false;
        Ok(told)
    }

    /// Undoes [`Session::take`].
    pub(super) fn give_back(&mut self, piece: u32) {
        self.pieces[piece as usize].can_be_placed = true;
    }

    /// Hands placements on.
    pub(super) fn place(
        &self,
        partition: &dyn cellblock_contract::Partition,
        batch: Vec<PiecePlacement>,
    ) -> std::io::Result<()> {
        partition.place_pieces(self.pool.spool(), batch)
    }

    /// Encodes the guest's own bytes; what was not kept is empty.
    pub(super) fn encode_bytes(
        &mut self,
        settings: Settings,
        inputs: Vec<Vec<u8>>,
        deadline: Option<Instant>,
    ) -> Result<Vec<Vec<u8>>, Refused> {
        self.check_settings(settings)?;
        if settings.limit != 0 {
            let why = format!(
                "its own bytes in pieces of {}, and they become one piece each",
                exact(u64::from(settings.limit))
            );
            return Err(self.deny(Refused::Settings, why));
        }
        let fits = |input: &Vec<u8>| (1..=LARGEST_OWN).contains(&input.len());
        if let Some(index) = inputs.iter().position(|input| !fits(input)) {
            let why = format!(
                "input {index} of its own bytes has {}, of 1 to {}",
                exact(inputs[index].len() as u64),
                grouped(LARGEST_OWN as u64)
            );
            // The number is for the message alone.
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            return Err(self.deny(Refused::Block(index), why));
        }
        let bytes = inputs.iter().map(|input| input.len() as u64).sum();
        self.spend(bytes, inputs.len())?;
        let tasks = inputs.into_iter().map(|input| Task {
            settings,
            content: Input::Own(input),
        });
        let ids = self.ask(tasks, deadline)?;
        let mut outputs = Vec::with_capacity(ids.len());
        for id in ids {
            let seen = self.pool.wait(deadline, |state| {
                let done = state.done(id)?;
                Some(done.map(|done| (done.at, state.pieces(done)[0].produced)))
            });
            let (at, length) = self.keep(seen.ok_or(Refused::Late)?)?;
            let mut output = vec![0; length as usize];
            let read = self.pool.read(at, &mut output);
            self.keep(read)?;
            outputs.push(output);
        }
        Ok(outputs)
    }

    /// The digests of whole files; the error is the id that is no file's.
    pub(super) fn digests(
        &mut self,
        files: &[u32],
        deadline: Option<Instant>,
    ) -> Result<Vec<Hash>, Unhashed> {
        if files.len() as u64 > MOST_DIGESTS {
            return Err(Unhashed::OutOfRange);
        }
        let mut unknown = BTreeMap::new();
        for file in files.iter().copied().map(NodeId) {
            let size = self.pool.tree().file_size(file).ok_or(Unhashed::NotAFile)?;
            if !self.pool.lock().digests.contains_key(&file) {
                unknown.insert(file, Run::whole(file, size));
            }
        }
        let runs: Vec<Run> = unknown.into_values().collect();
        let digests = self.hash(&runs, deadline)?;
        let mut rest = digests.as_slice();
        let mut state = self.pool.lock();
        for run in runs {
            let blocks = usize::try_from(run.blocks()).expect("a file has few blocks");
            let (own, behind) = rest.split_at(blocks);
            rest = behind;
            state.digests.insert(run.file, run.combined(own));
        }
        let known = files.iter().map(|file| state.digests[&NodeId(*file)]);
        Ok(known.collect())
    }

    /// The digests of a file's blocks.
    pub(super) fn block_digests(
        &mut self,
        file: u32,
        block: u32,
        deadline: Option<Instant>,
    ) -> Result<Vec<Hash>, Unhashed> {
        let size = self
            .pool
            .tree()
            .file_size(NodeId(file))
            .ok_or(Unhashed::NotAFile)?;
        let run = Run {
            block: u64::from(block),
            ..Run::whole(NodeId(file), size)
        };
        let is_size = block.is_power_of_two() && (4 << 10..=16 << 20).contains(&block);
        if !is_size || run.blocks() > MOST_DIGESTS {
            return Err(Unhashed::OutOfRange);
        }
        self.hash(&[run], deadline)
    }

    fn hash(&mut self, runs: &[Run], deadline: Option<Instant>) -> Result<Vec<Hash>, Unhashed> {
        let hashing = Arc::new(Hashing::new(runs));
        let begun = self.pool.hash(&hashing);
        self.keep(begun).map_err(|_| Unhashed::Failed)?;
        let seen = self
            .pool
            .wait(deadline, |_| hashing.is_done().then_some(Ok(())));
        if seen.is_none() {
            hashing.stop();
        }
        let seen = seen.ok_or(Unhashed::Late)?;
        self.keep(seen).map_err(|_| Unhashed::Failed)?;
        let digests = hashing.digests().map_err(Failure::Source);
        self.keep(digests).map_err(|_| Unhashed::Failed)
    }
}

/// Why a guest does not get digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unhashed {
    NotAFile,
    OutOfRange,
    /// The session keeps why.
    Failed,
    /// The time of the call is over.
    Late,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.pool.end();
    }
}
