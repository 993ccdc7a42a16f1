//! The JSON Schema of `image.toml`, from the types that it is read into.

use std::borrow::Cow;

use cellblock_contract::Loss;
use cellblock_table::{Attributes, Scheme, names};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};

use super::{DiskSize, Placed, SizeRule, Spec};

/// What a size looks like, without the range checks that a pattern cannot make.
const SIZE_PATTERN: &str = r"^[0-9]+(\.[0-9]+)? ?(B|KiB|MiB|GiB|TiB|PiB)?$";

/// The JSON Schema of `image.toml`, for editors that check and complete as one types.
pub fn json_schema() -> Schema {
    schema_for!(Spec)
}

/// Where a value stands is no part of what may be written.
impl<T: JsonSchema> JsonSchema for Placed<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// One source of content.
#[derive(JsonSchema)]
#[schemars(rename = "Content", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct ContentTable {
    #[schemars(flatten)]
    what: ContentKind,
    /// Where it goes inside the file system: the directory for a directory or an archive; for a file its full path, or
    /// with a `/` at the end the directory that it goes into. The root when absent.
    to: Option<String>,
    /// The owner of everything that comes from here, `"USER:GROUP"` in numbers, but of what `metadata` has another one for. As found when
    /// absent.
    owner: Option<Owner>,
    /// The modes of what comes from here: octal for the files ("0644"), or clauses ("u=rwX,go=rX"). As found when absent.
    mode: Option<Mode>,
    /// Patterns of paths in a directory or an archive to leave out.
    #[schemars(default)]
    exclude: Vec<String>,
    /// What becomes of times after the one that is given (`time` of the disk, or SOURCE_DATE_EPOCH): `clamp` makes them that
    /// one, `keep` leaves them.
    times: Option<TimesName>,
    /// The directory in a directory or an archive that is taken in its place.
    from: Option<String>,
    /// How many names are taken off the beginning of each path in a directory or an archive; what has no more is left out.
    #[schemars(default)]
    strip: u16,
    /// Whether symbolic links in a directory or an archive are replaced by what they lead to, which must be in it.
    #[schemars(default)]
    follow: bool,
    /// What becomes of hard links in a directory or an archive: `break` makes each name a file of its own, `keep` leaves them.
    hard_links: Option<HardLinksName>,
    /// A file in the words of mtree(5): owners, modes, times and link targets of what is in a directory, an archive or an image.
    metadata: Option<String>,
    /// The folder of a dumpfile's objects.
    basedir: Option<String>,
    /// Which image of a layout, where there are several: a name as it is written there, or a digest.
    reference: Option<String>,
    /// The partition of a disk image: its number, name or UUID. Absent for a file system alone, or the only partition.
    partition: Option<String>,
    /// Which image, by what it is for: `linux/arm64`.
    platform: Option<String>,
    /// Whether overlayfs's own whiteouts in an image's layers hide names, too: devices 0:0, and `trusted.overlay.opaque`.
    #[schemars(default)]
    overlay_whiteouts: bool,
}

/// What becomes of hard links.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum HardLinksName {
    /// They stay, as when the key is absent.
    Keep,
    /// Each name becomes a file of its own.
    Break,
}

/// What becomes of times.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum TimesName {
    /// Those after the given time become it, as when the key is absent.
    Clamp,
    /// They stay.
    Keep,
}

/// Bytes that are written as they are: a file, or the sector at which a partition lies.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct Raw {
    /// The file.
    file: Option<String>,
    /// The bytes that the file has to itself: it may have fewer, and zeros follow. Its own length when absent.
    size: Option<Size>,
    /// In place of a file, the name of a partition: the sector at which it begins is written, as 4 bytes, little-endian. It
    /// may lie in a file, which it then changes.
    lba_of: Option<String>,
    /// In place of a file, an offset on the disk: its sector is written in the same way.
    lba: Option<Size>,
    /// The sector this many bytes into the partition instead; 0 when absent.
    #[schemars(default)]
    plus: Option<Size>,
    /// Where it goes, from the start of the disk or of the partition; 0 when absent.
    #[schemars(default)]
    offset: Option<Size>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is used")]
enum ContentKind {
    /// A directory and everything below it.
    Directory(String),
    /// A tar archive: plain, or compressed by gzip, zstd, xz, bzip2 or lz4.
    Archive(String),
    /// A container image: an OCI layout as a directory or a tar, or what `docker save` writes. Its root file system is taken.
    Oci(String),
    /// A composefs dumpfile, as `composefs-info dump` writes it; `basedir` has its objects.
    Composefs(String),
    /// A disk image, or a file system alone. What is in its partition is taken.
    Image(String),
    /// One file.
    File(String),
    /// The content of one file, written out here; `to` names it.
    Text(String),
    /// A text with placeholders such as `{{ partition.root.uuid }}`, which are filled in; `to` names the file.
    Template(String),
}

/// One file.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum SingleFile {
    /// Its path.
    Path(String),
    /// A file, its content, or a template of it.
    Kind(SingleFileKind),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum SingleFileKind {
    /// The file.
    File(String),
    /// The content, written out here.
    Text(String),
    /// A text with placeholders such as `{{ partition.root.uuid }}`, which are filled in.
    Template(String),
}

/// What a format may lose.
pub(super) struct LossName;

impl JsonSchema for LossName {
    fn schema_name() -> Cow<'static, str> {
        "Loss".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let choice = |loss: &Loss| json_schema!({ "type": "string", "const": loss.name(), "description": loss.documentation() });
        let choices: Vec<Schema> = Loss::ALL.iter().map(choice).collect();
        json_schema!({ "description": "Something a format may lose instead of refusing the tree.", "oneOf": choices })
    }
}

/// What may be written for a byte of an MBR.
const BYTE_PATTERN: &str = "^(0x)?[0-9A-Fa-f]{1,2}$";
/// What may be written for a GUID.
const GUID_PATTERN: &str =
    "^[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{12}$";

impl JsonSchema for TypeName {
    fn schema_name() -> Cow<'static, str> {
        "PartitionType".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let gpt: Vec<&str> = names(Scheme::Gpt).collect();
        let only_mbr: Vec<&str> = names(Scheme::Mbr)
            .filter(|name| !gpt.contains(name))
            .collect();
        json_schema!({ "anyOf": [
            { "enum": gpt, "description": "In a GPT: a name of the Discoverable Partitions Specification, or another one." },
            { "enum": only_mbr, "description": "In an MBR." },
            { "type": "string", "pattern": GUID_PATTERN },
            { "type": "string", "pattern": BYTE_PATTERN },
            { "type": "integer", "minimum": 1, "maximum": 255 }
        ] })
    }
}

impl JsonSchema for MbrTypeName {
    fn schema_name() -> Cow<'static, str> {
        "MbrPartitionType".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let known: Vec<&str> = names(Scheme::Mbr).collect();
        json_schema!({ "anyOf": [
            { "enum": known },
            { "type": "string", "pattern": BYTE_PATTERN },
            { "type": "integer", "minimum": 1, "maximum": 255 }
        ] })
    }
}

impl JsonSchema for AttributeName {
    fn schema_name() -> Cow<'static, str> {
        "Attribute".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let known: Vec<&str> = Attributes::all_names().collect();
        json_schema!({ "anyOf": [
            { "enum": known },
            { "type": "string", "pattern": "^bit-[0-9]+$" },
            { "type": "integer", "minimum": 0, "maximum": 63 }
        ] })
    }
}

/// Gives a type the schema of what may be written for it.
macro_rules! written_as {
    ($($type:ty, $name:literal: $schema:tt;)*) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

/// A size or an offset in bytes.
pub(super) struct Size;
/// Bytes in a sector.
pub(super) struct SectorSize;
/// 128 bits.
pub(super) struct Identifier;
/// What identifiers derive from.
pub(super) struct Seed;
/// A point in time.
pub(super) struct Time;
/// A partition type.
pub(super) struct TypeName;
/// A partition type of an MBR.
pub(super) struct MbrTypeName;
/// A partition number.
pub(super) struct Number;
/// The number of an entry in an MBR.
pub(super) struct MbrNumber;
/// An attribute of a partition.
pub(super) struct AttributeName;
/// The modes of what comes from a source.
pub(super) struct Mode;
/// The owner of what comes from a source.
pub(super) struct Owner;
/// The value of a formatter's option.
pub(super) struct OptionValue;
/// A formatter that is not built in.
pub(super) struct Guest;

written_as! {
    Size, "Size": { "oneOf": [{ "type": "string", "pattern": SIZE_PATTERN }, { "type": "integer", "minimum": 0 }] };
    SectorSize, "SectorSize": { "enum": [512, 4096, "512", "4096", "512B", "4096B", "4KiB"] };
    Identifier, "Identifier": {
        "type": "string",
        "pattern": "^[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{12}$"
    };
    Seed, "Seed": {
        "oneOf": [
            { "const": "random" },
            { "type": "string", "pattern": "^[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{12}$" }
        ]
    };
    Time, "Time": { "type": ["string", "integer"] };
    Number, "PartitionNumber": { "type": "integer", "minimum": 1, "maximum": 128 };
    MbrNumber, "MbrNumber": { "type": "integer", "minimum": 1, "maximum": 4 };
    Mode, "Mode": {
        "type": "string",
        "anyOf": [
            { "pattern": "^[0-7]{1,4}$" },
            { "pattern": "^[ugoa]*[-+=][rwxXst]*([-+=,][ugoarwxXst]*)*$" }
        ],
        "examples": ["0644", "u=rwX,go=rX"]
    };
    Owner, "Owner": { "type": "string", "pattern": "^[0-9]+:[0-9]+$", "examples": ["0:0"] };
    OptionValue, "OptionValue": { "type": ["string", "integer", "boolean"] };
    Guest, "Guest": {
        "oneOf": [
            { "type": "string" },
            {
                "type": "object",
                "properties": {
                    "file": { "type": "string", "description": "The component, or the WASI command: a file, oci://HOST/PATH@sha256:DIGEST, oci://HOST/PATH:TAG as cellblock.lock pins it, or oci:FOLDER of an image layout." },
                    "sha256": {
                        "type": "string",
                        "pattern": "^[0-9A-Fa-f]{64}$",
                        "description": "The SHA-256 digest that the file must have."
                    },
                    "command": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "oneOf": [
                                { "type": "string" },
                                { "type": "array", "items": { "type": "string" } }
                            ]
                        },
                        "description": "How it is called, if it is a WASI command. {partition}, {label}, {uuid}, {serial}, {seed}, {size}, {sector-size}, {time}, {disk-offset} and {option:NAME} are filled in; a list in the list is left out where a placeholder in it is empty."
                    }
                },
                "required": ["file"],
                "additionalProperties": false
            }
        ]
    };
    SizeRule, "SizeRule": {
        "oneOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": SIZE_PATTERN },
            { "enum": ["minimum", "rest"] },
            { "type": "string", "pattern": "^minimum ?\\+" }
        ]
    };
    DiskSize, "DiskSize": {
        "oneOf": [
            { "const": "auto" },
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": SIZE_PATTERN }
        ]
    };
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use cellblock_table::PartitionType;

    use super::*;

    /// What an editor offers at a pointer of the schema.
    fn offered(pointer: &str) -> Vec<String> {
        let schema = json_schema();
        let values = schema.pointer(pointer).unwrap().as_array().unwrap();
        let words = values.iter().map(|value| value.as_str().unwrap());
        words.map(str::to_owned).collect()
    }

    #[test]
    fn every_name_that_is_offered_is_read() {
        let of_type = |pointer: &str, scheme| {
            let names = offered(pointer);
            for name in &names {
                assert!(PartitionType::parse(name, scheme).is_ok(), "{name}");
            }
            names
        };
        let gpt = of_type("/$defs/PartitionType/anyOf/0/enum", Scheme::Gpt);
        for name in [
            "esp",
            "root-x86-64",
            "usr-arm64-verity-sig",
            "linux-generic",
            "bios-boot",
        ] {
            assert!(gpt.iter().any(|offered| offered == name), "{name}");
        }
        of_type("/$defs/PartitionType/anyOf/1/enum", Scheme::Mbr);
        let mbr = of_type("/$defs/MbrPartitionType/anyOf/0/enum", Scheme::Mbr);
        assert!(mbr.iter().any(|offered| offered == "fat32"));
        let attributes = offered("/$defs/Attribute/anyOf/0/enum");
        assert!(attributes.iter().any(|offered| offered == "grow-fs"));
        for name in attributes {
            assert!(Attributes::by_name(&name).is_some(), "{name}");
        }
        let schema = json_schema();
        assert!(schema.pointer("/$defs/Mode/anyOf").is_some());
        assert!(schema.pointer("/$defs/Loss/oneOf").is_some());
    }
}
