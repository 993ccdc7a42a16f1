//! One file, from the host or from memory, as a source.

use std::fs::File;
use std::path::Path;

use super::attributes;
use super::budget::{Kept, OverBudget};
use super::directory::{first_hole, without_lengths};
use super::error::SourceError;
use super::forest::{Body, Inode, Metadata};
use super::stamp::{Stamp, modified, status};
use super::store::{FileStore, Reach, Span, StoredFile};
use cellblock_text::PathBytes;
use rustix::fs::{CWD, FileType, Mode, OFlags, openat};

/// A regular file of the host. A symbolic link at `path` is followed: the path is the user's, not content.
pub(super) fn file(
    path: &Path,
    store: u32,
    kept: &mut Kept,
) -> Result<(Inode, FileStore), SourceError> {
    let open_error = |error: rustix::io::Errno| SourceError::Open {
        path: path.into(),
        error: error.into(),
    };
    // Opening a fifo must not wait for a writer: it is refused below.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(openat(CWD, path, flags, Mode::empty()).map_err(open_error)?);
    let status = status(&file).map_err(open_error)?;
    let found = FileType::from_raw_mode(status.stx_mode.into());
    if found != FileType::RegularFile {
        return Err(SourceError::WrongType {
            path: path.into(),
            expected: "a regular file",
            found: noun(found),
        });
    }
    if let Ok(Some(filesystem)) = without_lengths(&file) {
        return Err(SourceError::WithoutLength {
            root: path.into(),
            path: PathBytes(b"/".to_vec()),
            filesystem,
        });
    }
    let attributes = attributes::of_open(&file).map_err(open_error)?;
    let size = status.stx_size;
    let sparse = status.stx_blocks.saturating_mul(512) < size
        && first_hole(&file).is_some_and(|hole| hole < size);
    let metadata = Metadata {
        mode: status.stx_mode & 0o7777,
        uid: status.stx_uid,
        gid: status.stx_gid,
        modified: Some(modified(&status)),
        attributes: kept.sets.number(attributes),
    };
    kept.node(0)
        .map_err(|OverBudget { kept, limit }| SourceError::Kept {
            root: path.into(),
            path: PathBytes(b"/".to_vec()),
            kept,
            limit,
        })?;
    let opened = FileStore {
        path: path.into(),
        file,
        reach: Reach::Shared {
            stamp: Stamp::of_open(&status),
            size,
        },
        spans: vec![Span::Whole],
    };
    Ok((inode(metadata, size, sparse, store), opened))
}

/// What a directory entry's type is called.
pub(super) fn noun(found: FileType) -> &'static str {
    match found {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::CharacterDevice => "a character device",
        FileType::BlockDevice => "a block device",
        FileType::Fifo => "a fifo",
        FileType::Socket => "a socket",
        FileType::Unknown => "of unknown type",
    }
}

/// A file made of bytes, root's and of mode 0644.
pub(super) fn bytes(bytes: &[u8], store: u32) -> Inode {
    let size = u64::try_from(bytes.len()).expect("a length fits 64 bits");
    let metadata = Metadata {
        mode: 0o644,
        uid: 0,
        gid: 0,
        modified: None,
        attributes: 0,
    };
    inode(metadata, size, false, store)
}

fn inode(metadata: Metadata, size: u64, sparse: bool, store: u32) -> Inode {
    Inode {
        metadata: Some(metadata),
        body: Body::File {
            size,
            sparse,
            content: StoredFile { store, number: 0 },
        },
    }
}
