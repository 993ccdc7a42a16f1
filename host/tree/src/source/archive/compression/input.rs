//! Compressed bytes, of which the next ones can be looked at before they are taken.

use std::io::{self, BufRead, Read};

use super::Following;

/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;
/// The bytes that tell what begins.
const MARK: usize = 6;

/// A reader with a buffer.
#[derive(Debug)]
pub(super) struct Input<R> {
    inner: R,
    buffer: Vec<u8>,
    /// What of the buffer is filled and has not been taken.
    unread: std::ops::Range<usize>,
    /// Bytes that have been taken.
    taken: u64,
}

impl<R: Read> Input<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            buffer: vec![0; CHUNK],
            unread: 0..0,
            taken: 0,
        }
    }

    /// How many bytes have been taken.
    fn offset(&self) -> u64 {
        self.taken
    }

    /// The next bytes: at least `wanted`, which is at most [`CHUNK`], or all that there are.
    pub(super) fn peek(&mut self, wanted: usize) -> io::Result<&[u8]> {
        if self.unread.start + wanted > self.buffer.len() {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        while self.unread.len() < wanted {
            match self.inner.read(&mut self.buffer[self.unread.end..]) {
                Ok(0) => break,
                Ok(count) => self.unread.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.buffer[self.unread.clone()])
    }

    /// Whether another stream follows one that has ended, which `begins` tells by its first bytes, at most [`MARK`]: zeros are
    /// skipped, and what is neither is refused.
    pub(super) fn continues(&mut self, begins: impl Fn(&[u8]) -> bool) -> io::Result<bool> {
        self.skip_zeros()?;
        let offset = self.offset();
        let next = self.peek(MARK)?;
        match &next[..next.len().min(MARK)] {
            [] => Ok(false),
            next if begins(next) => Ok(true),
            _ => Err(Following { offset }.error()),
        }
    }

    /// Takes zeros, as many as come.
    fn skip_zeros(&mut self) -> io::Result<()> {
        loop {
            let next = self.peek(1)?;
            let zeros = next.iter().take_while(|byte| **byte == 0).count();
            if zeros == 0 {
                return Ok(());
            }
            self.consume(zeros);
        }
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let next = self.peek(1)?;
        let count = next.len().min(buffer.len());
        buffer[..count].copy_from_slice(&next[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Input<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.peek(1)
    }

    fn consume(&mut self, count: usize) {
        self.unread.start += count;
        self.taken += u64::try_from(count).expect("a length fits 64 bits");
        if self.unread.is_empty() {
            self.unread = 0..0;
        }
    }
}
