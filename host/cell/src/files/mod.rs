//! The files of WASI, by whatever interface a guest asks for them: who may do what with what is open, where paths lead, and
//! why a call fails.
//!
//! ```text
//!     formatter, WASI 0.2 ──┐
//!     command, WASI 0.2 ────┴──> filesystem ──┐
//!                                             ├──> open, read, … ──> Files: the formatter's partition,
//!     command, preview 1 ──────> preview1 ────┘                             or the command's file
//! ```
//!
//! The two shells know the form of their interface, and decide nothing.

mod error;
mod filesystem;
pub(crate) mod path;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub(crate) use error::{ErrorCode, Fault};
use path::{Refused, Target, Wish};

/// The name of the one file of a command.
pub(crate) const PARTITION: &str = "partition.img";
/// The most bytes that one call reads or writes.
pub(crate) const CALL: u32 = 16 << 20;

/// What is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub enum Opened {
    /// The root of a command.
    Root,
    /// The partition.
    Partition { reads: bool, writes: bool },
}

impl Opened {
    /// What it leads to.
    pub(crate) fn target(self) -> Target {
        match self {
            Self::Root => Target::Root,
            Self::Partition { .. } => Target::Partition,
        }
    }

    /// Whether the partition may be read, and whether it may be written; refuses what is no file.
    pub(crate) fn file(self) -> Result<(bool, bool), ErrorCode> {
        match self {
            Self::Root => Err(ErrorCode::IsDirectory),
            Self::Partition { reads, writes } => Ok((reads, writes)),
        }
    }

    /// Refuses what may not be read.
    pub(crate) fn readable(self) -> Result<(), ErrorCode> {
        match self.file()? {
            (true, _) => Ok(()),
            (false, _) => Err(ErrorCode::BadDescriptor),
        }
    }

    /// Refuses what may not be written.
    pub(crate) fn writable(self) -> Result<(), ErrorCode> {
        match self.file()? {
            (_, true) => Ok(()),
            (_, false) => Err(ErrorCode::BadDescriptor),
        }
    }

    /// What is there at a path that begins here.
    pub(crate) fn look(self, path: &[u8]) -> Result<Target, ErrorCode> {
        self.directory()?;
        path::look(path)
    }

    /// Why something is not done at a path that begins here.
    pub(crate) fn refusal(self, path: &[u8], refused: Refused) -> ErrorCode {
        match self.directory() {
            Ok(()) => path::refusal(path, refused),
            Err(code) => code,
        }
    }

    /// Refuses what is no directory.
    pub(crate) fn directory(self) -> Result<(), ErrorCode> {
        match self {
            Self::Root => Ok(()),
            Self::Partition { .. } => Err(ErrorCode::NotDirectory),
        }
    }
}

/// What a path or a descriptor leads to, as every interface tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// What tells it from the other.
    pub(crate) inode: u64,
    pub(crate) is_directory: bool,
    /// Bytes.
    pub(crate) size: u64,
    /// The one time that everything has, in seconds since 1970 and nanoseconds; a formatter is told none.
    pub(crate) time: Option<(u64, u32)>,
}

/// What is behind what is open. Who may do it has been checked.
pub(crate) trait Files {
    /// What `target` is; the root if there is nothing.
    fn status(&self, target: Target) -> Status;

    /// The bytes at `offset`, at most `most` and at most [`CALL`] of them, and whether they reach the end.
    fn read_file(&mut self, offset: u64, most: u64) -> Result<(Vec<u8>, bool), Fault>;

    /// Writes bytes at `offset`: how many of them.
    fn write_file(&mut self, offset: u64, bytes: Cow<'_, [u8]>) -> Result<u64, Fault>;

    /// Makes the file shorter, or longer by zeros.
    fn resize_file(&mut self, size: u64) -> Result<(), Fault>;

    /// Hands on what was written.
    fn flush_file(&mut self) -> Result<(), Fault>;

    /// Whether times may be set, which are not kept: all are that of the request.
    fn takes_times(&self) -> bool;

    /// Whether the file can be read and written by streams.
    fn has_streams(&self) -> bool;

    /// Opens what a path leads to from `from`.
    fn open(&mut self, from: Opened, path: &[u8], wish: Wish) -> Result<Opened, Fault> {
        from.directory()?;
        let opened = match path::open(path, wish)? {
            Target::Partition => Opened::Partition {
                reads: wish.read,
                writes: wish.write,
            },
            Target::Root | Target::Absent => Opened::Root,
        };
        if wish.truncate {
            self.resize_file(0)?;
        }
        Ok(opened)
    }

    /// Reads what is open, as [`read_file`](Self::read_file) does.
    fn read(&mut self, opened: Opened, offset: u64, most: u64) -> Result<(Vec<u8>, bool), Fault> {
        opened.readable()?;
        self.read_file(offset, most)
    }

    /// Writes what is open, as [`write_file`](Self::write_file) does.
    fn write(&mut self, opened: Opened, offset: u64, bytes: Cow<'_, [u8]>) -> Result<u64, Fault> {
        opened.writable()?;
        self.write_file(offset, bytes)
    }

    /// Gives what is open another size.
    fn resize(&mut self, opened: Opened, size: u64) -> Result<(), Fault> {
        // As `ftruncate` has it of a file that is open for reading alone.
        opened.writable().map_err(|code| match code {
            ErrorCode::BadDescriptor => ErrorCode::Invalid,
            code => code,
        })?;
        self.resize_file(size)
    }

    /// Sets the times of something that is there.
    fn set_times(&self) -> Result<(), ErrorCode> {
        match self.takes_times() {
            true => Ok(()),
            false => Err(ErrorCode::NotPermitted),
        }
    }

    /// Begins a stream that reads what is open.
    fn read_stream(&self, opened: Opened) -> Result<(), ErrorCode> {
        self.stream(opened)?;
        opened.readable()
    }

    /// Begins a stream that writes what is open.
    fn write_stream(&self, opened: Opened) -> Result<(), ErrorCode> {
        self.stream(opened)?;
        opened.writable()
    }

    #[doc(hidden)]
    fn stream(&self, opened: Opened) -> Result<(), ErrorCode> {
        opened.file()?;
        match self.has_streams() {
            true => Ok(()),
            false => Err(ErrorCode::Unsupported),
        }
    }
}
