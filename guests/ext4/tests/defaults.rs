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

/// Sizes around those where mke2fs's defaults change. MiB.
const SIZES: [u64; 10] = [1, 3, 7, 8, 64, 100, 511, 512, 1000, 3000];

fn describe(image: &Image) -> Vec<String> {
    let (_, said) = run("dumpe2fs", &["-h"], &image.path).unwrap();
    said.lines()
        .filter(|line| !DIFFERENT.iter().any(|name| line.starts_with(name)))
        .map(str::to_owned)
        .collect()
}

/// What is to be made, in mke2fs's words and ours.
#[derive(Clone, Copy, Debug)]
struct Choice<'a> {
    kind: &'a str,
    /// Whose configuration mke2fs reads.
    profile: &'a str,
    block_size: &'a str,
    inode_size: &'a str,
    features: &'a str,
    /// How many are asked for, if any are.
    inodes: &'a str,
}

const USUAL: Choice<'_> = Choice {
    kind: "ext4",
    profile: "debian-12",
    block_size: "4096",
    inode_size: "256",
    features: "",
    inodes: "",
};

impl Choice<'_> {
    fn ours(&self, size: u64) -> Image {
        let mut settings = vec![
            ("kind", self.kind),
            ("profile", self.profile),
            ("block-size", self.block_size),
            ("inode-size", self.inode_size),
            ("features", self.features),
        ];
        if !self.inodes.is_empty() {
            settings.push(("inodes", self.inodes));
        }
        make(&mut MemoryTree::new(), size, &settings).unwrap()
    }

    fn of_mke2fs(&self, size: u64) -> Image {
        let path = temporary_path("img");
        File::create(&path).unwrap().set_len(size).unwrap();
        let image = Image {
            path,
            kind: self.kind.into(),
            inode_size: self.inode_size.parse().unwrap(),
            summary: Default::default(),
        };
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/defaults");
        let mut command = Command::new(program("mke2fs").unwrap());
        command
            .env(
                "MKE2FS_CONFIG",
                format!("{directory}/{}.conf", self.profile),
            )
            .args(["-q", "-t", self.kind, "-L", "root"])
            .args(["-b", self.block_size, "-I", self.inode_size])
            .args(["-U", "11111111-2222-4333-8444-555555555555"])
            .args(["-E", "hash_seed=30313233-3435-3637-3839-616263646566"]);
        if !self.features.is_empty() {
            command.args(["-O", self.features]);
        }
        if !self.inodes.is_empty() {
            command.args(["-N", self.inodes]);
        }
        let output = command.arg(&image.path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        image
    }

    fn is_that_of_mke2fs(&self, sizes: &[u64]) {
        self.is_that_of_mke2fs_but_for(sizes, &[]);
    }

    fn is_that_of_mke2fs_but_for(&self, sizes: &[u64], different: &[&str]) {
        for mebibytes in sizes {
            let size = mebibytes << 20;
            let [ours, theirs] = [self.ours(size), self.of_mke2fs(size)].map(|image| {
                let mut lines = describe(&image);
                lines.retain(|line| !different.iter().any(|name| line.starts_with(name)));
                lines
            });
            assert_eq!(ours, theirs, "{mebibytes} MiB, {self:?}");
        }
    }
}

fn judges_are_missing() -> bool {
    ["mke2fs", "dumpe2fs"]
        .iter()
        .any(|name| program(name).is_none())
}

#[test]
fn an_empty_file_system_is_described_as_that_of_mke2fs() {
    if judges_are_missing() {
        return;
    }
    for (block_size, features) in [
        ("4096", "has_journal"),
        ("4096", "^has_journal,^resize_inode"),
        ("4096", "^flex_bg"),
        ("4096", "^resize_inode,^sparse_super"),
        ("4096", "metadata_csum_seed"),
        ("4096", "^64bit,^extent"),
        ("2048", "^64bit"),
        ("2048", "^huge_file,^dir_nlink,^extra_isize"),
        ("1024", "^metadata_csum,uninit_bg"),
        ("4096", "none,has_journal"),
        ("4096", "meta_bg,^resize_inode"),
        ("1024", "meta_bg,^resize_inode,^flex_bg,^64bit"),
        ("4096", "orphan_file"),
        ("1024", "orphan_file,^metadata_csum"),
        ("4096", "sparse_super2"),
        ("1024", "sparse_super2,^resize_inode,^sparse_super"),
        ("2048", "sparse_super2,meta_bg,^resize_inode"),
        ("4096", "stable_inodes"),
    ] {
        let choice = Choice {
            block_size,
            features,
            ..USUAL
        };
        choice.is_that_of_mke2fs(&SIZES);
    }
}

#[test]
fn each_kind_of_each_release_is_described_as_that_of_mke2fs() {
    if judges_are_missing() {
        return;
    }
    for kind in ["ext2", "ext3", "ext4"] {
        for profile in ["debian-12", "debian-13", "ubuntu-22.04", "ubuntu-24.04"] {
            for (block_size, inode_size) in [
                ("1024", "128"),
                ("2048", "256"),
                ("4096", "128"),
                ("4096", "256"),
            ] {
                let choice = Choice {
                    kind,
                    profile,
                    block_size,
                    inode_size,
                    ..USUAL
                };
                choice.is_that_of_mke2fs(&[2, 33, 700]);
            }
        }
    }
}

#[test]
fn each_kind_is_described_as_that_of_mke2fs_at_any_size() {
    if judges_are_missing() {
        return;
    }
    for kind in ["ext2", "ext3", "ext4"] {
        for (block_size, inode_size) in [("1024", "256"), ("4096", "128"), ("2048", "1024")] {
            let choice = Choice {
                kind,
                block_size,
                inode_size,
                ..USUAL
            };
            choice.is_that_of_mke2fs(&SIZES);
        }
    }
}

/// Blocks that both leave free, but as many only where both place the same.
const FREE_BLOCKS: &str = "Free blocks";
/// Of a size that mke2fs tried before, it keeps this number.
const RESERVED_BLOCKS: &str = "Reserved block count";

#[test]
fn inline_data_is_described_as_that_of_mke2fs() {
    if judges_are_missing() {
        return;
    }
    for (block_size, features) in [
        ("4096", "inline_data"),
        ("1024", "inline_data,^resize_inode,meta_bg,orphan_file"),
    ] {
        let choice = Choice {
            block_size,
            features,
            ..USUAL
        };
        // The lost+found of mke2fs is then shorter by a block.
        choice.is_that_of_mke2fs_but_for(&SIZES, &[FREE_BLOCKS]);
    }
}

#[test]
fn groups_are_as_small_as_those_of_mke2fs_for_very_many_inodes() {
    if judges_are_missing() {
        return;
    }
    for (inodes, features) in [
        ("1000000", ""),
        ("1000000", "^resize_inode,^flex_bg"),
        ("300001", ""),
        ("300001", "^resize_inode,sparse_super2"),
        ("300001", "meta_bg,^resize_inode"),
    ] {
        for block_size in ["1024", "4096"] {
            let choice = Choice {
                inodes,
                features,
                block_size,
                ..USUAL
            };
            // Where the journal is decides what maps it.
            let different = [FREE_BLOCKS, RESERVED_BLOCKS];
            choice.is_that_of_mke2fs_but_for(&[400, 500, 777, 1000, 3000], &different);
        }
    }
}
