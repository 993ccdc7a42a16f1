//! The program that workers run: this one, or one that is named.

use std::io;
use std::path::{Path, PathBuf};

use cellblock_cache::reapi::BlobName;
use sha2::{Digest as _, Sha256};

use crate::named_file;

/// The most bytes of a program.
const MOST: u64 = 1 << 30;
/// The type of the header in an ELF file that names who loads the program.
const PT_INTERP: u32 = 3;

/// The program that workers run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    path: PathBuf,
    name: BlobName,
    is_static: bool,
}

impl Program {
    /// That at `path`, or the one that runs.
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        // What this points to may have been replaced; what runs is still behind it.
        let path = path.unwrap_or(Path::new("/proc/self/exe")).to_owned();
        let bytes = read(&path)?;
        Ok(Self {
            name: BlobName {
                digest: Sha256::digest(&bytes).into(),
                size: u64::try_from(bytes.len()).expect("a length fits 64 bits"),
            },
            is_static: is_static(&bytes),
            path,
        })
    }

    pub(super) fn name(&self) -> BlobName {
        self.name
    }

    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let bytes = read(&self.path)?;
        if BlobName::of(&bytes) != self.name {
            return Err(io::Error::other("it has changed meanwhile"));
        }
        Ok(bytes)
    }

    /// What the user should know of it.
    pub(super) fn warning(&self) -> Option<String> {
        (!self.is_static).then(|| {
            "the program that workers run is not static: it runs where the same C library is"
                .to_owned()
        })
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    named_file::whole(path, MOST)
}

/// Whether an ELF file of 64 bits asks nobody to load it. Of what is none, nothing is known.
fn is_static(bytes: &[u8]) -> bool {
    let is_elf = bytes.starts_with(b"\x7fELF\x02\x01");
    let two = |at: usize| -> Option<usize> {
        let bytes = bytes.get(at..at + 2)?.try_into().ok()?;
        Some(u16::from_le_bytes(bytes).into())
    };
    let headers = || {
        let start = bytes.get(32..40)?.try_into().ok()?;
        let start = usize::try_from(u64::from_le_bytes(start)).ok()?;
        Some((start, two(54)?, two(56)?))
    };
    let Some((start, size, count)) = headers().filter(|_| is_elf) else {
        return true;
    };
    let mut types = (0..count).filter_map(|index| {
        let at = start.checked_add(index * size)?;
        let kind = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(u32::from_le_bytes(kind))
    });
    !types.any(|kind| kind == PT_INTERP)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs::File;

    use super::*;

    /// Workers would be given the beginning of it.
    #[test]
    fn a_program_that_is_too_long_is_refused_and_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        File::create(&path).unwrap().set_len(MOST + 1).unwrap();
        let error = Program::open(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("more than the 1073741824 bytes"), "{error}");
    }

    #[test]
    fn what_names_a_loader_is_not_static() {
        let mut elf = vec![0; 64 + 2 * 56];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = 2;
        assert!(is_static(&elf));
        elf[64 + 56] = 3;
        assert!(!is_static(&elf));
        assert!(is_static(b"#!/bin/sh\n"));
    }
}
