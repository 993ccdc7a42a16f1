//! A private key, read and used.

use std::fmt;

use der::pem::{self, LineEnding, PemLabel};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use thiserror::Error;

use crate::Certificate;
use crate::armour;
use crate::pkcs7::public_key_info;

/// Why a private key cannot be used. Nothing of the key is in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// It is something else.
    #[error("it is no private key: PEM or DER, PKCS #8 or PKCS #1")]
    NotAKey,
    /// It takes a password.
    #[error(
        "the key is encrypted: give a file without a password, as `openssl pkey` writes one, or sign where the key is"
    )]
    Encrypted,
    /// It is a certificate or a public key.
    #[error("it is a {0}, and no private key")]
    Other(String),
    /// It is of another kind, or of a size that is not taken.
    #[error(
        "the key cannot be used: {0}; take an RSA key of 2048 to 4096 bits, whose signature is the same each time"
    )]
    Rejected(String),
    /// It belongs to another certificate.
    #[error("the key does not fit the certificate: their public keys are not the same")]
    Unfit,
    /// The system gives no random bytes, which hide the key from those who measure time. They are not in the signature.
    #[error("the system has no random bytes, without which no key is used")]
    NoRandom,
}

/// A private RSA key.
pub struct PrivateKey(KeyPair);

impl fmt::Debug for PrivateKey {
    /// Without the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PrivateKey")
    }
}

impl PrivateKey {
    /// The key in the bytes of a file, which has to be that of the certificate.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn of(bytes: &[u8], certificate: &Certificate) -> Result<Self, KeyError> {
        let key = Self::read(bytes)?;
        if key.public() == certificate.public_key() {
            Ok(key)
        } else {
            Err(KeyError::Unfit)
        }
    }

    /// The key in the bytes of a file.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read(bytes: &[u8]) -> Result<Self, KeyError> {
        let blocks = armour::blocks(bytes);
        let is_key = |block: &&armour::Block<'_>| block.label.ends_with(b"PRIVATE KEY");
        let key = match blocks.iter().find(is_key).or(blocks.first()) {
            Some(block) => of_pem(block.text)?,
            None => KeyPair::from_pkcs8(bytes)
                .or_else(|_| KeyPair::from_der(bytes))
                .map_err(|_| KeyError::NotAKey)?,
        };
        Ok(Self(key))
    }

    /// Its public half, as PKCS #1 has it, DER.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        self.0.public().as_ref()
    }

    /// Its public half as PEM, as `openssl pkey -pubout` prints it.
    ///
    /// # Panics
    /// If it cannot be written, which is a fault of this function.
    #[must_use]
    pub fn public_pem(&self) -> String {
        let info = public_key_info(self.public());
        pem::encode_string("PUBLIC KEY", LineEnding::LF, &info).expect("a key is written in lines")
    }

    /// The signature of a message: PKCS #1 v1.5, SHA-256. It is the same each time.
    ///
    /// # Errors
    /// [`KeyError::NoRandom`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .map_err(|_| KeyError::NoRandom)?;
        Ok(signature)
    }
}

fn of_pem(text: &[u8]) -> Result<KeyPair, KeyError> {
    let label = pem::decode_label(text).map_err(|_| KeyError::NotAKey)?;
    let rejected = |error: ring::error::KeyRejected| KeyError::Rejected(error.to_string());
    let is_encrypted = text
        .windows(9)
        .any(|window| window.eq_ignore_ascii_case(b"ENCRYPTED"));
    let (_, key) = match label {
        _ if is_encrypted => return Err(KeyError::Encrypted),
        "PRIVATE KEY" | "RSA PRIVATE KEY" => {
            pem::decode_vec(text).map_err(|_| KeyError::NotAKey)?
        }
        "EC PRIVATE KEY" => return Err(KeyError::Rejected("it is no RSA key".to_owned())),
        x509_cert::Certificate::PEM_LABEL | "PUBLIC KEY" | "RSA PUBLIC KEY" => {
            return Err(KeyError::Other(label.to_lowercase()));
        }
        _ => return Err(KeyError::NotAKey),
    };
    if label == "PRIVATE KEY" {
        KeyPair::from_pkcs8(&key).map_err(rejected)
    } else {
        KeyPair::from_der(&key).map_err(rejected)
    }
}
