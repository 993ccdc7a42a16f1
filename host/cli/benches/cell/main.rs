//! What the cell costs: the same formatter, natively and in its cell, on the same tree, in turn.
//!
//! ```text
//! cargo bench --bench cell -- SOURCE...      directories or tar archives
//! ```
//!
//! All use the host's tree, its partition files and its placing threads; they differ in where the formatter's code runs, and
//! in the crossing of the contract: behind the first wall in this process, or behind the second in one that is started for it.

mod native;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use cellblock_build::catalogue::BUILT_IN;
use cellblock_build::cell::{Guest, Runtime, RuntimeOptions, Walls, run_if_cell};
use cellblock_build::contract::{Losses, Request};
use cellblock_build::image::{Filling, PartitionFile, Scratch};
use cellblock_build::tree::Tree;
use cellblock_build::tree::source::{ReadOptions, Source, What, read_sources};
use cellblock_ext4::Ext4;
use cellblock_guest::Formatter as _;

const ROUNDS: usize = 11;
const THREADS: usize = 2;

fn main() -> ExitCode {
    if let Some(ended) = run_if_cell() {
        return ended;
    }
    let sources: Vec<PathBuf> = std::env::args_os()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .map(PathBuf::from)
        .collect();
    if sources.is_empty() {
        println!("skipped: no SOURCE is named");
    }
    match sources.iter().try_for_each(|source| compare(source)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn compare(source: &Path) -> Result<()> {
    let folder = tempfile::tempdir_in(source.parent().unwrap_or(Path::new(".")))?;
    let scratch = Scratch::beside(&folder.path().join("output"));
    let what = if source.is_dir() {
        What::Directory(source.to_owned())
    } else {
        What::Archive(source.to_owned())
    };
    let tree = read_sources(
        &[Source::new(what)],
        &|| scratch.file(),
        &ReadOptions::within(u64::MAX),
    )?
    .tree;
    let tree = Arc::new(tree);
    let cells =
        [Walls::Wasm, Walls::Process].map(|walls| guest(walls, &folder.path().join("cache")));
    let cells = cells.into_iter().collect::<Result<Vec<_>>>()?;
    let size = cells[0]
        .cell(&tree)
        .measure(&request(&tree, 0))?
        .size
        .next_multiple_of(1 << 20)
        + (64 << 20);

    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let native = native(&scratch, &tree, size)?;
        let mut seconds = vec![native.seconds];
        for guest in &cells {
            let cell = in_cell(guest, &scratch, &tree, size)?;
            anyhow::ensure!(native.digest == cell.digest, "the two differ");
            seconds.push(cell.seconds);
        }
        // The first round compiles, and warms the caches.
        if round > 0 {
            rounds.push(seconds);
        }
    }
    let median = |value: &dyn Fn(&[f64]) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(|round| value(round)).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!(
        "{}: {} nodes; medians of {ROUNDS} rounds: native {:.3} s; in its cell {:.3} s, ratio {:.3}; behind both walls {:.3} s, ratio {:.3}",
        source.display(),
        tree.len(),
        median(&|round| round[0]),
        median(&|round| round[1]),
        median(&|round| round[1] / round[0]),
        median(&|round| round[2]),
        median(&|round| round[2] / round[0]),
    );
    Ok(())
}

fn guest(walls: Walls, cache: &Path) -> Result<Arc<Guest>> {
    let built_in = BUILT_IN
        .iter()
        .find(|guest| guest.name == "ext4")
        .context("no ext4")?;
    let runtime = Runtime::new(&RuntimeOptions {
        walls,
        cache: Some(cache.to_owned()),
        ..RuntimeOptions::default()
    })?;
    Ok(Arc::new(runtime.load(built_in.name, built_in.bytes)?))
}

struct Run {
    seconds: f64,
    digest: Option<[u8; 32]>,
}

fn in_cell(guest: &Arc<Guest>, scratch: &Scratch, tree: &Arc<Tree>, size: u64) -> Result<Run> {
    timed(scratch, tree, size, |filling| {
        guest
            .cell(tree)
            .format(&request(tree, size), Arc::clone(filling) as _)?;
        Ok(())
    })
}

fn native(scratch: &Scratch, tree: &Arc<Tree>, size: u64) -> Result<Run> {
    timed(scratch, tree, size, |filling| {
        let mut output = native::Output::new(Arc::clone(filling));
        Ext4::format(
            &native::request(&request(tree, size)),
            &mut native::Nodes::new(tree),
            &mut output,
        )?;
        Ok(())
    })
}

fn timed(
    scratch: &Scratch,
    tree: &Arc<Tree>,
    size: u64,
    format: impl FnOnce(&Arc<Filling>) -> Result<()>,
) -> Result<Run> {
    // The digest reads everything once more: only for trees that are read quickly, and outside the time.
    const DIGESTED: u64 = 1 << 30;
    let begun = Instant::now();
    let partition = PartitionFile::new(scratch, size)?;
    let filling = Arc::new(Filling::new(partition, Arc::clone(tree), THREADS, |_| {}));
    format(&filling)?;
    let partition = filling.finish()?;
    let seconds = begun.elapsed().as_secs_f64();
    let digest = (size < DIGESTED).then(|| partition.digest()).transpose()?;
    Ok(Run { seconds, digest })
}

fn request(tree: &Tree, size: u64) -> Request {
    Request {
        kind: "ext4".to_owned(),
        size,
        disk_offset: 0,
        sector_size: 512,
        label: "native".to_owned(),
        uuid: [1; 16],
        seed: [2; 16],
        time: tree.newest(),
        drop: Losses::none(),
        settings: Vec::new(),
    }
}
