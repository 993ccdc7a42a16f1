//! Small files that a spec names, read as a whole.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::PathBuf;

use cellblock_spec::Placed;

use crate::plan::PlanError;

/// The first bytes of a regular file, at most `most`.
pub(crate) fn read(file: &Placed<PathBuf>, most: usize) -> Result<Vec<u8>, PlanError> {
    let failed = |error: io::Error| PlanError::unusable(file, error);
    let metadata = fs::metadata(&file.value).map_err(failed)?;
    if !metadata.is_file() {
        return Err(PlanError::unusable(file, "it is no regular file"));
    }
    let mut bytes = Vec::new();
    File::open(&file.value)
        .and_then(|file| file.take(most as u64).read_to_end(&mut bytes))
        .map_err(failed)?;
    Ok(bytes)
}
