//! xz: a stream, and the dictionary that it wants.

use std::io::{self, Read};

use liblzma::bufread::XzDecoder;
use liblzma::stream::{Error, Stream};

use super::input::Input;
use super::{BeyondWindow, WINDOW};

/// What the decoder takes beside its dictionary, in bytes.
const BESIDE: u64 = 2 << 20;
/// A header of a stream and the longest header of a block (The .xz File Format, sections 2.1.1 and 3.1).
const HEADERS: usize = 12 + 1024;
/// The number of the LZMA2 filter (section 5.3.1).
const LZMA2: u64 = 0x21;

pub(super) struct Xz<R: Read> {
    decoder: XzDecoder<Input<R>>,
    /// The dictionary of the first block, in bytes.
    dictionary: Option<u64>,
}

impl<R: Read> Xz<R> {
    pub(super) fn new(mut input: Input<R>) -> io::Result<Self> {
        let dictionary = dictionary(input.peek(HEADERS)?);
        let stream = Stream::new_stream_decoder(WINDOW + BESIDE, 0)?;
        Ok(Self {
            decoder: XzDecoder::new_stream(input, stream),
            dictionary,
        })
    }

    pub(super) fn into_inner(self) -> Input<R> {
        self.decoder.into_inner()
    }
}

impl<R: Read> Read for Xz<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buffer).map_err(|error| {
            let reason = error.get_ref().and_then(|reason| reason.downcast_ref());
            match reason {
                Some(Error::MemLimit) => {
                    BeyondWindow::error(self.dictionary.filter(|wanted| *wanted > WINDOW))
                }
                _ => error,
            }
        })
    }
}

/// The dictionary of the first block of a stream (sections 3.1 and 5.3.1).
fn dictionary(stream: &[u8]) -> Option<u64> {
    let block = stream.get(12..)?;
    let (_, rest) = block.split_first()?;
    let (flags, mut rest) = rest.split_first()?;
    for has_size in [0x40, 0x80] {
        if flags & has_size != 0 {
            rest = number(rest)?.1;
        }
    }
    for _ in 0..=flags & 3 {
        let (filter, after) = number(rest)?;
        let (length, properties) = number(after)?;
        if filter == LZMA2 {
            let bits = u32::from(properties.first()? & 0x3f);
            return match bits {
                0..40 => Some(u64::from(2 | (bits & 1)) << (bits / 2 + 11)),
                _ => Some(u64::from(u32::MAX)),
            };
        }
        rest = properties.get(usize::try_from(length).ok()?..)?;
    }
    None
}

/// A number in groups of seven bits, the lowest first (section 1.2), and what follows it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}
