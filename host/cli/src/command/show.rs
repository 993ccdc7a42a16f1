//! `cellblock show`: the partition table of an image.

use super::{Failure, print, print_json};
use crate::arguments::Show;
use crate::report::{draw, terminal};
use cellblock_build::image::Existing;
use cellblock_build::table::{Severity, Table, json_like_sfdisk};

pub(super) fn run(show: &Show) -> Result<(), Failure> {
    let name = show.image.display().to_string();
    let failed = |error: &dyn std::fmt::Display| Failure::failed(format_args!("{name}: {error}"));
    let disk = Existing::open(&show.image).map_err(Failure::failed)?;
    let decoded = match show.sector_size {
        Some(sector_size) => Table::decode_as(&disk, sector_size),
        None => Table::decode(&disk),
    };
    let decoded = decoded.map_err(|error| failed(&error))?;
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
