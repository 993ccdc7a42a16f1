//! The paths of a command: `/` is a directory with one file in it, and there is nothing else.

use super::{ErrorCode, PARTITION};

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Root,
    Partition,
    /// A name in the root that nothing has.
    Absent,
}

/// Follows a path from the root, which is its own parent. No host is asked.
fn resolve(path: &[u8]) -> Result<Target, ErrorCode> {
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

/// What is there at a path.
pub(super) fn look(path: &[u8]) -> Result<Target, ErrorCode> {
    match resolve(path)? {
        Target::Absent => Err(ErrorCode::NoEntry),
        target => Ok(target),
    }
}

/// What is done at no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Making something new there.
    Make,
    /// Removing the file.
    Unlink,
    /// Removing the directory.
    RemoveDirectory,
    /// Giving it another name.
    Rename,
    /// Telling where the link leads that is there.
    ReadLink,
}

/// Why it is not done: the reason that the path deserves.
pub(super) fn refusal(path: &[u8], refused: Refused) -> ErrorCode {
    let target = match resolve(path) {
        Ok(target) => target,
        Err(code) => return code,
    };
    match (refused, target) {
        (Refused::Make, Target::Absent) => ErrorCode::Access,
        (Refused::Make, _) => ErrorCode::Exist,
        (_, Target::Absent) => ErrorCode::NoEntry,
        (Refused::Unlink, Target::Root) => ErrorCode::IsDirectory,
        (Refused::RemoveDirectory, Target::Root) => ErrorCode::Busy,
        (Refused::RemoveDirectory, Target::Partition) => ErrorCode::NotDirectory,
        (Refused::Unlink | Refused::Rename, _) => ErrorCode::Access,
        (Refused::ReadLink, _) => ErrorCode::Invalid,
    }
}

/// What opening asks for beyond a path.
#[derive(Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) create: bool,
    pub(crate) exclusive: bool,
    pub(crate) directory: bool,
    pub(crate) truncate: bool,
    pub(crate) read: bool,
    pub(crate) write: bool,
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
