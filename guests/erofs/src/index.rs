//! The index of compressed content: for each block of a file, whether a part that is compressed at once begins in it, where, and
//! in which block on disk.
//!
//! ```text
//!     file     |  block 0   |  block 1   |  block 2   |  block 3  |
//!     extents  [    A            ][     B       ][ C  (as it is)  ]
//!     index      head of A     head of B    plain C      inside C
//! ```
//!
//! A full index has 8 bytes a block. A compact one has packs of 2 or of 16 blocks, in 4 or 2 bytes each: the bits of all, and
//! at the end the number of the block from which those on disk are counted, as they follow one another.

use zerocopy::IntoBytes as _;

use crate::contents::{Clusters, Extent, Tail};
use crate::format::{Advice, Cluster, FullIndex, Layout, MapHeader};
use crate::options::Options;

/// Marks, in the distance of the first block behind a head, the number of blocks on disk.
const BLOCK_COUNT: u32 = 1 << 11;
/// The largest block, as a power of two, of which a compact index tells the bytes.
const COMPACT_BITS: u8 = 14;
/// The one of which there are packs of 16.
const TWO_BYTE_BITS: u8 = 12;
/// Packs of 16 begin at multiples of so many bytes.
const PACK_ALIGNMENT: u64 = 32;

/// A block of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// An extent begins here.
    Head {
        compressed: bool,
        /// Where in the block. Bytes.
        start: u32,
        /// Its first block on disk.
        block: u64,
        /// Their number.
        blocks: u32,
    },
    /// An extent goes on.
    Inside {
        /// So many blocks behind its head.
        behind: u32,
        /// So many blocks before the next head.
        before: u32,
        /// Its first block on disk.
        block: u64,
        /// Their number.
        blocks: u32,
        /// Where in its head it begins. Bytes.
        start: u32,
    },
}

/// How an index is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) layout: Layout,
    /// Blocks of the file.
    blocks: u64,
    /// Those in packs of two before the packs of 16 begin.
    before: u64,
    /// Those in packs of 16.
    sixteens: u64,
    /// All is in the packed inode.
    only_header: bool,
}

impl Form {
    /// The form of the index of a file of `size` bytes whose inode and attributes take `head` bytes from a slot on.
    pub(crate) fn new(options: &Options, head: u64, size: u64, tail: Tail) -> Self {
        let blocks = options.blocks_for(size);
        let is_far = matches!(tail, Tail::Fragment(place) if u32::try_from(place).is_err());
        let mut form = Self {
            layout: Layout::CompressedFull,
            blocks,
            before: 0,
            sixteens: 0,
            only_header: false,
        };
        if options.block_bits > COMPACT_BITS || is_far {
            return form;
        }
        form.layout = Layout::CompressedCompact;
        if options.block_bits <= TWO_BYTE_BITS {
            let start = head.next_multiple_of(MapHeader::ALIGNMENT) + size_of::<MapHeader>() as u64;
            let before = (start.next_multiple_of(PACK_ALIGNMENT) - start) / 4;
            if before < blocks {
                form.before = before;
                form.sixteens = (blocks - before) / 16 * 16;
            }
        }
        form
    }

    /// The form of a file that is in the packed inode.
    pub(crate) fn fragment() -> Self {
        Self {
            layout: Layout::CompressedFull,
            blocks: 0,
            before: 0,
            sixteens: 0,
            only_header: true,
        }
    }

    /// The bytes from the end of the attributes, which are `head` bytes from a slot on, to the end of the index.
    pub(crate) fn bytes(&self, head: u64) -> u64 {
        let padding = head.next_multiple_of(MapHeader::ALIGNMENT) - head;
        let header = size_of::<MapHeader>() as u64;
        let index = if self.only_header {
            0
        } else if self.layout == Layout::CompressedFull {
            MapHeader::BEFORE_FULL + self.blocks * size_of::<FullIndex>() as u64
        } else {
            let pairs = (self.blocks - self.sixteens).next_multiple_of(2);
            self.sixteens * 2 + pairs * 4
        };
        padding + header + index
    }
}

/// The bytes of an index.
pub(crate) fn bytes(options: &Options, head: u64, size: u64, tail: Tail) -> u64 {
    Form::new(options, head, size, tail).bytes(head)
}

/// Whether clusters may have several blocks: a file system of LZ4 with clusters of a block is one that Linux 5.4 mounts.
pub(crate) fn has_large_clusters(options: &Options) -> bool {
    let is_simple = |compression: crate::options::Compression| {
        compression.algorithm == crate::format::Algorithm::Lz4
            && u64::from(compression.cluster) == options.block_size()
    };
    !options.rules.all().all(is_simple)
}

/// Writes the index of a file of `size` bytes, header and all; `to` has what is before it, from a slot on.
pub(crate) fn write(
    options: &Options,
    form: &Form,
    clusters: &Clusters,
    extents: &[Extent],
    to: &mut Vec<u8>,
) {
    let large = has_large_clusters(options);
    let mut advice = Advice::empty();
    advice.set(Advice::LARGE_CLUSTERS, large);
    if form.layout == Layout::CompressedCompact {
        advice.set(Advice::LARGE_CLUSTERS_2, large);
        advice.set(Advice::TWO_BYTES, options.block_bits <= TWO_BYTE_BITS);
    }
    let fragment_or_inline = match clusters.tail {
        Tail::Fragment(place) => {
            advice |= Advice::FRAGMENT;
            low(place)
        }
        tail if tail.inline_bytes() > 0 => {
            advice |= Advice::INLINE_CLUSTER;
            tail.inline_bytes() << 16
        }
        _ => 0,
    };
    write_header(
        &MapHeader {
            fragment_or_inline: fragment_or_inline.into(),
            advice: advice.bits().into(),
            algorithms: clusters.compression.algorithm as u8,
            cluster_bits: 0,
        },
        to,
    );
    let entries = entries(options, clusters, extents);
    if form.layout == Layout::CompressedFull {
        to.extend_from_slice(&[0; 8]);
        for entry in &entries {
            to.extend_from_slice(full(entry, clusters.tail, large).as_bytes());
        }
        return;
    }
    let before = usize::try_from(form.before).expect("fewer than eight");
    let sixteens = usize::try_from(form.sixteens).expect("the index is in memory");
    let (first, rest) = entries.split_at(before.min(entries.len()));
    let (middle, last) = rest.split_at(sixteens);
    let bits = u32::from(options.block_bits.max(TWO_BYTE_BITS));
    for pack in first.chunks(2) {
        write_pack(pack, 2, bits, large, to);
    }
    for pack in middle.chunks(16) {
        write_pack(pack, 16, bits, large, to);
    }
    for pack in last.chunks(2) {
        write_pack(pack, 2, bits, large, to);
    }
}

/// Writes the header of a file that is in the packed inode, from this byte on.
pub(crate) fn write_fragment(place: u64, to: &mut Vec<u8>) {
    align(to);
    to.extend_from_slice(&(place | MapHeader::ALL_IN_FRAGMENT).to_le_bytes());
}

fn write_header(header: &MapHeader, to: &mut Vec<u8>) {
    align(to);
    to.extend_from_slice(header.as_bytes());
}

fn align(to: &mut Vec<u8>) {
    let alignment = usize::try_from(MapHeader::ALIGNMENT).expect("it is small");
    to.resize(to.len().next_multiple_of(alignment), 0);
}

/// What begins in each block of the file.
fn entries(options: &Options, clusters: &Clusters, extents: &[Extent]) -> Vec<Entry> {
    let block_size = options.block_size();
    let size: u64 = extents.iter().map(|extent| u64::from(extent.length)).sum();
    let mut entries = Vec::new();
    let mut position = 0;
    let mut block = clusters.start;
    for extent in extents {
        let end = position + u64::from(extent.length);
        let start = low(position % block_size);
        let blocks = u32::from(extent.blocks);
        entries.push(Entry::Head {
            compressed: extent.compressed,
            start,
            block,
            blocks,
        });
        // The block in which it ends is that of the next head.
        let inside = end / block_size - position / block_size;
        for behind in 1..inside {
            entries.push(Entry::Inside {
                behind: low(behind),
                before: low(inside - behind),
                block,
                blocks,
                start,
            });
        }
        position = end;
        block += u64::from(blocks);
    }
    if (entries.len() as u64) < options.blocks_for(size) {
        // The block of the file's end, where nothing begins any more.
        entries.push(Entry::Head {
            compressed: false,
            start: low(size % block_size),
            block: 0,
            blocks: 0,
        });
    }
    entries
}

/// A block in a full index.
fn full(entry: &Entry, tail: Tail, large: bool) -> FullIndex {
    match *entry {
        Entry::Head {
            compressed,
            start,
            block,
            blocks,
        } => FullIndex {
            kind: (kind(compressed) as u16).into(),
            start: short(start).into(),
            block_or_distances: match tail {
                // The last extent's place tells the high half of where the fragment begins.
                Tail::Fragment(place) if blocks == 0 && compressed => low(place >> 32).into(),
                _ => low(block).into(),
            },
        },
        Entry::Inside {
            behind,
            before,
            blocks,
            start,
            ..
        } => {
            let distances = distance(behind, blocks, large) | before.min(BLOCK_COUNT - 1) << 16;
            FullIndex {
                kind: (Cluster::Inside as u16).into(),
                start: short(start).into(),
                block_or_distances: distances.into(),
            }
        }
    }
}

fn kind(compressed: bool) -> Cluster {
    if compressed {
        Cluster::Head
    } else {
        Cluster::Plain
    }
}

/// What tells how far behind its head a block is: the first behind it tells the blocks on disk instead.
fn distance(behind: u32, blocks: u32, large: bool) -> u32 {
    if behind == 1 && large {
        BLOCK_COUNT | blocks
    } else {
        behind.min(BLOCK_COUNT - 1)
    }
}

/// Writes blocks in a compact index, `count` of them if there are as many.
fn write_pack(pack: &[Entry], count: usize, bits: u32, large: bool, to: &mut Vec<u8>) {
    // Each entry has a kind of two bits above these.
    let total = if count == 2 { 8 } else { 32 };
    let width = (total - 4) * 8 / u32::try_from(count).expect("2 or 16");
    let mut words: u128 = 0;
    let mut second: u128 = 0;
    for (index, entry) in (0..).zip(pack) {
        let is_last = index as usize + 1 == count;
        let value = u128::from(compact(entry, is_last, bits, large));
        // 16 entries of 14 bits take 224 bits.
        let shift = index * width;
        if shift < 128 {
            words |= value << shift;
            if shift + width > 128 {
                second |= value >> (128 - shift);
            }
        } else {
            second |= value << (shift - 128);
        }
    }
    let mut bytes = [words.to_le_bytes(), second.to_le_bytes()].concat();
    bytes.truncate(total as usize - 4);
    to.extend_from_slice(&bytes);
    to.extend_from_slice(&base(pack, large).to_le_bytes());
}

fn compact(entry: &Entry, is_last: bool, bits: u32, large: bool) -> u32 {
    match *entry {
        Entry::Head {
            compressed, start, ..
        } => (kind(compressed) as u32) << bits | start,
        Entry::Inside {
            behind,
            before,
            blocks,
            ..
        } => {
            let counts_blocks = behind == 1 && large;
            let value = if is_last && !counts_blocks {
                // The last of a pack tells how far the next head is: how far its own is follows from the one before.
                before.min(BLOCK_COUNT - 1)
            } else {
                distance(behind, blocks, large)
            };
            (Cluster::Inside as u32) << bits | value
        }
    }
}

/// The block from which the blocks on disk of a pack are counted.
fn base(pack: &[Entry], large: bool) -> u32 {
    if !large {
        // They are counted with the head itself.
        let head = pack.iter().find_map(|entry| match entry {
            Entry::Head { block, .. } => Some(*block),
            Entry::Inside { .. } => None,
        });
        return low(head.unwrap_or(0).wrapping_sub(1));
    }
    match pack.first() {
        Some(
            Entry::Head { block, .. }
            | Entry::Inside {
                behind: 1, block, ..
            },
        ) => low(*block),
        // The extent's blocks were counted before.
        Some(Entry::Inside { block, blocks, .. }) => low(block + u64::from(*blocks)),
        None => 0,
    }
}

/// The low 32 bits.
fn low(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn short(start: u32) -> u16 {
    u16::try_from(start).expect("a block has at most 64 KiB")
}
