//! An image that exists, held against a spec or a record.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cellblock_cell::Runtime;
use cellblock_contract::Losses;
use cellblock_image::{PartitionFile, Superblock};
use cellblock_spec::Spec;
use cellblock_table::{BOOT_CODE, Selector, Table};
use cellblock_text::hexadecimal;
use cellblock_tree::Tree;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Held;
use crate::catalogue::{Catalog, is_read};
use crate::compare::{Aspect, Compared, Difference, What, compare};
use crate::differing;
use crate::disk::Groundwork;
use crate::error::Error;
use crate::existing::OpenedImage;
use crate::filesystem::partition_error;
use crate::making::{self, Making};
use crate::output::Output;
use crate::plan::{Fill, Plan, PlannedPartition};
use crate::reading::{Opened, Readers};
use crate::signing::Signers;
use crate::{BuildOptions, DiskError};

/// The bytes that are hashed at once.
const PIECE: usize = 1 << 20;

/// How a partition was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Path by path, as this reader tells it.
    Reader(String),
    /// Byte by byte.
    Bytes,
    /// By the digest of its bytes.
    Digest,
    /// Not at all: nothing is known of what it is to hold.
    Nothing,
}

/// A partition that was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Checked {
    /// Its name.
    pub partition: String,
    /// How.
    pub by: How,
    /// What differs.
    pub differences: Vec<Difference>,
    /// What there is to say of its file system as it was read, such as of a journal that was replayed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Checked {
    fn new(partition: &str) -> Self {
        Self {
            partition: partition.to_owned(),
            by: How::Nothing,
            differences: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// What the table is called.
const TABLE: &str = "the partition table";
/// The most differences of a partition that are kept.
const KEPT: usize = 1_000_000;

/// An image, and its table.
struct Subject<'a> {
    image: Arc<OpenedImage>,
    table: Table,
    runtime: &'a Runtime,
    /// How many threads compare the bytes of files.
    jobs: Option<NonZeroUsize>,
}

impl<'a> Subject<'a> {
    fn of(
        image: &Arc<OpenedImage>,
        runtime: &'a Runtime,
        jobs: Option<NonZeroUsize>,
    ) -> Result<Self, Error> {
        Ok(Self {
            image: Arc::clone(image),
            table: image.table()?.table.clone(),
            runtime,
            jobs,
        })
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Disk(DiskError::File {
            file: self.image.path.clone(),
            source,
        })
    }

    /// Where the image has a partition of this number, and how that differs from where it is to be.
    fn place(&self, number: u32, wanted: &Range<u64>) -> Result<Range<u64>, Difference> {
        let table = &self.table;
        let mut all = table.partitions.iter();
        let Some(found) = all.find(|one| one.number == number) else {
            return Err(Difference {
                path: "partition".to_owned(),
                what: What::Removed,
            });
        };
        let place = table.place_of(found);
        if place == *wanted {
            return Ok(place);
        }
        let text = |range: &Range<u64>| format!("{}+{}", range.start, range.end - range.start);
        Err(Difference {
            path: "partition".to_owned(),
            what: What::Changed {
                aspects: vec![Aspect {
                    name: "place",
                    was: text(wanted),
                    is: text(&place),
                }],
            },
        })
    }

    /// Whether a built-in reader reads what is there.
    fn is_readable(&self, place: &Range<u64>) -> Result<bool, Error> {
        let found = Superblock::find(&self.image.existing, place.clone());
        let found = found.map_err(|source| self.failed(source))?;
        Ok(found.is_some_and(|found| is_read(found.kind)))
    }

    fn read(&self, name: &str, number: u32) -> Result<Opened, Error> {
        let selector = Selector::Number(number);
        let readers = Readers::default();
        let opened = readers.open_in(self.runtime, &self.image, Some(&selector), true);
        opened.map_err(|error| partition_error(name, Box::new(error)))
    }

    /// The first byte in which the image, from `start` on, differs from what was made.
    fn first_other_byte(&self, start: u64, made: &PartitionFile) -> Result<Option<u64>, Error> {
        use cellblock_table::ReadAt as _;
        differing::first(
            0..made.size(),
            |at, bytes| Ok(made.read(at, bytes)?),
            |at, bytes| {
                let read = self.image.existing.read_at(start + at, bytes);
                read.map_err(|source| self.failed(source))
            },
        )
    }

    /// How the image's partition table differs from the planned one. Boot code before it is nobody's here.
    fn other_table(&self, plan: &Plan) -> Result<Vec<Difference>, Error> {
        use cellblock_table::ReadAt as _;
        let mut differences = Vec::new();
        for region in plan.table()?.encode()? {
            let skip = if region.offset == 0 { BOOT_CODE } else { 0 };
            let Some(expected) = region.bytes.get(skip..) else {
                continue;
            };
            let at = region.offset + skip as u64;
            let mut found = vec![0; expected.len()];
            let is_there = at.saturating_add(found.len() as u64) <= self.image.existing.size();
            if is_there {
                let read = self.image.existing.read_at(at, &mut found);
                read.map_err(|source| self.failed(source))?;
            }
            let other = differing::first_of(expected, &found);
            if let Some(other) = other.or((!is_there).then_some(0)) {
                differences.push(other_bytes(at + other as u64));
            }
        }
        Ok(differences)
    }

    fn digest(&self, place: &Range<u64>) -> Result<String, Error> {
        use cellblock_table::ReadAt as _;
        let mut hash = Sha256::new();
        let mut bytes = vec![0; PIECE];
        let mut at = place.start;
        while at < place.end {
            let count = usize::try_from((place.end - at).min(PIECE as u64)).expect("at most PIECE");
            let read = self.image.existing.read_at(at, &mut bytes[..count]);
            read.map_err(|source| self.failed(source))?;
            hash.update(&bytes[..count]);
            at += count as u64;
        }
        Ok(hexadecimal(&hash.finalize()))
    }
}

fn other_bytes(at: u64) -> Difference {
    Difference {
        path: "partition".to_owned(),
        what: What::Changed {
            aspects: vec![Aspect {
                name: "bytes",
                was: String::new(),
                is: format!("others from byte {at} on"),
            }],
        },
    }
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
    let subject = Subject::of(image, runtime, NonZeroUsize::new(options.jobs))?;
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
    let preparation = basis.preparation(runtime, &scratch, options, None);
    // What is not compared with its sources is made, and all that it needs.
    let trees: BTreeMap<usize, _> = prepared
        .iter()
        .filter(|prepared| !prepared.derives() && is_read(prepared.kind()))
        .filter(|prepared| plan.partitions[prepared.index].behind.is_none())
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
    let mut checked = Vec::with_capacity(plan.partitions.len() + 1);
    checked.push(Checked {
        by: How::Bytes,
        differences: subject.other_table(&plan)?,
        ..Checked::new(TABLE)
    });
    for (index, partition) in plan.partitions.iter().enumerate() {
        let raw = match &partition.fill {
            Fill::Raw(pieces) if made[index].partition().is_none() => {
                Some(making::plain(&scratch, pieces, partition.data_size())?)
            }
            _ => None,
        };
        let mut files = made[index].files(partition);
        files.extend(raw.as_ref().map(|raw| (0, raw)));
        checked.push(check(&subject, partition, &files, trees.get(&index))?);
    }
    Ok(checked)
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
    let wanted = partition.start..partition.start + partition.size;
    let place = match subject.place(partition.number, &wanted) {
        Ok(place) => place,
        Err(difference) => {
            checked.differences.push(difference);
            return Ok(checked);
        }
    };
    if let Some((tree, lost)) = tree {
        if !subject.is_readable(&place)? {
            let difference = Difference {
                path: "file system".to_owned(),
                what: What::Removed,
            };
            checked.differences.push(difference);
            return Ok(checked);
        }
        let found = subject.read(&partition.name, partition.number)?;
        checked.differences = differences(&partition.name, tree, &found, *lost, subject.jobs)?;
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
            if let Ok(expected) = Readers::default().read(subject.runtime, name, expected) {
                let found = subject.read(name, partition.number)?;
                let (expected, lost) = (&expected.tree, Losses::none());
                let others = differences(name, expected, &found, lost, subject.jobs)?;
                checked.differences.extend(others);
                checked.warnings = found.warnings();
            }
        }
    }
    Ok(checked)
}

/// What is taken of a record.
#[derive(Debug, Deserialize)]
struct Recorded {
    partitions: Vec<RecordedPartition>,
}

#[derive(Debug, Deserialize)]
struct RecordedPartition {
    number: Option<u32>,
    name: String,
    start: u64,
    size: u64,
    sha256: Option<String>,
}

/// Holds an image against the record of its build: the places of partitions and the digests of their bytes. What a built-in reader
/// reads is read back, too.
///
/// # Errors
/// [`Error`] if the image cannot be read, or a partition not be read back; the record's own are [`io::Error`]s.
pub fn verify_record(
    record: &Path,
    image: &Arc<OpenedImage>,
    runtime: &Runtime,
) -> Result<Vec<Checked>, Error> {
    let failed = |source| {
        let file = PathBuf::from(record);
        Error::Disk(DiskError::File { file, source })
    };
    let text = std::fs::read(record).map_err(failed)?;
    let recorded: Recorded = serde_json::from_slice(&text)
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    let subject = Subject::of(image, runtime, None)?;
    let mut all = Vec::with_capacity(recorded.partitions.len());
    for (index, partition) in (1..).zip(recorded.partitions) {
        let number = partition.number.unwrap_or(index);
        let wanted = partition.start..partition.start.saturating_add(partition.size);
        let mut checked = Checked::new(&partition.name);
        match (subject.place(number, &wanted), &partition.sha256) {
            (Err(difference), _) => checked.differences.push(difference),
            (Ok(place), Some(expected)) => {
                checked.by = How::Digest;
                let is = subject.digest(&place)?;
                if is != *expected {
                    let was = expected.clone();
                    let aspects = vec![Aspect {
                        name: "sha256",
                        was,
                        is,
                    }];
                    checked.differences.push(Difference {
                        path: "partition".to_owned(),
                        what: What::Changed { aspects },
                    });
                }
                if subject.is_readable(&place)? {
                    checked.warnings = subject.read(&partition.name, number)?.warnings();
                }
            }
            (Ok(_), None) => {}
        }
        all.push(checked);
    }
    Ok(all)
}
