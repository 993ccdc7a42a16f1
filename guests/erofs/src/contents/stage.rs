//! What content is compressed and placed by: in measuring, nothing is placed.

use cellblock_guest::{
    Buffered, Encoder, FormatError, Output, Piece, PieceId, PiecePlacement, Placement,
};

/// The host's side: its codecs, and the partition if there is one.
pub(crate) struct Stage<'a> {
    encoder: &'a mut dyn Encoder,
    output: Option<Buffered<'a>>,
    /// The bytes of the partition: what lies behind is not placed, and the layout tells how many there should be.
    size: u64,
    pieces: Vec<PiecePlacement>,
    /// The first piece that is not told.
    next: PieceId,
}

impl<'a> Stage<'a> {
    /// How many pieces are placed at once.
    const BATCH: usize = 4096;

    /// A stage on which nothing is placed.
    pub(crate) fn measuring(encoder: &'a mut dyn Encoder) -> Self {
        Self {
            encoder,
            output: None,
            size: 0,
            pieces: Vec::new(),
            next: PieceId(0),
        }
    }

    /// A stage with a partition of `size` bytes.
    pub(crate) fn formatting(
        encoder: &'a mut dyn Encoder,
        output: &'a mut dyn Output,
        size: u64,
    ) -> Self {
        Self {
            encoder,
            output: Some(Buffered::new(output)),
            size,
            pieces: Vec::new(),
            next: PieceId(0),
        }
    }

    pub(crate) fn encoder(&mut self) -> &mut dyn Encoder {
        self.encoder
    }

    /// The next pieces, at most `limit`, with their numbers.
    pub(super) fn pieces(
        &mut self,
        limit: u32,
    ) -> Result<impl Iterator<Item = (PieceId, Piece)>, FormatError> {
        let pieces = self.encoder.pieces(limit)?;
        let first = self.next.0;
        let count = u32::try_from(pieces.len()).expect("no more than asked for");
        self.next.0 += count;
        Ok((first..).map(PieceId).zip(pieces))
    }

    /// Places a part of a file.
    pub(super) fn place(&mut self, placement: Placement) -> Result<(), FormatError> {
        let end = placement
            .partition_offset
            .saturating_add(placement.length)
            .saturating_add(placement.padding.into());
        match &mut self.output {
            Some(output) if end <= self.size => output.place(placement),
            _ => Ok(()),
        }
    }

    /// Places a compressed cluster at the end of `blocks` bytes that begin at `offset`.
    pub(super) fn place_piece(
        &mut self,
        id: PieceId,
        piece: Piece,
        offset: u64,
        bytes: u64,
    ) -> Result<(), FormatError> {
        if self.output.is_none() || offset.saturating_add(bytes) > self.size {
            return Ok(());
        }
        let leading = bytes - u64::from(piece.produced);
        self.pieces.push(PiecePlacement {
            piece: id,
            partition_offset: offset,
            leading: u32::try_from(leading).expect("it is less than a block"),
            padding: 0,
        });
        if self.pieces.len() == Self::BATCH {
            self.flush_pieces()?;
        }
        Ok(())
    }

    fn flush_pieces(&mut self) -> Result<(), FormatError> {
        if !self.pieces.is_empty() {
            self.encoder.place(&self.pieces)?;
            self.pieces.clear();
        }
        Ok(())
    }

    /// Hands over what was placed so far.
    pub(super) fn finish(&mut self) -> Result<(), FormatError> {
        self.flush_pieces()?;
        match &mut self.output {
            Some(output) => output.flush(),
            None => Ok(()),
        }
    }

    /// The host's codecs and the partition, once all content is placed.
    pub(crate) fn into_parts(self) -> (&'a mut dyn Encoder, Option<Buffered<'a>>) {
        (self.encoder, self.output)
    }
}
