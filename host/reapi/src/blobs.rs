//! Content by its digest (ContentAddressableStorage and `google.bytestream.ByteStream`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use bazel_remote_apis::google::bytestream::{ReadRequest, WriteRequest};
use sha2::{Digest as _, Sha256};
use tonic::Code;

use super::{BYTES_A_SECOND, BlobName, Client, ReapiError, digest, named};

/// The names in one question for what is missing: some 0.7 MiB.
const NAMES: usize = 10_000;
/// The bytes of one part of a stream.
const PART: usize = 1 << 20;

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
        let most = self.batch()?;
        let sizes: Vec<u64> = blobs.iter().map(|(name, _)| name.size).collect();
        for range in batches(&sizes, most) {
            match &blobs[range] {
                [(name, bytes)] if bytes.len() > most => self.write(name, bytes)?,
                batch => self.update(batch)?,
            }
        }
        Ok(())
    }

    fn update(&self, blobs: &[(BlobName, &[u8])]) -> Result<(), ReapiError> {
        let request =
            |(name, bytes): &(BlobName, &[u8])| api::batch_update_blobs_request::Request {
                digest: Some(digest(name)),
                data: bytes.to_vec(),
                ..Default::default()
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

    fn write(&self, name: &BlobName, bytes: &[u8]) -> Result<(), ReapiError> {
        let hash = cellblock_text::hexadecimal(&name.digest);
        let named = format!("uploads/{}/blobs/{hash}/{}", upload_id(&hash), name.size);
        let resource_name = self.within_instance(&named);
        let parts: Vec<WriteRequest> = bytes
            .chunks(PART)
            .enumerate()
            .map(|(number, part)| WriteRequest {
                // The first part says what all are of.
                resource_name: if number == 0 {
                    resource_name.clone()
                } else {
                    String::new()
                },
                write_offset: i64::try_from(number * PART).unwrap_or(i64::MAX),
                finish_write: (number + 1) * PART >= bytes.len(),
                data: part.to_vec(),
            })
            .collect();
        let mut stream = self.stream();
        let answer = self.wait(name.size, stream.write(tokio_stream::iter(parts)))?;
        if u64::try_from(answer.committed_size) != Ok(name.size) {
            let text = format!(
                "it has {} of {} bytes of a blob",
                answer.committed_size, name.size
            );
            return Err(ReapiError::Nonsense(text));
        }
        Ok(())
    }

    /// The bytes of blobs, each of which has its digest: small ones together, large ones as streams.
    ///
    /// # Errors
    /// [`ReapiError::Missing`] if one of them is not there, and others.
    pub fn download(&self, blobs: &[BlobName]) -> Result<Vec<Vec<u8>>, ReapiError> {
        let most = self.batch()?;
        let sizes: Vec<u64> = blobs.iter().map(|name| name.size).collect();
        let mut all = Vec::with_capacity(blobs.len());
        for range in batches(&sizes, most) {
            match &blobs[range] {
                [name] if name.size > most as u64 => all.push(self.read(name)?),
                batch => all.extend(self.read_batch(batch)?),
            }
        }
        for (name, bytes) in blobs.iter().zip(&all) {
            if BlobName::of(bytes) != *name {
                let text = "it gives other bytes than have the digest that was asked for";
                return Err(ReapiError::Nonsense(text.to_owned()));
            }
        }
        Ok(all)
    }

    fn read_batch(&self, blobs: &[BlobName]) -> Result<Vec<Vec<u8>>, ReapiError> {
        let request = api::BatchReadBlobsRequest {
            instance_name: self.instance(),
            digests: blobs.iter().map(digest).collect(),
            ..Default::default()
        };
        let bytes = blobs.iter().map(|name| name.size).sum();
        let answer = self.wait(bytes, self.storage().batch_read_blobs(request))?;
        let mut found = BTreeMap::new();
        for response in answer.responses {
            done(response.status.as_ref())?;
            let name = response.digest.as_ref().and_then(named);
            found.insert(name, response.data);
        }
        // Two may be the same.
        let bytes = |name: &BlobName| found.get(&Some(*name)).cloned().ok_or(ReapiError::Missing);
        blobs.iter().map(bytes).collect()
    }

    fn read(&self, name: &BlobName) -> Result<Vec<u8>, ReapiError> {
        let hash = cellblock_text::hexadecimal(&name.digest);
        let request = ReadRequest {
            resource_name: self.within_instance(&format!("blobs/{hash}/{}", name.size)),
            read_offset: 0,
            read_limit: 0,
        };
        let patience = self.patience + Duration::from_secs(name.size / BYTES_A_SECOND);
        let mut stream = self.stream();
        let size = usize::try_from(name.size).map_err(|_| ReapiError::Missing)?;
        self.wait_for(patience, async {
            let failed = |status: tonic::Status| ReapiError::of(&status);
            let mut parts = stream.read(request).await.map_err(failed)?.into_inner();
            let mut bytes = Vec::new();
            while let Some(part) = parts.message().await.map_err(failed)? {
                if part.data.len() > size - bytes.len() {
                    let text = "it sends more than was asked for";
                    return Err(ReapiError::Nonsense(text.to_owned()));
                }
                bytes.extend(part.data);
            }
            Ok(bytes)
        })
    }

    fn within_instance(&self, name: &str) -> String {
        match self.address.instance() {
            "" => name.to_owned(),
            instance => format!("{instance}/{name}"),
        }
    }
}

/// What tells uploads apart, in the form of a UUID: of one blob there is one in this process at a time, and which is first makes no difference.
fn upload_id(hash: &str) -> String {
    let process = std::process::id();
    format!(
        "{process:08x}-{}-4{}-8{}-{}",
        &hash[..4],
        &hash[4..7],
        &hash[7..10],
        &hash[10..22]
    )
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
