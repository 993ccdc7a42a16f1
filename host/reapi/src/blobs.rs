//! Content by its digest (ContentAddressableStorage): small blobs together, and large ones as streams.

use std::collections::{BTreeMap, BTreeSet};

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use sha2::{Digest as _, Sha256};
use tonic::Code;

use super::{BlobName, Client, Offered, ReapiError, ZSTD, digest, named, zstandard};

/// The names in one question for what is missing: some 0.7 MiB.
const NAMES: usize = 10_000;

impl BlobName {
    /// The name of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            digest: Sha256::digest(bytes).into(),
            size: bytes.len() as u64,
        }
    }
}

/// Ranges of `sizes`, each of at most `most` together, or of one alone.
fn batches(sizes: &[u64], most: usize) -> Vec<std::ops::Range<usize>> {
    let most = most as u64;
    let mut ranges = Vec::new();
    let (mut from, mut sum) = (0, 0_u64);
    for (at, size) in sizes.iter().enumerate() {
        if at > from && sum.saturating_add(*size) > most {
            ranges.push(from..at);
            (from, sum) = (at, 0);
        }
        sum = sum.saturating_add(*size);
    }
    if from < sizes.len() {
        ranges.push(from..sizes.len());
    }
    ranges
}

impl Client {
    /// Those of `blobs` that the server does not have.
    ///
    /// # Errors
    /// [`ReapiError`].
    pub fn missing(&self, blobs: &[BlobName]) -> Result<Vec<BlobName>, ReapiError> {
        let mut missing = Vec::new();
        for names in blobs.chunks(NAMES) {
            let request = api::FindMissingBlobsRequest {
                instance_name: self.instance(),
                blob_digests: names.iter().map(digest).collect(),
                ..Default::default()
            };
            let answer = self.wait(
                names.len() as u64 * 80,
                self.storage().find_missing_blobs(request),
            )?;
            let asked: BTreeSet<&BlobName> = names.iter().collect();
            for told in &answer.missing_blob_digests {
                let told = named(told).filter(|name| asked.contains(name));
                missing.push(told.ok_or_else(|| {
                    ReapiError::Nonsense("it misses what it was not asked for".to_owned())
                })?);
            }
        }
        Ok(missing)
    }

    /// Puts blobs there: small ones together, large ones as streams.
    ///
    /// # Errors
    /// [`ReapiError`].
    pub fn upload(&self, blobs: &[(BlobName, &[u8])]) -> Result<(), ReapiError> {
        let offered = self.offered()?;
        let sizes: Vec<u64> = blobs.iter().map(|(name, _)| name.size).collect();
        for range in batches(&sizes, offered.batch) {
            match &blobs[range] {
                [(name, bytes)] if bytes.len() > offered.batch => {
                    let is_compressed = offered.zstandard && self.up.is_compressed();
                    self.write(name, bytes, is_compressed && zstandard::shrinks(bytes))?;
                }
                batch => {
                    let is_compressed = offered.zstandard_together && self.up.is_compressed();
                    let bytes = batch.iter().map(|(name, _)| name.size).sum();
                    self.up
                        .moved(bytes, is_compressed, || self.update(batch, is_compressed))?;
                }
            }
        }
        Ok(())
    }

    fn update(&self, blobs: &[(BlobName, &[u8])], is_compressed: bool) -> Result<(), ReapiError> {
        let request = |(name, bytes): &(BlobName, &[u8])| {
            let smaller = match is_compressed && zstandard::shrinks(bytes) {
                true => zstandard::compressed(bytes),
                false => None,
            };
            api::batch_update_blobs_request::Request {
                digest: Some(digest(name)),
                compressor: smaller.as_ref().map_or(0, |_| ZSTD),
                data: smaller.unwrap_or_else(|| bytes.to_vec()),
            }
        };
        let request = api::BatchUpdateBlobsRequest {
            instance_name: self.instance(),
            requests: blobs.iter().map(request).collect(),
            ..Default::default()
        };
        let bytes = blobs.iter().map(|(name, _)| name.size).sum();
        let answer = self.wait(bytes, self.storage().batch_update_blobs(request))?;
        if answer.responses.len() != blobs.len() {
            let text = format!(
                "it answers for {} of {} blobs",
                answer.responses.len(),
                blobs.len()
            );
            return Err(ReapiError::Nonsense(text));
        }
        answer
            .responses
            .iter()
            .try_for_each(|response| done(response.status.as_ref()))
    }

    /// The bytes of blobs, each of which has its digest: small ones together, large ones as streams.
    ///
    /// # Errors
    /// [`ReapiError::Missing`] if one of them is not there, and others.
    pub fn download(&self, blobs: &[BlobName]) -> Result<Vec<Vec<u8>>, ReapiError> {
        let offered = self.offered()?;
        let sizes: Vec<u64> = blobs.iter().map(|name| name.size).collect();
        let mut all = Vec::with_capacity(blobs.len());
        for range in batches(&sizes, offered.batch) {
            all.extend(self.fetched(&blobs[range], offered)?);
        }
        for (name, bytes) in blobs.iter().zip(&all) {
            if BlobName::of(bytes) != *name {
                let text = "it gives other bytes than have the digest that was asked for";
                return Err(ReapiError::Nonsense(text.to_owned()));
            }
        }
        Ok(all)
    }

    fn fetched(&self, blobs: &[BlobName], offered: Offered) -> Result<Vec<Vec<u8>>, ReapiError> {
        let bytes = blobs.iter().map(|name| name.size).sum();
        let is_compressed = offered.zstandard && self.down.is_compressed();
        self.down.moved(bytes, is_compressed, || match blobs {
            [name] if name.size > offered.batch as u64 => Ok(vec![self.read(name, is_compressed)?]),
            batch => self.read_batch(batch, is_compressed),
        })
    }

    fn read_batch(
        &self,
        blobs: &[BlobName],
        is_compressed: bool,
    ) -> Result<Vec<Vec<u8>>, ReapiError> {
        let request = api::BatchReadBlobsRequest {
            instance_name: self.instance(),
            digests: blobs.iter().map(digest).collect(),
            acceptable_compressors: if is_compressed {
                vec![ZSTD]
            } else {
                Vec::new()
            },
            ..Default::default()
        };
        let bytes = blobs.iter().map(|name| name.size).sum();
        let answer = self.wait(bytes, self.storage().batch_read_blobs(request))?;
        let asked: BTreeSet<&BlobName> = blobs.iter().collect();
        let mut found = BTreeMap::new();
        for response in answer.responses {
            done(response.status.as_ref())?;
            let name = response.digest.as_ref().and_then(named);
            // Each once: a small one may decompress to many bytes.
            let name = name.filter(|name| asked.contains(name) && !found.contains_key(name));
            let name = name.ok_or_else(|| {
                ReapiError::Nonsense("it gives what it was not asked for".to_owned())
            })?;
            let data = match response.compressor {
                0 => response.data,
                ZSTD if is_compressed => {
                    let size = usize::try_from(name.size).map_err(|_| ReapiError::Missing)?;
                    let blob = zstandard::decompressed(&*response.data, size);
                    blob.map_err(|fault| ReapiError::Nonsense(fault.to_string()))?
                }
                other => {
                    let text = format!("it compresses as nobody has asked for: {other}");
                    return Err(ReapiError::Nonsense(text));
                }
            };
            found.insert(name, data);
        }
        // Two may be the same.
        let bytes = |name: &BlobName| found.get(name).cloned().ok_or(ReapiError::Missing);
        blobs.iter().map(bytes).collect()
    }
}
/// Whether one of several went well.
fn done(status: Option<&bazel_remote_apis::google::rpc::Status>) -> Result<(), ReapiError> {
    match status {
        None => Ok(()),
        Some(status) if status.code == 0 => Ok(()),
        Some(status) => Err(ReapiError::of(&tonic::Status::new(
            Code::from_i32(status.code),
            status.message.clone(),
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_what_fits_and_what_is_larger_alone() {
        assert_eq!(batches(&[], 10), []);
        assert_eq!(batches(&[3, 3, 4, 1], 10), [0..3, 3..4]);
        assert_eq!(batches(&[11, 1, 12, 12], 10), [0..1, 1..2, 2..3, 3..4]);
        assert_eq!(batches(&[u64::MAX, u64::MAX], 10), [0..1, 1..2]);
    }

    #[test]
    fn a_digest_that_is_none_names_nothing() {
        let name = BlobName::of(b"bytes");
        assert_eq!(named(&digest(&name)), Some(name));
        for (hash, size_bytes) in [
            ("", 1),
            ("0g", 1),
            (&"é".repeat(32)[..], 1),
            (&"00".repeat(32), -1),
        ] {
            let hash = hash.to_owned();
            assert_eq!(named(&api::Digest { hash, size_bytes }), None);
        }
    }
}
