//! What is read is what QEMU has written, and what is damaged is refused.
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cellblock_codec::{Form, Unpacker};
use cellblock_judges::judge;
use cellblock_tree::volume::{Coding, Decoder, Decoders, EncodedBlock};
use tempfile::TempDir;

use super::*;

/// Decoders of this process.
#[derive(Debug)]
struct Here;

impl Decoders for Here {
    fn start(&self) -> io::Result<Box<dyn Decoder>> {
        Ok(Box::new(Unpacks(Unpacker::new())))
    }
}

struct Unpacks(Unpacker);

impl Decoder for Unpacks {
    fn decode(&mut self, block: &EncodedBlock, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let form = match block.coding {
            Coding::Deflate => Form::Deflate,
            Coding::Zlib => Form::Zlib,
            Coding::Zstd => Form::Zstd,
            other => panic!("{other:?}"),
        };
        let most = block.decoded as usize;
        let unpacked = self.0.unpack(form, bytes, block.padded, most);
        unpacked.map_err(io::Error::other)
    }
}

pub(crate) fn here() -> Arc<dyn Decoders> {
    Arc::new(Here)
}

fn open(path: &Path) -> io::Result<VirtualDisk> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok(VirtualDisk::open(&file, length, &here())?.expect("a format that is read"))
}

/// A plain disk with text, noise and zeros, and holes between them.
fn plain(folder: &Path, size: u64) -> PathBuf {
    let path = folder.join("plain.img");
    let file = File::create(&path).unwrap();
    file.set_len(size).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = |length: usize| -> Vec<u8> {
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        };
        (0..length).map(next).collect()
    };
    let text: Vec<u8> = (0..60_000)
        .flat_map(|line| format!("{line}\n").into_bytes())
        .collect();
    for (at, bytes) in [
        (0, noise(512)),
        (100_000, text.clone()),
        (3 << 20, noise(1 << 20)),
        (5 << 20, vec![0; 1 << 20]),
        ((7 << 20) + 12_288, text),
        (9 << 20, vec![7; 70_000]),
        (size - 512, noise(512)),
    ] {
        let room = usize::try_from(size.saturating_sub(at)).unwrap();
        file.write_all_at(&bytes[..bytes.len().min(room)], at)
            .unwrap();
    }
    path
}

/// The disk is the plain one: read as a whole, in odd pieces, and where it says that there is data.
fn assert_is(disk: &VirtualDisk, plain: &Path, what: &str) {
    let expected = fs::read(plain).unwrap();
    let size = usize::try_from(disk.size()).unwrap();
    // Some formats round up.
    assert!(
        size >= expected.len() && size < expected.len() + (2 << 20),
        "{what}: {size}"
    );
    let expected = |range: Range<usize>| -> Vec<u8> {
        let mut bytes = expected
            .get(range.start..range.end.min(expected.len()))
            .unwrap_or_default()
            .to_vec();
        bytes.resize(range.len(), 0);
        bytes
    };
    for step in [1 << 20, 99_991] {
        for start in (0..size).step_by(step) {
            let end = (start + step).min(size);
            let mut found = vec![1; end - start];
            disk.read(start as u64, &mut found).unwrap();
            assert!(found == expected(start..end), "{what}: {start} to {end}");
        }
    }
    let mut found = vec![0; size];
    for range in disk.extents(0..disk.size()).unwrap() {
        let part = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        disk.read(range.start, &mut found[part]).unwrap();
    }
    assert!(found == expected(0..size), "{what}: extents");
    assert!(disk.read(disk.size(), &mut [0]).is_err(), "{what}");
}

/// What `qemu-img` makes of the plain disk.
fn converted(
    folder: &Path,
    plain: &Path,
    format: &str,
    options: &str,
    more: &[&str],
) -> Option<PathBuf> {
    let qemu = judge("qemu-img")?;
    let made = folder.join("made");
    let mut command = qemu.command();
    command
        .args(["convert", "-f", "raw", "-O", format])
        .args(more);
    if !options.is_empty() {
        command.args(["-o", options]);
    }
    let said = command.arg(plain).arg(&made).output().unwrap();
    assert!(said.status.success(), "{format} {options}: {said:?}");
    Some(made)
}

#[test]
fn qcow2_of_qemu_is_read() {
    for (options, more) in [
        ("", &[][..]),
        ("compat=0.10", &[]),
        ("compat=0.10,cluster_size=4k", &["-c"]),
        ("cluster_size=512", &[]),
        ("cluster_size=512", &["-c"]),
        ("cluster_size=2M", &[]),
        ("cluster_size=2M,compression_type=zstd", &["-c"]),
        ("", &["-c"]),
        ("compression_type=zstd", &["-c"]),
        ("preallocation=metadata", &[]),
        ("preallocation=falloc", &[]),
        ("preallocation=full", &["-S", "0"]),
        ("extended_l2=on", &[]),
        ("extended_l2=on,cluster_size=128k", &["-c"]),
        ("lazy_refcounts=on,refcount_bits=1", &[]),
    ] {
        for size in [16 << 20, (10 << 20) + 512] {
            let folder = TempDir::new().unwrap();
            let plain = plain(folder.path(), size);
            let Some(made) = converted(folder.path(), &plain, "qcow2", options, more) else {
                return;
            };
            assert_is(
                &open(&made).unwrap(),
                &plain,
                &format!("{options} {more:?} {size}"),
            );
        }
    }
}

#[test]
fn parts_of_clusters_are_read_where_they_were_written_alone() {
    let Some(qemu_io) = judge("qemu-io") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let (plain, made) = (folder.path().join("plain"), folder.path().join("made"));
    let (plain_file, size) = (File::create(&plain).unwrap(), 8 << 20);
    plain_file.set_len(size).unwrap();
    let Some(qemu) = judge("qemu-img") else {
        return;
    };
    let mut command = qemu.command();
    command.args([
        "create",
        "-q",
        "-f",
        "qcow2",
        "-o",
        "extended_l2=on,cluster_size=64k",
    ]);
    assert!(command.arg(&made).arg("8M").status().unwrap().success());
    let mut command = qemu_io.command();
    command.args(["-f", "qcow2"]);
    for (at, length, byte) in [(4096, 2048, 3), (70_000, 3, 9), (200_704, 131_072, 5)] {
        command.args(["-c", &format!("write -P {byte} {at} {length}")]);
        plain_file
            .write_all_at(&vec![byte; length], at.try_into().unwrap())
            .unwrap();
    }
    command.args(["-c", "write -z 204800 4096"]);
    plain_file.write_all_at(&[0; 4096], 204_800).unwrap();
    let said = command.arg(&made).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    assert_is(&open(&made).unwrap(), &plain, "subclusters");
}

#[test]
fn vmdk_of_qemu_is_read() {
    for (options, more) in [
        ("", &[][..]),
        ("subformat=monolithicSparse", &[]),
        ("subformat=streamOptimized", &[]),
        ("subformat=monolithicSparse,zeroed_grain=on", &["-S", "0"]),
        ("adapter_type=lsilogic,hwversion=13", &[]),
    ] {
        for size in [16 << 20, (10 << 20) + 512] {
            let folder = TempDir::new().unwrap();
            let plain = plain(folder.path(), size);
            let Some(made) = converted(folder.path(), &plain, "vmdk", options, more) else {
                return;
            };
            assert_is(&open(&made).unwrap(), &plain, &format!("{options} {size}"));
        }
    }
}

#[test]
fn vhd_of_qemu_is_read() {
    for options in [
        "",
        "force_size=on",
        "subformat=fixed",
        "subformat=fixed,force_size=on",
    ] {
        for size in [16 << 20, (10 << 20) + 512] {
            let folder = TempDir::new().unwrap();
            let plain = plain(folder.path(), size);
            let Some(made) = converted(folder.path(), &plain, "vpc", options, &[]) else {
                return;
            };
            assert_is(&open(&made).unwrap(), &plain, &format!("{options} {size}"));
        }
    }
}

/// Why a disk is not opened, or what is in it not read.
fn refused(path: &Path) -> String {
    let read = |disk: VirtualDisk| -> io::Result<()> {
        disk.extents(0..disk.size())?;
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0;
        while at < disk.size() {
            let count = crate::copy::at_most(disk.size() - at, buffer.len());
            disk.read(at, &mut buffer[..count])?;
            at += count as u64;
        }
        Ok(())
    };
    open(path).and_then(read).unwrap_err().to_string()
}

#[test]
fn what_leads_out_of_the_file_is_refused_and_named() {
    let Some(qemu) = judge("qemu-img") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = |arguments: &[&str]| {
        let said = qemu
            .command()
            .current_dir(folder.path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(said.status.success(), "{arguments:?}: {said:?}");
    };
    plain(folder.path(), 1 << 20);
    run(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-b",
        "plain.img",
        "-F",
        "raw",
        "over.qcow2",
    ]);
    run(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-o",
        "data_file=data.raw",
        "out.qcow2",
        "1M",
    ]);
    run(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "--object",
        "secret,id=s,data=x",
        "-o",
        "encrypt.format=luks,encrypt.key-secret=s",
        "l.qcow2",
        "1M",
    ]);
    run(&[
        "create",
        "-q",
        "-f",
        "vmdk",
        "-o",
        "subformat=monolithicFlat",
        "flat.vmdk",
        "1M",
    ]);
    run(&[
        "create",
        "-q",
        "-f",
        "vmdk",
        "-o",
        "subformat=twoGbMaxExtentSparse",
        "split.vmdk",
        "1M",
    ]);
    run(&["create", "-q", "-f", "vmdk", "base.vmdk", "1M"]);
    run(&[
        "create",
        "-q",
        "-f",
        "vmdk",
        "-b",
        "base.vmdk",
        "-F",
        "vmdk",
        "over.vmdk",
    ]);
    for (file, words) in [
        (
            "over.qcow2",
            "in plain.img, and no file that an image names is opened",
        ),
        ("out.qcow2", "its data is in data.raw,"),
        ("l.qcow2", "it is encrypted (LUKS)"),
        (
            "flat.vmdk",
            "its data is in flat-flat.vmdk, and no file that an image names is opened: that is the plain disk",
        ),
        (
            "split.vmdk",
            "its data is in split-s001.vmdk, and no file that an image names is opened",
        ),
        (
            "over.vmdk",
            "in base.vmdk, and no file that an image names is opened",
        ),
    ] {
        let said = refused(&path(file));
        assert!(said.contains(words), "{file}: {said}");
    }
}

/// A file with bytes changed, and its other bytes as they were.
struct Damage {
    folder: TempDir,
    sound: Vec<u8>,
}

impl Damage {
    fn of(sound: &Path) -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            sound: fs::read(sound).unwrap(),
        }
    }

    fn refused(&self, changes: &[(usize, &[u8])]) -> String {
        let mut bytes = self.sound.clone();
        for (at, new) in changes {
            bytes[*at..*at + new.len()].copy_from_slice(new);
        }
        let path = self.folder.path().join("damaged");
        fs::write(&path, bytes).unwrap();
        refused(&path)
    }
}

fn big(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
}

#[test]
fn a_damaged_qcow2_is_refused_whatever_its_numbers_claim() {
    let folder = TempDir::new().unwrap();
    let made = ours(
        folder.path(),
        "qcow2",
        "compression_type=zstd,cluster_size=4k",
    );
    let damage = Damage::of(&made);
    let first = big(&damage.sound, 40);
    let second = big(&damage.sound, first) & 0x00ff_ffff_ffff_fe00;
    let last = u64::MAX.to_be_bytes();
    for (changes, words) in [
        (
            &[(4, &[0, 0, 0, 1][..])][..],
            "of version 1, and versions 2 and 3 are read",
        ),
        (&[(4, &[0, 0, 0, 4])], "of version 4"),
        (
            &[(20, &[0, 0, 0, 8])],
            "the logarithm of the bytes of a cluster is 8",
        ),
        (&[(20, &[0, 0, 0, 63])], "is 63, and has to be 9 to 21"),
        (
            &[(24, &last)],
            "the number of entries of its first table is",
        ),
        // 2^60 bytes, and as many entries as fit into the number.
        (
            &[(24, &[0x10]), (36, &[0xff; 4])],
            "first table is 4294967295, and has to be 549755813",
        ),
        (
            &[(24, &[0, 0, 0x10]), (36, &[0xff; 4])],
            "has to be at most 4194304",
        ),
        (&[(40, &last)], "its first table would be at byte"),
        (
            &[(72, &[0x80])],
            "features that are not known, by the bits 0x8000000000000000",
        ),
        (&[(79, &[0x0a])], "it is marked as corrupt"),
        (&[(104, &[7])], "the kind of compression is 7"),
        (
            &[(first, &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0, 0])],
            "an entry of a second-level table would be at byte",
        ),
        // Behind the end: plain, and compressed.
        (
            &[(second, &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0, 0])],
            "data would be at byte",
        ),
        (
            &[(second, &[0x43, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
            "what is compressed would be at byte",
        ),
        // Compressed bytes that are none.
        (
            &[(second, &[0x40, 0, 0, 0, 0, 0, 0, 0])],
            "what is compressed at byte 0 cannot be read: libzstd",
        ),
    ] {
        let said = damage.refused(changes);
        assert!(said.contains(words), "{words}: {said}");
    }
    // One table in two places, and one cluster in all.
    let table = &damage.sound[first..first + 8];
    let said = damage.refused(&[(first + 8, table)]);
    assert!(
        said.contains("a second-level table at byte") && said.contains("is used twice"),
        "{said}"
    );
    let plain = ours(folder.path(), "qcow2", "cluster_size=64k");
    let damage = Damage::of(&plain);
    let first = big(&damage.sound, 40);
    let second = big(&damage.sound, first) & 0x00ff_ffff_ffff_fe00;
    let cluster = damage.sound[second..second + 8].repeat(8192);
    let said = damage.refused(&[(24, &[0, 0, 0, 0, 0x20, 0, 0, 0]), (second, &cluster)]);
    assert!(
        said.contains("would be more data than its file has room for"),
        "{said}"
    );
}

/// What this program makes of a plain disk.
fn ours(folder: &Path, format: &str, options: &str) -> PathBuf {
    let plain = plain(folder, 10 << 20);
    let image = crate::Existing::open(&plain).unwrap();
    let how = crate::Conversion {
        jobs: 2,
        codecs: &cellblock_codec::Threads,
        decoders: &here(),
        time: None,
        name: "disk",
        watch: &|_| {},
    };
    let options: Vec<_> = options
        .split(',')
        .filter_map(|it| it.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let format = crate::OutputFormat::choose(Some(format), Path::new("x"), &options).unwrap();
    let made = folder.join("ours");
    let scratch = crate::Scratch::beside(&made);
    let image = image.convert(&scratch, &format, &how).unwrap();
    image.publish(&made, crate::Durability::Written).unwrap();
    made
}

#[test]
fn what_this_program_writes_it_reads() {
    for (format, options) in [
        ("qcow2", ""),
        ("qcow2", "compression_type=zlib"),
        ("qcow2", "compression_type=zstd,cluster_size=2M"),
        ("qcow2", "compression_type=zlib,cluster_size=512"),
        ("vmdk", ""),
        ("vmdk", "subformat=monolithicSparse"),
        ("vhd", ""),
        ("vhd", "subformat=dynamic"),
    ] {
        let folder = TempDir::new().unwrap();
        let made = ours(folder.path(), format, options);
        let plain = folder.path().join("plain.img");
        assert_is(
            &open(&made).unwrap(),
            &plain,
            &format!("{format} {options}"),
        );
    }
}

#[test]
fn a_damaged_vmdk_is_refused_whatever_its_numbers_claim() {
    let folder = TempDir::new().unwrap();
    let made = ours(folder.path(), "vmdk", "");
    let damage = Damage::of(&made);
    // The header that counts is the one before the last marker.
    let footer = damage.sound.len() - 1024;
    let little = |at: usize| {
        usize::try_from(u32::from_le_bytes(
            damage.sound[at..at + 4].try_into().unwrap(),
        ))
        .unwrap()
    };
    let directory = little(footer + 56) * 512;
    let table = little(directory) * 512;
    let grain = little(table) * 512;
    for (changes, words) in [
        (
            &[(footer, &b"K"[..]), (footer + 3, b"X")][..],
            "the footer of the stream",
        ),
        (&[(footer + 4, &[9])], "of version 9"),
        (
            &[(footer + 12, &[0xff; 8])],
            "the number of sectors of the disk",
        ),
        (
            &[(footer + 12, &[0, 0, 0, 0, 0, 0, 0x10, 0])],
            "the number of entries of its first table",
        ),
        (
            &[(footer + 20, &[3])],
            "the number of sectors of a grain is 3",
        ),
        (
            &[(footer + 20, &[0; 8])],
            "the number of sectors of a grain is 0",
        ),
        (
            &[(footer + 44, &[0; 4])],
            "the number of entries of a table is 0",
        ),
        (
            &[(footer + 44, &[0xff; 4])],
            "the number of entries of a table is 4294967295",
        ),
        (
            &[(footer + 56, &[0xff; 7])],
            "its directory of tables would be at byte",
        ),
        (&[(footer + 77, &[2])], "the kind of compression is 2"),
        (
            &[(directory, &[0xff; 4])],
            "an entry of a table of grains would be at byte",
        ),
        (
            &[(table, &[0xff; 4])],
            "the marker of a grain would be at byte",
        ),
        (
            &[(grain, &[1])],
            "the sector that a grain says it is of is 1",
        ),
        (
            &[(grain + 8, &[0xff; 4])],
            "what is compressed would be at byte",
        ),
        (&[(grain + 12, &[0xff; 8])], "libdeflate"),
        (&[(28, &[0; 8])], "one of several files"),
    ] {
        let said = damage.refused(changes);
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_damaged_vhd_is_refused_whatever_its_numbers_claim() {
    let folder = TempDir::new().unwrap();
    let made = ours(folder.path(), "vhd", "subformat=dynamic");
    let damage = Damage::of(&made);
    // Checksums are made right again.
    let summed = |start: usize, length: usize, checksum: usize, changes: &[(usize, &[u8])]| {
        let mut part = damage.sound[start..start + length].to_vec();
        for (at, new) in changes {
            part[*at..*at + new.len()].copy_from_slice(new);
        }
        part[checksum..checksum + 4].fill(0);
        let sum = !part.iter().map(|it| u32::from(*it)).sum::<u32>();
        part[checksum..checksum + 4].copy_from_slice(&sum.to_be_bytes());
        damage.refused(&[(start, &part)])
    };
    let of_footer = |changes: &[(usize, &[u8])]| summed(0, 512, 64, changes);
    let of_header = |changes: &[(usize, &[u8])]| summed(512, 1024, 36, changes);
    for (said, words) in [
        (
            damage.refused(&[(50, &[1])]),
            "the checksum of its footer is wrong",
        ),
        (
            damage.refused(&[(520, &[1])]),
            "the checksum of its header is wrong",
        ),
        (
            of_footer(&[(60, &[0, 0, 0, 9])]),
            "the type of the disk is 9",
        ),
        (
            of_footer(&[(60, &[0, 0, 0, 4])]),
            "another file, without a name",
        ),
        (
            of_footer(&[(48, &[0xff; 8])]),
            "the number of blocks of its table is",
        ),
        (
            of_footer(&[(16, &[0xff; 8])]),
            "its header would be at byte",
        ),
        (of_header(&[(32, &[0; 4])]), "the bytes of a block is 0"),
        (
            of_header(&[(32, &[0, 0, 1, 0])]),
            "the bytes of a block is 256",
        ),
        (
            of_header(&[(16, &[0xff; 8])]),
            "its table of blocks would be at byte",
        ),
        (
            damage.refused(&[(1536, &[0x7f, 0xff, 0xff, 0xff])]),
            "data would be at byte",
        ),
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let block = damage.sound[1536..1540].to_vec();
    let said = damage.refused(&[(1540, &block)]);
    assert!(
        said.contains("a block at byte") && said.contains("is used twice"),
        "{said}"
    );
}

#[test]
fn ranges_are_few_however_many_there_are() {
    let mut ranges = Ranges::default();
    for at in 0..3_000_000_u64 {
        ranges.add(at * 1000..at * 1000 + 10);
    }
    assert!(ranges.found.len() <= MOST_RANGES);
    assert_eq!(ranges.found[0].start, 0);
    assert_eq!(ranges.found.last().unwrap().end, 2_999_999_010);
}
