//! The hash of names in directories of ext3 and ext4 that are indexed: fs/ext4/hash.c.
//!
//! Each takes the name in chunks of words, which are padded with the length of what is left.

/// Marks the end of a directory to those who read it by hashes, so that no name has it.
const END: u32 = 0x7FFF_FFFF << 1;

/// What all but the oldest hash begin with, unless there is a seed.
const START: [u32; 4] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476];

/// How a name is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Version 0 of `s_def_hash_version`: what there was before the others.
    Legacy,
    /// Version 1: a cut-down MD4 of chunks of 32 bytes.
    HalfMd4,
    /// Version 2: the Tiny Encryption Algorithm on chunks of 16 bytes.
    Tea,
}

/// Hashes names with one seed.
#[derive(Clone, Copy, Debug)]
pub struct NameHash {
    start: [u32; 4],
    method: Method,
    is_signed: bool,
}

/// The hash of a name, by which a directory is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hashed {
    /// What indexes have. Bit 0 is clear.
    pub major: u32,
    /// What tells names apart that have the same in indexes, as well as it can.
    pub minor: u32,
}

impl NameHash {
    /// Hashes with the superblock's seed; a seed of zeros stands for that of MD4. `is_signed` tells whether bytes from 128 on
    /// count as negative numbers, as on the machine that has made the file system.
    #[must_use]
    pub fn new(method: Method, is_signed: bool, seed: [u8; 16]) -> Self {
        let (words, _) = seed.as_chunks::<4>();
        let mut start = [0; 4];
        for (word, bytes) in start.iter_mut().zip(words) {
            *word = u32::from_le_bytes(*bytes);
        }
        Self {
            start: if start == [0; 4] { START } else { start },
            method,
            is_signed,
        }
    }

    /// The hash of `name`, which has 255 bytes or fewer.
    #[must_use]
    pub fn of(self, name: &[u8]) -> Hashed {
        let mut state = self.start;
        let (hash, minor) = match self.method {
            Method::Legacy => (self.legacy(name), 0),
            Method::HalfMd4 => {
                let mut rest = name;
                while !rest.is_empty() {
                    half_md4(&mut state, &self.chunk(rest));
                    rest = rest.get(32..).unwrap_or_default();
                }
                (state[1], state[2])
            }
            Method::Tea => {
                let mut rest = name;
                while !rest.is_empty() {
                    tea(&mut state, &self.chunk(rest));
                    rest = rest.get(16..).unwrap_or_default();
                }
                (state[0], state[1])
            }
        };
        let hash = hash & !1;
        let major = if hash == END { END - 2 } else { hash };
        Hashed { major, minor }
    }

    fn number(self, byte: u8) -> u32 {
        if self.is_signed {
            i32::from(byte.cast_signed()).cast_unsigned()
        } else {
            byte.into()
        }
    }

    /// The first bytes of what is left of a name, as words.
    fn chunk<const WORDS: usize>(self, rest: &[u8]) -> [u32; WORDS] {
        let length = u32::try_from(rest.len()).unwrap_or_default() & 0xFF;
        let padding = length * 0x0101_0101;
        let mut words = [padding; WORDS];
        for (word, bytes) in words.iter_mut().zip(rest.chunks(4)) {
            for byte in bytes {
                *word = (*word << 8).wrapping_add(self.number(*byte));
            }
        }
        words
    }

    fn legacy(self, name: &[u8]) -> u32 {
        let (mut before, mut hash) = (0x37AB_E8F9_u32, 0x12A3_FE2D_u32);
        for byte in name {
            let step = self.number(*byte).wrapping_mul(7_152_373);
            let mut next = before.wrapping_add(hash ^ step);
            if next & 0x8000_0000 != 0 {
                next = next.wrapping_sub(0x7FFF_FFFF);
            }
            (before, hash) = (hash, next);
        }
        hash << 1
    }
}

fn half_md4(state: &mut [u32; 4], input: &[u32; 8]) {
    const ROUNDS: [(u32, [usize; 8], [u32; 4]); 3] = [
        (0, [0, 1, 2, 3, 4, 5, 6, 7], [3, 7, 11, 19]),
        (0x5A82_7999, [1, 3, 5, 7, 0, 2, 4, 6], [3, 5, 9, 13]),
        (0x6ED9_EBA1, [3, 7, 2, 6, 1, 5, 0, 4], [3, 9, 11, 15]),
    ];
    let [mut a, mut b, mut c, mut d] = *state;
    for (round, (constant, order, shifts)) in ROUNDS.iter().enumerate() {
        for (step, index) in order.iter().enumerate() {
            let mixed = match round {
                0 => d ^ (b & (c ^ d)),
                1 => (b & c).wrapping_add((b ^ c) & d),
                _ => b ^ c ^ d,
            };
            let sum = a
                .wrapping_add(mixed)
                .wrapping_add(input[*index])
                .wrapping_add(*constant);
            (a, b, c, d) = (d, sum.rotate_left(shifts[step % 4]), b, c);
        }
    }
    for (word, more) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(more);
    }
}

fn tea(state: &mut [u32; 4], input: &[u32; 4]) {
    const DELTA: u32 = 0x9E37_79B9;
    let [a, b, c, d] = *input;
    let [mut left, mut right, ..] = *state;
    let mut sum = 0_u32;
    for _ in 0..16 {
        sum = sum.wrapping_add(DELTA);
        let mixed =
            (right << 4).wrapping_add(a) ^ right.wrapping_add(sum) ^ (right >> 5).wrapping_add(b);
        left = left.wrapping_add(mixed);
        let mixed =
            (left << 4).wrapping_add(c) ^ left.wrapping_add(sum) ^ (left >> 5).wrapping_add(d);
        right = right.wrapping_add(mixed);
    }
    state[0] = state[0].wrapping_add(left);
    state[1] = state[1].wrapping_add(right);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&[u8]; 5] = [
        b"a",
        b"lost+found",
        &[b'x'; 32],
        &[b'y'; 33],
        b"\xC3\xA9t\xFF",
    ];

    fn hashes(method: Method) -> [(u32, u32); 5] {
        let hash = NameHash::new(method, true, *b"0123456789abcdef");
        NAMES.map(|name| {
            let hashed = hash.of(name);
            (hashed.major, hashed.minor)
        })
    }

    /// Hashes as `debugfs -R "dx_hash -h half_md4 -s 30313233-3435-3637-3839-616263646566 NAME"` tells them.
    #[test]
    fn hashes_are_those_of_debugfs() {
        let half_md4 = [
            (0x6624_92D2, 0x8334_0CEB),
            (0xBA39_1B46, 0x8A2C_ABF7),
            (0xDBFF_3FD8, 0x1A30_690A),
            (0x0E34_1294, 0xA497_6F48),
            (0x5A61_D766, 0x29EB_B497),
        ];
        let tea = [
            (0x9893_C31C, 0x646E_D9AB),
            (0x4E0A_2AD4, 0x6B61_1A6D),
            (0xF739_0308, 0x455B_26C4),
            (0x9FB9_57E2, 0x1EF5_BAB3),
            (0x7EB1_A300, 0x009C_2B0F),
        ];
        let legacy = [
            0xE74B_53E2,
            0x5E2A_BA24,
            0xCCF8_E87C,
            0x477F_B8CE,
            0x3E2F_F27A,
        ];
        assert_eq!(hashes(Method::HalfMd4), half_md4);
        assert_eq!(hashes(Method::Tea), tea);
        assert_eq!(hashes(Method::Legacy), legacy.map(|hash| (hash, 0)));
        let long = NameHash::new(Method::HalfMd4, true, *b"0123456789abcdef").of(&[b'z'; 255]);
        assert_eq!(long.major, 0x252C_4A08);
    }

    #[test]
    fn a_seed_of_zeros_is_that_of_md4() {
        let hash = NameHash::new(Method::HalfMd4, true, [0; 16]);
        assert_eq!(hash.of(b"a").major, 0xD5FA_7D7A);
        assert_eq!(hash.of(b"\xC3\xA9t\xFF").major, 0x5495_E6A0);
        let hash = NameHash::new(Method::Tea, true, [0; 16]);
        assert_eq!(hash.of(b"a").major, 0x6D0E_A4C0);
    }

    #[test]
    fn bytes_have_a_sign_or_none() {
        for method in [Method::Legacy, Method::HalfMd4, Method::Tea] {
            let [signed, unsigned] = [true, false].map(|is| NameHash::new(method, is, [7; 16]));
            assert_eq!(signed.of(b"a name"), unsigned.of(b"a name"));
            assert_ne!(signed.of(b"\xFF"), unsigned.of(b"\xFF"));
        }
    }
}
