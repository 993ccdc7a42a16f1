//! Where a formatter's bytes go.

use crate::{FormatError, NodeId};

/// A request that a range of a file stand at an offset of the partition. Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The file.
    pub file: NodeId,
    /// The first byte in the file.
    pub file_offset: u64,
    /// The first byte in the partition.
    pub partition_offset: u64,
    /// The number of bytes.
    pub length: u64,
    /// The zero bytes after the content, usually up to the end of its block: the host writes them with the content, and
    /// joins neighbours into one write.
    pub padding: u32,
}

/// A partition that is being filled. It reads as zeros at first.
pub trait Output {
    /// Writes `bytes` at `offset` of the partition.
    ///
    /// # Errors
    /// [`FormatError::Partition`] if the range is outside the partition, holds placed content, or the host fails.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FormatError>;

    /// Has the host copy file content to the partition.
    ///
    /// # Errors
    /// [`FormatError::Placement`] if a placement is refused.
    fn place(&mut self, batch: &[Placement]) -> Result<(), FormatError>;

    /// Writes a run of bytes with file content in it: `batch`, in the order of the partition, and `own` from `offset` on
    /// wherever the run is not placed. All of it counts as placed.
    ///
    /// # Errors
    /// [`FormatError::Placement`] if it is refused; an index as large as the batch is long means the run.
    fn compose(&mut self, offset: u64, own: &[u8], batch: &[Placement]) -> Result<(), FormatError>;

    /// Logs a warning for the user.
    fn warn(&mut self, message: &str);
}

/// Joins neighbouring writes, and gathers placements, into large calls of an [`Output`]. Call [`Buffered::finish`].
pub struct Buffered<'a> {
    output: &'a mut dyn Output,
    start: u64,
    bytes: Vec<u8>,
    /// Content that stands among `bytes`.
    among: Vec<Placement>,
    /// The bytes that `among` takes.
    among_bytes: u64,
    placements: Vec<Placement>,
}

impl<'a> Buffered<'a> {
    const BYTES: usize = 1 << 20;
    const PLACEMENTS: usize = 4096;

    /// Buffers what goes to `output`.
    pub fn new(output: &'a mut dyn Output) -> Self {
        Self {
            output,
            start: 0,
            bytes: Vec::with_capacity(Self::BYTES),
            among: Vec::new(),
            among_bytes: 0,
            placements: Vec::with_capacity(Self::PLACEMENTS),
        }
    }

    /// Writes `bytes` at `offset`, together with what went right before it.
    ///
    /// # Errors
    /// As [`Output::write`], possibly for an earlier write.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FormatError> {
        self.make_room(offset, bytes.len() as u64)?;
        if bytes.len() >= Self::BYTES {
            self.start = offset + bytes.len() as u64;
            return self.output.write(offset, bytes);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes `length` bytes at `offset`, fewer than a mebibyte, which the caller puts where they go: they are zeros at first.
    ///
    /// # Errors
    /// As [`Output::write`], for an earlier write.
    pub fn space(&mut self, offset: u64, length: usize) -> Result<&mut [u8], FormatError> {
        self.make_room(offset, length as u64)?;
        let begin = self.bytes.len();
        self.bytes.resize(begin + length, 0);
        Ok(&mut self.bytes[begin..])
    }

    /// Places content among what is written, right behind what went before it: the host writes both at once.
    ///
    /// # Errors
    /// As [`Output::write`], for an earlier write.
    pub fn place_among(&mut self, placement: Placement) -> Result<(), FormatError> {
        let length = placement.length + u64::from(placement.padding);
        if length == 0 {
            return Ok(());
        }
        self.make_room(placement.partition_offset, length)?;
        self.among.push(placement);
        self.among_bytes += length;
        Ok(())
    }

    /// Hands over what was written before, unless `length` bytes at `offset` follow it and fit beside it.
    fn make_room(&mut self, offset: u64, length: u64) -> Result<(), FormatError> {
        let before = self.bytes.len() as u64 + self.among_bytes;
        let follows = offset == self.start + before;
        if !follows || before + length > Self::BYTES as u64 {
            self.flush_bytes()?;
            self.start = offset;
        }
        Ok(())
    }

    /// Places content, together with what was placed before it. Neighbouring ranges of one file become one placement.
    ///
    /// # Errors
    /// As [`Output::place`], possibly for an earlier placement.
    pub fn place(&mut self, placement: Placement) -> Result<(), FormatError> {
        if placement.length == 0 {
            return Ok(());
        }
        if let Some(last) = self.placements.last_mut()
            && last.file == placement.file
            && last.padding == 0
            && last.file_offset + last.length == placement.file_offset
            && last.partition_offset + last.length == placement.partition_offset
        {
            last.length += placement.length;
            last.padding = placement.padding;
            return Ok(());
        }
        if self.placements.len() == Self::PLACEMENTS {
            self.flush_placements()?;
        }
        self.placements.push(placement);
        Ok(())
    }

    /// Hands over what was written and placed so far, so that the host can begin with it.
    ///
    /// # Errors
    /// As [`Output::write`] and [`Output::place`].
    pub fn flush(&mut self) -> Result<(), FormatError> {
        self.flush_bytes()?;
        self.flush_placements()
    }

    /// Hands everything over.
    ///
    /// # Errors
    /// As [`Output::write`] and [`Output::place`].
    pub fn finish(mut self) -> Result<(), FormatError> {
        self.flush()
    }

    fn flush_bytes(&mut self) -> Result<(), FormatError> {
        if !self.among.is_empty() {
            self.output.compose(self.start, &self.bytes, &self.among)?;
        } else if !self.bytes.is_empty() {
            self.output.write(self.start, &self.bytes)?;
        }
        self.start += self.bytes.len() as u64 + self.among_bytes;
        self.bytes.clear();
        self.among.clear();
        self.among_bytes = 0;
        Ok(())
    }

    fn flush_placements(&mut self) -> Result<(), FormatError> {
        if !self.placements.is_empty() {
            self.output.place(&self.placements)?;
            self.placements.clear();
        }
        Ok(())
    }
}
