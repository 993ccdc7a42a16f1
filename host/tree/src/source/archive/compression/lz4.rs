//! LZ4: frames one behind the other, some of which may be for others and are skipped.

use std::io::{self, BufRead as _, Read};

use lz4_flex::frame::FrameDecoder;

use super::ended_early;
use super::input::Input;

pub(super) struct Lz4<R: Read> {
    decoder: FrameDecoder<Starving<R>>,
    within_frame: bool,
    /// A frame has ended.
    has_ended: bool,
}

/// An input that remembers that more was wanted than there was: the decoder takes an end between blocks for one of the frame.
struct Starving<R> {
    input: Input<R>,
    starved: bool,
}

impl<R: Read> Read for Starving<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.starved |= count == 0 && !buffer.is_empty();
        Ok(count)
    }
}

impl<R: Read> Lz4<R> {
    pub(super) fn new(input: Input<R>) -> Self {
        let input = Starving {
            input,
            starved: false,
        };
        Self {
            decoder: FrameDecoder::new(input),
            within_frame: false,
            has_ended: false,
        }
    }
}

impl<R: Read> Read for Lz4<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.within_frame {
                let input = &mut self.decoder.get_mut().input;
                if self.has_ended && !input.continues(begins)? {
                    return Ok(0);
                }
                skip_frames(input)?;
                if input.peek(1)?.is_empty() {
                    return Ok(0);
                }
                self.within_frame = true;
            }
            let count = self.decoder.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            if self.decoder.get_ref().starved {
                return Err(ended_early());
            }
            self.within_frame = false;
            self.has_ended = true;
        }
    }
}

/// Whether a frame begins so: of data, of the first version, or one that is skipped ("LZ4 Frame Format Description").
fn begins(next: &[u8]) -> bool {
    matches!(
        next,
        [0x04, 0x22, 0x4d, 0x18, ..]
            | [0x02, 0x21, 0x4c, 0x18, ..]
            | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]
    )
}

/// Takes the frames that hold no data ("LZ4 Frame Format Description", "Skippable Frames").
fn skip_frames(input: &mut Input<impl Read>) -> io::Result<()> {
    while let [0x50..=0x5f, 0x2a, 0x4d, 0x18, a, b, c, d, ..] = *input.peek(8)? {
        input.consume(8);
        let mut left = u64::from(u32::from_le_bytes([a, b, c, d]));
        while left > 0 {
            let there = input.peek(1)?.len();
            if there == 0 {
                return Err(ended_early());
            }
            let count = usize::try_from(left).map_or(there, |left| left.min(there));
            input.consume(count);
            left -= u64::try_from(count).expect("a length fits 64 bits");
        }
    }
    Ok(())
}
