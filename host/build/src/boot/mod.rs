//! What firmware needs to find a system: facts about the images of boot loaders. Pure functions on bytes; all numbers are
//! little-endian.
//!
//! ```text
//! BIOS   first 440 bytes of the disk: GRUB's boot.img ──> core.img, in a BIOS boot partition or the gap after an MBR
//! UEFI   EFI system partition: \EFI\BOOT\BOOTX64.EFI, \EFI\systemd\…, \EFI\Linux\….efi, \loader\…
//! ```

pub mod authenticode;
pub mod esp;
pub mod grub;
pub mod pe;
pub mod uki;
