//! Guests that somebody brings: a file, or a component in a registry.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::GuestError;
use crate::component::{self, Fetch};
use crate::named_file;
use cellblock_cell::LARGEST_COMPONENT;
use cellblock_contract::CommandLine;
use cellblock_spec::GuestFile;
use cellblock_text::hexadecimal;

/// A formatter or a reader that somebody brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Where the component or the command is.
    pub file: GuestFile,
    /// How far one goes to have it, if it is in a registry.
    pub fetch: Fetch,
    /// The digest that the file must have.
    pub sha256: Option<[u8; 32]>,
    /// How it is called, if it is a WASI command and no component of the contract.
    pub command: Option<CommandLine>,
}

impl Foreign {
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>, GuestError> {
        let bytes = read_guest(name, &self.file, self.fetch)?;
        let is: [u8; 32] = Sha256::digest(&bytes).into();
        match self.sha256 {
            Some(pinned) if pinned != is => Err(GuestError::Digest {
                name: name.to_owned(),
                file: PathBuf::from(self.file.to_string()),
                is: hexadecimal(&is),
                pinned: hexadecimal(&pinned),
            }),
            _ => Ok(bytes),
        }
    }
}

fn read_guest(name: &str, file: &GuestFile, fetch: Fetch) -> Result<Vec<u8>, GuestError> {
    match file {
        GuestFile::File(path) => read_component(name, path),
        GuestFile::Oci(reference) => component::read(reference, fetch)
            .map(|component| component.bytes)
            .map_err(|source| GuestError::Component {
                name: name.to_owned(),
                source,
            }),
    }
}

pub(super) fn read_component(name: &str, file: &Path) -> Result<Vec<u8>, GuestError> {
    named_file::whole(file, LARGEST_COMPONENT).map_err(|source| GuestError::Read {
        name: name.to_owned(),
        file: file.to_owned(),
        source,
    })
}
