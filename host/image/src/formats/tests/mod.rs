//! What is written is read by programs that know nothing of it: random disks, as each format.
#![allow(clippy::unwrap_used)]

mod in_place;

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use cellblock_codec::Threads;
use cellblock_judges::judge;
use cellblock_tree::volume::Decoders;
use tempfile::TempDir;

use super::{Conversion, FormatError, OutputFormat};
use crate::disk::tests::here;
use crate::{Durability, Existing, ImageError, Scratch};

/// A generator of numbers (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Bytes that compress badly, well, or to nothing; never all zeros but when they are meant to be.
    fn bytes(&mut self, length: usize) -> Vec<u8> {
        match self.below(4) {
            0 => vec![0; length],
            1 => vec![b'x'; length],
            2 => (0..length)
                .map(|at| (at / 5 % 200).to_le_bytes()[0])
                .collect(),
            _ => (0..length).map(|_| self.next().to_le_bytes()[3]).collect(),
        }
    }
}

/// A disk of `size` bytes with data here and there.
fn disk(folder: &Path, size: u64, seed: u64) -> PathBuf {
    let path = folder.join("disk.img");
    let file = File::create(&path).unwrap();
    file.set_len(size).unwrap();
    let mut numbers = Numbers(seed | 1);
    for _ in 0..numbers.below(24) {
        let offset = numbers.below(size);
        let most = (size - offset).min(3 << 20);
        let length = usize::try_from(1 + numbers.below(most)).unwrap();
        let bytes = numbers.bytes(length);
        file.write_all_at(&bytes, offset).unwrap();
    }
    path
}

/// The sizes of disks: about blocks, grains and clusters, and about what a table of the second level maps.
const SIZES: [u64; 7] = [
    512,
    64 << 10,
    (1 << 20) + 512,
    3 << 20,
    (16 << 20) + 4096,
    70 << 20,
    (1 << 30) + (1 << 20),
];

/// The options of `text`, parted by commas.
fn options(text: &str) -> Vec<(String, String)> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn choose(name: &str, text: &str) -> Result<OutputFormat, FormatError> {
    OutputFormat::choose(Some(name), Path::new("x"), &options(text))
}

fn conversion<'a>(
    jobs: usize,
    decoders: &'a Arc<dyn Decoders>,
    watch: &'a dyn Fn(u64),
) -> Conversion<'a> {
    Conversion {
        jobs,
        codecs: &Threads,
        decoders,
        time: Some(1_709_294_400),
        name: "disk",
        watch,
    }
}

fn try_export(
    from: &Path,
    to: &Path,
    name: &str,
    text: &str,
    jobs: usize,
) -> Result<(), ImageError> {
    let image = Existing::open(from).unwrap();
    let done = std::cell::Cell::new(0);
    let (decoders, watch) = (here(), |count| done.set(done.get() + count));
    let how = conversion(jobs, &decoders, &watch);
    let format = choose(name, text).unwrap();
    let made = image.convert(&Scratch::beside(to), &format, &how)?;
    assert_eq!(done.get(), image.size(), "{name},{text}");
    made.publish(to, Durability::Written).unwrap();
    Ok(())
}

fn export(from: &Path, to: &Path, name: &str, text: &str, jobs: usize) {
    try_export(from, to, name, text, jobs).unwrap();
}

/// Does something with each disk as a format; with the largest if the format does not spell out its holes.
fn each(name: &str, text: &str, mut look: impl FnMut(&TempDir, &Path, &Path, u64)) {
    let is_spelled_out = name.starts_with("raw.") || name == "simg";
    let count = SIZES.len() - usize::from(is_spelled_out);
    for (seed, size) in (0x9e37_79b9..).zip(&SIZES[..count]) {
        let size = *size;
        let folder = TempDir::new().unwrap();
        let disk = disk(folder.path(), size, seed);
        let made = folder.path().join("made");
        export(&disk, &made, name, text, 3);
        look(&folder, &disk, &made, size);
    }
}

fn assert_same(one: &Path, other: &Path, what: &str) {
    let (one, other) = (fs::read(one).unwrap(), fs::read(other).unwrap());
    assert_eq!(one.len(), other.len(), "{what}");
    assert!(one == other, "{what}");
}

/// QEMU reads the disk, as `format`.
fn qemu_agrees(made: &Path, disk: &Path, format: &str, what: &str) {
    let Some(qemu) = judge("qemu-img") else {
        return;
    };
    let mut command = qemu.command();
    command.args(["compare", "-f", format, "-F", "raw"]);
    let said = command.arg(made).arg(disk).output().unwrap();
    assert!(said.status.success(), "{what}: {said:?}");
    // Another size would be a warning.
    assert_eq!(said.stdout, b"Images are identical.\n", "{what}");
}

fn qemu_finds_no_fault(made: &Path, format: &str, what: &str) {
    if let Some(qemu) = judge("qemu-img") {
        let said = qemu.content_with(&["check", "-f", format], made);
        assert!(said.contains("No errors were found"), "{what}: {said}");
    }
}

#[test]
fn qcow2_is_read_by_qemu_and_counts_what_it_holds() {
    for text in [
        "",
        "cluster_size=512",
        "cluster_size=4k",
        "cluster_size=2M",
        "compression_type=zlib",
        "compression_type=zstd",
        "compression_type=zlib,cluster_size=512",
        "compression_type=zstd,cluster_size=4KiB,compression_level=1",
        "compression_type=zlib,cluster_size=2MiB,compression_level=12",
    ] {
        each("qcow2", text, |_, disk, made, size| {
            let what = format!("{text} {size}");
            qemu_finds_no_fault(made, "qcow2", &what);
            qemu_agrees(made, disk, "qcow2", &what);
        });
    }
}

#[test]
fn qcow2_is_what_was_asked_for_and_has_room_for_nothing_else() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("disk.img");
    let file = File::create(&path).unwrap();
    file.set_len(100 << 30).unwrap();
    file.write_all_at(&[7; 1000], 50 << 30).unwrap();
    let made = folder.path().join("made");
    for text in ["", "compression_type=zstd"] {
        export(&path, &made, "qcow2", text, 2);
        // A header, the cluster, both levels of tables, and the counts with theirs.
        assert_eq!(fs::metadata(&made).unwrap().len(), 6 * (64 << 10), "{text}");
    }
    if let Some(qemu) = judge("qemu-img") {
        let said = qemu.content_with(&["info", "--output", "json"], &made);
        for words in [
            "\"virtual-size\": 107374182400",
            "\"compat\": \"1.1\"",
            "\"compression-type\": \"zstd\"",
            "\"refcount-bits\": 16",
            "\"corrupt\": false",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
}

#[test]
fn qcow2_of_many_small_clusters_is_counted_in_many_blocks() {
    // With clusters of 512 bytes a block counts 256 of them: here, several hundred blocks and a table of several clusters.
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("disk.img");
    let mut numbers = Numbers(99);
    let bytes: Vec<u8> = (0..40 << 20)
        .map(|at: u32| {
            let noise = numbers.next().to_le_bytes()[0];
            if at.is_multiple_of(3) { noise } else { b'y' }
        })
        .collect();
    fs::write(&path, bytes).unwrap();
    for text in ["cluster_size=512", "cluster_size=512,compression_type=zlib"] {
        let made = folder.path().join("made");
        export(&path, &made, "qcow2", text, 3);
        qemu_finds_no_fault(&made, "qcow2", text);
        qemu_agrees(&made, &path, "qcow2", text);
    }
}

#[test]
fn vmdk_is_read_by_qemu() {
    for text in [
        "",
        "compression_level=1",
        "adapter_type=lsilogic,hwversion=13",
        "subformat=monolithicSparse",
    ] {
        each("vmdk", text, |_, disk, made, size| {
            let what = format!("{text} {size}");
            qemu_finds_no_fault(made, "vmdk", &what);
            qemu_agrees(made, disk, "vmdk", &what);
        });
    }
}

#[test]
fn vhd_is_read_by_qemu() {
    each("vhd", "subformat=dynamic", |_, disk, made, size| {
        qemu_agrees(made, disk, "vpc", &format!("dynamic {size}"));
    });
    for (seed, size) in (7..).zip([1 << 20, 3 << 20, 70 << 20, 600 << 20]) {
        let folder = TempDir::new().unwrap();
        let disk = disk(folder.path(), size, seed);
        let made = folder.path().join("made");
        export(&disk, &made, "vpc", "subformat=fixed", 2);
        assert_eq!(fs::metadata(&made).unwrap().len(), size + 512);
        qemu_agrees(&made, &disk, "vpc", &format!("fixed {size}"));
    }
}

#[test]
fn vhdx_is_read_by_qemu() {
    for text in ["", "block_size=8M"] {
        each("vhdx", text, |_, disk, made, size| {
            let what = format!("{text} {size}");
            qemu_finds_no_fault(made, "vhdx", &what);
            qemu_agrees(made, disk, "vhdx", &what);
        });
    }
}

/// Between the entries of blocks there are some for bits: here every 4096, and every 16.
#[test]
fn a_large_vhdx_has_entries_for_bits_between_those_of_blocks() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("disk.img");
    let file = File::create(&path).unwrap();
    file.set_len(9 << 30).unwrap();
    for at in [0, (4 << 30) - 512, 4 << 30, (8 << 30) + 5, (9 << 30) - 512] {
        file.write_all_at(&[7; 512], at).unwrap();
    }
    for text in ["", "block_size=256M"] {
        let made = folder.path().join("made");
        export(&path, &made, "vhdx", text, 2);
        qemu_finds_no_fault(&made, "vhdx", text);
        qemu_agrees(&made, &path, "vhdx", text);
    }
}

#[test]
fn a_fixed_vhd_has_whole_mebibytes() {
    let folder = TempDir::new().unwrap();
    let disk = disk(folder.path(), (1 << 20) + 512, 5);
    let made = folder.path().join("made");
    let error = try_export(&disk, &made, "vhd", "", 1).unwrap_err();
    let expected = "the disk cannot be written as vhd: the disk has 1 049 088 bytes";
    assert!(error.to_string().starts_with(expected), "{error}");
    assert!(!made.exists());
}

/// What a program that decompresses makes of each disk.
fn decompresses(name: &str, text: &str, program: &str, test: &[&str]) {
    each(name, text, |folder, disk, made, size| {
        let Some(judge) = judge(program) else {
            return;
        };
        judge.content_with(test, made);
        let plain = folder.path().join("plain");
        let mut command = judge.command();
        command.arg("-dc").stdin(File::open(made).unwrap());
        command.stdout(File::create(&plain).unwrap());
        assert!(command.stderr(Stdio::null()).status().unwrap().success());
        assert_same(&plain, disk, &format!("{name} {text} {size}"));
    });
}

#[test]
fn zst_is_read_by_zstd() {
    decompresses("raw.zst", "", "zstd", &["-tq"]);
    decompresses(
        "raw.zst",
        "frame_size=64k,compression_level=1",
        "zstd",
        &["-tq"],
    );
}

#[test]
fn gz_is_read_by_gzip() {
    decompresses("raw.gz", "", "gzip", &["-t"]);
}

#[test]
fn xz_is_read_by_xz() {
    decompresses("raw.xz", "compression_level=0", "xz", &["-tq"]);
}

/// The table at the end leads to frames that are read alone.
#[test]
fn frames_are_where_the_seek_table_says() {
    let frame: u32 = 64 << 10;
    each("raw.zst", "frame_size=64KiB", |_, disk, made, size| {
        let (bytes, plain) = (fs::read(made).unwrap(), fs::read(disk).unwrap());
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let end = bytes.len();
        assert_eq!(word(end - 4), 0x8f92_eab1);
        let count = word(end - 9) as usize;
        assert_eq!(count as u64, size.div_ceil(frame.into()));
        let table = end - 9 - count * 8;
        assert_eq!(
            (word(table - 8), word(table - 4) as usize),
            (0x184d_2a5e, end - table)
        );
        let (mut packed, mut unpacked) = (0, 0);
        for entry in (table..end - 9).step_by(8) {
            let (here, there) = (word(entry) as usize, word(entry + 4) as usize);
            let found = cellblock_codec::decode(
                cellblock_codec::Method::Zstd,
                &bytes[packed..packed + here],
                there,
            );
            assert!(found.unwrap() == plain[unpacked..unpacked + there]);
            (packed, unpacked) = (packed + here, unpacked + there);
        }
        assert_eq!((packed, unpacked), (table - 8, plain.len()));
    });
}

#[test]
fn android_sparse_is_read_by_simg2img() {
    each("simg", "block_size=512", |folder, disk, made, size| {
        let Some(judge) = judge("simg2img") else {
            return;
        };
        let plain = folder.path().join("plain");
        let mut command = judge.command();
        let done = command.arg(made).arg(&plain).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        assert_same(&plain, disk, &format!("simg {size}"));
    });
}

#[test]
fn bmap_is_what_bmaptool_copies_by() {
    each("bmap", "", |folder, disk, made, size| {
        let Some(judge) = judge("bmaptool") else {
            return;
        };
        let copy = folder.path().join("copy");
        let mut command = judge.command();
        command.args(["copy", "--bmap"]).arg(made);
        let done = command.arg(disk).arg(&copy).output().unwrap();
        assert!(done.status.success(), "{size}: {done:?}");
        assert_same(&copy, disk, &format!("bmap {size}"));
    });
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let folder = TempDir::new().unwrap();
    let disk = disk(folder.path(), 40 << 20, 77);
    for (name, text) in [
        ("qcow2", ""),
        ("qcow2", "compression_type=zstd"),
        ("qcow2", "compression_type=zlib,cluster_size=512"),
        ("vmdk", ""),
        ("vmdk", "subformat=monolithicSparse"),
        ("vhd", ""),
        ("vhd", "subformat=dynamic"),
        ("vhdx", ""),
        ("raw.zst", "frame_size=64k"),
        ("raw.gz", ""),
        ("raw.xz", "compression_level=0"),
        ("simg", ""),
        ("bmap", ""),
        ("raw", ""),
    ] {
        let (one, many) = (folder.path().join("one"), folder.path().join("many"));
        export(&disk, &one, name, text, 1);
        export(&disk, &many, name, text, 7);
        assert_same(&one, &many, &format!("{name},{text}"));
    }
}

#[test]
fn formats_are_chosen_by_suffix_or_by_name() {
    let of = |path: &str| OutputFormat::choose(None, Path::new(path), &[]).map(|it| it.name());
    for (path, format) in [
        ("disk", "raw"),
        ("disk.img", "raw"),
        ("disk.anything", "raw"),
        (".qcow2", "raw"),
        ("a.b.QCOW2", "qcow2"),
        ("x/disk.raw.zst", "raw.zst"),
        ("disk.gz", "raw.gz"),
        ("disk.img.xz", "raw.xz"),
        ("disk.vhd", "vhd"),
        ("disk.vhdx", "vhdx"),
        ("disk.simg", "simg"),
        ("disk.ova", "ova"),
    ] {
        assert_eq!(of(path), Ok(format), "{path}");
    }
    for path in ["d.vdi", "d.tar", "d.tar.gz", "d.img.bz2"] {
        let wrong = of(path).unwrap_err();
        assert!(matches!(wrong, FormatError::NotWritten { .. }), "{path}");
    }
    let wrong = |name, text| choose(name, text).unwrap_err().to_string();
    assert!(wrong("qcow", "").contains("did you mean qcow2?"));
    assert!(wrong("qcow2", "cluster_sise=4k").contains("did you mean cluster_size?"));
    assert!(wrong("qcow2", "cluster_size=3k").contains("a power of two from 512 to 2097152"));
    assert!(wrong("qcow2", "compression_type=lzma").contains("it is none or zlib or zstd"));
    assert!(wrong("qcow2", "compression_level=3").contains("without compression_type"));
    assert!(wrong("bmap", "a=b").contains("it has none"));
    assert!(wrong("vhd", "subformat=fixed,subformat=dynamic").contains("said twice"));
}

/// What QEMU sees through both, and what of them is stored.
#[test]
fn a_qcow2_over_a_base_stores_what_differs_and_qemu_sees_the_disk() {
    for (seed, size) in (3..).zip([64 << 10, (3 << 20) + 512, 40 << 20]) {
        for text in [
            "",
            "compression_type=zstd",
            "compression_type=zlib,cluster_size=512",
            "cluster_size=2M",
        ] {
            let folder = TempDir::new().unwrap();
            let disk = disk(folder.path(), size, seed);
            // The base is shorter or longer, has other bytes here and there, and data where the disk has none.
            let base = folder.path().join("base.img");
            fs::copy(&disk, &base).unwrap();
            let file = File::options().write(true).open(&base).unwrap();
            file.set_len(if seed == 4 {
                size / 2 / 512 * 512
            } else {
                size + (1 << 20)
            })
            .unwrap();
            file.write_all_at(&[9; 700], size / 3).unwrap();
            for (name, kind) in [("base.img", "raw"), ("base.qcow2", "qcow2")] {
                if kind == "qcow2" {
                    let path = folder.path().join(name);
                    export(&base, &path, "qcow2", "compression_type=zlib", 2);
                }
                let made = folder.path().join("made");
                let text = format!("{text},backing_file={name}");
                export_beside(&disk, &made, &text, 3);
                let what = format!("{text} {size} {kind}");
                qemu_finds_no_fault(&made, "qcow2", &what);
                qemu_agrees(&made, &disk, "qcow2", &what);
                if let Some(qemu) = judge("qemu-img") {
                    let said = qemu.content_with(&["info", "--output", "json"], &made);
                    for words in [
                        format!("\"backing-filename\": \"{name}\""),
                        format!("\"backing-filename-format\": \"{kind}\""),
                    ] {
                        assert!(said.contains(&words), "{what}: {said}");
                    }
                }
            }
        }
    }
}

/// Exports as a qcow2 whose options are relative to its folder.
fn export_beside(from: &Path, to: &Path, text: &str, jobs: usize) {
    let image = Existing::open(from).unwrap();
    let how = Conversion {
        jobs,
        codecs: &Threads,
        decoders: &here(),
        time: None,
        name: "disk",
        watch: &|_| {},
    };
    let format = OutputFormat::choose(Some("qcow2"), to, &options(text)).unwrap();
    let made = image.convert(&Scratch::beside(to), &format, &how).unwrap();
    made.publish(to, Durability::Written).unwrap();
}

#[test]
fn a_disk_that_is_its_base_is_little_more_than_a_header() {
    let folder = TempDir::new().unwrap();
    let disk = disk(folder.path(), 40 << 20, 11);
    let made = folder.path().join("made");
    export_beside(&disk, &made, "backing_file=disk.img,backing_fmt=raw", 2);
    // The header, the first-level table, and the counts with their table.
    assert_eq!(fs::metadata(&made).unwrap().len(), 4 * (64 << 10));
    let wrong = |text| choose("qcow2", text).unwrap_err().to_string();
    assert!(wrong("backing_fmt=raw").contains("without backing_file"));
    assert!(wrong("backing_file=nbd:x").contains("begins with ./"));
    assert!(wrong("backing_file=x,backing_fmt=vmdk").contains("raw or qcow2"));
}
