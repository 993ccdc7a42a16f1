//! imagecraft's project files and snapd's gadgets: built as they are, and the same as the spec that they are converted to.

mod gadget;
mod imagecraft;
mod refusals;

use std::path::PathBuf;

use crate::support::Bench;
use crate::support::bench::assert_same_bytes;

/// What is built of `file`, after a look whether its conversion to TOML gives the same bytes, and converts to itself.
fn build_twice(bench: &Bench, file: &str, more: &[&str]) -> PathBuf {
    bench.done(&[&["build", file, "-o", "disk.img", "-q"], more].concat());
    let toml = bench.done(&[&["convert", file], more].concat());
    bench.write("converted.toml", &toml);
    let image = bench.path("disk.img");
    assert_same_bytes(&image, &bench.build("converted.toml", "converted.img"));
    assert_eq!(bench.done(&["convert", "converted.toml"]), toml);
    image
}
