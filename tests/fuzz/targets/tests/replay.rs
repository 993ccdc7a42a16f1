//! Every seed, and every crash that was found, through the function that was fuzzed; and structured cases of any bytes.

use cellblock_fuzz_targets as targets;
use cellblock_guest::reader::Reader;
use cellblock_readers_judged::outcome;
use proptest::collection::vec;
use proptest::prelude::*;

macro_rules! targets {
    ($($target:ident),+) => {
        mod seeds {
            $(#[test]
            fn $target() {
                cellblock_fuzz_replay::replay(stringify!($target), super::targets::$target);
            })+
        }

        mod any_bytes {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

                $(#[test]
                fn $target(bytes in vec(any::<u8>(), 0..2000)) {
                    super::targets::$target(&bytes);
                })+
            }
        }
    };
}

targets!(
    spec,
    yaml,
    archive,
    image,
    contexts,
    mtree,
    dump,
    table,
    superblock,
    virtual_disk,
    cache,
    component,
    action,
    wire,
    ext4,
    vfat,
    swap,
    catalog,
    read_ext,
    read_erofs,
    read_fat,
    read_squashfs
);

/// The kernel sees faults that e2fsck does not look for.
#[test]
fn what_becomes_of_the_seeds_of_ext4_is_mounted() {
    let folder = cellblock_fuzz_replay::folder().join("ext4");
    let mut mounted = 0;
    for seed in std::fs::read_dir(folder).expect("seeds") {
        let seed = seed.expect("a seed").path();
        let bytes = std::fs::read(&seed).expect("a seed");
        match targets::ext4_mounted(&bytes) {
            targets::Mounted::Nothing => {}
            targets::Mounted::Read => mounted += 1,
            targets::Mounted::Refused(said) => {
                cellblock_judges::lacks(cellblock_judges::Ability::Mount, &said);
                return;
            }
        }
    }
    assert!(mounted > 10, "only {mounted}");
}

/// What no reader reads would reach little.
#[test]
fn the_seeds_of_readers_are_file_systems() {
    fn all<R: Reader>(target: &str) {
        let folder = cellblock_fuzz_replay::folder().join(target);
        for seed in std::fs::read_dir(folder).expect("seeds") {
            let seed = seed.expect("a seed").path();
            if seed.to_string_lossy().contains("crash-") {
                continue;
            }
            let bytes = std::fs::read(&seed).expect("a seed");
            let read = outcome::<R>(&targets::image_of_reader(&bytes));
            assert!(read.is_ok(), "{}: {read:?}", seed.display());
        }
    }
    all::<cellblock_read_erofs::Erofs>("read_erofs");
    all::<cellblock_read_ext::Ext>("read_ext");
    all::<cellblock_read_fat::Fat>("read_fat");
    all::<cellblock_read_squashfs::Squashfs>("read_squashfs");
}

#[test]
fn every_folder_of_seeds_belongs_to_a_target() {
    let count = std::fs::read_dir(cellblock_fuzz_replay::folder())
        .expect("seeds")
        .count();
    // Two are the cell's own: `cellblock_cell::fuzzing`.
    assert_eq!(count, 22 + 2);
}
