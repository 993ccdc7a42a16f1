//! Who is measured against whom: the same format with the same options.

use std::path::Path;
use std::process::Command;

use cellblock_codec::{Method, Settings};

use crate::floor::Floor;

/// A format as ours and as its own program make it.
pub(super) struct Pair {
    pub(super) title: &'static str,
    format: Format,
    pub(super) from_archive: bool,
    /// Our options.
    pub(super) ours: &'static [&'static str],
    /// Those of the other program.
    theirs: &'static [&'static str],
    /// What every program has to do.
    pub(super) least: Least,
    /// Ours gets a dm-verity hash tree in a partition behind it; theirs does not.
    pub(super) verity: bool,
}

/// What every program has to do that makes a format.
#[derive(Clone, Copy)]
pub(super) enum Least {
    /// Content is stored as it is.
    Copying,
    /// Content is cut into blocks and compressed.
    Compressing(Floor),
    /// What is compressed hangs on what the program finds.
    Unknown,
}

#[derive(Clone, Copy)]
enum Format {
    Erofs,
    Squashfs,
}

impl Pair {
    pub(super) fn kind(&self) -> &'static str {
        match self.format {
            Format::Erofs => "erofs",
            Format::Squashfs => "squashfs",
        }
    }

    pub(super) fn program(&self) -> &'static str {
        match self.format {
            Format::Erofs => "mkfs.erofs",
            Format::Squashfs => "mksquashfs",
        }
    }

    pub(super) fn theirs(&self, program: &Path, source: &Path, output: &Path) -> Command {
        let mut command = Command::new(program);
        match self.format {
            Format::Erofs => {
                command.arg("--quiet").args(self.theirs);
                if self.from_archive {
                    command.arg("--tar=f");
                }
                command.args([output, source]);
            }
            Format::Squashfs => {
                command.args([source, output]);
                command
                    .args(["-noappend", "-no-progress", "-quiet"])
                    .args(self.theirs);
            }
        }
        command
    }
}

const fn erofs(
    title: &'static str,
    ours: &'static [&'static str],
    theirs: &'static [&'static str],
    least: Least,
) -> Pair {
    Pair {
        title,
        format: Format::Erofs,
        from_archive: false,
        ours,
        theirs,
        least,
        verity: false,
    }
}

const fn squashfs(
    title: &'static str,
    ours: &'static [&'static str],
    theirs: &'static [&'static str],
    method: Method,
    level: u32,
) -> Pair {
    Pair {
        title,
        format: Format::Squashfs,
        from_archive: false,
        ours,
        theirs,
        least: Least::Compressing(Floor {
            settings: Settings::new(method, level),
            block: 128 << 10,
            ends_alone: false,
        }),
        verity: false,
    }
}

/// Pieces of at most `limit` bytes in blocks of 4 KiB, cut out of runs of a mebibyte of one file.
const fn clusters(method: Method, level: u32, limit: u32) -> Least {
    Least::Compressing(Floor {
        settings: Settings {
            limit,
            unit: 4096,
            ..Settings::new(method, level)
        },
        block: 1 << 20,
        ends_alone: true,
    })
}

pub(super) const PAIRS: &[Pair] = &[
    erofs("erofs", &[], &[], Least::Copying),
    Pair {
        from_archive: true,
        ..erofs("erofs, tar", &[], &[], Least::Copying)
    },
    erofs(
        "erofs lz4",
        &["compression=lz4"],
        &["-zlz4"],
        clusters(Method::Lz4, 0, 4096),
    ),
    Pair {
        verity: true,
        ..erofs(
            "erofs lz4, and its hash tree",
            &["compression=lz4"],
            &["-zlz4"],
            Least::Unknown,
        )
    },
    erofs(
        "erofs lz4hc",
        &["compression=lz4hc"],
        &["-zlz4hc"],
        clusters(Method::Lz4, 9, 4096),
    ),
    erofs(
        "erofs zstd 64 KiB",
        &["compression=zstd", "cluster-size=65536"],
        &["-zzstd", "-C65536"],
        clusters(Method::Zstd, 3, 65_536),
    ),
    erofs(
        "erofs zstd 64 KiB, fragments, dedupe",
        &[
            "compression=zstd",
            "cluster-size=65536",
            "features=fragments,dedupe",
        ],
        &["-zzstd", "-C65536", "-Efragments,dedupe"],
        Least::Unknown,
    ),
    squashfs(
        "squashfs lz4",
        &["compression=lz4"],
        &["-comp", "lz4"],
        Method::Lz4,
        0,
    ),
    squashfs(
        "squashfs zstd 15",
        &["compression=zstd,level=15"],
        &["-comp", "zstd", "-Xcompression-level", "15"],
        Method::Zstd,
        15,
    ),
    squashfs(
        "squashfs gzip 9",
        &["compression=gzip,level=9"],
        &["-comp", "gzip", "-Xcompression-level", "9"],
        Method::Zlib,
        9,
    ),
    squashfs(
        "squashfs xz",
        &["compression=xz"],
        &["-comp", "xz"],
        Method::Xz,
        6,
    ),
];
