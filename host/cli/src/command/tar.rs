//! `cellblock tar`: a file system of an image as a tar archive.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Instant;

use super::looking::{node_of, open};
use super::record::RecordFile;
use super::{Failure, print};
use crate::arguments::{Tar, TreeForm};
use cellblock_build::footprint::Footprint;
use cellblock_build::image::Document;
use cellblock_build::reading::Opened;
use cellblock_build::text::{hexadecimal, printable};
use cellblock_build::tree::pax::write::{Written, write};
use cellblock_build::tree::recognise::is_named_as_archive;
use cellblock_build::tree::{NodeId, Tree};
use cellblock_build::{OutputRecord, Record};

/// The bytes that are written at once.
const BUFFER: usize = 1 << 20;

pub(super) fn run(export: &Tar) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut footprint = Footprint::default();
    footprint.reads("the image", &export.place.image);
    let to_stdout = export.output == Path::new("-");
    if to_stdout {
        super::not_to_terminal("an archive")?;
    } else {
        footprint.writes("the archive", &export.output);
    }
    let mut record = RecordFile::at(
        "the record",
        export.json.as_deref(),
        &mut footprint,
        to_stdout,
    )?;
    footprint.check()?;
    let is_plain = export.output.extension().is_none_or(|it| it == "tar");
    if !is_plain && is_named_as_archive(&export.output) {
        return Err(Failure::usage(format_args!(
            "{}: the name says a compressed archive, and a plain one is written: name it .tar, or compress what `-o -` writes to a pipe",
            export.output.display()
        )));
    }
    let opened = open(&export.reading, &export.place, true)?;
    let tree = &opened.tree;
    if node_of(&opened, &export.place)? != NodeId::ROOT {
        let what =
            "a whole file system becomes an archive: leave the path out, or use `cellblock cp`";
        return Err(Failure::usage(what));
    }
    let jobs = export
        .jobs
        .or_else(|| available_parallelism().ok())
        .map_or(1, NonZeroUsize::get);
    let (document, members, size, digest) = if to_stdout {
        let (written, size) = to_standard_output(tree, jobs)?;
        warn_of_sockets(&opened, written.sockets);
        (None, written.members, size, None)
    } else {
        let document = Document::prepare(&export.output)?;
        let (document, written) = into_document(tree, document, jobs)?;
        warn_of_sockets(&opened, written.sockets);
        let (size, digest) = digest_of(&document, export.json.is_some())?;
        (Some(document), written.members, size, digest)
    };
    let output = OutputRecord {
        file: export.output.display().to_string(),
        format: TreeForm::Tar.name(),
        size,
        sha256: digest,
    };
    let size = opened.volume.size;
    record.write(&Record::of_trees(
        &opened.called,
        size,
        vec![output],
        begun.elapsed(),
    ))?;
    if !(to_stdout || export.quiet || record.is_stdout()) {
        print(&line(&export.output, members, &opened))?;
    }
    if let Some(document) = document {
        document.publish().map_err(Failure::failed)?;
    }
    record.publish()
}

/// Writes an archive of a tree to standard output, which takes so many bytes.
pub(super) fn to_standard_output(tree: &Tree, jobs: usize) -> Result<(Written, u64), Failure> {
    let output = Counted {
        output: io::stdout().lock(),
        bytes: 0,
    };
    let mut output = io::BufWriter::with_capacity(BUFFER, output);
    let written = write(tree, &mut output, jobs).map_err(Failure::failed)?;
    let mut counted = output.into_inner().map_err(Failure::failed)?;
    counted.flush().map_err(Failure::failed)?;
    Ok((written, counted.bytes))
}

/// The size of a file without a name and, where it is `wanted`, its digest; of a device or a pipe neither.
pub(super) fn digest_of(
    document: &Document,
    wanted: bool,
) -> Result<(u64, Option<String>), Failure> {
    if !wanted {
        return Ok((0, None));
    }
    let digest = document.digest().map_err(Failure::failed)?;
    Ok(digest.map_or((0, None), |(size, digest)| {
        (size, Some(hexadecimal(&digest)))
    }))
}

/// Writes an archive of a tree into a file that has no name yet.
pub(super) fn into_document(
    tree: &Tree,
    document: Document,
    jobs: usize,
) -> Result<(Document, Written), Failure> {
    let mut output = io::BufWriter::with_capacity(BUFFER, Archive(document));
    let written = write(tree, &mut output, jobs).map_err(Failure::failed)?;
    let archive = output.into_inner().map_err(Failure::failed)?;
    Ok((archive.0, written))
}

pub(super) fn warn_of_sockets(opened: &Opened, sockets: u64) {
    if sockets > 0 {
        tell!(
            "warning: {}: {sockets} sockets were left out, which tar has no type for",
            printable(&opened.called)
        );
    }
}

/// The line that says what an archive holds.
pub(super) fn line(output: &Path, members: u64, opened: &Opened) -> String {
    format!(
        "{}: {members} members of {}\n",
        output.display(),
        printable(&opened.called)
    )
}

/// A document as what bytes are written to.
struct Archive(Document);

impl Write for Archive {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts the bytes that go by.
struct Counted<W> {
    output: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
