//! What differs between two disks: tables, boot code, what lies outside partitions, and partition by partition what they hold.
//!
//! Partitions are matched by their numbers. File systems that a reader reads are compared path by path, all else byte by byte: what follows
//! a file system in its partition, too.

use std::collections::BTreeSet;
use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use cellblock_cell::Runtime;
use cellblock_image::Superblock;
use cellblock_table::{BOOT_CODE, Lba, Partition, ReadAt as _, Scheme, Selector, Table, gaps};

use crate::DiskError;
use crate::compare::{Aspect, Compared, Difference, Told, What, compare};
use crate::differing;
use crate::existing::{OpenedImage, is_without_table};
use crate::reading::{Opened, Readers, ReadingError};

/// The unit in which bytes that differ are counted.
const BLOCK: usize = 4096;

/// A disk with a partition table.
#[derive(Debug)]
pub struct Disk {
    image: Arc<OpenedImage>,
    table: Table,
}

impl Disk {
    /// The disk in an image; `None` of what has no partition table.
    ///
    /// # Errors
    /// [`ReadingError`] if its table cannot be understood.
    pub fn of(image: &Arc<OpenedImage>) -> Result<Option<Self>, ReadingError> {
        match image.table() {
            Ok(decoded) => Ok(Some(Self {
                image: Arc::clone(image),
                table: decoded.table.clone(),
            })),
            Err(error) if is_without_table(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn failed(&self, source: io::Error) -> ReadingError {
        let file = self.image.path.clone();
        DiskError::File { file, source }.into()
    }

    fn numbered(&self, number: u32) -> Option<&Partition> {
        let mut partitions = self.table.with_content();
        partitions.find(|one| one.number == number)
    }

    fn superblock(&self, partition: &Partition) -> Result<Option<Superblock>, ReadingError> {
        let place = self.table.place_of(partition);
        Superblock::find(&self.image.existing, place).map_err(|source| self.failed(source))
    }

    /// What of a range the image has.
    fn clipped(&self, place: &Range<u64>) -> Range<u64> {
        let size = self.image.existing.size();
        place.start.min(size)..place.end.min(size)
    }
}

/// How disks are compared.
pub struct Comparing<'a> {
    /// What readers run in.
    pub runtime: &'a Runtime,
    /// The readers.
    pub readers: &'a Readers,
    /// What of nodes is compared.
    pub compared: Compared,
}

/// What is heard of a comparison.
pub trait Listener {
    /// Something differs.
    fn differs(&mut self, difference: Difference);
    /// A file system was read, of which there may be something to say.
    fn read(&mut self, opened: &Opened);
}

impl Comparing<'_> {
    /// Compares two disks: the table first, then what lies outside partitions, then the partitions in the order of their numbers.
    ///
    /// # Errors
    /// [`ReadingError`] if something cannot be read.
    pub fn disks(
        &self,
        first: &Disk,
        second: &Disk,
        listener: &mut dyn Listener,
    ) -> Result<(), ReadingError> {
        let aspects = disk_aspects(first, second);
        let says_the_same = aspects.is_empty();
        changed("partition table", aspects, listener);
        let has_code = |disk: &Disk| disk.table.scheme() != Scheme::None;
        if has_code(first) && has_code(second) {
            let place = 0..BOOT_CODE as u64;
            let aspects = bytes([first, second], [&place, &place])?;
            changed("boot code", aspects.into_iter().collect(), listener);
        }
        for place in between(first, second) {
            let aspects = bytes([first, second], [&place, &place])?;
            let called = format!("bytes {} to {}", place.start, place.end - 1);
            let called = format!("{called}, outside partitions");
            changed(&called, aspects.into_iter().collect(), listener);
        }
        let numbers = numbers(first, second);
        if says_the_same
            && numbers
                .iter()
                .all(|number| is_same_entry(first, second, *number))
        {
            let aspects = other_table(first, second)?;
            changed("partition table", aspects.into_iter().collect(), listener);
        }
        for number in numbers {
            match (first.numbered(number), second.numbered(number)) {
                (Some(one), Some(other)) => {
                    self.partitions((first, one), (second, other), listener)?;
                }
                (Some(one), None) => listener.differs(whole(one, What::Removed)),
                (None, Some(other)) => listener.differs(whole(other, What::Added)),
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn partitions(
        &self,
        first: (&Disk, &Partition),
        second: (&Disk, &Partition),
        listener: &mut dyn Listener,
    ) -> Result<(), ReadingError> {
        let mut aspects = entry_aspects(first, second);
        let found = [first.0.superblock(first.1)?, second.0.superblock(second.1)?];
        aspects.extend(superblock_aspects(&found));
        if let [Some(one), Some(other)] = &found
            && one.kind == other.kind
            && let Some(code) = boot_code(one.kind)
        {
            let starts = [first, second].map(|(disk, one)| disk.table.place_of(one).start);
            let places = starts.map(|start| start + code.start..start + code.end);
            let others = bytes([first.0, second.0], [&places[0], &places[1]])?;
            aspects.extend(others.map(|aspect| Aspect {
                name: "boot code",
                ..aspect
            }));
        }
        let kinds = found.each_ref().map(|one| one.as_ref().map(|one| one.kind));
        let trees = match kinds {
            [Some(_), Some(_)] => self.trees(first, second)?,
            _ => None,
        };
        let places = [first, second].map(|(disk, one)| disk.table.place_of(one));
        let other = match (&trees, &found) {
            (Some(_), [Some(one), Some(other)]) => {
                behind([first.0, second.0], &places, [one.size, other.size])?
            }
            _ => bytes([first.0, second.0], [&places[0], &places[1]])?,
        };
        aspects.extend(other);
        changed(&called(first.1), aspects, listener);
        let Some([one, other]) = trees else {
            return Ok(());
        };
        listener.read(&one);
        listener.read(&other);
        let name = format!("{}:", short(first.1));
        let told = &mut |difference: Difference| {
            listener.differs(Difference {
                path: difference.path.behind(&name),
                ..difference
            });
        };
        compare(&one.tree, &other.tree, self.compared, told)?;
        Ok(())
    }

    /// The trees of two partitions; nothing if no reader reads one of them.
    fn trees(
        &self,
        first: (&Disk, &Partition),
        second: (&Disk, &Partition),
    ) -> Result<Option<[Opened; 2]>, ReadingError> {
        let one = self.tree(first)?;
        let other = self.tree(second)?;
        Ok(one.zip(other).map(|(one, other)| [one, other]))
    }

    fn tree(&self, (disk, partition): (&Disk, &Partition)) -> Result<Option<Opened>, ReadingError> {
        let selector = Selector::Number(partition.number);
        let opened = self
            .readers
            .open_in(self.runtime, &disk.image, Some(&selector), true);
        match opened {
            Ok(opened) => Ok(Some(opened)),
            Err(ReadingError::NoReader { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn changed(path: &str, aspects: Vec<Aspect>, listener: &mut dyn Listener) {
    if !aspects.is_empty() {
        listener.differs(Difference {
            path: path.into(),
            what: What::Changed { aspects },
        });
    }
}

fn whole(partition: &Partition, what: What) -> Difference {
    Difference {
        path: called(partition).into(),
        what,
    }
}

fn called(partition: &Partition) -> String {
    format!("partition {}", partition.called())
}

/// What stands before the paths of a partition: its name, or its number if it has none.
fn short(partition: &Partition) -> String {
    if partition.name.is_empty() {
        partition.number.to_string()
    } else {
        partition.name.clone()
    }
}

/// An aspect, if two values are not one.
fn aspect(name: &'static str, was: impl ToString, is: impl ToString) -> Option<Aspect> {
    let (was, is) = (was.to_string(), is.to_string());
    let said = |text: String| match text.is_empty() {
        true => Told::from("none"),
        false => Told::from(text),
    };
    (was != is).then(|| Aspect {
        name,
        was: said(was),
        is: said(is),
    })
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

fn disk_aspects(first: &Disk, second: &Disk) -> Vec<Aspect> {
    let (one, other) = (&first.table, &second.table);
    let scheme = aspect("type", one.scheme(), other.scheme());
    // The identifier of another scheme is another one in any case.
    let id = match scheme {
        None => aspect("identifier", one.disk_id, other.disk_id),
        Some(_) => None,
    };
    let sector = aspect("sector-size", one.sector_size, other.sector_size);
    let size = aspect(
        "size",
        first.image.existing.size(),
        second.image.existing.size(),
    );
    let (was, is) = (one.shape, other.shape);
    // A disk of another kind has them elsewhere in any case.
    let shape = match scheme {
        None => [
            aspect("first-usable", one.first_usable, other.first_usable),
            aspect("entries", was.entries, is.entries),
            aspect("backup", yes(was.backup), yes(is.backup)),
            aspect("guard-number", was.guard_number, is.guard_number),
        ],
        Some(_) => [const { None }; 4],
    };
    let all = [scheme, id, sector, size].into_iter().chain(shape);
    all.flatten().collect()
}

fn entry_aspects(first: (&Disk, &Partition), second: (&Disk, &Partition)) -> Vec<Aspect> {
    let places = [first, second].map(|(disk, one)| disk.table.place_of(one));
    let length = |place: &Range<u64>| place.end - place.start;
    let (one, other) = (first.1, second.1);
    let id = |one: &Partition| one.id.map(|id| id.to_string()).unwrap_or_default();
    let mbr_type = |one: &Partition| {
        let kind = one.mbr_type.map(|kind| format!("0x{kind:02x}"));
        kind.unwrap_or_default()
    };
    [
        aspect("name", &one.name, &other.name),
        aspect("type", one.kind, other.kind),
        aspect("identifier", id(one), id(other)),
        aspect("start", places[0].start, places[1].start),
        aspect("size", length(&places[0]), length(&places[1])),
        aspect("attributes", one.attributes, other.attributes),
        aspect("active", yes(one.active), yes(other.active)),
        aspect("mbr-type", mbr_type(one), mbr_type(other)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn superblock_aspects(found: &[Option<Superblock>; 2]) -> impl Iterator<Item = Aspect> {
    let of = |take: &dyn Fn(&Superblock) -> Option<String>| {
        let take = |one: &Option<Superblock>| one.as_ref().and_then(take).unwrap_or_default();
        found.each_ref().map(take)
    };
    let [one, other] = of(&|one| Some(one.kind.to_owned()));
    let kind = aspect("filesystem", one, other);
    let [one, other] = of(&|one| one.label.clone());
    let label = aspect("label", one, other);
    let [one, other] = of(&|one| one.uuid.clone());
    let uuid = aspect("uuid", one, other);
    [kind, label, uuid].into_iter().flatten()
}

/// Where a file system leaves room for boot code; none of one that leaves none. A FAT's parameters are before it.
fn boot_code(kind: &str) -> Option<Range<u64>> {
    match kind {
        "vfat" => Some(90..510),
        "ext2" | "ext3" | "ext4" | "erofs" => Some(0..1024),
        _ => None,
    }
}

/// The numbers of the partitions of both.
fn numbers(first: &Disk, second: &Disk) -> BTreeSet<u32> {
    let both = [first, second].into_iter();
    both.flat_map(|disk| disk.table.with_content().map(|one| one.number))
        .collect()
}

/// Whether two tables say the same of a partition.
fn is_same_entry(first: &Disk, second: &Disk, number: u32) -> bool {
    let both = first.numbered(number).zip(second.numbered(number));
    both.is_some_and(|(one, other)| entry_aspects((first, one), (second, other)).is_empty())
}

/// How the bytes of two tables differ that say the same: a copy that is missing, a checksum, what nothing reads.
fn other_table(first: &Disk, second: &Disk) -> Result<Option<Aspect>, ReadingError> {
    if first.table.scheme() == Scheme::None {
        return Ok(None);
    }
    let head = BOOT_CODE as u64..first.table.sector_size.bytes();
    let partitions = first.table.with_content();
    let partitions: Vec<_> = partitions.map(|one| first.table.place_of(one)).collect();
    for part in table_parts(&first.table).into_iter().chain([head]) {
        let part = part.start.max(BOOT_CODE as u64)..part.end.min(first.image.existing.size());
        // Of a table that breaks rules, more is taken for a part than is one.
        for place in gaps(partitions.iter().cloned(), part) {
            if let Some(other) = bytes([first, second], [&place, &place])? {
                let is = format!("bytes {} to {}: {}", place.start, place.end - 1, other.is);
                let is = is.into();
                return Ok(Some(Aspect { is, ..other }));
            }
        }
    }
    Ok(None)
}

/// The ranges that lie in no partition and no part of a table of either disk.
fn between(first: &Disk, second: &Disk) -> Vec<Range<u64>> {
    let tables = [&first.table, &second.table];
    let partitions = tables
        .into_iter()
        .flat_map(|table| table.with_content().map(|it| table.place_of(it)));
    let parts = tables.into_iter().flat_map(table_parts);
    let sizes = [first, second].map(|disk| disk.image.existing.size());
    gaps(partitions.chain(parts), 0..sizes[0].min(sizes[1]))
}

/// Where the parts of a table lie. Of one that breaks rules it is not known, and all that no partition may have is taken for it.
fn table_parts(table: &Table) -> Vec<Range<u64>> {
    match table.encode() {
        Ok(regions) => regions
            .iter()
            .map(|it| it.offset..it.offset + it.bytes.len() as u64)
            .collect(),
        Err(_) => {
            let bytes = |lba: Lba| lba.to_bytes(table.sector_size);
            let behind = Lba(table.last_usable.0.saturating_add(1));
            vec![0..bytes(table.first_usable), bytes(behind)..u64::MAX]
        }
    }
}

/// How the bytes behind two file systems of these sizes differ, such as a hash tree: one that ends earlier is as if zeros followed.
fn behind(
    disks: [&Disk; 2],
    places: &[Range<u64>; 2],
    sizes: [Option<u64>; 2],
) -> Result<Option<Aspect>, ReadingError> {
    let [Some(one), Some(other)] = sizes else {
        return Ok(None);
    };
    let rest = |index: usize, size: u64| {
        let place = &places[index];
        let start = place.start.saturating_add(size).min(place.end);
        disks[index].clipped(&(start..place.end))
    };
    let rests = [rest(0, one), rest(1, other)];
    let lengths = rests.each_ref().map(|rest| rest.end - rest.start);
    let read = |index: usize| {
        let (disk, start, length) = (disks[index], rests[index].start, lengths[index]);
        move |at: u64, bytes: &mut [u8]| {
            let there = length.saturating_sub(at).min(bytes.len() as u64);
            let there = usize::try_from(there).expect("no more than a buffer has");
            let (there, zeros) = bytes.split_at_mut(there);
            zeros.fill(0);
            let read = disk.image.existing.read_at(start + at, there);
            read.map_err(|source| disk.failed(source))
        }
    };
    let longest = 0..lengths[0].max(lengths[1]);
    let first = differing::first(longest, read(0), read(1))?;
    Ok(first.map(|at| Aspect {
        name: "behind the file system",
        was: Told::default(),
        is: format!("from byte {} on", one.saturating_add(at)).into(),
    }))
}

/// Where the bytes of two ranges differ, as far as both go.
fn bytes(disks: [&Disk; 2], places: [&Range<u64>; 2]) -> Result<Option<Aspect>, ReadingError> {
    let there = [0, 1].map(|index| disks[index].clipped(places[index]));
    let lengths = there.each_ref().map(|place| place.end - place.start);
    let length = lengths[0].min(lengths[1]);
    let (mut first, mut blocks) = (None, 0_u64);
    let read = |index: usize| {
        let (disk, start) = (disks[index], there[index].start);
        move |at: u64, bytes: &mut [u8]| {
            let read = disk.image.existing.read_at(start + at, bytes);
            read.map_err(|source| disk.failed(source))
        }
    };
    differing::pieces(0..length, read(0), read(1), |at, one, other| {
        let found = differing::first_of(one, other);
        first = first.or(found.map(|found| at + found as u64));
        let pairs = one.chunks(BLOCK).zip(other.chunks(BLOCK));
        blocks += pairs.filter(|(one, other)| one != other).count() as u64;
        ControlFlow::Continue(())
    })?;
    let all = places.map(|place| place.end - place.start);
    let is_short = all[0].min(all[1]) > length;
    let is = match (first, is_short) {
        (None, false) => return Ok(None),
        (None, true) => format!("one image ends at byte {} of it", length),
        (Some(first), _) => format!(
            "from byte {} on, in {} of {} blocks of 4 KiB",
            first,
            blocks,
            length.div_ceil(BLOCK as u64)
        ),
    };
    Ok(Some(Aspect {
        name: "content",
        was: Told::default(),
        is: is.into(),
    }))
}
