#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;

use crate::spec::{Project, SpecError};

const IMAGECRAFT: &str = "\
name: ubuntu-minimal
volumes:
  pc:
    schema: mbr,gpt
    structure:
      - {name: efi, role: system-boot, type: '0C,C12A7328-F81F-11D2-BA4B-00A0C93EC93B', filesystem: vfat, size: 256M}
      - &root
        name: rootfs
        role: system-data
        type: 83,0FC63DAF-8483-4772-8E79-3D69D8477DE4
        filesystem: ext4
        filesystem-label: root
        size: 3 G
        partition-number: ~
      - {<<: *root, name: more, filesystem-label: more}
filesystems:
  default:
    - {mount: /, device: (volume/pc/rootfs)}
    - {mount: /boot/efi, device: (volume/pc/efi)}
";

const GADGET: &str = "\
volumes:
  pc:
    bootloader: grub
    id: 6F8C47A6-1C2D-4B35-8B1E-9DE3C4E9E3FF
    partial: [size]
    structure:
      - {name: mbr, type: mbr, size: 440, update: {edition: 1}}
      - name: BIOS Boot
        type: DA,21686148-6449-6E6F-744E-656564454649
        size: 1M
        offset: 1M
        offset-write: mbr+92
      - name: ubuntu-data
        role: system-data
        filesystem: ext4
        type: 83,0FC63DAF-8483-4772-8E79-3D69D8477DE4
        min-size: 1M
        size: 2M
        content: []
";

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
    assert_eq!(project.notes[0].line(GADGET), 7);
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

/// What stands in a spec may be of any size, and no arithmetic on it fails.
#[test]
fn numbers_of_any_size_are_read_or_refused() {
    let largest = u64::MAX.to_string();
    for (source, from) in [
        (IMAGECRAFT, "3 G"),
        (GADGET, "1M\n        offset-write"),
        (GADGET, "2M"),
        (GADGET, "mbr+92"),
    ] {
        let name = if source == GADGET {
            "gadget.yaml"
        } else {
            "imagecraft.yaml"
        };
        for number in [&largest, "17179869183G", "18446744073709551615G", "0"] {
            let to = from.replacen(|c: char| c.is_ascii_digit(), number, 1);
            let source = source.replace(from, &to);
            let Ok(project) = parse(&source, name) else {
                continue;
            };
            for volume in project.volumes {
                let _ =
                    crate::plan::plan(&volume.spec, &Default::default(), &Default::default(), None);
            }
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let source = String::from_utf8_lossy(&bytes);
        for name in ["imagecraft.yaml", "gadget.yaml", "other.yaml"] {
            if let Err(error) = parse(&source, name) {
                prop_assert!(!error.render(name, &source, false).is_empty());
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
                    let again = crate::spec::Spec::parse(&toml, Path::new("")).unwrap();
                    prop_assert_eq!(again.to_toml().unwrap(), toml);
                }
            }
            Err(error) => {
                prop_assert!(!error.render(name, &source, false).is_empty());
            }
        }
    }
}
