//! File systems that mke2fs made and the kernel filled, as the kernel shows them.

#![allow(missing_docs, clippy::unwrap_used)]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use cellblock_guest::Kind;
use cellblock_guest::memory::{FilePartition, MemoryListing};
use cellblock_guest::reader::{Reader as _, ReaderError, ReaderRequest};
use cellblock_judges::{judge, text};
use cellblock_read_ext::Ext;
use cellblock_readers_judged::{
    Folder, Mount, Temporary, attributes, compare, fill, mount, outcome, read, seen,
};
use rustix::fs::{FallocateFlags, XattrFlags, fallocate, lsetxattr};

/// An empty file system of `megabytes`; none, with a word, where mke2fs is missing or cannot make it.
fn make(options: &[&str], megabytes: u64) -> Option<Temporary> {
    let image = Temporary::new("img");
    let file = File::create_new(&image.0).unwrap();
    file.set_len(megabytes << 20).unwrap();
    let output = judge("mke2fs")?
        .command()
        .args(["-F", "-q", "-L", "judged"])
        .args(options)
        .arg(&image.0)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    Some(image)
}

fn filled(options: &[&str], kind: &str, megabytes: u64) -> Option<Temporary> {
    let image = make(options, megabytes)?;
    let mount = mount(&image.0, kind, "loop")?;
    fill(mount.path());
    attributes(mount.path());
    awkward(mount.path());
    drop(mount);
    Some(image)
}

/// What only a file system that is written to has: blocks that were never written, extents without neighbours, gaps between
/// names, and what stands in inodes or just not.
fn awkward(top: &Path) {
    let reserved = File::create(top.join("reserved")).unwrap();
    reserved.write_all_at(b"begin", 0).unwrap();
    // Where files have no extents, there is no such thing.
    let _ = fallocate(&reserved, FallocateFlags::empty(), 8192, 100_000);
    let _ = fallocate(&reserved, FallocateFlags::KEEP_SIZE, 200_000, 100_000);
    reserved.write_all_at(b"middle", 50_000).unwrap();
    let torn = File::create(top.join("torn")).unwrap();
    for at in 0..600 {
        torn.write_all_at(b"x", at * 8192).unwrap();
    }
    for length in [59, 60] {
        symlink("x".repeat(length), top.join(format!("link-of-{length}"))).unwrap();
    }
    fs::hard_link(top.join("link"), top.join("deep/link-again")).unwrap();
    for number in (0..3000).step_by(3) {
        fs::remove_file(top.join(format!("many/a name that takes some room, number {number}")))
            .unwrap();
    }
    let set = |name: &str, attribute: &str, value: &[u8]| {
        let _ = lsetxattr(top.join(name), attribute, value, XattrFlags::empty());
    };
    // More than a block, where that can be stored.
    set("empty", "user.huge", &[9; 40_000]);
    let entry = |tag: u16, permissions: u16, id: u32| {
        [
            &tag.to_le_bytes()[..],
            &permissions.to_le_bytes(),
            &id.to_le_bytes(),
        ]
        .concat()
    };
    let list = [
        2_u32.to_le_bytes().to_vec(),
        entry(1, 7, u32::MAX),
        entry(2, 5, 100_000),
        entry(4, 5, u32::MAX),
        entry(16, 5, u32::MAX),
        entry(32, 1, u32::MAX),
    ]
    .concat();
    set("deep/large", "system.posix_acl_access", &list);
    set("deep/er", "system.posix_acl_default", &list);
}

#[test]
fn every_feature_reads_as_the_kernel_shows_it() {
    for (kind, options) in [
        ("ext2", &["-t", "ext2", "-b", "1024"][..]),
        ("ext2", &["-t", "ext2", "-b", "4096", "-O", "^dir_index"]),
        ("ext2", &["-t", "ext2", "-r", "0", "-O", "none"]),
        ("ext3", &["-t", "ext3", "-b", "1024", "-I", "128"]),
        ("ext3", &["-t", "ext3", "-b", "4096"]),
        ("ext4", &["-t", "ext4"]),
        (
            "ext4",
            &["-t", "ext4", "-b", "1024", "-O", "64bit,metadata_csum"],
        ),
        (
            "ext4",
            &[
                "-t",
                "ext4",
                "-b",
                "2048",
                "-O",
                "^extent,^64bit,^metadata_csum,uninit_bg",
            ],
        ),
        ("ext4", &["-t", "ext4", "-O", "inline_data", "-I", "512"]),
        (
            "ext4",
            &[
                "-t",
                "ext4",
                "-O",
                "inline_data,^metadata_csum",
                "-I",
                "256",
            ],
        ),
        ("ext4", &["-t", "ext4", "-O", "ea_inode"]),
        (
            "ext4",
            &["-t", "ext4", "-O", "bigalloc,^resize_inode", "-C", "65536"],
        ),
        (
            "ext4",
            &[
                "-t",
                "ext4",
                "-b",
                "1024",
                "-O",
                "bigalloc,^resize_inode",
                "-C",
                "8192",
            ],
        ),
        (
            "ext4",
            &["-t", "ext4", "-O", "meta_bg,^resize_inode", "-g", "2048"],
        ),
        (
            "ext4",
            &[
                "-t",
                "ext4",
                "-b",
                "1024",
                "-O",
                "meta_bg,^resize_inode,64bit",
            ],
        ),
        ("ext4", &["-t", "ext4", "-O", "sparse_super2,^resize_inode"]),
        (
            "ext4",
            &["-t", "ext4", "-O", "metadata_csum_seed,large_dir,verity"],
        ),
        ("ext4", &["-t", "ext4", "-O", "encrypt,stable_inodes"]),
        ("ext4", &["-t", "ext4", "-O", "^has_journal,^flex_bg,mmp"]),
        (
            "ext4",
            &["-t", "ext4", "-O", "fast_commit,orphan_file", "-I", "1024"],
        ),
    ] {
        println!("{kind} {options:?}");
        if let Some(image) = filled(options, kind, 400) {
            compare::<Ext>(&image.0, kind);
        }
    }
}

/// Features that few kernels are built with: mke2fs fills these itself.
/// The kernel makes a tree of a directory's first block, and leaves at its end what was there when it was a block of entries.
#[test]
fn a_directory_that_has_become_a_tree_is_read() {
    for block in ["1024", "2048", "4096"] {
        let Some(image) = make(&["-t", "ext4", "-b", block, "-O", "metadata_csum"], 64) else {
            return;
        };
        let Some(mounted) = mount(&image.0, "ext4", "loop") else {
            return;
        };
        fs::create_dir(mounted.path().join("folder")).unwrap();
        for number in 0..600 {
            for folder in ["folder", ""] {
                let folder = mounted.path().join(folder);
                fs::write(folder.join(format!("file-number-{number}")), "").unwrap();
            }
        }
        drop(mounted);
        compare::<Ext>(&image.0, "ext4");
    }
}

#[test]
fn what_few_kernels_mount_is_read_too() {
    for options in [
        &["-t", "ext4", "-O", "casefold", "-E", "encoding=utf8"][..],
        &["-t", "ext4", "-O", "quota,project"],
        &["-t", "ext4", "-b", "65536"],
        &[
            "-t",
            "ext4",
            "-b",
            "16384",
            "-O",
            "inline_data",
            "-I",
            "1024",
        ],
    ] {
        let source = source();
        let top = source.path().to_str().unwrap();
        let options = [options, &["-d", top]].concat();
        let Some(image) = make(&options, 400) else {
            return;
        };
        let (_, listing, partition) = read::<Ext>(&image.0);
        let mut told = seen::of_listing(&listing, &partition);
        told.remove(Path::new("lost+found"));
        let mut shown = seen::of_mount(source.path());
        for (path, seen) in told.iter_mut().chain(&mut shown) {
            // It copies whole seconds, few attributes, and each name of a symbolic link.
            if seen.kind == "symlink" {
                seen.first.clone_from(path);
            }
            seen.modified.1 = 0;
            seen.attributes.clear();
        }
        // The root is its own.
        told.remove(Path::new(""));
        shown.remove(Path::new(""));
        seen::compare(&told, &shown);
    }
}

/// A filled folder whose files end with data: with some sizes of blocks, mke2fs 1.47.0 cuts others.
fn source() -> Folder {
    let folder = Folder::empty();
    fill(folder.path());
    for (name, end) in [("sparse", 25_000_000), ("hole", 3_000_000)] {
        let file = File::options().write(true).open(folder.path().join(name));
        file.unwrap().write_all_at(b"end", end - 3).unwrap();
    }
    folder
}

#[test]
fn what_the_file_system_is_called_is_told() {
    let uuid = "3d1f8a1e-0d3c-4d8e-9a55-6f0e1c2b3a49";
    let Some(image) = make(&["-t", "ext4", "-U", uuid], 16) else {
        return;
    };
    let (volume, _, _) = read::<Ext>(&image.0);
    assert_eq!(volume.kind, "ext4");
    assert_eq!(volume.label, b"judged");
    assert_eq!(volume.identifier, uuid);
    assert_eq!(volume.size, 16 << 20);
    assert!(volume.free > 8 << 20 && volume.free < 16 << 20);
}

/// mke2fs puts a file without any block into its inode, however long it is.
#[test]
fn a_file_goes_on_behind_what_its_inode_holds() {
    let folder = Folder::empty();
    let file = File::create(folder.path().join("hole")).unwrap();
    file.set_len(5 << 20).unwrap();
    let from = folder.path().to_str().unwrap();
    let options = ["-t", "ext4", "-O", "inline_data", "-d", from];
    let Some(image) = make(&options, 16) else {
        return;
    };
    let (_, listing, partition) = read::<Ext>(&image.0);
    let hole = listing.find(b"/hole").unwrap();
    assert_eq!(
        listing.nodes[hole.index()].kind,
        Kind::File {
            size: 5 << 20,
            sparse: false
        }
    );
    // All of it is read, and not only its size.
    seen::of_listing(&listing, &partition);
    compare::<Ext>(&image.0, "ext4");
}

/// A file system of files with these names, of which debugfs then sets fields; none, with a word, where a program is missing.
fn with_fields(features: &str, names: &[&str], fields: &[(&str, &str)]) -> Option<Temporary> {
    let folder = Folder::empty();
    for name in names {
        fs::write(folder.path().join(name), format!("this is {name}")).unwrap();
    }
    fs::create_dir(folder.path().join("folder")).unwrap();
    symlink("elsewhere", folder.path().join("link")).unwrap();
    let from = folder.path().to_str().unwrap();
    let image = make(&["-t", "ext4", "-O", features, "-d", from], 16)?;
    let debugfs = judge("debugfs")?;
    for (name, field) in fields {
        let request = format!("set_inode_field /{name} {field}");
        let mut command = debugfs.command();
        let output = command.args(["-w", "-R", &request]).arg(&image.0).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.lines().count() <= 1, "{request}: {said}");
    }
    Some(image)
}

fn warnings(image: &Path, extents: bool) -> Vec<String> {
    let partition = FilePartition::new(File::open(image).unwrap()).unwrap();
    let mut listing = MemoryListing::new();
    Ext::read(&ReaderRequest { extents }, &partition, &mut listing).unwrap();
    listing.warnings
}

/// Without the number, which mke2fs chooses.
fn without_inode(warning: &str) -> String {
    let (before, behind) = warning.split_once(" in inode ").unwrap();
    let digits = behind.chars().take_while(char::is_ascii_digit).count();
    format!("{before}{}", &behind[digits..])
}

#[test]
fn what_copies_have_not_is_warned_of_once() {
    let names = ["append", "immutable", "plain", "project", "several"];
    let features = "project,quota";
    if let Some(image) = with_fields(features, &names, &[]) {
        assert_eq!(warnings(&image.0, true), [""; 0]);
    }
    let fields = [
        ("append", "flags 0x80020"),
        ("immutable", "flags 0x80010"),
        ("folder", "flags 0xB0000"),
        ("project", "projid 7"),
        // Not to be dumped, no time of access, synchronous, and immutable.
        ("several", "flags 0x800D8"),
    ];
    let Some(image) = with_fields(features, &names, &fields) else {
        return;
    };
    let [warning] = &warnings(&image.0, true)[..] else {
        panic!("{:?}", warnings(&image.0, true));
    };
    assert_eq!(
        without_inode(warning),
        "files and directories with marks of chattr: 5 (2 immutable, 1 append-only, 1 no dump, 1 no access time, 1 synchronous, \
         1 synchronous directory, 1 top of directories, 1 of a project, such as 7), the first of them 'append'; \
         copies of them have no such marks, and comparisons leave these out"
    );
    // Nothing is copied by who does not ask for content.
    assert_eq!(warnings(&image.0, false), [""; 0]);
}

/// A file that was moved out of an encrypted directory stays encrypted, as does one whose directory lost its flag.
#[test]
fn what_is_encrypted_is_told_of_wherever_it_is() {
    let fields = [
        ("secret", "flags 0x80800"),
        ("another", "flags 0x80800"),
        ("folder", "flags 0x80800"),
    ];
    let names = ["another", "plain", "secret"];
    let Some(image) = with_fields("encrypt", &names, &fields) else {
        return;
    };
    // Names are told to everybody.
    for extents in [true, false] {
        let [warning] = &warnings(&image.0, extents)[..] else {
            panic!("{:?}", warnings(&image.0, extents));
        };
        assert_eq!(
            without_inode(warning),
            "encrypted: 1 directories, 2 files, the first of them 'another'; without their keys, names and targets of links are shown \
             in base64, and content is told as it stands, encrypted"
        );
    }
    let alone = with_fields("encrypt", &names, &fields[..1]).unwrap();
    let [warning] = &warnings(&alone.0, true)[..] else {
        panic!("{:?}", warnings(&alone.0, true));
    };
    assert!(warning.starts_with("encrypted: 1 files, the first of them 'secret' in inode "));
}

/// A copy of a file system that is mounted and written to: its last writes are in the journal.
#[test]
fn a_journal_is_replayed_in_memory() {
    for (options, mode) in [
        (&["-t", "ext4"][..], "loop,commit=600"),
        (
            &["-t", "ext4", "-O", "^metadata_csum,^64bit"],
            "loop,commit=600",
        ),
        (&["-t", "ext3", "-b", "1024"], "loop,commit=600"),
        (
            &["-t", "ext4", "-J", "size=16"],
            "loop,commit=600,data=journal",
        ),
    ] {
        let Some(image) = filled(options, options[1], 96) else {
            return;
        };
        let Some(mounted) = mount(&image.0, options[1], mode) else {
            return;
        };
        let copy = torn_copy(&image.0, &mounted);
        drop(mounted);
        let (volume, listing, partition) = read::<Ext>(&copy.0);
        let replayed = volume.properties.iter().find(|(name, _)| name == "journal");
        assert!(replayed.is_some(), "{options:?}: {:?}", volume.properties);
        assert!(listing.find(b"/added/20").is_some());
        assert!(
            listing
                .find(b"/many/a name that takes some room, number 1")
                .is_none()
        );
        // A mount replays it on the disk; the reader has looked before.
        let Some(shown) = mount(&copy.0, options[1], "loop") else {
            return;
        };
        let told = seen::of_listing(&listing, &partition);
        seen::compare(&told, &seen::of_mount(shown.path()));
    }
}

/// A journal with fast commits has a second log, which is not replayed: what stands there alone is not to be missed, and what
/// a transaction has overtaken is of no interest.
#[test]
fn fast_commits_are_refused_until_a_transaction_overtakes_them() {
    for block in ["1024", "4096"] {
        let options = ["-t", "ext4", "-b", block, "-O", "fast_commit"];
        let Some(image) = make(&options, 128) else {
            return;
        };
        let Some(mounted) = mount(&image.0, "ext4", "loop,commit=600") else {
            return;
        };
        let written = |name: &str| {
            let file = File::create(mounted.path().join(name)).unwrap();
            file.write_all_at(name.as_bytes(), 0).unwrap();
            file.sync_all().unwrap();
        };
        // The first is a whole transaction, and the others come behind it.
        for name in ["first", "second", "third"] {
            written(name);
        }
        let torn = copy_of(&image.0);
        rustix::fs::syncfs(File::open(mounted.path()).unwrap()).unwrap();
        let overtaken = copy_of(&image.0);
        drop(mounted);

        let refused = outcome::<Ext>(&fs::read(&torn.0).unwrap());
        let Some(shown) = mount(&torn.0, "ext4", "loop") else {
            return;
        };
        assert!(shown.path().join("third").exists());
        assert!(
            matches!(&refused, Err(ReaderError::Unsupported(what)) if what.contains("fast commits")),
            "{refused:?}"
        );
        drop(shown);

        let (volume, listing, partition) = read::<Ext>(&overtaken.0);
        let replayed = volume.properties.iter().find(|(name, _)| name == "journal");
        assert!(replayed.is_some(), "{:?}", volume.properties);
        let Some(shown) = mount(&overtaken.0, "ext4", "loop") else {
            return;
        };
        let told = seen::of_listing(&listing, &partition);
        seen::compare(&told, &seen::of_mount(shown.path()));
    }
}

#[test]
fn a_journal_on_another_device_is_named() {
    let options = ["-t", "ext4", "-O", "^has_journal,^metadata_csum"];
    let Some(image) = make(&options, 16) else {
        return;
    };
    let mut bytes = fs::read(&image.0).unwrap();
    // The features has_journal and needs_recovery, and the number of the device.
    bytes[1024 + 0x5C] |= 4;
    bytes[1024 + 0x60] |= 4;
    bytes[1024 + 0xE4..][..4].copy_from_slice(&0x0801_u32.to_le_bytes());
    let refused = outcome::<Ext>(&bytes);
    assert!(
        matches!(&refused, Err(ReaderError::Unsupported(what)) if what.contains("another device")),
        "{refused:?}"
    );
}

/// Large attributes count to what a link takes: by blocks, by clusters, or in an inode of their own.
#[test]
fn links_with_large_attributes_are_read() {
    for (features, value) in [
        ("ea_inode", 20_000),
        ("ea_inode", 1500),
        ("ea_inode,inline_data", 20_000),
        ("inline_data", 1500),
        ("bigalloc,^resize_inode", 1500),
        ("bigalloc,^resize_inode,ea_inode", 20_000),
        ("^extent,^64bit", 1500),
    ] {
        println!("{features} {value}");
        let mut options = vec!["-t", "ext4", "-b", "4096", "-O", features];
        if features.contains("bigalloc") {
            options.extend(["-C", "65536"]);
        }
        let Some(image) = make(&options, 256) else {
            return;
        };
        let Some(mounted) = mount(&image.0, "ext4", "loop") else {
            return;
        };
        for length in [1, 5, 59, 60, 100, 1000] {
            for value in [0, value] {
                let link = mounted.path().join(format!("{length}-{value}"));
                symlink("t".repeat(length), &link).unwrap();
                if value > 0 {
                    let value = vec![7; value];
                    lsetxattr(&link, "trusted.large", &value, XattrFlags::empty()).unwrap();
                }
            }
        }
        drop(mounted);
        compare::<Ext>(&image.0, "ext4");
    }
}

/// The kernel stores equal values once, however many files have them.
#[test]
fn values_that_many_files_share_are_read() {
    let options = [
        "-t", "ext4", "-b", "1024", "-N", "1024", "-O", "ea_inode", "-J", "size=4",
    ];
    let Some(image) = make(&options, 20) else {
        return;
    };
    let Some(mounted) = mount(&image.0, "ext4", "loop") else {
        return;
    };
    for number in 0..400_u32 {
        let path = mounted.path().join(format!("file-{number}"));
        fs::write(&path, "").unwrap();
        // One value of all, and one of each hundredth.
        let value = (number % 100).to_le_bytes().repeat(1024);
        for (name, value) in [("user.all", vec![9; 65_536]), ("user.some", value)] {
            lsetxattr(&path, name, &value, XattrFlags::empty()).unwrap();
        }
    }
    drop(mounted);
    compare::<Ext>(&image.0, "ext4");
}

/// Writes to a mounted file system, and copies the image with what has come to it so far.
fn torn_copy(image: &Path, mounted: &Mount) -> Temporary {
    let top = mounted.path();
    fs::create_dir(top.join("added")).unwrap();
    for number in 0..40 {
        // What looks like the log's own blocks is stored otherwise.
        let content = [&0xC03B_3998_u32.to_be_bytes()[..], &[number; 5000]].concat();
        fs::write(top.join(format!("added/{number}")), content).unwrap();
    }
    fs::remove_file(top.join("many/a name that takes some room, number 1")).unwrap();
    fs::remove_dir_all(top.join("deep")).unwrap();
    fs::set_permissions(top.join("tiny"), fs::Permissions::from_mode(0o600)).unwrap();
    for entry in fs::read_dir(top.join("added")).unwrap() {
        File::open(entry.unwrap().path())
            .unwrap()
            .sync_all()
            .unwrap();
    }
    File::open(top).unwrap().sync_all().unwrap();
    copy_of(image)
}

/// A copy of an image as it is now.
fn copy_of(image: &Path) -> Temporary {
    let copy = Temporary::new("img");
    let output = judge("cp")
        .unwrap()
        .command()
        .arg("--sparse=always")
        .args([image, &copy.0])
        .output();
    assert!(output.unwrap().status.success());
    copy
}
