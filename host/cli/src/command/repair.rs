//! `cellblock repair`: the copies of a partition table, made sound again.

use cellblock_build::footprint::Footprint;
use cellblock_build::{RepairRecord, repair_table};

use super::record::RecordFile;
use super::{Failure, print, waiting};
use crate::arguments::Repair;

pub(super) fn run(repair: &Repair) -> Result<(), Failure> {
    let name = repair.image.display();
    let mut footprint = Footprint::default();
    footprint.writes("the image", &repair.image);
    let mut record = RecordFile::at("the record", repair.json.as_deref(), &mut footprint, false)?;
    footprint.check()?;
    let waiting = if repair.quiet { |_: &_| {} } else { waiting };
    let done = repair_table(&repair.image, repair.sector_size, repair.write, waiting)?;
    let has_stdout = record.is_stdout();
    record.write(&RepairRecord::of(&repair.image, &done, repair.write))?;
    record.publish()?;
    if repair.quiet || has_stdout {
        return Ok(());
    }
    if done.mends.is_empty() {
        return print(&format!("{name}: nothing to repair\n"));
    }
    let mut text = String::new();
    for fault in &done.faults {
        text += &format!("{name}: {fault}\n");
    }
    let did = if repair.write { "wrote" } else { "would write" };
    for mend in &done.mends {
        text += &format!("{did} {}\n", mend.what);
    }
    if !repair.write {
        text += "nothing was written: --write does it\n";
    }
    print(&text)
}
