//! Journals with checksums, and a byte of them changed: what the kernel and e2fsck make of them is what is read.

#![allow(missing_docs, clippy::unwrap_used)]

use std::fs::{self, File};
use std::path::Path;

use cellblock_guest::reader::ReaderError;
use cellblock_judges::{judge, text};
use cellblock_read_ext::Ext;
use cellblock_readers_judged::{Folder, Temporary, mount, outcome, read, seen};

const BLOCK: usize = 1024;

/// A file system of blocks of 1 KiB with a file of three; none, with a word, where mke2fs is missing.
fn make(features: &str) -> Option<Temporary> {
    let folder = Folder::empty();
    fs::write(folder.path().join("file"), vec![b'0'; 3 * BLOCK]).unwrap();
    let image = Temporary::new("img");
    File::create_new(&image.0)
        .unwrap()
        .set_len(16 << 20)
        .unwrap();
    let output = judge("mke2fs")?
        .command()
        .args(["-F", "-q", "-t", "ext4", "-b", "1024", "-J", "size=1", "-O"])
        .args([features, "-d"])
        .args([folder.path(), &image.0])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    Some(image)
}

/// What debugfs says to one request.
fn asked(image: &Path, request: &str) -> Option<String> {
    let output = judge("debugfs")?
        .command()
        .args(["-w", "-R", request])
        .arg(image)
        .output()
        .unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Where a block of a file stands in the image. Bytes.
fn place(image: &Path, file: &str, block: usize) -> Option<usize> {
    let number = asked(image, &format!("bmap {file} {block}"))?;
    Some(number.trim().parse::<usize>().unwrap() * BLOCK)
}

/// The blocks of the log that have copies, with their transactions, in their order.
fn copies(image: &Path) -> Option<Vec<(u32, usize)>> {
    let log = asked(image, "logdump -a")?;
    let mut sequence = 0;
    let mut copies = Vec::new();
    for line in log.lines() {
        let word = |before: &str| {
            let (_, rest) = line.split_once(before)?;
            rest.split([' ', ',', ':']).next()?.parse().ok()
        };
        if let Some(number) = word("descriptor block, sequence ") {
            sequence = number;
        }
        if let Some(block) = word("logged at journal block ") {
            copies.push((sequence, usize::try_from(block).unwrap()));
        }
    }
    Some(copies)
}

fn copy(image: &[u8]) -> Temporary {
    let copy = Temporary::new("img");
    fs::write(&copy.0, image).unwrap();
    copy
}

/// Whether the kernel takes it, where it can mount at all.
fn mounts(image: &[u8]) -> bool {
    let (copy, point) = (copy(image), Folder::empty());
    let run = |program: &str, options: &[&str], paths: &[&Path]| {
        let mut command = judge(program).unwrap().command();
        command.args(options).args(paths).output().unwrap()
    };
    let output = run(
        "mount",
        &["-t", "ext4", "-o", "loop"],
        &[&copy.0, point.path()],
    );
    let is_mounted = output.status.success();
    if is_mounted {
        run("umount", &[], &[point.path()]);
    }
    is_mounted
}

/// Whether e2fsck finds all of the journal whole.
fn is_whole(image: &[u8]) -> bool {
    let copy = copy(image);
    let output = judge("e2fsck").unwrap().run(&["-fy"], &copy.0);
    let said = text(&output);
    !["checksum error", "corrupt"]
        .iter()
        .any(|word| said.contains(word))
}

/// Fails unless the reader tells what the kernel has after a replay.
fn as_mounted(image: &[u8]) {
    let copy = copy(image);
    let (volume, listing, partition) = read::<Ext>(&copy.0);
    assert!(volume.properties.iter().any(|(name, _)| name == "journal"));
    let Some(mounted) = mount(&copy.0, "ext4", "loop") else {
        return;
    };
    let told = seen::of_listing(&listing, &partition);
    seen::compare(&told, &seen::of_mount(mounted.path()));
}

fn is_refused(image: &[u8]) -> bool {
    match outcome::<Ext>(image) {
        Ok(_) => false,
        Err(ReaderError::Damaged {
            structure, problem, ..
        }) => {
            assert_eq!(structure, "the journal");
            assert!(problem.contains("wrong checksum"), "{problem}");
            true
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// Four transactions: blocks 0, 1 and 2 of the file are written, 0 is freed, and 2 is written once more. By block of the log:
/// 1 descriptor, 2 copy, 3 commit, 4 descriptor, 5 and 6 copies, 7 commit, 8 revocation, 9 commit, 10 descriptor, 11 copy, 12 commit.
fn logged(version: &str) -> Option<(Vec<u8>, usize)> {
    let image = make("metadata_csum")?;
    let first = place(&image.0, "/file", 0)? / BLOCK;
    let folder = Folder::empty();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let one = write("one", &[b'1'; BLOCK]);
    let two = write("two", &[b'2'; 2 * BLOCK]);
    // What looks like a block of the log itself is stored otherwise.
    let four = write(
        "four",
        &[&0xC03B_3998_u32.to_be_bytes()[..], &[b'4'; BLOCK - 4]].concat(),
    );
    let requests = format!(
        "journal_open -c -v {version}\njournal_write -b {first} {one}\njournal_write -b {},{} {two}\n\
         journal_write -r {first}\njournal_write -b {} {four}\njournal_close\n",
        first + 1,
        first + 2,
        first + 2
    );
    let requests = write("requests", requests.as_bytes());
    let output = judge("debugfs")?
        .command()
        .args(["-w", "-f", &requests])
        .arg(&image.0)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let log = place(&image.0, "<8>", 0)?;
    assert_eq!(copies(&image.0)?, [(1, 2), (2, 5), (2, 6), (4, 11)]);
    Some((fs::read(&image.0).unwrap(), log))
}

#[test]
fn a_changed_byte_of_the_log_is_noticed_as_others_notice_it() {
    for version in ["2", "3"] {
        let Some((image, log)) = logged(version) else {
            return;
        };
        if judge("e2fsck").is_none() {
            return;
        }
        as_mounted(&image);
        assert!(is_whole(&image));
        let can_mount = mounts(&image);
        let damaged = |block: usize, at: usize| {
            let mut image = image.clone();
            image[log + block * BLOCK + at] ^= 0x55;
            image
        };
        // The superblock of the journal, descriptors, copies, revocations, and heads of commits.
        for (block, at) in [
            (0, 0x48),
            (1, 700),
            (3, 20),
            (4, 700),
            (5, 0),
            (6, 700),
            (7, 57),
            (8, 700),
            (9, 20),
            (10, 700),
            (11, 700),
            (12, 57),
        ] {
            let image = damaged(block, at);
            assert!(is_refused(&image), "version {version}, block {block}");
            assert!(!is_whole(&image), "version {version}, block {block}");
            assert!(
                !can_mount || !mounts(&image),
                "version {version}, block {block}"
            );
        }
        // A copy of what was freed is not looked at, and what stands behind the head of a commit has no meaning.
        let freed = damaged(2, 700);
        assert!(is_whole(&freed));
        as_mounted(&freed);
        for commit in [3, 12] {
            let image = damaged(commit, 700);
            assert!(!is_refused(&image), "version {version}, block {commit}");
            // Older kernels than 6.12 refuse it.
            if mounts(&image) {
                as_mounted(&image);
            }
        }
    }
}

/// Blocks of an earlier round have older commits, or none: there the log ends, and nothing is damaged.
#[test]
fn what_an_earlier_round_has_left_in_the_log_ends_it() {
    const TIME: usize = 48;
    let Some((image, log)) = logged("3") else {
        return;
    };
    if judge("e2fsck").is_none() {
        return;
    }
    let at = |block: usize, at: usize| log + block * BLOCK + at;
    // The descriptor of the last transaction, its commit, and the revocation of the one before.
    for (wrong, commit) in [(10, 12), (12, 12), (8, 9)] {
        let mut image = image.clone();
        image[at(wrong, 30)] ^= 0x55;
        image[at(commit, TIME)..][..8].fill(0);
        assert!(is_whole(&image), "{wrong}");
        assert!(!is_refused(&image), "{wrong}");
        as_mounted(&image);
    }
}

/// The first form of checksums: one of all that a transaction has written, in its commit.
#[test]
fn a_transaction_whose_sum_is_wrong_is_noticed_as_the_kernel_notices_it() {
    for (is_asynchronous, options) in [
        (false, "loop,commit=600,journal_checksum"),
        (true, "loop,commit=600,data=writeback,journal_async_commit"),
    ] {
        let Some(made) = make("^metadata_csum") else {
            return;
        };
        let Some(mounted) = mount(&made.0, "ext4", options) else {
            return;
        };
        for name in ["first", "second", "third"] {
            let path = mounted.path().join(name);
            fs::write(&path, name.repeat(500)).unwrap();
            File::open(path).unwrap().sync_all().unwrap();
        }
        let image = fs::read(&made.0).unwrap();
        drop(mounted);
        as_mounted(&image);
        let torn = copy(&image);
        let Some(copies) = copies(&torn.0) else {
            return;
        };
        let damaged = |(_, block): (u32, usize)| {
            let mut image = image.clone();
            image[place(&torn.0, "<8>", block).unwrap() + 700] ^= 0x55;
            image
        };
        let (first, last) = (copies[0], copies[copies.len() - 1]);
        assert!(last.0 > first.0, "{copies:?}");
        let image = damaged(first);
        assert!(is_refused(&image) && !mounts(&image), "{options}");
        let image = damaged(last);
        if is_asynchronous {
            // Nobody knows whether it was written whole.
            assert!(!is_refused(&image), "{options}");
            as_mounted(&image);
        } else {
            assert!(is_refused(&image) && !mounts(&image), "{options}");
        }
    }
}
