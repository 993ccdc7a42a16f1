//! The one thing that crosses the wall: messages over a socket.
//!
//! ```text
//!     4 bytes          4 bytes          head              bytes
//!     length of head   length of bytes  postcard          as they are
//! ```
//!
//! Lengths are little-endian. What comes is bounded, and memory is taken as the bytes arrive, not as they are announced.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest message in bytes: more than the engine lets a guest hand over in one call.
const LIMIT: usize = 192 << 20;
/// The longest head that a cell may send, since what is decoded of it can take many times its bytes.
const CELLS_HEAD: usize = 20 << 20;
/// From this many bytes on, a call of their own is cheaper than a copy.
const WORTH_A_CALL: usize = 16 << 10;
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
    stream: UnixStream,
    deadline: Option<Instant>,
    /// The longest head that is taken.
    head_limit: usize,
}

impl Channel {
    /// The cell's end, which believes the host and waits as long as it takes.
    pub(super) fn to_host(stream: UnixStream) -> Self {
        Self {
            stream,
            deadline: None,
            head_limit: LIMIT,
        }
    }

    /// The host's end.
    pub(super) fn to_cell(stream: UnixStream) -> Self {
        Self {
            stream,
            deadline: None,
            head_limit: CELLS_HEAD,
        }
    }

    /// From now on, messages go and come within `time`.
    pub(super) fn expect_within(&mut self, time: Duration) {
        self.deadline = Instant::now().checked_add(time);
    }

    /// The descriptor's number.
    pub(super) fn number(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Sends `head`, and `bytes` after it.
    pub(super) fn send(&mut self, head: &impl Serialize, bytes: &[u8]) -> Result<(), ChannelError> {
        let head = postcard::to_allocvec(head)
            .map_err(|error| ChannelError::Malformed(error.to_string()))?;
        let mut message = Vec::with_capacity(8 + head.len());
        message.extend(length(head.len())?.to_le_bytes());
        message.extend(length(bytes.len())?.to_le_bytes());
        message.extend(head);
        if bytes.len() < WORTH_A_CALL {
            message.extend(bytes);
            return self.write(&message);
        }
        self.write(&message)?;
        self.write(bytes)
    }

    /// The next message's head, and the bytes after it.
    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> Result<(T, Vec<u8>), ChannelError> {
        let mut lengths = [0; 8];
        self.fill(&mut lengths)?;
        let [head, bytes] = [0, 4].map(|start| {
            let mut length = [0; 4];
            length.copy_from_slice(&lengths[start..start + 4]);
            usize::try_from(u32::from_le_bytes(length)).expect("an address has 32 bits or more")
        });
        let is_within = |length| length <= LIMIT;
        if head > self.head_limit || !head.checked_add(bytes).is_some_and(is_within) {
            let what = format!("a message of {head} + {bytes} bytes");
            return Err(ChannelError::Malformed(what));
        }
        let head = self.read(head)?;
        let (head, rest) = postcard::take_from_bytes(&head)
            .map_err(|error| ChannelError::Malformed(format!("a message that is none: {error}")))?;
        if !rest.is_empty() {
            let what = format!("a message with {} bytes too many", rest.len());
            return Err(ChannelError::Malformed(what));
        }
        Ok((head, self.read(bytes)?))
    }

    fn read(&mut self, length: usize) -> Result<Vec<u8>, ChannelError> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let start = bytes.len();
            bytes.resize(length.min(start + STEP), 0);
            self.fill(&mut bytes[start..])?;
        }
        Ok(bytes)
    }

    fn fill(&mut self, mut buffer: &mut [u8]) -> Result<(), ChannelError> {
        while !buffer.is_empty() {
            if let Some(left) = self.left()? {
                self.stream.set_read_timeout(Some(left))?;
            }
            match self.stream.read(buffer) {
                Ok(0) => return Err(ChannelError::Closed),
                Ok(count) => buffer = &mut buffer[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), ChannelError> {
        while !bytes.is_empty() {
            if let Some(left) = self.left()? {
                self.stream.set_write_timeout(Some(left))?;
            }
            match self.stream.write(bytes) {
                Ok(0) => return Err(ChannelError::Closed),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The time that is left, if there is a deadline.
    fn left(&self) -> Result<Option<Duration>, ChannelError> {
        let Some(deadline) = self.deadline else {
            return Ok(None);
        };
        match deadline.checked_duration_since(Instant::now()) {
            // The kernel takes a timeout of 0 for none.
            Some(left) if left >= Duration::from_millis(1) => Ok(Some(left)),
            _ => Err(ChannelError::Deadline),
        }
    }
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
    use super::*;

    fn pair() -> (Channel, Channel) {
        let (one, other) = UnixStream::pair().unwrap();
        (Channel::to_host(one), Channel::to_cell(other))
    }

    #[test]
    fn a_message_arrives_as_it_went() {
        let (mut one, mut other) = pair();
        let bytes: Vec<u8> = (0..3 * STEP + 5).map(|n| n.to_le_bytes()[0]).collect();
        let sent = bytes.clone();
        let sender = std::thread::spawn(move || one.send(&("head", 7_u64), &sent));
        let (head, received) = other.receive::<(String, u64)>().unwrap();
        assert_eq!(head, ("head".to_owned(), 7));
        assert!(received == bytes);
        sender.join().unwrap().unwrap();
        assert!(matches!(other.receive::<u8>(), Err(ChannelError::Closed)));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let (mut one, mut other) = pair();
        one.write(&[0xff; 8]).unwrap();
        assert!(matches!(
            other.receive::<u8>(),
            Err(ChannelError::Malformed(_))
        ));
        let (mut one, mut other) = pair();
        one.write(&[2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]).unwrap();
        assert!(matches!(
            other.receive::<u8>(),
            Err(ChannelError::Malformed(_))
        ));
        let (mut one, mut other) = pair();
        let length = u32::try_from(CELLS_HEAD + 1).unwrap();
        one.write(&length.to_le_bytes()).unwrap();
        one.write(&[0; 4]).unwrap();
        assert!(matches!(
            other.receive::<Vec<String>>(),
            Err(ChannelError::Malformed(_))
        ));
        let (one, mut other) = pair();
        drop(one);
        assert!(matches!(other.send(&1_u8, &[]), Err(ChannelError::Closed)));
    }

    #[test]
    fn a_deadline_holds_for_one_who_drips() {
        let (mut one, mut other) = pair();
        other.expect_within(Duration::from_millis(200));
        let dripping = std::thread::spawn(move || {
            while one.write(&[1]).is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let begun = Instant::now();
        let mut buffer = [0; 4096];
        assert!(matches!(
            other.fill(&mut buffer),
            Err(ChannelError::Deadline)
        ));
        assert!(begun.elapsed() < Duration::from_secs(5));
        drop(other);
        dripping.join().unwrap();
    }

    #[test]
    fn a_deadline_holds_for_one_who_does_not_read() {
        let (mut one, _other) = pair();
        one.expect_within(Duration::from_millis(100));
        let result = one.send(&(), &vec![0; 8 << 20]);
        assert!(matches!(result, Err(ChannelError::Deadline)));
    }
}
