//! A journal that was not emptied: its complete transactions are laid over the blocks that they are for, in memory. As
//! Documentation/filesystems/ext4/journal.rst has it, in numbers that are big-endian.

use std::collections::BTreeMap;

use cellblock_guest::PartitionError;
use cellblock_guest::crc32c::{START, crc32c};
use cellblock_guest::reader::{Partition, ReaderError};

use crate::field::{array, joined, u16 as little_u16, u32 as little_u32};
use crate::inode::Inode;
use crate::mapping::{Run, runs};
use crate::superblock::Compatible;
use crate::volume::{Block, Ext};

const MAGIC: u32 = 0xC03B_3998;
/// What every block of the log but those of content begins with: the magic number, the type, and the transaction.
const HEAD: usize = 12;

/// The newest copies of blocks.
#[derive(Debug, Default)]
pub(crate) struct Replayed(BTreeMap<Block, Copy>);

/// A copy of a block in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copy {
    /// Where it is in the partition. Bytes.
    pub(crate) offset: u64,
    /// Whether its first four bytes are the magic number, which the log has zeros for.
    pub(crate) is_escaped: bool,
}

impl Copy {
    /// Fills `block` with it.
    pub(crate) fn read(
        &self,
        partition: &dyn Partition,
        block: &mut [u8],
    ) -> Result<(), PartitionError> {
        partition.read_at(self.offset, block)?;
        if self.is_escaped {
            block[..4].copy_from_slice(&MAGIC.to_be_bytes());
        }
        Ok(())
    }
}

impl Replayed {
    /// What the journal of a file system holds.
    pub(crate) fn of(ext: &Ext<'_>) -> Result<Self, ReaderError> {
        let Some(log) = Log::open(ext)? else {
            return Ok(Self::default());
        };
        let (transactions, revoked) = log.scan()?;
        let mut newest = BTreeMap::new();
        for (sequence, written) in transactions {
            for (block, copy) in written {
                // What was freed meanwhile may be content now.
                if revoked
                    .get(&block)
                    .is_none_or(|by| is_before(*by, sequence))
                {
                    newest.insert(block, copy);
                }
            }
        }
        Ok(Self(newest))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, block: Block) -> Option<Copy> {
        self.0.get(&block).copied()
    }

    /// Whether one of `count` blocks has a newer copy.
    pub(crate) fn any(&self, block: Block, count: u64) -> bool {
        self.0
            .range(block..block.saturating_add(count))
            .next()
            .is_some()
    }
}

/// Transactions are counted in 32 bits, and go on from 0.
fn is_before(first: u32, second: u32) -> bool {
    first.wrapping_sub(second) > i32::MAX as u32
}

/// Blocks that a transaction writes.
type Written = Vec<(Block, Copy)>;
/// By which transaction a block was freed last.
type Revoked = BTreeMap<Block, u32>;

/// The journal's file, and how its log is written.
struct Log<'a, 'b> {
    ext: &'a Ext<'b>,
    runs: Vec<Run>,
    /// The log goes in a circle over the blocks from `first` to before `end`.
    first: u32,
    end: u32,
    start: u32,
    sequence: u32,
    features: u32,
    /// What checksums begin with, if there are any.
    seed: Option<u32>,
}

impl<'a, 'b> Log<'a, 'b> {
    const HAS_64_BITS: u32 = 0x2;
    const CHECKSUMS_2: u32 = 0x8;
    const CHECKSUMS_3: u32 = 0x10;
    const FAST_COMMITS: u32 = 0x20;
    const KNOWN: u32 = 0x3F;

    /// Opens it; none if it is empty.
    fn open(ext: &'a Ext<'b>) -> Result<Option<Self>, ReaderError> {
        let has_journal = ext.superblock.compatible.contains(Compatible::HAS_JOURNAL);
        if has_journal && ext.superblock.journal == 0 {
            let what = "a replay of its journal, which is on another device (mount and unmount it once, or run e2fsck, with both)";
            return Err(ReaderError::Unsupported(what.to_owned()));
        }
        let inode = Inode::read(ext, ext.superblock.journal, "the superblock")?;
        let runs = runs(ext, &inode)?;
        let mut log = Self {
            ext,
            runs,
            first: 0,
            end: 0,
            start: 0,
            sequence: 0,
            features: 0,
            seed: None,
        };
        let bytes = log.block(0)?;
        let [magic, kind, size, blocks] = [0, 4, 0xC, 0x10].map(|at| u32(&bytes, at));
        if magic != MAGIC || !matches!(kind, 3 | 4) || size != ext.superblock.block_size {
            return Err(damaged("has no superblock".to_owned()));
        }
        [log.first, log.sequence, log.start] = [0x14, 0x18, 0x1C].map(|at| u32(&bytes, at));
        log.features = if kind == 4 { u32(&bytes, 0x28) } else { 0 };
        if log.features & !Self::KNOWN != 0 {
            let unknown = format!("a journal with features {:#x}", log.features & !Self::KNOWN);
            return Err(ReaderError::Unsupported(unknown));
        }
        if log.has(Self::CHECKSUMS_2) || log.has(Self::CHECKSUMS_3) {
            log.seed = Some(crc32c(START, &bytes[0x30..0x40]));
        }
        let fast = match u32(&bytes, 0x54) {
            _ if !log.has(Self::FAST_COMMITS) => 0,
            0 => 256,
            fast => fast,
        };
        log.end = blocks.saturating_sub(fast);
        if log.start == 0 {
            return Ok(None);
        }
        if log.first == 0 || log.start < log.first || log.start >= log.end {
            let (first, end, start) = (log.first, log.end, log.start);
            return Err(damaged(format!(
                "begins at {start} of blocks {first} to {end}"
            )));
        }
        Ok(Some(log))
    }

    fn has(&self, feature: u32) -> bool {
        self.features & feature != 0
    }

    fn physical(&self, block: u32) -> Result<Block, ReaderError> {
        let block = u64::from(block);
        let at = self
            .runs
            .partition_point(|run| run.logical + run.count <= block);
        let run = self.runs.get(at).filter(|run| run.logical <= block);
        run.map(|run| run.physical + (block - run.logical))
            .ok_or_else(|| damaged(format!("has no block {block}")))
    }

    fn block(&self, block: u32) -> Result<Vec<u8>, ReaderError> {
        self.ext.block(self.physical(block)?, "the journal")
    }

    fn after(&self, block: u32) -> u32 {
        if block + 1 == self.end {
            self.first
        } else {
            block + 1
        }
    }

    /// All complete transactions in their order, and by which one a block was revoked last.
    fn scan(&self) -> Result<(Vec<(u32, Written)>, Revoked), ReaderError> {
        const DESCRIPTOR: u32 = 1;
        const COMMIT: u32 = 2;
        const REVOKE: u32 = 5;
        let (mut transactions, mut revoked) = (Vec::new(), Revoked::new());
        let (mut written, mut revoking) = (Written::new(), Vec::new());
        let (mut at, mut sequence) = (self.start, self.sequence);
        let mut left = self.end - self.first;
        while left > 0 {
            let bytes = self.block(at)?;
            let [magic, kind, of] = [0, 4, 8].map(|at| u32(&bytes, at));
            if magic != MAGIC || of != sequence {
                break;
            }
            at = self.after(at);
            left -= 1;
            match kind {
                DESCRIPTOR => {
                    for (block, is_escaped) in self.tags(&bytes)? {
                        let offset = self.physical(at)? * u64::from(self.ext.superblock.block_size);
                        written.push((block, Copy { offset, is_escaped }));
                        at = self.after(at);
                        left = left.checked_sub(1).ok_or_else(endless)?;
                    }
                }
                REVOKE => revoking.extend(self.revoked(&bytes)?),
                COMMIT if self.is_sound(&bytes) => {
                    transactions.push((sequence, std::mem::take(&mut written)));
                    revoked.extend(revoking.drain(..).map(|block| (block, sequence)));
                    sequence = sequence.wrapping_add(1);
                }
                // A commit that was not written whole is none.
                _ => break,
            }
        }
        self.refuse_fast_commits(sequence)?;
        Ok((transactions, revoked))
    }

    /// The blocks that a descriptor is for.
    fn tags(&self, bytes: &[u8]) -> Result<Vec<(Block, bool)>, ReaderError> {
        const ESCAPED: u32 = 1;
        const SAME_UUID: u32 = 2;
        const LAST: u32 = 8;
        let has_64_bits = self.has(Self::HAS_64_BITS);
        let length = match (self.has(Self::CHECKSUMS_3), self.has(Self::CHECKSUMS_2)) {
            (true, _) => 16,
            (false, true) => 10 + 4 * usize::from(has_64_bits),
            (false, false) => 8 + 4 * usize::from(has_64_bits),
        };
        let mut tags = Vec::new();
        let mut at = HEAD;
        while let Some(tag) = bytes.get(at..at + length) {
            let (flags, high) = if self.has(Self::CHECKSUMS_3) {
                (u32(tag, 4), u32(tag, 8))
            } else {
                let high = if has_64_bits { u32(tag, 8) } else { 0 };
                (u32::from(u16(tag, 6)), high)
            };
            let high = if has_64_bits { high } else { 0 };
            let block = joined(u32(tag, 0), high);
            if block >= self.ext.superblock.blocks {
                return Err(damaged(format!("has a copy of block {block}")));
            }
            tags.push((block, flags & ESCAPED != 0));
            if flags & LAST != 0 {
                return Ok(tags);
            }
            at += length + if flags & SAME_UUID == 0 { 16 } else { 0 };
        }
        Ok(tags)
    }

    fn revoked(&self, bytes: &[u8]) -> Result<Vec<Block>, ReaderError> {
        const RECORDS: usize = 16;
        let length = usize::try_from(u32(bytes, 12)).expect("addresses have 32 bits or more");
        let records = bytes.get(RECORDS..length);
        let records =
            records.ok_or_else(|| damaged(format!("revokes blocks in {length} bytes")))?;
        let size = if self.has(Self::HAS_64_BITS) { 8 } else { 4 };
        let block = |record: &[u8]| match size {
            8 => joined(u32(record, 4), u32(record, 0)),
            _ => u32(record, 0).into(),
        };
        Ok(records.chunks_exact(size).map(block).collect())
    }

    fn is_sound(&self, commit: &[u8]) -> bool {
        const CHECKSUM: usize = 16;
        let Some(seed) = self.seed else {
            return true;
        };
        let mut zeroed = commit.to_vec();
        zeroed[CHECKSUM..][..4].fill(0);
        crc32c(seed, &zeroed) == u32(commit, CHECKSUM)
    }

    /// What is written since the last transaction in another way (Documentation/filesystems/ext4/journal.rst, "Fast commits").
    fn refuse_fast_commits(&self, sequence: u32) -> Result<(), ReaderError> {
        const HEAD: u16 = 9;
        if !self.has(Self::FAST_COMMITS) {
            return Ok(());
        }
        // The kernel leaves one block between the log and them: `j_fc_first` is `j_last + 1`.
        let Ok(bytes) = self.block(self.end + 1) else {
            return Ok(());
        };
        // Those of an earlier transaction were overtaken by it.
        if little_u16(&bytes, 0) == HEAD && little_u32(&bytes, 8) == sequence {
            let what = "a replay of the fast commits in its journal (mount and unmount it once, or run e2fsck)";
            return Err(ReaderError::Unsupported(what.to_owned()));
        }
        Ok(())
    }
}

fn u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(array(bytes, at))
}

fn u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array(bytes, at))
}

fn endless() -> ReaderError {
    damaged("is longer than its log".to_owned())
}

fn damaged(problem: String) -> ReaderError {
    ReaderError::damaged("the journal", None, problem)
}

#[cfg(test)]
mod tests {
    use super::is_before;

    #[test]
    fn transactions_go_on_from_zero() {
        assert!(is_before(1, 2));
        assert!(!is_before(2, 2));
        assert!(is_before(u32::MAX, 0));
        assert!(!is_before(0, u32::MAX));
    }
}
