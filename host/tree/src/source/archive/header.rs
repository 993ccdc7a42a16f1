//! One header block: its checksum and its numbers.
//!
//! The layouts come from the `tar` crate. Numbers are decoded here, because times may be negative.

use super::super::error::ArchiveError;
use super::blocks::BLOCK;
use crate::recognise::{Class, recognise};
use cellblock_text::PathBytes;
use tar::Header;

/// Where the checksum is; for the sum its bytes count as spaces (POSIX.1-2017, pax, "ustar Header Block").
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// The magic of ustar (POSIX.1-2017, pax, "ustar Header Block"), and the version behind it.
const MAGIC: std::ops::Range<usize> = 257..263;
const VERSION: std::ops::Range<usize> = 263..265;

/// Views a block as a header once its checksum is right.
///
/// The magic alone tells a ustar header, as it does for GNU tar and bsdtar; the `tar` crate asks for version `00` too, without
/// which a header would lose its prefix and its device numbers. So any other version becomes that one.
pub(super) fn check(block: &mut [u8; BLOCK], offset: u64) -> Result<&Header, ArchiveError> {
    check_sum(block, offset)?;
    if &block[MAGIC] == b"ustar\0" {
        block[VERSION].copy_from_slice(b"00");
    }
    Ok(Header::from_byte_slice(block))
}

/// Whether a block is a header: its checksum is right.
pub(super) fn is_one(block: &[u8; BLOCK]) -> bool {
    check_sum(block, 0).is_ok()
}

fn check_sum(block: &[u8; BLOCK], offset: u64) -> Result<(), ArchiveError> {
    let header = Header::from_byte_slice(block);
    let stated = number(&header.as_old().cksum).ok();
    let computed = i64::from(sum(block));
    // Some old writers summed signed characters: each of 128 and more counts 256 less.
    let historical = || computed - 256 * high_bytes(block);
    if stated == Some(computed) || stated == Some(historical()) {
        return Ok(());
    }
    if offset == 0 {
        return Err(no_archive(block, None));
    }
    Err(ArchiveError::Checksum {
        offset,
        stated,
        computed,
    })
}

/// What does not begin as an archive. What is in a file was looked at: what is recognised here came out of a decompressor.
pub(super) fn no_archive(head: &[u8], hint: Option<&'static str>) -> ArchiveError {
    match recognise(head) {
        Some(format) if matches!(format.class, Class::Compressed(_) | Class::OtherCompression) => {
            ArchiveError::CompressedTwice { name: format.name }
        }
        found => ArchiveError::NotAnArchive {
            hint: found.map(|format| format.name).or(hint),
        },
    }
}

fn sum(block: &[u8; BLOCK]) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let spaces = 8 * u32::from(b' ');
    sum(block) - sum(&block[CHECKSUM]) + spaces
}

/// How many bytes that the checksum covers are negative as signed characters.
fn high_bytes(block: &[u8; BLOCK]) -> i64 {
    let count = |bytes: &[u8]| bytes.iter().filter(|byte| **byte >= 0x80).count();
    let covered = count(block) - count(&block[CHECKSUM]);
    i64::try_from(covered).expect("a block has 512 bytes")
}

/// Decodes a numeric field: octal digits between spaces and NULs, or, where the first bit is set, the two's complement
/// binary number that begins after it (GNU and star). A blank field is 0.
pub(super) fn number(field: &[u8]) -> Result<i64, &'static str> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => binary(field),
        _ => octal(field),
    }
}

fn binary(field: &[u8]) -> Result<i64, &'static str> {
    let negative = field[0] & 0x40 != 0;
    let mut bytes = field.to_vec();
    bytes[0] = if negative { bytes[0] } else { bytes[0] & 0x7f };
    let start = if negative { -1_i64 } else { 0 };
    bytes.iter().try_fold(start, |value, byte| {
        value
            .checked_mul(256)
            .map(|value| value | i64::from(*byte))
            .ok_or("does not fit 64 bits")
    })
}

fn octal(field: &[u8]) -> Result<i64, &'static str> {
    let end = field.iter().position(|byte| *byte == 0);
    let digits = field[..end.unwrap_or(field.len())].trim_ascii();
    digits.iter().try_fold(0_i64, |value, digit| {
        if !(b'0'..=b'7').contains(digit) {
            return Err("is no octal number");
        }
        value
            .checked_mul(8)
            .map(|value| value | i64::from(digit - b'0'))
            .ok_or("does not fit 64 bits")
    })
}

/// Decodes a field that must fit `T`; `name` and `member` are for the message.
pub(super) fn field<T: TryFrom<i64>>(
    bytes: &[u8],
    name: &'static str,
    member: &[u8],
) -> Result<T, ArchiveError> {
    number(bytes)
        .and_then(|value| T::try_from(value).map_err(|_| "is out of range"))
        .map_err(|reason| ArchiveError::Number {
            member: member.into(),
            field: name,
            value: PathBytes(bytes.to_vec()),
            reason,
        })
}

/// A name in a fixed field: up to its first NUL.
pub(super) fn name(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0);
    &field[..end.unwrap_or(field.len())]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_are_octal_or_binary() {
        assert_eq!(number(b"0000644\0"), Ok(0o644));
        assert_eq!(number(b"   644 \0"), Ok(0o644));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Ok(0));
        assert_eq!(number(b"77777777"), Ok(0o77_777_777));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\x01\x02"), Ok(258));
        assert_eq!(
            number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"),
            Ok(-2)
        );
        assert_eq!(
            number(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"),
            Ok(i64::MAX)
        );
        assert!(number(b"\x80\0\0\x01\0\0\0\0\0\0\0\0").is_err());
        assert!(number(b"\xff\xff\xff\0\0\0\0\0\0\0\0\0").is_err());
        assert!(number(b"08").is_err());
        assert!(number(b"-1").is_err());
    }
}
