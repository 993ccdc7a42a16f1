//! One thread's codec: it cuts a block into pieces, whichever the method.

use serde::{Deserialize, Serialize};

use crate::{
    BLOCK_LIMIT, Failure, Method, Settings, deflate::Deflate, fit, lz4::Lz4, lzma::Lzma,
    made::Made, zstandard::Zstandard,
};

/// What came of some bytes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// How many bytes of the block it holds, behind those of the piece before.
    pub consumed: u32,
    /// Its length in bytes; 0 if it was not kept, since its content does not compress.
    pub produced: u32,
}

impl Piece {
    fn new(consumed: usize, produced: usize) -> Self {
        let narrow = |length| u32::try_from(length).expect("a block has at most 16 MiB");
        Self {
            consumed: narrow(consumed),
            produced: narrow(produced),
        }
    }
}

/// The contexts of the libraries, made when they are needed and used again.
#[derive(Default)]
pub struct Codec {
    deflate: Deflate,
    lz4: Lz4,
    lzma: Lzma,
    zstandard: Zstandard,
    scratch: fit::Scratch,
}

/// How many units in a row go uncompressed at the most before compression is tried again, where a piece has fewer.
const MOST_PATIENCE: usize = 8;

/// How many times its length a limited MicroLZMA piece holds at the most: a longer input costs larger tables for each piece.
const MOST_EXPANSION: usize = 64;

impl Codec {
    /// A codec without contexts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Compresses a block into pieces, and appends the bytes of those that are kept to `output`, one behind the other.
    ///
    /// # Errors
    /// [`Failure`] if the settings or the block cannot be, or a library fails.
    pub fn encode(
        &mut self,
        settings: &Settings,
        block: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<Vec<Piece>, Failure> {
        settings.check()?;
        if block.is_empty() || block.len() > BLOCK_LIMIT {
            return Err(Failure::Block {
                length: block.len(),
            });
        }
        if settings.limit == 0 {
            self.encode_whole(settings, block, output)
        } else {
            self.encode_limited(settings, block, output)
        }
    }

    fn encode_whole(
        &mut self,
        settings: &Settings,
        block: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<Vec<Piece>, Failure> {
        let start = output.len();
        // A piece that would not be kept need not be finished: this is what the longest that is kept takes.
        let room = (block.len().div_ceil(settings.unit()) - 1) * settings.unit();
        if room == 0 {
            return Ok(vec![Piece::new(block.len(), 0)]);
        }
        output.resize(start + room, 0);
        let made = self.whole(settings, block, &mut output[start..])?;
        let produced = made.unwrap_or(0);
        output.truncate(start + produced);
        Ok(vec![Piece::new(block.len(), produced)])
    }

    fn encode_limited(
        &mut self,
        settings: &Settings,
        block: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<Vec<Piece>, Failure> {
        let limit = settings.limit as usize;
        let unit = settings.unit();
        let mut pieces = Vec::new();
        let mut rest = block;
        let mut estimate = fit::Estimate::default();
        // How many units in a row go uncompressed before compression is tried again: it doubles with each failure.
        let mut patience = 1;
        while !rest.is_empty() {
            let start = output.len();
            output.resize(start + limit, 0);
            let made = self.limited(settings, rest, &mut output[start..], &mut estimate)?;
            match made {
                Some(made) if settings.saves(made.consumed, made.produced) => {
                    output.truncate(start + made.produced);
                    pieces.push(Piece::new(made.consumed, made.produced));
                    rest = &rest[made.consumed..];
                    patience = 1;
                }
                _ => {
                    output.truncate(start);
                    for _ in 0..patience {
                        let (piece, behind) = rest.split_at(unit.min(rest.len()));
                        if !piece.is_empty() {
                            pieces.push(Piece::new(piece.len(), 0));
                        }
                        rest = behind;
                    }
                    patience = (patience * 2).min((limit / unit).max(MOST_PATIENCE));
                }
            }
        }
        Ok(pieces)
    }

    /// The length of the compressed block, or `None` if it does not fit into `output`.
    fn whole(
        &mut self,
        settings: &Settings,
        block: &[u8],
        output: &mut [u8],
    ) -> Result<Option<usize>, Failure> {
        match settings.method {
            Method::Deflate => Ok(self.deflate.raw(settings, block, output)),
            Method::Zlib => Ok(self.deflate.zlib(settings, block, output)),
            Method::Lz4 => self.lz4.whole(settings, block, output),
            Method::Zstd => self.zstandard.whole(settings, block, output),
            Method::Xz => self.lzma.xz(settings, block, output),
            Method::MicroLzma => {
                let made = self.lzma.micro(settings, block, output)?;
                Ok(made
                    .filter(|made| made.consumed == block.len())
                    .map(|made| made.produced))
            }
        }
    }

    /// The next piece of `rest` in at most all of `output`, or `None` if it would not shrink.
    fn limited(
        &mut self,
        settings: &Settings,
        rest: &[u8],
        output: &mut [u8],
        estimate: &mut fit::Estimate,
    ) -> Result<Option<Made>, Failure> {
        let Self {
            deflate,
            lz4,
            lzma,
            zstandard,
            scratch,
        } = self;
        match settings.method {
            Method::Lz4 => lz4.limited(settings, rest, output),
            Method::MicroLzma => {
                let most = rest.len().min(output.len() * MOST_EXPANSION);
                lzma.micro(settings, &rest[..most], output)
            }
            Method::Deflate => fit::fit(
                settings.unit(),
                rest,
                output,
                estimate,
                scratch,
                |from, to| Ok(deflate.raw(settings, from, to)),
            ),
            Method::Zstd => fit::fit(
                settings.unit(),
                rest,
                output,
                estimate,
                scratch,
                |from, to| zstandard.whole(settings, from, to),
            ),
            Method::Zlib | Method::Xz => unreachable!("the settings were checked: no limit"),
        }
    }
}
