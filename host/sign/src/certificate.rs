//! A certificate, read.

use std::time::SystemTime;

use der::asn1::ObjectIdentifier;
use der::pem::PemLabel as _;
use der::{DateTime, DecodePem as _, Encode as _};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use x509_cert::Certificate as X509;
use x509_cert::der::Decode as _;

use crate::armour;

/// RSA keys (RFC 8017, appendix A.1).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// The bits that the modulus of a key may have here: what `ring` signs with.
const BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// Why a certificate cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// It is none.
    #[error("it is no X.509 certificate, neither PEM nor DER: {0}")]
    NotACertificate(String),
    /// It is of a key of another kind.
    #[error(
        "its key is no RSA key: no firmware has to take another for Secure Boot, and an ECDSA signature is usually another one each time"
    )]
    NotRsa,
    /// The key is too short or too long.
    #[error(
        "its RSA key has {bits} bits; take one of {} to {}",
        BITS.start(),
        BITS.end()
    )]
    Bits {
        /// The bits that it has.
        bits: usize,
    },
}

/// A certificate of an RSA key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub(crate) der: Vec<u8>,
    /// Who made it, DER.
    pub(crate) issuer: Vec<u8>,
    /// Its number, DER.
    pub(crate) serial: Vec<u8>,
    /// Its key, as PKCS #1 has it, DER.
    key: Vec<u8>,
    /// The bytes of a signature by its key.
    signature_bytes: usize,
    /// When it begins and ends to hold.
    valid: [DateTime; 2],
}

/// Whether a certificate holds at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It holds.
    Valid,
    /// It ended then, as `2026-01-31T12:00:00Z`.
    Expired(String),
    /// It begins only then.
    NotYet(String),
}

impl Certificate {
    /// The certificate in the bytes of a file: PEM, of which the first counts, or DER.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn read(bytes: &[u8]) -> Result<Self, CertificateError> {
        let none = |error: der::Error| CertificateError::NotACertificate(error.to_string());
        let blocks = armour::blocks(bytes);
        let label = X509::PEM_LABEL.as_bytes();
        let own = blocks.iter().find(|block| block.label == label);
        let read = match own.or(blocks.first()) {
            Some(block) => X509::from_pem(block.text),
            None => X509::from_der(bytes),
        };
        let read = read.map_err(none)?;
        let inner = read.tbs_certificate();
        let info = inner.subject_public_key_info();
        if info.algorithm.oid != RSA {
            return Err(CertificateError::NotRsa);
        }
        let key = info.subject_public_key.raw_bytes().to_vec();
        let bits = modulus_bits(&key).ok_or(CertificateError::NotRsa)?;
        if !BITS.contains(&bits) {
            return Err(CertificateError::Bits { bits });
        }
        let validity = inner.validity();
        Ok(Self {
            der: read.to_der().map_err(none)?,
            issuer: inner.issuer().to_der().map_err(none)?,
            serial: inner.serial_number().to_der().map_err(none)?,
            key,
            signature_bytes: bits.div_ceil(8),
            valid: [validity.not_before, validity.not_after].map(|time| time.to_date_time()),
        })
    }

    /// The SHA-256 digest of its DER, by which systemd and people name it.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    /// Its public key, as PKCS #1 has it, DER.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.key
    }

    /// The bytes of every signature by its key.
    #[must_use]
    pub fn signature_bytes(&self) -> usize {
        self.signature_bytes
    }

    /// Whether a signature is one of this message by its key: PKCS #1 v1.5, SHA-256.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.key)
            .verify(message, signature)
            .is_ok()
    }

    /// Whether it holds at a time. A time before 1970 counts as 1970.
    #[must_use]
    pub fn validity(&self, now: SystemTime) -> Validity {
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let [begin, end] = self.valid;
        if now > end.unix_duration() {
            Validity::Expired(end.to_string())
        } else if now < begin.unix_duration() {
            Validity::NotYet(begin.to_string())
        } else {
            Validity::Valid
        }
    }
}

/// The bits of the modulus of a key as PKCS #1 has it.
fn modulus_bits(key: &[u8]) -> Option<usize> {
    let parts = <Vec<der::asn1::Uint>>::from_der(key).ok()?;
    let modulus = parts.first()?.as_bytes();
    let first = modulus.first()?;
    Some(8 * modulus.len() - first.leading_zeros() as usize)
}
