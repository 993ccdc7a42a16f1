//! Several messages side by side in the SHA instructions of x86-64.
//!
//! `sha256rnds2` does two rounds. It needs what the one before it made, and takes about four cycles, but another can start after two: that is what
//! the other messages are for. Registers are read and written as Intel's manual has it ("SHA256RNDS2" in volume 2): one holds the
//! words a, b, e and f of the state, the other c, d, g and h, the highest first.

use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x,
    _mm_setzero_si128, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
    _mm_shuffle_epi8, _mm_shuffle_epi32,
};

use crate::sha256::{Block, Compress, State};

/// Four rounds share a vector of the message, and sixteen such vectors make a block.
const CONSTANTS: [[u32; 4]; 16] = [
    [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
    [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
    [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
    [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
    [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
    [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
    [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
    [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
    [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
    [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
    [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
    [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
    [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
];

/// The way to take in `N` messages side by side, where the processor has the instructions.
pub(crate) fn interleaved<const N: usize>() -> Option<Compress<N>> {
    let has_them = is_x86_feature_detected!("sha")
        && is_x86_feature_detected!("sse4.1")
        && is_x86_feature_detected!("ssse3");
    #[expect(unsafe_code, reason = "not all processors have the instructions")]
    // SAFETY: the only demand of `compress` is a processor with the three features, and this one was asked for each of them.
    has_them.then_some(|states, blocks| unsafe { compress(states, blocks) })
}

/// What is known of a message.
#[derive(Clone, Copy)]
struct Lane {
    abef: __m128i,
    cdgh: __m128i,
    /// The last sixteen words of the message schedule, four and four, from the lowest: those of rounds 4n to 4n + 3 in `n % 4`.
    words: [__m128i; 4],
}

/// # Panics
/// If there are not as many blocks of each message.
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn compress<const N: usize>(states: &mut [State; N], blocks: [&[Block]; N]) {
    let zero = _mm_setzero_si128();
    let mut lanes = [Lane {
        abef: zero,
        cdgh: zero,
        words: [zero; 4],
    }; N];
    for (lane, state) in lanes.iter_mut().zip(&*states) {
        let [a, b, c, d, e, f, g, h] = *state;
        lane.abef = vector([f, e, b, a]);
        lane.cdgh = vector([h, g, d, c]);
    }
    let count = blocks[0].len();
    assert!(blocks.iter().all(|blocks| blocks.len() == count));
    for index in 0..count {
        let before = lanes;
        for (lane, blocks) in lanes.iter_mut().zip(blocks) {
            let (quarters, _) = blocks[index].as_chunks();
            for (words, quarter) in lane.words.iter_mut().zip(quarters) {
                *words = big_endian(*quarter);
            }
        }
        rounds::<N, 0>(&mut lanes);
        rounds::<N, 1>(&mut lanes);
        rounds::<N, 2>(&mut lanes);
        rounds::<N, 3>(&mut lanes);
        scheduled_rounds::<N, 4>(&mut lanes);
        scheduled_rounds::<N, 5>(&mut lanes);
        scheduled_rounds::<N, 6>(&mut lanes);
        scheduled_rounds::<N, 7>(&mut lanes);
        scheduled_rounds::<N, 8>(&mut lanes);
        scheduled_rounds::<N, 9>(&mut lanes);
        scheduled_rounds::<N, 10>(&mut lanes);
        scheduled_rounds::<N, 11>(&mut lanes);
        scheduled_rounds::<N, 12>(&mut lanes);
        scheduled_rounds::<N, 13>(&mut lanes);
        scheduled_rounds::<N, 14>(&mut lanes);
        scheduled_rounds::<N, 15>(&mut lanes);
        for (lane, before) in lanes.iter_mut().zip(&before) {
            lane.abef = _mm_add_epi32(lane.abef, before.abef);
            lane.cdgh = _mm_add_epi32(lane.cdgh, before.cdgh);
        }
    }
    for (state, lane) in states.iter_mut().zip(&lanes) {
        let [f, e, b, a] = words(lane.abef);
        let [h, g, d, c] = words(lane.cdgh);
        *state = [a, b, c, d, e, f, g, h];
    }
}

/// Rounds 4 `V` to 4 `V` + 3, of words that are made first.
#[inline]
#[target_feature(enable = "sha,ssse3")]
fn scheduled_rounds<const N: usize, const V: usize>(lanes: &mut [Lane; N]) {
    for lane in &mut *lanes {
        let [first, second, third, fourth] =
            [0, 1, 2, 3].map(|behind| lane.words[(V + behind) % 4]);
        // The sum of the words 16, 15 (through σ0) and 7 back; σ1 of those 2 back comes last.
        let sum = _mm_add_epi32(
            _mm_sha256msg1_epu32(first, second),
            _mm_alignr_epi8(fourth, third, 4),
        );
        lane.words[V % 4] = _mm_sha256msg2_epu32(sum, fourth);
    }
    rounds::<N, V>(lanes);
}

/// Rounds 4 `V` to 4 `V` + 3: two of each message, then the other two.
#[inline]
#[target_feature(enable = "sha")]
fn rounds<const N: usize, const V: usize>(lanes: &mut [Lane; N]) {
    let mut added = [_mm_setzero_si128(); N];
    for (added, lane) in added.iter_mut().zip(&*lanes) {
        *added = _mm_add_epi32(lane.words[V % 4], vector(CONSTANTS[V]));
    }
    // What was a, b, e and f is c, d, g and h two rounds later, so each takes the place of the other.
    for (lane, added) in lanes.iter_mut().zip(added) {
        lane.cdgh = _mm_sha256rnds2_epu32(lane.cdgh, lane.abef, added);
    }
    for (lane, added) in lanes.iter_mut().zip(added) {
        // The other two words go where the instruction looks for them, at the low end.
        let added = _mm_shuffle_epi32(added, 0b_00_00_11_10);
        lane.abef = _mm_sha256rnds2_epu32(lane.abef, lane.cdgh, added);
    }
}

/// Four words, from the lowest.
#[inline]
#[target_feature(enable = "sse2")]
fn vector(words: [u32; 4]) -> __m128i {
    let [first, second, third, fourth] = words.map(u32::cast_signed);
    _mm_set_epi32(fourth, third, second, first)
}

/// The inverse of [`vector`].
#[inline]
#[target_feature(enable = "sse4.1")]
fn words(vector: __m128i) -> [u32; 4] {
    [
        _mm_extract_epi32(vector, 0),
        _mm_extract_epi32(vector, 1),
        _mm_extract_epi32(vector, 2),
        _mm_extract_epi32(vector, 3),
    ]
    .map(i32::cast_unsigned)
}

/// Four words that are big-endian in a message, from the lowest.
#[inline]
#[target_feature(enable = "ssse3")]
fn big_endian(bytes: [u8; 16]) -> __m128i {
    // Compiled to one load.
    let (halves, _) = bytes.as_chunks();
    let loaded = _mm_set_epi64x(i64::from_le_bytes(halves[1]), i64::from_le_bytes(halves[0]));
    let each_turned_round = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    _mm_shuffle_epi8(loaded, each_turned_round)
}
