//! The partitions of an image, cut out.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Bench;

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    /// In bytes.
    pub start: u64,
    /// In bytes.
    pub size: u64,
}

/// The partition table of `image`, in the shape of `sfdisk --json`.
pub fn table(bench: &Bench, image: &Path) -> Value {
    let shown = bench.done(&["show", "--json", image.to_str().unwrap()]);
    serde_json::from_str::<Value>(&shown).unwrap()["partitiontable"].clone()
}

/// The partitions of `image`, in the order of the disk; without a name, by their number.
pub fn parts(bench: &Bench, image: &Path) -> Vec<Part> {
    let table = table(bench, image);
    // An MBR does not say it, and sfdisk takes 512.
    let sector = table["sectorsize"].as_u64().unwrap_or(512);
    let partitions = table["partitions"].as_array().unwrap();
    partitions
        .iter()
        .map(|partition| {
            let node = partition["node"].as_str().unwrap();
            let number = &node[image.to_str().unwrap().len()..];
            Part {
                name: partition["name"].as_str().unwrap_or(number).to_owned(),
                start: partition["start"].as_u64().unwrap() * sector,
                size: partition["size"].as_u64().unwrap() * sector,
            }
        })
        .collect()
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
