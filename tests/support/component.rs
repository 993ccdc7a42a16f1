//! Hostile guests, from the text in `tests/hostile/`.

use std::path::{Path, PathBuf};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::Bench;

/// Puts the formatter `tests/hostile/NAME.wat` into the bench as `NAME.wasm`.
///
/// The text holds the imports of a core module, and a function `$format` that is given the handle of the partition and
/// returns the error code to refuse with, or -1. What every formatter has stands in `formatter.wat`.
pub fn formatter(bench: &Bench, name: &str) -> PathBuf {
    let module = format!("(module {}\n{})", read(name), read("formatter"));
    let mut module = wat::parse_str(module).unwrap();
    let mut contract = Resolve::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let (package, _) = contract.push_dir(folder).unwrap();
    let world = contract.select_world(&[package], Some("guest")).unwrap();
    embed_component_metadata(&mut module, &contract, world, StringEncoding::UTF8).unwrap();
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .unwrap()
        .encode()
        .unwrap();
    bench.write(&format!("{name}.wasm"), component)
}

/// Puts the component `tests/hostile/NAME.wat` into the bench as `NAME.wasm`.
pub fn component(bench: &Bench, name: &str) -> PathBuf {
    let component = wat::parse_str(read(name)).unwrap();
    bench.write(&format!("{name}.wasm"), component)
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/hostile/{name}.wat"));
    std::fs::read_to_string(path).unwrap()
}
