//! File systems that mksquashfs made, as the kernel shows them, and with bytes flipped.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use cellblock_guest::reader::{Reader as _, ReaderError};
use cellblock_judges::{judge, text};
use cellblock_read_squashfs::Squashfs;
use cellblock_readers_judged::{Folder, Temporary, compare, outcome, read, survives_flips};

/// A file system of `folder`; none, with a word, where mksquashfs is missing or has no such codec.
fn make(folder: &Path, options: &[&str]) -> Option<Temporary> {
    let image = Temporary::new("squashfs");
    let output = judge("mksquashfs")?
        .command()
        .arg(folder)
        .arg(&image.0)
        .args(["-noappend", "-no-progress", "-quiet"])
        .args(options)
        .output()
        .unwrap();
    let said = text(&output);
    if said.contains("is not supported!") {
        cellblock_judges::skipped("mksquashfs", &said);
        return None;
    }
    assert!(output.status.success(), "{options:?}: {said}");
    Some(image)
}

#[test]
fn every_feature_reads_as_the_kernel_shows_it() {
    let folder = Folder::filled();
    for options in [
        &["-comp", "gzip"][..],
        &["-comp", "gzip", "-b", "4096"],
        &["-comp", "gzip", "-b", "1M", "-always-use-fragments"],
        &["-comp", "lz4", "-Xhc"],
        &["-comp", "xz"],
        &["-comp", "xz", "-Xbcj", "x86,arm", "-b", "256K"],
        &["-comp", "zstd"],
        &["-comp", "lzo"],
        &["-comp", "zstd", "-no-fragments", "-no-exports"],
        &["-comp", "zstd", "-noI", "-noId", "-noD", "-noF", "-noX"],
        &["-comp", "zstd", "-noD", "-no-sparse"],
        &["-comp", "zstd", "-noF", "-no-duplicates"],
        &["-comp", "zstd", "-no-xattrs"],
        &["-comp", "zstd", "-no-hardlinks", "-tailends"],
    ] {
        println!("{options:?}");
        if let Some(image) = make(folder.path(), options) {
            compare::<Squashfs>(&image.0, "squashfs");
        }
    }
}

#[test]
fn a_name_twice_in_a_directory_is_its_damage() {
    let folder = Folder::empty();
    for name in ["name-a", "name-b", "name-c"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let Some(image) = make(folder.path(), &["-noI", "-noId"]) else {
        return;
    };
    let mut image = fs::read(&image.0).unwrap();
    let at = image.windows(6).position(|it| it == b"name-c").unwrap();
    image[at + 5] = b'a';
    let Err(ReaderError::Damaged { problem, .. }) = outcome::<Squashfs>(&image) else {
        panic!("a name is there twice");
    };
    assert_eq!(problem, "has two entries 'name-a'");
}

#[test]
fn nothing_in_it_is_read() {
    let folder = Folder::empty();
    if let Some(image) = make(folder.path(), &["-comp", "gzip"]) {
        compare::<Squashfs>(&image.0, "squashfs");
        let (volume, listing, _) = read::<Squashfs>(&image.0);
        assert_eq!((volume.block_size, listing.nodes.len()), (128 << 10, 1));
    }
}

#[test]
fn flipped_bytes_are_read_or_refused() {
    let folder = Folder::filled();
    for options in [
        &["-comp", "gzip"][..],
        // Where metadata stands as it is, more of it is reached.
        &["-comp", "gzip", "-noI", "-noId", "-noX"],
    ] {
        let Some(image) = make(folder.path(), options) else {
            return;
        };
        let image = fs::read(&image.0).unwrap();
        let number = |at: usize| {
            let bytes = image[at..at + 8].try_into().unwrap();
            usize::try_from(u64::from_le_bytes(bytes)).unwrap()
        };
        let metadata = number(64)..number(40);
        let places = [0..96, metadata.clone(), metadata];
        let (read, refused) = survives_flips::<Squashfs>(&image, &places);
        println!("{options:?}: {read} read, {refused} refused");
        assert!(read > 0 && refused > 0);
    }
}

#[test]
fn what_is_cut_off_is_refused() {
    let folder = Folder::filled();
    let Some(image) = make(folder.path(), &["-comp", "gzip"]) else {
        return;
    };
    let mut image = fs::read(&image.0).unwrap();
    let size = u64::from_le_bytes(image[40..48].try_into().unwrap());
    image.truncate(usize::try_from(size).unwrap() - 1);
    let problem = format!(
        "says that the file system has {size} bytes, and the partition has {}",
        size - 1
    );
    let damaged = ReaderError::damaged("the superblock", 0, problem);
    assert_eq!(outcome::<Squashfs>(&image), Err(damaged));
    image[20] = 2;
    let lzma = ReaderError::Unsupported("compression lzma".to_owned());
    assert_eq!(outcome::<Squashfs>(&image), Err(lzma));
    image[28] = 3;
    let old = ReaderError::Unsupported("squashfs 3.0".to_owned());
    assert_eq!(outcome::<Squashfs>(&image), Err(old));
    image.truncate(95);
    assert_eq!(outcome::<Squashfs>(&image), Err(ReaderError::Unrecognised));
    assert_eq!(Squashfs::describe().kinds, ["squashfs"]);
}
