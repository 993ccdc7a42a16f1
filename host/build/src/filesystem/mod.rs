//! From the content of a partition to its file: tree, measurement, cell.

mod content;
mod filled;
mod prepared;
mod verified;

pub(crate) use content::awaited;
pub use filled::TimeSource;
#[cfg(feature = "cache")]
pub(crate) use filled::Worker;
pub(crate) use filled::{Filled, Formed, GuestIdentity, Slot};
pub(crate) use prepared::Prepared;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::BuildOptions;
use crate::catalogue::{Formatter, Formatters};
use crate::error::{Error, PartitionError};
use crate::kernel::KernelError;
use crate::parallel;
use crate::plan::{Facts, FilesystemPlan, TimeRule};
use crate::progress::{Phase, Tally, watched};
use crate::said::{Said, said_by_formatter};
use crate::signing::Signers;
use crate::template::Awaited;
use cellblock_cell::{Cell, Codecs, Outcome, Runtime};
use cellblock_contract::{Log, Loss, Request};
use cellblock_image::{Filling, PartitionFile, Scratch};
use cellblock_table::SectorSize;
use cellblock_tree::Tree;
use cellblock_tree::source::{FileId, Gathered};

use content::ReadContent;
use verified::Verified;

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
    /// That of the build: how much a format takes for a file may depend on it.
    pub(crate) time: TimeRule,
}

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
            let smallest = self.measure(&prepared, wanted)?;
            prepared.cell.is_measured(smallest);
            prepared.smallest = Some(smallest);
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
        let checked = formatter.guest.check(
            &formatter.kind.name,
            &filesystem.label,
            &filesystem.settings(),
        );
        checked.map_err(|error| self.failed(name, error))?;
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
        let spool = self.scratch.create()?;
        Ok(cell.encoding_on(codecs, self.options.jobs, spool))
    }

    /// The formatter of a file system that was planned with it.
    fn formatter(&self, filesystem: &FilesystemPlan) -> &Formatter {
        let ready = self.formatters.get(&filesystem.kind);
        ready.expect("the formatters of all kinds are loaded before anything is planned")
    }

    /// The smallest size of a file system, in bytes.
    fn measure(&self, prepared: &Prepared, wanted: &Measurements<'_>) -> Result<u64, Error> {
        let place = Slot {
            disk_offset: 0,
            base: 0,
            size: 0,
            sector_size: wanted.sector_size,
            time: wanted.time,
        };
        let request = prepared.request(&place);
        let progress = &*self.options.progress;
        watched(progress, Phase::Measuring, &prepared.name, None, |_| {
            self.smallest(prepared, &request, &place)
        })
        .map_err(|error| self.failed(&prepared.name, error))
    }

    /// The error of a partition. What a guest had logged before is said to who wants to know it all.
    pub(crate) fn failed(&self, name: &str, reason: impl Into<PartitionError>) -> Error {
        let reason = reason.into();
        let log = match &reason {
            PartitionError::Cell(error) => error.log().map(|log| ("its formatter", log)),
            PartitionError::Verify(error) => error.log().map(|log| ("its reader", log)),
            _ => None,
        };
        if let Some((who, log)) = log {
            self.say_log(name, who, log);
        }
        partition_error(name, reason)
    }

    /// Says what a guest has logged, to who wants to know it all.
    fn say_log(&self, name: &str, who: &str, log: &Log) {
        let progress = &self.options.progress;
        for line in log.lines() {
            progress.say(&format!("{name}: {who} says: {}", line.text));
        }
        if let Some(cut) = log.cut(who) {
            progress.say(&format!("{name}: {cut}"));
        }
    }

    /// Makes a file system in its cell.
    pub(crate) fn fill(&self, prepared: &Prepared, place: &Slot) -> Result<Filled, Error> {
        self.fill_one(prepared, place)
            .map_err(|reason| self.failed(&prepared.name, reason))
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
        let measured = prepared.cell.measure(request)?;
        // A formatter warns of the same when it makes the file system.
        self.say_log(&prepared.name, "its formatter", &measured.log);
        Ok(measured.size)
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
            let text = match found {
                Some(found) => format!("it was not read back: no reader reads {found}"),
                None => "it was not read back: no reader knows it".to_owned(),
            };
            log.push(Said::Warning(text));
        }
        log.extend(said_by_formatter(&outcome.log));
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
