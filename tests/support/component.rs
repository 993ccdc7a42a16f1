//! Hostile guests, from text.

use std::path::PathBuf;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::Bench;
use super::bench::repository;
use crate::hostile::template;

/// A world with a resource of the guest's own.
const RESOURCES: &str = "
    package hostile:more;
    interface things { resource thing; }
    world guest { include cellblock:format/guest@0.1.5; export things; }
";

/// A world that encodes and does not describe its kinds.
const ENCODING: &str = "
    package hostile:encoding;
    world guest { include cellblock:format/guest@0.1.5; include cellblock:format/encoder@0.1.5; }
";

/// Puts the formatter `tests/hostile/NAME.wat` into the bench as `NAME.wasm`.
pub fn formatter(bench: &Bench, name: &str) -> PathBuf {
    bench.write(&format!("{name}.wasm"), formatter_of(&read(name)))
}

/// The component of a formatter that does what `text` says; [`template::module`] tells how.
pub fn formatter_of(text: &str) -> Vec<u8> {
    let whole = template::module(text);
    let mut module = wat::parse_str(&whole).unwrap();
    let mut contract = Resolve::default();
    let folder = repository("wit");
    let (mut package, _) = contract.push_dir(folder).unwrap();
    if text.contains("hostile:more/things") {
        package = contract.push_str("more.wit", RESOURCES).unwrap();
    }
    if whole.contains("cellblock:format/encoding@") || whole.contains("cellblock:format/digests@") {
        package = contract.push_str("encoding.wit", ENCODING).unwrap();
    }
    let world = contract.select_world(&[package], Some("guest")).unwrap();
    embed_component_metadata(&mut module, &contract, world, StringEncoding::UTF8).unwrap();
    encode(&module)
}

/// The component of a reader that is this core module, in text.
pub fn reader_of(text: &str) -> Vec<u8> {
    let mut module = wat::parse_str(text).unwrap();
    let mut contract = Resolve::default();
    let (package, _) = contract.push_dir(repository("wit")).unwrap();
    let world = contract.select_world(&[package], Some("reader-guest"));
    let text = StringEncoding::UTF8;
    embed_component_metadata(&mut module, &contract, world.unwrap(), text).unwrap();
    encode(&module)
}

fn encode(module: &[u8]) -> Vec<u8> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .unwrap()
        .encode()
        .unwrap()
}

/// Puts the component `tests/hostile/NAME.wat` into the bench as `NAME.wasm`.
pub fn component(bench: &Bench, name: &str) -> PathBuf {
    bench.write(&format!("{name}.wasm"), component_of(&read(name)))
}

/// The component that the text describes.
pub fn component_of(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

fn read(name: &str) -> String {
    let path = repository(format!("tests/hostile/{name}.wat"));
    std::fs::read_to_string(path).unwrap()
}
