//! What a component imports, and whether the contract has it.

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

/// The interfaces whose functions are linked, without their versions.
const LINKED: [&str; 4] = [
    "cellblock:format/tree",
    "cellblock:format/placement",
    "cellblock:format/progress",
    "wasi:filesystem/types",
];

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

/// The first of `imports` that the contract does not have.
pub(super) fn first_beyond_contract(imports: &[String]) -> Option<&String> {
    imports.iter().find(|import| {
        let interface = import
            .split_once('#')
            .map_or(import.as_str(), |(interface, _)| interface);
        let unversioned = interface
            .split_once('@')
            .map_or(interface, |(unversioned, _)| unversioned);
        !LINKED.contains(&unversioned)
    })
}
