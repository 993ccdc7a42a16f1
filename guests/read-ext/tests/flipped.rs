//! Images with bytes that are wrong: each is read, or refused with the structure's name, and nothing panics.

#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::sync::OnceLock;

use cellblock_guest::PartitionError;
use cellblock_guest::memory::MemoryListing;
use cellblock_guest::reader::{
    DecodeError, Encoded, Partition, Reader as _, ReaderError, ReaderRequest,
};
use cellblock_judges::{judge, text};
use cellblock_read_ext::Ext;
use proptest::prelude::*;

/// A partition in memory that counts what is read of it.
struct Bytes {
    bytes: Vec<u8>,
    read: std::cell::Cell<u64>,
}

impl Partition for Bytes {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), PartitionError> {
        self.read.set(self.read.get() + buffer.len() as u64);
        let start = usize::try_from(offset).map_err(|_| PartitionError::OutOfRange)?;
        let bytes = self
            .bytes
            .get(start..)
            .and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(PartitionError::OutOfRange)?);
        Ok(())
    }

    fn decode(&self, _: &[Encoded]) -> Result<Vec<Vec<u8>>, DecodeError> {
        unreachable!("nothing is encoded in ext")
    }
}

/// Small file systems without checksums, which a wrong byte gets past, with some of everything.
fn images() -> &'static [Vec<u8>] {
    static IMAGES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    IMAGES.get_or_init(|| {
        [
            &["-t", "ext2", "-b", "1024"][..],
            &["-t", "ext3", "-b", "1024", "-J", "size=1"],
            &[
                "-t",
                "ext4",
                "-b",
                "1024",
                "-O",
                "^metadata_csum,^has_journal",
            ],
            &[
                "-t",
                "ext4",
                "-b",
                "1024",
                "-O",
                "^metadata_csum,^has_journal,inline_data,meta_bg,^resize_inode",
            ],
            &["-t", "ext4", "-b", "1024", "-O", "^has_journal"],
        ]
        .into_iter()
        .filter_map(image)
        .collect()
    })
}

fn image(options: &[&str]) -> Option<Vec<u8>> {
    let folder = std::env::temp_dir().join(format!(
        "{}-flipped-{}",
        env!("CARGO_PKG_NAME"),
        std::process::id()
    ));
    let (source, path) = (folder.join("source"), folder.join("image"));
    fs::create_dir_all(source.join("a/b")).unwrap();
    fs::write(source.join("file"), vec![7; 40_000]).unwrap();
    fs::write(source.join("a/small"), "small").unwrap();
    let _ = fs::hard_link(source.join("file"), source.join("a/b/again"));
    let _ = std::os::unix::fs::symlink("x".repeat(70), source.join("link"));
    for number in 0..60 {
        fs::write(source.join(format!("a/b/a long name, number {number}")), "").unwrap();
    }
    fs::write(&path, vec![0; 8 << 20]).unwrap();
    let output = judge("mke2fs")?
        .command()
        .args(["-F", "-q", "-d", source.to_str().unwrap()])
        .args(options)
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let image = fs::read(&path).unwrap();
    fs::remove_dir_all(folder).unwrap();
    Some(image)
}

/// A place that holds something: positions are drawn among the bytes that are no zeros, and their neighbours.
fn places(image: &[u8]) -> Vec<usize> {
    let is_used = |block: &&[u8]| block.iter().any(|byte| *byte != 0 && *byte != 7);
    let blocks = image.chunks(64).enumerate();
    let used = blocks.filter(|(_, block)| is_used(block));
    used.flat_map(|(index, _)| index * 64..(index + 1) * 64)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").map_or(500, |cases| cases.parse().unwrap()),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn wrong_bytes_are_refused_or_read(
        which in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let images = images();
        if images.is_empty() {
            return Ok(());
        }
        let image = which.get(images);
        let places = places(image);
        let mut bytes = image.clone();
        for (place, byte) in flips {
            bytes[*place.get(&places)] = byte;
        }
        let partition = Bytes { bytes, read: Default::default() };
        let mut listing = MemoryListing::new();
        let read = Ext::read(&ReaderRequest { extents: true }, &partition, &mut listing);
        if let Err(ReaderError::Damaged { structure, problem, .. }) = &read {
            prop_assert!(!structure.is_empty() && !problem.is_empty());
        }
        // Each block of metadata is read once or twice, and inodes by the window.
        let most = 64 * partition.size();
        prop_assert!(partition.read.get() < most, "{} of {} bytes were read", partition.read.get(), partition.size());
    }
}

#[test]
fn an_image_that_is_cut_short_is_refused() {
    for image in images() {
        for length in [0, 1023, 1024, 2047, 2048, 100_000, image.len() - 1] {
            let partition = Bytes {
                bytes: image[..length].to_vec(),
                read: Default::default(),
            };
            let mut listing = MemoryListing::new();
            let read = Ext::read(&ReaderRequest { extents: true }, &partition, &mut listing);
            assert!(read.is_err(), "{length}");
        }
    }
}
