//! Small files that a spec names, read as a whole.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::PathBuf;

use cellblock_spec::Placed;
use cellblock_tree::source::Seen;

use crate::plan::PlanError;

/// The first bytes of a regular file, at most `most`.
pub(crate) fn read(file: &Placed<PathBuf>, most: usize) -> Result<Vec<u8>, PlanError> {
    let failed = |error: io::Error| PlanError::unusable(file, error);
    let metadata = fs::metadata(&file.value).map_err(failed)?;
    if !metadata.is_file() {
        return Err(PlanError::unusable(file, "it is no regular file"));
    }
    let open = File::open(&file.value).map_err(failed)?;
    let seen = Seen::of(&open).map_err(failed)?;
    let mut bytes = Vec::new();
    (&open)
        .take(most as u64)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    match seen.change(&open).map_err(failed)? {
        Some(how) => {
            let why = format!("it changed while it was read: {how}");
            Err(PlanError::unusable(file, why))
        }
        None => Ok(bytes),
    }
}
