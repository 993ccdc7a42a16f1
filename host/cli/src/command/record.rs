//! `--json FILE` and `--provenance FILE`: the record and the statement, which are written before an image gets its name.

use std::path::Path;

use cellblock_build::footprint::Footprint;
use cellblock_build::image::{Document, Durability};
use serde::Serialize;

use super::{Failure, as_json, print};
use crate::arguments::Run;

/// Where the record goes.
pub(super) enum RecordFile {
    /// Nobody asked for it.
    Nowhere,
    Stdout,
    File(Document, Durability),
}

impl RecordFile {
    /// Looks whether the record can be written, before anything is built; `is_taken` tells whether standard output is.
    pub(super) fn prepare(
        run: &Run,
        footprint: &mut Footprint,
        is_taken: bool,
    ) -> Result<Self, Failure> {
        let record = Self::at("the record", run.json.as_deref(), footprint, is_taken)?;
        Ok(record.synced(run.sync))
    }

    /// The same, on the disk before it gets its name if `sync` says so.
    pub(super) fn synced(self, sync: bool) -> Self {
        match self {
            Self::File(document, _) => Self::File(document, super::durability(sync)),
            other => other,
        }
    }

    /// The same, where it is typed.
    pub(super) fn at(
        what: &'static str,
        path: Option<&Path>,
        footprint: &mut Footprint,
        is_taken: bool,
    ) -> Result<Self, Failure> {
        match path {
            None => Ok(Self::Nowhere),
            Some(path) if path == Path::new("-") => {
                footprint.writes(what, path);
                if is_taken {
                    return Err(Failure::usage(
                        "standard output takes the image or the record, not both: name a file with -o or --json",
                    ));
                }
                Ok(Self::Stdout)
            }
            Some(path) => {
                footprint.writes(what, path);
                footprint.check()?;
                Ok(Self::File(Document::prepare(path)?, Durability::Written))
            }
        }
    }

    /// Whether standard output takes it, and nothing else may be said there.
    pub(super) fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }

    /// Writes it, though not under its name yet.
    pub(super) fn write(&mut self, record: &impl Serialize) -> Result<(), Failure> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Stdout => print(&as_json(record)?),
            Self::File(document, _) => {
                let text = as_json(record)?;
                document.write(text.as_bytes()).map_err(Failure::failed)
            }
        }
    }

    /// Writes the record of each volume: alone if there is one, or else a list.
    pub(super) fn write_each(&mut self, records: &[impl Serialize]) -> Result<(), Failure> {
        match records {
            [one] => self.write(one),
            several => self.write(&several),
        }
    }

    /// Gives it its name.
    pub(super) fn publish(self) -> Result<(), Failure> {
        match self {
            Self::Nowhere | Self::Stdout => Ok(()),
            Self::File(document, durability) => {
                document.publish_as(durability).map_err(Failure::failed)
            }
        }
    }
}
