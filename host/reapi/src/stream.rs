//! Blobs as streams (`google.bytestream.ByteStream`), as they are or compressed.

use std::io::{self, Read, Write};
use std::time::Instant;

use bazel_remote_apis::google::bytestream::{ReadRequest, ReadResponse, WriteRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::zstandard::{self, Fault};
use super::{BlobName, Client, ReapiError};

/// The bytes of one part of a stream.
const PART: usize = 1 << 20;
/// How many parts wait until they are sent.
const WAITING: usize = 2;

impl Client {
    /// Sends a blob. At most a few parts of it are held a second time.
    pub(crate) fn write(
        &self,
        name: &BlobName,
        bytes: &[u8],
        is_compressed: bool,
    ) -> Result<(), ReapiError> {
        let send = || {
            let hash = cellblock_text::hexadecimal(&name.digest);
            let resource = resource(&hash, name.size, is_compressed);
            let named = format!("uploads/{}/{resource}", upload_id(&hash));
            let (sender, parts) = mpsc::channel(WAITING);
            let mut streams = self.streams();
            let patience = self.patience_for(name.size);
            let answer = self.runtime.spawn(async move {
                let written = streams.write(ReceiverStream::new(parts));
                match tokio::time::timeout(patience, written).await {
                    Ok(answer) => answer.map_err(|status| ReapiError::of(&status)),
                    Err(_) => Err(ReapiError::Slow),
                }
            });
            let mut outgoing = Outgoing {
                sender: Some(sender),
                resource: self.within_instance(&named),
                sent: 0,
                waiting: Vec::with_capacity(PART),
            };
            if is_compressed {
                zstandard::write(bytes, &mut outgoing);
            } else {
                outgoing.put(bytes);
            }
            let sent = outgoing.finish();
            let answer = self.runtime.block_on(answer);
            let answer = answer.unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(ReapiError::Slow),
            });
            Ok((sent, answer?.into_inner().committed_size))
        };
        let (sent, committed) = self.up.moved(name.size, is_compressed, send)?;
        // Of what is compressed, a server says that it had it before by a number that none has.
        let had_it = is_compressed && committed == -1;
        let is_whole = [sent, name.size]
            .map(i64::try_from)
            .contains(&Ok(committed));
        if !is_whole && !had_it {
            let text = format!("it has {committed} of {sent} bytes of a blob");
            return Err(ReapiError::Nonsense(text));
        }
        Ok(())
    }

    /// Fetches a blob, which has at most the bytes of its name. Whether it has its digest is not known yet.
    pub(crate) fn read(&self, name: &BlobName, is_compressed: bool) -> Result<Vec<u8>, ReapiError> {
        let hash = cellblock_text::hexadecimal(&name.digest);
        let request = ReadRequest {
            resource_name: self.within_instance(&resource(&hash, name.size, is_compressed)),
            read_offset: 0,
            read_limit: 0,
        };
        let size = usize::try_from(name.size).map_err(|_| ReapiError::Missing)?;
        let deadline = Instant::now() + self.patience_for(name.size);
        let mut streams = self.streams();
        let stream = self.wait(name.size, streams.read(request))?;
        let mut incoming = Incoming {
            client: self,
            stream,
            deadline,
            part: Vec::new(),
            taken: 0,
            fault: None,
        };
        let read = if is_compressed {
            zstandard::decompressed(&mut incoming, size)
        } else {
            plain(&mut incoming, size)
        };
        // What went wrong with the stream is the reason, whatever came of it.
        match (incoming.fault, read) {
            (Some(error), _) => Err(error),
            (None, Err(fault)) => Err(ReapiError::Nonsense(fault.to_string())),
            (None, Ok(bytes)) => Ok(bytes),
        }
    }

    fn within_instance(&self, name: &str) -> String {
        match self.address.instance() {
            "" => name.to_owned(),
            instance => format!("{instance}/{name}"),
        }
    }
}

/// A blob as it is.
fn plain(source: impl Read, size: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    source.take(size as u64 + 1).read_to_end(&mut bytes)?;
    match bytes.len() > size {
        true => Err(Fault::Longer { size }),
        false => Ok(bytes),
    }
}

/// What a blob is called by who streams it.
fn resource(hash: &str, size: u64, is_compressed: bool) -> String {
    let kind = match is_compressed {
        true => "compressed-blobs/zstd",
        false => "blobs",
    };
    format!("{kind}/{hash}/{size}")
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

/// What goes up, in parts. A server that has enough ends it before its end, which its answer tells of.
struct Outgoing {
    /// None once nobody takes more.
    sender: Option<mpsc::Sender<WriteRequest>>,
    /// What all parts are of; the first part alone says it.
    resource: String,
    sent: u64,
    waiting: Vec<u8>,
}

impl Outgoing {
    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.waiting.len() == PART {
                self.send(false);
            }
            let (now, later) = bytes.split_at(bytes.len().min(PART - self.waiting.len()));
            self.waiting.extend_from_slice(now);
            bytes = later;
        }
    }

    fn send(&mut self, is_last: bool) {
        let part = WriteRequest {
            resource_name: std::mem::take(&mut self.resource),
            write_offset: i64::try_from(self.sent).expect("a blob is in memory"),
            finish_write: is_last,
            data: std::mem::take(&mut self.waiting),
        };
        self.sent += part.data.len() as u64;
        let is_taken = self
            .sender
            .as_ref()
            .is_some_and(|sender| sender.blocking_send(part).is_ok());
        if !is_taken {
            self.sender = None;
        }
    }

    /// How many bytes were sent.
    fn finish(mut self) -> u64 {
        self.send(true);
        self.sent
    }
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What comes, as somebody reads it who waits.
struct Incoming<'a> {
    client: &'a Client,
    stream: Streaming<ReadResponse>,
    deadline: Instant,
    part: Vec<u8>,
    /// How much of the part was read.
    taken: usize,
    /// Why no more comes.
    fault: Option<ReapiError>,
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.part.len() && !buffer.is_empty() {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let next = self.client.wait_for(left, async {
                let next: Result<Option<ReadResponse>, Status> = self.stream.message().await;
                next.map_err(|status| ReapiError::of(&status))
            });
            match next {
                Ok(None) => return Ok(0),
                Ok(Some(part)) => (self.part, self.taken) = (part.data, 0),
                Err(error) => {
                    let told = io::Error::other(error.to_string());
                    self.fault = Some(error);
                    return Err(told);
                }
            }
        }
        let rest = &self.part[self.taken..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }
}
