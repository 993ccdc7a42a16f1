//! What `cellblock show` says that partitions hold, next to what blkid, dumpe2fs and fsck.fat say.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::{Bench, judge};

/// The file system that `show --json` finds in an image without a table.
fn alone(bench: &Bench, image: &str) -> Value {
    let shown = bench.done(&["show", "--json", image]);
    serde_json::from_str::<Value>(&shown).unwrap()["filesystem"].clone()
}

/// What blkid tells of an image, by its names.
fn told_by_blkid(image: &Path) -> Option<BTreeMap<String, String>> {
    let told = judge("blkid")?.content_with(&["-p", "-o", "export"], image);
    let lines = told.lines().filter_map(|line| line.split_once('='));
    // It writes a backslash before what a shell would take for its own.
    let pairs = lines.map(|(name, value)| (name.to_owned(), value.replace('\\', "")));
    Some(pairs.collect())
}

/// Fails unless `show` and blkid say the same of an image without a table.
fn assert_like_blkid(bench: &Bench, image: &str) {
    let Some(theirs) = told_by_blkid(&bench.path(image)) else {
        return;
    };
    let ours = alone(bench, image);
    for (our, their) in [
        ("type", "TYPE"),
        ("version", "VERSION"),
        ("label", "LABEL"),
        ("uuid", "UUID"),
    ] {
        let theirs = theirs.get(their).map(String::as_str);
        assert_eq!(ours[our].as_str(), theirs, "{image}: {our} of {ours}");
    }
}

/// The number behind `name:` in what dumpe2fs says.
fn number(said: &str, name: &str) -> u64 {
    let line = said.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in\n{said}"))
        .trim()
        .parse()
        .unwrap()
}

/// Fails unless size and use are those of dumpe2fs.
fn assert_like_dumpe2fs(bench: &Bench, image: &str) {
    let Some(dumpe2fs) = judge("dumpe2fs") else {
        return;
    };
    let said = dumpe2fs.content_with(&["-h"], &bench.path(image));
    let block = number(&said, "Block size:");
    let blocks = number(&said, "Block count:");
    let free = number(&said, "Free blocks:");
    let ours = alone(bench, image);
    assert_eq!(ours["size"].as_u64(), Some(blocks * block), "{image}");
    assert_eq!(
        ours["used"].as_u64(),
        Some((blocks - free) * block),
        "{image}"
    );
}

/// Fails unless what is free is what fsck.fat counts.
fn assert_like_fsck(bench: &Bench, image: &str) {
    let Some(fsck) = judge("fsck.fat") else {
        return;
    };
    let said = fsck.content_with(&["-nv"], &bench.path(image));
    let count = |unit: &str| -> u64 {
        let line = said.lines().find(|line| line.ends_with(unit)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    let cluster = count(" bytes per cluster");
    // "image: 3 files, 5/2031 clusters"
    let clusters = said.lines().find_map(|line| {
        let clusters = line.strip_suffix(" clusters")?.rsplit_once(' ')?.1;
        clusters.split_once('/')
    });
    let (taken, all) = clusters.unwrap_or_else(|| panic!("no clusters in\n{said}"));
    let free = all.parse::<u64>().unwrap() - taken.parse::<u64>().unwrap();
    let ours = alone(bench, image);
    let size = count(" sectors total") * count(" bytes per logical sector");
    assert_eq!(ours["size"].as_u64(), Some(size), "{image}");
    assert_eq!(
        ours["used"].as_u64(),
        Some(size - free * cluster),
        "{image}"
    );
}

/// A folder with a few files of some bytes.
fn content(bench: &Bench) -> &'static str {
    for number in 0..9 {
        bench.write(&format!("content/folder/{number}"), vec![7; number * 5000]);
    }
    "content"
}

#[test]
fn what_we_make_is_told_as_others_tell_it() {
    let bench = Bench::new();
    let content = content(&bench);
    let made = |name: &str, kind: &str, options: &[&str]| {
        let mut arguments = vec!["mkfs", kind, "-q", "-o", name];
        arguments.extend(options);
        if kind != "swap" {
            arguments.extend([
                "--content",
                content,
                "--drop",
                "owners,permissions,attributes",
            ]);
        }
        bench.done(&arguments);
        assert_like_blkid(&bench, name);
    };
    for kind in ["ext2", "ext3", "ext4"] {
        made(kind, kind, &["--size", "16MiB", "--label", "root"]);
        assert_like_dumpe2fs(&bench, kind);
    }
    made(
        "without",
        "ext4",
        &["--size", "16MiB", "--option", "features=^64bit"],
    );
    assert_like_dumpe2fs(&bench, "without");
    for (kind, size) in [("fat12", "2MiB"), ("fat16", "16MiB"), ("fat32", "64MiB")] {
        made(kind, kind, &["--size", size, "--label", "UEFI"]);
        assert_like_fsck(&bench, kind);
        made(
            &format!("{kind}-without-label"),
            kind,
            &["--size", size, "--uuid", "ABCD-1234"],
        );
    }
    made("swap", "swap", &["--size", "1MiB", "--label", "space"]);
    let size = alone(&bench, "swap")["size"].as_u64();
    assert_eq!(size, Some(1 << 20));
}

#[test]
fn what_others_make_is_told_as_others_tell_it() {
    let bench = Bench::new();
    let made = |program: &str, name: &str, mib: u64, arguments: &[&str]| {
        let program = judge(program)?;
        let file = std::fs::File::create(bench.path(name)).unwrap();
        file.set_len(mib << 20).unwrap();
        program.content_with(arguments, &bench.path(name));
        assert_like_blkid(&bench, name);
        Some(())
    };
    for (name, options) in [
        ("ext2", &["-b", "1024"][..]),
        ("ext3", &["-j"]),
        ("ext4", &["-t", "ext4", "-L", "sixteen bytes ok"]),
        ("bigalloc", &["-t", "ext4", "-O", "bigalloc"]),
    ] {
        let options = [&["-q", "-F"], options].concat();
        if made("mke2fs", name, 32, &options).is_some() {
            assert_like_dumpe2fs(&bench, name);
        }
    }
    for (name, mib, options) in [
        ("fat12", 2, &["-F", "12", "-n", "BOOT"][..]),
        ("fat16", 32, &["-F", "16", "-s", "2"]),
        ("fat32", 64, &["-F", "32", "-s", "1", "-n", "A B"]),
        ("fat4096", 64, &["-F", "16", "-S", "4096", "-s", "1"]),
    ] {
        if made("mkfs.fat", name, mib, options).is_some() {
            assert_like_fsck(&bench, name);
        }
    }
    made("mkswap", "swap", 1, &["-L", "space"]);
    made("mkswap", "swap64k", 1, &["-p", "65536"]);
    made("mkfs.xfs", "xfs", 320, &["-q", "-L", "data"]);
}

#[test]
fn a_disk_is_shown_with_what_its_partitions_hold() {
    let bench = Bench::with_case("demo");
    let image = bench.build("demo/image.toml", "demo.img");
    let shown = bench.done(&["show", "--json", "demo.img"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let partitions = shown["partitiontable"]["partitions"].as_array().unwrap();
    let kinds: Vec<_> = partitions
        .iter()
        .map(|partition| partition["filesystem"]["type"].as_str())
        .collect();
    assert_eq!(kinds, [None, Some("vfat"), Some("swap"), Some("ext4")]);
    for (partition, name) in partitions.iter().zip(["bios", "efi", "swap", "root"]) {
        if name == "bios" {
            continue;
        }
        let part = crate::support::disk::cut_out(&bench, &image, name);
        let alone = alone(&bench, part.to_str().unwrap());
        for key in ["type", "version", "label", "uuid", "size", "used"] {
            assert_eq!(partition["filesystem"][key], alone[key], "{name}: {key}");
        }
        assert_like_blkid(&bench, part.to_str().unwrap());
    }
    let lines = bench.done(&["show", "demo.img"]);
    for line in lines.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    for word in ["vfat FAT16", "UEFI", "demo-root", "Used"] {
        assert!(lines.contains(word), "{word} is not in\n{lines}");
    }
}

#[test]
fn logical_partitions_are_looked_into_and_the_extended_one_is_not() {
    let bench = Bench::new();
    let mut spec = "disk = { table = \"mbr\" }\n".to_owned();
    for number in 1..=5 {
        spec.push_str(&format!(
            "[[partition]]\ntype = \"0x83\"\nname = \"p{number}\"\nsize = \"2MiB\"\nfilesystem = \"ext2\"\nlabel = \"label {number}\"\n"
        ));
    }
    let image = bench.build_text(&spec);
    let shown = crate::support::disk::shown(&bench, &image);
    let labels: Vec<_> = shown["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["filesystem"]["label"].as_str())
        .collect();
    let expected = ["label 1", "label 2", "label 3"].map(Some);
    assert_eq!(labels[..3], expected);
    assert_eq!(labels[3], None);
    assert_eq!(labels[4..], ["label 4", "label 5"].map(Some));
}

#[test]
fn a_label_cannot_reach_the_terminal() {
    let bench = Bench::new();
    bench.done(&["mkfs", "ext4", "-q", "--size", "4MiB", "-o", "image"]);
    let mut bytes = std::fs::read(bench.path("image")).unwrap();
    bytes[1024 + 120..][..4].copy_from_slice(b"\x1b[2J");
    bench.write("image", bytes);
    let shown = bench.done(&["show", "image"]);
    assert!(shown.contains("\u{fffd}[2J"), "{shown}");
    assert!(!shown.contains('\x1b'));
}
