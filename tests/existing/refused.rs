//! Disks and requests that are refused, with what is wrong; nothing is written.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;

use super::{MEBIBYTE, THREE, lived_in, noise};
use crate::support::Bench;

/// What the second partition is asked to hold, one command each.
const COMMANDS: [&[&str]; 3] = [
    &["fill", "disk.img", "2", "--filesystem", "swap"],
    &["splice", "disk.img", "2", "new"],
    &["cut", "disk.img", "2", "-o", "out"],
];

const SECTOR: usize = 512;
/// The entries of the primary GPT, and their length in bytes.
const ENTRIES: usize = 2 * SECTOR;
const ENTRIES_LENGTH: usize = 128 * 128;

/// What can be done about a faulty table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repairable {
    Perhaps,
    No,
}

/// Fails unless the disk made of `bytes` is refused by every command with these faults, and `show` lists them.
fn assert_damaged(bench: &Bench, bytes: &[u8], repairable: Repairable, faults: &[&str]) {
    assert_shown(bench, bytes, 1, faults);
    for command in COMMANDS {
        assert_refused(bench, command, 1, &refusal(faults, repairable));
    }
    assert!(
        fs::read(bench.path("disk.img")).unwrap() == bytes,
        "the image has changed"
    );
}

/// Fails unless `show` warns of these faults of the disk made of `bytes`, what changes it refuses it for them, and what reads
/// it goes on.
fn assert_readable(bench: &Bench, bytes: &[u8], repairable: Repairable, faults: &[&str]) {
    assert_shown(bench, bytes, 0, faults);
    let [changing @ .., reading] = &COMMANDS;
    for command in changing {
        assert_refused(bench, command, 1, &refusal(faults, repairable));
    }
    let outcome = bench.run(reading);
    let warnings: String = faults
        .iter()
        .map(|fault| format!("warning: disk.img: {fault}\n"))
        .collect();
    assert_eq!((outcome.code, outcome.stderr), (Some(0), warnings));
    let cut = fs::read(bench.path("out")).unwrap();
    assert!(cut == bytes[2 * MEBIBYTE..6 * MEBIBYTE]);
    fs::remove_file(bench.path("out")).unwrap();
    assert!(
        fs::read(bench.path("disk.img")).unwrap() == bytes,
        "the image has changed"
    );
}

/// Fails unless `show` lists these faults.
fn assert_shown(bench: &Bench, bytes: &[u8], code: i32, faults: &[&str]) {
    bench.write("disk.img", bytes);
    bench.write("new", noise(MEBIBYTE, 1));
    let shown = bench.run(&["show", "disk.img"]);
    assert_eq!(shown.code, Some(code), "{}", shown.stderr);
    let said: Vec<&str> = shown
        .stderr
        .lines()
        .filter_map(|line| {
            line.strip_prefix("damaged: ")
                .or_else(|| line.strip_prefix("warning: "))
        })
        .collect();
    assert_eq!(said, faults);
    assert_eq!(shown.stderr.contains("damaged: "), code != 0);
}

fn refusal(faults: &[&str], repairable: Repairable) -> String {
    let listed: String = faults.iter().map(|fault| format!("\n  {fault}")).collect();
    let hint = match repairable {
        Repairable::Perhaps => "\n`cellblock repair disk.img` says what of it can be mended",
        Repairable::No => "",
    };
    format!("error: disk.img: the partition table is damaged, so nothing is done:{listed}{hint}\n")
}

fn assert_refused(bench: &Bench, command: &[&str], code: i32, message: &str) {
    let outcome = bench.run(command);
    assert_eq!(outcome.stderr, message, "{command:?}");
    assert_eq!((outcome.code, &*outcome.stdout), (Some(code), ""));
}

/// The bytes of a disk that a spec describes.
fn disk(bench: &Bench, spec: &str) -> Vec<u8> {
    fs::read(bench.build_text(spec)).unwrap()
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// Copies the entries of the primary GPT to the backup, and makes all checksums right again.
fn seal(bytes: &mut [u8]) {
    let entries = bytes[ENTRIES..ENTRIES + ENTRIES_LENGTH].to_vec();
    let backup = bytes.len() - SECTOR;
    put(bytes, backup - ENTRIES_LENGTH, &entries);
    let of_entries = crc32fast::hash(&entries).to_le_bytes();
    for header in [SECTOR, backup] {
        put(bytes, header + 88, &of_entries);
        put(bytes, header + 16, &[0; 4]);
        let of_header = crc32fast::hash(&bytes[header..header + 92]).to_le_bytes();
        put(bytes, header + 16, &of_header);
    }
}

/// Where an entry of the primary GPT has the first and the last sector of a partition.
fn extent_of(number: usize) -> usize {
    ENTRIES + (number - 1) * 128 + 32
}

/// A number of 32 bits.
fn stored(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// What is to be said of the header at a byte, whose checksum is wrong: it counts as 0 in itself (UEFI 2.10, table 5-5).
fn wrong_header(bytes: &[u8], at: usize) -> String {
    let mut header = bytes[at..at + 92].to_vec();
    put(&mut header, 16, &[0; 4]);
    format!(
        "the header's checksum is 0x{:08x}, and 0x{:08x} is stored",
        crc32fast::hash(&header),
        stored(bytes, at + 16)
    )
}

#[test]
fn checksums_that_are_wrong() {
    let bench = Bench::new();
    let whole = disk(&bench, THREE);
    let mut bytes = whole.clone();
    bytes[SECTOR + 56] ^= 1;
    let used = "the primary GPT is damaged: the backup was used";
    let header = format!("primary GPT: {}", wrong_header(&bytes, SECTOR));
    assert_damaged(&bench, &bytes, Repairable::Perhaps, &[&header, used]);
    bytes.clone_from(&whole);
    bytes[ENTRIES + 56] ^= 1;
    let entries = format!(
        "primary GPT: the entries' checksum is 0x{:08x}, and 0x{:08x} is stored",
        crc32fast::hash(&bytes[ENTRIES..ENTRIES + ENTRIES_LENGTH]),
        stored(&bytes, SECTOR + 88)
    );
    assert_damaged(&bench, &bytes, Repairable::Perhaps, &[&entries, used]);
    bytes.clone_from(&whole);
    let backup = bytes.len() - SECTOR;
    bytes[backup + 56] ^= 1;
    let header = format!("backup GPT: {}", wrong_header(&bytes, backup));
    assert_readable(&bench, &bytes, Repairable::Perhaps, &[&header]);
}

#[test]
fn a_backup_that_is_missing_elsewhere_or_different() {
    let bench = Bench::new();
    let whole = disk(&bench, THREE);
    let backup = whole.len() - SECTOR - ENTRIES_LENGTH;

    let mut bytes = whole.clone();
    bytes[backup..].fill(0);
    let missing = "backup GPT: no header at sector 20 479";
    assert_readable(&bench, &bytes, Repairable::Perhaps, &[missing]);

    bytes.clone_from(&whole);
    bytes.resize(whole.len() + MEBIBYTE, 0);
    let expected = [
        "the protective entry covers 20 479 sectors from sector 1, not 22 527 from sector 1",
        "the backup GPT is at sector 20 479, not at the disk's last, 22 527",
    ];
    assert_readable(&bench, &bytes, Repairable::Perhaps, &expected);

    bytes.clone_from(&whole);
    let other = disk(&bench, &THREE.replace("\"two\"", "\"other\""));
    put(&mut bytes, backup, &other[backup..]);
    let differs = "the primary and the backup GPT differ in the entries: the primary was used";
    assert_damaged(&bench, &bytes, Repairable::Perhaps, &[differs]);
}

#[test]
fn partitions_that_overlap_or_end_beyond_the_disk() {
    let bench = Bench::new();
    let whole = disk(&bench, THREE);
    let mut bytes = whole.clone();
    put(&mut bytes, extent_of(3), &12_000_u64.to_le_bytes());
    seal(&mut bytes);
    let overlap =
        "partition 2 (sectors 4096 to 12 287) overlaps partition 3 (sectors 12 000 to 16 383)";
    assert_damaged(&bench, &bytes, Repairable::No, &[overlap]);

    bytes.clone_from(&whole);
    put(&mut bytes, extent_of(3) + 8, &30_000_u64.to_le_bytes());
    seal(&mut bytes);
    let beyond =
        "partition 3 (sectors 12 288 to 30 000) ends beyond the disk, which has 20 480 sectors";
    assert_readable(&bench, &bytes, Repairable::No, &[beyond]);

    let cut_short = [
        "the protective entry covers 20 479 sectors from sector 1, not 8191 from sector 1",
        "backup GPT: sector 20 479 is not on the disk",
        "partition 2 (sectors 4096 to 12 287) ends beyond the disk, which has 8192 sectors",
        "partition 3 (sectors 12 288 to 16 383) ends beyond the disk, which has 8192 sectors",
    ];
    assert_damaged(
        &bench,
        &whole[..4 * MEBIBYTE],
        Repairable::Perhaps,
        &cut_short,
    );
}

#[test]
fn an_mbr_that_does_not_protect_or_says_something_else() {
    let bench = Bench::new();
    let whole = disk(&bench, THREE);
    let mut bytes = whole.clone();
    bytes[0x1fe] = 0;
    let unprotected = "the MBR does not protect the GPT: it has no entry of type 0xee";
    assert_damaged(&bench, &bytes, Repairable::Perhaps, &[unprotected]);

    let hybrid = THREE
        .replace("size = \"10MiB\"", "table = \"hybrid\", size = \"10MiB\"")
        .replace("name = \"two\"", "name = \"two\"\nmbr-type = \"0x0c\"");
    let mut bytes = disk(&bench, &hybrid);
    put(&mut bytes, 0x1ce + 8, &4095_u32.to_le_bytes());
    let stray = "entry 2 of the MBR (type 0x0c) describes 8192 sectors from sector 4095, which is no partition of the GPT";
    assert_damaged(&bench, &bytes, Repairable::No, &[stray]);
}

/// Three primary and two logical partitions.
fn mbr(bench: &Bench) -> Vec<u8> {
    let mut spec = "disk = { table = \"mbr\", size = \"16MiB\" }\n".to_owned();
    for _ in 0..5 {
        spec.push_str("[[partition]]\ntype = \"0x83\"\nsize = \"1MiB\"\n");
    }
    disk(bench, &spec)
}

#[test]
fn an_mbr_with_faults() {
    let bench = Bench::new();
    let whole = mbr(&bench);
    let (first, second, extended) = (0x1be, 0x1ce, 0x1ee);
    let mut bytes = whole.clone();
    put(&mut bytes, first + 12, &2049_u32.to_le_bytes());
    let overlap = "partition 1 (sectors 2048 to 4096) overlaps partition 2 (sectors 4096 to 6143)";
    assert_damaged(&bench, &bytes, Repairable::No, &[overlap]);

    bytes.clone_from(&whole);
    put(&mut bytes, second + 8, &100_000_u32.to_le_bytes());
    let beyond =
        "partition 2 (sectors 100 000 to 102 047) ends beyond the disk, which has 32 768 sectors";
    assert_damaged(&bench, &bytes, Repairable::No, &[beyond]);

    bytes.clone_from(&whole);
    put(&mut bytes, extended + 12, &4096_u32.to_le_bytes());
    let outside = "logical partition 6 (sectors 14 336 to 16 383) lies outside the extended partition 4 (sectors 8192 to 12 287)";
    assert_damaged(&bench, &bytes, Repairable::No, &[outside]);

    // The boot record of the second logical partition, 1 MiB before it.
    bytes.clone_from(&whole);
    bytes[6 * MEBIBYTE + 0x1fe] = 0;
    let broken = "the chain of logical partitions breaks at sector 12 288: no boot record there";
    assert_damaged(&bench, &bytes, Repairable::No, &[broken]);
}

#[test]
fn what_has_no_table_at_all() {
    let bench = Bench::new();
    let mut bytes = disk(&bench, THREE);
    bench.write("new", "new");
    let last = bytes.len() - SECTOR;
    bytes[SECTOR] = 0;
    bytes[last] = 0;
    bench.write("disk.img", &bytes);
    let names = bench.names();
    let message = "error: disk.img: the GPT is damaged beyond use: primary header: no header at sector 1; \
                   backup header: no header at sector 20 479\n";
    for command in COMMANDS {
        assert_refused(&bench, command, 1, message);
    }
    assert!(fs::read(bench.path("disk.img")).unwrap() == bytes);
    bench.write("disk.img", vec![0; MEBIBYTE]);
    let message = "error: disk.img: no partition table: \
                   the first sector has no boot signature, and there is no GPT header\n";
    for command in COMMANDS {
        assert_refused(&bench, command, 2, message);
    }
    assert!(fs::read(bench.path("disk.img")).unwrap() == vec![0; MEBIBYTE]);
    assert_eq!(bench.names(), names, "something was left");
}

#[test]
fn partitions_that_are_not_there_or_not_the_only_ones() {
    let bench = Bench::new();
    let twice = THREE
        .replace(
            "\"one\"",
            "\"one\"\nid = \"11111111-2222-4333-8444-555555555555\"",
        )
        .replace(
            "\"three\"",
            "\"three\"\nid = \"66666666-7777-4888-9999-aaaaaaaaaaaa\"",
        );
    let mut bytes = disk(&bench, &twice);
    // A spec has no two partitions of a name, and other programs do.
    let name = bytes[ENTRIES + 56..ENTRIES + 128].to_vec();
    put(&mut bytes, ENTRIES + 2 * 128 + 56, &name);
    seal(&mut bytes);
    // THREE's third partition lies at 6 MiB and has 2.
    let third = noise(2 * MEBIBYTE, 3);
    put(&mut bytes, 6 * MEBIBYTE, &third);
    bench.write("disk.img", &bytes);
    bench.write("new", "new");
    let cut = |partition: &'static str| ["cut", "disk.img", partition, "-o", "out"];
    assert_refused(
        &bench,
        &cut("4"),
        2,
        "error: disk.img: there is no partition with number or name 4; there are 1 'one', 2 'two', 3 'one'\n",
    );
    assert_refused(
        &bench,
        &cut("one"),
        2,
        "error: disk.img: several partitions have name or UUID 'one': \
         1 'one' (UUID 11111111-2222-4333-8444-555555555555), \
         3 'one' (UUID 66666666-7777-4888-9999-aaaaaaaaaaaa); choose one by its number\n",
    );
    bench.done(&cut("uuid:66666666-7777-4888-9999-AAAAAAAAAAAA"));
    assert!(fs::read(bench.path("out")).unwrap() == third);
    fs::remove_file(bench.path("out")).unwrap();

    bench.write("disk.img", mbr(&bench));
    for command in ["splice", "cut"] {
        let arguments = match command {
            "splice" => vec!["splice", "disk.img", "4", "new"],
            _ => cut("4").to_vec(),
        };
        assert_refused(
            &bench,
            &arguments,
            2,
            "error: disk.img: partition 4 is extended: its content are the logical partitions, \
             from number 5 on; choose one of them\n",
        );
    }
}

#[test]
fn a_number_that_is_also_the_name_of_another_partition() {
    let bench = Bench::new();
    bench.build_text(&THREE.replace("\"three\"", "\"2\""));
    bench.write("new", "new");
    let ways = "error: disk.img: '2' means several partitions: number:2 (partition 2 'two'), name:2 (partition 3 '2'); \
                write one of these\n";
    for command in COMMANDS {
        assert_refused(&bench, command, 2, ways);
    }
    for (partition, size) in [("number:2", 4), ("name:2", 2)] {
        bench.done(&["cut", "disk.img", partition, "-o", "out", "-q"]);
        let cut = fs::read(bench.path("out")).unwrap();
        assert_eq!(cut.len(), size * MEBIBYTE, "{partition}");
    }
}

#[test]
fn of_a_partition_that_ends_beyond_the_image_what_is_there_is_cut() {
    let bench = Bench::new();
    let image = lived_in(&bench);
    let mut bytes = fs::read(&image).unwrap();
    bytes.truncate(7 * MEBIBYTE + 512);
    bench.write("disk.img", &bytes);
    let outcome = bench.run(&["cut", "disk.img", "three", "-o", "out", "-q"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let last = outcome.stderr.lines().last().unwrap();
    assert_eq!(
        last,
        "warning: disk.img: partition 3 'three' ends 1 048 064 bytes beyond the image: what is there was taken"
    );
    assert!(fs::read(bench.path("out")).unwrap() == bytes[6 * MEBIBYTE..]);
}

#[test]
fn sizes_that_do_not_agree() {
    let bench = Bench::new();
    let image = lived_in(&bench);
    let before = fs::read(&image).unwrap();
    bench.write("new", noise(4 * MEBIBYTE + 1, 1));
    assert_refused(
        &bench,
        &["splice", "disk.img", "two", "new"],
        2,
        "error: disk.img: new has 4 194 305 bytes, but partition 2 'two' has 4 194 304 (1 short)\n",
    );
    for command in COMMANDS {
        assert_refused(
            &bench,
            &[command, &["--expect-size", "5MiB"]].concat(),
            1,
            "error: disk.img: partition 2 'two' has 4 194 304 bytes, and 5 242 880 were expected\n",
        );
    }
    assert!(fs::read(&image).unwrap() == before);
}

#[test]
fn files_that_are_none_or_the_image_itself() {
    let bench = Bench::new();
    let image = lived_in(&bench);
    let before = fs::read(&image).unwrap();
    bench.create_folder("folder");
    std::os::unix::fs::symlink("disk.img", bench.path("link")).unwrap();
    let splice = |file| ["splice", "disk.img", "two", file];
    let missing = "No such file or directory (os error 2)";
    for (file, message) in [
        ("absent", format!("absent: {missing}")),
        ("folder", "folder: is no regular file".to_owned()),
        ("/dev/null", "/dev/null: is no regular file".to_owned()),
    ] {
        assert_refused(&bench, &splice(file), 2, &format!("error: {message}\n"));
    }
    for (file, content) in [("disk.img", "the content"), ("link", "the content (link)")] {
        let message = format!(
            "error: disk.img: is both the image and {content}; give one of them another name; \
             nothing has been written\n"
        );
        assert_refused(&bench, &splice(file), 2, &message);
    }
    assert_refused(
        &bench,
        &["cut", "disk.img", "two", "-o", "link"],
        2,
        "error: link: is both the content and the image (disk.img); give one of them another name; \
         nothing has been written\n",
    );

    for (image, message) in [
        ("absent", format!("absent: {missing}")),
        (
            "/dev/null",
            "/dev/null: is no regular file, and only those are changed; change the image's file, then copy it there"
                .to_owned(),
        ),
    ] {
        bench.write("new", "new");
        let command = ["splice", image, "two", "new"];
        assert_refused(&bench, &command, 2, &format!("error: {message}\n"));
        let command = ["fill", image, "two", "--filesystem", "swap"];
        assert_refused(&bench, &command, 2, &format!("error: {message}\n"));
    }
    let null = fs::metadata("/dev/null").unwrap().file_type();
    assert!(null.is_char_device());
    assert!(fs::read(&image).unwrap() == before);
}
