//! What the formatter writes, read back; and what nobody wrote.
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use cellblock_guest::memory::{Entry, FileOutput, FilePartition, MemoryListing, MemoryTree};
use cellblock_guest::reader::{Reader as _, ReaderError, ReaderRequest, Volume};
use cellblock_guest::{Formatter as _, Request, Uuid};
use cellblock_template::CatalogFormatter;
use cellblock_template_reader::CatalogReader;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()))
}

/// A catalog of this tree.
fn catalog(tree: &MemoryTree, name: &str) -> PathBuf {
    let mut request = Request {
        kind: "catalog".to_owned(),
        sector_size: 512,
        label: "test".to_owned(),
        uuid: Uuid([7; 16]),
        ..Request::default()
    };
    request.size = CatalogFormatter::measure(&request, &mut tree.clone()).unwrap();
    let path = path(name);
    let mut output = FileOutput::new(File::create(&path).unwrap(), request.size, tree).unwrap();
    CatalogFormatter::format(&request, &mut tree.clone(), &mut output).unwrap();
    path
}

fn read(path: &Path) -> (Result<Volume, ReaderError>, MemoryListing, FilePartition) {
    let partition = FilePartition::new(File::open(path).unwrap()).unwrap();
    let mut listing = MemoryListing::new();
    let request = ReaderRequest { extents: true };
    let volume = CatalogReader::read(&request, &partition, &mut listing);
    (volume, listing, partition)
}

#[test]
fn what_was_written_is_read() {
    let mut tree = MemoryTree::new();
    tree.insert("etc/hosts", Entry::file("127.0.0.1 localhost\n"))
        .insert("empty", Entry::file(""))
        .insert("large", Entry::file(vec![b'x'; 10_000]));
    let path = catalog(&tree, "whole");
    let (volume, listing, partition) = read(&path);
    let volume = volume.unwrap();
    assert_eq!(volume.label, b"test");
    assert_eq!(volume.identifier, "07070707-0707-0707-0707-070707070707");
    assert_eq!(CatalogReader::probe(&partition), Ok(volume));
    let nodes: Vec<_> = tree.nodes().iter().map(|(node, _)| node.clone()).collect();
    assert_eq!(listing.nodes, nodes);
    for (path, content) in [
        ("/etc/hosts", &b"127.0.0.1 localhost\n"[..]),
        ("/empty", b""),
        ("/large", &[b'x'; 10_000]),
    ] {
        let file = listing.find(path.as_bytes()).unwrap();
        assert_eq!(listing.content(&partition, file), content);
    }
    fs::remove_file(path).unwrap();
}

#[test]
fn damage_names_the_structure() {
    let mut tree = MemoryTree::new();
    tree.insert("file", Entry::file("x"));
    let path = catalog(&tree, "damaged");
    let mut bytes = fs::read(&path).unwrap();
    // The type of record 1.
    bytes[64 + 48 + 10..64 + 48 + 12].fill(0);
    fs::write(&path, &bytes).unwrap();
    let problem = "is neither a directory nor a file";
    let damaged = ReaderError::damaged("record 1", 64 + 48, problem);
    assert_eq!(read(&path).0, Err(damaged));
    bytes[0] = b'?';
    fs::write(&path, &bytes).unwrap();
    assert_eq!(read(&path).0, Err(ReaderError::Unrecognised));
    fs::write(&path, "CATA").unwrap();
    assert_eq!(read(&path).0, Err(ReaderError::Unrecognised));
    fs::remove_file(path).unwrap();
}
