//! Where entries and chunks are kept.

mod directory;
mod folder;
mod grpc;
mod http;
mod lent;

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

pub(crate) use directory::Directory;
pub(crate) use folder::Folder;
pub use folder::{Collected, Counts};
pub(crate) use grpc::Grpc;
pub(crate) use http::{Http, agent, patience_for};
pub(crate) use lent::{Lending, Lent};

/// What a store tells apart: what is found by a key, and what is found by its own digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Entry,
    Blob,
}

impl Kind {
    /// The folder, or the part of the path, as bazel-remote has it.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Entry => "ac",
            Self::Blob => "cas",
        }
    }
}

/// A blob by its digest and its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) name: [u8; 32],
    pub(crate) length: usize,
}

/// Why a store did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server could not be asked, or answered nonsense.
    #[error("{0}")]
    Server(String),
    /// What it gave is wrong.
    #[error("{0}")]
    Wrong(String),
    /// The server refused.
    #[error("it answers {status}{}", hint(*.status))]
    Status {
        /// The status of HTTP.
        status: u16,
    },
    /// What it sends has no end.
    #[error("it sends more than the {most} bytes that were asked for")]
    Endless {
        /// The most that was taken.
        most: usize,
    },
    /// It takes too long.
    #[error("it is too slow: --cache-timeout says how long it may take")]
    Slow,
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => ": who may read and write there? HTTPS://USER:PASSWORD@HOST/ names somebody",
        405 => ": it takes no PUT; --cache-mode read only reads",
        413 => ": it takes no chunk of 1 MiB (nginx: client_max_body_size)",
        _ => "",
    }
}

/// A place with entries and chunks.
pub(crate) trait Store: fmt::Debug + Send + Sync {
    /// What is kept under `name`, or nothing. More than `most` bytes are an error, and so is whatever takes until `deadline`.
    fn get(
        &self,
        kind: Kind,
        name: &[u8; 32],
        most: usize,
        deadline: Instant,
    ) -> Result<Option<Vec<u8>>, StoreError>;

    /// The bytes of several blobs, each of its length; nothing if one of them is not there.
    fn get_blobs(
        &self,
        blobs: &[Blob],
        deadline: Instant,
    ) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
        let get = |blob: &Blob| self.get(Kind::Blob, &blob.name, blob.length, deadline);
        blobs.iter().map(get).collect()
    }

    /// Keeps `bytes` as the entry of `key`: all of them, or nothing.
    fn put_entry(&self, key: &[u8; 32], bytes: &[u8]) -> Result<(), StoreError>;

    /// Keeps a blob under its digest, unless it is there: all of it, or nothing.
    fn put_blob(&self, name: &[u8; 32], bytes: &[u8]) -> Result<(), StoreError>;

    /// The same of several.
    fn put_missing(&self, blobs: &[([u8; 32], &[u8])]) -> Result<(), StoreError> {
        blobs
            .iter()
            .try_for_each(|(name, bytes)| self.put_blob(name, bytes))
    }

    /// The most bytes of blobs that are better moved or hashed together than each for itself; 0 if that makes no difference.
    fn together(&self) -> usize {
        0
    }

    /// The folder that its blobs are files of, if they are.
    fn as_folder(&self) -> Option<&Folder> {
        None
    }

    /// Whether it has held the blobs that it gives to their digests.
    fn holds_to_digests(&self) -> bool {
        false
    }

    /// Whether what was found to be damaged was removed, so that the next to store it mends it.
    fn mends(&self, _kind: Kind, _name: &[u8; 32]) -> bool {
        false
    }

    /// All that was stored is there: what is too much may go.
    fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What is left until a deadline, at most `most`.
///
/// # Errors
/// [`StoreError::Slow`] if nothing is left.
fn left(deadline: Instant, most: Duration) -> Result<Duration, StoreError> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(StoreError::Slow),
        left => Ok(left.min(most)),
    }
}
