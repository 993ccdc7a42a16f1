//! `cellblock tar`: a file system of an image as a tar archive.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread::available_parallelism;

use super::looking::{node_of, open};
use super::{Failure, print};
use crate::arguments::Tar;
use cellblock_build::footprint::Footprint;
use cellblock_build::image::Document;
use cellblock_build::reading::Opened;
use cellblock_build::text::printable;
use cellblock_build::tree::pax::write::{Written, write};
use cellblock_build::tree::{NodeId, Tree};

/// The bytes that are written at once.
const BUFFER: usize = 1 << 20;

pub(super) fn run(export: &Tar) -> Result<(), Failure> {
    let mut footprint = Footprint::default();
    footprint.reads("the image", &export.place.image);
    let to_stdout = export.output == Path::new("-");
    if to_stdout {
        if io::IsTerminal::is_terminal(&io::stdout()) {
            let what = "an archive is not written to a terminal: name a file with -o, or pipe it";
            return Err(Failure::usage(what));
        }
    } else {
        footprint.writes("the archive", &export.output);
    }
    footprint.check()?;
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
    let written = if to_stdout {
        to_standard_output(tree, jobs)?
    } else {
        let document = Document::prepare(&export.output).map_err(Failure::failed)?;
        let (document, written) = into_document(tree, document, jobs)?;
        document.publish().map_err(Failure::failed)?;
        written
    };
    warn_of_sockets(&opened, written.sockets);
    if to_stdout || export.quiet {
        return Ok(());
    }
    print(&line(&export.output, written.members, &opened))
}

/// Writes an archive of a tree to standard output.
pub(super) fn to_standard_output(tree: &Tree, jobs: usize) -> Result<Written, Failure> {
    let mut output = io::BufWriter::with_capacity(BUFFER, io::stdout().lock());
    write(tree, &mut output, jobs).map_err(Failure::failed)
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
