//! Extent trees: few entries for many blocks, as ext4 maps files.

use cellblock_guest::FormatError;
use zerocopy::IntoBytes as _;

use crate::checksum::crc32c;
use crate::format::{Extent, ExtentHeader, ExtentIndex, MAXIMUM_EXTENT_BLOCKS};
use crate::mapping::{BlockSink, MappedRun};

/// The extents of a file.
#[derive(Clone, Copy)]
pub(crate) struct ExtentTree<'a> {
    runs: &'a [MappedRun],
    block_size: u32,
}

impl<'a> ExtentTree<'a> {
    /// The tree over `runs`, which ascend.
    pub(crate) fn new(block_size: u32, runs: &'a [MappedRun]) -> Self {
        Self { runs, block_size }
    }

    /// Entries of a node below the root.
    fn node_entries(self) -> u32 {
        (self.block_size - ExtentHeader::SIZE) / ExtentHeader::SIZE
    }

    /// The nodes below the root.
    pub(crate) fn node_count(self) -> u64 {
        let of_run =
            |mapped: &MappedRun| mapped.run.count.div_ceil(u64::from(MAXIMUM_EXTENT_BLOCKS));
        let mut level: u64 = self.runs.iter().map(of_run).sum();
        let mut nodes = 0;
        while level > u64::from(ExtentHeader::ROOT_ENTRIES) {
            level = level.div_ceil(u64::from(self.node_entries()));
            nodes += level;
        }
        nodes
    }

    fn extents(self) -> impl Iterator<Item = Entry> {
        self.runs.iter().flat_map(|mapped| {
            (0..mapped.run.count)
                .step_by(MAXIMUM_EXTENT_BLOCKS as usize)
                .map(|offset| {
                    let length = (mapped.run.count - offset).min(u64::from(MAXIMUM_EXTENT_BLOCKS));
                    Entry {
                        logical: mapped.logical.wrapping_add(low(offset)),
                        block: mapped.run.start + offset,
                        length: u16::try_from(length).expect("an extent has at most 32,768 blocks"),
                    }
                })
        })
    }

    /// The root, as it stands in the inode. Nodes below it go to `sink` with their `places`, all leaves, then the level
    /// above, and so on, and with checksums if there is the inode's `seed`.
    pub(crate) fn write(
        self,
        places: &[u64],
        seed: Option<u32>,
        sink: &mut BlockSink<'_>,
    ) -> Result<[u8; 60], FormatError> {
        let mut places = places.iter().copied();
        let mut level: Vec<Entry> = self.extents().collect();
        let mut depth = 0;
        while level.len() > ExtentHeader::ROOT_ENTRIES as usize {
            let mut above = Vec::new();
            for entries in level.chunks(self.node_entries() as usize) {
                let mut block = vec![0; self.block_size as usize];
                write_node(
                    &mut block,
                    self.node_entries(),
                    depth,
                    entries.iter().copied(),
                );
                if let Some(seed) = seed {
                    let covered = (ExtentHeader::SIZE * (1 + self.node_entries())) as usize;
                    let checksum = crc32c(seed, &block[..covered]).to_le_bytes();
                    block[covered..covered + checksum.len()].copy_from_slice(&checksum);
                }
                let place = places.next().expect("every node has its place");
                sink(place, &block)?;
                above.push(Entry {
                    logical: entries.first().map_or(0, |entry| entry.logical),
                    block: place,
                    length: 0,
                });
            }
            level = above;
            depth += 1;
        }
        let mut root = [0; 60];
        write_node(
            &mut root,
            ExtentHeader::ROOT_ENTRIES,
            depth,
            level.into_iter(),
        );
        Ok(root)
    }

    /// Writes the root of a tree that has no nodes below it.
    pub(crate) fn write_small_root(self, root: &mut [u8; 60]) {
        write_node(root, ExtentHeader::ROOT_ENTRIES, 0, self.extents());
    }
}

/// An extent, or a node below.
#[derive(Clone, Copy)]
struct Entry {
    logical: u32,
    block: u64,
    /// Blocks; 0 for a node.
    length: u16,
}

fn write_node(bytes: &mut [u8], maximum: u32, depth: u16, entries: impl Iterator<Item = Entry>) {
    let (slots, _) = bytes.as_chunks_mut::<{ ExtentHeader::SIZE as usize }>();
    let Some((first, slots)) = slots.split_first_mut() else {
        return;
    };
    let mut count = 0;
    for (slot, entry) in slots.iter_mut().zip(entries) {
        count += 1;
        let high = u16::try_from(entry.block >> 32)
            .expect("blocks have 48 bits")
            .into();
        if depth == 0 {
            let extent = Extent {
                logical: entry.logical.into(),
                length: entry.length.into(),
                start_high: high,
                start_low: low(entry.block).into(),
            };
            slot.copy_from_slice(extent.as_bytes());
        } else {
            let index = ExtentIndex {
                logical: entry.logical.into(),
                node_low: low(entry.block).into(),
                node_high: high,
                unused: 0.into(),
            };
            slot.copy_from_slice(index.as_bytes());
        }
    }
    let header = ExtentHeader {
        magic: ExtentHeader::MAGIC.into(),
        entries: count.into(),
        maximum: u16::try_from(maximum)
            .expect("a block has fewer than 65,536 entries")
            .into(),
        depth: depth.into(),
        generation: 0.into(),
    };
    first.copy_from_slice(header.as_bytes());
}

/// The low 32 bits.
pub(crate) fn low(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The high 32 bits.
pub(crate) fn high(value: u64) -> u32 {
    low(value >> 32)
}
