//! Images are read back and held against what went in: a formatter that lies is caught before anything is published.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::PathBuf;

use serde_json::Value;

use crate::support::bench::set_time;
use crate::support::{Bench, component};

/// A formatter that writes one file system, whatever it is given.
fn writes_always(image: &[u8]) -> Vec<u8> {
    let bytes: String = image.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let length = image.len();
    let pages = (65_536 + length).div_ceil(65_536);
    component::formatter_of(&format!(
        "(memory (export \"memory\") {pages})
         (data (i32.const 65536) \"{bytes}\")
         (func $format (param $p i32) (result i32)
           (call $write (local.get $p) (i32.const 65536) (i32.const {length}) (i64.const 0) (i32.const 1024))
           (i32.const -1))"
    ))
}

/// A folder, and the same with one thing of it changed.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("root/etc/motd", "hello\n");
    bench.write("root/etc/other", "other\n");
    symlink("motd", bench.path("root/etc/link")).unwrap();
    for name in ["etc/motd", "etc/other", "etc/link", "etc", ""] {
        set_time(&bench.path("root").join(name), 1_600_000_000, 0);
    }
    bench
}

/// A spec whose one file system somebody's formatter `squashfs` makes.
fn spec(bench: &Bench, size: usize) {
    let mebibytes = size >> 20;
    let spec = format!(
        "[[partition]]\nname = \"root\"\ntype = \"linux-generic\"\nsize = \"{mebibytes}MiB\"\nfilesystem = \"squashfs\"\n\
         content = [{{ directory = \"root\", owner = \"0:0\" }}]\n[guests]\nsquashfs = \"mine.wasm\"\n"
    );
    bench.write("image.toml", spec);
}

/// The path of an image of `root` as it is, whole pages long, and a formatter that always writes that.
fn liar(bench: &Bench) -> usize {
    let content = "root,owner=0:0";
    let made = [
        "mkfs",
        "squashfs",
        "-q",
        "--content",
        content,
        "-o",
        "made.img",
    ];
    bench.done(&made);
    let mut image = fs::read(bench.path("made.img")).unwrap();
    image.resize(image.len().next_multiple_of(1 << 20), 0);
    // The zeros behind it need no writing.
    let length = fs::metadata(bench.path("made.img")).unwrap().len();
    let written = &image[..usize::try_from(length).unwrap()];
    bench.write("mine.wasm", writes_always(written));
    spec(bench, image.len());
    image.len()
}

#[test]
fn what_a_formatter_of_ones_own_gets_right_is_published() {
    let bench = bench();
    liar(&bench);
    let record = bench.done(&["build", "image.toml", "-o", "disk.img", "--json", "-"]);
    let record: Value = serde_json::from_str(&record).unwrap();
    let verified = &record["partitions"][0]["filesystem"]["verified-by"];
    assert_eq!(verified, "read-squashfs", "{record}");
}

#[test]
fn what_a_formatter_leaves_out_or_changes_is_caught_before_anything_is_published() {
    type Change = fn(&Bench) -> PathBuf;
    let changes: [(Change, &str); 4] = [
        // The formatter writes one byte that was not there.
        (
            |bench| bench.write("root/etc/motd", "hallo\n"),
            "~ /etc/motd: content",
        ),
        (
            |bench| bench.write("root/etc/dropped", "new\n"),
            "- /etc/dropped",
        ),
        (
            |bench| {
                fs::remove_file(bench.path("root/etc/other")).unwrap();
                bench.path("root/etc")
            },
            "+ /etc/other",
        ),
        (
            |bench| {
                let path = bench.path("root/etc/link");
                fs::remove_file(&path).unwrap();
                symlink("/etc/shadow", &path).unwrap();
                path
            },
            "~ /etc/link: target /etc/shadow -> motd",
        ),
    ];
    for (change, expected) in changes {
        let bench = bench();
        liar(&bench);
        let changed = change(&bench);
        for path in [changed, bench.path("root/etc")] {
            set_time(&path, 1_600_000_000, 0);
        }
        let names = bench.names();
        let outcome = bench.run(&["build", "image.toml", "-o", "disk.img"]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        let begin = "error: partition 'root': what read-squashfs reads back is not what went in, in 1 path: ";
        let told = format!("{begin}{expected}; --no-verify");
        assert!(outcome.stderr.contains(&told), "{}", outcome.stderr);
        assert_eq!(bench.names(), names);
        // Nobody asked for it: the lie is published.
        bench.done(&["build", "image.toml", "-q", "-o", "disk.img", "--no-verify"]);
        let outcome = bench.run(&["verify", "disk.img", "image.toml"]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        assert!(outcome.stdout.contains(expected), "{}", outcome.stdout);
    }
}

/// Others find a file system by its label and identifier.
#[test]
fn a_formatter_that_writes_another_label_or_identifier_is_caught() {
    let bench = bench();
    let content = "root,owner=0:0";
    let made = |label: &str, uuid: &str| {
        let named = ["--label", label, "--uuid", uuid, "-o", "made.img"];
        let mkfs = ["mkfs", "ext4", "-q", "--size", "1MiB", "--content", content];
        bench.done(&[&mkfs[..], &named].concat());
        writes_always(&fs::read(bench.path("made.img")).unwrap())
    };
    let [asked, other] = [
        "11111111-2222-4333-8444-555555555555",
        "42424242-4242-4242-8242-424242424242",
    ];
    let spec = format!(
        "[[partition]]\nname = \"root\"\ntype = \"linux-generic\"\nsize = \"1MiB\"\nfilesystem = \"ext4\"\n\
         label = \"asked\"\nuuid = \"{asked}\"\n\
         content = [{{ directory = \"root\", owner = \"0:0\" }}]\n[guests]\next4 = \"mine.wasm\"\n"
    );
    bench.write("image.toml", spec);
    bench.write("mine.wasm", made("asked", asked));
    bench.done(&["build", "image.toml", "-q", "-o", "right.img"]);
    for (label, uuid, expected) in [("other", asked, "label"), ("asked", other, "identifier")] {
        bench.write("mine.wasm", made(label, uuid));
        let outcome = bench.run(&["build", "image.toml", "-o", "disk.img"]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        let told = format!("file system: {expected}");
        assert!(outcome.stderr.contains(&told), "{}", outcome.stderr);
        assert!(!bench.path("disk.img").exists());
    }
}

#[test]
fn what_is_no_file_system_of_its_name_is_caught() {
    let bench = bench();
    let size = liar(&bench);
    bench.write("mine.wasm", writes_always(b"nothing of the kind"));
    spec(&bench, size);
    let outcome = bench.run(&["build", "image.toml", "-o", "disk.img"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("reading it back failed"),
        "{}",
        outcome.stderr
    );
    assert!(!bench.path("disk.img").exists());
}

/// Every format that is read, with what it does not hold of a tree.
const DISK: &str = r#"
[[partition]]
name = "esp"
type = "esp"
size = "8MiB"
filesystem = "vfat"
drop = ["symlinks", "owners", "permissions", "special-files", "attributes", "hard-links"]
content = [{ directory = "root" }]
[[partition]]
name = "ext"
type = "linux-generic"
size = "minimum"
filesystem = "ext4"
content = [{ directory = "root" }]
[[partition]]
name = "small"
type = "linux-generic"
size = "minimum"
filesystem = "ext2"
options = { inode-size = 128 }
content = [{ directory = "root" }]
[[partition]]
name = "erofs"
type = "linux-generic"
size = "minimum"
filesystem = "erofs"
options = { compression = "lz4" }
content = [{ directory = "root" }]
[[partition]]
name = "tree"
type = "linux-generic"
verity = { of = "erofs" }
[[partition]]
name = "squashfs"
type = "linux-generic"
size = "minimum"
filesystem = "squashfs"
content = [{ directory = "root" }, { template = "cmdline", to = "/cmdline" }]
[[partition]]
name = "swap"
type = "swap"
size = "1MiB"
filesystem = "swap"
[[partition]]
name = "raw"
type = "linux-generic"
size = "1MiB"
raw = [{ file = "raw.bin", offset = 0 }]
"#;

fn disk(bench: &Bench) {
    bench.write("root/usr/numbers", "0123456789".repeat(20_000));
    fs::hard_link(bench.path("root/usr/numbers"), bench.path("root/again")).unwrap();
    bench.write("raw.bin", "raw bytes");
    bench.write(
        "cmdline",
        "roothash={{ partition.erofs.verity.root-hash }}\n",
    );
    // An odd second, and parts of one.
    set_time(&bench.path("root/etc/motd"), 1_600_000_001, 123_456_789);
    bench.write("image.toml", DISK);
}

#[test]
fn every_format_is_what_went_in() {
    let bench = bench();
    disk(&bench);
    let build = [
        "build",
        "image.toml",
        "-o",
        "disk.img",
        "--verify",
        "--json",
        "record.json",
    ];
    let outcome = bench.run(&build);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("swap: it was not read back"),
        "{}",
        outcome.stderr
    );
    let record = fs::read_to_string(bench.path("record.json")).unwrap();
    assert_eq!(record.matches("\"verified-by\"").count(), 5, "{record}");
    let told = bench.done(&["verify", "disk.img", "image.toml"]);
    assert_eq!(told.matches(": equal, ").count(), 10, "{told}");
    let told = bench.done(&["verify", "disk.img", "--record", "record.json"]);
    assert_eq!(told.matches(": equal, by its digest").count(), 9, "{told}");
}

#[test]
fn what_there_is_to_say_of_what_was_read_is_said() {
    let bench = bench();
    bench.write(
        "image.toml",
        "[[partition]]\nname = \"root\"\ntype = \"linux\"\nsize = \"16MiB\"\nfilesystem = \"squashfs\"\n\
         content = [{ directory = \"root\" }]\n",
    );
    bench.done(&["build", "image.toml", "-q", "-o", "disk.img"]);
    let image = fs::File::options()
        .write(true)
        .open(bench.path("disk.img"))
        .unwrap();
    // The partition begins at 1 MiB.
    image.set_len((16 << 20) + (512 << 10)).unwrap();
    let verify = ["verify", "disk.img", "image.toml", "--json", "told.json"];
    let outcome = bench.run(&verify);
    let warning = "it ends 524 288 bytes beyond the image";
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert_eq!(
        outcome.stderr.matches(warning).count(),
        1,
        "{}",
        outcome.stderr
    );
    let told = "~ partition: bytes cut off: the image ends behind 16252928 of 16777216\n";
    assert!(outcome.stdout.contains(told), "{}", outcome.stdout);
    let told = fs::read_to_string(bench.path("told.json")).unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    let warnings = told["partitions"][2]["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|it| it == warning), "{told}");
}

#[test]
fn a_byte_of_any_partition_is_missed() {
    let bench = bench();
    disk(&bench);
    let build = [
        "build",
        "image.toml",
        "-q",
        "-o",
        "disk.img",
        "--json",
        "record.json",
    ];
    bench.done(&build);
    let record = fs::read_to_string(bench.path("record.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    let image = fs::read(bench.path("disk.img")).unwrap();
    let find = |text: &str, from: usize| {
        let mut at = image[from..].windows(text.len());
        from + at.position(|it| it == text.as_bytes()).unwrap()
    };
    for partition in record["partitions"].as_array().unwrap() {
        let name = partition["name"].as_str().unwrap();
        let start = usize::try_from(partition["start"].as_u64().unwrap()).unwrap();
        // A byte of a file where there is one, or the first one.
        let (at, expected) = match name {
            "esp" | "ext" | "small" => (find("0123456789", start), "~ /again: content"),
            "swap" => (find("SWAPSPACE2", start), "~ partition"),
            "raw" => (start, "~ partition"),
            _ => continue,
        };
        let mut other = image.clone();
        other[at] ^= 1;
        bench.write("other.img", &other);
        let outcome = bench.run(&["verify", "other.img", "image.toml", "--json", "told.json"]);
        assert_eq!(outcome.code, Some(1), "{name}: {}", outcome.stderr);
        assert!(
            outcome.stdout.contains(expected),
            "{name}: {}",
            outcome.stdout
        );
        assert_eq!(outcome.stdout.matches("different").count(), 1, "{name}");
        let told = fs::read_to_string(bench.path("told.json")).unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        let partitions = told["partitions"].as_array().unwrap();
        let count = |one: &&Value| !one["differences"].as_array().unwrap().is_empty();
        assert_eq!(partitions.iter().filter(count).count(), 1, "{name}");
        let outcome = bench.run(&["verify", "other.img", "--record", "record.json"]);
        assert_eq!(outcome.code, Some(1), "{name}: {}", outcome.stderr);
        assert!(
            outcome.stdout.contains("sha256"),
            "{name}: {}",
            outcome.stdout
        );
    }
    assert_eq!(
        bench.path("disk.img").metadata().unwrap().len(),
        image.len() as u64
    );
    assert!(bench.path("disk.img").metadata().unwrap().size() > 0);
}

/// A disk with an ext4 that has these lines of its own.
fn one_ext4(bench: &Bench, lines: &str) {
    let spec = format!(
        "[disk]\nseed = \"5f9c1b9e-0000-4000-8000-000000000001\"\n[[partition]]\nname = \"root\"\ntype = \"linux-generic\"\nsize = \"16MiB\"\n\
         content = [{{ directory = \"root\" }}]\n{lines}\n"
    );
    bench.write("other.toml", spec);
}

#[test]
fn what_a_file_system_is_called_by_is_compared() {
    let bench = bench();
    let uuid = "uuid = \"11111111-1111-4111-8111-111111111111\"";
    let wanted = format!("filesystem = \"ext4\"\nlabel = \"A\"\n{uuid}");
    one_ext4(&bench, &wanted);
    fs::rename(bench.path("other.toml"), bench.path("image.toml")).unwrap();
    bench.done(&["build", "image.toml", "-q", "-o", "disk.img"]);
    bench.done(&["verify", "disk.img", "image.toml"]);
    let others = [
        (
            wanted.replace("\"A\"", "\"B\""),
            "~ file system: label A -> B",
        ),
        (
            wanted.replace("1111-4111", "2222-4111"),
            "~ file system: identifier 11111111-1111-4111-8111-111111111111 -> 11111111-2222-4111-8111-111111111111",
        ),
        (
            wanted.replace("ext4", "ext2"),
            "~ file system: kind ext4 -> ext2",
        ),
        (
            wanted.replace("ext4", "erofs"),
            "~ file system: kind ext4 -> erofs",
        ),
    ];
    for (lines, expected) in others {
        one_ext4(&bench, &lines);
        bench.done(&["build", "other.toml", "-q", "-o", "other.img"]);
        let outcome = bench.run(&["verify", "other.img", "image.toml"]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stdout);
        assert!(outcome.stdout.contains(expected), "{}", outcome.stdout);
    }
    // Options can make an ext4 that older drivers take, and a reader tells the oldest.
    let features = "^has_journal,^extent,^flex_bg,^metadata_csum,^64bit,^huge_file,^dir_nlink,^extra_isize,^orphan_file,^metadata_csum_seed";
    one_ext4(
        &bench,
        &format!("{wanted}\noptions = {{ features = \"{features}\" }}"),
    );
    bench.done(&["build", "other.toml", "-q", "-o", "other.img"]);
    bench.done(&["verify", "other.img", "other.toml"]);
}

#[test]
fn raw_bytes_and_boot_code_are_compared() {
    let bench = bench();
    bench.write("code.bin", [0x90; 440]);
    bench.write("spl.bin", "a second program loader");
    bench.write(
        "image.toml",
        "[disk]\ngpt-location = \"32KiB\"\nraw = [{ file = \"code.bin\", offset = 0 }, { file = \"spl.bin\", offset = \"8KiB\" }]\n\
         [[partition]]\nname = \"root\"\ntype = \"linux-generic\"\nsize = \"16MiB\"\nfilesystem = \"ext4\"\ncontent = [{ directory = \"root\" }]\n",
    );
    bench.done(&["build", "image.toml", "-q", "-o", "disk.img"]);
    let told = bench.done(&["verify", "disk.img", "image.toml"]);
    assert!(
        told.contains("what lies outside of partitions: equal"),
        "{told}"
    );
    let image = fs::read(bench.path("disk.img")).unwrap();
    // Of the code and the loader, and zeros: behind both, before the first partition, and behind the last.
    let last = (1 << 20) + (16 << 20);
    for at in [0, 439, 8192, 8192 + 22, 8192 + 23, (1 << 20) - 1, last] {
        let mut other = image.clone();
        other[at] ^= 1;
        bench.write("other.img", other);
        let outcome = bench.run(&["verify", "other.img", "image.toml"]);
        assert_eq!(outcome.code, Some(1), "{at}: {}", outcome.stdout);
        let expected = format!("others from byte {at} on");
        assert!(outcome.stdout.contains(&expected), "{}", outcome.stdout);
    }
    let mut longer = image.clone();
    longer.extend([0; 512]);
    bench.write("other.img", longer);
    let outcome = bench.run(&["verify", "other.img", "image.toml"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stdout);
    let expected = format!("image: size {} -> {}", image.len(), image.len() + 512);
    assert!(outcome.stdout.contains(&expected), "{}", outcome.stdout);
}

#[test]
fn boot_code_that_a_spec_does_not_have_is_a_difference() {
    let bench = bench();
    for table in ["gpt", "mbr"] {
        bench.write(
            "image.toml",
            format!("[disk]\ntable = \"{table}\"\n[[partition]]\nname = \"a\"\ntype = \"linux-generic\"\nsize = \"1MiB\"\nfilesystem = \"ext2\"\n"),
        );
        bench.done(&["build", "image.toml", "-q", "-o", "disk.img"]);
        bench.done(&["verify", "disk.img", "image.toml"]);
        let mut image = fs::read(bench.path("disk.img")).unwrap();
        image[..3].copy_from_slice(b"\xeb\x63\x90");
        bench.write("other.img", image);
        let outcome = bench.run(&["verify", "other.img", "image.toml"]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stdout);
        let expected = "others from byte 0 on";
        assert!(outcome.stdout.contains(expected), "{}", outcome.stdout);
    }
}

#[test]
fn a_record_is_of_every_byte_and_of_one_image() {
    let bench = bench();
    disk(&bench);
    let build = ["build", "image.toml", "-q", "-o", "disk.img", "--json"];
    bench.done(&[&build[..], &["record.json"]].concat());
    let mut image = fs::read(bench.path("disk.img")).unwrap();
    // Behind the table, before the first partition.
    image[600 << 10] ^= 1;
    bench.write("other.img", &image);
    let outcome = bench.run(&["verify", "other.img", "--record", "record.json"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stdout);
    assert_eq!(outcome.stdout.matches("different").count(), 1);
    assert!(outcome.stdout.contains("the image: different"));
    bench.write(
        "empty.json",
        "{\"image\":\"disk.img\",\"size\":0,\"partitions\":[]}",
    );
    let outcome = bench.run(&["verify", "disk.img", "--record", "empty.json"]);
    assert_ne!(outcome.code, Some(0), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("the record has no digest"));
    // Of several images, the one with this name.
    let record = fs::read_to_string(bench.path("record.json")).unwrap();
    let several = format!("[{}, {record}]", record.replace("disk.img", "another.img"));
    bench.write("several.json", several);
    bench.done(&["verify", "disk.img", "--record", "several.json"]);
    let outcome = bench.run(&["verify", "other.img", "--record", "several.json"]);
    assert!(
        outcome
            .stderr
            .contains("the record is of 2 images (another.img, disk.img)"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn what_has_no_table_is_verified_too() {
    let bench = bench();
    bench.write(
        "image.toml",
        "[disk]\ntable = \"none\"\n[[partition]]\nname = \"root\"\noffset = \"32KiB\"\nsize = \"16MiB\"\nfilesystem = \"ext4\"\n\
         content = [{ directory = \"root\" }]\n",
    );
    let build = [
        "build",
        "image.toml",
        "-q",
        "-o",
        "disk.img",
        "--json",
        "record.json",
    ];
    bench.done(&build);
    let told = bench.done(&["verify", "disk.img", "image.toml"]);
    assert!(told.contains("\nroot: equal, path by path"), "{told}");
    bench.done(&["verify", "disk.img", "--record", "record.json"]);
    let content = ["mkfs", "ext4", "--content", "root", "--size", "16MiB", "-q"];
    bench.done(&[&content[..], &["-o", "one.img", "--json", "one.json"]].concat());
    bench.done(&["verify", "one.img", "--record", "one.json"]);
    let mut image = fs::read(bench.path("disk.img")).unwrap();
    let motd = image.windows(6).position(|it| it == b"hello\n").unwrap();
    image[motd] = b'j';
    bench.write("disk.img", image);
    for against in [&["image.toml"][..], &["--record", "record.json"]] {
        let outcome = bench.run(&[&["verify", "disk.img"], against].concat());
        assert_eq!(outcome.code, Some(1), "{}", outcome.stdout);
    }
}

#[test]
fn what_an_option_leaves_out_is_not_missed() {
    let bench = Bench::new();
    // An archive has attributes whatever the file system of the tests stores.
    let pax = "30 SCHILY.xattr.user.note=yes\n";
    let mut archive = tar::Builder::new(Vec::new());
    for (path, kind, content) in [
        ("pax", tar::EntryType::XHeader, pax),
        ("file", tar::EntryType::Regular, "content\n"),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_mtime(1_600_000_000);
        header.set_size(content.len() as u64);
        archive
            .append_data(&mut header, path, content.as_bytes())
            .unwrap();
    }
    bench.write("root.tar", archive.into_inner().unwrap());
    let spec = |options: &str| {
        let spec = format!(
            "[[partition]]\nname = \"root\"\ntype = \"linux-generic\"\nsize = \"minimum\"\nfilesystem = \"squashfs\"\n{options}\
             content = [{{ archive = \"root.tar\" }}]\n"
        );
        bench.write("image.toml", spec);
    };
    spec("options = { no-xattrs = \"yes\" }\n");
    bench.done(&["build", "image.toml", "-q", "-o", "disk.img", "--verify"]);
    let told = bench.done(&["verify", "disk.img", "image.toml"]);
    assert!(told.contains("root: equal, "), "{told}");
    // Without the option, what it left out is missed.
    spec("");
    let outcome = bench.run(&["verify", "disk.img", "image.toml"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("/file: attributes"),
        "{}",
        outcome.stdout
    );
}
