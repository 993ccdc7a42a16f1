//! How guests are run.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::call::Role;
use super::engine::{self, Compiled, Home, Ticker};
use super::guest::{Guest, Place};
use super::wall::{self, Attempt, Confined, NoProcess, Starter};
use super::{CellError, cache};
use cellblock_contract::{CommandLine, Limits};

/// How the runtime is set up.
#[derive(Clone, Debug, Default)]
pub struct RuntimeOptions {
    /// What each cell may use.
    pub limits: Limits,
    /// The folder of compiled guests; none to compile at every start. It must be writable by this user alone: what is in
    /// it is run.
    pub cache: Option<PathBuf>,
    /// What is to stand around each cell.
    pub walls: Walls,
}

/// What is to stand around a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Walls {
    /// WebAssembly.
    #[default]
    Wasm,
    /// And a process that can do nothing. The program must begin with [`run_if_cell`](super::run_if_cell).
    Process,
    /// The same where the kernel has what it takes, and elsewhere WebAssembly.
    Strongest,
}

/// What stands around a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Wall {
    /// `wasm`, or `process`, which is WebAssembly in a process that can do nothing.
    pub wall: &'static str,
    /// What kept the process from standing where it was wished for.
    #[serde(rename = "no-process", skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// Runs guests, all within the same limits.
pub struct Runtime {
    options: RuntimeOptions,
    starter: Option<Arc<Starter>>,
}

/// The largest component in bytes: a real one has a few MiB.
const COMPONENT_LIMIT: usize = 128 << 20;

impl Runtime {
    /// Makes ready for guests.
    ///
    /// # Errors
    /// [`CellError::Engine`] if the machine has no thread for it.
    pub fn new(options: &RuntimeOptions) -> Result<Self, CellError> {
        let starter = match options.walls {
            Walls::Wasm => None,
            Walls::Process | Walls::Strongest => Some(Arc::new(Starter::new()?)),
        };
        Ok(Self {
            options: options.clone(),
            starter,
        })
    }

    /// Compiles the component in `bytes`, or takes it from the cache, and links it. `name` is for messages.
    ///
    /// # Errors
    /// [`CellError`] if it is no component, imports more than the contract gives, or does not export a formatter.
    pub fn load(&self, name: &str, bytes: &[u8]) -> Result<Guest, CellError> {
        self.load_as(name, bytes, None)
    }

    /// Compiles the WASI command in `bytes` in the same way; `line` says how it is called.
    ///
    /// # Errors
    /// [`CellError`] if it is no command, or imports more than a command gets.
    pub fn load_command(
        &self,
        name: &str,
        bytes: &[u8],
        line: &CommandLine,
    ) -> Result<Guest, CellError> {
        self.load_as(name, bytes, Some(line))
    }

    fn load_as(
        &self,
        name: &str,
        bytes: &[u8],
        line: Option<&CommandLine>,
    ) -> Result<Guest, CellError> {
        let role = match line {
            None => Role::Formatter,
            Some(_) => Role::Command,
        };
        if bytes.len() > COMPONENT_LIMIT {
            return Err(CellError::Malformed {
                guest: name.to_owned(),
                reason: format!(
                    "it has {} bytes, and the most is {COMPONENT_LIMIT}",
                    bytes.len()
                ),
            });
        }
        let digest = Sha256::digest(bytes).into();
        let (place, missing) = match &self.starter {
            None => (self.here(name, role, bytes, &digest)?, None),
            Some(starter) => {
                let cache = self.folder(&digest);
                let limits = self.options.limits;
                match Confined::load(starter, name, role, bytes, limits, cache) {
                    Ok(confined) => (Place::Behind(confined), None),
                    Err(NoProcess::Missing(missing)) => {
                        self.without(&missing)?;
                        (self.here(name, role, bytes, &digest)?, Some(missing))
                    }
                    Err(NoProcess::Failed(error)) => return Err(error),
                }
            }
        };
        let wall = Wall {
            wall: match place {
                Place::Here(..) => "wasm",
                Place::Behind(_) => "process",
            },
            missing,
        };
        Ok(Guest {
            name: name.to_owned(),
            digest,
            line: line.cloned(),
            limits: self.options.limits,
            wall,
            place,
        })
    }

    /// What a process behind the second wall tries in order to get out, and what comes of it.
    ///
    /// # Errors
    /// [`CellError`] if there can be no such process here.
    pub fn attempts(&self) -> Result<Vec<Attempt>, CellError> {
        let starter = Starter::new()?;
        let cache = self.folder(&[0; 32]);
        Ok(wall::attempts(&starter, self.options.limits, cache)?)
    }

    fn here(
        &self,
        name: &str,
        role: Role,
        bytes: &[u8],
        digest: &[u8; 32],
    ) -> Result<Place, CellError> {
        let engine = engine::engine(self.folder(digest).as_deref(), Home::Host)?;
        let (sender, loaded) = mpsc::sync_channel(1);
        let (compiling, bytes) = (engine.clone(), bytes.to_vec());
        // Nothing can stop a compiler: once the time is over it is left alone, and nobody listens any more.
        std::thread::spawn(move || sender.send(Compiled::load(&compiling, role, &bytes)));
        let limit = self.options.limits.time;
        let guest = || name.to_owned();
        let compiled = match loaded.recv_timeout(limit) {
            Ok(loaded) => loaded.map_err(|failure| failure.of(name))?,
            Err(RecvTimeoutError::Timeout) => {
                return Err(CellError::Deadline {
                    guest: guest(),
                    limit,
                });
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(CellError::Malformed {
                    guest: guest(),
                    reason: "the compiler failed".to_owned(),
                });
            }
        };
        Ok(Place::Here(compiled, Ticker::start(&engine)))
    }

    fn folder(&self, digest: &[u8; 32]) -> Option<PathBuf> {
        cache::folder(self.options.cache.as_deref()?, digest)
    }

    fn without(&self, missing: &str) -> Result<(), CellError> {
        match self.options.walls {
            Walls::Process => Err(CellError::NoWall {
                missing: missing.to_owned(),
            }),
            Walls::Wasm | Walls::Strongest => Ok(()),
        }
    }
}
