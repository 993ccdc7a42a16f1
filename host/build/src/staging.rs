//! What firmware starts: read, looked at, and told where it lies.

use std::path::PathBuf;

use crate::boot::esp::Applications;
use crate::boot::pe::{self, Architecture};
use crate::boot::{esp, grub};
use crate::named_file::read;
use crate::plan::{self, Draft, GrubPlan, PlanError, RawContent, RawPiece};
use crate::signing::{self, Signers};
use cellblock_contract::Kinds;
use cellblock_sign::root_hash_document;
use cellblock_spec::{Placed, SignSpec, Spec};
use cellblock_table::Lba;

/// The draft of a spec, after a look at the files that it names: the lengths of what is copied as it is, and what
/// `[boot]` puts on the EFI system partition over what goes there already.
pub(crate) fn draft<'s>(
    spec: &'s Spec,
    kinds: &Kinds,
    signers: &Signers,
) -> Result<Draft<'s>, PlanError> {
    let mut draft = Draft::new(spec, kinds, plan::raw_lengths(spec)?)?;
    if let Some(index) = plan::esp(spec, kinds)? {
        let look = Look { signers };
        draft.add_contents(index, esp::contents(&spec.boot, &look)?);
    }
    draft.measure_signatures(|asked, digits| {
        let certificate = signers.certificate(asked);
        let signature = vec![0; certificate.signature_bytes()];
        root_hash_document(&"0".repeat(digits), certificate, &signature).len()
    });
    Ok(draft)
}

/// A look into the EFI applications that a spec names.
struct Look<'a> {
    signers: &'a Signers,
}

impl Applications for Look<'_> {
    type Error = PlanError;

    fn architecture(&self, file: &Placed<PathBuf>) -> Result<Architecture, PlanError> {
        let head = read(file, pe::HEAD_BYTES)?;
        pe::architecture(&head).ok_or_else(|| {
            PlanError::unusable(
                file,
                "it is no EFI application (a PE image of subsystem 10, for a machine that UEFI has)",
            )
        })
    }

    fn signed(&self, file: &Placed<PathBuf>, sign: &SignSpec) -> Result<Vec<u8>, PlanError> {
        let bytes = read(file, MOST_APPLICATION_BYTES + 1)?;
        if bytes.len() > MOST_APPLICATION_BYTES {
            return Err(PlanError::unusable(
                file,
                "a boot loader is smaller than 256 MiB",
            ));
        }
        let name = file.value.file_name().unwrap_or_default().display();
        signing::application(self.signers, sign, name, &bytes, true).map_err(|fault| fault.of(file))
    }
}

/// The most bytes of a boot loader that is signed.
const MOST_APPLICATION_BYTES: usize = 256 << 20;

/// GRUB's images for a BIOS.
pub(crate) struct GrubImages {
    boot: Vec<u8>,
    core: Vec<u8>,
}

impl GrubImages {
    /// The images that a spec names, if it does.
    pub(crate) fn read(spec: &Spec) -> Result<Option<Self>, PlanError> {
        let Some(named) = &spec.boot.grub_bios else {
            return Ok(None);
        };
        let images = Self {
            boot: read(&named.boot_image, grub::SECTOR_BYTES + 1)?,
            core: read(&named.core_image, grub::MOST_CORE_BYTES + 1)?,
        };
        let unusable = |file| move |fault| PlanError::unusable(file, fault);
        grub::boot_code(&images.boot, Lba(0)).map_err(unusable(&named.boot_image))?;
        grub::core(&images.core, Lba(0)).map_err(unusable(&named.core_image))?;
        Ok(Some(images))
    }

    /// What is written where the plan says.
    pub(crate) fn pieces(&self, plan: GrubPlan) -> [RawPiece; 2] {
        let (Ok(code), Ok(core)) = (
            grub::boot_code(&self.boot, plan.core),
            grub::core(&self.core, plan.core),
        ) else {
            unreachable!("both were looked at when they were read");
        };
        let piece = |offset, bytes: Vec<u8>| RawPiece {
            offset,
            length: bytes.len() as u64,
            content: RawContent::Bytes(bytes),
        };
        let core_start = plan.core.0 * grub::SECTOR_BYTES as u64;
        [piece(0, code), piece(core_start, core)]
    }
}
