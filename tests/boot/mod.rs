//! Disks that boot: templates, what goes to the ESP, GRUB's images, and a Debian that says so itself.

mod container;
mod esp;
mod grub;
mod kernels;
mod machine;
mod measured;
mod nobody;
mod profiles;
mod secure;
mod signed;
mod templates;
mod verified;

use std::path::Path;

use crate::support::judge;

/// What a file in an ext4 file system or a FAT holds; `None` without the program that reads it.
fn content(partition: &Path, path: &str) -> Option<Vec<u8>> {
    let is_fat = path.starts_with("::");
    let command = if is_fat {
        let mut command = judge("mtype")?.command();
        command.arg("-i").arg(partition).arg(path);
        command
    } else {
        let mut command = judge("debugfs")?.command();
        command.args(["-R", &format!("cat {path}")]).arg(partition);
        command
    };
    let mut command = command;
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(output.stdout)
}

/// Fails unless the file holds this.
fn assert_holds(partition: &Path, path: &str, expected: impl AsRef<[u8]>) {
    if let Some(found) = content(partition, path) {
        let (found, expected) = (found.escape_ascii(), expected.as_ref().escape_ascii());
        assert_eq!(found.to_string(), expected.to_string(), "{path}");
    }
}
