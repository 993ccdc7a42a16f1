//! `cellblock diff`: what differs between two trees, wherever they are.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::looking::{open_with, runtime, say};
use super::{Failure, print, print_json};
use crate::arguments::{Diff, ImagePlace, Reading};
use cellblock_build::OpenedImage;
use cellblock_build::cell::Runtime;
use cellblock_build::compare::{Compared, Difference, What, compare};
use cellblock_build::disks::{Comparing, Disk, Listener};
use cellblock_build::image::Scratch;
use cellblock_build::reading::{Opened, ReadingError};
use cellblock_build::tree::Tree;
use cellblock_build::tree::recognise::{Class, HEAD, is_named_as_archive, recognise};
use cellblock_build::tree::source::{self, ReadOptions, Source, Times, read_sources};
use cellblock_build::tree::volume::Decoders;

/// The bytes that a compressed archive may decompress to.
const ARCHIVE_LIMIT: u64 = 64 << 30;
/// The most differences of a kind that are kept to be printed as JSON.
const KEPT: usize = 10_000_000;

pub(super) fn run(diff: &Diff) -> Result<(), Failure> {
    let runtime = runtime(&diff.reading)?;
    let compared = Compared {
        ignore_times: diff.no_times,
        ..Compared::default()
    };
    let mut told = Told::new(diff);
    match disks(diff, &runtime)? {
        Some([first, second]) => {
            let readers = diff.reading.by.readers(&diff.reading.limits);
            let comparing = Comparing {
                runtime: &runtime,
                readers: &readers,
                compared,
            };
            comparing.disks(&first, &second, &mut told)?;
        }
        None => {
            let first = tree(&runtime, &diff.reading, &diff.first)?;
            let second = tree(&runtime, &diff.reading, &diff.second)?;
            let told = &mut |difference| told.differs(difference);
            compare(&first, &second, compared, told).map_err(Failure::failed)?;
        }
    }
    told.end()
}

/// The differences that were told, as they are to be printed.
struct Told<'a> {
    diff: &'a Diff,
    added: u64,
    removed: u64,
    changed: u64,
    kept: Vec<Difference>,
    printed: Result<(), Failure>,
}

impl<'a> Told<'a> {
    fn new(diff: &'a Diff) -> Self {
        Self {
            diff,
            added: 0,
            removed: 0,
            changed: 0,
            kept: Vec::new(),
            printed: Ok(()),
        }
    }

    /// Prints what is printed at the end; differences are an exit of their own.
    fn end(self) -> Result<(), Failure> {
        let Self {
            diff,
            added,
            removed,
            changed,
            ..
        } = self;
        self.printed?;
        if diff.json {
            let counts = json!({ "added": added, "removed": removed, "changed": changed });
            let value = if diff.stat {
                json!({ "counts": counts })
            } else {
                json!({ "counts": counts, "differences": self.kept })
            };
            print_json(&value)?;
        } else if diff.stat {
            print(&format!(
                "{added} added, {removed} removed, {changed} changed\n"
            ))?;
        }
        if added + removed + changed == 0 {
            return Ok(());
        }
        Err(Failure::different(format_args!(
            "they differ: {added} added, {removed} removed, {changed} changed"
        )))
    }
}

impl Listener for Told<'_> {
    fn differs(&mut self, difference: Difference) {
        match difference.what {
            What::Added => self.added += 1,
            What::Removed => self.removed += 1,
            What::Changed { .. } => self.changed += 1,
        }
        if self.diff.json && self.kept.len() < KEPT {
            self.kept.push(difference);
        } else if !self.diff.stat && self.printed.is_ok() {
            self.printed = print(&format!("{difference}\n"));
        }
    }

    fn read(&mut self, opened: &Opened) {
        say(opened, self.diff.reading.verbose);
    }
}

/// The two disks, if whole ones are compared.
fn disks(diff: &Diff, runtime: &Runtime) -> Result<Option<[Disk; 2]>, Failure> {
    let decoders: Arc<dyn Decoders> = runtime.codecs();
    let open = |place: &ImagePlace| {
        let is_whole = place.partition.is_none() && place.path.is_none();
        if !is_whole || place.image.is_dir() || is_archive(&place.image) {
            return Ok(None);
        }
        let sector_size = diff.reading.by.sector_size();
        let image = Arc::new(
            OpenedImage::open(&place.image, sector_size, &decoders).map_err(ReadingError::from)?,
        );
        let disk = Disk::of(&image)?;
        Ok::<_, Failure>(disk.map(|disk| (image, disk)))
    };
    let (first, one, second, other) = match (open(&diff.first)?, open(&diff.second)?) {
        (Some((first, one)), Some((second, other))) => (first, one, second, other),
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(one_disk(&diff.first, &diff.second)),
        (None, Some(_)) => return Err(one_disk(&diff.second, &diff.first)),
    };
    super::warn_of_image(&first);
    super::warn_of_image(&second);
    Ok(Some([one, other]))
}

/// A disk, and something else that is none.
fn one_disk(disk: &ImagePlace, other: &ImagePlace) -> Failure {
    let (disk, other) = (disk.image.display(), other.image.display());
    Failure::usage(format_args!(
        "{disk} is a disk with partitions, and {other} is no whole disk with a table that can be read: name a partition, as {disk}:1"
    ))
}

/// The tree of a directory, an archive, or a file system of an image.
fn tree(runtime: &Runtime, reading: &Reading, place: &ImagePlace) -> Result<Tree, Failure> {
    let path = &place.image;
    let what = if path.is_dir() {
        source::What::Directory(path.clone())
    } else if is_archive(path) {
        source::What::Archive(path.clone())
    } else {
        let opened = open_with(
            runtime,
            (&reading.by, &reading.limits),
            place,
            true,
            reading.verbose,
        )?;
        return match &place.path {
            None => Ok(opened.tree),
            Some(_) => Err(Failure::usage(
                "whole file systems are compared: leave the path out",
            )),
        };
    };
    if place.partition.is_some() || place.path.is_some() {
        return Err(Failure::usage(format_args!(
            "{} has no partitions",
            path.display()
        )));
    }
    let source = Source {
        times: Times::Keep,
        ..Source::new(what)
    };
    let scratch = Scratch::beside(&std::env::temp_dir().join("archive"));
    let spool = || scratch.file();
    let gathered = read_sources(&[source], &spool, &ReadOptions::within(ARCHIVE_LIMIT));
    Ok(gathered.map_err(Failure::failed)?.tree)
}

/// Whether a file is a tar archive, plain or compressed; of one without a mark, such as one of nothing, the name tells.
fn is_archive(path: &Path) -> bool {
    use std::io::Read as _;
    let mut head = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
    read.is_ok()
        && match recognise(&head) {
            Some(format) => matches!(format.class, Class::Tar | Class::Compressed(_)),
            None => is_named_as_archive(path),
        }
}
