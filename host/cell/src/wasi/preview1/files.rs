//! The functions of preview 1 that take a descriptor.

use super::descriptors::{Descriptor, Open};
use super::errno::Errno;
use super::memory::{Memory, behind};
use super::{Done, State};
use crate::state::Services;
use crate::wasi::file::CALL;
use crate::wasi::path::Target;
use crate::wasi::{Fault, PARTITION, process};

/// The most pieces of memory in one call.
const VECTORS: u32 = 1024;

/// Kinds of files.
const UNKNOWN: u8 = 0;
const DIRECTORY: u8 = 3;
const REGULAR_FILE: u8 = 4;

/// Rights that say how something was opened.
pub(super) const READ: u64 = 1 << 1;
pub(super) const WRITE: u64 = 1 << 6;
/// Those to seek and to tell, which streams lack.
const POSITION: u64 = 1 << 2 | 1 << 5;
/// All but those to read, to write and for sockets.
const OTHERS: u64 = ((1 << 28) - 1) & !(READ | WRITE);

/// What a directory has no use for: to set its size, and the sizes of files by their paths, as a path that is opened to be
/// cut off must be opened for writing.
const NOT_OF_DIRECTORIES: u64 = POSITION | 1 << 7 | 1 << 8 | 1 << 19 | 1 << 22;

pub(super) fn fd_advise<S: Services>(
    state: &mut State<S>,
    _memory: &mut Memory<'_>,
    fd: u32,
    _offset: u64,
    _length: u64,
    _advice: u32,
) -> Done {
    state.descriptors.file(fd)?;
    Ok(())
}

pub(super) fn fd_allocate<S: Services>(
    state: &mut State<S>,
    _memory: &mut Memory<'_>,
    fd: u32,
    offset: u64,
    length: u64,
) -> Done {
    writable(state, fd)?;
    let end = offset.checked_add(length).ok_or(Errno::FBIG)?;
    if end > state.process.file_length() {
        state.process.resize_file(end)?;
    }
    Ok(())
}

pub(super) fn fd_close<S: Services>(
    state: &mut State<S>,
    _memory: &mut Memory<'_>,
    fd: u32,
) -> Done {
    if let Descriptor::File(_) = state.descriptors.close(fd)? {
        state.process.flush_file()?;
    }
    Ok(())
}

pub(super) fn fd_datasync<S: Services>(
    state: &mut State<S>,
    _memory: &mut Memory<'_>,
    fd: u32,
) -> Done {
    state.descriptors.get(fd)?;
    Ok(state.process.flush_file()?)
}

pub(super) fn fd_sync<S: Services>(state: &mut State<S>, memory: &mut Memory<'_>, fd: u32) -> Done {
    fd_datasync(state, memory, fd)
}

pub(super) fn fd_fdstat_get<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    status: u32,
) -> Done {
    let streams = OTHERS & !POSITION;
    let (kind, flags, rights) = match state.descriptors.get(fd)? {
        Descriptor::Input => (UNKNOWN, 0, streams | READ),
        Descriptor::Output(_) => (UNKNOWN, 0, streams | WRITE),
        Descriptor::Directory { .. } => (DIRECTORY, 0, (OTHERS | READ) & !NOT_OF_DIRECTORIES),
        Descriptor::File(open) => {
            let reads = if open.reads { READ } else { 0 };
            let writes = if open.writes { WRITE } else { 0 };
            (REGULAR_FILE, open.flags, OTHERS | reads | writes)
        }
    };
    let mut bytes = [0; 24];
    bytes[0] = kind;
    bytes[2..4].copy_from_slice(&flags.to_le_bytes());
    bytes[8..16].copy_from_slice(&rights.to_le_bytes());
    bytes[16..24].copy_from_slice(&(OTHERS | READ | WRITE).to_le_bytes());
    Ok(memory.write(status, &bytes)?)
}

pub(super) fn fd_fdstat_set_flags<S: Services>(
    state: &mut State<S>,
    _memory: &mut Memory<'_>,
    fd: u32,
    flags: u32,
) -> Done {
    if let Descriptor::File(_) = state.descriptors.get(fd)? {
        state.descriptors.file(fd)?.flags = Open::flags(flags)?;
    }
    Ok(())
}

pub(super) fn fd_fdstat_set_rights<S: Services>(
    state: &mut State<S>,
    _memory: &mut Memory<'_>,
    fd: u32,
    base: u64,
    _inheriting: u64,
) -> Done {
    if let Descriptor::File(_) = state.descriptors.get(fd)? {
        let open = state.descriptors.file(fd)?;
        let (reads, writes) = (base & READ != 0, base & WRITE != 0);
        if reads && !open.reads || writes && !open.writes {
            return Err(Errno::NOTCAPABLE.into());
        }
        (open.reads, open.writes) = (reads, writes);
    }
    Ok(())
}

pub(super) fn fd_filestat_get<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    status: u32,
) -> Done {
    let target = match state.descriptors.get(fd)? {
        Descriptor::Input | Descriptor::Output(_) => None,
        Descriptor::Directory { .. } => Some(Target::Root),
        Descriptor::File(_) => Some(Target::Partition),
    };
    write_status(state, memory, target, status)
}

/// Writes what a file is; a stream has no name.
pub(super) fn write_status<S: Services>(
    state: &State<S>,
    memory: &mut Memory<'_>,
    target: Option<Target>,
    status: u32,
) -> Done {
    let status_of = |target| {
        let status = state.process.status(target);
        let kind = match status.is_directory {
            true => DIRECTORY,
            false => REGULAR_FILE,
        };
        (status.inode, kind, status.size)
    };
    let (inode, kind, size) = target.map_or((0, UNKNOWN, 0), status_of);
    let time = state.process.clock.wall_nanoseconds();
    let links = 1;
    let mut bytes = [0; 64];
    bytes[16] = kind;
    for (start, value) in [
        (0, 1),
        (8, inode),
        (24, links),
        (32, size),
        (40, time),
        (48, time),
        (56, time),
    ] {
        bytes[start..start + 8].copy_from_slice(&value.to_le_bytes());
    }
    Ok(memory.write(status, &bytes)?)
}

pub(super) fn fd_filestat_set_size<S: Services>(
    state: &mut State<S>,
    _memory: &mut Memory<'_>,
    fd: u32,
    size: u64,
) -> Done {
    writable(state, fd)?;
    Ok(state.process.resize_file(size)?)
}

pub(super) fn fd_filestat_set_times<S: Services>(
    state: &mut State<S>,
    _memory: &mut Memory<'_>,
    fd: u32,
    _access: u64,
    _modification: u64,
    flags: u32,
) -> Done {
    state.descriptors.get(fd)?;
    Ok(check_times(flags)?)
}

/// Refuses to set a time both to a value and to now. Times that can be set are not kept: all are that of the request.
pub(super) fn check_times(flags: u32) -> Result<(), Errno> {
    const ACCESS: u32 = 1 | 1 << 1;
    const MODIFICATION: u32 = 1 << 2 | 1 << 3;
    let is_both = |pair: u32| flags & pair == pair;
    if is_both(ACCESS) || is_both(MODIFICATION) || flags & !(ACCESS | MODIFICATION) != 0 {
        return Err(Errno::INVAL);
    }
    Ok(())
}

pub(super) fn fd_prestat_get<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    status: u32,
) -> Done {
    preopened(state, fd)?;
    // The kind of what is preopened, a directory, is 0.
    memory.write_u32(status, 0)?;
    Ok(memory.write_u32(behind(status, 4)?, 1)?)
}

pub(super) fn fd_prestat_dir_name<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Done {
    preopened(state, fd)?;
    if length < 1 {
        return Err(Errno::NAMETOOLONG.into());
    }
    Ok(memory.write(path, b"/")?)
}

fn preopened<S: Services>(state: &State<S>, fd: u32) -> Result<(), Errno> {
    match state.descriptors.get(fd)? {
        Descriptor::Directory { is_preopened: true } => Ok(()),
        _ => Err(Errno::BADF),
    }
}

pub(super) fn fd_read<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    vectors: u32,
    count: u32,
    read: u32,
) -> Done {
    let total = match state.descriptors.get(fd)? {
        Descriptor::Input => scatter(state, memory, vectors, count, |state, _, most| {
            state.process.read_input(most)
        })?,
        Descriptor::Output(_) => return Err(Errno::BADF.into()),
        Descriptor::Directory { .. } => return Err(Errno::ISDIR.into()),
        Descriptor::File(open) => {
            let total = read_at(state, memory, open, vectors, count, open.position)?;
            state.descriptors.file(fd)?.position += u64::from(total);
            total
        }
    };
    Ok(memory.write_u32(read, total)?)
}

pub(super) fn fd_pread<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    vectors: u32,
    count: u32,
    offset: u64,
    read: u32,
) -> Done {
    let open = *state.descriptors.file(fd)?;
    let total = read_at(state, memory, open, vectors, count, offset)?;
    Ok(memory.write_u32(read, total)?)
}

fn read_at<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    open: Open,
    vectors: u32,
    count: u32,
    offset: u64,
) -> Result<u32, super::Fault> {
    if !open.reads {
        return Err(Errno::BADF.into());
    }
    scatter(state, memory, vectors, count, |state, done, most| {
        let offset = offset.saturating_add(u64::from(done));
        state.process.read_file(offset, most)
    })
}

/// Fills pieces of memory by `next`, which gets how much there is so far and how much there may be, and gives nothing at the
/// end: how much there was.
fn scatter<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    vectors: u32,
    count: u32,
    mut next: impl FnMut(&mut State<S>, u32, usize) -> Result<Vec<u8>, Fault>,
) -> Result<u32, super::Fault> {
    let mut total = 0;
    for index in 0..checked_count(count)? {
        let (mut address, mut left) = vector(memory, vectors, index)?;
        memory.bytes(address, left)?;
        while left > 0 {
            let most = CALL.saturating_sub(to_usize(total)?).min(to_usize(left)?);
            let bytes = next(state, total, most)?;
            if bytes.is_empty() {
                return Ok(total);
            }
            memory.write(address, &bytes)?;
            let length = u32::try_from(bytes.len()).map_err(|_| Errno::OVERFLOW)?;
            address = behind(address, length)?;
            left = left.saturating_sub(length);
            total += length;
        }
    }
    Ok(total)
}

pub(super) fn fd_write<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    vectors: u32,
    count: u32,
    written: u32,
) -> Done {
    let total = match state.descriptors.get(fd)? {
        Descriptor::Input => return Err(Errno::BADF.into()),
        Descriptor::Directory { .. } => return Err(Errno::ISDIR.into()),
        Descriptor::Output(stream) => gather(state, memory, vectors, count, |state, _, bytes| {
            state.process.write_output(stream, bytes)?;
            Ok(bytes.len())
        })?,
        Descriptor::File(open) => {
            let offset = if open.appends() {
                state.process.file_length()
            } else {
                open.position
            };
            let total = write_at(state, memory, open, vectors, count, offset)?;
            state.descriptors.file(fd)?.position = offset + u64::from(total);
            total
        }
    };
    Ok(memory.write_u32(written, total)?)
}

pub(super) fn fd_pwrite<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    vectors: u32,
    count: u32,
    offset: u64,
    written: u32,
) -> Done {
    let open = *state.descriptors.file(fd)?;
    let total = write_at(state, memory, open, vectors, count, offset)?;
    Ok(memory.write_u32(written, total)?)
}

fn write_at<S: Services>(
    state: &mut State<S>,
    memory: &Memory<'_>,
    open: Open,
    vectors: u32,
    count: u32,
    offset: u64,
) -> Result<u32, super::Fault> {
    if !open.writes {
        return Err(Errno::BADF.into());
    }
    gather(state, memory, vectors, count, |state, done, bytes| {
        let offset = offset.saturating_add(u64::from(done));
        state.process.write_file(offset, bytes)
    })
}

/// Gives pieces of memory to `take`, which gets how much it has taken so far and the next bytes, and says how many of them it
/// takes: how much it took. What fails after a part was taken fails the next time.
fn gather<S: Services>(
    state: &mut State<S>,
    memory: &Memory<'_>,
    vectors: u32,
    count: u32,
    mut take: impl FnMut(&mut State<S>, u32, &[u8]) -> Result<usize, Fault>,
) -> Result<u32, super::Fault> {
    let mut total = 0;
    for index in 0..checked_count(count)? {
        let (address, length) = vector(memory, vectors, index)?;
        let bytes = memory.bytes(address, length)?;
        let room = CALL.saturating_sub(to_usize(total)?);
        let bytes = &bytes[..bytes.len().min(room)];
        let taken = match take(state, total, bytes) {
            Ok(taken) => taken,
            Err(Fault::Code(_)) if total > 0 => return Ok(total),
            Err(fault) => return Err(fault.into()),
        };
        total += u32::try_from(taken).map_err(|_| Errno::OVERFLOW)?;
        if taken < to_usize(length)? {
            break;
        }
    }
    Ok(total)
}

fn checked_count(count: u32) -> Result<u32, Errno> {
    if count > VECTORS {
        return Err(Errno::INVAL);
    }
    Ok(count)
}

/// The address and the length of a piece of memory.
fn vector(memory: &Memory<'_>, vectors: u32, index: u32) -> Result<(u32, u32), Errno> {
    let at = behind(vectors, 8 * index)?;
    Ok((memory.u32(at)?, memory.u32(behind(at, 4)?)?))
}

fn to_usize(length: u32) -> Result<usize, Errno> {
    usize::try_from(length).map_err(|_| Errno::OVERFLOW)
}

/// Lists `.`, `..` and the partition: for each its number in the list from 1, its inode, its name's length and its kind in
/// 24 bytes, and the name. What has no room is cut.
pub(super) fn fd_readdir<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    buffer: u32,
    length: u32,
    cookie: u64,
    used: u32,
) -> Done {
    state.descriptors.directory(fd)?;
    let entries = [
        (".", process::ROOT, DIRECTORY),
        ("..", process::ROOT, DIRECTORY),
        (PARTITION, process::PARTITION, REGULAR_FILE),
    ];
    let mut listing = Vec::new();
    for (next, (name, inode, kind)) in (1_u64..).zip(entries) {
        if next <= cookie {
            continue;
        }
        listing.extend(next.to_le_bytes());
        listing.extend(inode.to_le_bytes());
        listing.extend(
            u32::try_from(name.len())
                .map_err(|_| Errno::OVERFLOW)?
                .to_le_bytes(),
        );
        listing.extend([kind, 0, 0, 0]);
        listing.extend(name.as_bytes());
    }
    listing.truncate(to_usize(length)?);
    memory.write(buffer, &listing)?;
    let count = u32::try_from(listing.len()).map_err(|_| Errno::OVERFLOW)?;
    Ok(memory.write_u32(used, count)?)
}

pub(super) fn fd_renumber<S: Services>(
    state: &mut State<S>,
    _memory: &mut Memory<'_>,
    from: u32,
    to: u32,
) -> Done {
    Ok(state.descriptors.renumber(from, to)?)
}

pub(super) fn fd_seek<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    delta: i64,
    whence: u32,
    position: u32,
) -> Done {
    let length = state.process.file_length();
    let open = state.descriptors.file(fd)?;
    let base = match whence {
        0 => 0,
        1 => open.position,
        2 => length,
        _ => return Err(Errno::INVAL.into()),
    };
    // As everywhere, positions are no larger than the largest `i64`.
    let moved = base
        .checked_add_signed(delta)
        .filter(|moved| i64::try_from(*moved).is_ok())
        .ok_or(Errno::INVAL)?;
    open.position = moved;
    Ok(memory.write_u64(position, moved)?)
}

pub(super) fn fd_tell<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    position: u32,
) -> Done {
    let told = state.descriptors.file(fd)?.position;
    Ok(memory.write_u64(position, told)?)
}

/// Refuses what is not open for writing.
fn writable<S: Services>(state: &mut State<S>, fd: u32) -> Result<(), Errno> {
    if state.descriptors.file(fd)?.writes {
        Ok(())
    } else {
        Err(Errno::INVAL)
    }
}
