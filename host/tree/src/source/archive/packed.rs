//! Opening an archive: telling how it is compressed, and decompressing it into a temporary file while it is read.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Chain, Cursor, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::FileType;

use super::super::error::{ArchiveError, SourceError};
use super::super::input;
use super::super::single::noun;
use super::super::stamp::{Stamp, status};
use super::blocks::{Plain, ReadAt};
use super::compression::{BeyondWindow, Decompressors, Following, WINDOW};
use crate::recognise::{Class, Compression, HEAD, recognise};

/// Bytes decompressed at a time.
const CHUNK: usize = 256 * 1024;

/// How an archive that begins so is compressed; `None` if it is not.
pub(in super::super) fn detect(start: &[u8]) -> Result<Option<Compression>, ArchiveError> {
    match recognise(start) {
        // Old archives have no mark, and a member may begin as anything does.
        None => Ok(None),
        Some(format) => match format.class {
            Class::Tar | Class::Other => Ok(None),
            Class::Compressed(compression) => Ok(Some(compression)),
            _ => Err(ArchiveError::NotAnArchive {
                hint: Some(format.name),
            }),
        },
    }
}

/// An archive that has been opened.
pub(in super::super) enum Opened {
    /// A file that is one as it is.
    Plain(Plain),
    /// One that is compressed, or comes through a pipe.
    Packed(Packed),
}

/// Opens the archive at `path`, or standard input for `-`; a symbolic link there is followed, for the path is the user's.
pub(in super::super) fn open(path: &Path) -> Result<Opened, SourceError> {
    let open_error = |error| SourceError::Open {
        path: path.into(),
        error,
    };
    let file = input::open(path).map_err(open_error)?;
    let status = status(&file).map_err(|error| open_error(error.into()))?;
    let found = FileType::from_raw_mode(status.stx_mode.into());
    match found {
        FileType::RegularFile | FileType::Fifo | FileType::CharacterDevice | FileType::Socket => {}
        _ => {
            return Err(SourceError::WrongType {
                path: path.into(),
                expected: "a tar archive",
                found: noun(found),
            });
        }
    }
    let archive_error = |error| SourceError::Archive {
        path: path.into(),
        error,
    };
    let start = peek(&file).map_err(archive_error)?;
    if start.is_empty() {
        return Err(archive_error(ArchiveError::Empty));
    }
    let compression = detect(&start).map_err(archive_error)?;
    if compression.is_none() && found == FileType::RegularFile {
        return Ok(Opened::Plain(Plain {
            file,
            stamp: Stamp::of_open(&status),
            length: status.stx_size,
        }));
    }
    Ok(Opened::Packed(Packed {
        compression,
        input: Cursor::new(start).chain(file),
        is_file: found == FileType::RegularFile,
    }))
}

/// The first bytes of a file.
fn peek(file: &File) -> Result<Vec<u8>, ArchiveError> {
    let mut start = Vec::new();
    file.take(u64::try_from(HEAD).expect("a small number"))
        .read_to_end(&mut start)
        .map_err(ArchiveError::Read)?;
    Ok(start)
}

/// An archive that is still to be decompressed.
pub(in super::super) struct Packed {
    /// `None` for what comes through a pipe as it is.
    compression: Option<Compression>,
    input: Chain<Cursor<Vec<u8>>, File>,
    /// Whether it is a regular file.
    is_file: bool,
}

impl Packed {
    /// Decompresses it into the file `spool` as far as it is read, up to `limit` bytes.
    pub(in super::super) fn unpack(
        self,
        spool: File,
        decompressors: &dyn Decompressors,
        limit: u64,
    ) -> Result<Unpacking, ArchiveError> {
        let format = self.compression.map_or("tar", Compression::name);
        let output: Box<dyn Read> = match self.compression {
            None => Box::new(self.input),
            Some(compression) => decompressors
                .start(compression, Box::new(self.input), self.is_file)
                .map_err(|error| decompress_error(format, 0, error))?,
        };
        Ok(Unpacking {
            file: spool,
            rest: RefCell::new(Rest {
                output,
                format,
                is_compressed: self.compression.is_some(),
                done: 0,
                limit,
                ended: false,
                buffer: vec![0; CHUNK],
            }),
        })
    }
}

/// An archive that is decompressed into a temporary file as it is read: no further than somebody asks, so that what is
/// found to be wrong ends it there.
pub(in super::super) struct Unpacking {
    file: File,
    rest: RefCell<Rest>,
}

/// What has not been decompressed yet.
struct Rest {
    output: Box<dyn Read>,
    format: &'static str,
    is_compressed: bool,
    /// Bytes that have been.
    done: u64,
    /// Bytes that may be.
    limit: u64,
    ended: bool,
    buffer: Vec<u8>,
}

impl Rest {
    /// The next piece; empty at the end.
    fn next(&mut self) -> Result<&[u8], ArchiveError> {
        let filled = fill(&mut self.output, &mut self.buffer)
            .map_err(|error| decompress_error(self.format, self.done, error))?;
        self.done += u64::try_from(filled).expect("a chunk is small");
        self.ended = filled == 0;
        if self.done > self.limit {
            return Err(ArchiveError::SpoolLimit { limit: self.limit });
        }
        if self.done == 0 {
            return Err(match self.is_compressed {
                true => ArchiveError::Nothing {
                    format: self.format,
                },
                false => ArchiveError::Empty,
            });
        }
        Ok(&self.buffer[..filled])
    }
}

impl ReadAt for Unpacking {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(&self.file, buffer, offset)
    }

    fn reach(&self, end: u64) -> Result<u64, ArchiveError> {
        let mut rest = self.rest.borrow_mut();
        while rest.done < end && !rest.ended {
            let piece = rest.next()?;
            (&self.file).write_all(piece).map_err(ArchiveError::Spool)?;
        }
        Ok(rest.done)
    }
}

impl Unpacking {
    /// Reads what is behind the end of the archive, which nobody needs, for the checksums of the compression. Returns the
    /// temporary file, and how many bytes there were.
    pub(in super::super) fn finish(self) -> Result<(File, u64), ArchiveError> {
        let mut rest = self.rest.into_inner();
        while !rest.ended {
            rest.next()?;
        }
        Ok((self.file, rest.done))
    }
}

/// Reads until the buffer is full or the input ends, for decompressors give little at a time.
pub(in super::super) fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

pub(in super::super) fn decompress_error(
    format: &'static str,
    decompressed: u64,
    error: io::Error,
) -> ArchiveError {
    match BeyondWindow::of(&error) {
        Some(BeyondWindow { wanted }) => ArchiveError::Window {
            format,
            wanted,
            limit: WINDOW,
        },
        None => match Following::of(&error) {
            Some(Following { offset }) => ArchiveError::Follows { format, offset },
            None => ArchiveError::Decompress {
                format,
                decompressed,
                error,
            },
        },
    }
}
