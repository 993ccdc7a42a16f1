//! Pax extended headers (POSIX.1-2017, pax, "pax Extended Header"): records `LENGTH KEY=VALUE\n` that override a header's
//! fields or add to them, for the next member or, in a global header, for all that follow.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use base64ct::{Base64Unpadded, Encoding as _};

use super::super::acl;
use super::super::error::ArchiveError;
use super::blocks::BLOCK_BYTES;
use crate::{Attribute, Timestamp};
use cellblock_text::PathBytes;

/// Where extended attributes are: the prefix of their keys, as star and GNU tar write them.
const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";
/// Another form, by libarchive: the name is percent-encoded, the value is Base64.
const ENCODED_ATTRIBUTE: &[u8] = b"LIBARCHIVE.xattr.";
/// The SELinux label, without the NUL that ends it in the attribute.
const LABEL: &[u8] = b"RHT.security.selinux";

/// What the extended headers say about a member.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    global: BTreeMap<Vec<u8>, Vec<u8>>,
    /// In order: a sparse member's records repeat their keys.
    local: Vec<Record>,
}

/// A key and its value.
type Record = (Vec<u8>, Vec<u8>);

impl Extensions {
    /// Adds what holds for all members to come, of which there may be `limit` bytes in all.
    pub(super) fn add_global(
        &mut self,
        data: &[u8],
        offset: u64,
        limit: u64,
    ) -> Result<(), ArchiveError> {
        self.global.extend(parse(data, offset)?);
        let lengths = self
            .global
            .iter()
            .map(|(key, value)| key.len() + value.len());
        let length = u64::try_from(lengths.sum::<usize>()).expect("a length fits 64 bits");
        if length > limit {
            return Err(ArchiveError::TooLong {
                what: "set of global pax records",
                offset,
                length,
                limit,
            });
        }
        Ok(())
    }

    pub(super) fn set_local(&mut self, data: &[u8], offset: u64) -> Result<(), ArchiveError> {
        self.local = parse(data, offset)?;
        Ok(())
    }

    /// The keywords of the records that hold for all.
    pub(super) fn global(&self) -> impl Iterator<Item = &[u8]> {
        self.global.keys().map(Vec::as_slice)
    }

    /// Whether a record for all has the key.
    pub(super) fn has_global(&self, key: &[u8]) -> bool {
        self.global.get(key).is_some_and(|value| !value.is_empty())
    }

    /// Whether there is a map of holes for the member, of whatever version.
    pub(super) fn has_map(&self) -> bool {
        const KEYS: [&[u8]; 3] = [
            b"GNU.sparse.major",
            b"GNU.sparse.map",
            b"GNU.sparse.numblocks",
        ];
        KEYS.iter().any(|key| self.get(key).is_some())
    }

    pub(super) fn clear_local(&mut self) {
        self.local.clear();
    }

    /// The value for a key, the last one where there are several. An empty value takes back what was said.
    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let local = self.local.iter().rev().find(|(found, _)| found == key);
        local
            .map(|(_, value)| value)
            .or_else(|| self.global.get(key))
            .map(Vec::as_slice)
            .filter(|value| !value.is_empty())
    }

    /// The records of this member alone, in order.
    pub(super) fn local(&self) -> &[Record] {
        &self.local
    }

    /// A decimal number.
    pub(super) fn number(&self, key: &[u8]) -> Result<Option<u64>, &'static str> {
        self.get(key).map(decimal).transpose()
    }

    pub(super) fn modified(&self) -> Result<Option<Timestamp>, &'static str> {
        self.get(b"mtime").map(time).transpose()
    }

    /// Whether the member has attributes beside those that all have.
    pub(super) fn adds_attributes(&self) -> bool {
        self.local.iter().any(|(key, _)| {
            key.starts_with(ATTRIBUTE)
                || key.starts_with(ENCODED_ATTRIBUTE)
                || key.starts_with(b"SCHILY.acl.")
                || key == LABEL
        })
    }

    /// Extended attributes and access control lists.
    pub(super) fn attributes(&self) -> Result<Vec<Attribute>, AttributeError> {
        let mut attributes = BTreeMap::new();
        let records = || {
            let local = self.local.iter().map(|(key, value)| (key, value));
            self.global.iter().chain(local)
        };
        // bsdtar writes each attribute twice, with its name in the same encoding: where that is more than GNU tar's, it would be two.
        let encoded = records().filter_map(|(key, _)| key.strip_prefix(ENCODED_ATTRIBUTE));
        let encoded: BTreeSet<&[u8]> = encoded.collect();
        for (key, value) in records() {
            if let Some(name) = key.strip_prefix(ATTRIBUTE) {
                let name = match encoded.contains(name) {
                    true => percent_decoded(name).ok_or(AttributeError::Encoding)?,
                    false => gnu_decoded(name),
                };
                attributes.insert(name, value.clone());
            } else if let Some(name) = key.strip_prefix(ENCODED_ATTRIBUTE) {
                let value = base64(value).ok_or(AttributeError::Encoding)?;
                attributes
                    .entry(percent_decoded(name).ok_or(AttributeError::Encoding)?)
                    .or_insert(value);
            } else if key == LABEL {
                let label = [value, &b"\0"[..]].concat();
                attributes.insert(b"security.selinux".to_vec(), label);
            }
        }
        for (key, name) in [
            (&b"SCHILY.acl.access"[..], acl::ACCESS),
            (b"SCHILY.acl.default", acl::DEFAULT),
        ] {
            let Some(text) = self.get(key) else { continue };
            let list = acl::from_text(text).map_err(AttributeError::AccessControlList)?;
            if let Some(value) = list {
                attributes.entry(name.to_vec()).or_insert(value);
            }
        }
        Ok(attributes
            .into_iter()
            .map(|(name, value)| Attribute { name, value })
            .collect())
    }
}

/// Keywords that say nothing to this program and may matter, each told once.
#[derive(Debug, Default)]
pub(super) struct Unknown {
    told: BTreeSet<String>,
    new: Vec<String>,
}

/// How many unknown keywords are told.
const MOST_TOLD: usize = 16;

impl Unknown {
    pub(super) fn note<'k>(&mut self, keys: impl Iterator<Item = &'k [u8]>) {
        for key in keys.filter(|key| !is_known(key)) {
            let key = PathBytes(key.to_vec()).to_string();
            if self.told.len() < MOST_TOLD && self.told.insert(key.clone()) {
                self.new.push(key);
            }
        }
    }

    /// Those that were noted since.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.new)
    }
}

/// Whether a keyword is read, or never says anything of what a file is: who wrote the archive, when something was read, where
/// it lay.
fn is_known(key: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 5] = [
        ATTRIBUTE,
        ENCODED_ATTRIBUTE,
        b"GNU.sparse.",
        b"GNU.volume.",
        b"SCHILY.volhdr.",
    ];
    const WHOLE: [&[u8]; 31] = [
        b"path",
        b"linkpath",
        b"size",
        b"uid",
        b"gid",
        b"mtime",
        // Names of users, which are looked up nowhere.
        b"uname",
        b"gname",
        LABEL,
        b"SCHILY.acl.access",
        b"SCHILY.acl.default",
        b"SCHILY.devmajor",
        b"SCHILY.devminor",
        b"SCHILY.realsize",
        b"SUN.holesdata",
        b"comment",
        b"charset",
        b"hdrcharset",
        b"atime",
        b"ctime",
        b"LIBARCHIVE.creationtime",
        b"LIBARCHIVE.symlinktype",
        b"GNU.dumpdir",
        b"SCHILY.dev",
        b"SCHILY.ino",
        b"SCHILY.nlink",
        b"SCHILY.filetype",
        b"SCHILY.tarfiletype",
        b"SCHILY.dir",
        b"SCHILY.archtype",
        b"SCHILY.release",
    ];
    BEGINNINGS.iter().any(|it| key.starts_with(it)) || WHOLE.contains(&key)
}

/// Why a member's attributes cannot be used.
#[derive(Debug)]
pub(super) enum AttributeError {
    Encoding,
    AccessControlList(acl::BadEntry),
}

fn parse(data: &[u8], offset: u64) -> Result<Vec<Record>, ArchiveError> {
    let mut records = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let (record, after) = split_record(rest).map_err(|reason| ArchiveError::Pax {
            offset: offset.saturating_sub(BLOCK_BYTES),
            reason,
        })?;
        records.push(record);
        rest = after;
    }
    Ok(records)
}

fn split_record(rest: &[u8]) -> Result<(Record, &[u8]), &'static str> {
    const LENGTH: &str = "a record's length is wrong";
    let space = rest.iter().position(|byte| *byte == b' ').ok_or(LENGTH)?;
    let length = decimal(&rest[..space]).map_err(|_| LENGTH)?;
    let length = usize::try_from(length).map_err(|_| LENGTH)?;
    let record = rest.get(space + 1..length).ok_or(LENGTH)?;
    let record = record.strip_suffix(b"\n").ok_or(LENGTH)?;
    let equals = record
        .iter()
        .position(|byte| *byte == b'=')
        .ok_or("a record has no '='")?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    Ok(((key.to_vec(), value.to_vec()), &rest[length..]))
}

/// Decimal digits and nothing else.
pub(super) fn decimal(text: &[u8]) -> Result<u64, &'static str> {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+"));
    if let Some(digits) = digits.filter(|it| !it.is_empty() && it.iter().all(u8::is_ascii_digit)) {
        return Err(match (text[0], digits) {
            (b'-', _) => "is negative",
            _ => "has a sign, and numbers of pax have none",
        });
    }
    if text.is_empty() {
        return Err("is no decimal number");
    }
    text.iter().try_fold(0_u64, |value, digit| {
        if !digit.is_ascii_digit() {
            return Err("is no decimal number");
        }
        value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(digit - b'0')))
            .ok_or("does not fit 64 bits")
    })
}

/// The largest exponent of a time, of either sign: no 64 bits of seconds, nor nanoseconds, have more places.
const EXPONENT: usize = 400;

/// Decimal seconds with a fraction, perhaps negative, and perhaps with an exponent as Python's tarfile writes it. Digits after the ninth
/// are cut off, towards the past.
fn time(text: &[u8]) -> Result<Timestamp, &'static str> {
    let (negative, magnitude) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let magnitude = plain_decimal(magnitude)?;
    let point = magnitude.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = magnitude.split_at(point.unwrap_or(magnitude.len()));
    let fraction = fraction.get(1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err("is no time");
    }
    let seconds = i64::try_from(decimal(whole)?).map_err(|_| "does not fit 64 bits")?;
    let nanoseconds = (0..9).fold(0, |value, place| {
        value * 10 + u32::from(fraction.get(place).map_or(0, |digit| digit - b'0'))
    });
    if !negative {
        return Ok(Timestamp {
            seconds,
            nanoseconds,
        });
    }
    let cut_off = fraction.iter().skip(9).any(|digit| *digit != b'0');
    let nanoseconds = nanoseconds + u32::from(cut_off);
    Ok(match nanoseconds {
        0 => Timestamp {
            seconds: -seconds,
            nanoseconds: 0,
        },
        _ => Timestamp {
            seconds: -seconds - 1,
            nanoseconds: 1_000_000_000 - nanoseconds,
        },
    })
}

/// A decimal number without the exponent that it may have: `1.5e-3` is `0.0015`.
fn plain_decimal(text: &[u8]) -> Result<Cow<'_, [u8]>, &'static str> {
    let Some(at) = text.iter().position(|byte| matches!(byte, b'e' | b'E')) else {
        return Ok(Cow::Borrowed(text));
    };
    let (mantissa, exponent) = (&text[..at], &text[at + 1..]);
    let (is_small, exponent) = match exponent.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, exponent),
    };
    let shift = decimal(exponent).map_err(|_| "is no time")?;
    let shift = match usize::try_from(shift) {
        Ok(shift) if shift <= EXPONENT => shift,
        _ => return Err("has an exponent that no time has"),
    };
    let point = mantissa.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = mantissa.split_at(point.unwrap_or(mantissa.len()));
    let fraction = fraction.get(1..).unwrap_or_default();
    let (digits, places) = ([whole, fraction].concat(), whole.len());
    if whole.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err("is no time");
    }
    let zeros = vec![b'0'; shift];
    let (all, places) = match is_small {
        true => ([&zeros[..], &digits].concat(), places),
        false => ([&digits[..], &zeros].concat(), places + shift),
    };
    let (whole, fraction) = all.split_at(places);
    Ok(Cow::Owned([whole, b".", fraction].concat()))
}

/// The name of an attribute, in which GNU tar writes `=`, which would end the key, as `%3D`, and `%` as `%25`.
fn gnu_decoded(name: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = name;
    while let Some((first, after)) = rest.split_first() {
        let (byte, next) = match (rest.strip_prefix(b"%3D"), rest.strip_prefix(b"%25")) {
            (Some(next), _) => (b'=', next),
            (_, Some(next)) => (b'%', next),
            _ => (*first, after),
        };
        decoded.push(byte);
        rest = next;
    }
    decoded
}

fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        let value = char::from(byte).to_digit(16)?;
        u8::try_from(value).ok()
    };
    let mut decoded = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        decoded.push(match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                (digit(*high)? << 4) | digit(*low)?
            }
            (b'%', _) => return None,
            _ => *first,
        });
    }
    Some(decoded)
}

/// Decodes Base64 (RFC 4648, section 4), whose padding may be missing.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|byte| *byte != b'=');
    let text = &text[..end.map_or(0, |last| last + 1)];
    Base64Unpadded::decode_vec(std::str::from_utf8(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_keep_their_nanoseconds_before_and_after_the_epoch() {
        let at = |seconds, nanoseconds| {
            Ok(Timestamp {
                seconds,
                nanoseconds,
            })
        };
        assert_eq!(time(b"1.5"), at(1, 500_000_000));
        assert_eq!(time(b"4294967296.0000000019"), at(4_294_967_296, 1));
        assert_eq!(time(b"-1.25"), at(-2, 750_000_000));
        assert_eq!(time(b"-0.0000000001"), at(-1, 999_999_999));
        assert_eq!(time(b"-3"), at(-3, 0));
        assert_eq!(time(b"-0.9999999999"), at(-1, 0));
        // What Python's tarfile writes of small and of large ones.
        assert_eq!(time(b"-9.999999717180685e-10"), at(-1, 999_999_999));
        assert_eq!(time(b"-1.5e-05"), at(-1, 999_985_000));
        assert_eq!(time(b"1.25e+3"), at(1250, 0));
        assert_eq!(time(b"12E-1"), at(1, 200_000_000));
        for wrong in [
            "1e",
            "e5",
            "1e+",
            "1e5.5",
            "1e401",
            "1e-99999999999999999999",
            "1e30",
        ] {
            assert!(time(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert_eq!(time(b"+5"), Err("has a sign, and numbers of pax have none"));
        assert!(time(b"").is_err());
        assert!(time(b"1.x").is_err());
        assert!(time(b"99999999999999999999").is_err());
    }

    #[test]
    fn damaged_records_are_refused() {
        for data in [
            &b"x"[..],
            b"5 a=b",
            b"99 a=b\n",
            b"2 a=b\n",
            b"6 a=b\nx",
            b"6 abc\n",
            b"0 a=b\n",
            b"18446744073709551615 a=b\n",
        ] {
            assert!(parse(data, 512).is_err(), "{}", data.escape_ascii());
        }
        let records = parse(b"6 a=b\n10 k\xff=v\n=\n", 512).unwrap();
        assert_eq!(records[1], (b"k\xff".to_vec(), b"v\n=".to_vec()));
    }

    #[test]
    fn encodings_are_decoded() {
        assert_eq!(base64(b"aGVsbG8=").unwrap(), b"hello");
        assert_eq!(base64(b"AAEC/w").unwrap(), b"\x00\x01\x02\xff");
        assert_eq!(base64(b"").unwrap(), b"");
        assert!(base64(b"a").is_none());
        assert!(base64(b"a*bc").is_none());
        assert_eq!(percent_decoded(b"user.a%3Db").unwrap(), b"user.a=b");
        assert!(percent_decoded(b"%4").is_none());
        assert_eq!(gnu_decoded(b"user.a%3Db%253D%41%"), b"user.a=b%3D%41%");
    }
}
