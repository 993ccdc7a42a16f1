//! `cellblock init`: a commented spec to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use cellblock_build::spec::EXAMPLE;
use cellblock_build::text::printable;
use serde_json::json;

use super::{Failure, print, print_json};
use crate::arguments::Init;

pub(super) fn run(init: &Init) -> Result<(), Failure> {
    if init.file == Path::new("-") {
        return print(EXAMPLE);
    }
    let name = init.file.display();
    let failed = |error| Failure::failed(format_args!("{name}: {error}"));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&init.file)
        .map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Failure::usage(format_args!(
                "{name}: exists, and is not replaced; name another file, or remove it"
            )),
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                Failure::usage(format_args!("{name}: {error}"))
            }
            _ => failed(error),
        })?;
    let example = EXAMPLE.replace("image.toml", &printable(&name.to_string()));
    file.write_all(example.as_bytes()).map_err(failed)?;
    if init.json {
        return print_json(&json!({ "file": init.file.display().to_string() }));
    }
    print(&format!(
        "{name}: written; change it, and run `cellblock build {name}`\n"
    ))
}
