//! Mounts, and paths that end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use cellblock_judges::{Ability, judge, lacks, text};

/// A path that ends with its value.
pub struct Temporary(pub PathBuf);

impl Temporary {
    pub fn new(extension: &str) -> Self {
        Self(Self::unused(extension))
    }

    /// A path that nothing has.
    pub(crate) fn unused(extension: &str) -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!(
            "cellblock-reader-{}-{number}.{extension}",
            std::process::id()
        );
        std::env::temp_dir().join(name)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        let _ = fs::remove_dir(&self.0);
    }
}

/// A mount that ends with its value.
pub struct Mount(Temporary);

impl Mount {
    pub fn path(&self) -> &Path {
        &self.0.0
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let unmount = |options: &[&str]| {
            let output = Command::new("umount")
                .args(options)
                .arg(self.path())
                .output();
            output.is_ok_and(|output| output.status.success())
        };
        let is_gone = (0..50).any(|_| {
            let done = unmount(&[]);
            if !done {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            done
        });
        if !is_gone {
            unmount(&["--lazy"]);
        }
    }
}

/// What is said where nobody may mount, or the kernel has no such feature.
const MACHINE: [&str; 6] = [
    "loop device",
    "ermission denied",
    "not permitted",
    "only root",
    "unknown filesystem",
    "wrong fs type",
];

/// A mount with these options; none, with a word, where that is not to be had.
pub fn mount(image: &Path, kind: &str, options: &str) -> Option<Mount> {
    let point = Temporary::new("mount");
    fs::create_dir(&point.0).unwrap();
    let output = judge("mount")?
        .command()
        .args(["-t", kind, "-o", options])
        .args([image, &point.0])
        .output()
        .unwrap();
    if output.status.success() {
        return Some(Mount(point));
    }
    let said = text(&output);
    let is_of_the_machine = MACHINE.iter().any(|reason| said.contains(reason));
    assert!(is_of_the_machine, "mount: {said}");
    lacks(Ability::Mount, &said);
    None
}
