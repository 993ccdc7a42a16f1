//! Files with holes: chunks of one size, of which those without data take no room.

use cellblock_guest::{NodeId, Placement, Range};

use crate::format::ChunkFormat;
use crate::options::Options;

/// The bytes of a chunk's place in the index.
const PLACE_BYTES: u64 = 4;

/// Content in chunks.
#[derive(Clone, Debug)]
pub(crate) struct Chunks {
    pub(crate) format: ChunkFormat,
    /// The number of chunks, holes among them.
    pub(crate) count: u64,
    /// Chunks with data, ascending.
    runs: Vec<Run>,
    /// The blocks of a chunk.
    chunk_blocks: u64,
    /// All blocks with data.
    blocks: u64,
    /// The first of them.
    start: u64,
}

/// Chunks that follow one another, and where they begin among the blocks with data.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: u64,
    count: u64,
    block: u64,
}

impl Chunks {
    /// The size of chunks with which a file takes the least; none if it would take less as it is.
    pub(super) fn plan(options: &Options, size: u64, ranges: &[Range]) -> Option<Self> {
        let as_it_is = options.blocks_for(size) << options.block_bits;
        let (bits, cost) = (0..=ChunkFormat::MOST_BITS)
            .map(|bits| {
                let runs = runs(options, size, bits, ranges);
                (bits, cost(options, size, bits, &runs))
            })
            .min_by_key(|(bits, cost)| (*cost, *bits))?;
        if cost >= as_it_is {
            return None;
        }
        let runs = runs(options, size, bits, ranges);
        Some(Self {
            format: ChunkFormat { bits },
            count: size.div_ceil(chunk_size(options, bits)),
            chunk_blocks: 1 << bits,
            blocks: blocks(options, size, bits, &runs),
            runs,
            start: 0,
        })
    }

    /// The blocks with data.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Tells where they begin.
    pub(super) fn begin_at(&mut self, block: u64) {
        self.start = block;
    }

    /// The bytes of its index.
    pub(crate) fn index_bytes(&self) -> u64 {
        self.count * PLACE_BYTES
    }

    /// The first block of each chunk, none for a hole.
    pub(crate) fn places(&self) -> impl Iterator<Item = Option<u64>> {
        let mut runs = self.runs.iter().peekable();
        (0..self.count).map(move |chunk| {
            while runs.next_if(|run| run.first + run.count <= chunk).is_some() {}
            let run = runs.peek().filter(|run| run.first <= chunk)?;
            Some(self.start + run.block + (chunk - run.first) * self.chunk_blocks)
        })
    }

    /// What is to be placed of a range with data: one part, as it lies in chunks that follow one another.
    pub(super) fn placement(
        &self,
        options: &Options,
        file: NodeId,
        range: Range,
    ) -> Option<Placement> {
        let chunk_size = chunk_size(options, self.format.bits);
        let chunk = range.offset / chunk_size;
        let behind = self.runs.partition_point(|run| run.first <= chunk);
        let run = self.runs.get(behind.checked_sub(1)?)?;
        let place = (self.start + run.block) << options.block_bits;
        Some(Placement {
            file,
            file_offset: range.offset,
            partition_offset: place + (range.offset - run.first * chunk_size),
            length: range.length,
            padding: 0,
        })
    }
}

fn chunk_size(options: &Options, bits: u8) -> u64 {
    options.block_size() << bits
}

/// The chunks that have data, if they have this size.
fn runs(options: &Options, size: u64, bits: u8, ranges: &[Range]) -> Vec<Run> {
    let chunk_size = chunk_size(options, bits);
    let mut runs: Vec<Run> = Vec::new();
    let mut block = 0;
    for range in ranges.iter().filter(|range| range.offset < size) {
        let first = range.offset / chunk_size;
        let end = (range.offset + range.length).min(size).div_ceil(chunk_size);
        match runs.last_mut() {
            Some(last) if first <= last.first + last.count => {
                let more = end.saturating_sub(last.first + last.count);
                last.count += more;
                block += more << bits;
            }
            _ => {
                let count = end - first;
                runs.push(Run {
                    first,
                    count,
                    block,
                });
                block += count << bits;
            }
        }
    }
    runs
}

/// The blocks of these chunks: the file's last one ends with the file.
fn blocks(options: &Options, size: u64, bits: u8, runs: &[Run]) -> u64 {
    let chunk_size = chunk_size(options, bits);
    let Some(last) = runs.last() else { return 0 };
    let end = last.block + (last.count << bits);
    let beyond = ((last.first + last.count) * chunk_size).saturating_sub(size);
    end - (beyond >> options.block_bits)
}

/// Bytes of data and of the index.
fn cost(options: &Options, size: u64, bits: u8, runs: &[Run]) -> u64 {
    let data = blocks(options, size, bits, runs) << options.block_bits;
    let index = size.div_ceil(chunk_size(options, bits)) * PLACE_BYTES;
    data + index
}
