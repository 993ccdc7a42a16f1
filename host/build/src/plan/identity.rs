//! Numbers, names and identifiers.
//!
//! Every identifier that the spec does not give derives from its seed: a UUID of version 5 (RFC 9562, 5.5) whose
//! namespace is the seed and whose name says what it identifies:
//!
//! | Name | Identifies |
//! |---|---|
//! | `disk` | the disk; an MBR takes the first 32 bits |
//! | `partition/N` | partition number N |
//! | `filesystem/N` | the file system in partition number N; one with a serial number takes the first 32 bits |
//! | `hash-seed/N` | the seed that the formatter of partition number N gets |
//! | `verity/N` | the superblock of the hash tree in partition number N |
//! | `verity-salt/N`, `verity-salt/N/2` | the two halves of that tree's salt |
//!
//! A file system made on its own counts as number 1. Without a seed, one follows from what the spec says but for paths,
//! content and time, so that different disks differ, and the same one stays the same.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Scheme;
use super::error::{Locate, PlanError, Reason};
use super::space::Named;
use cellblock_contract::{Identifier, Kinds};
use cellblock_spec::{FilesystemId, PartitionSpec, Place, Seed, Spec};
use cellblock_table::{DiskId, MAX_NAME_UNITS};
use cellblock_text::nearest;

/// What tells a partition from the others.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) number: u32,
    pub(super) name: String,
    /// `None` on an MBR, which stores none.
    pub(super) id: Option<Uuid>,
}

impl Identity {
    pub(super) fn named(&self) -> Named {
        Named {
            number: self.number,
            name: self.name.clone(),
        }
    }
}

/// The spec's seed; without one it follows from what tells the spec from others.
///
/// # Errors
/// When it was to be drawn, and was not.
pub(super) fn seed(spec: &Spec) -> Result<[u8; 16], PlanError> {
    match &spec.disk.seed {
        None => Ok(seed_of_text(&spec.identity())),
        Some(seed) => match seed.value {
            Seed::Given(bytes) => Ok(bytes),
            Seed::Random => Err(Reason::SeedNotDrawn.at(Some(seed.place.clone()))),
        },
    }
}

/// The seed of what a text tells from others: a UUID of version 5 in the namespace that is all zeros.
pub(super) fn seed_of_text(text: &str) -> [u8; 16] {
    derive([0; 16], text).into_bytes()
}

/// The disk's identifier, given or derived.
pub(super) fn disk_id(spec: &Spec, seed: [u8; 16]) -> DiskId {
    let derived = derive(seed, "disk");
    spec.disk.id.as_ref().map_or_else(
        || match spec.disk.scheme() {
            Scheme::Gpt => DiskId::Gpt(derived),
            Scheme::Mbr => DiskId::Mbr(first_32_bits(derived)),
            Scheme::None => DiskId::None,
        },
        |id| id.value,
    )
}

/// The identifier of a file system, given or derived.
pub(super) fn filesystem_id(
    seed: [u8; 16],
    number: u32,
    kind: &str,
    kinds: &Kinds,
    given: Option<FilesystemId>,
) -> Result<Uuid, Reason> {
    let identifier = kinds.get(kind).identifier;
    let wrong = |expected| Reason::FilesystemId {
        kind: kind.to_owned(),
        expected,
    };
    let of_serial = |serial: u32| Uuid::from_u128(u128::from(serial));
    match (given, identifier) {
        (Some(_), Identifier::None) => Err(Reason::NoFilesystemId {
            kind: kind.to_owned(),
        }),
        (Some(FilesystemId::Uuid(uuid)), _) if uuid.is_nil() => Err(Reason::NilFilesystemId),
        (Some(FilesystemId::Serial(0)), _) => Err(Reason::NilFilesystemId),
        (Some(FilesystemId::Uuid(_)), Identifier::Serial) => {
            Err(wrong("a serial number, such as \"ABCD-1234\""))
        }
        (Some(FilesystemId::Serial(_)), Identifier::Uuid) => {
            Err(wrong("a UUID of 32 hexadecimal digits"))
        }
        (Some(FilesystemId::Uuid(uuid)), Identifier::Uuid | Identifier::Untold) => Ok(uuid),
        (Some(FilesystemId::Serial(serial)), Identifier::Serial | Identifier::Untold) => {
            Ok(of_serial(serial))
        }
        (None, _) => {
            let derived = derive(seed, &format!("filesystem/{number}"));
            Ok(match identifier {
                Identifier::Serial => of_serial(first_32_bits(derived)),
                Identifier::Uuid | Identifier::None | Identifier::Untold => derived,
            })
        }
    }
}

/// The identifier of a file system as `blkid` shows it; none where the format stores none.
pub(super) fn shown(uuid: Uuid, kind: &str, kinds: &Kinds) -> Option<String> {
    match kinds.get(kind).identifier {
        Identifier::None => None,
        Identifier::Serial => {
            let [high, low] = [16, 0].map(|shift| (uuid.as_u128() >> shift) & 0xffff);
            Some(format!("{high:04X}-{low:04X}"))
        }
        Identifier::Uuid | Identifier::Untold => Some(uuid.to_string()),
    }
}

/// What a formatter derives its own values from.
pub(super) fn hash_seed(seed: [u8; 16], number: u32) -> [u8; 16] {
    derive(seed, &format!("hash-seed/{number}")).into_bytes()
}

pub(super) fn derive(seed: [u8; 16], name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::from_bytes(seed), name.as_bytes())
}

fn first_32_bits(uuid: Uuid) -> u32 {
    uuid.as_fields().0
}

/// The identity of every partition, in the order of the spec.
pub(super) fn identities(spec: &Spec, seed: [u8; 16]) -> Result<Vec<Identity>, PlanError> {
    let scheme = spec.disk.scheme();
    let numbers = numbers(spec, scheme)?;
    let names = names(spec, scheme, &numbers)?;
    let identities: Vec<Identity> = spec
        .partitions
        .iter()
        .zip(numbers.into_iter().zip(names))
        .map(|(partition, (number, name))| {
            let given = partition.id.as_ref().map(|id| id.value);
            let id = given.unwrap_or_else(|| derive(seed, &format!("partition/{number}")));
            Identity {
                number,
                name,
                id: (scheme == Scheme::Gpt).then_some(id),
            }
        })
        .collect();
    check_ids(spec, disk_id(spec, seed), &identities)?;
    check_active(spec, &identities)?;
    Ok(identities)
}

/// The number of the extended partition that holds logical ones, where the table has such.
pub(super) fn extended_number(spec: &Spec) -> Option<u32> {
    let given = spec.disk.layout.extended_number.as_ref();
    let usual = spec.disk.scheme().primaries()?;
    Some(given.map_or(usual, |number| number.value))
}

/// The numbers: as given, otherwise the lowest that is free. With logical partitions, those without a number are primary
/// before the extended one, and logical from it on.
fn numbers(spec: &Spec, scheme: Scheme) -> Result<Vec<u32>, PlanError> {
    let given = given_numbers(spec)?;
    let count = spec.partitions.len();
    let primaries = scheme.primaries().unwrap_or(u32::MAX);
    let has_logicals = spec.disk.layout.extended_number.is_some()
        || u32::try_from(count).is_ok_and(|count| count > primaries)
        || given.keys().any(|number| *number > primaries);
    let extended = extended_number(spec).filter(|_| has_logicals);
    let most = scheme.most_partitions();
    let mut free = (1..=most)
        .filter(|number| !given.contains_key(number))
        .filter(|number| extended.is_none_or(|extended| *number < extended || *number > primaries));
    let mut numbers = Vec::with_capacity(count);
    for partition in &spec.partitions {
        let place = partition
            .number
            .as_ref()
            .map_or(&partition.place, |number| &number.place);
        let number = match partition.number.as_ref().map(|number| number.value) {
            Some(number) if number > most => {
                return Err(Reason::NumberOutOfRange {
                    number,
                    scheme,
                    most,
                }
                .at(Some(place.clone())));
            }
            Some(number) if Some(number) == extended => {
                return Err(Reason::ExtendedNumber { number }.at(Some(place.clone())));
            }
            Some(number) => number,
            None => free.next().ok_or_else(|| {
                Reason::TooManyPartitions {
                    count,
                    scheme,
                    most,
                }
                .at(Some(place.clone()))
            })?,
        };
        numbers.push(number);
    }
    if let Some(primaries) = scheme.primaries() {
        check_order(spec, &numbers, primaries)?;
    }
    Ok(numbers)
}

/// The numbers that the spec gives, each with the index of its partition.
fn given_numbers(spec: &Spec) -> Result<BTreeMap<u32, usize>, PlanError> {
    let mut given: BTreeMap<u32, usize> = BTreeMap::new();
    for (index, partition) in spec.partitions.iter().enumerate() {
        let Some(number) = &partition.number else {
            continue;
        };
        if let Some(earlier) = given.insert(number.value, index) {
            let earlier_partition = &spec.partitions[earlier];
            let other = earlier_partition
                .name
                .as_ref()
                .map_or_else(|| (earlier + 1).to_string(), |name| name.value.clone());
            let reason = Reason::DuplicateNumber {
                number: number.value,
                other,
            };
            let related = earlier_partition
                .number
                .as_ref()
                .map(|number| number.place.clone());
            let error = reason.at(Some(number.place.clone()));
            let error = error.of(Named {
                number: number.value,
                name: partition
                    .name
                    .as_ref()
                    .map_or_else(|| (index + 1).to_string(), |name| name.value.clone()),
            });
            return Err(PlanError { related, ..error });
        }
    }
    Ok(given)
}

/// On an MBR logical partitions follow each other and are numbered in their order; nobody asks for an extended one.
fn check_order(spec: &Spec, numbers: &[u32], primaries: u32) -> Result<(), PlanError> {
    let mut expected = primaries + 1;
    let mut is_behind_logicals = false;
    for (partition, number) in spec.partitions.iter().zip(numbers.iter().copied()) {
        let place = partition
            .number
            .as_ref()
            .map_or(&partition.place, |number| &number.place);
        let named = Named {
            number,
            name: given_or_default_name(partition, number),
        };
        let kind = &partition.kind;
        let of_kind = if kind.value.is_extended() {
            Some(Reason::ExtendedType)
        } else if kind.value.is_protective() {
            Some(Reason::ProtectiveType)
        } else {
            None
        };
        if let Some(reason) = of_kind {
            return Err(reason.at(Some(kind.place.clone())).of(named));
        }
        let reason = if number <= primaries {
            is_behind_logicals |= expected > primaries + 1;
            continue;
        } else if is_behind_logicals {
            Reason::LogicalBehindPrimary
        } else if number != expected {
            Reason::LogicalOutOfTurn { number, expected }
        } else {
            expected += 1;
            continue;
        };
        return Err(reason.at(Some(place.clone())).of(named));
    }
    match &spec.disk.layout.extended_number {
        Some(given) if expected == primaries + 1 => Err(Reason::ExtendedEmpty {
            number: given.value,
        }
        .at(Some(given.place.clone()))),
        _ => Ok(()),
    }
}

/// The names: as given, otherwise after the type, with a number behind it from the second on.
fn names(spec: &Spec, scheme: Scheme, numbers: &[u32]) -> Result<Vec<String>, PlanError> {
    let mut taken: BTreeMap<String, (u32, Place)> = BTreeMap::new();
    for (partition, number) in spec.partitions.iter().zip(numbers.iter().copied()) {
        let named = Named {
            number,
            name: given_or_default_name(partition, number),
        };
        for name in [&partition.gpt_name, &partition.name].into_iter().flatten() {
            check_name(&name.value, scheme)
                .map_err(|reason| reason.at(Some(name.place.clone())).of(named.clone()))?;
        }
        let Some(name) = &partition.name else {
            continue;
        };
        if let Some((other, place)) = taken.insert(name.value.clone(), (number, name.place.clone()))
        {
            let error = Reason::DuplicateName { other }.at(Some(name.place.clone()));
            return Err(error.of(named).with_related(place));
        }
    }
    let mut used: BTreeSet<String> = taken.into_keys().collect();
    let mut names = Vec::with_capacity(numbers.len());
    for (partition, number) in spec.partitions.iter().zip(numbers.iter().copied()) {
        let name = match &partition.name {
            Some(name) => name.value.clone(),
            None => unused_name(given_or_default_name(partition, number), &used),
        };
        used.insert(name.clone());
        names.push(name);
    }
    Ok(names)
}

fn given_or_default_name(partition: &PartitionSpec, number: u32) -> String {
    partition.name.as_ref().map_or_else(
        || {
            let type_name = partition.kind.value.name();
            type_name.map_or_else(|| format!("partition-{number}"), str::to_owned)
        },
        |name| name.value.clone(),
    )
}

/// `base`, or the first of `base-2`, `base-3`… that is not used.
fn unused_name(base: String, used: &BTreeSet<String>) -> String {
    if !used.contains(&base) {
        return base;
    }
    let numbered = (2_u32..).map(|count| format!("{base}-{count}"));
    numbered
        .into_iter()
        .find(|name| !used.contains(name))
        .unwrap_or(base)
}

fn check_name(name: &str, scheme: Scheme) -> Result<(), Reason> {
    if let Some(character) = control_character(name) {
        return Err(Reason::NameHasControl { character });
    }
    let units = name.encode_utf16().count();
    if scheme == Scheme::Gpt && units > MAX_NAME_UNITS {
        return Err(Reason::NameTooLong {
            units,
            most: MAX_NAME_UNITS,
        });
    }
    Ok(())
}

fn control_character(text: &str) -> Option<char> {
    text.chars().find(|character| character.is_control())
}

/// Refuses a label that has a control character. What else a format does not take, its formatter says.
pub(super) fn check_label(label: &str) -> Result<(), Reason> {
    match control_character(label) {
        Some(character) => Err(Reason::LabelHasControl { character }),
        None => Ok(()),
    }
}

/// Refuses two partitions that a BIOS is to boot.
fn check_active(spec: &Spec, identities: &[Identity]) -> Result<(), PlanError> {
    let mut found: Option<(&Identity, &Place)> = None;
    for (partition, identity) in spec.partitions.iter().zip(identities) {
        let Some(active) = partition.active.as_ref().filter(|active| active.value) else {
            continue;
        };
        if let Some((other, place)) = found.replace((identity, &active.place)) {
            let other = other.name.clone();
            let error = Reason::DuplicateActive { other }.at(Some(active.place.clone()));
            return Err(error.of(identity.named()).with_related(place.clone()));
        }
    }
    Ok(())
}

fn check_ids(spec: &Spec, disk: DiskId, identities: &[Identity]) -> Result<(), PlanError> {
    let mut seen: BTreeMap<Uuid, String> = BTreeMap::new();
    if let DiskId::Gpt(id) = disk {
        seen.insert(id, "the disk".to_owned());
    }
    for (partition, identity) in spec.partitions.iter().zip(identities) {
        let Some(id) = identity.id else { continue };
        if let Some(other) = seen.insert(id, identity.named().to_string()) {
            let place = partition
                .id
                .as_ref()
                .map_or(&partition.place, |id| &id.place);
            return Err(Reason::DuplicateId { id, other }
                .at(Some(place.clone()))
                .of(identity.named()));
        }
    }
    Ok(())
}

/// The position of the partition of that name.
pub(super) fn position(name: &str, identities: &[Identity]) -> Result<usize, Reason> {
    let names = || identities.iter().map(|identity| &*identity.name);
    names()
        .position(|known| known == name)
        .ok_or_else(|| Reason::NoSuchPartition {
            name: name.to_owned(),
            nearest: nearest(name, names()).map(str::to_owned),
        })
}
