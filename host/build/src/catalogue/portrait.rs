//! What there is to tell of a guest before anything is made with it.

use std::path::Path;

use super::GuestError;
use super::carried::{BUILT_IN, BuiltIn};
use super::foreign::read_component;
use cellblock_cell::{CellError, Guest, Runtime, Wall};
use cellblock_contract::{CommandLine, Description, ReaderDescription};

/// What there is to tell of a formatter.
#[derive(Clone, Debug)]
pub struct Portrait {
    /// Its name here.
    pub name: String,
    /// What it says of itself.
    pub says: Says,
    /// The SHA-256 digest of its bytes.
    pub digest: [u8; 32],
    /// Its size in bytes.
    pub size: u64,
    /// The functions that it imports.
    pub imports: Vec<String>,
    /// What stands around it.
    pub wall: Wall,
}

/// What a guest says of itself.
#[derive(Clone, Debug)]
pub enum Says {
    /// It is a formatter.
    Formatter(Description),
    /// It is a reader.
    Reader(ReaderDescription),
    /// Nothing: it is a WASI command.
    Nothing,
}

/// The portraits of the built-in formatters.
///
/// # Errors
/// [`GuestError`] if one cannot be run.
pub fn built_in_portraits(runtime: &Runtime) -> Result<Vec<Portrait>, GuestError> {
    BUILT_IN
        .iter()
        .map(|guest| built_in_portrait(runtime, guest))
        .collect()
}

/// The portrait of one of them.
///
/// # Errors
/// [`GuestError`] if it cannot be run.
pub fn built_in_portrait(runtime: &Runtime, built_in: &BuiltIn) -> Result<Portrait, GuestError> {
    let guest = runtime.load_built_in(built_in.name, built_in.bytes)?;
    portrait(built_in.name, &guest, built_in.bytes.len())
}

/// The portrait of the formatter or reader in `file`.
///
/// # Errors
/// [`GuestError`] if it cannot be read or run.
pub fn foreign_portrait(runtime: &Runtime, file: &Path) -> Result<Portrait, GuestError> {
    let name = file
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let bytes = read_component(&name, file)?;
    portrait_of(runtime, &name, &bytes)
}

/// The portrait of a formatter or reader that somebody brings, called `name`.
///
/// # Errors
/// [`GuestError`] if it cannot be run.
pub fn portrait_of(runtime: &Runtime, name: &str, bytes: &[u8]) -> Result<Portrait, GuestError> {
    let guest = match runtime.load(name, bytes) {
        Err(CellError::IsCommand { .. }) => {
            let line = CommandLine::of_words(&[name]);
            runtime.load_command(name, bytes, &line)?
        }
        Err(CellError::IsReader { .. }) => {
            let reader = runtime.load_reader(name, bytes)?;
            let says = Says::Reader(reader.describe_reader()?);
            return Ok(painted(name, &reader, bytes.len(), says));
        }
        loaded => loaded?,
    };
    portrait(name, &guest, bytes.len())
}

fn portrait(name: &str, guest: &Guest, size: usize) -> Result<Portrait, GuestError> {
    let says = match guest.command_line() {
        Some(_) => Says::Nothing,
        None => Says::Formatter(guest.describe()?),
    };
    Ok(painted(name, guest, size, says))
}

fn painted(name: &str, guest: &Guest, size: usize, says: Says) -> Portrait {
    Portrait {
        name: name.to_owned(),
        says,
        digest: guest.digest(),
        size: size as u64,
        imports: guest.imports().to_vec(),
        wall: guest.wall().clone(),
    }
}
