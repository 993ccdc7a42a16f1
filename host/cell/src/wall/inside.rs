//! The cell's side of the wall: a process that locks itself up before it sees a byte of the guest, and more so before it
//! calls it.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;

use super::ARGUMENT;
use super::calls::{Machine, Stage};
use super::channel::{Channel, ChannelError, OtherEnd};
use super::lockdown::{self, Bounds};
use super::message::{CODE_LIMIT, FromCell, Greeting, Hello, Loaded, Purpose};
use super::remote::Remote;
use super::{attempts, decoder, encoder, probe, spawn, unpacker};
use crate::call::{Call, Role, cut_ended};
use crate::engine::{self, Compiled, Home, LoadFailure};
use crate::legible::cut;

/// Whether this program has begun with [`run_if_cell`], so that it can be started to be a cell.
static PREPARED: AtomicBool = AtomicBool::new(false);

/// Runs a cell if this process was started to be one, and says how it is to end. A program that asks for the second wall
/// begins its `main` with this: it is started once more for each cell.
#[must_use]
pub fn run_if_cell() -> Option<ExitCode> {
    PREPARED.store(true, Ordering::Relaxed);
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let Some(channel) = host() else {
        // Where standard error takes nothing, the exit code says it.
        let _ = writeln!(
            std::io::stderr(),
            "error: `{ARGUMENT}` is how this program starts itself, and no command"
        );
        return Some(ExitCode::from(2));
    };
    Some(match run(channel) {
        // Whoever could be told of an error of the channel is at its other end.
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    })
}

/// Whether this program has begun with [`run_if_cell`].
pub(super) fn is_prepared() -> bool {
    PREPARED.load(Ordering::Relaxed)
}

/// The channel to the host: its socket is the standard input, and its memory the standard output.
fn host() -> Option<Channel> {
    let input = std::io::stdin().as_fd().try_clone_to_owned().ok()?;
    let memory = std::io::stdout().as_fd().try_clone_to_owned().ok()?;
    let bell = UnixStream::from(input);
    bell.peer_addr().ok()?;
    Channel::to_host(OtherEnd { bell, memory }).ok()
}

#[expect(unsafe_code, reason = "the engine takes over native code")]
fn run(mut channel: Channel) -> Result<(), ChannelError> {
    let closed = lockdown::close_all_but(channel.number());
    spawn::let_signals_come();
    let argument = std::env::args_os().nth(2);
    let namespaces = spawn::namespaces(argument.as_deref().and_then(|it| it.to_str()));
    let (hello, _) = channel.receive::<Hello>()?;
    let refusal = match hello.purpose {
        Purpose::Calls { .. } => probe::REFUSAL,
        _ => libc::EPERM,
    };
    let number = channel.number();
    let bounds = match hello.purpose {
        Purpose::Encode | Purpose::Decompress | Purpose::Unpack => Bounds::of_worker(),
        _ => Bounds::of_cell(hello.limits),
    };
    let prepared = closed
        .and_then(|()| lockdown::leave_everything(bounds, namespaces))
        .and_then(|layers| {
            // After the change of the user, which would clear it. Should the host be gone already, the channel is closed.
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
                .map_err(|error| format!("PR_SET_PDEATHSIG, which says: {error}"))?;
            Ok(layers)
        });
    if let Purpose::Encode | Purpose::Decompress | Purpose::Unpack = hello.purpose {
        // No code is made in it: it closes the wall for good before it sees a byte.
        let closed = prepared.and_then(|layers| {
            lockdown::leave_calls(Stage::Running, number, refusal)?;
            Ok(layers)
        });
        match closed {
            Ok(layers) => channel.send(&Greeting::Ready(layers), &[])?,
            Err(missing) => return channel.send(&Greeting::Missing(missing), &[]),
        }
        return match hello.purpose {
            Purpose::Encode => encoder::work(&mut channel),
            Purpose::Unpack => unpacker::work(&mut channel),
            _ => decoder::work(channel),
        };
    }
    let prepared = prepared.and_then(|layers| {
        let engine = engine::engine(Home::Own).map_err(|error| error.to_string())?;
        lockdown::leave_calls(Stage::Compiling, number, refusal)?;
        Ok((layers, engine))
    });
    let (layers, engine) = match prepared {
        Ok(prepared) => prepared,
        Err(missing) => return channel.send(&Greeting::Missing(missing), &[]),
    };
    channel.send(&Greeting::Ready(layers), &[])?;
    let ((), bytes) = channel.receive()?;
    let close_for_good = || lockdown::leave_calls(Stage::Running, number, refusal);
    match hello.purpose {
        Purpose::Compile(role) => compile(&engine, role, &bytes, &mut channel),
        Purpose::Run(role) => {
            // SAFETY: whatever the code is, this process has nothing that it could reach.
            let linked = unsafe { Compiled::link(&engine, role, &bytes) };
            drop(bytes);
            let guest = match (linked, close_for_good()) {
                (Err(failure), _) => return channel.send(&Loaded::Failed(failure.map(cut)), &[]),
                (_, Err(open)) => return channel.send(&Loaded::Open(open), &[]),
                (Ok(guest), Ok(())) => guest,
            };
            channel.send(&Loaded::Ready(guest.imports().to_vec()), &[])?;
            answer_calls(&guest, channel, &hello)
        }
        // They have their own way, above.
        Purpose::Encode | Purpose::Decompress | Purpose::Unpack => Ok(()),
        Purpose::Attempts { host } => {
            let attempts = close_for_good()
                .map(|()| attempts::all(host, number, &Bounds::of_cell(hello.limits)));
            channel.send(&attempts, &[])
        }
        Purpose::Calls { stage, host } => {
            let closed = match stage {
                Stage::Compiling => Ok(()),
                Stage::Running => close_for_good(),
            };
            let tried = closed.and_then(|()| {
                let machine = Machine::here().ok_or("this machine has no table of calls")?;
                Ok(probe::all(stage, machine, number, host.into()))
            });
            channel.send(&tried, &[])
        }
    }
}

/// Compiles a guest, and hands the code to the host.
fn compile(
    engine: &wasmtime::Engine,
    role: Role,
    bytes: &[u8],
    channel: &mut Channel,
) -> Result<(), ChannelError> {
    let compiled = engine::compile(engine, role, bytes).and_then(|code| {
        if code.len() > CODE_LIMIT {
            let length = code.len();
            return Err(LoadFailure::Malformed(format!(
                "its compiled code has {length} bytes, and the most is {CODE_LIMIT}"
            )));
        }
        Ok(code)
    });
    match compiled {
        Ok(code) => channel.send(&Ok::<_, LoadFailure>(()), &code),
        Err(failure) => channel.send(&Err::<(), _>(failure.map(cut)), &[]),
    }
}

fn answer_calls(
    guest: &Compiled<Remote>,
    mut channel: Channel,
    hello: &Hello,
) -> Result<(), ChannelError> {
    loop {
        let (call, _) = channel.receive::<Call>()?;
        let remote = Remote::new(channel, call.partition_size());
        // The host watches the time: it ends this process.
        let (ended, remote) = guest.call(&call, remote, hello.limits);
        channel = remote.into_channel();
        // The host would cut it too, and takes no long message.
        channel.send(&FromCell::Ended(cut_ended(ended)), &[])?;
    }
}
