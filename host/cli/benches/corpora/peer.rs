//! Peers that come from the registry and not with the system.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::corpus::Corpus;

/// The version of the crate `mkext4`.
pub(crate) const MKEXT4: &str = "0.0.3";

/// Inodes beyond the tree's that an mkext4 file system gets: it counts its own among them.
const SPARE_INODES: u64 = 1000;

/// The program in `folder`, built where it is missing.
pub(crate) fn mkext4(folder: &Path) -> Option<PathBuf> {
    let root = folder.join(format!("mkext4-{MKEXT4}"));
    let program = root.join("bin/mkfs");
    if !program.is_file() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args([
                "install",
                "--quiet",
                "--locked",
                "mkext4",
                "--example",
                "mkfs",
            ])
            .args(["--version", MKEXT4, "--root"])
            .arg(&root)
            .env_remove("CARGO_TARGET_DIR")
            .stdin(Stdio::null())
            .status();
        if !built.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no mkext4 {MKEXT4} can be had");
            return None;
        }
    }
    Some(program)
}

/// Its own rule gives a tree of many small files too few inodes, so it is told their number.
pub(crate) fn run_mkext4(program: &Path, corpus: &Corpus, output: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env(
            "MKEXT4_INODES",
            (corpus.census.nodes + SPARE_INODES).to_string(),
        )
        .arg(&corpus.directory)
        .arg(output)
        .arg(corpus.file_system_size().to_string())
        .stderr(Stdio::null());
    command
}
