//! `cellblock cut`: the content of a partition of an image, in a file of its own.

use std::sync::Arc;

use cellblock_build::footprint::Footprint;
use cellblock_build::image::Atomic;
use cellblock_build::text::human;
use cellblock_build::tree::volume::Decoders;
use cellblock_build::{Output, cut_partition};

use super::record::RecordFile;
use super::{Failure, print};
use crate::arguments::Cut;

pub(super) fn run(cut: &Cut) -> Result<(), Failure> {
    let output = cut.output().map_err(Failure::usage)?;
    let mut footprint = Footprint::default();
    footprint.reads("the image", &cut.chosen.image);
    footprint.writes_output("the content", &output);
    let to_stdout = output == Output::Stdout;
    let mut record = RecordFile::at("the record", cut.json.as_deref(), &mut footprint, to_stdout)?;
    record = record.synced(cut.sync);
    let has_stdout = record.is_stdout();
    footprint.check()?;
    let asked = super::asked(
        &cut.chosen,
        Atomic::Never,
        super::processors(),
        super::progress(cut.quiet, cut.verbose),
        cut.quiet,
    );
    let codecs = super::codecs()?;
    let decoders: Arc<dyn Decoders> = codecs.clone();
    let taken = cut_partition(&asked, &output, super::durability(cut.sync), &decoders);
    asked.progress.clear();
    let taken = taken?;
    super::warn_of_decoders(&codecs);
    super::print_findings(&cut.chosen.image, &taken.changed);
    record.write(&taken.changed.record)?;
    if !(cut.quiet || to_stdout || has_stdout) {
        let done = &taken.changed.record;
        let size = done.partitions.iter().map(|one| one.size).sum();
        print(&format!(
            "{output}: partition {} of {}, {} in {:.2} s\n",
            taken.changed.partition,
            cut.chosen.image.display(),
            human(size),
            done.timings.total.unwrap_or_default(),
        ))?;
    }
    taken.deliver()?;
    record.publish()
}
