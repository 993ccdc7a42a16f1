//! `cellblock verify-build`: a provenance in, and whether the same image comes out of it once more.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cellblock_build::footprint::Footprint;
use cellblock_build::provenance::{Statement, Verdict, compare, inputs};
use cellblock_build::text::printable;
use cellblock_build::{Output, assemble_image};

use super::build::foreign;
use super::project::Described;
use super::record::RecordFile;
use super::{Failure, print};
use crate::arguments::VerifyBuild;

/// The longest provenance in bytes.
const MOST_BYTES: u64 = 64 << 20;

pub(super) fn run(verify: &VerifyBuild) -> Result<(), Failure> {
    super::uses_neither(&verify.run, "verify-build")?;
    let path = &verify.statement;
    let statement = read(path)?;
    let described = Described::of_text(path, statement.spec())?;
    let [volume] = &described.project.volumes[..] else {
        let why = "its spec is not that of one image";
        return Err(Failure::usage(format_args!("{}: {why}", path.display())));
    };
    let spec = &volume.spec;
    let mut read = Footprint::default();
    read.reads_spec(spec);
    let mut footprint = read.clone();
    footprint.reads("the provenance", path);
    super::reads_typed(&mut footprint, &verify.run);
    let image = image(verify, &statement);
    if let Some(image) = &image {
        footprint.reads("the image", image);
    }
    let mut record = RecordFile::prepare(&verify.run, &mut footprint, false)?;
    footprint.check()?;
    let image = image.map(|path| {
        let opened = File::open(&path);
        opened.map_err(|error| Failure::usage(format_args!("{}: {error}", path.display())))
    });
    let image = image.transpose()?;

    let time = spec.disk.time.as_ref().map(|time| time.value);
    let mut options = super::build_options(&verify.run, time, true);
    options.digests = true;
    let runtime = super::runtime(&verify.run)?;
    let catalog = super::catalog(&verify.run, foreign(spec))?;
    let inputs = inputs(&read, spec, described.names(), &options);
    // It is never delivered: a file without a name in the folder for temporary ones.
    let built = assemble_image(spec, &Output::Stdout, &runtime, &catalog, &options);
    options.progress.clear();
    super::warn_of_walls(&runtime);
    let (inputs, built) = match (inputs, built) {
        (Ok(inputs), Ok(built)) => (inputs, built),
        (_, Err(error)) => return Err(described.located(error)),
        (Err(error), _) => return Err(Failure::failed(error)),
    };
    let verdict = compare(&statement, &built, &inputs, image.as_ref()).map_err(Failure::failed)?;
    record.write(&verdict)?;
    record.publish()?;
    tell(verify, &verdict)
}

fn tell(verify: &VerifyBuild, verdict: &Verdict) -> Result<(), Failure> {
    let name = printable(&verify.statement.display().to_string()).to_string();
    for difference in &verdict.differences {
        tell!("{difference}");
    }
    if !verdict.equal {
        return Err(Failure::told(format_args!(
            "{name}: another image comes out: sha256 was {}, is {}",
            printable(&verdict.was),
            verdict.is
        )));
    }
    if !verdict.differences.is_empty()
        && verdict
            .differences
            .iter()
            .any(|it| it.disk_offset.is_some())
    {
        return Err(Failure::told(format_args!(
            "{name}: the image that it tells of comes out, and the file of it has other bytes"
        )));
    }
    if verify.run.says() {
        print(&format!("{name}: equal: sha256 {}\n", verdict.is))?;
    }
    Ok(())
}

/// The image that is compared, if one is at hand.
fn image(verify: &VerifyBuild, statement: &Statement) -> Option<PathBuf> {
    if verify.image.is_some() {
        return verify.image.clone();
    }
    // A name, and no path: who wrote the statement has no say in what is opened elsewhere.
    let name = Path::new(&statement.image().name).file_name()?;
    let beside = verify.statement.with_file_name(name);
    beside.is_file().then_some(beside)
}

fn read(path: &Path) -> Result<Statement, Failure> {
    let failed = |error: io::Error| Failure::usage(format_args!("{}: {error}", path.display()));
    let mut text = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > MOST_BYTES {
        let why = "it is longer than 64 MiB, which no provenance is";
        return Err(Failure::usage(format_args!("{}: {why}", path.display())));
    }
    Statement::parse(&text)
        .map_err(|error| Failure::usage(format_args!("{}: {error}", path.display())))
}
