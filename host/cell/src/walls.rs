//! What stands around a cell: what is wished for, and what came of it.

use serde::Serialize;

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

/// What stands around a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Wall {
    /// `wasm`, or `process`, which is WebAssembly in a process that can do nothing.
    pub wall: &'static str,
    /// What kept the process from standing where it was wished for.
    #[serde(rename = "no-process", skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// What the process has given up, and the kernel lets a process give up here: such as `landlock-7`, `seccomp`,
    /// `user`, `network-namespace`. None of a cell without a process.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
}
