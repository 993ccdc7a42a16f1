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
mod emmc;
mod roles;
mod structure;
mod top;

use std::collections::BTreeMap;

use toml::de::DeValue;
use uuid::{Uuid, uuid};

use super::super::fields::{Fields, parsed};
use super::super::size::MIB;
use super::super::value::{ValueError, parse_choice, parse_disk_id};
use super::super::volume::{Note, Volume};
use super::super::{
    BootSpec, DiskSize, DiskSpec, FilesystemSpec, Margin, PartitionSpec, Place, Placed, RawSpec,
    RawWhat, SizeRule, Spec, TableName, Within,
};
use super::{
    FIRST_START, HYBRID_ENTRIES, Labels, MOST_BYTES, SECTOR, VolumeFault, is_empty_list, is_given,
    optional, partition,
};
use cellblock_table::{Lba, PartitionType, Scheme, SectorSize, Shape};
pub(crate) use content::Folders;
use roles::{Roles, Seed};
use structure::{Kind, Structure, Structures};

/// Beside `emmc`, which is none. snapd itself no longer takes a hybrid.
const SCHEMAS: [(&str, TableName); 3] = [
    ("gpt", TableName::Gpt),
    ("mbr", TableName::Mbr),
    ("mbr,gpt", TableName::Hybrid),
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
/// The name and the label of the root file system that is appended.
const WRITABLE: &str = "writable";
/// The type of it.
const LINUX_DATA: Uuid = uuid!("0FC63DAF-8483-4772-8E79-3D69D8477DE4");
const LINUX: u8 = 0x83;
/// The room that it has beside its content, in parts per million of what that needs.
const ROOT_MARGIN: u64 = 500_000;
/// The bytes of an address that is written.
const ADDRESS_BYTES: u64 = 4;

/// Reads a gadget whose content lies in `folders`. Without a structure for the root file system, one is appended that
/// `has_root`.
pub(crate) fn read(
    top: &mut Fields<'_, '_>,
    folders: Folders<'_>,
    has_root: bool,
    notes: &mut Vec<Note>,
) -> Vec<Volume> {
    top::check(top);
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
        return Vec::new();
    }
    let mut roles = Roles::new(Seed::among(
        entries.iter().map(|(_, volume)| volume.get_ref()),
    ));
    let mut loaders: Vec<Place> = Vec::new();
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
        if emmc::is_one(&mut fields) {
            emmc::check(&mut fields);
            notes.push(Note {
                place: fields.place.clone(),
                text: "the hardware partitions of an eMMC are in no image: this volume is left out"
                    .to_owned(),
            });
            fields.finish();
            continue;
        }
        let spec = read_volume(&mut fields, folders, &mut roles, notes);
        let has_loader = is_given(&mut fields, "bootloader");
        if let (true, Some(loader)) = (has_loader, fields.get("bootloader")) {
            let place = fields.at(loader);
            if let Some(first) = loaders.first() {
                let fault = VolumeFault::SecondBootLoader {
                    first: first.clone(),
                };
                fields.problem(fault.into(), place.clone());
            }
            loaders.push(place);
        }
        fields.finish();
        roles.next_volume();
        read.push((spec, has_loader, name));
    }
    roles.check(&mut volumes);
    if loaders.is_empty() {
        let place = volumes.place.clone();
        volumes.problem(VolumeFault::NoBootLoader.into(), place);
    }
    if has_root && !read.iter().any(|(of_volume, ..)| of_volume.has_root) {
        let of_loader = read.iter().position(|(_, has_loader, _)| *has_loader);
        if let Some((of_volume, ..)) = read.get_mut(of_loader.unwrap_or(0)) {
            of_volume.append_root();
        }
    }
    for (of_volume, _, name) in &read {
        if of_volume.spec.partitions.is_empty() && of_volume.is_empty {
            volumes.set_within(Within::Volume {
                name: (*name).to_owned(),
            });
            volumes.problem(VolumeFault::NoStructure.into(), of_volume.place.clone());
        }
    }
    let read = read.into_iter();
    let volumes = read.map(|(of_volume, _, name)| Volume {
        name: Some(name.to_owned()),
        root: None,
        appended: of_volume.appended,
        spec: of_volume.spec,
    });
    volumes.collect()
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    name.len() >= 2 && name.bytes().all(allowed) && !name.starts_with('-')
}

/// A volume as it is read.
struct Read {
    spec: Spec,
    /// Where the volume stands.
    place: Place,
    /// Where the structures end, in bytes.
    end: u64,
    /// Whether there is no structure.
    is_empty: bool,
    /// Whether a structure holds the root file system.
    has_root: bool,
    /// The index of the partition that is appended for it.
    appended: Option<usize>,
}

impl Read {
    /// Appends the root file system, which nothing else is there for, as ubuntu-image does: with half as much room again as
    /// its content needs.
    fn append_root(&mut self) {
        let placed = |value: &str| Placed {
            value: value.to_owned(),
            place: self.place.clone(),
        };
        let table = self.spec.disk.table_name();
        let kind = match table.scheme() {
            Scheme::Mbr => PartitionType::Mbr(LINUX),
            // A volume of a gadget has a table.
            Scheme::Gpt | Scheme::None => PartitionType::Gpt(LINUX_DATA),
        };
        let in_mbr = self.spec.partitions.iter();
        let in_mbr = in_mbr.filter(|partition| partition.mbr_type.is_some());
        let has_room = table == TableName::Hybrid && in_mbr.count() < HYBRID_ENTRIES;
        let place = self.place.clone();
        let at = |value| Placed {
            value,
            place: place.clone(),
        };
        let root = PartitionSpec {
            name: Some(placed(WRITABLE)),
            size: Some(Placed {
                value: SizeRule::Minimum(Margin::PartsPerMillion(ROOT_MARGIN)),
                place: place.clone(),
            }),
            offset: self
                .end
                .max(FIRST_START)
                .checked_next_multiple_of(MIB)
                .map(|offset| Placed {
                    value: offset,
                    place: place.clone(),
                }),
            mbr_type: has_room.then(|| at(LINUX)),
            filesystem: Some(FilesystemSpec {
                kind: placed("ext4"),
                label: Some(placed(WRITABLE)),
                uuid: None,
                content: Vec::new(),
                content_places: BTreeMap::new(),
                options: BTreeMap::new(),
                drop: Vec::new(),
                selinux: None,
            }),
            ..partition(
                place.clone(),
                Placed {
                    value: kind,
                    place: place.clone(),
                },
            )
        };
        self.appended = Some(self.spec.partitions.len());
        self.spec.partitions.push(root);
        self.spec.disk.size = None;
    }
}

fn read_volume(
    fields: &mut Fields<'_, '_>,
    folders: Folders<'_>,
    roles: &mut Roles,
    notes: &mut Vec<Note>,
) -> Read {
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
    let mut reader = Structures {
        table: name,
        folders,
        roles,
        labels: Labels::default(),
        notes,
    };
    let structures: Vec<Structure> = if is_given(fields, "structure") {
        fields.take_tables("structure", |index, fields| reader.read(index, fields))
    } else {
        Vec::new()
    };
    let list = fields.get("structure");
    let is_empty = list.is_none_or(is_empty_list);
    let structures = lay_out(fields, structures);
    let end = structures.iter().map(Structure::end).max().unwrap_or(0);
    let has_root = structures.iter().any(|structure| structure.is_root);
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
        place: place.clone(),
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
    Read {
        spec: Spec {
            disk,
            partitions,
            boot: BootSpec::default(),
            guests: BTreeMap::new(),
            cache: None,
        },
        place,
        end,
        is_empty,
        has_root,
        appended: None,
    }
}

/// The table; a GPT when there is no `schema`.
fn read_schema(fields: &mut Fields<'_, '_>) -> Option<Placed<TableName>> {
    optional(
        fields,
        "schema",
        parsed(|text| parse_choice(text, &SCHEMAS)),
    )
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
        parsed(|text| parse_choice(text, &PARTIAL).map(|is_schema| (text.to_owned(), is_schema)))(
            value,
        )
    });
    let texts = words.iter().map(|word| Placed {
        value: word.value.0.clone(),
        place: word.place.clone(),
    });
    let texts: Vec<Placed<String>> = texts.collect();
    refuse_repeated(fields, &texts);
    for word in words.into_iter().filter(|word| word.value.1) {
        fields.problem(VolumeFault::PartialSchema.into(), word.place);
    }
}

/// Refuses what is in a list twice.
fn refuse_repeated(fields: &mut Fields<'_, '_>, list: &[Placed<String>]) {
    for (index, word) in list.iter().enumerate() {
        let first = list[..index].iter().find(|first| first.value == word.value);
        if let Some(first) = first {
            let fault = VolumeFault::Repeated {
                word: word.value.clone(),
                first: first.place.clone(),
            };
            fields.problem(fault.into(), word.place.clone());
        }
    }
}

/// A number of bytes, or of MiB or GiB with `M` or `G` right behind it.
fn size(value: &DeValue<'_>) -> Result<u64, ValueError> {
    parsed(|text| {
        parse_size(text).ok_or_else(|| ValueError::NotAVolumeSize {
            text: text.to_owned(),
        })
    })(value)
}

fn parse_size(text: &str) -> Option<u64> {
    super::parse_size(text).filter(|_| !text.contains(char::is_whitespace))
}

/// Gives every structure its start, refuses those that end beyond all files, and sorts the others by it.
fn lay_out(fields: &mut Fields<'_, '_>, mut structures: Vec<Structure>) -> Vec<Structure> {
    let mut end = 0;
    structures.retain_mut(|structure| {
        let least = match structure.kind {
            Kind::BootCode => 0,
            Kind::Bare | Kind::Partition { .. } => FIRST_START,
        };
        structure.start = match &structure.offset {
            Some(offset) => offset.value,
            None if end < least => least,
            None => end,
        };
        if structure.start > MOST_BYTES - structure.size {
            let fault = VolumeFault::BeyondFile {
                start: structure.start,
                size: structure.size,
                most: MOST_BYTES,
            };
            structure.problem(fields, fault, structure.size_place.clone());
            return false;
        }
        end = structure.end();
        if structure.kind == Kind::BootCode && structure.start != 0 && structure.offset.is_none() {
            let fault = VolumeFault::Rule {
                kind: "mbr",
                rule: "begins at offset 0, so that it comes first or has offset: 0",
            };
            structure.problem(fields, fault, structure.place.clone());
        }
        true
    });
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
            let end = address.value.offset + ADDRESS_BYTES;
            let first = structures.first();
            let fault = match (&address.value.relative_to, first) {
                (Some(name), Some(first)) if first.is_called(name) && first.start == 0 => {
                    let room = first.size;
                    (end > room).then_some(VolumeFault::AddressBeyond { end, room })
                }
                (Some(name), _) if structures.iter().any(|other| other.is_called(name)) => {
                    let name = name.clone();
                    Some(VolumeFault::AddressElsewhere { name })
                }
                (Some(name), _) => Some(VolumeFault::UnknownStructure { name: name.clone() }),
                (None, _) => {
                    let room = structures.iter().map(Structure::end).max().unwrap_or(0);
                    (end > room).then_some(VolumeFault::AddressBehind { end, room })
                }
            };
            if let Some(fault) = fault {
                structure.problem(fields, fault, place);
                continue;
            }
            let what = match (&structure.kind, &structure.name) {
                (Kind::Partition { .. }, Some(name)) => RawWhat::LbaOf {
                    partition: Placed {
                        value: name.value.clone(),
                        place,
                    },
                    plus,
                },
                _ => RawWhat::Lba(Placed {
                    value: structure.start + plus,
                    place,
                }),
            };
            raw.push(RawSpec {
                what,
                offset: address.value.offset,
            });
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
            is_unnamed: self.name.is_none(),
            gpt_name: None,
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
