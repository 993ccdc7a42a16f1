//! The second wall: a cell's guest in a process of its own, which can do nothing but compute and ask the host.
//!
//! ```text
//!     host ──────── starts itself ────────> cell
//!      │                                     │ nobody, without rights and namespaces       ┐ before it sees
//!      │                                     │ Landlock: no file, no network               │ a byte of the guest
//!      │                                     │ seccomp: memory, and the channel            ┘
//!      │ ──── component ───> compiles it ─── code ──> [kept]      and ends
//!      │ ──────── code ────> makes it ready  │
//!      │                                     │ seccomp: nothing that makes memory          ┐ before it calls
//!      │                                     │ executable                                  ┘ the guest
//!      │ <─ questions, by shared memory ──── │
//!      │ ───────────── answers ────────────> │
//! ```
//!
//! A socket to wake each other, and memory that both see, are all that a process has: no file, no folder of compiled code, no
//! environment, no arguments. The host answers it with the same code, and the same checks, as a cell in its own process, and
//! content never crosses: it is placed by the host. So a guest that broke out of WebAssembly can say what it could say before, and no more. What one process has
//! compiled is run in another: one that was taken over while it compiled has no more of the guest's than its code.

mod attempts;
mod calls;
mod channel;
mod codecs;
mod columns;
mod decoder;
mod decompress;
mod encoder;
mod filter;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;
mod identity;
mod inside;
mod lists;
mod lockdown;
mod message;
mod outside;
mod probe;
mod remote;
mod ring;
mod serve;
mod shared;
mod spawn;
mod unpacker;
mod unpacking;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use calls::Stage;
pub(super) use codecs::Compressor;
pub(super) use decompress::Decompressor;
pub use inside::run_if_cell;
pub use message::Attempt;
pub(super) use outside::{NoProcess, Process, Starter};
pub use probe::CallTried;
pub(super) use unpacking::Unpacking;

use super::CellError;
use super::call::Role;
use super::engine::LoadFailure;
use cellblock_contract::Limits;
use message::{Hello, Purpose};

/// What a program is started with to be a cell.
const ARGUMENT: &str = "cell";

/// A guest that runs in processes.
pub(super) struct Confined {
    starter: Arc<Starter>,
    name: String,
    role: Role,
    /// Its compiled code.
    code: Vec<u8>,
    imports: Vec<String>,
    layers: Vec<String>,
    hello: Hello,
    /// One that is ready.
    idle: Mutex<Option<Process>>,
}

impl Confined {
    /// Loads the guest with the compiled `code` in a process of its own. The inner error is of the guest or its code.
    pub(super) fn load(
        starter: &Arc<Starter>,
        name: &str,
        role: Role,
        code: Vec<u8>,
        limits: Limits,
    ) -> Result<Result<Self, LoadFailure>, NoProcess> {
        let hello = Hello {
            limits,
            purpose: Purpose::Run(role),
        };
        let mut process = Process::start(starter, name, &hello)?;
        let imports = match process.load(role, &code)? {
            Ok(imports) => imports,
            Err(failure) => return Ok(Err(failure)),
        };
        Ok(Ok(Self {
            starter: Arc::clone(starter),
            name: name.to_owned(),
            role,
            code,
            imports,
            layers: process.layers().to_vec(),
            hello,
            idle: Mutex::new(Some(process)),
        }))
    }

    /// Its compiled code.
    pub(super) fn code(&self) -> &[u8] {
        &self.code
    }

    /// What stands around each of its processes.
    pub(super) fn layers(&self) -> &[String] {
        &self.layers
    }

    /// The functions that the guest imports.
    pub(super) fn imports(&self) -> &[String] {
        &self.imports
    }

    /// A process with the guest, which has been shown no tree.
    pub(super) fn process(&self) -> Result<Process, CellError> {
        if let Some(idle) = self.lock().take() {
            return Ok(idle);
        }
        let mut process = Process::start(&self.starter, &self.name, &self.hello)?;
        process
            .load(self.role, &self.code)?
            .map_err(|failure| failure.of(&self.name))?;
        Ok(process)
    }

    /// Gives back a process that has been shown no tree.
    pub(super) fn give_back(&self, process: Process) {
        *self.lock() = Some(process);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Process>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compiles the guest in `bytes` in a process that ends with it: its code.
pub(super) fn compile(
    starter: &Starter,
    name: &str,
    role: Role,
    bytes: &[u8],
    limits: Limits,
) -> Result<Vec<u8>, NoProcess> {
    let hello = Hello {
        limits,
        purpose: Purpose::Compile(role),
    };
    Ok(Process::start(starter, name, &hello)?.compile(bytes)?)
}

/// What a process behind the wall tries in order to get out, and what comes of it.
pub(super) fn attempts(starter: &Starter, limits: Limits) -> Result<Vec<Attempt>, NoProcess> {
    let purpose = Purpose::Attempts {
        host: std::process::id(),
    };
    Ok(Process::start(starter, "attempts", &Hello { limits, purpose })?.tries()?)
}

/// The system calls that are let through for a process behind the wall, which tries them all in each stage.
pub(super) fn calls(starter: &Starter, limits: Limits) -> Result<Vec<CallTried>, NoProcess> {
    let mut tried = Vec::new();
    for stage in [Stage::Compiling, Stage::Running] {
        let purpose = Purpose::Calls {
            stage,
            host: std::process::id(),
        };
        let mut process = Process::start(starter, "calls", &Hello { limits, purpose })?;
        tried.extend(process.tries::<CallTried>()?);
    }
    Ok(tried)
}
