//! How guests are run.

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use sha2::{Digest as _, Sha256};

use super::CellError;
use super::cache::{Cache, Entry};
use super::call::Role;
use super::codecs::Codecs;
use super::engine::{self, Compiled, Home, LoadFailure, Ticker};
use super::guest::{Guest, Location};
use super::local::Local;
use super::wall::{self, Attempt, CallTried, Confined, NoProcess, Starter};
use super::walls::{GuestPlace, Wall, Walls};
use cellblock_contract::{CommandLine, Limits};

/// How the runtime is set up.
#[derive(Clone, Debug, Default)]
pub struct RuntimeOptions {
    /// What each cell may use.
    pub limits: Limits,
    /// The folder of compiled guests; none to compile at every start. It is made if it is missing, and left alone where
    /// somebody else could write to it or to a folder above it: [`Runtime::cache_refusal`] says why.
    pub cache: Option<PathBuf>,
    /// What is to stand around each cell.
    pub walls: Walls,
}

/// Whose guest it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The program's own.
    BuiltIn,
    /// Somebody brought it.
    Foreign,
}

/// Runs guests, all within the same limits.
pub struct Runtime {
    options: RuntimeOptions,
    starter: Option<Arc<Starter>>,
    /// The folder of compiled guests, or why there is none although one was asked for.
    cache: Result<Option<Cache>, String>,
    /// What kept the second wall from standing around a built-in guest.
    missing_wall: Mutex<Option<String>>,
}

/// The most bytes of a component that a [`Runtime`] loads; a real one has a few MiB. Whoever reads one from a file or a registry need
/// read no more.
pub const LARGEST_COMPONENT: u64 = 64 << 20;

impl Runtime {
    /// How it is set up.
    #[must_use]
    pub fn options(&self) -> &RuntimeOptions {
        &self.options
    }

    /// Makes ready for guests.
    ///
    /// # Errors
    /// [`CellError::Engine`] if the machine has no thread for it, and [`CellError::NotPrepared`] if a process is to stand
    /// around cells, and the program has not begun with [`run_if_cell`](super::run_if_cell).
    pub fn new(options: &RuntimeOptions) -> Result<Self, CellError> {
        let starter = match options.walls {
            Walls::Wasm => None,
            Walls::Process | Walls::Strongest => Some(Arc::new(Starter::new()?)),
        };
        Ok(Self {
            options: options.clone(),
            starter,
            cache: options.cache.as_deref().map(Cache::open).transpose(),
            missing_wall: Mutex::default(),
        })
    }

    /// Why the folder of compiled guests is not used, if one was asked for.
    #[must_use]
    pub fn cache_refusal(&self) -> Option<&str> {
        self.cache.as_ref().err().map(String::as_str)
    }

    /// What kept the second wall from standing around a built-in guest that was loaded, if anything did.
    #[must_use]
    pub fn missing_wall(&self) -> Option<String> {
        let missing = self.missing_wall.lock();
        missing.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who compresses what goes into the formats of images: processes where they were wished for around guests.
    #[must_use]
    pub fn codecs(&self) -> Arc<Codecs> {
        let starter = self.starter.clone();
        Arc::new(Codecs::new(
            starter,
            self.options.walls,
            self.options.limits,
        ))
    }

    /// Loads the component in `bytes`, which the program carries: see [`load`](Self::load). Where the second wall was wished
    /// for, and cannot stand, it runs without.
    ///
    /// # Errors
    /// [`CellError`] as of [`load`](Self::load).
    pub fn load_built_in(&self, name: &str, bytes: &[u8]) -> Result<Guest, CellError> {
        self.load_as(name, bytes, Role::Formatter, None, Origin::BuiltIn)
    }

    /// Compiles the component in `bytes`, or takes it from the cache, and links it. `name` is for messages.
    ///
    /// # Errors
    /// [`CellError`] if it is no component, imports more than the contract gives, does not export a formatter, or lacks a
    /// wall.
    pub fn load(&self, name: &str, bytes: &[u8]) -> Result<Guest, CellError> {
        self.load_as(name, bytes, Role::Formatter, None, Origin::Foreign)
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
        self.load_as(name, bytes, Role::Command, Some(line), Origin::Foreign)
    }

    /// Loads the reader in `bytes`, which the program carries, as of [`load_built_in`](Self::load_built_in).
    ///
    /// # Errors
    /// [`CellError`] as of [`load`](Self::load).
    pub fn load_built_in_reader(&self, name: &str, bytes: &[u8]) -> Result<Guest, CellError> {
        self.load_as(name, bytes, Role::Reader, None, Origin::BuiltIn)
    }

    /// Compiles the reader in `bytes`, which somebody brought, and links it.
    ///
    /// # Errors
    /// [`CellError`] if it is no reader, imports more than a reader gets, or lacks a wall.
    pub fn load_reader(&self, name: &str, bytes: &[u8]) -> Result<Guest, CellError> {
        self.load_as(name, bytes, Role::Reader, None, Origin::Foreign)
    }

    fn load_as(
        &self,
        name: &str,
        bytes: &[u8],
        role: Role,
        line: Option<&CommandLine>,
        origin: Origin,
    ) -> Result<Guest, CellError> {
        if bytes.len() as u64 > LARGEST_COMPONENT {
            return Err(CellError::Malformed {
                guest: name.to_owned(),
                reason: format!(
                    "it has {} bytes, and the most is {LARGEST_COMPONENT}",
                    bytes.len()
                ),
            });
        }
        let digest = Sha256::digest(bytes).into();
        let without = |missing| -> Result<(Location, Option<String>), CellError> {
            Ok((self.here(name, role, bytes, &digest)?, missing))
        };
        let (place, missing) = match &self.starter {
            None => without(None)?,
            Some(starter) => match self.behind(starter, name, role, bytes, &digest) {
                Ok(confined) => (Location::Behind(Box::new(confined)), None),
                Err(NoProcess::Missing(missing)) => {
                    self.allow_without(name, origin, &missing)?;
                    without(Some(missing))?
                }
                Err(NoProcess::Failed(error)) => return Err(error),
            },
        };
        let (wall, layers) = match &place {
            Location::Here(..) => (GuestPlace::Wasm, Vec::new()),
            Location::Behind(confined) => (GuestPlace::Process, confined.layers().to_vec()),
        };
        let wall = Wall {
            wall,
            missing,
            layers,
        };
        Ok(Guest {
            name: name.to_owned(),
            digest,
            is_foreign: origin == Origin::Foreign,
            described: OnceLock::new(),
            line: line.cloned(),
            limits: self.options.limits,
            starter: self.starter.clone(),
            walls: self.options.walls,
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
        Ok(wall::attempts(&starter, self.options.limits)?)
    }

    /// Which system calls the kernel lets through for a process behind the second wall, in each of its two stages: the
    /// process tries them all.
    ///
    /// # Errors
    /// [`CellError`] if there can be no such process here.
    pub fn calls(&self) -> Result<Vec<CallTried>, CellError> {
        let starter = Starter::new()?;
        Ok(wall::calls(&starter, self.options.limits)?)
    }

    /// Loads the guest in processes of its own. It is compiled in one that then ends, unless its code is kept.
    fn behind(
        &self,
        starter: &Arc<Starter>,
        name: &str,
        role: Role,
        bytes: &[u8],
        digest: &[u8; 32],
    ) -> Result<Confined, NoProcess> {
        let limits = self.options.limits;
        let confine = |code| Confined::load(starter, name, role, code, limits);
        let kept = self.entry(Home::Own, digest)?;
        if let Some(code) = kept.as_ref().and_then(|(cache, entry)| cache.get(entry)) {
            match confine(code)? {
                Ok(confined) => return Ok(confined),
                Err(LoadFailure::Stale(_)) => {}
                Err(failure) => return Err(failure.of(name).into()),
            }
        }
        let code = wall::compile(starter, name, role, bytes, limits)?;
        let confined = confine(code)?.map_err(|failure| failure.of(name))?;
        if let Some((cache, entry)) = kept {
            cache.put(&entry, confined.code());
        }
        Ok(confined)
    }

    #[expect(
        unsafe_code,
        reason = "what this user has compiled is taken over as it is"
    )]
    fn here(
        &self,
        name: &str,
        role: Role,
        bytes: &[u8],
        digest: &[u8; 32],
    ) -> Result<Location, CellError> {
        let engine = engine::engine(Home::Host)?;
        let kept = self.entry(Home::Host, digest)?;
        let ticker = || {
            Ticker::start(&engine)
                .map_err(|error| CellError::Engine(format!("a thread does not start: {error}")))
        };
        if let Some(code) = kept.as_ref().and_then(|(cache, entry)| cache.get(entry)) {
            // SAFETY: this user's host has compiled it in its own process: the cache vouches for it.
            match unsafe { Compiled::<Local>::link(&engine, role, &code) } {
                Ok(compiled) => return Ok(Location::Here(compiled, ticker()?)),
                Err(LoadFailure::Stale(_)) => {}
                Err(failure) => return Err(failure.of(name)),
            }
        }
        let code = self.compile_here(&engine, name, role, bytes)?;
        // SAFETY: it was compiled in this process.
        let compiled = unsafe { Compiled::link(&engine, role, &code) }
            .map_err(|failure: LoadFailure| failure.of(name))?;
        if let Some((cache, entry)) = kept {
            cache.put(&entry, &code);
        }
        Ok(Location::Here(compiled, ticker()?))
    }

    /// Compiles a guest in this process, within the time of a call.
    fn compile_here(
        &self,
        engine: &wasmtime::Engine,
        name: &str,
        role: Role,
        bytes: &[u8],
    ) -> Result<Vec<u8>, CellError> {
        let (sender, compiled) = mpsc::sync_channel(1);
        let (compiling, bytes) = (engine.clone(), bytes.to_vec());
        // Nothing can stop a compiler: once the time is over it is left alone, and nobody listens any more.
        thread::Builder::new()
            .spawn(move || sender.send(engine::compile(&compiling, role, &bytes)))
            .map_err(|error| CellError::Engine(format!("a thread does not start: {error}")))?;
        let limit = self.options.limits.time;
        let guest = || name.to_owned();
        match compiled.recv_timeout(limit) {
            Ok(compiled) => compiled.map_err(|failure| failure.of(name)),
            Err(RecvTimeoutError::Timeout) => Err(CellError::Deadline {
                guest: guest(),
                limit,
            }),
            Err(RecvTimeoutError::Disconnected) => Err(CellError::Malformed {
                guest: guest(),
                reason: "the compiler failed".to_owned(),
            }),
        }
    }

    /// Where the code of the guest with this digest is kept, as processes of the kind `home` compile it.
    fn entry(&self, home: Home, digest: &[u8; 32]) -> Result<Option<(&Cache, Entry)>, CellError> {
        let Ok(Some(cache)) = &self.cache else {
            return Ok(None);
        };
        let engine = engine::engine(home)?;
        let entry = Entry::new(home, digest, &engine.precompile_compatibility_hash());
        Ok(Some((cache, entry)))
    }

    /// Whether a guest may run without the wall that cannot stand.
    fn allow_without(&self, guest: &str, origin: Origin, missing: &str) -> Result<(), CellError> {
        let missing = missing.to_owned();
        match (self.options.walls, origin) {
            (Walls::Process, _) => Err(CellError::NoWall { missing }),
            (Walls::Strongest, Origin::Foreign) => Err(CellError::NoWallForForeign {
                guest: guest.to_owned(),
                missing,
            }),
            (Walls::Wasm, _) | (Walls::Strongest, Origin::BuiltIn) => {
                let mut known = self
                    .missing_wall
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                known.get_or_insert(missing);
                Ok(())
            }
        }
    }
}
