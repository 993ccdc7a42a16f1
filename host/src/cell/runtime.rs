//! The engine, and the guests that it runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wasmtime::component::{Component, HasSelf, Linker, ResourceType};
use wasmtime::{Cache, CacheConfig, Config, Engine, OptLevel, Store, Trap};

use super::bindings::cellblock::format::{placement, progress, tree};
use super::bindings::exports::cellblock::format::formatter::FormatError;
use super::bindings::wasi::{filesystem, io};
use super::bindings::{Guest as Exports, GuestPre};
use super::partition::{Descriptor, Partition};
use super::state::State;
use super::{CellError, Description, Limits, LogLine, Refusal, Request, Summary, imports};
use crate::source;
use crate::tree::Tree;

/// How the runtime is set up.
#[derive(Clone, Debug, Default)]
pub struct RuntimeOptions {
    /// What each cell may use.
    pub limits: Limits,
    /// The folder of compiled guests; none to compile at every start. It must be writable by this user alone: what is in
    /// it is run.
    pub cache: Option<PathBuf>,
}

/// The engine that all cells of a process share.
pub struct Runtime {
    engine: Engine,
    linker: Linker<State>,
    limits: Limits,
    _ticker: Ticker,
}

/// A formatter, compiled and linked to the contract and to nothing else.
pub struct Guest {
    name: String,
    digest: [u8; 32],
    imports: Vec<String>,
    pre: GuestPre<State>,
    limits: Limits,
}

/// What a cell did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the formatter says of the file system.
    pub summary: Summary,
    /// What it logged.
    pub log: Vec<LogLine>,
}

/// Guests check at this interval whether their time is over.
const TICK: Duration = Duration::from_millis(50);
/// The stack of a guest in bytes.
const STACK: usize = 1 << 20;

impl Runtime {
    /// Starts the engine.
    ///
    /// # Errors
    /// [`CellError::Engine`] if the machine cannot run it.
    pub fn new(options: &RuntimeOptions) -> Result<Self, CellError> {
        let failed = |error: wasmtime::Error| CellError::Engine(format!("{error:#}"));
        let engine = Engine::new(&configuration(options)).map_err(failed)?;
        Ok(Self {
            linker: contract_linker(&engine).map_err(failed)?,
            limits: options.limits,
            _ticker: Ticker::start(&engine),
            engine,
        })
    }

    /// Compiles the component in `bytes`, or takes it from the cache, and links it. `name` is for messages.
    ///
    /// # Errors
    /// [`CellError`] if it is no component, imports more than the contract gives, or does not export a formatter.
    pub fn load(&self, name: &str, bytes: &[u8]) -> Result<Guest, CellError> {
        let guest = || name.to_owned();
        let component =
            Component::from_binary(&self.engine, bytes).map_err(|error| CellError::Malformed {
                guest: guest(),
                reason: format!("{error:#}"),
            })?;
        let imports = imports::list(&self.engine, &component);
        if let Some(import) = imports::first_beyond_contract(&imports) {
            return Err(CellError::Import {
                guest: guest(),
                import: import.clone(),
            });
        }
        let pre = self
            .linker
            .instantiate_pre(&component)
            .and_then(GuestPre::new)
            .map_err(|error| CellError::Contract {
                guest: guest(),
                reason: format!("{error:#}"),
            })?;
        Ok(Guest {
            name: guest(),
            digest: Sha256::digest(bytes).into(),
            imports,
            pre,
            limits: self.limits,
        })
    }
}

impl Guest {
    /// The name that it was loaded under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The SHA-256 digest of the component's bytes.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Its capabilities: the functions that it imports, each as `interface#function`.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// What the formatter says that it is.
    ///
    /// # Errors
    /// [`CellError`] if it traps or meets a limit.
    pub fn describe(&self) -> Result<Description, CellError> {
        let no_spool = || Err(std::io::ErrorKind::Unsupported.into());
        let empty = source::read_sources(&[], &no_spool, 0, None).map_err(Box::new)?;
        let state = State::new(Arc::new(empty), None, self.limits);
        let (description, _) = self.run(state, |exports, store| {
            exports.cellblock_format_formatter().call_describe(store)
        })?;
        Ok(description)
    }

    /// The smallest size in bytes of a partition that holds `tree`.
    ///
    /// # Errors
    /// [`CellError`] if no size would do, or the cell does not end well.
    pub fn measure(&self, request: &Request, tree: &Arc<Tree>) -> Result<u64, CellError> {
        let state = State::new(Arc::clone(tree), None, self.limits);
        let (answer, state) = self.run(state, |exports, store| {
            exports
                .cellblock_format_formatter()
                .call_measure(store, request)
        })?;
        answer.map_err(|error| self.refused(error, request, state))
    }

    /// Makes the file system with `tree` in `partition`, and waits until all of it is there.
    ///
    /// # Errors
    /// [`CellError`] if the formatter refuses, or the cell does not end well. If the cause is a failure of `partition`,
    /// that keeps the better reason.
    pub fn format(
        &self,
        request: &Request,
        tree: &Arc<Tree>,
        partition: Arc<dyn Partition>,
    ) -> Result<Outcome, CellError> {
        let mut state = State::new(Arc::clone(tree), Some(partition), self.limits);
        let descriptor = state
            .table
            .push(Descriptor)
            .map_err(|error| CellError::Engine(error.to_string()))?;
        let (answer, mut state) = self.run(state, |exports, store| {
            exports
                .cellblock_format_formatter()
                .call_format(store, descriptor, request)
        })?;
        let log = std::mem::take(&mut state.log);
        match answer {
            Ok(summary) => Ok(Outcome { summary, log }),
            Err(error) => Err(self.refused(error, request, state)),
        }
    }

    fn run<T>(
        &self,
        state: State,
        call: impl FnOnce(&Exports, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<(T, State), CellError> {
        let mut store = Store::new(self.pre.engine(), state);
        store.limiter(|state| &mut state.limiter);
        let ticks = self.limits.time.as_millis().div_ceil(TICK.as_millis());
        store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX / 2));
        store.epoch_deadline_trap();
        let answer = self
            .pre
            .instantiate(&mut store)
            .and_then(|exports| call(&exports, &mut store));
        let mut state = store.into_data();
        match answer {
            Ok(answer) => Ok((answer, state)),
            Err(error) => Err(self.stopped(&error, &mut state)),
        }
    }

    fn stopped(&self, error: &wasmtime::Error, state: &mut State) -> CellError {
        let guest = self.name.clone();
        if let Some(failure) = state.source_failure.take() {
            return CellError::Source(Box::new(failure));
        }
        if let Some(what) = state.limiter.met.take() {
            return CellError::Limit { guest, what };
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => CellError::Deadline {
                guest,
                limit: self.limits.time,
            },
            Some(trap) => CellError::Trap {
                guest,
                reason: trap.to_string(),
            },
            None => CellError::Trap {
                guest,
                reason: format!("{error:#}"),
            },
        }
    }

    fn refused(&self, error: FormatError, request: &Request, mut state: State) -> CellError {
        match state.source_failure.take() {
            Some(failure) => CellError::Source(Box::new(failure)),
            None => Box::new(Refusal::new(error, request, &state.tree)).into(),
        }
    }
}

fn configuration(options: &RuntimeOptions) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .max_wasm_stack(STACK);
    if let Some(folder) = &options.cache {
        let mut cache = CacheConfig::new();
        cache.with_directory(folder);
        // A cache that cannot be used costs time, not the build.
        config.cache(Cache::new(cache).ok());
    }
    config
}

fn contract_linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    tree::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;
    placement::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;
    progress::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;
    filesystem::types::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;
    // Types that signatures of `wasi:filesystem/types` name; nothing makes or uses a value of them.
    linker.instance("wasi:io/error@0.2.12")?.resource(
        "error",
        ResourceType::host::<io::error::Error>(),
        |_, _| Ok(()),
    )?;
    let mut streams = linker.instance("wasi:io/streams@0.2.12")?;
    streams.resource(
        "input-stream",
        ResourceType::host::<io::streams::InputStream>(),
        |_, _| Ok(()),
    )?;
    streams.resource(
        "output-stream",
        ResourceType::host::<io::streams::OutputStream>(),
        |_, _| Ok(()),
    )?;
    Ok(linker)
}

/// Advances the engine's epoch, by which guests know that time passes.
struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: &Engine) -> Self {
        let engine = engine.weak();
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let Some(engine) = engine.upgrade() else {
                    return;
                };
                engine.increment_epoch();
            }
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to report.
            let _ = thread.join();
        }
    }
}
