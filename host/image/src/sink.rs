//! Where the bytes of an image go that get no name: a pipe, a digest, a format.

use std::io::{self, Write};

/// Zeros that are written at a time.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// Takes the bytes of an image in order.
pub trait Sink {
    /// The next bytes.
    ///
    /// # Errors
    /// If they cannot be taken.
    fn data(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// The next `length` bytes are zeros, and a hole of the image.
    ///
    /// # Errors
    /// If they cannot be taken.
    fn zeros(&mut self, length: u64) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            let count = super::copy::at_most(left, ZEROS.len());
            self.data(&ZEROS[..count])?;
            left -= count as u64;
        }
        Ok(())
    }

    /// There is nothing more.
    ///
    /// # Errors
    /// If what was taken cannot be kept.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A plain stream: holes are written as zeros.
#[derive(Debug)]
pub struct Stream<W>(pub W);

impl<W: Write> Sink for Stream<W> {
    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
