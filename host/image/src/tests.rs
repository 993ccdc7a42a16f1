//! Partition files, splice and publish, on the disk that the tests run on.
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::publish::own_name;
use super::{
    Copying, Document, Durability, ExtractError, Filling, Image, ImageError, PartitionFile,
    Scratch, Taking, copy, extract, target,
};
use cellblock_contract::{Partition as _, PiecePlacement, Placement, Run};
use cellblock_judges::{Ability, lacks};
use cellblock_tree::source::{ReadOptions, Source, What, read_sources};
use cellblock_tree::{NodeId, Tree};

fn scratch(folder: &Path) -> Scratch {
    Scratch::beside(&folder.join("disk.img"))
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A tree whose files `a`, `b`, … have these bytes, and the folder that they are in.
fn tree_of(files: &[&[u8]]) -> (TempDir, Arc<Tree>) {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in ('a'..).zip(files) {
        fs::write(folder.path().join(name.to_string()), bytes).unwrap();
    }
    let source = Source::new(What::Directory(folder.path().to_owned()));
    let no_spool = || Err(std::io::ErrorKind::Unsupported.into());
    let tree = read_sources(&[source], &no_spool, &ReadOptions::within(0))
        .unwrap()
        .tree;
    (folder, Arc::new(tree))
}

fn whole(file: u32, partition_offset: u64, length: u64, padding: u32) -> Placement {
    Placement {
        file: NodeId(file),
        file_offset: 0,
        partition_offset,
        length,
        padding,
    }
}

#[test]
fn placements_land_where_they_belong_whatever_their_size() {
    let small = vec![1; 700];
    let odd = vec![2; 300 * 1024 + 7];
    let large: Vec<u8> = (0..6_000_001_u32).map(|at| at.to_le_bytes()[0]).collect();
    let (_content, tree) = tree_of(&[&small, &odd, &large]);
    let folder = TempDir::new().unwrap();
    let scratch = scratch(folder.path());
    // One thread has the kernel copy large files; several do it themselves where it cannot clone.
    for (base, threads) in [(0, 3), (8192, 3), (8192, 1)] {
        let partition = PartitionFile::within(&scratch, base, 8 << 20).unwrap();
        let filling = Arc::new(Filling::new(partition, Arc::clone(&tree), threads, |_| {}));
        filling.write(0, b"superblock").unwrap();
        filling
            .place(vec![
                whole(1, 4096, 700, 3396),
                whole(2, 8192, odd.len() as u64, 0),
                whole(3, 1 << 20, large.len() as u64, 95),
            ])
            .unwrap();
        filling.settle().unwrap();
        let mut start = [9; 10];
        filling.read(0, &mut start).unwrap();
        assert_eq!(&start, b"superblock");
        let partition = filling.finish().unwrap();
        let mut all = vec![9; 8 << 20];
        partition.read(0, &mut all).unwrap();
        assert!(all[10..4096].iter().all(|byte| *byte == 0));
        assert_eq!(all[4096..4796], small);
        assert!(all[4796..8192].iter().all(|byte| *byte == 0));
        assert_eq!(all[8192..8192 + odd.len()], odd);
        assert_eq!(all[1 << 20..(1 << 20) + large.len()], large);
    }
}

#[test]
fn a_run_has_content_among_the_bytes_around_it() {
    let content: Vec<u8> = (0..3_000_001_u32).map(|at| at.to_le_bytes()[0]).collect();
    let (_content, tree) = tree_of(&[&content]);
    let folder = TempDir::new().unwrap();
    let scratch = scratch(folder.path());
    // What is placed of the one file: from where, how much, how many zeros, and how many of the guest's own bytes before it.
    let parts: &[(u64, u64, u32, usize)] = &[
        (5, 700, 0, 64),
        (3, 0, 0, 100),
        (0, 300, 212, 0),
        (1, 900_000, 0, 1),
        (1000, 255 << 10, 9, 200_000),
        (7, 2_000_000, 77, 30),
        (70, 1, 3 << 20, 30),
        (9, 200 << 10, 0, 3_000_000),
    ];
    let own: Vec<u8> = (0..3_300_000_u32)
        .map(|at| 1 | at.to_le_bytes()[1])
        .collect();
    let mut rest = own.as_slice();
    let mut expected = vec![0; 4096];
    let mut placements = Vec::new();
    for (file_offset, length, padding, before) in parts {
        let (bytes, behind) = rest.split_at(*before);
        rest = behind;
        expected.extend_from_slice(bytes);
        placements.push(Placement {
            file: NodeId(1),
            file_offset: *file_offset,
            partition_offset: expected.len() as u64,
            length: *length,
            padding: *padding,
        });
        let from = usize::try_from(*file_offset).unwrap();
        expected.extend_from_slice(&content[from..][..usize::try_from(*length).unwrap()]);
        expected.resize(expected.len() + *padding as usize, 0);
    }
    expected.extend_from_slice(rest);
    let size = expected.len() as u64;
    for most in [1, 3, 100] {
        let partition = PartitionFile::new(&scratch, size).unwrap();
        let told = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&told);
        let filling = Filling::new(partition, Arc::clone(&tree), 2, move |bytes| {
            counted.fetch_add(bytes, Ordering::Relaxed);
        });
        let filling = Arc::new(filling);
        let run = Run {
            offset: 4096,
            own: own.clone(),
            placements: placements.clone(),
        };
        for run in run.split(most) {
            filling.compose(run).unwrap();
        }
        let partition = filling.finish().unwrap();
        let mut all = vec![9; expected.len()];
        partition.read(0, &mut all).unwrap();
        assert!(all == expected);
        let content: u64 = placements.iter().map(|it| it.length).sum();
        assert_eq!(told.load(Ordering::Relaxed), content);
    }
}

#[test]
fn pieces_land_where_they_belong_however_they_stand_in_the_spool() {
    let (_content, tree) = tree_of(&[b"a"]);
    let folder = TempDir::new().unwrap();
    let scratch = scratch(folder.path());
    let kept: Vec<u8> = (0..3_000_000_u32)
        .map(|at| 1 | at.to_le_bytes()[1])
        .collect();
    let spool = tempfile::tempfile().unwrap();
    spool.write_all_at(&kept, 0).unwrap();
    let spool = Arc::new(spool);
    // Where each piece begins in the spool, its length, and the zeros before and behind it: neighbours, and others.
    let pieces: &[(u64, u32, u32, u32)] = &[
        (0, 4000, 96, 0),
        (4000, 4096, 0, 0),
        (8096, 1, 4000, 95),
        (8097, 300, 0, 3796),
        (70_000, 100, 3996, 0),
        (60_000, 4090, 6, 0),
        (64_090, 5000, 0, 3192),
        (64_090, 5000, 3192, 0),
        (100_000, 2_000_000, 96, 2_000_000),
        (2_100_000, 1, 0, 4095),
    ];
    let mut expected = vec![0; 4096];
    let mut batch = Vec::new();
    for (at, length, leading, padding) in pieces {
        batch.push(PiecePlacement {
            spool_offset: *at,
            length: *length,
            partition_offset: expected.len() as u64,
            leading: *leading,
            padding: *padding,
            content: 7,
        });
        expected.resize(expected.len() + *leading as usize, 0);
        let from = usize::try_from(*at).unwrap();
        expected.extend_from_slice(&kept[from..][..*length as usize]);
        expected.resize(expected.len() + *padding as usize, 0);
    }
    let partition = PartitionFile::new(&scratch, expected.len() as u64).unwrap();
    let filling = Arc::new(Filling::new(partition, tree, 2, |_| {}));
    filling.place_pieces(&spool, batch).unwrap();
    let partition = filling.finish().unwrap();
    let mut all = vec![9; expected.len()];
    partition.read(0, &mut all).unwrap();
    assert!(all == expected);
}

#[test]
fn a_partition_file_holds_its_bounds_inside_a_longer_file() {
    let folder = TempDir::new().unwrap();
    let scratch = scratch(folder.path());
    let partition = PartitionFile::within(&scratch, 4096, 4096).unwrap();
    partition.file.set_len(1 << 20).unwrap();
    for offset in [1, 4096, u64::MAX] {
        assert!(partition.write(offset, &[1; 4096]).is_err(), "{offset}");
        assert!(partition.read(offset, &mut [0; 4096]).is_err(), "{offset}");
    }
    partition.write(0, &[1; 4096]).unwrap();
    let mut after = [9; 4096];
    partition.file.read_exact_at(&mut after, 8192).unwrap();
    assert_eq!(after, [0; 4096]);
}

#[test]
fn a_file_that_shrinks_before_it_is_placed_is_an_error_that_names_it() {
    let (content, tree) = tree_of(&[&[1; 5000], &vec![2; 1 << 20]]);
    let folder = TempDir::new().unwrap();
    for (name, file, length) in [("a", 1, 5000), ("b", 2, 1 << 20)] {
        let path = content.path().join(name);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(100)
            .unwrap();
        let partition = PartitionFile::new(&scratch(folder.path()), 2 << 20).unwrap();
        let filling = Arc::new(Filling::new(partition, Arc::clone(&tree), 1, |_| {}));
        filling.place(vec![whole(file, 0, length, 0)]).unwrap();
        let error = filling.finish().unwrap_err();
        assert!(matches!(error, ImageError::Source(_)), "{error}");
        assert!(
            error.to_string().contains(&format!("/{name} changed")),
            "{error}"
        );
    }
}

#[test]
fn holes_stay_holes_in_a_splice() {
    let folder = TempDir::new().unwrap();
    let scratch = scratch(folder.path());
    let partition = PartitionFile::new(&scratch, 64 << 20).unwrap();
    partition.write(0, &[1; 4096]).unwrap();
    partition.write(63 << 20, &[2; 4096]).unwrap();
    let image = Image::new(&scratch, 128 << 20).unwrap();
    image.splice(&partition, 32 << 20, Copying::ALONE).unwrap();
    let allocated = image.file().metadata().unwrap().blocks() * 512;
    assert!(allocated < 1 << 20, "{allocated} bytes are allocated");
    let mut bytes = [0; 4096];
    image
        .file()
        .read_exact_at(&mut bytes, (32 << 20) + (63 << 20))
        .unwrap();
    assert_eq!(bytes, [2; 4096]);
}

#[test]
fn what_the_kernel_cannot_copy_is_copied_by_hand() {
    let folder = TempDir::new().unwrap();
    let bytes: Vec<u8> = (0..2_500_000_u32).map(|at| at.to_le_bytes()[1]).collect();
    let source = scratch(folder.path()).file().unwrap();
    source.write_all_at(&bytes, 0).unwrap();
    // A file that was opened for appending is refused by copy_file_range(2) with EBADF, and takes writes at its end.
    let path = folder.path().join("appended");
    let target = File::options()
        .append(true)
        .create(true)
        .open(&path)
        .unwrap();
    let copied = copy::range(
        std::os::fd::AsFd::as_fd(&source),
        0,
        &target,
        0,
        3_000_000,
        copy::UNWATCHED,
    );
    assert_eq!(copied.unwrap(), 2_500_000);
    assert_eq!(fs::read(path).unwrap(), bytes);
}

#[test]
fn an_image_has_no_name_until_it_is_published() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("disk.img");
    let image = Image::new(&scratch(folder.path()), 4096).unwrap();
    image.write(0, b"new").unwrap();
    assert!(names(folder.path()).is_empty());
    image.publish(&path, Durability::Written).unwrap();
    assert_eq!(names(folder.path()), ["disk.img"]);
    assert_eq!(&fs::read(&path).unwrap()[..3], b"new");
}

#[test]
fn publishing_replaces_a_file_and_follows_a_link_to_it() {
    let folder = TempDir::new().unwrap();
    let (path, link) = (folder.path().join("disk.img"), folder.path().join("link"));
    fs::write(&path, "old").unwrap();
    // The first eight bytes of the SHA-256 digest of `disk.img`.
    let left = folder.path().join(".cellblock.82137f054a9c09bc");
    fs::write(left, "left by a kill").unwrap();
    symlink(&path, &link).unwrap();
    let image = Image::new(&scratch(folder.path()), 3).unwrap();
    image.write(0, b"new").unwrap();
    image.publish(&link, Durability::Flushed).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(names(folder.path()), ["disk.img", "link"]);
}

#[test]
fn names_that_cannot_be_an_images_are_refused() {
    let folder = TempDir::new().unwrap();
    let refused = |path: &Path| target(path).unwrap_err().to_string();
    assert!(refused(folder.path()).contains("is a directory"));
    assert!(refused(Path::new("/dev/null")).contains("is no regular file"));
    let absent = folder.path().join("absent/disk.img");
    assert!(refused(&absent).contains("no file can be made there"));
    assert_eq!(
        target(Path::new("disk.img")).unwrap(),
        Path::new("disk.img")
    );
}

#[test]
fn a_raw_file_that_changes_while_it_is_copied_is_an_error_that_names_it() {
    let folder = TempDir::new().unwrap();
    let raw = folder.path().join("raw.bin");
    fs::write(&raw, vec![1; 1 << 20]).unwrap();
    let image = Image::new(&scratch(folder.path()), 2 << 20).unwrap();
    image.splice_file(&raw, 0, 1 << 20, Copying::ALONE).unwrap();
    // Another name for it is no change.
    fs::hard_link(&raw, folder.path().join("also.bin")).unwrap();
    let rewrite = |_: u64| fs::write(&raw, vec![2; 1 << 20]).unwrap();
    let how = Copying {
        threads: 1,
        watch: &rewrite,
    };
    let error = image.splice_file(&raw, 0, 1 << 20, how).unwrap_err();
    assert!(
        matches!(error, ImageError::RawChanged { .. })
            && error.to_string().contains("raw.bin: changed while"),
        "{error}"
    );
}

#[test]
fn a_record_is_written_to_no_block_device() {
    let devices = fs::read_dir("/dev").unwrap().map(|it| it.unwrap().path());
    let is_block =
        |path: &PathBuf| fs::metadata(path).is_ok_and(|it| it.file_type().is_block_device());
    let Some(device) = devices.into_iter().find(is_block) else {
        lacks(Ability::Devices, "there is no block device in /dev");
        return;
    };
    let error = Document::prepare(&device).unwrap_err();
    assert!(matches!(error, ImageError::NotAFile { .. }), "{error}");
    Document::prepare(Path::new("/dev/null")).unwrap();
}

#[test]
fn a_copy_has_a_name_of_its_own_and_takes_that_of_one_that_was_left() {
    let folder = TempDir::new().unwrap();
    let target = folder.path().join("disk.img");
    let (first, held) = own_name(&target).unwrap();
    let (second, other) = own_name(&target).unwrap();
    assert_ne!(first, second);
    held.set_len(100).unwrap();
    drop(held);
    // Nobody writes to the first any more.
    let (third, new) = own_name(&target).unwrap();
    assert_eq!((&third, new.metadata().unwrap().len()), (&first, 0));
    drop((other, new));
}

/// ext4 ends with the year 2446, and others elsewhere: they keep the nearest time, and no call fails.
#[test]
fn times_that_the_target_cannot_hold_are_counted() {
    const LATE: u64 = 1 << 36;
    let entries = "mode=644 uid=0 gid=0";
    let (folder, target) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let sheet = folder.path().join("sheet");
    let lines = format!(
        "#mtree\n. type=dir mode=755 uid=0 gid=0 time=1.0\n./a type=file {entries} time=1.500000000\n./b type=file {entries} time={LATE}.0\n./c type=link link=a mode=777 uid=0 gid=0 time={LATE}.0\n"
    );
    fs::write(&sheet, lines).unwrap();
    let top = folder.path().join("top");
    fs::create_dir(&top).unwrap();
    for name in ["a", "b"] {
        fs::write(top.join(name), name).unwrap();
    }
    symlink("a", top.join("c")).unwrap();
    let source = Source {
        metadata: Some(sheet),
        ..Source::new(What::Directory(top))
    };
    let no_spool = || Err(std::io::ErrorKind::Unsupported.into());
    let read = read_sources(&[source], &no_spool, &ReadOptions::within(0));
    let tree = read.unwrap().tree;
    let done = extract(&tree, NodeId::ROOT, target.path(), Taking::default(), 2).unwrap();
    let is = |name: &str| {
        fs::symlink_metadata(target.path().join(name))
            .unwrap()
            .mtime()
    };
    assert_eq!(is("a"), 1);
    let late = i64::try_from(LATE).unwrap();
    let altered = ["b", "c"].into_iter().filter(|name| is(name) != late);
    assert_eq!(done.times.count, altered.count() as u64);
    let first = (is("b") != late).then_some(NodeId(2));
    assert_eq!(done.times.first, first);
    assert_eq!(done.modes.count, 0);
}

#[test]
fn a_copy_that_stops_says_what_it_leaves() {
    let (folder, tree) = tree_of(&[b"first", &[1; 3 << 20], b"last"]);
    let target = TempDir::new().unwrap();
    fs::write(folder.path().join("b"), "now it is short").unwrap();
    let stopped = extract(&tree, NodeId::ROOT, target.path(), Taking::default(), 1).unwrap_err();
    let ExtractError::Stopped { left, .. } = &stopped else {
        panic!("{stopped}");
    };
    let made = names(target.path()).len();
    assert_eq!(left.made, made as u64);
    let holds = |name: &str| fs::read(target.path().join(name)).unwrap_or_default();
    let whole = [("a", &b"first"[..]), ("c", b"last")];
    let whole = whole.iter().filter(|(name, bytes)| holds(name) == *bytes);
    assert_eq!(left.empty, (made - whole.count()) as u64);
    assert_eq!(
        left.first.as_ref().map(ToString::to_string),
        Some("/b".to_owned())
    );
    let said = stopped.to_string();
    let end = format!(
        "{made} files, directories and links are left there, {} of them without all of their bytes, the first /b",
        left.empty
    );
    assert!(said.ends_with(&end), "{said}");
    // Where nothing was made, nothing is left.
    let again = extract(&tree, NodeId::ROOT, target.path(), Taking::default(), 1).unwrap_err();
    assert!(matches!(again, ExtractError::Make { .. }), "{again}");
    assert_eq!(names(target.path()).len(), made);
}
