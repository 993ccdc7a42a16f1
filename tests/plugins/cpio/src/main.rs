//! A formatter in Rust: makes a cpio archive of the pax archive on standard input. `cpio FILE`.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cpio: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let path = std::env::args_os()
        .nth(1)
        .ok_or_else(|| io::Error::other("usage: cpio FILE"))?;
    let mut partition = OpenOptions::new().write(true).open(path)?;
    let archive = cpio::archive(io::stdin().lock())?;
    let (needed, size) = (archive.len() as u64, partition.metadata()?.len());
    if needed > size {
        return Err(io::Error::other(format!(
            "needs {needed} bytes, and the partition has {size}"
        )));
    }
    partition.write_all(&archive)
}
