//! The second wall: a cell's guest in a process of its own, which can do nothing but compute and ask the host.
//!
//! ```text
//!     host ──────── starts itself ────────> cell
//!      │                                     │ Landlock: no file but its compiled code     ┐ before it sees
//!      │                                     │ seccomp: no program, socket, signal, thread ┘ a byte of the guest
//!      │                                     │ compiles the guest, or takes it from its cache
//!      │                                     │ Landlock: no file at all                    ┐ before it calls
//!      │                                     │ seccomp: memory, and the channel            ┘ the guest
//!      │ <──── questions, over a socket ──── │
//!      │ ───────────── answers ────────────> │
//! ```
//!
//! The socket is all that the process has: no file of the image, no environment, no arguments. The host answers it with the
//! same code, and the same checks, as a cell in its own process, and content never crosses: it is placed by the host.
//! So a guest that broke out of WebAssembly can say what it could say before, and no more.

mod attempts;
mod calls;
mod channel;
mod columns;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;
mod inside;
mod lockdown;
mod message;
mod outside;
mod remote;
mod serve;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use inside::run_if_cell;
pub use message::Attempt;
pub(super) use outside::{NoProcess, Process, Starter};

use super::CellError;
use super::call::Role;
use cellblock_contract::Limits;
use message::{Hello, Purpose};

/// What a program is started with to be a cell.
const ARGUMENT: &str = "cell";

/// A guest that runs in processes.
pub(super) struct Confined {
    starter: Arc<Starter>,
    name: String,
    role: Role,
    bytes: Vec<u8>,
    imports: Vec<String>,
    hello: Hello,
    /// One that is ready.
    idle: Mutex<Option<Process>>,
}

impl Confined {
    /// Loads the guest in `bytes` in a process of its own.
    pub(super) fn load(
        starter: &Arc<Starter>,
        name: &str,
        role: Role,
        bytes: &[u8],
        limits: Limits,
        cache: Option<PathBuf>,
    ) -> Result<Self, NoProcess> {
        let hello = Hello {
            limits,
            cache,
            purpose: Purpose::Guest(role),
        };
        let mut process = Process::start(starter, name, &hello)?;
        Ok(Self {
            starter: Arc::clone(starter),
            name: name.to_owned(),
            role,
            imports: process.load(role, bytes)?,
            bytes: bytes.to_vec(),
            hello,
            idle: Mutex::new(Some(process)),
        })
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
        process.load(self.role, &self.bytes)?;
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

/// What a process behind the wall tries in order to get out, and what comes of it.
pub(super) fn attempts(
    starter: &Starter,
    limits: Limits,
    cache: Option<PathBuf>,
) -> Result<Vec<Attempt>, NoProcess> {
    let hello = Hello {
        limits,
        cache,
        purpose: Purpose::Attempts,
    };
    Ok(Process::start(starter, "attempts", &hello)?.attempts()?)
}
