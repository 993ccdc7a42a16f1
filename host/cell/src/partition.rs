//! The partition, as a formatter has it open: one file of a fixed size, and nothing else.
//!
//! Reads and writes outside the file are refused, and its size cannot change.

use std::borrow::Cow;

use cellblock_text::{exact, grouped};

use super::files::path::Target;
use super::files::{CALL, ErrorCode, Fault, Files, Status};
use super::local::Local;
use super::state::Services;

impl Local {
    pub(super) fn read_within(
        &mut self,
        length: u64,
        offset: u64,
    ) -> Result<(Vec<u8>, bool), ErrorCode> {
        let partition = self.partition.as_ref().ok_or(ErrorCode::BadDescriptor)?;
        let size = partition.size();
        let Some(rest) = size.checked_sub(offset) else {
            let what = format!(
                "a read at byte {}, of {}",
                grouped(offset),
                exact(partition.size())
            );
            self.denied.partition(ErrorCode::Invalid, what);
            return Err(ErrorCode::Invalid);
        };
        let count = length.min(rest).min(CALL.into());
        if self.ledger.placed.overlaps(offset, offset + count) {
            partition.settle().map_err(|_| ErrorCode::Io)?;
        }
        let size = usize::try_from(count).map_err(|_| ErrorCode::Overflow)?;
        let mut buffer = vec![0; size];
        partition
            .read(offset, &mut buffer)
            .map_err(|_| ErrorCode::Io)?;
        Ok((buffer, count == rest))
    }

    pub(super) fn write_within(&mut self, bytes: &[u8], offset: u64) -> Result<u64, ErrorCode> {
        let partition = self.partition.as_ref().ok_or(ErrorCode::BadDescriptor)?;
        let size = partition.size();
        let end = match self.ledger.end_of_write(offset, bytes.len(), size) {
            Ok(end) => end,
            Err(code) => {
                let length = bytes.len() as u64;
                let mut what = format!("a write of {} at byte {}", exact(length), grouped(offset));
                match self.ledger.placed.overlap(offset, offset.saturating_add(length)) {
                    Some((start, end)) if code == ErrorCode::Busy => what.push_str(&format!(
                        ", where {} from byte {} on were placed, and what is placed cannot be written",
                        exact(end - start),
                        grouped(start)
                    )),
                    _ => what.push_str(&format!(", of a partition that has {}", exact(size))),
                }
                self.denied.partition(code, what);
                return Err(code);
            }
        };
        partition.write(offset, bytes).map_err(|_| ErrorCode::Io)?;
        self.ledger.written.cover(offset, end);
        Ok(bytes.len() as u64)
    }
}

impl<S: Services> Files for S {
    fn status(&self, _: Target) -> Status {
        Status {
            inode: 0,
            is_directory: false,
            size: self.partition_size().unwrap_or_default(),
            time: None,
        }
    }

    fn read_file(&mut self, offset: u64, most: u64) -> Result<(Vec<u8>, bool), Fault> {
        Ok(self.read_partition(most, offset)??)
    }

    fn write_file(&mut self, offset: u64, bytes: Cow<'_, [u8]>) -> Result<u64, Fault> {
        Ok(self.write_partition(&bytes, offset)??)
    }

    fn resize_file(&mut self, size: u64) -> Result<(), Fault> {
        if self.partition_size() == Some(size) {
            return Ok(());
        }
        Err(ErrorCode::NotPermitted.into())
    }

    fn flush_file(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn takes_times(&self) -> bool {
        false
    }

    fn has_streams(&self) -> bool {
        false
    }
}
