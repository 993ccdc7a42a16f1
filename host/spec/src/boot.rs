//! `[boot]`: what firmware starts, by the names that it looks for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;

use super::content::SingleFile;
use super::place::{Place, Placed};
use super::schema;

/// What firmware starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BootSpec {
    /// GRUB for a BIOS: boot code at the start of the disk, its core in a BIOS boot partition or the gap after an MBR.
    pub grub_bios: Option<GrubBiosSpec>,
    /// GRUB for UEFI, on the EFI system partition.
    pub grub_efi: Option<GrubEfiSpec>,
    /// systemd-boot, on the EFI system partition.
    pub systemd_boot: Option<SystemdBootSpec>,
    /// Unified kernel images, which go to `/EFI/Linux` on the EFI system partition and keep their names.
    #[schemars(default, with = "Vec<PathBuf>")]
    pub unified_kernels: Vec<Placed<PathBuf>>,
}

impl BootSpec {
    /// Where the first of the parts is asked for that need an EFI system partition; `None` without any.
    pub fn needs_esp(&self) -> Option<Place> {
        let grub = self.grub_efi.as_ref().map(|grub| &grub.image);
        let systemd = self.systemd_boot.as_ref().map(|systemd| &systemd.image);
        let first = grub.or(systemd).or(self.unified_kernels.first());
        first.map(|file| file.place.clone())
    }
}

/// GRUB for a BIOS.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GrubBiosSpec {
    /// GRUB's `i386-pc/boot.img`.
    #[schemars(with = "PathBuf")]
    pub boot_image: Placed<PathBuf>,
    /// The core image that `grub-mkimage --format=i386-pc` makes.
    #[schemars(with = "PathBuf")]
    pub core_image: Placed<PathBuf>,
}

/// GRUB for UEFI.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GrubEfiSpec {
    /// GRUB as an EFI application, which becomes `/EFI/BOOT/BOOTX64.EFI`, or what its architecture calls it.
    #[schemars(with = "PathBuf")]
    pub image: Placed<PathBuf>,
    /// The shim for Secure Boot, which then takes that name; GRUB becomes `/EFI/BOOT/grubx64.efi`, which shim starts.
    #[schemars(with = "Option<PathBuf>")]
    pub shim: Option<Placed<PathBuf>>,
    /// What becomes `/EFI/BOOT/grub.cfg`.
    #[schemars(with = "Option<schema::SingleFile>")]
    pub config: Option<SingleFile>,
}

/// systemd-boot.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SystemdBootSpec {
    /// systemd-boot as an EFI application, which becomes `/EFI/systemd/systemd-bootx64.efi` and `/EFI/BOOT/BOOTX64.EFI`, or
    /// what its architecture calls them.
    #[schemars(with = "PathBuf")]
    pub image: Placed<PathBuf>,
    /// What becomes `/loader/loader.conf`.
    #[schemars(with = "Option<schema::SingleFile>")]
    pub config: Option<SingleFile>,
    /// What goes to `/loader/entries`, each under its name with `.conf` behind it.
    #[schemars(default, with = "BTreeMap<String, schema::SingleFile>")]
    pub entries: BTreeMap<String, SingleFile>,
}
