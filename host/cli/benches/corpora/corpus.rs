//! The corpora: trees to make file systems of, each as a directory and as a tar archive.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::synthetic::{self, Shape};

/// The block of the file systems that are made, in bytes.
pub(crate) const BLOCK: u64 = 4096;
/// `mke2fs` makes one inode for so many bytes of a file system of 512 MiB and more.
const BYTES_PER_INODE: u64 = 16_384;
const MIB: u64 = 1 << 20;

/// Whether a corpus is made for any machine, or for measuring in earnest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Small,
    Full,
}

/// How a corpus comes to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    pub(crate) name: &'static str,
    pub(crate) size: Size,
    origin: Origin,
}

#[derive(Clone, Copy, Debug)]
enum Origin {
    /// The same on every machine.
    Synthetic(Shape),
    /// What debootstrap makes with these arguments; follows the Debian archive.
    Debian(&'static [&'static str]),
}

/// What stands beside every corpus on a whole disk.
pub(crate) const ESP: Recipe = Recipe {
    name: "esp",
    size: Size::Full,
    origin: Origin::Synthetic(Shape::Esp),
};

const PACKAGES: &str =
    "--include=linux-image-amd64,python3,gcc,g++,git,perl,vim,openssh-server,man-db,clang";

pub(crate) const RECIPES: [Recipe; 10] = [
    Recipe {
        name: "small-manyfiles",
        size: Size::Small,
        origin: Origin::Synthetic(Shape::ManyFiles { directories: 100 }),
    },
    Recipe {
        name: "small-bigdir",
        size: Size::Small,
        origin: Origin::Synthetic(Shape::BigDirectory { entries: 4000 }),
    },
    Recipe {
        name: "small-bigfiles",
        size: Size::Small,
        origin: Origin::Synthetic(Shape::BigFiles {
            files: 4,
            mebibytes: 32,
        }),
    },
    Recipe {
        name: "debian-rootfs",
        size: Size::Full,
        origin: Origin::Debian(&["--variant=minbase"]),
    },
    Recipe {
        name: "debian-big",
        size: Size::Full,
        origin: Origin::Debian(&[PACKAGES]),
    },
    Recipe {
        name: "manyfiles",
        size: Size::Full,
        origin: Origin::Synthetic(Shape::ManyFiles { directories: 2000 }),
    },
    Recipe {
        name: "bigdir-20000",
        size: Size::Full,
        origin: Origin::Synthetic(Shape::BigDirectory { entries: 20_000 }),
    },
    Recipe {
        name: "bigdir",
        size: Size::Full,
        origin: Origin::Synthetic(Shape::BigDirectory { entries: 100_000 }),
    },
    Recipe {
        name: "bigfiles",
        size: Size::Full,
        origin: Origin::Synthetic(Shape::BigFiles {
            files: 4,
            mebibytes: 512,
        }),
    },
    ESP,
];

/// A corpus on the disk.
#[derive(Clone, Debug)]
pub(crate) struct Corpus {
    pub(crate) name: &'static str,
    pub(crate) directory: PathBuf,
    /// None on a machine without tar.
    pub(crate) archive: Option<PathBuf>,
    pub(crate) census: Census,
}

/// What a corpus holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Census {
    /// Names, the root included, hard links once each.
    pub(crate) nodes: u64,
    /// The bytes of all regular files, hard links once.
    pub(crate) bytes: u64,
    /// The blocks of [`BLOCK`] bytes that files, directories and long symbolic links need.
    blocks: u64,
}

impl Corpus {
    /// Finds or makes the corpus in `folder`; none, said on standard error, where the machine cannot make it.
    pub(crate) fn prepare(recipe: &Recipe, folder: &Path) -> Result<Option<Self>> {
        let directory = folder.join(recipe.name);
        if !directory.is_dir() {
            eprintln!("making {}", directory.display());
            let partial = folder.join(format!("{}.partial", recipe.name));
            if partial.exists() {
                fs::remove_dir_all(&partial).with_context(|| partial.display().to_string())?;
            }
            let made = match recipe.origin {
                Origin::Synthetic(shape) => synthetic::make(&partial, shape).map(|()| true)?,
                Origin::Debian(arguments) => debootstrap(recipe.name, &partial, arguments)?,
            };
            if !made {
                return Ok(None);
            }
            fs::rename(&partial, &directory)?;
        }
        let mut census = Census::default();
        census.count(&directory, &mut BTreeSet::new())?;
        Ok(Some(Self {
            name: recipe.name,
            archive: archive(&directory)?,
            directory,
            census,
        }))
    }

    /// A size that holds the corpus in `mke2fs`'s default geometry with room to spare, in bytes.
    pub(crate) fn file_system_size(&self) -> u64 {
        let for_content = self.census.blocks * BLOCK * 11 / 10 + 128 * MIB;
        let for_inodes = self.census.nodes * BYTES_PER_INODE * 21 / 20;
        for_content.max(for_inodes).next_multiple_of(64 * MIB)
    }
}

impl Census {
    fn count(&mut self, directory: &Path, linked: &mut BTreeSet<(u64, u64)>) -> Result<()> {
        self.nodes += 1;
        self.blocks += fs::metadata(directory)?.len().div_ceil(BLOCK);
        for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.count(&entry.path(), linked)?;
                continue;
            }
            self.nodes += 1;
            if kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device()
            {
                continue;
            }
            let metadata = entry.metadata()?;
            if metadata.nlink() > 1 && !linked.insert((metadata.dev(), metadata.ino())) {
                continue;
            }
            self.blocks += metadata.len().div_ceil(BLOCK);
            if kind.is_file() {
                self.bytes += metadata.len();
            }
        }
        Ok(())
    }
}

/// Makes a Debian tree; whether it could.
fn debootstrap(name: &str, directory: &Path, arguments: &[&str]) -> Result<bool> {
    let Some(program) = crate::contender::program("debootstrap") else {
        eprintln!("skipped: no debootstrap, so no {name}");
        return Ok(false);
    };
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: not root, so no {name}");
        return Ok(false);
    }
    let status = Command::new(program)
        .args(arguments)
        .arg("bookworm")
        .arg(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        eprintln!("skipped: debootstrap failed ({status}), so no {name}");
        return Ok(false);
    }
    let packages = directory.join("var/cache/apt/archives");
    for entry in fs::read_dir(&packages)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "deb") {
            fs::remove_file(path)?;
        }
    }
    Ok(true)
}

/// The archive beside `directory`, made if it is missing.
fn archive(directory: &Path) -> Result<Option<PathBuf>> {
    let archive = directory.with_extension("tar");
    if archive.is_file() {
        return Ok(Some(archive));
    }
    let Some(program) = crate::contender::program("tar") else {
        eprintln!("skipped: no tar, so no {}", archive.display());
        return Ok(None);
    };
    let partial = directory.with_extension("tar.partial");
    let status = Command::new(program)
        .arg("-C")
        .arg(directory)
        .args(["--sort=name", "--numeric-owner", "--format=pax"])
        .args(["--xattrs", "--xattrs-include=*", "-cf"])
        .arg(&partial)
        .arg(".")
        .status()?;
    if !status.success() {
        eprintln!(
            "skipped: tar failed ({status}), so no {}",
            archive.display()
        );
        return Ok(None);
    }
    fs::rename(&partial, &archive)?;
    Ok(Some(archive))
}
