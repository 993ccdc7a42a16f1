//! Preview 1 of WASI (`wasi_snapshot_preview1`): a core module that exports `_start` and its memory.
//!
//! ```text
//!     descriptors   0 standard input, 1 output, 2 error, 3 the directory /, then what is opened
//! ```
//!
//! Every function gets the module's memory and the command; results go to addresses in that memory, and what is
//! returned is an error number. Sockets and threads are not there.

mod descriptors;
mod errno;
mod files;
mod memory;
mod paths;
mod system;
#[cfg(test)]
mod tests;

use wasmtime::{Caller, Engine, Extern, InstancePre, Linker, Module, Store};

use super::{Exited, Process};
use crate::limiter::Limiter;
use crate::state::Services;
use cellblock_contract::Limits;
use descriptors::Descriptors;
use errno::Fault;
use memory::Memory;

/// The name under which modules import the interface.
const INTERFACE: &str = "wasi_snapshot_preview1";

/// The data of a command's store.
pub(crate) struct Command<S> {
    pub(crate) limiter: Limiter,
    pub(crate) process: Process<S>,
    descriptors: Descriptors,
}

impl<S: Services> Command<S> {
    pub(crate) fn new(process: Process<S>, limits: Limits) -> Self {
        Self {
            limiter: Limiter::new(limits),
            process,
            descriptors: Descriptors::new(limits.handles),
        }
    }
}

/// The functions that `module` imports, each as `interface#function`.
pub(crate) fn imports(module: &Module) -> Vec<String> {
    module
        .imports()
        .map(|import| format!("{}#{}", import.module(), import.name()))
        .collect()
}

/// Whether a module may import this.
pub(crate) fn is_linked(import: &str) -> bool {
    import
        .split_once('#')
        .is_some_and(|(interface, name)| interface == INTERFACE && FUNCTIONS.contains(&name))
}

/// Links a module to the interface.
pub(crate) fn link<S: Services>(
    engine: &Engine,
    module: &Module,
) -> wasmtime::Result<InstancePre<Command<S>>> {
    for (name, what) in [("_start", "function"), ("memory", "memory")] {
        if module.get_export(name).is_none() {
            wasmtime::bail!("it exports no {what} '{name}', and so is no WASI command");
        }
    }
    linker(engine)?.instantiate_pre(module)
}

/// Runs a module to its end: its exit code.
pub(crate) fn run<S: Services>(
    module: &InstancePre<Command<S>>,
    store: &mut Store<Command<S>>,
) -> wasmtime::Result<u32> {
    // A module may end in a start function of its own, which runs while it is instantiated.
    let ended = module.instantiate(&mut *store).and_then(|instance| {
        let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
        start.call(&mut *store, ())
    });
    let code = match ended {
        Ok(()) => 0,
        Err(error) => match error.downcast_ref() {
            Some(Exited(code)) => *code,
            None => return Err(error),
        },
    };
    Ok(code)
}

/// Links functions of the interface, and lists their names.
macro_rules! functions {
    ($($room:ident::$name:ident($($argument:ident: $type:ty),*);)*) => {
        /// All functions that there are.
        const FUNCTIONS: &[&str] = &["proc_exit", $(stringify!($name)),*];

        fn linker<S: Services>(engine: &Engine) -> wasmtime::Result<Linker<Command<S>>> {
            let mut linker = Linker::new(engine);
            linker.func_wrap(INTERFACE, "proc_exit", |code: u32| -> wasmtime::Result<()> {
                Err(Exited(code).into())
            })?;
            $(linker.func_wrap(
                INTERFACE,
                stringify!($name),
                |mut caller: Caller<'_, Command<S>>, $($argument: $type),*| {
                    answer(&mut caller, |command, memory| {
                        $room::$name(command, memory, $($argument),*)
                    })
                },
            )?;)*
            Ok(linker)
        }
    };
}

functions! {
    system::args_get(words: u32, text: u32);
    system::args_sizes_get(count: u32, size: u32);
    system::environ_get(words: u32, text: u32);
    system::environ_sizes_get(count: u32, size: u32);
    system::clock_res_get(clock: u32, resolution: u32);
    system::clock_time_get(clock: u32, precision: u64, time: u32);
    system::poll_oneoff(subscriptions: u32, events: u32, count: u32, happened: u32);
    system::proc_raise(signal: u32);
    system::random_get(buffer: u32, length: u32);
    system::sched_yield();
    files::fd_advise(fd: u32, offset: u64, length: u64, advice: u32);
    files::fd_allocate(fd: u32, offset: u64, length: u64);
    files::fd_close(fd: u32);
    files::fd_datasync(fd: u32);
    files::fd_fdstat_get(fd: u32, status: u32);
    files::fd_fdstat_set_flags(fd: u32, flags: u32);
    files::fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64);
    files::fd_filestat_get(fd: u32, status: u32);
    files::fd_filestat_set_size(fd: u32, size: u64);
    files::fd_filestat_set_times(fd: u32, access: u64, modification: u64, flags: u32);
    files::fd_pread(fd: u32, vectors: u32, count: u32, offset: u64, read: u32);
    files::fd_prestat_get(fd: u32, status: u32);
    files::fd_prestat_dir_name(fd: u32, path: u32, length: u32);
    files::fd_pwrite(fd: u32, vectors: u32, count: u32, offset: u64, written: u32);
    files::fd_read(fd: u32, vectors: u32, count: u32, read: u32);
    files::fd_readdir(fd: u32, buffer: u32, length: u32, cookie: u64, used: u32);
    files::fd_renumber(from: u32, to: u32);
    files::fd_seek(fd: u32, delta: i64, whence: u32, position: u32);
    files::fd_sync(fd: u32);
    files::fd_tell(fd: u32, position: u32);
    files::fd_write(fd: u32, vectors: u32, count: u32, written: u32);
    paths::path_create_directory(fd: u32, path: u32, length: u32);
    paths::path_filestat_get(fd: u32, flags: u32, path: u32, length: u32, status: u32);
    paths::path_filestat_set_times(
        fd: u32, flags: u32, path: u32, length: u32, access: u64, modification: u64, times: u32
    );
    paths::path_link(
        fd: u32, flags: u32, path: u32, length: u32, new_fd: u32, new_path: u32, new_length: u32
    );
    paths::path_open(
        fd: u32, follow: u32, path: u32, length: u32, how: u32, base: u64, inheriting: u64, flags: u32,
        opened: u32
    );
    paths::path_readlink(fd: u32, path: u32, length: u32, buffer: u32, room: u32, used: u32);
    paths::path_remove_directory(fd: u32, path: u32, length: u32);
    paths::path_rename(fd: u32, path: u32, length: u32, new_fd: u32, new_path: u32, new_length: u32);
    paths::path_symlink(target: u32, target_length: u32, fd: u32, path: u32, length: u32);
    paths::path_unlink_file(fd: u32, path: u32, length: u32);
}

/// What a function gives: nothing, beside what it writes to memory.
type Done = Result<(), Fault>;

fn answer<S: Services>(
    caller: &mut Caller<'_, Command<S>>,
    function: impl FnOnce(&mut Command<S>, &mut Memory<'_>) -> Done,
) -> wasmtime::Result<i32> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        wasmtime::bail!("its export 'memory' is no memory");
    };
    let (bytes, command) = memory.data_and_store_mut(caller);
    match function(command, &mut Memory(bytes)) {
        Ok(()) => Ok(0),
        Err(Fault::Errno(errno)) => Ok(errno.number()),
        Err(Fault::End(error)) => Err(error),
    }
}
