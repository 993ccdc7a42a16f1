//! A tree from bytes: any that the host may show to a guest.

use std::collections::BTreeSet;

use arbitrary::{Result, Unstructured};
use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{Attribute, Device, Kind};

use crate::request::time;

/// The most steps in which a tree grows.
const STEPS: usize = 100;
/// The most names that one step in a tree adds, beyond one.
const CROWD: u16 = 1000;
/// Names that mean something somewhere.
const NAMES: [&str; 16] = [
    "lost+found",
    "CON",
    "aux.txt",
    "a.b.c",
    "A.B.C",
    "ünï",
    "\u{1f980}",
    "trailing ",
    "trailing.",
    "LONGNA~1.TXT",
    "long name.text",
    "Ab",
    "aB",
    "ß",
    "\u{130}",
    ".hidden",
];
/// Names of attributes that have a short form in ext4, and one that has none.
const ATTRIBUTES: [&str; 8] = [
    "user.a",
    "security.capability",
    "trusted.overlay",
    "system.posix_acl_access",
    "system.posix_acl_default",
    "system.data",
    "system.richacl",
    "none",
];

struct Growing {
    tree: MemoryTree,
    directories: Vec<Vec<u8>>,
    /// What a hard link may be another name of.
    linkable: Vec<Vec<u8>>,
    taken: BTreeSet<Vec<u8>>,
    has_crowd: bool,
}

/// Grows a tree as long as there are bytes.
pub(crate) fn tree(bytes: &mut Unstructured<'_>) -> Result<MemoryTree> {
    let mut growing = Growing {
        tree: MemoryTree::new(),
        directories: vec![Vec::new()],
        linkable: Vec::new(),
        taken: BTreeSet::new(),
        has_crowd: false,
    };
    if bytes.ratio(1, 8)? {
        let root = described(bytes, Entry::new(Kind::Directory))?;
        growing.tree.insert("", root);
    }
    for _ in 0..STEPS {
        if bytes.is_empty() {
            break;
        }
        growing.step(bytes)?;
    }
    Ok(growing.tree)
}

impl Growing {
    fn step(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let parent = bytes.choose(&self.directories)?.clone();
        let choice = bytes.int_in_range(0..=15_u8)?;
        let Some(path) = self.free_path(bytes, &parent)? else {
            return Ok(());
        };
        if choice == 0 && !self.linkable.is_empty() {
            let target = bytes.choose(&self.linkable)?;
            self.tree.hard_link(&path, target);
            return Ok(());
        }
        if choice == 1 && !self.has_crowd {
            self.has_crowd = true;
            return self.crowd(bytes, &path);
        }
        let entry = entry(bytes, choice)?;
        let entry = described(bytes, entry)?;
        match entry.kind {
            Kind::Directory => self.directories.push(path.clone()),
            _ => self.linkable.push(path.clone()),
        }
        self.tree.insert(&path, entry);
        Ok(())
    }

    /// Many names that begin alike.
    fn crowd(&mut self, bytes: &mut Unstructured<'_>, first: &[u8]) -> Result<()> {
        let entry = match bytes.ratio(1, 4)? {
            true => Entry::new(Kind::Directory),
            false => Entry::file(*b"crowd"),
        };
        // A name has 255 bytes at the most.
        let start = first.iter().rposition(|byte| *byte == b'/');
        let end = first.len().min(start.map_or(0, |at| at + 1) + 250);
        for number in 0..bytes.int_in_range(0..=CROWD)? {
            let number = number.to_string();
            let path = [&first[..end], number.as_bytes()].concat();
            if self.taken.insert(path.clone()) {
                self.tree.insert(&path, entry.clone());
            }
        }
        Ok(())
    }

    /// A path that nothing has yet.
    fn free_path(
        &mut self,
        bytes: &mut Unstructured<'_>,
        parent: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let name = name(bytes)?;
        let path = match parent {
            b"" => name,
            _ => [parent, &name].join(&b'/'),
        };
        Ok(self.taken.insert(path.clone()).then_some(path))
    }
}

/// Any bytes but `/` and NUL, at most 255, and not `.` or `..`.
fn name(bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut name = match bytes.int_in_range(0..=3_u8)? {
        0 => vec![bytes.arbitrary()?; bytes.int_in_range(1..=255)?],
        1 => bytes.choose(&NAMES)?.as_bytes().to_vec(),
        2 => bytes.int_in_range(0..=999_u16)?.to_string().into_bytes(),
        _ => {
            let length = bytes.int_in_range(1..=40)?;
            bytes.bytes(length.min(bytes.len()))?.to_vec()
        }
    };
    for byte in &mut name {
        if matches!(byte, 0 | b'/') {
            *byte = b'_';
        }
    }
    if matches!(name.as_slice(), b"" | b"." | b"..") {
        name = b"dots".to_vec();
    }
    Ok(name)
}

fn entry(bytes: &mut Unstructured<'_>, choice: u8) -> Result<Entry> {
    let device = |bytes: &mut Unstructured<'_>| -> Result<Device> {
        Ok(Device {
            major: bytes.arbitrary()?,
            minor: bytes.arbitrary()?,
        })
    };
    Ok(match choice {
        2..=4 => Entry::new(Kind::Directory),
        5 => {
            let length = bytes.int_in_range(1..=4100)?;
            Entry::new(Kind::symlink(vec![b't'; length]))
        }
        6 => Entry::new(Kind::CharacterDevice(device(bytes)?)),
        7 => Entry::new(Kind::BlockDevice(device(bytes)?)),
        8 => Entry::new(bytes.choose(&[Kind::Fifo, Kind::Socket])?.clone()),
        9 | 10 => sparse(bytes)?,
        // A file without holes, of which nobody reads the bytes.
        11 => Entry::new(Kind::File {
            size: bytes.arbitrary::<u64>()? >> bytes.int_in_range(0..=63)?,
            sparse: false,
        }),
        12 | 13 => Entry::file(vec![0x5a; bytes.arbitrary::<u16>()?.into()]),
        _ => Entry::file(vec![0xa5; bytes.int_in_range(0..=200)?]),
    })
}

/// A file with stretches of data between holes.
fn sparse(bytes: &mut Unstructured<'_>) -> Result<Entry> {
    let shift = bytes.int_in_range(0..=48)?;
    let mut data = Vec::new();
    let mut end = 0_u64;
    for _ in 0..bytes.int_in_range(0..=40)? {
        let gap = u64::from(bytes.arbitrary::<u16>()?) << shift;
        let length: usize = bytes.int_in_range(1..=5000)?;
        let Some(next) = end
            .checked_add(gap)
            .and_then(|at| at.checked_add(length as u64))
        else {
            break;
        };
        // Neighbours are one range.
        if gap > 0 || data.is_empty() {
            data.push((end + gap, vec![0x5a; length]));
            end = next;
        }
    }
    let hole = u64::from(bytes.arbitrary::<u16>()?) << shift;
    Ok(Entry::sparse(end.saturating_add(hole), data))
}

fn described(bytes: &mut Unstructured<'_>, mut entry: Entry) -> Result<Entry> {
    if bytes.ratio(1, 2)? {
        return Ok(entry);
    }
    entry.mode = bytes.arbitrary::<u16>()? & 0o7777;
    // No tree has the last number for an owner: to systems it means none.
    entry.uid = bytes.int_in_range(0..=u32::MAX - 1)?;
    entry.gid = bytes.int_in_range(0..=u32::MAX - 1)?;
    entry.modified = time(bytes)?;
    for _ in 0..bytes.int_in_range(0..=3)? {
        let name = match bytes.ratio(1, 4)? {
            true => vec![bytes.int_in_range(1..=255)?; bytes.int_in_range(1..=255)?],
            false => bytes.choose(&ATTRIBUTES)?.as_bytes().to_vec(),
        };
        let value = match bytes.ratio(1, 2)? {
            true => bytes.arbitrary()?,
            false => vec![bytes.arbitrary()?; bytes.arbitrary::<u16>()?.into()],
        };
        if entry
            .attributes
            .iter()
            .all(|attribute| attribute.name != name)
        {
            entry.attributes.push(Attribute { name, value });
        }
    }
    Ok(entry)
}
