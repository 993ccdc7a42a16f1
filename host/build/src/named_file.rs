//! Small files that somebody names, read as a whole.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cellblock_spec::Placed;
use cellblock_tree::source::Seen;

use crate::plan::PlanError;

/// The first bytes of a regular file that a spec names, at most `most`.
pub(crate) fn read(file: &Placed<PathBuf>, most: usize) -> Result<Vec<u8>, PlanError> {
    head(&file.value, most as u64).map_err(|error| PlanError::unusable(file, error))
}

/// All bytes of a regular file.
///
/// # Errors
/// It cannot be read, is no regular file (which could have no end, or nobody at its other end), has more bytes than `most`, or changed
/// while it was read.
pub(crate) fn whole(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let bytes = head(path, most.saturating_add(1))?;
    if bytes.len() as u64 > most {
        let why = format!("it has more than the {most} bytes that are taken");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

fn head(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        let why = "it is no regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let open = File::open(path)?;
    let seen = Seen::of(&open)?;
    let mut bytes = Vec::new();
    (&open).take(most).read_to_end(&mut bytes)?;
    match seen.change(&open)? {
        Some(how) => Err(io::Error::other(format!(
            "it changed while it was read: {how}"
        ))),
        None => Ok(bytes),
    }
}
