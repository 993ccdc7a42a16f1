//! How long it takes from the start of the program to a guest's work, with a warm cache.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::contender::CELLBLOCK;
use crate::report::{median, table as markdown};
use crate::trial::wait;

const RUNS: u32 = 20;
const LIMIT: Duration = Duration::from_secs(60);

/// Whole runs of commands with next to no work, whose time bounds that to a guest's first instruction from above.
pub(crate) fn table(folder: &Path) -> Result<String> {
    let output = folder.join("start.img");
    let output = output.to_string_lossy();
    let commands: [(&str, &[&str]); 4] = [
        ("the program alone: `cellblock --version`", &["--version"]),
        (
            "`cellblock mkfs swap --size 1MiB`",
            &["mkfs", "swap", "-q", "--size", "1MiB", "-o", &output],
        ),
        (
            "`cellblock mkfs ext4 --size 1MiB`",
            &["mkfs", "ext4", "-q", "--size", "1MiB", "-o", &output],
        ),
        (
            "without the cache: `cellblock mkfs ext4 --size 1MiB --no-cache`",
            &[
                "mkfs",
                "ext4",
                "-q",
                "--size",
                "1MiB",
                "-o",
                &output,
                "--no-cache",
            ],
        ),
    ];
    let mut rows = vec![vec!["command".to_owned(), "milliseconds".to_owned()]];
    for (title, words) in commands {
        let milliseconds = milliseconds(words)?;
        rows.push(vec![title.to_owned(), format!("{milliseconds:.1}")]);
    }
    Ok(format!(
        "### Start: whole runs with next to no work, median of {RUNS}\n\n{}",
        markdown(&rows)
    ))
}

fn milliseconds(words: &[&str]) -> Result<f64> {
    let mut seconds = Vec::new();
    for _ in 0..=RUNS {
        let ended = wait(Command::new(CELLBLOCK).args(words), LIMIT)?;
        seconds.push(ended.unwrap_or(LIMIT).as_secs_f64());
    }
    // The first one warms the cache.
    Ok(median(seconds.split_off(1)).unwrap_or_default() * 1000.0)
}
