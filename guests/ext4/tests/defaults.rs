//! Superblocks, held against those of mke2fs.
#![allow(clippy::unwrap_used)]

mod judge;

use std::fs::File;
use std::process::Command;

use cellblock_guest::memory::MemoryTree;
use judge::{Image, make, program, run, temporary_path};

/// What mke2fs and we write at different moments, or count otherwise.
const DIFFERENT: [&str; 6] = [
    "Filesystem created",
    "Last write time",
    "Last checked",
    "Checksum",
    "Lifetime writes",
    "dumpe2fs",
];

fn describe(image: &Image) -> Vec<String> {
    let (_, said) = run("dumpe2fs", &["-h"], &image.path).unwrap();
    said.lines()
        .filter(|line| !DIFFERENT.iter().any(|name| line.starts_with(name)))
        .map(str::to_owned)
        .collect()
}

fn reference(size: u64, block_size: &str, features: &str) -> Image {
    let path = temporary_path("img");
    File::create(&path).unwrap().set_len(size).unwrap();
    let image = Image {
        path,
        summary: Default::default(),
    };
    let output = Command::new(program("mke2fs").unwrap())
        .env(
            "MKE2FS_CONFIG",
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/defaults/mke2fs.conf"),
        )
        .args(["-q", "-t", "ext4", "-L", "root", "-b", block_size])
        .args(["-O", features])
        .args(["-U", "11111111-2222-4333-8444-555555555555"])
        .args(["-E", "hash_seed=30313233-3435-3637-3839-616263646566"])
        .arg(&image.path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    image
}

#[test]
fn an_empty_file_system_is_described_as_that_of_mke2fs() {
    for name in ["mke2fs", "dumpe2fs"] {
        if program(name).is_none() {
            return;
        }
    }
    for (block_size, features) in [
        ("4096", "has_journal"),
        ("4096", "^has_journal,^resize_inode"),
        ("4096", "^flex_bg"),
        ("4096", "^resize_inode,^sparse_super"),
        ("4096", "metadata_csum_seed"),
        ("2048", "^64bit"),
        ("1024", "^metadata_csum,uninit_bg"),
    ] {
        for mebibytes in [1, 3, 7, 8, 64, 100, 511, 512, 1000, 3000] {
            let size = mebibytes << 20;
            let settings = [("block-size", block_size), ("features", features)];
            let ours = make(&mut MemoryTree::new(), size, &settings).unwrap();
            let theirs = reference(size, block_size, features);
            assert_eq!(
                describe(&ours),
                describe(&theirs),
                "{mebibytes} MiB, {block_size}, {features}"
            );
        }
    }
}
