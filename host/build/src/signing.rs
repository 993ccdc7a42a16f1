//! Who signs what: keys and certificates are read and looked at before anything is made. The clock is read to warn of a certificate
//! that does not hold, never to decide a byte.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use cellblock_sign::{
    Certificate, KeyError, MOST_BYTES, PrivateKey, Validity, authenticode, authenticode_message,
};
use cellblock_spec::{Placed, SignSpec, SignedBy, Spec, UnifiedKernel};
use cellblock_text::{grouped, hexadecimal};
use sha2::{Digest as _, Sha256};

use crate::boot::authenticode::{Application, SignFault};
use crate::named_file;
use crate::plan::PlanError;
use crate::said::Said;

/// Something that has to be signed where the key is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ToSign {
    /// What it is for: a path on the EFI system partition, or `the root hash of 'root'`.
    pub what: String,
    /// The bytes that are to be signed, with RSA as PKCS #1 v1.5 has it, over their SHA-256 digest.
    pub message: Vec<u8>,
    /// The file that the signature is to be put into.
    pub signature: PathBuf,
    /// The SHA-256 digest of the certificate of the key.
    pub fingerprint: [u8; 32],
}

impl ToSign {
    /// The SHA-256 digest of the message, which is what a key management service asks for.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.message).into()
    }
}

/// What is done about signatures that are made elsewhere.
#[derive(Debug)]
enum Elsewhere {
    /// They are read.
    Read,
    /// They are not there yet: what they are to be of is noted.
    Noted(Mutex<BTreeSet<ToSign>>),
}

/// All who sign for a spec.
#[derive(Debug)]
pub(crate) struct Signers {
    signers: Vec<Signer>,
    /// Those whose keys sign measurements, by the file.
    measurers: Vec<(PathBuf, PrivateKey)>,
    elsewhere: Elsewhere,
}

/// One who signs.
#[derive(Debug)]
struct Signer {
    asked: SignSpec,
    certificate: Certificate,
    key: Option<PrivateKey>,
}

impl Signers {
    /// Nobody.
    pub(crate) fn nobody() -> Self {
        Self {
            signers: Vec::new(),
            measurers: Vec::new(),
            elsewhere: Elsewhere::Read,
        }
    }

    /// Those of a spec.
    pub(crate) fn read(spec: &Spec) -> Result<Self, PlanError> {
        let signers = asked_of(spec).map(|(asked, _)| Signer::read(asked));
        let assembled = spec.boot.unified_kernels.iter().filter_map(|kernel| {
            let UnifiedKernel::Assembled(parts) = kernel else {
                return None;
            };
            parts.pcr_key.as_ref()
        });
        let measurers = assembled.map(|file| {
            let key = PrivateKey::read(&read(file)?);
            let key = key.map_err(|error| PlanError::unusable(file, error))?;
            Ok((file.value.clone(), key))
        });
        Ok(Self {
            signers: signers.collect::<Result<_, _>>()?,
            measurers: measurers.collect::<Result<_, PlanError>>()?,
            elsewhere: Elsewhere::Read,
        })
    }

    /// The same, who note what is to be signed elsewhere instead of reading it.
    pub(crate) fn noting(self) -> Self {
        Self {
            elsewhere: Elsewhere::Noted(Mutex::default()),
            ..self
        }
    }

    /// What is to be signed elsewhere, as far as it has been asked for.
    pub(crate) fn noted(self) -> Vec<ToSign> {
        match self.elsewhere {
            Elsewhere::Read => Vec::new(),
            Elsewhere::Noted(noted) => {
                let noted = noted.into_inner().unwrap_or_else(PoisonError::into_inner);
                noted.into_iter().collect()
            }
        }
    }

    fn get(&self, asked: &SignSpec) -> &Signer {
        let found = self.signers.iter().find(|signer| signer.asked == *asked);
        found.expect("all who sign for a spec have been read")
    }

    /// The key that signs measurements.
    pub(crate) fn measurer(&self, file: &Placed<PathBuf>) -> &PrivateKey {
        let mut measurers = self.measurers.iter();
        let found = measurers.find(|(read, _)| *read == file.value);
        &found.expect("all keys of a spec have been read").1
    }

    /// The certificate of one who signs.
    pub(crate) fn certificate(&self, asked: &SignSpec) -> &Certificate {
        &self.get(asked).certificate
    }

    /// The signature of a message. `is_final` says whether the message stays as it is: otherwise the signature is zeros, as many as it
    /// will have bytes.
    pub(crate) fn sign(
        &self,
        asked: &SignSpec,
        what: impl fmt::Display,
        message: &[u8],
        is_final: bool,
    ) -> Result<Vec<u8>, PlanError> {
        let signer = self.get(asked);
        let zeros = || vec![0; signer.certificate.signature_bytes()];
        match (&asked.by, &signer.key, &self.elsewhere) {
            _ if !is_final => Ok(zeros()),
            (SignedBy::Key(file), Some(key), _) => {
                let failed = |error: KeyError| PlanError::unusable(file, error);
                key.sign(message).map_err(failed)
            }
            (SignedBy::Signature(file), _, Elsewhere::Noted(noted)) => {
                if let Ok(there) = read_signature(file, &signer.certificate, &what, message) {
                    return Ok(there);
                }
                let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                noted.insert(ToSign {
                    what: what.to_string(),
                    message: message.to_vec(),
                    signature: file.value.clone(),
                    fingerprint: signer.certificate.fingerprint(),
                });
                Ok(zeros())
            }
            (SignedBy::Signature(file), _, Elsewhere::Read) => {
                read_signature(file, &signer.certificate, &what, message)
            }
            (SignedBy::Key(_), None, _) => unreachable!("a key that is asked for has been read"),
        }
    }

    /// What the user should know of the certificates: of each file once, with where its signature goes.
    pub(crate) fn warnings(&self, spec: &Spec, now: SystemTime) -> Vec<(String, Said)> {
        let mut seen: BTreeSet<&Path> = BTreeSet::new();
        let mut warnings = Vec::new();
        for (asked, what) in asked_of(spec) {
            let file = &asked.certificate.value;
            if !seen.insert(file) {
                continue;
            }
            let file = file.display();
            let text = match self.certificate(asked).validity(now) {
                Validity::Valid => continue,
                Validity::Expired(end) => format!(
                    "the certificate {file} has expired, at {end}: what checks the time refuses its signatures",
                ),
                Validity::NotYet(begin) => format!(
                    "the certificate {file} does not hold before {begin}: what checks the time refuses its signatures",
                ),
            };
            warnings.push((what, Said::Warning(text)));
        }
        warnings
    }
}

impl Signer {
    fn read(asked: &SignSpec) -> Result<Self, PlanError> {
        let file = &asked.certificate;
        let certificate =
            Certificate::read(&read(file)?).map_err(|error| PlanError::unusable(file, error))?;
        let key = match &asked.by {
            SignedBy::Key(file) => {
                let unusable = |error: KeyError| match error {
                    KeyError::Unfit => {
                        let certificate = asked.certificate.value.display();
                        PlanError::unusable(file, format_args!("{error} ({certificate})"))
                    }
                    error => PlanError::unusable(file, error),
                };
                Some(PrivateKey::of(&read(file)?, &certificate).map_err(unusable)?)
            }
            SignedBy::Signature(_) => None,
        };
        Ok(Self {
            asked: asked.clone(),
            certificate,
            key,
        })
    }
}

/// All that a spec wants signed, with what a warning calls it.
fn asked_of(spec: &Spec) -> impl Iterator<Item = (&SignSpec, String)> {
    let partitions = spec.partitions.iter().enumerate();
    let signatures = partitions.filter_map(|(index, partition)| {
        let signature = partition.verity_signature.as_ref()?;
        let name = partition.name.as_ref().map(|name| name.value.clone());
        let name = name.unwrap_or_else(|| format!("partition {}", index + 1));
        Some((&signature.sign, name))
    });
    let boot = &spec.boot;
    let grub = boot.grub_efi.iter().filter_map(|it| it.sign.as_ref());
    let systemd = boot.systemd_boot.iter().filter_map(|it| it.sign.as_ref());
    let assembled = boot
        .unified_kernels
        .iter()
        .filter_map(|kernel| match kernel {
            UnifiedKernel::Whole(_) => None,
            UnifiedKernel::Assembled(parts) => Some(parts),
        });
    let kernels = assembled.flat_map(|parts| {
        let addons = parts.addons.iter();
        let addons = addons.map(|addon| (&addon.sign, &addon.name.value));
        let all = addons.chain([(&parts.sign, &parts.name.value)]);
        all.filter_map(|(sign, name)| Some((sign.as_ref()?, name.clone())))
    });
    signatures
        .chain(grub.map(|it| (it, "grub-efi".to_owned())))
        .chain(systemd.map(|it| (it, "systemd-boot".to_owned())))
        .chain(kernels)
}

/// Why an EFI application cannot be signed.
#[derive(Debug)]
pub(crate) enum ApplicationFault {
    /// It is none that can be.
    Image(SignFault),
    /// Who signs cannot.
    Signer(PlanError),
}

impl ApplicationFault {
    /// The error of an application that comes from this file of the spec.
    pub(crate) fn of(self, file: &Placed<PathBuf>) -> PlanError {
        match self {
            Self::Image(fault) => PlanError::unusable(file, fault),
            Self::Signer(error) => error,
        }
    }
}

/// An EFI application with a signature more. `is_final` is as [`Signers::sign`] has it.
pub(crate) fn application(
    signers: &Signers,
    asked: &SignSpec,
    what: impl fmt::Display,
    bytes: &[u8],
    is_final: bool,
) -> Result<Vec<u8>, ApplicationFault> {
    let application = Application::of(bytes).map_err(ApplicationFault::Image)?;
    let digest = *application.digest();
    let message = authenticode_message(&digest);
    let signature = signers
        .sign(asked, what, &message, is_final)
        .map_err(ApplicationFault::Signer)?;
    let signature = authenticode(&digest, signers.certificate(asked), &signature);
    application
        .signed(&signature)
        .map_err(ApplicationFault::Image)
}

fn read_signature(
    file: &Placed<PathBuf>,
    certificate: &Certificate,
    what: &impl fmt::Display,
    message: &[u8],
) -> Result<Vec<u8>, PlanError> {
    let signature = read(file)?;
    let expected = certificate.signature_bytes();
    if signature.len() != expected {
        return Err(PlanError::unusable(
            file,
            format_args!(
                "a signature by the key of the certificate has {expected} bytes, and this has {}",
                signature.len()
            ),
        ));
    }
    if !certificate.verifies(message, &signature) {
        let digest = hexadecimal(&Sha256::digest(message));
        return Err(PlanError::unusable(
            file,
            format_args!(
                "it is no signature of {what} by the key of the certificate: sign the SHA-256 digest {digest}, as `cellblock derive` prints it"
            ),
        ));
    }
    Ok(signature)
}

/// The bytes of a small regular file.
fn read(file: &Placed<PathBuf>) -> Result<Vec<u8>, PlanError> {
    let bytes = named_file::read(file, MOST_BYTES + 1)?;
    if bytes.len() > MOST_BYTES {
        let most = grouped(MOST_BYTES as u64);
        return Err(PlanError::unusable(
            file,
            format_args!("it is larger than {most} bytes, which no key and no certificate is"),
        ));
    }
    Ok(bytes)
}
