//! What says owners, modes and labels of content.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cellblock_tree::Kind;
use cellblock_tree::source::{Dump, FileContexts, ReadOptions, Source, What, read_sources};
use rustix::fs::{MemfdFlags, memfd_create};

use crate::archive::check;

/// The most bytes of a path that is looked up.
const MOST_PATH: usize = 4096;

/// Reads a policy's file of contexts; after a NUL come paths, which are looked up.
pub fn contexts(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 0);
    let text = parts.next().unwrap_or_default();
    let contexts = match FileContexts::parse(Path::new("file_contexts"), text) {
        Ok(contexts) => contexts,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let text = String::from_utf8_lossy(text);
    for path in parts.take(16) {
        let path = &path[..path.len().min(MOST_PATH)];
        for kind in [Kind::Directory, Kind::Fifo] {
            let found = contexts.lookup(path, &kind);
            assert!(found.is_none_or(|found| text.contains(found)), "{found:?}");
            assert_eq!(contexts.lookup(path, &kind), found);
        }
    }
}

/// Lays a specification of mtree over a small archive.
pub fn mtree(data: &[u8]) {
    static ARCHIVE: LazyLock<Vec<u8>> = LazyLock::new(small_archive);
    let (archive, specification) = (in_memory(&ARCHIVE), in_memory(data));
    let source = Source {
        metadata: Some(path_of(&specification)),
        ..Source::new(What::Archive(path_of(&archive)))
    };
    read(source);
}

/// Reads a composefs dumpfile without objects.
pub fn dump(data: &[u8]) {
    let file = in_memory(data);
    read(Source::new(What::Composefs(Dump {
        file: path_of(&file),
        basedir: None,
    })));
}

fn read(source: Source) {
    let no_spool = || Err(io::ErrorKind::Unsupported.into());
    match read_sources(&[source], &no_spool, &ReadOptions::within(0)) {
        Ok(read) => {
            check(&read.tree);
            for warning in read.warnings {
                assert!(!warning.to_string().contains('\n'));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn in_memory(bytes: &[u8]) -> File {
    let file = memfd_create("fuzz", MemfdFlags::CLOEXEC).expect("a file in memory");
    let mut file = File::from(file);
    file.write_all(bytes).expect("memory for it");
    file
}

fn path_of(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// `etc/`, a file, a link and a fifo.
fn small_archive() -> Vec<u8> {
    use tar::EntryType::{Directory, Fifo, Regular, Symlink};
    let mut archive = tar::Builder::new(Vec::new());
    for (name, kind) in [
        ("etc", Directory),
        ("etc/file", Regular),
        ("etc/link", Symlink),
        ("a b", Fifo),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(0o644);
        let added = match kind {
            Symlink => archive.append_link(&mut header, name, "file"),
            _ => archive.append_data(&mut header, name, &b""[..]),
        };
        added.expect("a name that fits");
    }
    archive.into_inner().expect("memory for it")
}
