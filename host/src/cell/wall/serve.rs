//! The host's answers to a cell behind the wall: the same code answers it that answers a cell in this process, so that
//! nothing is believed that is not checked.

use super::channel::{Channel, ChannelError};
use super::message::{FromCell, Question};
use crate::cell::bindings::cellblock::format::placement::Host as _;
use crate::cell::bindings::cellblock::format::progress::Host as _;
use crate::cell::bindings::cellblock::format::tree::Host as _;
use crate::cell::call::{Returned, Stopped};
use crate::cell::local::Local;
use crate::cell::state::Services as _;

/// Answers what the cell asks until its call has ended.
pub(super) fn serve(
    channel: &mut Channel,
    local: &mut Local,
) -> Result<Result<Returned, Stopped>, ChannelError> {
    loop {
        let (message, bytes) = channel.receive()?;
        let answered = match message {
            FromCell::Ended(ended) => return Ok(ended),
            FromCell::Question(question) => answer(channel, local, question, bytes),
        };
        match answered {
            Ok(sent) => sent?,
            Err(error) => return Ok(Err(Stopped::because_of(&error))),
        }
    }
}

/// The outer error is the host's decision to end the cell.
fn answer(
    channel: &mut Channel,
    local: &mut Local,
    question: Question,
    bytes: Vec<u8>,
) -> wasmtime::Result<Result<(), ChannelError>> {
    Ok(match question {
        Question::Next(limit) => channel.send(&local.next(limit)?, &[]),
        Question::Rewind => {
            local.rewind()?;
            Ok(())
        }
        Question::Ranges(file) => channel.send(&local.ranges(file)?, &[]),
        Question::Read {
            file,
            offset,
            length,
        } => match local.read(file, offset, length)? {
            Ok(content) => channel.send(&Ok::<_, ()>(()), &content),
            Err(error) => channel.send(&Err::<(), _>(error), &[]),
        },
        Question::Place(batch) => channel.send(&local.place(batch)?, &[]),
        Question::Log(level, message) => {
            local.log(level, message)?;
            Ok(())
        }
        Question::ReadPartition { length, offset } => {
            match local.read_partition(length, offset)? {
                Ok((content, end)) => channel.send(&Ok::<_, ()>(end), &content),
                Err(error) => channel.send(&Err::<bool, _>(error), &[]),
            }
        }
        Question::WritePartition { offset } => {
            channel.send(&local.write_partition(bytes, offset)?, &[])
        }
    })
}
