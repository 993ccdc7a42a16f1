//! Formats that the disk's own file becomes: the same bytes as those of a copy, and the same disk.

use std::cell::Cell;

use super::*;
use crate::{Copying, Image};
use cellblock_table::ReadAt as _;

/// All of them, with options.
const TAKING: [(&str, &str); 9] = [
    ("raw", ""),
    ("vhd", ""),
    ("vhd", "subformat=dynamic"),
    ("qcow2", ""),
    ("qcow2", "cluster_size=512"),
    ("qcow2", "cluster_size=4k"),
    ("qcow2", "cluster_size=2M"),
    ("vmdk", "subformat=monolithicSparse"),
    ("vhdx", ""),
];

/// Has a copy of a disk's file become a format.
fn take(disk: &Path, to: &Path, name: &str, text: &str) {
    let size = fs::metadata(disk).unwrap().len();
    let scratch = Scratch::beside(to);
    let mut image = Image::new(&scratch, size).unwrap();
    image.splice_file(disk, 0, size, Copying::ALONE).unwrap();
    let done = Cell::new(0);
    let (decoders, watch) = (here(), |count| done.set(done.get() + count));
    let how = conversion(2, &decoders, &watch);
    let format = choose(name, text).unwrap();
    assert!(format.takes_file(), "{name},{text}");
    image.become_one(&format, &how).unwrap();
    assert_eq!(done.get(), size, "{name},{text}");
    let length = image.size();
    image.publish(to, Durability::Written).unwrap();
    assert_eq!(length, fs::metadata(to).unwrap().len(), "{name},{text}");
}

/// Whether a disk in a format is read as what it is made of.
fn assert_read(made: &Path, disk: &Path, what: &str) {
    let made = Existing::open(made).unwrap().with_disk(&here()).unwrap();
    let disk = fs::read(disk).unwrap();
    assert_eq!(made.size(), disk.len() as u64, "{what}");
    let mut found = vec![0; disk.len()];
    made.read_at(0, &mut found).unwrap();
    assert!(found == disk, "{what}");
}

/// A disk of whole mebibytes whose `unit`s have data where `has` says so, and written zeros in some of the others.
fn pattern(folder: &Path, size: u64, unit: usize, mut has: impl FnMut(usize) -> bool) -> PathBuf {
    let path = folder.join("disk.img");
    let file = File::create(&path).unwrap();
    file.set_len(size).unwrap();
    for index in 0..usize::try_from(size).unwrap() / unit {
        let offset = (index * unit) as u64;
        if has(index) {
            // A byte alone, so that a unit is found by it, and the number of the unit.
            let at = offset + (index * 8 % (unit - 8)) as u64;
            file.write_all_at(&(index as u64 + 1).to_le_bytes(), at)
                .unwrap();
        } else if index % 3 == 0 {
            file.write_all_at(&vec![0; unit], offset).unwrap();
        }
    }
    path
}

fn both_ways(folder: &Path, disk: &Path, what: &str) {
    for (name, text) in TAKING {
        let what = format!("{what}: {name},{text}");
        let (copied, taken) = (folder.join("copied"), folder.join("taken"));
        export(disk, &copied, name, text, 3);
        take(disk, &taken, name, text);
        assert_same(&copied, &taken, &what);
        match name {
            "qcow2" | "vmdk" => {
                qemu_finds_no_fault(&taken, name, &what);
                qemu_agrees(&taken, disk, name, &what);
                assert_read(&taken, disk, &what);
            }
            "vhdx" => {
                qemu_finds_no_fault(&taken, name, &what);
                qemu_agrees(&taken, disk, name, &what);
            }
            "vhd" => qemu_agrees(&taken, disk, "vpc", &what),
            _ => assert_same(&taken, disk, &what),
        }
    }
}

#[test]
fn the_file_of_a_disk_becomes_what_a_copy_is() {
    let folder = TempDir::new().unwrap();
    let size = 12 << 20;
    let last = (size >> 16) - 1;
    let patterns: [(&str, &dyn Fn(usize) -> bool); 7] = [
        ("empty", &|_| false),
        ("full", &|_| true),
        ("full but the first", &|it| it > 0),
        ("the first alone", &|it| it == 0),
        ("the last alone", &|it| it == last),
        ("the last half", &|it| it > last / 2),
        ("every other", &|it| it % 2 == 1),
    ];
    for (what, has) in patterns {
        let disk = pattern(folder.path(), size as u64, 64 << 10, has);
        both_ways(folder.path(), &disk, what);
    }
}

#[test]
fn random_disks_are_the_same_both_ways() {
    for seed in 1..6 {
        let folder = TempDir::new().unwrap();
        let disk = disk(folder.path(), 30 << 20, seed * 0x5851_f42d);
        both_ways(folder.path(), &disk, &seed.to_string());
    }
}

/// Small clusters, and many orders of them: the tables are many, and gaps and what fills them are short.
#[test]
fn every_order_of_clusters_is_read_as_the_disk() {
    let mut numbers = Numbers(0xc0ff_ee11);
    for round in 0..150 {
        let folder = TempDir::new().unwrap();
        let size = 512 * (1 + numbers.below(400));
        let of_ten = numbers.below(11);
        let disk = pattern(folder.path(), size, 512, |_| numbers.below(10) < of_ten);
        let (copied, taken) = (folder.path().join("copied"), folder.path().join("taken"));
        let text = ["cluster_size=512", "cluster_size=1k"][round % 2];
        export(&disk, &copied, "qcow2", text, 2);
        take(&disk, &taken, "qcow2", text);
        let what = format!("round {round}, {size} bytes, {of_ten} of ten, {text}");
        assert_same(&copied, &taken, &what);
        assert_read(&taken, &disk, &what);
        qemu_finds_no_fault(&taken, "qcow2", &what);
    }
}

/// In blocks that are larger than what is looked at together, holes stay holes.
#[test]
fn large_blocks_are_the_same_both_ways_and_keep_their_holes() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("disk.img");
    let file = File::create(&path).unwrap();
    file.set_len(1 << 30).unwrap();
    for at in [0, (300 << 20) + 5, (1 << 30) - 512] {
        file.write_all_at(&[7; 512], at).unwrap();
    }
    let (copied, taken) = (folder.path().join("copied"), folder.path().join("taken"));
    let text = "block_size=128M";
    export(&path, &copied, "vhdx", text, 2);
    take(&path, &taken, "vhdx", text);
    assert_same(&copied, &taken, text);
    qemu_finds_no_fault(&taken, "vhdx", text);
    qemu_agrees(&taken, &path, "vhdx", text);
    for made in [copied, taken] {
        let stored = fs::metadata(made).unwrap().blocks() * 512;
        assert!(stored < 16 << 20, "{stored} bytes are stored");
    }
}

/// A disk may be longer than any file: what is at its end is put elsewhere until its place is known.
#[test]
fn a_disk_that_is_longer_than_a_file_can_be_is_written() {
    let (Some(qemu), Some(qemu_io)) = (judge("qemu-img"), judge("qemu-io")) else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let disk = folder.path().join("disk.qcow2");
    let mut command = qemu.command();
    command.args(["create", "-q", "-f", "qcow2"]);
    let said = command.arg(&disk).arg("20T").output().unwrap();
    assert!(said.status.success(), "{said:?}");
    let run = |file: &Path, format: &str, verb: &str| {
        let mut command = qemu_io.command();
        command.args(["-f", format]);
        for at in ["0", "100k", "10T", "18T", "21474835456k"] {
            command.args(["-c", &format!("{verb} -P 7 {at} 200k")]);
        }
        let said = command.arg(file).output().unwrap();
        let words = String::from_utf8_lossy(&said.stdout).into_owned();
        // It ends well where a pattern differs, too.
        let is_done = said.status.success() && !words.contains("failed");
        assert!(is_done, "{verb} {format}: {said:?}");
    };
    run(&disk, "qcow2", "write");
    for (name, text) in [("qcow2", ""), ("qcow2", "cluster_size=2M"), ("vhdx", "")] {
        let made = folder.path().join("made");
        let image = Existing::open(&disk).unwrap().with_disk(&here()).unwrap();
        let how = Conversion {
            jobs: 2,
            codecs: &Threads,
            decoders: &here(),
            time: None,
            name: "disk",
            watch: &|_| {},
        };
        let format = choose(name, text).unwrap();
        let written = image
            .convert(&Scratch::beside(&made), &format, &how)
            .unwrap();
        written.publish(&made, Durability::Written).unwrap();
        qemu_finds_no_fault(&made, name, text);
        run(&made, name, "read");
    }
}
