//! Streams, and waiting for what is always ready.

use std::borrow::Cow;

use wasmtime::component::Resource;

use super::Command;
use super::bindings::wasi::io::streams::{self, HostInputStream, HostOutputStream, StreamError};
use super::bindings::wasi::io::{error, poll};
use crate::files::{Fault, Files as _};
use crate::resources::{Failure, Input, Output, Pollable};
use crate::state::Services;

/// The most bytes that a stream gives or takes at once.
const PIECE: u64 = 1 << 20;
/// What can be waited for at once.
const SUBSCRIPTIONS: usize = 4096;

/// An answer of a stream; the outer error ends the command.
type Streamed<T> = wasmtime::Result<Result<T, StreamError>>;

impl<S: Services> Command<S> {
    /// Makes a failure of a stream of what is one.
    fn streamed<T>(&mut self, result: Result<T, Fault>) -> Streamed<T> {
        match result {
            Ok(value) => Ok(Ok(value)),
            Err(Fault::Code(code)) => {
                let failure = self.table.push(Failure(code))?;
                Ok(Err(StreamError::LastOperationFailed(failure)))
            }
            Err(Fault::End(error)) => Err(error),
        }
    }

    fn write_all(&mut self, stream: &Resource<Output>, mut bytes: &[u8]) -> Streamed<()> {
        while !bytes.is_empty() {
            let output = *self.table.get(stream)?;
            let offset = match output {
                Output::Standard(standard) => {
                    let written = self.services.write_output(standard, bytes);
                    return self.streamed(written);
                }
                Output::Partition(offset) => offset,
                Output::End => self.services.file_length(),
            };
            let written = self.services.write_file(offset, Cow::Borrowed(bytes));
            let count = match self.streamed(written)? {
                Ok(count) => count,
                Err(error) => return Ok(Err(error)),
            };
            if let Output::Partition(at) = self.table.get_mut(stream)? {
                *at = offset.saturating_add(count);
            }
            let count = usize::try_from(count).expect("no more than there are");
            bytes = &bytes[count..];
        }
        Ok(Ok(()))
    }
}

impl<S: Services> HostInputStream for Command<S> {
    fn read(&mut self, stream: Resource<Input>, length: u64) -> Streamed<Vec<u8>> {
        let most = length.min(PIECE);
        let read = match *self.table.get(&stream)? {
            Input::Standard => self.services.read_input(usize::try_from(most)?),
            Input::Partition(offset) => {
                let read = self.services.read_file(offset, most);
                read.map(|(bytes, _)| bytes)
            }
        };
        let bytes = match self.streamed(read)? {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(error)),
        };
        if bytes.is_empty() && most > 0 {
            return Ok(Err(StreamError::Closed));
        }
        if let Input::Partition(offset) = self.table.get_mut(&stream)? {
            *offset = offset.saturating_add(bytes.len() as u64);
        }
        Ok(Ok(bytes))
    }

    fn blocking_read(&mut self, stream: Resource<Input>, length: u64) -> Streamed<Vec<u8>> {
        self.read(stream, length)
    }

    fn skip(&mut self, stream: Resource<Input>, length: u64) -> Streamed<u64> {
        let read = self.read(stream, length)?;
        Ok(read.map(|bytes| bytes.len() as u64))
    }

    fn blocking_skip(&mut self, stream: Resource<Input>, length: u64) -> Streamed<u64> {
        self.skip(stream, length)
    }

    fn subscribe(&mut self, stream: Resource<Input>) -> wasmtime::Result<Resource<Pollable>> {
        self.table.get(&stream)?;
        Ok(self.table.push(Pollable(0))?)
    }

    fn drop(&mut self, stream: Resource<Input>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

impl<S: Services> HostOutputStream for Command<S> {
    fn check_write(&mut self, stream: Resource<Output>) -> Streamed<u64> {
        self.table.get(&stream)?;
        Ok(Ok(PIECE))
    }

    fn write(&mut self, stream: Resource<Output>, contents: Vec<u8>) -> Streamed<()> {
        self.write_all(&stream, &contents)
    }

    fn blocking_write_and_flush(
        &mut self,
        stream: Resource<Output>,
        contents: Vec<u8>,
    ) -> Streamed<()> {
        self.write_all(&stream, &contents)
    }

    fn flush(&mut self, stream: Resource<Output>) -> Streamed<()> {
        self.table.get(&stream)?;
        Ok(Ok(()))
    }

    fn blocking_flush(&mut self, stream: Resource<Output>) -> Streamed<()> {
        self.flush(stream)
    }

    fn subscribe(&mut self, stream: Resource<Output>) -> wasmtime::Result<Resource<Pollable>> {
        self.table.get(&stream)?;
        Ok(self.table.push(Pollable(0))?)
    }

    fn write_zeroes(&mut self, stream: Resource<Output>, length: u64) -> Streamed<()> {
        if length > PIECE {
            wasmtime::bail!("it wrote {length} zeros at once, and was allowed {PIECE}");
        }
        let zeros = vec![0; usize::try_from(length)?];
        self.write_all(&stream, &zeros)
    }

    fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<Output>,
        length: u64,
    ) -> Streamed<()> {
        self.write_zeroes(stream, length)
    }

    fn splice(
        &mut self,
        stream: Resource<Output>,
        source: Resource<Input>,
        length: u64,
    ) -> Streamed<u64> {
        match self.read(source, length)? {
            Ok(bytes) => {
                let written = self.write_all(&stream, &bytes)?;
                Ok(written.map(|()| bytes.len() as u64))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    fn blocking_splice(
        &mut self,
        stream: Resource<Output>,
        source: Resource<Input>,
        length: u64,
    ) -> Streamed<u64> {
        self.splice(stream, source, length)
    }

    fn drop(&mut self, stream: Resource<Output>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

impl<S: Services> streams::Host for Command<S> {}

impl<S: Services> error::Host for Command<S> {}

impl<S: Services> error::HostError for Command<S> {
    fn to_debug_string(&mut self, error: Resource<Failure>) -> wasmtime::Result<String> {
        let Failure(code) = self.table.get(&error)?;
        Ok(code.to_string())
    }

    fn drop(&mut self, error: Resource<Failure>) -> wasmtime::Result<()> {
        self.table.delete(error)?;
        Ok(())
    }
}

impl<S: Services> poll::Host for Command<S> {
    /// Those that are ready; where none is, the clock is at once where the first of them will be.
    fn poll(&mut self, all: Vec<Resource<Pollable>>) -> wasmtime::Result<Vec<u32>> {
        if all.is_empty() || all.len() > SUBSCRIPTIONS {
            wasmtime::bail!(
                "it polled {} things, and can poll 1 to {SUBSCRIPTIONS}",
                all.len()
            );
        }
        let moments = all
            .iter()
            .map(|pollable| Ok(self.table.get(pollable)?.0))
            .collect::<wasmtime::Result<Vec<u64>>>()?;
        if let Some(first) = moments.iter().min() {
            self.services.clock.advance_to(*first);
        }
        let now = self.services.clock.monotonic();
        let ready = (0..).zip(moments).filter(|(_, moment)| *moment <= now);
        Ok(ready.map(|(index, _)| index).collect())
    }
}

impl<S: Services> poll::HostPollable for Command<S> {
    fn ready(&mut self, pollable: Resource<Pollable>) -> wasmtime::Result<bool> {
        let Pollable(moment) = *self.table.get(&pollable)?;
        Ok(moment <= self.services.clock.monotonic())
    }

    fn block(&mut self, pollable: Resource<Pollable>) -> wasmtime::Result<()> {
        let Pollable(moment) = *self.table.get(&pollable)?;
        self.services.clock.advance_to(moment);
        Ok(())
    }

    fn drop(&mut self, pollable: Resource<Pollable>) -> wasmtime::Result<()> {
        self.table.delete(pollable)?;
        Ok(())
    }
}
