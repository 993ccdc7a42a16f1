//! A tree as text, which goes from one machine to another: a line for each name, without what only Unix's file systems have.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use crate::seen::{Seen, Tree};

const KINDS: [&str; 7] = [
    "directory",
    "file",
    "symlink",
    "character device",
    "block device",
    "fifo",
    "socket",
];

/// The tree as text.
pub fn written(tree: &Tree) -> String {
    let mut text = String::new();
    for (path, seen) in tree {
        let bytes = path.as_os_str().as_bytes();
        let kind = KINDS.iter().position(|kind| *kind == seen.kind).unwrap();
        let path: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(
            text,
            "/{path} {kind} {} {} {} {} {} {} {} {}",
            seen.mode,
            seen.owner.0,
            seen.owner.1,
            seen.modified.0,
            seen.modified.1,
            seen.numbers.0,
            seen.numbers.1,
            seen.content
        )
        .unwrap();
    }
    text
}

/// The tree of such a text.
pub fn parsed(text: &str) -> Tree {
    text.lines().map(line).collect()
}

fn line(line: &str) -> (PathBuf, Seen) {
    let (path, numbers) = line.split_once(' ').unwrap();
    let bytes: Vec<u8> = path.as_bytes()[1..]
        .chunks(2)
        .map(|digits| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap())
        .collect();
    let path = PathBuf::from(OsStr::from_bytes(&bytes));
    let numbers: Vec<i128> = numbers
        .split(' ')
        .map(|number| number.parse().unwrap())
        .collect();
    let at = |index: usize| numbers[index];
    let seen = Seen {
        kind: KINDS[usize::try_from(at(0)).unwrap()],
        mode: u16::try_from(at(1)).unwrap(),
        owner: (at(2).try_into().unwrap(), at(3).try_into().unwrap()),
        modified: (at(4).try_into().unwrap(), at(5).try_into().unwrap()),
        numbers: (at(6).try_into().unwrap(), at(7).try_into().unwrap()),
        content: at(8).try_into().unwrap(),
        target: Vec::new(),
        attributes: std::collections::BTreeMap::new(),
        first: path.clone(),
    };
    (path, seen)
}
