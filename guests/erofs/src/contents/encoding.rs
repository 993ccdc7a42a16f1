//! Requests to compress that run ahead of what is placed, so that the host has something to do on all its threads, and no more
//! than that.

use std::collections::VecDeque;

use cellblock_guest::{Blocks, FormatError, Piece, PieceId, ReadError, Settings, Span};

use super::Stage;

/// The most bytes that are asked for and not told.
const AHEAD: u64 = 64 << 20;
/// The most blocks that are.
const BLOCKS_AHEAD: usize = 8192;
/// How many pieces are told at once.
const PIECES: u32 = 4096;

/// Something to be compressed: parts of files, one behind the other, in segments.
pub(super) struct Work {
    pub(super) settings: Settings,
    /// The most bytes that are compressed in one go: whole blocks.
    pub(super) segment: u64,
    /// Without empty ones.
    pub(super) spans: Vec<Span>,
}

/// The requests of some works, in their order.
pub(super) struct Encoding<W> {
    works: W,
    /// What is left of the work that is asked for.
    current: Option<(Settings, u64, VecDeque<Span>)>,
    /// What is about to be asked for, with these settings.
    batch: Option<(Settings, Blocks)>,
    /// The bytes of each block that is asked for and not told.
    pending: VecDeque<u64>,
    /// The bytes of these.
    ahead: u64,
    told: VecDeque<(PieceId, Piece)>,
}

impl<W: Iterator<Item = Work>> Encoding<W> {
    pub(super) fn new(works: W) -> Self {
        Self {
            works,
            current: None,
            batch: None,
            pending: VecDeque::new(),
            ahead: 0,
            told: VecDeque::new(),
        }
    }

    /// The next piece.
    pub(super) fn next(&mut self, stage: &mut Stage<'_>) -> Result<(PieceId, Piece), FormatError> {
        if self.told.is_empty() {
            self.ask(stage)?;
            self.hear(stage)?;
        }
        let (id, piece) = self.told.pop_front().ok_or(ReadError::Source)?;
        self.ahead = self.ahead.saturating_sub(piece.consumed.into());
        if let Some(block) = self.pending.front_mut() {
            *block = block.saturating_sub(piece.consumed.into());
            if *block == 0 {
                self.pending.pop_front();
            }
        }
        Ok((id, piece))
    }

    fn hear(&mut self, stage: &mut Stage<'_>) -> Result<(), FormatError> {
        for piece in stage.pieces(PIECES)? {
            self.told.push_back(piece);
        }
        Ok(())
    }

    /// Asks for as much as may be asked for.
    fn ask(&mut self, stage: &mut Stage<'_>) -> Result<(), FormatError> {
        while self.ahead < AHEAD && self.pending.len() < BLOCKS_AHEAD {
            let Some(settings) = self.work().map(|(settings, _, _)| *settings) else {
                break;
            };
            if self.batch.as_ref().is_some_and(|(own, _)| *own != settings) {
                self.flush(stage)?;
            }
            let Some(block) = self.next_block() else {
                break;
            };
            let bytes: u64 = block.iter().map(|span| span.length).sum();
            self.pending.push_back(bytes);
            self.ahead += bytes;
            let (_, blocks) = self
                .batch
                .get_or_insert_with(|| (settings, Blocks::default()));
            blocks.push(&block);
        }
        self.flush(stage)
    }

    fn flush(&mut self, stage: &mut Stage<'_>) -> Result<(), FormatError> {
        if let Some((settings, blocks)) = self.batch.take() {
            stage.encoder().encode(&settings, &blocks)?;
        }
        Ok(())
    }

    /// The work of which something is left.
    fn work(&mut self) -> Option<&mut (Settings, u64, VecDeque<Span>)> {
        let is_done = |(_, _, spans): &(_, _, VecDeque<Span>)| spans.is_empty();
        if self.current.as_ref().is_none_or(is_done) {
            let work = self.works.next()?;
            self.current = Some((work.settings, work.segment, work.spans.into()));
        }
        self.current.as_mut()
    }

    /// The next segment of the work.
    fn next_block(&mut self) -> Option<Vec<Span>> {
        let (_, segment, spans) = self.work()?;
        let mut block = Vec::new();
        let mut room = *segment;
        while room > 0
            && let Some(span) = spans.front_mut()
        {
            let length = span.length.min(room);
            block.push(Span { length, ..*span });
            room -= length;
            if length == span.length {
                spans.pop_front();
            } else {
                span.offset += length;
                span.length -= length;
            }
        }
        Some(block)
    }
}
