//! A unified kernel image, assembled from the files that the spec names.
//!
//! It is held in memory while the partition that it goes into is made.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::boot::uki::{self, ImageFault, Section};
use crate::plan::{Facts, PlanError};
use crate::signing::{self, Signers};
use crate::template::{self, Awaited, TemplateError};
use cellblock_spec::{KernelContent, KernelParts, SingleFile};
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
    /// A part cannot be read.
    #[error("unified kernel {kernel}: {}: {why}", file.display())]
    Read {
        /// The name of the image.
        kernel: String,
        /// The part.
        file: PathBuf,
        /// What the system says.
        why: String,
    },
    /// Its command line, or another text.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The parts do not make an image.
    #[error("unified kernel {kernel}: {}: {fault}", stub.display())]
    Image {
        /// The name of the image.
        kernel: String,
        /// The stub.
        stub: PathBuf,
        /// What is wrong.
        fault: ImageFault,
    },
    /// It cannot be signed.
    #[error(transparent)]
    Sign(#[from] PlanError),
    /// A command line that the system would not know what to make of.
    #[error("unified kernel {kernel}: the command line has `{word}` {count} times: keep one")]
    Twice {
        /// The name of the image.
        kernel: String,
        /// The word.
        word: &'static str,
        /// How often it is there.
        count: usize,
    },
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
    pub(crate) pcr_11: Vec<(String, [u8; 32])>,
}

/// The file that becomes of the parts, and what to tell of it.
pub(crate) fn assembled(
    content: &KernelContent,
    facts: &Facts,
    awaited: &mut Awaited,
    signers: &Signers,
) -> Result<(Source, AssembledKernel), KernelError> {
    let KernelContent { parts, to, owner } = content;
    let kernel = &parts.name.value;
    let mut of_this = Awaited::default();
    let (sections, command_line) = sections(parts, facts, &mut of_this)?;
    let stub = read(kernel, &parts.stub.value)?;
    let image = uki::assembled(&stub, &sections).map_err(|fault| KernelError::Image {
        kernel: kernel.clone(),
        stub: parts.stub.value.clone(),
        fault,
    })?;
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
        pcr_11: uki::pcr_11(&sections),
    };
    let source = Source {
        to: Some(to.clone()),
        owner: *owner,
        mode: Some(MODE),
        ..Source::new(What::Bytes(image))
    };
    Ok((source, told))
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
        place: _,
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
        sign: _,
    } = parts;
    let name = &name.value;
    let mut sections = Vec::new();
    let mut of_text = |file: &SingleFile| single(name, file, facts, awaited);
    if let Some(file) = os_release {
        sections.push((Section::OsRelease, of_text(file)?));
    }
    let mut joined = String::new();
    if let Some(file) = command_line {
        let text = of_text(file)?;
        joined = one_line(&String::from_utf8_lossy(&text));
        check_command_line(name, &joined)?;
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
            sections.push((section, read(name, &file.value)?));
        }
    }
    if !initrd.is_empty() {
        let mut all = Vec::new();
        for file in initrd {
            all.resize(all.len().next_multiple_of(INITRD_ALIGNMENT), 0);
            all.extend(read(name, &file.value)?);
        }
        sections.push((Section::Initrd, all));
    }
    sections.push((Section::Linux, read(name, &kernel.value)?));
    Ok((sections, joined))
}

fn single(
    kernel: &str,
    file: &SingleFile,
    facts: &Facts,
    awaited: &mut Awaited,
) -> Result<Vec<u8>, KernelError> {
    match file {
        SingleFile::Host(path) => read(kernel, path),
        SingleFile::Text(bytes) => Ok(bytes.clone()),
        SingleFile::Template(path) => Ok(template::text(path, facts, awaited)?.into_bytes()),
    }
}

/// The lines of a command line, joined.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

fn check_command_line(kernel: &str, text: &str) -> Result<(), KernelError> {
    for word in ROOT_HASHES {
        let count = text
            .split_whitespace()
            .filter(|found| found.starts_with(word))
            .count();
        if count > 1 {
            let kernel = kernel.to_owned();
            return Err(KernelError::Twice {
                kernel,
                word,
                count,
            });
        }
    }
    Ok(())
}

fn read(kernel: &str, file: &Path) -> Result<Vec<u8>, KernelError> {
    let failed = |why: String| KernelError::Read {
        kernel: kernel.to_owned(),
        file: file.to_owned(),
        why,
    };
    let metadata = fs::metadata(file).map_err(|error| failed(error.to_string()))?;
    if !metadata.is_file() {
        return Err(failed("it is no regular file".to_owned()));
    }
    fs::read(file).map_err(|error| failed(error.to_string()))
}
