//! The plain bytes of the disk, its holes as holes.

use std::sync::Arc;

use super::{Disk, Format, Kind, Writer, plain};
use crate::{Bytes, ImageError, copy};

pub(super) static KIND: Kind = Kind {
    name: "raw",
    also: &["img"],
    suffix: "img",
    suffixes: &["raw", "img"],
    about: "the plain bytes of the disk; holes stay holes",
    options: &[],
    is_beside: false,
    make: |_| Ok(Arc::new(Raw)),
};

#[derive(Debug)]
pub(super) struct Raw;

impl Format for Raw {
    fn takes_file(&self) -> bool {
        true
    }

    fn write(&self, disk: &Disk<'_>, to: &mut Writer<'_>) -> Result<(), ImageError> {
        copy_disk(disk, to)
    }
}

/// Copies the disk to the beginning of the file, if it is not there.
pub(super) fn copy_disk(disk: &Disk<'_>, to: &Writer<'_>) -> Result<(), ImageError> {
    /// The bytes that are read at once of a disk that is not plain.
    const PIECE: u64 = 1 << 20;
    if to.has_disk {
        (to.watch)(disk.size);
        return Ok(());
    }
    to.set_length(disk.size)?;
    if let Bytes::File(file) = disk.bytes {
        return copy::data(file, 0, to.file, 0, disk.size, disk.copying(to.watch))
            .map_err(|source| to.scratch.transfer_error("writing", 0, disk.size, source));
    }
    plain::blocks(disk, to.watch, PIECE, |index, block| {
        to.block(index * PIECE, block)
    })
}
