//! The tables, in Markdown.

use std::fmt::Write as _;

use crate::Arguments;
use crate::contender::{CONTENDERS, Contender};
use crate::trial::{Run, Trial};

/// What the host and its cells may have together, in units of 1,000 bytes: so much, and 1 for each node.
const MEMORY: u64 = 64_000;

const OURS: [Contender; 3] = [Contender::Directory, Contender::Archive, Contender::Disk];

/// All tables about the corpora.
pub(crate) fn tables(trials: &[Trial], arguments: &Arguments) -> String {
    let rounds = arguments.rounds;
    [
        format!(
            "### Seconds: median of {rounds} rounds; in brackets, until the output is synced to the disk\n"
        ),
        table(&seconds(trials, arguments)),
        format!("### Times faster: median of the ratios in {rounds} rounds; in brackets, synced\n"),
        table(&ratios(trials, arguments)),
        "### Peak memory in MB, the processes of the cells with it, and the bound of 64 MB and 1 KB a node\n".to_owned(),
        table(&memory(trials)),
    ]
    .map(|part| part + "\n")
    .concat()
}

/// The middle one of `values`, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some(values[middle - 1].midpoint(values[middle])),
    }
}

/// Rows of cells as a table; the first row is the heading.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {} |", row.join(" | "));
        if number == 0 {
            let _ = writeln!(text, "|---|{}", "---:|".repeat(row.len() - 1));
        }
    }
    text
}

/// The median of the ratios of two that were measured in the same rounds.
pub(crate) fn median_ratio(over: &[f64], under: &[f64]) -> Option<f64> {
    median(
        over.iter()
            .zip(under)
            .map(|(over, under)| over / under)
            .collect(),
    )
}

pub(crate) fn heading<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    words.into_iter().map(str::to_owned).collect()
}

fn seconds(trials: &[Trial], arguments: &Arguments) -> Vec<Vec<String>> {
    let names = ["corpus", "nodes", "MB", "file system, MiB"];
    let mut rows = vec![heading(
        names.into_iter().chain(CONTENDERS.map(Contender::title)),
    )];
    for trial in trials {
        let corpus = &trial.corpus;
        let mut row = vec![
            corpus.name.to_owned(),
            corpus.census.nodes.to_string(),
            (corpus.census.bytes / 1_000_000).to_string(),
            (corpus.file_system_size() >> 20).to_string(),
        ];
        for contender in CONTENDERS {
            row.push(match trial.outcomes.get(&contender) {
                None => "–".to_owned(),
                Some(outcome) if outcome.stopped => format!("> {}, stopped", arguments.limit),
                Some(outcome) => pair(|pick| median(outcome.runs.iter().map(pick).collect())),
            });
        }
        rows.push(row);
    }
    rows
}

fn ratios(trials: &[Trial], arguments: &Arguments) -> Vec<Vec<String>> {
    let mut rows = vec![heading([
        "corpus",
        "`mke2fs` / directory",
        "`mke2fs` / tar",
        "`mke2fs` / disk with ESP",
        "mkext4 / directory",
        "directory / floor",
        "tar / floor",
    ])];
    let pairs = [
        (Contender::Mke2fs, Contender::Directory),
        (Contender::Mke2fs, Contender::Archive),
        (Contender::Mke2fs, Contender::Disk),
        (Contender::Mkext4, Contender::Directory),
        (Contender::Directory, Contender::Floor),
        (Contender::Archive, Contender::Floor),
    ];
    for trial in trials {
        let mut row = vec![trial.corpus.name.to_owned()];
        row.extend(pairs.map(|(over, under)| ratio(trial, over, under, arguments)));
        rows.push(row);
    }
    rows
}

/// The median of `over` divided by `under`, round by round; at least so much, if `over` was stopped.
fn ratio(trial: &Trial, over: Contender, under: Contender, arguments: &Arguments) -> String {
    let (Some(over), Some(under)) = (trial.outcomes.get(&over), trial.outcomes.get(&under)) else {
        return "–".to_owned();
    };
    if under.stopped {
        return "–".to_owned();
    }
    if over.stopped {
        let slowest = under.runs.iter().map(|run| run.synced).fold(0.0, f64::max);
        return format!("> {:.0}", (arguments.limit as f64 / slowest).floor());
    }
    pair(|pick| {
        let rounds = over.runs.iter().zip(&under.runs);
        median(
            rounds
                .map(|(over, under)| pick(over) / pick(under))
                .collect(),
        )
    })
}

fn memory(trials: &[Trial]) -> Vec<Vec<String>> {
    let titles = OURS.map(Contender::title);
    let mut rows = vec![heading(
        ["corpus"].into_iter().chain(titles).chain(["bound"]),
    )];
    for trial in trials {
        let mut row = vec![trial.corpus.name.to_owned()];
        for contender in OURS {
            let peak = trial.outcomes.get(&contender).and_then(|it| it.peak);
            row.push(peak.map_or_else(|| "–".to_owned(), megabytes));
        }
        row.push(megabytes(MEMORY + trial.corpus.census.nodes));
        rows.push(row);
    }
    rows
}

fn megabytes(kilobytes: u64) -> String {
    kilobytes.div_ceil(1000).to_string()
}

/// A figure of what ended, and in brackets of what was synced.
fn pair(figure: impl Fn(fn(&Run) -> f64) -> Option<f64>) -> String {
    match (figure(|run| run.ended), figure(|run| run.synced)) {
        (Some(ended), Some(synced)) => format!("{ended:.2} ({synced:.2})"),
        _ => "–".to_owned(),
    }
}
