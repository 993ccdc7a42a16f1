//! Two streams of bytes through shared memory, one in each direction, as two rings.
//!
//! ```text
//!     0         where the host's stream has been written up to, in bytes since it began     ┐ each counter and
//!     64        where the cell has read it up to                                           │ each sign alone in
//!     128, 192  the same of the cell's stream                                              │ its cache line
//!     256, 320  what the host waits for, and the cell: nothing, bytes, or room             ┘
//!     4096      the host's ring
//!     …         the cell's ring
//!     …         what else the two share: nothing, but with a codec worker
//! ```
//!
//! Whoever waits says so and sleeps at a socket, which has three uses: a byte wakes the one who waits, its end tells that the
//! other process is gone, and the kernel keeps the time. Who does not wait is not woken, so that a stream that is read as
//! fast as it is written takes no switch of processes.
//!
//! Each side keeps its own counters, and believes one of the other only as far as it fits.

use std::io::{ErrorKind, Read as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use super::channel::ChannelError;
use super::shared::{Shared, WORD};

/// The bytes of the host's ring: two of the largest answers.
const FROM_HOST: usize = 2 << 20;
/// The bytes of the cell's ring: some of the largest writes of a formatter.
const FROM_CELL: usize = 4 << 20;
/// The shared memory of a channel in bytes.
pub(super) const MEMORY: usize = RINGS + FROM_HOST + FROM_CELL;
/// Where the rings begin.
const RINGS: usize = 4096;
/// From this many bytes on, what is written is shown to the other side before the rest follows.
const SHOWN: usize = 256 << 10;

/// What a sleeper waits for.
const NOTHING: u64 = 0;
const BYTES: u64 = 1;
const ROOM: u64 = 2;

/// Which of the two processes this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Host,
    Cell,
}

/// Where one stream is in the memory.
#[derive(Clone, Copy)]
struct Ring {
    written: usize,
    read: usize,
    start: usize,
    capacity: usize,
}

const HOSTS: Ring = Ring {
    written: 0,
    read: 64,
    start: RINGS,
    capacity: FROM_HOST,
};
const CELLS: Ring = Ring {
    written: 128,
    read: 192,
    start: RINGS + FROM_HOST,
    capacity: FROM_CELL,
};
const HOST_WAITS: usize = 256;
const CELL_WAITS: usize = 320;

/// One side's two streams.
pub(super) struct Streams {
    memory: Shared,
    bell: UnixStream,
    side: Side,
    /// The other side's end of the socket is closed.
    is_alone: bool,
    deadline: Option<Instant>,
    /// What this side has written, and what of it is shown; what it has read. In bytes since the beginning.
    written: u64,
    shown: u64,
    read: u64,
}

impl Streams {
    pub(super) fn new(memory: Shared, bell: UnixStream, side: Side) -> Self {
        Self {
            memory,
            bell,
            side,
            is_alone: false,
            deadline: None,
            written: 0,
            shown: 0,
            read: 0,
        }
    }

    /// From now on, nothing is waited for beyond `time`.
    pub(super) fn expect_within(&mut self, time: Duration) {
        self.deadline = Instant::now().checked_add(time);
    }

    /// The number of the socket's descriptor.
    pub(super) fn number(&self) -> RawFd {
        self.bell.as_raw_fd()
    }

    /// Which of the two processes this is.
    pub(super) fn side(&self) -> Side {
        self.side
    }

    /// The memory beyond the rings, from the byte `offset` on.
    pub(super) fn area(&self, offset: usize, length: usize) -> *mut u8 {
        let start = MEMORY.checked_add(offset).expect("bytes of memory");
        self.memory.address(start, length)
    }

    /// Takes bytes of the memory beyond the rings.
    pub(super) fn read_area(&self, offset: usize, buffer: &mut [u8]) {
        self.memory.read(MEMORY + offset, buffer);
    }

    /// Puts bytes into the memory beyond the rings.
    pub(super) fn write_area(&self, offset: usize, bytes: &[u8]) {
        self.memory.write(MEMORY + offset, bytes);
    }

    fn outgoing(&self) -> Ring {
        match self.side {
            Side::Host => HOSTS,
            Side::Cell => CELLS,
        }
    }

    fn incoming(&self) -> Ring {
        match self.side {
            Side::Host => CELLS,
            Side::Cell => HOSTS,
        }
    }

    fn own_sign(&self) -> &AtomicU64 {
        self.memory.word(match self.side {
            Side::Host => HOST_WAITS,
            Side::Cell => CELL_WAITS,
        })
    }

    fn others_sign(&self) -> &AtomicU64 {
        self.memory.word(match self.side {
            Side::Host => CELL_WAITS,
            Side::Cell => HOST_WAITS,
        })
    }

    /// The bytes that may be written now.
    pub(super) fn room(&self) -> Result<usize, ChannelError> {
        let ring = self.outgoing();
        let read = self.memory.word(ring.read).load(Ordering::Acquire);
        let ahead = within(self.written, read, ring)?;
        Ok(ring.capacity - ahead)
    }

    /// The bytes that may be read now.
    fn available(&self) -> Result<usize, ChannelError> {
        let ring = self.incoming();
        let written = self.memory.word(ring.written).load(Ordering::Acquire);
        within(written, self.read, ring)
    }

    /// Writes `bytes`, and zeros behind them up to a whole word. The other side may not see them before [`Self::show`].
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), ChannelError> {
        while !bytes.is_empty() {
            let room = match self.room()? {
                0 => {
                    self.show()?;
                    self.sleep_until(ROOM, Self::room)?
                }
                room => room,
            };
            let ring = self.outgoing();
            let at = position(self.written, ring);
            let (now, later) =
                bytes.split_at(bytes.len().min(room).min(ring.capacity - at).min(SHOWN));
            self.memory.write(ring.start + at, now);
            self.written += now.len().next_multiple_of(WORD) as u64;
            bytes = later;
            if self.written - self.shown >= SHOWN as u64 {
                self.show()?;
            }
        }
        Ok(())
    }

    /// Shows the other side what was written, and wakes it if it waits for that.
    pub(super) fn show(&mut self) -> Result<(), ChannelError> {
        self.shown = self.written;
        let written = self.memory.word(self.outgoing().written);
        written.store(self.written, Ordering::Release);
        self.wake(BYTES)
    }

    /// Reads into `buffer`, and past the zeros behind it up to a whole word.
    pub(super) fn fill(&mut self, mut buffer: &mut [u8]) -> Result<(), ChannelError> {
        self.check_time()?;
        while !buffer.is_empty() {
            let available = match self.available()? {
                0 => self.sleep_until(BYTES, Self::available)?,
                available => available,
            };
            let ring = self.incoming();
            let at = position(self.read, ring);
            let length = buffer.len().min(available).min(ring.capacity - at);
            let (now, later) = buffer.split_at_mut(length);
            self.memory.read(ring.start + at, now);
            self.read += length.next_multiple_of(WORD) as u64;
            let read = self.memory.word(ring.read);
            read.store(self.read, Ordering::Release);
            buffer = later;
            // Woken for every bit of room, it would soon sleep again.
            if self.available()? <= ring.capacity / 2 {
                self.wake(ROOM)?;
            }
        }
        Ok(())
    }

    /// Wakes the other side if it waits for `what`.
    #[expect(unsafe_code, reason = "a flag that the standard library does not know")]
    fn wake(&self, what: u64) -> Result<(), ChannelError> {
        // What was stored before is seen by whoever reads it after its sign: one of the two sees the other's.
        fence(Ordering::SeqCst);
        let sign = self.others_sign();
        if sign.load(Ordering::Relaxed) != what {
            return Ok(());
        }
        sign.store(NOTHING, Ordering::Relaxed);
        // The host does not wait until a cell listens. That there is no room for one more byte means that enough are there.
        let flags = match self.side {
            Side::Host => libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT,
            Side::Cell => libc::MSG_NOSIGNAL,
        };
        let byte = [0_u8];
        // SAFETY: it reads the one byte that is there.
        let sent = unsafe { libc::send(self.bell.as_raw_fd(), byte.as_ptr().cast(), 1, flags) };
        if sent >= 0 {
            return Ok(());
        }
        let error = std::io::Error::last_os_error();
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(()),
            // It is gone. What it has said is still to be heard; then the end is noticed.
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset if self.side == Side::Host => Ok(()),
            _ => Err(error.into()),
        }
    }

    /// Sleeps until there is some of `what`, whose bytes `bytes` tells: how many.
    fn sleep_until(
        &mut self,
        what: u64,
        bytes: impl Fn(&Self) -> Result<usize, ChannelError>,
    ) -> Result<usize, ChannelError> {
        loop {
            self.own_sign().store(what, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            let some = bytes(self)?;
            if some > 0 {
                self.own_sign().store(NOTHING, Ordering::Relaxed);
                return Ok(some);
            }
            if self.is_alone {
                return Err(ChannelError::Closed);
            }
            self.sleep()?;
        }
    }

    /// Sleeps until the other side wakes this one, or is gone.
    fn sleep(&mut self) -> Result<(), ChannelError> {
        if let Some(left) = self.check_time()? {
            self.bell.set_read_timeout(Some(left))?;
        }
        match self.bell.read(&mut [0; 64]) {
            Ok(0) => self.is_alone = true,
            Ok(_) => {}
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::ConnectionReset => self.is_alone = true,
                _ => return Err(error.into()),
            },
        }
        Ok(())
    }

    /// The time that is left, if there is a deadline.
    fn check_time(&self) -> Result<Option<Duration>, ChannelError> {
        let Some(deadline) = self.deadline else {
            return Ok(None);
        };
        match deadline.checked_duration_since(Instant::now()) {
            // The kernel takes a timeout of 0 for none.
            Some(left) if left >= Duration::from_millis(1) => Ok(Some(left)),
            _ => Err(ChannelError::Deadline),
        }
    }

    /// Writes over the counters, the signs and the rings, as a process may.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn scribble(&self, at: usize, bytes: &[u8]) {
        let at = at % (MEMORY - bytes.len().next_multiple_of(WORD));
        self.memory.write(at - at % WORD, bytes);
    }

    /// Wakes the other side, whether it waits or not.
    #[cfg(test)]
    pub(super) fn ring(&self) -> std::io::Result<()> {
        std::io::Write::write_all(&mut &self.bell, &[0])
    }

    /// Says nothing more, and hears to the end what is said.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn hang_up(&self) -> std::io::Result<()> {
        self.bell.shutdown(std::net::Shutdown::Write)
    }
}

/// The bytes from `read` to `written`, which a ring can hold.
fn within(written: u64, read: u64, ring: Ring) -> Result<usize, ChannelError> {
    let bytes = written.wrapping_sub(read);
    match usize::try_from(bytes) {
        Ok(bytes) if bytes <= ring.capacity && bytes.is_multiple_of(WORD) => Ok(bytes),
        _ => Err(ChannelError::Malformed(format!(
            "{bytes} bytes in a ring of {}",
            ring.capacity
        ))),
    }
}

/// Where in a ring the byte `counter` of its stream is.
fn position(counter: u64, ring: Ring) -> usize {
    let at = counter % ring.capacity as u64;
    usize::try_from(at).expect("less than the capacity")
}
