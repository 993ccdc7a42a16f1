//! What was measured, and on what.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::contender::{CELLBLOCK, Tools};
use crate::peer::MKEXT4;

/// The versions, the machine and the file system of `folder`, as a list.
pub(crate) fn describe(folder: &Path, tools: &Tools) -> String {
    let mke2fs = tools.mke2fs.as_deref().map_or_else(
        || "no mke2fs".to_owned(),
        |program| first_line(program, "-V"),
    );
    let mkext4 = match tools.mkext4 {
        Some(_) => format!("mkext4 {MKEXT4}"),
        None => "no mkext4".to_owned(),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    [
        format!(
            "{}, {mke2fs}, {mkext4}",
            first_line(Path::new(CELLBLOCK), "--version")
        ),
        format!("{}, {cores} cores, {}", processor(), memory()),
        format!("Linux {}, output on {}", kernel(), file_system(folder)),
        load(),
    ]
    .map(|line| format!("- {line}"))
    .join("\n")
}

/// How busy the machine is.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let minute = text.split(' ').next().unwrap_or_default();
    format!("load over the last minute: {minute}")
}

/// The first line that `program` says; mke2fs says it on standard error.
fn first_line(program: &Path, argument: &str) -> String {
    let Ok(said) = Command::new(program).arg(argument).output() else {
        return format!("{} of an unknown version", program.display());
    };
    let text = [said.stdout, said.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or_default().to_owned()
}

fn processor() -> String {
    field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn memory() -> String {
    let kibibytes = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.map_or_else(
        || "memory unknown".to_owned(),
        |kibibytes| format!("{} GiB of memory", (kibibytes + (1 << 19)) >> 20),
    )
}

fn field(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn kernel() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    text.trim().to_owned()
}

/// The kind of file system that `folder` is on: of the mounts above it, the longest, and of equals the last.
fn file_system(folder: &Path) -> String {
    let text = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(mount, _)| folder.starts_with(mount))
        .max_by_key(|(mount, _)| mount.len())
        .map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}
