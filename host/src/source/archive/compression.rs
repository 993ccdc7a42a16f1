//! Opening an archive: telling how it is compressed, and decompressing it into a temporary file.

use super::super::content::{Stamp, Store, status};
use super::super::error::{ArchiveError, SourceError};
use super::super::single::noun;
use super::Opened;
use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use rustix::fs::FileType;
use std::fs::File;
use std::io::{self, Chain, Cursor, Read, Write};
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

    fn decompressor<'r>(self, input: impl Read + 'r) -> io::Result<Box<dyn Read + 'r>> {
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

/// Opens the archive at `path`; a symbolic link there is followed, for the path is the user's. What is compressed, or comes
/// through a pipe, is copied into a file from `spool`, up to `spool_limit` bytes.
pub(in super::super) fn open(
    path: &Path,
    spool: &dyn Fn() -> io::Result<File>,
    spool_limit: u64,
) -> Result<Opened, SourceError> {
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
    let (start, input) = peek(&file).map_err(archive_error)?;
    let compression = Compression::detect(&start).map_err(archive_error)?;
    if compression == Compression::None && found == FileType::RegularFile {
        drop(input);
        return Ok(Opened {
            store: Store::Shared {
                path: path.into(),
                file,
                stamp: Stamp::of_open(&status),
                size: status.stx_size,
            },
            spooled: 0,
        });
    }
    let (file, spooled) =
        decompress(compression, input, spool, spool_limit).map_err(archive_error)?;
    Ok(Opened {
        store: Store::Private {
            path: path.into(),
            file,
        },
        spooled,
    })
}

type Input<'f> = Chain<Cursor<Vec<u8>>, &'f File>;

/// The first bytes of a file, and all of it.
fn peek(file: &File) -> Result<(Vec<u8>, Input<'_>), ArchiveError> {
    let mut start = Vec::new();
    let mark = u64::try_from(MARK).expect("a small number");
    file.take(mark)
        .read_to_end(&mut start)
        .map_err(ArchiveError::Read)?;
    Ok((start.clone(), Cursor::new(start).chain(file)))
}

fn decompress(
    compression: Compression,
    input: impl Read,
    spool: &dyn Fn() -> io::Result<File>,
    limit: u64,
) -> Result<(File, u64), ArchiveError> {
    let damaged = |decompressed| {
        move |error| ArchiveError::Decompress {
            format: compression.name(),
            decompressed,
            error,
        }
    };
    let mut output = compression.decompressor(input).map_err(damaged(0))?;
    let mut file = spool().map_err(ArchiveError::Spool)?;
    let mut buffer = vec![0; CHUNK];
    let mut total = 0;
    loop {
        let filled = fill(&mut output, &mut buffer).map_err(damaged(total))?;
        if filled == 0 {
            break;
        }
        total += u64::try_from(filled).expect("a chunk is small");
        if total > limit {
            return Err(ArchiveError::SpoolLimit { limit });
        }
        file.write_all(&buffer[..filled])
            .map_err(ArchiveError::Spool)?;
    }
    if total == 0 {
        return Err(ArchiveError::Empty);
    }
    Ok((file, total))
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
