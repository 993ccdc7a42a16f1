//! The main job: the demo, whole, as others see it.

use std::fs;
use std::path::Path;

use crate::support::judges::{judge_ext4, judge_fat, judge_table};
use crate::support::listing::{Entry, Kind};
use crate::support::reading::{self, Acls};
use crate::support::{Ability, Bench, Listing, debugfs, disk, judge, lacks, mount};

/// The demo's image on a bench of its own.
fn demo() -> (Bench, std::path::PathBuf) {
    let bench = Bench::with_case("demo");
    let image = bench.build("demo/image.toml", "demo.img");
    (bench, image)
}

/// The time in the demo's spec: 2024-03-01T12:00:00Z.
const TIME: i64 = 1_709_294_400;

/// What the demo's root is made from, read by others: the archive, the overlay, a file and a line.
fn expected_root(bench: &Bench) -> Option<Listing> {
    let archive = reading::of_archive(bench, &bench.path("demo/rootfs.tar"), Acls::Words)?;
    let mut overlay = Listing::of_directory(&bench.path("demo/overlay"));
    overlay.0.retain(|path, _| !path.ends_with(b".orig"));
    for entry in overlay.0.values_mut() {
        entry.owner = (0, 0);
        if !matches!(entry.kind, Kind::Symlink(_)) {
            let is_executable = entry.kind == Kind::Directory || entry.mode & 0o111 != 0;
            entry.mode = if is_executable { 0o755 } else { 0o644 };
        }
    }
    let mut fstab = Listing::of_directory(&bench.path("demo/fstab"));
    let mut fstab = fstab.0.remove(&b""[..]).unwrap();
    (fstab.owner, fstab.mode) = ((0, 0), 0o644);
    fstab.first = b"etc/fstab".to_vec();
    fstab.modified = fstab.modified.min((TIME, 0));
    let mut expected = archive.overlaid(overlay.clamped(TIME));
    expected.0.insert(b"etc/fstab".to_vec(), fstab);
    let hostname = bench.write("hostname", "demo\n");
    expected.get("etc/hostname").kind = Listing::of_directory(&hostname).get("").kind.clone();
    // A text has the disk's time.
    expected.get("etc/hostname").modified = (TIME, 0);
    Some(expected)
}

#[test]
fn the_table_is_clean() {
    let (bench, image) = demo();
    judge_table(&image, true);
    let names: Vec<String> = disk::parts(&bench, &image)
        .into_iter()
        .map(|part| part.name)
        .collect();
    assert_eq!(names, ["bios", "efi", "swap", "root"]);
}

#[test]
fn the_root_holds_all_that_its_sources_hold() {
    let (bench, image) = demo();
    let root = disk::cut_out(&bench, &image, "root");
    judge_ext4(&root);
    if let Some(expected) = expected_root(&bench) {
        assert_demo_is_hard(expected.clone());
        reading::assert_ext4_holds(&bench, &root, expected);
    }
}

#[test]
fn the_kernel_and_debugfs_agree() {
    let (bench, image) = demo();
    let root = disk::cut_out(&bench, &image, "root");
    if !mount::may_mount() {
        lacks(Ability::LoopDevices, "the kernel reads nothing");
        return;
    }
    let kernel = mount::read_ext4(&bench, &root);
    if let Some(debugfs) = debugfs::read_ext4(&bench, &root) {
        kernel.assert_same(&debugfs);
    }
}

/// The demo is worth comparing only as long as it has all that is hard.
fn assert_demo_is_hard(mut root: Listing) {
    assert_eq!(root.get("usr/bin/su").mode, 0o4755);
    assert_eq!(root.get("usr/bin/sh").links, 3);
    assert_eq!(root.get("home/user").owner, (1000, 1000));
    assert_eq!(root.get("home/user/past").modified, (-3, 500_000_000));
    assert_eq!(
        root.get("home/user/future").modified,
        (4_102_444_800, 999_999_999)
    );
    assert_eq!(root.get("dev/nvme0n1p300").kind, Kind::Block(259, 300));
    assert!(root.0.contains_key(&b"home/user/caf\xe9.txt"[..]));
    let has = |entry: &Entry, name: &[u8]| entry.attributes.contains_key(name);
    assert!(has(root.get("usr/bin/ping"), b"security.capability"));
    assert!(has(root.get("var/lib/shared"), b"system.posix_acl_default"));
    assert!(has(root.get("home/user/notes.txt"), b"user.note"));
    assert!(!root.0.contains_key(&b"etc/motd.orig"[..]));
}

#[test]
fn holes_of_the_source_are_holes_of_the_image() {
    let (bench, image) = demo();
    let root = disk::cut_out(&bench, &image, "root");
    let Some(debugfs) = judge("debugfs") else {
        return;
    };
    let said = debugfs.content_with(&["-R", "stat /var/lib/database"], &root);
    assert!(said.contains("Size: 1048576"), "{said}");
    // 4 KiB at the beginning and 8 KiB in the middle, counted in sectors.
    assert!(said.contains("Blockcount: 24"), "{said}");
}

#[test]
fn the_system_partition_holds_all_that_its_directory_holds() {
    let (bench, image) = demo();
    let efi = disk::cut_out(&bench, &image, "efi");
    judge_fat(&efi);
    let expected = Listing::of_directory(&bench.path("demo/esp")).clamped(TIME);
    assert!(expected.0.contains_key(&b".note"[..]));
    reading::assert_fat_holds(&bench, &efi, expected);
    if let Some(mlabel) = judge("mlabel") {
        let output = mlabel
            .command()
            .args(["-s", "-i"])
            .arg(&efi)
            .arg("::")
            .output()
            .unwrap();
        let said = crate::support::text(&output);
        assert!(said.contains("UEFI"), "{said}");
    }
}

#[test]
fn the_swap_space_is_one() {
    let (bench, image) = demo();
    let swap = disk::cut_out(&bench, &image, "swap");
    if let Some(swaplabel) = judge("swaplabel") {
        let said = swaplabel.content_with(&[], &swap);
        assert!(said.contains("LABEL: swap"), "{said}");
    }
}

#[test]
fn a_raw_partition_holds_its_file_and_zeros() {
    let (bench, image) = demo();
    let raw = fs::read(disk::cut_out(&bench, &image, "bios")).unwrap();
    let core = fs::read(bench.path("demo/core.bin")).unwrap();
    assert_eq!(raw[..core.len()], core);
    assert!(raw[core.len()..].iter().all(|byte| *byte == 0));
}

#[test]
fn the_image_is_shown_at_the_end() {
    let bench = Bench::with_case("demo");
    let shown = bench.done(&["build", "demo/image.toml", "-o", "demo.img"]);
    for part in ["GPT", "bios-boot", "esp", "root-x86-64", "demo.img: "] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    assert_eq!(
        bench.done(&["build", "demo/image.toml", "-o", "demo.img", "-q"]),
        ""
    );
}

#[test]
fn without_a_name_the_image_is_called_after_the_spec() {
    let bench = Bench::with_case("demo");
    bench.done(&["build", "demo/image.toml"]);
    assert_eq!(bench.names(), ["demo", "image.img"]);
}

#[test]
fn an_image_that_exists_is_replaced() {
    let bench = Bench::with_case("demo");
    let first = bench.build("demo/image.toml", "first.img");
    bench.write("second.img", "something else");
    let second = bench.build("demo/image.toml", "second.img");
    crate::support::bench::assert_same_bytes(&first, &second);
    assert_eq!(bench.names(), ["demo", "first.img", "second.img"]);
}

#[test]
fn the_record_says_what_was_made() {
    let bench = Bench::with_case("demo");
    let record = bench.done(&["build", "demo/image.toml", "-o", "demo.img", "--json", "-"]);
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["image"], "demo.img");
    assert_eq!(
        record["size"],
        fs::metadata(bench.path("demo.img")).unwrap().len()
    );
    let parts = disk::parts(&bench, &bench.path("demo.img"));
    let partitions = record["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), parts.len());
    for (partition, part) in partitions.iter().zip(&parts) {
        assert_eq!(partition["name"], part.name);
        assert_eq!(
            (&partition["start"], &partition["size"]),
            (&part.start.into(), &part.size.into())
        );
        let filesystem = &partition["filesystem"];
        if filesystem.is_null() {
            continue;
        }
        let file = disk::cut_out(&bench, &bench.path("demo.img"), &part.name);
        let guest = format!(
            "../../guests/dist/{}.wasm",
            filesystem["guest"].as_str().unwrap()
        );
        let guest = crate::support::bench::case(&guest);
        assert_digest(&filesystem["partition-digest"], &file);
        assert_digest(&filesystem["guest-digest"], &guest);
        assert_eq!(filesystem["tree-digest"].as_str().unwrap().len(), 64);
        assert_eq!(filesystem["content-digest"].as_str().unwrap().len(), 64);
        assert!(!filesystem["capabilities"].as_array().unwrap().is_empty());
        assert!(filesystem["timings"]["format"].as_f64().unwrap() > 0.0);
    }
}

fn assert_digest(recorded: &serde_json::Value, file: &Path) {
    assert_eq!(recorded, &crate::support::bench::sha256(file));
}
