//! Tables that are mended, and what other programs say of them before and after.

use std::fs;
use std::path::Path;

use super::{MEBIBYTE, lived_in, noise, place};
use crate::support::judges::judge_table;
use crate::support::{Bench, judge};

const SECTOR: usize = 512;
const COPY: usize = 33 * SECTOR;

/// Fails unless sgdisk finds fault with a disk.
fn assert_faulty(disk: &Path) {
    if let Some(sgdisk) = judge("sgdisk") {
        let said = sgdisk.content_with(&["-v"], disk);
        assert!(
            !said.contains("No problems found") || said.contains("corrupt"),
            "{said}"
        );
    }
}

/// Fails unless the damage is only told of at first, then mended, and no byte of a partition or of boot code changes.
fn assert_mended(damage: impl FnOnce(&mut Vec<u8>), faults: &[&str], mends: &[&str]) {
    let bench = Bench::new();
    let image = lived_in(&bench);
    let mut bytes = fs::read(&image).unwrap();
    bytes[..440].copy_from_slice(&noise(440, 3));
    damage(&mut bytes);
    fs::write(&image, &bytes).unwrap();
    assert_faulty(&image);

    let expected = |did: &str, end: &str| {
        let faults = faults.iter().map(|fault| format!("disk.img: {fault}\n"));
        let mends = mends.iter().map(|mend| format!("{did} {mend}\n"));
        faults.chain(mends).collect::<String>() + end
    };
    let would = expected("would write", "nothing was written: --write does it\n");
    assert_eq!(bench.done(&["repair", "disk.img"]), would);
    assert!(fs::read(&image).unwrap() == bytes, "the image has changed");

    assert_eq!(
        bench.done(&["repair", "disk.img", "--write"]),
        expected("wrote", "")
    );
    judge_table(&image, true);
    let after = fs::read(&image).unwrap();
    assert_eq!(after.len(), bytes.len());
    assert!(after[..440] == bytes[..440], "boot code");
    let end = 8 * MEBIBYTE;
    assert!(after[MEBIBYTE..end] == bytes[MEBIBYTE..end], "partitions");
    assert_eq!(
        bench.done(&["repair", "disk.img", "--write"]),
        "disk.img: nothing to repair\n"
    );
    // What was refused before.
    bench.write("new", noise(4 * MEBIBYTE, 2));
    bench.done(&["splice", "disk.img", "two", "new", "-q"]);
    let two = place(&bench, &image, "two");
    assert!(fs::read(&image).unwrap()[two] == noise(4 * MEBIBYTE, 2));
    assert_eq!(bench.names(), ["disk.img", "image.toml", "new"]);
}

const BACKUP: &str = "the backup GPT, in sectors 20 447 to 20 479, the last of the disk";
const HEADER: &str = "the primary header, in sector 1";
const PROTECTIVE: &str = "the entry of the MBR that protects the GPT, in sector 0";

#[test]
fn an_image_that_has_grown() {
    assert_mended(
        |bytes| bytes.resize(bytes.len() + MEBIBYTE, 0),
        &[
            "the protective entry covers 20 479 sectors from sector 1, not 22 527 from sector 1",
            "the backup GPT is at sector 20 479, not at the disk's last, 22 527",
        ],
        &[
            "the backup GPT, in sectors 22 495 to 22 527, the last of the disk",
            HEADER,
            PROTECTIVE,
        ],
    );
}

#[test]
fn an_image_that_was_cut_short_behind_its_last_partition() {
    assert_mended(
        |bytes| bytes.truncate(9 * MEBIBYTE),
        &[
            "the protective entry covers 20 479 sectors from sector 1, not 18 431 from sector 1",
            "backup GPT: sector 20 479 is not on the disk",
        ],
        &[
            "the backup GPT, in sectors 18 399 to 18 431, the last of the disk",
            HEADER,
            PROTECTIVE,
        ],
    );
}

#[test]
fn a_backup_that_is_gone() {
    assert_mended(
        |bytes| {
            let backup = bytes.len() - COPY;
            bytes[backup..].fill(0);
        },
        &["backup GPT: no header at sector 20 479"],
        &[BACKUP],
    );
}

#[test]
fn a_primary_that_is_gone() {
    assert_mended(
        |bytes| bytes[SECTOR..SECTOR + COPY].fill(0),
        &[
            "primary GPT: no header at sector 1",
            "the primary GPT is damaged: the backup was used",
        ],
        &["the primary entries, from sector 2 on", HEADER],
    );
}

#[test]
fn an_mbr_that_is_gone() {
    assert_mended(
        |bytes| bytes[440..SECTOR].fill(0),
        &["the MBR does not protect the GPT: it has no entry of type 0xee"],
        &[PROTECTIVE],
    );
}

/// Fails unless nothing is written, for this reason.
fn assert_not_mended(bytes: &[u8], code: i32, message: &str) {
    let bench = Bench::new();
    let image = bench.write("disk.img", bytes);
    for command in [
        &["repair", "disk.img"][..],
        &["repair", "disk.img", "--write"],
    ] {
        let outcome = bench.run(command);
        assert_eq!(outcome.stderr, format!("error: disk.img: {message}\n"));
        assert_eq!((outcome.code, &*outcome.stdout), (Some(code), ""));
        assert!(fs::read(&image).unwrap() == bytes, "the image has changed");
    }
}

#[test]
fn what_cannot_be_repaired_is_an_error() {
    let whole = {
        let bench = Bench::new();
        fs::read(lived_in(&bench)).unwrap()
    };
    assert_not_mended(
        &vec![0; MEBIBYTE],
        2,
        "no partition table: the first sector has no boot signature, and there is no GPT header",
    );
    let mut bytes = whole.clone();
    let last = bytes.len() - SECTOR;
    bytes[SECTOR] = 0;
    bytes[last] = 0;
    assert_not_mended(
        &bytes,
        1,
        "the GPT is damaged beyond use: primary header: no header at sector 1; backup header: no header at sector 20 479",
    );
    let mut bytes = vec![0; MEBIBYTE];
    bytes[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    assert_not_mended(
        &bytes,
        2,
        "is a qcow2 image, not a raw disk; make a raw disk of it first: cellblock export FILE -o DISK.img",
    );
    let mut bytes = vec![0; MEBIBYTE];
    bytes[..4].copy_from_slice(b"hsqs");
    assert_not_mended(
        &bytes,
        2,
        "is a squashfs file system, not a raw disk; it has no partition table; to have one around it, name it as `raw` of a \
         partition in a spec",
    );
    assert_not_mended(
        &whole[..8 * MEBIBYTE],
        1,
        "the backup GPT takes the last 33 sectors, and partition 3 (sectors 12 288 to 16 383) reaches into them: \
         make the disk 33 sectors longer",
    );
    let mut bytes = whole;
    // The last sector of the first partition becomes one of the second.
    let entry = 2 * SECTOR + 40;
    bytes[entry..entry + 8].copy_from_slice(&4096_u64.to_le_bytes());
    let entries = crc32fast::hash(&bytes[2 * SECTOR..SECTOR + COPY]).to_le_bytes();
    let backup = bytes.len() - COPY;
    bytes.copy_within(2 * SECTOR..SECTOR + COPY, backup);
    for header in [SECTOR, last] {
        bytes[header + 88..header + 92].copy_from_slice(&entries);
        bytes[header + 16..header + 20].fill(0);
        let checksum = crc32fast::hash(&bytes[header..header + 92]).to_le_bytes();
        bytes[header + 16..header + 20].copy_from_slice(&checksum);
    }
    assert_not_mended(
        &bytes,
        1,
        "this cannot be repaired, so nothing is done:\n  \
         partition 1 (sectors 2048 to 4096) overlaps partition 2 (sectors 4096 to 12 287)",
    );
}
