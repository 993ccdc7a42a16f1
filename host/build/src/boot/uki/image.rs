//! A PE image that sections are added to (PE/COFF, "PE Format", sections "COFF File Header" to "Section Table").

use thiserror::Error;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::boot::pe::{
    CERTIFICATES, CHECKSUM, CoffHeader, Directory, EFI_APPLICATION, SectionHeader, checksum,
    headers_at,
};

/// Why a unified kernel image cannot be assembled.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ImageFault {
    /// The stub is something else.
    #[error("it is no stub of a unified kernel: {0}")]
    NotAStub(&'static str),
    /// The stub has such a section already.
    #[error("the stub has a section {0} already: take one that is not a whole image")]
    HasSection(&'static str),
    /// Its headers cannot grow before its first section.
    #[error("the stub's headers have no room for {wanted} sections more")]
    NoRoom {
        /// The sections that are to be added.
        wanted: usize,
    },
    /// The image would be larger than a PE image can be.
    #[error("the image would be larger than 4 GiB, the most that an EFI application can have")]
    TooLarge,
}

/// Sections are added at multiples of a page, whatever the stub's own alignment.
const PAGE: u32 = 4096;
/// Sections begin at multiples of at most this many bytes in a file (PE/COFF 3.4.2).
const MOST_FILE_ALIGNMENT: u32 = 64 << 10;
/// Initialized data that is read.
const DATA: u32 = 0x4000_0040;
/// A PE32+ optional header.
const PE32_PLUS: u16 = 0x020b;

/// The optional header of PE32+, up to its directories.
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct OptionalHeader {
    magic: U16,
    linker: U16,
    code_size: U32,
    data_size: U32,
    bss_size: U32,
    entry: U32,
    code_base: U32,
    image_base: U64,
    section_alignment: U32,
    file_alignment: U32,
    versions: [U16; 6],
    reserved: U32,
    image_size: U32,
    headers_size: U32,
    checksum: U32,
    subsystem: U16,
    dll_characteristics: U16,
    stack_and_heap: [U64; 4],
    loader_flags: U32,
    directory_count: U32,
}

const _: () = assert!(size_of::<OptionalHeader>() == 112);

/// The directory of debugging information, which holds offsets in the file as that of certificates does.
const DEBUG: usize = 6;

/// An image that is being assembled.
pub(super) struct Image {
    /// Everything up to the section table.
    head: Vec<u8>,
    coff_at: usize,
    coff: CoffHeader,
    optional: OptionalHeader,
    directories: Vec<Directory>,
    sections: Vec<SectionHeader>,
    /// How many of these are the stub's own.
    own: usize,
    /// Everything behind the headers: offset `optional.headers_size` of the file and on.
    body: Vec<u8>,
}

impl Image {
    /// The image of a stub.
    pub(super) fn of(stub: &[u8]) -> Result<Self, ImageFault> {
        let short = || ImageFault::NotAStub("it ends in its headers");
        let coff_at = headers_at(stub).ok_or(ImageFault::NotAStub("it is no PE image"))?;
        let headers = &stub[coff_at..];
        let (coff, rest) = CoffHeader::read_from_prefix(headers).map_err(|_| short())?;
        let optional_size = usize::from(coff.optional_size.get());
        let (own, rest) = rest.split_at_checked(optional_size).ok_or_else(short)?;
        let (optional, own) = OptionalHeader::read_from_prefix(own).map_err(|_| short())?;
        if optional.magic.get() != PE32_PLUS {
            return Err(ImageFault::NotAStub("it is no 64-bit image"));
        }
        if optional.subsystem.get() != EFI_APPLICATION {
            return Err(ImageFault::NotAStub("it is no EFI application"));
        }
        let alignments = [&optional.section_alignment, &optional.file_alignment];
        if !alignments.iter().all(|it| it.get().is_power_of_two()) {
            return Err(ImageFault::NotAStub("its alignments are no powers of two"));
        }
        if optional.file_alignment.get() > MOST_FILE_ALIGNMENT {
            return Err(ImageFault::NotAStub(
                "its sections begin at multiples of more than 64 KiB in the file",
            ));
        }
        let directory_count = optional.directory_count.get() as usize;
        let directories = read_all(own, directory_count).ok_or_else(short)?;
        let section_count = usize::from(coff.sections.get());
        let sections: Vec<SectionHeader> = read_all(rest, section_count).ok_or_else(short)?;
        let headers_size = optional.headers_size.get() as usize;
        let body = stub.get(headers_size..).ok_or_else(short)?.to_vec();
        let image = Self {
            head: stub[..coff_at].to_vec(),
            coff_at,
            coff,
            optional,
            directories,
            own: sections.len(),
            sections,
            body,
        };
        if image.table_end(0) > headers_size
            || image.first_address() < image.optional.headers_size.get()
        {
            return Err(ImageFault::NotAStub("its headers overlap its sections"));
        }
        Ok(image)
    }

    /// Where the section table ends with so many more sections, in the file.
    fn table_end(&self, more: usize) -> usize {
        let sections = self.sections.len() + more;
        self.coff_at
            + size_of::<CoffHeader>()
            + usize::from(self.coff.optional_size.get())
            + sections * size_of::<SectionHeader>()
    }

    /// Where the last section ends in the file.
    fn sections_end(&self) -> u32 {
        let ends = self.sections.iter().map(|section| {
            let begin = section.raw_offset.get();
            begin.saturating_add(section.raw_size.get())
        });
        ends.max().unwrap_or_default()
    }

    /// Where the first section begins in memory.
    fn first_address(&self) -> u32 {
        let addresses = self.sections.iter().map(|section| section.address.get());
        addresses.min().unwrap_or(u32::MAX)
    }

    /// Makes room for so many headers of sections. What is behind the sections goes: symbols, and signatures, which are over the stub
    /// as it was. Between sections it would be in no signature, or shift what firmware hashes. Where the headers must grow, everything behind them moves in the file; what
    /// points there by its offset moves with it, or goes: debugging information, which no firmware reads.
    pub(super) fn make_room(&mut self, more: usize) -> Result<(), ImageFault> {
        let old = self.optional.headers_size.get();
        self.body
            .truncate(self.sections_end().saturating_sub(old) as usize);
        self.coff.symbols.set(0);
        self.coff.symbol_count.set(0);
        if let Some(certificates) = self.directories.get_mut(CERTIFICATES) {
            *certificates = Directory {
                address: U32::new(0),
                size: U32::new(0),
            };
        }
        let needed = u32::try_from(self.table_end(more)).map_err(|_| ImageFault::TooLarge)?;
        if needed <= old {
            return Ok(());
        }
        let no_room = ImageFault::NoRoom { wanted: more };
        let grown = needed
            .checked_next_multiple_of(self.optional.file_alignment.get())
            .filter(|grown| *grown <= self.first_address())
            .ok_or(no_room)?;
        for section in &mut self.sections {
            if section.raw_offset.get() != 0 {
                let moved = section.raw_offset.get().checked_add(grown - old);
                section.raw_offset.set(moved.ok_or(ImageFault::TooLarge)?);
            }
            section.relocations.set(0);
            section.line_numbers.set(0);
            section.counts.set(0);
        }
        if let Some(debug) = self.directories.get_mut(DEBUG) {
            *debug = Directory {
                address: U32::new(0),
                size: U32::new(0),
            };
        }
        self.optional.headers_size.set(grown);
        Ok(())
    }

    /// Adds a section behind all others.
    pub(super) fn add(&mut self, name: &'static str, content: &[u8]) -> Result<(), ImageFault> {
        let mut padded = [0; 8];
        padded[..name.len()].copy_from_slice(name.as_bytes());
        // Profiles have sections of the same names as the kernel.
        let own = &self.sections[..self.own];
        if own.iter().any(|section| section.name == padded) {
            return Err(ImageFault::HasSection(name));
        }
        let length = u32::try_from(content.len()).map_err(|_| ImageFault::TooLarge)?;
        let raw_length = self.file_aligned(length)?;
        let headers = self.optional.headers_size.get();
        let end = u32::try_from(self.body.len())
            .ok()
            .and_then(|length| length.checked_add(headers))
            .ok_or(ImageFault::TooLarge)?;
        let raw_offset = self.file_aligned(end)?;
        let address = self.end_address()?;
        let begin = raw_offset - headers;
        self.body.resize(begin as usize, 0);
        self.body.extend_from_slice(content);
        let end = begin.checked_add(raw_length).ok_or(ImageFault::TooLarge)?;
        self.body.resize(end as usize, 0);
        self.sections.push(SectionHeader {
            name: padded,
            virtual_size: U32::new(length),
            address: U32::new(address),
            raw_size: U32::new(raw_length),
            raw_offset: U32::new(if length == 0 { 0 } else { raw_offset }),
            relocations: U32::new(0),
            line_numbers: U32::new(0),
            counts: U32::new(0),
            characteristics: U32::new(DATA),
        });
        let data_size = self.optional.data_size.get().saturating_add(raw_length);
        self.optional.data_size.set(data_size);
        Ok(())
    }

    fn file_aligned(&self, bytes: u32) -> Result<u32, ImageFault> {
        let alignment = self.optional.file_alignment.get();
        bytes
            .checked_next_multiple_of(alignment)
            .ok_or(ImageFault::TooLarge)
    }

    /// Where a section behind all others begins in memory.
    fn end_address(&self) -> Result<u32, ImageFault> {
        let alignment = self.optional.section_alignment.get().max(PAGE);
        let ends = self.sections.iter().map(|section| {
            let size = section.virtual_size.get().max(section.raw_size.get());
            section.address.get().checked_add(size)
        });
        ends.collect::<Option<Vec<u32>>>()
            .and_then(|ends| {
                ends.into_iter()
                    .max()
                    .unwrap_or(0)
                    .checked_next_multiple_of(alignment)
            })
            .ok_or(ImageFault::TooLarge)
    }

    /// The bytes of the image.
    pub(super) fn finished(mut self) -> Result<Vec<u8>, ImageFault> {
        let size = self.end_address()?;
        self.optional.image_size.set(size);
        let count = u16::try_from(self.sections.len()).map_err(|_| ImageFault::TooLarge)?;
        self.coff.sections.set(count);
        self.optional.checksum.set(0);
        let mut bytes = self.head;
        bytes.extend_from_slice(self.coff.as_bytes());
        let optional_at = bytes.len();
        bytes.extend_from_slice(self.optional.as_bytes());
        bytes.extend_from_slice(self.directories.as_bytes());
        // Behind the directories that are counted, the optional header may have more.
        bytes.resize(optional_at + usize::from(self.coff.optional_size.get()), 0);
        bytes.extend_from_slice(self.sections.as_bytes());
        bytes.resize(self.optional.headers_size.get() as usize, 0);
        bytes.extend_from_slice(&self.body);
        let sum = checksum(&bytes);
        bytes[optional_at + CHECKSUM..optional_at + CHECKSUM + 4]
            .copy_from_slice(&sum.to_le_bytes());
        Ok(bytes)
    }
}

fn read_all<T: FromBytes>(bytes: &[u8], count: usize) -> Option<Vec<T>> {
    let bytes = bytes.get(..count.checked_mul(size_of::<T>())?)?;
    bytes
        .chunks_exact(size_of::<T>())
        .map(|chunk| T::read_from_bytes(chunk).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use zerocopy::FromZeros as _;

    use super::*;

    /// A stub with one section, at multiples of `file_alignment` in its file.
    fn stub(file_alignment: u32) -> Vec<u8> {
        let mut bytes = vec![0; 0x40];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3c] = 0x40;
        let mut coff = CoffHeader::new_zeroed();
        coff.signature = *b"PE\0\0";
        coff.sections.set(1);
        coff.optional_size.set(112);
        let mut optional = OptionalHeader::new_zeroed();
        optional.magic.set(PE32_PLUS);
        optional.subsystem.set(EFI_APPLICATION);
        optional.section_alignment.set(PAGE);
        optional.file_alignment.set(file_alignment);
        optional.headers_size.set(0x400);
        let mut section = SectionHeader::new_zeroed();
        section.name = *b".text\0\0\0";
        section.address.set(PAGE);
        section.virtual_size.set(16);
        section.raw_size.set(0x200);
        section.raw_offset.set(0x400);
        bytes.extend_from_slice(coff.as_bytes());
        bytes.extend_from_slice(optional.as_bytes());
        bytes.extend_from_slice(section.as_bytes());
        bytes.resize(0x600, 0);
        bytes
    }

    #[test]
    fn sections_begin_where_the_stubs_alignment_says() {
        for (alignment, end) in [(0x200, 0x800), (0x1000, 0x2000), (64 << 10, 128 << 10)] {
            let mut image = Image::of(&stub(alignment)).unwrap();
            image.add(".cmdline", b"quiet").unwrap();
            let bytes = image.finished().unwrap();
            assert_eq!(bytes.len(), end, "{alignment}");
        }
    }

    /// A few bytes of such a stub would make GiB of zeros.
    #[test]
    fn a_stub_whose_sections_lie_farther_apart_than_pe_allows_is_none() {
        for alignment in [128 << 10, 1 << 31] {
            let fault = Image::of(&stub(alignment)).err().unwrap();
            assert!(fault.to_string().contains("64 KiB"), "{fault}");
        }
        assert!(Image::of(&stub(0x300)).is_err());
    }
}
