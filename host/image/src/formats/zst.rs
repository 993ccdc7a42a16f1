//! zstd frames one behind the other, each of a part of the disk, with a table of where they are: any program reads it, and one that
//! knows the table reads from the middle.
//!
//! ```text
//!     frame, frame, ...  | skippable frame: lengths of each frame, packed and plain | count, flags, magic
//! ```
//!
//! The table is that of zstd's `contrib/seekable_format`.

use std::sync::Arc;

use cellblock_codec::{Method, Settings};

use super::blocks::{Hand, Packed, encode_once, parts_in_order};
use super::{Disk, Format, Kind, Writer, stored};
use crate::ImageError;

pub(super) static KIND: Kind = Kind {
    name: "raw.zst",
    also: &["zst", "zstd"],
    suffix: "img.zst",
    suffixes: &["zst"],
    about: "zstd, in frames with a table to seek by",
    options: &[
        ("compression_level", "1 to 22; 3 if nothing is said"),
        (
            "frame_size",
            "the bytes of the disk in a frame, 64KiB to 16MiB; 4MiB if nothing is said",
        ),
    ],
    is_beside: false,
    make: |options| {
        Ok(Arc::new(Zst {
            level: options.number("compression_level", 3, 1..=22)?,
            frame: options.power("frame_size", 4 << 20, 64 << 10..=16 << 20)?,
        }))
    },
};

/// The magic number of a skippable frame that holds a seek table.
const SKIPPABLE: u32 = 0x184d_2a5e;
/// The last bytes of a seek table.
const SEEKABLE: u32 = 0x8f92_eab1;
/// The most frames of a seek table.
const MOST_FRAMES: u64 = 0x800_0000;

#[derive(Debug)]
struct Zst {
    level: u32,
    frame: u32,
}

impl Format for Zst {
    fn write(&self, disk: &Disk<'_>, to: &mut Writer<'_>) -> Result<(), ImageError> {
        let frame = u64::from(self.frame);
        disk.at_most(KIND.name, frame * MOST_FRAMES)?;
        let settings = Settings::new(Method::Zstd, self.level);
        let length_at = |offset: u64| (disk.size - offset).min(frame);
        let watch = to.watch;
        let mut stream = Stream {
            to,
            table: Vec::new(),
            frame,
            zeros: None,
        };
        let work = |hand: &mut Hand<'_>, offset: u64| {
            let length = usize::try_from(length_at(offset)).expect("a frame has at most 16 MiB");
            let packed = hand.encoded(offset, length, &settings, &mut |_| {})?;
            Ok(match packed {
                Packed::Zeros => None,
                Packed::Kept(bytes) => Some(bytes),
                Packed::Plain(bytes) => Some(stored::zstd(&bytes)),
            })
        };
        parts_in_order(disk, watch, frame, work, |index, made| {
            let length = length_at(index * frame);
            match made {
                Some(bytes) => stream.put(&bytes, length),
                None => stream.hole(disk, &settings, length),
            }
        })?;
        stream.finish()
    }
}

struct Stream<'s, 'w> {
    to: &'s mut Writer<'w>,
    /// The lengths of each frame, packed and plain.
    table: Vec<[u32; 2]>,
    frame: u64,
    /// A whole frame of zeros.
    zeros: Option<Vec<u8>>,
}

impl Stream<'_, '_> {
    fn put(&mut self, bytes: &[u8], length: u64) -> Result<(), ImageError> {
        let narrow = |length| u32::try_from(length).expect("a frame has at most 17 MiB");
        self.table
            .push([narrow(bytes.len() as u64), narrow(length)]);
        self.to.append(bytes)
    }

    fn hole(
        &mut self,
        disk: &Disk<'_>,
        settings: &Settings,
        length: u64,
    ) -> Result<(), ImageError> {
        let zeros = match self.zeros.take() {
            Some(zeros) if length == self.frame => zeros,
            _ => {
                let plain = vec![0; usize::try_from(length).expect("a frame has at most 16 MiB")];
                let packed = encode_once(disk.codecs, settings, &plain)?;
                packed.unwrap_or_else(|| stored::zstd(&plain))
            }
        };
        self.put(&zeros, length)?;
        self.zeros = Some(zeros);
        Ok(())
    }

    fn finish(self) -> Result<(), ImageError> {
        let count = u32::try_from(self.table.len()).expect("there are at most 2^27 frames");
        let mut table = Vec::with_capacity(self.table.len() * 8 + 17);
        table.extend(SKIPPABLE.to_le_bytes());
        table.extend((count * 8 + 9).to_le_bytes());
        for lengths in &self.table {
            table.extend(lengths.iter().flat_map(|length| length.to_le_bytes()));
        }
        table.extend(count.to_le_bytes());
        // No checksums.
        table.push(0);
        table.extend(SEEKABLE.to_le_bytes());
        self.to.append(&table)
    }
}
