//! The picture of a disk: its partitions as boxes to scale, and a list of them.

mod layout;
mod list;

use super::pen::{BOLD, DIM, Pen};
use super::text::{columns, left};
use cellblock_build::table::{Scheme, Table};
use cellblock_build::text::human;
use layout::{Block, Caption};

/// The fewest columns that anything is drawn in.
const MIN_WIDTH: usize = 40;

/// Draws a disk in at most so many columns (at least 40 are taken): a heading, the layout to scale,
/// and the partitions one a line. Colours are ANSI escapes; nothing of the table's own text can
/// hold any.
#[must_use]
pub fn draw(table: &Table, width: usize, color: bool) -> String {
    let pen = Pen { color };
    let width = width.max(MIN_WIDTH);
    let mut lines = heading(table, pen);
    lines.push(String::new());
    match layout::blocks(table, width) {
        Some(blocks) => lines.extend(boxes(table, &blocks, pen)),
        None => lines.push(format!("(too many partitions to draw in {width} columns)")),
    }
    lines.push(String::new());
    lines.extend(list::lines(table, width, pen));
    lines
        .iter()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

fn heading(table: &Table, pen: Pen) -> Vec<String> {
    let scheme = match table.scheme() {
        Scheme::Gpt if table.is_hybrid() => "GPT and MBR".to_owned(),
        scheme => scheme.to_string(),
    };
    let free = human(layout::free_sectors(table).saturating_mul(table.sector_size.bytes()));
    let beyond = match layout::sectors_beyond(table) {
        0 => String::new(),
        sectors => {
            let bytes = sectors.saturating_mul(table.sector_size.bytes());
            format!(" · {} out of reach", human(bytes))
        }
    };
    let facts = format!(
        " · {} · {}-byte sectors · {free} free{beyond}",
        human(table.disk_bytes()),
        table.sector_size
    );
    vec![
        pen.paint(&scheme, BOLD) + &facts,
        pen.paint(&format!("id {}", table.disk_id), DIM),
    ]
}

/// The boxes: four lines, and a fifth below logical partitions. A disk with nothing but a gap has two.
fn boxes(table: &Table, blocks: &[Block], pen: Pen) -> Vec<String> {
    let line = |draw: &dyn Fn(&Block) -> String| blocks.iter().map(draw).collect::<String>();
    let mut lines = vec![
        line(&|block| edge(block, '╭', '╮', pen)),
        line(&|block| row(block, pen, |content| &content.caption, &block.free)),
        line(&|block| row(block, pen, |content| &content.size, "")),
        line(&|block| edge(block, '╰', '╯', pen)),
    ];
    lines.retain(|line| !line.trim().is_empty());
    lines.extend(
        table
            .extended()
            .and_then(|extended| bracket(blocks, extended.number, pen)),
    );
    lines
}

fn edge(block: &Block, first: char, last: char, pen: Pen) -> String {
    match &block.content {
        Some(content) => {
            let middle = "─".repeat(block.columns - 2);
            pen.partition(&format!("{first}{middle}{last}"), content.number)
        }
        None => " ".repeat(block.columns),
    }
}

/// One of the two lines inside: a text of a partition, or one in a gap.
fn row(block: &Block, pen: Pen, text: impl Fn(&Caption) -> &String, free: &str) -> String {
    match &block.content {
        Some(content) => {
            let side = pen.partition("│", content.number);
            side.clone() + &left(text(content), block.columns - 2) + &side
        }
        None => pen.paint(&format!("{free:·^width$}", width = block.columns), DIM),
    }
}

/// The line that shows what of the disk is the extended partition.
fn bracket(blocks: &[Block], number: u32, pen: Pen) -> Option<String> {
    let before = blocks
        .iter()
        .take_while(|block| !block.in_extended)
        .map(|block| block.columns)
        .sum::<usize>();
    let inside = blocks
        .iter()
        .filter(|block| block.in_extended)
        .map(|block| block.columns)
        .sum::<usize>();
    let room = inside.checked_sub(2)?;
    let label = format!("─ {number} extended ");
    let label = if columns(&label) <= room {
        label
    } else {
        String::new()
    };
    let line = "─".repeat(room - columns(&label));
    Some(" ".repeat(before) + &pen.partition(&format!("└{label}{line}┘"), number))
}

#[cfg(test)]
mod tests;
