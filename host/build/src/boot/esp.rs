//! The EFI system partition: what goes there, under the paths that firmware and boot loaders look for.
//!
//! | Path | Holds |
//! |---|---|
//! | `/EFI/BOOT/BOOTX64.EFI` | what firmware starts: GRUB, the shim before it, or systemd-boot |
//! | `/EFI/BOOT/grubx64.efi` | GRUB, behind a shim |
//! | `/EFI/BOOT/grub.cfg` | GRUB's configuration |
//! | `/EFI/systemd/systemd-bootx64.efi` | systemd-boot |
//! | `/EFI/Linux/….efi` | unified kernels |
//! | `/loader/loader.conf`, `/loader/entries/….conf` | systemd-boot's configuration (Boot Loader Specification) |

use std::path::PathBuf;

use super::pe::Architecture;
use cellblock_spec::{
    BootSpec, Content, GrubEfiSpec, KernelContent, KernelParts, Placed, SignSpec, SingleFile,
    SystemdBootSpec, UnifiedKernel,
};
use cellblock_tree::source::ModeRule;

/// The owner of all of it: a FAT has one.
const OWNER: (u32, u32) = (0, 0);
/// The mode of all of it.
const MODE: ModeRule = ModeRule::Octal(0o644);

/// What has to be known of the EFI applications that a spec names.
pub trait Applications {
    /// Why it cannot be known.
    type Error;

    /// What an application runs on.
    ///
    /// # Errors
    /// When it is none.
    fn architecture(&self, file: &Placed<PathBuf>) -> Result<Architecture, Self::Error>;

    /// The bytes of an application, signed.
    ///
    /// # Errors
    /// When it cannot be read or signed.
    fn signed(&self, file: &Placed<PathBuf>, sign: &SignSpec) -> Result<Vec<u8>, Self::Error>;
}

/// What goes to the EFI system partition.
///
/// # Errors
/// What `applications` fails with.
pub fn contents<A: Applications>(
    boot: &BootSpec,
    applications: &A,
) -> Result<Vec<Content>, A::Error> {
    let loader = |file: &Placed<PathBuf>, sign: Option<&SignSpec>| {
        Ok(match sign {
            Some(sign) => SingleFile::Text(applications.signed(file, sign)?),
            None => SingleFile::Host(file.value.clone()),
        })
    };
    let mut contents = Vec::new();
    if let Some(grub) = &boot.grub_efi {
        let architecture = applications.architecture(&grub.image)?;
        let image = loader(&grub.image, grub.sign.as_ref())?;
        contents.extend(of_grub(grub, &image, architecture));
        if let Some(shim) = &grub.shim {
            let name = applications.architecture(shim)?.default_application();
            contents.push(host(shim, &format!("/EFI/BOOT/{name}")));
        }
    }
    if let Some(systemd) = &boot.systemd_boot {
        let architecture = applications.architecture(&systemd.image)?;
        let image = loader(&systemd.image, systemd.sign.as_ref())?;
        contents.extend(of_systemd(systemd, &image, architecture));
    }
    for kernel in &boot.unified_kernels {
        match kernel {
            UnifiedKernel::Whole(file) => {
                applications.architecture(file)?;
                let name = file.value.file_name().unwrap_or_default();
                contents.push(host(file, &format!("/EFI/Linux/{}", name.display())));
            }
            UnifiedKernel::Assembled(parts) => {
                let to = format!("/EFI/Linux/{}", parts.name.value);
                for addon in &parts.addons {
                    applications.architecture(&addon.stub)?;
                    let to = format!("{to}.extra.d/{}", addon.name.value);
                    contents.push(assembled(addon.parts(), to));
                }
                applications.architecture(&parts.stub)?;
                contents.push(assembled((**parts).clone(), to));
            }
        }
    }
    Ok(contents)
}

fn assembled(parts: KernelParts, to: String) -> Content {
    Content::Kernel(Box::new(KernelContent {
        to: to.into_bytes(),
        parts,
        owner: Some(OWNER),
    }))
}

fn of_grub(grub: &GrubEfiSpec, image: &SingleFile, architecture: Architecture) -> Vec<Content> {
    let name = match grub.shim {
        Some(_) => format!("grub{}.efi", architecture.name()),
        None => architecture.default_application(),
    };
    let image = placed(image, &format!("/EFI/BOOT/{name}"));
    let config = grub.config.iter();
    [image]
        .into_iter()
        .chain(config.map(|config| placed(config, "/EFI/BOOT/grub.cfg")))
        .collect()
}

fn of_systemd(
    systemd: &SystemdBootSpec,
    image: &SingleFile,
    architecture: Architecture,
) -> Vec<Content> {
    let name = architecture.default_application();
    let mut contents = vec![
        placed(image, &format!("/EFI/BOOT/{name}")),
        placed(
            image,
            &format!("/EFI/systemd/systemd-boot{}.efi", architecture.name()),
        ),
    ];
    let config = systemd.config.iter();
    contents.extend(config.map(|config| placed(config, "/loader/loader.conf")));
    let entries = systemd.entries.iter();
    contents.extend(
        entries.map(|(name, entry)| placed(entry, &format!("/loader/entries/{name}.conf"))),
    );
    contents
}

fn host(file: &Placed<PathBuf>, to: &str) -> Content {
    placed(&SingleFile::Host(file.value.clone()), to)
}

fn placed(file: &SingleFile, to: &str) -> Content {
    let to = to.as_bytes().to_vec();
    file.clone().content(Some(to), Some(OWNER), Some(MODE))
}
