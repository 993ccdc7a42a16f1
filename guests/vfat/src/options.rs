//! What was asked for, with every value checked.

use cellblock_guest::{
    Description, FormatError, Identifier, KindDescription, Losses, NodeId, NodeProblem,
    OptionDescription, Request, SettingProblem,
};

use crate::label::{LABEL_LIMIT, Label};
use crate::layout::{MAXIMUM_CLUSTER_BYTES, MINIMUM_RESERVED_SECTORS_32};
use crate::moment::Moment;

const fn kind(name: &'static str) -> KindDescription {
    KindDescription {
        capital_labels: true,
        uefi: true,
        ..KindDescription::plain(name, Identifier::Serial)
    }
}

/// What this formatter is.
pub(crate) const DESCRIPTION: Description = Description {
    name: "vfat",
    version: env!("CARGO_PKG_VERSION"),
    summary: "FAT12, FAT16 and FAT32 with long names; of permissions, what it refuses are set-ID and sticky bits, and others are left out",
    kinds: &[kind("vfat"), kind("fat12"), kind("fat16"), kind("fat32")],
    options: &[
        OptionDescription {
            name: CLUSTER_SIZE,
            value: "BYTES",
            default: "by the size of the partition",
            documentation: "The unit of allocation: a power of two, from a sector to 65536.",
        },
        OptionDescription {
            name: FATS,
            value: "1|2",
            default: "2",
            documentation: "How many copies of the allocation table there are.",
        },
        OptionDescription {
            name: RESERVED_SECTORS,
            value: "COUNT",
            default: "1 (FAT32: 32), and as many as align the clusters",
            documentation: "The sectors before the allocation tables, with the boot sector; at least 8 on FAT32.",
        },
        OptionDescription {
            name: ROOT_ENTRIES,
            value: "COUNT",
            default: "512, or as many as the tree needs",
            documentation: "The slots of the root directory on FAT12 and FAT16, rounded up to whole sectors; a name takes one, and a long name one more for each 13 UTF-16 units.",
        },
    ],
    label_limit: LABEL_LIMIT,
    lacks: Losses::all(),
};

const CLUSTER_SIZE: &str = "cluster-size";
const FATS: &str = "fats";
const RESERVED_SECTORS: &str = "reserved-sectors";
const ROOT_ENTRIES: &str = "root-entries";

/// What the kind says of the width of the allocation table's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KindOfFat {
    /// As the size of the volume suggests.
    Automatic,
    /// 12 bits.
    Fat12,
    /// 16 bits.
    Fat16,
    /// 32 bits.
    Fat32,
}

/// A request that can be followed.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Which FAT.
    pub(crate) kind: KindOfFat,
    /// The bytes of a sector: a power of two from 512 to 4096.
    pub(crate) sector_bytes: u32,
    /// The bytes of a cluster, if given.
    pub(crate) cluster_bytes: Option<u32>,
    /// The allocation tables: 1 or 2.
    pub(crate) fat_count: u32,
    /// The sectors before the allocation tables, if given.
    pub(crate) reserved_sectors: Option<u32>,
    /// The slots of a root directory outside the clusters, if given.
    pub(crate) root_slots: Option<u32>,
    /// The label, if there is one.
    pub(crate) label: Option<Label>,
}

impl Options {
    /// Checks `request`.
    ///
    /// # Errors
    /// [`FormatError`] for what cannot be; that of the root's time for the one of the whole, if that is too late.
    pub(crate) fn new(request: &Request) -> Result<Self, FormatError> {
        request.check_settings(&DESCRIPTION)?;
        let kind = match request.kind.as_str() {
            "vfat" => KindOfFat::Automatic,
            "fat12" => KindOfFat::Fat12,
            "fat16" => KindOfFat::Fat16,
            "fat32" => KindOfFat::Fat32,
            _ => return Err(FormatError::Kind),
        };
        let sector_bytes = request.sector_size;
        if !sector_bytes.is_power_of_two() || !(512..=4096).contains(&sector_bytes) {
            let problem = SettingProblem::OutOfRange(512, 4096);
            return Err(FormatError::setting("sector-size", problem));
        }
        // One before 1980 is taken as files of such times are, since a disk is often stamped with 1970.
        if Moment::is_too_late(request.time) {
            return Err(FormatError::node(NodeId::ROOT, NodeProblem::Time));
        }
        let cluster_bytes = number(request, CLUSTER_SIZE, sector_bytes, MAXIMUM_CLUSTER_BYTES)?;
        if cluster_bytes.is_some_and(|bytes| !bytes.is_power_of_two()) {
            return Err(FormatError::setting(
                CLUSTER_SIZE,
                SettingProblem::Malformed,
            ));
        }
        let smallest_reserve = if kind == KindOfFat::Fat32 {
            MINIMUM_RESERVED_SECTORS_32
        } else {
            1
        };
        let largest_root = if kind == KindOfFat::Fat32 {
            0
        } else {
            u32::from(u16::MAX)
        };
        let slots_in_sector = sector_bytes / crate::format::SLOT_BYTES;
        Ok(Self {
            kind,
            sector_bytes,
            cluster_bytes,
            fat_count: number(request, FATS, 1, 2)?.unwrap_or(2),
            reserved_sectors: number(
                request,
                RESERVED_SECTORS,
                smallest_reserve,
                u32::from(u16::MAX),
            )?,
            root_slots: number(
                request,
                ROOT_ENTRIES,
                slots_in_sector.min(largest_root),
                largest_root / slots_in_sector * slots_in_sector,
            )?
            .map(|slots| slots.next_multiple_of(slots_in_sector)),
            label: Label::new(&request.label)?,
        })
    }
}

/// The option `name` as a number from `smallest` to `largest`.
fn number(
    request: &Request,
    name: &str,
    smallest: u32,
    largest: u32,
) -> Result<Option<u32>, FormatError> {
    let Some(value) = request.setting(name) else {
        return Ok(None);
    };
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return Err(FormatError::setting(name, SettingProblem::Malformed));
    }
    match value.parse::<u32>() {
        Ok(number) if (smallest..=largest).contains(&number) => Ok(Some(number)),
        _ => {
            let problem = SettingProblem::OutOfRange(smallest.into(), largest.into());
            Err(FormatError::setting(name, problem))
        }
    }
}
