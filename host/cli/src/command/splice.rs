//! `cellblock splice`: a file into a partition of an image that exists.

use std::path::Path;

use cellblock_build::footprint::Footprint;

use super::record::RecordFile;
use super::{Failure, print};
use crate::arguments::Splice;

pub(super) fn run(splice: &Splice) -> Result<(), Failure> {
    let mut footprint = Footprint::default();
    let is_stdin = splice.file == Path::new("-");
    footprint.reads("the content", &splice.file);
    footprint.writes("the image", &splice.chosen.image);
    let mut record = RecordFile::at("the record", splice.json.as_deref(), &mut footprint, false)?;
    let has_stdout = record.is_stdout();
    footprint.check()?;
    let asked = super::asked(
        &splice.chosen,
        splice.changing.atomic(),
        super::processors(),
        super::progress(splice.quiet, splice.verbose),
        splice.quiet,
    );
    let content = (!is_stdin).then_some(splice.file.as_path());
    let spliced = cellblock_build::splice_partition(&asked, content);
    asked.progress.clear();
    let spliced = spliced?;
    super::print_findings(&splice.chosen.image, &spliced);
    record.write(&spliced.record)?;
    record.publish()?;
    if splice.quiet || has_stdout {
        return Ok(());
    }
    let what = if is_stdin {
        "standard input".to_owned()
    } else {
        splice.file.display().to_string()
    };
    print(&super::changed(&spliced, &what))
}
