//! SHA-2 of many messages of one length after a common prefix, which the trees of dm-verity and fs-verity are made of, and of messages that come in
//! pieces or are of any lengths.
//!
//! ```text
//!     prefix ──> state ─┬─> message 0 ─> digest 0     two at a time, where
//!      once             └─> message 1 ─> digest 1     the processor gains by it
//! ```
//!
//! A round of SHA-256 waits for the round before, and SHA instructions take longer than it takes until the next one may start. Messages
//! know nothing of one another, so rounds of another one fill the gaps: 1.8 times as many bytes in the same time as one after another.
//!
//! The instructions of x86-64 are used that way by code of our own (`x86_64.rs`); all else is the crate `sha2`, which has the best code for one
//! message on other processors too. The digests are the same everywhere. It opens nothing, starts nothing, and depends on nothing of ours.

#![deny(unsafe_code)]

mod each;
mod sha256;
mod stream;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use each::sha256_of_each;
pub use stream::Sha256Stream;

use sha2::{Digest as _, Sha512};

/// A hash function that has taken a prefix, and hashes messages behind it.
#[derive(Clone)]
pub struct Prefixed(Function);

#[derive(Clone)]
enum Function {
    Sha256(sha256::Prefixed),
    Sha512(Sha512),
}

impl Prefixed {
    /// SHA-256 (FIPS 180-4) behind `prefix`, which may be empty.
    #[must_use]
    pub fn sha256(prefix: &[u8]) -> Self {
        Self(Function::Sha256(sha256::Prefixed::new(prefix)))
    }

    /// SHA-512 (FIPS 180-4) behind `prefix`, which may be empty.
    #[must_use]
    pub fn sha512(prefix: &[u8]) -> Self {
        Self(Function::Sha512(Sha512::new_with_prefix(prefix)))
    }

    /// The bytes of a digest.
    #[must_use]
    pub fn digest_bytes(&self) -> usize {
        match self.0 {
            Function::Sha256(_) => size_of::<sha256::Digest>(),
            Function::Sha512(_) => Sha512::output_size(),
        }
    }

    /// The digest of one message.
    #[must_use]
    pub fn digest(&self, message: &[u8]) -> Vec<u8> {
        match &self.0 {
            Function::Sha256(prefixed) => prefixed.digest(message).to_vec(),
            Function::Sha512(prefixed) => {
                prefixed.clone().chain_update(message).finalize().to_vec()
            }
        }
    }

    /// Hands the digest of each message of `size` bytes in `messages` to `put`, in their order.
    ///
    /// # Panics
    /// If `messages` are not whole messages of at least one byte: the caller's mistake.
    pub fn digests(&self, messages: &[u8], size: usize, mut put: impl FnMut(&[u8])) {
        assert!(messages.len().is_multiple_of(size), "whole messages");
        match &self.0 {
            Function::Sha256(prefixed) => prefixed.digests(messages, size, put),
            Function::Sha512(prefixed) => {
                for message in messages.chunks_exact(size) {
                    put(&prefixed.clone().chain_update(message).finalize());
                }
            }
        }
    }
}
