//! SHA-256 (FIPS 180-4): how a prefix, a message and what pads them become blocks. What takes blocks in is chosen by the processor.

use std::array;
use std::slice;

#[cfg(target_arch = "x86_64")]
pub(crate) use crate::x86_64::interleaved;

/// The bytes of a block.
pub(crate) const BLOCK: usize = 64;
/// Follows a message: its highest bit ends it.
const END: u8 = 0x80;
/// The bytes of the number at the end of the last block: the bits that were hashed, big-endian.
const LENGTH: usize = 8;
/// The messages that are hashed at a time. Two hide nearly all of the time that an instruction takes. The registers do not hold what
/// three and more need, and what they gain is lost in memory.
pub(crate) const LANES: usize = 2;
/// The state before anything was hashed (5.3.3).
pub(crate) const INITIAL: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

pub(crate) type Block = [u8; BLOCK];
/// The words a to h.
pub(crate) type State = [u32; 8];
pub(crate) type Digest = [u8; 32];
/// Takes blocks of `N` messages into their states, of each as many.
pub(crate) type Compress<const N: usize> = fn(&mut [State; N], [&[Block]; N]);

/// SHA-256 that has taken a prefix.
#[derive(Clone)]
pub(crate) struct Prefixed {
    /// After the whole blocks of the prefix.
    state: State,
    /// What comes behind them, less than a block.
    begun: Vec<u8>,
    /// The bytes of the prefix.
    bytes: usize,
    together: Compress<LANES>,
}

impl Prefixed {
    pub(crate) fn new(prefix: &[u8]) -> Self {
        Self::by(prefix, fastest())
    }

    /// With a given way to take in several messages.
    pub(crate) fn by(prefix: &[u8], together: Compress<LANES>) -> Self {
        let (blocks, begun) = prefix.as_chunks();
        let mut state = INITIAL;
        sha2::block_api::compress256(&mut state, blocks);
        Self {
            state,
            begun: begun.to_vec(),
            bytes: prefix.len(),
            together,
        }
    }

    pub(crate) fn digest(&self, message: &[u8]) -> Digest {
        let [digest] = self.hashed([message], one_after_another);
        digest
    }

    pub(crate) fn digests(&self, messages: &[u8], size: usize, mut put: impl FnMut(&[u8])) {
        let groups = messages.chunks_exact(size * LANES);
        let rest = groups.remainder();
        for group in groups {
            let messages = array::from_fn(|lane| &group[lane * size..][..size]);
            for digest in self.hashed(messages, self.together) {
                put(&digest);
            }
        }
        for message in rest.chunks_exact(size) {
            put(&self.digest(message));
        }
    }

    /// The digests of messages of one length.
    fn hashed<const N: usize>(&self, messages: [&[u8]; N], compress: Compress<N>) -> [Digest; N] {
        let mut states = [self.state; N];
        let bytes = self.bytes + messages[0].len();
        let mut begun = self.begun.as_slice();
        let mut messages = messages;
        let missing = BLOCK - begun.len();
        if !begun.is_empty() && messages[0].len() >= missing {
            let first = messages.map(|message| {
                let mut block = [0; BLOCK];
                block[..begun.len()].copy_from_slice(begun);
                block[begun.len()..].copy_from_slice(&message[..missing]);
                block
            });
            compress(&mut states, first.each_ref().map(slice::from_ref));
            messages = messages.map(|message| &message[missing..]);
            begun = &[];
        }
        // A message behind a block that is still begun has no whole one.
        let cut = messages.map(<[u8]>::as_chunks);
        compress(&mut states, cut.map(|(blocks, _)| blocks));
        let last = cut.map(|(_, rest)| Last::new(begun, rest, bytes as u64));
        compress(&mut states, last.each_ref().map(Last::blocks));
        states.map(digest)
    }
}

/// What is left of a message, with what pads it: one block, or two.
pub(crate) struct Last {
    blocks: [Block; 2],
    count: usize,
}

impl Last {
    /// `begun` and `rest` are less than a block together; `bytes` were hashed in all, with them.
    pub(crate) fn new(begun: &[u8], rest: &[u8], bytes: u64) -> Self {
        let end = begun.len() + rest.len();
        let count = (end + 1 + LENGTH).div_ceil(BLOCK);
        let mut blocks = [[0; BLOCK]; 2];
        let padded = &mut blocks.as_flattened_mut()[..count * BLOCK];
        padded[..begun.len()].copy_from_slice(begun);
        padded[begun.len()..end].copy_from_slice(rest);
        padded[end] = END;
        let bits = bytes
            .checked_mul(8)
            .expect("a message has fewer than 2^64 bits");
        let length = padded.len() - LENGTH;
        padded[length..].copy_from_slice(&bits.to_be_bytes());
        Self { blocks, count }
    }

    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks[..self.count]
    }
}

pub(crate) fn digest(state: State) -> Digest {
    let mut digest = [0; size_of::<Digest>()];
    let (words, _) = digest.as_chunks_mut();
    for (word, value) in words.iter_mut().zip(state) {
        *word = value.to_be_bytes();
    }
    digest
}

/// The best way that this processor has to take in several messages.
pub(crate) fn fastest() -> Compress<LANES> {
    interleaved().unwrap_or(one_after_another)
}
/// Side by side: there is no code for it here.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn interleaved<const N: usize>() -> Option<Compress<N>> {
    None
}

/// What all processors can.
pub(crate) fn one_after_another<const N: usize>(states: &mut [State; N], blocks: [&[Block]; N]) {
    for (state, blocks) in states.iter_mut().zip(blocks) {
        sha2::block_api::compress256(state, blocks);
    }
}
