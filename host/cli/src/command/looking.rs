//! What the commands have in common that look into images.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Failure, runtime_of};
use crate::arguments::{ImagePlace, Limits, ReadBy, Reading};
use crate::json;
use cellblock_build::cell::Runtime;
use cellblock_build::reading::{Opened, ReadingError};
use cellblock_build::text::{PathBytes, hexadecimal, printable};
use cellblock_build::tree::{Kind, Node, NodeId, Timestamp, Tree};

impl From<ReadingError> for Failure {
    fn from(error: ReadingError) -> Self {
        if error.is_usage() {
            Self::usage(error)
        } else {
            Self::failed(error)
        }
    }
}

/// A runtime for readers.
pub(super) fn runtime(reading: &Reading) -> Result<Runtime, Failure> {
    runtime_of(&reading.limits, reading.walls())
}

/// Reads the file system of a place, and says what there is to say of it.
pub(super) fn open(
    reading: &Reading,
    place: &ImagePlace,
    extents: bool,
) -> Result<Opened, Failure> {
    open_with(
        &runtime(reading)?,
        (&reading.by, &reading.limits),
        place,
        extents,
        reading.verbose,
    )
}

/// The same with a runtime that is there.
pub(super) fn open_with(
    runtime: &Runtime,
    (by, limits): (&ReadBy, &Limits),
    place: &ImagePlace,
    extents: bool,
    verbose: bool,
) -> Result<Opened, Failure> {
    let opened = by
        .readers(limits)
        .open(runtime, &by.wanted(place), extents)?;
    super::warn_of_walls(runtime);
    say(&opened, verbose);
    Ok(opened)
}

/// Says what there is to say of a file system that was read, and to whom wants all, all that its reader logged.
pub(super) fn say(opened: &Opened, verbose: bool) {
    let called = printable(&opened.called);
    for text in opened.warnings() {
        tell!("warning: {called}: {}", printable(&text));
    }
    for text in opened.details().filter(|_| verbose) {
        tell!("{called}: {}", printable(&text));
    }
}

/// The node of a place, the root if it has no path.
pub(super) fn node_of(opened: &Opened, place: &ImagePlace) -> Result<NodeId, Failure> {
    Ok(opened.find(place.path.as_deref().unwrap_or_default())?)
}

/// The nodes below a directory, in order.
pub(super) fn below(tree: &Tree, top: NodeId) -> impl Iterator<Item = Node<'_>> {
    let rest = (top.0 + 1..tree.len()).map(|id| tree.node(NodeId(id)));
    rest.take_while(move |node| node.parent >= top)
}

/// What a node is, with a hard link as what it is another name of.
pub(super) fn kind<'t>(tree: &'t Tree, node: &Node<'t>) -> &'t Kind {
    tree.original(node.id).kind
}

/// The size of what has one in bytes.
pub(super) fn size(kind: &Kind) -> u64 {
    match kind {
        Kind::File { size, .. } => *size,
        Kind::Symlink(target) => target.len() as u64,
        _ => 0,
    }
}

/// As `ls -l` begins: `-rw-r--r--`.
pub(super) fn mode(kind: &Kind, mode: u16) -> String {
    let letter = match kind {
        Kind::Directory => 'd',
        Kind::File { .. } | Kind::HardLink(_) => '-',
        Kind::Symlink(_) => 'l',
        Kind::CharacterDevice { .. } => 'c',
        Kind::BlockDevice { .. } => 'b',
        Kind::Fifo => 'p',
        Kind::Socket => 's',
    };
    let mut text = String::from(letter);
    for (shift, special, with, without) in [
        (6, 0o4000, 's', 'S'),
        (3, 0o2000, 's', 'S'),
        (0, 0o1000, 't', 'T'),
    ] {
        let bits = mode >> shift & 7;
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => with,
            (true, false) => without,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// A moment in UTC: `2026-11-27 12:34:56`.
pub(super) fn time(moment: Timestamp) -> String {
    const DAY: i64 = 86_400;
    let (day, second) = (
        moment.seconds.div_euclid(DAY),
        moment.seconds.rem_euclid(DAY),
    );
    // Days from 0000-03-01, in eras of 400 years.
    let days = day + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{date:02} {hour:02}:{minute:02}:{second:02}")
}

/// A name or a path, on one line.
pub(super) fn shown(bytes: &[u8]) -> String {
    PathBytes::from(bytes).to_string()
}

/// A node for programs.
pub(super) fn as_value(tree: &Tree, node: &Node<'_>) -> Value {
    let mut value = Map::new();
    json::put(&mut value, "path", &tree.path(node.id));
    let kind = kind(tree, node);
    let word = match kind {
        Kind::Directory => "directory",
        Kind::File { .. } | Kind::HardLink(_) => "file",
        Kind::Symlink(_) => "symlink",
        Kind::CharacterDevice { .. } => "character-device",
        Kind::BlockDevice { .. } => "block-device",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
    };
    let mut put = |key: &str, of: Value| {
        value.insert(key.to_owned(), of);
    };
    put("type", word.into());
    put("mode", format!("{:04o}", node.mode).into());
    put("uid", node.uid.into());
    put("gid", node.gid.into());
    put("modified", node.modified.seconds.into());
    put("nanoseconds", node.modified.nanoseconds.into());
    match kind {
        Kind::File { size, .. } => put("size", (*size).into()),
        Kind::CharacterDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            put("device", format!("{major}:{minor}").into());
        }
        _ => {}
    }
    if let Kind::Symlink(target) = kind {
        json::put(&mut value, "target", target);
    }
    if let Kind::HardLink(first) = node.kind {
        json::put(&mut value, "hard-link-of", &tree.path(*first));
    }
    if !node.attributes.is_empty() {
        let attributes = node.attributes.iter().map(|one| {
            let mut attribute = Map::new();
            json::put(&mut attribute, "name", &one.name);
            attribute.insert("value".to_owned(), hexadecimal(&one.value).into());
            attribute
        });
        value.insert("attributes".to_owned(), attributes.collect());
    }
    Value::Object(value)
}

/// The line of a node in a long listing, with what it is called.
pub(super) fn long(tree: &Tree, node: &Node<'_>, called: &str, widths: [usize; 3]) -> String {
    let kind = kind(tree, node);
    let [user, group, length] = widths;
    let size = match kind {
        Kind::CharacterDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            format!("{major}, {minor}")
        }
        kind => size(kind).to_string(),
    };
    let mut line = format!(
        "{} {:>user$} {:>group$} {size:>length$} {} {called}",
        mode(kind, node.mode),
        node.uid,
        node.gid,
        time(node.modified),
    );
    if let Kind::Symlink(target) = kind {
        // A string takes all that is written to it.
        let _ = write!(line, " -> {}", shown(target));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates() {
        let at = |seconds| {
            time(Timestamp {
                seconds,
                nanoseconds: 0,
            })
        };
        assert_eq!(at(0), "1970-01-01 00:00:00");
        assert_eq!(at(951_782_399), "2000-02-28 23:59:59");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(at(-1), "1969-12-31 23:59:59");
        assert_eq!(at(4_107_542_400), "2100-03-01 00:00:00");
    }

    #[test]
    fn modes_are_letters() {
        assert_eq!(mode(&Kind::Directory, 0o1777), "drwxrwxrwt");
        assert_eq!(mode(&Kind::Fifo, 0o4640), "prwSr-----");
        assert_eq!(mode(&Kind::Socket, 0o2755), "srwxr-sr-x");
    }
}
