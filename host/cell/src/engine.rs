//! A guest in the engine: compiled, linked to the contract and to nothing else, and run.

use std::error::Error as _;
use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmtime::component::{self as model, Component, HasSelf, Linker};
use wasmtime::{Config, Engine, InstancePre, Module, OptLevel, Precompiled, Store};

use super::bindings::cellblock::format::{placement, progress, tree};
use super::bindings::described::SelfDescribedIndices;
use super::bindings::encoding::cellblock::format::{digests, encoding};
use super::bindings::reading::cellblock::format::{decoding, listing};
use super::bindings::reading::{ReaderGuest, ReaderGuestIndices};
use super::bindings::wasi::filesystem;
use super::bindings::{Guest as Exports, GuestIndices};
use super::call::{Call, Returned, Role, Stopped};
use super::legible::legible;
use super::limiter::Limiter;
use super::resources::Opened;
use super::state::{Services, State};
use super::version::{self, Unserved};
use super::wasi::{End, Process, component, preview1};
use super::{CellError, imports, io as wasi_io, translate};
use cellblock_contract::Limits;

/// Guests check at this interval whether their time is over.
const TICK: Duration = Duration::from_millis(50);
/// The bytes that a guest may hand to the host in one call.
const CROSSING: usize = 128 << 20;
/// The stack of a guest in bytes.
const STACK: usize = 1 << 20;
/// The addresses that a memory of a guest takes, in bytes: all that 32 bits reach, so that no access is compared with its length.
pub(super) const MEMORY_RESERVATION: u64 = 4 << 30;
/// The addresses before and behind it that belong to nobody, in bytes.
pub(super) const MEMORY_GUARD: u64 = 32 << 20;

/// The interface that a formatter exports, without its version.
const FORMATTER: &str = "cellblock:format/formatter";
/// The interface in which a formatter may tell what its kinds are, without its version.
const KINDS: &str = "cellblock:format/kinds";
/// The interface that a reader exports, without its version.
const READER: &str = "cellblock:format/reader";

/// How all WebAssembly begins.
const MAGIC: &[u8] = b"\0asm";
/// How a core module begins; a component has another version.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// A guest that can be called.
pub(super) struct Compiled<S: Services> {
    code: Code<S>,
    imports: Vec<String>,
}

enum Code<S: Services> {
    Formatter(Formatter<S>),
    Reader(Reader<S>),
    Module(InstancePre<preview1::Command<S>>),
    Component(component::CommandPre<component::Command<S>>),
}

/// A component of the contract, linked.
struct Formatter<S: Services> {
    pre: model::InstancePre<State<S>>,
    exports: GuestIndices,
    /// Where it tells what its kinds are, if it does.
    kinds: Option<SelfDescribedIndices>,
}

/// A reader, linked.
struct Reader<S: Services> {
    pre: model::InstancePre<State<S>>,
    exports: ReaderGuestIndices,
}

/// Why a guest cannot be used.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum LoadFailure {
    /// It is no component that this host can run: what the engine says.
    Malformed(String),
    /// The version of the contract that it is built for.
    Version(String),
    /// It is a command, and was to be a formatter of the contract.
    IsCommand,
    /// It is a module without a beginning.
    IsModule,
    /// It is a reader, and was to be a formatter.
    IsReader,
    /// It is a formatter, and was to be a reader.
    IsFormatter,
    /// The first import that it does not get.
    Import(Role, String),
    /// It does not fit the contract: what is missing or of another type.
    Contract(String),
    /// Its compiled code is not for this engine or this machine: what the engine says.
    Stale(String),
}

impl LoadFailure {
    /// The same with its text rewritten.
    pub(super) fn map(self, rewrite: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Malformed(reason) => Self::Malformed(rewrite(&reason)),
            Self::Version(version) => Self::Version(rewrite(&version)),
            Self::IsCommand => Self::IsCommand,
            Self::IsModule => Self::IsModule,
            Self::IsReader => Self::IsReader,
            Self::IsFormatter => Self::IsFormatter,
            Self::Import(role, import) => Self::Import(role, rewrite(&import)),
            Self::Contract(reason) => Self::Contract(rewrite(&reason)),
            Self::Stale(reason) => Self::Stale(rewrite(&reason)),
        }
    }

    pub(super) fn of(self, guest: &str) -> CellError {
        let guest = guest.to_owned();
        match self {
            Self::Malformed(reason) | Self::Stale(reason) => CellError::Malformed { guest, reason },
            Self::Version(needed) => CellError::Version {
                guest,
                needed,
                ours: version::ours().to_string(),
            },
            Self::IsCommand => CellError::IsCommand { guest },
            Self::IsModule => CellError::IsModule { guest },
            Self::IsReader => CellError::IsReader { guest },
            Self::IsFormatter => CellError::IsFormatter { guest },
            Self::Import(Role::Formatter, import) => CellError::Import { guest, import },
            Self::Import(Role::Reader, import) => CellError::ReaderImport { guest, import },
            Self::Import(Role::Command, import) => CellError::CommandImport { guest, import },
            Self::Contract(reason) => CellError::Contract { guest, reason },
        }
    }
}

/// An engine for guests that run in `home`.
pub(super) fn engine(home: Home) -> Result<Engine, CellError> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(home == Home::Host)
        .memory_init_cow(false)
        .memory_reservation(MEMORY_RESERVATION)
        .memory_guard_size(MEMORY_GUARD)
        .parallel_compilation(home == Home::Host && compiler_has_threads())
        .max_wasm_stack(STACK);
    Engine::new(&config).map_err(|error| CellError::Engine(format!("{error:#}")))
}

/// Whether this process has the threads that the compiler shares its work among. They start once, and before any other that
/// could take their places: the compiler would start them when it needs them, and panics where it may not.
fn compiler_has_threads() -> bool {
    static THREADS: OnceLock<bool> = OnceLock::new();
    *THREADS.get_or_init(
        || match rayon_core::ThreadPoolBuilder::new().build_global() {
            Ok(()) => true,
            // Without a cause, the program around this library has started them.
            Err(error) => error.source().is_none(),
        },
    )
}

/// The process that guests run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// The host's: their code looks at the time, and is compiled by all threads.
    Host,
    /// One of their own, which has one thread. The host ends it when their time is over, so that their code need not look.
    Own,
}

/// Compiles the guest in `bytes`: what [`Compiled::link`] takes.
pub(super) fn compile(engine: &Engine, role: Role, bytes: &[u8]) -> Result<Vec<u8>, LoadFailure> {
    if !bytes.starts_with(MAGIC) {
        let shown: String = bytes
            .iter()
            .take(MAGIC.len())
            .map(|byte| format!(" {byte:02x}"))
            .collect();
        return Err(LoadFailure::Malformed(match bytes {
            [] => "it is empty".to_owned(),
            _ => format!("its first bytes are{shown}, and those of WebAssembly 00 61 73 6d"),
        }));
    }
    if is_module(bytes) {
        return match role {
            Role::Formatter | Role::Reader => {
                let module = Module::new(engine, bytes).map_err(malformed)?;
                Err(match module.get_export_index("_start") {
                    Some(_) => command(role),
                    None => LoadFailure::IsModule,
                })
            }
            Role::Command => engine.precompile_module(bytes).map_err(malformed),
        };
    }
    engine.precompile_component(bytes).map_err(malformed)
}

/// What a command is that was to be something else.
fn command(role: Role) -> LoadFailure {
    match role {
        Role::Reader => LoadFailure::Contract("it is a WASI command, and no reader is".to_owned()),
        Role::Formatter | Role::Command => LoadFailure::IsCommand,
    }
}

fn is_module(bytes: &[u8]) -> bool {
    bytes.starts_with(MODULE)
}

impl<S: Services> Compiled<S> {
    /// Links the guest whose compiled code is in `code`.
    ///
    /// # Safety
    /// The code is native and runs with the rights of this process: it comes from [`compile`] in this process or in one of
    /// the same user, or this process is behind the wall and has none.
    #[expect(unsafe_code, reason = "the engine takes over native code")]
    pub(super) unsafe fn link(
        engine: &Engine,
        role: Role,
        code: &[u8],
    ) -> Result<Self, LoadFailure> {
        match Engine::detect_precompiled(code) {
            Some(Precompiled::Component) => {
                // SAFETY: the caller answers for the code.
                let component = unsafe { Component::deserialize(engine, code) }.map_err(stale)?;
                match role {
                    Role::Formatter => Self::formatter(engine, &component),
                    Role::Reader => Self::reader(engine, &component),
                    Role::Command => Self::command(engine, &component),
                }
            }
            Some(Precompiled::Module) => {
                // SAFETY: the caller answers for the code.
                let module = unsafe { Module::deserialize(engine, code) }.map_err(stale)?;
                match role {
                    Role::Formatter | Role::Reader => Err(command(role)),
                    Role::Command => Self::module(engine, &module),
                }
            }
            None => Err(LoadFailure::Stale("it is no compiled code".to_owned())),
        }
    }

    fn formatter(engine: &Engine, component: &Component) -> Result<Self, LoadFailure> {
        if imports::exports(engine, component, "wasi:cli/run") {
            return Err(LoadFailure::IsCommand);
        }
        let exports = |interface| imports::exports(engine, component, interface);
        if exports(READER) && !exports(FORMATTER) {
            return Err(LoadFailure::IsReader);
        }
        check_version(engine, component)?;
        let imports = imports::list(engine, component);
        check_imports(Role::Formatter, &imports)?;
        let formatter = contract_linker(engine, &imports)
            .and_then(|linker| linker.instantiate_pre(component))
            .and_then(|pre| Formatter::new(engine, component, pre))
            .map_err(unfit)?;
        Ok(Self {
            code: Code::Formatter(formatter),
            imports,
        })
    }

    fn reader(engine: &Engine, component: &Component) -> Result<Self, LoadFailure> {
        let exports = |interface| imports::exports(engine, component, interface);
        if exports("wasi:cli/run") {
            return Err(command(Role::Reader));
        }
        if exports(FORMATTER) && !exports(READER) {
            return Err(LoadFailure::IsFormatter);
        }
        check_version(engine, component)?;
        let imports = imports::list(engine, component);
        check_imports(Role::Reader, &imports)?;
        let linked = reader_linker(engine)
            .and_then(|linker| linker.instantiate_pre(component))
            .and_then(|pre| {
                let exports = ReaderGuestIndices::new(&pre)?;
                Ok(Reader { pre, exports })
            });
        Ok(Self {
            code: Code::Reader(linked.map_err(unfit)?),
            imports,
        })
    }

    fn module(engine: &Engine, module: &Module) -> Result<Self, LoadFailure> {
        let imports = preview1::imports(module);
        check_imports(Role::Command, &imports)?;
        Ok(Self {
            code: Code::Module(preview1::link(engine, module).map_err(unfit)?),
            imports,
        })
    }

    fn command(engine: &Engine, component: &Component) -> Result<Self, LoadFailure> {
        let imports = imports::list(engine, component);
        check_imports(Role::Command, &imports)?;
        Ok(Self {
            code: Code::Component(component::link(engine, component).map_err(unfit)?),
            imports,
        })
    }

    /// Its capabilities: the functions that it imports, each as `interface#function`.
    pub(super) fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Calls the guest in an instance of its own, which `services` answers.
    pub(super) fn call(
        &self,
        call: &Call,
        services: S,
        limits: Limits,
    ) -> (Result<Returned, Stopped>, S) {
        if let Err(stopped) = ready_this_thread() {
            return (Err(stopped), services);
        }
        match (&self.code, call) {
            (Code::Formatter(formatter), call) => {
                let engine = formatter.pre.engine();
                let mut store = store(engine, State::new(services, limits), limits);
                store.limiter(|state| &mut state.limiter);
                let returned = formatter.call(&mut store, call);
                let state = store.into_data();
                (ended(returned, state.limiter), state.services)
            }
            (Code::Reader(reader), call) => {
                let engine = reader.pre.engine();
                let mut store = store(engine, State::new(services, limits), limits);
                store.limiter(|state| &mut state.limiter);
                let returned = reader.call(&mut store, call);
                let state = store.into_data();
                (ended(returned, state.limiter), state.services)
            }
            (Code::Module(module), Call::Run(invocation)) => {
                let process = Process::new(invocation, services);
                let state = preview1::Command::new(process, limits);
                let mut store = store(module.module().engine(), state, limits);
                store.limiter(|state| &mut state.limiter);
                let code = preview1::run(module, &mut store);
                let state = store.into_data();
                exited(code, state.limiter, state.process)
            }
            (Code::Component(component), Call::Run(invocation)) => {
                let state = State::new(Process::new(invocation, services), limits);
                let mut store = store(component.engine(), state, limits);
                store.limiter(|state| &mut state.limiter);
                let code = component::run(component, &mut store);
                let state = store.into_data();
                exited(code, state.limiter, state.services)
            }
            (Code::Module(_) | Code::Component(_), _) => (Err(no_such_call()), services),
        }
    }
}

/// Makes this thread ready for a guest's code: the engine maps a stack for its signals once a thread, and panics where it cannot.
fn ready_this_thread() -> Result<(), Stopped> {
    // More than malloc ever takes from what it has, so that the kernel is asked, and more than that stack.
    const SPARE: usize = 64 << 20;
    let mut spare: Vec<u8> = Vec::new();
    let has_room = spare.try_reserve_exact(SPARE).is_ok();
    // Or else the compiler leaves out what nobody uses.
    std::hint::black_box(&mut spare);
    drop(spare);
    if !has_room {
        let reason = "less than 64 MiB of addresses are left to this process (ulimit -v)";
        return Err(Stopped::Trap(reason.to_owned()));
    }
    Engine::tls_eager_initialize();
    Ok(())
}

/// A store with limits, but for those of a limiter.
fn store<T>(engine: &Engine, state: T, limits: Limits) -> Store<T> {
    let mut store = Store::new(engine, state);
    store.set_hostcall_fuel(CROSSING);
    store.set_max_component_handles(limits.handles);
    let ticks = limits.time.as_millis().div_ceil(TICK.as_millis());
    // A time beyond what the engine counts, which adds the ticks to its own, is one that nobody sees the end of.
    const LONGEST: u64 = u64::MAX / 2;
    store.set_epoch_deadline(u64::try_from(ticks).map_or(LONGEST, |ticks| ticks.min(LONGEST)));
    store.epoch_deadline_trap();
    store
}

/// A guest that was refused memory and went on has no say either: what it made would depend on the limit.
fn ended(returned: wasmtime::Result<Returned>, limiter: Limiter) -> Result<Returned, Stopped> {
    match limiter.met {
        Some(what) => Err(Stopped::Limit(what)),
        None => returned.map_err(|error| Stopped::because_of(&error)),
    }
}

/// A command that was refused memory ends with an exit code or a trap, and the limit is the better reason; even if it went on,
/// what it made would depend on the limit. What a command said before a trap is told with it.
fn exited<S: Services>(
    code: wasmtime::Result<u32>,
    limiter: Limiter,
    mut process: Process<S>,
) -> (Result<Returned, Stopped>, S) {
    let how = match (code, limiter.met) {
        (_, Some(what)) => Err(Stopped::Limit(what)),
        (Ok(code), None) => Ok(End::Code(code)),
        (Err(error), None) => match Stopped::because_of(&error) {
            Stopped::Trap(reason) => Ok(End::Trap(reason)),
            stopped => Err(stopped),
        },
    };
    let exit = how.and_then(|how| {
        let exit = process.end(how);
        exit.map_err(|fault| Stopped::because_of(&fault.into()))
    });
    (exit.map(Returned::Ended), process.services)
}

/// The host calls a guest as what it was loaded.
fn no_such_call() -> Stopped {
    Stopped::Trap("it was called as what it is not".to_owned())
}

fn stale(error: wasmtime::Error) -> LoadFailure {
    LoadFailure::Stale(legible(&format!("{error:#}")))
}

fn malformed(error: wasmtime::Error) -> LoadFailure {
    LoadFailure::Malformed(legible(&format!("{error:#}")))
}

fn unfit(error: wasmtime::Error) -> LoadFailure {
    LoadFailure::Contract(legible(&format!("{error:#}")))
}

fn check_imports(role: Role, imports: &[String]) -> Result<(), LoadFailure> {
    match imports::first_beyond(role, imports) {
        Some(import) => Err(LoadFailure::Import(role, legible(import))),
        None => Ok(()),
    }
}

impl<S: Services> Formatter<S> {
    fn new(
        engine: &Engine,
        component: &Component,
        pre: model::InstancePre<State<S>>,
    ) -> wasmtime::Result<Self> {
        let exports = GuestIndices::new(&pre)?;
        let kinds = imports::exports(engine, component, KINDS)
            .then(|| SelfDescribedIndices::new(&pre))
            .transpose()?;
        Ok(Self {
            pre,
            exports,
            kinds,
        })
    }

    /// Makes a call in an instance of its own.
    fn call(&self, store: &mut Store<State<S>>, call: &Call) -> wasmtime::Result<Returned> {
        let instance = self.pre.instantiate(&mut *store)?;
        let exports = self.exports.load(&mut *store, &instance)?;
        let returned = enter(&exports, &mut *store, call)?;
        match (returned, &self.kinds) {
            (Returned::Described(mut description), Some(kinds)) => {
                let kinds = kinds.load(&mut *store, &instance)?;
                let told = kinds.cellblock_format_kinds().call_describe_kinds(store)?;
                translate::tell(&mut description, told).map_err(wasmtime::Error::msg)?;
                Ok(Returned::Described(description))
            }
            (returned, _) => Ok(returned),
        }
    }
}

fn enter<S: Services>(
    exports: &Exports,
    store: &mut Store<State<S>>,
    call: &Call,
) -> wasmtime::Result<Returned> {
    let formatter = exports.cellblock_format_formatter();
    Ok(match call {
        Call::Describe => Returned::Described(formatter.call_describe(store)?.into()),
        Call::Measure(request) => Returned::Measured(
            formatter
                .call_measure(store, &request.into())?
                .map_err(Into::into),
        ),
        Call::Format(request) => {
            let partition = Opened::Partition {
                reads: true,
                writes: true,
            };
            let partition = store.data_mut().table.push(partition)?;
            let ended = formatter.call_format(store, partition, &request.into())?;
            Returned::Formatted(ended.map(Into::into).map_err(Into::into))
        }
        Call::Run(_) | Call::DescribeReader | Call::Probe(_) | Call::Read { .. } => {
            wasmtime::bail!("a formatter is called as one")
        }
    })
}

impl<S: Services> Reader<S> {
    /// Makes a call in an instance of its own.
    fn call(&self, store: &mut Store<State<S>>, call: &Call) -> wasmtime::Result<Returned> {
        let instance = self.pre.instantiate(&mut *store)?;
        let exports: ReaderGuest = self.exports.load(&mut *store, &instance)?;
        let reader = exports.cellblock_format_reader();
        if let Call::DescribeReader = call {
            return Ok(Returned::ReaderDescribed(
                reader.call_describe(store)?.into(),
            ));
        }
        let partition = Opened::Partition {
            reads: true,
            writes: false,
        };
        let partition = store.data_mut().table.push(partition)?;
        let read = match call {
            Call::Probe(_) => reader.call_probe(store, partition)?,
            Call::Read { extents, .. } => {
                reader.call_read(store, partition, translate::reader_request(*extents))?
            }
            _ => wasmtime::bail!("a reader is called as one"),
        };
        Ok(Returned::Read(read.map(Into::into).map_err(Into::into)))
    }
}

/// Another version of the contract may have what this one has not: it is the better reason than the first such import.
fn check_version(engine: &Engine, component: &Component) -> Result<(), LoadFailure> {
    let kind = component.component_type();
    let imported = kind.imports(engine).map(|(name, _)| name);
    let names = imported.chain(kind.exports(engine).map(|(name, _)| name));
    match version::first_unserved(names, version::ours()) {
        Some(Unserved(version)) => Err(LoadFailure::Version(legible(&version))),
        None => Ok(()),
    }
}

fn contract_linker<S: Services>(
    engine: &Engine,
    imports: &[String],
) -> wasmtime::Result<Linker<State<S>>> {
    let mut linker = Linker::new(engine);
    tree::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
    placement::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
    progress::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
    filesystem::types::add_to_linker::<State<S>, HasSelf<State<S>>>(&mut linker, |state| state)?;
    wasi_io::error::add_to_linker::<State<S>, HasSelf<State<S>>>(&mut linker, |state| state)?;
    wasi_io::streams::add_to_linker::<State<S>, HasSelf<State<S>>>(&mut linker, |state| state)?;
    if imports.iter().any(|import| imports::is_encoding(import)) {
        encoding::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
        digests::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
    }
    Ok(linker)
}

fn reader_linker<S: Services>(engine: &Engine) -> wasmtime::Result<Linker<State<S>>> {
    let mut linker = Linker::new(engine);
    // For its types: what imports a function of it has been refused.
    tree::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
    listing::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
    decoding::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
    progress::add_to_linker::<State<S>, HasSelf<S>>(&mut linker, |state| &mut state.services)?;
    filesystem::types::add_to_linker::<State<S>, HasSelf<State<S>>>(&mut linker, |state| state)?;
    wasi_io::error::add_to_linker::<State<S>, HasSelf<State<S>>>(&mut linker, |state| state)?;
    wasi_io::streams::add_to_linker::<State<S>, HasSelf<State<S>>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// Advances the engine's epoch, by which guests know that time passes.
pub(super) struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(super) fn start(engine: &Engine) -> io::Result<Self> {
        let engine = engine.weak();
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().spawn(move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let Some(engine) = engine.upgrade() else {
                    return;
                };
                engine.increment_epoch();
            }
        })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
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
