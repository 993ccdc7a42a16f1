//! A journal that was not emptied: its complete transactions are laid over the blocks that they are for, in memory. As
//! Documentation/filesystems/ext4/journal.rst has it, in numbers that are big-endian.
//!
//! Where the journal has checksums, what they say is taken as fs/jbd2/recovery.c takes it: a transaction whose blocks are not those
//! that were written refuses the whole, as it does a mount, unless its commit is older than the one before it. It is what an earlier
//! round of the log has left then, and the log ends before it.

use std::collections::BTreeMap;
use std::mem::take;

use cellblock_guest::PartitionError;
use cellblock_guest::crc32c::{START, crc32c};
use cellblock_guest::reader::{Partition, ReaderError};

use crate::crc32;
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
            for tag in written {
                // What was freed meanwhile may be content now.
                if revoked
                    .get(&tag.block)
                    .is_none_or(|by| is_before(*by, sequence))
                {
                    newest.insert(tag.block, log.copy(&tag, sequence)?);
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

/// What a descriptor says of a block that its transaction writes.
struct Tag {
    block: Block,
    /// Where its copy is in the log.
    at: u32,
    is_escaped: bool,
    /// That of the copy, if there are any: the lower half with those of version 2.
    checksum: u32,
}

/// Blocks that a transaction writes.
type Written = Vec<Tag>;
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
    /// What checksums of version 2 or 3 begin with, if there are any.
    seed: Option<u32>,
    /// Whether a commit has the checksum of all that its transaction has written: version 1.
    has_sums: bool,
}

impl<'a, 'b> Log<'a, 'b> {
    const HAS_64_BITS: u32 = 0x2;
    const ASYNCHRONOUS_COMMITS: u32 = 0x4;
    const CHECKSUMS_2: u32 = 0x8;
    const CHECKSUMS_3: u32 = 0x10;
    const FAST_COMMITS: u32 = 0x20;
    const KNOWN: u32 = 0x3F;
    /// A feature of those that whoever does not know them may pass over.
    const SUMS: u32 = 0x1;
    /// The bytes behind the content of a descriptor and of a block of revocations, where there are checksums.
    const TAIL: usize = 4;

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
            has_sums: false,
        };
        let bytes = log.block(0)?;
        let [magic, kind, size, blocks] = [0, 4, 0xC, 0x10].map(|at| u32(&bytes, at));
        if magic != MAGIC || !matches!(kind, 3 | 4) || size != ext.superblock.block_size {
            return Err(damaged("has no superblock".to_owned()));
        }
        [log.first, log.sequence, log.start] = [0x14, 0x18, 0x1C].map(|at| u32(&bytes, at));
        let compatible = if kind == 4 { u32(&bytes, 0x24) } else { 0 };
        log.features = if kind == 4 { u32(&bytes, 0x28) } else { 0 };
        if log.features & !Self::KNOWN != 0 {
            let unknown = format!("a journal with features {:#x}", log.features & !Self::KNOWN);
            return Err(ReaderError::Unsupported(unknown));
        }
        if log.has(Self::CHECKSUMS_2) || log.has(Self::CHECKSUMS_3) {
            log.seed = Some(log.checked_seed(&bytes)?);
        }
        log.has_sums = compatible & Self::SUMS != 0;
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

    /// What checksums begin with; that of the journal's superblock must be right.
    fn checked_seed(&self, block: &[u8]) -> Result<u32, ReaderError> {
        const LENGTH: usize = 1024;
        const CRC32C: u8 = 4;
        const CHECKSUM: usize = 0xFC;
        if self.has(Self::CHECKSUMS_2) && self.has(Self::CHECKSUMS_3) {
            return Err(damaged("has checksums of two versions".to_owned()));
        }
        if block[0x50] != CRC32C {
            let what = format!("a journal with checksums of type {}", block[0x50]);
            return Err(ReaderError::Unsupported(what));
        }
        if !is_sound(START, &block[..LENGTH], CHECKSUM) {
            return Err(damaged("has a superblock with a wrong checksum".to_owned()));
        }
        Ok(crc32c(START, &block[0x30..0x40]))
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
        let mut sums = Sums::default();
        // A block of the log whose checksum is wrong, and the first transaction that was not written whole.
        let (mut wrong, mut torn) = (None, None);
        while left > 0 {
            let (here, bytes) = (at, self.block(at)?);
            let [magic, kind, of] = [0, 4, 8].map(|at| u32(&bytes, at));
            if magic != MAGIC || of != sequence {
                break;
            }
            at = self.after(at);
            left -= 1;
            match kind {
                DESCRIPTOR => {
                    if !self.has_sound_tail(&bytes) {
                        wrong.get_or_insert(here);
                    }
                    let (tags, next) = self.tags(&bytes, at);
                    if self.has_sums && wrong.is_none() && torn.is_none() {
                        sums.add(&bytes);
                        for tag in &tags {
                            sums.add(&self.block(tag.at)?);
                        }
                    }
                    let count = u32::try_from(tags.len()).expect("a block has fewer");
                    // More than the log has are none of a transaction that was completed.
                    left = left.saturating_sub(count);
                    at = next;
                    written.extend(tags);
                }
                REVOKE => {
                    if !self.has_sound_tail(&bytes) {
                        wrong.get_or_insert(here);
                    }
                    revoking.extend(self.revoked(&bytes)?);
                }
                COMMIT => {
                    let is_stale = sums.is_stale(&bytes);
                    if let Some(wrong) = wrong {
                        if is_stale {
                            break;
                        }
                        return Err(self.damaged_block(wrong, sequence));
                    }
                    if torn.is_some() && self.has_sums {
                        // A later one was completed, so that the first was so, too.
                        return Err(self.damaged_block(here, sequence));
                    }
                    let is_whole =
                        self.is_sound_commit(&bytes) && (!self.has_sums || sums.are_of(&bytes));
                    if !is_whole {
                        if is_stale {
                            break;
                        }
                        // Where commits wait for nothing, one may be on the disk before what it is of.
                        if !self.has(Self::ASYNCHRONOUS_COMMITS) {
                            return Err(self.damaged_block(here, sequence));
                        }
                        torn.get_or_insert(sequence);
                    }
                    sums.next(&bytes);
                    let (blocks, freed) = (take(&mut written), take(&mut revoking));
                    if torn.is_none() {
                        transactions.push((sequence, blocks));
                        revoked.extend(freed.into_iter().map(|block| (block, sequence)));
                    }
                    sequence = sequence.wrapping_add(1);
                }
                _ => break,
            }
        }
        self.refuse_fast_commits(torn.unwrap_or(sequence))?;
        Ok((transactions, revoked))
    }

    /// The blocks that a descriptor is for, whose copies begin at `at` of the log, and what comes behind these.
    fn tags(&self, bytes: &[u8], mut at: u32) -> (Vec<Tag>, u32) {
        const ESCAPED: u32 = 1;
        const SAME_UUID: u32 = 2;
        const LAST: u32 = 8;
        let has_64_bits = self.has(Self::HAS_64_BITS);
        let length = match (self.has(Self::CHECKSUMS_3), self.has(Self::CHECKSUMS_2)) {
            (true, _) => 16,
            (false, true) => 10 + 4 * usize::from(has_64_bits),
            (false, false) => 8 + 4 * usize::from(has_64_bits),
        };
        let bytes = &bytes[..self.content_end(bytes)];
        let mut tags = Vec::new();
        let mut place = HEAD;
        while let Some(tag) = bytes.get(place..place + length) {
            let (flags, high, checksum) = if self.has(Self::CHECKSUMS_3) {
                (u32(tag, 4), u32(tag, 8), u32(tag, 12))
            } else {
                let high = if has_64_bits { u32(tag, 8) } else { 0 };
                (u16(tag, 6).into(), high, u16(tag, 4).into())
            };
            let high = if has_64_bits { high } else { 0 };
            tags.push(Tag {
                block: joined(u32(tag, 0), high),
                at,
                is_escaped: flags & ESCAPED != 0,
                checksum,
            });
            at = self.after(at);
            if flags & LAST != 0 {
                break;
            }
            place += length + if flags & SAME_UUID == 0 { 16 } else { 0 };
        }
        (tags, at)
    }

    /// Where the copy is that a tag of this transaction is of.
    fn copy(&self, tag: &Tag, sequence: u32) -> Result<Copy, ReaderError> {
        let block = tag.block;
        if block >= self.ext.superblock.blocks {
            return Err(damaged(format!("has a copy of block {block}")));
        }
        if let Some(seed) = self.seed {
            let seed = crc32c(seed, &sequence.to_be_bytes());
            let checksum = crc32c(seed, &self.block(tag.at)?);
            let kept = match self.has(Self::CHECKSUMS_3) {
                true => checksum,
                false => checksum & 0xFFFF,
            };
            if kept != tag.checksum {
                return Err(self.damaged_block(tag.at, sequence));
            }
        }
        Ok(Copy {
            offset: self.offset(tag.at)?,
            is_escaped: tag.is_escaped,
        })
    }

    fn offset(&self, block: u32) -> Result<u64, ReaderError> {
        Ok(self.physical(block)? * u64::from(self.ext.superblock.block_size))
    }

    fn revoked(&self, bytes: &[u8]) -> Result<Vec<Block>, ReaderError> {
        const RECORDS: usize = 16;
        let length = usize::try_from(u32(bytes, 12)).expect("addresses have 32 bits or more");
        if length > self.content_end(bytes) {
            return Err(damaged(format!("revokes blocks in {length} bytes")));
        }
        let records = bytes.get(RECORDS..length).unwrap_or_default();
        let size = if self.has(Self::HAS_64_BITS) { 8 } else { 4 };
        let block = |record: &[u8]| match size {
            8 => joined(u32(record, 4), u32(record, 0)),
            _ => u32(record, 0).into(),
        };
        Ok(records.chunks_exact(size).map(block).collect())
    }

    /// Where the content of a descriptor or of a block of revocations ends.
    fn content_end(&self, bytes: &[u8]) -> usize {
        bytes.len() - self.seed.map_or(0, |_| Self::TAIL)
    }

    /// Whether the checksum behind that is right, if there is one.
    fn has_sound_tail(&self, bytes: &[u8]) -> bool {
        let at = bytes.len() - Self::TAIL;
        self.seed.is_none_or(|seed| is_sound(seed, bytes, at))
    }

    /// The same of a commit. What stands behind its head may be anything: only that much of it is sure to be written at once.
    fn is_sound_commit(&self, bytes: &[u8]) -> bool {
        const LENGTH: usize = 64;
        self.seed.is_none_or(|seed| {
            let mut head = bytes.to_vec();
            head[LENGTH..].fill(0);
            is_sound(seed, bytes, COMMITTED) || is_sound(seed, &head, COMMITTED)
        })
    }

    /// That a block of the log is not what was written.
    fn damaged_block(&self, block: u32, sequence: u32) -> ReaderError {
        let problem = format!(
            "has a wrong checksum in its block {block}, of transaction {sequence}, and is not replayed (run e2fsck, which replays what is whole)"
        );
        ReaderError::damaged("the journal", self.offset(block).ok(), problem)
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

/// Where a commit has its checksum.
const COMMITTED: usize = 16;

/// What is known of a transaction when its commit comes.
struct Sums {
    /// That of all that it has written.
    sum: u32,
    /// When the one before was committed. Seconds.
    last: u64,
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            sum: crc32::START,
            last: 0,
        }
    }
}

impl Sums {
    fn add(&mut self, block: &[u8]) {
        self.sum = crc32::crc32(self.sum, block);
    }

    fn time(commit: &[u8]) -> u64 {
        joined(u32(commit, 52), u32(commit, 48))
    }

    /// Whether a commit is older than the one before it.
    fn is_stale(&self, commit: &[u8]) -> bool {
        Self::time(commit) < self.last
    }

    /// Whether a commit is of what was written; those that have no checksum say so.
    fn are_of(&self, commit: &[u8]) -> bool {
        /// CRC-32, in 4 bytes.
        const CRC32: [u8; 2] = [1, 4];
        let (form, sum) = ([commit[12], commit[13]], u32(commit, COMMITTED));
        form == CRC32 && sum == self.sum || form == [0, 0] && sum == 0
    }

    fn next(&mut self, commit: &[u8]) {
        *self = Self {
            last: Self::time(commit),
            ..Self::default()
        };
    }
}

/// Whether the checksum at `at` is that of the block, in which it counts as zeros.
fn is_sound(seed: u32, block: &[u8], at: usize) -> bool {
    let (before, rest) = block.split_at(at);
    let sum = crc32c(crc32c(seed, before), &[0; 4]);
    crc32c(sum, &rest[4..]) == u32(block, at)
}

fn u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(array(bytes, at))
}

fn u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array(bytes, at))
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
