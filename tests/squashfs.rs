//! Squashfs file systems through the whole program: the same bytes behind both walls, and to others what was put in.

use std::fs;
use std::path::Path;
use std::process::Command;

use cellblock_judges::{Ability, judge, lacks, text};

use crate::support::Bench;
use crate::support::bench::sha256;

/// A bench with a tree whose files are large and small, equal and not, and one with an access control list in an archive.
fn bench() -> Bench {
    let bench = Bench::new();
    let lines = |from: u32| -> String {
        (from..from + 30_000)
            .map(|line| format!("{line}: a line of text\n"))
            .collect()
    };
    bench.write("tree/etc/hostname", "cell\n");
    bench.write("tree/large", lines(0));
    bench.write("tree/copy", lines(0));
    for index in 0..200 {
        bench.write(&format!("tree/folder/{index}"), format!("file {index}\n"));
    }
    bench.write("tree/noise", noise(300_000));
    bench
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Fails unless unsquashfs takes out of the file system at `offset` of `image` what is in `tree`.
fn judge_squashfs(bench: &Bench, image: &Path, offset: u64) {
    let Some(unsquashfs) = judge("unsquashfs") else {
        return;
    };
    let unpacked = bench.path("unpacked");
    let output = unsquashfs
        .command()
        .args(["-no-progress", "-offset", &offset.to_string(), "-dest"])
        .args([&unpacked, image])
        .output()
        .unwrap();
    assert!(output.status.success(), "unsquashfs: {}", text(&output));
    let mut diff = Command::new("diff");
    diff.arg("-r").args([bench.path("tree"), unpacked.clone()]);
    let output = diff.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    fs::remove_dir_all(unpacked).unwrap();
}

#[test]
fn every_codec_gives_the_same_bytes_behind_both_walls() {
    for codec in ["none", "gzip", "lz4", "lz4hc", "xz", "zstd"] {
        let bench = bench();
        let option = format!("compression={codec}");
        let mut digests = Vec::new();
        for (walls, jobs) in [("wasm", "1"), ("process", "3")] {
            let image = format!("{walls}.img");
            bench.done(&[
                "mkfs",
                "squashfs",
                "-o",
                &image,
                "--option",
                &option,
                "--walls",
                walls,
                "--jobs",
                jobs,
                "--time",
                "1700000000",
                "--content",
                "tree,owner=0:0",
            ]);
            judge_squashfs(&bench, &bench.path(&image), 0);
            digests.push(sha256(&bench.path(&image)));
        }
        assert_eq!(digests[0], digests[1], "{codec}");
    }
}

#[test]
fn a_disk_has_a_squashfs_root() {
    let bench = bench();
    bench.write(
        "image.toml",
        "[[partition]]\nname = \"esp\"\ntype = \"esp\"\nsize = \"8MiB\"\nfilesystem = \"vfat\"\n\n\
         [[partition]]\nname = \"root\"\ntype = \"linux-generic\"\nsize = \"minimum\"\nfilesystem = \"squashfs\"\n\
         content = [{ directory = \"tree\" }]\noptions = { compression = \"zstd\", level = \"5\" }\n",
    );
    let record = bench.done(&["build", "image.toml", "-o", "disk.img", "--json", "-"]);
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let root = &record["partitions"][1];
    let [offset, size] = ["start", "size"].map(|key| root[key].as_u64().unwrap());
    let content = root["filesystem"]["content-bytes"].as_u64().unwrap();
    // Partitions are whole MiB.
    assert!(size < content, "{size}, {content}");
    let disk = bench.path("disk.img");
    judge_squashfs(&bench, &disk, offset);
    let point = bench.create_folder("mount");
    let Some(mount) = judge("mount") else {
        return;
    };
    let output = mount
        .command()
        .args(["-t", "squashfs", "-o", &format!("ro,loop,offset={offset}")])
        .args([&disk, &point])
        .output()
        .unwrap();
    if !output.status.success() {
        lacks(Ability::Mount, &text(&output));
        return;
    }
    let read = fs::read_to_string(point.join("etc/hostname"));
    Command::new("umount").arg(&point).status().unwrap();
    assert_eq!(read.unwrap(), "cell\n");
}

#[test]
fn what_squashfs_has_no_room_for_is_refused_by_name() {
    let bench = bench();
    let make = |more: &[&str]| {
        let fixed = ["mkfs", "squashfs", "-o", "x.img", "--content", "tree"];
        bench.run(&[&fixed[..], more].concat())
    };
    let said = make(&["--option", "compression=lzo"]).stderr;
    assert!(
        said.contains("compression") && said.contains("none|gzip|lz4|lz4hc|xz|zstd"),
        "{said}"
    );
    let said = make(&["--label", "root"]).stderr;
    assert!(said.contains("label"), "{said}");
    super::support::bench::set_time(&bench.path("tree/noise"), 1 << 33, 0);
    let said = make(&[]).stderr;
    assert!(said.contains("noise") && said.contains("time"), "{said}");
    assert!(!bench.path("x.img").exists());
}
