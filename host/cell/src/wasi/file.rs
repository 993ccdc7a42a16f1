//! The one file of a command: the partition, which has its full length at first, can be made shorter, and longer again, but
//! never longer than the partition.

use crate::files::{CALL, ErrorCode, Fault};
use crate::occupied::Occupied;
use crate::state::{Answer, Services};

/// Neighbouring writes are handed on together once they have this many bytes.
const GATHERED: usize = 1 << 20;

pub(super) struct File {
    /// The size of the partition.
    room: u64,
    length: u64,
    /// What may be other than zero.
    written: Occupied,
    /// Bytes that are not handed on yet, and where they belong.
    gathered: Vec<u8>,
    gathered_at: u64,
}

impl File {
    pub(super) fn new(room: u64) -> Self {
        Self {
            room,
            length: room,
            written: Occupied::default(),
            gathered: Vec::new(),
            gathered_at: 0,
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The bytes at `offset`, at most `most` and at most [`CALL`] of them; none at the end.
    pub(super) fn read(
        &mut self,
        services: &mut impl Services,
        offset: u64,
        most: u64,
    ) -> Result<Vec<u8>, Fault> {
        self.flush(services)?;
        let rest = self.length.saturating_sub(offset);
        let count = rest.min(most).min(CALL.into());
        if count == 0 {
            return Ok(Vec::new());
        }
        Ok(inner(services.read_partition(count, offset))?.0)
    }

    /// Writes as many of `bytes` as the partition has room for; their number.
    pub(super) fn write(
        &mut self,
        services: &mut impl Services,
        offset: u64,
        bytes: &[u8],
    ) -> Result<u64, Fault> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let room = self.room.saturating_sub(offset);
        let count = room.min(bytes.len() as u64);
        let bytes = &bytes[..usize::try_from(count).expect("no more than there are")];
        if bytes.is_empty() {
            return Err(ErrorCode::InsufficientSpace.into());
        }
        let follows = offset == self.gathered_at + self.gathered.len() as u64;
        if !follows || self.gathered.len() + bytes.len() > GATHERED {
            self.flush(services)?;
            self.gathered_at = offset;
        }
        self.gathered.extend_from_slice(bytes);
        self.length = self.length.max(offset + count);
        Ok(count)
    }

    /// Makes it shorter, or longer by zeros.
    pub(super) fn resize(&mut self, services: &mut impl Services, size: u64) -> Result<(), Fault> {
        if size > self.room {
            return Err(ErrorCode::FileTooLarge.into());
        }
        self.flush(services)?;
        for (start, end) in self.written.cut(size) {
            clear(services, start, end)?;
        }
        self.length = size;
        Ok(())
    }

    /// Hands on what was gathered.
    pub(super) fn flush(&mut self, services: &mut impl Services) -> Result<(), Fault> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.gathered);
        self.written
            .cover(self.gathered_at, self.gathered_at + bytes.len() as u64);
        inner(services.write_partition(&bytes, self.gathered_at))?;
        Ok(())
    }
}

fn clear(services: &mut impl Services, start: u64, end: u64) -> Result<(), Fault> {
    let mut at = start;
    while at < end {
        let count = (end - at).min(GATHERED as u64);
        let zeros = vec![0; usize::try_from(count).expect("at most GATHERED")];
        inner(services.write_partition(&zeros, at))?;
        at += count;
    }
    Ok(())
}

fn inner<T>(answer: Answer<T>) -> Result<T, Fault> {
    Ok(answer??)
}
