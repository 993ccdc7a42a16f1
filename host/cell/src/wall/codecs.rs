//! Codec workers: processes behind the wall that compress what stands in memory that the host shares with them, and tell
//! lengths.
//!
//! ```text
//!     shared memory                    host                              worker
//!     ┌──────────────┐
//!     │ channel      │  settings, lengths of the blocks  ────────>
//!     ├──────────────┤                                  <──────────  lengths of the pieces
//!     │ blocks       │  <── content of files                        reads
//!     ├──────────────┤
//!     │ what came    │  takes a copy                                writes
//!     └──────────────┘
//! ```
//!
//! A worker has less than a cell: no code is ever made in it. One that was taken over by what it was given to compress can
//! compress that wrongly; lengths that cannot be, silence and its end are errors.

use std::time::Duration;

use cellblock_codec::{BLOCK_LIMIT, Piece};

use super::channel::{Channel, ChannelError};
use super::message::{Block, Compressed, Hello, Purpose};
use super::outside::{Ending, NoProcess, Process, Starter, fit, lost};
use crate::encode::{Encoded, Worker, WorkerError};
use cellblock_contract::Limits;

/// The host's side of a worker.
pub(crate) struct Compressor {
    channel: Channel,
    /// The process; none of a test that plays one.
    child: Option<Ending>,
    /// How long blocks may take that are compressed together.
    time: Duration,
    /// The bytes of those that it has.
    length: usize,
    pieces: Vec<Piece>,
    bytes: Vec<u8>,
}

impl Compressor {
    pub(crate) fn start(starter: &Starter, limits: Limits) -> Result<Self, NoProcess> {
        let hello = Hello {
            limits,
            purpose: Purpose::Encode,
        };
        let (child, channel) = Process::start(starter, "codec", &hello)?.into_parts();
        Ok(Self {
            channel,
            child: Some(child),
            time: limits.time,
            length: 0,
            pieces: Vec::new(),
            bytes: Vec::new(),
        })
    }

    fn lost(&mut self, error: ChannelError) -> WorkerError {
        let wanted = format!("for {} bytes ", self.length);
        WorkerError::Lost(lost(error, &mut self.child, &wanted, self.time))
    }

    fn ask(&mut self, blocks: &[cellblock_codec::Block]) -> Result<Compressed, ChannelError> {
        self.length = blocks.iter().map(|block| block.length).sum();
        let asked: Vec<Block> = blocks
            .iter()
            .map(|block| Block {
                settings: block.settings,
                length: u32::try_from(block.length).expect("at most BLOCK_LIMIT"),
            })
            .collect();
        self.channel.expect_within(self.time);
        self.channel.send(&asked, &[])?;
        let (answer, pieces) = self.channel.receive::<Compressed>()?;
        let Ok(produced) = answer else {
            return Ok(answer);
        };
        let produced = usize::try_from(produced)
            .ok()
            .filter(|produced| *produced <= self.length)
            .ok_or_else(|| {
                let length = self.length;
                ChannelError::Malformed(format!("{produced} bytes of {length}"))
            })?;
        let (chunks, rest) = pieces.as_chunks::<8>();
        if !rest.is_empty() {
            let what = format!("pieces in {} bytes", pieces.len());
            return Err(ChannelError::Malformed(what));
        }
        self.pieces.clear();
        self.pieces.extend(chunks.iter().map(piece));
        // A copy, which changes no more once it is looked at.
        self.bytes.resize(produced, 0);
        self.channel.read_area(BLOCK_LIMIT, &mut self.bytes);
        Ok(answer)
    }
}

impl Worker for Compressor {
    #[expect(unsafe_code, reason = "content goes where the worker finds it")]
    fn room(&mut self, length: usize) -> Result<&mut [u8], WorkerError> {
        assert!(
            (1..=BLOCK_LIMIT).contains(&length),
            "blocks of {length} bytes"
        );
        self.length = length;
        let room = self.channel.area(0, length);
        // SAFETY: it is mapped as long as the channel is there, and nothing else of this process refers to it. The worker, which
        // waits, could write to it only if it was taken over: the host puts content here, and believes nothing that it reads.
        Ok(unsafe { std::slice::from_raw_parts_mut(room, length) })
    }

    fn encode(
        &mut self,
        blocks: &[cellblock_codec::Block],
    ) -> Result<Vec<Encoded<'_>>, WorkerError> {
        match self.ask(blocks) {
            Ok(Ok(_)) => Encoded::of_each(blocks, &self.pieces, &self.bytes)
                .ok_or_else(|| WorkerError::Lost("answers lengths that cannot be".to_owned())),
            Ok(Err(why)) => Err(WorkerError::Lost(format!("says: {}", fit(&why)))),
            Err(error) => Err(self.lost(error)),
        }
    }
}

/// A piece from 8 bytes: its two lengths, little-endian.
fn piece(bytes: &[u8; 8]) -> Piece {
    let [consumed, produced] = [0, 4].map(|start| {
        let mut number = [0; 4];
        number.copy_from_slice(&bytes[start..start + 4]);
        u32::from_le_bytes(number)
    });
    Piece { consumed, produced }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use cellblock_codec::{Codec, Method, Settings};

    use super::super::encoder::work;
    use super::*;

    const AREA: usize = 2 * BLOCK_LIMIT;

    const TIME: Duration = Duration::from_millis(500);

    /// A worker that `play` stands in for.
    fn played(play: impl FnOnce(Channel) + Send + 'static) -> Compressor {
        let (host, cell) = Channel::pair(AREA).unwrap();
        std::thread::spawn(move || play(cell));
        Compressor {
            channel: host,
            child: None,
            time: TIME,
            length: 0,
            pieces: Vec::new(),
            bytes: Vec::new(),
        }
    }

    fn alone(settings: Settings, length: usize) -> cellblock_codec::Block {
        cellblock_codec::Block { settings, length }
    }

    fn one(encoded: Result<Vec<Encoded<'_>>, WorkerError>) -> Encoded<'_> {
        let [one] = encoded.unwrap()[..] else {
            panic!("it is not one");
        };
        one
    }

    fn content(length: usize) -> Vec<u8> {
        (0..length)
            .map(|at| (at / 7 % 251).to_le_bytes()[0])
            .collect()
    }

    #[test]
    fn a_worker_makes_what_a_thread_makes() {
        let mut worker = played(|mut channel| {
            let _ = work(&mut channel);
        });
        for method in Method::ALL {
            let limit = if matches!(method, Method::Zlib | Method::Xz) {
                0
            } else {
                4096
            };
            let settings = Settings {
                limit,
                unit: limit.max(1),
                ..Settings::new(method, 6)
            };
            for length in [1, 100, 4096, 300_001] {
                let block = content(length);
                let mut bytes = Vec::new();
                let pieces = Codec::new().encode(&settings, &block, &mut bytes).unwrap();
                worker.room(length).unwrap().copy_from_slice(&block);
                let encoded = one(worker.encode(&[alone(settings, length)]));
                assert_eq!(encoded.pieces, pieces);
                assert!(encoded.bytes == bytes);
                assert!(encoded.is_of(&settings, length));
            }
        }
    }

    fn failed(worker: &mut Compressor) -> String {
        worker.room(1000).unwrap().fill(7);
        let settings = Settings::new(Method::Lz4, 0);
        let failed = worker.encode(&[alone(settings, 1000)]);
        failed.unwrap_err().to_string()
    }

    #[test]
    fn a_worker_that_lies_is_told_from_one_that_works() {
        let answers: [(Compressed, &[u8], &str); 5] = [
            (Ok(1001), &[0; 8], "1001 bytes of 1000"),
            (Ok(u32::MAX), &[0; 8], "4294967295 bytes of 1000"),
            (Ok(10), &[0; 9], "pieces in 9 bytes"),
            (Ok(10), &[0; 8], "answers lengths that cannot be"),
            (
                Err("disk full\nerror: no\u{1b}[2J".to_owned()),
                &[],
                "\n    | error: no\u{fffd}",
            ),
        ];
        for (answer, pieces, words) in answers {
            let mut worker = played(move |mut channel| {
                channel.receive::<Vec<Block>>().unwrap();
                channel.send(&answer, pieces).unwrap();
                // It does not go before it is heard.
                let _ = channel.receive::<Vec<Block>>();
            });
            let error = failed(&mut worker);
            assert!(
                error.starts_with("the codec worker ") && error.contains(words),
                "{error}"
            );
        }
    }

    #[test]
    fn a_worker_that_hangs_or_goes_is_an_error() {
        let mut worker = played(|mut channel| {
            channel.receive::<Vec<Block>>().unwrap();
            let _ = channel.receive::<Vec<Block>>();
        });
        assert_eq!(
            failed(&mut worker),
            "the codec worker took longer for 1000 bytes than the 0.5 s that a call may take"
        );
        let mut worker = played(drop);
        assert_eq!(failed(&mut worker), "the codec worker has ended");
    }

    #[test]
    fn what_a_worker_writes_after_it_has_answered_changes_nothing() {
        let mut worker = played(|mut channel| {
            channel.receive::<Vec<Block>>().unwrap();
            channel.write_area(BLOCK_LIMIT, &[1; 500]);
            let pieces = [1000_u32, 500].map(u32::to_le_bytes).concat();
            channel.send(&Compressed::Ok(500), &pieces).unwrap();
            channel.receive::<Vec<Block>>().unwrap();
            channel.write_area(BLOCK_LIMIT, &[2; 500]);
            channel.send(&Compressed::Ok(500), &pieces).unwrap();
        });
        worker.room(1000).unwrap().fill(7);
        let settings = Settings::new(Method::Lz4, 0);
        let kept = {
            let encoded = one(worker.encode(&[alone(settings, 1000)]));
            let address = encoded.bytes.as_ptr();
            assert_eq!(encoded.bytes, [1; 500]);
            address
        };
        let area = worker.channel.area(0, AREA).cast_const();
        assert!(!(area..area.wrapping_add(AREA)).contains(&kept));
        worker.room(1000).unwrap().fill(7);
        let encoded = one(worker.encode(&[alone(settings, 1000)]));
        assert_eq!(encoded.bytes, [2; 500]);
    }
}
