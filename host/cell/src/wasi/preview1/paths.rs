//! The functions of preview 1 that take a path.

#![expect(clippy::too_many_arguments, reason = "the interface has them")]

use super::descriptors::{Descriptor, Open};
use super::errno::Errno;
use super::files::{READ, WRITE, check_times, write_status};
use super::memory::Memory;
use super::{Command, Done, Fault};
use crate::files::path::{Refused, Target, Wish};
use crate::files::{Files as _, Opened};
use crate::state::Services;

/// How something is opened.
const CREATE: u32 = 1;
const DIRECTORY: u32 = 2;
const EXCLUSIVE: u32 = 4;
const TRUNCATE: u32 = 8;

/// The path at an address, and what is open as `fd`, at which it begins.
fn path_in<'m, S: Services>(
    command: &Command<S>,
    memory: &'m Memory<'_>,
    (fd, path, length): (u32, u32, u32),
) -> Result<(Opened, &'m [u8]), Errno> {
    let from = command.descriptors.base(fd)?;
    from.directory()?;
    Ok((from, memory.bytes(path, length)?))
}

/// What is there at a path.
fn look<S: Services>(
    command: &Command<S>,
    memory: &Memory<'_>,
    path: (u32, u32, u32),
) -> Result<Target, Fault> {
    let (from, path) = path_in(command, memory, path)?;
    Ok(from.look(path)?)
}

/// Why something is not done at a path.
fn refuse<S: Services>(
    command: &Command<S>,
    memory: &Memory<'_>,
    path: (u32, u32, u32),
    refused: Refused,
) -> Done {
    let (from, path) = path_in(command, memory, path)?;
    Err(from.refusal(path, refused).into())
}

pub(super) fn path_open<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    _follow: u32,
    path: u32,
    length: u32,
    how: u32,
    base: u64,
    _inheriting: u64,
    flags: u32,
    opened: u32,
) -> Done {
    let wish = Wish {
        create: how & CREATE != 0,
        exclusive: how & EXCLUSIVE != 0,
        directory: how & DIRECTORY != 0,
        truncate: how & TRUNCATE != 0,
        read: base & READ != 0,
        write: base & WRITE != 0,
    };
    let (from, path) = path_in(command, memory, (fd, path, length))?;
    let flags = Open::flags(flags)?;
    let number = command.descriptors.free()?;
    let descriptor = match command.process.open(from, path, wish)? {
        Opened::Partition { reads, writes } => Descriptor::File(Open {
            position: 0,
            reads,
            writes,
            flags,
        }),
        Opened::Root => Descriptor::Directory {
            is_preopened: false,
        },
    };
    command.descriptors.open(number, descriptor);
    Ok(memory.write_u32(opened, number)?)
}

pub(super) fn path_filestat_get<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    _flags: u32,
    path: u32,
    length: u32,
    status: u32,
) -> Done {
    let target = look(command, memory, (fd, path, length))?;
    write_status(command, memory, Some(target), status)
}

pub(super) fn path_filestat_set_times<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    _flags: u32,
    path: u32,
    length: u32,
    _access: u64,
    _modification: u64,
    times: u32,
) -> Done {
    look(command, memory, (fd, path, length))?;
    check_times(command, times)
}

pub(super) fn path_readlink<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    path: u32,
    length: u32,
    _buffer: u32,
    _room: u32,
    _used: u32,
) -> Done {
    refuse(command, memory, (fd, path, length), Refused::ReadLink)
}

pub(super) fn path_create_directory<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Done {
    refuse(command, memory, (fd, path, length), Refused::Make)
}

pub(super) fn path_symlink<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    _target: u32,
    _target_length: u32,
    fd: u32,
    path: u32,
    length: u32,
) -> Done {
    refuse(command, memory, (fd, path, length), Refused::Make)
}

pub(super) fn path_link<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    _flags: u32,
    path: u32,
    length: u32,
    new_fd: u32,
    new_path: u32,
    new_length: u32,
) -> Done {
    look(command, memory, (fd, path, length))?;
    refuse(
        command,
        memory,
        (new_fd, new_path, new_length),
        Refused::Make,
    )
}

pub(super) fn path_rename<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    path: u32,
    length: u32,
    new_fd: u32,
    new_path: u32,
    new_length: u32,
) -> Done {
    path_in(command, memory, (new_fd, new_path, new_length))?;
    refuse(command, memory, (fd, path, length), Refused::Rename)
}

pub(super) fn path_remove_directory<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Done {
    refuse(
        command,
        memory,
        (fd, path, length),
        Refused::RemoveDirectory,
    )
}

pub(super) fn path_unlink_file<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Done {
    refuse(command, memory, (fd, path, length), Refused::Unlink)
}
