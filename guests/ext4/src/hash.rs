//! The hash of a name in an indexed directory: half MD4 with signed characters.
//!
//! A cut-down MD4 of the name in chunks of 32 bytes, each as 8 words that are padded with the length of what is left.

/// Marks the end of a directory to readers, so that no name has it.
const END: u32 = 0x7FFF_FFFF << 1;

const MD4_START: [u32; 4] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476];

/// Hashes names with one seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameHash {
    start: [u32; 4],
}

impl NameHash {
    /// Hashes with the superblock's seed; a seed of zeros stands for MD4's own.
    pub(crate) fn new(seed: [u8; 16]) -> Self {
        let (words, _) = seed.as_chunks::<4>();
        let mut start = [0; 4];
        for (word, bytes) in start.iter_mut().zip(words) {
            *word = u32::from_le_bytes(*bytes);
        }
        Self {
            start: if start == [0; 4] { MD4_START } else { start },
        }
    }

    /// The hash of `name`; bit 0 is clear.
    pub(crate) fn of(self, name: &[u8]) -> u32 {
        let mut state = self.start;
        let mut rest = name;
        while !rest.is_empty() {
            transform(&mut state, &chunk(rest));
            rest = rest.get(32..).unwrap_or_default();
        }
        let hash = state[1] & !1;
        if hash == END { END - 2 } else { hash }
    }
}

/// The first 32 bytes of what is left of a name, as words.
fn chunk(rest: &[u8]) -> [u32; 8] {
    let length = u32::try_from(rest.len()).expect("the length of names is checked") & 0xFF;
    let padding = length * 0x0101_0101;
    let mut words = [padding; 8];
    for (word, bytes) in words.iter_mut().zip(rest.chunks(4)) {
        for byte in bytes {
            let signed = i32::from(byte.cast_signed()).cast_unsigned();
            *word = (*word << 8).wrapping_add(signed);
        }
    }
    words
}

fn transform(state: &mut [u32; 4], input: &[u32; 8]) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes as `debugfs -R "dx_hash -h half_md4 -s 30313233-3435-3637-3839-616263646566 NAME"` tells them.
    #[test]
    fn hashes_are_those_of_debugfs() {
        let hash = NameHash::new(*b"0123456789abcdef");
        assert_eq!(hash.of(b"a"), 0x6624_92D2);
        assert_eq!(hash.of(b"lost+found"), 0xBA39_1B46);
        assert_eq!(hash.of(&[b'x'; 32]), 0xDBFF_3FD8);
        assert_eq!(hash.of(&[b'y'; 33]), 0x0E34_1294);
        assert_eq!(hash.of(&[b'z'; 255]), 0x252C_4A08);
        assert_eq!(hash.of(b"\xC3\xA9t\xFF"), 0x5A61_D766);
    }

    #[test]
    fn a_seed_of_zeros_is_that_of_md4() {
        let hash = NameHash::new([0; 16]);
        assert_eq!(hash.of(b"a"), 0xD5FA_7D7A);
        assert_eq!(hash.of(b"\xC3\xA9t\xFF"), 0x5495_E6A0);
    }
}
