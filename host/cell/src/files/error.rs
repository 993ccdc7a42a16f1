//! Why a call of a file fails.

use serde::{Deserialize, Serialize};

/// Why a call of a file fails, of what WASI has words for: those that there is a use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ErrorCode {
    #[error("access")]
    Access,
    #[error("bad-descriptor")]
    BadDescriptor,
    #[error("busy")]
    Busy,
    #[error("exist")]
    Exist,
    #[error("file-too-large")]
    FileTooLarge,
    #[error("insufficient-space")]
    InsufficientSpace,
    #[error("invalid")]
    Invalid,
    #[error("io")]
    Io,
    #[error("is-directory")]
    IsDirectory,
    #[error("no-entry")]
    NoEntry,
    #[error("not-directory")]
    NotDirectory,
    #[error("not-permitted")]
    NotPermitted,
    #[error("overflow")]
    Overflow,
    #[error("unsupported")]
    Unsupported,
}

/// Why a call is not answered.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The call fails.
    Code(ErrorCode),
    /// The guest ends.
    End(wasmtime::Error),
}

impl From<ErrorCode> for Fault {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<Fault> for wasmtime::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Code(code) => Self::msg(format!("its file could not be written: {code}")),
            Fault::End(error) => error,
        }
    }
}

impl From<wasmtime::Error> for Fault {
    fn from(error: wasmtime::Error) -> Self {
        Self::End(error)
    }
}
