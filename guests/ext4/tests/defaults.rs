//! Superblocks, held against those of mke2fs.
#![allow(clippy::unwrap_used)]

mod judge;

use std::fs::File;

use cellblock_guest::memory::MemoryTree;
use cellblock_judges::{Ability, Judge, judge, lacks};
use judge::{Image, make, path_for, run};

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
    /// Empty for what follows from the size.
    block_size: &'a str,
    inode_size: &'a str,
    features: &'a str,
    more: &'a [Setting<'a>],
}

/// An option of ours with its value, and of mke2fs.
type Setting<'a> = ((&'a str, &'a str), [&'a str; 2]);

const USUAL: Choice<'_> = Choice {
    kind: "ext4",
    profile: "debian-12",
    block_size: "4096",
    inode_size: "256",
    features: "",
    more: &[],
};

impl Choice<'_> {
    fn ours(&self, size: u64) -> Image {
        let mut settings = vec![
            ("kind", self.kind),
            ("profile", self.profile),
            ("inode-size", self.inode_size),
            ("features", self.features),
        ];
        let block_size = Some(("block-size", self.block_size));
        settings.extend(block_size.filter(|(_, value)| !value.is_empty()));
        settings.extend(self.more.iter().map(|(ours, _)| *ours));
        make(&mut MemoryTree::new(), size, &settings).unwrap()
    }

    fn of_mke2fs(&self, mke2fs: &Judge, size: u64) -> Image {
        let path = path_for(size);
        File::create(&path).unwrap().set_len(size).unwrap();
        let image = Image {
            path,
            kind: self.kind.into(),
            inode_size: self.inode_size.parse().unwrap(),
            summary: Default::default(),
            warnings: Vec::new(),
        };
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/defaults");
        let mut command = mke2fs.command();
        command
            .env(
                "MKE2FS_CONFIG",
                format!("{directory}/{}.conf", self.profile),
            )
            .args(["-q", "-t", self.kind, "-L", "root"])
            .args(["-I", self.inode_size])
            .args(["-U", "11111111-2222-4333-8444-555555555555"])
            .args(["-E", "hash_seed=30313233-3435-3637-3839-616263646566"]);
        if !self.block_size.is_empty() {
            command.args(["-b", self.block_size]);
        }
        if !self.features.is_empty() {
            command.args(["-O", self.features]);
        }
        command.args(self.more.iter().flat_map(|(_, theirs)| theirs));
        let output = command.arg(&image.path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        image
    }

    /// Compares file systems of so many MiB.
    fn is_that_of_mke2fs(&self, mke2fs: &Judge, sizes: &[u64]) {
        self.is_that_of_mke2fs_but_for(mke2fs, sizes, &[]);
    }

    fn is_that_of_mke2fs_but_for(&self, mke2fs: &Judge, sizes: &[u64], different: &[&str]) {
        for mebibytes in sizes {
            self.is_that_of_mke2fs_at(mke2fs, mebibytes << 20, different);
        }
    }

    /// Compares file systems of so many bytes.
    fn is_that_of_mke2fs_at(&self, mke2fs: &Judge, size: u64, different: &[&str]) {
        let [ours, theirs] = [self.ours(size), self.of_mke2fs(mke2fs, size)].map(|image| {
            let mut lines = describe(&image);
            lines.retain(|line| !different.iter().any(|name| line.starts_with(name)));
            lines
        });
        assert_eq!(ours, theirs, "{size} bytes, {self:?}");
    }
}

/// mke2fs, where dumpe2fs is too.
fn mke2fs() -> Option<Judge> {
    judge("dumpe2fs").and(judge("mke2fs"))
}

/// A size of few blocks, for which mke2fs makes a journal in ext3. MiB.
fn smallest(kind: &str) -> u64 {
    if kind == "ext3" { 8 } else { 2 }
}

#[test]
fn an_empty_file_system_is_described_as_that_of_mke2fs() {
    let Some(mke2fs) = mke2fs() else { return };
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
        ("4096", "^ext_attr,^filetype,^large_file"),
        ("2048", "large_dir,-dir_index"),
        ("4096", "Clear,+extent 64bit"),
        ("1024", "none"),
    ] {
        let choice = Choice {
            block_size,
            features,
            ..USUAL
        };
        choice.is_that_of_mke2fs(&mke2fs, &SIZES);
    }
}

#[test]
fn each_kind_of_each_release_is_described_as_that_of_mke2fs() {
    let Some(mke2fs) = mke2fs() else { return };
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
                choice.is_that_of_mke2fs(&mke2fs, &[smallest(kind), 33, 700]);
            }
        }
    }
}

#[test]
fn each_kind_of_each_release_has_blocks_inodes_and_a_journal_as_that_of_mke2fs_by_its_size() {
    const MEBIBYTE: u64 = 1 << 20;
    let Some(mke2fs) = mke2fs() else { return };
    for profile in ["debian-12", "debian-13", "ubuntu-22.04", "ubuntu-24.04"] {
        for kind in ["ext2", "ext3", "ext4"] {
            let choice = Choice {
                kind,
                profile,
                block_size: "",
                ..USUAL
            };
            for size in [
                2 * MEBIBYTE,
                3 * MEBIBYTE - 4096,
                3 * MEBIBYTE,
                8 * MEBIBYTE,
                64 * MEBIBYTE,
                511 * MEBIBYTE,
                512 * MEBIBYTE - 4096,
                512 * MEBIBYTE,
                700 * MEBIBYTE,
            ] {
                // The smallest ext3 that mke2fs makes is an ext2.
                let is_small = profile.starts_with("ubuntu") && size < 8 * MEBIBYTE;
                if kind != "ext3" || !is_small {
                    choice.is_that_of_mke2fs_at(&mke2fs, size, &[]);
                }
            }
        }
    }
}

#[test]
fn groups_with_checksums_alone_are_described_as_those_of_mke2fs() {
    let Some(mke2fs) = mke2fs() else { return };
    for (kind, features) in [
        ("ext2", "uninit_bg"),
        ("ext3", "uninit_bg"),
        ("ext4", "^metadata_csum,uninit_bg"),
    ] {
        let choice = Choice {
            kind,
            features,
            ..USUAL
        };
        choice.is_that_of_mke2fs(&mke2fs, &[smallest(kind), 33, 700]);
    }
}

#[test]
fn every_option_is_described_as_that_of_mke2fs() {
    let Some(mke2fs) = mke2fs() else { return };
    let settings: [&[Setting<'_>]; 11] = [
        &[(("inode-ratio", "4096"), ["-i", "4096"])],
        &[(("inode-ratio", "65536"), ["-i", "65536"])],
        &[(("inodes", "12345"), ["-N", "12345"])],
        &[(("reserved-blocks", "0%"), ["-m", "0"])],
        &[(("reserved-blocks", "1.5%"), ["-m", "1.5"])],
        &[(("reserved-blocks", "50%"), ["-m", "50"])],
        &[(("last-mounted", "/srv/data"), ["-M", "/srv/data"])],
        &[(("journal", "4MiB"), ["-J", "size=4"])],
        &[(("journal", "64MiB"), ["-J", "size=64"])],
        &[(("journal", "no"), ["-O", "^has_journal"])],
        &[
            (("journal", "8MiB"), ["-J", "size=8"]),
            (("inode-ratio", "8192"), ["-i", "8192"]),
            (("last-mounted", "/"), ["-M", "/"]),
        ],
    ];
    for more in settings {
        for kind in ["ext3", "ext4"] {
            let choice = Choice {
                kind,
                more,
                ..USUAL
            };
            choice.is_that_of_mke2fs(&mke2fs, &[500, 3000]);
        }
    }
}

#[test]
fn more_inodes_than_blocks_are_described_as_those_of_mke2fs() {
    let Some(mke2fs) = mke2fs() else { return };
    let choice = Choice {
        more: &[(("inode-ratio", "1024"), ["-i", "1024"])],
        ..USUAL
    };
    choice.is_that_of_mke2fs_but_for(&mke2fs, &[100, 1000, 3000], &[FREE_BLOCKS, RESERVED_BLOCKS]);
}

#[test]
fn journals_are_as_long_as_those_of_mke2fs() {
    const STEPS: [u64; 8] = [
        2 << 10,
        32 << 10,
        256 << 10,
        512 << 10,
        4 << 20,
        8 << 20,
        16 << 20,
        32 << 20,
    ];
    let Some(mke2fs) = mke2fs() else { return };
    for blocks in STEPS {
        // mke2fs takes whole pages of memory. Where the journal is decides what maps it.
        for blocks in [blocks - 4, blocks] {
            let choice = Choice {
                // The smallest ext3 that mke2fs makes is an ext2.
                kind: if blocks < STEPS[0] { "ext4" } else { "ext3" },
                block_size: "1024",
                ..USUAL
            };
            choice.is_that_of_mke2fs_at(&mke2fs, blocks * 1024, &[FREE_BLOCKS]);
        }
    }
}

/// Whether an image of `size` bytes can be had on this machine.
fn takes_files_of(size: u64) -> bool {
    let path = path_for(size);
    let result = File::create(&path).and_then(|file| file.set_len(size));
    let _ = std::fs::remove_file(path);
    result.is_ok()
}

#[test]
fn very_large_ones_are_described_as_those_of_mke2fs() {
    const TEBIBYTE: u64 = 1 << 40;
    let Some(mke2fs) = mke2fs() else { return };
    for profile in ["debian-12", "debian-13"] {
        let choice = Choice { profile, ..USUAL };
        for size in [
            4 * TEBIBYTE - 4096,
            4 * TEBIBYTE,
            16 * TEBIBYTE - 4096,
            16 * TEBIBYTE,
            17 * TEBIBYTE,
        ] {
            if takes_files_of(size) {
                choice.is_that_of_mke2fs_at(&mke2fs, size, &[]);
            } else {
                lacks(Ability::Room, &format!("no file of {size} bytes"));
            }
        }
    }
}

#[test]
fn each_kind_is_described_as_that_of_mke2fs_at_any_size() {
    let Some(mke2fs) = mke2fs() else { return };
    for kind in ["ext2", "ext3", "ext4"] {
        for (block_size, inode_size) in [("1024", "256"), ("4096", "128"), ("2048", "1024")] {
            let choice = Choice {
                kind,
                block_size,
                inode_size,
                ..USUAL
            };
            let block: u64 = block_size.parse().unwrap();
            let mut sizes = SIZES.to_vec();
            // The smallest ext3 that mke2fs makes is an ext2.
            sizes.retain(|size| kind != "ext3" || (size << 20) / block >= 2048);
            choice.is_that_of_mke2fs(&mke2fs, &sizes);
        }
    }
}

/// Blocks that both leave free, but as many only where both place the same.
const FREE_BLOCKS: &str = "Free blocks";
/// Of a size that mke2fs tried before, it keeps this number.
const RESERVED_BLOCKS: &str = "Reserved block count";

#[test]
fn inline_data_is_described_as_that_of_mke2fs() {
    let Some(mke2fs) = mke2fs() else { return };
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
        choice.is_that_of_mke2fs_but_for(&mke2fs, &SIZES, &[FREE_BLOCKS]);
    }
}

#[test]
fn groups_are_as_small_as_those_of_mke2fs_for_very_many_inodes() {
    let Some(mke2fs) = mke2fs() else { return };
    for (inodes, features) in [
        ("1000000", ""),
        ("1000000", "^resize_inode,^flex_bg"),
        ("300001", ""),
        ("300001", "^resize_inode,sparse_super2"),
        ("300001", "meta_bg,^resize_inode"),
    ] {
        for block_size in ["1024", "4096"] {
            let choice = Choice {
                more: &[(("inodes", inodes), ["-N", inodes])],
                features,
                block_size,
                ..USUAL
            };
            // Where the journal is decides what maps it.
            let different = [FREE_BLOCKS, RESERVED_BLOCKS];
            choice.is_that_of_mke2fs_but_for(&mke2fs, &[400, 500, 777, 1000, 3000], &different);
        }
    }
}
