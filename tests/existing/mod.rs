//! Disks that exist: a partition is made anew, put in or taken out, and nothing else changes.

mod fill;
mod killed;
mod locked;
mod refused;
mod repair;
mod replaced;
mod splice;
mod tables;
mod unprivileged;

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Bench;
use crate::support::disk::{Part, parts};

const MEBIBYTE: usize = 1 << 20;

/// A disk of three empty partitions: `one`, `two` and `three`, of 1, 4 and 2 MiB.
const THREE: &str = r#"
disk = { size = "10MiB", seed = "00000000000000000000000000000001" }
[[partition]]
name = "one"
type = "linux-generic"
size = "1MiB"
[[partition]]
name = "two"
type = "linux-generic"
size = "4MiB"
[[partition]]
name = "three"
type = "linux-generic"
size = "2MiB"
"#;

/// Bytes without a pattern, none of them zero: the same on every run.
fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0] | 1
    };
    (0..length).map(|_| next()).collect()
}

/// An image of [`THREE`] whose every byte outside the table is noise, as after years of use.
fn lived_in(bench: &Bench) -> PathBuf {
    let image = bench.build_text(THREE);
    let mut bytes = fs::read(&image).unwrap();
    let end = 8 * MEBIBYTE;
    bytes[MEBIBYTE..end].copy_from_slice(&noise(end - MEBIBYTE, 1));
    fs::write(&image, bytes).unwrap();
    image
}

/// Where a partition lies in the bytes of an image.
fn place(bench: &Bench, image: &Path, name: &str) -> std::ops::Range<usize> {
    let part: Part = parts(bench, image)
        .into_iter()
        .find(|part| part.name == name)
        .unwrap();
    let start = usize::try_from(part.start).unwrap();
    start..start + usize::try_from(part.size).unwrap()
}

/// Fails unless `image` has these bytes outside `changed`.
fn assert_rest_is(image: &Path, before: &[u8], changed: std::ops::Range<usize>) {
    let after = fs::read(image).unwrap();
    assert_eq!(after.len(), before.len());
    assert!(
        after[..changed.start] == before[..changed.start],
        "bytes before the partition"
    );
    assert!(
        after[changed.end..] == before[changed.end..],
        "bytes behind the partition"
    );
}
