//! The cell's side of the wall: a process that locks itself up before it sees a byte of the guest, and more so before it
//! calls it.

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use rustix::process::Signal;

use super::ARGUMENT;
use super::attempts;
use super::channel::{Channel, ChannelError};
use super::lockdown;
use super::message::{FromCell, Greeting, Hello, Loaded, Purpose};
use super::remote::Remote;
use crate::call::Call;
use crate::engine::{self, Compiled, Home};
use crate::legible::{cut, cut_ended};

/// Runs a cell if this process was started to be one, and says how it is to end. A program that asks for the second wall
/// begins its `main` with this: it is started once more for each cell.
#[must_use]
pub fn run_if_cell() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    Some(match host() {
        // Whoever could be told of an error of the channel is at its other end.
        Some(channel) => match run(channel) {
            Ok(()) | Err(_) => ExitCode::SUCCESS,
        },
        None => {
            eprintln!("error: `{ARGUMENT}` is how this program starts itself, and no command");
            ExitCode::from(2)
        }
    })
}

/// The channel to the host, which is the standard input.
fn host() -> Option<Channel> {
    let input = std::io::stdin().as_fd().try_clone_to_owned().ok()?;
    let stream = UnixStream::from(input);
    stream.peer_addr().is_ok().then(|| Channel::to_host(stream))
}

fn run(mut channel: Channel) -> Result<(), ChannelError> {
    // Should the host be gone already, the channel is closed.
    let dies_with_host = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let host = rustix::process::getppid();
    let (hello, _) = channel.receive::<Hello>()?;
    let first_stage = dies_with_host
        .map_err(|error| format!("PR_SET_PDEATHSIG, which says: {error}"))
        .and_then(|()| lockdown::leave_files(hello.cache.as_deref()))
        .and_then(|()| lockdown::limit_memory(hello.limits));
    let engine = first_stage.and_then(|()| {
        // It starts a thread that keeps the folder of compiled guests tidy, and has seen nothing of a guest.
        let engine =
            engine::engine(hello.cache.as_deref(), Home::Own).map_err(|error| error.to_string())?;
        lockdown::leave_calls()?;
        Ok(engine)
    });
    let engine = match engine {
        Ok(engine) => engine,
        Err(missing) => return channel.send(&Greeting::Missing(missing), &[]),
    };
    channel.send(&Greeting::Ready, &[])?;
    let ((), bytes) = channel.receive()?;
    let role = match hello.purpose {
        Purpose::Guest(role) => role,
        Purpose::Attempts => {
            let stands = lockdown::leave_all_else(channel.number());
            return channel.send(&stands.map(|()| attempts::all(host, &hello)), &[]);
        }
    };
    let loaded = Compiled::load(&engine, role, &bytes);
    drop(bytes);
    let stands = lockdown::leave_all_else(channel.number());
    let guest = match (loaded, stands) {
        (Err(failure), _) => return channel.send(&Loaded::Failed(failure.map(cut)), &[]),
        (_, Err(open)) => return channel.send(&Loaded::Open(open), &[]),
        (Ok(guest), Ok(())) => guest,
    };
    channel.send(&Loaded::Ready(guest.imports().to_vec()), &[])?;
    answer_calls(&guest, channel, &hello)
}

fn answer_calls(
    guest: &Compiled<Remote>,
    mut channel: Channel,
    hello: &Hello,
) -> Result<(), ChannelError> {
    loop {
        let (call, _) = channel.receive::<Call>()?;
        let remote = Remote {
            channel,
            partition_size: call.partition_size(),
        };
        // The host watches the time: it ends this process.
        let (ended, remote) = guest.call(&call, remote, hello.limits);
        channel = remote.channel;
        // The host would cut it too, and takes no long message.
        channel.send(&FromCell::Ended(cut_ended(ended)), &[])?;
    }
}
