//! gzip and bzip2: a file may hold several streams, one behind the other, and zeros that fill up a tape's block.

use std::io::{self, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;

use super::Following;
use super::input::Input;

/// Decompresses one stream after the other.
pub(super) struct Repeated<R, D> {
    /// `None` once all is read, or when reading on has failed.
    decoder: Option<D>,
    /// What each stream begins with.
    mark: &'static [u8],
    begin: fn(Input<R>) -> D,
    end: fn(D) -> Input<R>,
}

pub(super) fn gzip<R: Read>(input: Input<R>) -> Repeated<R, GzDecoder<Input<R>>> {
    Repeated {
        decoder: Some(GzDecoder::new(input)),
        // RFC 1952, section 2.3.1.
        mark: b"\x1f\x8b",
        begin: GzDecoder::new,
        end: GzDecoder::into_inner,
    }
}

pub(super) fn bzip2<R: Read>(input: Input<R>) -> Repeated<R, BzDecoder<Input<R>>> {
    Repeated {
        decoder: Some(BzDecoder::new(input)),
        mark: b"BZh",
        begin: BzDecoder::new,
        end: BzDecoder::into_inner,
    }
}

impl<R: Read, D: Read> Read for Repeated<R, D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.decoder {
            let count = decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(decoder) = self.decoder.take() else {
                break;
            };
            let mut input = (self.end)(decoder);
            input.skip_zeros()?;
            let offset = input.offset();
            let next = input.peek(self.mark.len())?;
            if next.is_empty() {
                return Ok(0);
            }
            let length = next.len().min(self.mark.len());
            if next[..length] != self.mark[..length] {
                return Err(Following { offset }.error());
            }
            self.decoder = Some((self.begin)(input));
        }
        Ok(0)
    }
}
