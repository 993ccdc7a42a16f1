//! The functions of preview 1 that take a descriptor.

use std::borrow::Cow;

use super::descriptors::{Descriptor, Open};
use super::errno::Errno;
use super::memory::{Memory, behind};
use super::{Command, Done};
use crate::files::path::Target;
use crate::files::{CALL, Fault, Files as _, PARTITION};
use crate::state::Services;
use crate::wasi::process;

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
    command: &mut Command<S>,
    _memory: &mut Memory<'_>,
    fd: u32,
    _offset: u64,
    _length: u64,
    _advice: u32,
) -> Done {
    command.descriptors.file(fd)?;
    Ok(())
}

pub(super) fn fd_allocate<S: Services>(
    command: &mut Command<S>,
    _memory: &mut Memory<'_>,
    fd: u32,
    offset: u64,
    length: u64,
) -> Done {
    let opened = command.descriptors.file(fd)?.opened();
    let end = offset.checked_add(length).ok_or(Errno::FBIG)?;
    let size = end.max(command.process.file_length());
    Ok(command.process.resize(opened, size)?)
}

pub(super) fn fd_close<S: Services>(
    command: &mut Command<S>,
    _memory: &mut Memory<'_>,
    fd: u32,
) -> Done {
    if let Descriptor::File(_) = command.descriptors.close(fd)? {
        command.process.flush_file()?;
    }
    Ok(())
}

pub(super) fn fd_datasync<S: Services>(
    command: &mut Command<S>,
    _memory: &mut Memory<'_>,
    fd: u32,
) -> Done {
    command.descriptors.get(fd)?;
    Ok(command.process.flush_file()?)
}

pub(super) fn fd_sync<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
) -> Done {
    fd_datasync(command, memory, fd)
}

pub(super) fn fd_fdstat_get<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    status: u32,
) -> Done {
    let streams = OTHERS & !POSITION;
    let (kind, flags, rights) = match command.descriptors.get(fd)? {
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
    command: &mut Command<S>,
    _memory: &mut Memory<'_>,
    fd: u32,
    flags: u32,
) -> Done {
    if let Descriptor::File(_) = command.descriptors.get(fd)? {
        command.descriptors.file(fd)?.flags = Open::flags(flags)?;
    }
    Ok(())
}

pub(super) fn fd_fdstat_set_rights<S: Services>(
    command: &mut Command<S>,
    _memory: &mut Memory<'_>,
    fd: u32,
    base: u64,
    _inheriting: u64,
) -> Done {
    if let Descriptor::File(_) = command.descriptors.get(fd)? {
        let open = command.descriptors.file(fd)?;
        let (reads, writes) = (base & READ != 0, base & WRITE != 0);
        if reads && !open.reads || writes && !open.writes {
            return Err(Errno::NOTCAPABLE.into());
        }
        (open.reads, open.writes) = (reads, writes);
    }
    Ok(())
}

pub(super) fn fd_filestat_get<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    status: u32,
) -> Done {
    let target = match command.descriptors.get(fd)? {
        Descriptor::Input | Descriptor::Output(_) => None,
        Descriptor::Directory { .. } => Some(Target::Root),
        Descriptor::File(_) => Some(Target::Partition),
    };
    write_status(command, memory, target, status)
}

/// Writes what a file is; a stream has no name.
pub(super) fn write_status<S: Services>(
    command: &Command<S>,
    memory: &mut Memory<'_>,
    target: Option<Target>,
    status: u32,
) -> Done {
    let status_of = |target| {
        let status = command.process.status(target);
        let kind = match status.is_directory {
            true => DIRECTORY,
            false => REGULAR_FILE,
        };
        (status.inode, kind, status.size)
    };
    let (inode, kind, size) = target.map_or((0, UNKNOWN, 0), status_of);
    let time = command.process.clock.wall_nanoseconds();
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
    command: &mut Command<S>,
    _memory: &mut Memory<'_>,
    fd: u32,
    size: u64,
) -> Done {
    let opened = command.descriptors.file(fd)?.opened();
    Ok(command.process.resize(opened, size)?)
}

pub(super) fn fd_filestat_set_times<S: Services>(
    command: &mut Command<S>,
    _memory: &mut Memory<'_>,
    fd: u32,
    _access: u64,
    _modification: u64,
    flags: u32,
) -> Done {
    command.descriptors.get(fd)?;
    check_times(command, flags)
}

/// Refuses to set a time both to a value and to now.
pub(super) fn check_times<S: Services>(command: &Command<S>, flags: u32) -> Done {
    const ACCESS: u32 = 1 | 1 << 1;
    const MODIFICATION: u32 = 1 << 2 | 1 << 3;
    let is_both = |pair: u32| flags & pair == pair;
    if is_both(ACCESS) || is_both(MODIFICATION) || flags & !(ACCESS | MODIFICATION) != 0 {
        return Err(Errno::INVAL.into());
    }
    Ok(command.process.set_times()?)
}

pub(super) fn fd_prestat_get<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    status: u32,
) -> Done {
    preopened(command, fd)?;
    // The kind of what is preopened, a directory, is 0.
    memory.write_u32(status, 0)?;
    Ok(memory.write_u32(behind(status, 4)?, 1)?)
}

pub(super) fn fd_prestat_dir_name<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Done {
    preopened(command, fd)?;
    if length < 1 {
        return Err(Errno::NAMETOOLONG.into());
    }
    Ok(memory.write(path, b"/")?)
}

fn preopened<S: Services>(command: &Command<S>, fd: u32) -> Result<(), Errno> {
    match command.descriptors.get(fd)? {
        Descriptor::Directory { is_preopened: true } => Ok(()),
        _ => Err(Errno::BADF),
    }
}

pub(super) fn fd_read<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    vectors: u32,
    count: u32,
    told: u32,
) -> Done {
    read(command, memory, fd, (vectors, count), None, told)
}

pub(super) fn fd_pread<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    vectors: u32,
    count: u32,
    offset: u64,
    told: u32,
) -> Done {
    read(command, memory, fd, (vectors, count), Some(offset), told)
}

pub(super) fn fd_write<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    vectors: u32,
    count: u32,
    told: u32,
) -> Done {
    write(command, memory, fd, (vectors, count), None, told)
}

pub(super) fn fd_pwrite<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    vectors: u32,
    count: u32,
    offset: u64,
    told: u32,
) -> Done {
    write(command, memory, fd, (vectors, count), Some(offset), told)
}

/// Reads into pieces of memory, and tells how much: from `offset` on, or from the position, which moves.
fn read<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    pieces: (u32, u32),
    offset: Option<u64>,
    told: u32,
) -> Done {
    let process = &mut command.process;
    let total = match (offset, command.descriptors.get(fd)?) {
        (None, Descriptor::Input) => scatter(memory, pieces, |_, most| process.read_input(most))?,
        (None, Descriptor::Output(_)) => return Err(Errno::BADF.into()),
        _ => {
            let open = command.descriptors.file(fd)?;
            let start = offset.unwrap_or(open.position);
            let opened = open.opened();
            opened.readable()?;
            let total = scatter(memory, pieces, |done, most| {
                let at = start.saturating_add(u64::from(done));
                let (bytes, _) = process.read(opened, at, most as u64)?;
                Ok(bytes)
            })?;
            if offset.is_none() {
                open.position += u64::from(total);
            }
            total
        }
    };
    Ok(memory.write_u32(told, total)?)
}

/// Writes pieces of memory, and tells how much: from `offset` on, or from the position or the end, and the position moves.
fn write<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    pieces: (u32, u32),
    offset: Option<u64>,
    told: u32,
) -> Done {
    let process = &mut command.process;
    let total = match (offset, command.descriptors.get(fd)?) {
        (None, Descriptor::Input) => return Err(Errno::BADF.into()),
        (None, Descriptor::Output(stream)) => gather(memory, pieces, |_, bytes| {
            process.write_output(stream, bytes)?;
            Ok(bytes.len() as u64)
        })?,
        _ => {
            let open = command.descriptors.file(fd)?;
            let start = match offset {
                Some(offset) => offset,
                None if open.appends() => process.file_length(),
                None => open.position,
            };
            let opened = open.opened();
            opened.writable()?;
            let total = gather(memory, pieces, |done, bytes| {
                let at = start.saturating_add(u64::from(done));
                process.write(opened, at, Cow::Borrowed(bytes))
            })?;
            if offset.is_none() {
                open.position = start + u64::from(total);
            }
            total
        }
    };
    Ok(memory.write_u32(told, total)?)
}

/// Fills pieces of memory by `next`, which gets how much there is so far and how much there may be, and gives nothing at the
/// end: how much there was.
fn scatter(
    memory: &mut Memory<'_>,
    (vectors, count): (u32, u32),
    mut next: impl FnMut(u32, usize) -> Result<Vec<u8>, Fault>,
) -> Result<u32, super::Fault> {
    let mut total = 0;
    for index in 0..checked_count(count)? {
        let (mut address, mut left) = vector(memory, vectors, index)?;
        memory.bytes(address, left)?;
        while left > 0 {
            let bytes = next(total, to_usize(left.min(room(total)))?)?;
            if bytes.is_empty() {
                return Ok(total);
            }
            memory.write(address, &bytes)?;
            let length = u32::try_from(bytes.len()).map_err(|_| Errno::OVERFLOW)?;
            address = behind(address, length)?;
            left = left.checked_sub(length).ok_or(Errno::OVERFLOW)?;
            total += length;
        }
    }
    Ok(total)
}

/// Gives pieces of memory to `take`, which gets how much it has taken so far and the next bytes, and says how many of them it
/// takes: how much it took. What fails after a part was taken fails the next time.
fn gather(
    memory: &Memory<'_>,
    (vectors, count): (u32, u32),
    mut take: impl FnMut(u32, &[u8]) -> Result<u64, Fault>,
) -> Result<u32, super::Fault> {
    let mut total = 0;
    for index in 0..checked_count(count)? {
        let (address, length) = vector(memory, vectors, index)?;
        memory.bytes(address, length)?;
        let bytes = memory.bytes(address, length.min(room(total)))?;
        let taken = match take(total, bytes) {
            Ok(taken) => u32::try_from(taken).map_err(|_| Errno::OVERFLOW)?,
            Err(Fault::Code(_)) if total > 0 => return Ok(total),
            Err(fault) => return Err(fault.into()),
        };
        total += taken;
        if taken < length {
            break;
        }
    }
    Ok(total)
}

/// How many bytes more a call may move that has moved `total`.
fn room(total: u32) -> u32 {
    CALL.saturating_sub(total)
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
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    buffer: u32,
    length: u32,
    cookie: u64,
    used: u32,
) -> Done {
    command.descriptors.base(fd)?.directory()?;
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
    command: &mut Command<S>,
    _memory: &mut Memory<'_>,
    from: u32,
    to: u32,
) -> Done {
    Ok(command.descriptors.renumber(from, to)?)
}

pub(super) fn fd_seek<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    delta: i64,
    whence: u32,
    position: u32,
) -> Done {
    let length = command.process.file_length();
    let open = command.descriptors.file(fd)?;
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
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    position: u32,
) -> Done {
    let told = command.descriptors.file(fd)?.position;
    Ok(memory.write_u64(position, told)?)
}
