//! An image that exists, held against the record of its build.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cellblock_cell::Runtime;
use serde::Deserialize;

use super::subject::{Subject, changed};
use super::{Checked, How};
use cellblock_table::SectorSize;

use crate::DiskError;
use crate::compare::Difference;
use crate::error::Error;
use crate::existing::OpenedImage;
use crate::named_file;
use crate::reading::Readers;

/// The most bytes of a record that are read: those of a thousand images with a thousand partitions are fewer.
const LARGEST: u64 = 1 << 30;
/// What a record says nothing of that has no digest of all bytes, as that of a `fill`.
const REST: &str = "what lies outside of the recorded partitions";
/// What the digest of all bytes is called that of.
const WHOLE: &str = "the image";

/// What a build writes: the record of one image, or of each that a gadget describes.
#[derive(Debug)]
enum Documents {
    One(Recorded),
    Several(Vec<Recorded>),
}

impl Documents {
    fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        match text.trim_ascii_start().first() {
            Some(b'[') => serde_json::from_slice(text).map(Self::Several),
            _ => serde_json::from_slice(text).map(Self::One),
        }
    }

    /// The record of an image with this name: of several, the one that names a file that is called so.
    fn of(self, image: &Path) -> Result<Recorded, String> {
        let mut several = match self {
            Self::One(one) => return Ok(one),
            Self::Several(several) => several,
        };
        let name = |file: &str| Path::new(file).file_name() == image.file_name();
        let names = |one: &Recorded| {
            let mut outputs = one.outputs.iter();
            name(&one.image) || outputs.any(|output| name(&output.file))
        };
        let called: Vec<usize> = (0..several.len())
            .filter(|at| names(&several[*at]))
            .collect();
        match called[..] {
            [one] => Ok(several.swap_remove(one)),
            _ => {
                let known: Vec<&str> = several.iter().map(|one| &*one.image).collect();
                let count = called.len();
                Err(format!(
                    "the record is of {} images ({}), and {count} of them have the name of this one: give the image the name that it was built with",
                    several.len(),
                    known.join(", ")
                ))
            }
        }
    }
}

/// What is taken of a record.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Recorded {
    image: String,
    size: u64,
    sha256: Option<String>,
    table: Option<String>,
    sector_size: Option<u32>,
    #[serde(default)]
    outputs: Vec<RecordedOutput>,
    partitions: Vec<RecordedPartition>,
}

#[derive(Debug, Deserialize)]
struct RecordedOutput {
    file: String,
}

#[derive(Debug, Deserialize)]
struct RecordedPartition {
    number: Option<u32>,
    name: String,
    start: u64,
    size: u64,
    sha256: Option<String>,
}

/// The record of the build of an image.
#[derive(Debug)]
pub struct BuildRecord(Recorded);

impl BuildRecord {
    /// Reads the record of the image with this name; of several, the one that names a file that is called so.
    ///
    /// # Errors
    /// [`Error::Disk`] if it cannot be read, is none of that image, or has no digest.
    pub fn read(record: &Path, image: &Path) -> Result<Self, Error> {
        let invalid = |reason: String| {
            let path = PathBuf::from(record);
            Error::Disk(DiskError::Record { path, reason })
        };
        let text = named_file::whole(record, LARGEST).map_err(|source| {
            let file = PathBuf::from(record);
            Error::Disk(DiskError::File { file, source })
        })?;
        let documents = Documents::parse(&text).map_err(|error| {
            let what = "it is no record of a build, which `build --json FILE` writes";
            invalid(format!("{what}: {error}"))
        })?;
        let recorded = documents.of(image).map_err(invalid)?;
        let mut partitions = recorded.partitions.iter();
        if recorded.sha256.is_none() && partitions.all(|one| one.sha256.is_none()) {
            let what = "the record has no digest to compare the image with";
            return Err(invalid(what.to_owned()));
        }
        Ok(Self(recorded))
    }

    /// The size of the image's sectors, where its table does not show that.
    #[must_use]
    pub fn sector_size(&self) -> Option<SectorSize> {
        let is_mbr = self.0.table.as_deref() == Some("mbr");
        let size = self.0.sector_size.filter(|_| is_mbr)?;
        SectorSize::try_from(size).ok()
    }
}

/// Holds an image against the record of its build: the digest of all bytes, the places of partitions and their digests. What a reader reads is
/// read back, too.
///
/// # Errors
/// [`Error`] if the image cannot be read, or a partition not be read back.
pub fn verify_record(
    BuildRecord(recorded): BuildRecord,
    image: &Arc<OpenedImage>,
    runtime: &Runtime,
    readers: &Readers,
) -> Result<Vec<Checked>, Error> {
    let is_disk = recorded.table.is_some_and(|table| table != "none");
    let subject = Subject::of(image, is_disk, (runtime, readers), None)?;
    let mut all = Vec::with_capacity(recorded.partitions.len() + 1);
    all.push(match &recorded.sha256 {
        None => Checked::new(REST),
        Some(expected) => {
            let size = image.existing.size();
            let mut differences = other_digest(&subject, "image", &(0..size), expected)?;
            if size != recorded.size {
                let (was, is) = (recorded.size.to_string(), size.to_string());
                differences.push(changed("image", "size", was, is));
            }
            Checked {
                by: How::Digest,
                differences,
                ..Checked::new(WHOLE)
            }
        }
    });
    for (index, partition) in (1..).zip(recorded.partitions) {
        let number = partition.number.unwrap_or(index);
        let wanted = partition.start..partition.start.saturating_add(partition.size);
        let mut checked = Checked::new(&partition.name);
        match (subject.place(number, &wanted), &partition.sha256) {
            (Err(difference), _) => checked.differences.push(difference),
            (Ok(place), Some(expected)) => {
                checked.by = How::Digest;
                if let Some(cut) = subject.cut(&place) {
                    checked.differences.push(cut);
                    all.push(checked);
                    continue;
                }
                checked.differences = other_digest(&subject, "partition", &place, expected)?;
                if subject.is_readable(&place)? {
                    checked.warnings = subject.read(&partition.name, number, &place)?.warnings();
                }
            }
            (Ok(_), None) => {}
        }
        all.push(checked);
    }
    Ok(all)
}

/// Whether the bytes of a place have another digest than they should.
fn other_digest(
    subject: &Subject<'_>,
    path: &str,
    place: &Range<u64>,
    expected: &str,
) -> Result<Vec<Difference>, Error> {
    let is = subject.digest(place)?;
    if is == expected {
        return Ok(Vec::new());
    }
    Ok(vec![changed(path, "sha256", expected.to_owned(), is)])
}
