//! How a process ends, and what it takes meanwhile.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// What became of a process.
pub struct Watched {
    /// How it ended, or that it did not.
    pub ended: Result<ExitStatus, String>,
    /// The most memory that it and those that it started had, each at its worst, in bytes: their own, and not what they share with
    /// every process that maps the same file, such as the program itself, of which more or less stands in the page cache.
    pub memory: u64,
    /// The most disk that its files without a name took at once, in bytes.
    pub unnamed: u64,
}

/// Waits for the end, but not for longer than `limit`.
pub fn watch(mut child: Child, limit: Duration) -> Watched {
    let begun = Instant::now();
    let (mut peaks, mut unnamed) = (BTreeMap::new(), 0);
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break Ok(ended);
        }
        let others = children(child.id()).filter(|process| is_another(*process, child.id()));
        for process in others.chain([child.id()]) {
            let peak = peaks.entry(process).or_default();
            *peak = own(process).max(*peak);
        }
        unnamed = unnamed.max(unnamed_files(child.id()));
        if begun.elapsed() > limit {
            child.kill().unwrap();
            child.wait().unwrap();
            break Err(format!("it still ran after {limit:?}"));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Watched {
        ended,
        memory: peaks.values().sum(),
        unnamed,
    }
}

/// The processes that threads of a process have started, and that still run.
fn children(process: u32) -> impl Iterator<Item = u32> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task"));
    let lists: Vec<String> = threads
        .into_iter()
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok())
        .collect();
    let numbers = |list: String| -> Vec<u32> {
        list.split_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect()
    };
    lists.into_iter().flat_map(numbers)
}

/// Whether a process runs in memory of its own. One that was just cloned has that of the process that it comes from, and its command line,
/// until it becomes another program.
fn is_another(process: u32, parent: u32) -> bool {
    let line = |process| std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    line(process) != line(parent)
}

/// The most that a process had of its own so far, in bytes. The kernel keeps one high-water mark of all that is resident, `VmHWM`; what
/// is mapped from files and resident now, `RssFile`, is not counted.
fn own(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    field(&text, "VmHWM:").saturating_sub(field(&text, "RssFile:"))
}

/// A line of `/proc/PID/status` in units of 1024 bytes; none of a process that has just ended.
fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.trim().strip_suffix(" kB"))
        .map_or(0, |number| number.parse::<u64>().unwrap() << 10)
}

/// What the open files of a process that have no name take on their disk, in bytes.
fn unnamed_files(process: u32) -> u64 {
    let descriptors = std::fs::read_dir(format!("/proc/{process}/fd"));
    let files: BTreeMap<(u64, u64), u64> = descriptors
        .into_iter()
        .flatten()
        .filter_map(|descriptor| std::fs::metadata(descriptor.ok()?.path()).ok())
        .filter(|metadata| metadata.is_file() && metadata.nlink() == 0)
        .map(|metadata| ((metadata.dev(), metadata.ino()), metadata.blocks() * 512))
        .collect();
    files.values().sum()
}
