//! A command while it runs: what it was started with, and what it holds.

use std::borrow::Cow;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

use super::archive::Archive;
use super::clock::Clock;
use super::file::File;
use super::output::Output;
use super::{End, Exit, Invocation};
use crate::files::path::Target;
use crate::files::{Fault, Files, Status};
use crate::resources::Stream;
use crate::state::Services;
use cellblock_contract::Request;

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
    pub(crate) fn new(invocation: &Invocation, services: S) -> Self {
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

    pub(super) fn file_length(&self) -> u64 {
        self.file.length()
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

impl<S: Services> Files for Process<S> {
    fn status(&self, target: Target) -> Status {
        let time = Some(self.clock.wall());
        match target {
            Target::Partition => Status {
                inode: PARTITION,
                is_directory: false,
                size: self.file.length(),
                time,
            },
            Target::Root | Target::Absent => Status {
                inode: ROOT,
                is_directory: true,
                size: 0,
                time,
            },
        }
    }

    fn read_file(&mut self, offset: u64, most: u64) -> Result<(Vec<u8>, bool), Fault> {
        let bytes = self.file.read(&mut self.services, offset, most)?;
        let reached = offset.saturating_add(bytes.len() as u64);
        Ok((bytes, reached >= self.file.length()))
    }

    fn write_file(&mut self, offset: u64, bytes: Cow<'_, [u8]>) -> Result<u64, Fault> {
        self.file.write(&mut self.services, offset, &bytes)
    }

    fn resize_file(&mut self, size: u64) -> Result<(), Fault> {
        self.file.resize(&mut self.services, size)
    }

    fn flush_file(&mut self) -> Result<(), Fault> {
        self.file.flush(&mut self.services)
    }

    fn takes_times(&self) -> bool {
        true
    }

    fn has_streams(&self) -> bool {
        true
    }
}

/// `ChaCha8`, whose key is the SHA-256 digest of a name for what it is and of the seed.
fn random(request: &Request) -> ChaCha8Rng {
    let digest = Sha256::new_with_prefix(b"cellblock command\n")
        .chain_update(request.seed)
        .finalize();
    ChaCha8Rng::from_seed(digest.into())
}
