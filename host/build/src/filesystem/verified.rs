//! File systems that are read back before anybody gets them.

use cellblock_image::PartitionFile;

use super::{Preparation, Prepared};
use crate::catalogue::is_read;
use crate::error::PartitionError;
use crate::progress::{Phase, watched};
use crate::reading::ReadingError;
use crate::verify::{self, Verify, VerifyError};

/// What came of reading a file system back.
pub(super) enum Verified {
    /// Nobody asked for it.
    Not,
    /// It is what went in, as this reader tells it.
    By(String),
    /// No reader reads what it is, as far as that is known.
    Unread(Option<String>),
}

impl Preparation<'_> {
    /// Reads a file system back, if that is wanted: the reader's name.
    pub(super) fn verified(
        &self,
        prepared: &Prepared,
        partition: &PartitionFile,
    ) -> Result<Verified, PartitionError> {
        let is_asked = match self.options.verify {
            Verify::Never => return Ok(Verified::Not),
            Verify::Foreign if !prepared.formatter.is_foreign => return Ok(Verified::Not),
            Verify::Foreign => false,
            Verify::Always => true,
        };
        let kind = prepared.kind();
        let read = watched(
            &*self.options.progress,
            Phase::Verifying,
            &prepared.name,
            None,
            |_| {
                let lost = prepared.lost();
                // A component is told label and identifier. A command need not be, and a kind of somebody's own is not the reader's.
                let is_told = prepared.formatter.is_component() && is_read(kind);
                verify::read_back(
                    self.runtime,
                    &prepared.name,
                    partition,
                    (&prepared.tree, lost),
                    is_told.then_some(&prepared.filesystem),
                    self.options,
                )
            },
        );
        match read {
            Ok(reader) => Ok(Verified::By(reader)),
            // Only what has the name of a file system that is read has to be one.
            Err(VerifyError::Reading(ReadingError::NoReader { found, .. })) if !is_read(kind) => {
                Ok(if is_asked {
                    Verified::Unread(found)
                } else {
                    Verified::Not
                })
            }
            Err(error) => Err(Box::new(error).into()),
        }
    }
}
