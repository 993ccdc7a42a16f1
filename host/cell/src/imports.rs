//! What a component imports, and whether the contract has it.

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::call::Role;
use super::wasi::{component, preview1};

/// The interfaces whose functions are linked, without their versions.
const LINKED: [&str; 6] = [
    "cellblock:format/tree",
    "cellblock:format/placement",
    "cellblock:format/progress",
    "cellblock:format/encoding",
    "cellblock:format/digests",
    "wasi:filesystem/types",
];

/// Those that a reader gets.
const READING: [&str; 4] = [
    "cellblock:format/listing",
    "cellblock:format/decoding",
    "cellblock:format/progress",
    "wasi:filesystem/types",
];

/// Those that are linked only where they are imported.
const ENCODING: [&str; 2] = ["cellblock:format/encoding", "cellblock:format/digests"];

/// The functions and resources that `component` imports, each as `interface#function`, in its own order; imported types
/// are no capabilities. An import that is no interface stands under its bare name.
pub(super) fn list(engine: &Engine, component: &Component) -> Vec<String> {
    let mut imports = Vec::new();
    for (name, item) in component.component_type().imports(engine) {
        match item.ty {
            ComponentItem::ComponentInstance(instance) => {
                for (member, item) in instance.exports(engine) {
                    if matches!(item.ty, ComponentItem::ComponentFunc(_)) {
                        imports.push(format!("{name}#{member}"));
                    }
                }
            }
            ComponentItem::Type(_) => {}
            _ => imports.push(name.to_owned()),
        }
    }
    imports
}

/// Whether `component` exports the interface `wanted`, which has no version.
pub(super) fn exports(engine: &Engine, component: &Component, wanted: &str) -> bool {
    component
        .component_type()
        .exports(engine)
        .any(|(name, _)| interface(name) == wanted)
}

/// The first of `imports` that a guest of this role does not get.
pub(super) fn first_beyond(role: Role, imports: &[String]) -> Option<&String> {
    imports.iter().find(|import| match role {
        Role::Formatter => !is_in_contract(import),
        Role::Reader => !READING.contains(&interface(import)),
        Role::Command => !preview1::is_linked(import) && !component::is_linked(interface(import)),
    })
}

/// Whether an import is of those that only guests get that compress or compare.
pub(super) fn is_encoding(import: &str) -> bool {
    ENCODING.contains(&interface(import))
}

fn is_in_contract(import: &str) -> bool {
    LINKED.contains(&interface(import))
}

/// The interface of an import, without its version.
fn interface(import: &str) -> &str {
    let interface = import
        .split_once('#')
        .map_or(import, |(interface, _)| interface);
    interface
        .split_once('@')
        .map_or(interface, |(unversioned, _)| unversioned)
}
