//! Signatures of root hashes: which partition holds that of which, and how long it is.

use std::collections::BTreeMap;

use cellblock_spec::{SignSpec, Spec, VeritySignatureSpec};

use super::error::{Locate, PlanError, Reason};
use super::identity::{Identity, position};
use super::space::ByteSpan;
use super::verity::Trees;

/// What systemd-repart gives a partition with a signature: of a key and a certificate of usual size it holds all.
const USUAL_SIZE: u64 = 16 << 10;
/// The most bytes of such a partition that systemd reads.
const MOST: u64 = 4 << 20;
/// The document ends in zeros up to a multiple of this many bytes.
const BLOCK: u64 = 4096;

/// The signature of a root hash, to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignaturePlan {
    /// The index of the partition with the hash tree.
    pub tree: usize,
    /// Who signs.
    pub sign: SignSpec,
    /// The bytes that it will have, without the zeros behind it.
    pub length: u64,
}

/// The signatures of a spec, by the index of the partition that holds each.
#[derive(Clone, Debug, Default)]
pub(super) struct Signatures(BTreeMap<usize, SignaturePlan>);

impl Signatures {
    /// The signatures that the spec asks for. Their lengths are told later, by [`Self::measure`].
    ///
    /// # Errors
    /// When one is of a partition that is not there, or has no hash tree.
    pub(super) fn of(
        spec: &Spec,
        trees: &Trees,
        identities: &[Identity],
    ) -> Result<Self, PlanError> {
        let mut signatures = BTreeMap::new();
        for (index, (partition, identity)) in spec.partitions.iter().zip(identities).enumerate() {
            let Some(asked) = &partition.verity_signature else {
                continue;
            };
            let tree = tree_of(asked, trees, identities).map_err(|reason| {
                let place = Some(asked.of.place.clone());
                reason.at(place).of(identity.named())
            })?;
            let sign = asked.sign.clone();
            let length = 0;
            signatures.insert(index, SignaturePlan { tree, sign, length });
        }
        Ok(Self(signatures))
    }

    /// Takes the length in bytes of each: it follows from the digits of the root hash and from who signs.
    pub(super) fn measure(&mut self, trees: &Trees, length: impl Fn(&SignSpec, usize) -> usize) {
        for plan in self.0.values_mut() {
            let tree = trees.get(plan.tree).expect("it is of a tree");
            let digits = 2 * tree.verity.hash.digest_bytes() as usize;
            plan.length = length(&plan.sign, digits) as u64;
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<&SignaturePlan> {
        self.0.get(&index)
    }

    /// The bytes that a partition has at least.
    pub(super) fn size(&self, index: usize) -> Option<u64> {
        let plan = self.get(index)?;
        Some(plan.length.next_multiple_of(BLOCK).max(USUAL_SIZE))
    }

    /// Checks that each has room in its partition, and that the partition is one that is read.
    pub(super) fn check(
        &self,
        spec: &Spec,
        identities: &[Identity],
        spans: &[ByteSpan],
    ) -> Result<(), PlanError> {
        for (index, plan) in &self.0 {
            let size = spans[*index].size;
            let reason = if plan.length > size {
                Reason::SignatureTooLarge {
                    needed: plan.length,
                    size,
                }
            } else if size > MOST {
                Reason::SignatureRoomTooLarge { size, most: MOST }
            } else {
                continue;
            };
            let partition = &spec.partitions[*index];
            let place = partition.size.as_ref().map(|size| &size.place);
            let place = place.unwrap_or(&plan.sign.place).clone();
            return Err(reason.at(Some(place)).of(identities[*index].named()));
        }
        Ok(())
    }
}

/// The partition with the hash tree whose root hash is to be signed.
fn tree_of(
    asked: &VeritySignatureSpec,
    trees: &Trees,
    identities: &[Identity],
) -> Result<usize, Reason> {
    let name = &asked.of.value;
    let index = position(name, identities)?;
    let over = trees.iter().find(|(_, tree)| tree.of == index);
    match over {
        _ if trees.get(index).is_some() => Ok(index),
        Some((tree, _)) => Ok(tree),
        None => Err(Reason::NoTreeToSign { name: name.clone() }),
    }
}
