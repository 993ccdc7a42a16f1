//! Arguments, clocks, waiting, randomness.

use super::errno::{Errno, Fault};
use super::memory::{Memory, behind};
use super::{Command, Done};
use crate::state::Services;

const REALTIME: u32 = 0;
/// The clocks of the process and of the thread, beside the monotonic one.
const MONOTONIC: std::ops::RangeInclusive<u32> = 1..=3;
/// The nanoseconds that clocks tell apart.
const RESOLUTION: u64 = 1000;
/// The most that can be waited for in one call.
const SUBSCRIPTIONS: u32 = 4096;

pub(super) fn args_get<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    mut words: u32,
    mut text: u32,
) -> Done {
    for argument in &command.process.arguments {
        memory.write_u32(words, text)?;
        memory.write(text, argument.as_bytes())?;
        text = behind(text, length(argument)?)?;
        memory.write(text, &[0])?;
        text = behind(text, 1)?;
        words = behind(words, 4)?;
    }
    Ok(())
}

pub(super) fn args_sizes_get<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    count: u32,
    size: u32,
) -> Done {
    let arguments = &command.process.arguments;
    let mut bytes = 0;
    for argument in arguments {
        bytes = behind(bytes, behind(length(argument)?, 1)?)?;
    }
    memory.write_u32(
        count,
        u32::try_from(arguments.len()).map_err(|_| Errno::OVERFLOW)?,
    )?;
    memory.write_u32(size, bytes)?;
    Ok(())
}

fn length(argument: &str) -> Result<u32, Errno> {
    u32::try_from(argument.len()).map_err(|_| Errno::OVERFLOW)
}

pub(super) fn environ_get<S: Services>(
    _command: &mut Command<S>,
    _memory: &mut Memory<'_>,
    _words: u32,
    _text: u32,
) -> Done {
    Ok(())
}

pub(super) fn environ_sizes_get<S: Services>(
    _command: &mut Command<S>,
    memory: &mut Memory<'_>,
    count: u32,
    size: u32,
) -> Done {
    memory.write_u32(count, 0)?;
    memory.write_u32(size, 0)?;
    Ok(())
}

pub(super) fn clock_res_get<S: Services>(
    _command: &mut Command<S>,
    memory: &mut Memory<'_>,
    clock: u32,
    resolution: u32,
) -> Done {
    if clock != REALTIME && !MONOTONIC.contains(&clock) {
        return Err(Errno::INVAL.into());
    }
    Ok(memory.write_u64(resolution, RESOLUTION)?)
}

pub(super) fn clock_time_get<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    clock: u32,
    _precision: u64,
    time: u32,
) -> Done {
    let now = now(command, clock)?;
    Ok(memory.write_u64(time, now)?)
}

fn now<S: Services>(command: &mut Command<S>, clock: u32) -> Result<u64, Errno> {
    match clock {
        REALTIME => Ok(command.process.clock.wall_nanoseconds()),
        clock if MONOTONIC.contains(&clock) => Ok(command.process.clock.monotonic()),
        _ => Err(Errno::INVAL),
    }
}

/// Something that is waited for: 48 bytes in memory.
struct Subscription {
    user_data: u64,
    what: Wait,
}

enum Wait {
    /// Until the monotonic clock shows these nanoseconds.
    Until(u64),
    /// Until a moment that never comes: the wall clock is frozen, and the other one counts no further than it can.
    Never,
    /// Until a descriptor can be read or written, which each can at all times.
    Descriptor { number: u32, kind: u8 },
}

/// Waits for nothing: a descriptor is ready, and otherwise the clock is at once where it is waited for. Where nothing of what
/// is waited for can happen the command ends, as it would wait for ever.
pub(super) fn poll_oneoff<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    subscriptions: u32,
    mut events: u32,
    count: u32,
    happened: u32,
) -> Done {
    if count == 0 || count > SUBSCRIPTIONS {
        return Err(Errno::INVAL.into());
    }
    let mut all = Vec::new();
    for index in 0..count {
        all.push(subscription(
            command,
            memory,
            behind(subscriptions, 48 * index)?,
        )?);
    }
    let has_descriptor = all
        .iter()
        .any(|subscription| matches!(subscription.what, Wait::Descriptor { .. }));
    let moments = all
        .iter()
        .filter_map(|subscription| match subscription.what {
            Wait::Until(moment) => Some(moment),
            Wait::Never | Wait::Descriptor { .. } => None,
        });
    match moments.min() {
        _ if has_descriptor => {}
        Some(first) => command.process.clock.advance_to(first),
        None => {
            return Err(Fault::End(wasmtime::Error::msg(format!(
                "it waits for ever: its wall clock is frozen at {} nanoseconds since 1970, and nothing else that it \
                 waits for can happen; measure time with the monotonic clock",
                command.process.clock.wall_nanoseconds()
            ))));
        }
    }
    let now = command.process.clock.monotonic();
    let mut written = 0;
    for subscription in all {
        let (kind, errno) = match subscription.what {
            Wait::Never => continue,
            Wait::Until(moment) if moment > now => continue,
            Wait::Until(_) => (0, 0),
            Wait::Descriptor { number, kind } => match command.descriptors.get(number) {
                Ok(_) => (kind, 0),
                Err(errno) => (kind, errno.number()),
            },
        };
        let mut event = [0; 32];
        event[..8].copy_from_slice(&subscription.user_data.to_le_bytes());
        event[8..12].copy_from_slice(&errno.to_le_bytes());
        event[10] = kind;
        event[16..24].copy_from_slice(&u64::from(kind > 0).to_le_bytes());
        memory.write(events, &event)?;
        events = behind(events, 32)?;
        written += 1;
    }
    Ok(memory.write_u32(happened, written)?)
}

fn subscription<S: Services>(
    command: &mut Command<S>,
    memory: &Memory<'_>,
    address: u32,
) -> Result<Subscription, Fault> {
    const ABSOLUTE: u16 = 1;
    let user_data = memory.u64(address)?;
    let kind = memory.bytes(behind(address, 8)?, 1)?[0];
    let number = memory.u32(behind(address, 16)?)?;
    let what = match kind {
        0 => {
            let timeout = memory.u64(behind(address, 24)?)?;
            let is_absolute = memory.u16(behind(address, 40)?)? & ABSOLUTE != 0;
            let shown = now(command, number)?;
            let left = if is_absolute {
                timeout.saturating_sub(shown)
            } else {
                timeout
            };
            let is_frozen = number == REALTIME && is_absolute && left > 0;
            let moment = command.process.clock.monotonic().checked_add(left);
            moment
                .filter(|_| !is_frozen)
                .map_or(Wait::Never, Wait::Until)
        }
        1 | 2 => Wait::Descriptor { number, kind },
        _ => return Err(Errno::INVAL.into()),
    };
    Ok(Subscription { user_data, what })
}

pub(super) fn proc_raise<S: Services>(
    _command: &mut Command<S>,
    _memory: &mut Memory<'_>,
    signal: u32,
) -> Done {
    Err(Fault::End(wasmtime::Error::msg(format!(
        "it raised signal {signal}"
    ))))
}

pub(super) fn random_get<S: Services>(
    command: &mut Command<S>,
    memory: &mut Memory<'_>,
    buffer: u32,
    length: u32,
) -> Done {
    command
        .process
        .fill_random(memory.bytes_mut(buffer, length)?);
    Ok(())
}

pub(super) fn sched_yield<S: Services>(
    _command: &mut Command<S>,
    _memory: &mut Memory<'_>,
) -> Done {
    Ok(())
}
