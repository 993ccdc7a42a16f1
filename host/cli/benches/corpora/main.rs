//! Measures cellblock against `mke2fs -d` and the crate `mkext4`, and all against the bare copying of the bytes, on trees of several shapes.
//!
//! ```text
//! cargo bench --bench corpora                               small trees, made on the spot
//! cargo bench --bench corpora -- --corpora DIR all          the full ones, made in DIR where they are missing
//! cargo bench --bench corpora -- --corpora DIR manyfiles    some of them
//! cargo bench --bench corpora -- --formats …                erofs and squashfs instead, against their own programs
//! cargo bench --bench corpora -- --disks …                  formats of disks instead, against qemu-img
//! cargo bench --bench corpora -- --layers …                 container images instead, against umoci and mke2fs
//! cargo bench --bench corpora -- --reading …                the way back instead: exports, listings, verifying
//! cargo bench --bench corpora -- --walls …                  both walls against the cell alone, idle and beside other work
//! ```
//!
//! Each round runs every contender once, in turn, into a fresh file beside the corpora; a round that is not counted goes
//! first and warms the caches. Outputs are deleted outside the time that is taken. `mke2fs` ends with an fsync of its
//! output and cellblock does not, so every contender is measured twice: until it ends, and until its output is on the disk
//! as well. Ratios are the medians of the ratios within a round, because what else the machine does weighs on both.

mod contender;
mod corpus;
mod disks;
mod floor;
mod formats;
mod layers;
mod machine;
mod memory;
mod peer;
mod reading;
mod report;
mod start;
mod synthetic;
mod trial;
mod walls;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use corpus::{Corpus, RECIPES, Recipe, Size};
use trial::Trial;

/// Measures cellblock against `mke2fs -d` on trees of several shapes.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the corpora are; those that are missing are made there
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_TARGET_TMPDIR"), "/corpora"))]
    corpora: PathBuf,
    /// Rounds that count
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds after which a run is stopped, and its contender leaves the corpus
    #[arg(long, value_name = "SECONDS", default_value = "120")]
    limit: u64,
    /// Measure erofs and squashfs against mkfs.erofs and mksquashfs (those in CELLBLOCK_PEERS first), and against the codecs alone
    #[arg(long)]
    formats: bool,
    /// Measure formats of disks against `qemu-img convert`, and their builds against those of raw ones
    #[arg(long, conflicts_with = "formats")]
    disks: bool,
    /// Measure container images of twelve layers against one archive, and against `umoci unpack` and `mke2fs -d`
    #[arg(long, conflicts_with_all = ["formats", "disks"])]
    layers: bool,
    /// Measure readers against the kernel's mount, debugfs, unsquashfs and fsck.erofs, as root, and `verify` against the build
    #[arg(long, conflicts_with_all = ["formats", "disks", "layers"])]
    reading: bool,
    /// Measure both walls against the cell alone, with nothing beside and with one busy thread
    #[arg(long, conflicts_with_all = ["formats", "disks", "layers", "reading"])]
    walls: bool,
    /// The corpora, or `all` for all of full size; the small ones if none is named
    names: Vec<String>,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What measures something else than formatters: its tables, of these corpora, with outputs in this folder.
type Measure = fn(&[Corpus], &std::path::Path, &Arguments) -> Result<String>;

fn run(arguments: &Arguments) -> Result<()> {
    let recipes = chosen(&arguments.names)?;
    std::fs::create_dir_all(&arguments.corpora)
        .with_context(|| arguments.corpora.display().to_string())?;
    let folder = arguments.corpora.canonicalize()?;
    let tools = contender::Tools::find(&folder);
    println!("{}\n", machine::describe(&folder, &tools));

    let measure: Option<Measure> = [
        (arguments.formats, formats::measure as Measure),
        (arguments.disks, disks::measure),
        (arguments.layers, layers::measure),
        (arguments.reading, reading::measure),
        (arguments.walls, walls::measure),
    ]
    .into_iter()
    .find_map(|(asked, measure)| asked.then_some(measure));
    if let Some(measure) = measure {
        let prepared = recipes
            .into_iter()
            .map(|recipe| Corpus::prepare(recipe, &folder));
        let corpora: Result<Vec<Option<Corpus>>> = prepared.collect();
        let corpora: Vec<Corpus> = corpora?.into_iter().flatten().collect();
        let tables = measure(&corpora, &folder, arguments)?;
        print!("{tables}");
        println!("\n{}", machine::load());
        return Ok(());
    }
    let Some(esp) = Corpus::prepare(&corpus::ESP, &folder)? else {
        bail!("the corpus esp cannot be made");
    };
    let outputs = tempfile::tempdir_in(&folder)?;
    let mut trials = Vec::new();
    for recipe in recipes {
        if let Some(corpus) = Corpus::prepare(recipe, &folder)? {
            trials.push(Trial::run(corpus, &esp, outputs.path(), &tools, arguments)?);
        }
    }
    print!("{}", report::tables(&trials, arguments));
    print!("{}", start::table(outputs.path())?);
    println!("\n{}", machine::load());
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<&'static Recipe>> {
    if names.is_empty() {
        return Ok(of_size(Size::Small));
    }
    let mut recipes = Vec::new();
    for name in names {
        if name == "all" {
            recipes.extend(of_size(Size::Full));
        } else if let Some(recipe) = RECIPES.iter().find(|recipe| recipe.name == name) {
            recipes.push(recipe);
        } else {
            let known: Vec<_> = RECIPES.iter().map(|recipe| recipe.name).collect();
            bail!(
                "there is no corpus '{name}'; there are {}",
                known.join(", ")
            );
        }
    }
    Ok(recipes)
}

fn of_size(size: Size) -> Vec<&'static Recipe> {
    RECIPES.iter().filter(|it| it.size == size).collect()
}
