#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use cellblock_contract::{Identifier, KindDescription, Kinds};
use cellblock_spec::{Files, RawSpec, SizeRule, Spec};

mod raw;
mod refusals;
mod volumes;

const MIB: u64 = 1 << 20;

/// What the built-in formatters say of their kinds.
pub(super) fn kinds() -> Kinds {
    let uuid = ["ext2", "ext3", "ext4", "swap"].map(|kind| (kind, Identifier::Uuid));
    let serial = ["vfat", "fat12", "fat16", "fat32"].map(|kind| (kind, Identifier::Serial));
    let all = uuid.into_iter().chain(serial);
    all.map(|(name, identifier)| {
        let kind = KindDescription {
            name: name.to_owned(),
            identifier,
            capital_labels: identifier == Identifier::Serial,
            compresses: false,
            uefi: identifier == Identifier::Serial,
        };
        (name.to_owned(), kind)
    })
    .collect()
}

fn parse(source: &str) -> Spec {
    Spec::parse(source, Path::new("/specs")).unwrap_or_else(|error| {
        panic!("{}", error.render(&Files::one("image.toml", source), false))
    })
}

/// The plan of a spec with what was measured, and the lengths of its raw files.
fn plan(
    spec: &Spec,
    measured: &BTreeMap<usize, u64>,
    raw_lengths: &RawLengths,
    source_date_epoch: Option<i64>,
) -> Result<Plan, PlanError> {
    Draft::new(spec, &kinds(), raw_lengths.clone())?
        .measured(measured.clone())
        .plan(source_date_epoch)
}

/// Plans a spec whose formatters all measure 10,000,000 bytes and whose raw files are 5,000 bytes long.
fn try_plan(source: &str) -> Result<Plan, PlanError> {
    let spec = parse(source);
    let measured = spec
        .partitions
        .iter()
        .enumerate()
        .filter(|(_, partition)| partition.filesystem.is_some())
        .map(|(index, _)| index)
        .map(|index| (index, 10_000_000))
        .collect();
    plan(&spec, &measured, &raw_lengths_of(&spec), None)
}

fn raw_lengths_of(spec: &Spec) -> RawLengths {
    let raw = spec.partitions.iter().flat_map(|partition| &partition.raw);
    let files = raw.chain(&spec.disk.raw).filter_map(RawSpec::file);
    files.map(|file| (file.value.clone(), 5000)).collect()
}

fn planned(source: &str) -> Plan {
    try_plan(source).unwrap_or_else(|error| {
        panic!("{}", error.render(&Files::one("image.toml", source), false))
    })
}

fn refusal(source: &str) -> String {
    try_plan(source)
        .unwrap_err()
        .render(&Files::one("image.toml", source), false)
}

/// A spec of partitions of a type, each with its own lines.
fn spec_of(disk: &str, partitions: &[&str]) -> String {
    let mut spec = format!("[disk]\n{disk}\n");
    for lines in partitions {
        spec.push_str(&format!("[[partition]]\ntype = \"linux\"\n{lines}\n"));
    }
    spec
}

fn extents(plan: &Plan) -> Vec<(u32, u64, u64)> {
    plan.partitions
        .iter()
        .map(|it| (it.number, it.start, it.size))
        .collect()
}

#[test]
fn partitions_are_packed_at_aligned_places() {
    let plan = planned(&spec_of(
        "",
        &[
            "size = \"1536KiB\"",
            "filesystem = \"ext4\"\nsize = \"minimum + 20%\"",
            "filesystem = \"ext4\"",
            "raw = [{ file = \"core.img\", offset = 512 }]",
            "size = 512\noffset = \"40MiB\"",
        ],
    ));
    assert_eq!(
        extents(&plan),
        [
            (1, MIB, 3 * MIB / 2),
            (2, 3 * MIB, 12 * MIB),
            (3, 15 * MIB, 10 * MIB),
            (4, 25 * MIB, 5632),
            (5, 40 * MIB, 512),
        ]
    );
    assert_eq!(plan.size, 41 * MIB);
    plan.table().unwrap().encode().unwrap();
}

#[test]
fn the_rest_is_what_the_others_leave() {
    let plan = planned(&spec_of(
        "size = \"100MiB\"",
        &["size = \"10MiB\"", "size = \"rest\"", "size = \"1536KiB\""],
    ));
    assert_eq!(
        extents(&plan)[1..],
        [(2, 11 * MIB, 87 * MIB), (3, 98 * MIB, 3 * MIB / 2)]
    );
    let plan = planned(&spec_of(
        "size = \"100MiB\"",
        &[
            "size = \"rest\"",
            "size = \"1MiB\"",
            "size = 512\noffset = \"50MiB\"",
        ],
    ));
    assert_eq!(extents(&plan)[0], (1, MIB, 48 * MIB));
    let plan = planned(&spec_of(
        "size = \"100MiB\"\ntable = \"mbr\"",
        &["size = \"rest\""],
    ));
    assert_eq!(extents(&plan), [(1, MIB, 99 * MIB)]);
}

#[test]
fn a_disk_that_its_mbr_does_not_reach_the_end_of_is_warned_of() {
    let warning = |disk: &str| planned(&spec_of(disk, &["size = \"rest\""])).warning();
    let said = warning("size = \"3TiB\"\ntable = \"mbr\"").unwrap();
    assert!(said.contains("last 1 099 511 627 776 bytes"), "{said}");
    assert!(
        said.contains("table = \"gpt\", or sector-size = 4096"),
        "{said}"
    );
    let larger = warning("size = \"17TiB\"\ntable = \"mbr\"").unwrap();
    assert!(larger.ends_with("table = \"gpt\""), "{larger}");
    for fits in [
        "size = \"3TiB\"\ntable = \"mbr\"\nsector-size = 4096",
        "size = \"3TiB\"",
    ] {
        assert_eq!(warning(fits), None, "{fits}");
    }
}

#[test]
fn the_fifth_partition_of_an_mbr_makes_logical_ones() {
    let plan = planned(&spec_of("table = \"mbr\"", &["size = \"1MiB\""; 5]));
    assert_eq!(
        extents(&plan),
        [
            (1, MIB, MIB),
            (2, 2 * MIB, MIB),
            (3, 3 * MIB, MIB),
            (5, 5 * MIB, MIB),
            (6, 7 * MIB, MIB)
        ]
    );
    let table = plan.table().unwrap();
    assert_eq!(table.extended().unwrap().start, Lba(4 * MIB / 512));
    table.encode().unwrap();
}

#[test]
fn identifiers_follow_from_the_seed() {
    let spec = |seed: &str| {
        planned(&spec_of(
            seed,
            &["filesystem = \"ext4\"", "filesystem = \"vfat\""],
        ))
    };
    let zero = "seed = \"00000000000000000000000000000000\"";
    let (first, again) = (spec(zero), spec(zero));
    assert_eq!(first, again);
    let other = spec("seed = \"00000000000000000000000000000001\"");
    assert_ne!(first.disk_id, other.disk_id);
    for (one, two) in first.partitions.iter().zip(&other.partitions) {
        assert_ne!(one.id, two.id);
        let (Fill::Filesystem(one), Fill::Filesystem(two)) = (&one.fill, &two.fill) else {
            panic!("both are file systems")
        };
        assert_ne!((one.uuid, one.seed), (two.uuid, two.seed));
    }
    let Fill::Filesystem(fat) = &first.partitions[1].fill else {
        panic!("a file system")
    };
    assert!(fat.uuid.as_u128() <= u128::from(u32::MAX));
    // RFC 9562, 5.5, as other implementations compute it: what existing images were made with must not change.
    assert_eq!(
        first.disk_id.to_string(),
        "f7e3985a-bc56-50e0-9464-8666343dc1b0"
    );
}

#[test]
fn names_follow_from_types() {
    let plan = planned(&spec_of(
        "",
        &[
            "size = 512",
            "size = 512",
            "size = 512\nname = \"linux-generic-2\"",
        ],
    ));
    let names: Vec<&str> = plan.partitions.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        names,
        ["linux-generic", "linux-generic-3", "linux-generic-2"]
    );
}

#[test]
fn time_is_the_specs_then_the_environments_then_the_newest_files() {
    let time = |disk: &str, environment| {
        let spec = parse(&spec_of(disk, &["size = 512"]));
        plan(&spec, &BTreeMap::new(), &RawLengths::new(), environment)
            .unwrap()
            .time
    };
    assert_eq!(time("time = 5", Some(6)), TimeRule::Fixed(5));
    assert_eq!(time("", Some(6)), TimeRule::Fixed(6));
    assert_eq!(time("", None), TimeRule::NewestFile);
}

#[test]
fn a_file_system_alone_is_planned_as_partition_one_is() {
    let request = |size| MkfsRequest {
        filesystem: FilesystemRequest {
            kind: "ext4".to_owned(),
            label: String::new(),
            uuid: None,
            seed: Some([0; 16]),
            time: None,
            options: BTreeMap::new(),
            drop: Vec::new(),
            sources: Vec::new(),
            contexts: None,
        },
        size,
        sector_size: SectorSize::B512,
    };
    let alone = mkfs_plan(request(SizeRule::parse("minimum + 10%").unwrap()), &kinds()).unwrap();
    assert!(alone.wants_measurement());
    assert_eq!(alone.size(40_960), Ok(45_056));
    assert_eq!(alone.size(4096), Ok(4608));
    let zero = "seed = \"00000000000000000000000000000000\"";
    let disk = planned(&spec_of(zero, &["filesystem = \"ext4\""]));
    assert_eq!(disk.partitions[0].fill, Fill::Filesystem(alone.filesystem));
    assert_eq!(
        *mkfs_plan(request(SizeRule::Rest), &kinds())
            .unwrap_err()
            .reason,
        Reason::RestOfFile
    );
    assert!(
        mkfs_plan(request(SizeRule::Fixed(1000)), &kinds())
            .unwrap_err()
            .to_string()
            .contains("write 512 or 1024")
    );
}

fn partition_lines() -> impl Strategy<Value = String> {
    let size = prop_oneof![
        20 => (1..40_u64).prop_map(|half| format!("size = \"{}KiB\"", half * 512)),
        3 => Just("size = \"rest\"".to_owned()),
        5 => (0..100_u64).prop_map(|margin| format!("filesystem = \"ext4\"\nsize = \"minimum + {margin}%\"")),
        5 => Just("raw = [{ file = \"a\" }, { file = \"b\", offset = \"8KiB\" }]".to_owned()),
        1 => any::<u64>().prop_map(|bytes| format!("size = \"{bytes}\"")),
    ];
    let offset = prop_oneof![
        40 => Just(String::new()),
        4 => (0..64_u64).prop_map(|mib| format!("\noffset = \"{mib}MiB\"")),
        1 => any::<u64>().prop_map(|bytes| format!("\noffset = \"{bytes}\"")),
    ];
    let number = prop_oneof![20 => Just(String::new()), 1 => (1..9_u32).prop_map(|number| format!("\nnumber = {number}"))];
    (size, offset, number).prop_map(|(size, offset, number)| format!("{size}{offset}{number}"))
}

fn disk_lines() -> impl Strategy<Value = String> {
    let size = prop_oneof![
        10 => Just(String::new()),
        20 => (1..300_u64).prop_map(|mib| format!("size = \"{mib}MiB\"\n")),
        1 => any::<u64>().prop_map(|bytes| format!("size = \"{bytes}\"\n")),
    ];
    let alignment = prop_oneof![
        4 => Just(String::new()),
        1 => (1..5_u64).prop_map(|mib| format!("alignment = \"{mib}MiB\"\n")),
        1 => (1..9_u64).prop_map(|pages| format!("alignment = {}\n", pages * 4096)),
    ];
    let table = prop::sample::select(vec!["", "table = \"mbr\"\n", "sector-size = 4096\n"]);
    (size, alignment, table)
        .prop_map(|(size, alignment, table)| format!("{size}{alignment}{table}"))
}

#[test]
fn what_the_spec_alone_places_is_settled_before_anything_is_measured() {
    let fixed = "size = \"1MiB\"\nfilesystem = \"vfat\"";
    let spec = parse(&spec_of(
        "size = \"100MiB\"",
        &[
            fixed,
            fixed,
            "filesystem = \"ext4\"",
            fixed,
            "size = \"1MiB\"\noffset = \"50MiB\"\nfilesystem = \"vfat\"",
            fixed,
            "size = \"rest\"\nfilesystem = \"ext4\"",
            fixed,
        ],
    ));
    let draft = Draft::new(&spec, &kinds(), RawLengths::new()).unwrap();
    let settled: Vec<_> = draft.settled().into_iter().collect();
    let at = |start: u64| start * MIB..(start + 1) * MIB;
    assert_eq!(settled, [(0, at(1)), (1, at(2)), (4, at(50)), (5, at(51))]);
}

#[test]
fn the_file_that_becomes_the_image_has_the_partition_with_the_most_content() {
    let host = |partitions: &[&str]| {
        let spec = parse(&spec_of("size = \"1GiB\"", partitions));
        let draft = Draft::new(&spec, &kinds(), RawLengths::new()).unwrap();
        draft.host()
    };
    let content = "content = [{ directory = \"x\" }]";
    let small = format!("size = \"1MiB\"\nfilesystem = \"vfat\"\n{content}");
    let large = format!("size = \"9MiB\"\nfilesystem = \"ext4\"\n{content}");
    let measured = format!("filesystem = \"ext4\"\n{content}");
    let empty = "size = \"rest\"\nfilesystem = \"ext4\"";
    assert_eq!(host(&["size = \"1MiB\""]), None);
    assert_eq!(host(&[&small, &large, &large, empty]), Some(1));
    assert_eq!(host(&[&large, &measured, empty]), Some(1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn plans_keep_their_promises(
        disk in disk_lines(),
        partitions in prop::collection::vec(partition_lines(), 1..8),
    ) {
        let partitions: Vec<&str> = partitions.iter().map(String::as_str).collect();
        let source = spec_of(&disk, &partitions);
        let plan = match try_plan(&source) {
            Ok(plan) => plan,
            Err(error) => {
                prop_assert!(!error.render(&Files::one("image.toml", source.clone()), false).is_empty());
                return Ok(());
            }
        };
        let spec = parse(&source);
        let draft = Draft::new(&spec, &kinds(), raw_lengths_of(&spec)).unwrap();
        for (index, settled) in draft.settled() {
            let planned = &plan.partitions[index];
            prop_assert_eq!(settled, planned.start..planned.start + planned.size, "{}", source);
        }
        let sector = plan.sector_size.bytes();
        prop_assert_eq!(plan.size % sector, 0);
        let alignment = spec.disk.alignment.as_ref().map_or(MIB, |alignment| alignment.value);
        let mut end = 0;
        for (planned, asked) in plan.partitions.iter().zip(&spec.partitions) {
            prop_assert!(planned.start >= end);
            prop_assert!(planned.size > 0);
            prop_assert_eq!(planned.size % sector, 0);
            match &asked.offset {
                Some(offset) => prop_assert_eq!(planned.start, offset.value),
                None => prop_assert_eq!(planned.start % alignment, 0),
            }
            end = planned.start + planned.size;
        }
        prop_assert!(end <= plan.size);
        if let Err(error) = plan.table().unwrap().encode() {
            return Err(TestCaseError::fail(format!("{error}\n{source}\n{plan:#?}")));
        }
    }
}

#[test]
fn a_hybrid_table_has_some_partitions_in_its_mbr() {
    let in_mbr = "size = \"1MiB\"\nmbr-type = \"0x0c\"";
    let alone = "size = \"1MiB\"";
    let hybrid = "table = \"hybrid\"";
    let plan = planned(&spec_of(hybrid, &[alone, in_mbr, alone, in_mbr, in_mbr]));
    assert!(plan.is_hybrid());
    let types: Vec<_> = plan.partitions.iter().map(|it| it.mbr_type).collect();
    assert_eq!(types, [None, Some(12), None, Some(12), Some(12)]);
    plan.table().unwrap().encode().unwrap();

    let refused = |disk: &str, partitions: &[&str]| refusal(&spec_of(disk, partitions));
    let message = refused(hybrid, &[alone]);
    assert!(
        message.contains("no partition of the hybrid table has an `mbr-type`"),
        "{message}"
    );
    let message = refused(hybrid, &[in_mbr, in_mbr, in_mbr, in_mbr, in_mbr]);
    let expected = "partition 'linux-generic-4' (number 4): 5 partitions have an `mbr-type`, \
                    and the MBR of a hybrid table has room for 3: remove 2";
    assert!(message.contains(expected), "{message}");
    for kind in ["0xee", "extended"] {
        let message = refused(hybrid, &[&format!("size = 512\nmbr-type = \"{kind}\"")]);
        assert!(message.contains("has a meaning of its own"), "{message}");
    }
    let message = refused(hybrid, &["size = \"3TiB\"\nmbr-type = \"0x0c\""]);
    assert!(message.contains("it ends at 3 298 535 931 904 bytes, and the MBR of a hybrid table with sectors of 512 bytes ends at 2 199 023 255 552 bytes"), "{message}");
    planned(&spec_of(hybrid, &[in_mbr, "size = \"3TiB\""]));
    planned(&spec_of(
        "table = \"hybrid\"\nsector-size = 4096",
        &["size = \"3TiB\"\nmbr-type = \"0x0c\""],
    ));
}

#[test]
fn different_disks_have_different_identifiers_and_the_same_one_keeps_its_own() {
    let spec = |name: &str, size: u32, folder: &str| {
        format!(
            "[[partition]]\nname = \"{name}\"\ntype = \"linux\"\nsize = \"{size}MiB\"\nfilesystem = \"ext4\"\n\
             content = [{{ directory = \"{folder}\" }}]\n"
        )
    };
    let ids = |source: &str| {
        let plan = try_plan(source).unwrap();
        let Fill::Filesystem(filesystem) = &plan.partitions[0].fill else {
            panic!("a file system");
        };
        (
            plan.seed,
            plan.disk_id,
            plan.partitions[0].id,
            filesystem.uuid,
        )
    };
    let one = ids(&spec("root", 8, "a"));
    assert_eq!(one, ids(&spec("root", 8, "b")), "paths are no part of it");
    for other in [spec("data", 8, "a"), spec("root", 9, "a")] {
        let other = ids(&other);
        assert_ne!(one.0, other.0);
        assert_ne!(one.1, other.1);
        assert_ne!(one.2, other.2);
        assert_ne!(one.3, other.3);
    }
}
