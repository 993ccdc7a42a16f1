//! What somebody wants on a disk, in TOML or in YAML.

use std::collections::BTreeMap;
use std::path::Path;

use cellblock_build::plan::Draft;
use cellblock_spec::{Files, Project, RawSpec, Spec};

/// What every formatter measures, in bytes.
const MEASURED: u64 = 10_000_000;
/// How long every file is that is copied as it is, in bytes.
const RAW_LENGTH: u64 = 5000;

/// An `image.toml`.
pub fn spec(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data) {
        read(text, "/specs/image.toml");
    }
}

/// Another tool's file, whose name the first byte tells.
pub fn yaml(data: &[u8]) {
    const NAMES: [&str; 3] = ["imagecraft.yaml", "meta/gadget.yaml", "disk.yml"];
    let Some((name, text)) = data.split_first() else {
        return;
    };
    if let Ok(text) = str::from_utf8(text) {
        read(text, NAMES[usize::from(*name) % NAMES.len()]);
    }
}

/// Reads, plans and prints; or says what is wrong, and where.
fn read(text: &str, name: &str) {
    match Project::parse(text, Path::new(name)) {
        Ok(project) => {
            for note in &project.notes {
                assert!(Files::one(name, text).line(&note.place) <= 1 + text.matches('\n').count());
            }
            for volume in &project.volumes {
                print_and_read(&volume.spec);
                make_plan(&volume.spec, name, text);
            }
        }
        Err(error) => {
            assert!(!error.problems.is_empty() && !error.to_string().is_empty());
            for color in [false, true] {
                assert!(!error.render(&Files::one(name, text), color).is_empty());
            }
        }
    }
}

/// What is printed means what was read.
fn print_and_read(spec: &Spec) {
    let Ok(printed) = spec.to_toml() else {
        return;
    };
    let again = Spec::parse(&printed, Path::new("")).unwrap_or_else(|error| {
        panic!(
            "{}",
            error.render(&Files::one("printed", printed.clone()), false)
        )
    });
    assert_eq!(again.to_toml().as_ref(), Ok(&printed));
}

/// What can be planned has a table that can be written.
fn make_plan(spec: &Spec, name: &str, text: &str) {
    let raw = spec.partitions.iter().flat_map(|partition| &partition.raw);
    let files = raw.chain(&spec.disk.raw).filter_map(RawSpec::file);
    let core = spec.boot.grub_bios.iter().map(|grub| &grub.core_image);
    let lengths: BTreeMap<_, _> = files
        .chain(core)
        .map(|file| (file.value.clone(), RAW_LENGTH))
        .collect();
    let kinds = Default::default();
    let planned = Draft::new(spec, &kinds, lengths).and_then(|draft| {
        assert!(draft.facts().names().count() > 0);
        let wanted = draft.measurements_wanted().into_iter();
        let measured = wanted.map(|index| (index, MEASURED)).collect();
        draft.measured(measured).plan(None)
    });
    match planned {
        Ok(plan) => {
            let table = plan.table().unwrap_or_else(|error| panic!("{error}"));
            if let Err(error) = table.encode() {
                panic!("{error}");
            }
        }
        Err(error) => assert!(!error.render(&Files::one(name, text), true).is_empty()),
    }
}
