//! What stands around a cell: what is wished for, and what came of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is to stand around a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Walls {
    /// WebAssembly.
    #[default]
    Wasm,
    /// And a process that can do nothing. The program must begin with [`run_if_cell`](super::run_if_cell).
    Process,
    /// The same where the kernel has what it takes. Elsewhere, guests that are built in run behind WebAssembly alone, which
    /// [`Runtime::missing_wall`](super::Runtime::missing_wall) tells, and those that somebody brought do not run.
    Strongest,
}

/// Where a guest runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuestPlace {
    /// In WebAssembly alone.
    Wasm,
    /// In WebAssembly, in a process that can do nothing.
    Process,
}

/// Where codecs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CodecPlace {
    /// In threads of this process.
    Thread,
    /// In processes that can do nothing but compress and decompress.
    Process,
}

impl fmt::Display for GuestPlace {
    /// As records have it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Wasm => "wasm",
            Self::Process => "process",
        })
    }
}

/// What stands around a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Wall {
    /// Where the guest runs.
    pub wall: GuestPlace,
    /// What kept the process from standing where it was wished for.
    #[serde(rename = "no-process", skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// What the process has given up, and the kernel lets a process give up here: such as `landlock-7`, `seccomp`,
    /// `user`, `network-namespace`. None of a cell without a process.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
}
