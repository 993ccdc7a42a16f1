//! Where the bytes of a file system go: into a partition, or, while it is measured, nowhere.

use cellblock_guest::{
    Buffered, Encoder, FormatError, Output, PieceId, PiecePlacement, Placement, Span,
};

/// The most pieces that are placed at once.
const PIECES: usize = 4096;

/// What is given the bytes of a file system. What does not fit is left out: how much is needed is told in the end.
pub(crate) struct Image<'a> {
    partition: Option<Partition<'a>>,
}

struct Partition<'a> {
    output: Buffered<'a>,
    pieces: Vec<PiecePlacement>,
    size: u64,
}

impl<'a> Image<'a> {
    /// One that nothing is written to.
    pub(crate) fn nowhere() -> Self {
        Self { partition: None }
    }

    /// A partition of `size` bytes.
    pub(crate) fn new(output: &'a mut dyn Output, size: u64) -> Self {
        Self {
            partition: Some(Partition {
                output: Buffered::new(output),
                pieces: Vec::new(),
                size,
            }),
        }
    }

    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    /// [`FormatError`] if the host fails.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FormatError> {
        match self.room(offset, bytes.len() as u64) {
            Some(partition) => partition.output.write(offset, bytes),
            None => Ok(()),
        }
    }

    /// Has the bytes of `spans` stand at `offset`, one behind the other.
    ///
    /// # Errors
    /// [`FormatError`] if the host fails.
    pub(crate) fn place(&mut self, mut offset: u64, spans: &[Span]) -> Result<(), FormatError> {
        for span in spans {
            if let Some(partition) = self.room(offset, span.length) {
                partition.output.place(Placement {
                    file: span.file,
                    file_offset: span.offset,
                    partition_offset: offset,
                    length: span.length,
                    padding: 0,
                })?;
            }
            offset += span.length;
        }
        Ok(())
    }

    /// Has a piece of `length` bytes stand at `offset`.
    ///
    /// # Errors
    /// [`FormatError`] if the host fails.
    pub(crate) fn place_piece(
        &mut self,
        encoder: &mut dyn Encoder,
        offset: u64,
        piece: PieceId,
        length: u32,
    ) -> Result<(), FormatError> {
        let Some(partition) = self.room(offset, length.into()) else {
            return Ok(());
        };
        partition.pieces.push(PiecePlacement {
            piece,
            partition_offset: offset,
            leading: 0,
            padding: 0,
        });
        if partition.pieces.len() == PIECES {
            encoder.place(&partition.pieces)?;
            partition.pieces.clear();
        }
        Ok(())
    }

    /// Hands over what was placed so far, so that the host can begin with it.
    ///
    /// # Errors
    /// [`FormatError`] if the host fails.
    pub(crate) fn flush(&mut self, encoder: &mut dyn Encoder) -> Result<(), FormatError> {
        let Some(partition) = &mut self.partition else {
            return Ok(());
        };
        if !partition.pieces.is_empty() {
            encoder.place(&partition.pieces)?;
            partition.pieces.clear();
        }
        partition.output.flush()
    }

    /// The partition, if it has `length` bytes at `offset`.
    fn room(&mut self, offset: u64, length: u64) -> Option<&mut Partition<'a>> {
        self.partition
            .as_mut()
            .filter(|partition| offset + length <= partition.size)
    }
}
