//! exFATs that mkfs.exfat made and a kernel filled, in a virtual machine: that of this machine may have no driver. The reader
//! tells what that kernel shows, and what went in.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use cellblock_judges::{judge, text};
use cellblock_read_fat::Fat;
use cellblock_readers_judged::machine::{Machine, begin, busybox, is_first_process};
use cellblock_readers_judged::report::{parsed, written};
use cellblock_readers_judged::seen::{self, Tree};
use cellblock_readers_judged::{Folder, Temporary, read};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

/// A disk: how it is made, and what it is filled with.
struct Disk {
    options: &'static [&'static str],
    size: u64,
    /// Between them it is mounted anew, whereupon the kernel looks for room from the first cluster on.
    fills: &'static [fn(&Path)],
}

const MEBIBYTE: u64 = 1 << 20;
const DISKS: [Disk; 5] = [
    // Clusters of 4 KiB.
    Disk {
        options: &["-L", "JUDGED ü😀"],
        size: 96 * MEBIBYTE,
        fills: &[
            |top| gaps(top, 4 << 10, 40, &bytes),
            |top| everything(top, 4 << 10),
            |top| many(top, 5000),
        ],
    },
    // Clusters of a sector.
    Disk {
        options: &["-c", "512"],
        size: 48 * MEBIBYTE,
        fills: &[
            |top| gaps(top, 512, 40, &bytes),
            |top| everything(top, 512),
            |top| many(top, 300),
        ],
    },
    Disk {
        options: &["-c", "128K"],
        size: 1024 * MEBIBYTE,
        fills: &[
            |top| gaps(top, 128 << 10, 40, &bytes),
            |top| everything(top, 128 << 10),
        ],
    },
    // The largest clusters, and a file that is larger than 4 GiB.
    Disk {
        options: &["-c", "32M"],
        size: 16 << 30,
        fills: &[large],
    },
    // As small as one can be: what tests/fuzz/seeds/read_fat/exfat was packed from.
    Disk {
        options: &["-b", "4K", "-c", "512", "-L", "SMALL"],
        size: MEBIBYTE,
        fills: &[|top| gaps(top, 512, 8, &few), small],
    },
];

/// Bytes of which no two clusters are alike.
fn bytes(length: u64) -> Vec<u8> {
    let words = (0_u32..).flat_map(|word| word.wrapping_mul(0x9E37_79B9).to_le_bytes());
    words.take(usize::try_from(length).unwrap()).collect()
}

/// Mostly zeros, which are packed to nothing.
fn few(length: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    for (number, byte) in (1..).zip(bytes.iter_mut().step_by(2048)) {
        *byte = number;
    }
    bytes
}

fn set_time(path: PathBuf, seconds: i64, nanoseconds: i64) {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::empty()).unwrap();
}

/// Files of all lengths, names, times and places, on clusters of this size.
fn everything(top: &Path, cluster: u64) {
    // What a file that is not written to its end must not show.
    fs::write(top.join("noise"), vec![0xA5; 8 << 20]).unwrap();
    File::open(top.join("noise")).unwrap().sync_all().unwrap();
    fs::remove_file(top.join("noise")).unwrap();
    for length in [
        0,
        1,
        511,
        512,
        513,
        cluster - 1,
        cluster,
        cluster + 1,
        5 * cluster,
    ] {
        fs::write(top.join(format!("{length} bytes")), bytes(length)).unwrap();
    }
    names(top);
    for (name, written, length) in [
        ("never written", 0, 3 * cluster + 5),
        ("written in part", cluster + 100, 4 * cluster),
        ("written almost", 3 * cluster - 1, 3 * cluster),
    ] {
        let file = File::create(top.join(name)).unwrap();
        file.write_all_at(&bytes(written), 0).unwrap();
        file.set_len(length).unwrap();
    }
    let cut = File::create(top.join("cut")).unwrap();
    cut.write_all_at(&bytes(9 * cluster), 0).unwrap();
    cut.set_len(2 * cluster + 7).unwrap();
    torn(top, cluster, &bytes);
    let deep = top.join(["a level"; 24].join("/"));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("at the end"), "deep").unwrap();
    fs::create_dir(top.join("nothing in it")).unwrap();
    let locked = top.join("locked");
    fs::write(&locked, "locked").unwrap();
    set_time(locked.clone(), 1_000_000_000, 0);
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o444)).unwrap();
    let times = top.join("times");
    fs::create_dir(&times).unwrap();
    for (seconds, nanoseconds) in [
        (315_532_800, 0),
        (1_709_251_199, 999_999_999),
        (1_709_251_198, 123_456_789),
        (1_000_000_001, 10_000_000),
        (4_354_819_198, 990_000_000),
    ] {
        let path = times.join(format!("{seconds} {nanoseconds}"));
        fs::write(&path, "").unwrap();
        set_time(path, seconds, nanoseconds);
    }
    set_time(times, 1_234_567_891, 500_000_000);
}

fn names(top: &Path) {
    for name in [
        "ünïcødé ₧ 😀🧱.txt",
        ".hidden",
        "Mixed Case.Text",
        "a name of 15 un",
        "a name of 16 uni",
        "a name with 'quotes', + ; = [ ] and ~1",
        "Ω, \u{FB01}, \u{E000}, \u{10FFFF}",
    ] {
        fs::write(top.join(name), name).unwrap();
    }
    fs::write(top.join("x".repeat(255)), "the longest").unwrap();
    // The kernel takes 255 bytes, of which these have 4 for two units.
    fs::write(top.join("😀".repeat(63)), "long").unwrap();
}

/// Files, and room between them.
fn gaps(top: &Path, cluster: u64, count: usize, bytes: &dyn Fn(u64) -> Vec<u8>) {
    let folder = top.join("torn");
    fs::create_dir(&folder).unwrap();
    for number in 0..count {
        fs::write(folder.join(format!("{number}")), bytes(2 * cluster)).unwrap();
    }
    for number in (0..count).step_by(2) {
        fs::remove_file(folder.join(format!("{number}"))).unwrap();
    }
}

/// Files over the gaps that others have left, and two that grow by turns.
fn torn(top: &Path, cluster: u64, bytes: &dyn Fn(u64) -> Vec<u8>) {
    let folder = top.join("torn");
    fs::write(folder.join("large"), bytes(30 * cluster + 3)).unwrap();
    let file = File::create(folder.join("torn, and written in part")).unwrap();
    file.write_all_at(&bytes(2 * cluster), 0).unwrap();
    fs::write(folder.join("between"), bytes(cluster)).unwrap();
    file.set_len(6 * cluster).unwrap();
    let mut both = ["one", "other"].map(|name| File::create(folder.join(name)).unwrap());
    for _ in 0..8 {
        for file in &mut both {
            file.write_all(&bytes(cluster)).unwrap();
            file.sync_all().unwrap();
        }
    }
}

/// `count` files in a directory, some of which are removed again.
fn many(top: &Path, count: u32) {
    let folder = top.join("many");
    fs::create_dir(&folder).unwrap();
    for number in 0..count + count / 10 {
        fs::write(folder.join(format!("{number}")), "").unwrap();
    }
    for number in (0..count).step_by(10) {
        fs::remove_file(folder.join(format!("{number}"))).unwrap();
    }
}

/// A file of more than 4 GiB, of which little was written.
fn large(top: &Path) {
    fs::write(top.join("before"), "before").unwrap();
    let file = File::create(top.join("large")).unwrap();
    file.write_all_at(&bytes(100_000), 0).unwrap();
    file.set_len((4 << 30) + 12_345).unwrap();
    fs::create_dir(top.join("folder")).unwrap();
    fs::write(top.join("folder/after"), bytes(70_000)).unwrap();
}

/// Something of everything in a few kilobytes.
fn small(top: &Path) {
    names(top);
    torn(top, 512, &few);
    fs::create_dir_all(top.join("a/b")).unwrap();
    fs::write(top.join("a/b/c"), "deep").unwrap();
    let file = File::create(top.join("written in part")).unwrap();
    file.write_all_at(&[1; 600], 0).unwrap();
    file.set_len(2000).unwrap();
    let locked = top.join("locked");
    fs::write(&locked, "locked").unwrap();
    set_time(locked.clone(), 1_234_567_891, 120_000_000);
    fs::set_permissions(locked, fs::Permissions::from_mode(0o444)).unwrap();
}

/// Device `number` of the machine's disks.
fn device(number: usize) -> String {
    format!(
        "/dev/vd{}",
        char::from(b'a' + u8::try_from(number).unwrap())
    )
}

#[test]
#[ignore = "the first process of a virtual machine, which another test starts"]
fn inside_the_machine() {
    if !is_first_process() {
        return;
    }
    begin();
    let mut report = String::new();
    let begun = Instant::now();
    for (number, disk) in DISKS.iter().enumerate() {
        let device = device(number);
        let mount = |options: &str| {
            let options = format!("{options},fmask=0133,dmask=0022");
            busybox(&["mount", "-t", "exfat", "-o", &options, &device, "/mnt"]);
        };
        for fill in disk.fills {
            mount("rw");
            fill(Path::new("/mnt"));
            busybox(&["umount", "/mnt"]);
        }
        let filled = begun.elapsed().as_secs();
        mount("ro");
        report += &written(&seen::of_mount(Path::new("/mnt")));
        report.push('\n');
        busybox(&["umount", "/mnt"]);
        let read = begun.elapsed().as_secs();
        println!("disk {number}: filled at {filled} s, and read at {read} s");
    }
    report += "complete\n";
    let mut device = File::options()
        .write(true)
        .open(device(DISKS.len()))
        .unwrap();
    device.write_all(report.as_bytes()).unwrap();
    device.sync_all().unwrap();
}

/// What went in, as another file system shows it.
fn of_folder(fills: &[fn(&Path)]) -> Tree {
    let folder = Folder::empty();
    for fill in fills {
        fill(folder.path());
    }
    seen::of_mount(folder.path())
}

#[test]
#[ignore = "a virtual machine fills five disks: five minutes, where it is emulated"]
fn what_a_kernel_wrote_is_told_as_it_shows_it() {
    let Some(mkfs) = judge("mkfs.exfat") else {
        return;
    };
    let Some(machine) = Machine::running("inside_the_machine") else {
        return;
    };
    let images: Vec<Temporary> = (0..=DISKS.len()).map(|_| Temporary::new("exfat")).collect();
    let prepare = || {
        let sizes = DISKS.iter().map(|disk| disk.size).chain([16 * MEBIBYTE]);
        for (image, size) in images.iter().zip(sizes) {
            File::create(&image.0).unwrap().set_len(size).unwrap();
        }
        for (image, disk) in images.iter().zip(&DISKS) {
            let output = mkfs.run(disk.options, &image.0);
            assert!(output.status.success(), "{}", text(&output));
        }
        images.iter().map(|image| image.0.clone()).collect()
    };
    let report = machine.report(&prepare);
    let reports: Vec<&str> = report.split_terminator("\n\n").collect();
    assert_eq!(reports.len(), DISKS.len());
    for ((image, disk), report) in images.iter().zip(&DISKS).zip(reports) {
        println!("{:?}", disk.options);
        let (volume, listing, partition) = read::<Fat>(&image.0);
        assert_eq!(volume.kind, "exfat");
        assert_eq!(listing.warnings, [""; 0]);
        let mut told = seen::of_listing(&listing, &partition);
        let mut shown = parsed(report);
        // The root has no time, and the kernel shows that of the mount.
        for tree in [&mut told, &mut shown] {
            tree.get_mut(Path::new("")).unwrap().modified = (0, 0);
        }
        seen::compare(&told, &shown);
        let went_in = of_folder(disk.fills);
        let paths = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
        assert_eq!(paths(&told), paths(&went_in));
        for (path, seen) in &went_in {
            let found = &told[path];
            let is_timed = path.starts_with("times") || path.ends_with("locked");
            let time = |seen: &seen::Seen| {
                let (seconds, nanoseconds) = seen.modified;
                is_timed.then_some((seconds, nanoseconds / 10_000_000))
            };
            assert_eq!(
                (found.kind, found.numbers, found.content, time(found)),
                (seen.kind, seen.numbers, seen.content, time(seen)),
                "{}",
                path.display()
            );
        }
        println!("{} names, {} bytes free", told.len(), volume.free);
    }
    if let Some(file) = std::env::var_os("CELLBLOCK_KEEP_EXFAT") {
        fs::copy(&images[DISKS.len() - 1].0, file).unwrap();
    }
}
