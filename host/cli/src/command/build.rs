//! `cellblock build`: a spec in, an image out.

use std::path::Path;

use cellblock_build::catalogue::Foreign;
use cellblock_build::cell::Runtime;
use cellblock_build::component::{Fetch, lock};
use cellblock_build::footprint::Footprint;
use cellblock_build::provenance::{Input, inputs, statement};
use cellblock_build::spec::project::Volume;
use cellblock_build::spec::{Place, Placed, Spec};
use cellblock_build::{
    Assembled, BuildOptions, Output, Packed, Record, Said, Split, SplitFiles, Target,
    assemble_image, check_folder,
};

use super::folders::NewFolders;
use super::project::Described;
use super::record::RecordFile;
use super::{Failure, print, print_log};
use crate::arguments::{self, Build, one_image};
use crate::report::{draw, terminal};

pub(super) fn run(build: &Build) -> Result<(), Failure> {
    let described = Described::read(&build.spec, &build.contents)?;
    described.print_notes();
    let volumes = &described.project.volumes;
    if let Some(first) = volumes.first() {
        super::say_unused_caches(&build.run, &first.spec)?;
    }
    let targets = build.targets(volumes).map_err(Failure::usage)?;
    let mut footprint = reads(build, volumes);
    let twice = footprint.check_stream();
    twice.map_err(|twice| described.of_stream(twice))?;
    let to_stdout = super::writes(&mut footprint, targets.iter().flatten())?;
    let record = RecordFile::prepare(&build.run, &mut footprint, to_stdout)?;
    let is_taken = to_stdout || record.is_stdout();
    let to = build.provenance.as_deref();
    let provenance = RecordFile::at("the provenance", to, &mut footprint, is_taken)?;
    let provenance = provenance.synced(build.run.sync);
    if to.is_some() {
        one_image("--provenance", volumes).map_err(Failure::usage)?;
        if !targets.iter().flatten().any(|it| it.format.is_raw()) {
            return Err(Failure::usage(
                "--provenance is of the plain disk, and no output is: add -o with a name that ends in .img",
            ));
        }
    }
    let split = build.split(volumes).map_err(Failure::usage)?;
    if let Some(split) = &split {
        footprint.fills("the folder of --split", &split.folder);
    }
    footprint.check()?;
    let mut folders = NewFolders::default();
    let mut make = |folder: &Path| {
        let made = folders.make(folder);
        made.map_err(|error| Failure::failed(format_args!("{}: {error}", folder.display())))
    };
    if let Some(split) = &split {
        make(&split.folder)?;
        check_folder(&split.folder)?;
    }
    if let Some(folder) = build.folder(volumes) {
        make(folder)?;
    }
    let sources = match (to, &volumes[..]) {
        (Some(_), [volume]) => Some(Sources::read(build, &described, &volume.spec, &footprint)?),
        _ => None,
    };
    let runtime = super::runtime(&build.run)?;
    let assembled: Result<Vec<Assembled>, Failure> = volumes
        .iter()
        .zip(&targets)
        .map(|(volume, own)| {
            let output = &Target::first(own).output;
            assemble(build, &volume.spec, output, &targets, &runtime, &described)
        })
        .collect();
    super::warn_of_walls(&runtime);
    let mut assembled = assembled?;
    let files = match (&split, &mut assembled[..]) {
        (Some(split), [image]) => Some(split_up(image, split, footprint)?),
        _ => None,
    };
    let documents = Documents {
        record,
        provenance: (provenance, sources),
    };
    let mut made = Vec::with_capacity(assembled.len());
    for ((image, volume), own) in assembled.into_iter().zip(volumes).zip(&targets) {
        made.push(pack(build, image, &volume.spec, own, &runtime)?);
    }
    deliver(build, made, files, documents)
}

/// What a provenance says of what went in.
struct Sources {
    /// The spec with all that was typed.
    spec: String,
    inputs: Vec<Input>,
}

impl Sources {
    fn read(
        build: &Build,
        described: &Described,
        spec: &Spec,
        footprint: &Footprint,
    ) -> Result<Self, Failure> {
        let options = options(build, spec)?;
        let mut whole = spec.clone();
        if let (None, Some(value)) = (&whole.disk.time, options.time) {
            let place = Place::default();
            whole.disk.time = Some(Placed { value, place });
        }
        super::add_guests(&mut whole, &build.run);
        // It decides no byte, and may hold who asks and with which password.
        whole.cache = None;
        let inputs = inputs(footprint, spec, described.names(), &options);
        Ok(Self {
            spec: whole.to_toml().map_err(Failure::failed)?,
            inputs: inputs.map_err(Failure::failed)?,
        })
    }
}

/// What is written beside the image.
struct Documents {
    record: RecordFile,
    /// With what goes into it, if it is asked for.
    provenance: (RecordFile, Option<Sources>),
}

/// Copies the partitions of an image into files without names.
fn split_up(
    image: &mut Assembled,
    split: &Split,
    mut footprint: Footprint,
) -> Result<SplitFiles, Failure> {
    let files = image.split(split)?;
    for path in files.paths() {
        footprint.writes("the file of a partition", path);
    }
    footprint.check()?;
    Ok(files)
}

/// All that a build reads.
pub(super) fn reads(build: &Build, volumes: &[Volume]) -> Footprint {
    let mut footprint = Footprint::default();
    footprint.reads("the spec", &build.spec);
    for also in build.contents.also() {
        footprint.reads("the spec", also);
    }
    for volume in volumes {
        footprint.reads_spec(&volume.spec);
    }
    let beside = build.spec.parent();
    let lock = beside.unwrap_or(Path::new("")).join(lock::NAME);
    footprint.reads_aside("the lock file", lock);
    super::reads_typed(&mut footprint, &build.run);
    footprint
}

/// Makes one image, without its name.
fn assemble(
    build: &Build,
    spec: &Spec,
    output: &Output,
    targets: &[Vec<Target>],
    runtime: &Runtime,
    described: &Described,
) -> Result<Assembled, Failure> {
    let catalog = super::catalog(&build.run, foreign(spec))?;
    let mut options = options(build, spec)?;
    options
        .outputs
        .extend(super::files(targets.iter().flatten()));
    let footprint = reads(build, &described.project.volumes);
    super::use_caches(&mut options, &build.run, Some(spec), &footprint, false)?;
    let assembled = assemble_image(spec, output, runtime, &catalog, &options);
    options.progress.clear();
    assembled.map_err(|error| described.located(error))
}

/// How a spec is built.
pub(super) fn options(build: &Build, spec: &Spec) -> Result<BuildOptions, Failure> {
    let time = match &spec.disk.time {
        Some(time) => Some(time.value),
        None => arguments::source_date_epoch().map_err(Failure::usage)?,
    };
    let mut options = super::build_options(&build.run, time, spec.disk.time.is_some());
    options.digests |= build.provenance.is_some();
    options.outputs.extend(build.provenance.iter().cloned());
    Ok(options)
}

/// The formatters that a spec brings.
pub(super) fn foreign(spec: &Spec) -> std::collections::BTreeMap<String, Foreign> {
    let guests = spec.guests.iter();
    guests
        .map(|(name, guest)| {
            let foreign = Foreign {
                file: guest.file.value.clone(),
                // A spec makes nobody ask a registry.
                fetch: Fetch::Never,
                sha256: guest.sha256,
                command: guest.command.clone(),
            };
            (name.clone(), foreign)
        })
        .collect()
}

/// An image in the formats of its outputs, and what is said of it.
struct Made {
    packed: Packed,
    record: Record,
    log: Vec<(String, Said)>,
    shown: String,
}

/// Writes an image in the formats of its outputs.
fn pack(
    build: &Build,
    mut image: Assembled,
    spec: &Spec,
    targets: &[Target],
    runtime: &Runtime,
) -> Result<Made, Failure> {
    let options = options(build, spec)?;
    let log = std::mem::take(&mut image.log);
    let table = image.table.as_ref();
    let picture = table.map(|table| draw(table, terminal::columns(), super::color()));
    let packed = image.pack(targets, runtime, &options);
    options.progress.clear();
    let (packed, record) = packed?;
    super::warn_of_codecs(runtime, &record);
    let shown = format!(
        "{}\n{}",
        picture.unwrap_or_default(),
        super::outputs(&record)
    );
    Ok(Made {
        packed,
        record,
        log,
        shown,
    })
}

/// Gives all images their names, once all are complete, their record is written and what is said of them has been said: a
/// full standard output is found before anything is replaced.
fn deliver(
    build: &Build,
    made: Vec<Made>,
    split: Option<SplitFiles>,
    documents: Documents,
) -> Result<(), Failure> {
    let Documents {
        mut record,
        provenance: (mut provenance, sources),
    } = documents;
    let records: Vec<&Record> = made.iter().map(|one| &one.record).collect();
    record.write_each(&records)?;
    if let (Some(sources), [one]) = (sources, &records[..]) {
        for input in &sources.inputs {
            input.check().map_err(Failure::failed)?;
        }
        provenance.write(&statement(sources.spec, &sources.inputs, one))?;
    }
    let is_silent = provenance.is_stdout();
    for image in &made {
        for (name, line) in &image.log {
            print_log(name, line, build.run.verbose);
        }
        if build.run.says() && !super::has_stdout(&image.record) && !is_silent {
            print(&image.shown)?;
        }
    }
    if let Some(files) = split {
        files.publish()?;
    }
    for image in made {
        image.packed.deliver()?;
    }
    record.publish()?;
    provenance.publish()
}
