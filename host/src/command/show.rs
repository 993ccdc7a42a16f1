//! `cellblock show`: the partition table of an image.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::{Failure, print, print_json};
use crate::arguments::Show;
use crate::report::{draw, json_like_sfdisk};
use crate::table::{ReadAt, Severity, Table};

/// A disk's file.
struct Disk(File);

impl ReadAt for Disk {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        // The end of a device is found by seeking, not by asking for its length.
        io::Seek::seek(&mut &self.0, io::SeekFrom::End(0))
    }
}

pub(super) fn run(show: &Show) -> Result<(), Failure> {
    let name = show.image.display().to_string();
    let failed = |error: &dyn std::fmt::Display| Failure::failed(format_args!("{name}: {error}"));
    let disk = Disk(File::open(&show.image).map_err(|error| failed(&error))?);
    let decoded = Table::decode(&disk).map_err(|error| failed(&error))?;
    if show.json {
        print_json(&json_like_sfdisk(&decoded.table, &name))?;
    } else {
        print(&draw(&decoded.table, super::width(), super::color()))?;
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
            "{damaged} faults in the partition table"
        )));
    }
    Ok(())
}
