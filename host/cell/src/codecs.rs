//! Where codecs run: the native code that compresses for formatters, and takes archives apart.

use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::CellError;
use super::encode::{Threads, Worker, WorkerError, Workers};
use super::reading::DecoderHere;
use super::wall::{Compressor, Decompressor, NoProcess, Starter, Unpacking};
use super::walls::{CodecPlace, Walls};
use cellblock_contract::Limits;
use cellblock_tree::recognise::Compression;
use cellblock_tree::source::{Decompressors, InProcess};
use cellblock_tree::volume::{Decoder, Decoders};

/// What stands around the codecs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CodecWall {
    /// Where they run.
    pub codecs: CodecPlace,
    /// What kept a process from standing where it was wished for.
    #[serde(rename = "no-codec-process", skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// Starts whoever runs the codecs of a file system: processes behind the second wall, or threads where there is none.
pub struct Codecs {
    starter: Option<Arc<Starter>>,
    walls: Walls,
    limits: Limits,
    /// Where they run, once one has.
    wall: Mutex<Option<CodecWall>>,
}

impl fmt::Debug for Codecs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Codecs")
            .field("walls", &self.walls)
            .finish_non_exhaustive()
    }
}

impl Codecs {
    pub(super) fn new(starter: Option<Arc<Starter>>, walls: Walls, limits: Limits) -> Self {
        Self {
            starter,
            walls,
            limits,
            wall: Mutex::default(),
        }
    }

    /// Where they have run so far; none if none has.
    #[must_use]
    pub fn wall(&self) -> Option<CodecWall> {
        self.lock().clone()
    }

    /// What `start` starts behind the wall; none where there is no wall, and need be none.
    fn behind<T>(
        &self,
        start: impl FnOnce(&Arc<Starter>) -> Result<T, NoProcess>,
    ) -> Result<Option<T>, CellError> {
        let Some(starter) = &self.starter else {
            self.note(CodecPlace::Thread, None);
            return Ok(None);
        };
        match start(starter) {
            Ok(started) => {
                self.note(CodecPlace::Process, None);
                Ok(Some(started))
            }
            Err(NoProcess::Missing(missing)) if self.walls != Walls::Process => {
                self.note(CodecPlace::Thread, Some(missing));
                Ok(None)
            }
            Err(no) => Err(no.into()),
        }
    }

    /// The weakest wall is the one that counts.
    fn note(&self, codecs: CodecPlace, missing: Option<String>) {
        let mut wall = self.lock();
        let is_process = |wall: &CodecWall| wall.codecs == CodecPlace::Process;
        if wall.as_ref().is_none_or(is_process) {
            *wall = Some(CodecWall { codecs, missing });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<CodecWall>> {
        self.wall.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Workers for Codecs {
    fn start(&self) -> Result<Box<dyn Worker>, WorkerError> {
        let started = self.behind(|starter| Compressor::start(starter, self.limits));
        let started =
            started.map_err(|error| WorkerError::Lost(format!("does not start: {error}")))?;
        match started {
            Some(process) => Ok(Box::new(process)),
            None => Threads.start(),
        }
    }
}

impl Decompressors for Codecs {
    fn start(
        &self,
        compression: Compression,
        input: Box<dyn Read>,
        ahead: bool,
    ) -> io::Result<Box<dyn Read>> {
        let started = self.behind(|starter| Decompressor::start(starter, self.limits));
        match started.map_err(io::Error::other)? {
            Some(process) => Ok(process.decompress(compression, input, ahead)),
            None => InProcess.start(compression, input, ahead),
        }
    }
}

impl Decoders for Codecs {
    fn start(&self) -> io::Result<Box<dyn Decoder>> {
        let started = self.behind(|starter| Unpacking::start(starter, self.limits));
        match started.map_err(io::Error::other)? {
            Some(process) => Ok(Box::new(process)),
            None => Ok(Box::new(DecoderHere::default())),
        }
    }
}
