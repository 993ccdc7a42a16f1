//! From the content of a partition to its file: tree, measurement, cell.

mod filled;
mod prepared;

pub use filled::TimeSource;
#[cfg(feature = "cache")]
pub(crate) use filled::Worker;
pub(crate) use filled::{Filled, Formed, GuestIdentity, Slot};
pub(crate) use prepared::Prepared;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::catalogue::{Formatter, Formatters, is_read};
use crate::configured;
use crate::error::{Error, PartitionError};
use crate::kernel::{self, AssembledKernel, KernelError};
use crate::parallel;
use crate::plan::{Facts, FilesystemPlan, TimeRule};
use crate::progress::{Phase, Tally, watched};
use crate::reading::ReadingError;
use crate::said::Said;
use crate::signing::Signers;
use crate::template::{self, Awaited};
use crate::verify::{self, Verify, VerifyError};
use crate::{BuildOptions, reading};
use cellblock_cell::{Cell, Codecs, Outcome, Runtime};
use cellblock_contract::{Loss, Request};
use cellblock_image::{Filling, PartitionFile, Scratch};
use cellblock_spec::Content;
use cellblock_table::SectorSize;
use cellblock_tree::source::{
    self, Counter, FileId, Gathered, ImageInfo, OpenedSources, ReadOptions, Room, Source, What,
};
use cellblock_tree::{Timestamp, Tree};

/// What all file systems of a build share.
pub(crate) struct Preparation<'a> {
    /// Where disks among the content are read.
    pub(crate) runtime: &'a Runtime,
    pub(crate) formatters: &'a Formatters,
    pub(crate) scratch: &'a Scratch,
    pub(crate) options: &'a BuildOptions,
    /// What templates may name.
    pub(crate) facts: &'a Facts,
    /// Who signs.
    pub(crate) signers: &'a Signers,
    /// What the run writes, as far as it is there already: left out of source directories.
    pub(crate) outputs: BTreeSet<FileId>,
}

/// What file systems are made with.
pub(crate) struct Basis {
    pub(crate) formatters: Formatters,
    /// What templates may name.
    pub(crate) facts: Facts,
    /// Who signs.
    pub(crate) signers: Signers,
}

impl Basis {
    /// For file systems without a spec, and so without templates and signatures.
    pub(crate) fn of(formatters: Formatters) -> Self {
        Self {
            formatters,
            facts: Facts::default(),
            signers: Signers::nobody(),
        }
    }

    /// For a run that writes `output`, if that is a file.
    pub(crate) fn preparation<'a>(
        &'a self,
        runtime: &'a Runtime,
        scratch: &'a Scratch,
        options: &'a BuildOptions,
        output: Option<&Path>,
    ) -> Preparation<'a> {
        Preparation {
            runtime,
            formatters: &self.formatters,
            scratch,
            options,
            facts: &self.facts,
            signers: &self.signers,
            outputs: options.outputs_with(output),
        }
    }
}

/// Which file systems are measured.
pub(crate) struct Measurements<'a> {
    /// The indexes of their partitions.
    pub(crate) partitions: &'a [usize],
    pub(crate) sector_size: SectorSize,
}

/// The content of a file system, read.
struct ReadContent {
    gathered: Gathered,
    kernels: Vec<AssembledKernel>,
    images: Vec<ImageInfo>,
}

/// What the archives of a file system may decompress to, beside twice its partition: headers, and what fills up blocks.
const HEADERS: u64 = 256 << 20;
/// What they may decompress to where nothing is known of the partition's size.
const UNBOUNDED: u64 = 64 << 30;

impl Preparation<'_> {
    /// Reads the trees, shows each to its formatter, and has it measured as soon as it is read if that is wanted: a partition
    /// waits for no other.
    pub(crate) fn prepare(
        &self,
        filesystems: &BTreeMap<usize, FilesystemPlan>,
        names: &[String],
        wanted: &Measurements<'_>,
    ) -> Result<Vec<Prepared>, Error> {
        let jobs = self.options.jobs;
        let filesystems: Vec<(&usize, &FilesystemPlan)> = filesystems.iter().collect();
        parallel::map(jobs, &filesystems, |(index, filesystem)| {
            self.prepare_measured(**index, filesystem, &names[**index], wanted)
        })
    }

    /// Reads one tree, shows it to its formatter, and has it measured if that is wanted.
    pub(crate) fn prepare_measured(
        &self,
        index: usize,
        filesystem: &FilesystemPlan,
        name: &str,
        wanted: &Measurements<'_>,
    ) -> Result<Prepared, Error> {
        let mut prepared = self.prepare_one(index, filesystem, name)?;
        if wanted.partitions.contains(&index) {
            prepared.smallest = Some(self.measure(&prepared, wanted.sector_size)?);
        }
        Ok(prepared)
    }

    fn prepare_one(
        &self,
        index: usize,
        filesystem: &FilesystemPlan,
        name: &str,
    ) -> Result<Prepared, Error> {
        let begun = Instant::now();
        let formatter = self.formatter(filesystem);
        let mut awaited = Awaited::default();
        let codecs = formatter.guest.codecs();
        let content = self
            .read_tree(name, filesystem, formatter, &codecs, &mut awaited)
            .map_err(|error| partition_error(name, error))?;
        let ReadContent {
            gathered: Gathered { tree, warnings },
            kernels,
            images,
        } = content;
        let tree = Arc::new(tree);
        let cell = self
            .cell(formatter, &codecs, &tree)
            .map_err(|error| partition_error(name, error))?;
        Ok(Prepared {
            index,
            name: name.to_owned(),
            cell,
            formatter: formatter.clone(),
            filesystem: filesystem.clone(),
            tree,
            awaited,
            kernels,
            images,
            warnings,
            kept: kept(filesystem, formatter),
            codecs,
            reading: begun.elapsed(),
            smallest: None,
            digests: OnceLock::new(),
        })
    }

    /// The same content, read again now that what its templates wait for is known.
    pub(crate) fn prepared_anew(&self, before: &Prepared) -> Result<Prepared, Error> {
        self.prepare_one(before.index, &before.filesystem, &before.name)
    }

    /// A cell for a tree. What it has compressed is kept beside the image until it is placed.
    fn cell(
        &self,
        formatter: &Formatter,
        codecs: &Arc<Codecs>,
        tree: &Arc<Tree>,
    ) -> Result<Cell, PartitionError> {
        let cell = formatter.guest.cell(tree);
        if !formatter.guest.encodes() {
            return Ok(cell);
        }
        let spool = self.scratch.file().map_err(PartitionError::Spool)?;
        Ok(cell.encoding_on(codecs, self.options.jobs, spool))
    }

    /// The formatter of a file system that was planned with it.
    fn formatter(&self, filesystem: &FilesystemPlan) -> &Formatter {
        let ready = self.formatters.get(&filesystem.kind);
        ready.expect("the formatters of all kinds are loaded before anything is planned")
    }

    fn read_tree(
        &self,
        name: &str,
        filesystem: &FilesystemPlan,
        formatter: &Formatter,
        codecs: &Arc<Codecs>,
        awaited: &mut Awaited,
    ) -> Result<ReadContent, PartitionError> {
        self.say_sources(name, filesystem);
        let found = Counter::default();
        let counter = found.clone();
        let _ongoing = self.options.progress.begin(
            Phase::Reading,
            name,
            None,
            Box::new(move || counter.count()),
        );
        let options = ReadOptions {
            room: self.room(filesystem, formatter),
            time: self.options.time.map(|seconds| Timestamp {
                seconds,
                nanoseconds: 0,
            }),
            leave_out: self.outputs.clone(),
            found,
            decompressors: Arc::clone(codecs) as _,
            contexts: filesystem.contexts.clone(),
        };
        let spool = || self.scratch.file();
        let images = filesystem.contents.iter().filter_map(Content::source);
        let images = source::open_images(images, &spool, &options)?;
        let infos: Vec<ImageInfo> = images.iter().map(|image| image.info().clone()).collect();
        // Of several images the last one, which lies over the others.
        let values = infos.last().map(configured::values).unwrap_or_default();
        let facts = &self.facts.clone().with(&values);
        let mut kernels = Vec::new();
        let sources = filesystem
            .contents
            .iter()
            .map(|content| {
                let source = match content {
                    Content::Source(source) => source.clone(),
                    Content::Template(template) => template::filled(template, facts, awaited)?,
                    Content::Kernel(kernel) => {
                        let (source, told) =
                            kernel::assembled(kernel, facts, awaited, self.signers)?;
                        kernels.push(told);
                        source
                    }
                };
                Ok(Source {
                    drop_attributes: filesystem.drop.contains(&Loss::Attributes),
                    ..source
                })
            })
            .collect::<Result<Vec<_>, PartitionError>>()?;
        let disks = reading::open_disks(self.runtime, sources.iter()).map_err(Box::new)?;
        let opened = OpenedSources { images, disks };
        let gathered = source::read_opened(&sources, opened, &spool, &options)?;
        Ok(ReadContent {
            gathered,
            kernels,
            images: infos,
        })
    }

    /// Says where the content comes from.
    fn say_sources(&self, name: &str, filesystem: &FilesystemPlan) {
        let sources = filesystem.contents.iter().map(|content| match content {
            Content::Kernel(_) => "a unified kernel".to_owned(),
            Content::Template(template) => format!("the template {}", template.file.display()),
            Content::Source(source) => match &source.what {
                What::Directory(path) => format!("the directory {}", path.display()),
                What::Archive(path) => format!("the archive {}", path.display()),
                What::Image(image) => format!("the image {}", image.path.display()),
                What::Composefs(dump) => format!("the dumpfile {}", dump.file.display()),
                What::Disk(disk) => {
                    let partition = disk.partition.iter();
                    let partition: String =
                        partition.map(|it| format!("partition {it} of ")).collect();
                    format!("{partition}the disk {}", disk.path.display())
                }
                What::File(path) => format!("the file {}", path.display()),
                What::Bytes(bytes) => format!("{} bytes of the spec", bytes.len()),
            },
        });
        let sources: Vec<String> = sources.collect();
        if !sources.is_empty() {
            let sources = sources.join(", ");
            self.options
                .progress
                .say(&format!("{name}: its content is {sources}"));
        }
    }

    /// What archives may decompress to: what the user says, or what the partition could make use of. Nobody knows that of a
    /// formatter that may compress in its turn.
    fn room(&self, filesystem: &FilesystemPlan, formatter: &Formatter) -> Room {
        let most = filesystem.most.filter(|_| !formatter.kind.compresses);
        match (self.options.archive_limit, most) {
            (Some(limit), _) => Room::from(limit),
            (None, Some(most)) => Room {
                expanded: most.saturating_mul(2).saturating_add(HEADERS),
                partition: Some(most),
            },
            (None, None) => Room::from(UNBOUNDED),
        }
    }

    /// The smallest size of a file system, in bytes.
    fn measure(&self, prepared: &Prepared, sector_size: SectorSize) -> Result<u64, Error> {
        let place = Slot {
            disk_offset: 0,
            base: 0,
            size: 0,
            sector_size,
            time: TimeRule::NewestFile,
        };
        let request = prepared.request(&place);
        let progress = &*self.options.progress;
        watched(progress, Phase::Measuring, &prepared.name, None, |_| {
            self.smallest(prepared, &request, &place)
        })
        .map_err(|error| partition_error(&prepared.name, error))
    }

    /// Makes a file system in its cell.
    pub(crate) fn fill(&self, prepared: &Prepared, place: &Slot) -> Result<Filled, Error> {
        self.fill_one(prepared, place)
            .map_err(|reason| partition_error(&prepared.name, reason))
    }

    fn fill_one(&self, prepared: &Prepared, place: &Slot) -> Result<Filled, PartitionError> {
        #[cfg(feature = "cache")]
        let formed = match &self.options.cache {
            Some(cache) => self.formed_through(cache, prepared, place)?,
            None => self.formed(prepared, place)?,
        };
        #[cfg(not(feature = "cache"))]
        let formed = self.formed(prepared, place)?;
        let verified = self.verified(prepared, &formed.partition)?;
        self.finished(prepared, place, formed, verified)
    }

    /// Reads a file system back, if that is wanted: the reader's name.
    fn verified(
        &self,
        prepared: &Prepared,
        partition: &PartitionFile,
    ) -> Result<Verified, PartitionError> {
        let is_asked = match self.options.verify {
            Verify::Never => return Ok(Verified::Not),
            Verify::Foreign if !prepared.formatter.is_foreign => return Ok(Verified::Not),
            Verify::Foreign => false,
            Verify::Always => true,
        };
        let kind = prepared.kind();
        let read = watched(
            &*self.options.progress,
            Phase::Verifying,
            &prepared.name,
            None,
            |_| {
                let lost = prepared.lost();
                verify::read_back(
                    self.runtime,
                    &prepared.name,
                    partition,
                    (&prepared.tree, lost),
                    self.options.jobs,
                )
            },
        );
        match read {
            Ok(reader) => Ok(Verified::By(reader)),
            // Only what has the name of a file system that is read has to be one.
            Err(VerifyError::Reading(ReadingError::NoReader { found, .. })) if !is_read(kind) => {
                Ok(if is_asked {
                    Verified::Unread(found)
                } else {
                    Verified::Not
                })
            }
            Err(error) => Err(Box::new(error).into()),
        }
    }

    /// The smallest size in bytes.
    fn smallest(
        &self,
        prepared: &Prepared,
        request: &Request,
        place: &Slot,
    ) -> Result<u64, PartitionError> {
        #[cfg(feature = "cache")]
        if let Some(cache) = &self.options.cache
            && prepared.is_measured_by_content()
        {
            return self.smallest_through(cache, prepared, request, place);
        }
        self.measured(prepared, request, place)
    }

    /// The smallest size in bytes, as a worker finds it if that is wanted and takes as long as making, and else the formatter here.
    pub(crate) fn measured(
        &self,
        prepared: &Prepared,
        request: &Request,
        _place: &Slot,
    ) -> Result<u64, PartitionError> {
        #[cfg(feature = "cache")]
        if let Some(remote) = &self.options.remote
            && prepared.is_measured_by_content()
            && let Some(size) = self.smallest_by(remote, prepared, _place)?
        {
            return Ok(size);
        }
        prepared.measured(request)
    }

    /// Has a worker make a file system, if that is wanted, and else the formatter here.
    pub(crate) fn formed(
        &self,
        prepared: &Prepared,
        place: &Slot,
    ) -> Result<Formed, PartitionError> {
        #[cfg(feature = "cache")]
        if let Some(remote) = &self.options.remote {
            return self.formed_by(remote, prepared, place);
        }
        self.formed_here(prepared, place)
    }

    /// Has the formatter make a file system.
    pub(crate) fn formed_here(
        &self,
        prepared: &Prepared,
        place: &Slot,
    ) -> Result<Formed, PartitionError> {
        let begun = Instant::now();
        let tree = &prepared.tree;
        let content_bytes = tree.total_file_bytes();
        let progress = &self.options.progress;
        let tally = Tally::default();
        let ongoing = progress.begin(
            Phase::Writing,
            &prepared.name,
            Some(content_bytes),
            tally.done(),
        );
        let partition = PartitionFile::within(self.scratch, place.base, place.size)?;
        let request = prepared.request(place);
        let advance = move |bytes| tally.add(bytes);
        let (partition, outcome) = format(
            &prepared.cell,
            &request,
            tree,
            partition,
            self.options.jobs,
            advance,
        )?;
        drop(ongoing);
        Ok(Formed {
            partition,
            outcome,
            encoded: prepared.cell.encoded(),
            formatting: begun.elapsed(),
            cache: None,
            worker: None,
            warnings: Vec::new(),
        })
    }

    /// What is told of a file system that is there.
    fn finished(
        &self,
        prepared: &Prepared,
        place: &Slot,
        formed: Formed,
        verified: Verified,
    ) -> Result<Filled, PartitionError> {
        let Formed {
            partition,
            outcome,
            encoded,
            formatting,
            cache,
            worker,
            warnings,
        } = formed;
        let (tree, guest) = (&prepared.tree, prepared.cell.guest());
        let (worker, (wall, codecs)) = match worker {
            Some(it) => (Some(it.name), (it.wall, it.codecs)),
            None => (None, (guest.wall().clone(), prepared.codecs.wall())),
        };
        let digests = self
            .options
            .digests
            .then(|| {
                watched(
                    &*self.options.progress,
                    Phase::Hashing,
                    &prepared.name,
                    None,
                    |_| prepared.digests(place, &partition),
                )
            })
            .transpose()?;
        let mut log = prepared.warnings(place.time);
        log.extend(warnings.into_iter().map(Said::Warning));
        if let Verified::Unread(found) = &verified {
            let text = format!("it was not read back: no reader reads {found}");
            log.push(Said::Warning(text));
        }
        log.extend(outcome.log.into_iter().map(Said::Formatter));
        Ok(Filled {
            partition: Some(partition),
            kind: prepared.filesystem.kind.clone(),
            label: prepared.filesystem.label.clone(),
            uuid: prepared.filesystem.identifier.clone(),
            summary: outcome.summary,
            log,
            time: (
                prepared.time(place).seconds,
                TimeSource::of(place.time, tree, self.options),
            ),
            guest: GuestIdentity {
                name: guest.name().to_owned(),
                digest: guest.digest(),
                imports: guest.imports().to_vec(),
                wall,
                codecs,
                arguments: outcome.arguments,
            },
            digests,
            nodes: tree.len(),
            content_bytes: tree.total_file_bytes(),
            encoded,
            reading: prepared.reading,
            formatting,
            kernels: prepared.kernels.clone(),
            images: prepared.images.clone(),
            cache,
            worker,
            verified_by: match verified {
                Verified::By(reader) => Some(reader),
                Verified::Not | Verified::Unread(_) => None,
            },
        })
    }
}

/// Has a cell format a partition, whose content `jobs` threads copy.
pub(crate) fn format(
    cell: &Cell,
    request: &Request,
    tree: &Arc<Tree>,
    partition: PartitionFile,
    jobs: usize,
    advance: impl Fn(u64) + Send + Sync + 'static,
) -> Result<(PartitionFile, Outcome), PartitionError> {
    let filling = Arc::new(Filling::new(partition, Arc::clone(tree), jobs, advance));
    let outcome = cell.format(request, Arc::clone(&filling) as _);
    // What failed on the host's side is the better reason than the guest's, which only knows that something did.
    let partition = match (filling.finish(), &outcome) {
        (Err(failure), Ok(_)) => return Err(failure.into()),
        (Err(failure), Err(error)) if error.is_of_guest() => return Err(failure.into()),
        (result, _) => result,
    };
    let outcome = outcome?;
    Ok((partition?, outcome))
}

/// What came of reading a file system back.
enum Verified {
    /// Nobody asked for it.
    Not,
    /// It is what went in, as this reader tells it.
    By(String),
    /// No reader reads what it is.
    Unread(String),
}

/// Of what a file system may lose, what its format stores. Of attributes it may still lose those that do not fit, or that no
/// kernel takes.
fn kept(filesystem: &FilesystemPlan, formatter: &Formatter) -> Vec<Loss> {
    let Some(lacks) = formatter.lacks else {
        return Vec::new();
    };
    let asked = filesystem.drop.iter().copied();
    asked
        .filter(|loss| *loss != Loss::Attributes && !lacks.contains(*loss))
        .collect()
}

/// The derived values that the templates of a file system name, known before its content is read.
pub(crate) fn awaited(filesystem: &FilesystemPlan, facts: &Facts) -> Awaited {
    let mut awaited = Awaited::default();
    for content in &filesystem.contents {
        match content {
            Content::Source(_) => {}
            Content::Template(template) => template::scan(&template.file, facts, &mut awaited),
            Content::Kernel(kernel) => kernel::scan(&kernel.parts, facts, &mut awaited),
        }
    }
    awaited
}

pub(crate) fn partition_error(name: &str, reason: impl Into<PartitionError>) -> Error {
    match reason.into() {
        // It names the line of the spec.
        PartitionError::Kernel(KernelError::Spec(error)) => error.into(),
        reason => Error::Partition {
            name: name.to_owned(),
            reason: Box::new(reason),
        },
    }
}
