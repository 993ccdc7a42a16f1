//! The partitions of an image, cut out where another program says that they lie.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Bench, judge};

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    /// In bytes.
    pub start: u64,
    /// In bytes.
    pub size: u64,
}

/// The partition table of `image`, as `show --json` has it.
pub fn shown(bench: &Bench, image: &Path) -> Value {
    let shown = bench.done(&["show", "--json", image.to_str().unwrap()]);
    serde_json::from_str::<Value>(&shown).unwrap()["partitiontable"].clone()
}

/// The partition table of `image`, whose sectors have 512 bytes, as `sfdisk --json` has it; without sfdisk as we show it,
/// and the skip is said.
pub fn table(bench: &Bench, image: &Path) -> Value {
    let Some(sfdisk) = judge("sfdisk") else {
        return shown(bench, image);
    };
    let output = sfdisk.run(&["--json"], image);
    assert!(output.status.success(), "{}", super::text(&output));
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["partitiontable"].clone()
}

/// The partitions of `image`, in the order of the table; without a name, by their number.
pub fn parts(bench: &Bench, image: &Path) -> Vec<Part> {
    if has_large_sectors(image)
        && let Some(parts) = parts_of_large_sectors(image)
    {
        return parts;
    }
    parts_in(&table(bench, image), image)
}

fn parts_in(table: &Value, image: &Path) -> Vec<Part> {
    // Older ones of sfdisk do not say it, and take 512.
    let sector = table["sectorsize"].as_u64().unwrap_or(512);
    let partitions = table["partitions"].as_array().unwrap();
    partitions
        .iter()
        .map(|partition| {
            let number = number(partition["node"].as_str().unwrap(), image);
            Part {
                name: partition["name"].as_str().unwrap_or(number).to_owned(),
                start: partition["start"].as_u64().unwrap() * sector,
                size: partition["size"].as_u64().unwrap() * sector,
            }
        })
        .collect()
}

/// The number at the end of the name of a partition's device.
fn number<'n>(node: &'n str, image: &Path) -> &'n str {
    node.strip_prefix(image.to_str().unwrap()).unwrap()
}

/// Whether a GPT begins at byte 4096.
fn has_large_sectors(image: &Path) -> bool {
    let mut signature = [0; 8];
    let read = fs::File::open(image)
        .unwrap()
        .read_exact_at(&mut signature, 4096);
    read.is_ok() && signature == *b"EFI PART"
}

/// As fdisk lists them: sfdisk takes sectors of 4096 bytes from a device only.
fn parts_of_large_sectors(image: &Path) -> Option<Vec<Part>> {
    let columns = "Device,Start,Sectors,Name";
    let list = judge("fdisk")?.content_with(&["-b", "4096", "-l", "-o", columns], image);
    let rows = list
        .lines()
        .filter(|line| line.starts_with(image.to_str().unwrap()));
    let parts = rows.map(|row| {
        let mut words = row.split_whitespace();
        let number = number(words.next().unwrap(), image).to_owned();
        let [start, size] = [(); 2].map(|()| words.next().unwrap().parse::<u64>().unwrap() * 4096);
        // No name in the tests has two spaces in a row.
        let name = words.collect::<Vec<_>>().join(" ");
        Part {
            name: if name.is_empty() { number } else { name },
            start,
            size,
        }
    });
    Some(parts.collect())
}

/// Cuts the partition `name` out of `image`, into `NAME.part`.
pub fn cut_out(bench: &Bench, image: &Path, name: &str) -> PathBuf {
    let parts = parts(bench, image);
    let part = parts
        .iter()
        .find(|part| part.name == name)
        .unwrap_or_else(|| panic!("no partition {name} among {parts:?}"));
    bench.cut(image, part.start, part.size, &format!("{name}.part"))
}
