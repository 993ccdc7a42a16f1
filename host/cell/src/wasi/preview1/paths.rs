//! The functions of preview 1 that take a path.

#![expect(clippy::too_many_arguments, reason = "the interface has them")]

use super::descriptors::{Descriptor, Open};
use super::errno::Errno;
use super::files::{READ, WRITE, check_times, write_status};
use super::memory::Memory;
use super::{Done, Fault, State};
use crate::state::Services;
use crate::wasi::path::{self, Target, Wish};

/// How something is opened.
const CREATE: u32 = 1;
const DIRECTORY: u32 = 2;
const EXCLUSIVE: u32 = 4;
const TRUNCATE: u32 = 8;

/// The path at an address, which begins at the directory `fd`: there is one.
fn path_in<'m, S: Services>(
    state: &State<S>,
    memory: &'m Memory<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Result<&'m [u8], Errno> {
    state.descriptors.directory(fd)?;
    memory.bytes(path, length)
}

pub(super) fn path_open<S: Services>(
    state: &mut State<S>,
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
        write: base & WRITE != 0,
    };
    let path = path_in(state, memory, fd, path, length)?;
    let descriptor = match path::open(path, wish)? {
        Target::Partition => Descriptor::File(Open {
            position: 0,
            reads: base & READ != 0,
            writes: wish.write,
            flags: Open::flags(flags)?,
        }),
        _ => Descriptor::Directory {
            is_preopened: false,
        },
    };
    let number = state.descriptors.open(descriptor)?;
    if wish.truncate {
        state.process.resize_file(0)?;
    }
    Ok(memory.write_u32(opened, number)?)
}

pub(super) fn path_filestat_get<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    _flags: u32,
    path: u32,
    length: u32,
    status: u32,
) -> Done {
    let target = path::resolve_existing(path_in(state, memory, fd, path, length)?)?;
    write_status(state, memory, Some(target), status)
}

pub(super) fn path_filestat_set_times<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    _flags: u32,
    path: u32,
    length: u32,
    _access: u64,
    _modification: u64,
    times: u32,
) -> Done {
    path::resolve_existing(path_in(state, memory, fd, path, length)?)?;
    Ok(check_times(times)?)
}

pub(super) fn path_readlink<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    path: u32,
    length: u32,
    _buffer: u32,
    _room: u32,
    _used: u32,
) -> Done {
    refuse(
        path_in(state, memory, fd, path, length)?,
        path::refuse_readlink,
    )
}

pub(super) fn path_create_directory<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Done {
    refuse(path_in(state, memory, fd, path, length)?, path::refuse_new)
}

pub(super) fn path_symlink<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    _target: u32,
    _target_length: u32,
    fd: u32,
    path: u32,
    length: u32,
) -> Done {
    refuse(path_in(state, memory, fd, path, length)?, path::refuse_new)
}

pub(super) fn path_link<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    _flags: u32,
    path: u32,
    length: u32,
    new_fd: u32,
    new_path: u32,
    new_length: u32,
) -> Done {
    path::resolve_existing(path_in(state, memory, fd, path, length)?)?;
    refuse(
        path_in(state, memory, new_fd, new_path, new_length)?,
        path::refuse_new,
    )
}

pub(super) fn path_rename<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    path: u32,
    length: u32,
    new_fd: u32,
    new_path: u32,
    new_length: u32,
) -> Done {
    path_in(state, memory, new_fd, new_path, new_length)?;
    refuse(
        path_in(state, memory, fd, path, length)?,
        path::refuse_rename,
    )
}

pub(super) fn path_remove_directory<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Done {
    refuse(
        path_in(state, memory, fd, path, length)?,
        path::refuse_remove_directory,
    )
}

pub(super) fn path_unlink_file<S: Services>(
    state: &mut State<S>,
    memory: &mut Memory<'_>,
    fd: u32,
    path: u32,
    length: u32,
) -> Done {
    refuse(
        path_in(state, memory, fd, path, length)?,
        path::refuse_unlink,
    )
}

fn refuse(
    path: &[u8],
    why: impl FnOnce(&[u8]) -> crate::bindings::wasi::filesystem::types::ErrorCode,
) -> Done {
    Err(Fault::from(why(path)))
}
