//! Where a partition table's own parts lie: keys of `[disk]` for boards whose boot loaders or firmware want them elsewhere.

use cellblock_table::PartitionType;
use schemars::JsonSchema;
use toml::de::DeValue;

use super::error::ProblemKind;
use super::fields::{Fields, boolean, integer};
use super::print::Lines;
use super::read::{mbr_type, size_in_bytes};
use super::schema;
use super::size::written;
use super::value::ValueError;
use super::{Place, Placed, TableName};

/// Where a partition table's own parts lie, as far as it is not as usual.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub struct TableSpec {
    /// Where the primary entries of a GPT begin, from the start of the disk; behind the header when absent. Between the
    /// header and them is room for a boot loader that a board reads from there.
    #[schemars(with = "Option<schema::Size>")]
    pub gpt_location: Option<Placed<u64>>,
    /// Whether a GPT has a backup at the end of the disk; true when absent. Partitions may reach the end without.
    #[schemars(with = "Option<bool>")]
    pub gpt_backup: Option<Placed<bool>>,
    /// The number in the MBR of the extended partition, 1 to 4; 4 when absent. Partitions without a number of their own are
    /// primary before it and logical from it on.
    #[schemars(with = "Option<schema::MbrNumber>")]
    pub extended_number: Option<Placed<u32>>,
    /// The type of the extended partition: "extended" (0x0f, addressed by sectors), "extended-chs" (0x05) or
    /// "linux-extended" (0x85); "extended" when absent.
    #[schemars(with = "Option<schema::MbrTypeName>")]
    pub extended_type: Option<Placed<u8>>,
    /// The space before each logical partition of an MBR that belongs to its boot record; 1 MiB when absent.
    #[schemars(with = "Option<schema::Size>")]
    pub boot_record_space: Option<Placed<u64>>,
    /// The number, 1 to 4, of the entry in a hybrid MBR that protects the GPT (type 0xee); 1 when absent. The partitions
    /// with an `mbr-type` take the others, in their order.
    #[schemars(with = "Option<schema::MbrNumber>")]
    pub protective_number: Option<Placed<u32>>,
}

impl TableSpec {
    /// Reads the keys, and refuses those that mean nothing for this kind of table.
    pub(super) fn read(fields: &mut Fields<'_, '_>, table: TableName) -> Self {
        let spec = Self {
            gpt_location: fields.take("gpt-location", size_in_bytes),
            gpt_backup: fields.take("gpt-backup", boolean),
            extended_number: fields.take("extended-number", mbr_number),
            extended_type: fields.take("extended-type", extended_type),
            boot_record_space: fields.take("boot-record-space", size_in_bytes),
            protective_number: fields.take("protective-number", mbr_number),
        };
        spec.check(fields, table);
        spec
    }

    fn check(&self, fields: &mut Fields<'_, '_>, table: TableName) {
        const NO_GPT: &str = "remove it, or write table = \"gpt\"";
        const NO_MBR: &str = "remove it, or write table = \"mbr\"";
        const NO_HYBRID: &str = "remove it, or write table = \"hybrid\"";
        let has_gpt = matches!(table, TableName::Gpt | TableName::Hybrid);
        let (is_mbr, is_hybrid) = (table == TableName::Mbr, table == TableName::Hybrid);
        let Self {
            gpt_location,
            gpt_backup,
            extended_number,
            extended_type,
            boot_record_space,
            protective_number,
        } = self;
        let keys = [
            ("gpt-location", place(gpt_location), has_gpt, NO_GPT),
            ("gpt-backup", place(gpt_backup), has_gpt, NO_GPT),
            ("extended-number", place(extended_number), is_mbr, NO_MBR),
            ("extended-type", place(extended_type), is_mbr, NO_MBR),
            (
                "boot-record-space",
                place(boot_record_space),
                is_mbr,
                NO_MBR,
            ),
            (
                "protective-number",
                place(protective_number),
                is_hybrid,
                NO_HYBRID,
            ),
        ];
        for (key, place, is_meant, instead) in keys {
            if let (Some(place), false) = (place, is_meant) {
                let table = table.described();
                let kind = ProblemKind::NotInThisTable {
                    key,
                    table,
                    instead,
                };
                fields.problem(kind, place);
            }
        }
    }

    /// Adds the keys that are given.
    pub(super) fn print(&self, lines: &mut Lines) {
        let Self {
            gpt_location,
            gpt_backup,
            extended_number,
            extended_type,
            boot_record_space,
            protective_number,
        } = self;
        let quoted = |text: String| toml::Value::String(text).to_string();
        let size = |size: &Option<Placed<u64>>| size.as_ref().map(|it| quoted(written(it.value)));
        let number = |number: &Option<Placed<u32>>| number.as_ref().map(|it| it.value.to_string());
        lines.add("gpt-location", size(gpt_location));
        lines.add(
            "gpt-backup",
            gpt_backup.as_ref().map(|backup| backup.value.to_string()),
        );
        lines.add("extended-number", number(extended_number));
        lines.add(
            "extended-type",
            extended_type
                .as_ref()
                .map(|kind| quoted(PartitionType::Mbr(kind.value).to_string())),
        );
        lines.add("boot-record-space", size(boot_record_space));
        lines.add("protective-number", number(protective_number));
    }

    /// What is given here, and else what `other` gives.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            gpt_location: self.gpt_location.or(other.gpt_location),
            gpt_backup: self.gpt_backup.or(other.gpt_backup),
            extended_number: self.extended_number.or(other.extended_number),
            extended_type: self.extended_type.or(other.extended_type),
            boot_record_space: self.boot_record_space.or(other.boot_record_space),
            protective_number: self.protective_number.or(other.protective_number),
        }
    }
}

fn place<T>(value: &Option<Placed<T>>) -> Option<Place> {
    value.as_ref().map(|value| value.place.clone())
}

/// The number of an entry in the first sector.
fn mbr_number(value: &DeValue<'_>) -> Result<u32, ValueError> {
    let number = integer(value, 1, 4)?;
    Ok(u32::try_from(number).expect("4 at most"))
}

fn extended_type(value: &DeValue<'_>) -> Result<u8, ValueError> {
    let byte = mbr_type(value)?;
    if PartitionType::Mbr(byte).is_extended() {
        return Ok(byte);
    }
    Err(ValueError::NotAChoice {
        text: PartitionType::Mbr(byte).to_string(),
        choices: vec!["extended", "extended-chs", "linux-extended"],
    })
}
