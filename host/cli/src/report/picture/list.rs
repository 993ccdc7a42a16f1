//! The list of partitions, one a line.

use crate::report::columns::{Column, fit, rows};
use crate::report::pen::{BOLD, DIM, Pen};
use cellblock_build::table::{Lba, Partition, PartitionType, Table};
use cellblock_build::text::printable;
use cellblock_build::text::{grouped, human};

/// The column that goes where there is no room for all: starts and sizes imply it.
const SPARE: &str = "End";

/// The list with its heading, in at most so many columns where that is possible.
pub(super) fn lines(table: &Table, width: usize, pen: Pen) -> Vec<String> {
    if table.partitions.is_empty() {
        return vec!["no partitions".to_owned()];
    }
    let mut columns = columns_of(table);
    fit(&mut columns, SPARE, width);
    let (titles, rows) = rows(&columns, |row, number| {
        pen.partition(&pen.paint(number, BOLD), table.partitions[row].number)
    });
    let mut lines = vec![pen.paint(&titles, DIM)];
    lines.extend(rows);
    lines
}

fn columns_of(table: &Table) -> Vec<Column> {
    let cells =
        |cell: &dyn Fn(&Partition) -> String| table.partitions.iter().map(cell).collect::<Vec<_>>();
    vec![
        Column::number("#", cells(&|partition| partition.number.to_string())),
        Column::number("Start", cells(&|partition| grouped(partition.start.0))),
        Column::number(SPARE, cells(&|partition| grouped(partition.last().0))),
        Column::number(
            "Size",
            cells(&|partition| human(Lba(partition.sectors).to_bytes(table.sector_size))),
        ),
        Column::text("Type", cells(&|partition| partition.kind.to_string())),
        Column::text("In MBR", cells(&type_in_mbr)),
        Column::text("Name", cells(&|partition| printable(&partition.name))),
        Column::text("Attributes", cells(&attributes)),
    ]
}

/// The type in a hybrid MBR; nothing when the MBR does not describe the partition.
fn type_in_mbr(partition: &Partition) -> String {
    partition
        .mbr_type
        .map_or_else(String::new, |byte| PartitionType::Mbr(byte).to_string())
}

fn attributes(partition: &Partition) -> String {
    let mut words = partition.attributes.names();
    words.extend(partition.active.then(|| "active".to_owned()));
    words.join(", ")
}
