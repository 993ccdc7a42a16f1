//! Content in inodes: what fits, what the kernel reads of it, and what becomes of it when it grows.
#![allow(clippy::unwrap_used)]

mod judge;
mod trees;

use std::fs;

use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{FormatError, Kind, Shortage};
use judge::{Image, debugfs, fsck, make, measure, mount};
use trees::attribute;

const INLINE: (&str, &str) = ("features", "inline_data");

fn is_inline(image: &Image, path: &str) -> Option<bool> {
    let said = debugfs(image, &format!("stat {path}"))?;
    assert!(said.contains("Inode: "), "{said}");
    Some(said.contains("Flags: 0x10000000"))
}

fn assert_inline(image: &Image, path: &str, expected: bool) {
    if let Some(found) = is_inline(image, path) {
        assert_eq!(found, expected, "{path}");
    }
}

#[test]
fn files_and_targets_up_to_the_room_of_an_inode_stand_in_it() {
    let mut tree = MemoryTree::new();
    let lengths = [0, 1, 59, 60, 61, 63, 64, 127, 128, 129, 200];
    for length in lengths {
        tree.insert(
            format!("file-{length}"),
            Entry::file(trees::bytes(1, length)),
        );
        if length > 0 {
            let target = Kind::symlink(vec![b'x'; length]);
            tree.insert(format!("link-{length}"), Entry::new(target));
        }
    }
    let hole = vec![(90, b"end".to_vec())];
    tree.insert("sparse", Entry::sparse(100, hole));
    tree.hard_link("again", "file-61");
    let image = make(&mut tree, 16 << 20, &[INLINE]).unwrap();
    fsck(&image);
    mount::compare(&image, &mut tree);
    for length in lengths {
        assert_inline(
            &image,
            &format!("/file-{length}"),
            (1..=128).contains(&length),
        );
        if length > 0 {
            assert_inline(
                &image,
                &format!("/link-{length}"),
                (60..=128).contains(&length),
            );
        }
    }
    assert_inline(&image, "/sparse", true);
}

#[test]
fn attributes_take_the_room_first() {
    let mut tree = MemoryTree::new();
    // Of 88 bytes for attributes, one of these takes 20 and its value.
    for length in [0, 20, 44, 48, 52, 68] {
        for content in [1, 60, 61, 64, 65, 128] {
            let mut entry = Entry::file(trees::bytes(1, content));
            entry.attributes = vec![attribute("user.name", trees::bytes(2, length))];
            tree.insert(format!("{length}-{content}"), entry);
        }
        let mut entry = Entry::new(Kind::Directory);
        entry.attributes = vec![attribute("user.name", trees::bytes(2, length))];
        tree.insert(format!("directory-{length}"), entry);
        tree.insert(format!("directory-{length}/{:0>60}", 1), Entry::file(""));
    }
    let mut link = Entry::new(Kind::symlink(vec![b'x'; 70]));
    link.attributes = vec![attribute("trusted.name", "value")];
    tree.insert("link", link.clone());
    link.attributes = vec![attribute("trusted.name", trees::bytes(1, 100))];
    tree.insert("link-with-attribute-block", link);
    let image = make(&mut tree, 16 << 20, &[INLINE]).unwrap();
    fsck(&image);
    mount::compare(&image, &mut tree);
    assert_inline(&image, "/link", true);
    assert_inline(&image, "/link-with-attribute-block", false);
    assert_inline(&image, "/44-64", true);
    assert_inline(&image, "/44-65", false);
    assert_inline(&image, "/48-60", true);
    assert_inline(&image, "/48-61", false);
    assert_inline(&image, "/52-1", false);
}

#[test]
fn directories_up_to_the_room_of_an_inode_stand_in_it() {
    let mut tree = MemoryTree::new();
    tree.insert("0", Entry::new(Kind::Directory));
    for count in 1..=12 {
        for index in 0..count {
            tree.insert(format!("{count}/{index:x}"), Entry::file(""));
        }
    }
    for name in [47, 48, 49, 59, 60, 61, 255] {
        tree.insert(format!("one-{name}/{}", "n".repeat(name)), Entry::file(""));
        tree.insert(format!("two-{name}/a"), Entry::new(Kind::Directory));
        tree.insert(format!("two-{name}/{}", "n".repeat(name)), Entry::file(""));
    }
    tree.insert("1/0", Entry::new(Kind::Directory));
    tree.insert("1/0/deep", Entry::new(Kind::Directory));
    let image = make(&mut tree, 16 << 20, &[INLINE]).unwrap();
    fsck(&image);
    mount::compare(&image, &mut tree);
    // Four entries of 12 bytes stand in the map, five beyond it.
    for count in 0..=12 {
        assert_inline(&image, &format!("/{count}"), count <= 9);
    }
    for (name, alone, beside) in [
        (48, true, true),
        (49, true, true),
        (60, true, true),
        (61, false, false),
    ] {
        assert_inline(&image, &format!("/one-{name}"), alone);
        assert_inline(&image, &format!("/two-{name}"), beside);
    }
    assert_inline(&image, "/lost+found", false);
}

#[test]
fn the_root_has_blocks() {
    let image = make(&mut MemoryTree::new(), 16 << 20, &[INLINE]).unwrap();
    fsck(&image);
    mount::compare(&image, &mut MemoryTree::new());
    assert_inline(&image, "/", false);
}

#[test]
fn the_kernel_lets_content_out_of_inodes() {
    for block_size in ["1024", "4096"] {
        let mut tree = trees::everything(block_size.parse().unwrap());
        for index in 0..200 {
            let content = trees::bytes(index, usize::try_from(index).unwrap());
            tree.insert(format!("small/{index}/file"), Entry::file(content));
        }
        let settings = [INLINE, ("block-size", block_size)];
        let image = make(&mut tree, 100 << 20, &settings).unwrap();
        fsck(&image);
        mount::compare(&image, &mut tree);
        let Some(mount) = mount::writable(&image) else {
            return;
        };
        for index in 0..200 {
            let directory = mount.path().join(format!("small/{index}"));
            let file = directory.join("file");
            let content = fs::read(&file).unwrap();
            fs::write(&file, [content.as_slice(), &[b'+'; 50]].concat()).unwrap();
            for other in 0..index % 20 {
                fs::write(directory.join(format!("other {other}")), "other").unwrap();
            }
            if index % 3 == 0 {
                fs::remove_file(file).unwrap();
            }
        }
        drop(mount);
        fsck(&image);
    }
}

#[test]
fn larger_inodes_have_more_room() {
    let mut tree = MemoryTree::new();
    for length in [1, 60, 61, 384, 385, 896, 897, 1000] {
        tree.insert(format!("{length}"), Entry::file(trees::bytes(1, length)));
    }
    for index in 0..60 {
        tree.insert(format!("directory/{index}"), Entry::file(""));
    }
    for (inode_size, largest) in [("512", 384), ("1024", 896)] {
        let settings = [INLINE, ("inode-size", inode_size)];
        let image = make(&mut tree, 16 << 20, &settings).unwrap();
        fsck(&image);
        mount::compare(&image, &mut tree);
        assert_inline(&image, &format!("/{largest}"), true);
        assert_inline(&image, &format!("/{}", largest + 1), false);
        assert_inline(&image, "/directory", largest == 896);
    }
}

#[test]
fn content_in_inodes_needs_no_blocks() {
    let mut tree = MemoryTree::new();
    for index in 0..2000 {
        tree.insert(format!("{index}"), Entry::file("small"));
    }
    let none = ("journal", "no");
    let in_blocks = measure(&mut tree, &[none]);
    let settings = [none, INLINE];
    let needed = measure(&mut tree, &settings);
    assert!(in_blocks - needed >= 2000 * 4096);
    fsck(&make(&mut tree, needed, &settings).unwrap());
    let available = needed - 512;
    let error = make(&mut tree, available, &settings).err();
    assert_eq!(
        error,
        Some(FormatError::TooSmall(Shortage { needed, available }))
    );
}

#[test]
fn content_in_inodes_needs_no_other_feature() {
    for features in [
        "inline_data,^ext_attr",
        "none,inline_data",
        "none,inline_data,filetype,extent",
    ] {
        let mut tree = MemoryTree::new();
        for length in [1, 60, 61, 128, 129] {
            tree.insert(
                format!("{length}/file"),
                Entry::file(trees::bytes(1, length)),
            );
            let link = Kind::symlink(vec![b'x'; length]);
            tree.insert(format!("{length}/link"), Entry::new(link));
        }
        let settings = [("features", features)];
        let image = make(&mut tree, 100 << 20, &settings).unwrap();
        println!("{features}");
        fsck(&image);
        mount::compare(&image, &mut tree);
    }
}
