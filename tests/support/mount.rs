//! The kernel's own reading of a file system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Bench, Listing, is_root, judge, skipped, text};

/// A mount that ends with its value.
struct Mount {
    point: PathBuf,
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.point).status();
    }
}

/// What the kernel finds in the ext4 file system `file`; nothing, with a word, where it may not be mounted.
pub fn read_ext4(bench: &Bench, file: &Path) -> Option<Listing> {
    if !may_mount() {
        skipped("only the superuser mounts loop devices");
        return None;
    }
    let point = bench.create_folder("mounted");
    let output = judge("mount")?
        .command()
        .args(["-t", "ext4", "-o", "loop,ro"])
        .args([file, &point])
        .output()
        .unwrap();
    assert!(output.status.success(), "mount: {}", text(&output));
    let mount = Mount { point };
    let listing = Listing::of_directory(&mount.point);
    drop(mount);
    Some(listing)
}

/// Whether a loop device can be had. Containers of the superuser often have none.
pub fn may_mount() -> bool {
    is_root() && fs::File::open("/dev/loop-control").is_ok()
}
