//! gzip members one behind the other (RFC 1952), each of a part of the disk, as `bgzip` and `cat` make them.

use std::sync::Arc;

use cellblock_codec::{Method, Settings};

use super::blocks::{Hand, Packed, encode_once, parts_in_order};
use super::{Disk, Format, Kind, Writer, stored};
use crate::ImageError;

pub(super) static KIND: Kind = Kind {
    name: "raw.gz",
    also: &["gz", "gzip"],
    suffix: "img.gz",
    suffixes: &["gz"],
    about: "gzip, in members one behind the other",
    options: &[("compression_level", "1 to 12; 6 if nothing is said")],
    is_beside: false,
    make: |options| {
        Ok(Arc::new(Gzip {
            level: options.number("compression_level", 6, 1..=12)?,
        }))
    },
};

/// The bytes of the disk in a member.
const MEMBER: u64 = 1 << 20;
/// Magic, DEFLATE, no flags, no time, no hint, and no operating system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

#[derive(Debug)]
struct Gzip {
    level: u32,
}

impl Format for Gzip {
    fn write(&self, disk: &Disk<'_>, to: &mut Writer<'_>) -> Result<(), ImageError> {
        let settings = Settings::new(Method::Deflate, self.level);
        let watch = to.watch;
        let mut zeros = Zeros::default();
        let work = |hand: &mut Hand<'_>, offset: u64| {
            let mut sum = 0;
            let length = length_at(disk, offset);
            let mut look = |bytes: &[u8]| sum = crc32fast::hash(bytes);
            let packed = hand.encoded(offset, length, &settings, &mut look)?;
            Ok(match packed {
                Packed::Zeros => None,
                Packed::Kept(bytes) => Some(member(&bytes, sum, length)),
                Packed::Plain(bytes) => Some(member(&stored::deflate(&bytes), sum, length)),
            })
        };
        parts_in_order(disk, watch, MEMBER, work, |index, made| match made {
            Some(member) => to.append(&member),
            None => to.append(zeros.member(disk, &settings, index)?),
        })
    }
}

fn length_at(disk: &Disk<'_>, offset: u64) -> usize {
    usize::try_from((disk.size - offset).min(MEMBER)).expect("a member has at most 1 MiB")
}

fn member(deflated: &[u8], sum: u32, length: usize) -> Vec<u8> {
    let length = u32::try_from(length).expect("a member has at most 1 MiB");
    let mut member = HEAD.to_vec();
    member.extend(deflated);
    member.extend(sum.to_le_bytes());
    member.extend(length.to_le_bytes());
    member
}

/// A member of zeros, made once for each length.
#[derive(Default)]
struct Zeros {
    made: Vec<u8>,
    length: usize,
}

impl Zeros {
    fn member(
        &mut self,
        disk: &Disk<'_>,
        settings: &Settings,
        index: u64,
    ) -> Result<&[u8], ImageError> {
        let length = length_at(disk, index * MEMBER);
        if self.length != length {
            let plain = vec![0; length];
            let packed = encode_once(disk.codecs, settings, &plain)?;
            let deflated = packed.unwrap_or_else(|| stored::deflate(&plain));
            self.made = member(&deflated, crc32fast::hash(&plain), length);
            self.length = length;
        }
        Ok(&self.made)
    }
}
