//! How long each partition is, as far as it follows from itself, or for a hash tree from its data, and for a signature from who signs.

use std::collections::BTreeMap;

use super::error::{Locate, PlanError, Reason};
use super::identity::Identity;
use super::layout::{Disk, Length, Request};
use super::raw::{self, RawLengths};
use super::sectors::{too_large, whole_sectors, with_margin};
use super::signature::Signatures;
use super::verity::{self, Trees, VerityPlan};
use cellblock_image::Verity;
use cellblock_spec::{Margin, PartitionSpec, SizeRule, Spec};

/// What the lengths of partitions follow from.
pub(super) struct Lengths<'a> {
    pub(super) spec: &'a Spec,
    pub(super) disk: &'a Disk,
    pub(super) identities: &'a [Identity],
    pub(super) sizes: &'a BTreeMap<usize, u64>,
    pub(super) raw_lengths: &'a RawLengths,
    pub(super) trees: &'a Trees,
    pub(super) signatures: &'a Signatures,
}

impl Lengths<'_> {
    /// The length of a partition; that of a hash tree follows from its data's.
    fn of(&self, index: usize) -> Result<Length, PlanError> {
        let (partition, identity) = (&self.spec.partitions[index], &self.identities[index]);
        if let (Some(verity), SizeRule::Minimum(margin)) =
            (self.trees.behind(index), partition.size_rule())
        {
            let size = self.with_tree_behind(index, verity, margin);
            return size.map(Length::Bytes).map_err(|reason| {
                let place = verity::size_place(partition);
                reason.at(Some(place)).of(identity.named())
            });
        }
        let measured = match (self.trees.get(index), partition.size_rule()) {
            (Some(tree), SizeRule::Minimum(_)) if tree.of != index => Some(self.tree(index, tree)?),
            _ => self
                .signatures
                .size(index)
                .or_else(|| self.sizes.get(&index).copied()),
        };
        length(self.disk, partition, measured, self.raw_lengths)
            .map_err(|error| error.of(identity.named()))
    }

    /// The length of a partition with a tree behind its data. The margin is the data's.
    fn with_tree_behind(
        &self,
        index: usize,
        verity: &Verity,
        margin: Margin,
    ) -> Result<u64, Reason> {
        let (partition, disk) = (&self.spec.partitions[index], self.disk);
        let sector = disk.sector_size.bytes();
        let (data, multiple) = if partition.raw.is_empty() {
            let measured = self.sizes.get(&index);
            let measured = measured.expect("every partition of minimum size has been measured");
            (*measured, disk.alignment)
        } else {
            let end = raw::end_of(&partition.raw, self.raw_lengths).ok_or_else(too_large)?;
            (end, sector)
        };
        let unit = verity::unit(verity, sector);
        with_margin(data.max(1), margin, unit)
            .and_then(|data| verity.behind(data))
            .and_then(|behind| with_margin(behind.end, Margin::Bytes(0), multiple))
            .ok_or_else(too_large)
    }

    /// Whether the length follows from the spec alone, without a measurement and without other partitions' places.
    fn is_given(&self, index: usize) -> bool {
        let partition = &self.spec.partitions[index];
        match partition.size_rule() {
            SizeRule::Fixed(_) => true,
            SizeRule::Rest => false,
            SizeRule::Minimum(_) => match self.trees.get(index) {
                Some(tree) if tree.of != index => self.is_given(tree.of),
                _ => !partition.raw.is_empty() || self.signatures.size(index).is_some(),
            },
        }
    }

    /// A partition that is to be placed on the disk.
    fn request(&self, index: usize) -> Result<Request, PlanError> {
        let (partition, identity) = (&self.spec.partitions[index], &self.identities[index]);
        Ok(Request {
            named: identity.named(),
            length: self.of(index)?,
            length_place: partition.size.as_ref().map(|size| size.place.clone()),
            offset: partition.offset.clone(),
            place: partition.place.clone(),
            space_before: match self.disk.scheme.primaries() {
                Some(most) if identity.number > most => self.disk.boot_record_space,
                _ => 0,
            },
        })
    }

    /// The bytes of a hash tree.
    fn tree(&self, index: usize, tree: &VerityPlan) -> Result<u64, PlanError> {
        let data = &self.identities[tree.of];
        let needed = match self.of(tree.of)? {
            Length::Bytes(bytes) => tree.size_over(bytes, data),
            Length::Rest => Err(Reason::TreeOfRest { data: data.named() }),
        };
        needed.map_err(|reason| {
            let asked = self.spec.partitions[index].verity.as_ref();
            reason
                .at(asked.map(|asked| asked.place.clone()))
                .of(self.identities[index].named())
        })
    }
}

/// What is to be placed on the disk, in the order of the spec.
pub(super) fn requests(lengths: &Lengths<'_>) -> Result<Vec<Request>, PlanError> {
    let all = 0..lengths.spec.partitions.len();
    all.map(|index| lengths.request(index)).collect()
}

/// The same, as far as the spec alone tells the length; what is wrong with it is told by [`requests`].
pub(super) fn given_requests(lengths: &Lengths<'_>) -> Vec<Option<Request>> {
    let all = 0..lengths.spec.partitions.len();
    all.map(|index| {
        let is_given = lengths.is_given(index);
        is_given.then(|| lengths.request(index).ok()).flatten()
    })
    .collect()
}

/// The length of a partition, unless it takes the rest.
fn length(
    disk: &Disk,
    partition: &PartitionSpec,
    measured: Option<u64>,
    raw_lengths: &RawLengths,
) -> Result<Length, PlanError> {
    let place = partition
        .size
        .as_ref()
        .map_or(&partition.place, |size| &size.place);
    let sector = disk.sector_size.bytes();
    let bytes = match partition.size_rule() {
        SizeRule::Rest => return Ok(Length::Rest),
        SizeRule::Fixed(0) => Err(Reason::EmptySize),
        SizeRule::Fixed(bytes) => whole_sectors("size", bytes, sector),
        SizeRule::Minimum(margin) if partition.raw.is_empty() => {
            let measured = measured.expect("every partition of minimum size has been measured");
            with_margin(measured, margin, disk.alignment).ok_or_else(too_large)
        }
        SizeRule::Minimum(margin) => {
            let end = raw::end_of(&partition.raw, raw_lengths).ok_or_else(too_large);
            end.and_then(|end| with_margin(end.max(1), margin, sector).ok_or_else(too_large))
        }
    };
    bytes
        .map(Length::Bytes)
        .map_err(|reason| reason.at(Some(place.clone())))
}
