//! Keys of `[disk]` for the table's own parts, read.

use cellblock_table::PartitionType;
use toml::de::DeValue;

use super::super::error::ProblemKind;
use super::super::fields::{Fields, boolean, integer};
use super::super::value::ValueError;
use super::super::{Place, Placed, TableName, TableSpec};
use super::{mbr_type, size_in_bytes};

impl TableSpec {
    /// Reads the keys, and refuses those that mean nothing for this kind of table.
    pub(in crate::read) fn read(fields: &mut Fields<'_, '_>, table: TableName) -> Self {
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
