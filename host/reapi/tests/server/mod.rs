//! A server of content in memory that knows Zstandard, by the library in C; it is honest, or not.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use bazel_remote_apis::google::bytestream as stream;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;
use tokio_stream::Stream;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use api::capabilities_server::{Capabilities, CapabilitiesServer};
use api::content_addressable_storage_server::{
    ContentAddressableStorage, ContentAddressableStorageServer,
};
use stream::byte_stream_server::{ByteStream, ByteStreamServer};

const ZSTD: i32 = api::compressor::Value::Zstd as i32;

/// What it does with what it compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Honest,
    /// Several frames, with one between them that holds nothing.
    Frames,
    /// It is many times as long.
    Bomb,
    /// It ends early.
    Cut,
    /// It is something else, as long as what was asked for.
    Other,
    /// It is one byte longer.
    Longer,
    /// It is not compressed.
    Plain,
    /// It comes to no end.
    Endless,
    /// It is of another blob, whose size it names.
    Elsewhere,
    /// Each blob comes again and again.
    Again,
}

/// What the server has, and what it was asked for.
#[derive(Debug, Default)]
struct State {
    blobs: BTreeMap<String, Vec<u8>>,
    asked: Vec<String>,
    /// The bytes of content that went over the wire.
    bytes: usize,
    capabilities: usize,
}

#[derive(Clone, Debug)]
struct Served {
    manner: Manner,
    knows_zstandard: bool,
    state: Arc<Mutex<State>>,
}

/// A running server; it ends with this.
pub(crate) struct Server {
    _runtime: Runtime,
    pub(crate) address: SocketAddr,
    served: Served,
}

impl Server {
    pub(crate) fn start(manner: Manner, knows_zstandard: bool) -> Self {
        let served = Served {
            manner,
            knows_zstandard,
            state: Arc::default(),
        };
        let runtime = Runtime::new().unwrap();
        let incoming = {
            let _in_it = runtime.enter();
            TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap()
        };
        let address = incoming.local_addr().unwrap();
        let router = tonic::transport::Server::builder()
            .add_service(CapabilitiesServer::new(served.clone()))
            .add_service(ContentAddressableStorageServer::new(served.clone()))
            .add_service(ByteStreamServer::new(served.clone()));
        runtime.spawn(router.serve_with_incoming(incoming));
        Self {
            _runtime: runtime,
            address,
            served,
        }
    }

    /// Has it keep a blob.
    pub(crate) fn keep(&self, bytes: &[u8]) {
        let hash = hash(bytes);
        self.served.state().blobs.insert(hash, bytes.to_vec());
    }

    /// What it has under the digest of these bytes.
    pub(crate) fn kept(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.served.state().blobs.get(&hash(bytes)).cloned()
    }

    /// What it was asked for since this was asked for, and how many bytes of content went over the wire for that.
    pub(crate) fn asked(&self) -> (Vec<String>, usize) {
        let mut state = self.served.state();
        (
            std::mem::take(&mut state.asked),
            std::mem::take(&mut state.bytes),
        )
    }

    /// How often it was asked what it can do.
    pub(crate) fn capabilities(&self) -> usize {
        self.served.state().capabilities
    }
}

fn hash(bytes: &[u8]) -> String {
    cellblock_text::hexadecimal(&Sha256::digest(bytes))
}

impl Served {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn compressed(&self, blob: &[u8]) -> Vec<u8> {
        let frame = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).unwrap();
        let mut other = blob.to_vec();
        if let Some(last) = other.last_mut() {
            *last ^= 1;
        }
        match self.manner {
            Manner::Honest | Manner::Endless | Manner::Elsewhere | Manner::Again => frame(blob),
            Manner::Frames => {
                let (one, rest) = blob.split_at(blob.len() / 3);
                let nothing = b"\x50\x2a\x4d\x18\x02\0\0\0ab";
                [&frame(one)[..], nothing, &frame(rest)].concat()
            }
            Manner::Bomb => frame(&vec![0; 1 << 30]),
            Manner::Cut => frame(blob)[..100].to_vec(),
            Manner::Other => frame(&other),
            Manner::Longer => frame(&[blob, b"!"].concat()),
            Manner::Plain => blob.to_vec(),
        }
    }
}

fn digest(bytes: &[u8]) -> api::Digest {
    api::Digest {
        hash: hash(bytes),
        size_bytes: i64::try_from(bytes.len()).unwrap(),
    }
}

#[tonic::async_trait]
impl Capabilities for Served {
    async fn get_capabilities(
        &self,
        _: Request<api::GetCapabilitiesRequest>,
    ) -> Result<Response<api::ServerCapabilities>, Status> {
        self.state().capabilities += 1;
        let compressors = match self.knows_zstandard {
            true => vec![0, ZSTD],
            false => vec![0],
        };
        Ok(Response::new(api::ServerCapabilities {
            cache_capabilities: Some(api::CacheCapabilities {
                digest_functions: vec![api::digest_function::Value::Sha256.into()],
                supported_compressors: compressors.clone(),
                supported_batch_update_compressors: compressors,
                ..Default::default()
            }),
            ..Default::default()
        }))
    }
}

#[tonic::async_trait]
impl ContentAddressableStorage for Served {
    async fn find_missing_blobs(
        &self,
        _: Request<api::FindMissingBlobsRequest>,
    ) -> Result<Response<api::FindMissingBlobsResponse>, Status> {
        Err(Status::unimplemented("nobody asks for it here"))
    }

    async fn batch_update_blobs(
        &self,
        request: Request<api::BatchUpdateBlobsRequest>,
    ) -> Result<Response<api::BatchUpdateBlobsResponse>, Status> {
        let mut state = self.state();
        let mut responses = Vec::new();
        for blob in request.into_inner().requests {
            let named = blob.digest.clone().unwrap();
            let size = usize::try_from(named.size_bytes).unwrap();
            state.bytes += blob.data.len();
            state.asked.push(format!("update {}", blob.compressor));
            let bytes = match blob.compressor {
                0 => blob.data,
                ZSTD => zstd::bulk::decompress(&blob.data, size).unwrap(),
                other => panic!("no compressor {other}"),
            };
            assert_eq!(named, digest(&bytes));
            state.blobs.insert(named.hash, bytes);
            responses.push(api::batch_update_blobs_response::Response {
                digest: blob.digest,
                status: None,
            });
        }
        Ok(Response::new(api::BatchUpdateBlobsResponse { responses }))
    }

    async fn batch_read_blobs(
        &self,
        request: Request<api::BatchReadBlobsRequest>,
    ) -> Result<Response<api::BatchReadBlobsResponse>, Status> {
        let request = request.into_inner();
        let is_compressed = request.acceptable_compressors.contains(&ZSTD);
        let mut state = self.state();
        let mut responses = Vec::new();
        for mut named in request.digests {
            state.asked.push(format!("batch {is_compressed}"));
            let blob = state.blobs[&named.hash].clone();
            let data = match is_compressed {
                true => self.compressed(&blob),
                false => blob,
            };
            state.bytes += data.len();
            if self.manner == Manner::Elsewhere {
                named.size_bytes = 1 << 40;
            }
            let response = api::batch_read_blobs_response::Response {
                digest: Some(named),
                data,
                compressor: if is_compressed { ZSTD } else { 0 },
                status: None,
            };
            let times = if self.manner == Manner::Again { 2 } else { 1 };
            responses.extend(std::iter::repeat_n(response, times));
        }
        Ok(Response::new(api::BatchReadBlobsResponse { responses }))
    }

    type GetTreeStream = Pin<Box<dyn Stream<Item = Result<api::GetTreeResponse, Status>> + Send>>;

    async fn get_tree(
        &self,
        _: Request<api::GetTreeRequest>,
    ) -> Result<Response<Self::GetTreeStream>, Status> {
        Err(Status::unimplemented("nobody asks for it here"))
    }

    async fn split_blob(
        &self,
        _: Request<api::SplitBlobRequest>,
    ) -> Result<Response<api::SplitBlobResponse>, Status> {
        Err(Status::unimplemented("nobody asks for it here"))
    }

    type GetChunkMappingStream =
        Pin<Box<dyn Stream<Item = Result<api::GetChunkMappingResponse, Status>> + Send>>;

    async fn get_chunk_mapping(
        &self,
        _: Request<api::GetChunkMappingRequest>,
    ) -> Result<Response<Self::GetChunkMappingStream>, Status> {
        Err(Status::unimplemented("nobody asks for it here"))
    }

    async fn splice_blob(
        &self,
        _: Request<api::SpliceBlobRequest>,
    ) -> Result<Response<api::SpliceBlobResponse>, Status> {
        Err(Status::unimplemented("nobody asks for it here"))
    }

    async fn register_chunk_mapping(
        &self,
        _: Request<Streaming<api::RegisterChunkMappingRequest>>,
    ) -> Result<Response<api::RegisterChunkMappingResponse>, Status> {
        Err(Status::unimplemented("nobody asks for it here"))
    }
}

/// The digest that a resource names, and whether it is compressed.
fn named(resource: &str) -> (String, bool) {
    let parts: Vec<&str> = resource.split('/').collect();
    match &parts[..] {
        [.., "compressed-blobs", "zstd", hash, _] => ((*hash).to_owned(), true),
        [.., "blobs", hash, _] => ((*hash).to_owned(), false),
        other => panic!("no resource {other:?}"),
    }
}

#[tonic::async_trait]
impl ByteStream for Served {
    type ReadStream = Pin<Box<dyn Stream<Item = Result<stream::ReadResponse, Status>> + Send>>;

    async fn read(
        &self,
        request: Request<stream::ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let (hash, is_compressed) = named(&request.into_inner().resource_name);
        let mut state = self.state();
        state.asked.push(format!("read {is_compressed}"));
        let Some(blob) = state.blobs.get(&hash) else {
            return Err(Status::not_found("it is not there"));
        };
        let data = match is_compressed {
            true => self.compressed(blob),
            false => blob.clone(),
        };
        state.bytes += data.len();
        let part = |data: &[u8]| {
            Ok(stream::ReadResponse {
                data: data.to_vec(),
            })
        };
        let parts: Vec<_> = data.chunks(100_000).map(part).collect();
        if self.manner == Manner::Endless {
            let mut nothing = zstd::bulk::compress(b"", 3).unwrap();
            nothing = nothing.repeat(100_000 / nothing.len());
            let parts = parts
                .into_iter()
                .chain(std::iter::repeat_with(move || part(&nothing)));
            return Ok(Response::new(Box::pin(tokio_stream::iter(parts))));
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(parts))))
    }

    async fn write(
        &self,
        request: Request<Streaming<stream::WriteRequest>>,
    ) -> Result<Response<stream::WriteResponse>, Status> {
        let mut parts = request.into_inner();
        let (mut resource, mut data, mut is_whole) = (String::new(), Vec::new(), false);
        while let Some(part) = parts.message().await? {
            assert!(!is_whole, "a part after the last");
            assert_eq!(part.write_offset, i64::try_from(data.len()).unwrap());
            if data.is_empty() {
                resource = part.resource_name;
            }
            data.extend(part.data);
            is_whole = part.finish_write;
            let (hash, is_compressed) = named(&resource);
            if self.state().blobs.contains_key(&hash) {
                // It has it, and reads no more.
                let committed_size = match is_compressed {
                    true => -1,
                    false => resource.rsplit('/').next().unwrap().parse().unwrap(),
                };
                self.state().asked.push("had it".to_owned());
                return Ok(Response::new(stream::WriteResponse { committed_size }));
            }
        }
        assert!(is_whole, "no part is the last");
        let (hash, is_compressed) = named(&resource);
        let committed_size = i64::try_from(data.len()).unwrap();
        let mut state = self.state();
        state.bytes += data.len();
        state.asked.push(format!("write {is_compressed}"));
        let blob = match is_compressed {
            true => zstd::stream::decode_all(&*data).unwrap(),
            false => data,
        };
        let said = digest(&blob);
        assert_eq!(said.hash, hash);
        assert!(
            resource.ends_with(&format!("/{}", said.size_bytes)),
            "{resource}"
        );
        state.blobs.insert(hash, blob);
        Ok(Response::new(stream::WriteResponse { committed_size }))
    }

    async fn query_write_status(
        &self,
        _: Request<stream::QueryWriteStatusRequest>,
    ) -> Result<Response<stream::QueryWriteStatusResponse>, Status> {
        Err(Status::unimplemented("nobody asks for it here"))
    }
}
