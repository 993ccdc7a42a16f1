//! `cellblock build`: a spec in, an image out.

use std::fs;
use std::path::PathBuf;

use cellblock_build::catalogue::Foreign;
use cellblock_build::cell::Runtime;
use cellblock_build::footprint::Footprint;
use cellblock_build::provenance::{Input, inputs, statement};
use cellblock_build::spec::project::Volume;
use cellblock_build::spec::{Place, Placed, Spec};
use cellblock_build::text::human;
use cellblock_build::{
    Assembled, BuildOptions, Output, Record, Split, SplitFiles, assemble_image, check_folder,
};

use super::project::Described;
use super::record::RecordFile;
use super::{Failure, print, print_log};
use crate::arguments::{self, Build, one_image};
use crate::report::{draw, terminal};

pub(super) fn run(build: &Build) -> Result<(), Failure> {
    let described = Described::read(&build.spec, &build.contents)?;
    described.print_notes();
    let volumes = &described.project.volumes;
    let outputs = build.outputs(volumes).map_err(Failure::usage)?;
    let mut footprint = reads(build, volumes);
    for output in &outputs {
        footprint.writes_output("the image", output);
    }
    let to_stdout = outputs.contains(&Output::Stdout);
    let record = RecordFile::prepare(&build.run, &mut footprint, to_stdout)?;
    let is_taken = to_stdout || record.is_stdout();
    let to = build.provenance.as_deref();
    let provenance = RecordFile::at("the provenance", to, &mut footprint, is_taken)?;
    if to.is_some() {
        one_image("--provenance", volumes).map_err(Failure::usage)?;
    }
    let split = build.split(volumes).map_err(Failure::usage)?;
    if let Some(split) = &split {
        footprint.fills("the folder of --split", &split.folder);
    }
    footprint.check().map_err(Failure::usage)?;
    if let Some(split) = &split {
        fs::create_dir_all(&split.folder).map_err(|error| {
            Failure::failed(format_args!("{}: {error}", split.folder.display()))
        })?;
        check_folder(&split.folder)?;
    }
    if let Some(folder) = build.folder(volumes) {
        fs::create_dir_all(folder)
            .map_err(|error| Failure::failed(format_args!("{}: {error}", folder.display())))?;
    }
    let sources = match (to, &volumes[..]) {
        (Some(_), [volume]) => Some(Sources::read(build, &described, &volume.spec, &footprint)?),
        _ => None,
    };
    let runtime = super::runtime(&build.run)?;
    let assembled: Result<Vec<Assembled>, Failure> = volumes
        .iter()
        .zip(&outputs)
        .map(|(volume, output)| {
            assemble(build, &volume.spec, output, &outputs, &runtime, &described)
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
    deliver(build, assembled, files, documents)
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
    footprint.check().map_err(Failure::usage)?;
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
    super::reads_guests(&mut footprint, &build.run);
    footprint
}

/// Makes one image, without its name.
fn assemble(
    build: &Build,
    spec: &Spec,
    output: &Output,
    outputs: &[Output],
    runtime: &Runtime,
    described: &Described,
) -> Result<Assembled, Failure> {
    let catalog = super::catalog(&build.run, foreign(spec))?;
    let mut options = options(build, spec)?;
    let files = outputs.iter().filter_map(Output::file);
    options.outputs.extend(files.map(PathBuf::from));
    let footprint = reads(build, &described.project.volumes);
    super::use_caches(&mut options, &build.run, &footprint, false)?;
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
                sha256: guest.sha256,
                command: guest.command.clone(),
            };
            (name.clone(), foreign)
        })
        .collect()
}

/// Gives all images their names, once all are complete and their record is written.
fn deliver(
    build: &Build,
    assembled: Vec<Assembled>,
    split: Option<SplitFiles>,
    documents: Documents,
) -> Result<(), Failure> {
    let Documents {
        mut record,
        provenance: (mut provenance, sources),
    } = documents;
    let records: Vec<Record> = assembled.iter().map(|one| one.record.clone()).collect();
    match &records[..] {
        [one] => record.write(one)?,
        several => record.write(&several)?,
    }
    if let (Some(sources), [one]) = (sources, &records[..]) {
        provenance.write(&statement(sources.spec, &sources.inputs, one))?;
    }
    if let Some(files) = split {
        files.publish()?;
    }
    let is_silent = provenance.is_stdout();
    for image in assembled {
        for (name, line) in &image.log {
            print_log(name, line, build.run.verbose);
        }
        let shown = shown(&image);
        let says = build.run.says() && image.record.image != "-" && !is_silent;
        image.deliver()?;
        if says {
            print(&shown)?;
        }
    }
    record.publish()?;
    provenance.publish()
}

fn shown(image: &Assembled) -> String {
    let table = image.table.as_ref();
    let picture = table.map(|table| draw(table, terminal::columns(), super::color()));
    format!(
        "{}\n{}: {} in {:.2} s\n",
        picture.unwrap_or_default(),
        image.record.image,
        human(image.record.size),
        image.record.timings.total.unwrap_or_default(),
    )
}
