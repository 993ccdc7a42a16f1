//! CRC-32 from the highest bit on (polynomial 0x04C11DB7), without a final inversion: the kernel's `crc32_be`.

/// Seeds a chain of checksums.
pub(crate) const START: u32 = !0;

const POLYNOMIAL: u32 = 0x04C1_1DB7;

static TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation)] // less than 256
        let mut value = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            value = (value << 1) ^ (POLYNOMIAL * (value >> 31));
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
}

/// Continues the checksum `seed` with `bytes`.
pub(crate) fn crc32(seed: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(seed, |crc, byte| {
        let [high, ..] = crc.to_be_bytes();
        (crc << 8) ^ TABLE[usize::from(high ^ byte)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_catalogue() {
        // CRC-32/MPEG-2.
        assert_eq!(crc32(START, b"123456789"), 0x0376_E6E7);
    }
}
