//! What goes into the partitions of a plan, each made when what it needs is there.
//!
//! A file system whose templates name a derived value waits for the partition that tells it, and its content is then read once
//! more; a hash tree waits for its data.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cellblock_image::{ImageError, PartitionFile, Scratch, Verity};
use cellblock_sign::root_hash_document;
use cellblock_text::hexadecimal;

use crate::error::Error;
use crate::filesystem::{Filled, Preparation, Prepared, Slot, partition_error};
use crate::plan::{Draft, Fill, Plan, PlannedPartition, RawContent, RawPiece, SignaturePlan};
use crate::plan::{digest_of, hash_offset_of, root_hash_of, uuid_of};
use crate::progress::{Phase, Tally};
use crate::steps;
use crate::template::Awaited;

/// What was made for a partition.
pub(crate) struct Made {
    pub(crate) content: MadeContent,
    /// The hash tree behind that, if there is one.
    pub(crate) behind: Option<Box<MadeTree>>,
    /// What it tells: derived values by name.
    derived: Vec<(String, String)>,
}

/// What was made for a partition, by its kind.
pub(crate) enum MadeContent {
    /// A file system.
    Filesystem(Box<Filled>),
    /// A hash tree.
    Tree(Box<MadeTree>),
    /// The signature of a root hash.
    Signature(Box<MadeSignature>),
    /// What is written as it is, in a file of its own since somebody has to read it. It may be zeros alone.
    Plain(PartitionFile),
    /// Nothing yet: it is written straight into the image, or stays empty.
    Nothing,
}

/// A hash tree that has been made.
pub(crate) struct MadeTree {
    pub(crate) partition: PartitionFile,
    pub(crate) root_hash: Vec<u8>,
    pub(crate) hashing: Duration,
}

/// The signature of a root hash that has been made.
pub(crate) struct MadeSignature {
    pub(crate) partition: PartitionFile,
    /// The root hash, in hexadecimal.
    pub(crate) root_hash: String,
    /// The SHA-256 digest of the certificate.
    pub(crate) fingerprint: [u8; 32],
    /// Whether it is there, and no zeros stand in its place.
    pub(crate) is_signed: bool,
}

impl Made {
    /// The partition's file; none where it is not there, or has become the image.
    pub(crate) fn partition(&self) -> Option<&PartitionFile> {
        match &self.content {
            MadeContent::Filesystem(filled) => filled.partition.as_ref(),
            MadeContent::Tree(tree) => Some(&tree.partition),
            MadeContent::Signature(signature) => Some(&signature.partition),
            MadeContent::Plain(partition) => Some(partition),
            MadeContent::Nothing => None,
        }
    }

    /// The partition's files, ascending, each with its offset in the partition.
    pub(crate) fn files(&self, planned: &PlannedPartition) -> Vec<(u64, &PartitionFile)> {
        let data = self.partition().map(|data| (0, data));
        let place = planned.behind.as_ref().map(|behind| &behind.place);
        let tree = self.behind.as_ref().zip(place);
        let tree = tree.map(|(tree, place)| (place.hash_offset, &tree.partition));
        data.into_iter().chain(tree).collect()
    }

    /// The hash tree that the partition holds, alone or behind its data.
    pub(crate) fn tree(&self) -> Option<&MadeTree> {
        match &self.content {
            MadeContent::Tree(tree) => Some(tree),
            _ => self.behind.as_deref(),
        }
    }
}

/// What each partition needs to be made first, known before any content is read.
pub(crate) struct Needs {
    /// The partitions, by the index of the one that needs them.
    pub(crate) partitions: Vec<BTreeSet<usize>>,
    /// The names of all derived values that somebody waits for.
    names: BTreeSet<String>,
}

impl Needs {
    /// Those of a draft, whose file systems wait for these derived values.
    pub(crate) fn of(draft: &Draft<'_>, awaited: &BTreeMap<usize, Awaited>) -> Self {
        let mut partitions = draft.needs();
        for (index, awaited) in awaited {
            partitions[*index].extend(&awaited.partitions);
        }
        let names = awaited.values().flat_map(|it| it.names.iter().cloned());
        Self {
            partitions,
            names: names.collect(),
        }
    }
}

/// Makes the partitions of a plan.
pub(crate) struct Making<'a> {
    pub(crate) preparation: &'a Preparation<'a>,
    pub(crate) plan: &'a Plan,
    pub(crate) places: &'a BTreeMap<usize, Slot>,
    pub(crate) needs: &'a Needs,
}

/// A file system that is ready to be made, or has been made already since nothing could move it.
#[derive(Clone, Copy)]
pub(crate) enum Ready<'a> {
    Prepared(&'a Prepared),
    Filled(&'a Mutex<Option<Filled>>),
}

/// Gives what was made for a partition that is needed.
pub(crate) type Earlier<'m> = dyn Fn(usize) -> &'m Made + 'm;

/// Gives the plan the identifiers that follow from the root hashes of what was made.
pub(crate) fn identify(plan: &mut Plan, made: &[Made]) {
    for (index, made) in made.iter().enumerate() {
        if let Some(tree) = made.tree() {
            plan.identify(index, &tree.root_hash);
        }
    }
}

/// The same partitions, and all that they need.
pub(crate) fn with_needs(
    mut wanted: BTreeSet<usize>,
    needs: &[BTreeSet<usize>],
) -> BTreeSet<usize> {
    let mut open: Vec<usize> = wanted.iter().copied().collect();
    while let Some(index) = open.pop() {
        open.extend(needs[index].iter().filter(|need| wanted.insert(**need)));
    }
    wanted
}

/// A partition with what is written as it is.
pub(crate) fn plain(
    scratch: &Scratch,
    pieces: &[RawPiece],
    size: u64,
) -> Result<PartitionFile, ImageError> {
    let partition = PartitionFile::new(scratch, size)?;
    for piece in pieces {
        match &piece.content {
            RawContent::File(file) => {
                partition.splice_file(file, piece.offset, piece.length)?;
            }
            RawContent::Bytes(bytes) => partition.write(piece.offset, bytes)?,
        }
    }
    Ok(partition)
}

impl Making<'_> {
    /// Makes some of the partitions, in the order of the plan; what they need must be among them.
    pub(crate) fn some(
        &self,
        prepared: Vec<Prepared>,
        wanted: &BTreeSet<usize>,
    ) -> Result<Vec<Made>, Error> {
        let prepared: BTreeMap<usize, Prepared> =
            prepared.into_iter().map(|it| (it.index, it)).collect();
        let jobs = self.preparation.options.jobs;
        steps::run(jobs, &self.needs.partitions, |index, made| {
            if !wanted.contains(&index) {
                return Ok(Made {
                    content: MadeContent::Nothing,
                    behind: None,
                    derived: Vec::new(),
                });
            }
            let ready = prepared.get(&index).map(Ready::Prepared);
            self.one(index, ready, &|needed| made.get(needed))
        })
    }

    /// Makes one partition. Its file system, if it has one, is `ready`.
    pub(crate) fn one<'m>(
        &self,
        index: usize,
        ready: Option<Ready<'_>>,
        earlier: &Earlier<'m>,
    ) -> Result<Made, Error> {
        let mut made = Made {
            content: self.content(index, ready, earlier)?,
            behind: None,
            derived: Vec::new(),
        };
        let told = self.complete(index, &mut made);
        told.map_err(|error| partition_error(&self.plan.partitions[index].name, error))?;
        Ok(made)
    }

    /// Makes what follows from the content alone: the tree behind it, and derived values.
    fn complete(&self, index: usize, made: &mut Made) -> Result<(), ImageError> {
        if let Some(behind) = &self.plan.partitions[index].behind {
            let data = made.partition();
            let data = data.expect("what a tree is of is made in a file");
            let size = behind.place.end - behind.place.hash_offset;
            made.behind = Some(Box::new(self.tree(index, &behind.verity, data, size)?));
        }
        made.derived = self.derived(index, made)?;
        Ok(())
    }

    fn content(
        &self,
        index: usize,
        ready: Option<Ready<'_>>,
        earlier: &Earlier<'_>,
    ) -> Result<MadeContent, Error> {
        let partition = &self.plan.partitions[index];
        let image_error = |error: ImageError| partition_error(&partition.name, error);
        match &partition.fill {
            Fill::Filesystem(_) => {
                let ready = ready.expect("the content of every file system is read");
                let filled = self.filesystem(index, ready, earlier)?;
                Ok(MadeContent::Filesystem(Box::new(filled)))
            }
            Fill::Verity(tree) => {
                let data = earlier(tree.of).partition();
                let data = data.expect("what a tree is of is made in a file");
                let size = partition.size;
                let tree = self.tree(index, &tree.verity, data, size);
                let tree = tree.map_err(image_error)?;
                Ok(MadeContent::Tree(Box::new(tree)))
            }
            Fill::Signature(signature) => {
                let tree = earlier(signature.tree).tree();
                let tree = tree.expect("a signature is of a tree");
                let made = self.signature(index, signature, tree)?;
                Ok(MadeContent::Signature(Box::new(made)))
            }
            Fill::Raw(pieces) if self.is_read(index) => {
                let plain = plain(self.preparation.scratch, pieces, partition.data_size());
                Ok(MadeContent::Plain(plain.map_err(image_error)?))
            }
            Fill::Empty if self.is_read(index) => {
                let plain = plain(self.preparation.scratch, &[], partition.size);
                Ok(MadeContent::Plain(plain.map_err(image_error)?))
            }
            Fill::Raw(_) | Fill::Empty => Ok(MadeContent::Nothing),
        }
    }

    /// Whether somebody reads a partition before it is in the image.
    fn is_read(&self, index: usize) -> bool {
        self.plan.partitions[index].behind.is_some()
            || self
                .needs
                .partitions
                .iter()
                .any(|needs| needs.contains(&index))
    }

    fn filesystem(
        &self,
        index: usize,
        ready: Ready<'_>,
        earlier: &Earlier<'_>,
    ) -> Result<Filled, Error> {
        let place = &self.places[&index];
        let prepared = match ready {
            Ready::Prepared(prepared) => prepared,
            Ready::Filled(filled) => {
                let filled = filled.lock().unwrap_or_else(PoisonError::into_inner).take();
                return Ok(filled.expect("it is taken once"));
            }
        };
        if prepared.awaited.partitions.is_empty() {
            return self.preparation.fill(prepared, place);
        }
        let awaited = prepared.awaited.partitions.iter();
        let facts = awaited.fold(self.preparation.facts.clone(), |facts, needed| {
            facts.with(&earlier(*needed).derived)
        });
        let preparation = Preparation {
            facts: &facts,
            outputs: self.preparation.outputs.clone(),
            ..*self.preparation
        };
        let anew = preparation.prepared_anew(prepared)?;
        preparation.fill(&anew, place)
    }

    fn tree(
        &self,
        index: usize,
        verity: &Verity,
        data: &PartitionFile,
        size: u64,
    ) -> Result<MadeTree, ImageError> {
        let begun = Instant::now();
        let partition = &self.plan.partitions[index];
        let options = self.preparation.options;
        let tally = Tally::default();
        let total = Some(data.size());
        let _ongoing = options
            .progress
            .begin(Phase::Hashing, &partition.name, total, tally.done());
        let target = PartitionFile::new(self.preparation.scratch, size)?;
        let advance = |bytes| tally.add(bytes);
        let root_hash = verity.write(data, &target, options.jobs, &advance)?;
        Ok(MadeTree {
            partition: target,
            root_hash,
            hashing: begun.elapsed(),
        })
    }

    fn signature(
        &self,
        index: usize,
        plan: &SignaturePlan,
        tree: &MadeTree,
    ) -> Result<MadeSignature, Error> {
        let partition = &self.plan.partitions[index];
        let signers = self.preparation.signers;
        let root_hash = hexadecimal(&tree.root_hash);
        let what = format_args!("the root hash {root_hash} of '{}'", self.signed_name(plan));
        let signature = signers.sign(&plan.sign, what, root_hash.as_bytes(), true)?;
        let certificate = signers.certificate(&plan.sign);
        let document = root_hash_document(&root_hash, certificate, &signature);
        let target = PartitionFile::new(self.preparation.scratch, partition.size);
        let written = target.and_then(|target| {
            target.write(0, document.as_bytes())?;
            Ok(target)
        });
        Ok(MadeSignature {
            partition: written.map_err(|error| partition_error(&partition.name, error))?,
            fingerprint: certificate.fingerprint(),
            is_signed: signature.iter().any(|byte| *byte != 0),
            root_hash,
        })
    }

    /// The name of the partition with the data whose root hash is signed.
    fn signed_name(&self, plan: &SignaturePlan) -> &str {
        let partitions = &self.plan.partitions;
        let of = match &partitions[plan.tree].fill {
            Fill::Verity(tree) => tree.of,
            _ => plan.tree,
        };
        &partitions[of].name
    }

    /// What a partition tells that somebody waits for.
    fn derived(&self, index: usize, made: &Made) -> Result<Vec<(String, String)>, ImageError> {
        let planned = &self.plan.partitions[index];
        let (name, content) = (&planned.name, &made.content);
        let mut derived = Vec::new();
        if let Some(behind) = &planned.behind {
            let offset = behind.place.hash_offset.to_string();
            derived.push((hash_offset_of(name), offset));
        }
        if let Some(tree) = made.tree() {
            derived.push((root_hash_of(name), hexadecimal(&tree.root_hash)));
            if let Fill::Verity(plan) = &self.plan.partitions[index].fill {
                let data = &self.plan.partitions[plan.of];
                if !matches!(data.fill, Fill::Verity(_)) {
                    derived.push((root_hash_of(&data.name), hexadecimal(&tree.root_hash)));
                }
            }
            for partition in &self.plan.partitions {
                if let Some((from, half)) = partition.id_of
                    && from == index
                {
                    let id = half.of(&tree.root_hash).to_string();
                    derived.push((uuid_of(&partition.name), id));
                }
            }
        }
        let is_unsigned = matches!(content, MadeContent::Signature(it) if !it.is_signed);
        if self.needs.names.contains(&digest_of(name)) && !is_unsigned {
            let digest = match content {
                _ if planned.behind.is_some() => {
                    let files = made.files(planned);
                    Some(PartitionFile::digest_of_all(planned.size, &files)?)
                }
                MadeContent::Filesystem(filled) => match (&filled.digests, &filled.partition) {
                    (Some(digests), _) => Some(digests.partition),
                    (None, Some(partition)) => Some(partition.digest()?),
                    (None, None) => None,
                },
                MadeContent::Tree(tree) => Some(tree.partition.digest()?),
                MadeContent::Signature(signature) => Some(signature.partition.digest()?),
                MadeContent::Plain(partition) => Some(partition.digest()?),
                MadeContent::Nothing => None,
            };
            let digest = digest.expect("what somebody reads is made in a file");
            derived.push((digest_of(name), hexadecimal(&digest)));
        }
        Ok(derived)
    }
}
