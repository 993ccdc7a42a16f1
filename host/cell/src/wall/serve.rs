//! The host's answers to a cell behind the wall: the same code answers it that answers a cell in this process, so that
//! nothing is believed that is not checked. What the cell will ask for next is said before it does.

use super::channel::{Channel, ChannelError};
use super::columns;
use super::lists::{self, Listed};
use super::message::{self, Asked, FromCell, Question};
use crate::bindings::cellblock::format::placement::{self, PlaceError, Placement};
use crate::bindings::cellblock::format::progress::Host as _;
use crate::bindings::cellblock::format::tree::Host as _;
use crate::bindings::encoding::cellblock::format::digests::Host as _;
use crate::bindings::encoding::cellblock::format::encoding::{self, Host as _};
use crate::bindings::reading::cellblock::format::decoding::Host as _;
use crate::bindings::reading::cellblock::format::listing::Host as _;
use crate::call::{Returned, Stopped};
use crate::files::ErrorCode;
use crate::local::Local;
use crate::state::Services as _;
use crate::tree::BATCH_NODES;

/// Answers what the cell asks until its call has ended.
pub(super) fn serve(
    channel: &mut Channel,
    local: &mut Local,
) -> Result<Result<Returned, Stopped>, ChannelError> {
    let mut nodes = NodesAhead {
        pass: channel.begin_pass(),
        said: None,
    };
    // Most guests begin with it.
    let mut answered = nodes.say_ahead(channel, local, BATCH_NODES);
    loop {
        match answered {
            Ok(sent) => sent?,
            Err(error) => return Ok(Err(Stopped::because_of(&error))),
        }
        let (message, bytes) = channel.receive()?;
        answered = match message {
            FromCell::Ended(ended) => return Ok(ended),
            FromCell::Asked(asked) => answer(channel, local, &mut nodes, asked, bytes),
        };
    }
}

/// The nodes that the cell will ask for.
struct NodesAhead {
    /// The number of the stream of nodes.
    pass: u32,
    /// What was said and not asked for yet.
    said: Option<Said>,
}

struct Said {
    /// How many nodes were to be said at the most.
    limit: u32,
    /// Where they begin.
    position: u32,
}

impl NodesAhead {
    /// Answers one who asks for at most `limit` nodes, and says those that follow.
    fn answer(
        &mut self,
        channel: &mut Channel,
        local: &mut Local,
        limit: u32,
    ) -> wasmtime::Result<Result<(), ChannelError>> {
        let limit = limit.min(BATCH_NODES);
        match self.said.take() {
            // The answer is there already.
            Some(said) if said.limit == limit => {}
            said => {
                if let Some(Said { position, .. }) = said {
                    local.position = position;
                }
                let (head, columns) = columns::to_bytes(self.pass, limit, local.next(limit)?);
                if let Err(error) = reply::<message::Next>(channel, &head, &columns) {
                    return Ok(Err(error));
                }
            }
        }
        self.say_ahead(channel, local, limit)
    }

    /// Says the next nodes, if there are any and the channel has room for them.
    fn say_ahead(
        &mut self,
        channel: &mut Channel,
        local: &mut Local,
        limit: u32,
    ) -> wasmtime::Result<Result<(), ChannelError>> {
        let position = local.position;
        if position >= local.tree.len() {
            return Ok(Ok(()));
        }
        let (head, columns) = columns::to_bytes(self.pass, limit, local.next(limit)?);
        Ok(channel.send_ahead(&head, &columns).map(|is_said| {
            if is_said {
                self.said = Some(Said { limit, position });
            } else {
                local.position = position;
            }
        }))
    }

    /// The stream begins again.
    fn rewind(
        &mut self,
        channel: &mut Channel,
        local: &mut Local,
    ) -> wasmtime::Result<Result<(), ChannelError>> {
        let limit = self.said.take().map_or(BATCH_NODES, |said| said.limit);
        self.pass = channel.begin_pass();
        local.rewind()?;
        self.say_ahead(channel, local, limit)
    }
}

/// Answers what the cell asks, or hears what it tells. The outer error is the host's decision to end the cell.
fn answer(
    channel: &mut Channel,
    local: &mut Local,
    nodes: &mut NodesAhead,
    asked: Asked,
    bytes: Vec<u8>,
) -> wasmtime::Result<Result<(), ChannelError>> {
    Ok(match asked {
        Asked::Next(message::Next { limit }) => return nodes.answer(channel, local, limit),
        Asked::Sum(message::Sum { unit }) => reply::<message::Sum>(channel, &local.sum(unit)?, &[]),
        Asked::Rewind(message::Rewind {}) => return nodes.rewind(channel, local),
        Asked::Ranges(message::Ranges { file }) => {
            reply::<message::Ranges>(channel, &local.ranges(file)?, &[])
        }
        Asked::Read(message::Read {
            file,
            offset,
            length,
        }) => {
            let (answer, content) =
                split(local.read(file, offset, length)?, |content| ((), content));
            reply::<message::Read>(channel, &answer, &content)
        }
        Asked::Place(message::Place {}) => match placements(&bytes) {
            Ok(batch) => {
                let placed = placement::Host::place(local, batch)?;
                reply::<message::Place>(channel, &placed, &[])
            }
            Err(error) => Err(error),
        },
        Asked::Placed(message::Placed {}) => match placements(&bytes) {
            Ok(batch) => return placed(placement::Host::place(local, batch)?),
            Err(error) => Err(error),
        },
        Asked::Compose(message::Compose { offset, count }) => match run(count, &bytes) {
            Ok((batch, own)) => {
                let composed = placement::Host::compose(local, offset, own, batch)?;
                reply::<message::Compose>(channel, &composed, &[])
            }
            Err(error) => Err(error),
        },
        Asked::Composed(message::Composed { offset, count }) => match run(count, &bytes) {
            Ok((batch, own)) => {
                let composed = placement::Host::compose(local, offset, own, batch)?;
                channel.give_back(bytes);
                return placed(composed);
            }
            Err(error) => Err(error),
        },
        Asked::Encode(message::Encode { settings, counts }) => {
            match lists::blocks_from_bytes(counts, &bytes) {
                Some(blocks) => {
                    reply::<message::Encode>(channel, &local.encode(settings, blocks)?, &[])
                }
                None => Err(malformed("blocks", &bytes)),
            }
        }
        Asked::Pieces(message::Pieces { limit }) => {
            let (answer, pieces) = split(local.pieces(limit)?, listed);
            reply::<message::Pieces>(channel, &answer, &pieces)
        }
        Asked::PieceBytes(message::PieceBytes { piece }) => {
            let (answer, content) = split(local.bytes(piece)?, |content| ((), content));
            reply::<message::PieceBytes>(channel, &answer, &content)
        }
        Asked::PlacePieces(message::PlacePieces {}) => match lists::from_bytes(&bytes) {
            Some(batch) => {
                let placed = encoding::Host::place(local, batch)?;
                reply::<message::PlacePieces>(channel, &placed, &[])
            }
            None => Err(malformed("placements of pieces", &bytes)),
        },
        Asked::EncodeBytes(message::EncodeBytes { settings, lengths }) => {
            match lists::cut(&lengths, &bytes) {
                Some(inputs) => {
                    let length = |output: &Vec<u8>| {
                        u32::try_from(output.len()).expect("it is shorter than its input")
                    };
                    let outputs = local.encode_bytes(settings, inputs)?;
                    let (answer, outputs) = split(outputs, |outputs| {
                        (outputs.iter().map(length).collect(), outputs.concat())
                    });
                    reply::<message::EncodeBytes>(channel, &answer, &outputs)
                }
                None => Err(malformed("inputs", &bytes)),
            }
        }
        Asked::DigestFiles(message::DigestFiles {}) => match lists::from_bytes(&bytes) {
            Some(files) => {
                let (answer, digests) = split(local.files(files)?, listed);
                reply::<message::DigestFiles>(channel, &answer, &digests)
            }
            None => Err(malformed("files", &bytes)),
        },
        Asked::DigestBlocks(message::DigestBlocks { file, size }) => {
            let (answer, digests) = split(local.blocks(file, size)?, listed);
            reply::<message::DigestBlocks>(channel, &answer, &digests)
        }
        Asked::TellNodes(message::TellNodes { head }) => match columns::from_bytes(head, &bytes) {
            Some(nodes) => {
                local.tell_nodes(nodes)?;
                channel.give_back(bytes);
                Ok(())
            }
            None => Ok(local.told_torn()?),
        },
        Asked::TellExtents(message::TellExtents { count }) => {
            match lists::extents_from_bytes(count, &bytes) {
                Some(extents) => {
                    local.tell_extents(extents)?;
                    Ok(())
                }
                None => Ok(local.told_torn()?),
            }
        }
        Asked::Decode(message::Decode {}) => match lists::from_bytes(&bytes) {
            Some(blocks) => {
                let length =
                    |output: &Vec<u8>| u32::try_from(output.len()).expect("at most a block");
                let (answer, outputs) = split(local.decode(blocks)?, |outputs| {
                    (outputs.iter().map(length).collect(), outputs.concat())
                });
                reply::<message::Decode>(channel, &answer, &outputs)
            }
            None => Err(malformed("blocks", &bytes)),
        },
        Asked::Log(message::Log { level, message }) => {
            local.log(level, message)?;
            Ok(())
        }
        Asked::ReadPartition(message::ReadPartition { length, offset }) => {
            let read = local.read_partition(length, offset)?;
            let (answer, content) = split(read, |(content, end)| (end, content));
            reply::<message::ReadPartition>(channel, &answer, &content)
        }
        Asked::WritePartition(message::WritePartition { offset }) => {
            let answer = local.write_partition(&bytes, offset)?;
            channel.give_back(bytes);
            reply::<message::WritePartition>(channel, &answer, &[])
        }
        Asked::Written(message::Written { offset }) => {
            let answer = local.write_partition(&bytes, offset)?;
            channel.give_back(bytes);
            match answer {
                Ok(_) => Ok(()),
                Err(ErrorCode::Io) => return Err(failed()),
                Err(error) => Err(ChannelError::Malformed(format!(
                    "a write that no cell makes: {error:?}"
                ))),
            }
        }
    })
}

/// The partition could not be written: whoever holds it knows why.
fn failed() -> wasmtime::Error {
    wasmtime::Error::msg("its partition could not be written")
}

/// What became of placements that no cell makes unless they can be.
fn placed(answer: Result<(), PlaceError>) -> wasmtime::Result<Result<(), ChannelError>> {
    match answer {
        Ok(()) => Ok(Ok(())),
        Err(PlaceError::Failed) => Err(failed()),
        Err(error) => Ok(Err(ChannelError::Malformed(format!(
            "a placement that no cell makes: {error:?}"
        )))),
    }
}

/// So many placements, and the bytes behind them.
fn run(count: u32, bytes: &[u8]) -> Result<(Vec<Placement>, Vec<u8>), ChannelError> {
    let malformed = || malformed("a run", bytes);
    let length = usize::try_from(count)
        .ok()
        .and_then(|count| count.checked_mul(message::PLACEMENT));
    let (batch, own) = length
        .and_then(|length| bytes.split_at_checked(length))
        .ok_or_else(malformed)?;
    let batch = message::from_bytes(batch).ok_or_else(malformed)?;
    Ok((batch, own.to_vec()))
}

fn placements(bytes: &[u8]) -> Result<Vec<Placement>, ChannelError> {
    message::from_bytes(bytes).ok_or_else(|| malformed("placements", bytes))
}

/// Answers a question of the type `Q`; `bytes` follow.
fn reply<Q: Question>(
    channel: &mut Channel,
    answer: &Q::Answer,
    bytes: &[u8],
) -> Result<(), ChannelError> {
    channel.send(answer, bytes)
}

fn malformed(what: &str, bytes: &[u8]) -> ChannelError {
    ChannelError::Malformed(format!("{what} in {} bytes", bytes.len()))
}

/// A list, which follows a head that says nothing.
fn listed<T: Listed<N>, const N: usize>(list: Vec<T>) -> ((), Vec<u8>) {
    ((), lists::to_bytes(&list))
}

/// The head of an answer, and the bytes that follow it: none after an error.
fn split<T, H, E>(
    answer: Result<T, E>,
    apart: impl FnOnce(T) -> (H, Vec<u8>),
) -> (Result<H, E>, Vec<u8>) {
    match answer.map(apart) {
        Ok((head, bytes)) => (Ok(head), bytes),
        Err(error) => (Err(error), Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::bindings::cellblock::format::tree::ReadError;
    use cellblock_contract::Partition;
    use cellblock_tree::source;

    const SIZE: usize = 4096;

    /// A partition that fails when it is asked for what is not inside it.
    struct Memory(Mutex<Vec<u8>>);

    impl Partition for Memory {
        fn size(&self) -> u64 {
            SIZE as u64
        }

        fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
            let start = usize::try_from(offset).unwrap();
            buffer.copy_from_slice(&self.0.lock().unwrap()[start..start + buffer.len()]);
            Ok(())
        }

        fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
            let start = usize::try_from(offset).unwrap();
            self.0.lock().unwrap()[start..start + bytes.len()].copy_from_slice(bytes);
            Ok(())
        }

        fn place(&self, batch: Vec<cellblock_contract::Placement>) -> io::Result<()> {
            panic!("{batch:?}");
        }

        fn compose(&self, run: cellblock_contract::Run) -> io::Result<()> {
            panic!("{run:?}");
        }

        fn place_pieces(
            &self,
            _spool: &Arc<std::fs::File>,
            batch: Vec<cellblock_contract::PiecePlacement>,
        ) -> io::Result<()> {
            panic!("{batch:?}");
        }

        fn settle(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Serves a process that says what it likes: what it gets.
    fn taken_over(
        speak: impl FnOnce(&mut Channel) + Send + 'static,
    ) -> Result<Result<Returned, Stopped>, ChannelError> {
        let (mut host, mut cell) = Channel::pair(0).unwrap();
        host.expect_within(std::time::Duration::from_secs(60));
        let speaking = std::thread::spawn(move || speak(&mut cell));
        let no_spool = || Err(io::ErrorKind::Unsupported.into());
        let tree = source::read_sources(&[], &no_spool, &source::ReadOptions::within(0))
            .unwrap()
            .tree;
        let partition = Memory(Mutex::new(vec![0; SIZE]));
        let mut local = Local::new(Arc::new(tree), Some(Arc::new(partition)));
        let served = serve(&mut host, &mut local);
        speaking.join().unwrap();
        served
    }

    fn ask<Q: Question>(channel: &mut Channel, question: Q, bytes: &[u8]) -> Q::Answer {
        let asked = FromCell::Asked(question.into());
        channel.send(&asked, bytes).unwrap();
        let (answer, bytes) = channel.receive().unwrap();
        assert!(bytes.is_empty());
        answer
    }

    #[test]
    fn a_process_that_is_taken_over_gets_no_further_than_a_guest() {
        let served = taken_over(|channel| {
            for offset in [1, SIZE as u64, u64::MAX - 1, u64::MAX] {
                let answer = ask(channel, message::WritePartition { offset }, &[7; SIZE]);
                assert!(answer == Err(ErrorCode::InsufficientSpace));
            }
            for (offset, length) in [(SIZE as u64 + 1, 1), (u64::MAX, u64::MAX)] {
                let answer = ask(channel, message::ReadPartition { length, offset }, &[]);
                assert!(answer == Err(ErrorCode::Invalid));
            }
            for file in [0, 1, u32::MAX] {
                let (offset, length) = (0, 1);
                let read = message::Read {
                    file,
                    offset,
                    length,
                };
                assert!(ask(channel, read, &[]) == Err(ReadError::NotAFile));
                let placement = Placement {
                    file,
                    file_offset: 0,
                    partition_offset: 0,
                    length: 1,
                    padding: 0,
                };
                let bytes = message::to_bytes(&[placement]);
                let answer = ask(channel, message::Place {}, &bytes);
                assert!(matches!(answer, Err(PlaceError::NotAFile(0))));
                let (offset, count) = (0, 1);
                let answer = ask(channel, message::Compose { offset, count }, &bytes);
                assert!(matches!(answer, Err(PlaceError::NotAFile(0))));
            }
            channel.send(&0xff_u8, &[]).unwrap();
        });
        assert!(matches!(served, Err(ChannelError::Malformed(_))));
    }

    #[test]
    fn a_process_whose_guest_does_not_encode_gets_nothing_encoded() {
        let served = taken_over(|channel| {
            let settings = || encoding::Settings {
                method: encoding::Method::Zstd,
                level: 3,
                window: 0,
                filter: encoding::Filter::None,
                limit: 0,
                unit: 1,
            };
            let failed = |answer| matches!(answer, Err(encoding::EncodeError::Failed));
            let encode = message::Encode {
                settings: settings(),
                counts: 1,
            };
            let block = [1_u32, 0, 0, 0, 1, 0].map(u32::to_le_bytes).concat();
            assert!(failed(ask(channel, encode, &block)));
            assert!(failed(ask(channel, message::Pieces { limit: 9 }, &[])));
            assert!(failed(ask(channel, message::PieceBytes { piece: 0 }, &[])));
            assert!(failed(ask(channel, message::PlacePieces {}, &[0; 20])));
            let own = message::EncodeBytes {
                settings: settings(),
                lengths: vec![2],
            };
            assert!(matches!(
                ask(channel, own, b"ab"),
                Err(encoding::EncodeError::Failed)
            ));
            assert!(ask(channel, message::DigestFiles {}, &[0; 4]) == Err(ReadError::Source));
            let blocks = message::DigestBlocks {
                file: 0,
                size: 4096,
            };
            assert!(ask(channel, blocks, &[]) == Err(ReadError::Source));
            let lies = message::EncodeBytes {
                settings: settings(),
                lengths: vec![u32::MAX, 2],
            };
            let asked = FromCell::Asked(lies.into());
            channel.send(&asked, b"ab").unwrap();
        });
        assert!(matches!(served, Err(ChannelError::Malformed(_))));
    }

    #[test]
    fn what_no_cell_says_without_asking_is_refused() {
        let placement = Placement {
            file: 0,
            file_offset: 0,
            partition_offset: 0,
            length: 1,
            padding: 0,
        };
        let placed = message::to_bytes(&[placement]);
        let end = SIZE as u64;
        let composed = |offset, count| Asked::from(message::Composed { offset, count });
        let told: [(Asked, Vec<u8>); 8] = [
            (composed(0, 1), placed.clone()),
            (composed(0, 2), vec![0; 63]),
            (composed(0, u32::MAX), vec![0; 64]),
            (composed(end, 0), vec![7]),
            (message::Placed {}.into(), placed),
            (message::Placed {}.into(), vec![0; 31]),
            (message::Written { offset: end }.into(), vec![7]),
            (message::Written { offset: u64::MAX }.into(), vec![7; 2]),
        ];
        for (asked, bytes) in told {
            let served = taken_over(move |channel| {
                channel.send(&FromCell::Asked(asked), &bytes).unwrap();
            });
            assert!(matches!(served, Err(ChannelError::Malformed(_))));
        }
    }

    #[test]
    fn a_process_that_goes_is_not_waited_for() {
        assert!(matches!(taken_over(|_| ()), Err(ChannelError::Closed)));
    }
}
