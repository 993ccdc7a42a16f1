//! The choice of width and cluster, and the sizes at which trees begin to fit.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{FormatError, Shortage};
use cellblock_judges::{judge, text};
use proptest::prelude::*;
use support::{MIB, Scratch, format, measure, read_back, request};

/// Width and sectors per cluster of the volume that mkfs.fat makes, and nothing where it makes none.
fn choice_of_mkfs(size: u64, extra: &[&str]) -> Option<(u32, u32)> {
    let path = Scratch::new("mkfs.img");
    let kibibytes = (size / 1024).to_string();
    let mut mkfs = judge("mkfs.fat")?.command();
    let output = mkfs
        .args(["-v", "-C"])
        .args(extra)
        .arg(&path.0)
        .arg(kibibytes);
    let text = text(&output.output().unwrap());
    let line = text
        .lines()
        .find(|line| line.starts_with("filesystem has"))?;
    let numbers: Vec<u32> = line
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    Some((numbers[1], numbers[2]))
}

fn our_choice(kind: &str, size: u64, sector_size: u32) -> (u32, u32) {
    let mut request = request(kind, size);
    request.sector_size = sector_size;
    let volume = format(&request, &MemoryTree::new()).unwrap();
    let width = volume.property("type").trim_start_matches("FAT");
    let cluster: u32 = volume.property("cluster size").parse().unwrap();
    (width.parse().unwrap(), cluster / sector_size)
}

/// Differs on purpose:
/// - at the sizes of floppies (360, 720, 1200, 1440 and 2880 KiB), which mkfs.fat takes for floppies: a partition is none;
/// - within a few clusters of each threshold, where mkfs.fat leaves sectors unused to fill tracks, and keeps
///   away from the fewest clusters of a width: the sizes here are off the thresholds.
#[test]
fn width_and_cluster_are_those_of_mkfs() {
    if judge("mkfs.fat").is_none() {
        return;
    }
    let kibibytes = [
        64, 100, 500, 1000, 1441, 2048, 4000, 4096, 4200, 8000, 8190, 8300, 9000, 16_000, 16_384,
        32_768, 33_000, 65_536, 100_000, 102_400, 131_000, 131_700, 200_000, 262_000, 263_000,
        266_240, 300_000, 400_000, 500_000, 523_000, 524_287, 524_288, 600_000, 1_048_576,
        4_194_304, 8_388_608, 8_388_672, 16_777_216, 16_777_280, 33_554_432, 33_554_496,
    ];
    for size in kibibytes.map(|size| size * 1024) {
        assert_eq!(
            Some(our_choice("vfat", size, 512)),
            choice_of_mkfs(size, &[]),
            "{size}"
        );
    }
    for size in [
        1000, 20_000, 65_000, 70_000, 200_000, 400_000, 524_288, 8_390_000, 67_200_000,
    ]
    .map(|size| size * 1024)
    {
        let theirs = choice_of_mkfs(size, &["-S", "4096"]);
        assert_eq!(Some(our_choice("vfat", size, 4096)), theirs, "{size}");
    }
    for size in [33_400, 65_536, 266_240, 266_304, 600_000].map(|size| size * 1024) {
        let theirs = choice_of_mkfs(size, &["-F", "32"]);
        assert_eq!(Some(our_choice("fat32", size, 512)), theirs, "{size}");
    }
    for size in [9000, 40_000, 600_000, 2_000_000, 4_000_000].map(|size| size * 1024) {
        let theirs = choice_of_mkfs(size, &["-F", "16"]);
        assert_eq!(Some(our_choice("fat16", size, 512)), theirs, "{size}");
    }
    for size in [100, 4000, 9000, 40_000, 250_000].map(|size| size * 1024) {
        let theirs = choice_of_mkfs(size, &["-F", "12"]);
        assert_eq!(Some(our_choice("fat12", size, 512)), theirs, "{size}");
    }
}

/// A tree whose one file takes all of so many clusters.
fn file_of(clusters: u64, cluster_size: u64) -> MemoryTree {
    let mut tree = MemoryTree::new();
    let last = vec![1];
    let size = clusters * cluster_size;
    tree.insert("FILE", Entry::sparse(size, vec![(size - 1, last)]));
    tree
}

#[test]
fn the_extreme_cluster_counts_are_read_as_their_width() {
    let cases = [
        ("fat12", 4084, file_of(4084, 512)),
        ("fat16", 4085, MemoryTree::new()),
        ("fat16", 4085, file_of(4085, 512)),
        ("fat16", 65_524, file_of(65_524, 512)),
        ("fat32", 65_525, MemoryTree::new()),
        ("fat32", 65_525, file_of(65_524, 512)),
    ];
    for (kind, clusters, mut tree) in cases {
        let mut request = request(kind, 0);
        request.settings = vec![("cluster-size".to_owned(), "512".to_owned())];
        request.size = measure(&request, &tree).unwrap();
        let volume = format(&request, &tree).unwrap();
        assert_eq!(volume.property("clusters"), clusters.to_string(), "{kind}");
        volume.fsck();
        read_back(&volume, &mut tree);
    }
}

/// What is too small or too large for the kind is told with the size that would do.
#[test]
fn a_size_outside_the_kind_is_refused_with_the_nearest() {
    let empty = MemoryTree::new();
    let refusal = |kind, size| format(&request(kind, size), &empty).err();
    // 65,525 clusters of a sector, two tables of 512 sectors, 32 reserved sectors.
    let smallest_32 = (65_525 + 2 * 512 + 32) * 512;
    let needed = |needed, available| Some(FormatError::TooSmall(Shortage { needed, available }));
    assert_eq!(refusal("fat32", 32 * MIB), needed(smallest_32, 32 * MIB));
    assert_eq!(refusal("fat32", smallest_32), None);
    // 4,085 clusters of a sector, two tables of 16 sectors, 32 sectors for the root, the boot sector.
    assert_eq!(
        refusal("fat16", 2 * MIB),
        needed((4085 + 2 * 16 + 32 + 1) * 512, 2 * MIB)
    );
    assert_eq!(refusal("vfat", 0), needed(36 * 512, 0));
    assert!(matches!(
        refusal("fat12", 300 * MIB),
        Some(FormatError::TooLarge(_))
    ));
    assert!(matches!(
        refusal("fat16", 5000 * MIB),
        Some(FormatError::TooLarge(_))
    ));
    let largest = u64::from(u32::MAX) * 512;
    assert_eq!(
        refusal("vfat", largest + 512),
        Some(FormatError::TooLarge(largest))
    );
    // 50,000 sectors of cluster are neither few enough for FAT12 nor many enough for FAT32.
    let mut request = request("fat32", 200 * MIB);
    request.settings = vec![("cluster-size".to_owned(), "4096".to_owned())];
    assert!(matches!(
        format(&request, &empty).err(),
        Some(FormatError::TooSmall(_))
    ));
}

#[test]
fn the_largest_volume_counts_all_its_sectors() {
    let size = u64::from(u32::MAX) * 512;
    let tree = file_of(1, 512);
    let volume = format(&request("vfat", size), &tree).unwrap();
    assert_eq!(volume.bytes(32, 4), [255; 4]);
}

/// Fails unless the measured size is the smallest that does.
fn check_measure(
    kind: &str,
    sector_size: u32,
    settings: &[(String, String)],
    tree: &MemoryTree,
) -> u64 {
    let mut request = request(kind, 0);
    request.sector_size = sector_size;
    request.settings = settings.to_vec();
    let needed = measure(&request, tree).unwrap();
    request.size = needed - 1;
    let shortage = Shortage {
        needed,
        available: needed - 1,
    };
    assert_eq!(
        format(&request, tree).err(),
        Some(FormatError::TooSmall(shortage))
    );
    request.size = needed - u64::from(sector_size);
    let shortage = Shortage {
        available: request.size,
        ..shortage
    };
    assert_eq!(
        format(&request, tree).err(),
        Some(FormatError::TooSmall(shortage))
    );
    request.size = needed;
    format(&request, tree).unwrap().fsck();
    needed
}

/// fsck.fat counts the bytes of a chain in 32 bits: larger files, whose last cluster ends at 4 GiB, seem cut to it.
const LARGEST_FILE_FOR_FSCK: u64 = (1 << 32) - 65_536;

#[test]
fn the_largest_file_is_stored() {
    let size = u64::from(u32::MAX);
    let mut tree = MemoryTree::new();
    tree.insert(
        "FILE",
        Entry::sparse(size, vec![(size - 5, b"the end"[2..].to_vec())]),
    );
    let needed = measure(&request("vfat", 0), &tree).unwrap();
    let volume = format(&request("vfat", needed), &tree).unwrap();
    assert_eq!(volume.bytes(needed - 4096 + 4090, 6), b"e end\0");
}

#[test]
fn measure_is_exact_around_the_thresholds() {
    let hole = |size| {
        let mut tree = MemoryTree::new();
        tree.insert("FILE", Entry::sparse(size, Vec::new()));
        tree
    };
    for size in [
        0,
        1,
        8_000_000,
        8_355_000,
        8_364_032,
        8_364_033,
        8_380_000,
        133_900_000,
        134_193_152,
        134_193_153,
        536_000_000,
        536_600_000,
        536_870_912,
        LARGEST_FILE_FOR_FSCK,
    ] {
        for kind in ["vfat", "fat16", "fat32"] {
            for sector_size in [512, 4096] {
                if kind != "fat16" || size < 4_000_000_000 {
                    check_measure(kind, sector_size, &[], &hole(size));
                }
            }
        }
    }
}

/// A volume just above a threshold would hold less than one just below, as its usual shape is.
#[test]
fn what_a_size_holds_a_larger_one_holds_too() {
    let mut large = MemoryTree::new();
    // Takes nearly all of a FAT16 with 8 KiB clusters; a FAT32 of the same size has larger tables.
    large.insert("FILE", Entry::sparse(536_500_000, Vec::new()));
    let mut many = MemoryTree::new();
    // Takes nearly all clusters that a FAT16 can have, whatever their size. In many directories: fsck.fat compares each name
    // with every other one of its directory.
    for number in 0..64_950 {
        let path = format!("D{}/{number}", number / 1000);
        many.insert(path, Entry::file(b"one".to_vec()));
    }
    for (tree, sizes) in [
        (&large, [512 * MIB, 600 * MIB].as_slice()),
        (&many, &[300 * MIB]),
    ] {
        let measured = measure(&request("vfat", 0), tree).unwrap();
        assert!(measured < sizes[0], "{measured}");
        for size in [measured + 512, measured + MIB]
            .into_iter()
            .chain(sizes.iter().copied())
        {
            format(&request("vfat", size), tree).unwrap().fsck();
        }
    }
}

/// Files and directories as paths of short components, so that they meet often.
fn tree() -> impl Strategy<Value = MemoryTree> {
    let component = prop_oneof![
        4 => "[a-z]{1,3}(\\.[a-z]{1,4})?",
        3 => "[A-Z0-9]{1,9}(\\.[A-Z]{0,2}[A-Z])?",
        2 => "[a-zA-Z0-9 ._~+,;=\\[\\]-]{1,40}[a-z]",
        1 => "[äöüßéΑ-ωа-я日本語ぁ-ん]{1,90}",
    ];
    let component = component.prop_filter("a device's name", |name: &String| {
        let stem = name
            .split('.')
            .next()
            .unwrap_or_default()
            .trim_end()
            .to_uppercase();
        let numbered = |device| {
            stem.strip_prefix(device)
                .is_some_and(|number| number.len() == 1)
        };
        let is_device = ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str());
        !is_device && !numbered("COM") && !numbered("LPT")
    });
    let path = prop::collection::vec(component, 1..5);
    let content = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..600).prop_map(Some),
        1 => (0_usize..100_000).prop_map(|length| Some(vec![0xA5; length])),
        1 => Just(None),
    ];
    prop::collection::vec((path, content), 0..60).prop_map(|entries| {
        let mut tree = MemoryTree::new();
        let mut taken: Vec<(String, bool)> = Vec::new();
        for (path, content) in entries {
            let is_directory = content.is_none();
            let folded = path.join("/").to_uppercase();
            // FAT would rightly refuse a second name that differs in case only, and a tree has no file with children.
            let clashes = taken.iter().any(|(other, other_is_directory)| {
                let under = |inner: &str, outer: &str| inner.starts_with(&format!("{outer}/"));
                *other == folded
                    || under(other, &folded) && !is_directory
                    || under(&folded, other) && !other_is_directory
            });
            let joined = path.join("/");
            let prefix_case_differs = tree.nodes().len() > 1 && clashes_by_case(&mut tree, &path);
            if clashes || prefix_case_differs {
                continue;
            }
            taken.push((folded, is_directory));
            let entry =
                content.map_or_else(|| Entry::new(cellblock_guest::Kind::Directory), Entry::file);
            tree.insert(joined, entry);
        }
        tree
    })
}

/// Whether a directory on the way is there already in other case.
fn clashes_by_case(tree: &mut MemoryTree, path: &[String]) -> bool {
    let mut parent = 0;
    for component in path {
        let nodes = tree.nodes();
        let children = || nodes.iter().enumerate().skip(1);
        let upper = component.to_uppercase();
        let found = children().find(|(_, (node, _))| {
            node.parent.index() == parent
                && String::from_utf8_lossy(&node.name).to_uppercase() == upper
        });
        let Some((index, (node, _))) = found else {
            return false;
        };
        if node.name != component.as_bytes() {
            return true;
        }
        parent = index;
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_is_clean_measured_exactly_and_reads_back(
        mut tree in tree(),
        kind in prop::sample::select(vec!["vfat", "vfat", "fat12", "fat16", "fat32"]),
        large_sectors in any::<bool>(),
        cluster_shift in prop::option::of(0_u32..5),
        fats in 1_u32..=2,
        reserved in prop::option::of(8_u32..200),
    ) {
        let sector_size = if large_sectors { 4096 } else { 512 };
        let mut settings = vec![("fats".to_owned(), fats.to_string())];
        if let Some(shift) = cluster_shift {
            settings.push(("cluster-size".to_owned(), (sector_size << shift).min(65_536).to_string()));
        }
        if let Some(reserved) = reserved {
            settings.push(("reserved-sectors".to_owned(), reserved.to_string()));
        }
        let needed = check_measure(kind, sector_size, &settings, &tree);
        let mut request = request(kind, needed);
        request.sector_size = sector_size;
        request.settings = settings;
        read_back(&format(&request, &tree).unwrap(), &mut tree);
        // Any size above.
        for extra in [1, 100, 70_001] {
            request.size = needed + extra * u64::from(sector_size);
            match format(&request, &tree) {
                Ok(volume) => volume.fsck(),
                Err(FormatError::TooLarge(limit)) => prop_assert!(limit < request.size),
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}
