//! What a partition holds.

use std::cell::Cell;
use std::io;

use cellblock_image::Superblock;
use cellblock_table::ReadAt;

use crate::disk::Disk;

/// The most bytes that may be read to find out: the superblocks, a FAT of 128 KiB, and 1 MiB of its root directory with the
/// entries that lead through it.
const MOST: u64 = 2 << 20;

/// Looks at a partition that begins with the bytes, and at others where they stand at the places of superblocks that lie deep.
pub fn superblock(data: &[u8]) {
    for offset in [0, 1 << 10, 4086, 32 << 10, 64 << 10] {
        let mut head = vec![0; offset];
        head.extend_from_slice(data);
        let size = (head.len() as u64).max(1 << 30);
        look(Disk::new(size, head, Vec::new()));
    }
    look(Disk::new(data.len() as u64, data.to_vec(), Vec::new()));
}

fn look(disk: Disk) {
    let disk = Counted {
        disk,
        read: Cell::new(0),
    };
    let found = Superblock::find(&disk, 0..u64::MAX).expect("nothing beyond the disk is read");
    assert!(disk.read.get() <= MOST, "{} bytes read", disk.read.get());
    if let Some(found) = found {
        assert!(!found.kind.is_empty());
        assert!(found.used.is_none() || found.used <= found.size);
    }
}

/// A disk that counts what is read of it.
struct Counted {
    disk: Disk,
    read: Cell<u64>,
}

impl ReadAt for Counted {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read.set(self.read.get() + buffer.len() as u64);
        self.disk.read_at(offset, buffer)
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.size()
    }
}
