//! What cannot be is refused with a reason and numbers; nothing is written, and an image that exists stays as it is.

mod content;
pub mod output;
mod spec;

use std::fs;

use crate::support::Bench;

/// A partition without a file system; more keys may follow.
const PARTITION: &str = "[[partition]]\nname = \"data\"\ntype = \"linux-generic\"\n";
/// What stands in the image before the build that fails.
const OLD: &str = "an image from before";

/// Fails unless a build of the spec in the bench ends with `code` and says `message`, with and without an image from before.
fn assert_refused(bench: &Bench, spec: &str, code: i32, message: &str) {
    bench.write("image.toml", spec);
    let build = ["build", "image.toml", "-o", "disk.img"];
    let names = bench.names();
    let outcome = bench.run(&build);
    assert_eq!(outcome.stderr, format!("{message}\n"));
    assert_eq!((outcome.code, &*outcome.stdout), (Some(code), ""));
    assert_eq!(bench.names(), names, "something was left");

    let image = bench.write("disk.img", OLD);
    let names = bench.names();
    assert_eq!(bench.run(&build).code, Some(code));
    assert_eq!(fs::read_to_string(&image).unwrap(), OLD);
    assert_eq!(bench.names(), names, "something was left");
    fs::remove_file(image).unwrap();
}

/// A spec of one partition of 2 MiB with a file system.
fn filesystem(kind: &str, more: &str) -> String {
    format!("{PARTITION}size = \"2MiB\"\nfilesystem = \"{kind}\"\n{more}")
}

/// The message of an error that points at `part` of a line of the spec.
fn pointed(message: &str, (number, line): (usize, &str), part: &str) -> String {
    let column = line.find(part).unwrap();
    let (before, marks) = (" ".repeat(column), "^".repeat(part.len()));
    let column = column + 1;
    format!(
        "{message}\n --> image.toml:{number}:{column}\n  |\n{number} | {line}\n  | {before}{marks} here"
    )
}
