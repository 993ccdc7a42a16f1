//! An image that exists, held against a spec.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use cellblock_cell::Runtime;
use cellblock_contract::Losses;
use cellblock_image::{PartitionFile, Scratch};
use cellblock_spec::{Spec, TableName};
use cellblock_table::{Region, Scheme, SectorSize, gaps};
use cellblock_tree::Tree;

use super::subject::{Subject, behind_boot_code, changed, other_bytes};
use super::{Checked, Held, How, itself};
use crate::BuildOptions;
use crate::catalogue::{Catalog, is_read};
use crate::compare::{Compared, Difference, What, compare};
use crate::disk::Groundwork;
use crate::error::Error;
use crate::existing::OpenedImage;
use crate::filesystem::partition_error;
use crate::making::{self, Making};
use crate::output::Output;
use crate::plan::{Fill, Plan, PlannedPartition, RawPiece};
use crate::reading::Opened;
use crate::signing::Signers;
use crate::staging::GrubImages;

/// What the table is called.
const TABLE: &str = "the partition table";
/// What is called that lies outside of partitions, and a boot loader's image.
const AROUND: &str = "what lies outside of partitions";
/// The most differences of a partition that are kept.
const KEPT: usize = 1_000_000;

/// The size of the sectors of an image that a spec describes, where its table does not show that.
#[must_use]
pub fn sector_size(spec: &Spec) -> Option<SectorSize> {
    let is_mbr = spec.disk.table_name() == TableName::Mbr;
    let size = spec.disk.sector_size.as_ref().filter(|_| is_mbr)?;
    SectorSize::try_from(size.value).ok()
}

/// Holds an image against a spec: file systems path by path against their sources, and what no reader reads, or what holds derived
/// values, byte by byte against what a build makes of it. Nothing of the image is written.
///
/// # Errors
/// [`Error`] as the build, and if the image cannot be read.
pub fn verify_image(
    spec: &Spec,
    image: &Arc<OpenedImage>,
    runtime: &Runtime,
    catalog: &Catalog,
    options: &BuildOptions,
) -> Result<Vec<Checked>, Error> {
    let output = Output::Stdout;
    let scratch = output.scratch()?;
    let signers = Signers::read(spec)?;
    let ground = Groundwork::new(spec, signers, &output, &scratch, runtime, catalog, options)?;
    let Groundwork {
        basis,
        prepared,
        mut plan,
        places,
        needs,
        ..
    } = ground;
    let is_disk = plan.scheme != Scheme::None;
    let jobs = NonZeroUsize::new(options.jobs);
    let subject = Subject::of(image, is_disk, (runtime, &options.readers), jobs)?;
    let preparation = basis.preparation(runtime, &scratch, options, None);
    // Of what a hash tree is of, each byte counts.
    let hashed: BTreeSet<usize> = (plan.partitions.iter())
        .filter_map(|partition| match &partition.fill {
            Fill::Verity(tree) => Some(tree.of),
            _ => None,
        })
        .collect();
    // What is not compared with its sources is made, and all that it needs.
    let trees: BTreeMap<usize, _> = prepared
        .iter()
        .filter(|prepared| !prepared.derives() && is_read(prepared.kind()))
        .filter(|prepared| {
            let index = prepared.index;
            plan.partitions[index].behind.is_none() && !hashed.contains(&index)
        })
        .map(|prepared| {
            (
                prepared.index,
                (Arc::clone(&prepared.tree), prepared.lost()),
            )
        })
        .collect();
    let all = 0..plan.partitions.len();
    let made_ones: BTreeSet<usize> = all.filter(|index| !trees.contains_key(index)).collect();
    let wanted = making::with_needs(made_ones, &needs.partitions);
    let making = Making {
        preparation: &preparation,
        plan: &plan,
        places: &places,
        needs: &needs,
    };
    let made = making.some(prepared, &wanted)?;
    making::identify(&mut plan, &made);
    let mut checked = Vec::with_capacity(plan.partitions.len() + 2);
    let mut table = Vec::new();
    if is_disk {
        table = plan.table()?.encode()?;
        checked.push(Checked {
            by: How::Bytes,
            differences: subject.other_table(&table)?,
            ..Checked::new(TABLE)
        });
    }
    let loose = Loose::of(spec, &plan, &scratch)?;
    checked.push(check_around(&subject, &plan, &table, &loose)?);
    for (index, partition) in plan.partitions.iter().enumerate() {
        let raw = match &partition.fill {
            Fill::Raw(pieces) if made[index].partition().is_none() => {
                Some(making::plain(&scratch, pieces, partition.data_size())?)
            }
            _ => None,
        };
        let mut files = made[index].files(partition);
        files.extend(raw.as_ref().map(|raw| (0, raw)));
        checked.push(match loose.within(partition) {
            ranges if files.is_empty() && !ranges.is_empty() => {
                check_loose(&subject, partition, &loose, ranges)?
            }
            _ => check(&subject, partition, &files, trees.get(&index))?,
        });
    }
    Ok(checked)
}

/// What a spec writes to the disk and not into a partition of its own: raw bytes, and a boot loader's images.
struct Loose {
    pieces: Vec<RawPiece>,
    /// Where a loader has a partition to itself, the partition.
    loader: Option<Range<u64>>,
    /// A disk with nothing but these.
    expected: PartitionFile,
}

impl Loose {
    fn of(spec: &Spec, plan: &Plan, scratch: &Scratch) -> Result<Self, Error> {
        let mut pieces = plan.raw.clone();
        let mut loader = None;
        if let (Some(images), Some(grub)) = (GrubImages::read(spec)?, plan.grub) {
            let [code, core] = images.pieces(grub);
            let holds = |place: &Range<u64>| place.contains(&core.offset);
            loader = plan.partitions.iter().map(place_of).find(holds);
            pieces.extend([code, core]);
        }
        Ok(Self {
            expected: making::plain(scratch, &pieces, plan.size)?,
            pieces,
            loader,
        })
    }

    /// The ranges of the disk that it has in a partition.
    fn within(&self, partition: &PlannedPartition) -> Vec<Range<u64>> {
        let place = place_of(partition);
        if self.loader.as_ref() == Some(&place) {
            return vec![place];
        }
        let pieces = self.pieces.iter().map(|piece| {
            let end = piece.offset + piece.length;
            piece.offset.clamp(place.start, place.end)..end.clamp(place.start, place.end)
        });
        pieces.filter(|range| !range.is_empty()).collect()
    }
}

fn place_of(partition: &PlannedPartition) -> Range<u64> {
    partition.start..partition.start + partition.size
}

/// Holds a partition that has nothing of its own against what is written there all the same.
fn check_loose(
    subject: &Subject<'_>,
    partition: &PlannedPartition,
    loose: &Loose,
    ranges: Vec<Range<u64>>,
) -> Result<Checked, Error> {
    let mut checked = Checked::new(&partition.name);
    checked.by = How::Bytes;
    match subject.place(partition.number, &place_of(partition)) {
        Ok(place) => checked.differences.extend(subject.cut(&place)),
        Err(difference) => {
            checked.differences.push(difference);
            return Ok(checked);
        }
    }
    for range in ranges {
        let other = subject.first_other_byte_of(range, 0, &loose.expected)?;
        let other = other.map(|at| other_bytes(at - partition.start));
        checked.differences.extend(other);
    }
    Ok(checked)
}

/// Holds what lies outside of partitions against the spec: raw bytes, boot code, zeros where neither is, and the length of the image.
fn check_around(
    subject: &Subject<'_>,
    plan: &Plan,
    table: &[Region],
    loose: &Loose,
) -> Result<Checked, Error> {
    let size = subject.image.existing.size();
    let mut differences = Vec::new();
    for range in around(plan, table, loose) {
        let there = range.start.min(size)..range.end.min(size);
        let other = subject.first_other_byte_of(there.clone(), 0, &loose.expected)?;
        let other = other.or((there != range).then_some(there.end));
        differences.extend(other.map(other_bytes));
    }
    if size != plan.size {
        let (was, is) = (plan.size.to_string(), size.to_string());
        differences.push(changed("image", "size", was, is));
    }
    Ok(Checked {
        by: How::Bytes,
        differences,
        ..Checked::new(AROUND)
    })
}

/// The ranges of a disk that lie outside of partitions and the table, and raw pieces wherever they lie, but for partitions that have
/// nothing else.
fn around(plan: &Plan, table: &[Region], loose: &Loose) -> Vec<Range<u64>> {
    let table: Vec<Range<u64>> = table.iter().map(behind_boot_code).collect();
    let partitions = plan.partitions.iter().map(place_of);
    let outside = gaps(table.iter().cloned().chain(partitions), 0..plan.size);
    let empty = plan.partitions.iter();
    let empty = empty.filter(|one| matches!(one.fill, Fill::Empty));
    let taken = table.into_iter().chain(outside.iter().cloned());
    let taken: Vec<Range<u64>> = taken.chain(empty.map(place_of)).collect();
    let inside = loose.pieces.iter().flat_map(|piece| {
        gaps(
            taken.iter().cloned(),
            piece.offset..piece.offset + piece.length,
        )
    });
    outside.iter().cloned().chain(inside).collect()
}

/// What goes into a file system, and what of it may be lost.
type SourceTree = (Arc<Tree>, Losses);

fn check(
    subject: &Subject<'_>,
    partition: &PlannedPartition,
    made: &[(u64, &PartitionFile)],
    tree: Option<&SourceTree>,
) -> Result<Checked, Error> {
    let mut checked = Checked::new(&partition.name);
    let place = match subject.place(partition.number, &place_of(partition)) {
        Ok(place) => place,
        Err(difference) => {
            checked.differences.push(difference);
            return Ok(checked);
        }
    };
    let cut = subject.cut(&place);
    let is_cut = cut.is_some();
    if !(tree.is_none() && made.is_empty()) {
        checked.differences.extend(cut);
    }
    if let Some((tree, lost)) = tree {
        if !subject.is_readable(&place)? {
            let difference = Difference {
                path: "file system".into(),
                what: What::Removed,
            };
            checked.differences.push(difference);
            return Ok(checked);
        }
        let found = match subject.read(&partition.name, partition.number, &place) {
            // Why is said: it is cut off.
            Err(_) if is_cut => return Ok(checked),
            found => found?,
        };
        if let Fill::Filesystem(wanted) = &partition.fill {
            let others = itself::differences(wanted, &found.volume);
            checked.differences.extend(others);
        }
        match differences(&partition.name, tree, &found, *lost, subject.jobs) {
            Err(_) if is_cut => {}
            others => checked.differences.extend(others?),
        }
        checked.warnings = found.warnings();
        checked.by = How::Reader(found.reader);
        return Ok(checked);
    }
    // What is left empty may hold anything.
    if made.is_empty() {
        return Ok(checked);
    }
    checked.by = How::Bytes;
    for (offset, file) in made {
        let Some(at) = subject.first_other_byte(place.start + offset, file)? else {
            continue;
        };
        checked.differences.push(other_bytes(offset + at));
        if *offset == 0 && subject.is_readable(&place)? {
            let expected = Arc::new(file.blocks()?);
            let name = &partition.name;
            let Ok(expected) = subject.readers.read(subject.runtime, name, expected) else {
                continue;
            };
            let read = subject.read(name, partition.number, &place);
            let paths = read.and_then(|found| {
                checked.warnings = found.warnings();
                let (expected, lost) = (&expected.tree, Losses::none());
                differences(name, expected, &found, lost, subject.jobs)
            });
            match paths {
                Ok(paths) => checked.differences.extend(paths),
                // That its bytes are others is what is wrong with it.
                Err(error) => checked.warnings.push(error.to_string()),
            }
        }
    }
    let files = made.iter();
    let files = files.map(|(offset, file)| *offset..offset + file.size());
    for zeros in gaps(files, 0..partition.size) {
        let other = subject.first_byte(place.start + zeros.start..place.start + zeros.end)?;
        let other = other.map(|at| other_bytes(at - place.start));
        checked.differences.extend(other);
    }
    Ok(checked)
}

fn differences(
    name: &str,
    tree: &Tree,
    found: &Opened,
    lost: Losses,
    jobs: Option<NonZeroUsize>,
) -> Result<Vec<Difference>, Error> {
    let mut differences = Vec::new();
    let compared = Compared {
        ignore_times: false,
        held: Some(Held::by(&found.volume, lost)),
        jobs,
    };
    let told = &mut |difference| {
        if differences.len() < KEPT {
            differences.push(difference);
        }
    };
    let done = compare(tree, &found.tree, compared, told);
    done.map_err(|error| partition_error(name, error))?;
    Ok(differences)
}
