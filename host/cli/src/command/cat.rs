//! `cellblock cat`: the bytes of a file of an image.

use std::io::{self, Write as _};

use super::Failure;
use super::looking::{as_value, node_of, open, shown};
use super::record::RecordFile;
use crate::arguments::Cat;
use cellblock_build::footprint::Footprint;
use cellblock_build::reading::Elsewhere;
use cellblock_build::text::printable;
use cellblock_build::tree::Kind;

/// The bytes that are read at once.
const PIECE: u64 = 1 << 20;

pub(super) fn run(cat: &Cat) -> Result<(), Failure> {
    let mut footprint = Footprint::default();
    footprint.reads("the image", &cat.place.image);
    let mut record = RecordFile::at("the record", cat.json.as_deref(), &mut footprint, true)?;
    footprint.check()?;
    let opened = open(&cat.reading, &cat.place, true)?;
    let tree = &opened.tree;
    let id = node_of(&opened, &cat.place)?;
    let file = tree.original(id).id;
    let size = match tree.node(file).kind {
        Kind::File { size, .. } => *size,
        Kind::Symlink(target) => {
            return Err(Failure::usage(format_args!(
                "{} is a symbolic link to {}, and links are not followed: name the file",
                shown(&tree.path(id)),
                shown(target)
            )));
        }
        kind => {
            let path = shown(&tree.path(id));
            return Err(Failure::usage(format_args!(
                "{path} is {}: only files have content",
                kind.noun()
            )));
        }
    };
    if Elsewhere::is_one(&tree.node(file)) {
        return Err(Failure::failed(format_args!(
            "{}: {} has no content of its own here: overlayfs takes it from elsewhere (overlay.metacopy), and zeros would be read of it",
            printable(&opened.called),
            shown(&tree.path(id))
        )));
    }
    let mut reader = tree.reader();
    let mut output = io::stdout().lock();
    let mut done = 0;
    let mut bytes = Vec::new();
    while done < size {
        let length = (size - done).min(PIECE);
        bytes.resize(usize::try_from(length).expect("at most PIECE"), 0);
        reader
            .read(file, done, &mut bytes)
            .map_err(Failure::failed)?;
        match output.write_all(&bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.map_err(Failure::failed)?,
        }
        done += length;
    }
    output.flush().map_err(Failure::failed)?;
    record.write(&as_value(tree, &tree.node(id)))?;
    record.publish()
}
