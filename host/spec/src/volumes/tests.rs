#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;

use crate::{Choices, Files, Project, SizeRule, Spec, SpecError};

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

/// A project file with these structures, below `structure:`, and these keys in place of its own.
fn project(schema: &str, structures: &str, replaced: &[(&str, &str)]) -> String {
    let mut source = format!(
        "volumes:\n  pc:\n    schema: {schema}\n    structure:\n{structures}filesystems:\n  default:\n    \
         - {{mount: /, device: (volume/pc/rootfs)}}\nname: pc\nbase: bare\nbuild-base: ubuntu@24.04\n\
         platforms: {{amd64: }}\nparts: {{}}\n"
    );
    for (from, to) in replaced {
        assert!(source.contains(from), "{from}");
        source = source.replace(from, to);
    }
    source
}

const ROOT: &str =
    "      - {name: rootfs, role: system-data, type: '83', filesystem: ext4, size: 4M}\n";

fn said(source: &str) -> String {
    let error = parse(source, "imagecraft.yaml").unwrap_err();
    error.render(&Files::one("imagecraft.yaml", source), false)
}

#[test]
fn unquoted_words_are_read_as_python_reads_them() {
    let structures = ROOT
        .replace("4M", "0400000000")
        .replace("ext4", "ext4, filesystem-label: 010");
    let source = project("mbr", &structures, &[]);
    let spec = &parse(&source, "imagecraft.yaml").unwrap().volumes[0].spec;
    assert_eq!(spec.partitions[0].size_rule(), SizeRule::Fixed(64 << 20));
    let label = |spec: &Spec| {
        let filesystem = spec.partitions[0].filesystem.as_ref();
        filesystem.unwrap().label.as_ref().unwrap().value.clone()
    };
    assert_eq!(label(spec), "8");
    let structures = ROOT.replace("ext4", "ext4, filesystem-label: 1.50");
    let source = project("mbr", &structures, &[]);
    assert_eq!(
        label(&parse(&source, "imagecraft.yaml").unwrap().volumes[0].spec),
        "1.5"
    );
    for (from, to, expected) in [
        (
            "'83'",
            "83",
            "type: YAML takes this for a number: write it in quotes",
        ),
        (
            "ext4,",
            "ext4, filesystem-label: yes,",
            "filesystem-label: YAML takes this for true or false: write it in quotes",
        ),
        (
            "ext4,",
            "ext4, filesystem-label: 2024-01-31,",
            "filesystem-label: YAML takes this for a date: write it in quotes",
        ),
    ] {
        let said = said(&project("mbr", &ROOT.replace(from, to), &[]));
        assert!(said.contains(expected), "{said}");
    }
    // snapd's decoder takes words as they are written.
    let gadget = "volumes:\n  pc:\n    bootloader: u-boot\n    schema: mbr\n    structure: [{name: 010, type: 83, filesystem: ext4, filesystem-label: yes, size: 1M}, {name: w, role: system-data, type: 83, size: 1M}]\n";
    let spec = &parse(gadget, "gadget.yaml").unwrap().volumes[0].spec;
    assert_eq!(spec.partitions[0].name.as_ref().unwrap().value, "010");
    assert_eq!(label(spec), "yes");
}

#[test]
fn the_keys_at_the_top_are_checked_as_imagecraft_does() {
    for (from, to, expected) in [
        (
            "base: bare\n",
            "base: ubuntu@24.04\n",
            "base: `ubuntu@24.04` is none of `bare`",
        ),
        ("\nbase: bare\n", "\n", "the key `base` is missing"),
        (
            "build-base: ubuntu@24.04\n",
            "",
            "the key `build-base` is missing",
        ),
        (
            "ubuntu@24.04",
            "ubuntu@18.04",
            "build-base: `ubuntu@18.04` is none of",
        ),
        (
            "{amd64: }",
            "{amd46: }",
            "platform 'amd46': `amd46` is no architecture",
        ),
        (
            "{amd64: }",
            "{mine: {build-on: [vax], build-for: amd64}}",
            "platform 'mine': build-on: `vax` is none of `amd64`",
        ),
        (
            "{amd64: }",
            "{mine: {build-on: amd64}}",
            "platform 'mine': the key `build-for` is missing",
        ),
        (
            "{amd64: }",
            "{amd64: {build-on: []}}",
            "platform 'amd64': build-on: this is an array: write one architecture or more",
        ),
        (
            "{amd64: }",
            "{any: {build-on: amd64, build-for: amd64}}",
            "`any` cannot be a name",
        ),
        ("parts: {}\n", "", "the key `parts` is missing"),
        (
            "parts: {}",
            "parts: ",
            "parts: this is empty: write a mapping",
        ),
        ("name: pc", "name: p--c", "`p--c` is no name of a project"),
        ("name: pc", "name: 5", "`5` is no name of a project"),
        (
            "name: pc",
            "name: pc\nversion: a b",
            "version: `a b` is no version",
        ),
        (
            "name: pc",
            "name: pc\ntitle: A",
            "title: it has 1 characters: write at least 2 and at most 40",
        ),
        (
            "name: pc",
            "name: pc\nsummary: yes",
            "summary: YAML takes this for true or false",
        ),
        (
            "parts: {}\n",
            "parts: {}\nwebsite: https://example.org\n",
            "unknown key `website`",
        ),
    ] {
        let said = said(&project("mbr", ROOT, &[(from, to)]));
        assert!(said.contains(expected), "{said}");
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
    }
    for platforms in [
        "{mine: {build-on: [amd64], build-for: ['ubuntu@24.04:riscv64']}}",
        "{amd64: {build-on: [amd64, arm64]}}",
        "{amd64: {build-on: arm64}, every: {build-on: amd64, build-for: all}}",
    ] {
        let source = project("mbr", ROOT, &[("{amd64: }", platforms)]);
        assert!(parse(&source, "imagecraft.yaml").is_ok(), "{platforms}");
    }
}

/// The files that the end-to-end tests refuse, with what they expect.
#[test]
fn a_misspelled_key_is_one_mistake() {
    let refused = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/refused");
    for kind in ["imagecraft", "gadget"] {
        let source = std::fs::read_to_string(refused.join(kind).join("unknown-key.yaml")).unwrap();
        let expected = std::fs::read_to_string(refused.join(kind).join("unknown-key.txt")).unwrap();
        let error = parse(&source, &format!("{kind}.yaml")).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{kind}: {error:?}");
        assert_eq!(expected.matches("error: ").count(), 1, "{kind}");
        assert!(expected.contains(&error.problems[0].to_string()), "{kind}");
    }
}

#[test]
fn a_hybrid_has_no_numbers_of_partitions() {
    let kind = "'0C,C12A7328-F81F-11D2-BA4B-00A0C93EC93B', partition-number: 1";
    let structures = ROOT.replace("'83'", kind).replace("ext4", "vfat");
    let said = said(&project("'mbr,gpt'", &structures, &[]));
    assert!(said.contains("unknown key `partition-number`"), "{said}");
}

#[test]
fn lists_choose_by_the_platform() {
    let structures = format!(
        "      - for one:\n  {}        - on amd64 to arm64: [{{name: crossed, role: system-data, type: '83', filesystem: ext4, size: 2M}}]\n{}",
        ROOT.replace('\n', "\n  ").trim_end(),
        "      - to arm64: []\n      - else: [{name: extra, role: system-boot, type: '83', filesystem: ext4, size: 1M}]\n"
    );
    let structures = structures.replace("        - on amd64", "\n      - on amd64");
    let mounts = (
        "    - {mount: /, device: (volume/pc/rootfs)}",
        "    - for any:\n        - {mount: /, device: (volume/pc/rootfs)}",
    );
    let two =
        "{one: {build-on: amd64, build-for: amd64}, two: {build-on: amd64, build-for: arm64}}";
    let source = project("mbr", &structures, &[("{amd64: }", two), mounts]);
    let read = |platform: Option<&str>, source: &str| {
        let choices = Choices {
            platform: platform.map(str::to_owned),
            ..Choices::default()
        };
        let files = Files::one("imagecraft.yaml", source);
        Project::read(&files, &choices).map_err(|error| error.render(&files, false))
    };
    let names = |project: Project| -> Vec<String> {
        let partitions = project.volumes.into_iter().next().unwrap().spec.partitions;
        partitions
            .into_iter()
            .map(|partition| partition.name.unwrap().value)
            .collect()
    };
    assert_eq!(
        names(read(Some("one"), &source).unwrap()),
        ["rootfs", "extra"]
    );
    let renamed = source.replace("pc/rootfs", "pc/crossed");
    assert_eq!(names(read(Some("two"), &renamed).unwrap()), ["crossed"]);
    let said = read(None, &source).unwrap_err();
    assert!(
        said.contains("name the platform that you build for with --platform NAME"),
        "{said}"
    );
    let said = read(Some("three"), &source).unwrap_err();
    assert!(said.contains("there is no platform `three`"), "{said}");
    assert!(said.contains("the platforms are one, two"), "{said}");
    let alone = source.replace(two, "{one: {build-on: amd64, build-for: amd64}}");
    assert_eq!(names(read(None, &alone).unwrap()), ["rootfs", "extra"]);
    let orphan = source.replace("- to arm64: []\n", "- {}\n");
    let said = read(Some("one"), &orphan).unwrap_err();
    assert!(said.contains("`else` follows no choice"), "{said}");
}

#[test]
fn a_structure_beyond_the_longest_file_is_refused_where_it_is() {
    let gadget = |structures: &str| {
        let source = format!("volumes:\n  pc:\n    schema: mbr\n    structure:\n{structures}");
        let error = parse(&source, "gadget.yaml").unwrap_err();
        error.render(&Files::one("gadget.yaml", source), false)
    };
    let half = 1_u64 << 62;
    let said = gadget(&format!(
        "      - {{name: a, type: bare, offset: {half}, size: {half}}}\n      - {{name: b, type: bare, size: 1M}}\n"
    ));
    assert!(
        said.contains("from byte 4 611 686 018 427 387 904 on ends beyond")
            && said.contains("gadget.yaml:5:")
            && !said.contains("gadget.yaml:6:"),
        "{said}"
    );
    let said = gadget("      - {name: a, type: bare, size: 9223372036854775808}\n");
    assert!(
        said.contains("`9223372036854775808` is not a size"),
        "{said}"
    );
}

#[test]
fn standard_input_is_told_by_what_is_in_it() {
    let count = |source: &str| parse(source, "-").unwrap().volumes[0].spec.partitions.len();
    assert_eq!((count(IMAGECRAFT), count(GADGET)), (3, 2));
    assert_eq!(count("[[partition]]\ntype = \"esp\"\nsize = 512\n"), 1);
    let json = r#"{"volumes": {"pc": {"bootloader": "grub", "schema": "mbr", "structure": [{"name": "p", "type": "83", "size": "1M", "role": "system-data"}]}}}"#;
    assert_eq!(count(json), 1);
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
                    let again = Spec::parse(&toml, Path::new("")).unwrap();
                    prop_assert_eq!(again.to_toml().unwrap(), toml);
                }
            }
            Err(error) => {
                prop_assert!(!error.render(&Files::one(name, source.clone()), false).is_empty());
            }
        }
    }
}
