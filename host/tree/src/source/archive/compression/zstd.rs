//! zstd: frame by frame, so that how far one looks back is known before memory is taken for it.

use std::io::{self, BufRead as _, Read};

use zstd::zstd_safe::{DCtx, InBuffer, OutBuffer, get_error_name};

use super::input::Input;
use super::{BeyondWindow, WINDOW, ended_early};

/// The longest header of a frame: mark, descriptor, window, dictionary, size (RFC 8878, section 3.1.1.1).
const HEADER: usize = 18;
const MARK: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

pub(super) struct Zstd<R> {
    input: Input<R>,
    context: DCtx<'static>,
    within_frame: bool,
    /// A frame has ended.
    has_ended: bool,
}

impl<R: Read> Zstd<R> {
    pub(super) fn new(input: Input<R>) -> io::Result<Self> {
        let context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            input,
            context,
            within_frame: false,
            has_ended: false,
        })
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let is_between = self.has_ended && !self.within_frame;
            if is_between && !self.input.continues(begins)? {
                return Ok(0);
            }
            let next = self
                .input
                .peek(if self.within_frame { 1 } else { HEADER })?;
            if !self.within_frame {
                if next.is_empty() {
                    return Ok(0);
                }
                if let Some(wanted) = window(next).filter(|wanted| *wanted > WINDOW) {
                    return Err(BeyondWindow::error(Some(wanted)));
                }
                self.within_frame = true;
            }
            let is_end = next.is_empty();
            let mut given = InBuffer::around(next);
            let mut output = OutBuffer::around(buffer);
            let left = self
                .context
                .decompress_stream(&mut output, &mut given)
                .map_err(|code| io::Error::other(get_error_name(code)))?;
            let (taken, produced) = (given.pos(), output.pos());
            self.input.consume(taken);
            self.within_frame = left > 0;
            self.has_ended |= !self.within_frame;
            if produced > 0 {
                return Ok(produced);
            }
            if is_end && self.within_frame {
                return Err(ended_early());
            }
        }
    }
}

/// Whether a frame begins so: of data, of an early version, or one that is skipped (RFC 8878, sections 3.1.1 and 3.1.2).
fn begins(next: &[u8]) -> bool {
    matches!(
        next,
        [0x1e..=0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]
    )
}

/// How far a frame that begins so looks back, in bytes; `None` where that cannot be told, or nothing is decompressed.
fn window(frame: &[u8]) -> Option<u64> {
    let frame = frame.strip_prefix(&MARK)?;
    let (descriptor, rest) = frame.split_first()?;
    let is_single_segment = descriptor & 0x20 != 0;
    if !is_single_segment {
        let (exponent, mantissa) = (rest.first()? >> 3, rest.first()? & 7);
        let base = 1_u64 << (10 + u32::from(exponent));
        return Some(base + base / 8 * u64::from(mantissa));
    }
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let length = 1 << (descriptor >> 6);
    let mut bytes = [0; 8];
    bytes[..length].copy_from_slice(rest.get(dictionary..dictionary + length)?);
    let size = u64::from_le_bytes(bytes);
    Some(if length == 2 { size + 256 } else { size })
}
