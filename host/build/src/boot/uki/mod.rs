//! Unified kernel images: a stub, and behind it a kernel and all that it needs, as sections of one EFI application
//! (UAPI.5, "Unified Kernel Image").
//!
//! ```text
//!     | headers | the stub's own sections | .osrel | .cmdline | … | .initrd | .linux |
//! ```
//!
//! Nothing of the image depends on a clock: the stub's own time stamp stays, and nothing else has one.

use sha2::{Digest as _, Sha256};

mod image;
mod policy;

use image::Image;
pub use image::ImageFault;
pub use policy::{document, policy};

/// What a section of a unified kernel image holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// The kernel.
    Linux,
    /// `os-release`.
    OsRelease,
    /// The command line.
    CommandLine,
    /// The initial RAM disk.
    Initrd,
    /// Microcode, before the initial RAM disk.
    Microcode,
    /// A picture.
    Splash,
    /// A device tree.
    DeviceTree,
    /// The version of the kernel, as `uname -r` tells it.
    Uname,
    /// Generations for revocation.
    Sbat,
    /// The public key of who signs the values of register 11.
    PcrKey,
    /// Begins a profile: what the sections up to the next one are for.
    Profile,
    /// The signatures of these values, which are not measured: they follow from what is.
    PcrSignatures,
}

/// The sections in the order in which the stub measures them (systemd's `UnifiedSection`).
const MEASURED: [Section; 11] = [
    Section::Linux,
    Section::OsRelease,
    Section::CommandLine,
    Section::Initrd,
    Section::Microcode,
    Section::Splash,
    Section::DeviceTree,
    Section::Uname,
    Section::Sbat,
    Section::PcrKey,
    Section::Profile,
];

/// What the boot phases are called, in their order: each extends the register once more (systemd-pcrphase.service(8)).
const PHASES: [&str; 4] = ["enter-initrd", "leave-initrd", "sysinit", "ready"];

impl Section {
    /// The name in the image.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Linux => ".linux",
            Self::OsRelease => ".osrel",
            Self::CommandLine => ".cmdline",
            Self::Initrd => ".initrd",
            Self::Microcode => ".ucode",
            Self::Splash => ".splash",
            Self::DeviceTree => ".dtb",
            Self::Uname => ".uname",
            Self::Sbat => ".sbat",
            Self::PcrKey => ".pcrpkey",
            Self::Profile => ".profile",
            Self::PcrSignatures => ".pcrsig",
        }
    }
}

/// The image of a stub and sections, which are put behind it in their order. The kernel belongs last: it unpacks itself over what
/// follows.
///
/// # Errors
/// [`ImageFault`] if the stub is no EFI application, has a section already, or the image would be too large.
pub fn assembled(stub: &[u8], sections: &[(Section, Vec<u8>)]) -> Result<Vec<u8>, ImageFault> {
    let mut image = Image::of(stub)?;
    image.make_room(sections.len())?;
    for (section, content) in sections {
        image.add(section.name(), content)?;
    }
    image.finished()
}

/// The sections that a profile boots with: its own, and those of the kernel that it has none for.
pub fn of_profile<'a>(
    base: &'a [(Section, Vec<u8>)],
    profile: &'a [(Section, Vec<u8>)],
) -> impl Iterator<Item = &'a (Section, Vec<u8>)> + Clone {
    let is_own = |kind: Section| profile.iter().any(|(section, _)| *section == kind);
    let of_base = base.iter().filter(move |(section, _)| !is_own(*section));
    of_base.chain(profile)
}

/// What the stub extends register 11 of a TPM to, in the bank of SHA-256, by the phase of the boot: the empty phase is that of the
/// stub itself.
#[must_use]
pub fn pcr_11<'a>(
    sections: impl Iterator<Item = &'a (Section, Vec<u8>)> + Clone,
) -> Vec<(String, [u8; 32])> {
    let mut register = [0; 32];
    let mut extend = |measured: &[u8]| {
        let mut hash = Sha256::new();
        hash.update(register);
        hash.update(Sha256::digest(measured));
        register = hash.finalize().into();
        register
    };
    let mut value = [0; 32];
    for kind in MEASURED {
        for (_, content) in sections.clone().filter(|(section, _)| *section == kind) {
            extend(format!("{}\0", kind.name()).as_bytes());
            value = extend(content);
        }
    }
    let mut values = vec![(String::new(), value)];
    let mut path = String::new();
    for phase in PHASES {
        if !path.is_empty() {
            path.push(':');
        }
        path.push_str(phase);
        values.push((path.clone(), extend(phase.as_bytes())));
    }
    values
}
