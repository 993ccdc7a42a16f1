//! How partitions come into an image: cloned, or copied, with equal bytes each way.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::support::bench::sha256;
use crate::support::judges::judge_table;
use crate::support::mount::{Mount, may_mount};
use crate::support::{Ability, Bench, Outcome, judge, lacks};

/// Two file systems, of which the larger is filled where it belongs and the other goes through a file of its own, and a
/// partition of bytes.
const SPEC: &str = r#"
[[partition]]
name = "large"
type = "linux-generic"
size = "64MiB"
filesystem = "ext4"
content = [{ file = "large", to = "/large" }]

[[partition]]
name = "small"
type = "linux-generic"
size = "32MiB"
filesystem = "ext4"
content = [{ file = "small", to = "/small" }]

[[partition]]
name = "raw"
type = "linux-generic"
size = "4MiB"
raw = [{ file = "raw", offset = "0" }]
"#;

/// The content, which is whole blocks, with its bytes.
const CONTENT: [(&str, usize); 3] = [("large", 20 << 20), ("small", 12 << 20), ("raw", 3 << 20)];

/// The size of the file systems that the image is built on. mkfs.xfs makes none below 300 MiB.
const SIZE: &str = "512MiB";

/// Builds the disk in `folder`, with its content beside it.
fn build(bench: &Bench, folder: &Path) -> PathBuf {
    build_with(bench, folder, &[])
}

/// The same, with these arguments.
fn build_with(bench: &Bench, folder: &Path, arguments: &[&str]) -> PathBuf {
    fs::write(folder.join("image.toml"), SPEC).unwrap();
    for (name, length) in CONTENT {
        let bytes: Vec<u8> = (0..length)
            .map(|index| index.wrapping_mul(2_654_435_761).to_le_bytes()[3])
            .collect();
        let path = folder.join(name);
        fs::write(&path, bytes).unwrap();
        crate::support::bench::set_time(&path, 1_600_000_000, 0);
    }
    let mut command = bench.cellblock();
    command
        .current_dir(folder)
        .args(["build", "image.toml", "-o", "disk.img", "--quiet"])
        .args(arguments);
    Outcome::of(&mut command).done();
    folder.join("disk.img")
}

/// A new file system of `kind`, mounted; none, with a word, where that cannot be.
fn mounted(bench: &Bench, kind: &str) -> Option<(Mount, PathBuf)> {
    let file = bench.path(format!("{kind}.img"));
    let (what, options) = match kind {
        "tmpfs" => (Path::new("none"), "size=512m"),
        "ext4" => {
            bench.done(&["mkfs", "ext4", "-q", "-o", "ext4.img", "--size", SIZE]);
            (file.as_path(), "loop")
        }
        _ => {
            File::create(&file).unwrap().set_len(512 << 20).unwrap();
            judge("mkfs.xfs")?.content_with(&["-q"], &file);
            (file.as_path(), "loop")
        }
    };
    let point = bench.create_folder(&format!("on-{kind}"));
    match Mount::new(kind, options, what, point.clone()) {
        Ok(mount) => Some((mount, point)),
        Err(said) if said.contains("unknown filesystem") => {
            lacks(Ability::Mount, &format!("the kernel knows no {kind}"));
            None
        }
        Err(said) => panic!("{said}"),
    }
}

/// The bytes of `file` that it shares with another one; none, with a word, without filefrag.
fn shared_bytes(file: &Path) -> Option<u64> {
    const BLOCK: u64 = 4096;
    let said = judge("filefrag")?.content_with(&["-s", "-v", "-b4096"], file);
    let lengths = said.lines().filter_map(|line| {
        // Of `0: 0.. 255: 100.. 355: 256: 101: last,shared,eof`: the number after the second range.
        let fields: Vec<&str> = line.split(':').collect();
        let is_shared = fields.last()?.contains("shared");
        is_shared.then(|| fields.get(3)?.trim().parse::<u64>().ok())?
    });
    Some(lengths.sum::<u64>() * BLOCK)
}

#[test]
fn content_is_cloned_where_it_can_be_and_the_bytes_are_equal_each_way() {
    if !may_mount() {
        lacks(Ability::LoopDevices, "nothing clones files");
        return;
    }
    let bench = Bench::new();
    let plain = sha256(&build(&bench, &bench.create_folder("plain")));
    for kind in ["tmpfs", "ext4", "xfs"] {
        let Some((_mount, folder)) = mounted(&bench, kind) else {
            continue;
        };
        let image = build(&bench, &folder);
        judge_table(&image, true);
        assert_eq!(sha256(&image), plain, "{kind}");
        if kind == "tmpfs" {
            continue;
        }
        let Some(shared) = shared_bytes(&image) else {
            continue;
        };
        let content: usize = CONTENT.iter().map(|(_, length)| length).sum();
        let expected = if kind == "xfs" { content } else { 0 };
        assert_eq!(shared, u64::try_from(expected).unwrap(), "{kind}");
    }
}

#[test]
fn what_a_cache_has_is_shared_where_it_can_be_and_the_bytes_are_equal_each_way() {
    if !may_mount() {
        lacks(Ability::LoopDevices, "nothing shares blocks");
        return;
    }
    let bench = Bench::new();
    let plain = sha256(&build(&bench, &bench.create_folder("plain")));
    for kind in ["ext4", "xfs"] {
        let Some((_mount, folder)) = mounted(&bench, kind) else {
            continue;
        };
        let cached = |is_settled: bool| {
            for chunk in fs::read_dir(folder.join("cache/cas")).into_iter().flatten() {
                let chunk = File::open(chunk.unwrap().path()).unwrap();
                let ago = Duration::from_secs(if is_settled { 120 } else { 0 });
                chunk.set_modified(SystemTime::now() - ago).unwrap();
            }
            let image = build_with(&bench, &folder, &["--cache", "cache"]);
            assert_eq!(sha256(&image), plain, "{kind}");
            shared_bytes(&image)
        };
        cached(false);
        let [Some(fresh), Some(settled)] = [false, true].map(cached) else {
            continue;
        };
        let [large, small, raw] = CONTENT.map(|(_, length)| u64::try_from(length).unwrap());
        if kind == "xfs" {
            assert_eq!(fresh, raw, "it waits for no disk");
            assert!(settled >= large + small + raw, "{settled}");
        } else {
            assert_eq!((fresh, settled), (0, 0));
        }
    }
}
