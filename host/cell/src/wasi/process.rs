//! A command while it runs: what it was started with, and what it holds.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

use super::archive::Archive;
use super::clock::Clock;
use super::file::File;
use super::output::{Output, Stream};
use super::path::Target;
use super::{End, Exit, Fault, Invocation};
use crate::state::Services;
use cellblock_contract::Request;

/// What a path or a descriptor leads to, as every interface tells it. Its times are all that of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status {
    /// What tells it from the other.
    pub(super) inode: u64,
    pub(super) is_directory: bool,
    /// Bytes.
    pub(super) size: u64,
}

/// The inode of the root.
pub(super) const ROOT: u64 = 1;
/// The inode of the partition.
pub(super) const PARTITION: u64 = 2;

/// A command, and who answers it.
pub(crate) struct Process<S> {
    pub(crate) services: S,
    pub(super) arguments: Vec<String>,
    pub(super) clock: Clock,
    file: File,
    input: Archive,
    output: Output,
    random: ChaCha8Rng,
}

impl<S: Services> Process<S> {
    pub(super) fn new(invocation: &Invocation, services: S) -> Self {
        let request = &invocation.request;
        Self {
            services,
            arguments: invocation.arguments.clone(),
            clock: Clock::new(request),
            file: File::new(request.size),
            input: Archive::new(request.drop),
            output: Output::default(),
            random: random(request),
        }
    }

    /// The next bytes of standard input, at most `most`; none at its end.
    pub(super) fn read_input(&mut self, most: usize) -> Result<Vec<u8>, Fault> {
        self.input.read(&mut self.services, most)
    }

    pub(super) fn write_output(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), Fault> {
        self.output.write(&mut self.services, stream, bytes)
    }

    /// What `target` is; the root if there is nothing.
    pub(super) fn status(&self, target: Target) -> Status {
        match target {
            Target::Partition => Status {
                inode: PARTITION,
                is_directory: false,
                size: self.file.length(),
            },
            Target::Root | Target::Absent => Status {
                inode: ROOT,
                is_directory: true,
                size: 0,
            },
        }
    }

    pub(super) fn file_length(&self) -> u64 {
        self.file.length()
    }

    pub(super) fn read_file(&mut self, offset: u64, most: usize) -> Result<Vec<u8>, Fault> {
        self.file.read(&mut self.services, offset, most)
    }

    pub(super) fn write_file(&mut self, offset: u64, bytes: &[u8]) -> Result<usize, Fault> {
        self.file.write(&mut self.services, offset, bytes)
    }

    pub(super) fn resize_file(&mut self, size: u64) -> Result<(), Fault> {
        self.file.resize(&mut self.services, size)
    }

    pub(super) fn flush_file(&mut self) -> Result<(), Fault> {
        self.file.flush(&mut self.services)
    }

    pub(super) fn fill_random(&mut self, bytes: &mut [u8]) {
        self.random.fill_bytes(bytes);
    }

    /// It has ended.
    pub(crate) fn end(&mut self, how: End) -> Result<Exit, Fault> {
        self.file.flush(&mut self.services)?;
        Ok(Exit {
            how,
            has_read_all: self.input.is_at_end(),
            last_words: self.output.finish(&mut self.services)?,
        })
    }
}

/// `ChaCha8`, whose key is the SHA-256 digest of a name for what it is and of the seed.
fn random(request: &Request) -> ChaCha8Rng {
    let digest = Sha256::new_with_prefix(b"cellblock command\n")
        .chain_update(request.seed)
        .finalize();
    ChaCha8Rng::from_seed(digest.into())
}
