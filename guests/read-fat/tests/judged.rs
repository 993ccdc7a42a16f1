//! File systems that mkfs.fat made and mtools filled, and such with bytes flipped.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use cellblock_guest::memory::MemoryListing;
use cellblock_guest::reader::{Reader as _, ReaderError, ReaderRequest, Volume};
use cellblock_judges::{judge, text};
use cellblock_read_fat::Fat;
use cellblock_readers_judged::{Folder, Temporary, mount, outcome, read, seen, survives_flips};

/// An empty file system of `kilobytes`; none, with a word, where mkfs.fat is missing.
fn make(options: &[&str], kilobytes: u64) -> Option<Temporary> {
    let image = Temporary::new("fat");
    File::create_new(&image.0)
        .unwrap()
        .set_len(kilobytes << 10)
        .unwrap();
    let output = judge("mkfs.fat")?
        .command()
        .args(["-n", "JUDGED", "-i", "1a2b3c4d"])
        .args(options)
        .arg(&image.0)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    Some(image)
}

/// Names and files of all kinds below `top`.
fn fill(top: &Path) {
    fs::create_dir_all(top.join("EFI/BOOT/a longer name of a folder")).unwrap();
    fs::write(top.join("EFI/BOOT/BOOTX64.EFI"), vec![0x5A; 300_000]).unwrap();
    fs::write(top.join("empty"), "").unwrap();
    fs::write(top.join("small.txt"), "small").unwrap();
    fs::write(top.join("Mixed Case.Text"), "mixed").unwrap();
    fs::write(top.join("UPPER.lower"), "case").unwrap();
    // mtools cuts what has more than 16 bits.
    fs::write(top.join("ünïcødé ₧.txt"), "unicode").unwrap();
    fs::write(top.join("x".repeat(255)), "long").unwrap();
    let many = top.join("many");
    fs::create_dir(&many).unwrap();
    for number in 0..300 {
        fs::write(many.join(format!("a file with number {number}")), "x").unwrap();
    }
    // What is removed leaves gaps, which later files are torn over.
    for number in (0..300).step_by(2) {
        fs::remove_file(many.join(format!("a file with number {number}"))).unwrap();
    }
    let words: Vec<u8> = (0..40_000).flat_map(|it: u32| it.to_le_bytes()).collect();
    fs::write(top.join("torn"), words).unwrap();
}

const KINDS: [(&str, &[&str], u64); 7] = [
    ("fat12", &["-F", "12"], 2880),
    ("fat12", &["-F", "12", "-s", "8", "-f", "1"], 8192),
    ("fat16", &["-F", "16"], 16 << 10),
    ("fat16", &["-F", "16", "-s", "64", "-r", "1024"], 256 << 10),
    ("fat32", &["-F", "32"], 64 << 10),
    ("fat32", &["-F", "32", "-s", "8", "-f", "1"], 300 << 10),
    ("fat32", &["-F", "32", "-S", "4096"], 600 << 10),
];

fn check(volume: &Volume, kind: &str, kilobytes: u64) {
    assert_eq!(volume.kind, kind);
    assert_eq!(volume.identifier, "1A2B-3C4D");
    assert_eq!(volume.label, b"JUDGED");
    assert!(volume.free > 0 && volume.free < kilobytes << 10);
}

/// A file system with all that is in `folder`; none, with a word, where a program is missing.
fn copied(folder: &Path, options: &[&str], kilobytes: u64) -> Option<Temporary> {
    let (image, mcopy) = (make(options, kilobytes)?, judge("mcopy")?);
    let entries = fs::read_dir(folder).unwrap();
    let output = mcopy
        .command()
        .args(["-s", "-m", "-Q", "-i"])
        .arg(&image.0)
        .args(entries.map(|entry| entry.unwrap().path()))
        .arg("::")
        .output()
        .unwrap();
    assert!(output.status.success(), "{options:?}: {}", text(&output));
    Some(image)
}

#[test]
fn what_mtools_wrote_is_read() {
    let folder = Folder::empty();
    fill(folder.path());
    for (kind, options, kilobytes) in KINDS {
        println!("{options:?}");
        let Some(image) = copied(folder.path(), options, kilobytes) else {
            return;
        };
        let (volume, listing, partition) = read::<Fat>(&image.0);
        check(&volume, kind, kilobytes);
        assert_eq!(Fat::probe(&partition), Ok(volume));
        let contents = |tree: seen::Tree| -> BTreeMap<PathBuf, _> {
            let seen = tree.into_iter().map(|(path, seen)| {
                let time = seen.modified.0 / 2 * i64::from(seen.kind == "file");
                (path, (seen.kind, seen.numbers, seen.content, time))
            });
            seen.collect()
        };
        let told = contents(seen::of_listing(&listing, &partition));
        let shown = contents(seen::of_mount(folder.path()));
        let paths = |tree: &BTreeMap<PathBuf, _>| tree.keys().cloned().collect::<Vec<_>>();
        assert_eq!(paths(&told), paths(&shown), "{options:?}");
        for (path, seen) in shown {
            assert_eq!(told[&path], seen, "{options:?}: {}", path.display());
        }
    }
}

/// FAT32 keeps the number of free clusters beside the table, unless it says that it does not know, or keeps none.
#[test]
fn what_is_free_is_counted_where_nobody_says_it() {
    let folder = Folder::empty();
    fill(folder.path());
    let (_, options, kilobytes) = KINDS[4];
    let Some(made) = copied(folder.path(), options, kilobytes) else {
        return;
    };
    let image = fs::read(&made.0).unwrap();
    let information = usize::from(u16::from_le_bytes([image[48], image[49]])) * 512;
    let free = |at: usize, bytes: &[u8]| {
        let mut image = image.clone();
        image[at..][..bytes.len()].copy_from_slice(bytes);
        let changed = Temporary::new("fat");
        fs::write(&changed.0, image).unwrap();
        let (volume, _, partition) = read::<Fat>(&changed.0);
        assert_eq!(Fat::probe(&partition).as_ref(), Ok(&volume));
        volume.free
    };
    let said = free(0, &[]);
    assert!(said > 0);
    let count = information + 488;
    for (at, bytes) in [
        // It is not known.
        (count, &[0xFF; 4][..]),
        // There are not as many.
        (count, &[0, 0, 0, 1]),
        // A signature is wrong.
        (information, &[0]),
        (information + 484, &[0]),
        // It is nowhere, or behind all that is reserved.
        (48, &[0, 0]),
        (48, &[0xFF, 0xFF]),
    ] {
        assert_eq!(free(at, bytes), said, "{bytes:?} at {at}");
    }
    // What is said is believed.
    assert_eq!(free(count, &[3, 0, 0, 0]), 3 * 512);
}

#[test]
fn what_is_read_only_has_such_a_mode() {
    let folder = Folder::empty();
    fs::write(folder.path().join("locked"), "x").unwrap();
    fs::write(folder.path().join("open"), "x").unwrap();
    let Some(image) = copied(folder.path(), &["-F", "12"], 2880) else {
        return;
    };
    let Some(mattrib) = judge("mattrib") else {
        return;
    };
    let output = mattrib
        .command()
        .args(["+r", "-i"])
        .arg(&image.0)
        .arg("::locked")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let (_, listing, _) = read::<Fat>(&image.0);
    let mode = |path: &[u8]| listing.nodes[listing.find(path).unwrap().index()].mode;
    assert_eq!(
        (mode(b"/locked"), mode(b"/open"), mode(b"/")),
        (0o444, 0o644, 0o755)
    );
}

#[test]
fn marks_that_copies_lose_are_warned_of_once() {
    let folder = Folder::empty();
    fs::create_dir(folder.path().join("System Volume Information")).unwrap();
    fs::write(folder.path().join("plain"), "x").unwrap();
    fs::write(folder.path().join("System Volume Information/hidden"), "x").unwrap();
    let Some(image) = copied(folder.path(), &["-F", "12"], 2880) else {
        return;
    };
    let Some(mattrib) = judge("mattrib") else {
        return;
    };
    // The label is no file.
    let (_, listing, _) = read::<Fat>(&image.0);
    assert_eq!(listing.warnings, [""; 0]);
    for (mark, name) in [
        ("+h", "::System Volume Information/hidden"),
        ("+s", "::System Volume Information"),
    ] {
        let output = mattrib
            .command()
            .args([mark, "-i"])
            .arg(&image.0)
            .arg(name)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
    let (_, listing, partition) = read::<Fat>(&image.0);
    assert_eq!(
        listing.warnings,
        [
            "files and folders that are marked as hidden or system: 2, the first of them 'System Volume Information'; \
          copies of them have no such marks"
        ]
    );
    // Nothing is copied by who does not ask for content.
    let mut listing = MemoryListing::new();
    Fat::read(&ReaderRequest { extents: false }, &partition, &mut listing).unwrap();
    assert_eq!(listing.warnings, [""; 0]);
}

#[test]
fn dots_are_names_at_the_beginning_of_a_directory_alone() {
    let folder = Folder::empty();
    fs::create_dir(folder.path().join("SUB")).unwrap();
    for name in ["AAAA", "SUB/BBBB"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    for (kind, kilobytes) in [("12", 2880), ("32", 64 << 10)] {
        let Some(image) = copied(folder.path(), &["-F", kind], kilobytes) else {
            return;
        };
        let image = fs::read(&image.0).unwrap();
        outcome::<Fat>(&image).unwrap();
        let place = |name: &[u8]| image.windows(11).position(|it| it == name).unwrap();
        let (file, inner) = (place(b"AAAA       "), place(b"BBBB       "));
        for (at, name) in [(file, "."), (file, ".."), (inner, "."), (inner, "..")] {
            let mut image = image.clone();
            image[at..at + 11].copy_from_slice(format!("{name:11}").as_bytes());
            let Err(ReaderError::Damaged { problem, .. }) = outcome::<Fat>(&image) else {
                panic!("a file called {name} is passed over");
            };
            assert_eq!(problem, format!("has a file called '{name}'"));
        }
        // The directory itself stands first in it, and cannot be a file.
        let mut image = image.clone();
        image[inner - 64 + 11] = 0;
        assert!(outcome::<Fat>(&image).is_err());
    }
}

/// As the kernel has it: `fat_read_bpb` of fs/fat/inode.c looks at neither.
#[test]
fn a_boot_sector_needs_neither_a_jump_nor_a_signature() {
    let folder = Folder::empty();
    fs::write(folder.path().join("file"), "content").unwrap();
    for (kind, kilobytes) in [("12", 2880), ("16", 16 << 10), ("32", 64 << 10)] {
        let Some(image) = copied(folder.path(), &["-F", kind], kilobytes) else {
            return;
        };
        let whole = fs::read(&image.0).unwrap();
        for range in [0..3, 510..512, 0..11, 54..62] {
            let mut bytes = whole.clone();
            bytes[range.clone()].fill(0);
            if range.end == 512 {
                bytes[..11].fill(0);
            }
            fs::write(&image.0, bytes).unwrap();
            let (_, listing, _) = read::<Fat>(&image.0);
            assert!(listing.find(b"/file").is_some(), "{kind}, {range:?}");
            if let Some(mount) = mount(&image.0, "vfat", "loop,ro") {
                assert_eq!(fs::read(mount.path().join("file")).unwrap(), b"content");
            }
        }
    }
}

#[test]
fn torn_long_names_are_counted() {
    let folder = Folder::empty();
    fs::create_dir(folder.path().join("below")).unwrap();
    for name in ["a first long name", "below/a second long name", "SHORT"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let Some(image) = copied(folder.path(), &["-F", "12"], 2880) else {
        return;
    };
    let whole = fs::read(&image.0).unwrap();
    let names = |bytes: &[u8]| {
        let changed = Temporary::new("fat");
        fs::write(&changed.0, bytes).unwrap();
        let (_, listing, partition) = read::<Fat>(&changed.0);
        // Names are told to everybody.
        let mut looked = MemoryListing::new();
        Fat::read(&ReaderRequest { extents: false }, &partition, &mut looked).unwrap();
        assert_eq!(looked.warnings, listing.warnings);
        if let Some(mount) = mount(&changed.0, "vfat", "loop,ro") {
            let shown = seen::of_mount(mount.path());
            let told = seen::of_listing(&listing, &partition);
            assert_eq!(told.len(), shown.len());
        }
        listing.warnings
    };
    assert_eq!(names(&whole), [""; 0]);
    let place = |name: &[u8]| whole.windows(11).position(|it| it == name).unwrap();
    let (first, second) = (place(b"AFIRST~1   "), place(b"ASECON~1   "));
    let warning = |count: u32, name: &str| {
        format!(
            "files and folders whose long names are damaged: {count}, the first of them '{name}'; they are told by their short names"
        )
    };
    // The part before it has another checksum, is another number, or is the first one; the part before that is no part.
    for (at, byte) in [
        (first - 19, 0),
        (first - 32, 7),
        (first - 32, 0x41),
        (first - 64 + 11, 0x20),
    ] {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        if byte == 0x41 {
            // All of it is there, and is of another file.
            bytes[at + 13] ^= 1;
        }
        if at % 32 == 11 {
            // It is a file itself now, and needs a name and no bytes.
            bytes[at - 11..at].copy_from_slice(b"OTHER      ");
            bytes[at + 17..at + 21].fill(0);
        }
        assert_eq!(names(&bytes), [warning(1, "AFIRST~1")], "{at}");
    }
    let mut bytes = whole.clone();
    bytes[first - 19] ^= 1;
    bytes[second - 19] ^= 1;
    assert_eq!(names(&bytes), [warning(2, "AFIRST~1")]);
    // What was removed has left its parts, of which the first byte says so.
    let mut bytes = whole.clone();
    bytes[first] = 0xE5;
    assert_eq!(names(&bytes), [""; 0]);
}

#[test]
fn a_name_twice_in_a_directory_is_its_damage() {
    let folder = Folder::empty();
    fs::create_dir(folder.path().join("BELOW")).unwrap();
    for name in ["AAAA", "BBBB", "BELOW/CCCC", "BELOW/DDDD"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    for (kind, kilobytes) in [("12", 2880), ("32", 64 << 10)] {
        let Some(image) = copied(folder.path(), &["-F", kind], kilobytes) else {
            return;
        };
        let whole = fs::read(&image.0).unwrap();
        let place = |name: &[u8]| whole.windows(11).position(|it| it == name).unwrap();
        for (old, new, is_root) in [
            (b"AAAA       ", b"BBBB       ", true),
            (b"CCCC       ", b"DDDD       ", false),
        ] {
            let mut image = whole.clone();
            image[place(old)..][..11].copy_from_slice(new);
            let Err(ReaderError::Damaged {
                structure, problem, ..
            }) = outcome::<Fat>(&image)
            else {
                panic!("a name is there twice");
            };
            assert_eq!(structure == "the root directory", is_root, "{structure}");
            let name = String::from_utf8_lossy(&new[..4]);
            assert_eq!(problem, format!("has two entries called '{name}'"));
        }
    }
}

#[test]
fn flipped_bytes_are_read_or_refused() {
    let folder = Folder::empty();
    fill(folder.path());
    for (_, options, kilobytes) in [KINDS[0], KINDS[2], KINDS[4]] {
        let Some(image) = copied(folder.path(), options, kilobytes) else {
            return;
        };
        let image = fs::read(&image.0).unwrap();
        let places = [0..96, 512..20_000, 512..20_000, 20_000..700_000];
        let (read, refused) = survives_flips::<Fat>(&image, &places);
        println!("{options:?}: {read} read, {refused} refused");
        assert!(read > 0 && refused > 0);
    }
}

#[test]
fn a_chain_that_bites_its_tail_is_refused() {
    let Some(image) = make(&["-F", "16"], 16 << 10) else {
        return;
    };
    let Some(mcopy) = judge("mcopy") else {
        return;
    };
    let source = Temporary::new("file");
    fs::write(&source.0, vec![7; 20_000]).unwrap();
    let output = mcopy
        .command()
        .arg("-i")
        .arg(&image.0)
        .arg(&source.0)
        .arg("::FILE")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let mut image = fs::read(&image.0).unwrap();
    let reserved = usize::from(u16::from_le_bytes([image[14], image[15]])) * 512;
    // Cluster 3 is followed by 2, where the file begins.
    image[reserved + 6..reserved + 8].copy_from_slice(&[2, 0]);
    let problem = "has cluster 2, which is in use";
    let damaged = ReaderError::damaged("the file at cluster 2", None, problem);
    assert_eq!(outcome::<Fat>(&image), Err(damaged));
    image[reserved + 6..reserved + 8].copy_from_slice(&[0xFF, 0xFF]);
    let Err(ReaderError::Damaged { structure, .. }) = outcome::<Fat>(&image) else {
        panic!("a file that ends early is read");
    };
    assert_eq!(structure, "the file at cluster 2");
    // No media descriptor.
    image[21] = 0xF1;
    assert_eq!(outcome::<Fat>(&image), Err(ReaderError::Unrecognised));
    image.truncate(100);
    assert_eq!(outcome::<Fat>(&image), Err(ReaderError::Unrecognised));
    assert_eq!(
        Fat::describe().kinds,
        ["vfat", "fat12", "fat16", "fat32", "exfat"]
    );
}
