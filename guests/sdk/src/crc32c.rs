//! CRC-32C (polynomial 0x1EDC6F41, reflected 0x82F63B78), without a final inversion, so that one value seeds the next.

/// Seeds a chain of checksums.
pub const START: u32 = !0;

const POLYNOMIAL: u32 = 0x82F6_3B78;

/// How many bytes one step takes.
const SLICES: usize = 16;

static TABLES: [[u32; 256]; SLICES] = tables();

const fn tables() -> [[u32; 256]; SLICES] {
    let mut tables = [[0; 256]; SLICES];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation)] // less than 256
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ (POLYNOMIAL * (value & 1));
            bit += 1;
        }
        tables[0][byte] = value;
        byte += 1;
    }
    let mut slice = 1;
    while slice < SLICES {
        let mut byte = 0;
        while byte < 256 {
            let shorter = tables[slice - 1][byte];
            tables[slice][byte] = (shorter >> 8) ^ tables[0][(shorter & 0xFF) as usize];
            byte += 1;
        }
        slice += 1;
    }
    tables
}

/// Continues the checksum `seed` with `bytes`.
#[must_use]
pub fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    let mut crc = seed;
    let (chunks, rest) = bytes.as_chunks::<SLICES>();
    for chunk in chunks {
        let [first, second, third, fourth] = words(chunk);
        crc = slice(first ^ crc, 12);
        // Much of an inode is zeros, which add nothing.
        if second | third | fourth != 0 {
            crc ^= slice(second, 8) ^ slice(third, 4) ^ slice(fourth, 0);
        }
    }
    let (words, rest) = rest.as_chunks();
    for word in words {
        crc = slice(u32::from_le_bytes(*word) ^ crc, 0);
    }
    for byte in rest {
        crc = (crc >> 8) ^ TABLES[0][usize::from(crc.to_le_bytes()[0] ^ byte)];
    }
    crc
}

fn words(chunk: &[u8; SLICES]) -> [u32; 4] {
    let words = chunk.as_chunks().0;
    [0, 1, 2, 3].map(|index| u32::from_le_bytes(words[index]))
}

/// What four bytes add to the checksum of a chunk, `after` bytes before its end.
fn slice(word: u32, after: usize) -> u32 {
    TABLES[after + 3][(word & 0xFF) as usize]
        ^ TABLES[after + 2][(word >> 8 & 0xFF) as usize]
        ^ TABLES[after + 1][(word >> 16 & 0xFF) as usize]
        ^ TABLES[after][(word >> 24) as usize]
}

/// How many zero bytes one step takes.
const ZEROS: usize = 32;

/// What [`ZEROS`] zero bytes make of a checksum, for each value of each of its bytes.
static AFTER_ZEROS: [[u32; 256]; 4] = after_zeros();

const fn after_zeros() -> [[u32; 256]; 4] {
    let mut tables = [[0; 256]; 4];
    let mut index = 0;
    while index < 4 * 256 {
        let (byte, value) = (index / 256, index % 256);
        #[allow(clippy::cast_possible_truncation)] // less than 256
        let mut crc = (value as u32) << (8 * byte);
        let mut step = 0;
        while step < ZEROS {
            crc = (crc >> 8) ^ TABLES[0][(crc & 0xFF) as usize];
            step += 1;
        }
        tables[byte][value] = crc;
        index += 1;
    }
    tables
}

/// Continues the checksum `seed` with `count` zero bytes. A checksum is linear, so that zeros need not be looked at.
#[must_use]
pub fn crc32c_zeros(seed: u32, count: usize) -> u32 {
    let stepped = (0..count / ZEROS).fold(seed, |crc, _| {
        AFTER_ZEROS
            .iter()
            .zip(crc.to_le_bytes())
            .fold(0, |sum, (table, byte)| sum ^ table[usize::from(byte)])
    });
    crc32c(stepped, &[0; ZEROS][..count % ZEROS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_catalogue() {
        assert_eq!(!crc32c(START, b"123456789"), 0xE306_9283);
    }

    #[test]
    fn a_chain_equals_the_whole() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for cut in [0, 1, 7, 8, 15, 16, 17, 500, 999, 1000] {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(crc32c(crc32c(START, head), tail), crc32c(START, &bytes));
        }
    }

    #[test]
    fn zeros_need_not_be_looked_at() {
        for count in [0, 1, 31, 32, 33, 96, 100] {
            let zeros = vec![0; count];
            assert_eq!(
                crc32c_zeros(0x1234_5678, count),
                crc32c(0x1234_5678, &zeros)
            );
        }
    }
}
