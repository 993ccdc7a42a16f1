//! `[boot]`: what firmware starts, by the names that it looks for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;

use super::content::SingleFile;
use super::error::{ProblemKind, Within};
use super::fields::{Fields, parsed};
use super::place::{Place, Placed};
use super::read::single_file;
use super::schema;
use super::value::ValueError;

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

pub(super) fn boot(top: &mut Fields<'_, '_>) -> BootSpec {
    let Some(mut fields) = top.take_table("boot", Within::Boot { part: None }) else {
        return BootSpec::default();
    };
    let boot = BootSpec {
        grub_bios: part(&mut fields, "grub-bios", |part| {
            Some(GrubBiosSpec {
                boot_image: image(part, "boot-image", "boot-image = \"boot.img\"")?,
                core_image: image(part, "core-image", "core-image = \"core.img\"")?,
            })
        }),
        grub_efi: part(&mut fields, "grub-efi", |part| {
            let image = image(part, "image", "image = \"grubx64.efi\"");
            Some(GrubEfiSpec {
                shim: part.take_path("shim"),
                config: config(part),
                image: image?,
            })
        }),
        systemd_boot: part(&mut fields, "systemd-boot", |part| {
            let image = image(part, "image", "image = \"systemd-bootx64.efi\"");
            Some(SystemdBootSpec {
                config: config(part),
                entries: entries(part),
                image: image?,
            })
        }),
        unified_kernels: fields
            .take_list("unified-kernels", parsed(kernel_name))
            .into_iter()
            .map(|kernel| Placed {
                value: fields.resolved(&kernel),
                place: kernel.place,
            })
            .collect(),
    };
    if let (Some(_), Some(systemd)) = (&boot.grub_efi, &boot.systemd_boot) {
        fields.problem(ProblemKind::TwoLoaders, systemd.image.place.clone());
    }
    fields.finish();
    boot
}

fn image(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    example: &'static str,
) -> Option<Placed<PathBuf>> {
    fields.require_path(key, example)
}

fn config(fields: &mut Fields<'_, '_>) -> Option<SingleFile> {
    let value = fields.get("config")?;
    single_file(fields, "config", value)
}

fn entries(fields: &mut Fields<'_, '_>) -> BTreeMap<String, SingleFile> {
    let within = fields.within();
    let Some(mut table) = fields.take_table("entries", within) else {
        return BTreeMap::new();
    };
    let entries = table.entries();
    entries
        .into_iter()
        .filter_map(|(name, value)| {
            let place = table.at(value);
            let file = single_file(&mut table, name, value)?;
            if !is_file_name(name) {
                let name = name.to_owned();
                table.problem(ProblemKind::NotAnEntry { name }, place);
                return None;
            }
            Some((name.to_owned(), file))
        })
        .collect()
}

/// A table of `[boot]`, read by `read`.
fn part<T>(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    read: impl FnOnce(&mut Fields<'_, '_>) -> Option<T>,
) -> Option<T> {
    let mut part = fields.take_table(key, Within::Boot { part: Some(key) })?;
    let value = read(&mut part);
    part.finish();
    value
}

/// Whether a name with `.conf` behind it is the name of one file that systemd-boot shows.
fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "+-_.".contains(letter))
}

/// A path that ends in the name of a unified kernel.
fn kernel_name(path: &str) -> Result<String, ValueError> {
    let suffix = path.get(path.len().saturating_sub(4)..);
    if suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(".efi")) {
        Ok(path.to_owned())
    } else {
        Err(ValueError::NotAKernel {
            text: path.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;
    use crate::{Files, Spec};

    const PARTITION: &str = "[[partition]]\ntype = \"esp\"\nsize = \"1MiB\"\n";

    fn parse(boot: &str) -> Result<BootSpec, String> {
        let source = format!("{PARTITION}{boot}");
        Spec::parse(&source, Path::new("/specs"))
            .map(|spec| spec.boot)
            .map_err(|error| error.render(&Files::one("image.toml", source.clone()), false))
    }

    #[test]
    fn parts_and_their_files_are_read() {
        let boot = parse(
            "[boot]\nunified-kernels = [\"a.efi\"]\n[boot.grub-bios]\nboot-image = \"boot.img\"\ncore-image = \"core.img\"\n\
             [boot.systemd-boot]\nimage = \"sd.efi\"\nconfig = { text = \"timeout 3\" }\n\
             entries = { debian = { template = \"debian.in\" }, rescue = \"rescue.conf\" }\n",
        )
        .unwrap();
        assert_eq!(boot.unified_kernels[0].value, Path::new("/specs/a.efi"));
        let grub = boot.grub_bios.unwrap();
        assert_eq!(grub.core_image.value, Path::new("/specs/core.img"));
        let systemd = boot.systemd_boot.unwrap();
        assert_eq!(systemd.config, Some(SingleFile::Text(b"timeout 3".into())));
        let expected = [
            ("debian", SingleFile::Template("/specs/debian.in".into())),
            ("rescue", SingleFile::Host("/specs/rescue.conf".into())),
        ];
        let expected = expected.map(|(name, file)| (name.to_owned(), file));
        assert_eq!(systemd.entries, BTreeMap::from(expected));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (boot, message) in [
            (
                "[boot.grub-bios]\nboot-image = \"boot.img\"\n",
                "boot.grub-bios: the key `core-image` is missing",
            ),
            ("[boot.grub]\n", "boot: unknown key `grub`"),
            (
                "[boot.grub-efi]\nimage = \"a\"\n[boot.systemd-boot]\nimage = \"b\"\n",
                "both `grub-efi` and `systemd-boot` are there",
            ),
            (
                "[boot]\nunified-kernels = [\"vmlinuz\"]\n",
                "`vmlinuz` has no name that ends in `.efi`",
            ),
            (
                "[boot.systemd-boot]\nimage = \"a\"\nentries = { \"a/b\" = \"x\" }\n",
                "`a/b` is no name of a boot entry",
            ),
            (
                "[boot.grub-efi]\nimage = \"a\"\nconfig = { }\n",
                "names 0 of `file`, `text` and `template`",
            ),
            (
                "[boot.grub-efi]\nimage = \"a\"\nconfig = { file = \"x\", mode = 5 }\n",
                "unknown key `mode`",
            ),
        ] {
            let said = parse(boot).unwrap_err();
            assert!(said.contains(message), "{message} is not in\n{said}");
        }
    }
}
