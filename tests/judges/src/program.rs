//! Finding a judge, and running it.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::skipped;

/// Where programs of the superuser are, which an ordinary user's `PATH` leaves out.
const SUPERUSER: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// A program that judges.
#[derive(Clone, Debug)]
pub struct Judge {
    program: PathBuf,
}

/// The judge called `name`, among the peers, in `PATH` or in the folders of the superuser; without it, says that the test is skipped.
///
/// # Panics
/// If it is missing and judges are required: see the [crate].
#[track_caller]
pub fn judge(name: &str) -> Option<Judge> {
    let program = find(name);
    if program.is_none() {
        skipped(name, "not installed");
    }
    program.map(|program| Judge { program })
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    peers()
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(SUPERUSER.map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|program| may_run(program))
}

/// The folders of programs that `tests/judges/build-peers` has built.
fn peers() -> Vec<PathBuf> {
    let Some(folder) = std::env::var_os("CELLBLOCK_PEERS") else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders
}

fn may_run(program: &Path) -> bool {
    program
        .metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

impl Judge {
    /// A command that runs the judge, in a locale of UTF-8 and in universal time.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        command
    }

    /// Runs the judge on `file`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run(&self, arguments: &[&str], file: &Path) -> Output {
        self.command().args(arguments).arg(file).output().unwrap()
    }

    /// Runs the judge on `file`, which it must be content with; what it says.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn content_with(&self, arguments: &[&str], file: &Path) -> String {
        let output = self.run(arguments, file);
        let said = text(&output);
        assert!(
            output.status.success(),
            "{} of {}:\n{said}",
            self.program.display(),
            file.display()
        );
        said
    }

    /// Runs the judge in `folder` with `input` on its standard input; it must succeed. What it writes to its standard output.
    ///
    /// # Panics
    /// If it does not succeed.
    #[track_caller]
    pub fn answer(&self, arguments: &[&str], folder: &Path, input: &str) -> String {
        let mut child = self
            .command()
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that reads no input may be gone before it is written.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{} {arguments:?}: {}",
            self.program.display(),
            text(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Where the program is.
    pub fn program(&self) -> &Path {
        &self.program
    }
}

/// All that a program printed.
pub fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Has e2fsck look at an ext4 file system.
///
/// # Panics
/// If it is not content.
#[track_caller]
pub fn judge_ext4(file: &Path) {
    if let Some(e2fsck) = judge("e2fsck") {
        e2fsck.content_with(&["-fn"], file);
    }
}

/// Has fsck.fat look at a FAT volume.
///
/// # Panics
/// If it is not content.
#[track_caller]
pub fn judge_fat(file: &Path) {
    if let Some(fsck) = judge("fsck.fat") {
        fsck.content_with(&["-n"], file);
    }
}

/// Has sfdisk look at a partition table, and sgdisk if it is a GPT.
///
/// # Panics
/// If one of them is not content.
#[track_caller]
pub fn judge_table(disk: &Path, is_gpt: bool) {
    if let Some(sfdisk) = judge("sfdisk") {
        let said = sfdisk.content_with(&["--verify"], disk);
        assert!(said.contains("No errors detected."), "{said}");
    }
    if is_gpt && let Some(sgdisk) = judge("sgdisk") {
        // It exits with 0 whatever it finds.
        let said = sgdisk.content_with(&["-v"], disk);
        assert!(said.contains("No problems found."), "{said}");
    }
}
