//! Arguments, standard streams, clocks, randomness, the root, and the end.

use wasmtime::component::Resource;

use super::Command;
use super::bindings::wasi::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr,
    terminal_stdin, terminal_stdout,
};
use super::bindings::wasi::clocks::monotonic_clock;
use super::bindings::wasi::filesystem::preopens;
use super::bindings::wasi::random::{insecure, insecure_seed, random};
use crate::bindings::wasi::clocks::wall_clock;
use crate::files::Opened;
use crate::limiter::Exceeded;
use crate::resources::{Input, Output, Pollable, Stream, Terminal};
use crate::state::Services;
use crate::wasi::Exited;

/// The most random bytes in one call.
const RANDOM: u64 = 16 << 20;
/// The nanoseconds that clocks tell apart.
const RESOLUTION: u32 = 1000;

impl<S: Services> environment::Host for Command<S> {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.services.arguments.clone())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(Some("/".to_owned()))
    }
}

impl<S: Services> exit::Host for Command<S> {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        Err(Exited(u32::from(status.is_err())).into())
    }

    fn exit_with_code(&mut self, code: u8) -> wasmtime::Result<()> {
        Err(Exited(u32::from(code)).into())
    }
}

impl<S: Services> stdin::Host for Command<S> {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<Input>> {
        Ok(self.table.push(Input::Standard)?)
    }
}

impl<S: Services> stdout::Host for Command<S> {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<Output>> {
        Ok(self.table.push(Output::Standard(Stream::Output))?)
    }
}

impl<S: Services> stderr::Host for Command<S> {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<Output>> {
        Ok(self.table.push(Output::Standard(Stream::Error))?)
    }
}

impl<S: Services> terminal_input::Host for Command<S> {}

impl<S: Services> terminal_input::HostTerminalInput for Command<S> {
    fn drop(&mut self, terminal: Resource<Terminal>) -> wasmtime::Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

impl<S: Services> terminal_output::Host for Command<S> {}

impl<S: Services> terminal_output::HostTerminalOutput for Command<S> {
    fn drop(&mut self, terminal: Resource<Terminal>) -> wasmtime::Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

impl<S: Services> terminal_stdin::Host for Command<S> {
    fn get_terminal_stdin(&mut self) -> wasmtime::Result<Option<Resource<Terminal>>> {
        Ok(None)
    }
}

impl<S: Services> terminal_stdout::Host for Command<S> {
    fn get_terminal_stdout(&mut self) -> wasmtime::Result<Option<Resource<Terminal>>> {
        Ok(None)
    }
}

impl<S: Services> terminal_stderr::Host for Command<S> {
    fn get_terminal_stderr(&mut self) -> wasmtime::Result<Option<Resource<Terminal>>> {
        Ok(None)
    }
}

impl<S: Services> wall_clock::Host for Command<S> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let (seconds, nanoseconds) = self.services.clock.wall();
        Ok(wall_clock::Datetime {
            seconds,
            nanoseconds,
        })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime {
            seconds: 0,
            nanoseconds: RESOLUTION,
        })
    }
}

impl<S: Services> monotonic_clock::Host for Command<S> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.services.clock.monotonic())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::from(RESOLUTION))
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<Pollable>> {
        Ok(self.table.push(Pollable(when))?)
    }

    fn subscribe_duration(&mut self, when: u64) -> wasmtime::Result<Resource<Pollable>> {
        let now = self.services.clock.monotonic();
        Ok(self.table.push(Pollable(now.saturating_add(when)))?)
    }
}

impl<S: Services> random::Host for Command<S> {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        let length = usize::try_from(length.min(RANDOM + 1))?;
        if length as u64 > RANDOM {
            let what = format!("it asked for more than {RANDOM} random bytes at once");
            return Err(Exceeded(what).into());
        }
        let mut bytes = vec![0; length];
        self.services.fill_random(&mut bytes);
        Ok(bytes)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        let mut bytes = [0; 8];
        self.services.fill_random(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }
}

impl<S: Services> insecure::Host for Command<S> {
    fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        random::Host::get_random_bytes(self, length)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        random::Host::get_random_u64(self)
    }
}

impl<S: Services> insecure_seed::Host for Command<S> {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((
            random::Host::get_random_u64(self)?,
            random::Host::get_random_u64(self)?,
        ))
    }
}

impl<S: Services> preopens::Host for Command<S> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Opened>, String)>> {
        let root = self.table.push(Opened::Root)?;
        Ok(vec![(root, "/".to_owned())])
    }
}
