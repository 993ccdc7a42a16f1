//! `cellblock cp`: files of an image into a directory.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use serde_json::json;

use super::looking::{node_of, open, shown};
use super::{Failure, print, print_json};
use crate::arguments::Cp;
use cellblock_build::image::{Taking, extract};
use cellblock_build::text::human;

pub(super) fn run(cp: &Cp) -> Result<(), Failure> {
    let opened = open(&cp.reading, &cp.place, true)?;
    let top = node_of(&opened, &cp.place)?;
    let taking = Taking {
        special_bits: cp.special_bits,
        special_files: cp.special_files,
        owners: cp.owners,
    };
    let jobs = available_parallelism().map_or(1, NonZeroUsize::get);
    let done = extract(&opened.tree, top, &cp.folder, taking, jobs).map_err(Failure::failed)?;
    for (count, what, how) in [
        (
            done.special_files,
            "devices, fifos and sockets were left out",
            "--special-files makes them, as root",
        ),
        (
            done.special_bits,
            "files with set-user-ID, set-group-ID or sticky bits lost these",
            "--special-bits keeps them",
        ),
        (
            done.attributes,
            "files with extended attributes lost these",
            "`cellblock tar` keeps them",
        ),
    ] {
        if count > 0 {
            tell!("warning: {count} {what}: {how}");
        }
    }
    for (altered, what, why) in [
        (
            done.times,
            "another time than in the image",
            "the file system there cannot hold it",
        ),
        (
            done.modes,
            "another mode than in the image",
            "set-group-ID bits are for members of the group, and some file systems have no modes",
        ),
    ] {
        if let Some(first) = altered.first {
            tell!(
                "warning: {}: {} files, directories and links have {what}, the first of them {}: {why}",
                cp.folder.display(),
                altered.count,
                shown(&opened.tree.path(first))
            );
        }
    }
    if cp.json {
        return print_json(&json!({
            "folder": cp.folder.display().to_string(),
            "made": done.made,
            "bytes": done.bytes,
            "left-out": {
                "special-files": done.special_files,
                "special-bits": done.special_bits,
                "attributes": done.attributes,
            },
            "altered": {
                "times": done.times.count,
                "modes": done.modes.count,
            },
        }));
    }
    if cp.quiet {
        return Ok(());
    }
    print(&format!(
        "{}: {} files, directories and links, {}\n",
        cp.folder.display(),
        done.made,
        human(done.bytes)
    ))
}
