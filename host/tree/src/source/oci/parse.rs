//! Documents of a layout, held to what they are known by.

use serde::de::DeserializeOwned;

use super::digest::Digest;
use super::error::ImageError;
use super::layout::{Blob, Layout};

/// A document that is held to its digest and size, and the blob that it is in.
pub(super) fn parse_blob<T: DeserializeOwned>(
    layout: &Layout,
    digest: &Digest,
    size: Option<u64>,
) -> Result<(T, Blob), ImageError> {
    let blob = layout.open(&digest.path())?;
    hold_to_size(&blob, size)?;
    let bytes = blob.document()?;
    let found = Digest::of(digest.algorithm, &bytes);
    if found != *digest {
        return Err(wrong_digest(&blob, digest, &found));
    }
    let parsed = parse_bytes(&blob, &bytes)?;
    Ok((parsed, blob))
}

pub(super) fn parse<T: DeserializeOwned>(blob: &Blob) -> Result<T, ImageError> {
    parse_bytes(blob, &blob.document()?)
}

pub(super) fn parse_bytes<T: DeserializeOwned>(blob: &Blob, bytes: &[u8]) -> Result<T, ImageError> {
    serde_json::from_slice(bytes).map_err(|error| ImageError::Malformed {
        name: blob.name.clone(),
        reason: error.to_string(),
    })
}

pub(super) fn hold_to_size(blob: &Blob, size: Option<u64>) -> Result<(), ImageError> {
    match size {
        Some(wanted) if wanted != blob.length => Err(ImageError::WrongSize {
            name: blob.name.clone(),
            wanted,
            found: blob.length,
        }),
        _ => Ok(()),
    }
}

pub(super) fn wrong_digest(blob: &Blob, wanted: &Digest, found: &Digest) -> ImageError {
    ImageError::WrongDigest {
        name: blob.name.clone(),
        wanted: wanted.to_string(),
        found: found.to_string(),
    }
}
