#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;

use crate::{Files, Project, SpecError};

const IMAGECRAFT: &str = include_str!("../../../../tests/cases/volumes/imagecraft.yaml");

const GADGET: &str = include_str!("../../../../tests/cases/volumes/gadget.yaml");

fn parse(source: &str, name: &str) -> Result<Project, SpecError> {
    Project::parse(source, Path::new(name))
}

#[test]
fn both_examples_are_read() {
    let project = parse(IMAGECRAFT, "imagecraft.yaml").unwrap();
    assert_eq!(project.volumes[0].root, Some(1));
    assert_eq!(project.volumes[0].spec.partitions.len(), 3);
    let project = parse(GADGET, "meta/gadget.yaml").unwrap();
    assert_eq!(project.volumes[0].spec.partitions.len(), 2);
    assert_eq!(project.notes.len(), 2);
    assert_eq!(Files::one("", GADGET).line(&project.notes[0].place), 7);
}

#[test]
fn another_name_is_told_by_its_keys() {
    let names = |source: &str| {
        let project = parse(source, "disk.yml").unwrap();
        project.volumes[0].spec.partitions.len()
    };
    assert_eq!((names(IMAGECRAFT), names(GADGET)), (3, 2));
    assert!(parse(IMAGECRAFT, "gadget.yaml").is_err());
    assert!(parse(GADGET, "imagecraft.yaml").is_err());
    assert!(parse(GADGET, "gadget.toml").is_err());
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let source = String::from_utf8_lossy(&bytes);
        for name in ["imagecraft.yaml", "gadget.yaml", "other.yaml"] {
            if let Err(error) = parse(&source, name) {
                prop_assert!(!error.render(&Files::one(name, source.clone()), false).is_empty());
            }
        }
    }

    #[test]
    fn damaged_files_never_panic(
        is_gadget in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, ".{0,6}"), 1..5),
    ) {
        let (source, name) = if is_gadget { (GADGET, "gadget.yaml") } else { (IMAGECRAFT, "imagecraft.yaml") };
        let mut source = source.to_owned();
        for (at, length, instead) in changes {
            let start = source.floor_char_boundary(at.index(source.len().max(1)));
            let end = source.ceil_char_boundary((start + length).min(source.len()));
            source.replace_range(start..end, &instead);
        }
        match parse(&source, name) {
            Ok(project) => {
                for volume in project.volumes {
                    let toml = volume.spec.to_toml().unwrap();
                    let again = crate::Spec::parse(&toml, Path::new("")).unwrap();
                    prop_assert_eq!(again.to_toml().unwrap(), toml);
                }
            }
            Err(error) => {
                prop_assert!(!error.render(&Files::one(name, source.clone()), false).is_empty());
            }
        }
    }
}
