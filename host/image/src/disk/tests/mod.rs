//! What is read is what QEMU has written, and what is damaged is refused.
#![allow(clippy::unwrap_used)]

mod as_qemu;
mod damaged;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cellblock_codec::{Form, Unpacker};
use cellblock_judges::judge;
use cellblock_tree::volume::{Coding, Decoder, Decoders, Decoding};
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
    fn decode(&mut self, one: &mut Decoding<'_>) -> io::Result<()> {
        let form = match one.block.coding {
            Coding::Deflate => Form::Deflate,
            Coding::Zlib => Form::Zlib,
            Coding::Zstd => Form::Zstd,
            other => panic!("{other:?}"),
        };
        let found = (self.0).unpack_into(form, one.bytes, one.block.padded, one.content);
        one.came = found.map_err(io::Error::other)?;
        Ok(())
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
fn ranges_are_few_however_many_there_are() {
    let mut ranges = Ranges::default();
    for at in 0..3_000_000_u64 {
        ranges.add(at * 1000..at * 1000 + 10);
    }
    assert!(ranges.found.len() <= MOST_RANGES);
    assert_eq!(ranges.found[0].start, 0);
    assert_eq!(ranges.found.last().unwrap().end, 2_999_999_010);
}
