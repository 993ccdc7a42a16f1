//! `cellblock repair`: the copies of a partition table, made sound again.

use super::{Failure, print, waiting};
use crate::arguments::Repair;

pub(super) fn run(repair: &Repair) -> Result<(), Failure> {
    let name = repair.image.display();
    let waiting = if repair.quiet { |_: &_| {} } else { waiting };
    let done =
        cellblock_build::repair_table(&repair.image, repair.sector_size, repair.write, waiting)?;
    if repair.quiet {
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
