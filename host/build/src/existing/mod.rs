//! One partition of a disk that exists: made anew, put in, or taken out.
//!
//! ```text
//!     image ──> table, checked ──> partition ──> content ready ──> image locked, table the same ──> splice
//! ```

mod decode;
mod error;
mod opened;
mod repair;
mod seen;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

pub use decode::decode_table;
pub use error::DiskError;
pub(crate) use error::is_without_table;
pub use opened::OpenedImage;
pub use repair::repair_table;
pub use seen::Seen;

use super::filesystem::{Basis, Filled, Measurements, Slot};
use super::record::PartitionRecord;
use super::{BuildOptions, Record};
use crate::catalogue::Catalog;
use crate::disk;
use crate::error::Error;
use crate::output::Output;
use crate::plan::{self, FilesystemRequest};
use crate::progress::{Phase, Progress, watched};
use crate::said::Said;
use cellblock_cell::Runtime;
use cellblock_image::{
    Atomic, Change, Copying, Durability, Existing, Image, ImageError, Replacement, Scratch,
    Snapshots,
};
use cellblock_table::{Finding, Partition, SectorSize, Selector, Severity, Table};
use cellblock_tree::volume::Decoders;

/// What is asked for of a disk that exists.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The image.
    pub image: PathBuf,
    /// The partition.
    pub partition: Selector,
    /// The size in bytes that it must have.
    pub expected_size: Option<u64>,
    /// The size of a sector, where the table does not say it.
    pub sector_size: Option<SectorSize>,
    /// Whether the image is replaced by a changed copy.
    pub atomic: Atomic,
    /// The most threads that copy.
    pub jobs: usize,
    /// Called before waiting for somebody else who has locked the image.
    pub waiting: fn(&Path),
    /// Where progress is shown.
    pub progress: Arc<dyn Progress>,
}

/// A partition whose content has been made anew or taken out.
#[derive(Debug)]
pub struct Changed {
    /// What the partition is called: number and name.
    pub partition: String,
    /// What was done. It has no file system if none was made.
    pub record: Record,
    /// What is said of the file system.
    pub log: Vec<Said>,
    /// What is wrong with the table, and what nothing says of it, though the partition could be found.
    pub findings: Vec<Finding>,
    /// The bytes of a partition that was taken out that are not in the image, which ends before they do.
    pub missing: u64,
    /// What the image's file holds beside the disk that a partition was taken out of.
    pub snapshots: Option<Snapshots>,
}

/// What is done with a partition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Its content is read: a table that can be understood is enough.
    Read,
    /// Its content is changed: the table has no fault.
    Change,
}

impl Use {
    fn is_stopped_by(self, finding: &Finding) -> bool {
        match finding.severity() {
            Severity::Advice => false,
            Severity::Warning => self == Self::Change,
            Severity::Damage => true,
        }
    }
}

/// A partition of a disk whose table says where it is.
struct Located {
    table: Table,
    /// What is to be said of the table.
    findings: Vec<Finding>,
    partition: Partition,
    /// Its bytes on the disk.
    place: Range<u64>,
}

impl Located {
    /// The size in bytes.
    fn size(&self) -> u64 {
        self.place.end - self.place.start
    }
}

impl Asked {
    /// The partition in an image.
    fn locate(&self, image: &Existing, used: Use) -> Result<Located, DiskError> {
        let path = || self.image.clone();
        let decoded = decode_table(image, &self.image, self.sector_size)?;
        if decoded.findings.iter().any(|one| used.is_stopped_by(one)) {
            let is_fault = |finding: &Finding| finding.severity() != Severity::Advice;
            let findings = decoded.findings.into_iter().filter(is_fault).collect();
            return Err(DiskError::Damaged {
                path: path(),
                findings,
            });
        }
        let is_to_be_said = |finding: &Finding| {
            finding.severity() != Severity::Advice || *finding == Finding::SectorSizeUnknown
        };
        let findings = decoded.findings.into_iter().filter(is_to_be_said).collect();
        let table = decoded.table;
        let partition = table
            .select(&self.partition)
            .map_err(|source| DiskError::Select {
                path: path(),
                source,
            })?
            .clone();
        let place = table.place_of(&partition);
        let size = place.end - place.start;
        match self.expected_size {
            Some(expected) if expected != size => Err(DiskError::Size {
                path: path(),
                partition: partition.called(),
                size,
                expected,
            }),
            _ => Ok(Located {
                table,
                findings,
                partition,
                place,
            }),
        }
    }

    /// Opens the image for this change alone, and finds the partition where it was `before`.
    fn lock(&self, before: &Located) -> Result<Existing, Error> {
        let image = Existing::open_alone(&self.image, &|| (self.waiting)(&self.image))?;
        if self.locate(&image, Use::Change)?.table != before.table {
            return Err(Error::Disk(DiskError::TableChanged {
                path: self.image.clone(),
                partition: before.partition.called(),
            }));
        }
        Ok(image)
    }
}

impl Asked {
    fn copying<'a>(&self, watch: &'a dyn Fn(u64)) -> Copying<'a> {
        Copying {
            threads: self.jobs,
            watch,
        }
    }

    /// Puts content into the partition.
    fn splice(
        &self,
        image: &Existing,
        located: &Located,
        content: &Replacement<'_>,
    ) -> Result<Change, ImageError> {
        let name = located.partition.called();
        let size = Some(located.size());
        watched(&*self.progress, Phase::Copying, &name, size, |watch| {
            let how = self.copying(watch);
            image.splice(located.place.clone(), content, self.atomic, how)
        })
    }
}

/// Makes a file system in a partition of an image that exists.
///
/// # Errors
/// [`Error`]; unless it says otherwise, the image is as it was.
pub fn fill_partition(
    asked: &Asked,
    request: FilesystemRequest,
    runtime: &Runtime,
    catalog: &Catalog,
    options: &BuildOptions,
) -> Result<Changed, Error> {
    let begun = Instant::now();
    let image = Existing::open_changeable(&asked.image)?;
    let located = asked.locate(&image, Use::Change)?;
    let called = located.partition.called();
    let scratch = Scratch::beside(image.path());
    let number = located.partition.number;
    let formatters = catalog.load(runtime, &[&*request.kind].into(), options.jobs)?;
    formatters.say(&*options.progress);
    formatters.check_labels_of(&request)?;
    let kinds = formatters.kinds();
    let (filesystem, time) = plan::filesystem_alone(request, &kinds, number, Some(located.size()))?;
    let basis = Basis::of(formatters);
    let preparation = basis.preparation(runtime, &scratch, options, Some(&asked.image));
    let name = match located.partition.name.as_str() {
        "" => located.partition.number.to_string(),
        name => name.to_owned(),
    };
    let unmeasured = Measurements {
        partitions: &[],
        sector_size: located.table.sector_size,
        time,
    };
    let prepared = preparation.prepare(&BTreeMap::from([(0, filesystem)]), &[name], &unmeasured)?;
    let place = Slot {
        disk_offset: located.place.start,
        base: 0,
        size: located.size(),
        sector_size: located.table.sector_size,
        time,
    };
    let [prepared] = &prepared[..] else {
        unreachable!("one file system was asked for")
    };
    let mut filled = Some(preparation.fill(prepared, &place)?);
    let splicing = Instant::now();
    let mut change = Change::InPlace;
    if let Some(partition) = filled.as_mut().and_then(|filled| filled.partition.take()) {
        let image = asked.lock(&located)?;
        let new = Replacement::of_partition(&partition)?;
        change = asked.splice(&image, &located, &new)?;
    }
    let log = filled
        .as_mut()
        .map(|filled| std::mem::take(&mut filled.log));
    Ok(Changed {
        partition: called,
        record: record(asked, &located, filled, change, splicing, begun),
        log: log.unwrap_or_default(),
        findings: located.findings,
        missing: 0,
        snapshots: None,
    })
}

/// Puts a file, or standard input where that is none, into a partition of an image that exists; what is left of the
/// partition becomes zeros.
///
/// # Errors
/// [`Error`]; unless it says otherwise, the image is as it was.
pub fn splice_partition(asked: &Asked, file: Option<&Path>) -> Result<Changed, Error> {
    let begun = Instant::now();
    let file_name = file.unwrap_or(Path::new("standard input"));
    let failed = |source| DiskError::File {
        file: file_name.to_owned(),
        source,
    };
    // It is read to its end before the image is locked.
    let content = match file {
        Some(file) => open_content(file)?,
        None => spooled(asked)?,
    };
    let image = Existing::open_alone(&asked.image, &|| (asked.waiting)(&asked.image))?;
    let located = asked.locate(&image, Use::Change)?;
    if image.is(&content).map_err(failed)? {
        let file = file_name.to_owned();
        return Err(DiskError::SameFile { file }.into());
    }
    let new = Replacement::of_file(&content).map_err(failed)?;
    if file.is_none() && new.length() == 0 {
        return Err(DiskError::Nothing.into());
    }
    if new.length() > located.size() {
        return Err(Error::Disk(DiskError::TooLong {
            path: asked.image.clone(),
            file: file_name.to_owned(),
            length: new.length(),
            partition: located.partition.called(),
            size: located.size(),
        }));
    }
    let splicing = Instant::now();
    let change = asked.splice(&image, &located, &new)?;
    Ok(Changed {
        partition: located.partition.called(),
        record: record(asked, &located, None, change, splicing, begun),
        log: Vec::new(),
        findings: located.findings,
        missing: 0,
        snapshots: None,
    })
}

fn open_content(file: &Path) -> Result<File, Error> {
    let failed = |source| DiskError::File {
        file: file.to_owned(),
        source,
    };
    if !fs::metadata(file).map_err(failed)?.is_file() {
        let file = file.to_owned();
        return Err(DiskError::NotAFile { file }.into());
    }
    Ok(File::open(file).map_err(failed)?)
}

/// Standard input, in a file without a name beside the image.
fn spooled(asked: &Asked) -> Result<File, Error> {
    let scratch = Scratch::beside(&asked.image);
    let mut file = scratch.create()?;
    io::copy(&mut io::stdin().lock(), &mut file).map_err(|source| DiskError::File {
        file: PathBuf::from("standard input"),
        source,
    })?;
    Ok(file)
}

/// What was taken out of an image, and has no name yet.
#[derive(Debug)]
pub struct Taken {
    content: Image,
    output: Output,
    durability: Durability,
    progress: Arc<dyn Progress>,
    /// Out of which partition, and what was done.
    pub changed: Changed,
}

impl Taken {
    /// Gives the content its name, at once and complete, or hands it to standard output.
    ///
    /// # Errors
    /// [`Error`]; what had the name before is as it was.
    pub fn deliver(self) -> Result<(), Error> {
        let Self {
            content,
            output,
            durability,
            progress,
            ..
        } = self;
        disk::deliver(&output, content, durability, &*progress)
    }
}

/// Takes the content of a partition out of an image, into a file of its own; of a partition that ends beyond the image, what
/// is there. `decoders` are asked for what is compressed in an image that is not raw.
///
/// # Errors
/// [`Error`]; nothing is left behind.
pub fn cut_partition(
    asked: &Asked,
    output: &Output,
    durability: Durability,
    decoders: &Arc<dyn Decoders>,
) -> Result<Taken, Error> {
    let begun = Instant::now();
    let image = Existing::open_unchanging(&asked.image, &|| (asked.waiting)(&asked.image))?;
    let image = image.with_disk(decoders)?;
    let located = asked.locate(&image, Use::Read)?;
    let scratch = output.scratch()?;
    let splicing = Instant::now();
    let there = located.place.start..located.place.end.min(image.size());
    let missing = located.place.end - there.end;
    let size = there.end - there.start;
    let called = located.partition.called();
    let content = watched(
        &*asked.progress,
        Phase::Copying,
        &called,
        Some(size),
        |watch| image.cut(there, &scratch, asked.copying(watch)),
    )?;
    let changed = Changed {
        partition: called,
        record: record(asked, &located, None, Change::InPlace, splicing, begun),
        log: Vec::new(),
        findings: located.findings,
        missing,
        snapshots: image.snapshots().cloned(),
    };
    Ok(Taken {
        content,
        output: output.clone(),
        durability,
        progress: Arc::clone(&asked.progress),
        changed,
    })
}

fn record(
    asked: &Asked,
    located: &Located,
    filled: Option<Filled>,
    change: Change,
    splicing: Instant,
    begun: Instant,
) -> Record {
    Record::of_partition(
        (&asked.image.display(), located.table.disk_bytes()),
        &located.table,
        PartitionRecord::of_existing(&located.partition, &located.place, filled),
        change,
        splicing.elapsed(),
        begun.elapsed(),
    )
}
