//! `image.toml` -> [`Spec`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::error::{ProblemKind, SpecError, Within};
use super::fields::{Fields, Findings, boolean, integer, loss, parsed, text, wrong_type};
use super::joined::joined;
use super::place::{Files, Place};
use super::size::parse_size;
use super::value::{
    ValueError, date_in_digits, looks_like_a_date, parse_choice, parse_disk_id,
    parse_filesystem_id, parse_partition_id, parse_seed, parse_time, seconds_since_1970,
};
use super::{
    DiskSize, DiskSpec, FilesystemSpec, PartitionSpec, Placed, SelinuxSpec, SizeRule, Spec,
    TableName, TableSpec, VeritySpec,
};
use cellblock_table::{Attributes, PartitionType, Scheme};

mod beside;
mod boot;
mod cache;
mod content;
mod guests;
mod raw;
mod sign;
mod table;
mod verity;

pub(super) use beside::read_beside;
use boot::boot;
use cache::cache;
use content::content;
use guests::guests;
use raw::raw;
use sign::verity_signature;
use verity::verity;

/// What a spec without a name is called.
const NAME: &str = "image.toml";

/// The sector sizes that disks have, in bytes.
const SECTOR_SIZES: [u64; 2] = [512, 4096];
/// Bits in the attributes of a GPT partition.
const ATTRIBUTE_BITS: u64 = 64;

impl Spec {
    /// Reads the text of an `image.toml`; relative paths in it are made relative to `directory`.
    ///
    /// # Errors
    /// [`SpecError`] with everything that is wrong with the text.
    pub fn parse(source: &str, directory: &Path) -> Result<Self, SpecError> {
        Self::read(&Files::one(directory.join(NAME), source))
    }

    /// Reads the texts of one file of TOML or more: tables of one name are one table, and everything else is written
    /// once. Relative paths are made relative to the folder of the file that they are in.
    ///
    /// # Errors
    /// [`SpecError`] with everything that is wrong with the texts.
    pub fn read(files: &Files) -> Result<Self, SpecError> {
        let table = joined(files, files.ids())?;
        let mut findings = Findings::new(files);
        let mut top = Fields::new(&table, Place::default(), Within::Top, &mut findings);
        let spec = spec(&mut top);
        top.finish();
        findings.none_or(spec)
    }
}

fn spec(top: &mut Fields<'_, '_>) -> Spec {
    let disk = match top.take_table("disk", Within::Disk) {
        Some(mut fields) => {
            let disk = disk(&mut fields, TableName::Gpt);
            fields.finish();
            disk
        }
        None => DiskSpec::default(),
    };
    // With a `table` that could not be read, nothing is judged by what it has room for.
    let is_unread = disk.table.is_none() && is_table_given(top);
    let table = (!is_unread).then(|| disk.table_name());
    let partitions: Vec<Option<PartitionSpec>> = top.take_tables("partition", |index, fields| {
        Some(partition(index, fields, table))
    });
    if is_absent_or_empty(top, "partition") {
        top.problem(ProblemKind::NoPartitions, Place::default());
    }
    let partitions = partitions.into_iter().flatten().collect();
    let guests = match top.take_table("guests", Within::Top) {
        Some(mut fields) => guests(&mut fields),
        None => BTreeMap::new(),
    };
    Spec {
        disk,
        partitions,
        boot: boot(top),
        guests,
        cache: cache(top),
    }
}

/// Whether the spec names a kind of table.
fn is_table_given(top: &mut Fields<'_, '_>) -> bool {
    let disk = top.get("disk").and_then(|disk| disk.get_ref().as_table());
    disk.is_some_and(|disk| disk.contains_key("table"))
}

/// The disk as a whole, with this kind of table where it names none.
fn disk(fields: &mut Fields<'_, '_>, or_else: TableName) -> DiskSpec {
    let table = fields.take("table", parsed(table_name));
    let kind = table.as_ref().map_or(or_else, |table| table.value);
    let scheme = kind.scheme();
    DiskSpec {
        table,
        size: fields.take("size", disk_size),
        sector_size: fields.take("sector-size", sector_size),
        seed: fields.take("seed", parsed(parse_seed)),
        id: fields.take("id", parsed(|text| parse_disk_id(text, scheme))),
        time: fields.take("time", time),
        alignment: fields.take("alignment", size_in_bytes),
        layout: TableSpec::read(fields, kind),
        raw: fields.take_tables("raw", |_, fields| raw(fields)),
    }
}

fn partition(
    index: usize,
    fields: &mut Fields<'_, '_>,
    table: Option<TableName>,
) -> Option<PartitionSpec> {
    fields.set_within(Within::Partition {
        position: index + 1,
        name: None,
    });
    let name = fields.take("name", parsed(|name| Ok(name.to_owned())));
    let is_unnamed = name.as_ref().is_some_and(|name| name.value.is_empty());
    let name = name.filter(|_| !is_unnamed);
    let gpt_name = fields.take("gpt-name", parsed(|name| Ok(name.to_owned())));
    let called = name.as_ref().map(|name| name.value.clone());
    fields.set_within(Within::Partition {
        position: index + 1,
        name: called,
    });
    let place = fields.place.clone();
    let kind = partition_type_of(fields, table);
    let size = fields.take("size", size_rule);
    let offset = fields.take("offset", size_in_bytes);
    let number = fields.take("number", partition_number);
    let id = fields.take("id", parsed(parse_partition_id));
    let attributes = attributes(fields);
    let mbr_type = fields.take("mbr-type", mbr_type);
    let active = fields.take("active", boolean);
    let filesystem = filesystem(fields);
    let raw = fields.take_tables("raw", |_, fields| raw(fields));
    if let (Some(_), Some(raw)) = (&filesystem, fields.get("raw")) {
        fields.problem(ProblemKind::FilesystemAndRaw, fields.at(raw));
    }
    let verity = verity(fields);
    let verity_signature = verity_signature(fields);
    let is_behind = verity.as_ref().is_some_and(VeritySpec::is_behind);
    if let Some(verity) = verity.as_ref().filter(|_| is_behind)
        && ["filesystem", "raw"]
            .iter()
            .all(|key| is_absent_or_empty(fields, key))
    {
        fields.problem(ProblemKind::VerityBehindNothing, verity.place.clone());
    }
    let of_verity = [
        ("verity", verity.as_ref().map(|it| &it.place)),
        (
            "verity-signature",
            verity_signature.as_ref().map(|it| &it.sign.place),
        ),
    ];
    for (verity, place) in of_verity {
        let Some(place) = place else { continue };
        let of_data: &[&str] = if is_behind {
            &[]
        } else {
            &["filesystem", "raw"]
        };
        for key in of_data.iter().chain(&["verity"]).copied() {
            if key != verity && !is_absent_or_empty(fields, key) {
                fields.problem(ProblemKind::VerityBeside { verity, key }, place.clone());
            }
        }
    }
    let partition = PartitionSpec {
        place,
        name,
        is_unnamed,
        gpt_name,
        kind: kind?,
        size,
        offset,
        number,
        id,
        attributes,
        mbr_type,
        active,
        filesystem,
        raw,
        verity,
        verity_signature,
    };
    if let Some(table) = table {
        check_table_keys(fields, &partition, table);
    }
    if ["filesystem", "raw", "verity", "verity-signature"]
        .iter()
        .all(|key| is_absent_or_empty(fields, key))
    {
        check_empty(fields, &partition);
    }
    Some(partition)
}

/// The type of a partition; without a table nothing stores one.
fn partition_type_of(
    fields: &mut Fields<'_, '_>,
    table: Option<TableName>,
) -> Option<Placed<PartitionType>> {
    let Some(table) = table else {
        return fields.require("type", "type = \"linux-generic\"", |value| {
            partition_type(value, Scheme::Gpt).or_else(|_| partition_type(value, Scheme::Mbr))
        });
    };
    if table != TableName::None {
        return fields.require("type", "type = \"linux-generic\"", |value| {
            partition_type(value, table.scheme())
        });
    }
    if let Some(value) = fields.get("type") {
        let kind = ProblemKind::NotInThisTable {
            key: "type",
            table: table.described(),
            instead: NOT_STORED,
        };
        fields.problem(kind, fields.at(value));
    }
    Some(Placed {
        value: PartitionType::None,
        place: fields.place.clone(),
    })
}

fn filesystem(fields: &mut Fields<'_, '_>) -> Option<FilesystemSpec> {
    const DEPENDENT: [&str; 6] = ["label", "uuid", "content", "options", "drop", "selinux"];
    let Some(kind) = fields.take("filesystem", text) else {
        let orphans = DEPENDENT.map(|key| {
            let value = fields.get(key);
            (key, value.map(|value| fields.at(value)))
        });
        // With a `filesystem` that could not be read, that is the one problem to show.
        let is_absent = fields.get("filesystem").is_none();
        for (key, place) in orphans {
            if let (Some(place), true) = (place, is_absent) {
                fields.problem(ProblemKind::NeedsFilesystem { key }, place);
            }
        }
        return None;
    };
    let mut content_places = BTreeMap::new();
    let selinux = selinux(fields, &mut content_places);
    Some(FilesystemSpec {
        kind,
        label: fields.take("label", text),
        uuid: fields.take("uuid", parsed(parse_filesystem_id)),
        content: fields.take_tables("content", |_, fields| content(fields, &mut content_places)),
        content_places,
        options: options(fields),
        drop: fields
            .take_list("drop", loss)
            .into_iter()
            .map(|loss| loss.value)
            .collect(),
        selinux,
    })
}

/// What labels the files for SELinux.
fn selinux(
    fields: &mut Fields<'_, '_>,
    places: &mut BTreeMap<PathBuf, Place>,
) -> Option<SelinuxSpec> {
    let within = fields.within();
    let mut table = fields.take_table("selinux", within)?;
    let place = table.place.clone();
    let contexts = table.require_path("contexts", "contexts = \"file_contexts\"");
    table.finish();
    let contexts = contexts?;
    places.insert(contexts.value.clone(), contexts.place.clone());
    Some(SelinuxSpec { place, contexts })
}

fn table_name(text: &str) -> Result<TableName, ValueError> {
    let names = [
        ("gpt", TableName::Gpt),
        ("mbr", TableName::Mbr),
        ("hybrid", TableName::Hybrid),
        ("none", TableName::None),
    ];
    parse_choice(text, &names)
}

fn disk_size(value: &DeValue<'_>) -> Result<DiskSize, ValueError> {
    match value.as_str() {
        Some("auto") => Ok(DiskSize::Auto),
        _ => size_in_bytes(value).map(DiskSize::Fixed),
    }
}

fn sector_size(value: &DeValue<'_>) -> Result<u32, ValueError> {
    let size = size_in_bytes(value)?;
    u32::try_from(size)
        .ok()
        .filter(|_| SECTOR_SIZES.contains(&size))
        .ok_or_else(|| ValueError::NotAChoice {
            text: size.to_string(),
            choices: vec!["512", "4096"],
        })
}

fn size_in_bytes(value: &DeValue<'_>) -> Result<u64, ValueError> {
    match value {
        DeValue::String(text) => Ok(parse_size(text)?),
        DeValue::Integer(_) => integer(value, 0, u64::MAX),
        other => Err(wrong_type("a size such as \"64MiB\"", other)),
    }
}

fn size_rule(value: &DeValue<'_>) -> Result<SizeRule, ValueError> {
    match value {
        DeValue::String(text) => Ok(SizeRule::parse(text)?),
        other => size_in_bytes(other).map(SizeRule::Fixed),
    }
}

fn time(value: &DeValue<'_>) -> Result<i64, ValueError> {
    match value {
        DeValue::String(text) => parse_time(text),
        DeValue::Integer(integer)
            if integer.radix() == 10 && looks_like_a_date(integer.as_str()) =>
        {
            Err(date_in_digits(integer.as_str()))
        }
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map_err(|_| ValueError::NotATime {
                text: integer.to_string(),
            }),
        DeValue::Datetime(datetime) => {
            seconds_since_1970(datetime).ok_or_else(|| ValueError::NotATime {
                text: datetime.to_string(),
            })
        }
        other => Err(wrong_type("a time such as \"2024-01-31T12:00:00Z\"", other)),
    }
}

fn partition_type(value: &DeValue<'_>, scheme: Scheme) -> Result<PartitionType, ValueError> {
    match value {
        DeValue::Integer(_) if scheme == Scheme::Mbr => {
            let byte = integer(value, 1, u64::from(u8::MAX))?;
            Ok(PartitionType::parse(&format!("0x{byte:02x}"), scheme)?)
        }
        value => parsed(|text| Ok(PartitionType::parse(text, scheme)?))(value),
    }
}

/// The byte of a type in an MBR, also in that of a hybrid table.
fn mbr_type(value: &DeValue<'_>) -> Result<u8, ValueError> {
    match partition_type(value, Scheme::Mbr)? {
        PartitionType::Mbr(byte) => Ok(byte),
        PartitionType::Gpt(_) | PartitionType::None => {
            Err(wrong_type("a type such as \"0x0c\"", value))
        }
    }
}

fn partition_number(value: &DeValue<'_>) -> Result<u32, ValueError> {
    const MOST: u32 = 128;
    let number = integer(value, 1, u64::from(MOST))?;
    Ok(u32::try_from(number).expect("at most 128"))
}

fn attributes(fields: &mut Fields<'_, '_>) -> Option<Placed<Attributes>> {
    let place = fields.get("attributes").map(|value| fields.at(value));
    let flags = fields.take_list("attributes", attribute);
    let value = flags
        .into_iter()
        .fold(Attributes::empty(), |all, flag| all | flag.value);
    place.map(|place| Placed { value, place })
}

fn attribute(value: &DeValue<'_>) -> Result<Attributes, ValueError> {
    match value {
        DeValue::Integer(_) => {
            integer(value, 0, ATTRIBUTE_BITS - 1).map(|bit| Attributes::from_bits_retain(1 << bit))
        }
        value => parsed(|text| {
            Attributes::by_name(text).ok_or_else(|| ValueError::UnknownAttribute {
                text: text.to_owned(),
                choices: Attributes::all_names().collect(),
            })
        })(value),
    }
}

fn options(fields: &mut Fields<'_, '_>) -> BTreeMap<String, Placed<String>> {
    let within = fields.within();
    let Some(mut table) = fields.take_table("options", within) else {
        return BTreeMap::new();
    };
    let entries = table.entries();
    entries
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), table.read(key, value, option_value)?)))
        .collect()
}

fn option_value(value: &DeValue<'_>) -> Result<String, ValueError> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map(|number| number.to_string())
            .map_err(|_| ValueError::OutOfRange {
                text: integer.to_string(),
                least: 0,
                most: i64::MAX.unsigned_abs(),
            }),
        DeValue::Boolean(flag) => Ok(flag.to_string()),
        other => Err(wrong_type("a string, an integer, or true or false", other)),
    }
}

const NOT_STORED: &str = "remove it: nothing on the disk stores it";

/// Refuses what the kind of table has no room for.
fn check_table_keys(fields: &mut Fields<'_, '_>, partition: &PartitionSpec, table: TableName) {
    const NO_ID: &str =
        "remove it: the kernel derives an identifier from the disk's `id` and the number";
    const NO_ATTRIBUTES: &str = "remove it; a partition that a BIOS boots has active = true";
    const NO_ACTIVE: &str = "write attributes = [\"legacy-boot\"]";
    const NOT_IN_MBR: &str =
        "add mbr-type, for example mbr-type = \"0x0c\", which puts it into the MBR";
    const NO_HYBRID: &str =
        "write table = \"hybrid\" in [disk], whose MBR describes partitions too";
    const NO_MBR_TYPE: &str = "remove it: the type of a partition in an MBR is its `type`";
    let active = partition.active.as_ref().map(place_of);
    let mbr_type = partition.mbr_type.as_ref().map(place_of);
    let gpt_name = partition.gpt_name.as_ref().map(place_of);
    let foreign = match table {
        TableName::Gpt => vec![
            ("active", active, NO_ACTIVE),
            ("mbr-type", mbr_type, NO_HYBRID),
        ],
        TableName::Hybrid if mbr_type.is_none() => vec![("active", active, NOT_IN_MBR)],
        TableName::Hybrid => Vec::new(),
        TableName::Mbr => vec![
            ("id", partition.id.as_ref().map(place_of), NO_ID),
            (
                "attributes",
                partition.attributes.as_ref().map(place_of),
                NO_ATTRIBUTES,
            ),
            ("mbr-type", mbr_type, NO_MBR_TYPE),
            ("gpt-name", gpt_name, NOT_STORED),
        ],
        TableName::None => {
            if partition.offset.is_none() {
                fields.problem(ProblemKind::NeedsOffset, partition.place.clone());
            }
            vec![
                (
                    "number",
                    partition.number.as_ref().map(place_of),
                    NOT_STORED,
                ),
                ("id", partition.id.as_ref().map(place_of), NOT_STORED),
                (
                    "attributes",
                    partition.attributes.as_ref().map(place_of),
                    NOT_STORED,
                ),
                ("mbr-type", mbr_type, NOT_STORED),
                ("gpt-name", gpt_name, NOT_STORED),
                ("active", active, NOT_STORED),
            ]
        }
    };
    let table = table.described();
    for (key, place, instead) in foreign {
        if let Some(place) = place {
            fields.problem(
                ProblemKind::NotInThisTable {
                    key,
                    table,
                    instead,
                },
                place,
            );
        }
    }
}

fn place_of<T>(placed: &Placed<T>) -> Place {
    placed.place.clone()
}

/// Whether a key is not there, or an array without elements.
fn is_absent_or_empty(fields: &mut Fields<'_, '_>, key: &'static str) -> bool {
    fields.get(key).is_none_or(|value| {
        value
            .get_ref()
            .as_array()
            .is_some_and(|array| array.is_empty())
    })
}

/// An empty partition needs a size of its own.
fn check_empty(fields: &mut Fields<'_, '_>, partition: &PartitionSpec) {
    match &partition.size {
        // With a `size` that could not be read, that is the one problem to show.
        None if fields.get("size").is_some() => {}
        None => fields.problem(ProblemKind::EmptyWithoutSize, partition.place.clone()),
        Some(Placed {
            value: SizeRule::Minimum(_),
            place,
        }) => {
            fields.problem(ProblemKind::EmptyMinimum, place.clone());
        }
        Some(_) => {}
    }
}
