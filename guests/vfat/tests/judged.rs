//! Volumes, judged by fsck.fat and mtools.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{Kind, Losses, Timestamp};
use cellblock_judges::{judge, text};
use sha2::{Digest as _, Sha256};
use support::{MIB, format, measure, read_back, request};

/// A tree with all that FAT has.
fn typical() -> MemoryTree {
    let mut tree = MemoryTree::new();
    let pattern: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    tree.insert("EFI/BOOT/BOOTX64.EFI", Entry::file(&pattern[..800_123]));
    tree.insert("EFI/debian/grub.cfg", Entry::file(*b"set timeout=1\n"));
    tree.insert("EFI/debian/empty", Entry::file(Vec::new()));
    tree.insert("empty directory", Entry::new(Kind::Directory));
    tree.insert(
        "a rather long name, with signs;[].txt",
        Entry::file(&pattern[..2048]),
    );
    tree.insert(
        "a rather long name, with others.txt",
        Entry::file(&pattern[..2049]),
    );
    tree.insert("Grüße 日本.md", Entry::file(*b"unicode"));
    tree.insert("x".repeat(255), Entry::file(*b"longest"));
    tree.insert(".hidden", Entry::file(*b"dot"));
    let mut old = Entry::file(*b"old");
    old.modified = Timestamp {
        seconds: 315_532_800,
        nanoseconds: 0,
    };
    old.mode = 0o444;
    tree.insert("old", old);
    tree.insert(
        "sparse",
        Entry::sparse(300_000, vec![(0, vec![1; 10]), (200_000, vec![2; 5000])]),
    );
    for index in 0..300 {
        tree.insert(
            format!("many/file number {index}"),
            Entry::file(vec![7; index]),
        );
    }
    tree
}

#[test]
fn every_width_is_clean_and_reads_back() {
    let mut tree = typical();
    let cases = [
        ("fat12", 6 * MIB),
        ("fat12", 40 * MIB),
        ("fat16", 8 * MIB),
        ("fat16", 600 * MIB),
        ("fat32", 40 * MIB),
        ("fat32", 300 * MIB),
        ("vfat", 5 * MIB),
        ("vfat", 64 * MIB + 512 * 3),
        ("vfat", 1024 * MIB),
        ("vfat", 40_000 * MIB),
    ];
    for (kind, size) in cases {
        println!("{kind} {size}");
        let volume = format(&request(kind, size), &tree).unwrap();
        volume.fsck();
        if let Some(folder) = read_back(&volume, &mut tree) {
            let old = fs::metadata(folder.0.join("old")).unwrap();
            assert_eq!(old.mtime(), 315_532_800);
            let new = fs::metadata(folder.0.join("EFI/debian/grub.cfg")).unwrap();
            assert_eq!(new.mtime(), 1_700_000_000);
        }
        if let Some(mut mattrib) = judge("mattrib").map(|judge| judge.command()) {
            let names = ["::/old", "::/sparse"];
            let output = mattrib
                .arg("-i")
                .arg(&volume.path.0)
                .args(names)
                .output()
                .unwrap();
            let text = text(&output);
            let read_only: Vec<bool> = text.lines().map(|line| line[..12].contains('R')).collect();
            assert_eq!(read_only, [true, false], "{text}");
        }
    }
}

#[test]
fn large_sectors_are_clean() {
    let mut tree = typical();
    for (kind, size) in [
        ("vfat", 16 * MIB),
        ("vfat", 128 * MIB),
        ("vfat", 600 * MIB),
        ("fat32", 300 * MIB),
    ] {
        let mut request = request(kind, size);
        request.sector_size = 4096;
        let volume = format(&request, &tree).unwrap();
        volume.fsck();
        assert_eq!(volume.bytes(11, 2), [0, 16]);
        read_back(&volume, &mut tree);
    }
}

#[test]
fn every_option_is_followed() {
    let mut tree = typical();
    type Settings = &'static [(&'static str, &'static str)];
    let cases: [(&str, u64, Settings); 8] = [
        ("vfat", 64, &[("fats", "1")]),
        ("vfat", 64, &[("reserved-sectors", "7")]),
        ("vfat", 64, &[("root-entries", "1000")]),
        ("vfat", 64, &[("cluster-size", "512")]),
        ("vfat", 64, &[("cluster-size", "65536")]),
        ("fat32", 64, &[("reserved-sectors", "8"), ("fats", "1")]),
        (
            "fat16",
            30,
            &[("cluster-size", "1024"), ("reserved-sectors", "2048")],
        ),
        ("vfat", 700, &[("reserved-sectors", "1")]),
    ];
    for (kind, mebibytes, settings) in cases {
        println!("{kind} {mebibytes} {settings:?}");
        let mut request = request(kind, mebibytes * MIB);
        request.settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let volume = format(&request, &tree).unwrap();
        volume.fsck();
        read_back(&volume, &mut tree);
        for (name, value) in settings {
            let number: u32 = value.parse().unwrap();
            let boot = volume.bytes(0, 512);
            let word = |at: usize| u32::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
            match *name {
                "fats" => assert_eq!(u32::from(boot[16]), number),
                "reserved-sectors" if kind == "vfat" && mebibytes == 700 => assert_eq!(word(14), 8),
                "reserved-sectors" => assert_eq!(word(14), number),
                "root-entries" => assert_eq!(word(17), number.next_multiple_of(16)),
                _ => assert_eq!(volume.property("cluster size"), *value),
            }
        }
    }
}

#[test]
fn label_and_id_are_in_both_places() {
    for (kind, size) in [("fat12", MIB), ("fat16", 16 * MIB), ("fat32", 64 * MIB)] {
        let mut request = request(kind, size);
        request.label = "Uefi".to_owned();
        let volume = format(&request, &MemoryTree::new()).unwrap();
        volume.fsck();
        assert_eq!(volume.warnings.len(), 1);
        assert_eq!(volume.property("volume id"), "1234-ABCD");
        if let Some(mut mlabel) = judge("mlabel").map(|judge| judge.command()) {
            let output = mlabel
                .args(["-s", "-i"])
                .arg(&volume.path.0)
                .arg("::")
                .output()
                .unwrap();
            assert_eq!(text(&output).trim(), "Volume label is Uefi");
        }
        if let Some(mut blkid) = judge("blkid").map(|judge| judge.command()) {
            let output = blkid
                .args(["-p", "-o", "export"])
                .arg(&volume.path.0)
                .output()
                .unwrap();
            let text = text(&output);
            for line in [
                "LABEL=Uefi",
                "LABEL_FATBOOT=Uefi",
                "UUID=1234-ABCD",
                "TYPE=vfat",
            ] {
                assert!(text.lines().any(|found| found == line), "{line} in {text}");
            }
        }
    }
}

#[test]
fn a_volume_on_a_disk_knows_its_place() {
    for sector_size in [512_u32, 4096] {
        let mut request = request("vfat", 64 * MIB);
        request.sector_size = sector_size;
        request.disk_offset = 3 * MIB;
        let volume = format(&request, &MemoryTree::new()).unwrap();
        let hidden = u32::from_le_bytes(volume.bytes(28, 4).try_into().unwrap());
        assert_eq!(u64::from(hidden) * u64::from(sector_size), 3 * MIB);
    }
}

#[test]
fn a_full_volume_is_clean_and_says_so() {
    let mut tree = typical();
    let mut minimal = request("fat32", 0);
    minimal.size = measure(&minimal, &tree).unwrap();
    let volume = format(&minimal, &tree).unwrap();
    volume.fsck();
    // The tree is smaller than the smallest FAT32: fill it.
    let free: usize = volume.property("free clusters").parse().unwrap();
    tree.insert("filler", Entry::sparse(free as u64 * 512, Vec::new()));
    let volume = format(&minimal, &tree).unwrap();
    volume.fsck();
    assert_eq!(volume.property("free clusters"), "0");
    assert_eq!(volume.bytes(512 + 488, 8), [0, 0, 0, 0, 255, 255, 255, 255]);
    read_back(&volume, &mut tree);
}

#[test]
fn a_directory_of_the_largest_size_is_clean() {
    let mut tree = MemoryTree::new();
    // Two slots each, behind `.` and `..`.
    for index in 0..32_766 {
        tree.insert(
            format!("d/f{index}"),
            Entry::new(Kind::File {
                size: 0,
                sparse: false,
            }),
        );
    }
    tree.insert("d/X", Entry::file(*b"the last slot"));
    let volume = format(&request("vfat", 64 * MIB), &tree).unwrap();
    volume.fsck();
    if let Some(mut mtype) = judge("mtype").map(|judge| judge.command()) {
        let output = mtype
            .arg("-i")
            .arg(&volume.path.0)
            .arg("::d/X")
            .output()
            .unwrap();
        assert_eq!(text(&output), "the last slot");
    }
}

#[test]
fn a_root_of_many_names_gets_its_slots() {
    let mut tree = MemoryTree::new();
    for index in 0..2000 {
        tree.insert(format!("file-{index}"), Entry::file(vec![1; 3]));
    }
    for (kind, size) in [
        ("fat12", 16 * MIB),
        ("fat16", 16 * MIB),
        ("fat32", 64 * MIB),
    ] {
        let volume = format(&request(kind, size), &tree).unwrap();
        volume.fsck();
        read_back(&volume, &mut tree);
    }
}

/// mtools does not know surrogate pairs, so that this looks for the bytes.
#[test]
fn a_name_beyond_the_basic_plane_is_clean() {
    let mut tree = MemoryTree::new();
    tree.insert("𝄞", Entry::file(*b"clef"));
    let volume = format(&request("fat12", MIB), &tree).unwrap();
    volume.fsck();
    let root = volume.bytes(0, 65_536);
    let units: Vec<u8> = [0xD834_u16, 0xDD1E, 0]
        .into_iter()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert!(root.windows(units.len()).any(|window| window == units));
}

#[test]
fn hard_links_become_copies_where_that_is_wanted() {
    let mut tree = MemoryTree::new();
    tree.insert("a", Entry::file(vec![1; 5000]));
    tree.hard_link("b", "a");
    tree.insert("c", Entry::new(Kind::symlink(b"a".to_vec())));
    let mut request = request("vfat", 4 * MIB);
    request.drop = Losses::HARD_LINKS | Losses::SYMLINKS;
    let volume = format(&request, &tree).unwrap();
    volume.fsck();
    let mut copied = MemoryTree::new();
    copied.insert("a", Entry::file(vec![1; 5000]));
    copied.insert("b", Entry::file(vec![1; 5000]));
    read_back(&volume, &mut copied);
}

/// The bytes of a small volume, pinned: whoever changes them means to. What is in it: see `typical`.
#[test]
fn the_same_input_gives_the_same_bytes() {
    let mut request = request("vfat", 5 * MIB);
    request.label = "PINNED".to_owned();
    let digest = || {
        let volume = format(&request, &typical()).unwrap();
        let bytes = fs::read(&volume.path.0).unwrap();
        let digest = Sha256::digest(&bytes);
        digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(digest(), digest());
    assert_eq!(
        digest(),
        "0bffc773b9000427e3ea9f1924999a4d42b4b01373ad2b7e3647299e6b9dff42"
    );
}
