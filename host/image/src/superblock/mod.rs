//! Which file system a range of a disk holds, and what its superblock says of itself: kind, label, identifier, size and use.
//!
//! | Kinds | Told of them |
//! |---|---|
//! | ext2, ext3, ext4; FAT; XFS; Btrfs | label, identifier, size, use |
//! | swap, erofs, squashfs | label and identifier where the format has them, size |
//! | LUKS, dm-verity, exFAT, NTFS, F2FS, ISO 9660 | identifier, label |
//! | the others | what they are |
//!
//! Whoever made the disk may have meant harm: nothing of what is read decides how much is read. A superblock is one of fixed
//! length at a fixed offset; of a FAT, its table of at most 128 KiB and the first 1 MiB of its root directory are looked
//! through as well. Numbers are checked as they are multiplied, and what does not hold together is not told.

mod ext;
mod fat;
mod foreign;
mod swap;

use std::io;
use std::ops::Range;

use zerocopy::{FromBytes, IntoBytes};

use cellblock_table::ReadAt;

/// What a superblock says of its file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// What it is, as `blkid` and the kernel call it: `ext4`, `vfat`, `crypto_LUKS`.
    pub kind: &'static str,
    /// Which version of it: `1.0` of ext4, `FAT32` of FAT, `2` of LUKS.
    pub version: Option<String>,
    /// Its label, if it has one.
    pub label: Option<String>,
    /// Its identifier: a UUID, or a serial number such as `ABCD-1234`.
    pub uuid: Option<String>,
    /// The bytes that it spans.
    pub size: Option<u64>,
    /// The bytes that are not free for files: content, and what the format itself takes.
    pub used: Option<u64>,
}

impl Superblock {
    /// A file system of which only this is known.
    const fn named(kind: &'static str) -> Self {
        Self {
            kind,
            version: None,
            label: None,
            uuid: None,
            size: None,
            used: None,
        }
    }

    /// With its size, and what of it is free, if that can be.
    fn sized(mut self, size: Option<u64>, free: Option<u64>) -> Self {
        self.size = size;
        self.used = size.and_then(|size| size.checked_sub(free?));
        self
    }

    /// What is in a range of a disk; `None` if it is nothing that is known. What lies beyond the disk's end is not there.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub fn find(disk: &dyn ReadAt, place: Range<u64>) -> io::Result<Option<Self>> {
        let end = place.end.min(disk.size()?);
        let volume = Volume {
            disk,
            start: place.start,
            length: end.saturating_sub(place.start),
        };
        let finders: [Finder; 4] = [foreign::find, ext::find, swap::find, fat::find];
        for find in finders {
            if let Some(found) = find(&volume)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// What looks for one kind of content.
type Finder = fn(&Volume<'_>) -> io::Result<Option<Superblock>>;

/// The range of a disk that is looked at.
struct Volume<'a> {
    disk: &'a dyn ReadAt,
    start: u64,
    length: u64,
}

impl Volume<'_> {
    /// The structure at this offset, if there is room for one.
    fn read<T: FromBytes + IntoBytes>(&self, offset: u64) -> io::Result<Option<T>> {
        let mut value = T::new_zeroed();
        Ok(self.fill(offset, value.as_mut_bytes())?.then_some(value))
    }

    /// Fills the buffer with what is at this offset; false if the range ends before.
    fn fill(&self, offset: u64, buffer: &mut [u8]) -> io::Result<bool> {
        let length = u64::try_from(buffer.len()).expect("a buffer of this file is small");
        let fits = offset
            .checked_add(length)
            .is_some_and(|end| end <= self.length);
        if fits {
            self.disk.read_at(self.start + offset, buffer)?;
        }
        Ok(fits)
    }
}

/// Text in a field of fixed length that ends at the first zero.
fn text(field: &[u8]) -> Option<String> {
    let field = field.split(|byte| *byte == 0).next().unwrap_or_default();
    padded(field)
}

/// Text in a field of fixed length that is filled up with spaces.
fn padded(field: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(field.trim_ascii_end());
    (!text.is_empty()).then(|| text.into_owned())
}

/// A UUID, unless all of it is zero.
fn uuid(bytes: [u8; 16]) -> Option<String> {
    use std::fmt::Write as _;

    if bytes == [0; 16] {
        return None;
    }
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // A string takes all that is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

/// A serial number, unless it is zero.
fn serial(number: u32) -> Option<String> {
    (number != 0).then(|| format!("{:04X}-{:04X}", number >> 16, number & 0xffff))
}

#[cfg(test)]
mod tests;
