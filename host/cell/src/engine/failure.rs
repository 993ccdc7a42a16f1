//! Why a guest cannot be used.

use serde::{Deserialize, Serialize};

use crate::CellError;
use crate::call::Role;
use crate::legible::legible;
use crate::version;

/// Why a guest cannot be used.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum LoadFailure {
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
    pub(crate) fn map(self, rewrite: impl Fn(&str) -> String) -> Self {
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

    pub(crate) fn of(self, guest: &str) -> CellError {
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

pub(super) fn stale(error: wasmtime::Error) -> LoadFailure {
    LoadFailure::Stale(legible(&format!("{error:#}")))
}

pub(super) fn malformed(error: wasmtime::Error) -> LoadFailure {
    LoadFailure::Malformed(legible(&format!("{error:#}")))
}

pub(super) fn unfit(error: wasmtime::Error) -> LoadFailure {
    LoadFailure::Contract(legible(&format!("{error:#}")))
}
