//! Whole file systems, judged by erofs-utils and the kernel.
#![allow(clippy::unwrap_used)]

mod judge;
#[path = "../../ext4/tests/trees/mod.rs"]
mod trees;

use cellblock_guest::Kind;
use cellblock_guest::memory::{Entry, MemoryTree};
use judge::{compressible, dump, fsck, make_exactly, make_request, mount, request};

/// Fails unless erofs-utils and, where it takes such blocks, the kernel find in an image of `tree` what it was made from.
#[track_caller]
fn judged(mut tree: MemoryTree, settings: &[(&str, &str)]) {
    let image = make_exactly(&mut tree, settings);
    fsck(&image);
    let pages = u64::try_from(rustix::param::page_size()).unwrap();
    let block = settings.iter().find(|(name, _)| *name == "block-size");
    let block: u64 = block.map_or(4096, |(_, value)| value.parse().unwrap());
    if block <= pages {
        mount::compare(&image, &mut tree);
    }
}

#[test]
fn everything_reads_back() {
    judged(trees::everything(4096), &[]);
}

#[test]
fn an_empty_tree_reads_back() {
    judged(MemoryTree::new(), &[]);
}

#[test]
fn blocks_of_all_sizes_read_back() {
    for block in ["8192", "16384", "32768", "65536"] {
        let size = block.parse().unwrap();
        judged(trees::everything(size), &[("block-size", block)]);
        let settings = [("block-size", block), ("compression", "zstd")];
        judged(compressible(size), &settings);
        let settings = [
            ("block-size", block),
            ("compression", "lz4"),
            ("features", "ztailpacking"),
        ];
        judged(compressible(size), &settings);
    }
}

#[test]
fn every_method_reads_back() {
    for (method, clusters) in [
        ("lz4", &["4096", "16384", "1048576"][..]),
        ("lz4hc", &["4096"]),
        ("lz4hc,level=12", &["65536"]),
        ("zstd", &["4096", "65536"]),
        ("zstd,level=9,dictsize=65536", &["65536"]),
        ("deflate", &["4096", "65536"]),
        ("deflate,level=9", &["16384"]),
        ("lzma,level=0", &["65536"]),
        ("lzma,level=1,dictsize=32768", &["4096"]),
    ] {
        for cluster in clusters {
            let settings = [("compression", method), ("cluster-size", *cluster)];
            judged(compressible(4096), &settings);
        }
    }
}

#[test]
fn every_feature_reads_back() {
    for features in [
        "ztailpacking",
        "fragments",
        "all-fragments",
        "fragments,ztailpacking",
        "48bit,fragments",
        "force-inode-extended",
        "noinline_data",
        "nosbcrc",
    ] {
        for (method, cluster) in [("lz4", "4096"), ("zstd", "65536")] {
            let settings = [
                ("compression", method),
                ("cluster-size", cluster),
                ("features", features),
            ];
            judged(compressible(4096), &settings);
        }
    }
    let settings = [
        ("compression", "lz4"),
        ("features", "fragments,ztailpacking"),
    ];
    judged(trees::everything(4096), &settings);
    judged(trees::everything(4096), &[("features", "48bit")]);
    judged(trees::everything(4096), &[("features", "noinline_data")]);
}

#[test]
fn parts_of_the_most_bytes_that_a_kernel_takes_read_back() {
    let mut tree = MemoryTree::new();
    tree.insert("words", Entry::file(judge::words(7, 13_000_000)));
    tree.insert("zeros", Entry::file(vec![0; 26_000_000]));
    let settings = [("compression", "zstd"), ("cluster-size", "1048576")];
    judged(tree, &settings);
}

#[test]
fn rules_choose_the_compression_by_size_and_path() {
    let settings = [
        ("compression", "zstd"),
        (
            "compress-hints",
            "size<5000=none;noise/**=none;words/1*=lz4;zeros/2?????=deflate,level=3,cluster-size=8192;*ng=lzma,level=0",
        ),
        ("cluster-size", "16384"),
    ];
    judged(compressible(4096), &settings);
}

#[test]
fn longer_prefixes_of_attributes_read_back() {
    let prefixes = "user.attribute-,trusted.overlay.,user.l";
    judged(trees::everything(4096), &[("xattr-prefixes", prefixes)]);
    for tolerance in ["0", "1", "1000"] {
        judged(trees::everything(4096), &[("xattr-tolerance", tolerance)]);
    }
}

#[test]
fn a_hundred_thousand_names_read_back() {
    let mut tree = MemoryTree::new();
    for index in 0..100_000 {
        let name = format!("d/entry-{index:06}.txt");
        tree.insert(name, Entry::new(Kind::Fifo));
    }
    judged(tree, &[]);
}

#[test]
fn equal_files_are_stored_once() {
    let content = trees::bytes(1, 1_000_000);
    let mut tree = MemoryTree::new();
    tree.insert("a", Entry::file(content.clone()));
    let one = make_exactly(&mut tree.clone(), &[]).summary.used;
    for index in 0..20 {
        tree.insert(format!("copies/{index}"), Entry::file(content.clone()));
    }
    for settings in [
        &[][..],
        &[("compression", "zstd")],
        &[("compression", "lz4"), ("features", "fragments")],
        &[("compression", "lz4"), ("features", "all-fragments")],
    ] {
        let image = make_exactly(&mut tree, settings);
        assert!(image.summary.used < one + 20 * 1024, "{settings:?}");
        judged(tree.clone(), settings);
    }
    let each = make_exactly(&mut tree, &[("features", "^dedupe")]);
    assert!(each.summary.used > 20_000_000);
}

#[test]
fn the_superblock_says_what_was_asked_for() {
    let mut tree = compressible(4096);
    let settings = [("compression", "lz4"), ("cluster-size", "65536")];
    let image = make_exactly(&mut tree, &settings);
    let Some(said) = dump(&image, &[]) else {
        return;
    };
    for expected in ["11111111-2222-4333-8444-555555555555", "sb_csum"] {
        assert!(said.contains(expected), "{said}");
    }
    let mut bytes = std::fs::read(&image.path).unwrap();
    assert_eq!(&bytes[1024 + 64..1024 + 70], b"root\0\0");
    // A checksum that does not fit is noticed: so the one that is there fits.
    bytes[1024 + 64] = b'R';
    std::fs::write(&image.path, &bytes).unwrap();
    let fsck = cellblock_judges::judge("fsck.erofs").unwrap();
    let said = cellblock_judges::text(&fsck.run(&[], &image.path));
    assert!(said.contains("checksum"), "{said}");
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    for settings in [
        &[][..],
        &[("compression", "zstd"), ("features", "fragments")],
        &[("compression", "lzma"), ("features", "ztailpacking")],
    ] {
        let mut tree = compressible(4096);
        let bytes = [(); 2].map(|()| {
            let image = make_exactly(&mut tree, settings);
            std::fs::read(&image.path).unwrap()
        });
        assert!(bytes[0] == bytes[1], "{settings:?}");
    }
}

#[test]
fn room_behind_the_file_system_changes_nothing() {
    let mut tree = compressible(4096);
    let settings = [("compression", "lz4"), ("features", "ztailpacking")];
    let exact = make_exactly(&mut tree, &settings);
    let exact_bytes = std::fs::read(&exact.path).unwrap();
    let size = exact_bytes.len() as u64 + (1 << 20);
    let larger = make_request(&mut tree, &request(size, &settings)).unwrap();
    let larger_bytes = std::fs::read(&larger.path).unwrap();
    assert!(larger_bytes[..exact_bytes.len()] == exact_bytes);
    assert!(
        larger_bytes[exact_bytes.len()..]
            .iter()
            .all(|byte| *byte == 0)
    );
}
