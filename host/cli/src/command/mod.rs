//! The commands of the program. Each says on standard output what somebody wants to keep, and the rest on standard error.

#[cfg(feature = "cache")]
mod action;
mod build;
#[cfg(feature = "cache")]
mod cache;
mod cat;
mod convert;
mod cp;
mod cut;
mod derive;
mod diff;
mod du;
mod export;
mod failure;
mod fill;
mod folders;
mod foreseen;
mod guests;
mod init;
mod looking;
mod ls;
mod manual;
mod mkfs;
mod plan;
mod project;
mod record;
#[cfg(feature = "cache")]
mod remote;
mod repair;
mod report;
mod show;
mod splice;
mod stat;
mod tar;
mod tree_of;
mod verify;
mod verify_build;
mod walls;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use failure::Failure;

use crate::arguments::{Arguments, Chosen, Command, Limits as CellLimits, Run, brought};
use crate::completion;
use crate::report::{LineProgress, TerminalProgress, terminal};
use cellblock_build::catalogue::{Catalog, Foreign};
use cellblock_build::cell::{Codecs, Runtime, RuntimeOptions, Walls};
use cellblock_build::contract::{Level, Limits};
use cellblock_build::footprint::Footprint;
use cellblock_build::image::{Atomic, Durability, Snapshots};
use cellblock_build::progress::{Hidden, Progress};
use cellblock_build::spec;
use cellblock_build::table::SectorSize;
use cellblock_build::text::{exact, human, printable};
use cellblock_build::tree::volume::Decoders;
use cellblock_build::{
    Asked, BuildOptions, Changed, Error, OpenedImage, Output, OutputRecord, Record, Said, Target,
};

/// Carries a command out.
///
/// # Errors
/// [`Failure`] with what to say.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    terminal::use_colors(arguments.color);
    let mut typed = Footprint::default();
    for path in arguments.typed_inputs() {
        typed.reads("the input", path);
    }
    typed.check()?;
    match &arguments.command {
        Command::Init(init) => init::run(init),
        Command::Build(build) if build.dry_run => plan::run(build),
        Command::Build(build) => build::run(build),
        Command::Verify(verify) => verify::run(verify),
        Command::VerifyBuild(verify) => verify_build::run(verify),
        Command::Plan(build) => plan::run(build),
        Command::Derive(build) => derive::run(build),
        Command::Convert(convert) => convert::run(convert),
        Command::Mkfs(mkfs) => mkfs::run(mkfs),
        Command::Show(show) => show::run(show),
        Command::Fill(fill) => fill::run(fill),
        Command::Splice(splice) => splice::run(splice),
        Command::Cut(cut) => cut::run(cut),
        Command::Export(export) => export::run(export),
        Command::Repair(repair) => repair::run(repair),
        Command::Ls(ls) => ls::run(ls),
        Command::Cat(cat) => cat::run(cat),
        Command::Cp(cp) => cp::run(cp),
        Command::Tree(typed) => tree_of::run(typed),
        Command::Du(du) => du::run(du),
        Command::Stat(stat) => stat::run(stat),
        Command::Tar(tar) => tar::run(tar),
        Command::Diff(diff) => diff::run(diff),
        Command::Report(typed) => report::run(typed),
        Command::Guests(guests) => guests::run(guests),
        Command::Walls(walls) => walls::run(walls),
        #[cfg(feature = "cache")]
        Command::Cache(tool) => cache::run(tool),
        #[cfg(feature = "cache")]
        Command::Action(action) => action::run(action),
        Command::Schema => print_json(&spec::json_schema()),
        Command::Completions(typed) => {
            let mut script = Vec::new();
            completion::write_script(typed.shell, &mut script).map_err(Failure::failed)?;
            print_bytes(&script)
        }
        Command::Manual(manual) => manual::run(manual),
    }
}

fn runtime(run: &Run) -> Result<Runtime, Failure> {
    runtime_of(&run.limits, run.walls())
}

/// A runtime whose cells have these limits, and this around them.
fn runtime_of(limits: &CellLimits, walls: Walls) -> Result<Runtime, Failure> {
    let cache = if limits.no_cache {
        None
    } else {
        cellblock_build::cache_folder()
    };
    let options = RuntimeOptions {
        limits: Limits {
            memory: limits.memory_limit,
            time: Duration::from_secs(limits.time_limit),
            table_elements: limits.table_limit as usize,
            instances: limits.instance_limit as usize,
            handles: limits.handle_limit as usize,
        },
        cache,
        walls,
    };
    Runtime::new(&options).map_err(Failure::failed)
}

/// Who takes apart what is compressed in an image, behind the strongest wall that there is here.
fn codecs() -> Result<Arc<Codecs>, Failure> {
    let runtime = Runtime::new(&RuntimeOptions::default());
    Ok(runtime.map_err(Failure::failed)?.codecs())
}

/// The formatters of the command line, over those of the spec.
fn catalog(run: &Run, of_spec: BTreeMap<String, Foreign>) -> Result<Catalog, Failure> {
    let mut foreign = of_spec;
    for guest in &run.guests {
        let brought = Foreign {
            file: guest.file.clone(),
            fetch: run.limits.fetch(),
            sha256: guest.sha256,
            command: None,
        };
        foreign.insert(guest.name.clone(), brought);
    }
    for (name, line) in &run.commands {
        let guest = foreign.get_mut(name).ok_or_else(|| {
            Failure::usage(format_args!(
                "--guest-command {name}: no --guest {name}=FILE.wasm names its file"
            ))
        })?;
        guest.command = Some(line.clone());
    }
    Ok(Catalog::new(foreign))
}

/// Makes the formatters of the command line a part of the spec, over those that it has.
fn add_guests(spec: &mut spec::Spec, run: &Run) {
    let place = spec::Place::default;
    for guest in &run.guests {
        let file = spec::Placed {
            value: guest.file.clone(),
            place: place(),
        };
        let guest_spec = spec::GuestSpec {
            file,
            sha256: guest.sha256,
            command: None,
        };
        spec.guests.insert(guest.name.clone(), guest_spec);
    }
    for (name, line) in &run.commands {
        if let Some(guest) = spec.guests.get_mut(name) {
            guest.command = Some(line.clone());
        }
    }
}

/// How to build; the `time` is the environment's if it was not `given`.
fn build_options(run: &Run, time: Option<i64>, given: bool) -> BuildOptions {
    BuildOptions {
        jobs: run.jobs().get(),
        digests: run.json.is_some(),
        progress: progress(run.quiet, run.verbose),
        archive_limit: run.archive_limit,
        time,
        time_of_environment: !given,
        durability: durability(run.sync),
        outputs: run.json.iter().map(Into::into).collect(),
        verify: run.verify(),
        readers: brought(&run.readers, &run.limits),
        #[cfg(feature = "cache")]
        cache: None,
        #[cfg(feature = "cache")]
        known: None,
        #[cfg(feature = "cache")]
        remote: None,
    }
}

/// Refuses to write bytes that nobody reads to a terminal.
fn not_to_terminal(what: &str) -> Result<(), Failure> {
    if io::IsTerminal::is_terminal(&io::stdout()) {
        return Err(Failure::usage(format_args!(
            "{what} is not written to a terminal: name a file with -o, or pipe it"
        )));
    }
    Ok(())
}

/// How far what is published has got, by whether `--sync` was typed.
fn durability(sync: bool) -> Durability {
    if sync {
        Durability::Flushed
    } else {
        Durability::Written
    }
}

/// Has the caches of the command line, or of the spec if that is asked for, used by a run that reads what `footprint` has; only read, where nothing is to be
/// written. Has the workers of the command line asked, too.
fn use_caches(
    _options: &mut BuildOptions,
    _run: &Run,
    _spec: Option<&spec::Spec>,
    _footprint: &Footprint,
    _only_reads: bool,
) -> Result<(), Failure> {
    #[cfg(feature = "cache")]
    {
        cache::use_caches(_options, _run, _spec, _footprint, _only_reads)?;
        remote::use_workers(_options, _run)?;
    }
    Ok(())
}

/// Refuses caches and workers for a command that has no use of them.
fn uses_neither(_run: &Run, _command: &str) -> Result<(), Failure> {
    #[cfg(feature = "cache")]
    if _run.caches.is_typed() || _run.remotes.url.is_some() {
        return Err(Failure::usage(format_args!(
            "--cache, --spec-cache and --remote: {_command} makes everything anew here, and uses no cache and no worker"
        )));
    }
    Ok(())
}

/// Says that the spec names caches which are not used, if it does.
fn say_unused_caches(_run: &Run, spec: &spec::Spec) -> Result<(), Failure> {
    #[cfg(feature = "cache")]
    cache::say_unused(_run, spec)?;
    #[cfg(not(feature = "cache"))]
    if spec.cache.is_some() {
        tell!("note: [cache] of the spec is not used: this program was built without caches");
    }
    Ok(())
}

/// Who shows how far things are.
fn progress(quiet: bool, verbose: bool) -> Arc<dyn Progress> {
    if quiet {
        Arc::new(Hidden)
    } else if verbose {
        Arc::new(LineProgress::verbose())
    } else if terminal::draws_bars() {
        Arc::new(TerminalProgress::on_terminal())
    } else {
        Arc::new(LineProgress::new())
    }
}

/// Says that somebody else has locked an image.
fn waiting(image: &Path) {
    tell!(
        "waiting: {} is locked by somebody else",
        printable(&image.display().to_string())
    );
}

/// Says what is wrong with the table of an image, though its partition could be found.
fn print_findings(image: &Path, changed: &Changed) {
    warn_of_snapshots(image, changed.snapshots.as_ref());
    let image = printable(&image.display().to_string());
    for finding in &changed.findings {
        tell!("warning: {image}: {finding}");
    }
    if changed.missing > 0 {
        tell!(
            "warning: {image}: partition {} ends {} beyond the image: what is there was taken",
            changed.partition,
            exact(changed.missing)
        );
    }
}

/// Says what is not read of the file of an image.
fn warn_of_snapshots(image: &Path, snapshots: Option<&Snapshots>) {
    if let Some(snapshots) = snapshots {
        let image = printable(&image.display().to_string());
        tell!("warning: {image}: {snapshots}");
    }
}

/// Opens an image for all that is read of it, and says what is to be said of its file.
fn open_image(
    path: &Path,
    sector_size: Option<SectorSize>,
    decoders: &Arc<dyn Decoders>,
) -> Result<Arc<OpenedImage>, Failure> {
    let image = OpenedImage::open(path, sector_size, decoders).map_err(Error::from)?;
    warn_of_image(&image);
    Ok(Arc::new(image))
}

/// Says what is to be said of the file of an image that is open.
fn warn_of_image(image: &OpenedImage) {
    let called = printable(&image.path().display().to_string());
    for text in image.warnings() {
        tell!("warning: {called}: {text}");
    }
}

/// As many threads as there are processors.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// What is asked for of an image that exists.
fn asked(
    chosen: &Chosen,
    atomic: Atomic,
    jobs: usize,
    progress: Arc<dyn Progress>,
    quiet: bool,
) -> Asked {
    Asked {
        image: chosen.image.clone(),
        partition: chosen.partition.clone(),
        expected_size: chosen.expect_size,
        sector_size: chosen.sector_size,
        atomic,
        jobs,
        waiting: if quiet { |_| {} } else { waiting },
        progress,
    }
}

/// The line that says what a partition of an image now holds.
fn changed(changed: &Changed, what: &str) -> String {
    let record = &changed.record;
    let size = record.partitions.iter().map(|one| one.size).sum();
    let how = if record.atomic == Some(true) {
        "in a copy that took the image's place"
    } else {
        "in place"
    };
    format!(
        "{}: partition {}, {}: {what} {how} in {:.2} s\n",
        record.image,
        changed.partition,
        human(size),
        record.timings.total.unwrap_or_default(),
    )
}

/// What formatters say of their file systems, one a line.
fn properties(record: &Record) -> String {
    let filesystems = record
        .partitions
        .iter()
        .filter_map(|partition| partition.filesystem.as_ref());
    filesystems
        .flat_map(|filesystem| &filesystem.properties)
        .map(|(name, value)| format!("  {name}: {value}\n"))
        .collect()
}

/// The run writes these files; whether standard output is one of them.
fn writes<'t>(
    footprint: &mut Footprint,
    targets: impl IntoIterator<Item = &'t Target>,
) -> Result<bool, Failure> {
    let mut to_stdout = 0;
    for target in targets {
        footprint.writes_output("the image", &target.output);
        if let Some(base) = target.format.base() {
            footprint.reads("the backing file", base);
        }
        to_stdout += u32::from(target.output == Output::Stdout);
    }
    match to_stdout {
        0 | 1 => Ok(to_stdout == 1),
        _ => Err(Failure::usage(
            "standard output takes one image, and not several: name files with -o",
        )),
    }
}

/// The files among what is written.
fn files<'t>(targets: impl IntoIterator<Item = &'t Target>) -> impl Iterator<Item = PathBuf> {
    let targets = targets.into_iter();
    targets.filter_map(|it| it.output.file().map(PathBuf::from))
}

/// Whether an output went to standard output, and nothing else may be said there.
fn has_stdout(record: &Record) -> bool {
    record.outputs.iter().any(|output| output.file == "-")
}

/// The lines that say what was made, one for each file.
fn outputs(record: &Record) -> String {
    outputs_of(record, "")
}

/// The same, with the kind of what is in them.
fn outputs_of(record: &Record, kind: &str) -> String {
    let total = record.timings.total.unwrap_or_default();
    let line = |output: &OutputRecord| {
        let kind = [
            kind,
            if output.format == "raw" {
                ""
            } else {
                output.format
            },
        ];
        let kinds: String = kind
            .iter()
            .filter(|kind| !kind.is_empty())
            .map(|kind| format!("{kind}, "))
            .collect();
        format!(
            "{}: {kinds}{} in {total:.2} s\n",
            output.file,
            human(output.size)
        )
    };
    record.outputs.iter().map(line).collect()
}

/// The formatters that the command line brings are read, and the keys of caches.
fn reads_typed(footprint: &mut Footprint, run: &Run) {
    #[cfg(feature = "cache")]
    {
        run.caches.read_by(footprint);
        run.remotes.read_by(footprint);
    }
    for guest in run.guests.iter().chain(&run.readers) {
        footprint.reads_guest(&guest.name, &guest.file);
    }
}

fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    print(&as_json(value)?)
}

/// Prints a list that may be longer than what fits into memory.
fn print_json_list(items: impl Iterator<Item = serde_json::Value>) -> Result<(), Failure> {
    let mut text = String::from("[");
    let mut is_empty = true;
    for item in items {
        text.push_str(if is_empty { "\n" } else { ",\n" });
        is_empty = false;
        let item = serde_json::to_string_pretty(&item).map_err(Failure::failed)?;
        for (number, line) in item.lines().enumerate() {
            text.push_str(if number == 0 { "  " } else { "\n  " });
            text.push_str(line);
        }
        if text.len() > 1 << 20 {
            print(&text)?;
            text.clear();
        }
    }
    text.push_str(if is_empty { "]\n" } else { "\n]\n" });
    print(&text)
}

/// The failure for programs, where the record would have been.
pub fn print_failure(failure: &Failure) {
    // There is nobody to tell if even that cannot be written.
    let _ = print_json(&serde_json::json!({ "error": failure }));
}

fn as_json(value: &impl serde::Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::failed)?;
    Ok(format!("{text}\n"))
}

/// Writes to standard output; a reader that has gone is no failure.
fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format_args!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Warnings are shown to whoever wants to see no progress, too. A formatter's words are told from this program's.
fn print_log(name: &str, said: &Said, verbose: bool) {
    let (weight, by, text) = match said {
        Said::Warning(text) => ("warning: ", "", text),
        Said::Formatter(line) => {
            let weight = match line.level {
                Level::Warning => "warning: ",
                Level::Info | Level::Debug if verbose => "",
                Level::Info | Level::Debug => return,
            };
            (weight, "its formatter says: ", &line.text)
        }
    };
    tell!("{weight}{}: {by}{}", printable(name), printable(text));
}

/// Says that a wall is missing, where one was wished for if it can be had.
fn warn_of_walls(runtime: &Runtime) {
    if let Some(missing) = runtime.missing_wall() {
        tell!(
            "warning: this kernel, or the container around this program, does not allow {missing}: \
             cells run behind WebAssembly alone; `--walls process` makes this an error"
        );
    }
}

/// Says the same of the processes that compress, where no guest has had it said.
fn warn_of_codecs(runtime: &Runtime, record: &Record) {
    let missing = record.codecs.as_ref().and_then(|it| it.missing.as_ref());
    if let Some(missing) = missing
        && runtime.missing_wall().is_none()
    {
        tell!(
            "warning: this kernel, or the container around this program, does not allow {missing}: \
             what compresses runs in this process; `--walls process` makes this an error"
        );
    }
}

/// Says the same of those that take apart what is compressed in an image.
fn warn_of_decoders(codecs: &Codecs) {
    if let Some(missing) = codecs.wall().and_then(|wall| wall.missing) {
        tell!(
            "warning: this kernel, or the container around this program, does not allow {missing}: \
             what decompresses runs in this process"
        );
    }
}

/// Whether standard output shows colours.
fn color() -> bool {
    terminal::color(&io::stdout())
}

/// Whether standard error shows colours.
fn color_of_errors() -> bool {
    terminal::color(&io::stderr())
}

/// The most bytes of a spec.
const LARGEST_SPEC: u64 = 16 << 20;

/// The text of a spec, which may come through a pipe.
fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::File::open(path)
        .and_then(text_of)
        .map_err(|error| Failure::usage(format_args!("{}: {error}", path.display())))
}

/// A text of as many bytes as a spec may have: a device has no end.
fn text_of(input: impl io::Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut input.take(LARGEST_SPEC + 1), &mut bytes)?;
    if bytes.len() as u64 > LARGEST_SPEC {
        let what = format!("it has more than the {LARGEST_SPEC} bytes that a spec may have");
        return Err(io::Error::other(what));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let what = format!("it is no text: what begins at byte {at} is not UTF-8");
        io::Error::new(io::ErrorKind::InvalidData, what)
    })
}
