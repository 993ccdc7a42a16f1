//! What a file is, by its first bytes: one table of all formats that content, archives and images are told apart by.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// How a file of a format can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A tar archive as it is.
    Tar,
    /// Something compressed.
    Compressed(Compression),
    /// Something compressed in a way that is not read.
    OtherCompression,
    /// An archive that is not read.
    Archive,
    /// A file system without a partition table around it.
    Filesystem,
    /// A disk in the format of a virtual machine, which is read as a disk where nothing is changed.
    ReadDiskImage,
    /// A disk in the format of a virtual machine that is not read.
    DiskImage,
    /// Neither content nor a disk.
    Other,
}

/// The compressions that archives are read through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// The .xz File Format.
    Xz,
    /// What `bzip2(1)` makes.
    Bzip2,
    /// The LZ4 Frame Format.
    Lz4,
}

impl Compression {
    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Lz4 => "lz4",
        }
    }
}

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// What a file of it is called, with its article.
    pub name: &'static str,
    /// How it can be used.
    pub class: Class,
    /// Where its marks are, in bytes from the beginning, and what they are: one suffices.
    marks: &'static [(usize, &'static [u8])],
}

impl Format {
    /// Whether a file of it has no room for a partition table: its marks are where the table's first sector is, and unlike
    /// programs it is not made to be started by firmware.
    #[must_use]
    pub fn excludes_table(&self) -> bool {
        /// Bytes of the sector with a partition table's boot code.
        const SECTOR: usize = 512;
        self.class != Class::Other && self.marks.iter().any(|(offset, _)| *offset < SECTOR)
    }

    /// What to do where a disk or a partition is wanted, if anything helps.
    #[must_use]
    pub fn advice_for_disks(&self) -> Option<&'static str> {
        match self.class {
            Class::ReadDiskImage => {
                Some("make a raw disk of it first: cellblock export FILE -o DISK.img")
            }
            Class::DiskImage if self.name == ANDROID => {
                Some("make a raw disk of it first: simg2img FILE DISK.img")
            }
            Class::DiskImage => {
                Some("make a raw disk of it first: qemu-img convert -O raw FILE DISK.img")
            }
            Class::Compressed(_) | Class::OtherCompression => Some("decompress it first"),
            Class::Filesystem => Some(
                "it has no partition table; to have one around it, name it as `raw` of a partition in a spec",
            ),
            Class::Tar | Class::Archive => Some(
                "it is content, not a disk; `cellblock mkfs KIND --content FILE -o OUTPUT` makes a file system of a tar archive",
            ),
            Class::Other => None,
        }
    }
}

/// What no program makes a disk of but its own.
const ANDROID: &str = "an Android sparse image";

/// As many bytes of a file's beginning are looked at: the marks of Btrfs and ISO 9660 lie deep.
pub const HEAD: usize = 65_600 + 8;

/// What a file is that begins with `head`, of which [`HEAD`] bytes suffice; with fewer, less is recognised.
///
/// ```
/// use cellblock_tree::recognise::{Class, recognise};
///
/// let format = recognise(b"QFI\xfb\0\0\0\x03").unwrap();
/// assert_eq!((format.name, format.class), ("a qcow2 image", Class::ReadDiskImage));
/// assert!(recognise(b"#!/bin/sh\n").is_none());
/// ```
#[must_use]
pub fn recognise(head: &[u8]) -> Option<&'static Format> {
    let has = |(offset, mark): &(usize, &[u8])| {
        head.get(*offset..)
            .is_some_and(|rest| rest.starts_with(mark))
    };
    // Frames that a decompressor skips say nothing of which one it is, if what is behind them cannot be seen.
    if is_skipped(head) {
        let compression = match behind_skipped(head) {
            [0x04, 0x22, 0x4d, 0x18, ..] => Compression::Lz4,
            _ => Compression::Zstd,
        };
        return FORMATS
            .iter()
            .find(|format| format.class == Class::Compressed(compression));
    }
    FORMATS.iter().find(|format| format.marks.iter().any(has))
}

/// Whether a frame that is skipped begins so, which has sixteen marks and is the same in Zstandard and LZ4 (RFC 8878, section 3.1.2;
/// "LZ4 Frame Format Description", "Skippable Frames").
fn is_skipped(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// What is behind such frames; nothing if it is not there.
fn behind_skipped(head: &[u8]) -> &[u8] {
    let mut rest = head;
    while is_skipped(rest) {
        let [_, _, _, _, a, b, c, d, ..] = *rest else {
            return &[];
        };
        let length = usize::try_from(u32::from_le_bytes([a, b, c, d]));
        let behind = length.ok().and_then(|length| rest[8..].get(length..));
        rest = behind.unwrap_or_default();
    }
    rest
}

/// Whether the name of a file says that it is a compressed cpio archive: `.cpio.gz`, `.newc.xz`…
#[must_use]
pub fn is_named_as_cpio(path: &Path) -> bool {
    let stem = path.file_stem().map(Path::new);
    let inner = stem.and_then(Path::extension);
    inner.is_some_and(|it| it.eq_ignore_ascii_case("cpio") || it.eq_ignore_ascii_case("newc"))
}

/// Whether the name of a file says that it is a tar archive, plain or compressed: `.tar`, `.tar.gz`, `.tgz`… An archive of nothing, and
/// those from before POSIX, have no mark that [`recognise`] knows.
#[must_use]
pub fn is_named_as_archive(path: &Path) -> bool {
    /// How such names end, after what `.tar` is compressed with, and in short.
    const ENDINGS: [&str; 12] = [
        ".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst", ".tar.xz", ".txz", ".tar.bz2", ".tbz2",
        ".tbz", ".tar.lz4", ".tlz4",
    ];
    let name = path.to_string_lossy().to_ascii_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

const fn format(
    name: &'static str,
    class: Class,
    marks: &'static [(usize, &'static [u8])],
) -> Format {
    Format { name, class, marks }
}

/// All formats. Of several that fit, the first holds.
static FORMATS: [Format; 47] = [
    // POSIX.1-2017, pax, "ustar Interchange Format"; GNU's has the same five letters.
    format("a tar archive", Class::Tar, &[(257, b"ustar")]),
    format(
        "compressed with gzip",
        Class::Compressed(Compression::Gzip),
        &[(0, &[0x1f, 0x8b])],
    ),
    format(
        "compressed with zstd",
        Class::Compressed(Compression::Zstd),
        &[(0, &[0x28, 0xb5, 0x2f, 0xfd])],
    ),
    format(
        "compressed with xz",
        Class::Compressed(Compression::Xz),
        &[(0, b"\xfd7zXZ\0")],
    ),
    format(
        "compressed with bzip2",
        Class::Compressed(Compression::Bzip2),
        &[(0, b"BZh")],
    ),
    format(
        "compressed with lz4",
        Class::Compressed(Compression::Lz4),
        &[(0, &[0x04, 0x22, 0x4d, 0x18])],
    ),
    format(
        "compressed with lz4 in its old format",
        Class::OtherCompression,
        &[(0, &[0x02, 0x21, 0x4c, 0x18])],
    ),
    format(
        "compressed with lzip",
        Class::OtherCompression,
        &[(0, b"LZIP")],
    ),
    format(
        "compressed with lzop",
        Class::OtherCompression,
        &[(0, b"\x89LZO\0\r\n\x1a\n")],
    ),
    format(
        "compressed with compress",
        Class::OtherCompression,
        &[(0, &[0x1f, 0x9d])],
    ),
    format(
        "compressed with lrzip",
        Class::OtherCompression,
        &[(0, b"LRZI")],
    ),
    format(
        "compressed with lzma",
        Class::OtherCompression,
        &[
            (0, &[0x5d, 0, 0, 0x80, 0]),
            (0, &[0x5d, 0, 0, 0, 1]),
            (0, &[0x5d, 0, 0, 0, 4]),
            (0, &[0x5d, 0, 0, 0x10, 0]),
        ],
    ),
    format(
        "a zip archive",
        Class::Archive,
        &[(0, b"PK\x03\x04"), (0, b"PK\x05\x06")],
    ),
    format("a rar archive", Class::Archive, &[(0, b"Rar!\x1a\x07")]),
    format(
        "a 7z archive",
        Class::Archive,
        &[(0, b"7z\xbc\xaf\x27\x1c")],
    ),
    format(
        "a cpio archive",
        Class::Archive,
        &[
            (0, b"070701"),
            (0, b"070702"),
            (0, b"070707"),
            (0, &[0xc7, 0x71]),
            (0, &[0x71, 0xc7]),
        ],
    ),
    format("a cabinet archive", Class::Archive, &[(0, b"MSCF\0\0\0\0")]),
    format("a xar archive", Class::Archive, &[(0, b"xar!")]),
    format("an ar archive", Class::Other, &[(0, b"!<arch>\n")]),
    format(
        "an RPM package",
        Class::Other,
        &[(0, &[0xed, 0xab, 0xee, 0xdb])],
    ),
    format("a qcow2 image", Class::ReadDiskImage, &[(0, b"QFI\xfb")]),
    format("a QED image", Class::DiskImage, &[(0, b"QED\0")]),
    format(
        "a VMDK image",
        Class::ReadDiskImage,
        &[(0, b"KDMV"), (0, b"COWD"), (0, b"# Disk DescriptorFile")],
    ),
    format("a VHD image", Class::ReadDiskImage, &[(0, b"conectix")]),
    format("a VHDX image", Class::DiskImage, &[(0, b"vhdxfile")]),
    format(
        "a VDI image",
        Class::DiskImage,
        &[(64, &[0x7f, 0x10, 0xda, 0xbe])],
    ),
    format(
        "a Parallels image",
        Class::DiskImage,
        &[(0, b"WithoutFreeSpace"), (0, b"WithouFreSpacExt")],
    ),
    format(ANDROID, Class::DiskImage, &[(0, &[0x3a, 0xff, 0x26, 0xed])]),
    format(
        "a squashfs file system",
        Class::Filesystem,
        &[(0, b"hsqs"), (0, b"sqsh")],
    ),
    format(
        "a cramfs file system",
        Class::Filesystem,
        &[(0, &[0x45, 0x3d, 0xcd, 0x28])],
    ),
    format(
        "a romfs file system",
        Class::Filesystem,
        &[(0, b"-rom1fs-")],
    ),
    format("an XFS file system", Class::Filesystem, &[(0, b"XFSB")]),
    format("a LUKS volume", Class::Filesystem, &[(0, b"LUKS\xba\xbe")]),
    format(
        "an exFAT file system",
        Class::Filesystem,
        &[(3, b"EXFAT   ")],
    ),
    format(
        "an NTFS file system",
        Class::Filesystem,
        &[(3, b"NTFS    ")],
    ),
    format("a BitLocker volume", Class::Filesystem, &[(3, b"-FVE-FS-")]),
    format(
        "a FAT file system",
        Class::Filesystem,
        &[(54, b"FAT12   "), (54, b"FAT16   "), (82, b"FAT32   ")],
    ),
    format("a volume of LVM", Class::Filesystem, &[(512, b"LABELONE")]),
    format(
        "an erofs file system",
        Class::Filesystem,
        &[(1024, &[0xe2, 0xe1, 0xf5, 0xe0])],
    ),
    format(
        "an F2FS file system",
        Class::Filesystem,
        &[(1024, &[0x10, 0x20, 0xf5, 0xf2])],
    ),
    format(
        "an ext2, ext3 or ext4 file system",
        Class::Filesystem,
        &[(1080, &[0x53, 0xef])],
    ),
    format(
        "swap space",
        Class::Filesystem,
        &[(4086, b"SWAPSPACE2"), (65_526, b"SWAPSPACE2")],
    ),
    format(
        "a Btrfs file system",
        Class::Filesystem,
        &[(65_600, b"_BHRfS_M")],
    ),
    format(
        "an ISO 9660 image",
        Class::Filesystem,
        &[(32_769, b"CD001")],
    ),
    format(
        "a UDF file system",
        Class::Filesystem,
        &[(32_769, b"BEA01")],
    ),
    format("a program (ELF)", Class::Other, &[(0, b"\x7fELF")]),
    format("a program for UEFI or Windows", Class::Other, &[(0, b"MZ")]),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_mark_is_within_the_head_and_means_its_format() {
        for format in &FORMATS {
            for (offset, mark) in format.marks {
                assert!(offset + mark.len() <= HEAD, "{}", format.name);
                let mut head = vec![0; HEAD];
                head[*offset..offset + mark.len()].copy_from_slice(mark);
                assert_eq!(recognise(&head).unwrap().name, format.name);
                let cut = &head[..offset + mark.len() - 1];
                assert!(recognise(cut).is_none(), "{}", format.name);
            }
        }
    }

    #[test]
    fn a_frame_that_is_skipped_is_zstd() {
        for first in 0x50..=0x5f {
            let format = recognise(&[first, 0x2a, 0x4d, 0x18]).unwrap();
            assert_eq!(format.class, Class::Compressed(Compression::Zstd));
        }
    }

    #[test]
    fn what_is_behind_frames_that_are_skipped_tells() {
        let skipped = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let behind = |mark: &[u8]| {
            let head = [&skipped[..], &skipped, mark].concat();
            recognise(&head).unwrap().class
        };
        let lz4 = Class::Compressed(Compression::Lz4);
        assert_eq!(behind(&[0x04, 0x22, 0x4d, 0x18]), lz4);
        let zstd = Class::Compressed(Compression::Zstd);
        assert_eq!(behind(&[0x28, 0xb5, 0x2f, 0xfd]), zstd);
        assert_eq!(
            behind(&[0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff]),
            zstd
        );
        assert_eq!(behind(b""), zstd);
    }
}
