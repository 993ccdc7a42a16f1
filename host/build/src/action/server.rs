//! A farm behind a server of the Remote Execution API.

use std::io;
use std::time::Duration;

use cellblock_cache::reapi::{Address, BlobName, Client, ReapiError};

use super::farm::{Executed, Farm};

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

fn told(error: ReapiError) -> String {
    error.to_string()
}

impl Farm for Server {
    fn known(&self, action: &BlobName) -> Result<Option<Executed>, String> {
        self.client.action_result(action).map_err(told)
    }

    fn missing(&self, blobs: &[BlobName]) -> Result<Vec<BlobName>, String> {
        self.client.missing(blobs).map_err(told)
    }

    fn upload(&self, blobs: &[(BlobName, Vec<u8>)]) -> Result<(), String> {
        let blobs = blobs.iter().map(|(name, bytes)| (*name, &**bytes));
        let blobs: Vec<(BlobName, &[u8])> = blobs.collect();
        self.client.upload(&blobs).map_err(told)
    }

    fn execute(&self, action: &BlobName, anew: bool) -> Result<Executed, String> {
        let done = self.client.execute(action, anew, self.deadline);
        done.map_err(told)
    }

    fn download(&self, blobs: &[BlobName]) -> Result<Vec<Vec<u8>>, String> {
        self.client.download(blobs).map_err(told)
    }
}
