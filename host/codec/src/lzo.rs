//! LZO1X, the way back, in safe Rust. The format is described in the kernel's `Documentation/staging/lzo.rst`.

use crate::Failure;

/// Literals that an instruction copies before the next: a match that follows means something else by how many there were.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    None,
    Few,
    Many,
}

/// Decodes `bytes` behind `output`, at most until it has `most` bytes.
pub(crate) fn decode(bytes: &[u8], output: &mut Vec<u8>, most: usize) -> Result<(), Failure> {
    let mut input = Input(bytes);
    let mut before = Before::None;
    if let Some(first) = bytes.first().copied().filter(|first| *first > 17) {
        input.byte()?;
        let literals = usize::from(first - 17);
        input.copy(literals, output, most)?;
        before = if literals < 4 {
            Before::Few
        } else {
            Before::Many
        };
    }
    while output.len() < most {
        let instruction = input.byte()?;
        let low = usize::from(instruction & 3);
        let (length, distance, literals) = match (instruction, before) {
            (0..16, Before::None) => {
                let length = 3 + input.length(instruction & 15, 15)?;
                input.copy(length, output, most)?;
                before = Before::Many;
                continue;
            }
            (0..16, Before::Few) => {
                let distance = (usize::from(input.byte()?) << 2) + usize::from(instruction >> 2);
                (2, distance + 1, low)
            }
            (0..16, Before::Many) => {
                let distance = (usize::from(input.byte()?) << 2) + usize::from(instruction >> 2);
                (3, distance + 2049, low)
            }
            (16..32, _) => {
                let length = 2 + input.length(instruction & 7, 7)?;
                let (distance, literals) = input.pair()?;
                let distance = 16_384 + (usize::from(instruction & 8) << 11) + distance;
                if distance == 16_384 {
                    return Ok(());
                }
                (length, distance, literals)
            }
            (32..64, _) => {
                let length = 2 + input.length(instruction & 31, 31)?;
                let (distance, literals) = input.pair()?;
                (length, distance + 1, literals)
            }
            (64.., _) => {
                let length = if instruction < 128 {
                    3 + usize::from(instruction >> 5 & 1)
                } else {
                    5 + usize::from(instruction >> 5 & 3)
                };
                let near = usize::from(instruction >> 2 & 7);
                let distance = (usize::from(input.byte()?) << 3) + near + 1;
                (length, distance, low)
            }
        };
        repeat(length, distance, output, most)?;
        input.copy(literals, output, most)?;
        before = if literals == 0 {
            Before::None
        } else {
            Before::Few
        };
    }
    Ok(())
}

/// Copies `length` bytes that stand `distance` bytes before the end once more; they may overlap what they become.
fn repeat(
    length: usize,
    distance: usize,
    output: &mut Vec<u8>,
    most: usize,
) -> Result<(), Failure> {
    let start = output.len().checked_sub(distance).ok_or_else(damaged)?;
    for at in start..start + length.min(most - output.len()) {
        output.push(output[at]);
    }
    Ok(())
}

/// The bytes that are not taken yet.
struct Input<'b>(&'b [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Result<u8, Failure> {
        let (first, rest) = self.0.split_first().ok_or_else(damaged)?;
        self.0 = rest;
        Ok(*first)
    }

    /// A length of the instruction's bits, or, if these are zero, one that follows in bytes.
    fn length(&mut self, bits: u8, otherwise: usize) -> Result<usize, Failure> {
        if bits != 0 {
            return Ok(bits.into());
        }
        let mut length = otherwise;
        loop {
            match self.byte()? {
                0 => length += 255,
                last => return Ok(length + usize::from(last)),
            }
        }
    }

    /// A distance in 14 bits, and a number of literals in two.
    fn pair(&mut self) -> Result<(usize, usize), Failure> {
        let low = self.byte()?;
        let value = usize::from(low) | usize::from(self.byte()?) << 8;
        Ok((value >> 2, value & 3))
    }

    fn copy(&mut self, length: usize, output: &mut Vec<u8>, most: usize) -> Result<(), Failure> {
        let (literals, rest) = self.0.split_at_checked(length).ok_or_else(damaged)?;
        self.0 = rest;
        output.extend(&literals[..length.min(most - output.len())]);
        Ok(())
    }
}

fn damaged() -> Failure {
    Failure::library("LZO", "damaged data")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn decoded(bytes: &[u8], most: usize) -> Option<Vec<u8>> {
        let mut output = Vec::new();
        decode(bytes, &mut output, most).ok()?;
        Some(output)
    }

    /// By hand, from the description of the format.
    #[test]
    fn literals_and_matches_come_back() {
        let end = [0x11, 0, 0];
        let literals = [&[17 + 4][..], b"abcd", &end].concat();
        assert_eq!(decoded(&literals, 100).unwrap(), b"abcd");
        // Four bytes from four bytes before, and two literals behind.
        let near = [
            &[17 + 4][..],
            b"abcd",
            &[64 | 32 | 3 << 2 | 2, 0],
            b"xy",
            &end,
        ]
        .concat();
        assert_eq!(decoded(&near, 100).unwrap(), b"abcdabcdxy");
        // 2 + 31 + 7 bytes from one byte before.
        let run = [&[17 + 4][..], b"abcd", &[32, 7, 0, 0], &end].concat();
        assert_eq!(
            decoded(&run, 100).unwrap(),
            [b"abc", &[b'd'; 41][..]].concat()
        );
        assert_eq!(decoded(&run, 6).unwrap(), b"abcddd");
        // Behind fewer than four literals, a small instruction is a match of two bytes.
        let two = [&[17 + 3][..], b"abc", &[2 << 2, 0], &end].concat();
        assert_eq!(decoded(&two, 100).unwrap(), b"abcab");
    }

    #[test]
    fn damage_is_an_error() {
        for bytes in [&[][..], &[17 + 4, b'a'], &[64, 0], &[0, 0, 0], &[17, 0]] {
            assert_eq!(decoded(bytes, 100), None, "{bytes:?}");
        }
    }
}
