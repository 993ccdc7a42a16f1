//! The formatter of `../cpio` as a component, preview 2: `cpio FILE`.

use std::io::{self, BufReader, Write as _};

use wasip2::cli::{environment, stderr, stdin};
use wasip2::filesystem::preopens;
use wasip2::filesystem::types::{DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

struct Cpio;

wasip2::cli::command::export!(Cpio);

impl wasip2::exports::cli::run::Guest for Cpio {
    fn run() -> Result<(), ()> {
        run().map_err(|error| {
            let _ = writeln!(stderr::get_stderr(), "cpio: {error}");
        })
    }
}

fn run() -> io::Result<()> {
    let arguments = environment::get_arguments();
    let path = arguments
        .get(1)
        .ok_or_else(|| io::Error::other("usage: cpio FILE"))?;
    let (root, _) = preopens::get_directories()
        .into_iter()
        .next()
        .ok_or_else(|| io::Error::other("there is no directory"))?;
    let failed = |code: ErrorCode| io::Error::other(format!("{path}: {}", code.name()));
    let partition = root
        .open_at(
            PathFlags::empty(),
            path.trim_start_matches('/'),
            OpenFlags::empty(),
            DescriptorFlags::WRITE,
        )
        .map_err(failed)?;
    let archive = cpio::archive(BufReader::with_capacity(1 << 16, stdin::get_stdin()))?;
    let (needed, size) = (archive.len() as u64, partition.stat().map_err(failed)?.size);
    if needed > size {
        return Err(io::Error::other(format!(
            "needs {needed} bytes, and the partition has {size}"
        )));
    }
    let mut written = 0;
    while let Some(rest) = archive.get(written..).filter(|rest| !rest.is_empty()) {
        let count = partition.write(rest, written as u64).map_err(failed)?;
        written += usize::try_from(count).map_err(io::Error::other)?;
    }
    Ok(())
}
