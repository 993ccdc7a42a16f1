//! EFI applications, as far as their paths depend on them: the headers of a PE image (PE/COFF 3.1 to 3.4).

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The most bytes from the beginning that [`architecture`] looks at.
pub const HEAD_BYTES: usize = 64 << 10;

/// The first two bytes of the program for DOS that every image begins with.
const DOS_SIGNATURE: &[u8] = b"MZ";
/// Where the offset of the image's own headers is, 32 bits.
const HEADERS_OFFSET: usize = 0x3c;
/// What the headers begin with.
const SIGNATURE: &[u8] = b"PE\0\0";
/// Where in the headers the machine is, 16 bits.
const MACHINE: usize = 4;
/// Where in the headers the subsystem is, 16 bits: at 68 in the optional header, which follows 24 bytes.
const SUBSYSTEM: usize = 24 + 68;
/// The subsystem of EFI applications, which boot loaders and kernels are.
pub(super) const EFI_APPLICATION: u16 = 10;

/// Where in the optional header the checksum is, 32 bits, and where the size of all headers.
pub(super) const CHECKSUM: usize = 64;
pub(super) const HEADERS_SIZE: usize = 60;
/// Of the directories, the one with the signatures.
pub(super) const CERTIFICATES: usize = 4;

/// What every image begins with behind the program for DOS.
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct CoffHeader {
    pub(super) signature: [u8; 4],
    pub(super) machine: U16,
    pub(super) sections: U16,
    pub(super) time: U32,
    pub(super) symbols: U32,
    pub(super) symbol_count: U32,
    pub(super) optional_size: U16,
    pub(super) characteristics: U16,
}

const _: () = assert!(size_of::<CoffHeader>() == 24);

/// Where something is that the optional header points to.
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Directory {
    pub(super) address: U32,
    pub(super) size: U32,
}

/// Where a section is, in the file and in memory.
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct SectionHeader {
    pub(super) name: [u8; 8],
    pub(super) virtual_size: U32,
    pub(super) address: U32,
    pub(super) raw_size: U32,
    pub(super) raw_offset: U32,
    pub(super) relocations: U32,
    pub(super) line_numbers: U32,
    pub(super) counts: U32,
    pub(super) characteristics: U32,
}

const _: () = assert!(size_of::<SectionHeader>() == 40);

/// Machines that there is firmware for, with their name in file names (UEFI 2.10, 3.5.1.1).
const ARCHITECTURES: [(u16, Architecture); 6] = [
    (0x014c, Architecture("ia32")),
    (0x01c2, Architecture("arm")),
    (0x5064, Architecture("riscv64")),
    (0x6264, Architecture("loongarch64")),
    (0x8664, Architecture("x64")),
    (0xaa64, Architecture("aa64")),
];

/// What an EFI application runs on, by its name in file names: `x64`, `aa64`…
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Architecture(&'static str);

impl Architecture {
    /// The name in file names, in small letters.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0
    }

    /// The name of the application that firmware starts where nothing else is set.
    #[must_use]
    pub fn default_application(self) -> String {
        format!("BOOT{}.EFI", self.0.to_ascii_uppercase())
    }
}

/// What an EFI application runs on; `None` if `head`, the first bytes of a file, is of none.
#[must_use]
pub fn architecture(head: &[u8]) -> Option<Architecture> {
    let headers = &head[headers_at(head)?..];
    if bits16(headers, SUBSYSTEM)? != EFI_APPLICATION {
        return None;
    }
    let machine = bits16(headers, MACHINE)?;
    ARCHITECTURES
        .iter()
        .find(|(known, _)| *known == machine)
        .map(|(_, architecture)| *architecture)
}

/// Where the headers of an image begin in its file; `None` if it is none.
pub(super) fn headers_at(file: &[u8]) -> Option<usize> {
    if !file.starts_with(DOS_SIGNATURE) {
        return None;
    }
    let (offset, _) = U32::read_from_prefix(file.get(HEADERS_OFFSET..)?).ok()?;
    let at = usize::try_from(offset.get()).ok()?;
    file.get(at..)?.starts_with(SIGNATURE).then_some(at)
}

/// The checksum of an image whose own checksum is zero: the sum of its 16-bit words with the carry put back, and its length
/// (`CheckSumMappedFile`).
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2).map(|word| match word {
        [low, high] => u32::from(u16::from_le_bytes([*low, *high])),
        [low] => u32::from(*low),
        _ => 0,
    });
    let sum = words.fold(0_u32, |sum, word| {
        let sum = sum + word;
        (sum & 0xffff) + (sum >> 16)
    });
    let length = u32::try_from(bytes.len()).expect("an image is smaller than 4 GiB");
    (sum & 0xffff).wrapping_add(length)
}

fn bits16(bytes: &[u8], at: usize) -> Option<u16> {
    let (value, _) = U16::read_from_prefix(bytes.get(at..)?).ok()?;
    Some(value.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of an application for a machine.
    fn head(machine: [u8; 2], subsystem: u8) -> Vec<u8> {
        let mut head = vec![0; 0x200];
        head[..2].copy_from_slice(b"MZ");
        head[0x3c] = 0x80;
        head[0x80..0x84].copy_from_slice(b"PE\0\0");
        head[0x84..0x86].copy_from_slice(&machine);
        head[0x80 + 92] = subsystem;
        head
    }

    #[test]
    fn the_machine_names_the_default_application() {
        let name =
            |machine| architecture(&head(machine, 10)).map(Architecture::default_application);
        assert_eq!(name([0x64, 0x86]).as_deref(), Some("BOOTX64.EFI"));
        assert_eq!(name([0x64, 0xaa]).as_deref(), Some("BOOTAA64.EFI"));
        assert_eq!(name([0x4c, 0x01]).as_deref(), Some("BOOTIA32.EFI"));
        assert_eq!(name([0x00, 0x00]), None);
    }

    #[test]
    fn what_is_no_efi_application_has_no_architecture() {
        let whole = head([0x64, 0x86], 10);
        assert_eq!(architecture(&head([0x64, 0x86], 3)), None);
        for end in [0, 1, 2, 0x3f, 0x80, 0x85, 0x80 + 93] {
            assert_eq!(architecture(&whole[..end]), None, "{end}");
        }
        let mut far = whole;
        far[0x3c..0x40].fill(0xff);
        assert_eq!(architecture(&far), None);
    }
}
