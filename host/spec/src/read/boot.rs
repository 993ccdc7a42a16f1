//! `[boot]`, read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::super::boot::{
    BootSpec, GrubBiosSpec, GrubEfiSpec, KernelAddon, KernelParts, KernelProfile, SystemdBootSpec,
    UnifiedKernel,
};
use super::super::content::SingleFile;
use super::super::error::{ProblemKind, Within};
use super::super::fields::{Fields, parsed, text};
use super::super::place::Placed;
use super::super::value::ValueError;
use super::content::single_file;
use super::sign::sign;

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
                sign: sign(part),
                config: config(part),
                image: image?,
            })
        }),
        systemd_boot: part(&mut fields, "systemd-boot", |part| {
            let image = image(part, "image", "image = \"systemd-bootx64.efi\"");
            Some(SystemdBootSpec {
                sign: sign(part),
                config: config(part),
                entries: entries(part),
                image: image?,
            })
        }),
        unified_kernels: unified_kernels(&mut fields),
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

fn unified_kernels(fields: &mut Fields<'_, '_>) -> Vec<UnifiedKernel> {
    let values = fields.array("unified-kernels", "an array of paths and tables");
    let kernels = values.into_iter().filter_map(|value| {
        if value.get_ref().as_table().is_some() {
            let within = Within::Boot {
                part: Some("unified-kernels"),
            };
            let mut table = fields.inner_of("unified-kernels", value, within)?;
            let parts = kernel_parts(&mut table);
            table.finish();
            return parts.map(|parts| UnifiedKernel::Assembled(Box::new(parts)));
        }
        let kernel = fields.read("unified-kernels", value, parsed(kernel_name))?;
        Some(UnifiedKernel::Whole(Placed {
            value: fields.resolved(&kernel),
            place: kernel.place,
        }))
    });
    kernels.collect()
}

fn kernel_parts(fields: &mut Fields<'_, '_>) -> Option<KernelParts> {
    let place = fields.place.clone();
    let name = fields.require("name", "name = \"linux.efi\"", parsed(kernel_file_name));
    let stub = fields.require_path("stub", "stub = \"linuxx64.efi.stub\"");
    let kernel = fields.require_path("kernel", "kernel = \"vmlinuz\"");
    let command_line = command_line(fields);
    let profiles = fields.take_tables("profiles", |_, fields| kernel_profile(fields));
    let mut seen = BTreeSet::new();
    for profile in &profiles {
        if !seen.insert(&profile.id.value) {
            let id = profile.id.value.clone();
            fields.problem(ProblemKind::SameProfile { id }, profile.id.place.clone());
        }
    }
    Some(KernelParts {
        profiles,
        addons: fields.take_tables("addons", |_, fields| kernel_addon(fields)),
        place,
        initrd: initrds(fields),
        command_line,
        os_release: file_of(fields, "os-release"),
        uname: fields.take("uname", text),
        splash: fields.take_path("splash"),
        devicetree: fields.take_path("devicetree"),
        microcode: fields.take_path("microcode"),
        sbat: file_of(fields, "sbat"),
        pcr_key: fields.take_path("pcr-key"),
        sign: sign(fields),
        name: name?,
        stub: stub?,
        kernel: Some(kernel?),
    })
}

fn command_line(fields: &mut Fields<'_, '_>) -> Option<SingleFile> {
    match fields.get("command-line") {
        Some(value) if value.get_ref().is_str() => fields
            .take("command-line", text)
            .map(|text| SingleFile::Text(text.value.into_bytes())),
        _ => file_of(fields, "command-line"),
    }
}

fn kernel_profile(fields: &mut Fields<'_, '_>) -> Option<KernelProfile> {
    Some(KernelProfile {
        place: fields.place.clone(),
        title: fields.take("title", parsed(profile_title)),
        command_line: command_line(fields),
        initrd: initrds(fields),
        devicetree: fields.take_path("devicetree"),
        id: fields.require("id", "id = \"rescue\"", parsed(profile_id))?,
    })
}

fn kernel_addon(fields: &mut Fields<'_, '_>) -> Option<KernelAddon> {
    let name = fields.require("name", "name = \"debug.addon.efi\"", parsed(addon_name));
    let stub = fields.require_path("stub", "stub = \"addonx64.efi.stub\"");
    Some(KernelAddon {
        place: fields.place.clone(),
        command_line: command_line(fields),
        initrd: initrds(fields),
        uname: fields.take("uname", text),
        devicetree: fields.take_path("devicetree"),
        microcode: fields.take_path("microcode"),
        sbat: file_of(fields, "sbat"),
        sign: sign(fields),
        name: name?,
        stub: stub?,
    })
}

/// The name of a profile for programs.
fn profile_id(id: &str) -> Result<String, ValueError> {
    if is_file_name(id) {
        Ok(id.to_owned())
    } else {
        Err(ValueError::NotAProfile {
            text: id.to_owned(),
        })
    }
}

/// The name of a profile for people, which stands on a line of its own.
fn profile_title(title: &str) -> Result<String, ValueError> {
    if title.is_empty() || title.chars().any(char::is_control) || title.contains(['"', '\\']) {
        Err(ValueError::NotATitle {
            text: title.to_owned(),
        })
    } else {
        Ok(title.to_owned())
    }
}

/// The name of an add-on in its folder.
fn addon_name(name: &str) -> Result<String, ValueError> {
    let stem = name.strip_suffix(".addon.efi");
    if stem.is_some_and(is_file_name) {
        Ok(name.to_owned())
    } else {
        Err(ValueError::NotAnAddonName {
            text: name.to_owned(),
        })
    }
}

/// One path, or several.
fn initrds(fields: &mut Fields<'_, '_>) -> Vec<Placed<PathBuf>> {
    match fields.get("initrd") {
        Some(value) if value.get_ref().is_str() => fields.take_path("initrd").into_iter().collect(),
        _ => fields
            .take_list("initrd", text)
            .into_iter()
            .map(|path| Placed {
                value: fields.resolved(&path),
                place: path.place,
            })
            .collect(),
    }
}

fn file_of(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<SingleFile> {
    let value = fields.get(key)?;
    single_file(fields, key, value)
}

/// The name of a unified kernel in its folder.
fn kernel_file_name(name: &str) -> Result<String, ValueError> {
    let stem = name.strip_suffix(".efi");
    if stem.is_some_and(is_file_name) {
        Ok(name.to_owned())
    } else {
        Err(ValueError::NotAKernelName {
            text: name.to_owned(),
        })
    }
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
        let [UnifiedKernel::Whole(kernel)] = &boot.unified_kernels[..] else {
            panic!("{:?}", boot.unified_kernels)
        };
        assert_eq!(kernel.value, Path::new("/specs/a.efi"));
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
                "[boot]\nunified-kernels = [{ name = \"a/b.efi\", stub = \"s\", kernel = \"k\" }]\n",
                "`a/b.efi` is no name of a unified kernel",
            ),
            (
                "[boot]\nunified-kernels = [{ name = \"b.efi\", stub = \"s\" }]\n",
                "boot.unified-kernels: the key `kernel` is missing",
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
