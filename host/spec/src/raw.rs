//! What is written as it is: files and addresses, onto the disk or into a raw partition.

use std::path::PathBuf;

use super::error::ProblemKind;
use super::fields::{Fields, text};
use super::place::{Place, Placed};
use super::read::size_in_bytes;

/// Bytes that are written as they are, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawSpec {
    /// What is written.
    pub what: RawWhat,
    /// Where it goes, in bytes from the start of the disk or of the partition.
    pub offset: u64,
}

/// What is written as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawWhat {
    /// A file.
    File {
        /// The file.
        file: Placed<PathBuf>,
        /// The bytes that it has to itself: it may have fewer, and zeros follow. Its own length when absent.
        size: Option<Placed<u64>>,
    },
    /// The sector of this offset on the disk, in bytes, as 4 bytes, little-endian. It may lie in a file, which it then
    /// changes.
    Lba(Placed<u64>),
    /// The sector at which a partition lies, in the same way.
    LbaOf {
        /// The name of the partition.
        partition: Placed<String>,
        /// The distance from the start of the partition, in bytes.
        plus: u64,
    },
}

impl RawSpec {
    /// The file, unless it is an address that is written.
    pub fn file(&self) -> Option<&Placed<PathBuf>> {
        match &self.what {
            RawWhat::File { file, .. } => Some(file),
            RawWhat::Lba(_) | RawWhat::LbaOf { .. } => None,
        }
    }

    /// Where the file or the partition is named.
    pub fn place(&self) -> Place {
        match &self.what {
            RawWhat::File { file, .. } => file.place.clone(),
            RawWhat::Lba(place) => place.place.clone(),
            RawWhat::LbaOf { partition, .. } => partition.place.clone(),
        }
    }
}

pub(super) fn raw(fields: &mut Fields<'_, '_>) -> Option<RawSpec> {
    let place = fields.place.clone();
    let file = fields.take_path("file");
    let size = fields.take("size", size_in_bytes);
    let lba = fields.take("lba", size_in_bytes);
    let partition = fields.take("lba-of", text);
    let plus = fields.take("plus", size_in_bytes);
    let offset = fields.take("offset", size_in_bytes);
    let [is_file, is_lba, is_lba_of] =
        ["file", "lba", "lba-of"].map(|key| fields.get(key).is_some());
    let found = [is_file, is_lba, is_lba_of].into_iter().filter(|is| *is);
    let found = found.count();
    if found != 1 {
        fields.problem(ProblemKind::RawKinds { found }, place);
        return None;
    }
    for (key, value, is_right, needs) in [
        ("plus", plus.as_ref(), is_lba_of, "lba-of"),
        ("size", size.as_ref(), is_file, "file"),
    ] {
        if let (Some(value), false) = (value, is_right) {
            fields.problem(ProblemKind::RawNeeds { key, needs }, value.place.clone());
        }
    }
    let what = match (file, lba) {
        (Some(file), _) => RawWhat::File { file, size },
        (None, Some(lba)) => RawWhat::Lba(lba),
        (None, None) => RawWhat::LbaOf {
            partition: partition?,
            plus: plus.map_or(0, |plus| plus.value),
        },
    };
    Some(RawSpec {
        what,
        offset: offset.map_or(0, |offset| offset.value),
    })
}
