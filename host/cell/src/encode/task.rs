//! A block to encode, and what stands for it so that it is found again.

use cellblock_codec::{Filter, Settings};
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

    /// Has it encoded by `worker`, which is started if there is none.
    pub(super) fn encode<'w>(
        &self,
        reader: &mut Reader<'_>,
        workers: &dyn Workers,
        worker: &'w mut Option<Box<dyn Worker>>,
    ) -> Result<Encoded<'w>, Problem> {
        let worker = match worker {
            Some(worker) => worker,
            none => none.insert(workers.start()?),
        };
        let length = self.length();
        self.read(reader, worker.room(length)?)?;
        let encoded = worker.encode(&self.settings)?;
        if encoded.is_of(&self.settings, length) {
            Ok(encoded)
        } else {
            Err(WorkerError::Lost("answers lengths that cannot be".to_owned()).into())
        }
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

    /// What went wrong, and where.
    pub(super) fn failed(&self, tree: &Tree, problem: Problem) -> Failure {
        match problem {
            Problem::Source(error) => Failure::Source(error),
            Problem::Worker(error) => Failure::Worker {
                path: match &self.content {
                    Input::Spans(spans) => {
                        spans.first().map(|span| PathBytes(tree.path(span.file)))
                    }
                    Input::Own(_) => None,
                },
                error,
            },
        }
    }
}

/// What went wrong with a block.
#[derive(Debug)]
pub(super) enum Problem {
    Source(SourceError),
    Worker(WorkerError),
}

impl From<SourceError> for Problem {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<WorkerError> for Problem {
    fn from(error: WorkerError) -> Self {
        Self::Worker(error)
    }
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
