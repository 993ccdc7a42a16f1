//! What a file system is used for, with everything awkward in it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, makedev, mknodat, utimensat,
};

use crate::Temporary;

/// A folder that is filled; it ends with its value.
pub struct Folder(PathBuf);

impl Folder {
    /// Nothing in it.
    pub fn empty() -> Self {
        let path = Temporary::unused("folder");
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// With everything that [`fill`] and [`attributes`] have.
    pub fn filled() -> Self {
        let folder = Self::empty();
        fill(&folder.0);
        attributes(&folder.0);
        folder
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn words(count: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|number| format!("{number} ").into_bytes())
        .collect()
}

/// Bytes that no codec makes shorter.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

/// Files of all types and sizes below `top`.
pub fn fill(top: &Path) {
    fs::create_dir_all(top.join("deep/er/still")).unwrap();
    fs::write(top.join("empty"), "").unwrap();
    fs::write(top.join("tiny"), "tiny").unwrap();
    fs::write(top.join("inside"), &words(40)[..100]).unwrap();
    fs::write(top.join("deep/large"), words(400_000)).unwrap();
    fs::write(top.join("deep/noise"), noise(1_000_003)).unwrap();
    fs::write(top.join("deep/er/noise"), noise(1_000_003)).unwrap();
    fs::write(top.join("block"), &words(2000)[..4096]).unwrap();
    // Parts of one another.
    let mixed = [&noise(300_000)[..], &words(50_000), &noise(200_000)].concat();
    fs::write(top.join("mixed"), mixed).unwrap();
    for number in 0..40 {
        let length = 1000 + number * 777;
        fs::write(
            top.join(format!("deep/er/still/{number}")),
            &words(20_000)[number..][..length],
        )
        .unwrap();
    }
    let sparse = File::create(top.join("sparse")).unwrap();
    for at in [0, 70_000, 5_000_000, 20_000_000] {
        sparse.write_all_at(&words(100), at).unwrap();
    }
    sparse.set_len(25_000_000).unwrap();
    File::create(top.join("hole"))
        .unwrap()
        .set_len(3_000_000)
        .unwrap();
    symlink("short", top.join("link")).unwrap();
    symlink("x".repeat(1000), top.join("long-link")).unwrap();
    fs::hard_link(top.join("tiny"), top.join("deep/er/again")).unwrap();
    fs::hard_link(top.join("deep/large"), top.join("large-again")).unwrap();
    let mode = Mode::from_raw_mode(0o640);
    for (name, kind, (major, minor)) in [
        ("character", FileType::CharacterDevice, (1, 3)),
        ("block-device", FileType::BlockDevice, (259, 70_000)),
        ("fifo", FileType::Fifo, (0, 0)),
        ("socket", FileType::Socket, (0, 0)),
    ] {
        mknodat(CWD, top.join(name), kind, mode, makedev(major, minor)).unwrap();
    }
    let many = top.join("many");
    fs::create_dir(&many).unwrap();
    for number in 0..3000 {
        File::create(many.join(format!("a name that takes some room, number {number}"))).unwrap();
    }
    let odd = OsStr::from_bytes(b"\xFF\xFE \n\\ odd");
    fs::write(top.join(odd), "odd").unwrap();
    fs::write(top.join("x".repeat(255)), "long name").unwrap();
    fs::set_permissions(top.join("tiny"), fs::Permissions::from_mode(0o6751)).unwrap();
    std::os::unix::fs::chown(top.join("inside"), Some(100_000), Some(4_000_000_000)).unwrap();
    let time = Timespec {
        tv_sec: 1_234_567_890,
        tv_nsec: 123_456_789,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, top.join("deep"), &times, AtFlags::empty()).unwrap();
}

/// Attributes of all namespaces, few and many; what the folder's file system has no room for is left out.
pub fn attributes(top: &Path) {
    let set = |name: &str, attribute: &str, value: &[u8]| {
        let _ = rustix::fs::lsetxattr(top.join(name), attribute, value, XattrFlags::empty());
    };
    set("tiny", "user.small", b"value");
    set("tiny", "user.empty", b"");
    set("tiny", "trusted.t", b"\0\xFF");
    set("deep", "security.label", b"a label\0");
    set("link", "trusted.of-a-link", b"x");
    set("fifo", "trusted.of-a-fifo", b"x");
    set("block-device", "trusted.of-a-device", b"x");
    set("inside", "user.large", &[7; 900]);
    set("hole", "user.large", &[7; 900]);
    set("inside", "user.larger", &[8; 2000]);
    for number in 0..20 {
        set("sparse", &format!("user.{number}"), &[number; 20]);
        set("mixed", &format!("user.{number}"), &[number; 20]);
        set(
            &format!("deep/er/still/{number}"),
            "user.overlay.of",
            b"many",
        );
    }
}
