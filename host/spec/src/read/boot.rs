//! `[boot]`, read.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::boot::{BootSpec, GrubBiosSpec, GrubEfiSpec, SystemdBootSpec};
use super::super::content::SingleFile;
use super::super::error::{ProblemKind, Within};
use super::super::fields::{Fields, parsed};
use super::super::place::Placed;
use super::super::value::ValueError;
use super::content::single_file;

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
