//! Hash trees: which partition holds the tree of which, how long it is, and which identifiers follow from it.
//!
//! Unless they are given, the UUID of the partition with the data is the first half of the root hash and that of the
//! partition with the tree is the second half, by which systemd finds both (Discoverable Partitions Specification, "Partition
//! UUIDs"). The salt and the UUID in the superblock derive from the seed: `verity-salt/N`, `verity-salt/N/2` and `verity/N`.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::error::{Locate, PlanError, Reason};
use super::identity::{Identity, derive, position};
use super::space::{ByteSpan, Named};
use cellblock_image::{Behind, HashFunction, HashTree, Verity};
use cellblock_spec::{PartitionSpec, Spec, VerityHash, VeritySpec};
use cellblock_table::Scheme;

/// A hash tree to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerityPlan {
    /// The index of the partition with the data.
    pub of: usize,
    /// What decides the tree beside its data.
    pub verity: Verity,
}

/// A hash tree behind the data in the same partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeBehind {
    /// What decides the tree beside its data.
    pub verity: Verity,
    /// Where the data end and the tree begins.
    pub place: Behind,
}

/// Which half of a root hash an identifier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The first 16 bytes.
    First,
    /// The last 16 bytes.
    Last,
}

impl Half {
    /// The identifier.
    ///
    /// # Panics
    /// If the root hash is shorter than 16 bytes, which no hash function's is.
    #[must_use]
    pub fn of(self, root_hash: &[u8]) -> Uuid {
        let bytes = match self {
            Self::First => root_hash.first_chunk(),
            Self::Last => root_hash.last_chunk(),
        };
        Uuid::from_bytes(*bytes.expect("a root hash has 32 bytes or more"))
    }
}

/// The trees of a spec, by the index of the partition that holds each.
#[derive(Clone, Debug, Default)]
pub(super) struct Trees(BTreeMap<usize, VerityPlan>);

impl Trees {
    /// The trees that the spec asks for.
    ///
    /// # Errors
    /// When one is of a partition that is not there or has no content, or two are of one partition.
    pub(super) fn of(
        spec: &Spec,
        seed: [u8; 16],
        identities: &[Identity],
    ) -> Result<Self, PlanError> {
        let named: Vec<Named> = identities.iter().map(Identity::named).collect();
        let mut trees: BTreeMap<usize, VerityPlan> = BTreeMap::new();
        for (index, (partition, identity)) in spec.partitions.iter().zip(identities).enumerate() {
            let Some(asked) = &partition.verity else {
                continue;
            };
            let place = asked.of.as_ref().map_or(&asked.place, |of| &of.place);
            let wrong = |reason: Reason| reason.at(Some(place.clone())).of(identity.named());
            let of = match &asked.of {
                Some(of) => data_of(spec, identities, &of.value).map_err(wrong)?,
                None => index,
            };
            if asked.of.is_some() && of == index {
                return Err(circle_error(spec, &named, &[index]));
            }
            if let Some((other, _)) = trees.iter().find(|(_, tree)| tree.of == of) {
                return Err(wrong(Reason::SecondTree {
                    name: identities[of].name.clone(),
                    other: identities[*other].named(),
                }));
            }
            let verity = verity(asked, seed, identity.number);
            trees.insert(index, VerityPlan { of, verity });
        }
        let trees = Self(trees);
        match trees.circle() {
            Some(circle) => Err(circle_error(spec, &named, &circle)),
            None => Ok(trees),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<&VerityPlan> {
        self.0.get(&index)
    }

    /// What decides the tree that stands behind the data of this partition, if one does.
    pub(super) fn behind(&self, index: usize) -> Option<&Verity> {
        let tree = self.get(index).filter(|tree| tree.of == index);
        tree.map(|tree| &tree.verity)
    }

    /// Where the data of this partition end and the tree behind them begins, if there is one.
    ///
    /// # Errors
    /// When the partition has no room for data with a tree.
    pub(super) fn place_behind(
        &self,
        index: usize,
        size: u64,
        sector: u64,
    ) -> Result<Option<TreeBehind>, Reason> {
        let Some(verity) = self.behind(index) else {
            return Ok(None);
        };
        let place = verity
            .behind_within(size, unit(verity, sector))
            .ok_or(Reason::NoRoomBehind { size })?;
        let verity = verity.clone();
        Ok(Some(TreeBehind { verity, place }))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &VerityPlan)> {
        self.0.iter().map(|(index, tree)| (*index, tree))
    }

    /// Partitions each of which holds the tree of the next one, and the last one that of the first.
    fn circle(&self) -> Option<Vec<usize>> {
        self.0.keys().find_map(|start| {
            let mut way = vec![*start];
            loop {
                let last = way.last()?;
                let of = self.0.get(last).filter(|tree| tree.of != *last)?.of;
                match way.iter().position(|passed| *passed == of) {
                    Some(begin) => return Some(way.split_off(begin)),
                    None => way.push(of),
                }
            }
        })
    }

    /// The identifiers that follow from a root hash: by the index of their partition, the tree and the half.
    pub(super) fn identifiers(&self, spec: &Spec) -> BTreeMap<usize, (usize, Half)> {
        let mut found = BTreeMap::new();
        if spec.disk.scheme() != Scheme::Gpt {
            return found;
        }
        for (index, tree) in self.iter().filter(|(index, tree)| tree.of != *index) {
            for (partition, half) in [(tree.of, Half::First), (index, Half::Last)] {
                if spec.partitions[partition].id.is_none() {
                    // Of a tree over a tree, the partition in the middle is found as data.
                    found.entry(partition).or_insert((index, half));
                }
            }
        }
        found
    }

    /// Checks that each tree has room in its partition, and goes over whole blocks.
    pub(super) fn check(
        &self,
        spec: &Spec,
        identities: &[Identity],
        spans: &[ByteSpan],
    ) -> Result<(), PlanError> {
        for (index, plan) in self.iter().filter(|(index, plan)| plan.of != *index) {
            let (data, room) = (spans[plan.of].size, spans[index].size);
            let at_size = size_place(&spec.partitions[index]);
            let needed = plan
                .size_over(data, &identities[plan.of])
                .map_err(|reason| {
                    reason
                        .at(Some(at_size.clone()))
                        .of(identities[index].named())
                })?;
            if needed > room {
                let reason = Reason::TreeTooLarge {
                    data: identities[plan.of].named(),
                    data_size: data,
                    needed,
                    size: room,
                };
                return Err(reason.at(Some(at_size)).of(identities[index].named()));
            }
        }
        Ok(())
    }
}

impl VerityPlan {
    /// The bytes of the tree over `data` bytes.
    pub(super) fn size_over(&self, data: u64, of: &Identity) -> Result<u64, Reason> {
        let block = u64::from(self.verity.data_block);
        if data.is_multiple_of(block) {
            Ok(self.verity.tree(data).size)
        } else {
            Err(Reason::NotWholeBlocks {
                data: of.named(),
                size: data,
                block,
            })
        }
    }

    /// The tree over data of this size, which is whole blocks.
    #[must_use]
    pub fn tree(&self, data: u64) -> HashTree {
        self.verity.tree(data)
    }
}

/// What data with a tree behind them are multiples of, in bytes.
pub(super) fn unit(verity: &Verity, sector: u64) -> u64 {
    // Both are powers of two.
    sector.max(verity.data_block.into())
}

pub(super) fn size_place(partition: &PartitionSpec) -> cellblock_spec::Place {
    let size = partition.size.as_ref().map(|size| &size.place);
    let verity = partition.verity.as_ref().map(|verity| &verity.place);
    size.or(verity).unwrap_or(&partition.place).clone()
}

/// The partition that a tree is of.
fn data_of(spec: &Spec, identities: &[Identity], name: &str) -> Result<usize, Reason> {
    let index = position(name, identities)?;
    let data = &spec.partitions[index];
    if data.filesystem.is_none() && data.raw.is_empty() && data.verity.is_none() {
        return Err(Reason::TreeOfNothing {
            name: name.to_owned(),
        });
    }
    Ok(index)
}

fn verity(asked: &VeritySpec, seed: [u8; 16], number: u32) -> Verity {
    const BLOCK: u32 = 4096;
    let size = |given: &Option<cellblock_spec::Placed<u32>>| {
        given.as_ref().map_or(BLOCK, |size| size.value)
    };
    let salt = asked.salt.as_ref().map_or_else(
        || {
            let halves =
                ["", "/2"].map(|half| derive(seed, &format!("verity-salt/{number}{half}")));
            halves.iter().flat_map(|half| half.into_bytes()).collect()
        },
        |salt| salt.value.clone(),
    );
    let uuid = asked.uuid.as_ref().map_or_else(
        || derive(seed, &format!("verity/{number}")),
        |uuid| uuid.value,
    );
    let has_superblock = asked.superblock.as_ref().is_none_or(|given| given.value);
    Verity {
        hash: match asked
            .hash
            .as_ref()
            .map(|hash| hash.value)
            .unwrap_or_default()
        {
            VerityHash::Sha256 => HashFunction::Sha256,
            VerityHash::Sha512 => HashFunction::Sha512,
        },
        data_block: size(&asked.data_block_size),
        hash_block: size(&asked.hash_block_size),
        salt,
        superblock: has_superblock.then(|| uuid.into_bytes()),
        fec_roots: asked.fec_roots.as_ref().map(|roots| roots.value),
    }
}

/// The error of partitions of which each needs the next to be made, and the last one the first.
///
/// # Panics
/// If the circle is empty.
pub(crate) fn circle_error(spec: &Spec, named: &[Named], circle: &[usize]) -> PlanError {
    let names: Vec<String> = circle
        .iter()
        .chain(circle.first())
        .map(|index| named[*index].name.clone())
        .collect();
    let first = circle.first().expect("a circle has a beginning");
    let place = circle
        .iter()
        .find_map(|index| spec.partitions[*index].verity.as_ref())
        .map_or(&spec.partitions[*first].place, |verity| {
            verity.of.as_ref().map_or(&verity.place, |of| &of.place)
        });
    Reason::Circle { names }
        .at(Some(place.clone()))
        .of(named[*first].clone())
}
