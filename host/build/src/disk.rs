//! The main job: a spec in, a whole image out. And one file system alone.
//!
//! ```text
//!     guests ──> what their file systems are ──> draft ──> [ graph: trees, in cells ──> measure ──> plan ──> format ] ──> splice
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use cellblock_cell::Runtime;
use cellblock_image::{Copying, Durability, Image, ImageError, PartitionFile, Scratch};
use cellblock_spec::Spec;
use cellblock_table::Table;

use crate::BuildOptions;
use crate::catalogue::Catalog;
use crate::error::Error;
use crate::filesystem::{self, Basis, Filled, Measurements, Prepared, Slot};
use crate::graph::{Graph, Grown, Laid};
use crate::key::{FillInputs, FillKey, RawInputs};
use crate::making::{self, Made, MadeContent, Needs};
use crate::output::Output;
use crate::plan::{self, Draft, Fill, MkfsRequest, Plan, PlannedPartition, RawContent, RawPiece};
use crate::progress::{Phase, Progress, watched};
use crate::record::Record;
use crate::said::Said;
use crate::signing::Signers;
use crate::staging::{self, GrubImages};
use crate::steps;
use crate::template::Awaited;

/// An image that is complete, and has no name yet: it vanishes unless it is [delivered](Assembled::deliver).
#[derive(Debug)]
pub struct Assembled {
    pub(crate) image: Image,
    output: Output,
    pub(crate) durability: Durability,
    /// The most threads that copy.
    pub(crate) jobs: usize,
    pub(crate) progress: Arc<dyn Progress>,
    /// Its partition table; a file system alone has none.
    pub table: Option<Table>,
    /// What was done.
    pub record: Record,
    /// What is said of the file systems, by partition.
    pub log: Vec<(String, Said)>,
}

impl Assembled {
    /// Gives the image its name, at once and complete, or hands it to standard output.
    ///
    /// # Errors
    /// [`Error`]; what had the name before is as it was.
    pub fn deliver(self) -> Result<(), Error> {
        let Self {
            image,
            output,
            durability,
            progress,
            ..
        } = self;
        deliver(&output, image, durability, &*progress)
    }
}

/// Hands what is complete to its output.
pub(crate) fn deliver(
    output: &Output,
    image: Image,
    durability: Durability,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let name = output.to_string();
    let delivered = if durability == Durability::Flushed {
        watched(progress, Phase::Flushing, &name, None, |_| {
            output.deliver(image, durability)
        })
    } else {
        output.deliver(image, durability)
    };
    progress.clear();
    Ok(delivered?)
}

/// Builds what `spec` says and gives it the name `path`.
///
/// # Errors
/// [`Error`]; nothing is left behind, and what had the name before is as it was.
pub fn build_image(
    spec: &Spec,
    path: &Path,
    runtime: &Runtime,
    catalog: &Catalog,
    options: &BuildOptions,
) -> Result<Record, Error> {
    let output = Output::File(path.to_owned());
    let assembled = assemble_image(spec, &output, runtime, catalog, options)?;
    let record = assembled.record.clone();
    assembled.deliver()?;
    Ok(record)
}

/// Builds what `spec` says, in a file without a name on the disk of `output`.
///
/// # Errors
/// [`Error`]; nothing is left behind.
pub fn assemble_image(
    spec: &Spec,
    output: &Output,
    runtime: &Runtime,
    catalog: &Catalog,
    options: &BuildOptions,
) -> Result<Assembled, Error> {
    let begun = Instant::now();
    let scratch = output.scratch()?;
    let signers = Signers::read(spec)?;
    let Foundation {
        basis,
        names,
        grub,
        draft,
        awaited,
        needs,
        mut log,
    } = Foundation::new(spec, signers, runtime, catalog, options)?;
    let preparation = basis.preparation(runtime, &scratch, options, output.file());
    let graph = Graph {
        preparation: &preparation,
        names: &names,
        awaited: &awaited,
        needs: &needs,
    };
    let Grown {
        mut plan,
        places,
        mut made,
    } = graph.grow(draft)?;
    log.extend(log_of_plan(&plan));
    let splicing = Instant::now();
    making::identify(&mut plan, &made);
    let table = plan.table()?;
    let regions = table.encode()?;
    let image = match host_partition(&mut made, &places) {
        Some(partition) => Image::around(&scratch, partition, plan.size)?,
        None => Image::new(&scratch, plan.size)?,
    };
    for region in &regions {
        image.write(region.offset, &region.bytes)?;
    }
    let progress = &*options.progress;
    for (index, partition) in plan.partitions.iter().enumerate() {
        let (name, size) = (&*partition.name, Some(partition.size));
        watched(progress, Phase::Copying, name, size, |watch| {
            let how = Copying {
                threads: options.jobs,
                watch,
            };
            splice(&image, partition, &made[index], how)
        })
        .map_err(|reason| Error::Partition {
            name: name.to_owned(),
            reason: Box::new(reason.into()),
        })?;
    }
    let unwatched = Copying {
        threads: options.jobs,
        watch: &|_| {},
    };
    write_raw(&image, &plan.raw, 0, unwatched)?;
    if let (Some(images), Some(grub)) = (&grub, plan.grub) {
        write_raw(&image, &images.pieces(grub), 0, unwatched)?;
    }
    let splicing = splicing.elapsed();

    log.extend(collect_log(&mut made, &names));
    let digest = digest(&image, options)?;
    let seed = plan.seed;
    let told = partition_digests(&plan, &made, &image, options)?;
    let record = Record::of_image(output, &plan, made, &told, splicing, begun.elapsed());
    Ok(Assembled {
        image,
        output: output.clone(),
        durability: options.durability,
        jobs: options.jobs,
        progress: Arc::clone(&options.progress),
        table: Some(table),
        record: record.with(seed, digest),
        log,
    })
}

/// All that is known before content is read.
struct Foundation<'s> {
    basis: Basis,
    names: Vec<String>,
    grub: Option<GrubImages>,
    draft: Draft<'s>,
    /// The derived values that each file system waits for.
    awaited: BTreeMap<usize, Awaited>,
    needs: Needs,
    /// What the user should know before anything is made.
    log: Vec<(String, Said)>,
}

impl<'s> Foundation<'s> {
    fn new(
        spec: &'s Spec,
        signers: Signers,
        runtime: &Runtime,
        catalog: &Catalog,
        options: &BuildOptions,
    ) -> Result<Self, Error> {
        let log = signers.warnings(spec, SystemTime::now());
        spec.check_filesystems(&catalog.kinds())?;
        spec.check_commands(|kind| catalog.command_line(kind))?;
        let grub = GrubImages::read(spec)?;
        let formatters = catalog.load(runtime, &kinds_of(spec), options.jobs)?;
        formatters.say(&*options.progress);
        formatters.check_labels(spec)?;
        let kinds = formatters.kinds();
        let draft = staging::draft(spec, &kinds, &signers)?;
        let (facts, names) = (draft.facts(), draft.names());
        let filesystems = draft.filesystems().iter();
        let awaited = filesystems
            .map(|(index, filesystem)| (*index, filesystem::awaited(filesystem, &facts)))
            .collect();
        let needs = Needs::of(&draft, &awaited);
        if let Some(circle) = steps::circle(&needs.partitions) {
            return Err(draft.circle(&circle).into());
        }
        Ok(Self {
            basis: Basis {
                formatters,
                facts,
                signers,
            },
            names,
            grub,
            draft,
            awaited,
            needs,
            log,
        })
    }
}

/// All that is known before a byte of a file system is written: the content in its cells, and the plan.
pub(crate) struct Groundwork {
    pub(crate) basis: Basis,
    pub(crate) prepared: Vec<Prepared>,
    pub(crate) plan: Plan,
    /// Where each file system goes.
    pub(crate) places: BTreeMap<usize, Slot>,
    pub(crate) needs: Needs,
    /// What the user should know before anything is made.
    pub(crate) log: Vec<(String, Said)>,
}

impl Groundwork {
    /// Reads what `spec` names, has it measured, and decides everything.
    pub(crate) fn new(
        spec: &Spec,
        signers: Signers,
        output: &Output,
        scratch: &Scratch,
        runtime: &Runtime,
        catalog: &Catalog,
        options: &BuildOptions,
    ) -> Result<Self, Error> {
        let Foundation {
            basis,
            names,
            draft,
            needs,
            mut log,
            ..
        } = Foundation::new(spec, signers, runtime, catalog, options)?;
        let preparation = basis.preparation(runtime, scratch, options, output.file());
        let measured = Measurements {
            partitions: &draft.measurements_wanted(),
            sector_size: draft.sector_size(),
            time: draft.time(options.time),
        };
        let prepared = preparation.prepare(draft.filesystems(), &names, &measured)?;
        let sizes = prepared
            .iter()
            .filter_map(|it| Some((it.index, it.smallest?)));
        let Laid { plan, places } = Laid::out(draft, sizes.collect(), options)?;
        log.extend(log_of_plan(&plan));
        Ok(Self {
            basis,
            prepared,
            plan,
            places,
            needs,
            log,
        })
    }
}

/// Makes one file system, in a file without a name on the disk of `output`.
///
/// # Errors
/// [`Error`]; nothing is left behind.
pub fn assemble_filesystem(
    request: MkfsRequest,
    output: &Output,
    runtime: &Runtime,
    catalog: &Catalog,
    options: &BuildOptions,
) -> Result<Assembled, Error> {
    let begun = Instant::now();
    let scratch = output.scratch()?;
    let kind = request.filesystem.kind.clone();
    let formatters = catalog.load(runtime, &[&*kind].into(), options.jobs)?;
    formatters.say(&*options.progress);
    formatters.check_labels_of(&request.filesystem)?;
    let plan = plan::mkfs_plan(request, &formatters.kinds())?;
    let basis = Basis::of(formatters);
    let preparation = basis.preparation(runtime, &scratch, options, output.file());
    let name = plan.filesystem.kind.clone();
    let names = vec![name.clone()];
    let filesystems = BTreeMap::from([(0, plan.filesystem.clone())]);
    let sector_size = plan.sector_size;
    let measured = Measurements {
        partitions: if plan.wants_measurement() { &[0] } else { &[] },
        sector_size,
        time: plan.time,
    };
    let prepared = preparation
        .prepare(&filesystems, &names, &measured)
        .map_err(unnamed)?;
    let smallest = prepared.first().and_then(|prepared| prepared.smallest);
    let size = plan.size(smallest.unwrap_or_default())?;
    let place = Slot {
        disk_offset: 0,
        base: 0,
        size,
        sector_size,
        time: plan.time,
    };
    let [prepared] = &prepared[..] else {
        unreachable!("one file system was asked for")
    };
    let mut filled = preparation.fill(prepared, &place).map_err(unnamed)?;
    let partition = filled.partition.take();
    let partition = partition.expect("a file system is made in a file of its own");
    let image = Image::around(&scratch, partition, size)?;
    let log = log_of(&mut filled, &name);
    let digest = digest(&image, options)?;
    let record = Record::of_filesystem(output, &name, size, filled, begun.elapsed());
    Ok(Assembled {
        image,
        output: output.clone(),
        durability: options.durability,
        jobs: options.jobs,
        progress: Arc::clone(&options.progress),
        table: None,
        record: record.with(plan.seed, digest),
        log,
    })
}

/// The kinds of file system that a spec asks for.
fn kinds_of(spec: &Spec) -> BTreeSet<&str> {
    let filesystems = spec
        .partitions
        .iter()
        .filter_map(|it| it.filesystem.as_ref());
    filesystems.map(|it| it.kind.value.as_str()).collect()
}

/// Without a disk there is no partition to name.
fn unnamed(error: Error) -> Error {
    match error {
        Error::Partition { reason, .. } => Error::Filesystem(reason),
        other => other,
    }
}

/// The partition that was filled where it belongs: its file becomes the image.
fn host_partition(made: &mut [Made], places: &BTreeMap<usize, Slot>) -> Option<PartitionFile> {
    let (index, _) = places.iter().find(|(_, place)| place.base > 0)?;
    match &mut made[*index].content {
        MadeContent::Filesystem(filled) => filled.partition.take(),
        _ => None,
    }
}

fn splice(
    image: &Image,
    planned: &PlannedPartition,
    made: &Made,
    how: Copying<'_>,
) -> Result<(), ImageError> {
    if let (MadeContent::Nothing, Fill::Raw(pieces)) = (&made.content, &planned.fill) {
        return write_raw(image, pieces, planned.start, how);
    }
    made.files(planned)
        .into_iter()
        .try_for_each(|(offset, file)| image.splice(file, planned.start + offset, how))
}

/// The SHA-256 digest of the image, if it is asked for.
fn digest(image: &Image, options: &BuildOptions) -> Result<Option<[u8; 32]>, ImageError> {
    if !options.digests {
        return Ok(None);
    }
    let size = Some(image.size());
    watched(
        &*options.progress,
        Phase::Hashing,
        "the image",
        size,
        |watch| image.digest(watch).map(Some),
    )
}

/// What is told of a partition's bytes.
pub(crate) struct PartitionDigests {
    /// The key of its fill.
    pub(crate) key: FillKey,
    /// The SHA-256 digest of its bytes.
    pub(crate) sha256: [u8; 32],
}

/// What is told of each partition's bytes, by index, if digests are asked for.
fn partition_digests(
    plan: &Plan,
    made: &[Made],
    image: &Image,
    options: &BuildOptions,
) -> Result<Vec<PartitionDigests>, ImageError> {
    if !options.digests {
        return Ok(Vec::new());
    }
    (0..plan.partitions.len())
        .map(|index| {
            let partition = &plan.partitions[index];
            let known = match &made[index].content {
                MadeContent::Filesystem(filled) if partition.behind.is_none() => {
                    filled.digests.as_ref()
                }
                _ => None,
            };
            let range = partition.start..partition.start + partition.size;
            Ok(PartitionDigests {
                key: fill_key(plan, made, image, index)?,
                sha256: match known {
                    Some(digests) => digests.partition,
                    None => image.digest_of(range, &|_| {})?,
                },
            })
        })
        .collect()
}

fn fill_key(
    plan: &Plan,
    made: &[Made],
    image: &Image,
    index: usize,
) -> Result<FillKey, ImageError> {
    let of = data_key(plan, made, image, index)?;
    let partition = &plan.partitions[index];
    Ok(partition.behind.as_ref().map_or(of, |behind| {
        FillKey::of(&FillInputs::Behind {
            verity: &behind.verity,
            of,
            data_size: partition.data_size(),
            size: partition.size,
        })
    }))
}

/// The key of what goes into a partition, without a hash tree behind it.
fn data_key(
    plan: &Plan,
    made: &[Made],
    image: &Image,
    index: usize,
) -> Result<FillKey, ImageError> {
    let partition = &plan.partitions[index];
    let size = partition.data_size();
    let pieces = match (&partition.fill, &made[index].content) {
        (Fill::Verity(tree), _) => {
            return Ok(FillKey::of(&FillInputs::Verity {
                verity: &tree.verity,
                of: fill_key(plan, made, image, tree.of)?,
                data_size: plan.partitions[tree.of].size,
                size,
            }));
        }
        (Fill::Filesystem(_), MadeContent::Filesystem(filled)) => {
            let digests = filled.digests.as_ref();
            return Ok(digests.expect("digests are asked for").key);
        }
        (Fill::Filesystem(_), _) => unreachable!("a file system is made where one is planned"),
        (Fill::Raw(pieces), _) => pieces.iter().map(|it| (it.offset, it.length)).collect(),
        // What signs it is no input: the signature is one, as it is.
        (Fill::Signature(signature), _) => vec![(0, signature.length)],
        (Fill::Empty, _) => Vec::new(),
    };
    let pieces = pieces.into_iter().map(|(offset, length)| {
        let begin = partition.start + offset;
        Ok(RawInputs {
            offset,
            length,
            digest: image.digest_of(begin..begin + length, &|_| {})?,
        })
    });
    let pieces = pieces.collect::<Result<Vec<_>, ImageError>>()?;
    let pieces = &pieces;
    Ok(FillKey::of(&FillInputs::Raw { size, pieces }))
}

/// Writes pieces whose offsets count from `base`.
fn write_raw(
    image: &Image,
    pieces: &[RawPiece],
    base: u64,
    how: Copying<'_>,
) -> Result<(), ImageError> {
    pieces.iter().try_for_each(|piece| {
        let offset = base + piece.offset;
        match &piece.content {
            RawContent::File(file) => image.splice_file(file, offset, piece.length, how),
            RawContent::Bytes(bytes) => image.write(offset, bytes),
        }
    })
}

fn collect_log(made: &mut [Made], names: &[String]) -> Vec<(String, Said)> {
    made.iter_mut()
        .zip(names)
        .flat_map(|(made, name)| match &mut made.content {
            MadeContent::Filesystem(filled) => log_of(filled, name),
            _ => Vec::new(),
        })
        .collect()
}

fn log_of_plan(plan: &Plan) -> Option<(String, Said)> {
    let text = plan.warning()?;
    Some(("disk".to_owned(), Said::Warning(text)))
}

fn log_of(filled: &mut Filled, name: &str) -> Vec<(String, Said)> {
    let lines = std::mem::take(&mut filled.log);
    lines
        .into_iter()
        .map(|line| (name.to_owned(), line))
        .collect()
}
