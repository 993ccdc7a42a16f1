//! The error numbers of preview 1.

use crate::files::{self, ErrorCode};

/// An error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Errno(i32);

impl Errno {
    pub(super) const ACCES: Self = Self(2);
    pub(super) const BADF: Self = Self(8);
    pub(super) const BUSY: Self = Self(10);
    pub(super) const EXIST: Self = Self(20);
    pub(super) const FAULT: Self = Self(21);
    pub(super) const FBIG: Self = Self(22);
    pub(super) const INVAL: Self = Self(28);
    pub(super) const IO: Self = Self(29);
    pub(super) const ISDIR: Self = Self(31);
    pub(super) const MFILE: Self = Self(33);
    pub(super) const NAMETOOLONG: Self = Self(37);
    pub(super) const NOENT: Self = Self(44);
    pub(super) const NOSPC: Self = Self(51);
    pub(super) const NOTDIR: Self = Self(54);
    pub(super) const NOTSUP: Self = Self(58);
    pub(super) const OVERFLOW: Self = Self(61);
    pub(super) const PERM: Self = Self(63);
    pub(super) const SPIPE: Self = Self(70);
    pub(super) const NOTCAPABLE: Self = Self(76);

    pub(super) fn number(self) -> i32 {
        self.0
    }
}

impl From<ErrorCode> for Errno {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Access => Self::ACCES,
            ErrorCode::BadDescriptor => Self::BADF,
            ErrorCode::Busy => Self::BUSY,
            ErrorCode::Exist => Self::EXIST,
            ErrorCode::FileTooLarge => Self::FBIG,
            ErrorCode::InsufficientSpace => Self::NOSPC,
            ErrorCode::Invalid => Self::INVAL,
            ErrorCode::IsDirectory => Self::ISDIR,
            ErrorCode::NoEntry => Self::NOENT,
            ErrorCode::NotDirectory => Self::NOTDIR,
            ErrorCode::NotPermitted => Self::PERM,
            ErrorCode::Overflow => Self::OVERFLOW,
            ErrorCode::Unsupported => Self::NOTSUP,
            ErrorCode::Io => Self::IO,
        }
    }
}

/// Why a call is not answered.
pub(super) enum Fault {
    /// It fails.
    Errno(Errno),
    /// The command ends.
    End(wasmtime::Error),
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<ErrorCode> for Fault {
    fn from(code: ErrorCode) -> Self {
        Self::Errno(code.into())
    }
}

impl From<files::Fault> for Fault {
    fn from(fault: files::Fault) -> Self {
        match fault {
            files::Fault::Code(code) => code.into(),
            files::Fault::End(error) => Self::End(error),
        }
    }
}
