//! What is said across the wall.
//!
//! ```text
//!     host                                       cell
//!       Hello, with what it may use  ──────────>
//!                                    <──────────  Greeting: the first stage stands, or what is missing
//!       the component                ──────────>
//!                                    <──────────  Loaded: the second stage stands, and the guest is ready
//!       Call                         ──────────>
//!                                    <──────────  Question   ┐ as long as
//!       its answer                   ──────────>             ┘ the guest asks
//!                                    <──────────  Returned or stopped
//! ```

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cell::Limits;
use crate::cell::bindings::cellblock::format::placement::Placement;
use crate::cell::bindings::cellblock::format::progress::Level;
use crate::cell::call::{Returned, Role, Stopped};
use crate::cell::engine::LoadFailure;

/// What a cell may use, and what it is for.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) limits: Limits,
    /// The guest's folder of compiled code.
    pub(super) cache: Option<PathBuf>,
    pub(super) purpose: Purpose,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// Running a guest, whose bytes follow.
    Guest(Role),
    /// Trying, in place of a guest, to get out.
    Attempts,
}

/// Whether a cell can lock itself up.
#[derive(Serialize, Deserialize)]
pub(super) enum Greeting {
    Ready,
    /// What the kernel lacks. It is said before the cell has seen a byte of the guest.
    Missing(String),
}

/// Whether a cell has what it is to run.
#[derive(Serialize, Deserialize)]
pub(super) enum Loaded {
    /// The functions that the guest imports.
    Ready(Vec<String>),
    Failed(LoadFailure),
    /// The second stage does not stand: why.
    Open(String),
}

/// What a cell says while it is called.
#[derive(Serialize, Deserialize)]
pub(super) enum FromCell {
    Question(Question),
    Ended(Result<Returned, Stopped>),
}

/// What a guest asks of the host. `Rewind` and `Log` are not answered.
#[derive(Serialize, Deserialize)]
pub(super) enum Question {
    Next(u32),
    Rewind,
    Ranges(u32),
    /// Answered with the bytes.
    Read {
        file: u32,
        offset: u64,
        length: u32,
    },
    Place(Vec<Placement>),
    Log(Level, String),
    /// Answered with the bytes.
    ReadPartition {
        length: u64,
        offset: u64,
    },
    /// With the bytes.
    WritePartition {
        offset: u64,
    },
}

/// What a cell tried in order to get out, and what the kernel said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What it tried.
    pub what: String,
    /// The kernel's refusal; none if it succeeded.
    pub refusal: Option<String>,
}
