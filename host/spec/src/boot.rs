//! `[boot]`: what firmware starts, by the names that it looks for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;

use super::content::SingleFile;
use super::place::{Place, Placed};
use super::schema;
use super::sign::SignSpec;

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
    /// Unified kernel images, which go to `/EFI/Linux` on the EFI system partition: files that keep their names, or what they
    /// are assembled from.
    #[schemars(default)]
    pub unified_kernels: Vec<UnifiedKernel>,
}

impl BootSpec {
    /// Where the first of the parts is asked for that need an EFI system partition; `None` without any.
    pub fn needs_esp(&self) -> Option<Place> {
        let grub = self.grub_efi.as_ref().map(|grub| &grub.image);
        let systemd = self.systemd_boot.as_ref().map(|systemd| &systemd.image);
        let kernel = || self.unified_kernels.first().map(UnifiedKernel::place);
        let loader = grub.or(systemd).map(|file| &file.place);
        loader.or_else(kernel).cloned()
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
    /// Who signs `image` for Secure Boot. The shim is signed already.
    pub sign: Option<SignSpec>,
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
    /// Who signs it for Secure Boot.
    pub sign: Option<SignSpec>,
    /// What becomes `/loader/loader.conf`.
    #[schemars(with = "Option<schema::SingleFile>")]
    pub config: Option<SingleFile>,
    /// What goes to `/loader/entries`, each under its name with `.conf` behind it.
    #[schemars(default, with = "BTreeMap<String, schema::SingleFile>")]
    pub entries: BTreeMap<String, SingleFile>,
}

/// A unified kernel image.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum UnifiedKernel {
    /// A file.
    Whole(#[schemars(with = "PathBuf")] Placed<PathBuf>),
    /// What it is assembled from.
    Assembled(Box<KernelParts>),
}

impl UnifiedKernel {
    /// Where it stands in the spec.
    pub fn place(&self) -> &Place {
        match self {
            Self::Whole(file) => &file.place,
            Self::Assembled(parts) => &parts.place,
        }
    }
}

/// What a unified kernel image is assembled from.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KernelParts {
    /// Where the table stands.
    #[schemars(skip)]
    pub place: Place,
    /// The name in `/EFI/Linux`, which ends in `.efi`.
    #[schemars(with = "String")]
    pub name: Placed<String>,
    /// The stub that starts the kernel, such as systemd's `linuxx64.efi.stub`.
    #[schemars(with = "PathBuf")]
    pub stub: Placed<PathBuf>,
    /// The kernel. What is made of an add-on has none.
    #[schemars(with = "PathBuf")]
    pub kernel: Option<Placed<PathBuf>>,
    /// Initial RAM disks, which are joined in their order.
    #[schemars(default, with = "Vec<PathBuf>")]
    pub initrd: Vec<Placed<PathBuf>>,
    /// The command line: a text, or one of `{ file = … }`, `{ text = … }` and `{ template = … }`, whose lines are joined.
    #[schemars(with = "Option<schema::SingleFile>")]
    pub command_line: Option<SingleFile>,
    /// What becomes `os-release`.
    #[schemars(with = "Option<schema::SingleFile>")]
    pub os_release: Option<SingleFile>,
    /// The version of the kernel, as `uname -r` tells it.
    #[schemars(with = "Option<String>")]
    pub uname: Option<Placed<String>>,
    /// A picture, in the format BMP.
    #[schemars(with = "Option<PathBuf>")]
    pub splash: Option<Placed<PathBuf>>,
    /// A device tree.
    #[schemars(with = "Option<PathBuf>")]
    pub devicetree: Option<Placed<PathBuf>>,
    /// Microcode, as an initial RAM disk of its own.
    #[schemars(with = "Option<PathBuf>")]
    pub microcode: Option<Placed<PathBuf>>,
    /// Generations for revocation, for a stub that has none.
    #[schemars(with = "Option<schema::SingleFile>")]
    pub sbat: Option<SingleFile>,
    /// Ways to boot it, of which the first one is the usual way: each takes the place of some of its parts.
    #[schemars(default)]
    pub profiles: Vec<KernelProfile>,
    /// What goes beside it and is booted with it.
    #[schemars(default)]
    pub addons: Vec<KernelAddon>,
    /// A private RSA key, PEM or DER, that signs the values to be expected of register 11 of a TPM: a secret can be bound to it.
    #[schemars(with = "Option<PathBuf>")]
    pub pcr_key: Option<Placed<PathBuf>>,
    /// Who signs it for Secure Boot.
    pub sign: Option<SignSpec>,
}

impl KernelParts {
    /// The files that are parts as they are.
    pub fn files(&self) -> impl Iterator<Item = &Placed<PathBuf>> {
        let some = [
            &self.splash,
            &self.devicetree,
            &self.microcode,
            &self.pcr_key,
        ];
        let profiles = self.profiles.iter();
        [&self.stub]
            .into_iter()
            .chain(&self.kernel)
            .chain(&self.initrd)
            .chain(some.into_iter().flatten())
            .chain(profiles.flat_map(|profile| profile.initrd.iter().chain(&profile.devicetree)))
    }

    /// The parts that are texts.
    pub fn texts(&self) -> impl Iterator<Item = &SingleFile> {
        let own = [&self.command_line, &self.os_release, &self.sbat];
        let profiles = self.profiles.iter().map(|profile| &profile.command_line);
        own.into_iter().chain(profiles).flatten()
    }
}

/// A way to boot a unified kernel (UAPI.5, "Multi-Profile UKIs").
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KernelProfile {
    /// Where the table stands.
    #[schemars(skip)]
    pub place: Place,
    /// Its name for programs, in letters and digits.
    #[schemars(with = "String")]
    pub id: Placed<String>,
    /// Its name in a menu.
    #[schemars(with = "Option<String>")]
    pub title: Option<Placed<String>>,
    /// The command line in the place of the kernel's.
    #[schemars(with = "Option<schema::SingleFile>")]
    pub command_line: Option<SingleFile>,
    /// Initial RAM disks in the place of the kernel's.
    #[schemars(default, with = "Vec<PathBuf>")]
    pub initrd: Vec<Placed<PathBuf>>,
    /// A device tree in the place of the kernel's.
    #[schemars(with = "Option<PathBuf>")]
    pub devicetree: Option<Placed<PathBuf>>,
}

/// What goes beside a unified kernel, into its `.extra.d`, and is booted with it (UAPI.5, "PE Addons").
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KernelAddon {
    /// Where the table stands.
    #[schemars(skip)]
    pub place: Place,
    /// The name, which ends in `.addon.efi`.
    #[schemars(with = "String")]
    pub name: Placed<String>,
    /// The stub, such as systemd's `addonx64.efi.stub`.
    #[schemars(with = "PathBuf")]
    pub stub: Placed<PathBuf>,
    /// What is put behind the kernel's command line.
    #[schemars(with = "Option<schema::SingleFile>")]
    pub command_line: Option<SingleFile>,
    /// Initial RAM disks more.
    #[schemars(default, with = "Vec<PathBuf>")]
    pub initrd: Vec<Placed<PathBuf>>,
    /// The version of the kernel that it is for.
    #[schemars(with = "Option<String>")]
    pub uname: Option<Placed<String>>,
    /// A device tree.
    #[schemars(with = "Option<PathBuf>")]
    pub devicetree: Option<Placed<PathBuf>>,
    /// Microcode, as an initial RAM disk of its own.
    #[schemars(with = "Option<PathBuf>")]
    pub microcode: Option<Placed<PathBuf>>,
    /// Generations for revocation, for a stub that has none.
    #[schemars(with = "Option<schema::SingleFile>")]
    pub sbat: Option<SingleFile>,
    /// Who signs it for Secure Boot.
    pub sign: Option<SignSpec>,
}

impl KernelAddon {
    /// What it is assembled from.
    pub fn parts(&self) -> KernelParts {
        let Self {
            place,
            name,
            stub,
            command_line,
            initrd,
            uname,
            devicetree,
            microcode,
            sbat,
            sign,
        } = self.clone();
        KernelParts {
            place,
            name,
            stub,
            kernel: None,
            initrd,
            command_line,
            os_release: None,
            uname,
            splash: None,
            devicetree,
            microcode,
            sbat,
            profiles: Vec::new(),
            addons: Vec::new(),
            pcr_key: None,
            sign,
        }
    }
}
