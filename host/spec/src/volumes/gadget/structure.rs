//! One structure of a gadget's volume.

use uuid::Uuid;

use super::super::super::fields::{Fields, parsed, text};
use super::super::super::size::MIB;
use super::super::super::value::{ValueError, parse_choice, parse_uuid};
use super::super::super::volume::Note;
use super::super::super::{Content, FilesystemSpec, Place, Placed, RawSpec, TableName, Within};
use super::super::{
    Label, Labels, SECTOR, VolumeFault, filesystem, gpt_type, hybrid_type, is_given, mbr_type,
    optional, size,
};
use super::content::{Folders, Image, OffsetWrite, offset_write, read_files, read_images};
use cellblock_table::PartitionType;

/// The most boot code that lies before an MBR's entries, in bytes.
const MOST_BOOT_CODE: u64 = 446;
/// The type of the role `system-boot-state`.
const BOOT_STATE_TYPE: &str = "3DE21764-95BD-54BD-A5C3-4ABE786F38A8";
const VFAT: &str = "vfat";
const FAT32: &str = "fat32";
/// The least size of a FAT32 with clusters of a sector, in bytes: 65,525 of them, their two tables, and some to spare.
const LEAST_FAT32: u64 = 34 * MIB;
/// The label of a structure that has a role without saying so.
const SYSTEM_BOOT: &str = "system-boot";
/// The labels that only structures with a role have.
const RESERVED: [&str; 4] = ["ubuntu-boot", "ubuntu-seed", "ubuntu-data", "ubuntu-save"];
const FILESYSTEMS: [(&str, Option<&str>); 5] = [
    ("ext4", Some("ext4")),
    ("vfat", Some(VFAT)),
    ("vfat-16", Some("fat16")),
    ("vfat-32", Some(FAT32)),
    ("none", None),
];

/// What a structure is for, as far as it makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    BootCode,
    Boot,
    Data,
    Seed,
    Save,
    BootState,
    Other,
}

const ROLES: [(&str, Role); 13] = [
    ("mbr", Role::BootCode),
    ("system-boot", Role::Boot),
    ("system-data", Role::Data),
    ("system-seed", Role::Seed),
    ("system-seed-null", Role::Seed),
    ("system-save", Role::Save),
    ("system-boot-state", Role::BootState),
    ("system-boot-image", Role::Other),
    ("system-boot-select", Role::Other),
    ("system-seed-image", Role::Other),
    ("system-seed-select", Role::Other),
    ("bootimg", Role::Other),
    ("bootselect", Role::Other),
];

/// What a structure is on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The code at the start of the disk.
    BootCode,
    /// Bytes that no table describes.
    Bare,
    /// A partition.
    Partition {
        kind: Placed<PartitionType>,
        /// Its type in the MBR of a hybrid table.
        mbr_type: Option<Placed<u8>>,
    },
}

/// A structure.
#[derive(Clone, Debug)]
pub(super) struct Structure {
    pub(super) place: Place,
    /// Its place among the structures, from 1.
    position: usize,
    pub(super) name: Option<Placed<String>>,
    pub(super) kind: Kind,
    pub(super) offset: Option<Placed<u64>>,
    /// In bytes from the start of the disk, once it is decided.
    pub(super) start: u64,
    /// In bytes.
    pub(super) size: u64,
    pub(super) size_place: Place,
    pub(super) id: Option<Placed<Uuid>>,
    /// Whether it is the root file system.
    pub(super) is_root: bool,
    pub(super) active: Option<Placed<bool>>,
    pub(super) filesystem: Option<FilesystemSpec>,
    pub(super) images: Vec<Image>,
    offset_write: Option<Placed<OffsetWrite>>,
}

impl Structure {
    /// In bytes from the start of the disk.
    pub(super) fn end(&self) -> u64 {
        self.start + self.size
    }

    /// Where its start is written, or else the structure.
    pub(super) fn place_of_start(&self) -> Place {
        let offset = self.offset.as_ref();
        offset.map_or(self.place.clone(), |offset| offset.place.clone())
    }

    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name.as_ref().is_some_and(|own| own.value == name)
    }

    /// What errors call it.
    pub(super) fn called(&self) -> String {
        match &self.name {
            Some(name) => format!("'{}'", name.value),
            None => format!("number {}", self.position),
        }
    }

    /// Its images, as they lie on the disk.
    pub(super) fn raw_on_disk(&self) -> impl Iterator<Item = RawSpec> + '_ {
        self.images.iter().map(|image| RawSpec {
            offset: self.start + image.raw.offset,
            ..image.raw.clone()
        })
    }

    /// Where its own sector and those of its images are to be written, with their distance from its start.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (&Placed<OffsetWrite>, u64)> {
        let of_images = self
            .images
            .iter()
            .filter_map(|image| Some((image.offset_write.as_ref()?, image.raw.offset)));
        self.offset_write
            .iter()
            .map(|address| (address, 0))
            .chain(of_images)
    }

    /// Notes a problem in the name of the structure.
    pub(super) fn problem(&self, fields: &mut Fields<'_, '_>, fault: VolumeFault, place: Place) {
        let within = fields.within();
        fields.set_within(Within::Structure {
            position: self.position,
            name: self.name.as_ref().map(|name| name.value.clone()),
        });
        fields.problem(fault.into(), place);
        fields.set_within(within);
    }
}

/// The structures of a volume, one after the other.
pub(super) struct Structures<'a> {
    pub(super) table: TableName,
    /// Where content lies.
    pub(super) folders: Folders<'a>,
    /// The roles that one structure has, as far as they are taken.
    pub(super) roles: Vec<Placed<Role>>,
    pub(super) has_seed: bool,
    pub(super) labels: Labels,
    pub(super) notes: &'a mut Vec<Note>,
}

impl Structures<'_> {
    pub(super) fn read(&mut self, index: usize, fields: &mut Fields<'_, '_>) -> Option<Structure> {
        let position = index + 1;
        fields.set_within(Within::Structure {
            position,
            name: None,
        });
        let name = optional(fields, "name", text);
        fields.set_within(Within::Structure {
            position,
            name: name.as_ref().map(|name| name.value.clone()),
        });
        let place = fields.place.clone();
        let role = optional(fields, "role", parsed(|text| parse_choice(text, &ROLES)));
        let role = role.or_else(|| implied_role(fields));
        self.check_role(fields, role.as_ref());
        let kind = fields.require("type", "type: bare", |value| {
            parsed(|text| self.kind(text))(value)
        });
        let kind = kind.map(|kind| of_role(kind, role.as_ref()));
        let offset = optional(fields, "offset", size);
        let address = optional(fields, "offset-write", parsed(offset_write));
        let size = self.size(fields, role.as_ref());
        let id = optional(fields, "id", parsed(parse_uuid));
        let given = optional(
            fields,
            "filesystem",
            parsed(|text| parse_choice(text, &FILESYSTEMS)),
        );
        let bytes = size.as_ref().map(|size| size.value);
        let given = given.and_then(|given| {
            let place = given.place;
            let kind = match given.value {
                // `vfat` is what mkfs.vfat makes of the size, as long as that is too small for FAT32.
                Some(VFAT) if bytes.is_some_and(|bytes| bytes >= LEAST_FAT32) => FAT32,
                other => other?,
            };
            Some(Placed { value: kind, place })
        });
        self.note_update(fields);
        let label = self.label(fields, role.as_ref(), given.as_ref());
        let (filesystem, images) = match given {
            Some(kind) => {
                let mut made = filesystem(fields, kind, label);
                made.content = read_files(fields, &self.folders)
                    .into_iter()
                    .map(Content::Source)
                    .collect();
                (Some(made), Vec::new())
            }
            None => (None, read_images(fields, self.folders.gadget)),
        };
        let (kind, size) = (kind?, size?);
        let is_partition = matches!(kind.value, Kind::Partition { .. } | Kind::Bare);
        let whole = size.value.checked_next_multiple_of(SECTOR);
        let structure = Structure {
            is_root: role.as_ref().is_some_and(|role| role.value == Role::Data),
            active: self.active(role.as_ref(), &kind.value),
            place,
            position,
            name,
            kind: kind.value,
            offset,
            start: 0,
            size: whole.filter(|_| is_partition).unwrap_or(size.value),
            size_place: size.place,
            id,
            filesystem,
            images,
            offset_write: address,
        };
        check(fields, &structure, role.as_ref(), &kind.place);
        Some(structure)
    }

    /// Refuses a role that another structure has and that one has.
    fn check_role(&mut self, fields: &mut Fields<'_, '_>, role: Option<&Placed<Role>>) {
        let Some(role) = role else { return };
        let Some(name) = role.value.of_one() else {
            return;
        };
        if let Some(first) = self.roles.iter().find(|taken| taken.value == role.value) {
            let fault = VolumeFault::SecondRole {
                role: name,
                first: first.place.clone(),
            };
            fields.problem(fault.into(), role.place.clone());
        }
        self.roles.push(role.clone());
    }

    fn kind(&self, text: &str) -> Result<Kind, ValueError> {
        let unknown = || ValueError::NotAGadgetType {
            text: text.to_owned(),
            scheme: self.table.scheme(),
        };
        let types = match (text, self.table) {
            ("mbr", _) => return Ok(Kind::BootCode),
            ("bare", _) => return Ok(Kind::Bare),
            (_, TableName::Mbr) => hybrid_type(text)
                .map(|(byte, _)| byte)
                .or_else(|| mbr_type(text))
                .map(|byte| (PartitionType::Mbr(byte), None)),
            (_, TableName::Gpt | TableName::None) => hybrid_type(text)
                .map(|(_, kind)| kind)
                .or_else(|| gpt_type(text))
                .map(|kind| (kind, None)),
            (_, TableName::Hybrid) => hybrid_type(text)
                .map(|(byte, kind)| (kind, Some(byte)))
                .or_else(|| gpt_type(text).map(|kind| (kind, None))),
        };
        let (kind, byte) = types.ok_or_else(unknown)?;
        let placed = |value| Placed {
            value,
            place: Place::default(),
        };
        Ok(Kind::Partition {
            kind: Placed {
                value: kind,
                place: Place::default(),
            },
            mbr_type: byte.map(placed),
        })
    }

    /// The size; an image has no use for the smallest that would do.
    fn size(
        &mut self,
        fields: &mut Fields<'_, '_>,
        role: Option<&Placed<Role>>,
    ) -> Option<Placed<u64>> {
        let given = fields.require("size", "size: 64M", size);
        let least = optional(fields, "min-size", size);
        if let (Some(given), Some(least)) = (&given, &least) {
            let is_state = role.is_some_and(|role| role.value == Role::BootState);
            if is_state && least.value != given.value {
                let fault = VolumeFault::Rule {
                    kind: "system-boot-state",
                    rule: "has a `min-size` that is its `size`, or none",
                };
                fields.problem(fault.into(), least.place.clone());
            } else if least.value > given.value {
                let fault = VolumeFault::MinimumAboveSize {
                    minimum: least.value,
                    size: given.value,
                };
                fields.problem(fault.into(), least.place.clone());
            } else if least.value < given.value {
                self.notes.push(Note {
                    place: least.place.clone(),
                    text: "`min-size` makes no difference: the structure gets its `size`"
                        .to_owned(),
                });
            }
        }
        given
    }

    /// Says once that updates are no business of an image.
    fn note_update(&mut self, fields: &mut Fields<'_, '_>) {
        const UPDATE: &str =
            "`update` says how a device is updated, and makes no difference to an image";
        if let (true, Some(update)) = (is_given(fields, "update"), fields.get("update"))
            && !self.notes.iter().any(|note| note.text == UPDATE)
        {
            self.notes.push(Note {
                place: fields.at(update),
                text: UPDATE.to_owned(),
            });
        }
    }

    /// The label of a file system: as given, or what its role implies.
    fn label(
        &mut self,
        fields: &mut Fields<'_, '_>,
        role: Option<&Placed<Role>>,
        filesystem: Option<&Placed<&'static str>>,
    ) -> Option<Label> {
        let given = optional(fields, "filesystem-label", text);
        let is_implied = given.is_none();
        let has_seed = self.has_seed;
        let implied = |role: &Placed<Role>| {
            let label = role.value.implied_label(has_seed)?;
            Some(Placed {
                value: label.to_owned(),
                place: role.place.clone(),
            })
        };
        if let Some(given) = &given {
            check_label(fields, given, role, self.has_seed);
        }
        let text = given.or_else(|| role.and_then(implied))?;
        let is_fat = filesystem.is_some_and(|kind| !kind.value.starts_with("ext"));
        self.labels.add(fields, &text, is_fat);
        filesystem?;
        Some(Label { text, is_implied })
    }

    /// Whether a BIOS boots it, which only an MBR says.
    fn active(&self, role: Option<&Placed<Role>>, kind: &Kind) -> Option<Placed<bool>> {
        let in_mbr = match kind {
            Kind::Partition { mbr_type, .. } => self.table == TableName::Mbr || mbr_type.is_some(),
            Kind::BootCode | Kind::Bare => false,
        };
        let role = role.filter(|role| in_mbr && role.value == Role::Boot)?;
        Some(Placed {
            value: true,
            place: role.place.clone(),
        })
    }
}

impl Role {
    /// The label that follows from it.
    fn implied_label(self, has_seed: bool) -> Option<&'static str> {
        match (self, has_seed) {
            (Self::Data, false) => Some("writable"),
            (Self::Data, true) => Some("ubuntu-data"),
            (Self::Seed, _) => Some("ubuntu-seed"),
            (Self::Boot, true) => Some("ubuntu-boot"),
            (Self::Save, true) => Some("ubuntu-save"),
            _ => None,
        }
    }

    /// Its name, if no two structures have it.
    fn of_one(self) -> Option<&'static str> {
        match self {
            Self::Seed => Some("system-seed"),
            Self::Data => Some("system-data"),
            Self::Save => Some("system-save"),
            _ => None,
        }
    }
}

/// The role of a structure that is labelled as the one with the boot loader, and has no other.
fn implied_role(fields: &mut Fields<'_, '_>) -> Option<Placed<Role>> {
    let label = fields.get("filesystem-label")?;
    let is_boot = label.get_ref().as_str() == Some(SYSTEM_BOOT);
    is_boot.then(|| Placed {
        value: Role::Boot,
        place: fields.at(label),
    })
}

/// Refuses a label that another role implies.
fn check_label(
    fields: &mut Fields<'_, '_>,
    label: &Placed<String>,
    role: Option<&Placed<Role>>,
    has_seed: bool,
) {
    let text = &label.value;
    let implied = role.and_then(|role| role.value.implied_label(has_seed));
    let fault = match implied {
        Some(implied) if !text.eq_ignore_ascii_case(implied) => VolumeFault::LabelOfRole {
            label: text.clone(),
            implied,
        },
        None if role.is_none() && RESERVED.contains(&text.as_str()) => VolumeFault::ReservedLabel {
            label: text.clone(),
        },
        _ => return,
    };
    fields.problem(fault.into(), label.place.clone());
}

/// The kind with its places, or boot code where the role says so.
fn of_role(kind: Placed<Kind>, role: Option<&Placed<Role>>) -> Placed<Kind> {
    let place = kind.place.clone();
    let is_boot_code = role.is_some_and(|role| role.value == Role::BootCode);
    let value = match kind.value {
        _ if is_boot_code => Kind::BootCode,
        Kind::Partition { kind, mbr_type } => Kind::Partition {
            kind: Placed {
                place: place.clone(),
                ..kind
            },
            mbr_type: mbr_type.map(|byte| Placed {
                place: place.clone(),
                ..byte
            }),
        },
        other => other,
    };
    Placed { value, place }
}

/// The rules that a structure must keep by itself.
fn check(
    fields: &mut Fields<'_, '_>,
    structure: &Structure,
    role: Option<&Placed<Role>>,
    type_place: &Place,
) {
    let has_role = role.is_some_and(|role| role.value != Role::BootCode);
    if let (true, Kind::BootCode | Kind::Bare, Some(role)) = (has_role, &structure.kind, role) {
        fields.problem(VolumeFault::RoleOfBare.into(), role.place.clone());
    }
    for image in &structure.images {
        if image.end > structure.size && !matches!(structure.kind, Kind::Partition { .. }) {
            let fault = VolumeFault::ImageBeyond {
                end: image.end,
                size: structure.size,
            };
            fields.problem(fault.into(), image.raw.place());
        }
    }
    if structure.kind == Kind::BootCode {
        check_boot_code(fields, structure);
    }
    if role.is_some_and(|role| role.value == Role::BootState) {
        check_boot_state(fields, structure, type_place);
    }
    if let (Kind::Bare, Some(filesystem)) = (&structure.kind, &structure.filesystem) {
        let place = filesystem.kind.place.clone();
        fields.problem(VolumeFault::FilesystemOfBare.into(), place);
    }
}

fn check_boot_code(fields: &mut Fields<'_, '_>, structure: &Structure) {
    let filesystem = structure.filesystem.as_ref();
    let broken = [
        (
            (structure.size > MOST_BOOT_CODE).then(|| structure.size_place.clone()),
            "is at most 446 bytes long",
        ),
        (
            structure
                .offset
                .as_ref()
                .filter(|offset| offset.value != 0)
                .map(|offset| offset.place.clone()),
            "begins at offset 0",
        ),
        (
            structure.id.as_ref().map(|id| id.place.clone()),
            "has no `id`",
        ),
        (
            filesystem.map(|filesystem| filesystem.kind.place.clone()),
            "has no file system",
        ),
    ];
    for (place, rule) in broken {
        if let Some(place) = place {
            let kind = "mbr";
            fields.problem(VolumeFault::Rule { kind, rule }.into(), place);
        }
    }
}

fn check_boot_state(fields: &mut Fields<'_, '_>, structure: &Structure, type_place: &Place) {
    let is_typed = match &structure.kind {
        Kind::Partition { kind, .. } => Some(kind.value) == gpt_type(BOOT_STATE_TYPE),
        Kind::BootCode | Kind::Bare => false,
    };
    let filesystem = structure.filesystem.as_ref();
    let broken = [
        (
            structure.offset.is_none().then(|| structure.place.clone()),
            "has an `offset`",
        ),
        (
            (structure.size < MIB).then(|| structure.size_place.clone()),
            "is at least 1M long",
        ),
        (
            filesystem.map(|filesystem| filesystem.kind.place.clone()),
            "has no file system",
        ),
        (
            (!is_typed).then(|| type_place.clone()),
            "has the type 3DE21764-95BD-54BD-A5C3-4ABE786F38A8",
        ),
    ];
    for (place, rule) in broken {
        if let Some(place) = place {
            let kind = "system-boot-state";
            fields.problem(VolumeFault::Rule { kind, rule }.into(), place);
        }
    }
}
