//! Directories: entries of 32 bytes, with long names before the entries that they are names of.

use cellblock_guest::Timestamp;

use crate::moment::moment;
use crate::names;

const LENGTH: usize = 32;
const READ_ONLY: u8 = 0x01;
const HIDDEN: u8 = 0x02;
const SYSTEM: u8 = 0x04;
const VOLUME: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
/// What stands for a part of a long name.
const LONG: u8 = 0x0F;
/// The bit of the first part of a long name, which has the name's end.
const FIRST_PART: u8 = 0x40;
/// The most parts of a name, of 13 units each.
const PARTS_LIMIT: u8 = 20;

/// A file or a directory.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) is_directory: bool,
    pub(crate) is_read_only: bool,
    /// Whether it is hidden, or of the system.
    pub(crate) is_marked: bool,
    pub(crate) cluster: u32,
    pub(crate) size: u32,
    pub(crate) modified: Timestamp,
}

/// What a directory has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    pub(crate) all: Vec<Entry>,
    /// The label, which stands in the root.
    pub(crate) label: Option<[u8; 11]>,
    /// How many files have parts of a long name that are none together, and the short name of the first.
    pub(crate) torn: u64,
    pub(crate) first_torn: Vec<u8>,
    /// Whether the end was seen.
    is_over: bool,
    /// How many entries at the beginning may still be the directory itself and the one above it: the root has neither.
    dots_left: u8,
    long: Long,
}

/// A long name, of which some parts were seen.
#[derive(Clone, Debug, Default)]
struct Long {
    units: Vec<u16>,
    /// The number of the part that is to come next.
    next: u8,
    checksum: u8,
    /// Whether a part did not follow the one before.
    is_torn: bool,
}

impl Entries {
    /// Those of the root.
    pub(crate) fn of_root() -> Self {
        Self::default()
    }

    /// Those of any other directory.
    pub(crate) fn of_another() -> Self {
        Self {
            dots_left: 2,
            ..Self::default()
        }
    }

    /// Takes in bytes of the directory: whole entries.
    ///
    /// # Errors
    /// In words, if a name cannot be.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let (entries, _) = bytes.as_chunks();
        for entry in entries {
            if self.is_over {
                return Ok(());
            }
            self.take_one(entry)?;
        }
        Ok(())
    }

    /// A name that two entries have.
    pub(crate) fn twice(&self) -> Option<&[u8]> {
        let mut names: Vec<&[u8]> = self.all.iter().map(|entry| &*entry.name).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|two| two[0] == two[1]);
        twice.map(|two| two[0])
    }

    /// Whether the end was seen: nothing behind it counts.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    fn take_one(&mut self, entry: &[u8; LENGTH]) -> Result<(), String> {
        let (stored, rest) = entry.split_first_chunk::<11>().expect("it has 32 bytes");
        let kind = rest[0];
        let may_be_dots = self.dots_left > 0;
        self.dots_left = self.dots_left.saturating_sub(1);
        match stored[0] {
            0 => self.is_over = true,
            0xE5 => self.long = Long::default(),
            _ if kind & 0x3F == LONG => self.long.take(entry),
            _ if kind & VOLUME != 0 => {
                self.long = Long::default();
                self.label.get_or_insert(*stored);
            }
            _ => self.take_file(stored, entry, may_be_dots)?,
        }
        Ok(())
    }

    fn take_file(
        &mut self,
        stored: &[u8; 11],
        entry: &[u8; LENGTH],
        may_be_dots: bool,
    ) -> Result<(), String> {
        let long = std::mem::take(&mut self.long);
        if matches!(stored, b".          " | b"..         ") {
            // Kernels show it as the directory itself, or the one above it: what it holds is out of reach.
            if !may_be_dots || entry[11] & DIRECTORY == 0 {
                let name = stored.trim_ascii_end().escape_ascii();
                return Err(format!("has a file called '{name}'"));
            }
            return Ok(());
        }
        let half = |at: usize| u16::from_le_bytes([entry[at], entry[at + 1]]);
        let is_torn = long.is_torn || !long.units.is_empty();
        let name = long.name(*stored).unwrap_or_else(|| {
            let name = names::short(*stored, entry[12]);
            if is_torn {
                self.torn += 1;
                if self.torn == 1 {
                    self.first_torn.clone_from(&name);
                }
            }
            name
        });
        let is_name = !matches!(&*name, b"" | b"." | b"..")
            && !name.iter().any(|byte| matches!(byte, b'/' | 0));
        if !is_name {
            return Err(format!("has a file called '{}'", name.escape_ascii()));
        }
        self.all.push(Entry {
            name,
            is_directory: entry[11] & DIRECTORY != 0,
            is_read_only: entry[11] & READ_ONLY != 0,
            is_marked: entry[11] & (HIDDEN | SYSTEM) != 0,
            cluster: u32::from(half(20)) << 16 | u32::from(half(26)),
            size: u32::from_le_bytes([entry[28], entry[29], entry[30], entry[31]]),
            modified: moment(half(24), half(22)),
        });
        Ok(())
    }
}

impl Long {
    /// Of which a part does not follow the one before.
    fn torn() -> Self {
        Self {
            is_torn: true,
            ..Self::default()
        }
    }

    /// Parts stand from the last to the first; what does not follow is no name.
    fn take(&mut self, entry: &[u8; LENGTH]) {
        let number = entry[0] & !FIRST_PART;
        if !(1..=PARTS_LIMIT).contains(&number) {
            *self = Self::torn();
            return;
        }
        if entry[0] & FIRST_PART != 0 {
            *self = Self {
                units: Vec::new(),
                next: number,
                checksum: entry[13],
                is_torn: false,
            };
        }
        if number != self.next || entry[13] != self.checksum {
            *self = Self::torn();
            return;
        }
        self.next = number - 1;
        let places = (1..11).chain(14..26).chain(28..32);
        let bytes: Vec<u8> = places.map(|at| entry[at]).collect();
        let (units, _) = bytes.as_chunks();
        let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
        self.units.splice(0..0, units);
    }

    /// The name, if all of it was seen and it belongs to this entry.
    fn name(self, stored: [u8; 11]) -> Option<Vec<u8>> {
        let is_whole =
            !self.units.is_empty() && self.next == 0 && self.checksum == names::checksum(stored);
        let length = self.units.iter().position(|unit| *unit == 0);
        is_whole.then(|| names::long(&self.units[..length.unwrap_or(self.units.len())]))
    }
}
