//! `cellblock cut`: the content of a partition of an image, in a file of its own.

use super::{Failure, print};
use crate::arguments::Cut;
use cellblock_build::image::Atomic;
use cellblock_build::text::human;

pub(super) fn run(cut: &Cut) -> Result<(), Failure> {
    let asked = super::asked(&cut.chosen, Atomic::Never, cut.quiet);
    let taken = cellblock_build::cut_partition(&asked, &cut.output)?;
    if cut.quiet {
        return Ok(());
    }
    let size = taken.record.partitions.iter().map(|one| one.size).sum();
    print(&format!(
        "{}: partition {} of {}, {} in {:.2} s\n",
        cut.output.display(),
        taken.partition,
        cut.chosen.image.display(),
        human(size),
        taken.record.timings.total.unwrap_or_default(),
    ))
}
