//! WASI 0.2: a component that exports `wasi:cli/run`, of any version of 0.2.
//!
//! Streams never wait, so that everything that can be waited for is ready; only a clock can be ahead.

mod bindings;
mod cli;
mod io;

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

use super::{Exited, Process};
use crate::bindings::wasi as shared;
use crate::state::Services;
pub(crate) use bindings::CommandPre;
use bindings::wasi;

/// The interfaces whose functions are linked, without their versions.
const LINKED: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
];

/// The data of a command's store.
pub(crate) type Command<S> = crate::state::State<Process<S>>;

/// Whether a component may import the interface, which has no version.
pub(crate) fn is_linked(interface: &str) -> bool {
    LINKED.contains(&interface)
}

/// Links a component to the interfaces.
pub(crate) fn link<S: Services>(
    engine: &Engine,
    component: &Component,
) -> wasmtime::Result<CommandPre<Command<S>>> {
    let mut linker = Linker::new(engine);
    macro_rules! add {
        ($wasi:ident: $($package:ident::$interface:ident)*) => {$(
            $wasi::$package::$interface::add_to_linker::<Command<S>, HasSelf<Command<S>>>(
                &mut linker,
                |state| state,
            )?;
        )*};
    }
    add! { shared: clocks::wall_clock filesystem::types }
    add! { wasi:
        cli::environment cli::exit cli::stdin cli::stdout cli::stderr
        cli::terminal_input cli::terminal_output
        cli::terminal_stdin cli::terminal_stdout cli::terminal_stderr
        clocks::monotonic_clock filesystem::preopens
        io::error io::poll io::streams
        random::random random::insecure random::insecure_seed
    }
    CommandPre::new(linker.instantiate_pre(component)?)
}

/// Runs a component to its end: its exit code. What it returns is no more than whether all is well.
pub(crate) fn run<S: Services>(
    component: &CommandPre<Command<S>>,
    store: &mut Store<Command<S>>,
) -> wasmtime::Result<u32> {
    let returned = component
        .instantiate(&mut *store)
        .and_then(|command| command.wasi_cli_run().call_run(&mut *store));
    let code = match returned {
        Ok(result) => u32::from(result.is_err()),
        Err(error) => match error.downcast_ref() {
            Some(Exited(code)) => *code,
            None => return Err(error),
        },
    };
    Ok(code)
}
