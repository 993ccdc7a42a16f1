//! `[boot]` as TOML.

use std::path::PathBuf;

use super::{Lines, PathError, braced, key, list, long_list, quoted, quoted_path, signer};
use crate::Placed;
use crate::boot::{
    BootSpec, GrubBiosSpec, GrubEfiSpec, KernelParts, KernelProfile, SystemdBootSpec, UnifiedKernel,
};
use crate::content::SingleFile;
use crate::sign::SignSpec;

/// The tables of `[boot]`, as far as there is something in them.
pub(super) fn print_boot(boot: &BootSpec) -> Result<Vec<String>, PathError> {
    let BootSpec {
        grub_bios,
        grub_efi,
        systemd_boot,
        unified_kernels,
    } = boot;
    let mut tables = Vec::new();
    if !unified_kernels.is_empty() {
        let mut lines = Lines::new("[boot]");
        let kernels: Vec<String> = unified_kernels
            .iter()
            .map(|kernel| match kernel {
                UnifiedKernel::Whole(file) => quoted_path(&file.value),
                UnifiedKernel::Assembled(parts) => print_parts(parts),
            })
            .collect::<Result<_, _>>()?;
        lines.add("unified-kernels", Some(long_list(&kernels)));
        tables.push(lines.0);
    }
    if let Some(GrubBiosSpec {
        boot_image,
        core_image,
    }) = grub_bios
    {
        let mut lines = Lines::new("[boot.grub-bios]");
        lines.add("boot-image", Some(quoted_path(&boot_image.value)?));
        lines.add("core-image", Some(quoted_path(&core_image.value)?));
        tables.push(lines.0);
    }
    if let Some(GrubEfiSpec {
        image,
        shim,
        sign,
        config,
    }) = grub_efi
    {
        let mut lines = Lines::new("[boot.grub-efi]");
        let shim = shim.as_ref().map(|shim| quoted_path(&shim.value));
        lines.add("image", Some(quoted_path(&image.value)?));
        lines.add("shim", shim.transpose()?);
        lines.add("sign", print_sign(sign.as_ref())?);
        lines.add(
            "config",
            config.as_ref().map(print_single_file).transpose()?,
        );
        tables.push(lines.0);
    }
    if let Some(systemd) = systemd_boot {
        tables.push(print_systemd_boot(systemd)?);
    }
    Ok(tables)
}

fn print_systemd_boot(systemd: &SystemdBootSpec) -> Result<String, PathError> {
    let SystemdBootSpec {
        image,
        sign,
        config,
        entries,
    } = systemd;
    let mut lines = Lines::new("[boot.systemd-boot]");
    lines.add("image", Some(quoted_path(&image.value)?));
    lines.add("sign", print_sign(sign.as_ref())?);
    lines.add(
        "config",
        config.as_ref().map(print_single_file).transpose()?,
    );
    if !entries.is_empty() {
        let entries: Vec<String> = entries
            .iter()
            .map(|(name, file)| Ok(format!("{} = {}", key(name), print_single_file(file)?)))
            .collect::<Result<_, _>>()?;
        lines.add("entries", Some(braced(entries)));
    }
    Ok(lines.0)
}

/// What a unified kernel is assembled from.
pub(super) fn print_parts(parts: &KernelParts) -> Result<String, PathError> {
    let KernelParts {
        place: _,
        name,
        stub,
        kernel,
        initrd,
        command_line,
        os_release,
        uname,
        splash,
        devicetree,
        microcode,
        sbat,
        profiles,
        addons,
        pcr_key,
        sign,
    } = parts;
    let path = |file: &Placed<PathBuf>| quoted_path(&file.value);
    let mut entries = vec![
        format!("name = {}", quoted(&name.value)),
        format!("stub = {}", path(stub)?),
    ];
    if let Some(kernel) = kernel {
        entries.push(format!("kernel = {}", path(kernel)?));
    }
    if !initrd.is_empty() {
        let initrds: Vec<String> = initrd.iter().map(path).collect::<Result<_, _>>()?;
        entries.push(format!("initrd = {}", list(initrds.into_iter())));
    }
    for (key, file) in [
        ("command-line", command_line),
        ("os-release", os_release),
        ("sbat", sbat),
    ] {
        if let Some(file) = file {
            entries.push(format!("{key} = {}", print_single_file(file)?));
        }
    }
    if let Some(uname) = uname {
        entries.push(format!("uname = {}", quoted(&uname.value)));
    }
    for (key, file) in [
        ("splash", splash),
        ("devicetree", devicetree),
        ("microcode", microcode),
        ("pcr-key", pcr_key),
    ] {
        if let Some(file) = file {
            entries.push(format!("{key} = {}", path(file)?));
        }
    }
    if !profiles.is_empty() {
        let profiles: Vec<String> = profiles
            .iter()
            .map(print_profile)
            .collect::<Result<_, _>>()?;
        entries.push(format!("profiles = {}", list(profiles.into_iter())));
    }
    if !addons.is_empty() {
        let addons = addons.iter().map(|addon| print_parts(&addon.parts()));
        let addons: Vec<String> = addons.collect::<Result<_, _>>()?;
        entries.push(format!("addons = {}", list(addons.into_iter())));
    }
    if let Some(sign) = print_sign(sign.as_ref())? {
        entries.push(format!("sign = {sign}"));
    }
    Ok(braced(entries))
}

fn print_profile(profile: &KernelProfile) -> Result<String, PathError> {
    let KernelProfile {
        place: _,
        id,
        title,
        command_line,
        initrd,
        devicetree,
    } = profile;
    let path = |file: &Placed<PathBuf>| quoted_path(&file.value);
    let mut entries = vec![format!("id = {}", quoted(&id.value))];
    if let Some(title) = title {
        entries.push(format!("title = {}", quoted(&title.value)));
    }
    if let Some(file) = command_line {
        entries.push(format!("command-line = {}", print_single_file(file)?));
    }
    if !initrd.is_empty() {
        let initrds: Vec<String> = initrd.iter().map(path).collect::<Result<_, _>>()?;
        entries.push(format!("initrd = {}", list(initrds.into_iter())));
    }
    if let Some(file) = devicetree {
        entries.push(format!("devicetree = {}", path(file)?));
    }
    Ok(braced(entries))
}

/// Who signs, if anybody does.
fn print_sign(sign: Option<&SignSpec>) -> Result<Option<String>, PathError> {
    sign.map(|sign| Ok(braced(signer(sign)?))).transpose()
}

fn print_single_file(file: &SingleFile) -> Result<String, PathError> {
    Ok(match file {
        SingleFile::Host(path) => quoted_path(path)?,
        SingleFile::Text(bytes) => braced([format!(
            "text = {}",
            quoted(&String::from_utf8_lossy(bytes))
        )]),
        SingleFile::Template(path) => braced([format!("template = {}", quoted_path(path)?)]),
    })
}
