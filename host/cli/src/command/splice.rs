//! `cellblock splice`: a file into a partition of an image that exists.

use super::{Failure, print};
use crate::arguments::Splice;

pub(super) fn run(splice: &Splice) -> Result<(), Failure> {
    let asked = super::asked(&splice.chosen, splice.changing.atomic(), splice.quiet);
    let spliced = cellblock_build::splice_partition(&asked, &splice.file)?;
    if splice.quiet {
        return Ok(());
    }
    let what = splice.file.display().to_string();
    print(&super::changed(&spliced, &what))
}
