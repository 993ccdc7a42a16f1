//! Where content comes from.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::bench::{assert_same_bytes, set_time};
use crate::support::judges::{judge, judge_ext4, judge_fat};

use crate::support::{Ability, Bench, Listing, Outcome, lacks, reading};

/// Makes an ext4 file system with `content` in `name`.
fn make(bench: &Bench, name: &str, content: &[&str]) -> std::path::PathBuf {
    let mut arguments = vec!["mkfs", "ext4", "-q", "-o", name, "--time", "1700000000"];
    arguments.extend(content.iter().flat_map(|source| ["--content", source]));
    bench.done(&arguments);
    judge_ext4(&bench.path(name));
    bench.path(name)
}

#[test]
fn compression_does_not_matter() {
    let bench = Bench::with_case("demo");
    let plain = make(&bench, "plain.img", &["demo/rootfs.tar"]);
    let tar = fs::read(bench.path("demo/rootfs.tar")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    bench.write("root.tar.gz", gzip.finish().unwrap());
    bench.write("root.tar.zst", zstd::encode_all(&tar[..], 3).unwrap());
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&tar).unwrap();
    bench.write("root.tar.xz", xz.finish().unwrap());
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(&tar).unwrap();
    bench.write("root.tar.bz2", bzip2.finish().unwrap());
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(&tar).unwrap();
    bench.write("root.tar.lz4", lz4.finish().unwrap());
    for ending in ["gz", "zst", "xz", "bz2", "lz4"] {
        let other = make(&bench, "other.img", &[&format!("root.tar.{ending}")]);
        assert_same_bytes(&plain, &other);
    }
}

/// A folder with a few files, a link among them.
fn folder(bench: &Bench, name: &str) {
    bench.write(&format!("{name}/file"), name);
    bench.write(&format!("{name}/sub/run"), "#!/bin/sh\n");
    bench.write(&format!("{name}/sub/file.o"), "left out");
    symlink("../file", bench.path(format!("{name}/sub/link"))).unwrap();
    fs::hard_link(
        bench.path(format!("{name}/file")),
        bench.path(format!("{name}/sub/hard")),
    )
    .unwrap();
    for (index, path) in ["file", "sub/run", "sub/file.o", "sub/link", "sub", ""]
        .iter()
        .enumerate()
    {
        let time = 1_600_000_000 + i64::try_from(index).unwrap();
        set_time(&bench.path(name).join(path), time, 987_654_321);
    }
}

#[test]
fn sources_merge_in_order_where_they_are_put() {
    let bench = Bench::new();
    folder(&bench, "one");
    folder(&bench, "two");
    bench.write("two/only-here", "two");
    bench.write("key", "secret");
    set_time(&bench.path("key"), 1_500_000_000, 5);
    let image = make(
        &bench,
        "merged.img",
        &[
            "one",
            "two,to=/,owner=1:2,exclude=*.o",
            "one,to=/opt/deep/one,mode=u=rwX,go=",
            "key,to=/etc/key,owner=33:34,mode=0600",
        ],
    );
    let one = Listing::of_directory(&bench.path("one")).clamped(1_700_000_000);
    let mut two = Listing::of_directory(&bench.path("two")).clamped(1_700_000_000);
    two.0.retain(|path, _| !path.ends_with(b".o"));
    two.0.values_mut().for_each(|entry| entry.owner = (1, 2));
    let mut key = Listing::of_directory(&bench.path("key"));
    let key = key.get("");
    (key.mode, key.owner, key.first) = (0o600, (33, 34), b"etc/key".to_vec());

    let mut expected = one.clone().overlaid(two);
    for parent in ["opt", "opt/deep", "etc"] {
        let mut entry = expected.0[&b""[..]].clone();
        (entry.mode, entry.owner, entry.first) = (0o755, (0, 0), parent.into());
        entry.modified = (1_700_000_000, 0);
        expected.0.insert(parent.into(), entry);
    }
    for (path, mut entry) in one.0 {
        entry.first = below(&entry.first);
        if !matches!(entry.kind, crate::support::Kind::Symlink(_)) {
            let executable = entry.kind == crate::support::Kind::Directory;
            entry.mode = if executable { 0o700 } else { 0o600 };
        }
        expected.0.insert(below(&path), entry);
    }
    expected.0.insert(b"etc/key".to_vec(), key.clone());
    reading::assert_ext4_holds(&bench, &image, expected);
}

fn below(path: &[u8]) -> Vec<u8> {
    let mut below = b"opt/deep/one".to_vec();
    if !path.is_empty() {
        below.push(b'/');
        below.extend_from_slice(path);
    }
    below
}

#[test]
fn a_directory_and_its_archive_are_the_same() {
    let bench = Bench::new();
    folder(&bench, "one");
    let Some(tar) = judge("tar") else {
        return;
    };
    let output = tar
        .command()
        .current_dir(bench.folder())
        .args(["--format=pax", "--pax-option=delete=atime,delete=ctime"])
        .args(["-cf", "one.tar", "-C", "one", "."])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", crate::support::text(&output));
    let from_directory = make(&bench, "directory.img", &["one"]);
    let from_archive = make(&bench, "archive.img", &["one.tar"]);
    assert_same_bytes(&from_directory, &from_archive);
}

#[test]
fn short_content_may_stand_in_inodes() {
    let bench = Bench::with_case("demo");
    for content in ["demo/overlay", "demo/rootfs.tar"] {
        let make = |name: &str, features: &str| {
            let features = format!("features={features}");
            let source = ["--content", content, "--option", &features];
            bench.done(&[&["mkfs", "ext4", "-q", "-o", name][..], &source].concat());
            judge_ext4(&bench.path(name));
            bench.path(name)
        };
        let in_blocks = make("blocks.img", "^has_journal");
        let in_inodes = make("inodes.img", "^has_journal,inline_data");
        let size = |image| fs::metadata(image).unwrap().len();
        assert!(size(&in_inodes) < size(&in_blocks), "{content}");
        let [expected, found] =
            [in_blocks, in_inodes].map(|image| reading::of_ext4(&bench, &image));
        if let (Some(expected), Some(found)) = (expected, found) {
            expected.assert_same(&found);
        }
    }
}

#[test]
fn the_image_is_left_out_of_its_own_content() {
    let bench = Bench::new();
    bench.write("root/file", "content");
    let make = || {
        let arguments = [
            "mkfs",
            "ext4",
            "-q",
            "-o",
            "root/disk.img",
            "--content",
            "root",
        ];
        let outcome = bench.run(&[&arguments[..], &["--time", "1700000000"]].concat());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        outcome.stderr
    };
    assert_eq!(make(), "");
    fs::copy(bench.path("root/disk.img"), bench.path("first.img")).unwrap();
    let said = make();
    let line = "root: /disk.img is an output of this run, and left out\n";
    assert!(said.ends_with(line), "{said}");
    assert_same_bytes(&bench.path("first.img"), &bench.path("root/disk.img"));
}

#[test]
fn a_file_of_the_content_is_no_output() {
    let bench = Bench::new();
    let name = bench.write("root/hostname", "debian\n");
    symlink("root/hostname", bench.path("link.img")).unwrap();
    for arguments in [
        &["-o", "root/hostname"][..],
        &["-o", "link.img"],
        &["-o", "disk.img", "--json", "root/hostname"],
    ] {
        let line = [&["mkfs", "ext4", "--content", "root"][..], arguments].concat();
        let outcome = bench.run(&line);
        let words = "root: /hostname is content and an output of this run";
        assert!(
            outcome.code == Some(2) && outcome.stderr.contains(words),
            "{arguments:?}: {:?} {}",
            outcome.code,
            outcome.stderr
        );
        assert_eq!(fs::read(&name).unwrap(), b"debian\n");
        assert_eq!(bench.names(), ["link.img", "root"]);
    }
    // What is excluded is no content.
    let content = "root,exclude=/hostname";
    let line = ["mkfs", "ext4", "-q", "-o", "root/hostname"];
    let outcome = bench.run(&[&line[..], &["--content", content]].concat());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
}

/// What a shell has made of `>` is there before the program begins.
#[test]
fn the_file_of_standard_output_is_left_out_of_content() {
    for (output, sends) in [("-", true), ("elsewhere.img", false)] {
        let bench = Bench::new();
        bench.write("root/file", "content");
        let make = |name: &str| {
            let mut command = bench.cellblock();
            command.args(["mkfs", "ext4", "-o", output, "--content", "root"]);
            command.args(["--time", "1700000000", "--json", "record.json"]);
            command.stdout(fs::File::create(bench.path(name)).unwrap());
            let outcome = Outcome::of(&mut command);
            assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
            let made = bench.path(if sends { name } else { output });
            (fs::read(made).unwrap(), outcome.stderr)
        };
        let (expected, _) = make("outside");
        let (made, said) = make("root/inside");
        assert!(made == expected, "{output}");
        let line = "root: /inside is an output of this run, and left out\n";
        assert!(said.ends_with(line), "{said}");
    }
}

#[test]
fn a_pattern_that_matches_nothing_is_warned_of() {
    let bench = Bench::new();
    bench.write("root/file.o", "content");
    let content = "root,exclude=*.o,exclude=/var/cache/*";
    let outcome = bench.run(&["mkfs", "ext4", "-q", "-o", "disk.img", "--content", content]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let line = "root: exclude pattern '/var/cache/*' matches nothing\n";
    assert!(outcome.stderr.ends_with(line), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("*.o"), "{}", outcome.stderr);
}

#[test]
fn links_are_followed_for_fat_when_that_is_said() {
    let bench = Bench::new();
    bench.write("one/rootfs/EFI/Linux/kernel.efi", "kernel");
    symlink("EFI/Linux/kernel.efi", bench.path("one/rootfs/vmlinuz")).unwrap();
    symlink("/EFI/Linux", bench.path("one/rootfs/entries")).unwrap();
    let spec = "[[partition]]\nname = \"esp\"\ntype = \"esp\"\nsize = \"4MiB\"\nfilesystem = \"vfat\"\n\
                content = [{ directory = \"one\", owner = \"0:0\", from = \"rootfs\", follow = true }]\n";
    let image = bench.build_text(spec);
    let part = crate::support::disk::cut_out(&bench, &image, "esp");
    judge_fat(&part);
    bench.write("expected/EFI/Linux/kernel.efi", "kernel");
    bench.write("expected/entries/kernel.efi", "kernel");
    bench.write("expected/vmlinuz", "kernel");
    let mut expected = Listing::of_directory(&bench.path("expected"));
    let original = Listing::of_directory(&bench.path("one/rootfs"));
    for (path, entry) in &mut expected.0 {
        let of: &[u8] = match &path[..] {
            b"entries" => b"EFI/Linux",
            b"entries/kernel.efi" | b"vmlinuz" => b"EFI/Linux/kernel.efi",
            path => path,
        };
        entry.modified = original.0[of].modified;
    }
    reading::assert_fat_holds(&bench, &part, expected);
}

#[test]
fn broken_hard_links_make_a_store_that_links_the_same_as_one_that_does_not() {
    let bench = Bench::new();
    for name in ["apart", "linked"] {
        for file in ["a/one", "a/two", "b/three"] {
            bench.write(&format!("{name}/{file}"), "the same");
        }
    }
    for file in ["a/two", "b/three"] {
        let path = bench.path(format!("linked/{file}"));
        fs::remove_file(&path).unwrap();
        fs::hard_link(bench.path("linked/a/one"), path).unwrap();
    }
    for folder in ["apart", "linked"] {
        for path in ["a/one", "a/two", "b/three", "a", "b", ""] {
            set_time(&bench.path(format!("{folder}/{path}")), 1_600_000_000, 0);
        }
    }
    let apart = make(&bench, "apart.img", &["apart"]);
    let broken = make(&bench, "broken.img", &["linked,hard-links=break"]);
    assert_same_bytes(&apart, &broken);
    let linked = make(&bench, "linked.img", &["linked"]);
    assert!(fs::read(&linked).unwrap() != fs::read(&apart).unwrap());
    // The same of an archive, which a format without hard links takes so.
    let Some(tar) = judge("tar") else {
        return;
    };
    let arguments = ["-C", "linked", "--sort=name", "-cf", "linked.tar", "."];
    tar.answer(&arguments, &bench.path(""), "");
    let from_tar = make(&bench, "tar.img", &["linked.tar,hard-links=break"]);
    assert_same_bytes(&apart, &from_tar);
}

#[test]
fn symbolic_links_are_never_followed() {
    let bench = Bench::new();
    bench.write("outside/secret", "secret");
    bench.create_folder("content");
    symlink("../outside", bench.path("content/folder")).unwrap();
    symlink("../outside/secret", bench.path("content/file")).unwrap();
    symlink("/etc", bench.path("content/absolute")).unwrap();
    let image = make(&bench, "links.img", &["content"]);
    reading::assert_ext4_holds(
        &bench,
        &image,
        Listing::of_directory(&bench.path("content")).clamped(1_700_000_000),
    );
    let outcome = bench.run(&[
        "mkfs",
        "ext4",
        "-o",
        "x.img",
        "--content",
        "content",
        "--content",
        "outside/secret,to=/folder/x",
    ]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("/folder"), "{}", outcome.stderr);
}

#[test]
fn what_fat_cannot_store_may_be_dropped() {
    let bench = Bench::new();
    folder(&bench, "one");
    let outcome = bench.run(&["mkfs", "vfat", "-o", "fat.img", "--content", "one"]);
    assert_eq!(outcome.code, Some(1));
    assert!(!bench.path("fat.img").exists());
    bench.done(&[
        "mkfs",
        "vfat",
        "-q",
        "-o",
        "fat.img",
        "--content",
        "one",
        "--drop",
        "symlinks,hard-links",
    ]);
    let image = bench.path("fat.img");
    judge_fat(&image);
    let mut expected = Listing::of_directory(&bench.path("one"));
    expected.0.remove(&b"sub/link"[..]);
    reading::assert_fat_holds(&bench, &image, expected);
}

#[test]
fn every_kind_can_be_made_alone() {
    let bench = Bench::with_case("demo");
    for (kind, size) in [
        ("ext4", "16MiB"),
        ("vfat", "16MiB"),
        ("fat12", "4MiB"),
        ("fat16", "32MiB"),
        ("fat32", "64MiB"),
        ("swap", "1MiB"),
    ] {
        let name = format!("{kind}.img");
        let label = ["--label", "LABEL"];
        bench.done(
            &[
                &["mkfs", kind, "-q", "-o", &name, "--size", size][..],
                &label,
            ]
            .concat(),
        );
        let image: &Path = &bench.path(&name);
        match kind {
            "ext4" => judge_ext4(image),
            "swap" => {}
            _ => judge_fat(image),
        }
        if let Some(blkid) = judge("blkid") {
            let said = blkid.content_with(&["-p", "-o", "export"], image);
            let expected = if kind.contains("fat") { "vfat" } else { kind };
            assert!(said.contains(&format!("TYPE={expected}\n")), "{said}");
            assert!(said.contains("LABEL=LABEL\n"), "{said}");
        }
    }
}

#[test]
fn sixteen_tebibytes_take_little_memory() {
    const ROOM: u64 = 1 << 30;
    // Most file systems on disks have no file of that size.
    let memory = Path::new("/dev/shm");
    let found = rustix::fs::statvfs(memory);
    if !found.is_ok_and(|found| found.f_bavail * found.f_frsize > ROOM) {
        lacks(Ability::Room, "in /dev/shm");
        return;
    }
    let bench = Bench::with_case("demo");
    let folder = tempfile::tempdir_in(memory).unwrap();
    let image = folder.path().join("large.img");
    let mut command = bench.cellblock();
    command
        .args([
            "mkfs",
            "ext4",
            "-q",
            "--size",
            "16TiB",
            "--content",
            "demo/rootfs.tar",
        ])
        .args(["--memory-limit", "32MiB", "-o"])
        .arg(&image);
    Outcome::of(&mut command).done();
    assert_eq!(fs::metadata(&image).unwrap().len(), 16 << 40);
    judge_ext4(&image);
}

#[test]
fn owners_come_from_an_mtree_and_a_dumpfile() {
    let bench = Bench::new();
    bench.write("tree/etc/shadow", "secret");
    symlink("nowhere", bench.path("tree/link")).unwrap();
    let mtree = "#mtree\n/set uid=0 gid=0 time=1600000000.500000000\n. type=dir mode=0755\n./etc type=dir mode=0711\n\
        ./etc/shadow type=file mode=0640 gid=42\n./link type=link link=etc/shadow uname=root\n";
    bench.write("m.mtree", mtree);
    bench.write("objects/ab/cdef", "secret");
    let dump = "/ 0 40755 3 0 0 0 1600000000.500000000 - - -\n/etc 0 40711 2 0 0 0 1600000000.500000000 - - -\n\
        /etc/shadow 6 100640 1 0 42 0 1600000000.500000000 ab/cdef - -\n/link 10 120777 1 0 0 0 1600000000.500000000 etc/shadow - -\n";
    bench.write("root.dump", dump);
    let laid = make(&bench, "laid.img", &["tree,metadata=m.mtree"]);
    let dumped = make(
        &bench,
        "dumped.img",
        &["composefs:root.dump,basedir=objects"],
    );
    assert_same_bytes(&laid, &dumped);
    for (name, content) in [
        ("laid", "{ directory = \"tree\", metadata = \"m.mtree\" }"),
        (
            "dumped",
            "{ composefs = \"root.dump\", basedir = \"objects\" }",
        ),
    ] {
        let spec = format!(
            "[[partition]]\ntype = \"linux-generic\"\nfilesystem = \"ext4\"\ncontent = [{content}]\n"
        );
        let image = bench.build_text(&spec);
        fs::rename(image, bench.path(name)).unwrap();
    }
    assert_same_bytes(&bench.path("laid"), &bench.path("dumped"));
    if let Some(listing) = crate::support::debugfs::read_ext4(&bench, &laid) {
        let shadow = &listing.0[&b"etc/shadow"[..]];
        assert_eq!(shadow.owner, (0, 42));
        assert_eq!(
            (shadow.mode & 0o7777, shadow.modified),
            (0o640, (1_600_000_000, 500_000_000))
        );
        assert_eq!(
            listing.0[&b"link"[..]].kind,
            crate::support::Kind::Symlink(b"etc/shadow".to_vec())
        );
    }
    bench.write("m.mtree", format!("{mtree}./none type=file\n"));
    for (output, said) in [
        ("m.mtree", "the metadata"),
        ("objects/x", "a folder that this run reads"),
    ] {
        let arguments = ["mkfs", "ext4", "-o", output, "--content"];
        let content = [
            "tree,metadata=m.mtree",
            "composefs:root.dump,basedir=objects",
        ];
        let content = content[usize::from(output.starts_with("objects"))];
        let outcome = bench.run(&[&arguments[..], &[content]].concat());
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    }
    let outcome = bench.run(&[
        "mkfs",
        "ext4",
        "-o",
        "x.img",
        "--content",
        "tree,metadata=m.mtree",
    ]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("m.mtree: line 7 is for /none"),
        "{}",
        outcome.stderr
    );
}
