//! The list of partitions, one a line.

use super::{BOLD, DIM, Pen};
use crate::report::text::{columns, left, right};
use cellblock_build::table::{Lba, Partition, PartitionType, Table};
use cellblock_build::text::printable;
use cellblock_build::text::{grouped, human};

/// The columns between two columns of text.
const GAP: &str = "  ";

/// The fewest columns that a column of text is shrunk to.
const MIN_TEXT: usize = 8;

struct Column {
    title: &'static str,
    cells: Vec<String>,
    width: usize,
    is_text: bool,
}

impl Column {
    fn new(title: &'static str, is_text: bool, cells: Vec<String>) -> Self {
        let widest = cells.iter().map(|cell| columns(cell)).max().unwrap_or(0);
        Self {
            title,
            width: widest.max(title.len()),
            cells,
            is_text,
        }
    }

    fn field(&self, text: &str) -> String {
        if self.is_text {
            left(text, self.width)
        } else {
            right(text, self.width)
        }
    }
}

/// The list with its heading, in at most so many columns where that is possible.
pub(super) fn lines(table: &Table, width: usize, pen: Pen) -> Vec<String> {
    if table.partitions.is_empty() {
        return vec!["no partitions".to_owned()];
    }
    let mut columns = columns_of(table);
    fit(&mut columns, width);
    let titles: Vec<String> = columns
        .iter()
        .map(|column| column.field(column.title))
        .collect();
    let mut lines = vec![pen.paint(titles.join(GAP).trim_end(), DIM)];
    for (row, partition) in table.partitions.iter().enumerate() {
        let mut fields: Vec<String> = columns
            .iter()
            .map(|column| column.field(&column.cells[row]))
            .collect();
        if let Some(number) = fields.first_mut() {
            *number = pen.partition(&pen.paint(number, BOLD), partition.number);
        }
        lines.push(fields.join(GAP));
    }
    lines
}

fn columns_of(table: &Table) -> Vec<Column> {
    let cells =
        |cell: &dyn Fn(&Partition) -> String| table.partitions.iter().map(cell).collect::<Vec<_>>();
    let number = |title, cells| Column::new(title, false, cells);
    let text = |title, cells| Column::new(title, true, cells);
    let mut columns = vec![
        number("#", cells(&|partition| partition.number.to_string())),
        number("Start", cells(&|partition| grouped(partition.start.0))),
        number("End", cells(&|partition| grouped(partition.last().0))),
        number(
            "Size",
            cells(&|partition| human(Lba(partition.sectors).to_bytes(table.sector_size))),
        ),
        text("Type", cells(&|partition| partition.kind.to_string())),
        text("In MBR", cells(&type_in_mbr)),
        text("Name", cells(&|partition| printable(&partition.name))),
        text("Attributes", cells(&attributes)),
    ];
    columns.retain(|column| column.cells.iter().any(|cell| !cell.is_empty()));
    columns
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

/// Makes the columns fit: the ends go first, which starts and sizes imply, then the widest text is
/// shrunk.
fn fit(columns: &mut Vec<Column>, width: usize) {
    if excess(columns, width) > 0 {
        columns.retain(|column| column.title != "End");
    }
    loop {
        let excess = excess(columns, width);
        let texts = columns
            .iter_mut()
            .filter(|column| column.is_text && column.width > MIN_TEXT);
        match texts.max_by_key(|column| column.width) {
            Some(widest) if excess > 0 => widest.width -= 1,
            _ => return,
        }
    }
}

fn excess(columns: &[Column], width: usize) -> usize {
    let text: usize = columns.iter().map(|column| column.width).sum();
    (text + GAP.len() * columns.len().saturating_sub(1)).saturating_sub(width)
}
