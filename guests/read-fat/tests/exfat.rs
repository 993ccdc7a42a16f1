//! exFATs that mkfs.exfat made, one that a kernel filled, and such with damage. `kernel.rs` has the kernel as its judge.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};

use cellblock_guest::Kind;
use cellblock_guest::memory::{FilePartition, MemoryListing};
use cellblock_guest::reader::{Reader as _, ReaderError, ReaderRequest, Volume};
use cellblock_judges::{judge, text};
use cellblock_read_fat::Fat;
use cellblock_readers_judged::{Temporary, outcome, read, survives_flips, survives_mended_flips};

/// What the last disk of `kernel.rs` holds, packed by `tests/fuzz/pack`: a kernel (6.12) filled it.
const SMALL: &[u8] = include_bytes!("../../../tests/fuzz/seeds/read_fat/exfat");

/// The bytes of a file system.
#[derive(Clone)]
struct Image(Vec<u8>);

impl Image {
    /// The packed one: its size in sectors, and then the number of a sector, a length, and bytes.
    fn small() -> Self {
        let number = |at: usize| u32::from_le_bytes(*SMALL[at..].first_chunk().unwrap()) as usize;
        let mut image = vec![0; number(0) * 512];
        let mut at = 4;
        while at < SMALL.len() {
            let start = number(at) * 512;
            let length = usize::from(u16::from_le_bytes(*SMALL[at + 4..].first_chunk().unwrap()));
            let piece = &SMALL[at + 6..][..length];
            image[start..start + length].copy_from_slice(piece);
            at += 6 + length;
        }
        Self(image)
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(*self.0[at..].first_chunk().unwrap())
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(*self.0[at..].first_chunk().unwrap())
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn sector(&self) -> usize {
        1 << self.0[108]
    }

    fn cluster_size(&self) -> usize {
        self.sector() << self.0[109]
    }

    fn cluster(&self, number: u32) -> usize {
        self.u32(88) as usize * self.sector() + (number as usize - 2) * self.cluster_size()
    }

    /// Where the table says what follows a cluster.
    fn next(&self, number: u32) -> usize {
        self.u32(80) as usize * self.sector() + number as usize * 4
    }

    /// Where a file's set of entries begins.
    fn set(&self, name: &str) -> usize {
        let units: Vec<u16> = name.encode_utf16().collect();
        let is_it = |at: &usize| {
            let count = usize::from(self.0[at + 1]);
            let parts = 2..count + 1;
            let found = parts.flat_map(|part| {
                let at = at + part * 32 + 2;
                (0..15).map(move |unit| self.u16(at + unit * 2))
            });
            let length = usize::from(self.0[at + 32 + 3]);
            found.take(length).eq(units.iter().copied())
        };
        self.sets().into_iter().find(is_it).unwrap()
    }

    /// Where all sets begin whose entries stand in a row.
    fn sets(&self) -> Vec<usize> {
        let places = (self.cluster(2)..self.0.len() - 19 * 32).step_by(32);
        places
            .filter(|at| self.0[*at] == 0x85 && self.0[*at + 1] < 19 && self.0[*at + 32] == 0xC0)
            .filter(|at| self.u16(*at + 2) == self.sum_of_set(*at))
            .collect()
    }

    fn sum_of_set(&self, at: usize) -> u16 {
        let length = (usize::from(self.0[at + 1]) + 1) * 32;
        let bytes = self.0[at..at + length].iter().enumerate();
        let bytes = bytes.filter(|(index, _)| !matches!(index, 2 | 3));
        bytes.fold(0_u16, |sum, (_, byte)| {
            sum.rotate_right(1).wrapping_add((*byte).into())
        })
    }

    fn mend_set(&mut self, at: usize) {
        let sum = self.sum_of_set(at);
        self.put(at + 2, &sum.to_le_bytes());
    }

    /// Mends the checksum of a boot region, at this byte.
    fn mend_boot(&mut self, start: usize) {
        let sector = self.sector();
        let bytes = self.0[start..start + 11 * sector].iter().enumerate();
        let bytes = bytes.filter(|(at, _)| !matches!(at, 106 | 107 | 112));
        let sum = bytes.fold(0_u32, |sum, (_, byte)| {
            sum.rotate_right(1).wrapping_add((*byte).into())
        });
        let sums = sum.to_le_bytes().repeat(sector / 4);
        self.put(start + 11 * sector, &sums);
    }

    fn told(&self) -> Result<(Volume, MemoryListing), ReaderError> {
        let file = Temporary::new("exfat");
        fs::write(&file.0, &self.0).unwrap();
        let partition = FilePartition::new(File::open(&file.0).unwrap()).unwrap();
        let mut listing = MemoryListing::new();
        let request = ReaderRequest { extents: true };
        let volume = Fat::read(&request, &partition, &mut listing)?;
        Ok((volume, listing))
    }

    /// The warnings, without which nothing changes.
    fn warnings(&self) -> Vec<String> {
        let (_, listing) = self.told().unwrap();
        let (_, whole) = Self::small().told().unwrap();
        assert_eq!(listing.nodes, whole.nodes);
        listing.warnings
    }

    /// What is wrong with it: the structure, and in which way.
    fn problem(&self) -> (String, String) {
        match self.told() {
            Err(ReaderError::Damaged {
                structure, problem, ..
            }) => (structure, problem),
            other => panic!("{other:?}"),
        }
    }
}

/// Fails unless the image is damaged in the structure, and the problem has these words.
#[track_caller]
fn refused(image: &Image, structure: &str, words: &str) {
    let (found, problem) = image.problem();
    assert!(
        found.starts_with(structure) && problem.contains(words),
        "{found} {problem}"
    );
}

#[test]
fn what_mkfs_made_is_empty_and_as_dump_says() {
    for (options, size) in [
        (&["-L", "EMPTY"][..], 8_u64 << 20),
        (&["-c", "512"], 8 << 20),
        (&["-c", "512", "-b", "4K"], 1 << 20),
        (&["-c", "32M"], 8 << 30),
        (&["--pack-bitmap"], 300 << 20),
        (&[], 64 << 30),
    ] {
        let (Some(mkfs), Some(dump)) = (judge("mkfs.exfat"), judge("dump.exfat")) else {
            return;
        };
        let image = Temporary::new("exfat");
        File::create(&image.0).unwrap().set_len(size).unwrap();
        let output = mkfs.run(options, &image.0);
        assert!(output.status.success(), "{options:?}: {}", text(&output));
        let (volume, listing, partition) = read::<Fat>(&image.0);
        assert_eq!(Fat::probe(&partition).as_ref(), Ok(&volume));
        assert_eq!((listing.nodes.len(), &listing.warnings[..]), (1, &[][..]));
        let said = dump.content_with(&[], &image.0);
        let value = |name: &str| -> String {
            let line = said.lines().find(|line| line.starts_with(name));
            let line = line.unwrap_or_else(|| panic!("{name}: {said}"));
            line.split_once(':').unwrap().1.trim().to_owned()
        };
        let number = |name: &str| value(name).parse::<u64>().unwrap();
        let cluster = u64::from(volume.block_size);
        assert_eq!(cluster, number("Cluster size"));
        assert_eq!(volume.free, number("Free Clusters") * cluster);
        let serial = value("Volume Serial");
        let serial = serial.trim_start_matches("0x");
        let serial = u32::from_str_radix(serial, 16).unwrap();
        assert_eq!(volume.identifier.replace('-', ""), format!("{serial:08X}"));
        assert_eq!(volume.size, number("Volume Length(sectors)") * 512);
        let label = if options.contains(&"EMPTY") {
            "EMPTY"
        } else {
            ""
        };
        assert_eq!(volume.label, label.as_bytes());
    }
}

#[test]
fn what_a_kernel_filled_is_told() {
    let (volume, listing) = Image::small().told().unwrap();
    assert_eq!((&*volume.kind, &*volume.label), ("exfat", &b"SMALL"[..]));
    assert_eq!(listing.warnings, [""; 0]);
    let node = |path: &str| &listing.nodes[listing.find(path.as_bytes()).unwrap().index()];
    let locked = node("/locked");
    assert_eq!(locked.mode, 0o444);
    let time = (locked.modified.seconds, locked.modified.nanoseconds);
    assert_eq!(time, (1_234_567_891, 120_000_000));
    assert_eq!((node("/a/b").mode, node("/a/b/c").mode), (0o755, 0o644));
    let part = listing.find(b"/written in part").unwrap();
    let kind = &listing.nodes[part.index()].kind;
    assert_eq!(
        *kind,
        Kind::File {
            size: 2000,
            sparse: false
        }
    );
    let told: u64 = listing.extents[&part].iter().map(|it| it.length).sum();
    // 600 were written; the kernel rounds to whole sectors.
    assert_eq!(told, 1024);
    // Torn over the gaps that others have left.
    let large = listing.find(b"/torn/one").unwrap();
    assert!(listing.extents[&large].len() > 5);
    node("/ünïcødé ₧ 😀🧱.txt");
    assert!(Fat::describe().kinds.contains(&"exfat"));
}

#[test]
fn flipped_bytes_are_read_or_refused() {
    let image = Image::small();
    let places = [
        0..512,
        0..12_288,
        image.next(0)..image.cluster(2),
        image.cluster(2)..image.0.len(),
    ];
    let (read, refused) = survives_flips::<Fat>(&image.0, &places);
    println!("exFAT: {read} read, {refused} refused");
    assert!(read > 0 && refused > 0);
    // Where checksums are right again, what they guard is looked at.
    let sets = image.sets();
    assert!(sets.len() > 20);
    let places: Vec<_> = sets
        .iter()
        .map(|at| *at..*at + 96)
        .chain([64..120, image.next(0)..image.next(200)])
        .collect();
    let mend = |bytes: &mut [u8]| {
        let mut flipped = Image(bytes.to_vec());
        // What says how long it is may be anything.
        if (9..=12).contains(&flipped.0[108]) && flipped.sector() * 12 <= flipped.0.len() {
            flipped.mend_boot(0);
        }
        for at in &sets {
            if flipped.0[at + 1] < 19 {
                flipped.mend_set(*at);
            }
        }
        bytes.copy_from_slice(&flipped.0);
    };
    let (read, refused) = survives_mended_flips::<Fat>(&image.0, &places, &mend);
    println!("exFAT with its checksums mended: {read} read, {refused} refused");
    assert!(read > 0 && refused > 0);
}

#[test]
fn one_boot_region_is_enough() {
    let whole = Image::small();
    let sector = whole.sector();
    let mut image = whole.clone();
    image.0[12 * sector + 200] ^= 1;
    let warnings = image.warnings();
    assert!(
        matches!(&warnings[..], [one] if one.starts_with("the backup boot region has the checksum 0x")),
        "{warnings:?}"
    );
    // What changes all the time is not under the checksum.
    let mut used = whole.clone();
    used.put(112, &[77]);
    assert_eq!(used.warnings(), [""; 0]);
    used.put(106, &[2]);
    assert_eq!(
        used.warnings(),
        ["it was not unmounted: VolumeDirty is set"]
    );
    for (at, words) in [
        (100, "the checksum"),
        (108, "2^13"),
        (510, "no boot sector"),
    ] {
        let mut image = whole.clone();
        image.0[at] = if at == 108 { 13 } else { !image.0[at] };
        let warnings = image.warnings();
        assert!(
            matches!(&warnings[..], [one] if one.contains(words) && one.ends_with("; the backup is taken")),
            "{warnings:?}"
        );
        image.0[12 * sector + 300] ^= 1;
        refused(&image, "the main boot region", "no backup of it is whole");
    }
    let mut image = whole;
    image.0[3] = b'e';
    assert_eq!(outcome::<Fat>(&image.0), Err(ReaderError::Unrecognised));
}

#[test]
fn a_boot_sector_that_cannot_be_is_refused() {
    let whole = Image::small();
    let with = |at: usize, bytes: &[u8]| {
        let mut image = whole.clone();
        image.put(at, bytes);
        image.mend_boot(0);
        image
    };
    let far = u32::MAX.to_le_bytes();
    refused(
        &with(72, &u64::MAX.to_le_bytes()),
        "the boot sector",
        "sectors",
    );
    refused(
        &with(80, &[1, 0, 0, 0]),
        "the boot sector",
        "tables from sector 1",
    );
    refused(&with(84, &far), "the boot sector", "tables from");
    refused(
        &with(84, &[1, 0, 0, 0]),
        "the boot sector",
        "a table of 512 bytes",
    );
    refused(&with(88, &far), "the boot sector", "clusters from");
    refused(&with(92, &far), "the boot sector", "there is room for");
    refused(&with(92, &[0; 4]), "the boot sector", "0 clusters");
    refused(
        &with(96, &[1, 0, 0, 0]),
        "the boot sector",
        "its root at cluster 1",
    );
    refused(&with(96, &far), "the boot sector", "its root at cluster");
    refused(&with(109, &[17]), "the boot sector", "2^26");
    refused(&with(110, &[3]), "the boot sector", "3 tables");
    refused(&with(106, &[1]), "the boot sector", "the second of 1");
    let unsupported = ReaderError::Unsupported("exFAT of revision 2.00".to_owned());
    assert_eq!(outcome::<Fat>(&with(105, &[2]).0), Err(unsupported));
    // Smaller than it says.
    let mut cut = whole.clone();
    cut.0.truncate(cut.0.len() / 2);
    refused(&cut, "the boot sector", "and the partition has");
}

#[test]
fn what_is_not_needed_is_warned_of() {
    let whole = Image::small();
    let root = whole.cluster(whole.u32(96));
    let entry = |kind: u8| {
        (root..)
            .step_by(32)
            .find(|at| whole.0[*at] == kind)
            .unwrap()
    };
    let (bitmap, table) = (entry(0x81), entry(0x82));
    let mut image = whole.clone();
    image.0[whole.cluster(whole.u32(table + 20)) + 100] ^= 1;
    let warnings = image.warnings();
    assert!(
        matches!(&warnings[..], [one] if one.starts_with("the up-case table has the checksum")),
        "{warnings:?}"
    );
    // Clusters 2 to 9 are free, it says.
    let mut image = whole.clone();
    image.0[whole.cluster(whole.u32(bitmap + 20))] = 0;
    let warnings = image.warnings();
    assert!(
        matches!(&warnings[..], [one] if one.contains("8 clusters free that are in use, from cluster 2 on")),
        "{warnings:?}"
    );
    for (at, words) in [
        (bitmap, "no allocation bitmap"),
        (table, "no table of upper case"),
    ] {
        let mut image = whole.clone();
        image.0[at] &= 0x7F;
        let warnings = image.warnings();
        assert!(
            matches!(&warnings[..], [one] if one.contains(words)),
            "{warnings:?}"
        );
    }
    let mut image = whole.clone();
    image.put(bitmap + 24, &1_u64.to_le_bytes());
    refused(&image, "the allocation bitmap", "has 1 bytes, and");
    let mut image = whole;
    image.put(table + 20, &[0; 4]);
    refused(
        &image,
        "the up-case table",
        "has cluster 0, and there are 2 to",
    );
}

#[test]
fn chains_that_cannot_be_are_refused() {
    let whole = Image::small();
    // Torn, so that the table says what follows.
    let large = whole.set("one") + 32;
    assert_eq!(whole.0[large + 1], 1);
    let first = whole.u32(large + 20);
    let second = whole.u32(whole.next(first));
    let owner = format!("the file at cluster {first}");
    for (value, words) in [
        (first, format!("has cluster {first}, which is in use")),
        (0, "has cluster 0, and there are 2 to".to_owned()),
        (
            1_000_000,
            "has cluster 1000000, and there are 2 to".to_owned(),
        ),
        (
            0xFFFF_FFF7,
            format!("a bad cluster behind cluster {second}"),
        ),
        (0xFFFF_FFFF, "clusters fewer than that takes".to_owned()),
        (whole.u32(96), "which is in use".to_owned()),
    ] {
        let mut image = whole.clone();
        image.put(whole.next(second), &value.to_le_bytes());
        refused(&image, &owner, &words);
    }
    // Two files that begin at the same cluster.
    let mut image = whole.clone();
    let between = whole.set("between");
    image.put(between + 32 + 20, &first.to_le_bytes());
    image.mend_set(between);
    refused(&image, "the file at cluster", "which is in use");
    // A root that never ends, and a folder that is the root.
    let root = whole.u32(96);
    let mut image = whole.clone();
    image.put(whole.next(root), &root.to_le_bytes());
    refused(&image, "the root directory", "which is in use");
    let mut image = whole.clone();
    let folder = whole.set("a");
    image.put(folder + 32 + 20, &root.to_le_bytes());
    image.mend_set(folder);
    refused(
        &image,
        &format!("the directory at cluster {root}"),
        "which is in use",
    );
}

#[test]
fn sets_that_cannot_be_are_refused() {
    let whole = Image::small();
    let at = whole.set("locked");
    let with = |patches: &[(usize, &[u8])]| {
        let mut image = whole.clone();
        for (offset, bytes) in patches {
            image.put(at + offset, bytes);
        }
        image.mend_set(at);
        image
    };
    let mut image = whole.clone();
    image.0[at + 70] ^= 1;
    let (structure, problem) = image.problem();
    assert_eq!(structure, "the root directory");
    assert!(problem.contains("has the checksum 0x"), "{problem}");
    let long = |number: u64| number.to_le_bytes();
    let root = "the root directory";
    refused(
        &with(&[(40, &long(7))]),
        root,
        "of 6 bytes, 7 of which are valid",
    );
    refused(
        &with(&[(40, &long(1 << 40)), (56, &long(1 << 40))]),
        "the file at cluster",
        "which take 2147483648 clusters, and there are",
    );
    refused(&with(&[(33, &[0])]), root, "for which no clusters can be");
    refused(&with(&[(35, &[0])]), root, "of type 0xc1, out of order");
    let nameless = with(&[(35, &[0]), (64, &[0xE0])]);
    refused(&nameless, root, "has a file called ''");
    refused(&with(&[(66, b"/\0")]), root, "has a file called '/ocked'");
    refused(&with(&[(66, b"\0\0")]), root, "has a file called");
    refused(&with(&[(35, &[16])]), root, "characters, and 'locked");
    refused(&with(&[(1, &[1])]), root, "1 secondary entries");
    refused(&with(&[(64, &[0xC2])]), root, "of type 0xc2, out of order");
    refused(&with(&[(32, &[0xC1])]), root, "of type 0xc1, out of order");
    refused(&with(&[(64, &[0x41])]), root, "ends 1 entries too early");
    refused(
        &with(&[(0, &[0x05])]),
        root,
        "of type 0xc0, which belongs to none",
    );
    refused(&with(&[(0, &[0x86])]), root, "of the unknown type 0x86");
    refused(
        &with(&[(4, &[0x10]), (56, &long(1 << 29))]),
        root,
        "the directory 'locked' of 536870912 bytes",
    );
}

#[test]
fn what_vendors_add_is_passed_over_and_halves_of_pairs_are_kept() {
    let whole = Image::small();
    let at = whole.set("locked");
    // A half of a pair, as no kernel writes it.
    let mut image = whole.clone();
    image.put(at + 66, &0xD83D_u16.to_le_bytes());
    image.mend_set(at);
    let (_, listing) = image.told().unwrap();
    assert!(listing.find(b"/\xED\xA0\xBDocked").is_some());
    // Its name is cut to what stands before the vendor's entry, which is the last of a name of two entries.
    let at = whole.set("a name of 16 uni");
    let mut image = whole.clone();
    image.put(at + 35, &[15]);
    image.put(at + 96, &[0xE0]);
    image.mend_set(at);
    let (_, listing) = image.told().unwrap();
    assert!(listing.find(b"/a name of 16 un").is_some());
    // A primary entry that whoever does not know it may pass over, with what belongs to it.
    let mut image = whole.clone();
    image.put(at, &[0xA7]);
    let (_, listing) = image.told().unwrap();
    assert!(listing.find(b"/a name of 16 uni").is_none());
    assert!(listing.find(b"/locked").is_some());
    // What is not in use is nothing.
    let mut image = whole;
    for entry in 0..4 {
        image.0[at + entry * 32] &= 0x7F;
    }
    let (_, listing) = image.told().unwrap();
    assert!(listing.find(b"/a name of 16 uni").is_none());
}

#[test]
fn marks_that_copies_lose_are_warned_of() {
    let mut image = Image::small();
    let at = image.set("locked");
    image.0[at + 4] |= 4;
    image.mend_set(at);
    assert_eq!(
        image.warnings(),
        [
            "files and folders that are marked as hidden or system: 1, the first of them 'locked'; copies of them have no such marks"
        ]
    );
}
