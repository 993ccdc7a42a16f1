//! Room for inodes: what stands behind an inode may not cross a block, and blocks are to be full.

use crate::format::SLOT;
use crate::options::Options;

/// Room among the metadata. Bytes from its beginning.
#[derive(Clone, Debug)]
pub(crate) struct Packer {
    block_size: u64,
    /// The blocks that are begun.
    blocks: u64,
    /// For each number of free slots, the blocks that end with so many.
    free: Vec<Vec<u32>>,
}

impl Packer {
    pub(crate) fn new(options: &Options) -> Self {
        let block_size = options.block_size();
        let slots = usize::try_from(block_size / SLOT).expect("at most 2048");
        Self {
            block_size,
            blocks: 0,
            free: vec![Vec::new(); slots],
        }
    }

    /// The bytes of all blocks.
    pub(crate) fn bytes(&self) -> u64 {
        self.blocks * self.block_size
    }

    /// Room for `body` bytes, and behind them `tail` bytes that do not cross a block: the fullest block that has it, or new ones.
    pub(crate) fn take(&mut self, body: u64, tail: u64) -> u64 {
        let bytes = body + tail;
        let slots = bytes.div_ceil(SLOT);
        if bytes <= self.block_size {
            let least = usize::try_from(slots).expect("at most 2048");
            let fitting = self
                .free
                .iter()
                .skip(least)
                .position(|blocks| !blocks.is_empty());
            if let Some(more) = fitting {
                let free = least + more;
                let block = self.free[free].pop().expect("it was just found");
                self.keep_free(block.into(), more as u64);
                let end = (u64::from(block) + 1) * self.block_size;
                return end - free as u64 * SLOT;
            }
        }
        let before = self.before(body, tail);
        let start = self.blocks * self.block_size + before;
        let end = (start + bytes).next_multiple_of(SLOT);
        self.blocks = end.div_ceil(self.block_size);
        let left = (self.blocks * self.block_size - end) / SLOT;
        self.keep_free(self.blocks - 1, left);
        start
    }

    /// The bytes to leave out of a new block, so that the tail does not cross one.
    fn before(&self, body: u64, tail: u64) -> u64 {
        let last = body % self.block_size;
        if tail == 0 || last + tail <= self.block_size {
            return 0;
        }
        (self.block_size - last).next_multiple_of(SLOT)
    }

    fn keep_free(&mut self, block: u64, slots: u64) {
        // What is beyond is left free.
        if slots > 0
            && let Ok(block) = u32::try_from(block)
        {
            let slots = usize::try_from(slots).expect("at most 2047");
            self.free[slots].push(block);
        }
    }
}
