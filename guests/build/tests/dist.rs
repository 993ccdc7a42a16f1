//! What stands in `guests/dist/` is built from this tree.

#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;

use cellblock_guests_build::{Workspace, build, sources};

#[test]
fn every_guest_is_built_from_its_sources() {
    let workspace = Workspace::here();
    let stale: Vec<String> = workspace
        .guests()
        .unwrap()
        .into_iter()
        .filter(|name| recorded(&workspace, name) != sources::digest(&workspace, name).unwrap())
        .collect();
    assert!(
        stale.is_empty(),
        "guests/dist/ is older than its sources: run `cargo guests {}`",
        stale.join(" ")
    );
}

/// The digest of the sources that the component of `name` was built from.
fn recorded(workspace: &Workspace, name: &str) -> String {
    let component = fs::read(workspace.dist(name)).unwrap_or_default();
    build::provenance(&component).map_or_else(
        |_| "there is no component".to_owned(),
        |provenance| provenance.sources,
    )
}

#[test]
fn there_is_a_source_for_every_component() {
    let workspace = Workspace::here();
    let mut components: Vec<String> = fs::read_dir(workspace.root.join("guests/dist"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "wasm"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    components.sort();
    assert_eq!(components, workspace.guests().unwrap());
}

#[test]
fn every_component_names_its_compiler() {
    let workspace = Workspace::here();
    for name in workspace.guests().unwrap() {
        let component = fs::read(workspace.dist(&name)).unwrap();
        let compiler = build::provenance(&component).unwrap().compiler;
        assert!(compiler.starts_with("rustc "), "{name}: {compiler}");
    }
}

#[test]
fn every_guest_has_a_digest_of_its_own() {
    let workspace = Workspace::here();
    let names = workspace.guests().unwrap();
    let mut digests: Vec<String> = names
        .iter()
        .map(|name| sources::digest(&workspace, name).unwrap())
        .collect();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), names.len());
}
