//! File systems that workers make.
//!
//! ```text
//!     action ──> known? ──> made, chunks ─────────────────────────────────────────> partition
//!                  └──> not known: what is missing goes up ──> executed ──> made, chunks ──> partition
//!                                                                └──> failed: once more, then here
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use cellblock_cache::groups;
use cellblock_cache::reapi::{BlobName, Folder, Job};
use cellblock_image::PartitionFile;
use cellblock_text::human;

use super::described::{ActionFile, Described};
use super::farm::{Executed, Farm};
use super::taken::{MOST_ANSWER, Taken, taken};
use super::workers::Remote;
use super::{CHUNKS, MADE};
use crate::error::PartitionError;
use crate::filesystem::{Formed, Preparation, Prepared, Slot, Worker};
use crate::progress::{Phase, watched};

/// The folder for what comes of an action, below that of its inputs.
const OUT: &str = "out";
/// What the program is called in the folder of an action.
const PROGRAM: &str = "cellblock";
/// How often a worker is asked.
const ATTEMPTS: u32 = 2;
/// The bytes that are moved at a time.
const BATCH: usize = 8 << 20;
/// How much of what a worker wrote to standard error is told, in characters.
const TOLD: usize = 300;

/// Why a worker has not made a partition.
#[derive(Debug)]
enum Fault {
    /// The server cannot be reached, or does not do what it should.
    Server(String),
    /// A worker failed, or made something else.
    Worker { worker: String, why: String },
    /// It is this side that failed.
    Here(PartitionError),
}

impl<E: Into<PartitionError>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Here(error.into())
    }
}

/// A file system on its way to a worker and back.
struct Errand<'a> {
    remote: &'a Remote,
    described: Described,
    action: BlobName,
    /// Folders, command and action.
    messages: BTreeMap<BlobName, Vec<u8>>,
}

impl Preparation<'_> {
    /// Has a worker make a file system, or makes it here.
    pub(crate) fn formed_by(
        &self,
        remote: &Remote,
        prepared: &Prepared,
        place: &Slot,
    ) -> Result<Formed, PartitionError> {
        let taken =
            |errand: &Errand<'_>, executed: &Executed| errand.fetched(self, place, executed);
        let formed = match self.asked(remote, prepared, place, Phase::Writing, &taken)? {
            Some(formed) => formed,
            None => self.formed_here(prepared, place)?,
        };
        let warnings = remote.take_unsaid(prepared.index);
        Ok(Formed { warnings, ..formed })
    }

    /// Has a worker measure a file system, which compresses all of it; none if it is to be measured here.
    pub(crate) fn smallest_by(
        &self,
        remote: &Remote,
        prepared: &Prepared,
        place: &Slot,
    ) -> Result<Option<u64>, PartitionError> {
        let taken = |errand: &Errand<'_>, executed: &Executed| Ok(errand.answer(executed)?.1.size);
        self.asked(remote, prepared, place, Phase::Measuring, &taken)
    }

    /// What is taken from what workers answer; none if they are not asked, or have failed.
    fn asked<T>(
        &self,
        remote: &Remote,
        prepared: &Prepared,
        place: &Slot,
        phase: Phase,
        taken: &dyn Fn(&Errand<'_>, &Executed) -> Result<T, Fault>,
    ) -> Result<Option<T>, PartitionError> {
        if !remote.is_asked(prepared.tree.total_file_bytes()) {
            return Ok(None);
        }
        let progress = &*self.options.progress;
        let name = prepared.name();
        let errand = watched(progress, Phase::Hashing, name, None, |_| {
            Errand::new(remote, prepared, place, self)
        })?;
        if let Some(text) = remote.take_of_program() {
            remote.say(prepared.index, text);
        }
        for attempt in 1..=ATTEMPTS {
            let made = watched(progress, phase, name, None, |_| {
                errand.done(attempt == 1, taken)
            });
            let (who, why) = match made {
                Ok(done) => return Ok(Some(done)),
                Err(Fault::Here(error)) => return Err(error),
                Err(Fault::Server(why)) => {
                    if attempt == ATTEMPTS {
                        remote.give_up();
                    }
                    (format!("the server {}", remote.place), why)
                }
                Err(Fault::Worker { worker, why }) => (format!("the worker {worker}"), why),
            };
            let then = match attempt {
                ATTEMPTS => "it is made here",
                _ => "a worker is asked once more",
            };
            let text = format!("{who} has not made it, and {then}: {why}");
            remote.say(prepared.index, text);
        }
        Ok(None)
    }
}

impl<'a> Errand<'a> {
    fn new(
        remote: &'a Remote,
        prepared: &Prepared,
        place: &Slot,
        preparation: &Preparation<'_>,
    ) -> Result<Self, PartitionError> {
        let jobs = preparation.options.jobs;
        let limits = preparation.runtime.options().limits;
        let described = Described::of(prepared, place, (limits, remote.walls), jobs)?;
        let mut root = Folder::default();
        for file in described.files() {
            root.put(&file.path, blob(&file), false);
        }
        root.put(PROGRAM, remote.program.name(), true);
        let mut messages = Vec::new();
        let root = root.directory(&mut messages);
        let job = Job {
            arguments: &[&format!("./{PROGRAM}"), "action", ".", "-o", OUT],
            output_files: &[&format!("{OUT}/{MADE}")],
            output_folders: &[&format!("{OUT}/{CHUNKS}")],
            platform: &remote.platform,
        };
        let action = job.action(root, &mut messages);
        Ok(Self {
            remote,
            described,
            action,
            messages: messages.into_iter().collect(),
        })
    }

    /// What is taken of what a worker answers, or has answered before if that `may_be_known`.
    fn done<T>(
        &self,
        may_be_known: bool,
        taken: &dyn Fn(&Self, &Executed) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let farm = &*self.remote.farm;
        let mut is_anew = !may_be_known;
        if may_be_known && let Some(known) = farm.known(&self.action).map_err(Fault::Server)? {
            // What it was of may have been removed meanwhile.
            match taken(self, &known) {
                Err(Fault::Worker { .. }) => is_anew = true,
                taken => return taken,
            }
        }
        self.send()?;
        let executed = farm.execute(&self.action, is_anew).map_err(Fault::Server)?;
        taken(self, &executed)
    }

    /// Puts there what is missing.
    fn send(&self) -> Result<(), Fault> {
        let farm = &*self.remote.farm;
        let program = self.remote.program.name();
        let files: Vec<ActionFile<'_>> = self.described.files().collect();
        let mut names: Vec<BlobName> = files.iter().map(blob).collect();
        names.extend(self.messages.keys());
        names.push(program);
        names.sort_unstable();
        names.dedup();
        let missing = farm.missing(&names).map_err(Fault::Server)?;
        let missing: BTreeSet<BlobName> = missing.into_iter().collect();
        let is_missing = |name: &BlobName| missing.contains(name);
        let mut batch = Batch {
            farm,
            blobs: Vec::new(),
            bytes: 0,
        };
        let mut reader = self.described.reader();
        for file in files.iter().filter(|file| is_missing(&blob(file))) {
            batch.put(blob(file), reader.read(file)?)?;
        }
        for (name, bytes) in self.messages.iter().filter(|(name, _)| is_missing(name)) {
            batch.put(*name, bytes.clone())?;
        }
        // Last: by then it is known whether the line is one to compress for.
        if is_missing(&program) {
            let bytes = self
                .remote
                .program
                .read()
                .map_err(PartitionError::Program)?;
            batch.put(program, bytes)?;
        }
        batch.flush()
    }

    /// The worker, and what it says that it has made.
    fn answer(&self, executed: &Executed) -> Result<(String, Taken), Fault> {
        let worker = match &*executed.worker {
            "" => format!("of {}, which has no name", self.remote.place),
            name => name.to_owned(),
        };
        let taken = self.read_answer(executed);
        match taken {
            Ok(taken) => Ok((worker, taken)),
            Err(why) => Err(Fault::Worker { worker, why }),
        }
    }

    fn read_answer(&self, executed: &Executed) -> Result<Taken, String> {
        if executed.exit_code != 0 {
            let stderr = String::from_utf8_lossy(&executed.stderr);
            let said: String = stderr.trim().chars().take(TOLD).collect();
            return Err(format!(
                "it ended with {}, and said: {said}",
                executed.exit_code
            ));
        }
        let path = format!("{OUT}/{MADE}");
        let mut files = executed.files.iter();
        let made = files.find(|(found, _)| *found == path);
        let (_, made) = made.ok_or_else(|| format!("nothing came of it: no {path}"))?;
        if made.size > MOST_ANSWER {
            return Err(format!(
                "{path} has {}, which is too much",
                human(made.size)
            ));
        }
        let answer = self.download(&[*made])?;
        taken(&answer.concat(), &self.described)
    }

    /// The bytes of blobs, which the farm has held to their digests.
    fn download(&self, names: &[BlobName]) -> Result<Vec<Vec<u8>>, String> {
        let blobs = self.remote.farm.download(names)?;
        let lengths = blobs.iter().map(|bytes| bytes.len() as u64);
        if !lengths.eq(names.iter().map(|name| name.size)) {
            return Err("the server has sent other blobs than it was asked for".to_owned());
        }
        Ok(blobs)
    }

    /// What came of an action, in the partition.
    fn fetched(
        &self,
        preparation: &Preparation<'_>,
        place: &Slot,
        executed: &Executed,
    ) -> Result<Formed, Fault> {
        let begun = Instant::now();
        let (worker, taken) = self.answer(executed)?;
        let partition = PartitionFile::within(preparation.scratch, place.base, place.size)?;
        for batch in groups(&taken.chunks, BATCH) {
            let names = batch.iter().map(|chunk| BlobName {
                digest: chunk.digest,
                size: chunk.length.into(),
            });
            let names: Vec<BlobName> = names.collect();
            let blobs = self.download(&names).map_err(|why| Fault::Worker {
                worker: worker.clone(),
                why,
            })?;
            for (chunk, bytes) in batch.iter().zip(&blobs) {
                partition.write(chunk.offset, bytes)?;
            }
        }
        let (wall, codecs) = taken.walls;
        Ok(Formed {
            worker: Some(Worker {
                name: worker,
                wall,
                codecs,
            }),
            ..taken.notes.formed(partition, begun.elapsed())
        })
    }
}

fn blob(file: &ActionFile<'_>) -> BlobName {
    BlobName {
        digest: file.digest,
        size: file.length,
    }
}

/// Blobs that go up together.
struct Batch<'a> {
    farm: &'a dyn Farm,
    blobs: Vec<(BlobName, Vec<u8>)>,
    bytes: usize,
}

impl Batch<'_> {
    fn put(&mut self, name: BlobName, bytes: Vec<u8>) -> Result<(), Fault> {
        self.bytes += bytes.len();
        self.blobs.push((name, bytes));
        if self.bytes >= BATCH {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Fault> {
        let uploaded = self.farm.upload(&self.blobs);
        self.blobs.clear();
        self.bytes = 0;
        uploaded.map_err(Fault::Server)
    }
}
