//! Forward error correction: bytes behind a tree by which blocks of data and tree can be mended.
//!
//! ```text
//!     data blocks | hash blocks | zeros      cut into 255 - ROOTS runs of equal length, in blocks
//!     └── run 0 ──┘└── run 1 ──┘ … └─ 252 ─┘
//!     byte b of block n of every run: one codeword of Reed-Solomon, with ROOTS bytes of parity
//! ```
//!
//! The code is that of the kernel and of `veritysetup` (drivers/md/dm-verity-fec.c; Phil Karn's `init_rs_char(8, 0x11d, 0, 1, roots)`):
//! over GF(256) by x^8 + x^4 + x^3 + x^2 + 1, the first root 1. Neighbouring blocks are in different codewords, so that a
//! damaged stretch is spread over many.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::{ImageError, PartitionFile};

/// The bytes of a codeword.
const CODEWORD: usize = 255;
/// The polynomial of the field.
const POLYNOMIAL: u16 = 0x11d;
/// The bytes of parity that a codeword can have.
pub const FEC_ROOTS: std::ops::RangeInclusive<u8> = 2..=24;

/// What is protected: the blocks of the data, then those of the tree from `tree_offset` on.
pub(super) struct Protected<'a> {
    pub(super) data: &'a PartitionFile,
    pub(super) tree: &'a PartitionFile,
    pub(super) tree_offset: u64,
    pub(super) tree_blocks: u64,
    pub(super) block: u32,
    pub(super) roots: u8,
}

/// The blocks of parity for this many blocks.
pub(super) fn parity_blocks(blocks: u64, roots: u8) -> u64 {
    rounds(blocks, roots) * u64::from(roots)
}

/// The blocks in a run.
fn rounds(blocks: u64, roots: u8) -> u64 {
    blocks.div_ceil(runs(roots) as u64)
}

fn runs(roots: u8) -> usize {
    CODEWORD - usize::from(roots)
}

impl Protected<'_> {
    fn data_blocks(&self) -> u64 {
        self.data.size() / u64::from(self.block)
    }

    fn blocks(&self) -> u64 {
        self.data_blocks() + self.tree_blocks
    }

    /// Reads a block; zeros behind the last.
    fn read(&self, block: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        let size = u64::from(self.block);
        let in_data = self.data_blocks();
        if block < in_data {
            self.data.read(block * size, buffer)
        } else if block < self.blocks() {
            self.tree
                .read(self.tree_offset + (block - in_data) * size, buffer)
        } else {
            buffer.fill(0);
            Ok(())
        }
    }

    /// Writes the parity to `target` from `offset` on, on `threads` threads; where all is zeros, nothing.
    pub(super) fn write(
        &self,
        target: &PartitionFile,
        offset: u64,
        threads: usize,
    ) -> Result<(), ImageError> {
        let (next, rounds) = (AtomicU64::new(0), rounds(self.blocks(), self.roots));
        let code = Code::new(self.roots);
        let work = || {
            let mut rows = vec![vec![0; self.block as usize]; runs(self.roots)];
            loop {
                let round = next.fetch_add(1, Ordering::Relaxed);
                if round >= rounds {
                    return Ok(());
                }
                let made = self.round(round, rounds, &code, &mut rows);
                let written = made.and_then(|parity| {
                    let at = offset + round * parity.len() as u64;
                    if parity.iter().all(|byte| *byte == 0) {
                        return Ok(());
                    }
                    target.write(at, &parity)
                });
                if written.is_err() {
                    next.store(rounds, Ordering::Relaxed);
                }
                written?;
            }
        };
        thread::scope(|scope| {
            let others: Vec<_> = (1..threads)
                .map_while(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
                .collect();
            let mine = work();
            others.into_iter().fold(mine, |result, other| {
                let theirs = other
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                result.and(theirs)
            })
        })
    }

    /// The parity of the codewords that begin in one block.
    fn round(
        &self,
        round: u64,
        rounds: u64,
        code: &Code,
        rows: &mut [Vec<u8>],
    ) -> Result<Vec<u8>, ImageError> {
        for (run, row) in (0..).zip(rows.iter_mut()) {
            self.read(run * rounds + round, row)?;
        }
        Ok(code.parity(rows))
    }
}

/// The code with a number of roots.
struct Code {
    roots: usize,
    /// For each byte that leaves the register, what is added to each byte of it.
    feedback: Vec<[u8; CODEWORD + 1]>,
}

impl Code {
    fn new(roots: u8) -> Self {
        let roots = usize::from(roots);
        // The product of (x + 2^i), the highest power first and left out.
        let mut generator = vec![1_u8];
        let mut root = 1;
        for _ in 0..roots {
            let mut next = generator.clone();
            next.push(0);
            for (at, factor) in generator.iter().enumerate() {
                next[at + 1] ^= product(*factor, root);
            }
            generator = next;
            root = product(root, 2);
        }
        let row = |factor: &u8| {
            let mut row = [0; CODEWORD + 1];
            for (byte, place) in (0..=u8::MAX).zip(&mut row) {
                *place = product(byte, *factor);
            }
            row
        };
        Self {
            roots,
            feedback: generator[1..].iter().map(row).collect(),
        }
    }

    /// The parity of one codeword for each column, column by column.
    fn parity(&self, rows: &[Vec<u8>]) -> Vec<u8> {
        let columns = rows.first().map_or(0, Vec::len);
        // A register for each column; each byte of it in a row of its own.
        let mut registers = vec![vec![0_u8; columns]; self.roots];
        let mut leaving = vec![0_u8; columns];
        for row in rows {
            for ((leaving, first), byte) in leaving.iter_mut().zip(&registers[0]).zip(row) {
                *leaving = first ^ byte;
            }
            registers.rotate_left(1);
            if let Some(last) = registers.last_mut() {
                last.fill(0);
            }
            for (register, feedback) in registers.iter_mut().zip(&self.feedback) {
                for (byte, leaving) in register.iter_mut().zip(&leaving) {
                    *byte ^= feedback[usize::from(*leaving)];
                }
            }
        }
        (0..columns)
            .flat_map(|column| registers.iter().map(move |register| register[column]))
            .collect()
    }
}

/// The product in the field.
fn product(one: u8, other: u8) -> u8 {
    let (mut one, mut sum) = (u16::from(one), 0);
    for bit in 0..8 {
        if other >> bit & 1 == 1 {
            sum ^= one;
        }
        one <<= 1;
        if one & 0x100 != 0 {
            one ^= POLYNOMIAL;
        }
    }
    u8::try_from(sum).expect("what is reduced by a polynomial of degree 8 fits a byte")
}
