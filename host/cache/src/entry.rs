//! The bytes of an entry, and of the list of its chunks: what a store holds of a partition.
//!
//! ```text
//!     entry:  0x2a length │ magic │ u32 length │ payload │ SHA-256 of it │ count │ (public key, signature) … │
//!     list:   (u64 offset, u32 length, SHA-256) …        in little endian, ascending
//! ```
//!
//! The first two fields make it an `ActionResult` of Bazel's Remote Execution API whose `stdout_raw` (field 5) is the rest:
//! servers that look into what is stored under `/ac/` take it. What is signed is the magic and the payload, which has the key, so that no entry
//! passes for another.
//!
//! All of it is read as hostile: lengths are compared with what is there before anything is allocated.

use cellblock_sign::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::Key;

/// What every entry begins with: another number where its form changes.
const MAGIC: &[u8] = b"cellblock cache 1\n";
/// The tag of the field `stdout_raw` of an `ActionResult`.
const STDOUT_RAW: u8 = 0x2a;
/// The most bytes of an entry.
pub(crate) const MOST_ENTRY: usize = 4 << 20;
/// The most bytes of a list.
pub const MOST_LIST: usize = 64 << 20;
/// The most signatures that are looked at.
const MOST_SIGNATURES: usize = 16;
/// The bytes of a list that tell of a chunk.
const LISTED: usize = 8 + 4 + 32;

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Payload {
    pub(crate) key: [u8; 32],
    /// The bytes of the partition.
    pub(crate) size: u64,
    /// The list of its chunks: its digest and its length in bytes, 0 if there are none.
    pub(crate) list: [u8; 32],
    pub(crate) list_length: u32,
    /// What whoever stored it wants to know of it.
    pub(crate) notes: Vec<u8>,
}

/// A range of a partition with data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chunk {
    /// Where it begins in the partition.
    pub offset: u64,
    /// Its bytes.
    pub length: u32,
    /// Their SHA-256 digest.
    pub digest: [u8; 32],
}

/// Whose entries are used.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trust<'a> {
    /// Whoever can write to the store.
    Store,
    /// Those that one of these keys has signed.
    Keys(&'a [VerifyingKey]),
}

/// Why an entry is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EntryFault {
    /// It is no entry, or a damaged one.
    #[error("it is damaged, or no entry")]
    Damaged,
    /// It is of another partition.
    #[error("it is the entry of another partition")]
    Other,
    /// No key that is trusted has signed it.
    #[error("no key of --cache-trust has signed it")]
    Unsigned,
}

pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl Payload {
    /// The bytes of an entry; none if it would be longer than one may be.
    pub(crate) fn encode(&self, signer: Option<&SigningKey>) -> Option<Vec<u8>> {
        let payload = postcard::to_allocvec(self).ok()?;
        let mut inner = MAGIC.to_vec();
        inner.extend(u32::try_from(payload.len()).ok()?.to_le_bytes());
        inner.extend(&payload);
        inner.extend(digest(&payload));
        inner.push(u8::from(signer.is_some()));
        if let Some(signer) = signer {
            inner.extend(signer.public().0);
            inner.extend(signer.sign(&message(&payload)));
        }
        let bytes = wrapped(&inner);
        (bytes.len() <= MOST_ENTRY).then_some(bytes)
    }

    /// What an entry says that was found under `key`.
    ///
    /// # Errors
    /// [`EntryFault`].
    pub(crate) fn decode(bytes: &[u8], key: &Key, trust: Trust<'_>) -> Result<Self, EntryFault> {
        let (payload, signatures) = parts(bytes).ok_or(EntryFault::Damaged)?;
        let (read, rest) =
            postcard::take_from_bytes::<Self>(payload).map_err(|_| EntryFault::Damaged)?;
        let is_listed = read.list_length as usize <= MOST_LIST
            && (read.list_length as usize).is_multiple_of(LISTED);
        if !rest.is_empty() || !is_listed {
            return Err(EntryFault::Damaged);
        }
        if read.key != key.0 {
            return Err(EntryFault::Other);
        }
        let message = message(payload);
        let is_trusted = match trust {
            Trust::Store => true,
            Trust::Keys(keys) => signatures.iter().any(|(by, signature)| {
                let mut known = keys.iter().filter(|known| known.0 == *by);
                known.any(|known| known.verifies(&message, signature))
            }),
        };
        is_trusted.then_some(read).ok_or(EntryFault::Unsigned)
    }
}

/// The bytes of an entry as a server keeps it that knows what an `ActionResult` is: its `stdout_raw`.
pub(crate) fn unwrapped(bytes: &[u8]) -> Option<&[u8]> {
    let (length, inner) = take_varint(bytes.strip_prefix(&[STDOUT_RAW])?)?;
    (length == inner.len()).then_some(inner)
}

/// The reverse.
pub(crate) fn wrapped(inner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![STDOUT_RAW];
    put_varint(&mut bytes, inner.len());
    bytes.extend(inner);
    bytes
}

type Signature = ([u8; 32], [u8; 64]);

/// The payload of an entry, whose digest is right, and its signatures.
fn parts(bytes: &[u8]) -> Option<(&[u8], Vec<Signature>)> {
    let rest = unwrapped(bytes)?.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (payload, rest) = rest.split_at_checked(length)?;
    let (sum, rest) = rest.split_first_chunk::<32>()?;
    let (count, mut rest) = rest.split_first()?;
    let count = usize::from(*count);
    if *sum != digest(payload) || count > MOST_SIGNATURES || rest.len() != count * (32 + 64) {
        return None;
    }
    let mut signatures = Vec::with_capacity(count);
    while let Some((by, after)) = rest.split_first_chunk::<32>() {
        let (signature, after) = after.split_first_chunk::<64>()?;
        signatures.push((*by, *signature));
        rest = after;
    }
    Some((payload, signatures))
}

fn message(payload: &[u8]) -> Vec<u8> {
    [MAGIC, payload].concat()
}

fn put_varint(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn take_varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0;
    for (index, byte) in bytes.iter().enumerate().take(4) {
        number |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[index + 1..]));
        }
    }
    None
}

/// The bytes of a list; none if it would be longer than one may be.
#[must_use]
pub fn encode_list(chunks: &[Chunk]) -> Option<Vec<u8>> {
    let length = chunks.len().checked_mul(LISTED)?;
    if length > MOST_LIST {
        return None;
    }
    let mut bytes = Vec::with_capacity(length);
    for chunk in chunks {
        bytes.extend(chunk.offset.to_le_bytes());
        bytes.extend(chunk.length.to_le_bytes());
        bytes.extend(chunk.digest);
    }
    Some(bytes)
}

/// The chunks of a list: ascending, apart from one another, and inside a partition of `size` bytes; none if it is no such list.
#[must_use]
pub fn decode_list(bytes: &[u8], size: u64, longest: u32) -> Option<Vec<Chunk>> {
    if !bytes.len().is_multiple_of(LISTED) {
        return None;
    }
    let mut end = 0;
    let mut chunks = Vec::with_capacity(bytes.len() / LISTED);
    for listed in bytes.chunks_exact(LISTED) {
        let (offset, rest) = listed.split_first_chunk::<8>()?;
        let (length, digest) = rest.split_first_chunk::<4>()?;
        let chunk = Chunk {
            offset: u64::from_le_bytes(*offset),
            length: u32::from_le_bytes(*length),
            digest: digest.try_into().ok()?,
        };
        if chunk.offset < end || chunk.length == 0 || chunk.length > longest {
            return None;
        }
        end = chunk.offset.checked_add(chunk.length.into())?;
        if end > size {
            return None;
        }
        chunks.push(chunk);
    }
    Some(chunks)
}

/// What the fuzzer runs: bytes that a store could answer with, as an entry and as a list.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let key = Key([7; 32]);
    if let Ok(payload) = Payload::decode(bytes, &key, Trust::Store) {
        assert_eq!(payload.key, key.0);
        assert!(payload.notes.len() <= bytes.len());
        let signed = Payload::decode(bytes, &key, Trust::Keys(&[]));
        assert_eq!(signed, Err(EntryFault::Unsigned), "nobody is trusted");
    }
    let size = 1 << 40;
    if let Some(chunks) = decode_list(bytes, size, 1 << 20) {
        assert_eq!(encode_list(&chunks).as_deref(), Some(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: &[u8] = b"-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";

    fn payload() -> Payload {
        Payload {
            key: [7; 32],
            size: 1 << 20,
            list: [2; 32],
            list_length: 44,
            notes: b"some notes".to_vec(),
        }
    }

    #[test]
    fn an_entry_that_is_changed_anywhere_is_not_used() {
        let signer = SigningKey::read(PRIVATE).expect("a key");
        let key = Key([7; 32]);
        let trusted = [signer.public()];
        let trust = Trust::Keys(&trusted);
        let bytes = payload().encode(Some(&signer)).expect("an entry");
        assert_eq!(Payload::decode(&bytes, &key, trust), Ok(payload()));
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut forged = bytes.clone();
                forged[at] ^= 1 << bit;
                assert!(Payload::decode(&forged, &key, trust).is_err(), "byte {at}");
            }
            assert!(Payload::decode(&bytes[..at], &key, Trust::Store).is_err());
        }
        let other = Key([8; 32]);
        assert_eq!(
            Payload::decode(&bytes, &other, trust),
            Err(EntryFault::Other)
        );
    }

    #[test]
    fn an_unsigned_entry_is_used_from_a_trusted_store_alone() {
        let signer = SigningKey::read(PRIVATE).expect("a key");
        let key = Key([7; 32]);
        let bytes = payload().encode(None).expect("an entry");
        assert_eq!(Payload::decode(&bytes, &key, Trust::Store), Ok(payload()));
        let trusted = [signer.public()];
        let found = Payload::decode(&bytes, &key, Trust::Keys(&trusted));
        assert_eq!(found, Err(EntryFault::Unsigned));
        // Signed, but by somebody else.
        let bytes = payload().encode(Some(&signer)).expect("an entry");
        let found = Payload::decode(&bytes, &key, Trust::Keys(&[VerifyingKey([1; 32])]));
        assert_eq!(found, Err(EntryFault::Unsigned));
    }

    #[test]
    fn lists_lie_inside_their_partition_and_ascend() {
        let chunk = |offset, length| Chunk {
            offset,
            length,
            digest: [3; 32],
        };
        let read = |chunks: &[Chunk]| {
            let bytes = encode_list(chunks).expect("a list");
            decode_list(&bytes, 100, 50)
        };
        let right = [chunk(0, 50), chunk(50, 1), chunk(60, 40)];
        assert_eq!(read(&right).as_deref(), Some(&right[..]));
        for wrong in [
            vec![chunk(0, 0)],
            vec![chunk(0, 51)],
            vec![chunk(51, 50)],
            vec![chunk(0, 10), chunk(9, 1)],
            vec![chunk(20, 10), chunk(0, 1)],
            vec![chunk(u64::MAX, 1)],
        ] {
            assert_eq!(read(&wrong), None, "{wrong:?}");
        }
        assert_eq!(decode_list(&[0; 43], 100, 50), None);
    }

    /// Field 5 with a length of two bytes, by hand from the encoding of protocol buffers.
    #[test]
    fn an_entry_is_a_protocol_buffer_with_one_field() {
        let bytes = payload().encode(None).expect("an entry");
        let inner = bytes.len() - 2;
        assert!(inner >= 0x80, "the length takes two bytes: {inner}");
        assert_eq!(bytes[0], 5 << 3 | 2);
        let length = usize::from(bytes[1] & 0x7f) | usize::from(bytes[2]) << 7;
        assert_eq!(length, bytes.len() - 3);
        assert_eq!(&bytes[3..3 + MAGIC.len()], MAGIC);
    }
}
