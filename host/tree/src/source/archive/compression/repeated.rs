//! gzip, bzip2 and xz: a file may hold several streams, one behind the other, and zeros that fill up a tape's block.

use std::io::{self, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;

use super::input::Input;
use super::xz::Xz;

/// Decompresses one stream after the other.
pub(super) struct Repeated<R, D> {
    /// `None` once all is read, or when reading on has failed.
    decoder: Option<D>,
    /// What each stream begins with.
    mark: &'static [u8],
    begin: fn(Input<R>) -> io::Result<D>,
    end: fn(D) -> Input<R>,
}

pub(super) fn gzip<R: Read>(input: Input<R>) -> Repeated<R, GzDecoder<Input<R>>> {
    Repeated {
        decoder: Some(GzDecoder::new(input)),
        // RFC 1952, section 2.3.1.
        mark: b"\x1f\x8b",
        begin: |input| Ok(GzDecoder::new(input)),
        end: GzDecoder::into_inner,
    }
}

pub(super) fn bzip2<R: Read>(input: Input<R>) -> Repeated<R, BzDecoder<Input<R>>> {
    Repeated {
        decoder: Some(BzDecoder::new(input)),
        mark: b"BZh",
        begin: |input| Ok(BzDecoder::new(input)),
        end: BzDecoder::into_inner,
    }
}

pub(super) fn xz<R: Read>(input: Input<R>) -> io::Result<Repeated<R, Xz<R>>> {
    Ok(Repeated {
        decoder: Some(Xz::new(input)?),
        // The .xz File Format, section 2.1.1.1.
        mark: b"\xfd7zXZ\0",
        begin: Xz::new,
        end: Xz::into_inner,
    })
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
            if !input.continues(|next| next.starts_with(self.mark))? {
                return Ok(0);
            }
            self.decoder = Some((self.begin)(input)?);
        }
        Ok(0)
    }
}
