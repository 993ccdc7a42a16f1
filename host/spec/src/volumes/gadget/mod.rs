//! snapd's `gadget.yaml`: any number of volumes, of partitions and of raw areas between them.
//!
//! ```yaml
//! volumes:
//!   pc:
//!     bootloader: grub
//!     structure:
//!       - {name: mbr, type: mbr, size: 440, content: [{image: pc-boot.img}]}
//!       - name: BIOS Boot
//!         type: DA,21686148-6449-6E6F-744E-656564454649
//!         size: 1M
//!         offset: 1M
//!         offset-write: mbr+92
//!         content: [{image: pc-core.img}]
//! ```
//!
//! A structure without an `offset` lies behind the one before it, and at 1 MiB or later. Partitions come in the order of
//! the disk, whatever that of the file. The disk ends at the next MiB behind them.

mod content;
mod structure;

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeValue;

use super::super::fields::{Fields, parsed};
use super::super::project::{Note, Volume};
use super::super::size::MIB;
use super::super::value::{ValueError, parse_choice, parse_disk_id};
use super::super::{
    BootSpec, DiskSize, DiskSpec, PartitionSpec, Placed, RawSpec, RawWhat, SizeRule, Spec,
    TableName, Within,
};
use super::{
    FIRST_START, HYBRID_ENTRIES, Labels, SECTOR, VolumeFault, is_empty_list, is_given, optional,
    partition,
};
use cellblock_table::{Lba, Scheme, SectorSize, Shape};
use structure::{Kind, Structure, Structures};

/// Top-level keys that say nothing of the disk.
const OTHER_KEYS: [&str; 7] = [
    "defaults",
    "connections",
    "kernel-cmdline",
    "volume-assignments",
    "device-tree",
    "device-tree-origin",
    "format",
];
const SCHEMAS: [(&str, Option<TableName>); 4] = [
    ("gpt", Some(TableName::Gpt)),
    ("mbr", Some(TableName::Mbr)),
    ("mbr,gpt", Some(TableName::Hybrid)),
    ("emmc", None),
];
/// Boot loaders, which make no difference here.
const BOOTLOADERS: [(&str, ()); 5] = [
    ("grub", ()),
    ("u-boot", ()),
    ("android-boot", ()),
    ("piboot", ()),
    ("lk", ()),
];
/// What an installer may be left to decide.
const PARTIAL: [(&str, bool); 4] = [
    ("schema", true),
    ("structure", false),
    ("size", false),
    ("filesystem", false),
];
const NAME_RULE: &str =
    "a name has two letters, digits and hyphens or more, of which the first is no hyphen";
/// The bytes of an address that is written.
const ADDRESS_BYTES: u64 = 4;

/// Reads a gadget whose content lies below `root`.
pub(crate) fn read(top: &mut Fields<'_, '_>, root: &Path, notes: &mut Vec<Note>) -> Vec<Volume> {
    for key in OTHER_KEYS {
        top.get(key);
    }
    let example = "volumes: {pc: {bootloader: grub, structure: […]}}";
    let is_there = top.require("volumes", example, |_| Ok(())).is_some();
    let Some(mut volumes) = is_there
        .then(|| top.take_table("volumes", Within::Top))
        .flatten()
    else {
        return Vec::new();
    };
    let entries = volumes.entries();
    if entries.is_empty() {
        let place = volumes.place.clone();
        volumes.problem(VolumeFault::NoVolume.into(), place);
    }
    let mut read = Vec::new();
    for (name, value) in entries {
        if !is_name(name) {
            let fault = VolumeFault::Name {
                name: name.to_owned(),
                rule: NAME_RULE,
            };
            volumes.problem(fault.into(), volumes.place_of(name));
        }
        let within = Within::Volume {
            name: name.to_owned(),
        };
        let Some(mut fields) = volumes.inner_of(name, value, within) else {
            continue;
        };
        let spec = read_volume(&mut fields, root, notes);
        fields.finish();
        read.push(Volume {
            name: Some(name.to_owned()),
            root: None,
            spec,
        });
    }
    read
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    name.len() >= 2 && name.bytes().all(allowed) && !name.starts_with('-')
}

fn read_volume(fields: &mut Fields<'_, '_>, root: &Path, notes: &mut Vec<Note>) -> Spec {
    let table = read_schema(fields);
    let name = table.as_ref().map_or(TableName::Gpt, |table| table.value);
    optional(
        fields,
        "bootloader",
        parsed(|text| parse_choice(text, &BOOTLOADERS)),
    );
    let id = optional(fields, "id", |value| disk_id(value, name.scheme()));
    read_partial(fields);
    let place = fields.place.clone();
    fields.require("structure", "structure: [{name: rootfs, …}]", |_| Ok(()));
    let mut reader = Structures {
        table: name,
        root,
        has_seed: has_seed(fields),
        labels: Labels::default(),
        notes,
    };
    let structures: Vec<Structure> = if is_given(fields, "structure") {
        fields.take_tables("structure", |index, fields| reader.read(index, fields))
    } else {
        Vec::new()
    };
    if fields.get("structure").is_some_and(is_empty_list) {
        fields.problem(VolumeFault::NoStructure.into(), place.clone());
    }
    let structures = lay_out(fields, structures);
    let mut disk = DiskSpec {
        table,
        id,
        ..DiskSpec::default()
    };
    write_addresses(fields, &structures, &mut disk.raw);
    disk.size = disk_size(&structures, name.scheme()).map(|bytes| Placed {
        value: DiskSize::Fixed(bytes),
        place: place.clone(),
    });
    disk.alignment = Some(Placed {
        value: SECTOR,
        place,
    });
    let mut partitions: Vec<PartitionSpec> = Vec::new();
    for structure in structures {
        match structure.kind {
            Kind::BootCode | Kind::Bare => {
                disk.raw.extend(structure.raw_on_disk());
            }
            Kind::Partition { .. } => partitions.extend(structure.into_partition()),
        }
    }
    limit_hybrid(&mut partitions, notes);
    Spec {
        disk,
        partitions,
        boot: BootSpec::default(),
        guests: BTreeMap::new(),
    }
}

/// The table; a GPT when there is no `schema`.
fn read_schema(fields: &mut Fields<'_, '_>) -> Option<Placed<TableName>> {
    let schema = optional(
        fields,
        "schema",
        parsed(|text| parse_choice(text, &SCHEMAS)),
    )?;
    let Some(value) = schema.value else {
        fields.problem(VolumeFault::Emmc.into(), schema.place);
        return None;
    };
    Some(Placed {
        value,
        place: schema.place,
    })
}

/// The identifier of the disk: a UUID, or up to 8 hexadecimal digits.
fn disk_id(value: &DeValue<'_>, scheme: Scheme) -> Result<cellblock_table::DiskId, ValueError> {
    parsed(|text| {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let is_short = scheme == Scheme::Mbr && digits.len() <= 8;
        let padded = format!("0x{digits:0>8}");
        parse_disk_id(if is_short { &padded } else { text }, scheme)
    })(value)
}

fn read_partial(fields: &mut Fields<'_, '_>) {
    if !is_given(fields, "partial") {
        fields.get("partial");
        return;
    }
    let words = fields.take_list("partial", |value| {
        parsed(|text| parse_choice(text, &PARTIAL))(value)
    });
    for word in words.into_iter().filter(|word| word.value) {
        fields.problem(VolumeFault::PartialSchema.into(), word.place);
    }
}

/// Whether a structure is the seed of Ubuntu Core 20 or later, whose roles imply other labels than before.
fn has_seed(fields: &mut Fields<'_, '_>) -> bool {
    let Some(list) = fields
        .get("structure")
        .and_then(|value| value.get_ref().as_array())
    else {
        return false;
    };
    list.iter().any(|item| {
        let table = item.get_ref().as_table();
        let role = table.and_then(|table| table.iter().find(|(key, _)| key.get_ref() == "role"));
        let role = role.and_then(|(_, value)| value.get_ref().as_str());
        matches!(role, Some("system-seed" | "system-seed-null"))
    })
}

/// Gives every structure its start, and sorts them by it.
fn lay_out(fields: &mut Fields<'_, '_>, mut structures: Vec<Structure>) -> Vec<Structure> {
    let mut end = 0;
    for structure in &mut structures {
        let least = match structure.kind {
            Kind::BootCode => 0,
            Kind::Bare | Kind::Partition { .. } => FIRST_START,
        };
        structure.start = match &structure.offset {
            Some(offset) => offset.value,
            None if end < least => least,
            None => end,
        };
        end = structure.end();
    }
    structures.sort_by_key(|structure| structure.start);
    for (index, structure) in structures.iter().enumerate().skip(1) {
        let before = &structures[index - 1];
        if structure.start < before.end() {
            let fault = VolumeFault::Overlap {
                start: structure.start,
                other: before.called(),
                end: before.end(),
                first: before.place.clone(),
            };
            structure.problem(fields, fault, structure.place_of_start());
        }
    }
    structures
}

/// What `offset-write` asks for: the sector of a structure, written elsewhere.
fn write_addresses(fields: &mut Fields<'_, '_>, structures: &[Structure], raw: &mut Vec<RawSpec>) {
    for structure in structures {
        for (address, plus) in structure.addresses() {
            let place = address.place.clone();
            let base = match &address.value.relative_to {
                None => Some((0, None)),
                Some(name) => structures
                    .iter()
                    .find(|other| other.is_called(name))
                    .map(|other| (other.start, Some(other.size))),
            };
            let Some((base, room)) = base else {
                let fault = VolumeFault::UnknownStructure {
                    name: address.value.relative_to.clone().unwrap_or_default(),
                };
                structure.problem(fields, fault, place);
                continue;
            };
            let end = address.value.offset.saturating_add(ADDRESS_BYTES);
            if let Some(room) = room.filter(|room| end > *room) {
                structure.problem(fields, VolumeFault::AddressBeyond { end, room }, place);
                continue;
            }
            match (&structure.kind, &structure.name) {
                (Kind::Partition { .. }, Some(name)) => raw.push(RawSpec {
                    what: RawWhat::LbaOf {
                        partition: Placed {
                            value: name.value.clone(),
                            place,
                        },
                        plus,
                    },
                    offset: base.saturating_add(address.value.offset),
                }),
                _ => structure.problem(fields, VolumeFault::AddressOfNoPartition, place),
            }
        }
    }
}

/// The next whole MiB behind all structures and the table.
fn disk_size(structures: &[Structure], scheme: Scheme) -> Option<u64> {
    let reserved = scheme.reserved(SectorSize::B512, &Shape::default());
    let behind = Lba(reserved.at_end).to_bytes(SectorSize::B512);
    let end = structures.iter().map(Structure::end).max()?;
    end.checked_add(behind)?.checked_next_multiple_of(MIB)
}

/// Leaves the first partitions in the MBR of a hybrid table, as many as there is room for.
fn limit_hybrid(partitions: &mut [PartitionSpec], notes: &mut Vec<Note>) {
    let in_mbr = partitions.iter_mut().filter(|it| it.mbr_type.is_some());
    for partition in in_mbr.skip(HYBRID_ENTRIES) {
        partition.active = None;
        if let Some(kind) = partition.mbr_type.take() {
            notes.push(super::only_in_gpt(kind.place));
        }
    }
}

impl Structure {
    /// The partition that it is, with its place and size.
    fn into_partition(self) -> Option<PartitionSpec> {
        let place = self.place_of_start();
        let Kind::Partition { kind, mbr_type } = self.kind else {
            return None;
        };
        Some(PartitionSpec {
            name: self.name,
            size: Some(Placed {
                value: SizeRule::Fixed(self.size),
                place: self.size_place,
            }),
            offset: Some(Placed {
                value: self.start,
                place,
            }),
            id: self.id,
            mbr_type,
            active: self.active,
            filesystem: self.filesystem,
            raw: self.images.into_iter().map(|image| image.raw).collect(),
            ..partition(self.place, kind)
        })
    }
}
