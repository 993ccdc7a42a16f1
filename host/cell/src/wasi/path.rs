//! The paths of a command: `/` is a directory with one file in it, and there is nothing else.

use super::PARTITION;
use crate::bindings::wasi::filesystem::types::ErrorCode;

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Root,
    Partition,
    /// A name in the root that nothing has.
    Absent,
}

/// Follows a path from the root, which is its own parent. No host is asked.
pub(super) fn resolve(path: &[u8]) -> Result<Target, ErrorCode> {
    if path.is_empty() {
        return Err(ErrorCode::NoEntry);
    }
    let mut at = Target::Root;
    for name in path.split(|byte| *byte == b'/') {
        at = match (at, name) {
            (Target::Root, b"" | b"." | b"..") => Target::Root,
            (Target::Root, name) if name == PARTITION.as_bytes() => Target::Partition,
            (Target::Root, _) | (Target::Absent, b"" | b".") => Target::Absent,
            (Target::Partition, _) => return Err(ErrorCode::NotDirectory),
            (Target::Absent, _) => return Err(ErrorCode::NoEntry),
        };
    }
    Ok(at)
}

/// As [`resolve`]; a name that nothing has is an error.
pub(super) fn resolve_existing(path: &[u8]) -> Result<Target, ErrorCode> {
    match resolve(path)? {
        Target::Absent => Err(ErrorCode::NoEntry),
        target => Ok(target),
    }
}

/// Why nothing new is made at a path.
pub(super) fn refuse_new(path: &[u8]) -> ErrorCode {
    match resolve(path) {
        Ok(Target::Absent) => ErrorCode::Access,
        Ok(Target::Root | Target::Partition) => ErrorCode::Exist,
        Err(code) => code,
    }
}

/// Why the file at a path is not removed.
pub(super) fn refuse_unlink(path: &[u8]) -> ErrorCode {
    match resolve_existing(path) {
        Ok(Target::Root) => ErrorCode::IsDirectory,
        Ok(_) => ErrorCode::Access,
        Err(code) => code,
    }
}

/// Why the directory at a path is not removed.
pub(super) fn refuse_remove_directory(path: &[u8]) -> ErrorCode {
    match resolve_existing(path) {
        Ok(Target::Root) => ErrorCode::Busy,
        Ok(_) => ErrorCode::NotDirectory,
        Err(code) => code,
    }
}

/// Why what is at a path gets no other name.
pub(super) fn refuse_rename(path: &[u8]) -> ErrorCode {
    match resolve_existing(path) {
        Ok(_) => ErrorCode::Access,
        Err(code) => code,
    }
}

/// Why what is at a path is no link that could be read.
pub(super) fn refuse_readlink(path: &[u8]) -> ErrorCode {
    match resolve_existing(path) {
        Ok(_) => ErrorCode::Invalid,
        Err(code) => code,
    }
}

/// What opening asks for beyond a path.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    pub(super) create: bool,
    pub(super) exclusive: bool,
    pub(super) directory: bool,
    pub(super) truncate: bool,
    pub(super) write: bool,
}

/// What is opened at a path: the root or the partition.
pub(super) fn open(path: &[u8], wish: Wish) -> Result<Target, ErrorCode> {
    let target = resolve(path)?;
    match target {
        Target::Absent if wish.create => Err(ErrorCode::Access),
        Target::Absent => Err(ErrorCode::NoEntry),
        _ if wish.create && wish.exclusive => Err(ErrorCode::Exist),
        Target::Root if wish.write || wish.create || wish.truncate => Err(ErrorCode::IsDirectory),
        Target::Partition if wish.directory => Err(ErrorCode::NotDirectory),
        Target::Partition if wish.truncate && !wish.write => Err(ErrorCode::Access),
        target => Ok(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_ends_at_the_root_at_the_partition_or_nowhere() {
        for path in ["/", ".", "..", "/../..", "././/"] {
            assert_eq!(resolve(path.as_bytes()), Ok(Target::Root), "{path}");
        }
        for path in [
            "partition.img",
            "/partition.img",
            "./../partition.img",
            "//partition.img",
        ] {
            assert_eq!(resolve(path.as_bytes()), Ok(Target::Partition), "{path}");
        }
        for path in [
            "partition.img/",
            "partition.img/.",
            "partition.img/..",
            "partition.img/x",
        ] {
            assert_eq!(
                resolve(path.as_bytes()),
                Err(ErrorCode::NotDirectory),
                "{path}"
            );
        }
        for path in [
            "etc",
            "partition.imgx",
            "partition.img\0",
            "Partition.img",
            "dev/",
        ] {
            assert_eq!(resolve(path.as_bytes()), Ok(Target::Absent), "{path}");
        }
        for path in ["", "etc/passwd", "proc/self/fd/0", "etc/../partition.img"] {
            assert_eq!(resolve(path.as_bytes()), Err(ErrorCode::NoEntry), "{path}");
        }
    }
}
