//! streamOptimized: written from front to back, each piece behind a marker that says what it is.

use cellblock_codec::Settings;
use zerocopy::{Immutable, IntoBytes, LE, U32, U64, Unaligned};

use super::super::blocks::{Hand, Packed, in_order_together};
use super::super::{Disk, Writer, stored};
use super::format::{
    Descriptor, ENTRIES, GRAIN, GRAIN_BYTES, IS_STREAM, SECTOR, TABLE, header, little_endian,
};
use crate::ImageError;
use crate::structures::vmdk::{AT_END, DEFLATE, flags};

/// What a marker stands before.
#[derive(Clone, Copy)]
enum Marker {
    End = 0,
    Table = 1,
    Directory = 2,
    Footer = 3,
}

/// A sector before what is no grain.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct MarkerSector {
    /// The sectors behind it.
    sectors: U64<LE>,
    /// 0: what tells it from a grain's.
    size: U32<LE>,
    kind: U32<LE>,
    padding: [u8; 496],
}

const _: () = assert!(size_of::<MarkerSector>() == 512);

pub(super) fn write(
    disk: &Disk<'_>,
    sectors: u64,
    descriptor: &Descriptor<'_>,
    settings: &Settings,
    to: &mut Writer<'_>,
) -> Result<(), ImageError> {
    let header = |directory: u64| {
        let mut header = header(3, flags::HAS_LINE_ENDS | IS_STREAM, sectors);
        header.directory = directory.into();
        header.overhead = GRAIN.into();
        header.compression = DEFLATE.into();
        header
    };
    to.append(header(AT_END).as_bytes())?;
    to.append(descriptor.text().as_bytes())?;
    to.align(GRAIN_BYTES);
    let length = usize::try_from(GRAIN_BYTES).expect("a grain has 64 KiB");
    let work = |hand: &mut Hand<'_>, offsets: &[u64]| {
        let packed = hand.encoded_together(offsets, length, settings)?;
        let grain = |packed| match packed {
            Packed::Zeros => None,
            Packed::Kept(bytes) => Some(bytes),
            Packed::Plain(bytes) => Some(stored::zlib(&bytes)),
        };
        Ok(packed.into_iter().map(grain).collect())
    };
    let watch = to.watch;
    let mut stream = Stream::new(to, sectors);
    in_order_together(disk, watch, GRAIN_BYTES, work, |index, grain| match grain {
        None => Ok(()),
        Some(grain) => stream.grain(index, &grain),
    })?;
    let directory = stream.finish()?;
    marker(to, Marker::Footer, 1)?;
    to.append(header(directory).as_bytes())?;
    marker(to, Marker::End, 0)
}

fn marker(to: &mut Writer<'_>, kind: Marker, sectors: u64) -> Result<(), ImageError> {
    let marker = MarkerSector {
        sectors: sectors.into(),
        size: 0.into(),
        kind: (kind as u32).into(),
        padding: [0; 496],
    };
    to.append(marker.as_bytes())
}

struct Stream<'s, 'w> {
    to: &'s mut Writer<'w>,
    /// Where each table is, in sectors.
    directory: Vec<u32>,
    /// The table that is being filled, and its place in the directory.
    table: Vec<u32>,
    index: usize,
}

impl<'s, 'w> Stream<'s, 'w> {
    fn new(to: &'s mut Writer<'w>, sectors: u64) -> Self {
        let tables = sectors.div_ceil(GRAIN * ENTRIES);
        let tables = usize::try_from(tables).expect("the size was checked");
        Self {
            to,
            directory: vec![0; tables],
            table: vec![0; 512],
            index: 0,
        }
    }

    /// The place of what comes next, in sectors.
    fn place(&self) -> Result<u32, ImageError> {
        u32::try_from(self.to.position / SECTOR).map_err(|_| ImageError::Unfit {
            format: super::KIND.name,
            reason: "what is in it does not compress into the 2 TiB that such a file has"
                .to_owned(),
        })
    }

    fn grain(&mut self, index: u64, bytes: &[u8]) -> Result<(), ImageError> {
        let narrow = |count| usize::try_from(count).expect("the size was checked");
        let (table, entry) = (narrow(index / ENTRIES), narrow(index % ENTRIES));
        if table != self.index {
            self.finish_table()?;
            self.index = table;
        }
        self.table[entry] = self.place()?;
        let length = u32::try_from(bytes.len()).expect("a grain has about 64 KiB");
        let mut grain = (index * GRAIN).to_le_bytes().to_vec();
        grain.extend(length.to_le_bytes());
        grain.extend(bytes);
        self.to.append(&grain)?;
        self.to.align(SECTOR);
        Ok(())
    }

    fn finish_table(&mut self) -> Result<(), ImageError> {
        if self.table.iter().all(|entry| *entry == 0) {
            return Ok(());
        }
        marker(self.to, Marker::Table, TABLE)?;
        self.directory[self.index] = self.place()?;
        self.to.append(&little_endian(&self.table))?;
        self.table.fill(0);
        Ok(())
    }

    /// Writes the last table and the directory: where that is, in sectors.
    fn finish(mut self) -> Result<u64, ImageError> {
        self.finish_table()?;
        let bytes = little_endian(&self.directory);
        marker(
            self.to,
            Marker::Directory,
            (bytes.len() as u64).div_ceil(SECTOR),
        )?;
        let place = self.place()?;
        self.to.append(&bytes)?;
        self.to.align(SECTOR);
        Ok(place.into())
    }
}
