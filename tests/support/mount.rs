//! The kernel's own reading of a file system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Ability, Bench, Listing, is_root, lacks, text};

/// Something that is mounted for as long as the value is there.
pub struct Mount {
    point: PathBuf,
}

impl Mount {
    /// Mounts `what` as a file system of `kind`.
    ///
    /// # Errors
    /// What mount says if it cannot.
    pub fn new(kind: &str, options: &str, what: &Path, point: PathBuf) -> Result<Self, String> {
        let output = Command::new("mount")
            .args(["-t", kind, "-o", options])
            .args([what, &point])
            .output();
        match output {
            Ok(output) if output.status.success() => Ok(Self { point }),
            Ok(output) => Err(text(&output)),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Mount {
    /// Lazily: a child that another test is just starting may hold one of its files for an instant.
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.point).status();
    }
}

/// What the kernel finds in the ext4 file system `file`, where it [may mount](may_mount) it.
pub fn read_ext4(bench: &Bench, file: &Path) -> Listing {
    let point = bench.create_folder("mounted");
    let mount = Mount::new("ext4", "loop,ro", file, point);
    let mount = mount.unwrap_or_else(|said| panic!("mount: {said}"));
    Listing::of_directory(&mount.point)
}

/// What the kernel finds in the file system `file` of `kind`, where it [may mount](may_mount) it; none, with a word, where it
/// does not know the kind.
pub fn read(bench: &Bench, kind: &str, file: &Path) -> Option<Listing> {
    if !may_mount() {
        lacks(Ability::LoopDevices, "the kernel does not read it");
        return None;
    }
    let point = bench.create_folder("mounted");
    match Mount::new(kind, "loop,ro", file, point) {
        Ok(mount) => Some(Listing::of_directory(&mount.point)),
        Err(said) if said.contains("unknown filesystem") => {
            lacks(Ability::Mount, &said);
            None
        }
        Err(said) => panic!("mount: {said}"),
    }
}

/// Whether a loop device can be had. Containers of the superuser often have none.
pub fn may_mount() -> bool {
    is_root() && fs::File::open("/dev/loop-control").is_ok()
}
