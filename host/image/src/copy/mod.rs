//! Copying between files, in the kernel where it can.

mod threads;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::Errno;

use super::ImageError;
use cellblock_tree::source::Seen;

pub use threads::Copying;
pub(super) use threads::{Part, parts, pieces, shift};

/// The bytes that are read at a time where the kernel cannot copy.
const BUFFER: usize = 1 << 20;
/// The bytes that the kernel is asked to copy at a time, so that who watches learns of it.
const STEP: usize = 64 << 20;
/// File systems on this machine's disks and in its memory, by the numbers of `statfs(2)`: ext2 to ext4, XFS, tmpfs, overlayfs.
const LOCAL: [i128; 4] = [0xef53, 0x5846_5342, 0x0102_1994, 0x794c_7630];
/// File systems that can have files share blocks, by the same numbers: XFS, Btrfs, bcachefs, and overlayfs on them.
const SHARING: [i128; 4] = [0x5846_5342, 0x9123_683e, 0xca45_1a4e, 0x794c_7630];
/// Blocks that are shared begin at multiples of it, or of more.
const SHARED_BLOCK: u64 = 4096;
/// The zeros that are written at a time.
const ZEROS: usize = 1 << 20;

/// Is told of each number of bytes that is done: copied, or left as a hole.
pub(super) type Watch<'a> = &'a dyn Fn(u64);

/// Nobody watches.
pub(super) const UNWATCHED: Watch<'static> = &|_| {};

/// Copies `length` bytes at `from` of `source` to `to` of `target`: cloned, or copied by the kernel, or by hand, whatever
/// works first. Returns how many there were, fewer if `source` ends before.
pub(super) fn range(
    source: BorrowedFd<'_>,
    from: u64,
    target: &File,
    to: u64,
    length: u64,
    watch: Watch<'_>,
) -> io::Result<u64> {
    let mut done = 0;
    while done < length {
        let (mut position_in, mut position_out) = (from + done, to + done);
        let most = at_most(length - done, STEP);
        let copied = rustix::fs::copy_file_range(
            source,
            Some(&mut position_in),
            target.as_fd(),
            Some(&mut position_out),
            most,
        );
        match copied {
            Ok(0) => break,
            Ok(count) => {
                done += count as u64;
                watch(count as u64);
            }
            Err(Errno::INTR) => {}
            Err(
                Errno::XDEV
                | Errno::INVAL
                | Errno::NOSYS
                | Errno::OPNOTSUPP
                | Errno::PERM
                | Errno::BADF
                | Errno::TXTBSY,
            ) => break,
            Err(error) => return Err(error.into()),
        }
    }
    // What the kernel leaves, which is nothing as a rule.
    let rest = done..length;
    by_hand(source, from, target, to, rest, &mut Vec::new(), watch)
}

/// Copies the `rest` of what begins at `from` and at `to`, through `buffer`. Returns where it ended.
fn by_hand(
    source: BorrowedFd<'_>,
    from: u64,
    target: &File,
    to: u64,
    rest: Range<u64>,
    buffer: &mut Vec<u8>,
    watch: Watch<'_>,
) -> io::Result<u64> {
    let (mut done, length) = (rest.start, rest.end);
    let buffer = room(buffer, at_most(length - done, BUFFER));
    while done < length {
        let most = at_most(length - done, BUFFER);
        let count = match rustix::io::pread(source, &mut buffer[..most], from + done) {
            Ok(0) => break,
            Ok(count) => count,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        target.write_all_at(&buffer[..count], to + done)?;
        done += count as u64;
        watch(count as u64);
    }
    Ok(done)
}

/// Whether the disk of `target` can have it share blocks with other files.
pub(super) fn can_share(target: &File) -> bool {
    is_of(target, &SHARING) && !cannot_clone(target)
}

/// Has the disk share the first `length` bytes of `source` at `to` of `target`. Whether it did, or the kernel copied them.
pub(super) fn share(source: &File, target: &File, to: u64, length: u64) -> bool {
    let are_blocks = to.is_multiple_of(SHARED_BLOCK) && length.is_multiple_of(SHARED_BLOCK);
    let Ok(count) = usize::try_from(length) else {
        return false;
    };
    let (mut from, mut to) = (0, to);
    are_blocks
        && rustix::fs::copy_file_range(source, Some(&mut from), target, Some(&mut to), count)
            .is_ok_and(|copied| copied == count)
}

/// Whether a file is on one of these file systems.
fn is_of(file: &File, kinds: &[i128]) -> bool {
    let found = rustix::fs::fstatfs(file);
    found.is_ok_and(|about| kinds.iter().any(|magic| i128::from(about.f_type) == *magic))
}

/// A file is never cloned into itself: a file system that can clone has another error.
fn cannot_clone(file: &File) -> bool {
    rustix::fs::ioctl_ficlone(file, file) == Err(Errno::OPNOTSUPP)
}

/// How threads copy ranges of large files into one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The kernel copies: it clones where the disk can, and one thread is at its fastest.
    Kernel,
    /// Each thread reads and writes. Where the kernel cannot clone, it would copy a few pages at a time, read and written both
    /// under the lock of the file, which only one thread has.
    Buffer,
}

impl Way {
    /// The faster one for several threads that copy into `target` side by side.
    pub(super) fn of_threads(target: &File) -> Self {
        // Servers of files copy by themselves, whether they clone or not.
        if is_of(target, &LOCAL) && cannot_clone(target) {
            Self::Buffer
        } else {
            Self::Kernel
        }
    }

    /// Copies `length` bytes at `from` of `source` to `to` of `target`. Returns how many there were, fewer if `source` ends
    /// before.
    pub(super) fn copy(
        self,
        source: BorrowedFd<'_>,
        from: u64,
        target: &File,
        to: u64,
        length: u64,
        buffer: &mut Vec<u8>,
    ) -> io::Result<u64> {
        match self {
            Self::Kernel => range(source, from, target, to, length, UNWATCHED),
            Self::Buffer => by_hand(source, from, target, to, 0..length, buffer, UNWATCHED),
        }
    }
}

/// Copies the data among the `length` bytes at `from` of `source` to `to` of `target`, whose bytes there are zeros:
/// holes stay holes.
pub(super) fn data(
    source: &File,
    from: u64,
    target: &File,
    to: u64,
    length: u64,
    how: Copying<'_>,
) -> io::Result<()> {
    let extents = extents(source, from, length)?;
    let bytes: u64 = extents.iter().map(|it| it.end - it.start).sum();
    (how.watch)(length - bytes);
    let part = |extent: Range<u64>| Part {
        to: to + (extent.start - from),
        from: extent,
    };
    parts(source, extents.into_iter().map(part).collect(), target, how)
}

/// Copies the file at `path`, which has `length` bytes, to `to` of `target`, whose bytes there are zeros. What fails about the
/// target is inside.
///
/// # Errors
/// [`ImageError`] if the file cannot be read or has another length.
pub(super) fn raw_file(
    path: &Path,
    length: u64,
    target: &File,
    to: u64,
    how: Copying<'_>,
) -> Result<io::Result<()>, ImageError> {
    let raw = |source| ImageError::Raw {
        path: path.to_owned(),
        source,
    };
    let changed = |change: String| ImageError::RawChanged {
        path: path.to_owned(),
        how: change,
    };
    let source = File::open(path).map_err(raw)?;
    let seen = Seen::of(&source).map_err(raw)?;
    if seen.size() != length {
        let change = format!("it had {length} bytes, and has {}", seen.size());
        return Err(changed(change));
    }
    let copied = match data(&source, 0, target, to, length, how) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(raw(error)),
        copied => copied,
    };
    match seen.change(&source).map_err(raw)? {
        Some(change) => Err(changed(change)),
        None => Ok(copied),
    }
}

/// Copies a range of `source`, all of it, to `to` of `target`.
fn exact(
    source: &File,
    from: Range<u64>,
    target: &File,
    to: u64,
    watch: Watch<'_>,
) -> io::Result<()> {
    let length = from.end - from.start;
    let count = range(source.as_fd(), from.start, target, to, length, watch)?;
    if count < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// Where among the `length` bytes at `from` of `file` there is data, in ascending order; the rest are holes.
pub(super) fn extents(file: &File, from: u64, length: u64) -> io::Result<Vec<Range<u64>>> {
    let end = from + length;
    let mut extents = Vec::new();
    let mut position = from;
    while position < end {
        let start = match rustix::fs::seek(file, SeekFrom::Data(position)) {
            Ok(start) => start.min(end),
            Err(Errno::NXIO) => break,
            // A file system that does not tell: all of it is data.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => position,
            Err(error) => return Err(error.into()),
        };
        let stop = match rustix::fs::seek(file, SeekFrom::Hole(start)) {
            Ok(stop) => stop.min(end),
            Err(_) => end,
        };
        if start < stop {
            extents.push(start..stop);
        }
        position = stop.max(position + 1);
    }
    Ok(extents)
}

/// Makes a range zeros: a hole, or written where the file system cannot take blocks back.
pub(super) fn erase(file: &File, range: Range<u64>) -> io::Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    let length = range.end - range.start;
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    if rustix::fs::fallocate(file, flags, range.start, length).is_ok() {
        return Ok(());
    }
    let zeros = vec![0; ZEROS];
    for data in extents(file, range.start, length)? {
        let mut offset = data.start;
        while offset < data.end {
            let count = at_most(data.end - offset, ZEROS);
            file.write_all_at(&zeros[..count], offset)?;
            offset += count as u64;
        }
    }
    Ok(())
}

/// The smaller of a count of bytes and the room that there is for them.
pub(super) fn at_most(count: u64, room: usize) -> usize {
    usize::try_from(count).map_or(room, |count| count.min(room))
}

/// So many bytes of a buffer, which keeps its length, so that it is not filled with zeros each time.
pub(super) fn room(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    &mut buffer[..length]
}
