//! Ed25519 (RFC 8032): keys that sign what machines exchange, such as the entries of a cache.

use std::fmt;

use der::pem;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use thiserror::Error;

use crate::armour;

/// A public key as a SubjectPublicKeyInfo begins (RFC 8410): the 32 bytes of the key follow.
const PUBLIC_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// Why an Ed25519 key cannot be used. Nothing of the key is in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Ed25519Error {
    /// It is something else.
    #[error("it is no Ed25519 private key: take what `openssl genpkey -algorithm ed25519` writes")]
    NotPrivate,
    /// It is something else.
    #[error("it is no Ed25519 public key: take what `openssl pkey -pubout` writes")]
    NotPublic,
}

/// A private Ed25519 key.
pub struct SigningKey(Ed25519KeyPair);

impl fmt::Debug for SigningKey {
    /// Without the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKey")
    }
}

impl SigningKey {
    /// The key in the bytes of a file: PKCS #8, as PEM or DER.
    ///
    /// # Errors
    /// [`Ed25519Error::NotPrivate`].
    pub fn read(bytes: &[u8]) -> Result<Self, Ed25519Error> {
        let der = decoded(bytes, "PRIVATE KEY").ok_or(Ed25519Error::NotPrivate)?;
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
            .map(Self)
            .map_err(|_| Ed25519Error::NotPrivate)
    }

    /// The signature of a message. It is the same each time.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.0.sign(message);
        signature
            .as_ref()
            .try_into()
            .expect("an Ed25519 signature has 64 bytes")
    }

    /// The public key that belongs to it.
    #[must_use]
    pub fn public(&self) -> VerifyingKey {
        let public = self.0.public_key().as_ref();
        VerifyingKey(public.try_into().expect("an Ed25519 key has 32 bytes"))
    }
}

/// A public Ed25519 key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyingKey(pub [u8; 32]);

impl VerifyingKey {
    /// The key in the bytes of a file: SubjectPublicKeyInfo, as PEM or DER.
    ///
    /// # Errors
    /// [`Ed25519Error::NotPublic`].
    pub fn read(bytes: &[u8]) -> Result<Self, Ed25519Error> {
        let der = decoded(bytes, "PUBLIC KEY").ok_or(Ed25519Error::NotPublic)?;
        der.strip_prefix(&PUBLIC_PREFIX)
            .and_then(|key| key.try_into().ok())
            .map(Self)
            .ok_or(Ed25519Error::NotPublic)
    }

    /// Whether the signature of a message is by this key.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(message, signature)
            .is_ok()
    }
}

/// The DER in a file, which may be PEM with this label.
fn decoded(bytes: &[u8], label: &str) -> Option<Vec<u8>> {
    let blocks = armour::blocks(bytes);
    if blocks.is_empty() {
        return Some(bytes.to_vec());
    }
    let own = blocks
        .iter()
        .find(|block| block.label == label.as_bytes())?;
    Some(pem::decode_vec(own.text).ok()?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8410, 10.3 and 10.1: a private key and its public key.
    const PRIVATE: &[u8] = b"-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";
    const PUBLIC: &[u8] = b"-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
";

    #[test]
    fn the_keys_of_the_standard_belong_together_and_sign() {
        let key = SigningKey::read(PRIVATE).expect("a private key");
        let public = VerifyingKey::read(PUBLIC).expect("a public key");
        assert_eq!(key.public(), public);
        let mut signature = key.sign(b"a message");
        assert!(public.verifies(b"a message", &signature));
        assert!(!public.verifies(b"another", &signature));
        signature[0] ^= 1;
        assert!(!public.verifies(b"a message", &signature));
    }

    #[test]
    fn one_is_not_taken_for_the_other() {
        assert!(SigningKey::read(PUBLIC).is_err());
        assert!(VerifyingKey::read(PRIVATE).is_err());
        assert!(VerifyingKey::read(b"").is_err());
    }
}
