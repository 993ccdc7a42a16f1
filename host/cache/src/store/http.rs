//! HTTP, as bazel-remote speaks it and any WebDAV server does: `GET`, `HEAD` and `PUT` of `/ac/HEX` and `/cas/HEX`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding as _};
use cellblock_text::hexadecimal;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use super::{Kind, Store, StoreError, left};
use crate::{Address, locked};

/// What a request may take beyond the patience for each of so many bytes: 256 KiB/s are enough.
const BYTES_A_SECOND: usize = 256 << 10;
/// A server that gives more wrong blobs than these is not asked again.
const MOST_WRONG: usize = 3;

/// Who asks servers.
pub(crate) fn agent(connections: usize, patience: Duration) -> Agent {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier);
    let config = Agent::config_builder()
        .http_status_as_error(false)
        // Nobody is led elsewhere, and nothing of the environment decides who is asked.
        .max_redirects(0)
        .proxy(None)
        .max_response_header_size(16 << 10)
        .max_idle_connections_per_host(connections)
        .timeout_connect(Some(patience))
        .user_agent(concat!("cellblock/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls.build());
    config.build().into()
}

/// What a request for so many bytes may take where `patience` is enough for one of none.
pub(crate) fn patience_for(bytes: usize, patience: Duration) -> Duration {
    patience + Duration::from_secs((bytes / BYTES_A_SECOND) as u64)
}

/// A cache behind HTTP.
pub(crate) struct Http {
    agent: Agent,
    base: String,
    /// The header that says who asks.
    authorization: Option<String>,
    patience: Duration,
    /// Whether what is made is put there.
    is_written: bool,
    /// The blobs that had other bytes than their names say.
    wrong: Mutex<BTreeSet<[u8; 32]>>,
}

impl fmt::Debug for Http {
    /// Without the password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Http").field(&self.base).finish()
    }
}

impl Http {
    /// A cache at an address, in which what is made is put if it `is_written`.
    pub(crate) fn new(
        address: &Address,
        connections: usize,
        patience: Duration,
        is_written: bool,
    ) -> Self {
        let authorization = address.user.as_ref().map(|user| {
            let encoded = Base64::encode_string(user.as_bytes());
            format!("Basic {encoded}")
        });
        Self {
            agent: agent(connections, patience),
            base: address.base.clone(),
            authorization,
            patience,
            is_written,
            wrong: Mutex::default(),
        }
    }

    fn path(&self, kind: Kind, name: &[u8; 32]) -> String {
        format!("{}/{}/{}", self.base, kind.folder(), hexadecimal(name))
    }

    fn patience(&self, bytes: usize) -> Duration {
        patience_for(bytes, self.patience)
    }

    /// A request with what all have in common.
    fn with<B>(
        &self,
        request: ureq::RequestBuilder<B>,
        patience: Duration,
    ) -> ureq::RequestBuilder<B> {
        let request = request.config().timeout_global(Some(patience)).build();
        match &self.authorization {
            Some(authorization) => request.header("Authorization", authorization),
            None => request,
        }
    }

    fn has(&self, kind: Kind, name: &[u8; 32]) -> Result<bool, StoreError> {
        let request = self.with(self.agent.head(self.path(kind, name)), self.patience);
        let response = request.call().map_err(failed)?;
        match response.status().as_u16() {
            200 => Ok(true),
            404 | 410 => Ok(false),
            status => Err(StoreError::Status { status }),
        }
    }

    fn put(&self, kind: Kind, name: &[u8; 32], bytes: &[u8]) -> Result<(), StoreError> {
        let patience = self.patience(bytes.len());
        let request = self.with(self.agent.put(self.path(kind, name)), patience);
        let response = request.send(bytes).map_err(failed)?;
        match response.status().as_u16() {
            200..=299 => Ok(()),
            status => Err(StoreError::Status { status }),
        }
    }
}

fn failed(error: ureq::Error) -> StoreError {
    match error {
        ureq::Error::Timeout(_) => StoreError::Slow,
        ureq::Error::Io(error) => StoreError::Io(error),
        other => StoreError::Server(other.to_string()),
    }
}

impl Store for Http {
    fn get(
        &self,
        kind: Kind,
        name: &[u8; 32],
        most: usize,
        deadline: Instant,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let patience = left(deadline, self.patience(most))?;
        let request = self.with(self.agent.get(self.path(kind, name)), patience);
        let mut response = request.call().map_err(failed)?;
        match response.status().as_u16() {
            200 => {}
            404 | 410 => return Ok(None),
            status => return Err(StoreError::Status { status }),
        }
        let body = response.body_mut().with_config().limit(most as u64);
        body.read_to_vec().map(Some).map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => StoreError::Endless { most },
            other => failed(other),
        })
    }

    fn put_entry(&self, key: &[u8; 32], bytes: &[u8]) -> Result<(), StoreError> {
        self.put(Kind::Entry, key, bytes)
    }

    fn put_blob(&self, name: &[u8; 32], bytes: &[u8]) -> Result<(), StoreError> {
        let is_wrong = locked(&self.wrong).contains(name);
        if !is_wrong && self.has(Kind::Blob, name)? {
            return Ok(());
        }
        self.put(Kind::Blob, name, bytes)
    }

    /// What is wrong cannot be removed, but is written anew by whoever makes it.
    fn mends(&self, kind: Kind, name: &[u8; 32]) -> bool {
        if !self.is_written {
            return false;
        }
        let mut wrong = locked(&self.wrong);
        if kind == Kind::Blob {
            wrong.insert(*name);
        }
        wrong.len() <= MOST_WRONG
    }
}
