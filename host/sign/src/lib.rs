//! Signatures: with a private key and its certificate, or with a signature that somebody else made with that key. Pure functions
//! on bytes.
//!
//! ```text
//!     what is to be signed ──> RSA, PKCS #1 v1.5, SHA-256 ──> signature ──┐
//!                              (here, or where the key is)                ├──> PKCS #7, DER
//!     certificate ────────────────────────────────────────────────────────┘
//! ```
//!
//! | Signed | Function | Who reads it |
//! |---|---|---|
//! | a root hash, in hexadecimal | [`detached`], [`root_hash_document`] | the kernel (dm-verity), systemd (Discoverable Partitions Specification) |
//! | the digest of an EFI application | [`authenticode_message`], [`authenticode`] | firmware with Secure Boot |
//!
//! Those keys are RSA: firmware takes nothing else. With PKCS #1 v1.5 the signature follows from the key and the message alone, so that two builds have
//! the same bytes. No time of signing is stored.
//!
//! The entries of a cache are signed by [Ed25519](SigningKey) instead, with bare keys and no certificates.

#![forbid(unsafe_code)]

mod armour;
mod certificate;
mod ed25519;
mod key;
mod pkcs7;
mod write;

pub use certificate::{Certificate, CertificateError, Validity};
pub use ed25519::{Ed25519Error, SigningKey, VerifyingKey};
pub use key::{KeyError, PrivateKey};
pub use pkcs7::{authenticode, authenticode_message, detached, root_hash_document};

/// The most bytes that a file with a key or a certificate can have.
pub const MOST_BYTES: usize = 1 << 20;
