//! gRPC, as servers of the Remote Execution API speak it: entries are results of actions, chunks are content.

use std::time::{Duration, Instant};

use cellblock_reapi::{Address, BlobName, Client, ReapiError};

use super::{Blob, Kind, Store, StoreError, left};

/// The most bytes of chunks that are moved with one request.
const TOGETHER: usize = 3 << 20;

/// What an entry is called beside its key: all have the same length there, since the name of an action has one.
const ENTRY_SIZE: u64 = 32;

/// A cache behind gRPC.
#[derive(Debug)]
pub(crate) struct Grpc(Client);

impl Grpc {
    pub(crate) fn new(address: &Address, patience: Duration) -> Result<Self, StoreError> {
        Client::new(address, patience).map(Self).map_err(failed)
    }
}

fn failed(error: ReapiError) -> StoreError {
    match error {
        ReapiError::Slow => StoreError::Slow,
        other => StoreError::Server(other.to_string()),
    }
}

fn action(key: &[u8; 32]) -> BlobName {
    BlobName {
        digest: *key,
        size: ENTRY_SIZE,
    }
}

fn blob(name: &[u8; 32], length: usize) -> BlobName {
    BlobName {
        digest: *name,
        size: length as u64,
    }
}

impl Store for Grpc {
    fn get(
        &self,
        kind: Kind,
        name: &[u8; 32],
        most: usize,
        deadline: Instant,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        left(deadline, Duration::MAX)?;
        match kind {
            Kind::Entry => {
                let kept = self.0.kept(&action(name)).map_err(failed)?;
                Ok(kept.map(|inner| crate::entry::wrapped(&inner)))
            }
            Kind::Blob => {
                let wanted = Blob {
                    name: *name,
                    length: most,
                };
                let found = self.get_blobs(&[wanted], deadline)?;
                Ok(found.and_then(|mut bytes| bytes.pop()))
            }
        }
    }

    fn get_blobs(
        &self,
        blobs: &[Blob],
        deadline: Instant,
    ) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
        left(deadline, Duration::MAX)?;
        let names: Vec<BlobName> = blobs.iter().map(|it| blob(&it.name, it.length)).collect();
        match self.0.download(&names) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(ReapiError::Missing) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn put_entry(&self, key: &[u8; 32], bytes: &[u8]) -> Result<(), StoreError> {
        let inner = crate::entry::unwrapped(bytes).unwrap_or_default();
        self.0.keep(&action(key), inner).map_err(failed)
    }

    fn put_blob(&self, name: &[u8; 32], bytes: &[u8]) -> Result<(), StoreError> {
        self.put_missing(&[(*name, bytes)])
    }

    fn put_missing(&self, blobs: &[([u8; 32], &[u8])]) -> Result<(), StoreError> {
        let named = blobs
            .iter()
            .map(|(name, bytes)| (blob(name, bytes.len()), *bytes));
        let mut named: Vec<(BlobName, &[u8])> = named.collect();
        named.sort_unstable_by_key(|(name, _)| *name);
        named.dedup_by_key(|(name, _)| *name);
        let names: Vec<BlobName> = named.iter().map(|(name, _)| *name).collect();
        let missing = self.0.missing(&names).map_err(failed)?;
        named.retain(|(name, _)| missing.contains(name));
        self.0.upload(&named).map_err(failed)
    }

    /// The client does.
    fn holds_to_digests(&self) -> bool {
        true
    }

    fn together(&self) -> usize {
        TOGETHER
    }
}
