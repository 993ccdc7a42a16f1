//! A guest in the engine: compiled, linked to the contract and to nothing else, and run.

mod contract;
mod failure;
mod ticker;

use std::error::Error as _;
use std::sync::OnceLock;
use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::{Config, Engine, InstancePre, Module, OptLevel, Precompiled, Store};

use super::call::{Call, Returned, Role, Stopped};
use super::legible::legible;
use super::limiter::Limiter;
use super::state::{Services, State};
use super::wasi::{End, Process, component, preview1};
use super::{CellError, imports};
use cellblock_contract::Limits;

pub(super) use failure::LoadFailure;
pub(super) use ticker::Ticker;

use contract::{FORMATTER, Formatter, READER, Reader, check_version};
use failure::{malformed, stale, unfit};

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
        let formatter = Formatter::link(engine, component, &imports);
        Ok(Self {
            code: Code::Formatter(formatter.map_err(unfit)?),
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
        let reader = Reader::link(engine, component);
        Ok(Self {
            code: Code::Reader(reader.map_err(unfit)?),
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
                called(formatter.engine(), services, limits, |store| {
                    formatter.call(store, call)
                })
            }
            (Code::Reader(reader), call) => called(reader.engine(), services, limits, |store| {
                reader.call(store, call)
            }),
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

/// Calls a component of the contract in a store of its own.
fn called<S: Services>(
    engine: &Engine,
    services: S,
    limits: Limits,
    call: impl FnOnce(&mut Store<State<S>>) -> wasmtime::Result<Returned>,
) -> (Result<Returned, Stopped>, S) {
    let mut store = store(engine, State::new(services, limits), limits);
    store.limiter(|state| &mut state.limiter);
    let returned = call(&mut store);
    let state = store.into_data();
    (ended(returned, state.limiter), state.services)
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

fn check_imports(role: Role, imports: &[String]) -> Result<(), LoadFailure> {
    match imports::first_beyond(role, imports) {
        Some(import) => Err(LoadFailure::Import(role, legible(import))),
        None => Ok(()),
    }
}
