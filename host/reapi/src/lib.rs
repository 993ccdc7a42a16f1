//! A client of the Remote Execution API (REAPI 2, `build.bazel.remote.execution.v2`), as Buildbarn, BuildBuddy, BuildGrid, NativeLink and bazel-remote
//! speak it: content by its digest, results of actions, and their execution.
//!
//! Nothing here is asynchronous to whoever calls: each function returns when it is done, or when the patience is over. What a server
//! sends is bounded by what was asked for, and held against its digest. Where the server knows Zstandard and the line is slow, content is
//! compressed on the wire.

#![forbid(unsafe_code)]

mod address;
mod blobs;
mod error;
mod execution;
mod line;
mod merkle;
mod stream;
mod zstandard;

pub use address::{Address, AddressError};
pub use error::ReapiError;
pub use execution::Executed;
pub use line::Compression;
pub use merkle::{Folder, Job};
#[doc(hidden)]
pub use zstandard::fuzz;

use std::fmt;
use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use tokio::runtime::Runtime;
use tonic::metadata::Ascii;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use api::action_cache_client::ActionCacheClient;
use api::capabilities_client::CapabilitiesClient;
use api::content_addressable_storage_client::ContentAddressableStorageClient;
use line::Line;

/// The most bytes of one message: what gRPC takes unless it is told otherwise is 4 MiB, with what stands around the content.
const MOST_MESSAGE: usize = 4 << 20;
/// What stands around the content in a message, at the most.
const AROUND: usize = 64 << 10;
/// What a request may take beyond the patience for each of so many bytes: 256 KiB/s are enough.
const BYTES_A_SECOND: u64 = 256 << 10;
/// What Zstandard is called.
const ZSTD: i32 = api::compressor::Value::Zstd as i32;
/// The most bytes of the result of an action.
const MOST_RESULT: usize = 4 << 20;

/// What a blob is called: the SHA-256 digest of its bytes, and their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobName {
    /// SHA-256.
    pub digest: [u8; 32],
    /// Bytes.
    pub size: u64,
}

/// A server of the Remote Execution API.
pub struct Client {
    runtime: Runtime,
    channel: InterceptedService<Channel, Authorization>,
    address: Address,
    patience: Duration,
    /// What the server can do, once it was asked.
    offered: OnceLock<Offered>,
    up: Line,
    down: Line,
}

/// What a server can do.
#[derive(Clone, Copy, Debug)]
struct Offered {
    /// The most bytes of content in one request: what the server says, but no more than gRPC takes.
    batch: usize,
    /// Whether blobs go as Zstandard, as streams both ways and together from there.
    zstandard: bool,
    /// Whether several go together so.
    zstandard_together: bool,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Client")
            .field(&self.address)
            .finish_non_exhaustive()
    }
}

/// Says who asks.
#[derive(Clone)]
struct Authorization(Option<MetadataValue<Ascii>>);

impl Interceptor for Authorization {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

impl Client {
    /// Gets ready to ask the server at `address`, which is asked with the first call. `patience` is how long it may take for an answer, beside
    /// four seconds for each mebibyte.
    ///
    /// # Errors
    /// When the machine has no thread for it, or no certificates for TLS.
    pub fn new(address: &Address, patience: Duration) -> Result<Self, ReapiError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| ReapiError::Unreachable(error.to_string()))?;
        let unreachable = |error: tonic::transport::Error| ReapiError::unreachable(&error);
        let mut endpoint = Endpoint::from_shared(address.uri())
            .map_err(unreachable)?
            .connect_timeout(patience)
            .http2_max_header_list_size(16 << 10)
            .user_agent(concat!("cellblock/", env!("CARGO_PKG_VERSION")))
            .map_err(unreachable)?;
        if address.is_secure() {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint.tls_config(tls).map_err(unreachable)?;
        }
        let authorization = Authorization(address.authorization());
        let channel = {
            let _in_it = runtime.enter();
            InterceptedService::new(endpoint.connect_lazy(), authorization)
        };
        Ok(Self {
            runtime,
            channel,
            address: address.clone(),
            patience,
            offered: OnceLock::new(),
            up: Line::up(),
            down: Line::down(),
        })
    }

    /// Says whether content is compressed on the wire where the server takes that.
    #[must_use]
    pub fn compressing(mut self, compression: Compression) -> Self {
        self.up.compression = compression;
        self.down.compression = compression;
        self
    }

    /// The result of an action that is kept under this name; nothing if there is none.
    ///
    /// # Errors
    /// [`ReapiError`].
    pub fn action_result(&self, action: &BlobName) -> Result<Option<Executed>, ReapiError> {
        Ok(self.result_of(action)?.map(Executed::of))
    }

    /// What the result of an action has as its standard output; nothing if there is none.
    ///
    /// # Errors
    /// [`ReapiError`].
    pub fn kept(&self, action: &BlobName) -> Result<Option<Vec<u8>>, ReapiError> {
        Ok(self.result_of(action)?.map(|result| result.stdout_raw))
    }

    fn result_of(&self, action: &BlobName) -> Result<Option<api::ActionResult>, ReapiError> {
        let mut client = ActionCacheClient::new(self.channel.clone())
            .max_decoding_message_size(MOST_RESULT + AROUND);
        let request = api::GetActionResultRequest {
            instance_name: self.instance(),
            action_digest: Some(digest(action)),
            inline_stdout: true,
            ..Default::default()
        };
        let answer = self.wait(0, client.get_action_result(request));
        match answer {
            Ok(result) => Ok(Some(result)),
            Err(ReapiError::Missing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps `bytes` as the standard output of the action's result.
    ///
    /// # Errors
    /// [`ReapiError`].
    pub fn keep(&self, action: &BlobName, bytes: &[u8]) -> Result<(), ReapiError> {
        let mut client = ActionCacheClient::new(self.channel.clone());
        let request = api::UpdateActionResultRequest {
            instance_name: self.instance(),
            action_digest: Some(digest(action)),
            action_result: Some(api::ActionResult {
                stdout_raw: bytes.to_vec(),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.wait(bytes.len() as u64, client.update_action_result(request))?;
        Ok(())
    }

    /// What the server can do: it is asked once.
    fn offered(&self) -> Result<Offered, ReapiError> {
        if let Some(known) = self.offered.get() {
            return Ok(*known);
        }
        let mut client =
            CapabilitiesClient::new(self.channel.clone()).max_decoding_message_size(MOST_MESSAGE);
        let request = api::GetCapabilitiesRequest {
            instance_name: self.instance(),
        };
        let told = match self.wait(0, client.get_capabilities(request)) {
            Ok(told) => told.cache_capabilities,
            // Not every cache says what it can do.
            Err(ReapiError::Refused { code, .. }) if code == "Unimplemented" => None,
            Err(ReapiError::Missing) => None,
            Err(error) => return Err(error),
        };
        let told = told.unwrap_or_default();
        let sha256 = i32::from(api::digest_function::Value::Sha256);
        if !told.digest_functions.is_empty() && !told.digest_functions.contains(&sha256) {
            return Err(ReapiError::Nonsense("it does not know SHA-256".to_owned()));
        }
        let most = MOST_MESSAGE - (1 << 20);
        let offered = Offered {
            batch: match usize::try_from(told.max_batch_total_size_bytes) {
                Ok(0) | Err(_) => most,
                Ok(told) => told.min(most),
            },
            zstandard: told.supported_compressors.contains(&ZSTD),
            zstandard_together: told.supported_batch_update_compressors.contains(&ZSTD),
        };
        Ok(*self.offered.get_or_init(|| offered))
    }

    fn instance(&self) -> String {
        self.address.instance().to_owned()
    }

    /// Waits for an answer to what has so many bytes.
    fn wait<T>(
        &self,
        bytes: u64,
        answer: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, ReapiError> {
        self.wait_for(self.patience_for(bytes), async {
            answer
                .await
                .map(tonic::Response::into_inner)
                .map_err(|status| ReapiError::of(&status))
        })
    }

    /// How long what has so many bytes may take.
    fn patience_for(&self, bytes: u64) -> Duration {
        self.patience + Duration::from_secs(bytes / BYTES_A_SECOND)
    }

    fn wait_for<T>(
        &self,
        patience: Duration,
        answer: impl Future<Output = Result<T, ReapiError>>,
    ) -> Result<T, ReapiError> {
        self.runtime.block_on(async {
            tokio::time::timeout(patience, answer)
                .await
                .unwrap_or(Err(ReapiError::Slow))
        })
    }

    fn storage(
        &self,
    ) -> ContentAddressableStorageClient<InterceptedService<Channel, Authorization>> {
        ContentAddressableStorageClient::new(self.channel.clone())
            .max_decoding_message_size(MOST_MESSAGE + AROUND)
    }

    /// Who streams.
    fn streams(&self) -> ByteStreamClient<InterceptedService<Channel, Authorization>> {
        ByteStreamClient::new(self.channel.clone()).max_decoding_message_size(MOST_MESSAGE + AROUND)
    }
}

fn digest(name: &BlobName) -> api::Digest {
    api::Digest {
        hash: cellblock_text::hexadecimal(&name.digest),
        size_bytes: i64::try_from(name.size).unwrap_or(i64::MAX),
    }
}

/// The name that a digest gives, if it is one of SHA-256.
fn named(digest: &api::Digest) -> Option<BlobName> {
    let text = digest.hash.as_bytes();
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(digest.hash.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(BlobName {
        digest: hash,
        size: u64::try_from(digest.size_bytes).ok()?,
    })
}
