//! Opening an archive: telling how it is compressed, and decompressing it into a temporary file while it is read.

use super::super::error::{ArchiveError, SourceError};
use super::super::single::noun;
use super::super::stamp::{Stamp, status};
use super::blocks::{Plain, ReadAt};
use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use rustix::fs::FileType;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Chain, Cursor, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes that tell a compression: as many as the longest mark has.
const MARK: usize = 6;

/// Memory that a decompressor may take: enough for `xz -9`.
const XZ_MEMORY: u64 = 128 * 1024 * 1024;

/// Bytes decompressed at a time.
const CHUNK: usize = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
    Xz,
}

impl Compression {
    fn detect(start: &[u8]) -> Result<Self, ArchiveError> {
        let hint = match start {
            [] => return Err(ArchiveError::Empty),
            // RFC 1952, section 2.3.1.
            [0x1f, 0x8b, ..] => return Ok(Self::Gzip),
            // RFC 8878, section 3.1.1, and skippable frames, section 3.1.2.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                return Ok(Self::Zstd);
            }
            // The .xz File Format, section 2.1.1.1.
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => return Ok(Self::Xz),
            [b'B', b'Z', b'h', ..] => "it is compressed with bzip2; recompress it with zstd",
            [0x5d, 0, 0, ..] => "it looks compressed with lzma; recompress it with xz",
            [0x04, 0x22, 0x4d, 0x18, ..] => "it is compressed with lz4; recompress it with zstd",
            [b'P', b'K', 3, 4, ..] => "it is a zip archive",
            [b'0', b'7', b'0', b'7', b'0', ..] => "it is a cpio archive",
            _ => return Ok(Self::None),
        };
        Err(ArchiveError::NotAnArchive { hint: Some(hint) })
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "tar",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
        }
    }

    fn decompressor(self, input: impl Read + 'static) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::None => Box::new(input),
            Self::Gzip => Box::new(MultiGzDecoder::new(input)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(input)?),
            Self::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
                Box::new(XzDecoder::new_stream(input, stream))
            }
        })
    }
}

/// An archive that has been opened.
pub(in super::super) enum Opened {
    /// A file that is one as it is.
    Plain(Plain),
    /// One that is compressed, or comes through a pipe.
    Packed(Packed),
}

/// Opens the archive at `path`; a symbolic link there is followed, for the path is the user's.
pub(in super::super) fn open(path: &Path) -> Result<Opened, SourceError> {
    let open_error = |error| SourceError::Open {
        path: path.into(),
        error,
    };
    let file = File::open(path).map_err(open_error)?;
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
    let compression = Compression::detect(&start).map_err(archive_error)?;
    if compression == Compression::None && found == FileType::RegularFile {
        return Ok(Opened::Plain(Plain {
            file,
            stamp: Stamp::of_open(&status),
            length: status.stx_size,
        }));
    }
    Ok(Opened::Packed(Packed {
        compression,
        input: Cursor::new(start).chain(file),
    }))
}

/// The first bytes of a file.
fn peek(file: &File) -> Result<Vec<u8>, ArchiveError> {
    let mut start = Vec::new();
    let mark = u64::try_from(MARK).expect("a small number");
    file.take(mark)
        .read_to_end(&mut start)
        .map_err(ArchiveError::Read)?;
    Ok(start)
}

/// An archive that is still to be decompressed.
pub(in super::super) struct Packed {
    compression: Compression,
    input: Chain<Cursor<Vec<u8>>, File>,
}

impl Packed {
    /// Decompresses it into the file `spool` as far as it is read, up to `limit` bytes.
    pub(super) fn unpack(self, spool: File, limit: u64) -> Result<Unpacking, ArchiveError> {
        let format = self.compression.name();
        let decompressor = self.compression.decompressor(self.input);
        let output = decompressor.map_err(|error| ArchiveError::Decompress {
            format,
            decompressed: 0,
            error,
        })?;
        Ok(Unpacking {
            file: spool,
            rest: RefCell::new(Rest {
                output,
                format,
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
pub(super) struct Unpacking {
    file: File,
    rest: RefCell<Rest>,
}

/// What has not been decompressed yet.
struct Rest {
    output: Box<dyn Read>,
    format: &'static str,
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
        let filled =
            fill(&mut self.output, &mut self.buffer).map_err(|error| ArchiveError::Decompress {
                format: self.format,
                decompressed: self.done,
                error,
            })?;
        self.done += u64::try_from(filled).expect("a chunk is small");
        self.ended = filled == 0;
        if self.done > self.limit {
            return Err(ArchiveError::SpoolLimit { limit: self.limit });
        }
        if self.done == 0 {
            return Err(ArchiveError::Empty);
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
    pub(super) fn finish(self) -> Result<(File, u64), ArchiveError> {
        let mut rest = self.rest.into_inner();
        while !rest.ended {
            rest.next()?;
        }
        Ok((self.file, rest.done))
    }
}

/// Reads until the buffer is full or the input ends, for decompressors give little at a time.
fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
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
