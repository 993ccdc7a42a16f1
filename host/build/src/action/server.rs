//! A farm behind a server of the Remote Execution API.

use std::io;
use std::time::Duration;

use cellblock_cache::reapi::{self, Address, Client, ReapiError};

use super::farm::{Executed, Farm};
use super::merkle::BlobName;

/// A server of the Remote Execution API, and how long it may take.
#[derive(Debug)]
pub struct Server {
    client: Client,
    deadline: Duration,
}

impl Server {
    /// Gets ready to ask the server at `address`, which is asked once something is to be made: `patience` is how long it may take for an
    /// answer, and `deadline` how long a worker may take, waiting for its turn included.
    ///
    /// # Errors
    /// If the machine has no thread for it, or no certificates for TLS.
    pub fn new(address: &Address, patience: Duration, deadline: Duration) -> io::Result<Self> {
        let client = Client::new(address, patience).map_err(io::Error::other)?;
        Ok(Self { client, deadline })
    }
}

impl From<BlobName> for reapi::BlobName {
    fn from(name: BlobName) -> Self {
        Self {
            hash: name.digest,
            size: name.size,
        }
    }
}

impl From<reapi::BlobName> for BlobName {
    fn from(name: reapi::BlobName) -> Self {
        Self {
            digest: name.hash,
            size: name.size,
        }
    }
}

fn names(blobs: &[BlobName]) -> Vec<reapi::BlobName> {
    blobs.iter().copied().map(Into::into).collect()
}

fn told(error: ReapiError) -> String {
    error.to_string()
}

fn executed(done: reapi::Executed) -> Executed {
    let files = done.files.into_iter();
    Executed {
        exit_code: done.exit_code,
        stderr: done.stderr,
        files: files.map(|file| (file.path, file.name.into())).collect(),
        worker: done.worker,
    }
}

impl Farm for Server {
    fn known(&self, action: &BlobName) -> Result<Option<Executed>, String> {
        let known = self.client.action_result(&(*action).into());
        Ok(known.map_err(told)?.map(executed))
    }

    fn missing(&self, blobs: &[BlobName]) -> Result<Vec<BlobName>, String> {
        let missing = self.client.missing(&names(blobs)).map_err(told)?;
        Ok(missing.into_iter().map(Into::into).collect())
    }

    fn upload(&self, blobs: &[(BlobName, Vec<u8>)]) -> Result<(), String> {
        let blobs = blobs.iter().map(|(name, bytes)| ((*name).into(), &**bytes));
        let blobs: Vec<(reapi::BlobName, &[u8])> = blobs.collect();
        self.client.upload(&blobs).map_err(told)
    }

    fn execute(&self, action: &BlobName, anew: bool) -> Result<Executed, String> {
        let done = self.client.execute(&(*action).into(), anew, self.deadline);
        done.map(executed).map_err(told)
    }

    fn download(&self, blobs: &[BlobName]) -> Result<Vec<Vec<u8>>, String> {
        self.client.download(&names(blobs)).map_err(told)
    }
}
