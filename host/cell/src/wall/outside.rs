//! The host's side of the wall: starts a cell's process, hands it its guest, serves its calls, and ends it.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

use rustix::io::Errno;
use serde::de::DeserializeOwned;

use super::channel::{Channel, ChannelError};
use super::inside;
use super::message::{Greeting, Hello, Loaded};
use super::serve::serve;
use super::spawn::{self, Spawned, Streams};
use crate::call::{Call, Returned, Role, Stopped};
use crate::engine::LoadFailure;
use crate::legible::cut;
use crate::local::Local;
use crate::{CellError, imports};
use cellblock_text::printable;

/// A process and the host's end of its channel.
type Started = io::Result<(Ending, Channel)>;

/// What is wanted: how many bytes a process shares beyond its channel, and where it goes.
struct Wanted {
    area: usize,
    answer: Sender<Started>,
}

/// A thread that starts processes. The kernel kills a cell's process when the thread that started it ends, and this one
/// lives as long as anybody wants a cell.
pub(crate) struct Starter {
    wanted: Option<Sender<Wanted>>,
    thread: Option<JoinHandle<()>>,
}

impl Starter {
    /// # Errors
    /// [`CellError::NotPrepared`] if the program cannot be started to be a cell, and [`CellError::Engine`] if there is no
    /// thread.
    pub(crate) fn new() -> Result<Self, CellError> {
        if !inside::is_prepared() {
            return Err(CellError::NotPrepared);
        }
        let (wanted, asked) = mpsc::channel();
        let thread = thread::Builder::new()
            .spawn(move || start_all(&asked))
            .map_err(|error| CellError::Engine(error.to_string()))?;
        Ok(Self {
            wanted: Some(wanted),
            thread: Some(thread),
        })
    }

    fn start(&self, area: usize) -> Started {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let (answer, started) = mpsc::channel();
        let wanted = self.wanted.as_ref().ok_or_else(gone)?;
        wanted.send(Wanted { area, answer }).map_err(|_| gone())?;
        started.recv().map_err(|_| gone())?
    }
}

impl Drop for Starter {
    fn drop(&mut self) {
        drop(self.wanted.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to report.
            let _ = thread.join();
        }
    }
}

fn start_all(asked: &Receiver<Wanted>) {
    while let Ok(Wanted { area, answer }) = asked.recv() {
        // Whoever asked may have given up.
        let _ = answer.send(start(area));
    }
}

fn start(area: usize) -> Started {
    let (host, cell) = Channel::to_cell(area)?;
    // A pipe that nobody reads: what goes there is lost, without a device for it.
    let (_, nowhere) = io::pipe()?;
    let streams = [cell.bell.into(), cell.memory, nowhere.into()];
    let started = spawn::cell(Streams(streams))?;
    Ok((Ending(started), host))
}

/// A process that ends when this is dropped.
pub(crate) struct Ending(Spawned);

impl Ending {
    /// Ends it if it has not ended: how it did.
    pub(super) fn end(&mut self) -> String {
        match self.0.end() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.end();
    }
}

/// A process behind the wall. It ends when this is dropped.
pub(crate) struct Process {
    guest: String,
    hello: Hello,
    child: Ending,
    channel: Channel,
    /// What stands around it, as the record names it.
    layers: Vec<String>,
}

/// Why there is no process behind a wall: what the kernel lacks, or what failed.
pub(crate) enum NoProcess {
    Missing(String),
    Failed(CellError),
}

impl From<NoProcess> for CellError {
    fn from(no: NoProcess) -> Self {
        match no {
            NoProcess::Missing(missing) => Self::NoWall { missing },
            NoProcess::Failed(error) => error,
        }
    }
}

impl From<CellError> for NoProcess {
    fn from(error: CellError) -> Self {
        Self::Failed(error)
    }
}

/// What is not allowed where no process could be started: a limit of whoever asks is nothing that the kernel lacks.
fn unstarted(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::FBIG) => format!(
            "one more process: a limit of this user or container is reached, which says: {error} (`ulimit -a` lists the limits)"
        ),
        _ => format!("/proc/self/exe, which says: {error}"),
    }
}

impl Process {
    /// Starts a process for the guest `guest`, up to the first stage of the wall.
    pub(super) fn start(starter: &Starter, guest: &str, hello: &Hello) -> Result<Self, NoProcess> {
        let (child, channel) = starter
            .start(hello.purpose.area())
            .map_err(|error| NoProcess::Missing(unstarted(&error)))?;
        let mut process = Self {
            guest: guest.to_owned(),
            hello: hello.clone(),
            child,
            channel,
            layers: Vec::new(),
        };
        process.channel.expect_within(hello.limits.time);
        let greeting = process
            .channel
            .send(hello, &[])
            .and_then(|()| process.channel.receive::<Greeting>());
        match greeting {
            Ok((Greeting::Ready(layers), _)) => {
                process.layers = layers;
                Ok(process)
            }
            Ok((Greeting::Missing(what), _)) => Err(NoProcess::Missing(fit(&what))),
            // It has not seen a byte of the guest: it was the kernel that ended it.
            Err(ChannelError::Closed) => {
                let how = process.child.end();
                Err(NoProcess::Missing(format!(
                    "its process, which ended ({how})"
                )))
            }
            Err(error) => Err(process.failure(error).into()),
        }
    }

    /// The process and its channel alone.
    pub(super) fn into_parts(self) -> (Ending, Channel) {
        (self.child, self.channel)
    }

    /// What stands around it, as the record names it.
    pub(super) fn layers(&self) -> &[String] {
        &self.layers
    }

    /// Has the process compile the guest in `bytes`: its code.
    pub(super) fn compile(&mut self, bytes: &[u8]) -> Result<Vec<u8>, CellError> {
        self.channel.expect_within(self.hello.limits.time);
        let compiled = self
            .channel
            .send(&(), bytes)
            .and_then(|()| self.channel.receive::<Result<(), LoadFailure>>());
        match self.heard(compiled)? {
            (Ok(()), code) => Ok(code),
            (Err(failure), _) => Err(failure.map(fit).of(&self.guest)),
        }
    }

    /// Has the process take the guest's `code` and close the wall for good: the functions that the guest imports.
    pub(super) fn load(
        &mut self,
        role: Role,
        code: &[u8],
    ) -> Result<Result<Vec<String>, LoadFailure>, CellError> {
        self.channel.expect_within(self.hello.limits.time);
        let loaded = self
            .channel
            .send(&(), code)
            .and_then(|()| self.channel.receive::<Loaded>());
        imports_of(self.heard(loaded)?.0, role)
    }

    /// Calls the guest, which `local` answers.
    pub(crate) fn call(
        &mut self,
        call: &Call,
        local: &mut Local,
    ) -> Result<Result<Returned, Stopped>, CellError> {
        self.channel.expect_within(self.hello.limits.time);
        let ended = self
            .channel
            .send(call, &[])
            .and_then(|()| serve(&mut self.channel, local));
        Ok(self.heard(ended)?.map_err(|stopped| stopped.map(fit)))
    }

    /// Has the process try what it was started to try.
    pub(super) fn tries<T: DeserializeOwned>(&mut self) -> Result<Vec<T>, CellError> {
        self.channel.expect_within(self.hello.limits.time);
        let tried = self
            .channel
            .send(&(), &[])
            .and_then(|()| self.channel.receive::<Result<Vec<T>, String>>());
        self.heard(tried)?
            .0
            .map_err(|missing| CellError::NoWall { missing })
    }

    fn heard<T>(&mut self, result: Result<T, ChannelError>) -> Result<T, CellError> {
        result.map_err(|error| self.failure(error))
    }

    fn failure(&mut self, error: ChannelError) -> CellError {
        let guest = self.guest.clone();
        match error {
            ChannelError::Deadline => CellError::Deadline {
                guest,
                limit: self.hello.limits.time,
            },
            ChannelError::Malformed(what) => CellError::Babble {
                guest,
                what: fit(&what),
            },
            ChannelError::Closed | ChannelError::Io(_) => CellError::Lost {
                guest,
                how: self.child.end(),
            },
        }
    }
}

/// The functions that the guest imports, if the process has loaded it.
pub(super) fn imports_of(
    loaded: Loaded,
    role: Role,
) -> Result<Result<Vec<String>, LoadFailure>, CellError> {
    Ok(match loaded {
        Loaded::Ready(imports) => match imports::first_beyond(role, &imports) {
            // The name of the interface is the contract's; that of the function may be anything.
            None => Ok(imports.iter().map(|import| printable(import)).collect()),
            Some(import) => Err(LoadFailure::Import(role, fit(import))),
        },
        Loaded::Failed(failure) => Err(failure.map(fit)),
        Loaded::Open(missing) => {
            return Err(CellError::NoWall {
                missing: fit(&missing),
            });
        }
    })
}

/// What became of a process whose channel told `error`, in words; `wanted` is what it took too long for, with a space behind it, where calls differ
/// in that.
pub(super) fn lost(
    error: ChannelError,
    child: &mut Option<Ending>,
    wanted: &str,
    time: Duration,
) -> String {
    match error {
        ChannelError::Deadline => format!(
            "took longer {wanted}than the {} s that a call may take",
            time.as_secs_f64()
        ),
        ChannelError::Malformed(what) => format!("answers what cannot be: {}", fit(&what)),
        ChannelError::Closed | ChannelError::Io(_) => match child {
            Some(child) => format!("has ended ({})", child.end()),
            None => "has ended".to_owned(),
        },
    }
}

/// A text of a process that may be hostile, fit for a terminal: each line after the first is marked as its own, so that none
/// looks like one of this program's.
pub(super) fn fit(text: &str) -> String {
    cut(text)
        .split('\n')
        .map(printable)
        .collect::<Vec<String>>()
        .join("\n    | ")
}

#[cfg(test)]
mod tests {
    use super::{Errno, fit, unstarted};

    #[test]
    fn a_limit_of_the_user_is_no_lack_of_the_kernel() {
        for (errno, is_limit) in [
            (Errno::MFILE, true),
            (Errno::NOMEM, true),
            (Errno::AGAIN, true),
            (Errno::FBIG, true),
            (Errno::NOENT, false),
            (Errno::PERM, false),
        ] {
            let said = unstarted(&errno.into());
            let tells = said.contains("a limit of this user or container");
            assert_eq!(tells, is_limit, "{said}");
            assert_eq!(said.contains("/proc/self/exe"), !is_limit, "{said}");
        }
    }

    #[test]
    fn no_line_of_a_process_looks_like_one_of_the_program() {
        let said = fit("wasm trap\nerror: the disk is full\u{1b}[2J\nwarning: x");
        assert_eq!(
            said,
            "wasm trap\n    | error: the disk is full\u{fffd}[2J\n    | warning: x"
        );
    }
}
