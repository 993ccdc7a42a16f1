//! Blocks and fragment blocks: asked for, and put one behind the other as the answers come.

use std::collections::VecDeque;

use cellblock_guest::{Blocks, Encoder, FormatError, Piece, PieceId, Settings, Span};

use crate::contents::{ContentId, Contents, FragmentId, Step};
use crate::format::STORED_BLOCK;
use crate::image::Image;
use crate::options::{Options, Plain};

/// How many blocks are asked for at once. With several settings each batch is compressed with one after the other.
const BATCH: usize = 256;

/// How many answers are taken at once.
const ANSWERS: u32 = 4096;

/// Puts all content into `image` from `start` on, and tells where it ends.
///
/// # Errors
/// [`FormatError`] if the host fails.
pub(crate) fn store(
    options: &Options,
    contents: &mut Contents,
    encoder: &mut dyn Encoder,
    image: &mut Image<'_>,
    start: u64,
) -> Result<u64, FormatError> {
    let settings = options.codec.content();
    let asked = ask(options, contents, &settings, encoder)?;
    let mut store = Store {
        answers: Answers::new(settings.len(), asked),
        encoder,
        image,
        end: start,
    };
    for step in std::mem::take(&mut contents.steps) {
        match step {
            Step::Content(id) => store.content(options, contents, id)?,
            Step::Fragment(id) => store.fragment(options, contents, id)?,
        }
    }
    let end = store.end;
    image.flush(encoder)?;
    Ok(end)
}

/// Asks for all blocks that are to be compressed, in the order of the steps, and tells how many they are.
fn ask(
    options: &Options,
    contents: &Contents,
    settings: &[Settings],
    encoder: &mut dyn Encoder,
) -> Result<u64, FormatError> {
    let mut asker = Asker {
        settings,
        encoder,
        batch: Blocks::default(),
        asked: 0,
    };
    for step in &contents.steps {
        match *step {
            Step::Content(_) if options.plain.contains(Plain::DATA) => {}
            Step::Content(id) => {
                let content = contents.content(id);
                for block in contents.runs(content).iter().flat_map(|run| run.blocks()) {
                    asker.push(&[Contents::block(options, content, block)])?;
                }
            }
            Step::Fragment(_) if options.plain.contains(Plain::FRAGMENTS) => {}
            Step::Fragment(id) => asker.push(contents.spans(contents.fragment(id)))?,
        }
    }
    asker.flush()?;
    Ok(asker.asked)
}

struct Asker<'a> {
    settings: &'a [Settings],
    encoder: &'a mut dyn Encoder,
    batch: Blocks,
    asked: u64,
}

impl Asker<'_> {
    fn push(&mut self, spans: &[Span]) -> Result<(), FormatError> {
        self.batch.push(spans);
        if self.batch.len() == BATCH {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), FormatError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        for settings in self.settings {
            self.encoder.encode(settings, &self.batch)?;
        }
        self.asked += self.batch.len() as u64;
        self.batch = Blocks::default();
        Ok(())
    }
}

/// What came of the blocks, in their order.
struct Answers {
    settings: usize,
    /// Blocks that were asked for and are in no batch that was taken.
    left: u64,
    /// What the host told and nobody has looked at.
    told: VecDeque<Piece>,
    next: PieceId,
    /// The shortest piece of each block of a batch, if one was kept.
    best: VecDeque<Option<(PieceId, u32)>>,
}

impl Answers {
    fn new(settings: usize, asked: u64) -> Self {
        Self {
            settings,
            left: asked,
            told: VecDeque::new(),
            next: PieceId(0),
            best: VecDeque::new(),
        }
    }

    /// The shortest piece of the next block and its length; none if the block does not compress.
    fn next(&mut self, encoder: &mut dyn Encoder) -> Result<Option<(PieceId, u32)>, FormatError> {
        if self.best.is_empty() {
            self.take_batch(encoder)?;
        }
        Ok(self.best.pop_front().expect("a batch has blocks"))
    }

    fn take_batch(&mut self, encoder: &mut dyn Encoder) -> Result<(), FormatError> {
        // With one setting, the order of answers is that of blocks.
        let most = if self.settings == 1 { 1 } else { BATCH };
        let blocks = usize::try_from(self.left).map_or(most, |left| left.min(most));
        self.left -= blocks as u64;
        self.best = VecDeque::from(vec![None; blocks]);
        for _ in 0..self.settings {
            for block in 0..blocks {
                let (piece, length) = self.take(encoder)?;
                let best = &mut self.best[block];
                if length > 0 && best.is_none_or(|(_, shortest)| length < shortest) {
                    *best = Some((piece, length));
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, encoder: &mut dyn Encoder) -> Result<(PieceId, u32), FormatError> {
        if self.told.is_empty() {
            self.told = encoder.pieces(ANSWERS)?.into();
        }
        let piece = self.told.pop_front().expect("each block has a piece");
        let id = self.next;
        self.next = PieceId(id.0 + 1);
        Ok((id, piece.produced))
    }
}

struct Store<'a, 'b> {
    answers: Answers,
    encoder: &'a mut dyn Encoder,
    image: &'a mut Image<'b>,
    end: u64,
}

impl Store<'_, '_> {
    fn content(
        &mut self,
        options: &Options,
        contents: &mut Contents,
        id: ContentId,
    ) -> Result<(), FormatError> {
        contents.begin(id, self.end);
        let is_plain = options.plain.contains(Plain::DATA);
        let runs = contents.runs(contents.content(id)).to_vec();
        for block in runs.into_iter().flat_map(|run| run.blocks()) {
            let span = Contents::block(options, contents.content(id), block);
            let size = u32::try_from(span.length).expect("a block has at most 1 MiB");
            let length = self.put(is_plain, &[span], size)?;
            contents.push_length(length);
        }
        Ok(())
    }

    fn fragment(
        &mut self,
        options: &Options,
        contents: &mut Contents,
        id: FragmentId,
    ) -> Result<(), FormatError> {
        let is_plain = options.plain.contains(Plain::FRAGMENTS);
        let fragment = contents.fragment(id);
        let start = self.end;
        let length = self.put(is_plain, contents.spans(fragment), fragment.size)?;
        contents.settle_fragment(id, start, length);
        Ok(())
    }

    /// Puts a block of `size` bytes at the end, and tells its length as inodes and fragment entries have it.
    fn put(&mut self, is_plain: bool, spans: &[Span], size: u32) -> Result<u32, FormatError> {
        let shorter = if is_plain {
            None
        } else {
            self.answers.next(self.encoder)?
        };
        match shorter {
            Some((piece, length)) => {
                self.image
                    .place_piece(self.encoder, self.end, piece, length)?;
                self.end += u64::from(length);
                Ok(length)
            }
            None => {
                self.image.place(self.end, spans)?;
                self.end += u64::from(size);
                Ok(size | STORED_BLOCK)
            }
        }
    }
}
