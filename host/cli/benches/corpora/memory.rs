//! The memory of a program and of the processes that it starts.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

/// How often the kernel is asked.
const INTERVAL: Duration = Duration::from_millis(2);

/// The sum of the peaks of all processes of `command`, in units of 1,000 bytes: of their own memory, and what they share with one
/// another counts for each. They need not have been at the same moment, so that this is no less than the peak of the sum; what grows in
/// the last two milliseconds is missing.
pub(crate) fn peak(command: &mut Command) -> Result<u64> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let mut peaks: BTreeMap<u32, u64> = BTreeMap::new();
    let status = loop {
        for process in with_children(child.id()) {
            if let Some(kibibytes) = peak_so_far(process) {
                peaks.insert(process, kibibytes);
            }
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        thread::sleep(INTERVAL);
    };
    ensure!(status.success(), "{command:?}: {status}");
    Ok(peaks.values().sum::<u64>() * 1024 / 1000)
}

/// A process, and those that its threads have started.
fn with_children(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    let children = threads.into_iter().flatten().flatten().flat_map(|thread| {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let children: Vec<u32> = list
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        children
    });
    [process].into_iter().chain(children).collect()
}

/// The peak of a process's own memory up to now, in units of 1,024 bytes (proc_pid_status(5)): the high-water mark of all that is
/// resident, without what is mapped from files now, such as the program, of which more or less stands in the page cache.
fn peak_so_far(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let field = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    Some(field("VmHWM:")?.saturating_sub(field("RssFile:")?))
}
