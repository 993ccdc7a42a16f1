//! Directories: sets of entries of 32 bytes, a primary one and what belongs to it (sections 6 and 7).

use cellblock_guest::Timestamp;

use super::clusters::Allocation;
use super::moment::{Stamp, moment};
use crate::names;

pub(crate) const LENGTH: usize = 32;
/// The most bytes of a directory (section 7.6.7).
pub(crate) const SIZE_LIMIT: u64 = 256 << 20;

/// Types of entries (sections 6.2.1 and 7), with the bits of [`IN_USE`], [`SECONDARY`] and [`BENIGN`].
const END: u8 = 0x00;
const BITMAP: u8 = 0x81;
const UP_CASE: u8 = 0x82;
const LABEL: u8 = 0x83;
const FILE: u8 = 0x85;
const STREAM: u8 = 0xC0;
const NAME: u8 = 0xC1;

const IN_USE: u8 = 0x80;
const SECONDARY: u8 = 0x40;
/// What whoever does not know the type may pass over.
const BENIGN: u8 = 0x20;

/// Attributes of files (section 7.4.4).
const READ_ONLY: u16 = 0x01;
const HIDDEN: u16 = 0x02;
const SYSTEM: u16 = 0x04;
const DIRECTORY: u16 = 0x10;
/// Flags of an allocation (section 6.4.2).
const ALLOCATION_POSSIBLE: u8 = 1;
const NO_FAT_CHAIN: u8 = 2;
/// The UTF-16 units of a name that an entry holds (section 7.7.3), and of a label (section 7.3.2).
const NAME_UNITS: usize = 15;
const LABEL_UNITS: usize = 11;

/// A file or a directory.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) is_directory: bool,
    pub(crate) is_read_only: bool,
    /// Whether it is hidden, or of the system.
    pub(crate) is_marked: bool,
    pub(crate) modified: Timestamp,
    pub(crate) allocation: Allocation,
    /// The bytes that were written; those behind them are zeros, whatever stands in the clusters.
    pub(crate) valid: u64,
}

/// What stands in the root alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Special {
    pub(crate) label: Option<Vec<u8>>,
    /// The bitmaps of both tables.
    pub(crate) bitmaps: [Option<Allocation>; 2],
    /// The up-case table, and its checksum.
    pub(crate) up_case: Option<(Allocation, u32)>,
}

/// What a directory has, as it is taken in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    /// Those that were found, until somebody takes them.
    pub(crate) found: Vec<Entry>,
    pub(crate) special: Special,
    is_root: bool,
    is_over: bool,
    /// The set that has not ended.
    set: Option<Set>,
    /// How many secondary entries of a set that means nothing may follow.
    passed_over: u8,
}

/// The set of a file.
#[derive(Clone, Debug)]
struct Set {
    /// Where it begins, in the partition.
    start: u64,
    /// The secondary entries that are missing.
    left: u8,
    stored: u16,
    sum: u16,
    attributes: u16,
    modified: Timestamp,
    stream: Option<Stream>,
    units: Vec<u16>,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    allocation: Allocation,
    valid: u64,
    is_possible: bool,
    /// In units.
    name: usize,
}

/// What is wrong, and where in the partition.
pub(crate) type Problem = (u64, String);

impl Entries {
    pub(crate) fn new(is_root: bool) -> Self {
        Self {
            is_root,
            ..Self::default()
        }
    }

    /// Takes in bytes of the directory that stand at `start`: whole entries.
    ///
    /// # Errors
    /// If a set cannot be.
    pub(crate) fn take(&mut self, bytes: &[u8], start: u64) -> Result<(), Problem> {
        let (entries, _) = bytes.as_chunks();
        for (at, entry) in (start..).step_by(LENGTH).zip(entries) {
            if self.is_over {
                break;
            }
            self.take_one(entry, at)?;
        }
        Ok(())
    }

    /// Whether the end was seen: nothing behind it counts.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Says that there are no more bytes.
    ///
    /// # Errors
    /// If a set has not ended.
    pub(crate) fn end(&mut self) -> Result<(), Problem> {
        self.is_over = true;
        match self.set.take() {
            Some(set) => Err(set.cut_off()),
            None => Ok(()),
        }
    }

    fn take_one(&mut self, entry: &[u8; LENGTH], at: u64) -> Result<(), Problem> {
        let kind = entry[0];
        if let Some(mut set) = self.set.take() {
            if kind & (IN_USE | SECONDARY) != IN_USE | SECONDARY {
                return Err(set.cut_off());
            }
            set.take(entry)?;
            if set.left > 0 {
                self.set = Some(set);
            } else {
                self.found.push(set.finish()?);
            }
            return Ok(());
        }
        let passed_over = std::mem::take(&mut self.passed_over);
        match kind {
            END => self.is_over = true,
            _ if kind & IN_USE == 0 => {}
            FILE => self.set = Some(Set::begin(entry, at)?),
            BITMAP | UP_CASE | LABEL if self.is_root => self.take_special(entry, at)?,
            _ if kind & SECONDARY != 0 && passed_over > 0 => self.passed_over = passed_over - 1,
            _ if kind & SECONDARY != 0 && kind & BENIGN == 0 => {
                return Err((
                    at,
                    format!("has an entry of type {kind:#04x}, which belongs to none before it"),
                ));
            }
            _ if kind & BENIGN != 0 => {
                if kind & SECONDARY == 0 {
                    self.passed_over = entry[1];
                }
            }
            _ => return Err((at, format!("has an entry of the unknown type {kind:#04x}"))),
        }
        Ok(())
    }

    fn take_special(&mut self, entry: &[u8; LENGTH], at: u64) -> Result<(), Problem> {
        let allocation = || Allocation {
            first: u32_at(entry, 20),
            length: u64_at(entry, 24),
            is_contiguous: false,
        };
        match entry[0] {
            // Section 7.1.2: the bit says to which table it belongs.
            BITMAP => {
                self.special.bitmaps[usize::from(entry[1] & 1)].get_or_insert_with(allocation);
            }
            UP_CASE => {
                let checksum = u32_at(entry, 4);
                let table = || (allocation(), checksum);
                self.special.up_case.get_or_insert_with(table);
            }
            _ => {
                let count = usize::from(entry[1]);
                if count > LABEL_UNITS {
                    let problem = format!("has a label of {count} characters, more than 11");
                    return Err((at, problem));
                }
                let units = units(&entry[2..2 + 2 * count]);
                let label: Vec<u16> = units.collect();
                self.special
                    .label
                    .get_or_insert_with(|| names::long(&label));
            }
        }
        Ok(())
    }
}

impl Set {
    /// Section 7.4.
    fn begin(entry: &[u8; LENGTH], start: u64) -> Result<Self, Problem> {
        let left = entry[1];
        if left < 2 {
            let problem = format!("has a file with {left} secondary entries, and it takes 2");
            return Err((start, problem));
        }
        Ok(Self {
            start,
            left,
            stored: u16_at(entry, 2),
            // The sum itself is left out.
            sum: checksum(checksum(0, &entry[..2]), &entry[4..]),
            attributes: u16_at(entry, 4),
            modified: moment(Stamp {
                time: u16_at(entry, 12),
                date: u16_at(entry, 14),
                hundredths: entry[21],
                zone: entry[23],
            }),
            stream: None,
            units: Vec::new(),
        })
    }

    fn take(&mut self, entry: &[u8; LENGTH]) -> Result<(), Problem> {
        self.left -= 1;
        self.sum = checksum(self.sum, entry);
        let kind = entry[0];
        let is_unknown = || {
            let problem = format!("has a file with an entry of type {kind:#04x}, out of order");
            (self.start, problem)
        };
        match &self.stream {
            None if kind == STREAM => self.stream = Some(Stream::parse(entry)),
            Some(stream) if self.units.len() < stream.name => {
                if kind != NAME {
                    return Err(is_unknown());
                }
                let left = (stream.name - self.units.len()).min(NAME_UNITS);
                self.units.extend(units(&entry[2..2 + 2 * left]));
            }
            // Such as vendors have (sections 7.8 and 7.9).
            Some(_) if kind & BENIGN != 0 => {}
            _ => return Err(is_unknown()),
        }
        Ok(())
    }

    fn cut_off(&self) -> Problem {
        let problem = format!(
            "has a file whose set of entries ends {} entries too early",
            self.left
        );
        (self.start, problem)
    }

    fn finish(self) -> Result<Entry, Problem> {
        let start = self.start;
        let wrong = |problem: String| Err((start, problem));
        let (sum, stored) = (self.sum, self.stored);
        if sum != stored {
            return wrong(format!(
                "has a file whose set of entries has the checksum {stored:#06x}, and its bytes {sum:#06x}"
            ));
        }
        let Some(stream) = self.stream else {
            return wrong("has a file without a stream".to_owned());
        };
        let name = names::long(&self.units);
        let shown = name.escape_ascii();
        if self.units.len() < stream.name {
            return wrong(format!(
                "has a file whose name has {} characters, and '{shown}' of them",
                stream.name
            ));
        }
        let is_name = !matches!(&*name, b"" | b"." | b"..")
            && !name.iter().any(|byte| matches!(byte, b'/' | 0));
        if !is_name {
            return wrong(format!("has a file called '{shown}'"));
        }
        let length = stream.allocation.length;
        if length > 0 && !stream.is_possible {
            return wrong(format!(
                "has the file '{shown}' of {length} bytes, for which no clusters can be"
            ));
        }
        let is_directory = self.attributes & DIRECTORY != 0;
        if is_directory && length > SIZE_LIMIT {
            return wrong(format!(
                "has the directory '{shown}' of {length} bytes, more than {SIZE_LIMIT}"
            ));
        }
        if !is_directory && stream.valid > length {
            return wrong(format!(
                "has the file '{shown}' of {length} bytes, {} of which are valid",
                stream.valid
            ));
        }
        Ok(Entry {
            name,
            is_directory,
            is_read_only: self.attributes & READ_ONLY != 0,
            is_marked: self.attributes & (HIDDEN | SYSTEM) != 0,
            modified: self.modified,
            allocation: stream.allocation,
            valid: stream.valid,
        })
    }
}

impl Stream {
    /// Section 7.6.
    fn parse(entry: &[u8; LENGTH]) -> Self {
        let flags = entry[1];
        Self {
            allocation: Allocation {
                first: u32_at(entry, 20),
                length: u64_at(entry, 24),
                is_contiguous: flags & NO_FAT_CHAIN != 0,
            },
            valid: u64_at(entry, 8),
            is_possible: flags & ALLOCATION_POSSIBLE != 0,
            name: entry[3].into(),
        }
    }
}

/// Goes on with the checksum of a set (section 6.3.3).
fn checksum(sum: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(sum, |sum, byte| {
        sum.rotate_right(1).wrapping_add((*byte).into())
    })
}

fn units(bytes: &[u8]) -> impl Iterator<Item = u16> {
    let (units, _) = bytes.as_chunks();
    units.iter().map(|unit| u16::from_le_bytes(*unit))
}

fn u16_at(entry: &[u8; LENGTH], at: usize) -> u16 {
    u16::from_le_bytes([entry[at], entry[at + 1]])
}

fn u32_at(entry: &[u8; LENGTH], at: usize) -> u32 {
    u32::from(u16_at(entry, at)) | u32::from(u16_at(entry, at + 2)) << 16
}

fn u64_at(entry: &[u8; LENGTH], at: usize) -> u64 {
    u64::from(u32_at(entry, at)) | u64::from(u32_at(entry, at + 4)) << 32
}
