//! A formatter, natively: any request and any tree, at the size that it measures and at others.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use arbitrary::{Result, Unstructured};
use cellblock_guest::memory::{Data, MemoryTree};
use cellblock_guest::{FormatError, Formatter, Kind, Node, Output, Placement, Request, Shortage};

use crate::request::request;
use crate::tree::tree;

/// The largest partition that is filled, in bytes: the tables of a larger one only take time.
const LARGEST: u64 = 64 << 20;

struct Case {
    request: Request,
    tree: MemoryTree,
    /// The size in bytes of each node that is a file.
    files: Vec<Option<u64>>,
    /// Bytes of a partition.
    size: u64,
}

/// Measures, and formats at that size, one sector below, and at another one.
pub(crate) fn format<F: Formatter>(data: &[u8]) {
    let Ok(mut case) = case::<F>(data) else {
        return;
    };
    let measured = F::measure(&case.request, &mut case.tree);
    let sector = u64::from(case.request.sector_size.max(1));
    match measured {
        Ok(smallest) => {
            if smallest <= LARGEST {
                case.make::<F>(smallest)
                    .unwrap_or_else(|error| panic!("{error:?} at the measured {smallest}"));
            }
            case.check_too_small::<F>(smallest, smallest.saturating_sub(sector));
            let other = case.make::<F>(case.size);
            assert!(case.size >= smallest || other.is_err());
        }
        Err(error) => {
            let other = case.make::<F>(case.size);
            assert!(other.is_err(), "measuring fails: {error:?}");
        }
    }
}

/// Makes the file system at the size that it measures, in an empty file: its size in bytes. Files have no content but holes. None
/// where nothing comes of the bytes, or too much.
pub(crate) fn image<F: Formatter>(data: &[u8], file: &File) -> Option<u64> {
    let mut case = case::<F>(data).ok()?;
    let size = F::measure(&case.request, &mut case.tree).ok()?;
    if size > LARGEST {
        return None;
    }
    let request = Request {
        size,
        ..case.request.clone()
    };
    let mut partition = Partition {
        size,
        files: &case.files,
        ranges: BTreeMap::new(),
        kept: Some(file),
    };
    F::format(&request, &mut case.tree, &mut partition)
        .unwrap_or_else(|error| panic!("{error:?} at the measured {size}"));
    file.set_len(size).expect("room for an image");
    Some(size)
}

fn case<F: Formatter>(data: &[u8]) -> Result<Case> {
    let mut bytes = Unstructured::new(data);
    let size = match bytes.ratio(1, 32)? {
        true => u64::MAX - u64::from(bytes.arbitrary::<u16>()?),
        false => u64::from(bytes.arbitrary::<u32>()?) % (LARGEST + 1),
    };
    let request = request(&mut bytes, &F::describe())?;
    let mut tree = tree(&mut bytes)?;
    let size_of = |(node, _): &(Node<'_>, Data)| match node.kind {
        Kind::File { size, .. } => Some(size),
        _ => None,
    };
    Ok(Case {
        request,
        files: tree.nodes().iter().map(size_of).collect(),
        tree,
        size,
    })
}

impl Case {
    /// Makes a file system of `size` bytes: the bytes that it uses.
    fn make<F: Formatter>(&mut self, size: u64) -> std::result::Result<u64, FormatError> {
        let request = Request {
            size,
            ..self.request.clone()
        };
        let mut partition = Partition {
            size,
            files: &self.files,
            ranges: BTreeMap::new(),
            kept: None,
        };
        let summary = F::format(&request, &mut self.tree, &mut partition)?;
        assert!(summary.used <= size, "{} used of {size}", summary.used);
        Ok(summary.used)
    }

    fn check_too_small<F: Formatter>(&mut self, smallest: u64, size: u64) {
        if size > LARGEST {
            return;
        }
        let shortage = Shortage {
            needed: smallest,
            available: size,
        };
        assert_eq!(self.make::<F>(size), Err(FormatError::TooSmall(shortage)));
    }
}

/// A partition of which only the ranges that hold something are known. A formatter never tries what the host would refuse.
struct Partition<'c> {
    size: u64,
    files: &'c [Option<u64>],
    /// The end of each range by its start, and whether it was placed. Neighbours are joined.
    ranges: BTreeMap<u64, (u64, bool)>,
    /// Where what is written is kept, if it is.
    kept: Option<&'c File>,
}

impl Partition<'_> {
    fn end(&self, start: u64, length: u64) -> u64 {
        let end = start.checked_add(length).filter(|end| *end <= self.size);
        end.unwrap_or_else(|| panic!("{start} + {length} is outside a partition of {}", self.size))
    }

    /// The ranges that have bytes from `start` to `end`.
    fn overlapping(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, u64, bool)> {
        self.ranges
            .range(..end)
            .rev()
            .map(|(start, (end, placed))| (*start, *end, *placed))
            .take_while(move |(_, range_end, _)| *range_end > start)
    }

    fn add(&mut self, mut start: u64, mut end: u64, placed: bool) {
        let touching: Vec<(u64, u64)> = self
            .ranges
            .range(..=end)
            .rev()
            .take_while(|(_, (range_end, _))| *range_end >= start)
            .filter(|(_, (_, other))| *other == placed)
            .map(|(start, (end, _))| (*start, *end))
            .collect();
        for (range_start, range_end) in touching {
            self.ranges.remove(&range_start);
            start = start.min(range_start);
            end = end.max(range_end);
        }
        self.ranges.insert(start, (end, placed));
    }
}

impl Partition<'_> {
    /// Bytes of the guest's own among content.
    fn own(&mut self, offset: u64, bytes: &[u8]) {
        let end = self.end(offset, bytes.len() as u64);
        assert_eq!(self.overlapping(offset, end).next(), None, "{offset}");
        if offset < end {
            self.add(offset, end, true);
        }
        if let Some(file) = self.kept {
            file.write_all_at(bytes, offset).expect("room for an image");
        }
    }
}

impl Output for Partition<'_> {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> std::result::Result<(), FormatError> {
        let end = self.end(offset, bytes.len() as u64);
        let over = self.overlapping(offset, end).find(|(_, _, placed)| *placed);
        assert_eq!(over, None, "{offset} to {end} is written over content");
        if offset < end {
            self.add(offset, end, false);
        }
        if let Some(file) = self.kept {
            file.write_all_at(bytes, offset).expect("room for an image");
        }
        Ok(())
    }

    fn place(&mut self, batch: &[Placement]) -> std::result::Result<(), FormatError> {
        for placement in batch {
            let Some(size) = self.files[placement.file.index()] else {
                panic!("{placement:?} is of no file");
            };
            let file_end = placement.file_offset.checked_add(placement.length);
            assert!(
                file_end.is_some_and(|end| end <= size),
                "{placement:?} of {size}"
            );
            let length = placement.length.checked_add(placement.padding.into());
            let start = placement.partition_offset;
            let end = self.end(start, length.expect("a length"));
            let over = self.overlapping(start, end).next();
            assert_eq!(over, None, "{placement:?}");
            if start < end {
                self.add(start, end, true);
            }
        }
        Ok(())
    }

    fn compose(
        &mut self,
        offset: u64,
        own: &[u8],
        batch: &[Placement],
    ) -> std::result::Result<(), FormatError> {
        let (mut at, mut rest) = (offset, own);
        for placement in batch {
            let gap = placement.partition_offset.checked_sub(at);
            let gap = gap.and_then(|gap| usize::try_from(gap).ok());
            let parts = gap.and_then(|gap| rest.split_at_checked(gap));
            let Some((before, behind)) = parts else {
                panic!("{placement:?} does not follow {at}");
            };
            self.own(at, before);
            self.place(&[*placement])?;
            at = placement.partition_offset + placement.length + u64::from(placement.padding);
            rest = behind;
        }
        self.own(at, rest);
        Ok(())
    }

    fn warn(&mut self, message: &str) {
        assert!(!message.is_empty());
    }
}
