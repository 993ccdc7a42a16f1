//! `cellblock show`: the partition table of an image.

use super::{Failure, print, print_json};
use crate::arguments::Show;
use crate::report::{draw, terminal};
use cellblock_build::image::Existing;
use cellblock_build::table::{Severity, json_like_sfdisk};

pub(super) fn run(show: &Show) -> Result<(), Failure> {
    let name = show.image.display().to_string();
    let failed = |error: &dyn std::fmt::Display| Failure::failed(format_args!("{name}: {error}"));
    let disk = Existing::open(&show.image).map_err(Failure::failed)?;
    let decoded = cellblock_build::decode_table(&disk, &show.image, show.sector_size)
        .map_err(Failure::failed)?;
    if show.json {
        print_json(&json_like_sfdisk(&decoded.table, &name).with_entries(decoded.entries))?;
    } else {
        print(&draw(&decoded.table, terminal::columns(), super::color()))?;
    }
    let mut damaged = 0;
    for finding in &decoded.findings {
        match finding.severity() {
            Severity::Damage => {
                damaged += 1;
                eprintln!("damaged: {finding}");
            }
            Severity::Warning => eprintln!("warning: {finding}"),
            Severity::Advice => eprintln!("note: {finding}"),
        }
    }
    if damaged > 0 {
        return Err(failed(&format_args!(
            "{damaged} {} in the partition table",
            if damaged == 1 { "fault" } else { "faults" }
        )));
    }
    Ok(())
}
