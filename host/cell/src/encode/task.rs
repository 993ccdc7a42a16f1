//! A block to encode, and what stands for it so that it is found again.

use cellblock_codec::{Block, Filter, Settings, encoded};
use cellblock_text::PathBytes;
use cellblock_tree::source::SourceError;
use cellblock_tree::{NodeId, Portion, Reader, Tree};

use super::{Encoded, Failure, Worker, WorkerError, Workers};

/// A range of a file that was checked. Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) file: NodeId,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// What is compressed.
pub(super) enum Input {
    /// Ranges of files, of at most 16 MiB together.
    Spans(Vec<Span>),
    /// Bytes of the guest's own.
    Own(Vec<u8>),
}

/// A block with its settings, which were checked.
pub(super) struct Task {
    pub(super) settings: Settings,
    pub(super) content: Input,
}

/// What stands for settings and content: equal ones are encoded once.
pub(super) type Key = [u8; 32];

impl Task {
    pub(super) fn length(&self) -> usize {
        match &self.content {
            Input::Spans(spans) => {
                let sum: u64 = spans.iter().map(|span| span.length).sum();
                usize::try_from(sum).expect("a block has at most 16 MiB")
            }
            Input::Own(bytes) => bytes.len(),
        }
    }

    pub(super) fn key(&self) -> Key {
        let Settings {
            method,
            level,
            window,
            filter,
            limit,
            unit,
        } = self.settings;
        let mut hash = blake3::Hasher::new();
        hash.update(method.name().as_bytes());
        for number in [level, window, filter_number(filter), limit, unit] {
            hash.update(&number.to_le_bytes());
        }
        match &self.content {
            Input::Spans(spans) => {
                hash.update(b"spans");
                for span in spans {
                    hash.update(&span.file.0.to_le_bytes());
                    hash.update(&span.offset.to_le_bytes());
                    hash.update(&span.length.to_le_bytes());
                }
            }
            Input::Own(bytes) => {
                hash.update(b"bytes");
                hash.update(bytes);
            }
        }
        *hash.finalize().as_bytes()
    }

    /// Fills `room` with the content.
    fn read(&self, reader: &mut Reader<'_>, room: &mut [u8]) -> Result<(), SourceError> {
        let spans = match &self.content {
            Input::Own(bytes) => {
                room.copy_from_slice(bytes);
                return Ok(());
            }
            Input::Spans(spans) => spans,
        };
        if let [span] = spans[..] {
            return reader.read(span.file, span.offset, room);
        }
        let mut end = 0;
        let portion = |span: &Span| {
            let start = end;
            end += usize::try_from(span.length).expect("a block has at most 16 MiB");
            Portion {
                file: span.file,
                offset: span.offset,
                into: start..end,
            }
        };
        let portions: Vec<Portion> = spans.iter().map(portion).collect();
        reader.read_joined(&portions, room)
    }

    /// The file that it begins with; none of the guest's own bytes.
    fn path(&self, tree: &Tree) -> Option<PathBytes> {
        match &self.content {
            Input::Spans(spans) => spans.first().map(|span| PathBytes(tree.path(span.file))),
            Input::Own(_) => None,
        }
    }
}

/// Has blocks encoded together by `worker`, which is started if there is none, and hands what came of each to `take`, in order.
/// A worker that failed is none any more, and fails all that it was given.
pub(super) fn encode_together(
    tasks: &[Task],
    tree: &Tree,
    reader: &mut Reader<'_>,
    workers: &dyn Workers,
    worker: &mut Option<Box<dyn Worker>>,
    mut take: impl FnMut(Result<Encoded<'_>, Failure>),
) {
    let Some((first, others)) = tasks.split_first() else {
        return;
    };
    let mut unread = Vec::with_capacity(tasks.len());
    match ask(tasks, reader, workers, worker, &mut unread) {
        Ok(encoded) => {
            let mut encoded = encoded.into_iter();
            for unread in unread {
                take(match unread {
                    Some(error) => Err(Failure::Source(error)),
                    None => Ok(encoded.next().expect("one of each that was read")),
                });
            }
        }
        Err(error) => {
            for _ in tasks {
                take(Err(Failure::Worker {
                    path: first.path(tree),
                    others: others.len(),
                    error: error.clone(),
                }));
            }
            *worker = None;
        }
    }
}

/// What a worker makes of `tasks`, but for those that cannot be read: of each, `unread` is given why, or nothing.
fn ask<'w>(
    tasks: &[Task],
    reader: &mut Reader<'_>,
    workers: &dyn Workers,
    worker: &'w mut Option<Box<dyn Worker>>,
    unread: &mut Vec<Option<SourceError>>,
) -> Result<Vec<Encoded<'w>>, WorkerError> {
    let worker = match worker {
        Some(worker) => worker,
        none => none.insert(workers.start()?),
    };
    let room = worker.room(tasks.iter().map(Task::length).sum())?;
    let mut blocks = Vec::with_capacity(tasks.len());
    let mut end = 0;
    for task in tasks {
        let block = Block {
            settings: task.settings,
            length: task.length(),
        };
        let read = task.read(reader, &mut room[end..][..block.length]);
        if read.is_ok() {
            end += block.length;
            blocks.push(block);
        }
        unread.push(read.err());
    }
    if blocks.is_empty() {
        return Ok(Vec::new());
    }
    encoded(&mut **worker, &blocks)
}

fn filter_number(filter: Filter) -> u32 {
    match filter {
        Filter::None => 0,
        Filter::X86 => 1,
        Filter::Arm64 => 2,
        Filter::Arm => 3,
        Filter::ArmThumb => 4,
        Filter::PowerPc => 5,
        Filter::Sparc => 6,
        Filter::Ia64 => 7,
        Filter::RiscV => 8,
    }
}
