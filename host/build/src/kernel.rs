//! A unified kernel image, assembled from the files that the spec names.
//!
//! It is held in memory while the partition that it goes into is made.

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::boot::uki::{self, Section};
use crate::named_file;
use crate::plan::{Facts, PlanError, Reason};
use crate::signing::{self, Signers};
use crate::template::{self, Awaited, TemplateError};
use cellblock_spec::{KernelContent, KernelParts, KernelProfile, Place, Placed, SingleFile};
use cellblock_tree::source::{ModeRule, Source, What};

/// The mode of the image.
const MODE: ModeRule = ModeRule::Octal(0o644);
/// Initial RAM disks begin at multiples of this many bytes in their row (the kernel's initramfs/buffer-format.rst).
const INITRD_ALIGNMENT: usize = 4;
/// Words of the command line that name a root hash, of which each can be there once.
const ROOT_HASHES: [&str; 2] = ["roothash=", "usrhash="];

/// Why a unified kernel image cannot be assembled.
#[derive(Debug, Error)]
pub enum KernelError {
    /// Its command line, or another text.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// What the spec says of it.
    #[error(transparent)]
    Spec(#[from] PlanError),
}

/// A unified kernel image that was assembled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AssembledKernel {
    /// Its path in the file system.
    pub(crate) path: String,
    /// The SHA-256 digest of its bytes.
    pub(crate) digest: [u8; 32],
    /// Its command line.
    pub(crate) command_line: String,
    /// What register 11 of a TPM is extended to in the bank of SHA-256, by the phase of the boot.
    pub(crate) pcr_11: Measured,
    /// The same of each profile, by its name.
    pub(crate) profiles: Vec<(String, Measured)>,
}

/// Values of a register, by the phase of the boot.
type Measured = Vec<(String, [u8; 32])>;

/// The file that becomes of the parts, and what to tell of it.
pub(crate) fn assembled(
    content: &KernelContent,
    facts: &Facts,
    awaited: &mut Awaited,
    signers: &Signers,
) -> Result<(Source, AssembledKernel), KernelError> {
    let KernelContent { parts, to, owner } = content;
    let mut of_this = Awaited::default();
    let (mut base, command_line) = sections(parts, facts, &mut of_this)?;
    let mut profiles = parts
        .profiles
        .iter()
        .map(|profile| profile_sections(parts, profile, facts, &mut of_this))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(file) = &parts.pcr_key {
        add_measurements(&mut base, &mut profiles, file, signers)?;
    }
    let all: Vec<(Section, Vec<u8>)> = base
        .iter()
        .chain(profiles.iter().flatten())
        .cloned()
        .collect();
    let image = uki::assembled(&read(&parts.stub)?, &all)
        .map_err(|fault| PlanError::unusable(&parts.stub, fault))?;
    let path = String::from_utf8_lossy(to).into_owned();
    let image = match &parts.sign {
        Some(asked) => {
            // What is not known yet changes the kernel, and with it the signature.
            let is_final = of_this.partitions.is_empty();
            signing::application(signers, asked, &path, &image, is_final)
                .map_err(|fault| fault.of(&parts.stub))?
        }
        None => image,
    };
    awaited.names.extend(of_this.names);
    awaited.partitions.extend(of_this.partitions);
    let told = AssembledKernel {
        path,
        digest: Sha256::digest(&image).into(),
        command_line,
        pcr_11: match (&parts.kernel, profiles.first()) {
            (None, _) => Vec::new(),
            (Some(_), None) => uki::pcr_11(base.iter()),
            (Some(_), Some(usual)) => uki::pcr_11(uki::of_profile(&base, usual)),
        },
        profiles: parts
            .profiles
            .iter()
            .zip(&profiles)
            .map(|(profile, own)| {
                let values = uki::pcr_11(uki::of_profile(&base, own));
                (profile.id.value.clone(), values)
            })
            .collect(),
    };
    let source = Source {
        to: Some(to.clone()),
        owner: *owner,
        mode: Some(MODE),
        ..Source::new(What::Bytes(image))
    };
    Ok((source, told))
}

/// The derived values that the texts of a kernel name. What is wrong with a text is found when the kernel is assembled.
pub(crate) fn scan(parts: &KernelParts, facts: &Facts, awaited: &mut Awaited) {
    let texts = [&parts.command_line, &parts.os_release, &parts.sbat];
    let of_profiles = parts.profiles.iter().map(|profile| &profile.command_line);
    for text in texts.into_iter().chain(of_profiles).flatten() {
        if let SingleFile::Template(file) = text {
            template::scan(file, facts, awaited);
        }
    }
}

/// Sections with their bytes.
type Sections = Vec<(Section, Vec<u8>)>;

/// The sections in the order of the image, and the command line.
fn sections(
    parts: &KernelParts,
    facts: &Facts,
    awaited: &mut Awaited,
) -> Result<(Sections, String), KernelError> {
    let KernelParts {
        place,
        name,
        stub: _,
        kernel,
        initrd,
        command_line,
        os_release,
        uname,
        splash,
        devicetree,
        microcode,
        sbat,
        profiles: _,
        addons: _,
        pcr_key: _,
        sign: _,
    } = parts;
    let mut sections = Vec::new();
    let mut of_text = |file: &SingleFile| single(place, file, facts, awaited);
    if let Some(file) = os_release {
        sections.push((Section::OsRelease, of_text(file)?));
    }
    let mut joined = String::new();
    if let Some(file) = command_line {
        let text = of_text(file)?;
        check_text(&name.value, place, file, facts)?;
        joined = one_line(&String::from_utf8_lossy(&text));
        check_command_line(&name.value, place, &joined)?;
        sections.push((Section::CommandLine, joined.clone().into_bytes()));
    }
    if let Some(file) = sbat {
        sections.push((Section::Sbat, of_text(file)?));
    }
    if let Some(uname) = uname {
        sections.push((Section::Uname, uname.value.clone().into_bytes()));
    }
    for (section, file) in [
        (Section::Splash, splash),
        (Section::DeviceTree, devicetree),
        (Section::Microcode, microcode),
    ] {
        if let Some(file) = file {
            sections.push((section, read(file)?));
        }
    }
    if !initrd.is_empty() {
        sections.push((Section::Initrd, joined_initrds(initrd)?));
    }
    if let Some(kernel) = kernel {
        sections.push((Section::Linux, read(kernel)?));
    }
    Ok((sections, joined))
}

fn joined_initrds(files: &[Placed<PathBuf>]) -> Result<Vec<u8>, PlanError> {
    let mut all = Vec::new();
    for file in files {
        all.resize(all.len().next_multiple_of(INITRD_ALIGNMENT), 0);
        all.extend(read(file)?);
    }
    Ok(all)
}

/// The sections of a profile, of which the first one begins it.
fn profile_sections(
    parts: &KernelParts,
    profile: &KernelProfile,
    facts: &Facts,
    awaited: &mut Awaited,
) -> Result<Sections, KernelError> {
    let KernelProfile {
        place,
        id,
        title,
        command_line,
        initrd,
        devicetree,
    } = profile;
    let title = title.as_ref();
    let title = title.map(|title| format!("TITLE=\"{}\"\n", title.value));
    let text = format!("ID={}\n{}", id.value, title.unwrap_or_default());
    let mut sections = vec![(Section::Profile, text.into_bytes())];
    if let Some(file) = command_line {
        let text = single(place, file, facts, awaited)?;
        check_text(&parts.name.value, place, file, facts)?;
        let line = one_line(&String::from_utf8_lossy(&text));
        check_command_line(&parts.name.value, place, &line)?;
        sections.push((Section::CommandLine, line.into_bytes()));
    }
    if let Some(file) = devicetree {
        sections.push((Section::DeviceTree, read(file)?));
    }
    if !initrd.is_empty() {
        sections.push((Section::Initrd, joined_initrds(initrd)?));
    }
    Ok(sections)
}

/// Puts the key of who signs measurements before the kernel, and the signatures of those to come: of a kernel without profiles there too,
/// and else into each profile.
fn add_measurements(
    base: &mut Sections,
    profiles: &mut [Sections],
    file: &Placed<PathBuf>,
    signers: &Signers,
) -> Result<(), PlanError> {
    let key = signers.measurer(file);
    let before_kernel = base.len().saturating_sub(1);
    let public = key.public_pem().into_bytes();
    base.insert(before_kernel, (Section::PcrKey, public));
    let signatures = |measured: Measured| {
        let mut policies = Vec::new();
        // The stub alone is no phase that anything is unlocked in.
        for (_, value) in measured.into_iter().filter(|(phase, _)| !phase.is_empty()) {
            let policy = uki::policy(&value);
            let signature = key.sign(&policy);
            let signature = signature.map_err(|error| PlanError::unusable(file, error))?;
            policies.push((policy, signature));
        }
        let fingerprint = Sha256::digest(key.public()).into();
        let document = uki::document(&fingerprint, &policies);
        Ok((Section::PcrSignatures, document.into_bytes()))
    };
    if profiles.is_empty() {
        let signatures = signatures(uki::pcr_11(base.iter()))?;
        base.insert(before_kernel + 1, signatures);
    }
    for profile in profiles {
        let measured = uki::pcr_11(uki::of_profile(base, profile));
        profile.push(signatures(measured)?);
    }
    Ok(())
}

fn single(
    place: &Place,
    file: &SingleFile,
    facts: &Facts,
    awaited: &mut Awaited,
) -> Result<Vec<u8>, KernelError> {
    match file {
        SingleFile::Host(path) => Ok(read(&Placed {
            value: path.clone(),
            place: place.clone(),
        })?),
        SingleFile::Text(bytes) => Ok(bytes.clone()),
        SingleFile::Template(path) => Ok(template::text(path, facts, awaited)?.into_bytes()),
    }
}

/// The lines of a command line, joined.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// Refuses a text that asks for a value which only a template would be given.
fn check_text(
    kernel: &str,
    place: &Place,
    file: &SingleFile,
    facts: &Facts,
) -> Result<(), PlanError> {
    let SingleFile::Text(bytes) = file else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(bytes);
    let Some(placeholder) = template::placeholder(&text, facts) else {
        return Ok(());
    };
    let reason = Reason::PlaceholderInText {
        kernel: kernel.to_owned(),
        placeholder: placeholder.to_owned(),
    };
    Err(PlanError::at(reason, place))
}

fn check_command_line(kernel: &str, place: &Place, text: &str) -> Result<(), PlanError> {
    for word in ROOT_HASHES {
        let count = text
            .split_whitespace()
            .filter(|found| found.starts_with(word))
            .count();
        if count > 1 {
            let reason = Reason::RootHashes {
                kernel: kernel.to_owned(),
                word,
                count,
            };
            return Err(PlanError::at(reason, place));
        }
    }
    Ok(())
}

fn read(file: &Placed<PathBuf>) -> Result<Vec<u8>, PlanError> {
    named_file::read(file, usize::MAX)
}
