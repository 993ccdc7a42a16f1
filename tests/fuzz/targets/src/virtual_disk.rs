//! A disk in a file of a format of virtual machines.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;

use cellblock_image::VirtualDisk;
use cellblock_tree::volume::{Decoder, Decoders, Decoding};
use rustix::fs::{MemfdFlags, memfd_create};

/// The bytes of data that are read of a disk.
const MOST: u64 = 1 << 20;
/// The bytes that are read at once.
const STEP: usize = 4000;

/// Opens the bytes as a disk, and reads what it says to be data. Nothing is decompressed, which is done behind a wall.
pub fn virtual_disk(data: &[u8]) {
    let mut file: File = memfd_create("disk", MemfdFlags::CLOEXEC)
        .expect("memory for a file")
        .into();
    file.write_all(data).expect("memory for a file");
    let decoders: Arc<dyn Decoders> = Arc::new(Zeros);
    let Ok(Some(disk)) = VirtualDisk::open(&file, data.len() as u64, &decoders) else {
        return;
    };
    let size = disk.size();
    let mut buffer = [0; STEP];
    assert!(disk.read(size, &mut buffer[..1]).is_err());
    // Whether the first bytes can be read or not.
    let first = usize::try_from(size).map_or(STEP, |size| size.min(STEP));
    let _ = disk.read(0, &mut buffer[..first]);
    let Ok(extents) = disk.extents(0..size) else {
        return;
    };
    let (mut end, mut left) = (0, MOST);
    for extent in extents {
        assert!(extent.start < extent.end && extent.start >= end && extent.end <= size);
        end = extent.end;
        let mut at = extent.start;
        while at < extent.end && left > 0 {
            let step = (extent.end - at).min(STEP as u64).min(left);
            let part = usize::try_from(step).expect("at most STEP");
            if disk.read(at, &mut buffer[..part]).is_err() {
                return;
            }
            (at, left) = (at + step, left - step);
        }
    }
}

/// What is compressed becomes zeros.
#[derive(Debug)]
struct Zeros;

impl Decoders for Zeros {
    fn start(&self) -> io::Result<Box<dyn Decoder>> {
        Ok(Box::new(Self))
    }
}

impl Decoder for Zeros {
    fn decode(&mut self, one: &mut Decoding<'_>) -> io::Result<()> {
        assert_eq!(one.bytes.len(), one.block.length as usize);
        one.content.fill(0);
        one.came = one.content.len();
        Ok(())
    }
}
