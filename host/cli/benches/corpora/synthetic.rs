//! Trees that are the same on every machine.

use std::fs::{self, File, FileTimes};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};

const MIB: usize = 1 << 20;
/// The time of everything, in seconds since 1970.
const TIME: u64 = 1_700_000_000;

/// The shape of a tree.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// Directories of 100 files of 512 to 4,096 bytes: three in four of text, one of noise.
    ManyFiles { directories: u32 },
    /// One directory; every other file is empty, the rest have up to 210 bytes.
    BigDirectory { entries: u32 },
    /// Files of noise, of so many MiB each.
    BigFiles { files: u32, mebibytes: u32 },
    /// About 60 MB of noise in a few files, shaped like an EFI system partition.
    Esp,
}

/// Makes the tree at `root`, which does not exist.
pub(crate) fn make(root: &Path, shape: Shape) -> Result<()> {
    fs::create_dir(root).with_context(|| root.display().to_string())?;
    match shape {
        Shape::ManyFiles { directories } => many_files(root, directories)?,
        Shape::BigDirectory { entries } => big_directory(root, entries)?,
        Shape::BigFiles { files, mebibytes } => big_files(root, files, mebibytes)?,
        Shape::Esp => esp(root)?,
    }
    stamp(&File::open(root)?)
}

fn many_files(root: &Path, directories: u32) -> Result<()> {
    let mut random = Random(1);
    let noise = random.bytes(MIB);
    let text = random.text(MIB);
    for directory in 0..directories {
        let folder = root.join(format!("dir{directory:04}"));
        fs::create_dir(&folder)?;
        for file in 0..100 {
            let pool = if file % 4 == 0 { &noise } else { &text };
            let length = 512 + random.below(4096 - 512 + 1);
            let at = random.below(pool.len() - length);
            put(
                &folder.join(format!("file{file:03}.dat")),
                &pool[at..at + length],
            )?;
        }
        stamp(&File::open(&folder)?)?;
    }
    Ok(())
}

fn big_directory(root: &Path, entries: u32) -> Result<()> {
    let folder = root.join("d");
    fs::create_dir(&folder)?;
    let mut random = Random(2);
    for entry in 0..entries {
        let line = format!("{entry}\n");
        let lines = if entry % 2 == 1 {
            1 + random.below(30)
        } else {
            0
        };
        put(
            &folder.join(format!("entry-{entry:06}.txt")),
            line.repeat(lines).as_bytes(),
        )?;
    }
    stamp(&File::open(&folder)?)
}

fn big_files(root: &Path, files: u32, mebibytes: u32) -> Result<()> {
    for number in 0..files {
        let mut random = Random(100 + u64::from(number));
        let mut file = File::create_new(root.join(format!("big{number}.bin")))?;
        for _ in 0..mebibytes {
            file.write_all(&random.bytes(MIB))?;
        }
        stamp(&file)?;
    }
    Ok(())
}

fn esp(root: &Path) -> Result<()> {
    const FILES: [(&str, usize); 7] = [
        ("EFI/BOOT/BOOTX64.EFI", 1_100_000),
        ("EFI/debian/shimx64.efi", 950_000),
        ("EFI/debian/grubx64.efi", 2_600_000),
        ("debian/6.1.0/initrd.img", 47_000_000),
        ("debian/6.1.0/linux", 8_000_000),
        ("loader/entries/debian-6.1.0-amd64.conf", 300),
        ("loader/loader.conf", 60),
    ];
    const DIRECTORIES: [&str; 7] = [
        "EFI",
        "EFI/BOOT",
        "EFI/debian",
        "debian",
        "debian/6.1.0",
        "loader",
        "loader/entries",
    ];
    let mut random = Random(3);
    for directory in DIRECTORIES {
        fs::create_dir(root.join(directory))?;
    }
    for (path, length) in FILES {
        put(&root.join(path), &random.bytes(length))?;
    }
    for directory in DIRECTORIES {
        stamp(&File::open(root.join(directory))?)?;
    }
    Ok(())
}

fn put(path: &Path, content: &[u8]) -> Result<()> {
    let mut file = File::create_new(path).with_context(|| path.display().to_string())?;
    file.write_all(content)?;
    stamp(&file)
}

fn stamp(file: &File) -> Result<()> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(TIME);
    Ok(file.set_times(FileTimes::new().set_accessed(time).set_modified(time))?)
}

/// SplitMix64, by Steele, Lea and Flood ("Fast splittable pseudorandom number generators", 2014).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// A number below `bound`, which is small.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(self.next() % bound).unwrap_or_default()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    /// Words of lower-case letters.
    fn text(&mut self, length: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(length + 16);
        while text.len() < length {
            for _ in 0..3 + self.below(7) {
                text.push(b'a' + self.next().to_le_bytes()[0] % 26);
            }
            text.push(b' ');
        }
        text.truncate(length);
        text
    }
}
