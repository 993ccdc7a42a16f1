//! Digests of blobs (OCI Image Format Specification, "Descriptors", "Digests").

use std::fmt;

use cellblock_hash::Sha256Stream;
use cellblock_text::hexadecimal;
use sha2::{Digest as _, Sha512};

use super::error::ImageError;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Hexadecimal digits of a digest.
    fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// `ALGORITHM:DIGITS`, lowercase.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Digest {
    pub(super) algorithm: Algorithm,
    digits: String,
}

impl Digest {
    /// Reads a digest as a document or the user writes it.
    pub(super) fn parse(text: &str) -> Result<Self, ImageError> {
        let refuse = |reason| ImageError::Digest {
            digest: text.chars().take(160).collect(),
            reason,
        };
        let (name, digits) = text.split_once(':').ok_or_else(|| {
            refuse("is no digest: one is an algorithm, a colon and hexadecimal digits")
        })?;
        let algorithm = [Algorithm::Sha256, Algorithm::Sha512]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| refuse("is of an algorithm that is not known; sha256 and sha512 are"))?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if digits.len() != algorithm.digits() || !digits.bytes().all(is_digit) {
            return Err(refuse(
                "does not have as many lowercase hexadecimal digits as its algorithm has",
            ));
        }
        Ok(Self {
            algorithm,
            digits: digits.to_owned(),
        })
    }

    /// Where the blob is in a layout.
    pub(super) fn path(&self) -> String {
        format!("blobs/{}/{}", self.algorithm.name(), self.digits)
    }

    /// That of `bytes`, by an algorithm.
    pub(super) fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.algorithm.name(), self.digits)
    }
}

/// A digest of bytes that come one after the other.
#[derive(Clone)]
pub(super) enum Hasher {
    Sha256(Box<Sha256Stream>),
    Sha512(Box<Sha512>),
}

impl Hasher {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Box::default()),
            Algorithm::Sha512 => Self::Sha512(Box::default()),
        }
    }

    /// Takes in the next bytes of two messages, side by side if both are hashed by SHA-256.
    pub(super) fn update_both(hashers: [&mut Self; 2], pieces: [&[u8]; 2]) {
        match hashers {
            [Self::Sha256(one), Self::Sha256(other)] => {
                Sha256Stream::update_both([one, other], pieces);
            }
            [one, other] => {
                one.update(pieces[0]);
                other.update(pieces[1]);
            }
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    pub(super) fn finish(self) -> Digest {
        match self {
            Self::Sha256(hasher) => Digest {
                algorithm: Algorithm::Sha256,
                digits: hexadecimal(&hasher.finish()),
            },
            Self::Sha512(hasher) => Digest {
                algorithm: Algorithm::Sha512,
                digits: hexadecimal(&hasher.finalize()),
            },
        }
    }
}
