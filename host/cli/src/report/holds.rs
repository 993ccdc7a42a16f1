//! What partitions hold: a list, or a few lines for a file system by itself.

use std::collections::BTreeMap;

use cellblock_build::image::Superblock;
use cellblock_build::text::{exact, human, printable};

use super::columns::{Column, fit, rows};
use super::pen::{DIM, Pen};

/// The column that goes where there is no room for all: a file system is as large as its partition, or nearly so.
const SPARE: &str = "Size";

/// The list of the file systems in the partitions of these numbers; nothing if there are none.
#[must_use]
pub fn list_held(holds: &BTreeMap<u32, Superblock>, width: usize, color: bool) -> String {
    let pen = Pen { color };
    if holds.is_empty() {
        return String::new();
    }
    let numbers: Vec<u32> = holds.keys().copied().collect();
    let cells = |cell: &dyn Fn(&Superblock) -> String| holds.values().map(cell).collect::<Vec<_>>();
    let or_none = |text: &Option<String>| text.as_deref().map(printable).unwrap_or_default();
    let mut columns = vec![
        Column::number("#", numbers.iter().map(u32::to_string).collect()),
        Column::text("Holds", cells(&called)),
        Column::text("Label", cells(&|held| or_none(&held.label))),
        Column::text("UUID", cells(&|held| or_none(&held.uuid))),
        Column::number(
            SPARE,
            cells(&|held| held.size.map(human).unwrap_or_default()),
        ),
        Column::number(
            "Used",
            cells(&|held| percent(held).map_or_else(String::new, |percent| format!("{percent}%"))),
        ),
    ];
    fit(&mut columns, SPARE, width);
    let (titles, rows) = rows(&columns, |row, number| pen.partition(number, numbers[row]));
    let mut lines = vec![pen.paint(&titles, DIM)];
    lines.extend(rows);
    lines
        .iter()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

/// What is known of a file system without a table around it, a line each.
#[must_use]
pub fn describe_held(name: &str, held: &Superblock) -> String {
    let used = held.used.map(|used| match percent(held) {
        Some(percent) => format!("{}, {percent}%", exact(used)),
        None => exact(used),
    });
    let facts = [
        ("label", held.label.as_deref().map(printable)),
        ("UUID", held.uuid.as_deref().map(printable)),
        ("size", held.size.map(exact)),
        ("used", used),
    ];
    let lines = facts
        .into_iter()
        .filter_map(|(what, fact)| Some(format!("  {what:5}  {}\n", fact?)));
    let heading = format!(
        "{}: {}, without a partition table\n",
        printable(name),
        called(held)
    );
    heading + &lines.collect::<String>()
}

/// The kind, and where kinds are told apart by it, the version.
fn called(held: &Superblock) -> String {
    match (held.kind, &held.version) {
        ("vfat" | "crypto_LUKS" | "squashfs" | "squashfs3", Some(version)) => {
            format!("{} {}", held.kind, printable(version))
        }
        _ => held.kind.to_owned(),
    }
}

/// How much of it is used, rounded up: 1 for a byte.
fn percent(held: &Superblock) -> Option<u64> {
    let (used, size) = (u128::from(held.used?), u128::from(held.size?));
    let percent = (size > 0).then(|| (used * 100).div_ceil(size))?;
    Some(u64::try_from(percent).expect("not more is used than there is"))
}
