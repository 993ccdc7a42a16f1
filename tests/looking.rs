//! Looking into images: what comes out is what went in, whatever the format, and nothing gets out of the target.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use serde_json::Value;

use crate::support::bench::{assert_same_bytes, set_time};
use crate::support::{Bench, judge};

const KINDS: [(&str, &[&str]); 5] = [
    ("ext4", &[]),
    ("erofs", &[]),
    ("erofs", &["--option", "compression=lz4"]),
    ("squashfs", &[]),
    ("vfat", &["--size", "8MiB"]),
];

/// A folder with something of everything that all formats have.
fn bench() -> Bench {
    let bench = Bench::new();
    let numbers: String = (0..30_000).map(|number| format!("{number}\n")).collect();
    bench.write("root/usr/numbers", numbers);
    bench.write("root/etc/motd", "hello\n");
    bench.write("root/etc/empty", "");
    bench.create_folder("root/var");
    bench
}

/// With what only Unix's formats have.
fn with_more(bench: &Bench) {
    symlink("../etc/motd", bench.path("root/usr/link")).unwrap();
    fs::hard_link(bench.path("root/etc/motd"), bench.path("root/usr/again")).unwrap();
    let mode = fs::Permissions::from_mode(0o4755);
    fs::set_permissions(bench.path("root/usr/numbers"), mode).unwrap();
}

fn mkfs(bench: &Bench, kind: &str, options: &[&str]) {
    let line = ["mkfs", kind, "--content", "root", "-o", "disk.img"];
    bench.done(&[&line[..], options].concat());
}

fn said(bench: &Bench, line: &[&str]) -> String {
    let outcome = bench.run(line);
    assert_eq!(outcome.code, Some(0), "{line:?}: {}", outcome.stderr);
    outcome.stdout
}

#[test]
fn what_went_in_is_listed_and_comes_out() {
    for (kind, options) in KINDS {
        let bench = bench();
        if kind != "vfat" {
            with_more(&bench);
        }
        mkfs(&bench, kind, options);
        let names = said(&bench, &["ls", "-R", "disk.img"]);
        for name in ["etc/motd", "etc/empty", "usr/numbers", "var"] {
            assert!(names.lines().any(|line| line == name), "{kind}: {names}");
        }
        let motd = said(&bench, &["cat", "disk.img:/etc/motd"]);
        assert_eq!(motd, "hello\n", "{kind}");
        bench.create_folder("out");
        bench.done(&["cp", "disk.img:/usr/numbers", "out"]);
        let copied = bench.path("out/numbers");
        assert_same_bytes(&copied, &bench.path("root/usr/numbers"));
        // Set-user-ID is for those who ask for it.
        let mode = copied.metadata().unwrap().mode();
        assert_eq!(mode & 0o7000, 0, "{kind}");
        let listed = said(&bench, &["ls", "--json", "disk.img:/etc"]);
        assert!(serde_json::from_str::<Value>(&listed).is_ok(), "{listed}");
    }
}

#[test]
fn an_archive_of_it_is_unpacked_to_what_went_in() {
    let (Some(tar), Some(diff)) = (judge("tar"), judge("diff")) else {
        return;
    };
    for (kind, options) in KINDS {
        let bench = bench();
        if kind != "vfat" {
            with_more(&bench);
        }
        mkfs(&bench, kind, options);
        bench.done(&["tar", "disk.img", "-o", "one.tar"]);
        bench.done(&["tar", "disk.img", "-o", "two.tar"]);
        assert_same_bytes(&bench.path("one.tar"), &bench.path("two.tar"));
        bench.create_folder("unpacked");
        let mut unpack = tar.command();
        unpack.arg("-xpf").arg(bench.path("one.tar"));
        unpack.arg("-C").arg(bench.path("unpacked"));
        assert!(unpack.status().unwrap().success(), "{kind}");
        let _ = fs::remove_dir(bench.path("unpacked/lost+found"));
        let mut compare = diff.command();
        compare.args(["-r", "--no-dereference"]);
        compare.args([bench.path("root"), bench.path("unpacked")]);
        let output = compare.output().unwrap();
        assert!(output.status.success(), "{kind}: {output:?}");
        if kind != "vfat" {
            let [numbers, motd, again] = ["usr/numbers", "etc/motd", "usr/again"]
                .map(|name| bench.path("unpacked").join(name).metadata().unwrap());
            assert_eq!(numbers.mode() & 0o7777, 0o4755, "{kind}");
            assert_eq!(motd.ino(), again.ino(), "{kind}");
        }
    }
}

#[test]
fn a_partition_is_named_as_elsewhere() {
    let bench = bench();
    bench.write(
        "image.toml",
        "[[partition]]\nname = \"esp\"\ntype = \"esp\"\nsize = \"8MiB\"\nfilesystem = \"vfat\"\n\
         content = [{ file = \"root/etc/motd\", to = \"/motd\" }]\n\
         [[partition]]\nname = \"root\"\ntype = \"linux-generic\"\nsize = \"minimum\"\nfilesystem = \"squashfs\"\n\
         content = [{ directory = \"root\" }]\n",
    );
    bench.done(&["build", "image.toml", "-o", "disk.img"]);
    for place in [
        "disk.img:esp:/motd",
        "disk.img:1:/motd",
        "disk.img:root:/etc/motd",
    ] {
        assert_eq!(said(&bench, &["cat", place]), "hello\n", "{place}");
    }
    let outcome = bench.run(&["ls", "disk.img:swap"]);
    assert_ne!(outcome.code, Some(0));
    assert!(outcome.stderr.contains("swap"), "{}", outcome.stderr);
}

#[test]
fn what_differs_is_named() {
    let bench = bench();
    mkfs(&bench, "ext4", &[]);
    bench.done(&["mkfs", "erofs", "--content", "root", "-o", "other.img"]);
    let same = bench.run(&["diff", "root", "other.img"]);
    assert_eq!(same.code, Some(0), "{}{}", same.stdout, same.stderr);
    bench.write("root/etc/motd", "other\n");
    bench.write("root/new", "");
    let differs = bench.run(&["diff", "root", "other.img"]);
    assert_eq!(differs.code, Some(1), "{}", differs.stderr);
    for path in ["/etc/motd", "/new"] {
        assert!(differs.stdout.contains(path), "{}", differs.stdout);
    }
}

/// Whole disks: the table, the boot code, what lies between partitions, and what is in them.
#[test]
fn whole_disks_differ_in_what_was_changed() {
    let spec = |size: &str, extra: &str| {
        format!(
            r#"
            [disk]
            table = "gpt"
            size = "64MiB"
            id = "11111111-2222-4333-8444-555555555555"

            [[partition]]
            name = "root"
            type = "linux-generic"
            filesystem = "ext4"
            size = "20MiB"
            content = [{{ directory = "root" }}]

            [[partition]]
            name = "swap"
            type = "swap"
            filesystem = "swap"
            size = "{size}"
            {extra}
            "#
        )
    };
    let bench = bench();
    bench.write("one.toml", spec("8MiB", ""));
    bench.done(&["build", "one.toml", "-o", "one.img"]);
    bench.done(&["build", "one.toml", "-o", "same.img"]);
    let differences = |other: &str| {
        let outcome = bench.run(&["diff", "one.img", other]);
        (outcome.code, outcome.stdout)
    };
    assert_eq!(differences("same.img"), (Some(0), String::new()));

    // The tools of others change a copy, each in one place.
    let copy = || fs::copy(bench.path("one.img"), bench.path("other.img")).unwrap();
    let write = |at: u64, bytes: &[u8]| {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(bench.path("other.img"));
        file.unwrap().write_all_at(bytes, at).unwrap();
    };
    copy();
    write(10, b"boot");
    let (code, said) = differences("other.img");
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(
        said,
        "~ boot code: content from byte 10 on, in 1 of 1 blocks of 4 KiB\n"
    );
    copy();
    write(600 << 10, b"core");
    let (_, said) = differences("other.img");
    assert!(
        said.starts_with("~ bytes 17408 to 1048575, outside partitions: content"),
        "{said}"
    );
    copy();
    // The second partition begins behind 1 + 20 MiB.
    write((21 << 20) + (1 << 20), b"swapped");
    let (_, said) = differences("other.img");
    assert_eq!(
        said,
        "~ partition 2 'swap': content from byte 1048576 on, in 1 of 2048 blocks of 4 KiB\n"
    );
    // What the table says is the same: its backup, the mark of the MBR, a byte that nothing reads; and the boot code of a partition.
    let end = fs::metadata(bench.path("one.img")).unwrap().len();
    for (at, bytes, expected) in [
        (end - 512, &[0; 8][..], "~ partition table: content bytes "),
        (
            510,
            &[0; 2],
            "~ partition table: content bytes 440 to 17407: from byte 70 on",
        ),
        (
            604,
            &[1],
            "~ partition table: content bytes 440 to 17407: from byte 164 on",
        ),
        (
            (1 << 20) + 5,
            &[1],
            "~ partition 1 'root': boot code from byte 5 on",
        ),
    ] {
        copy();
        write(at, bytes);
        let (code, said) = differences("other.img");
        assert_eq!(code, Some(1), "{at}: {said}");
        assert!(said.starts_with(expected), "{at}: {said}");
        assert_eq!(said.lines().count(), 1, "{at}: {said}");
    }
    // One that is no disk any more is told by its name.
    bench.write("other.img", vec![0; 1 << 20]);
    let outcome = bench.run(&["diff", "other.img", "one.img"]);
    assert_eq!(outcome.code, Some(2));
    let expected = "error: one.img is a disk with partitions, and other.img is no whole disk";
    assert!(outcome.stderr.starts_with(expected), "{}", outcome.stderr);
    if let Some(sgdisk) = judge("sgdisk") {
        copy();
        let changes = ["--change-name=2:spare", "--attributes=1:set:2"];
        sgdisk.content_with(&changes, &bench.path("other.img"));
        let (_, said) = differences("other.img");
        assert_eq!(
            said,
            "~ partition 1 'root': attributes none -> legacy-boot\n\
             ~ partition 2 'swap': name swap -> spare\n"
        );
    }

    // Another build: a file of a file system, a size, and a partition more.
    bench.write("root/etc/motd", "other\n");
    let third = "[[partition]]\nname = \"data\"\ntype = \"linux-generic\"\nsize = \"4MiB\"";
    bench.write("two.toml", spec("12MiB", third));
    bench.done(&["build", "two.toml", "-o", "two.img"]);
    let (code, said) = differences("two.img");
    assert_eq!(code, Some(1), "{said}");
    for line in [
        "~ root:/etc/motd: ",
        "+ partition 3 'data'",
        "~ partition 2 'swap':",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(said.contains("size 8388608 -> 12582912"), "{said}");
}

/// What the table says beside its partitions, and bytes that lie between its parts.
#[test]
fn tables_differ_in_all_that_they_say() {
    let bench = bench();
    let build = |name: &str, disk: &str, mbr_type: &str| {
        let spec = format!(
            "[disk]\nid = \"11111111-2222-4333-8444-555555555555\"\nsize = \"64MiB\"\nalignment = \"4MiB\"\n{disk}\n\
             [[partition]]\nname = \"root\"\ntype = \"linux-generic\"\nsize = \"8MiB\"\n{mbr_type}\n"
        );
        bench.write(&format!("{name}.toml"), spec);
        let (spec, image) = (format!("{name}.toml"), format!("{name}.img"));
        bench.done(&["build", &spec, "-q", "-o", &image]);
    };
    let differences = |one: &str, other: &str| {
        let outcome = bench.run(&["diff", one, other]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        outcome.stdout
    };
    build("plain", "", "");
    build("far", "gpt-location = \"1MiB\"", "");
    let said = differences("plain.img", "far.img");
    assert!(said.contains("~ partition table: "), "{said}");
    assert!(said.contains("entries 2 -> 2048"), "{said}");
    // Behind the header, before the entries.
    let mut image = fs::read(bench.path("far.img")).unwrap();
    image[9000] = 1;
    bench.write("other.img", image);
    let said = differences("far.img", "other.img");
    assert!(
        said.starts_with("~ bytes 1024 to 1048575, outside partitions: content from byte 7976"),
        "{said}"
    );
    build("one", "table = \"hybrid\"", "mbr-type = \"0x83\"");
    build("two", "table = \"hybrid\"", "mbr-type = \"0x0c\"");
    let said = differences("one.img", "two.img");
    assert!(said.contains("mbr-type 0x83 -> 0x0c"), "{said}");
}

/// Fifos are made by any user; the mask of new files is that of the process, 022 as a rule.
#[test]
fn special_files_keep_mode_and_time() {
    let bench = bench();
    let fifo = bench.path("root/fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o666);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    fs::set_permissions(&fifo, fs::Permissions::from_mode(0o666)).unwrap();
    set_time(&fifo, 1_000_000_000, 0);
    mkfs(&bench, "ext4", &[]);
    bench.create_folder("target");
    bench.done(&["cp", "--special-files", "disk.img", "target"]);
    let made = fs::symlink_metadata(bench.path("target/fifo")).unwrap();
    assert_eq!((made.mode() & 0o7777, made.mtime()), (0o666, 1_000_000_000));
}

/// An image may hold a link to anywhere: what is copied out stays in the target.
#[test]
fn nothing_is_copied_through_a_link() {
    let bench = bench();
    let outside = bench.path("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, bench.path("root/var/link")).unwrap();
    mkfs(&bench, "ext4", &[]);
    bench.create_folder("target");
    // What stands in the target already leads out of it.
    symlink(&outside, bench.path("target/etc")).unwrap();
    let outcome = bench.run(&["cp", "disk.img", "target"]);
    assert_ne!(outcome.code, Some(0));
    assert_eq!(
        fs::read_dir(&outside).unwrap().count(),
        0,
        "{}",
        outcome.stderr
    );
    bench.create_folder("second");
    bench.done(&["cp", "disk.img:/var", "second"]);
    let link = found(&bench.path("second"), "link");
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

/// Where a name is below a folder.
fn found(folder: &Path, name: &str) -> std::path::PathBuf {
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        if path.ends_with(name) {
            return path;
        }
        if path.symlink_metadata().unwrap().is_dir() {
            waiting.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    panic!("there is no {name}");
}

#[test]
fn a_damaged_image_is_refused_with_the_structure() {
    let bench = bench();
    mkfs(&bench, "ext4", &[]);
    let mut image = fs::read(bench.path("disk.img")).unwrap();
    // The number of inodes: the superblock has a checksum.
    image[1024] ^= 0xFF;
    bench.write("disk.img", image);
    let outcome = bench.run(&["ls", "disk.img"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("superblock"), "{}", outcome.stderr);
}

/// One that a kernel filled: `guests/read-fat/tests/kernel.rs` says how.
#[test]
fn an_exfat_is_looked_into_and_taken_as_content() {
    const SPEC: &str = "
        [[partition]]
        name = 'root'
        type = 'linux-generic'
        filesystem = 'ext4'
        content = [{ image = 'disk.img' }, { text = 'new', to = '/new' }]
    ";
    let bench = Bench::new();
    let seed = include_bytes!("fuzz/seeds/read_fat/exfat");
    let mut image = cellblock_fuzz_targets::image_of_reader(seed);
    bench.write("disk.img", &image);
    let shown = said(&bench, &["show", "disk.img"]);
    assert!(shown.contains("exfat"), "{shown}");
    let names = said(&bench, &["ls", "-R", "disk.img"]);
    for name in ["a/b/c", "torn/large", "locked", "ünïcødé ₧ 😀🧱.txt"] {
        assert!(names.lines().any(|line| line == name), "{names}");
    }
    assert_eq!(said(&bench, &["cat", "disk.img:/a/b/c"]), "deep");
    bench.create_folder("out");
    bench.done(&["cp", "disk.img:/written in part", "out"]);
    let part = fs::read(bench.path("out/written in part")).unwrap();
    assert_eq!(part.len(), 2000);
    assert!(part[..600].iter().any(|byte| *byte != 0) && part[600..] == [0; 1400]);
    bench.done(&["export", "disk.img", "-o", "all.tar"]);
    bench.done(&["diff", "disk.img", "all.tar"]);
    bench.done(&["report", "disk.img", "-o", "page.html"]);
    let page = fs::read_to_string(bench.path("page.html")).unwrap();
    assert!(page.contains("exfat"));
    // What is made of it holds all of it.
    bench.write("image.toml", SPEC);
    bench.done(&["build", "image.toml", "-o", "made.img", "--verify", "-q"]);
    bench.done(&["verify", "made.img", "image.toml"]);
    let motd = said(&bench, &["cat", "made.img:root:/a/b/c"]);
    assert_eq!(motd, "deep");
    // A file that says something else, and a directory that is damaged.
    let at = image.windows(4).position(|four| four == b"deep").unwrap();
    image[at] = b'D';
    bench.write("other.img", &image);
    let outcome = bench.run(&["diff", "disk.img", "other.img"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("a/b/c"), "{}", outcome.stdout);
    let at = image
        .windows(6)
        .position(|six| six == b"l\0o\0c\0")
        .unwrap();
    image[at] = b'L';
    bench.write("damaged.img", &image);
    let outcome = bench.run(&["ls", "damaged.img"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stdout);
    let expected = "damaged: the root directory";
    assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
}

/// In a cell, addresses have 32 bits, and a chunk of 4 GiB does not fit into one.
#[test]
fn a_file_in_chunks_of_4_gib_is_read() {
    const CHUNK: u64 = 4 << 30;
    const SIZE: u64 = 2 * 4096 + 7;
    let (Some(mkfs), Some(fsck)) = (judge("mkfs.erofs"), judge("fsck.erofs")) else {
        return;
    };
    let bench = Bench::new();
    // Equal chunks are stored once, so that their places do not follow each other, and they do not become one.
    bench.write("root/file", [&[b'a'; 2 * 4096][..], b"the end"].concat());
    let output = mkfs
        .command()
        .args(["-E", "nosbcrc,force-inode-extended,force-inode-blockmap"])
        .arg("--chunksize=4096")
        .args([bench.path("disk.img"), bench.path("root")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", crate::support::text(&output));
    let mut image = fs::read(bench.path("disk.img")).unwrap();
    // Its inode: the size, behind that the form of its chunks, and behind all of it their places.
    let size = image
        .windows(8)
        .position(|eight| eight == SIZE.to_le_bytes())
        .unwrap();
    let (form, places) = (size + 8, size + 56);
    assert_eq!(image[form..][..4], [0; 4]);
    image[size..][..8].copy_from_slice(&(2 * CHUNK + 7).to_le_bytes());
    // Of 2^20 blocks, the first two of which are holes.
    image[form] = 20;
    image[places..][..8].fill(0xFF);
    bench.write("disk.img", image);
    let output = fsck.run(&[], &bench.path("disk.img"));
    assert!(output.status.success(), "{}", crate::support::text(&output));
    bench.create_folder("out");
    bench.done(&["cp", "disk.img:/file", "out"]);
    let file = fs::File::open(bench.path("out/file")).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 2 * CHUNK + 7);
    let mut end = [1; 16];
    file.read_exact_at(&mut end, 2 * CHUNK - 9).unwrap();
    assert_eq!(&end, b"\0\0\0\0\0\0\0\0\0the end");
}

#[test]
fn an_archive_of_nothing_is_one_by_its_name() {
    let bench = bench();
    // Two empty blocks end an archive: no mark is in them.
    bench.write("nothing.tar", [0; 10_240]);
    bench.done(&[
        "mkfs",
        "squashfs",
        "-o",
        "nothing.img",
        "--content",
        "nothing.tar",
    ]);
    bench.done(&["diff", "--no-times", "nothing.tar", "nothing.img"]);
}

#[test]
fn names_that_are_no_text_can_be_typed() {
    let bench = bench();
    let name = OsStr::from_bytes(b"caf\xe9");
    fs::write(bench.path("root").join(name), "coffee\n").unwrap();
    mkfs(&bench, "squashfs", &[]);
    let image = bench.path("disk.img");
    let renamed = image.with_file_name(OsStr::from_bytes(b"\xff.img"));
    fs::rename(image, &renamed).unwrap();
    let mut place = renamed.into_os_string();
    place.push(":/");
    place.push(name);
    let output = bench.cellblock().arg("cat").arg(place).output().unwrap();
    assert_eq!(output.stdout, b"coffee\n", "{output:?}");
}

/// As in the upper layers of containers, and in all of a composefs.
#[test]
fn files_whose_content_is_elsewhere_are_told_of_wherever_content_is_read() {
    const SPEC: &str = "
        [[partition]]
        name = 'root'
        type = 'linux-generic'
        filesystem = 'erofs'
        content = [{ image = 'disk.img' }]
    ";
    let (Some(mke2fs), Some(debugfs)) = (judge("mke2fs"), judge("debugfs")) else {
        return;
    };
    let bench = bench();
    fs::File::create(bench.path("root/usr/one"))
        .unwrap()
        .set_len(20_000)
        .unwrap();
    fs::File::create(bench.path("root/usr/two"))
        .unwrap()
        .set_len(20_000)
        .unwrap();
    fs::File::create(bench.path("disk.img"))
        .unwrap()
        .set_len(16 << 20)
        .unwrap();
    let root = bench.path("root");
    let options = ["-q", "-F", "-t", "ext4", "-d", root.to_str().unwrap()];
    let output = mke2fs.run(&options, &bench.path("disk.img"));
    assert!(output.status.success(), "{}", crate::support::text(&output));
    let warning = |line: &[&str]| {
        let outcome = bench.run(line);
        let said = outcome
            .stderr
            .lines()
            .filter(|line| line.contains("overlayfs"));
        let said: Vec<String> = said.map(str::to_owned).collect();
        assert!(said.len() <= 1, "{line:?}: {}", outcome.stderr);
        assert!(
            outcome.code.is_some_and(|code| code < 2),
            "{line:?}: {}",
            outcome.stderr
        );
        said.into_iter().next()
    };
    assert_eq!(warning(&["cat", "disk.img:/usr/one"]), None);
    // That of a whole file is no mark, if its bytes are there all the same.
    for (file, value) in [("usr/one", "x"), ("usr/two", "x"), ("usr/numbers", "x")] {
        let request = format!("ea_set /{file} trusted.overlay.metacopy {value}");
        let output = debugfs.run(&["-w", "-R", &request], &bench.path("disk.img"));
        assert!(output.status.success(), "{}", crate::support::text(&output));
    }
    bench.write("image.toml", SPEC);
    bench.create_folder("out");
    for line in [
        &["cat", "disk.img:/usr/numbers"][..],
        &["cp", "disk.img:/", "out"],
        &["tar", "disk.img", "-o", "all.tar"],
        &["export", "disk.img", "-o", "again.tar"],
        &["diff", "disk.img", "root"],
        &["build", "image.toml", "-o", "made.img"],
        &["cat", "made.img:root:/usr/numbers"],
    ] {
        let said = warning(line).unwrap_or_else(|| panic!("{line:?}"));
        assert!(
            said.contains("2 files have no content of their own here")
                && said.contains("the first of them /usr/one:"),
            "{said}"
        );
    }
    for image in ["disk.img", "made.img:root"] {
        let outcome = bench.run(&["cat", &format!("{image}:/usr/one")]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        assert_eq!(outcome.stdout, "");
        let why = "/usr/one has no content of its own here";
        assert!(outcome.stderr.contains(why), "{}", outcome.stderr);
    }
    for line in [
        &["ls", "-R", "disk.img"][..],
        &["stat", "disk.img:/usr/one"],
    ] {
        assert_eq!(warning(line), None);
    }
}

/// systemd's units have such names.
#[test]
fn no_name_looks_like_another_one_that_is_escaped() {
    let bench = Bench::new();
    for name in [
        &b"a\n"[..],
        br"a\n",
        b"a\xff",
        br"a\xff",
        br"system\x2dgetty.slice",
    ] {
        let path = bench.create_folder("root").join(OsStr::from_bytes(name));
        fs::write(path, name).unwrap();
    }
    mkfs(&bench, "ext4", &[]);
    let expected = [
        r"a\\n",
        r"a\\xff",
        r"a\n",
        r"a\xff",
        r"system\\x2dgetty.slice",
    ];
    let listed = said(&bench, &["ls", "disk.img"]);
    let mut listed: Vec<&str> = listed
        .lines()
        .filter(|line| *line != "lost+found")
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, expected);
    let drawn = said(&bench, &["tree", "disk.img"]);
    bench.create_folder("empty");
    let differing = bench.run(&["diff", "empty", "disk.img"]).stdout;
    for name in expected {
        assert!(
            drawn
                .lines()
                .any(|line| line.ends_with(&format!(" {name}"))),
            "{drawn}"
        );
        let added = format!("+ /{name}");
        assert!(differing.lines().any(|line| line == added), "{differing}");
    }
    let named = said(&bench, &["cat", r"disk.img:/system\x2dgetty.slice"]);
    assert_eq!(named, r"system\x2dgetty.slice");
    // What is no text is shown as a name that is one, and has its bytes beside it.
    let json = said(&bench, &["ls", "--json", "disk.img"]);
    let json: Vec<Value> = serde_json::from_str(&json).unwrap();
    let same = json.iter().filter(|one| one["path"] == r"/a\xff");
    let bytes = same.map(|one| one["path-bytes"].as_str());
    assert_eq!(bytes.collect::<Vec<_>>(), [None, Some("2f61ff")]);
}

/// mkfs.vfat's own, of which Linux needs neither.
#[test]
fn a_fat_without_jump_and_signature_is_looked_into() {
    let (Some(mkfs), Some(mcopy)) = (judge("mkfs.vfat"), judge("mcopy")) else {
        return;
    };
    let bench = bench();
    let image = bench.path("disk.img");
    for (kind, megabytes, word) in [("12", 4, 54), ("16", 16, 54), ("32", 64, 82)] {
        fs::File::create(&image)
            .unwrap()
            .set_len(megabytes << 20)
            .unwrap();
        let output = mkfs.run(&["-F", kind], &image);
        assert!(output.status.success(), "{}", crate::support::text(&output));
        let output = mcopy
            .command()
            .arg("-i")
            .args([&image, &bench.path("root/etc/motd")])
            .arg("::")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", crate::support::text(&output));
        let file = fs::File::options().write(true).open(&image).unwrap();
        for (offset, length) in [(word, 8), (0, 3), (510, 2)] {
            file.write_all_at(&vec![0; length], offset).unwrap();
            assert_eq!(
                said(&bench, &["cat", "disk.img:/motd"]),
                "hello\n",
                "{kind}, {offset}"
            );
            let shown = said(&bench, &["show", "disk.img"]);
            assert!(shown.contains("vfat"), "{shown}");
        }
    }
}

#[test]
fn a_limit_of_handles_is_named() {
    let bench = bench();
    let outcome = bench.run(&[
        "mkfs",
        "ext4",
        "-o",
        "x.img",
        "--content",
        "root",
        "--handle-limit",
        "0",
    ]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("--handle-limit"),
        "{}",
        outcome.stderr
    );
}
