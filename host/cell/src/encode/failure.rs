//! Why content was not encoded, which the guest only knows as `failed`.

use std::io;

use cellblock_text::PathBytes;
use cellblock_tree::source::SourceError;

use super::WorkerError;
use crate::CellError;

/// What the host knows of it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The content could not be read.
    Source(SourceError),
    /// The codec, or who runs it, failed.
    Worker {
        /// The file that the first block begins with; none of the guest's own bytes.
        path: Option<PathBytes>,
        /// How many blocks were to be compressed with it.
        others: usize,
        error: WorkerError,
    },
    /// The file that keeps what was encoded.
    Spool(io::Error),
    /// No thread could be started.
    Thread(io::Error),
    /// A thread of the host has panicked: joining it tells.
    Panic,
    /// The call that had asked for the block ended before it was begun.
    Dropped,
    /// It failed before, and whoever asked then was told why.
    Told,
}

impl From<Failure> for CellError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Source(error) => Box::new(error).into(),
            Failure::Worker {
                path,
                others,
                error,
            } => Self::Codec {
                path: path.map(|path| match others {
                    0 => path.to_string(),
                    _ => format!("{path}, and {others} blocks with it"),
                }),
                reason: error.to_string(),
            },
            Failure::Spool(source) => Self::Spool { source },
            Failure::Thread(error) => Self::Engine(format!("a thread does not start: {error}")),
            Failure::Panic => Self::Engine("a thread that encodes has panicked".to_owned()),
            Failure::Dropped => Self::Engine(
                "a block is asked for that was not encoded before its call ended".to_owned(),
            ),
            Failure::Told => Self::Engine(
                "a block is asked for again that could not be encoded before".to_owned(),
            ),
        }
    }
}
