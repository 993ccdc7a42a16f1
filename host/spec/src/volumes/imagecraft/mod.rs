//! imagecraft's project file, `imagecraft.yaml`: of one volume its table and partitions, and what is mounted where.
//!
//! The partitions lie as imagecraft lays them: from 1 MiB on without a gap, whatever their sizes; after them come 34
//! sectors for the GPT's backup. In an MBR, of more than four the first three are primary, and 1 MiB before each of the
//! others holds its boot record.

mod grammar;
mod top;

pub(crate) use grammar::Platform;

use toml::de::{DeTable, DeValue};
use uuid::{Uuid, uuid};

use super::{
    FIRST_START, HYBRID_ENTRIES, Label, Labels, SECTOR, VolumeFault, filesystem, hybrid_type,
    is_empty_list, is_given, only_in_gpt, optional, partition, size,
};
use crate::fields::{self, Fields, Findings};
use crate::place::Files;
use crate::scalar::{Word, resolved};
use crate::value::{ValueError, parse_choice, parse_partition_id};
use crate::volume::{Note, Volume};
use crate::{
    BootSpec, DiskSize, DiskSpec, PartitionSpec, Place, Placed, SizeRule, Spec, TableName, Within,
};
use cellblock_table::PartitionType;

/// The types that a GPT partition may have.
const GPT_TYPES: [(&str, Uuid); 6] = [
    (
        "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
        uuid!("0FC63DAF-8483-4772-8E79-3D69D8477DE4"),
    ),
    (
        "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
        uuid!("EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"),
    ),
    (
        "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
        uuid!("C12A7328-F81F-11D2-BA4B-00A0C93EC93B"),
    ),
    (
        "21686148-6449-6E6F-744E-656564454649",
        uuid!("21686148-6449-6E6F-744E-656564454649"),
    ),
    (
        "BC13C2FF-59E6-4262-A352-B275FD6F7172",
        uuid!("BC13C2FF-59E6-4262-A352-B275FD6F7172"),
    ),
    (
        "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
        uuid!("4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"),
    ),
];
/// The types that an MBR partition may have.
const MBR_TYPES: [(&str, u8); 2] = [("0C", 0x0c), ("83", 0x83)];
const FILESYSTEMS: [(&str, &str); 4] = [
    ("ext4", "ext4"),
    ("ext3", "ext3"),
    ("fat16", "fat16"),
    ("vfat", "vfat"),
];
/// The role whose partition is marked for a BIOS to boot.
const BOOT_ROLE: &str = "system-boot";
const ROLES: [(&str, &str); 4] = [
    ("system-data", "system-data"),
    (BOOT_ROLE, BOOT_ROLE),
    ("system-seed", "system-seed"),
    ("system-save", "system-save"),
];
/// What names are made of.
const NAME_RULE: &str =
    "a name has lower-case letters, digits and hyphens, and no hyphen at either end";
/// The same of a structure, whose name goes into the table.
const STRUCTURE_NAME_RULE: &str =
    "a name has at most 36 lower-case letters, digits and hyphens, and no hyphen at either end";
/// The longest name that a GPT holds.
const MOST_NAME: usize = 36;
/// The partitions that an MBR holds without logical ones.
const MBR_SLOTS: usize = 4;
/// The primary partitions of an MBR with logical ones.
const PRIMARY: usize = 3;
/// The type of the partition that holds the logical ones.
const EXTENDED: u8 = 0x05;
/// The space of the boot record before each logical partition, in bytes.
const BOOT_RECORD: u64 = FIRST_START;
/// The end of the disk behind the partitions of a GPT, in bytes.
const GPT_END: u64 = 34 * SECTOR;
/// The highest number of a GPT partition.
const MOST_NUMBER: u32 = 128;

/// The platforms of a project file, as far as they can be read.
pub(crate) fn platforms(table: &DeTable<'_>, files: &Files) -> Vec<Platform> {
    // What is wrong with them is said when all is read.
    let mut findings = Findings::new(files);
    let mut fields = Fields::new(table, Place::default(), Within::Top, &mut findings);
    top::read(&mut fields)
}

/// Reads a project file.
pub(crate) fn read(top: &mut Fields<'_, '_>, notes: &mut Vec<Note>) -> Option<Volume> {
    top::read(top);
    let (volume, devices) = read_volumes(top, notes).unzip();
    let root = read_filesystems(top, devices.flatten().as_deref());
    volume.map(|volume| Volume { root, ..volume })
}

/// Every partition of a volume as `filesystems` names it; `None` where one has no name.
type Devices = Option<Vec<String>>;

fn read_volumes(top: &mut Fields<'_, '_>, notes: &mut Vec<Note>) -> Option<(Volume, Devices)> {
    let example = "volumes: {pc: {schema: gpt, structure: […]}}";
    top.require("volumes", example, |_| Ok(()))?;
    let mut volumes = top.take_table("volumes", Within::Top)?;
    let entries = volumes.entries();
    let [(name, value)] = entries[..] else {
        let place = volumes.place.clone();
        let found = entries.len();
        volumes.problem(VolumeFault::VolumeCount { found }.into(), place);
        return None;
    };
    let within = Within::Volume {
        name: name.to_owned(),
    };
    if !is_name(name) {
        let fault = VolumeFault::Name {
            name: name.to_owned(),
            rule: NAME_RULE,
        };
        volumes.problem(fault.into(), volumes.place_of(name));
    }
    let mut fields = volumes.inner_of(name, value, within)?;
    let (spec, names) = read_volume(&mut fields, notes);
    fields.finish();
    let volume = Volume {
        name: Some(name.to_owned()),
        root: None,
        appended: None,
        spec,
    };
    let device = |of: String| format!("(volume/{name}/{of})");
    let names: Option<Vec<String>> = names.into_iter().collect();
    let devices = names.map(|names| names.into_iter().map(device).collect());
    Some((volume, devices))
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(allowed) && !name.starts_with('-') && !name.ends_with('-')
}

/// Reads a volume; with it the name of each structure, also of one that could not be read.
fn read_volume(fields: &mut Fields<'_, '_>, notes: &mut Vec<Note>) -> (Spec, Vec<Option<String>>) {
    let schemas = [
        ("gpt", TableName::Gpt),
        ("mbr", TableName::Mbr),
        ("mbr,gpt", TableName::Hybrid),
    ];
    let table = fields.require("schema", "schema: gpt", |value| {
        word(|text| parse_choice(text, &schemas))(value)
    });
    let place = fields.place.clone();
    let has_list = fields
        .require("structure", "structure: [{name: rootfs, …}]", |_| Ok(()))
        .is_some();
    let mut reader = Structures {
        schema: table.as_ref().map(|table| table.value),
        labels: Labels::default(),
        names: Vec::new(),
        notes,
    };
    let partitions: Vec<PartitionSpec> = if is_given(fields, "structure") {
        fields.take_tables("structure", |index, fields| reader.read(index, fields))
    } else {
        Vec::new()
    };
    let names = reader.names;
    let is_empty = fields.get("structure").is_some_and(is_empty_list);
    if has_list && is_empty {
        fields.problem(VolumeFault::NoStructure.into(), place);
    }
    check_numbers(fields, &partitions);
    check_boot(fields, &partitions);
    let mut spec = Spec {
        disk: DiskSpec {
            table,
            ..DiskSpec::default()
        },
        partitions,
        boot: BootSpec::default(),
        guests: std::collections::BTreeMap::new(),
        cache: None,
    };
    lay_out(&mut spec);
    let is_unknown = names.is_empty();
    (spec, if is_unknown { vec![None] } else { names })
}

/// The structures of a volume, one after the other.
struct Structures<'a> {
    /// Unknown when it could not be read.
    schema: Option<TableName>,
    labels: Labels,
    names: Vec<Option<String>>,
    notes: &'a mut Vec<Note>,
}

impl Structures<'_> {
    fn read(&mut self, index: usize, fields: &mut Fields<'_, '_>) -> Option<PartitionSpec> {
        if refuse_grammar(fields) {
            self.names.push(None);
            return None;
        }
        let position = index + 1;
        fields.set_within(Within::Partition {
            position,
            name: None,
        });
        let name = fields.require("name", "name: rootfs", text);
        self.names
            .push(name.as_ref().map(|name| name.value.clone()));
        if let Some(name) = &name {
            fields.set_within(Within::Partition {
                position,
                name: Some(name.value.clone()),
            });
            check_name(fields, name);
        }
        let role = fields.require("role", "role: system-data", |value| {
            word(|text| parse_choice(text, &ROLES))(value)
        });
        let is_number = fields
            .get("type")
            .is_some_and(|value| matches!(resolved(fields.source(value)), Word::Number(_)));
        let kind = fields.require("type", self.type_example(), |value| {
            if is_number {
                return Err(ValueError::NeedsQuotes { found: "a number" });
            }
            word(|text| self.partition_type(text))(value)
        });
        let size = fields.require("size", "size: 3G", size);
        let kind_of_filesystem = fields.require("filesystem", "filesystem: ext4", |value| {
            word(|text| parse_choice(text, &FILESYSTEMS))(value)
        });
        let label = label(fields, name.as_ref());
        let (id, number) = self.gpt_keys(fields);
        refuse_foreign_keys(fields);
        if let Some(label) = &label {
            // imagecraft compares labels letter by letter, whatever the file system.
            self.labels.add(fields, &label.text, false);
        }
        let filesystem = kind_of_filesystem.map(|kind| filesystem(fields, kind, label));
        let kind = kind?;
        let place = kind.place.clone();
        let (kind, byte) = kind.value;
        let mbr_type = byte.and_then(|byte| self.mbr_entry(index, byte, place.clone()));
        let in_mbr = self.schema == Some(TableName::Mbr) || mbr_type.is_some();
        let is_booted = |role: &Placed<&str>| in_mbr && role.value == BOOT_ROLE;
        Some(PartitionSpec {
            name,
            size: size.map(|size| Placed {
                value: SizeRule::Fixed(size.value),
                place: size.place,
            }),
            number,
            id,
            mbr_type,
            active: role.filter(is_booted).map(|role| Placed {
                value: true,
                place: role.place,
            }),
            filesystem,
            ..partition(fields.place.clone(), Placed { value: kind, place })
        })
    }

    /// The type in the MBR of a hybrid table, as long as that has room.
    fn mbr_entry(&mut self, index: usize, byte: u8, place: Place) -> Option<Placed<u8>> {
        if index < HYBRID_ENTRIES {
            return Some(Placed { value: byte, place });
        }
        self.notes.push(only_in_gpt(place));
        None
    }

    fn type_example(&self) -> &'static str {
        match self.schema {
            Some(TableName::Mbr) => "type: \"83\"",
            Some(TableName::Hybrid) => "type: 0C,C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
            _ => "type: 0FC63DAF-8483-4772-8E79-3D69D8477DE4",
        }
    }

    /// The type, and for a hybrid table that in its MBR.
    fn partition_type(&self, text: &str) -> Result<(PartitionType, Option<u8>), ValueError> {
        match self.schema {
            Some(TableName::Mbr) => {
                let byte = parse_choice(text, &MBR_TYPES)?;
                Ok((PartitionType::Mbr(byte), None))
            }
            Some(TableName::Hybrid) => hybrid_type(text)
                .filter(|(byte, _)| MBR_TYPES.iter().any(|(_, known)| known == byte))
                .map(|(byte, kind)| (kind, Some(byte)))
                .ok_or_else(|| ValueError::NotAHybridType {
                    text: text.to_owned(),
                }),
            Some(TableName::Gpt | TableName::None) | None => {
                parse_choice(text, &GPT_TYPES).map(|id| (PartitionType::Gpt(id), None))
            }
        }
    }

    /// What only a GPT has room for.
    fn gpt_keys(&self, fields: &mut Fields<'_, '_>) -> (Option<Placed<Uuid>>, Option<Placed<u32>>) {
        if self.schema == Some(TableName::Mbr) {
            return (None, None);
        }
        let id = optional(fields, "id", word(parse_partition_id));
        if self.schema == Some(TableName::Hybrid) {
            return (id, None);
        }
        let number = optional(fields, "partition-number", partition_number);
        (id, number)
    }
}

/// A string, or a number, which pydantic takes for one here.
fn text(value: &DeValue<'_>) -> Result<String, ValueError> {
    match value {
        DeValue::Boolean(_) => Err(ValueError::NeedsQuotes {
            found: "true or false",
        }),
        DeValue::Datetime(_) => Err(ValueError::NeedsQuotes { found: "a date" }),
        value => fields::text(value),
    }
}

/// A string or a number, read further by `parse`.
fn word<T>(
    parse: impl Fn(&str) -> Result<T, ValueError>,
) -> impl Fn(&DeValue<'_>) -> Result<T, ValueError> {
    move |value| text(value).and_then(|text| parse(&text))
}

/// Refuses an item that lists what is to be on one platform.
fn refuse_grammar(fields: &mut Fields<'_, '_>) -> bool {
    let first = fields.entries().first().map(|(key, _)| (*key).to_owned());
    let Some(key) = first.filter(|key| grammar::chooses(key)) else {
        return false;
    };
    fields.allow_others();
    fields.problem(VolumeFault::Grammar { key }.into(), fields.place.clone());
    true
}

fn check_name(fields: &mut Fields<'_, '_>, name: &Placed<String>) {
    if !is_name(&name.value) || name.value.len() > MOST_NAME {
        let fault = VolumeFault::Name {
            name: name.value.clone(),
            rule: STRUCTURE_NAME_RULE,
        };
        fields.problem(fault.into(), name.place.clone());
    }
}

/// The label: as given, or else the name.
fn label(fields: &mut Fields<'_, '_>, name: Option<&Placed<String>>) -> Option<Label> {
    let given = optional(fields, "filesystem-label", text);
    let is_implied = given.is_none();
    let text = given.or_else(|| name.cloned())?;
    Some(Label { text, is_implied })
}

fn partition_number(value: &DeValue<'_>) -> Result<u32, ValueError> {
    let text = text(value)?;
    let number: Option<u32> = text.parse().ok();
    number
        .filter(|number| (1..=MOST_NUMBER).contains(number))
        .ok_or_else(|| ValueError::OutOfRange {
            text: text.clone(),
            least: 1,
            most: u64::from(MOST_NUMBER),
        })
}

fn refuse_foreign_keys(fields: &mut Fields<'_, '_>) {
    const FOREIGN: [(&str, &str); 2] = [
        (
            "content",
            "remove it, and say what goes in with --content NAME=SOURCE or --prime DIR",
        ),
        ("min-size", "remove it: the partition has its `size`"),
    ];
    for (key, instead) in FOREIGN {
        if let (true, Some(value)) = (is_given(fields, key), fields.get(key)) {
            let fault = VolumeFault::NotOfImagecraft { key, instead };
            fields.problem(fault.into(), fields.at(value));
        }
    }
}

/// Numbers for all partitions, or for none.
fn check_numbers(fields: &mut Fields<'_, '_>, partitions: &[PartitionSpec]) {
    let Some(given) = partitions
        .iter()
        .find_map(|partition| partition.number.as_ref())
    else {
        return;
    };
    let within = fields.within();
    for (index, partition) in partitions.iter().enumerate() {
        if partition.number.is_none() {
            fields.set_within(Within::Partition {
                position: index + 1,
                name: partition.name.as_ref().map(|name| name.value.clone()),
            });
            let fault = VolumeFault::NumberMissing {
                other: given.place.clone(),
            };
            fields.problem(fault.into(), partition.place.clone());
        }
    }
    fields.set_within(within);
}

/// What a BIOS boots must be primary.
fn check_boot(fields: &mut Fields<'_, '_>, partitions: &[PartitionSpec]) {
    if partitions.len() <= MBR_SLOTS {
        return;
    }
    for (index, partition) in partitions.iter().enumerate().skip(PRIMARY) {
        if let Some(active) = &partition.active {
            let fault = VolumeFault::LogicalBoot {
                position: index + 1,
                primary: PRIMARY,
            };
            fields.problem(fault.into(), active.place.clone());
        }
    }
}

/// Gives the partitions their places without gaps, and the disk its size.
fn lay_out(spec: &mut Spec) {
    let Some(first) = spec.partitions.first_mut() else {
        return;
    };
    first.offset = Some(Placed {
        value: FIRST_START,
        place: first.place.clone(),
    });
    let place = first.place.clone();
    let is_mbr = spec.disk.table.as_ref().map(|table| table.value) == Some(TableName::Mbr);
    let logical = spec.partitions.len() > MBR_SLOTS && is_mbr;
    if logical {
        spec.disk.layout.extended_type = Some(Placed {
            value: EXTENDED,
            place: place.clone(),
        });
    }
    let mut end = Some(FIRST_START);
    for (index, partition) in spec.partitions.iter_mut().enumerate() {
        let before = if logical && index >= PRIMARY {
            BOOT_RECORD
        } else {
            0
        };
        if let Some(Placed {
            value: SizeRule::Fixed(bytes),
            ..
        }) = &mut partition.size
        {
            *bytes = bytes.checked_next_multiple_of(SECTOR).unwrap_or(*bytes);
            end = end.and_then(|end| end.checked_add(before)?.checked_add(*bytes));
        }
    }
    let behind = if is_mbr { 0 } else { GPT_END };
    let placed = |value| Placed {
        value,
        place: place.clone(),
    };
    // A size that no file has is left to the plan, which says so.
    let size = end.and_then(|end| end.checked_add(behind));
    spec.disk.size = size.map(|size| Placed {
        value: DiskSize::Fixed(size),
        place: place.clone(),
    });
    spec.disk.alignment = Some(placed(SECTOR));
}

/// Reads `filesystems`; the index of the partition that is mounted at the root.
fn read_filesystems(top: &mut Fields<'_, '_>, devices: Option<&[String]>) -> Option<usize> {
    let example = "filesystems: {default: [{mount: /, device: (volume/pc/rootfs)}]}";
    top.require("filesystems", example, |_| Ok(()))?;
    let mut filesystems = top.take_table("filesystems", Within::Top)?;
    let entries = filesystems.entries();
    let is_default = matches!(entries[..], [("default", _)]);
    if !is_default {
        let place = filesystems.place.clone();
        filesystems.problem(VolumeFault::NotDefault.into(), place);
        return None;
    }
    let mut seen: Vec<Placed<String>> = Vec::new();
    let roots = filesystems.take_tables("default", |index, fields| {
        read_mount(index, fields, devices, &mut seen)
    });
    if seen.is_empty() && filesystems.get("default").is_some_and(is_empty_list) {
        let place = filesystems.place.clone();
        filesystems.problem(VolumeFault::NotDefault.into(), place);
    }
    roots.into_iter().next()
}

/// Reads what is mounted where; the index of its partition.
fn read_mount(
    index: usize,
    fields: &mut Fields<'_, '_>,
    devices: Option<&[String]>,
    seen: &mut Vec<Placed<String>>,
) -> Option<usize> {
    if refuse_grammar(fields) {
        return None;
    }
    let mount = fields.require("mount", "mount: /", text);
    let device = fields.require("device", "device: (volume/pc/rootfs)", text);
    if let Some(mount) = mount {
        if index == 0 && mount.value != "/" {
            let fault = VolumeFault::FirstMount {
                mount: mount.value.clone(),
            };
            fields.problem(fault.into(), mount.place.clone());
        }
        if let Some(first) = seen.iter().find(|seen| seen.value == mount.value) {
            let fault = VolumeFault::DuplicateMount {
                mount: mount.value.clone(),
                first: first.place.clone(),
            };
            fields.problem(fault.into(), mount.place.clone());
        }
        seen.push(mount);
    }
    let (device, known) = (device?, devices?);
    let bare = |device: &str| device.trim_matches(['(', ')']).to_owned();
    let wanted = bare(&device.value);
    let found = known.iter().position(|known| bare(known) == wanted);
    // The default is the partition of the root, which the first entry must name.
    let is_default = index > 0 && device.value == "(default)";
    if found.is_none() && !is_default {
        let fault = VolumeFault::UnknownDevice {
            device: device.value,
            known: known.to_vec(),
        };
        fields.problem(fault.into(), device.place);
    }
    found
}
