//! Images with bytes that are wrong: each is read, or refused with the structure's name, and nothing panics.

#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::ops::Range;

use cellblock_judges::{judge, text};
use cellblock_read_ext::Ext;
use cellblock_readers_judged::{Folder, outcome, survives_flips};

/// Small file systems, most without checksums, which a wrong byte gets past.
fn images() -> Vec<Vec<u8>> {
    [
        &["-t", "ext2", "-b", "1024"][..],
        &["-t", "ext3", "-b", "1024", "-J", "size=1"],
        &[
            "-t",
            "ext4",
            "-b",
            "1024",
            "-O",
            "^metadata_csum,^has_journal",
        ],
        &[
            "-t",
            "ext4",
            "-b",
            "1024",
            "-O",
            "^metadata_csum,^has_journal,inline_data,meta_bg,^resize_inode",
        ],
        &["-t", "ext4", "-b", "1024", "-O", "^has_journal"],
    ]
    .into_iter()
    .filter_map(image)
    .collect()
}

fn image(options: &[&str]) -> Option<Vec<u8>> {
    let folder = Folder::empty();
    let (source, path) = (folder.path().join("source"), folder.path().join("image"));
    fs::create_dir_all(source.join("a/b")).unwrap();
    fs::write(source.join("file"), vec![7; 40_000]).unwrap();
    fs::write(source.join("a/small"), "small").unwrap();
    let _ = fs::hard_link(source.join("file"), source.join("a/b/again"));
    let _ = std::os::unix::fs::symlink("x".repeat(70), source.join("link"));
    for number in 0..60 {
        fs::write(source.join(format!("a/b/a long name, number {number}")), "").unwrap();
    }
    fs::write(&path, vec![0; 8 << 20]).unwrap();
    let output = judge("mke2fs")?
        .command()
        .args(["-F", "-q", "-d", source.to_str().unwrap()])
        .args(options)
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    Some(fs::read(&path).unwrap())
}

/// Stretches that hold something else than zeros and the content of files.
fn metadata(image: &[u8]) -> Vec<Range<usize>> {
    let is_used = |block: &&[u8]| block.iter().any(|byte| *byte != 0 && *byte != 7);
    let blocks = image.chunks_exact(64).enumerate();
    let used = blocks.filter(|(_, block)| is_used(block));
    used.map(|(index, _)| index * 64..(index + 1) * 64)
        .collect()
}

#[test]
fn flipped_bytes_are_read_or_refused() {
    for image in images() {
        let (read, refused) = survives_flips::<Ext>(&image, &metadata(&image));
        println!("{read} read, {refused} refused");
    }
}

#[test]
fn an_image_that_is_cut_short_is_refused() {
    for image in images() {
        for length in [0, 1023, 1024, 2047, 2048, 100_000, image.len() - 1] {
            assert!(outcome::<Ext>(&image[..length]).is_err(), "{length}");
        }
    }
}
