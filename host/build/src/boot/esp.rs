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
    BootSpec, Content, GrubEfiSpec, KernelContent, Placed, SingleFile, SystemdBootSpec,
    UnifiedKernel,
};
use cellblock_tree::source::ModeRule;

/// The owner of all of it: a FAT has one.
const OWNER: (u32, u32) = (0, 0);
/// The mode of all of it.
const MODE: ModeRule = ModeRule::Octal(0o644);

/// What goes to the EFI system partition. `architecture` says what an application runs on.
///
/// # Errors
/// What `architecture` fails with.
pub fn contents<E>(
    boot: &BootSpec,
    architecture: impl Fn(&Placed<PathBuf>) -> Result<Architecture, E>,
) -> Result<Vec<Content>, E> {
    let mut contents = Vec::new();
    if let Some(grub) = &boot.grub_efi {
        contents.extend(of_grub(grub, architecture(&grub.image)?));
        if let Some(shim) = &grub.shim {
            let name = architecture(shim)?.default_application();
            contents.push(host(shim, &format!("/EFI/BOOT/{name}")));
        }
    }
    if let Some(systemd) = &boot.systemd_boot {
        contents.extend(of_systemd(systemd, architecture(&systemd.image)?));
    }
    for kernel in &boot.unified_kernels {
        contents.push(match kernel {
            UnifiedKernel::Whole(file) => {
                architecture(file)?;
                let name = file.value.file_name().unwrap_or_default();
                host(file, &format!("/EFI/Linux/{}", name.display()))
            }
            UnifiedKernel::Assembled(parts) => {
                architecture(&parts.stub)?;
                Content::Kernel(Box::new(KernelContent {
                    to: format!("/EFI/Linux/{}", parts.name.value).into_bytes(),
                    parts: (**parts).clone(),
                    owner: Some(OWNER),
                }))
            }
        });
    }
    Ok(contents)
}

fn of_grub(grub: &GrubEfiSpec, architecture: Architecture) -> Vec<Content> {
    let name = match grub.shim {
        Some(_) => format!("grub{}.efi", architecture.name()),
        None => architecture.default_application(),
    };
    let image = host(&grub.image, &format!("/EFI/BOOT/{name}"));
    let config = grub.config.iter();
    [image]
        .into_iter()
        .chain(config.map(|config| placed(config, "/EFI/BOOT/grub.cfg")))
        .collect()
}

fn of_systemd(systemd: &SystemdBootSpec, architecture: Architecture) -> Vec<Content> {
    let name = architecture.default_application();
    let mut contents = vec![
        host(&systemd.image, &format!("/EFI/BOOT/{name}")),
        host(
            &systemd.image,
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
