#![allow(clippy::unwrap_used)]

use std::ops::Range;

use super::*;

/// The longest beginning of a disk that any superblock here lies in, in bytes.
const HEAD: usize = 66 << 10;

fn find(bytes: &[u8]) -> Option<Superblock> {
    let length = u64::try_from(bytes.len()).unwrap();
    Superblock::find(&bytes, 0..length).unwrap()
}

/// A disk with these bytes at these offsets, and zeros.
fn disk(parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut disk = vec![0; HEAD];
    for (offset, bytes) in parts {
        disk[*offset..*offset + bytes.len()].copy_from_slice(bytes);
    }
    disk
}

const UUID: [u8; 16] = *b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef";
const UUID_TEXT: &str = "01234567-89ab-cdef-0123-456789abcdef";

/// The formats whose programs are seldom installed; what others make is compared with `blkid` in `tests/show.rs`.
#[test]
fn foreign_formats_are_told_by_their_marks() {
    let found = |parts: &[(usize, &[u8])]| find(&disk(parts)).unwrap();
    let named = |kind, version: Option<&str>, label: Option<&str>, uuid: Option<&str>, size| {
        let version = version.map(str::to_owned);
        Superblock {
            version,
            label: label.map(str::to_owned),
            uuid: uuid.map(str::to_owned),
            size,
            ..Superblock::named(kind)
        }
    };
    let luks = found(&[
        (0, b"LUKS\xba\xbe\0\x02"),
        (24, b"vault"),
        (168, UUID_TEXT.as_bytes()),
    ]);
    let expected = named(
        "crypto_LUKS",
        Some("2"),
        Some("vault"),
        Some(UUID_TEXT),
        None,
    );
    assert_eq!(luks, expected);
    let luks = found(&[
        (0, b"LUKS\xba\xbe\0\x01"),
        (24, b"cipher"),
        (168, UUID_TEXT.as_bytes()),
    ]);
    assert_eq!(
        luks,
        named("crypto_LUKS", Some("1"), None, Some(UUID_TEXT), None)
    );
    let verity = found(&[(0, b"verity\0\0\x01\0\0\0\x01\0\0\0"), (16, &UUID)]);
    assert_eq!(
        verity,
        named("DM_verity_hash", Some("1"), None, Some(UUID_TEXT), None)
    );
    let erofs = found(&[
        (1024, &[0xe2, 0xe1, 0xf5, 0xe0]),
        (1024 + 12, &[12]),
        (1024 + 36, &7_u32.to_le_bytes()),
        (1024 + 48, &UUID),
        (1024 + 64, b"root"),
    ]);
    let mut expected = named("erofs", None, Some("root"), Some(UUID_TEXT), Some(7 << 12));
    expected.used = expected.size;
    assert_eq!(erofs, expected);
    let squashfs = found(&[
        (0, b"hsqs"),
        (28, &[4, 0, 0, 0]),
        (40, &999_u64.to_le_bytes()),
    ]);
    let mut expected = named("squashfs", Some("4.0"), None, None, Some(999));
    expected.used = expected.size;
    assert_eq!(squashfs, expected);
    let btrfs = found(&[
        (65_536 + 64, b"_BHRfS_M"),
        (65_536 + 32, &UUID),
        (65_536 + 112, &1000_u64.to_le_bytes()),
        (65_536 + 120, &400_u64.to_le_bytes()),
        (65_536 + 299, b"pool"),
    ]);
    let mut expected = named("btrfs", None, Some("pool"), Some(UUID_TEXT), Some(1000));
    expected.used = Some(400);
    assert_eq!(btrfs, expected);
    let f2fs = found(&[
        (1024, &[0x10, 0x20, 0xf5, 0xf2, 1, 0, 16, 0]),
        (1024 + 108, &UUID),
        (1024 + 124, b"c\0a\0r\0d\0"),
    ]);
    assert_eq!(
        f2fs,
        named("f2fs", Some("1.16"), Some("card"), Some(UUID_TEXT), None)
    );
    let exfat = found(&[
        (3, b"EXFAT   "),
        (72, &100_u64.to_le_bytes()),
        (100, &0xabcd_1234_u32.to_le_bytes()),
        (108, &[9]),
    ]);
    assert_eq!(
        exfat,
        named("exfat", None, None, Some("ABCD-1234"), Some(51_200))
    );
    let ntfs = found(&[(3, b"NTFS    "), (72, &0xabc_u64.to_le_bytes())]);
    assert_eq!(
        ntfs,
        named("ntfs", None, None, Some("0000000000000ABC"), None)
    );
    let iso = found(&[(32_769, b"CD001"), (32_768 + 40, b"Debian 13   ")]);
    assert_eq!(iso, named("iso9660", None, Some("Debian 13"), None, None));
}

#[test]
fn zeros_and_text_hold_no_file_system() {
    assert_eq!(find(&[0; HEAD]), None);
    assert_eq!(find(&b"no disk\n".repeat(9000)), None);
    assert_eq!(find(b""), None);
}

/// The superblock of an ext4 with two blocks of 1 KiB, of which these are free.
fn ext4(free: u32) -> Vec<u8> {
    disk(&[
        (1024 + 4, &2_u32.to_le_bytes()),
        (1024 + 12, &free.to_le_bytes()),
        (1024 + 56, &[0x53, 0xef]),
        (1024 + 96, &0x40_u32.to_le_bytes()),
    ])
}

#[test]
fn more_free_than_there_is_tells_no_use() {
    let found = find(&ext4(1)).unwrap();
    assert_eq!((found.size, found.used), (Some(2048), Some(1024)));
    let found = find(&ext4(3)).unwrap();
    assert_eq!((found.size, found.used), (Some(2048), None));
}

#[test]
fn numbers_that_overflow_tell_no_size() {
    let mut disk = ext4(1);
    // Blocks of 64 KiB, 2^64 - 1 of them.
    disk[1024 + 24] = 6;
    disk[1024 + 96] |= 0x80;
    disk[1024 + 4..1024 + 8].fill(0xff);
    disk[1024 + 336..1024 + 340].fill(0xff);
    let found = find(&disk).unwrap();
    assert_eq!((found.size, found.used), (None, None));
    // Blocks of 2^(10 + 255) bytes.
    disk[1024 + 24] = 255;
    assert_eq!(find(&disk), None);
}

/// A FAT32 of 65,600 clusters of 512 bytes; its root directory is cluster 2, and these are entries of its table.
fn fat32(root_cluster: u32, entries: &[(u32, u32)]) -> Vec<u8> {
    let table_sectors = 513_u32;
    let sectors = 32 + table_sectors + 65_600;
    let mut disk = vec![0; usize::try_from(sectors).unwrap() * 512];
    let mut put = |at: usize, bytes: &[u8]| disk[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &[0xeb, 0x58, 0x90]);
    put(11, &[0, 2, 1, 32, 0, 1]);
    put(21, &[0xf8]);
    put(32, &sectors.to_le_bytes());
    put(36, &table_sectors.to_le_bytes());
    put(44, &root_cluster.to_le_bytes());
    put(66, &[0x29, 0x34, 0x12, 0xcd, 0xab]);
    put(71, b"IN SECTOR  FAT32   ");
    put(510, &[0x55, 0xaa]);
    for (cluster, next) in entries {
        put(
            32 * 512 + usize::try_from(*cluster).unwrap() * 4,
            &next.to_le_bytes(),
        );
    }
    // Directories full of files, so that their ends are not within the first cluster.
    for at in (0..512 * 4).step_by(32) {
        put((32 + 513) * 512 + at, b"FILE       \x20");
    }
    disk
}

#[test]
fn a_directory_that_leads_around_or_away_ends() {
    let end = 0x0fff_fff8;
    for (root, entries) in [
        (2, &[(2, 2)][..]),
        (2, &[(2, 3), (3, 2)]),
        (2, &[(2, 3), (3, end)]),
        (0, &[]),
        (1, &[]),
        (u32::MAX, &[]),
        (2, &[(2, 65_602)]),
        (2, &[(2, 0)]),
    ] {
        let found = find(&fat32(root, entries)).unwrap();
        assert_eq!(found.version.as_deref(), Some("FAT32"));
        assert_eq!(found.label.as_deref(), Some("IN SECTOR"));
        assert_eq!(found.uuid.as_deref(), Some("ABCD-1234"));
        // Without a sector of information, nobody counts 65,600 clusters.
        assert_eq!(found.used, None);
    }
    let mut disk = fat32(2, &[(2, 3), (3, end)]);
    disk[(32 + 513 + 1) * 512..][..12].copy_from_slice(b"IN ROOT    \x08");
    assert_eq!(find(&disk).unwrap().label.as_deref(), Some("IN ROOT"));
}

/// Linux mounts it without, and blkid needs one of the three.
#[test]
fn a_fat_needs_neither_a_jump_nor_a_signature_nor_a_word() {
    for range in [0..3, 510..512, 82..90] {
        let mut disk = fat32(2, &[(2, 2)]);
        disk[range].fill(0);
        assert_eq!(find(&disk).unwrap().kind, "vfat");
        disk[..11].fill(0);
        disk[510..512].fill(0);
        assert_eq!(find(&disk).unwrap().kind, "vfat");
        // What is no media descriptor, no number of sectors, or no size of one is no FAT all the same.
        for (at, byte) in [
            (21, 0),
            (21, 0xf1),
            (13, 0),
            (13, 3),
            (12, 0),
            (14, 0),
            (16, 0),
        ] {
            let mut other = disk.clone();
            other[at] = byte;
            assert_eq!(find(&other), None, "{at}");
        }
    }
}

#[test]
fn a_disk_that_ends_anywhere_is_read_as_far_as_it_goes() {
    let whole = [
        ext4(1),
        fat32(2, &[(2, 2)]),
        disk(&[(65_536 + 64, b"_BHRfS_M")]),
    ];
    for disk in whole {
        for length in (0..disk.len().min(HEAD)).step_by(37) {
            find(&disk[..length]);
        }
    }
}

#[test]
fn a_range_ends_where_the_disk_does() {
    let disk = ext4(1);
    let range = |range| Superblock::find(&&disk[..], range).unwrap();
    assert_eq!(range(0..u64::MAX).unwrap().kind, "ext4");
    assert_eq!(range(0..1024), None);
    assert_eq!(range(u64::MAX - 1..u64::MAX), None);
    let backwards = Range { start: 10, end: 5 };
    assert_eq!(range(backwards), None);
}
