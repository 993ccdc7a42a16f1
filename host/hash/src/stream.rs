//! Messages that come in pieces: each for itself, or those of two side by side.

use crate::sha256::{
    BLOCK, Block, Compress, INITIAL, LANES, Last, State, digest, fastest, one_after_another,
};

/// SHA-256 (FIPS 180-4) of a message that comes in pieces.
#[derive(Clone, Debug)]
pub struct Sha256Stream {
    /// After the whole blocks.
    state: State,
    /// The block that comes behind them, of which `begun` bytes are there, less than all.
    block: Block,
    begun: usize,
    /// The bytes of the message.
    bytes: u64,
}

impl Default for Sha256Stream {
    fn default() -> Self {
        Self {
            state: INITIAL,
            block: [0; BLOCK],
            begun: 0,
            bytes: 0,
        }
    }
}

impl Sha256Stream {
    /// Takes in the next bytes.
    pub fn update(&mut self, piece: &[u8]) {
        let (blocks, rest) = self.completed(piece).as_chunks();
        self.take(blocks, rest);
    }

    /// Takes in the next bytes of two messages. As far as both pieces go, that takes little longer than those of one, where the processor has
    /// instructions for it.
    pub fn update_both(streams: [&mut Self; 2], pieces: [&[u8]; 2]) {
        Self::update_both_by(fastest(), streams, pieces);
    }

    /// With a given way to take in both.
    pub(crate) fn update_both_by(
        together: Compress<LANES>,
        [one, other]: [&mut Self; LANES],
        pieces: [&[u8]; LANES],
    ) {
        let (one_blocks, one_rest) = one.completed(pieces[0]).as_chunks();
        let (other_blocks, other_rest) = other.completed(pieces[1]).as_chunks();
        let common = one_blocks.len().min(other_blocks.len());
        let (one_blocks, one_alone) = one_blocks.split_at(common);
        let (other_blocks, other_alone) = other_blocks.split_at(common);
        let mut states = [one.state, other.state];
        together(&mut states, [one_blocks, other_blocks]);
        [one.state, other.state] = states;
        one.take(one_alone, one_rest);
        other.take(other_alone, other_rest);
    }

    /// The digest of all bytes that were taken in.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        let last = Last::new(&self.block[..self.begun], &[], self.bytes);
        let mut states = [self.state];
        one_after_another(&mut states, [last.blocks()]);
        let [state] = states;
        digest(state)
    }

    /// Completes the block that is begun, and takes it in: what of the piece comes behind it. If that is anything, no block is begun.
    fn completed<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
        self.bytes += piece.len() as u64;
        if self.begun == 0 {
            return piece;
        }
        let missing = (BLOCK - self.begun).min(piece.len());
        let (these, rest) = piece.split_at(missing);
        self.block[self.begun..][..missing].copy_from_slice(these);
        self.begun += missing;
        if self.begun == BLOCK {
            self.begun = 0;
            sha2::block_api::compress256(&mut self.state, &[self.block]);
        }
        rest
    }

    /// Takes in whole blocks, and what is less than one.
    fn take(&mut self, blocks: &[Block], rest: &[u8]) {
        sha2::block_api::compress256(&mut self.state, blocks);
        self.block[self.begun..][..rest.len()].copy_from_slice(rest);
        self.begun += rest.len();
    }
}
