//! One structure of a gadget's volume.

use uuid::Uuid;

use super::super::super::fields::{Fields, parsed, text};
use super::super::super::size::MIB;
use super::super::super::value::{ValueError, parse_choice, parse_partition_id};
use super::super::super::volume::Note;
use super::super::super::{Content, FilesystemSpec, Place, Placed, RawSpec, TableName, Within};
use super::super::{
    Label, Labels, SECTOR, VolumeFault, filesystem, gpt_type, hybrid_type, is_given, mbr_type,
    optional,
};
use super::content::{Folders, Image, OffsetWrite, offset_write, read_files, read_images};
use super::roles::{ROLES, Role, Roles, SYSTEM_BOOT};
use super::{WRITABLE, refuse_repeated, size};
use cellblock_table::{PartitionType, Scheme};

/// The most boot code that lies before an MBR's entries, in bytes.
const MOST_BOOT_CODE: u64 = 446;
/// The type of the role `system-boot-state`.
const BOOT_STATE_TYPE: &str = "3DE21764-95BD-54BD-A5C3-4ABE786F38A8";
const VFAT: &str = "vfat";
const FAT32: &str = "fat32";
/// The least size of a FAT32 with clusters of a sector, in bytes: 65,525 of them, their two tables, and some to spare.
const LEAST_FAT32: u64 = 34 * MIB;
const FILESYSTEMS: [(&str, Option<&str>); 5] = [
    ("ext4", Some("ext4")),
    ("vfat", Some(VFAT)),
    ("vfat-16", Some("fat16")),
    ("vfat-32", Some(FAT32)),
    ("none", None),
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
    /// Those of all volumes so far.
    pub(super) roles: &'a mut Roles,
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
        if let Some(role) = &role {
            self.roles.add(fields, role);
        }
        let is_given_role = role.is_some();
        let role = role.or_else(|| implied_role(fields));
        let kind = fields.require("type", "type: bare", |value| {
            parsed(|text| self.kind(text))(value)
        });
        let kind = kind.map(|kind| of_role(kind, role.as_ref()));
        let offset = optional(fields, "offset", size);
        let address = optional(fields, "offset-write", parsed(offset_write));
        let size = self.size(fields, role.as_ref());
        let id = optional(fields, "id", parsed(parse_partition_id));
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
        self.update(fields, given.is_some());
        let label = self.label(
            fields,
            role.as_ref().filter(|_| is_given_role),
            given.as_ref(),
        );
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
        let is_root = role.as_ref().is_some_and(|role| role.value == Role::Data);
        let is_named_for_role = is_root && self.table.scheme() == Scheme::Gpt;
        let structure = Structure {
            is_root,
            active: self.active(role.as_ref(), &kind.value),
            place,
            position,
            // So ubuntu-image calls it.
            name: name.or_else(|| {
                is_named_for_role.then(|| Placed {
                    value: WRITABLE.to_owned(),
                    place: fields.place.clone(),
                })
            }),
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

    fn kind(&self, text: &str) -> Result<Kind, ValueError> {
        let unknown = || ValueError::NotAGadgetType {
            text: text.to_owned(),
            scheme: self.table.scheme(),
        };
        // The digits of an MBR type; a GUID may have small letters.
        let is_large = !text.bytes().take(2).any(|byte| byte.is_ascii_lowercase());
        let types = match (text, self.table) {
            ("mbr", _) => return Ok(Kind::BootCode),
            ("bare", _) => return Ok(Kind::Bare),
            (_, TableName::Mbr) => hybrid_type(text)
                .map(|(byte, _)| byte)
                .or_else(|| mbr_type(text))
                .filter(|_| is_large)
                .map(|byte| (PartitionType::Mbr(byte), None)),
            (_, TableName::Gpt | TableName::None) => hybrid_type(text)
                .filter(|_| is_large)
                .map(|(_, kind)| kind)
                .or_else(|| gpt_type(text))
                .map(|kind| (kind, None)),
            (_, TableName::Hybrid) => hybrid_type(text)
                .filter(|_| is_large)
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

    /// Checks what is said of updates, and says once that they are no business of an image.
    fn update(&mut self, fields: &mut Fields<'_, '_>, has_filesystem: bool) {
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
        if !is_given(fields, "update") {
            return;
        }
        let within = fields.within();
        let Some(mut update) = fields.take_table("update", within) else {
            return;
        };
        optional(&mut update, "edition", parsed(edition));
        if is_given(&mut update, "preserve") {
            let preserved = update.take_list("preserve", text);
            if let (false, Some(first)) = (has_filesystem, preserved.first()) {
                let fault = VolumeFault::PreservedNowhere;
                update.problem(fault.into(), first.place.clone());
            }
            refuse_repeated(&mut update, &preserved);
        }
        update.finish();
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
        let seed = self.roles.seed;
        let is_fat = filesystem.is_some_and(|kind| !kind.value.starts_with("ext"));
        let implied = |role: &Placed<Role>| {
            let label = seed.implied_label(role.value)?;
            Some(Placed {
                value: label.to_owned(),
                place: role.place.clone(),
            })
        };
        if let Some(given) = &given {
            seed.check_label(fields, given, role.map(|role| role.value), is_fat);
        }
        let text = given.or_else(|| role.and_then(implied))?;
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

/// The edition of a structure's content.
fn edition(text: &str) -> Result<u32, ValueError> {
    text.parse().map_err(|_| ValueError::OutOfRange {
        text: text.to_owned(),
        least: 0,
        most: u64::from(u32::MAX),
    })
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
