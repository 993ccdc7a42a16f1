//! Programs that we did not write, which say whether an output is right.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::text;

/// A program that judges.
pub struct Judge {
    program: PathBuf,
}

/// The judge called `name`, in `PATH` or in the folders of the superuser; without it, says that it is skipped.
pub fn judge(name: &str) -> Option<Judge> {
    let program = find(name);
    if program.is_none() {
        skipped(&format!("no {name}"));
    }
    program.map(|program| Judge { program })
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// Says what a test leaves out, and why. The harness captures what tests print, but not what goes to the descriptor.
pub fn skipped(why: &str) {
    let test = std::thread::current();
    let name = test.name().unwrap_or("a test");
    let line = format!("skipped: {why} ({name})\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Whether the tests run as the superuser.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Judge {
    /// A command that runs the judge, in a locale of UTF-8 and in universal time.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        command
    }

    /// Runs the judge, which must be content; what it says.
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

    /// Runs the judge.
    pub fn run(&self, arguments: &[&str], file: &Path) -> Output {
        self.command().args(arguments).arg(file).output().unwrap()
    }

    /// Where the program is.
    pub fn program(&self) -> &Path {
        &self.program
    }
}

/// Has e2fsck look at an ext4 file system.
pub fn judge_ext4(file: &Path) {
    if let Some(e2fsck) = judge("e2fsck") {
        e2fsck.content_with(&["-fn"], file);
    }
}

/// Has fsck.fat look at a FAT volume.
pub fn judge_fat(file: &Path) {
    if let Some(fsck) = judge("fsck.fat") {
        fsck.content_with(&["-n"], file);
    }
}

/// Has sfdisk look at a partition table, and sgdisk if it is a GPT.
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
