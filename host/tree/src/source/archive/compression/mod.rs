//! Decompressing, with bounds on the memory that it takes.

mod input;
mod lz4;
mod repeated;
mod xz;
mod zstd;

use std::fmt;
use std::io::{self, Read};

use crate::recognise::Compression;
use input::Input;

/// The most that a decompressor may look back, in bytes, and about what it takes in memory: what `xz -9` and `zstd -20` want.
pub(super) const WINDOW: u64 = 64 << 20;

/// Who decompresses archives: this process, or one that has nothing but the bytes.
pub trait Decompressors: fmt::Debug + Send + Sync {
    /// The bytes of `input` without their compression. What can be read `ahead` of what is decompressed is a file; of
    /// anything else no more is read than the decompressor asks for.
    ///
    /// What cannot be decompressed is an error of the reader, as [`decompressor`] gives it.
    ///
    /// # Errors
    /// If there is nobody to decompress it.
    fn start(
        &self,
        compression: Compression,
        input: Box<dyn Read>,
        ahead: bool,
    ) -> io::Result<Box<dyn Read>>;
}

/// Decompresses in this process, on the thread that reads.
#[derive(Clone, Copy, Debug)]
pub struct InProcess;

impl Decompressors for InProcess {
    fn start(
        &self,
        compression: Compression,
        input: Box<dyn Read>,
        _ahead: bool,
    ) -> io::Result<Box<dyn Read>> {
        decompressor(compression, input)
    }
}

/// The bytes of `input` without their compression.
///
/// # Errors
/// If there is no memory for it. What is damaged is an error of the reader, and so is a [`BeyondWindow`].
pub fn decompressor(
    compression: Compression,
    input: impl Read + 'static,
) -> io::Result<Box<dyn Read>> {
    let input = Input::new(input);
    Ok(match compression {
        Compression::Gzip => Box::new(repeated::gzip(input)),
        Compression::Bzip2 => Box::new(repeated::bzip2(input)),
        Compression::Zstd => Box::new(zstd::Zstd::new(input)?),
        Compression::Xz => Box::new(repeated::xz(input)?),
        Compression::Lz4 => Box::new(lz4::Lz4::new(input)),
    })
}

/// Data that looks back further than a decompressor may: 64 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeyondWindow {
    /// How far, in bytes, where the data says it before it is decompressed.
    pub wanted: Option<u64>,
}

impl fmt::Display for BeyondWindow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the data needs a larger window than is allowed")
    }
}

impl std::error::Error for BeyondWindow {}

impl BeyondWindow {
    /// The error that a reader gives for it; [`BeyondWindow::of`] finds it there.
    #[must_use]
    pub fn error(wanted: Option<u64>) -> io::Error {
        io::Error::other(Self { wanted })
    }

    /// What of it is in the error of a reader.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

/// Something behind compressed data that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Following {
    /// Where it begins in the input, in bytes.
    pub(super) offset: u64,
}

impl Following {
    const TEXT: &str = "something follows the compressed data at byte ";

    fn error(self) -> io::Error {
        io::Error::other(format!("{}{}", Self::TEXT, self.offset))
    }

    /// What of it is in the error of a reader. It is read from the text, which is all that comes of an error where another process
    /// decompresses.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        let text = error.to_string();
        let offset = text.strip_prefix(Self::TEXT)?.parse().ok()?;
        Some(Self { offset })
    }
}

/// The error for data that ends in the middle.
fn ended_early() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "it ends before it is complete",
    )
}

#[cfg(test)]
mod tests;
