//! The kernel as a judge of ext4: it sees what `e2fsck` does not look for.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use cellblock_ext4::Ext4;

use crate::guest;

/// Where the block size stands, as a power of two beyond 1 KiB.
const LOG_BLOCK_SIZE: u64 = 1024 + 24;
/// The largest blocks that every kernel mounts: 4 KiB, a page.
const LARGEST: u32 = 2;
/// What is said where nobody may mount; anything else is the image's fault.
const MACHINE: [&str; 6] = [
    "loop device",
    "ermission denied",
    "not permitted",
    "only root",
    "superuser",
    "unknown filesystem",
];

/// What became of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mounted {
    /// No file system, or one that not every kernel mounts.
    Nothing,
    /// This machine mounts none: what it says.
    Refused(String),
    /// The kernel read all names and the attributes of each.
    Read,
}

/// Makes an ext4 of the bytes, mounts it and reads all that is in it.
///
/// # Panics
/// If the kernel does not mount it, or cannot read a name or a list of attributes: what they hold is not the formatter's.
pub fn ext4_mounted(data: &[u8]) -> Mounted {
    let folder = Folder::new();
    let path = folder.0.join("image");
    let options = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path);
    let mut file = options.expect("an image");
    if guest::image::<Ext4>(data, &file).is_none() || !is_mountable(&mut file) {
        return Mounted::Nothing;
    }
    drop(file);
    let point = folder.0.join("mount");
    fs::create_dir(&point).expect("a mount point");
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "ext4", "-o", "loop,ro"])
        .args([&path, &point]);
    let Ok(output) = mount.output() else {
        return Mounted::Refused("there is no mount".to_owned());
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_of_the_machine = MACHINE.iter().any(|reason| said.contains(reason));
        assert!(is_of_the_machine, "mount: {said}");
        return Mounted::Refused(said);
    }
    let read = read_all(&point);
    let unmounted = Command::new("umount").arg(&point).status();
    assert!(unmounted.is_ok_and(|status| status.success()), "umount");
    read.unwrap_or_else(|(path, error)| panic!("{}: {error}", path.display()));
    Mounted::Read
}

fn is_mountable(file: &mut File) -> bool {
    let mut field = [0; 4];
    let read = file
        .seek(SeekFrom::Start(LOG_BLOCK_SIZE))
        .and_then(|_| file.read_exact(&mut field));
    read.is_ok() && u32::from_le_bytes(field) <= LARGEST
}

/// Looks at every name below a folder; the first that cannot be read.
fn read_all(top: &Path) -> Result<(), (PathBuf, io::Error)> {
    let mut waiting = vec![top.to_owned()];
    while let Some(path) = waiting.pop() {
        read_one(&path, &mut waiting).map_err(|error| (path, error))?;
    }
    Ok(())
}

fn read_one(path: &Path, waiting: &mut Vec<PathBuf>) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    let mut names = [0_u8; 65_536];
    rustix::fs::llistxattr(path, &mut names)?;
    if metadata.is_symlink() {
        fs::read_link(path)?;
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            waiting.push(entry?.path());
        }
    }
    Ok(())
}

/// A folder that ends with its value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let number = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        let name = format!("cellblock-fuzz-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a temporary folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0.join("image"));
        let _ = fs::remove_dir(self.0.join("mount"));
        let _ = fs::remove_dir(&self.0);
    }
}
