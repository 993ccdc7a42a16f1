//! Disks that are not plain bytes in a file: read at an offset, as if they were.
//!
//! ```text
//!     file ──> header, tables ──> piece of the disk ──┬─> zeros
//!              (Layout: qcow2, VMDK, VHD)             ├─> plain, at an offset of the file
//!                                                     └─> compressed ──> decoder, behind the wall
//! ```
//!
//! Whoever made the file may have meant harm. Of its tables one level is held, of at most [`MOST_TABLE`]; no number of it decides how much
//! is read at once; nothing beyond its end is there; no other file that it names is opened; and what it says to be data is not
//! more than it could hold.

mod error;
mod qcow2;
mod snapshots;
#[cfg(test)]
pub(crate) mod tests;
mod vhd;
mod vmdk;

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};
use zerocopy::{FromBytes, IntoBytes};

use cellblock_text::PathBytes;
use cellblock_tree::recognise::{Format, recognise};
use cellblock_tree::volume::{Coding, Decoder, Decoders, EncodedBlock};

pub use error::DiskFault;
pub use snapshots::Snapshots;

/// The most bytes of the table by which others are found.
const MOST_TABLE: u64 = 32 << 20;
/// The bytes of decoded pieces that are kept, if there are two of them.
const KEPT: usize = 8 << 20;
/// As many ranges of data are told apart; of more, those that are nearest to each other become one.
const MOST_RANGES: usize = 1 << 20;
/// The bytes of a table from which on entries are read at once.
const PAGE: usize = 16 << 10;

/// A part of a disk, and where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    /// Which bytes of the disk; the last one may reach beyond its end.
    range: Range<u64>,
    mapping: Mapping,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mapping {
    Zeros,
    /// At this offset of the file.
    Plain(u64),
    Packed(Packed),
}

/// Compressed bytes in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packed {
    coding: Coding,
    offset: u64,
    length: u32,
}

impl Packed {
    /// The fewest bytes of the file that it can take, if so many come out.
    fn least(self, decoded: u64) -> u64 {
        /// A stream that holds nothing (zlib).
        const EMPTY: u64 = 8;
        /// A length may count sectors of which only a part is its own.
        const SECTOR: u64 = 512;
        // The most that comes out of a byte: of a block of zstd's in 4, and by the longest match of DEFLATE.
        let ratio = match self.coding {
            Coding::Zstd => (128 << 10) / 4,
            _ => 1032,
        };
        let said = u64::from(self.length).saturating_sub(SECTOR - 1);
        said.max(decoded / ratio).max(EMPTY)
    }
}

/// Where the bytes of a disk are: what a format knows.
trait Layout: fmt::Debug + Send + Sync {
    /// The bytes of the disk.
    fn size(&self) -> u64;

    /// The piece that a byte of the disk is in, which is not behind its end.
    fn piece(&self, file: &Stored, at: u64) -> io::Result<Piece>;

    /// What the file holds beside the disk.
    fn snapshots(&self) -> Option<&Snapshots> {
        None
    }

    /// What is compressed, without what the format has written before it.
    fn bare(&self, _: &Stored, _: &Piece, packed: Packed) -> io::Result<Packed> {
        Ok(packed)
    }
}

/// The file of a disk, in which nothing is read beyond the end.
struct Stored {
    file: File,
    length: u64,
    /// What was read last of a table, and from where on.
    page: Mutex<(u64, Vec<u8>)>,
}

impl fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Stored");
        shown.field("length", &self.length).finish_non_exhaustive()
    }
}

impl Stored {
    /// Refuses what is not in the file as a whole.
    fn check(&self, what: &'static str, offset: u64, length: u64) -> Result<(), DiskFault> {
        match offset.checked_add(length) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(DiskFault::Outside {
                what,
                offset,
                length,
                file: self.length,
            }),
        }
    }

    fn read(&self, what: &'static str, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.check(what, offset, buffer.len() as u64)?;
        self.file.read_exact_at(buffer, offset)
    }

    /// A structure of fixed length.
    fn get<T: FromBytes + IntoBytes>(&self, what: &'static str, offset: u64) -> io::Result<T> {
        let mut value = T::new_zeroed();
        self.read(what, offset, value.as_mut_bytes())?;
        Ok(value)
    }

    /// An entry of a table, of which others are asked for soon.
    fn entry<const N: usize>(&self, what: &'static str, offset: u64) -> io::Result<[u8; N]> {
        self.check(what, offset, N as u64)?;
        let start = offset - offset % PAGE as u64;
        let within = usize::try_from(offset - start).expect("less than a page");
        let mut page = lock(&self.page);
        let is_there =
            |page: &(u64, Vec<u8>)| page.0 == start && page.1.len() >= within.saturating_add(N);
        if !is_there(&page) {
            // An entry may reach into the next page where a table is not aligned.
            let count = crate::copy::at_most(self.length - start, 2 * PAGE);
            page.1.resize(count, 0);
            page.0 = u64::MAX;
            self.file.read_exact_at(&mut page.1, start)?;
            page.0 = start;
        }
        let mut entry = [0; N];
        entry.copy_from_slice(&page.1[within..within + N]);
        Ok(entry)
    }

    /// The table by which others are found: so many entries of `N` bytes.
    fn table<const N: usize>(
        &self,
        what: &'static str,
        offset: u64,
        entries: u64,
    ) -> io::Result<Vec<[u8; N]>> {
        let length = entries.checked_mul(N as u64).filter(|it| *it <= MOST_TABLE);
        let length = length.ok_or_else(|| DiskFault::Number {
            what: "the number of entries of its first table",
            value: entries,
            expected: format!("at most {}", MOST_TABLE / N as u64),
        })?;
        self.check(what, offset, length)?;
        let mut bytes = vec![0; usize::try_from(length).expect("at most MOST_TABLE")];
        self.file.read_exact_at(&mut bytes, offset)?;
        let (entries, _) = bytes.as_chunks::<N>();
        Ok(entries.to_vec())
    }
}

/// Refuses a table that two places lead to: it would make much of little.
fn each_once(what: &'static str, places: impl Iterator<Item = u64>) -> Result<(), DiskFault> {
    let mut places: Vec<u64> = places.collect();
    places.sort_unstable();
    match places.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(DiskFault::Twice {
            what,
            offset: pair[0],
        }),
        None => Ok(()),
    }
}

/// What another file is called, which may be nothing.
fn called(name: &[u8]) -> PathBytes {
    PathBytes::from(if name.is_empty() {
        b"another file, without a name"
    } else {
        name
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A disk in a file that holds it in a way of its own: qcow2, VMDK, VHD.
pub struct VirtualDisk {
    stored: Stored,
    layout: Box<dyn Layout>,
    decoders: Arc<dyn Decoders>,
    /// Those that nobody uses at the moment.
    idle: Mutex<Vec<Box<dyn Decoder>>>,
    /// Pieces that were decoded last, by their beginning on the disk.
    kept: Mutex<VecDeque<(u64, Arc<[u8]>)>>,
}

impl fmt::Debug for VirtualDisk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VirtualDisk")
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

impl VirtualDisk {
    /// The disk in `file`, which has `length` bytes, if it is a file of such a format. `decoders` are asked for what is compressed.
    ///
    /// # Errors
    /// If it cannot be read, or has [what is not read](DiskFault).
    pub fn open(
        file: &File,
        length: u64,
        decoders: &Arc<dyn Decoders>,
    ) -> io::Result<Option<Self>> {
        let stored = Stored {
            file: file.try_clone()?,
            length,
            page: Mutex::new((u64::MAX, Vec::new())),
        };
        let Some(layout) = layout(&stored)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            stored,
            layout,
            decoders: Arc::clone(decoders),
            idle: Mutex::default(),
            kept: Mutex::default(),
        }))
    }

    /// The bytes of the disk.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.layout.size()
    }

    /// The snapshots that the file holds beside the disk; none of them is read.
    #[must_use]
    pub fn snapshots(&self) -> Option<&Snapshots> {
        self.layout.snapshots()
    }

    /// Fills `buffer` with the bytes of the disk from `offset` on.
    ///
    /// # Errors
    /// If they reach beyond its end, cannot be read, or the file is [damaged](DiskFault).
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (mut at, mut rest) = (offset, buffer);
        while !rest.is_empty() {
            let piece = self.layout.piece(&self.stored, at)?;
            let count = crate::copy::at_most(piece.range.end - at, rest.len());
            let (part, after) = std::mem::take(&mut rest).split_at_mut(count);
            self.read_piece(&piece, at - piece.range.start, part)?;
            rest = after;
            at += count as u64;
        }
        Ok(())
    }

    fn read_piece(&self, piece: &Piece, within: u64, part: &mut [u8]) -> io::Result<()> {
        match piece.mapping {
            Mapping::Zeros => part.fill(0),
            Mapping::Plain(offset) => {
                // The last one may be cut short by the end of the file: the rest of it was never written.
                self.stored.check("data", offset, 1)?;
                let there = self.stored.length.saturating_sub(offset + within);
                let (there, beyond) = part.split_at_mut(crate::copy::at_most(there, part.len()));
                self.stored.file.read_exact_at(there, offset + within)?;
                beyond.fill(0);
            }
            Mapping::Packed(packed) => {
                let decoded = self.decoded(piece, packed)?;
                let within = usize::try_from(within).expect("within a piece that is in memory");
                part.copy_from_slice(&decoded[within..within + part.len()]);
            }
        }
        Ok(())
    }

    /// The bytes of a compressed piece.
    fn decoded(&self, piece: &Piece, packed: Packed) -> io::Result<Arc<[u8]>> {
        let start = piece.range.start;
        let find = |kept: &VecDeque<(u64, Arc<[u8]>)>| {
            let found = kept.iter().find(|(at, _)| *at == start);
            found.map(|(_, bytes)| Arc::clone(bytes))
        };
        if let Some(bytes) = find(&lock(&self.kept)) {
            return Ok(bytes);
        }
        let packed = self.layout.bare(&self.stored, piece, packed)?;
        let expected = piece.range.end - start;
        let block = EncodedBlock {
            coding: packed.coding,
            offset: packed.offset,
            length: packed.length,
            padded: false,
            decoded: u32::try_from(expected).expect("a compressed piece has at most 16 MiB"),
        };
        if !block.fits(self.stored.length) {
            return Err(DiskFault::Outside {
                what: "what is compressed",
                offset: packed.offset,
                length: packed.length.into(),
                file: self.stored.length,
            }
            .into());
        }
        let mut bytes = vec![0; packed.length as usize];
        self.stored.file.read_exact_at(&mut bytes, packed.offset)?;
        let idle = lock(&self.idle).pop();
        let mut decoder = match idle {
            Some(decoder) => decoder,
            None => self.decoders.start()?,
        };
        // One that fails is not used again.
        let mut bytes = decoder
            .decoded(&block, &bytes)
            .map_err(|error| DiskFault::Damaged {
                offset: packed.offset,
                reason: error.to_string(),
            })?;
        lock(&self.idle).push(decoder);
        // The last piece may end with the disk.
        let least = expected.min(self.size() - start);
        if (bytes.len() as u64) < least {
            return Err(DiskFault::Length {
                offset: packed.offset,
                found: bytes.len() as u64,
                expected,
            }
            .into());
        }
        bytes.resize(block.decoded as usize, 0);
        let bytes: Arc<[u8]> = bytes.into();
        let mut kept = lock(&self.kept);
        kept.push_back((start, Arc::clone(&bytes)));
        while kept.len() > 2 && kept.iter().map(|(_, it)| it.len()).sum::<usize>() > KEPT {
            kept.pop_front();
        }
        Ok(bytes)
    }

    /// Where in a range of the disk there is data, ascending; the rest are zeros.
    ///
    /// # Errors
    /// If the tables cannot be read or are [damaged](DiskFault).
    pub fn extents(&self, range: Range<u64>) -> io::Result<Vec<Range<u64>>> {
        let mut ranges = Ranges::default();
        let (mut plain, mut packed) = (0_u64, 0_u64);
        let mut at = range.start;
        while at < range.end {
            let piece = self.layout.piece(&self.stored, at)?;
            let end = piece.range.end.min(range.end);
            match piece.mapping {
                Mapping::Zeros => {}
                Mapping::Plain(_) => plain += end - at,
                Mapping::Packed(it) => packed += it.least(end - at),
            }
            // A piece at the end may be in the file as far as it is on the disk.
            let room = self.stored.length;
            if plain > room || packed > room {
                return Err(DiskFault::TooMuch {
                    data: end - range.start,
                    file: room,
                }
                .into());
            }
            if piece.mapping != Mapping::Zeros {
                ranges.add(at..end);
            }
            at = end;
        }
        Ok(ranges.found)
    }
}

/// The bytes that are copied at once.
const COPIED: usize = 1 << 20;

impl VirtualDisk {
    /// Copies a range to the beginning of `target`, which is empty; zeros become holes. What fails about the target is inside.
    /// `watch` is told of each number of bytes that is done.
    pub(crate) fn copy(
        &self,
        range: Range<u64>,
        target: &File,
        watch: &dyn Fn(u64),
    ) -> io::Result<io::Result<()>> {
        let mut buffer = vec![0; COPIED];
        let mut done = range.start;
        for extent in self.extents(range.clone())? {
            watch(extent.start - done);
            done = extent.start;
            while done < extent.end {
                let count = crate::copy::at_most(extent.end - done, COPIED);
                self.read(done, &mut buffer[..count])?;
                if let Err(error) = target.write_all_at(&buffer[..count], done - range.start) {
                    return Ok(Err(error));
                }
                done += count as u64;
                watch(count as u64);
            }
        }
        watch(range.end - done);
        Ok(Ok(()))
    }
}

/// The bytes that are read at a time for a digest.
const READ: usize = 1 << 20;

/// Where the bytes of a disk are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bytes<'a> {
    /// In a file, as they are.
    File(&'a File),
    /// In a file of another format.
    Disk(&'a VirtualDisk),
}

impl Bytes<'_> {
    pub(crate) fn read(self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(buffer, offset),
            Self::Disk(disk) => disk.read(offset, buffer),
        }
    }

    /// The SHA-256 digest of the bytes in `range`. `failed` makes an error of one in reading from an offset.
    pub(crate) fn digest<E>(
        self,
        range: Range<u64>,
        failed: impl Fn(u64, io::Error) -> E,
    ) -> Result<[u8; 32], E> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; READ];
        let mut offset = range.start;
        while offset < range.end {
            let count = crate::copy::at_most(range.end - offset, READ);
            let bytes = &mut buffer[..count];
            self.read(offset, bytes)
                .map_err(|error| failed(offset, error))?;
            hash.update(&*bytes);
            offset += count as u64;
        }
        Ok(hash.finalize().into())
    }

    /// Where among the first `length` bytes there is data, ascending.
    pub(crate) fn extents(self, length: u64) -> io::Result<Vec<Range<u64>>> {
        match self {
            Self::File(file) => crate::copy::extents(file, 0, length),
            Self::Disk(disk) => disk.extents(0..length),
        }
    }
}

/// Ranges in ascending order, whose number is bounded.
#[derive(Default)]
struct Ranges {
    found: Vec<Range<u64>>,
    /// Those that are no farther apart become one.
    apart: u64,
}

impl Ranges {
    fn add(&mut self, range: Range<u64>) {
        match self.found.last_mut() {
            Some(last) if range.start - last.end <= self.apart => last.end = range.end,
            _ => self.found.push(range),
        }
        while self.found.len() > MOST_RANGES {
            self.apart = (self.apart * 2).max(4096);
            let apart = self.apart;
            self.found.dedup_by(|next, last| {
                let is_near = next.start - last.end <= apart;
                if is_near {
                    last.end = next.end;
                }
                is_near
            });
        }
    }
}

/// The layout of a file, by its marks.
fn layout(stored: &Stored) -> io::Result<Option<Box<dyn Layout>>> {
    let mut head = [0; 8];
    let there = crate::copy::at_most(stored.length, head.len());
    stored.file.read_exact_at(&mut head[..there], 0)?;
    Ok(match &head {
        [b'Q', b'F', b'I', 0xfb, ..] => Some(Box::new(qcow2::Qcow2::open(stored)?)),
        [b'K', b'D', b'M', b'V', ..] => Some(Box::new(vmdk::Vmdk::open(stored)?)),
        [b'C', b'O', b'W', b'D', ..] => Err(DiskFault::Kind {
            kind: "a VMDK of the kind that ESX has (COWD)".to_owned(),
        })?,
        b"# Disk D" => Err(vmdk::descriptor_alone(stored)?)?,
        b"conectix" => Some(Box::new(vhd::Vhd::dynamic(stored)?)),
        _ => vhd::Vhd::fixed(stored)?.map(|vhd| Box::new(vhd) as Box<dyn Layout>),
    })
}

/// Whether a file is a VHD by what it ends with: a disk with a footer behind it.
pub(crate) fn is_fixed_vhd(file: &File, length: u64) -> io::Result<Option<&'static Format>> {
    let stored = Stored {
        file: file.try_clone()?,
        length,
        page: Mutex::default(),
    };
    let found = vhd::Vhd::fixed(&stored)?;
    Ok(found.and_then(|_| recognise(b"conectix")))
}
