//! Keys of `[disk]` for the table's own parts, printed.

use cellblock_table::PartitionType;

use super::{Lines, quoted};
use crate::size::written;
use crate::{Placed, TableSpec};

impl TableSpec {
    /// Adds the keys that are given.
    pub(in crate::print) fn print(&self, lines: &mut Lines) {
        let Self {
            gpt_location,
            gpt_backup,
            extended_number,
            extended_type,
            boot_record_space,
            protective_number,
        } = self;
        let size = |size: &Option<Placed<u64>>| size.as_ref().map(|it| quoted(&written(it.value)));
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
                .map(|kind| quoted(&PartitionType::Mbr(kind.value).to_string())),
        );
        lines.add("boot-record-space", size(boot_record_space));
        lines.add("protective-number", number(protective_number));
    }
}
