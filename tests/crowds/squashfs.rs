//! A squashfs without compression: folders of devices, each with an inode of its own (squashfs 4.0, "Inode Table",
//! "Directory Table").

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

pub struct Squashfs {
    pub folders: u32,
    /// In each folder.
    pub devices: u32,
}

/// The bytes of a metadata block, and with the length that stands before them.
const BLOCK: u64 = 8192;
const STORED: u64 = BLOCK + 2;
/// The bit of a length that says that the block is not compressed.
const PLAIN: u16 = 1 << 15;
const SUPERBLOCK: u64 = 96;
const NONE: u64 = u64::MAX;
/// No compression anywhere, no fragments, no attributes.
const FLAGS: u16 = 0x1 | 0x2 | 0x8 | 0x10 | 0x200 | 0x800;

const DIRECTORY: u16 = 1;
const DEVICE: u16 = 5;
const LARGE_DIRECTORY: u16 = 8;
const DEVICE_INODE: u64 = 24;
const LARGE_DIRECTORY_INODE: u64 = 40;

/// Where something stands in a table, as inodes and directories say it: its block, and the place in that.
fn place(at: u64) -> (u32, u16) {
    let block = at / BLOCK * STORED;
    (
        u32::try_from(block).unwrap(),
        u16::try_from(at % BLOCK).unwrap(),
    )
}

impl Squashfs {
    pub fn nodes(&self) -> u64 {
        1 + u64::from(self.folders) * (1 + u64::from(self.devices))
    }

    /// The place of a folder's inode behind those of all devices; the root's is the last.
    fn folder_at(&self, folder: u32) -> u64 {
        let devices = u64::from(self.folders) * u64::from(self.devices);
        devices * DEVICE_INODE + u64::from(folder) * LARGE_DIRECTORY_INODE
    }

    /// The numbers of inodes: devices from 1 on, then folders, then the root.
    fn number_of_folder(&self, folder: u32) -> u32 {
        self.folders * self.devices + 1 + folder
    }

    pub fn write(&self, path: &Path) {
        let mut directories = Vec::new();
        let mut listings = Vec::new();
        for folder in 0..self.folders {
            let entries = (0..self.devices).map(|device| {
                let number = folder * self.devices + device;
                let at = u64::from(number) * DEVICE_INODE;
                (format!("{device:04}"), at, number + 1, DEVICE)
            });
            listings.push(list(&mut directories, entries));
        }
        let entries = (0..self.folders).map(|folder| {
            let name = format!("f{folder:04}");
            let number = self.number_of_folder(folder);
            (name, self.folder_at(folder), number, DIRECTORY)
        });
        listings.push(list(&mut directories, entries));

        let mut inodes = Vec::new();
        for number in 1..=self.folders * self.devices {
            header(&mut inodes, DEVICE, 0o644, number);
            inodes.extend(1_u32.to_le_bytes());
            // null, which is 1:3.
            inodes.extend(0x103_u32.to_le_bytes());
        }
        let root = self.number_of_folder(self.folders);
        for (number, (start, length)) in (self.number_of_folder(0)..).zip(listings) {
            let parent = if number == root { root + 1 } else { root };
            let links = if number == root { 2 + self.folders } else { 2 };
            let (block, within) = place(start);
            header(&mut inodes, LARGE_DIRECTORY, 0o755, number);
            for value in [links, length + 3, block, parent] {
                inodes.extend(value.to_le_bytes());
            }
            // No index.
            inodes.extend(0_u16.to_le_bytes());
            inodes.extend(within.to_le_bytes());
            inodes.extend(u32::MAX.to_le_bytes());
        }

        let file = File::create(path).unwrap();
        let mut writer = BufWriter::with_capacity(1 << 20, &file);
        writer.write_all(&[0; 96]).unwrap();
        let mut at = SUPERBLOCK;
        let mut table = |bytes: &[u8]| {
            let start = at;
            for block in bytes.chunks(8192) {
                let length = PLAIN | u16::try_from(block.len()).unwrap();
                writer.write_all(&length.to_le_bytes()).unwrap();
                writer.write_all(block).unwrap();
                at += 2 + block.len() as u64;
            }
            start
        };
        let inode_table = table(&inodes);
        let directory_table = table(&directories);
        let owners = table(&[0; 4]);
        let owner_table = owners + 6;
        writer.write_all(&owners.to_le_bytes()).unwrap();
        writer.into_inner().unwrap();

        let (block, within) = place(self.folder_at(self.folders));
        let mut superblock = Vec::new();
        for value in [0x7371_7368, root, 0, 131_072, 0] {
            superblock.extend(value.to_le_bytes());
        }
        for value in [1, 17, FLAGS, 1, 4, 0] {
            superblock.extend(value.to_le_bytes());
        }
        let root_at = u64::from(block) << 16 | u64::from(within);
        let used = owner_table + 8;
        for value in [
            root_at,
            used,
            owner_table,
            NONE,
            inode_table,
            directory_table,
            NONE,
            NONE,
        ] {
            superblock.extend(value.to_le_bytes());
        }
        assert_eq!(superblock.len(), 96);
        file.write_all_at(&superblock, 0).unwrap();
        file.set_len(used.next_multiple_of(4096)).unwrap();
    }
}

/// What all inodes begin with.
fn header(inodes: &mut Vec<u8>, kind: u16, mode: u16, number: u32) {
    for value in [kind, mode, 0, 0] {
        inodes.extend(value.to_le_bytes());
    }
    for value in [0, number] {
        inodes.extend(value.to_le_bytes());
    }
}

/// Writes the listing of a directory, in runs of at most 256 entries whose inodes are in one block: where it is, and its
/// length.
fn list(
    directories: &mut Vec<u8>,
    entries: impl Iterator<Item = (String, u64, u32, u16)>,
) -> (u64, u32) {
    let start = directories.len();
    let (mut run, mut count) = ((0, 0, 0), 0_u32);
    for (name, at, number, kind) in entries {
        let (block, within) = place(at);
        if count == 0 || run.0 != block || count == 256 {
            run = (block, number, directories.len());
            count = 0;
            directories.extend(0_u32.to_le_bytes());
            directories.extend(block.to_le_bytes());
            directories.extend(number.to_le_bytes());
        }
        let (_, base, head) = run;
        directories[head..head + 4].copy_from_slice(&count.to_le_bytes());
        count += 1;
        let further = u16::try_from(number - base).unwrap();
        let length = u16::try_from(name.len() - 1).unwrap();
        for value in [within, further, kind, length] {
            directories.extend(value.to_le_bytes());
        }
        directories.extend(name.as_bytes());
    }
    let length = u32::try_from(directories.len() - start).unwrap();
    (start as u64, length)
}
