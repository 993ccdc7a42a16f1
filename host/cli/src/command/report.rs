//! `cellblock report`: what takes the space of an image, as a page of HTML.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::looking::{runtime, say};
use super::record::RecordFile;
use super::{Failure, print};
use crate::arguments::Report;
use crate::page::{Differences, Held, Page, Piece};
use cellblock_build::cell::Runtime;
use cellblock_build::compare::{Compared, Difference, compare};
use cellblock_build::disks::{Comparing, Disk, Listener};
use cellblock_build::footprint::Footprint;
use cellblock_build::image::{Document, Superblock};
use cellblock_build::reading::{Opened, ReadingError};
use cellblock_build::table::{Decoded, Selector, Table, gaps};
use cellblock_build::text::{exact, printable};
use cellblock_build::tree::volume::Decoders;
use cellblock_build::{OpenedImage, Seen};

/// The differences that a page lists.
const LISTED: usize = 1000;
/// The most bytes of a record.
const MOST_RECORD: u64 = 64 << 20;

pub(super) fn run(report: &Report) -> Result<(), Failure> {
    let mut footprint = Footprint::default();
    footprint.reads("the image", &report.image);
    if let Some(base) = &report.base {
        footprint.reads("the base", base);
    }
    let to_stdout = report.output == Path::new("-");
    if to_stdout {
        super::not_to_terminal("a page")?;
    } else {
        footprint.writes("the page", &report.output);
    }
    let mut record = RecordFile::at(
        "the figures",
        report.json.as_deref(),
        &mut footprint,
        to_stdout,
    )?;
    footprint.check()?;
    let document = match to_stdout {
        true => None,
        false => Some(Document::prepare(&report.output)?),
    };
    let page = page(report)?;
    let html = page.html();
    record.write(&page.figures())?;
    let Some(mut document) = document else {
        print(&html)?;
        return record.publish();
    };
    document.write(html.as_bytes()).map_err(Failure::failed)?;
    if !(report.quiet || record.is_stdout()) {
        print(&format!(
            "{}: {} of {}\n",
            report.output.display(),
            exact(html.len() as u64),
            report.image.display()
        ))?;
    }
    document.publish().map_err(Failure::failed)?;
    record.publish()
}

fn page(report: &Report) -> Result<Page, Failure> {
    if let Some(record) = record(&report.image)? {
        return match report.base {
            Some(_) => Err(Failure::usage(
                "a record has no files to compare: give the image itself, or leave --base out",
            )),
            None => Ok(of_record(record)),
        };
    }
    let runtime = runtime(&report.reading)?;
    let name = report.image.display().to_string();
    let mut page = Page {
        title: printable(&name),
        ..Page::default()
    };
    let decoders: Arc<dyn Decoders> = runtime.codecs();
    let sector_size = report.reading.by.sector_size();
    let image = super::open_image(&report.image, sector_size, &decoders)?;
    match image.look()? {
        Seen::Filesystem(found) => {
            page.volumes
                .extend(volume(report, (&runtime, &image), None, &name, &found)?);
        }
        Seen::Disk { decoded, holds } => {
            of_disk(&mut page, &decoded, &holds);
            for (number, found) in &holds {
                let mut partitions = decoded.table.partitions.iter();
                let partition = partitions.find(|one| one.number == *number);
                let called = partition.map_or_else(|| number.to_string(), |one| one.called());
                let called = format!("Partition {}", printable(&called));
                let selector = Some(Selector::Number(*number));
                page.volumes.extend(volume(
                    report,
                    (&runtime, &image),
                    selector,
                    &called,
                    found,
                )?);
            }
        }
    }
    if let Some(base) = &report.base {
        page.differences = Some(differences(report, &runtime, &image, base)?);
    }
    Ok(page)
}

/// What is told of a disk.
fn of_disk(page: &mut Page, decoded: &Decoded, holds: &BTreeMap<u32, Superblock>) {
    let table = &decoded.table;
    page.facts = vec![
        ("table", table.scheme().to_string()),
        ("identifier", table.disk_id.to_string()),
        ("size", exact(table.disk_bytes())),
        ("sectors", exact(table.sector_size.bytes())),
    ];
    page.disk = Some((table.disk_bytes(), pieces(table, holds)));
}

/// The partitions, and what lies between them.
fn pieces(table: &Table, holds: &BTreeMap<u32, Superblock>) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = table
        .with_content()
        .map(|one| {
            let place = table.place_of(one);
            let found = holds.get(&one.number);
            let told =
                |of: &dyn Fn(&Superblock) -> Option<String>| found.and_then(of).unwrap_or_default();
            Piece {
                start: place.start,
                size: place.end - place.start,
                name: one.name.clone(),
                partition: Some(one.number),
                cells: vec![
                    ("type", one.kind.to_string()),
                    ("file system", told(&|it| Some(it.kind.to_owned()))),
                    ("label", told(&|it| it.label.clone())),
                    ("used", told(&|it| it.used.map(exact))),
                    ("identifier", told(&|it| it.uuid.clone())),
                ],
            }
        })
        .collect();
    with_gaps(&mut pieces, table.disk_bytes());
    pieces
}

/// Puts pieces in order, and what lies between them.
fn with_gaps(pieces: &mut Vec<Piece>, size: u64) {
    let taken = pieces
        .iter()
        .map(|piece| piece.start..piece.start.saturating_add(piece.size));
    let free = gaps(taken, 0..size).into_iter().map(|gap| Piece {
        start: gap.start,
        size: gap.end - gap.start,
        name: "not in a partition".to_owned(),
        partition: None,
        cells: Vec::new(),
    });
    pieces.extend(free);
    pieces.sort_by_key(|piece| piece.start);
}

/// A file system that a reader reads; one that is damaged is told as that, and others not at all.
fn volume(
    report: &Report,
    (runtime, image): (&Runtime, &Arc<OpenedImage>),
    partition: Option<Selector>,
    called: &str,
    found: &Superblock,
) -> Result<Option<Held>, Failure> {
    let called = format!("{called} ({})", found.kind);
    match report.reading.by.readers(&report.reading.limits).open_in(
        runtime,
        image,
        partition.as_ref(),
        false,
    ) {
        Ok(opened) => {
            super::warn_of_walls(runtime);
            say(&opened, report.reading.verbose);
            Ok(Some(Held::read(called, &opened.volume, &opened.tree)))
        }
        Err(ReadingError::NoReader { .. }) => Ok(None),
        Err(error @ ReadingError::Reader { .. }) => {
            let why = printable(&error.to_string());
            tell!("warning: {why}");
            Ok(Some(Held::unread(called, why)))
        }
        Err(error) => Err(error.into()),
    }
}

/// How the image differs from its base.
fn differences(
    report: &Report,
    runtime: &Runtime,
    image: &Arc<OpenedImage>,
    base: &Path,
) -> Result<Differences, Failure> {
    let mut heard = Heard(Differences {
        base: printable(&base.display().to_string()),
        ..Differences::default()
    });
    let readers = report.reading.by.readers(&report.reading.limits);
    let decoders: Arc<dyn Decoders> = runtime.codecs();
    let base = super::open_image(base, report.reading.by.sector_size(), &decoders)?;
    match (Disk::of(&base)?, Disk::of(image)?) {
        (Some(old), Some(new)) => {
            let comparing = Comparing {
                runtime,
                readers: &readers,
                compared: Compared::default(),
            };
            comparing.disks(&old, &new, &mut heard)?;
        }
        _ => {
            let open = |image| readers.open_in(runtime, image, None, true);
            let (old, new) = (open(&base)?, open(image)?);
            let told = &mut |difference| heard.differs(difference);
            compare(&old.tree, &new.tree, Compared::default(), told).map_err(Failure::failed)?;
        }
    }
    Ok(heard.0)
}

/// The first differences, and how many there are.
struct Heard(Differences);

impl Listener for Heard {
    fn differs(&mut self, difference: Difference) {
        self.0.count += 1;
        if self.0.lines.len() < LISTED {
            self.0.lines.push(difference.to_string());
        }
    }

    fn read(&mut self, _: &Opened) {}
}

/// What is taken of a record.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Recorded {
    image: String,
    size: u64,
    sha256: Option<String>,
    table: Option<String>,
    disk_id: Option<String>,
    #[serde(default)]
    partitions: Vec<RecordedPartition>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RecordedPartition {
    number: Option<u32>,
    name: String,
    start: u64,
    size: u64,
    #[serde(rename = "type")]
    kind: Option<String>,
    filesystem: Option<RecordedFilesystem>,
    sha256: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RecordedFilesystem {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    label: String,
}

/// A record, if the file is one: JSON, and no image, begins with a brace.
fn record(path: &Path) -> Result<Option<Recorded>, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::usage(format_args!("{}: {error}", path.display()));
    let mut file = fs::File::open(path).map_err(|error| failed(&error))?;
    let mut first = [0];
    let has_byte = file.read(&mut first).map_err(|error| failed(&error))? == 1;
    if !has_byte || !matches!(first, [b'{' | b'[']) {
        return Ok(None);
    }
    let mut text = first.to_vec();
    let mut rest = file.take(MOST_RECORD);
    rest.read_to_end(&mut text)
        .map_err(|error| failed(&error))?;
    // An image may begin with any byte.
    if std::str::from_utf8(&text).is_err() || text.contains(&0) {
        return Ok(None);
    }
    let not_it = |error| failed(&format_args!("not the record of a build: {error}"));
    if first == *b"[" {
        let mut several: Vec<Recorded> = serde_json::from_slice(&text).map_err(not_it)?;
        if several.len() != 1 {
            return Err(failed(&format_args!(
                "the record of {} images, and a report is of one: give it the record of that alone, as `jq '.[0]'` takes it out",
                several.len()
            )));
        }
        return Ok(several.pop());
    }
    Ok(Some(serde_json::from_slice(&text).map_err(not_it)?))
}

fn of_record(record: Recorded) -> Page {
    let mut facts = Vec::new();
    let mut fact = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    let is_disk = record.table.is_some();
    fact("table", record.table);
    fact("identifier", record.disk_id);
    fact("size", Some(exact(record.size)));
    fact("SHA-256", record.sha256);
    let partitions = record.partitions.into_iter();
    let mut pieces: Vec<Piece> = partitions
        .map(|one| {
            let filesystem = one.filesystem.unwrap_or_default();
            Piece {
                start: one.start,
                size: one.size,
                name: one.name,
                partition: Some(one.number.unwrap_or_default()),
                cells: vec![
                    ("type", one.kind.unwrap_or_default()),
                    ("file system", filesystem.kind),
                    ("label", filesystem.label),
                    ("SHA-256", one.sha256.unwrap_or_default()),
                ],
            }
        })
        .collect();
    with_gaps(&mut pieces, record.size);
    Page {
        title: record.image,
        facts,
        disk: is_disk.then_some((record.size, pieces)),
        ..Page::default()
    }
}
