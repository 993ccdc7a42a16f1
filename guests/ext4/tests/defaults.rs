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
        for mebibytes in sizes {
            let size = mebibytes << 20;
            assert_eq!(
                describe(&self.ours(size)),
                describe(&self.of_mke2fs(size)),
                "{mebibytes} MiB, {self:?}"
            );
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

/// What depends on where the journal is, and what mke2fs takes from a size that it tried before.
const DIFFERENT_IN_SMALL_GROUPS: [&str; 2] = ["Free blocks", "Reserved block count"];

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
            for mebibytes in [400, 500, 777, 1000, 3000] {
                let choice = Choice {
                    inodes,
                    features,
                    block_size,
                    ..USUAL
                };
                let [ours, theirs] = [
                    choice.ours(mebibytes << 20),
                    choice.of_mke2fs(mebibytes << 20),
                ]
                .map(|image| {
                    let mut lines = describe(&image);
                    lines.retain(|line| {
                        !DIFFERENT_IN_SMALL_GROUPS
                            .iter()
                            .any(|name| line.starts_with(name))
                    });
                    lines
                });
                assert_eq!(ours, theirs, "{mebibytes} MiB, {choice:?}");
            }
        }
    }
}
