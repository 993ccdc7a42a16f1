//! The layouts that genimage can make, made from a spec: the table says of each partition what genimage's says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Bench, Outcome, judge};

const DISK: &str = "6F8C47A6-1C2D-4B35-8B1E-9DE3C4E9E3FF";
const SECTOR: usize = 512;
/// Where an MBR has its entries, and how long each is.
const ENTRIES: usize = 446;
const ENTRY: usize = 16;
const PROTECTIVE: u8 = 0xee;
/// A partition of 1 MiB in a GPT, 1 MiB from the start.
const PARTITION: &str = "image = \"a.bin\" offset = 1M partition-type-uuid = \"0fc63daf-8483-4772-8e79-3d69d8477de4\" \
    partition-uuid = \"11111111-2222-3333-4444-555555555555\"";
const PARTITION_IN_TOML: &str = "[[partition]]\nname = \"a\"\ntype = \"linux-generic\"\n\
    id = \"11111111-2222-3333-4444-555555555555\"\noffset = \"1MiB\"\nraw = [{ file = \"input/a.bin\" }]\n";

/// The disk that genimage makes of this configuration, and the one that is made of the spec.
fn both(bench: &Bench, genimage: &str, spec: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let genimage_there = judge("genimage")?;
    let mut content = vec![0; 1 << 20];
    for (byte, number) in content.iter_mut().zip(1..) {
        *byte = number;
    }
    bench.write("input/a.bin", &content[..200]);
    fs::OpenOptions::new()
        .write(true)
        .open(bench.path("input/a.bin"))
        .unwrap()
        .set_len(1 << 20)
        .unwrap();
    bench.write("input/spl.bin", &content[..100]);
    bench.create_folder("root");
    bench.write("disk.cfg", format!("image disk.img {{ {genimage} }}"));
    let folders = ["root", "tmp", "input", "output"];
    let mut command: Command = genimage_there.command();
    for name in folders {
        let option = format!("--{name}path");
        command.arg(option).arg(bench.path(name));
    }
    command
        .arg("--config")
        .arg(bench.path("disk.cfg"))
        .current_dir(bench.folder());
    Outcome::of(&mut command).done();
    let theirs = bench.path("output/disk.img");
    let length = fs::metadata(&theirs).unwrap().len();
    bench.write("disk.toml", spec.replace("LENGTH", &length.to_string()));
    let ours: PathBuf = bench.build("disk.toml", "disk.img");
    let read = |path: &Path| fs::read(path).unwrap();
    Some((read(&theirs), read(&ours)))
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Whether it is for booting, its type, its first sector and its length, of each entry of an MBR; of one that protects a GPT the type
/// and the first sector.
fn entries(sector: &[u8]) -> Vec<(u8, u8, u32, Option<u32>)> {
    let entries = sector[ENTRIES..ENTRIES + 4 * ENTRY].chunks(ENTRY);
    let read = |entry: &[u8]| {
        let length = number(entry, 12);
        let is_protective = entry[4] == PROTECTIVE;
        let length = (!is_protective).then_some(length);
        (entry[0], entry[4], number(entry, 8), length)
    };
    entries.map(read).collect()
}

/// The number of the first sector with entries, and the first two entries, which are 128 bytes each.
fn gpt(disk: &[u8]) -> (u32, Vec<u8>) {
    let header = &disk[SECTOR..2 * SECTOR];
    assert_eq!(&header[..8], b"EFI PART");
    let at = number(header, 72);
    let start = SECTOR * usize::try_from(at).unwrap();
    (at, disk[start..start + 256].to_vec())
}

fn has_backup(disk: &[u8]) -> bool {
    disk[disk.len() - SECTOR..].starts_with(b"EFI PART")
}

#[test]
fn a_gpt_with_and_without_a_backup() {
    for (option, key, backup) in [
        ("", "", true),
        ("gpt-no-backup = true", "gpt-backup = false\n", false),
    ] {
        let bench = Bench::new();
        let genimage = format!(
            "hdimage {{ partition-table-type = gpt disk-uuid = {DISK} {option} }} partition a {{ {PARTITION} }}"
        );
        let spec = format!("[disk]\nsize = LENGTH\nid = \"{DISK}\"\n{key}{PARTITION_IN_TOML}");
        let Some((theirs, ours)) = both(&bench, &genimage, &spec) else {
            return;
        };
        assert_eq!(gpt(&ours), gpt(&theirs));
        assert_eq!((has_backup(&theirs), has_backup(&ours)), (backup, backup));
        assert_eq!(ours[1 << 20..2 << 20], theirs[1 << 20..2 << 20]);
    }
}

/// The entries of the GPT lie behind the loader, as boards have it that read one at 8 KiB.
#[test]
fn entries_behind_a_loader() {
    let bench = Bench::new();
    let genimage = format!(
        "hdimage {{ partition-table-type = gpt disk-uuid = {DISK} gpt-location = 512K }} \
         partition spl {{ image = \"spl.bin\" in-partition-table = false offset = 8K }} partition a {{ {PARTITION} }}"
    );
    let spec = format!(
        "[disk]\nsize = LENGTH\nid = \"{DISK}\"\ngpt-location = \"512KiB\"\n\
         raw = [{{ file = \"input/spl.bin\", offset = \"8KiB\" }}]\n{PARTITION_IN_TOML}"
    );
    let Some((theirs, ours)) = both(&bench, &genimage, &spec) else {
        return;
    };
    assert_eq!(gpt(&theirs).0, 1024);
    assert_eq!(gpt(&ours), gpt(&theirs));
    assert_eq!(ours[8 << 10..16 << 10], theirs[8 << 10..16 << 10]);
}

#[test]
fn a_hybrid_whose_second_entry_protects_the_gpt() {
    let bench = Bench::new();
    let genimage = format!(
        "hdimage {{ partition-table-type = hybrid disk-uuid = {DISK} }} partition a {{ {PARTITION} partition-type = 0xc }}"
    );
    let spec = format!(
        "[disk]\ntable = \"hybrid\"\nsize = LENGTH\nid = \"{DISK}\"\nprotective-number = 2\n\
         {PARTITION_IN_TOML}mbr-type = \"0x0c\"\n"
    );
    let Some((theirs, ours)) = both(&bench, &genimage, &spec) else {
        return;
    };
    assert_eq!(entries(&theirs)[1].1, PROTECTIVE);
    assert_eq!(entries(&ours), entries(&theirs));
    assert_eq!(gpt(&ours), gpt(&theirs));
}

/// The second entry of the MBR is the extended partition, and each logical partition has a boot record before it.
#[test]
fn an_extended_partition_in_the_second_place() {
    const COUNT: usize = 5;
    let bench = Bench::new();
    let mut genimage =
        "hdimage { disk-signature = 0x1234abcd extended-partition = 2 align = 1M }".to_owned();
    let mut spec = "[disk]\ntable = \"mbr\"\nid = \"0x1234abcd\"\nextended-number = 2\n".to_owned();
    for number in 0..COUNT {
        let kind = if number == 0 { "0x0c" } else { "0x83" };
        genimage +=
            &format!(" partition p{number} {{ image = \"a.bin\" partition-type = {kind} }}");
        spec +=
            &format!("[[partition]]\ntype = \"{kind}\"\nraw = [{{ file = \"input/a.bin\" }}]\n");
    }
    let Some((theirs, ours)) = both(&bench, &genimage, &spec) else {
        return;
    };
    assert_eq!(number(&ours, 440), number(&theirs, 440));
    assert_eq!(entries(&ours), entries(&theirs));
    assert_eq!(ours.len(), theirs.len());
    // Each boot record has its partition and the next record, by their distances. Which of the types of an extended partition the
    // next one has, nobody asks.
    let record_at = |disk: &[u8], at: usize| {
        let mut record = entries(&disk[at..]);
        if matches!(record[1].1, 0x05 | 0x0f) {
            record[1].1 = 0x05;
        }
        record
    };
    let extended = SECTOR * usize::try_from(entries(&theirs)[1].2).unwrap();
    let mut records = 0;
    let mut at = extended;
    loop {
        let record = record_at(&theirs, at);
        assert_eq!(record_at(&ours, at), record, "the record at {at}");
        records += 1;
        match record[1].2 {
            0 => break,
            next => at = extended + SECTOR * usize::try_from(next).unwrap(),
        }
    }
    assert_eq!(records, COUNT - 1);
}

#[test]
fn no_table_at_all() {
    let bench = Bench::new();
    let genimage = "hdimage { partition-table-type = none } partition spl { image = \"spl.bin\" offset = 8K } \
         partition a { image = \"a.bin\" offset = 1M }";
    let spec = "[disk]\ntable = \"none\"\nsize = LENGTH\nraw = [{ file = \"input/spl.bin\", offset = \"8KiB\" }]\n\
         [[partition]]\nname = \"a\"\noffset = \"1MiB\"\nraw = [{ file = \"input/a.bin\" }]\n";
    if let Some((theirs, ours)) = both(&bench, genimage, spec) {
        assert!(ours == theirs, "the bytes differ");
    }
}
