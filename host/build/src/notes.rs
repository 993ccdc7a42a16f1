//! What is kept of a file system beside its bytes: by a cache, and by a worker that has made it.

use std::time::Duration;

use cellblock_cell::Outcome;
use cellblock_contract::{EncodedCounts, Level, Log, LogLine, Property, Summary};
use cellblock_image::PartitionFile;
use serde::{Deserialize, Serialize};

use crate::filesystem::Formed;

/// What is kept of a file system beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notes {
    used: u64,
    properties: Vec<(String, String)>,
    log: Vec<(Level, String)>,
    /// How many lines more were logged.
    dropped: u64,
    arguments: Vec<String>,
    /// What was compressed: blocks, those found again, bytes in and out.
    encoded: Option<[u64; 4]>,
}

impl Notes {
    /// What is to be kept of what a cell has said, and of what was compressed for it.
    pub(crate) fn of(outcome: &Outcome, encoded: Option<EncodedCounts>) -> Self {
        let Outcome {
            summary,
            log,
            arguments,
        } = outcome;
        let properties = summary.properties.iter();
        Self {
            used: summary.used,
            properties: properties
                .map(|it| (it.name.clone(), it.value.clone()))
                .collect(),
            log: (log.lines().iter())
                .map(|it| (it.level, it.text.clone()))
                .collect(),
            dropped: log.dropped(),
            arguments: arguments.clone(),
            encoded: encoded.map(|it| {
                let EncodedCounts {
                    blocks,
                    reused,
                    bytes_in,
                    bytes_out,
                } = it;
                [blocks, reused, bytes_in, bytes_out]
            }),
        }
    }

    /// The file system that these notes are of, which came in `formatting` from somewhere else.
    pub(crate) fn formed(self, partition: PartitionFile, formatting: Duration) -> Formed {
        let properties = self.properties.into_iter();
        let lines = self.log.into_iter();
        let lines = lines.map(|(level, text)| LogLine { level, text });
        Formed {
            partition,
            outcome: Outcome {
                summary: Summary {
                    used: self.used,
                    properties: properties
                        .map(|(name, value)| Property { name, value })
                        .collect(),
                },
                log: Log::of(lines, self.dropped),
                arguments: self.arguments,
            },
            encoded: self
                .encoded
                .map(|[blocks, reused, bytes_in, bytes_out]| EncodedCounts {
                    blocks,
                    reused,
                    bytes_in,
                    bytes_out,
                }),
            formatting,
            cache: None,
            worker: None,
            warnings: Vec::new(),
        }
    }
}
