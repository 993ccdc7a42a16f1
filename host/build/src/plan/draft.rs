//! The phases before a plan: what is decided before content is read, and what with the measured sizes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::boot::{self, Surroundings};
use super::error::Locate;
use super::facts::{self, Facts};
use super::identity::{self, Identity};
use super::layout::{self, Disk};
use super::length::{Lengths, given_requests, requests};
use super::raw::{self, Addresses, Ground, RawLengths};
use super::signature::Signatures;
use super::verity::{self, Trees};
use super::{
    FilesystemPlan, Fill, Plan, PlanError, PlannedExtended, PlannedPartition, TimeRule, hybrid,
};
use cellblock_contract::Kinds;
use cellblock_spec::{
    Content, DiskSize, FilesystemSpec, PartitionSpec, Placed, SignSpec, SizeRule, Spec,
};
use cellblock_table::{DiskId, PartitionType, SectorSize};

/// What is decided before any content is read: every identifier, every name, and what is to be made.
#[derive(Debug)]
pub struct Draft<'s> {
    spec: &'s Spec,
    disk: Disk,
    seed: [u8; 16],
    disk_id: DiskId,
    identities: Vec<Identity>,
    /// By the index of their partition.
    filesystems: BTreeMap<usize, FilesystemPlan>,
    trees: Trees,
    signatures: Signatures,
    raw_lengths: RawLengths,
}

/// A draft with the smallest size of each file system that takes no more than it needs.
#[derive(Debug)]
pub struct Measured<'s> {
    draft: Draft<'s>,
    /// In bytes, by the index of their partition.
    sizes: BTreeMap<usize, u64>,
}

impl<'s> Draft<'s> {
    /// The draft of `spec`; `kinds` says what its file systems are, and `raw_lengths` holds the lengths of the files that
    /// are copied as they are.
    ///
    /// # Errors
    /// When names, numbers or identifiers contradict each other, or the disk cannot be.
    pub fn new(spec: &'s Spec, kinds: &Kinds, raw_lengths: RawLengths) -> Result<Self, PlanError> {
        let disk = Disk::of(spec)?;
        let seed = identity::seed(spec)?;
        let identities = identity::identities(spec, seed)?;
        let mut filesystems = BTreeMap::new();
        for (index, (partition, identity)) in spec.partitions.iter().zip(&identities).enumerate() {
            if let Some(filesystem) = &partition.filesystem {
                let planned = filesystem_plan(spec, seed, kinds, partition, filesystem, identity)?;
                filesystems.insert(index, planned);
            }
        }
        let trees = Trees::of(spec, seed, &identities)?;
        Ok(Self {
            signatures: Signatures::of(spec, &trees, &identities)?,
            trees,
            spec,
            disk,
            seed,
            disk_id: identity::disk_id(spec, seed),
            identities,
            filesystems,
            raw_lengths,
        })
    }

    /// Adds to what goes into the file system of partition `index`, over what is there.
    pub fn add_contents(&mut self, index: usize, contents: impl IntoIterator<Item = Content>) {
        if let Some(filesystem) = self.filesystems.get_mut(&index) {
            filesystem.contents.extend(contents);
        }
    }

    /// Takes the length in bytes of each signature of a root hash: `length` is told who signs, and the digits of the root hash.
    pub fn measure_signatures(&mut self, length: impl Fn(&SignSpec, usize) -> usize) {
        self.signatures.measure(&self.trees, length);
    }

    /// The names of the partitions, in the order of the spec, as errors call them.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let identities = self.identities.iter();
        identities.map(|identity| identity.name.clone()).collect()
    }

    /// What templates may name.
    #[must_use]
    pub fn facts(&self) -> Facts {
        facts::facts(
            self.disk_id,
            &self.identities,
            &self.filesystems,
            (&self.trees, &self.trees.identifiers(self.spec)),
        )
    }

    /// The file systems to make, by the index of their partition.
    #[must_use]
    pub fn filesystems(&self) -> &BTreeMap<usize, FilesystemPlan> {
        &self.filesystems
    }

    /// The size of a sector of the disk.
    #[must_use]
    pub fn sector_size(&self) -> SectorSize {
        self.disk.sector_size
    }

    /// The partitions whose size follows from a measurement by their formatter.
    #[must_use]
    pub fn measurements_wanted(&self) -> Vec<usize> {
        let is_wanted = |index: &usize| {
            matches!(
                self.spec.partitions[*index].size_rule(),
                SizeRule::Minimum(_)
            )
        };
        self.filesystems.keys().copied().filter(is_wanted).collect()
    }

    /// Where the file systems are whose place the spec alone tells, as bytes of the disk, by the index of their partition: no
    /// measurement moves them. Without those that a hash tree stands behind.
    pub(crate) fn settled(&self) -> BTreeMap<usize, Range<u64>> {
        let unmeasured = BTreeMap::new();
        let requests = given_requests(&self.lengths(&unmeasured));
        let spans = layout::settled(&self.disk, &requests);
        let spans = spans.into_iter().enumerate();
        spans
            .filter_map(|(index, span)| Some((index, span?.start..span?.end())))
            .filter(|(index, _)| self.filesystems.contains_key(index))
            .filter(|(index, _)| self.trees.behind(*index).is_none())
            .collect()
    }

    /// The partition whose file system is made where it belongs, in the file that becomes the image: so it is not copied. It is the
    /// one that likely has the most content, as far as that is known before content is read: one of no given size before others.
    #[must_use]
    pub(crate) fn host(&self) -> Option<usize> {
        let weight = |index: &usize| {
            let has_content = !self.filesystems[index].contents.is_empty();
            let size = match self.spec.partitions[*index].size_rule() {
                SizeRule::Fixed(bytes) => bytes,
                SizeRule::Rest | SizeRule::Minimum(_) => u64::MAX,
            };
            (has_content, size, Reverse(*index))
        };
        self.filesystems.keys().copied().max_by_key(weight)
    }

    /// The time that file systems are stamped with; `source_date_epoch` is the environment's.
    #[must_use]
    pub(crate) fn time(&self, source_date_epoch: Option<i64>) -> TimeRule {
        time_rule(self.spec.disk.time.as_ref(), source_date_epoch)
    }

    /// The partitions that each partition is made of, by index: the data of a hash tree, the tree of a signature.
    #[must_use]
    pub(crate) fn needs(&self) -> Vec<BTreeSet<usize>> {
        let of = |index| {
            let tree = self.trees.get(index).map(|tree| tree.of);
            let signature = self.signatures.get(index).map(|signature| signature.tree);
            let is_other = |of: &usize| *of != index;
            tree.filter(is_other).into_iter().chain(signature).collect()
        };
        (0..self.identities.len()).map(of).collect()
    }

    /// The error of partitions of which each needs the next to be made, and the last one the first.
    pub(crate) fn circle(&self, circle: &[usize]) -> PlanError {
        let named: Vec<_> = self.identities.iter().map(Identity::named).collect();
        verity::circle_error(self.spec, &named, circle)
    }

    fn lengths<'a>(&'a self, sizes: &'a BTreeMap<usize, u64>) -> Lengths<'a> {
        Lengths {
            spec: self.spec,
            disk: &self.disk,
            identities: &self.identities,
            sizes,
            raw_lengths: &self.raw_lengths,
            trees: &self.trees,
            signatures: &self.signatures,
        }
    }

    /// The draft with the smallest sizes in bytes of the partitions that [`Draft::measurements_wanted`] names.
    #[must_use]
    pub fn measured(self, sizes: BTreeMap<usize, u64>) -> Measured<'s> {
        Measured { draft: self, sizes }
    }
}

impl Measured<'_> {
    /// Decides everything. `source_date_epoch` is the environment's time.
    ///
    /// # Errors
    /// [`PlanError`] when the disk has too little room, or what is written around its partitions is in their way.
    ///
    /// # Panics
    /// When a measurement that is wanted or the length of a raw file is missing: that is an error of the caller.
    pub fn plan(self, source_date_epoch: Option<i64>) -> Result<Plan, PlanError> {
        let Self { draft, sizes } = self;
        let Draft {
            spec,
            disk,
            seed,
            disk_id,
            identities,
            mut filesystems,
            trees,
            signatures,
            raw_lengths,
        } = draft;
        let lengths = Lengths {
            spec,
            disk: &disk,
            identities: &identities,
            sizes: &sizes,
            raw_lengths: &raw_lengths,
            trees: &trees,
            signatures: &signatures,
        };
        let requests = requests(&lengths)?;
        let raw_end = raw::end_of(&spec.disk.raw, &raw_lengths).unwrap_or(u64::MAX);
        let layout = layout::lay_out(&disk, &requests, raw_end)?;
        hybrid::check(spec, &disk, &identities, &layout)?;
        trees.check(spec, &identities, &layout.spans)?;
        signatures.check(spec, &identities, &layout.spans)?;
        let derived = trees.identifiers(spec);
        let addresses = Addresses {
            identities: &identities,
            spans: &layout.spans,
            sector: disk.sector_size.bytes(),
        };
        let mut taken = layout::taken(&disk, &requests, &layout);
        let surroundings = Surroundings {
            disk: &disk,
            identities: &identities,
            spans: &layout.spans,
            taken: &taken,
        };
        let grub = boot::grub(spec, &surroundings, &raw_lengths)?.map(|(grub, of_grub)| {
            taken.extend(of_grub);
            grub
        });
        let around = Ground {
            what: "disk",
            size: layout.disk_size,
            taken,
        };
        let around = raw::pieces(&spec.disk.raw, &around, &addresses, &raw_lengths)?;
        let mut partitions = Vec::with_capacity(identities.len());
        for (index, (partition, identity)) in spec.partitions.iter().zip(&identities).enumerate() {
            let span = layout.spans[index];
            let made = filesystems.remove(&index).map(Fill::Filesystem);
            let behind = trees
                .place_behind(index, span.size, disk.sector_size.bytes())
                .map_err(|reason| {
                    let place = verity::size_place(partition);
                    reason.at(Some(place)).of(identity.named())
                })?;
            let tree = trees.get(index).filter(|_| behind.is_none());
            let tree = || tree.cloned().map(Fill::Verity);
            let signature = || signatures.get(index).cloned().map(Fill::Signature);
            let fill = match made.or_else(tree).or_else(signature) {
                Some(fill) => fill,
                None if partition.raw.is_empty() => Fill::Empty,
                None => {
                    let before = behind.as_ref().map(|tree| tree.place.data_size);
                    let ground = Ground {
                        what: before.map_or("partition", |_| "room before the hash tree"),
                        size: before.unwrap_or(span.size),
                        taken: Vec::new(),
                    };
                    let pieces = raw::pieces(&partition.raw, &ground, &addresses, &raw_lengths)
                        .map_err(|error| error.of(identity.named()))?;
                    Fill::Raw(pieces)
                }
            };
            partitions.push(PlannedPartition::new(
                partition,
                identity,
                derived.get(&index).copied(),
                span,
                (fill, behind),
            ));
        }
        Ok(Plan {
            scheme: disk.scheme,
            sector_size: disk.sector_size,
            size: layout.disk_size,
            seed,
            disk_id,
            shape: disk.shape,
            extended: extended(spec, &disk),
            time: time_rule(spec.disk.time.as_ref(), source_date_epoch),
            partitions,
            raw: around,
            grub,
        })
    }
}

/// The extended partition that there is if any partition is logical.
fn extended(spec: &Spec, disk: &Disk) -> Option<PlannedExtended> {
    let kind = spec.disk.layout.extended_type.as_ref();
    identity::extended_number(spec).map(|number| PlannedExtended {
        number,
        kind: kind.map(|kind| PartitionType::Mbr(kind.value)),
        boot_record_space: disk.boot_record_space,
    })
}

/// The spec's time, else the environment's, else the newest file's.
fn time_rule(spec: Option<&Placed<i64>>, source_date_epoch: Option<i64>) -> TimeRule {
    spec.map(|time| time.value)
        .or(source_date_epoch)
        .map_or(TimeRule::NewestFile, TimeRule::Fixed)
}

fn filesystem_plan(
    spec: &Spec,
    seed: [u8; 16],
    kinds: &Kinds,
    partition: &PartitionSpec,
    filesystem: &FilesystemSpec,
    identity: &Identity,
) -> Result<FilesystemPlan, PlanError> {
    let kind = filesystem.kind.value.clone();
    let given = filesystem.uuid.as_ref().map(|uuid| uuid.value);
    let uuid =
        identity::filesystem_id(seed, identity.number, &kind, kinds, given).map_err(|reason| {
            reason
                .at(filesystem.uuid.as_ref().map(|uuid| uuid.place.clone()))
                .of(identity.named())
        })?;
    if let Some(label) = &filesystem.label {
        identity::check_label(&label.value)
            .map_err(|reason| reason.at(Some(label.place.clone())).of(identity.named()))?;
    }
    let mut drop = filesystem.drop.clone();
    drop.sort_unstable();
    drop.dedup();
    Ok(FilesystemPlan {
        label: filesystem
            .label
            .as_ref()
            .map_or_else(String::new, |label| label.value.clone()),
        uuid,
        identifier: identity::shown(uuid, &kind, kinds),
        seed: identity::hash_seed(seed, identity.number),
        options: filesystem
            .options
            .iter()
            .map(|(name, value)| (name.clone(), value.value.clone()))
            .collect(),
        drop,
        contents: filesystem.content.clone(),
        most: most(spec, partition),
        contexts: filesystem
            .selinux
            .as_ref()
            .map(|selinux| selinux.contexts.value.clone()),
        kind,
    })
}

/// The most bytes that a partition can have, where the spec says it.
fn most(spec: &Spec, partition: &PartitionSpec) -> Option<u64> {
    match (partition.size_rule(), layout::fixed_disk_size(spec)) {
        (SizeRule::Fixed(bytes), _) => Some(bytes),
        (_, Some(disk)) => match disk.value {
            DiskSize::Fixed(bytes) => Some(bytes),
            DiskSize::Auto => None,
        },
        _ => None,
    }
}
