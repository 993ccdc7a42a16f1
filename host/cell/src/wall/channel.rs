//! The one thing that crosses the wall: messages through shared memory.
//!
//! ```text
//!     4 bytes                  4 bytes          head              bytes
//!     length of head, bit 31:  length of bytes  postcard          as they are
//!     nobody has asked yet
//! ```
//!
//! Lengths are little-endian, and head and bytes begin at whole words of 8. What comes is bounded, and memory is taken as the
//! bytes arrive, not as they are announced.

use std::io::{self, ErrorKind};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::columns::Head;
use super::ring::{self, Side, Streams};
use super::shared::{Shared, WORD};

/// The longest message in bytes: more than the engine lets a guest hand over in one call.
const LIMIT: usize = 192 << 20;
/// The longest head that a cell may send, since what is decoded of it can take many times its bytes.
const CELLS_HEAD: usize = 20 << 20;
/// The bit of a head's length that marks an answer to what is still to be asked.
const AHEAD: u32 = 1 << 31;
/// Memory grows by this many bytes at a time.
const STEP: usize = 1 << 20;

/// Why a message did not go or come.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    /// The other side is gone.
    #[error("the other side is gone")]
    Closed,
    /// The deadline has passed.
    #[error("the time is over")]
    Deadline,
    /// What came is no message of this channel.
    #[error("{0}")]
    Malformed(String),
    /// The kernel refused.
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for ChannelError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => {
                Self::Closed
            }
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Deadline,
            _ => Self::Io(error),
        }
    }
}

/// An end of the channel.
pub(crate) struct Channel {
    streams: Streams,
    /// The longest head that is taken.
    head_limit: usize,
    /// How many streams of nodes have begun: both sides count them, so that none takes what was said of another.
    passes: u32,
    /// Memory of an earlier message.
    spare: Vec<u8>,
}

/// What the other process needs for its end: a socket, and the file of the shared memory.
pub(crate) struct OtherEnd {
    pub(crate) bell: UnixStream,
    pub(crate) memory: OwnedFd,
}

/// A message: one that answers what is still to be asked, or any other.
pub(super) enum Heard<T> {
    /// The next nodes.
    Ahead(Head, Vec<u8>),
    Message(T, Vec<u8>),
}

impl Channel {
    /// The host's end of a new channel, and the cell's. They share `area` bytes more than the channel takes.
    pub(super) fn to_cell(area: usize) -> io::Result<(Self, OtherEnd)> {
        let (host, bell) = UnixStream::pair()?;
        let (shared, memory) = Shared::new(ring::MEMORY + area)?;
        let streams = Streams::new(shared, host, Side::Host);
        Ok((Self::new(streams, CELLS_HEAD), OtherEnd { bell, memory }))
    }

    /// The cell's end, which believes the host and waits as long as it takes.
    pub(super) fn to_host(end: OtherEnd) -> io::Result<Self> {
        let shared = Shared::inside(&end.memory, ring::MEMORY)?;
        let streams = Streams::new(shared, end.bell, Side::Cell);
        Ok(Self::new(streams, LIMIT))
    }

    /// Both ends in this process: the host's, and the cell's.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn pair(area: usize) -> io::Result<(Self, Self)> {
        let (host, end) = Self::to_cell(area)?;
        let shared = Shared::again(&end.memory)?;
        let streams = Streams::new(shared, end.bell, Side::Cell);
        Ok((host, Self::new(streams, LIMIT)))
    }

    fn new(streams: Streams, head_limit: usize) -> Self {
        Self {
            streams,
            head_limit,
            passes: 0,
            spare: Vec::new(),
        }
    }

    /// From now on, messages go and come within `time`.
    pub(super) fn expect_within(&mut self, time: Duration) {
        self.streams.expect_within(time);
    }

    /// The number of the descriptor that it waits at.
    pub(super) fn number(&self) -> RawFd {
        self.streams.number()
    }

    /// Another stream of nodes begins: its number.
    pub(super) fn begin_pass(&mut self) -> u32 {
        self.passes = self.passes.wrapping_add(1);
        self.passes
    }

    /// The address of bytes that both sides share beyond the channel. The other process may write there at any time.
    pub(super) fn area(&self, offset: usize, length: usize) -> *mut u8 {
        self.streams.area(offset, length)
    }

    /// Takes bytes that both sides share beyond the channel.
    pub(super) fn read_area(&self, offset: usize, buffer: &mut [u8]) {
        self.streams.read_area(offset, buffer);
    }

    /// Puts bytes where both sides share more than the channel.
    pub(super) fn write_area(&self, offset: usize, bytes: &[u8]) {
        self.streams.write_area(offset, bytes);
    }

    /// Takes back the bytes of a message, whose memory serves the next one.
    pub(super) fn give_back(&mut self, bytes: Vec<u8>) {
        self.spare = bytes;
    }

    /// Sends `head`, and `bytes` after it.
    pub(super) fn send(&mut self, head: &impl Serialize, bytes: &[u8]) -> Result<(), ChannelError> {
        let head = encode(head)?;
        self.put(length(head.len())?, &head, length(bytes.len())?, bytes)
    }

    /// Sends `head` and `bytes` before they are asked for, if there is room for them: whether there was.
    pub(super) fn send_ahead(&mut self, head: &Head, bytes: &[u8]) -> Result<bool, ChannelError> {
        let head = encode(head)?;
        let whole = [WORD, head.len(), bytes.len()].map(|length| length.next_multiple_of(WORD));
        if whole.iter().sum::<usize>() > self.streams.room()? {
            return Ok(false);
        }
        self.put(
            length(head.len())? | AHEAD,
            &head,
            length(bytes.len())?,
            bytes,
        )?;
        Ok(true)
    }

    fn put(
        &mut self,
        head_length: u32,
        head: &[u8],
        length: u32,
        bytes: &[u8],
    ) -> Result<(), ChannelError> {
        let mut lengths = [0; 8];
        lengths[..4].copy_from_slice(&head_length.to_le_bytes());
        lengths[4..].copy_from_slice(&length.to_le_bytes());
        self.streams.write(&lengths)?;
        self.streams.write(head)?;
        self.streams.write(bytes)?;
        self.streams.show()
    }

    /// The next message's head, and the bytes after it. What was said ahead, and never asked for, is passed over.
    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> Result<(T, Vec<u8>), ChannelError> {
        loop {
            match self.receive_any::<T>()? {
                Heard::Ahead(..) => {}
                Heard::Message(head, bytes) => return Ok((head, bytes)),
            }
        }
    }

    /// The next message, whichever it is.
    pub(super) fn receive_any<T: DeserializeOwned>(&mut self) -> Result<Heard<T>, ChannelError> {
        let mut lengths = [0; 8];
        self.streams.fill(&mut lengths)?;
        let [head, bytes] = [0, 4].map(|start| {
            let mut length = [0; 4];
            length.copy_from_slice(&lengths[start..start + 4]);
            u32::from_le_bytes(length)
        });
        let is_ahead = head & AHEAD != 0;
        let [head, bytes] = [head & !AHEAD, bytes]
            .map(|length| usize::try_from(length).expect("32 bits are a length here"));
        if head > self.head_limit || head + bytes > LIMIT {
            let what = format!("a message of {head} + {bytes} bytes");
            return Err(ChannelError::Malformed(what));
        }
        let head = self.read(head, Vec::new())?;
        if is_ahead {
            if self.streams.side() == Side::Host {
                let what = "an answer to what was not asked".to_owned();
                return Err(ChannelError::Malformed(what));
            }
            let head = decode(&head)?;
            return Ok(Heard::Ahead(head, self.read(bytes, Vec::new())?));
        }
        let head = decode(&head)?;
        let spare = std::mem::take(&mut self.spare);
        Ok(Heard::Message(head, self.read(bytes, spare)?))
    }

    /// The next `length` bytes, in the memory of `bytes` if that is enough.
    fn read(&mut self, length: usize, mut bytes: Vec<u8>) -> Result<Vec<u8>, ChannelError> {
        bytes.clear();
        while bytes.len() < length {
            let start = bytes.len();
            bytes.resize(length.min(start + STEP), 0);
            self.streams.fill(&mut bytes[start..])?;
        }
        Ok(bytes)
    }

    /// Says `bytes` as they are.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn say(&mut self, bytes: &[u8]) -> Result<(), ChannelError> {
        self.streams.write(bytes)?;
        self.streams.show()
    }

    /// The streams below.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn streams(&self) -> &Streams {
        &self.streams
    }
}

fn encode(head: &impl Serialize) -> Result<Vec<u8>, ChannelError> {
    postcard::to_allocvec(head).map_err(|error| ChannelError::Malformed(error.to_string()))
}

fn decode<T: DeserializeOwned>(head: &[u8]) -> Result<T, ChannelError> {
    let (head, rest) = postcard::take_from_bytes(head)
        .map_err(|error| ChannelError::Malformed(format!("a message that is none: {error}")))?;
    if !rest.is_empty() {
        let what = format!("a message with {} bytes too many", rest.len());
        return Err(ChannelError::Malformed(what));
    }
    Ok(head)
}

fn length(length: usize) -> Result<u32, ChannelError> {
    u32::try_from(length)
        .ok()
        .filter(|_| length <= LIMIT)
        .ok_or_else(|| ChannelError::Malformed(format!("a message of {length} bytes")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Instant;

    use super::*;

    /// The cell's end, and the host's.
    fn pair() -> (Channel, Channel) {
        let (host, cell) = Channel::pair(0).unwrap();
        (cell, host)
    }

    #[test]
    fn a_message_arrives_as_it_went() {
        let (mut one, mut other) = pair();
        let bytes: Vec<u8> = (0..13 * STEP + 5).map(|n| n.to_le_bytes()[0]).collect();
        let sent = bytes.clone();
        let sender = std::thread::spawn(move || {
            for length in 0..300 {
                one.send(&("head", length), &sent[..length]).unwrap();
            }
            one.send(&("long", 7_usize), &sent)
        });
        for length in 0..300 {
            let (head, received) = other.receive::<(String, usize)>().unwrap();
            assert_eq!(head, ("head".to_owned(), length));
            assert!(received == bytes[..length]);
            other.give_back(received);
        }
        let (head, received) = other.receive::<(String, usize)>().unwrap();
        assert_eq!(head, ("long".to_owned(), 7));
        assert!(received == bytes);
        sender.join().unwrap().unwrap();
        assert!(matches!(other.receive::<u8>(), Err(ChannelError::Closed)));
    }

    #[test]
    fn what_was_said_before_the_end_is_heard() {
        let (mut one, mut other) = pair();
        one.send(&7_u8, b"last").unwrap();
        drop(one);
        assert_eq!(other.receive::<u8>().unwrap(), (7, b"last".to_vec()));
        assert!(matches!(other.receive::<u8>(), Err(ChannelError::Closed)));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for said in [
            &[0x7f; 8][..],
            &[2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            // A head that is longer than a cell's may be.
            &[1, 0, 0x40, 1, 0, 0, 0, 0],
            // An answer, from one who has nothing to answer.
            &[1, 0, 0, 0x80, 0, 0, 0, 0, 0],
        ] {
            let (mut one, mut other) = pair();
            one.say(said).unwrap();
            let heard = other.receive::<Vec<String>>();
            assert!(matches!(heard, Err(ChannelError::Malformed(_))), "{said:?}");
        }
        let (one, mut other) = pair();
        drop(one);
        let sent = other.send(&1_u8, &vec![0; 8 << 20]);
        assert!(matches!(sent, Err(ChannelError::Closed)));
    }

    #[test]
    fn counters_that_cannot_be_are_refused() {
        // Where the cell's stream has been written up to, and where the host's has been read up to.
        for (counter, value) in [(128, 4 << 20 | 8), (128, 1), (128, u64::MAX), (64, 8)] {
            let (one, mut other) = pair();
            other.expect_within(Duration::from_millis(200));
            one.streams().scribble(counter, &u64::to_ne_bytes(value));
            let said = other.send(&1_u8, &[]);
            let heard = other.receive::<u8>();
            let refused = [said.err(), heard.err()]
                .into_iter()
                .flatten()
                .any(|error| matches!(error, ChannelError::Malformed(_)));
            assert!(refused, "{value} at {counter}");
        }
    }

    #[test]
    fn a_deadline_holds_for_one_who_drips() {
        let (one, mut other) = pair();
        other.expect_within(Duration::from_millis(200));
        let dripping = std::thread::spawn(move || {
            let mut one = one;
            while one.streams().room().is_ok_and(|room| room > 0) && one.say(&[1]).is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let begun = Instant::now();
        let mut buffer = [0; 4096];
        assert!(matches!(
            other.streams.fill(&mut buffer),
            Err(ChannelError::Deadline)
        ));
        assert!(begun.elapsed() < Duration::from_secs(5));
        drop(other);
        dripping.join().unwrap();
    }

    #[test]
    fn a_deadline_holds_for_one_who_does_not_read() {
        let (_one, mut other) = pair();
        other.expect_within(Duration::from_millis(100));
        let result = other.send(&(), &vec![0; 8 << 20]);
        assert!(matches!(result, Err(ChannelError::Deadline)));
    }

    #[test]
    fn one_who_only_rings_wakes_nobody_for_good() {
        let (one, mut other) = pair();
        other.expect_within(Duration::from_millis(200));
        let ringing = std::thread::spawn(move || {
            // What the cell waits for, as its sign says: the host rings as often.
            while one.streams().room().is_ok() && one.streams().ring().is_ok() {
                one.streams().scribble(320, &u64::to_ne_bytes(1));
            }
        });
        assert!(matches!(other.receive::<u8>(), Err(ChannelError::Deadline)));
        drop(other);
        ringing.join().unwrap();
    }

    /// A process that writes anywhere in the shared memory while the host reads gets an error, or messages within bounds.
    #[test]
    fn one_who_scribbles_while_the_host_reads_gets_no_further() {
        for seed in 0..8_u64 {
            let (mut one, mut other) = pair();
            other.expect_within(Duration::from_secs(2));
            let scribbling = std::thread::spawn(move || {
                let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                let mut next = || {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state
                };
                for round in 0..400 {
                    if one.streams().room().is_ok_and(|room| room > 1 << 16) {
                        // What fails leaves the ring as it is.
                        let _ = one.send(&"words", &vec![0x5a; 3000]);
                    }
                    let at = usize::try_from(next()).unwrap();
                    match round % 4 {
                        // Lengths and heads that the host is about to read, or has just read.
                        0..3 => one
                            .streams()
                            .scribble(4096 + (2 << 20) + at % (64 << 10), &next().to_ne_bytes()),
                        _ if round > 300 => one.streams().scribble(at % 384, &next().to_ne_bytes()),
                        _ => {}
                    }
                }
            });
            let heard = loop {
                match other.receive::<String>() {
                    Ok((head, bytes)) => assert!(head.len() + bytes.len() <= LIMIT),
                    Err(error) => break error,
                }
            };
            assert!(!matches!(heard, ChannelError::Io(_)), "{heard}");
            scribbling.join().unwrap();
        }
    }
}
