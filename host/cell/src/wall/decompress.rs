//! Processes behind the wall that decompress archives: they get the compressed bytes, and give plain ones.
//!
//! ```text
//!     host                                      process
//!       which compression           ──────────>
//!       pieces of the archive       ──────────>   some of a file before they are asked for,
//!                                   <──────────   one for each that was taken of anything else
//!       writes them                 <──────────   pieces of what is in it
//! ```
//!
//! A process that was taken over by an archive can give other bytes for what is in that archive: they are read as those of
//! any archive are, within the same limits.

use std::io::{self, Read};
use std::time::Duration;

use cellblock_tree::recognise::Compression;
use cellblock_tree::source::BeyondWindow;

use super::channel::{Channel, ChannelError};
use super::message::{Decompressed, Hello, PIECE, Purpose, Trouble};
use super::outside::{Ending, NoProcess, Process, Starter, fit, lost};
use cellblock_contract::Limits;

/// The pieces of a file that are sent before they are asked for: as many as the ring has room for.
const AHEAD: u32 = 4;

/// A process that decompresses one archive, and has seen nothing of it yet.
pub(crate) struct Decompressor {
    channel: Channel,
    child: Ending,
    time: Duration,
}

impl Decompressor {
    pub(crate) fn start(starter: &Starter, limits: Limits) -> Result<Self, NoProcess> {
        let hello = Hello {
            limits,
            purpose: Purpose::Decompress,
        };
        let (child, channel) = Process::start(starter, "decompressor", &hello)?.into_parts();
        Ok(Self {
            channel,
            child,
            time: limits.time,
        })
    }

    /// The bytes of `input` without their compression.
    pub(crate) fn decompress(
        self,
        compression: Compression,
        input: Box<dyn Read>,
        ahead: bool,
    ) -> Box<dyn Read> {
        let child = Some(self.child);
        Box::new(Plain::new(
            self.channel,
            child,
            self.time,
            compression,
            input,
            ahead,
        ))
    }
}

/// What a process makes of an archive.
struct Plain {
    channel: Channel,
    /// The process; none of a test that plays one.
    child: Option<Ending>,
    /// How long the process may take for a piece.
    time: Duration,
    /// Which compression, until it is told.
    compression: Option<Compression>,
    input: Box<dyn Read>,
    input_has_ended: bool,
    /// A piece of the input.
    buffer: Vec<u8>,
    /// How many pieces may be on their way, and how many are.
    most: u32,
    sent: u32,
    /// A piece of what came, and how much of it was taken.
    piece: Vec<u8>,
    taken: usize,
    has_ended: bool,
}

impl Plain {
    fn new(
        channel: Channel,
        child: Option<Ending>,
        time: Duration,
        compression: Compression,
        input: Box<dyn Read>,
        ahead: bool,
    ) -> Self {
        Self {
            channel,
            child,
            time,
            compression: Some(compression),
            input,
            input_has_ended: false,
            buffer: vec![0; PIECE],
            most: if ahead { AHEAD } else { 1 },
            sent: 0,
            piece: Vec::new(),
            taken: 0,
            has_ended: false,
        }
    }

    /// Sends what of the input may be on its way.
    fn feed(&mut self) -> io::Result<Result<(), ChannelError>> {
        while self.sent < self.most && !self.input_has_ended {
            let count = match self.input.read(&mut self.buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.input_has_ended = count == 0;
            self.sent += 1;
            self.channel.expect_within(self.time);
            if let Err(error) = self.channel.send(&(), &self.buffer[..count]) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// Hears what comes next: whether that is more of what is in the archive, or its end.
    fn hear(&mut self) -> Result<io::Result<bool>, ChannelError> {
        self.channel.expect_within(self.time);
        let (heard, bytes) = self.channel.receive::<Decompressed>()?;
        let is_plain = heard == Decompressed::Plain;
        if bytes.is_empty() == is_plain || bytes.len() > PIECE {
            let what = format!("a piece of {} bytes", bytes.len());
            return Err(ChannelError::Malformed(what));
        }
        match heard {
            Decompressed::Plain => {
                let before = std::mem::replace(&mut self.piece, bytes);
                self.channel.give_back(before);
                self.taken = 0;
                Ok(Ok(true))
            }
            Decompressed::Took => {
                self.sent = self.sent.checked_sub(1).ok_or_else(|| {
                    ChannelError::Malformed("a piece that was not sent".to_owned())
                })?;
                Ok(Ok(false))
            }
            Decompressed::End => {
                self.has_ended = true;
                Ok(Ok(true))
            }
            Decompressed::Failed(trouble) => Ok(Err(match trouble {
                Trouble::BeyondWindow(wanted) => BeyondWindow::error(wanted),
                Trouble::EndedEarly(words) => {
                    io::Error::new(io::ErrorKind::UnexpectedEof, fit(&words))
                }
                Trouble::Other(words) => io::Error::other(fit(&words)),
            })),
        }
    }

    fn lost(&mut self, error: ChannelError) -> io::Error {
        let what = match error {
            ChannelError::Malformed(what) => format!("says what cannot be: {}", fit(&what)),
            other => lost(other, &mut self.child, "for a piece ", self.time),
        };
        io::Error::other(format!("the process that decompresses it {what}"))
    }
}

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(compression) = self.compression.take() {
            self.channel.expect_within(self.time);
            let told = self.channel.send(&compression, &[]);
            told.map_err(|error| self.lost(error))?;
        }
        while self.taken == self.piece.len() && !self.has_ended {
            self.feed()?.map_err(|error| self.lost(error))?;
            while !self.hear().map_err(|error| self.lost(error))?? {
                self.feed()?.map_err(|error| self.lost(error))?;
            }
        }
        let rest = &self.piece[self.taken..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Cursor;

    use super::super::decoder::work;
    use super::*;

    /// What a process that `play` stands in for makes of `bytes`.
    fn plain(
        play: impl FnOnce(Channel) + Send + 'static,
        compression: Compression,
        bytes: Vec<u8>,
        ahead: bool,
    ) -> io::Result<Vec<u8>> {
        let (host, cell) = Channel::pair(0).unwrap();
        std::thread::spawn(move || play(cell));
        let input = Box::new(Cursor::new(bytes));
        let time = Duration::from_millis(500);
        let mut reader = Plain::new(host, None, time, compression, input, ahead);
        let mut plain = Vec::new();
        reader.read_to_end(&mut plain)?;
        // At the end it stays.
        assert_eq!(reader.read(&mut [0; 10])?, 0);
        Ok(plain)
    }

    fn honest(channel: Channel) {
        // Whoever could be told of an error is at the other end.
        let _ = work(channel);
    }

    /// A zstd frame with one block of repeated bytes after the other (RFC 8878, section 3.1.1.2): all but the first byte of
    /// `blocks` bytes of 128 KiB.
    fn frame(blocks: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let length = 128_u32 << 10;
        let mut packed = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x38];
        let mut plain = Vec::new();
        for (index, byte) in blocks.iter().enumerate() {
            let is_last = u32::from(index + 1 == blocks.len());
            packed.extend(&(length << 3 | 1 << 1 | is_last).to_le_bytes()[..3]);
            packed.push(*byte);
            plain.resize(plain.len() + (128 << 10), *byte);
        }
        (packed, plain)
    }

    #[test]
    fn a_process_gives_what_a_thread_gives() {
        let blocks: Vec<u8> = (0..100).collect();
        let (packed, expected) = frame(&blocks);
        for ahead in [true, false] {
            let made = plain(honest, Compression::Zstd, packed.clone(), ahead).unwrap();
            assert!(made == expected);
        }
    }

    #[test]
    fn what_is_damaged_is_the_same_error() {
        let (packed, _) = frame(&[1, 2, 3]);
        let cut = packed[..packed.len() - 1].to_vec();
        let wide = [&packed[..5], &[0xa0], &packed[6..]].concat();
        for (compression, bytes) in [
            (Compression::Zstd, cut),
            (Compression::Zstd, wide),
            (Compression::Xz, packed.clone()),
            (Compression::Gzip, packed.clone()),
            (Compression::Bzip2, packed.clone()),
            (Compression::Lz4, packed.clone()),
        ] {
            let here =
                cellblock_tree::source::decompressor(compression, Cursor::new(bytes.clone()))
                    .and_then(|mut reader| reader.read_to_end(&mut Vec::new()))
                    .unwrap_err();
            let there = plain(honest, compression, bytes, true).unwrap_err();
            assert_eq!(there.to_string(), here.to_string());
            assert_eq!(BeyondWindow::of(&there), BeyondWindow::of(&here));
        }
    }

    #[test]
    fn a_process_that_lies_hangs_or_goes_is_an_error() {
        let says = |messages: Vec<(Decompressed, usize)>| {
            move |mut channel: Channel| {
                channel.receive::<Compression>().unwrap();
                for (message, length) in messages {
                    channel.send(&message, &vec![7; length]).unwrap();
                }
                while channel.receive::<()>().is_ok() {}
            }
        };
        let error = |messages| {
            let played = plain(says(messages), Compression::Zstd, vec![1; 10], true);
            played.unwrap_err().to_string()
        };
        let begin = "the process that decompresses it ";
        assert_eq!(
            error(vec![(Decompressed::Plain, PIECE + 1)]),
            format!("{begin}says what cannot be: a piece of {} bytes", PIECE + 1)
        );
        assert_eq!(
            error(vec![(Decompressed::Plain, 0)]),
            format!("{begin}says what cannot be: a piece of 0 bytes")
        );
        let took = vec![
            (Decompressed::Took, 0),
            (Decompressed::Took, 0),
            (Decompressed::Took, 0),
        ];
        assert_eq!(
            error(took),
            format!("{begin}says what cannot be: a piece that was not sent")
        );
        assert_eq!(
            error(vec![]),
            format!("{begin}took longer for a piece than the 0.5 s that a call may take")
        );
        let words = Trouble::Other("bad\nerror: disk\u{1b}[2J".to_owned());
        assert_eq!(
            error(vec![(Decompressed::Failed(words), 0)]),
            "bad\n    | error: disk\u{fffd}[2J"
        );
        let gone = plain(drop, Compression::Zstd, vec![1; 10], true).unwrap_err();
        assert_eq!(gone.to_string(), format!("{begin}has ended"));
    }

    #[test]
    fn no_more_is_read_of_a_pipe_than_is_asked_for() {
        /// A pipe whose second read would wait.
        struct Pipe(Option<Vec<u8>>);

        impl Read for Pipe {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let bytes = self.0.take().expect("nobody asks for more");
                buffer[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            }
        }

        let (host, cell) = Channel::pair(0).unwrap();
        std::thread::spawn(move || honest(cell));
        let pipe = Box::new(Pipe(Some(b"neither zstd nor anything else".to_vec())));
        let time = Duration::from_secs(60);
        let mut reader = Plain::new(host, None, time, Compression::Zstd, pipe, false);
        assert!(reader.read(&mut [0; 10]).is_err());
    }
}
