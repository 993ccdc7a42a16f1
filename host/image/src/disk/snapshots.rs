//! What a qcow2 holds beside the disk: the states it had when somebody had them kept.

use std::fmt;
use std::io;

use zerocopy::{BE, FromBytes, IntoBytes, U16, U32, U64, Unaligned};

use super::Stored;
use cellblock_text::PathBytes;

/// The most names that are read.
const MOST_NAMES: u32 = 8;
/// The longest name that is shown, in bytes.
const LONGEST: u16 = 256;

/// Snapshots in a file, which are not read: its disk is what it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshots {
    /// How many there are, as the header says.
    pub count: u32,
    /// The names of the first of them, as far as they can be read.
    pub names: Vec<PathBytes>,
}

impl fmt::Display for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let they = match self.count {
            1 => "it is",
            _ => "they are",
        };
        match self.count {
            1 => f.write_str("it holds a snapshot")?,
            count => write!(f, "it holds {count} snapshots")?,
        }
        for (index, name) in self.names.iter().enumerate() {
            write!(f, "{}'{name}'", if index == 0 { " (" } else { ", " })?;
        }
        if !self.names.is_empty() {
            let others = self.names.len() < self.count as usize;
            f.write_str(if others { ", …)" } else { ")" })?;
        }
        write!(
            f,
            ": {they} left aside, and the disk is read as it is now; qemu-img convert -l NAME makes a file of one"
        )
    }
}

/// The beginning of an entry of the table of snapshots. Numbers are big-endian.
#[derive(FromBytes, IntoBytes, Unaligned)]
#[repr(C)]
struct Entry {
    first_level: U64<BE>,
    first_level_entries: U32<BE>,
    /// The bytes of what it is called by programs, and by people.
    identifier: U16<BE>,
    name: U16<BE>,
    time: [u8; 16],
    state: U32<BE>,
    /// The bytes between this and the identifier.
    extra: U32<BE>,
}

const _: () = assert!(size_of::<Entry>() == 40);

impl Snapshots {
    /// Those that a table at `offset` tells of. One that is damaged has fewer names: nothing of the disk hangs on it.
    pub(super) fn read(stored: &Stored, count: u32, offset: u64) -> Option<Self> {
        if count == 0 {
            return None;
        }
        let (mut names, mut at) = (Vec::new(), offset);
        for _ in 0..count.min(MOST_NAMES) {
            let Ok((name, length)) = entry(stored, at) else {
                break;
            };
            names.push(name);
            at += length;
        }
        Some(Self { count, names })
    }
}

/// The name in an entry, or its identifier if it has none, and the bytes to the next one.
fn entry(stored: &Stored, at: u64) -> io::Result<(PathBytes, u64)> {
    const WHAT: &str = "the table of snapshots";
    let entry: Entry = stored.get(WHAT, at)?;
    let identifier = at + size_of::<Entry>() as u64 + u64::from(entry.extra.get());
    let name = identifier + u64::from(entry.identifier.get());
    let end = name + u64::from(entry.name.get());
    let (place, length) = match entry.name.get() {
        0 => (identifier, entry.identifier.get()),
        length => (name, length),
    };
    let mut bytes = vec![0; length.min(LONGEST).into()];
    stored.read(WHAT, place, &mut bytes)?;
    Ok((PathBytes(bytes), (end - at).next_multiple_of(8)))
}
