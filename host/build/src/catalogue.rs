//! The formatters: those that are built in, and those that somebody brings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::parallel;
use cellblock_cell::{CellError, Guest, Runtime, Wall};
use cellblock_contract::{CommandLine, Description};
use cellblock_text::hexadecimal;

/// A formatter that the program carries.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// The file systems that it makes.
    pub kinds: &'static [&'static str],
    /// The component.
    pub bytes: &'static [u8],
}

/// All formatters that the program carries.
pub const BUILT_IN: [BuiltIn; 3] = [
    BuiltIn {
        name: "ext4",
        kinds: &["ext2", "ext3", "ext4"],
        bytes: include_bytes!("../guests/ext4.wasm"),
    },
    BuiltIn {
        name: "swap",
        kinds: &["swap"],
        bytes: include_bytes!("../guests/swap.wasm"),
    },
    BuiltIn {
        name: "vfat",
        kinds: &["vfat", "fat12", "fat16", "fat32"],
        bytes: include_bytes!("../guests/vfat.wasm"),
    },
];

/// The file systems that built-in formatters make.
pub fn built_in_kinds() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().flat_map(|guest| guest.kinds).copied()
}

/// A formatter that somebody brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The file of the component or the command.
    pub file: PathBuf,
    /// The digest that the file must have.
    pub sha256: Option<[u8; 32]>,
    /// How it is called, if it is a WASI command and no component of the contract.
    pub command: Option<CommandLine>,
}

/// Why a formatter cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// The file cannot be read.
    #[error("{}: the guest '{name}' cannot be read: {source}", file.display())]
    Read {
        /// The guest.
        name: String,
        /// Its file.
        file: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file is not the one that the spec or the command line pins.
    #[error(
        "{}: the guest '{name}' has the SHA-256 digest {is}, and is pinned to {pinned}",
        file.display()
    )]
    Digest {
        /// The guest.
        name: String,
        /// Its file.
        file: PathBuf,
        /// The digest of the file.
        is: String,
        /// The digest that it must have.
        pinned: String,
    },
    /// Nothing makes the file system.
    #[error(
        "no formatter makes '{kind}'; there are {known}, and --guest {kind}=FILE.wasm brings one"
    )]
    Unknown {
        /// The file system.
        kind: String,
        /// Those that there are.
        known: String,
    },
    /// The guest cannot be run.
    #[error(transparent)]
    Cell(#[from] CellError),
}

/// The formatters to choose from: a foreign one goes before a built-in one of the same name.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    foreign: BTreeMap<String, Foreign>,
}

/// A formatter that is ready, and what it calls the file system.
#[derive(Clone)]
pub struct Formatter {
    /// The compiled guest.
    pub guest: Arc<Guest>,
    /// The kind to ask it for.
    pub kind: String,
}

impl Catalog {
    /// The built-in formatters, and `foreign` by the names of the file systems that they make.
    #[must_use]
    pub fn new(foreign: BTreeMap<String, Foreign>) -> Self {
        Self { foreign }
    }

    /// Every kind of file system that there is a formatter for, each once.
    #[must_use]
    pub fn kinds(&self) -> Vec<&str> {
        let mut kinds: Vec<&str> = built_in_kinds().collect();
        kinds.extend(self.foreign.keys().map(String::as_str));
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// How the formatter of `kind` is called, if it is a command.
    #[must_use]
    pub fn command_line(&self, kind: &str) -> Option<&CommandLine> {
        self.foreign.get(kind)?.command.as_ref()
    }

    /// Whether somebody brought the formatter of `kind`.
    #[must_use]
    pub fn is_foreign(&self, kind: &str) -> bool {
        self.foreign.contains_key(kind)
    }

    /// Makes the formatters of `kinds` ready, on `jobs` threads.
    ///
    /// # Errors
    /// [`GuestError`] if one is not there, or cannot be run.
    pub fn load(
        &self,
        runtime: &Runtime,
        kinds: &BTreeSet<&str>,
        jobs: usize,
    ) -> Result<BTreeMap<String, Formatter>, GuestError> {
        let mut wanted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for kind in kinds {
            wanted.entry(self.guest_of(kind)?).or_default().push(kind);
        }
        let wanted: Vec<(&str, Vec<&str>)> = wanted.into_iter().collect();
        let loaded = parallel::map(jobs, &wanted, |(name, kinds)| {
            self.load_one(runtime, name, kinds)
        })?;
        Ok(loaded.into_iter().flatten().collect())
    }

    /// The name of the guest that makes `kind`: a foreign one has its kind's name.
    fn guest_of<'a>(&self, kind: &'a str) -> Result<&'a str, GuestError> {
        if self.is_foreign(kind) {
            return Ok(kind);
        }
        BUILT_IN
            .iter()
            .find(|guest| guest.kinds.contains(&kind))
            .map(|guest| guest.name)
            .ok_or_else(|| GuestError::Unknown {
                kind: kind.to_owned(),
                known: self.kinds().join(", "),
            })
    }

    fn load_one(
        &self,
        runtime: &Runtime,
        name: &str,
        kinds: &[&str],
    ) -> Result<Vec<(String, Formatter)>, GuestError> {
        if let Some(foreign) = self.foreign.get(name) {
            let bytes = foreign.read(name)?;
            if let Some(line) = &foreign.command {
                let guest = Arc::new(runtime.load_command(name, &bytes, line)?);
                let kind = name.to_owned();
                return Ok(vec![(kind.clone(), Formatter { guest, kind })]);
            }
            let guest = Arc::new(runtime.load(name, &bytes)?);
            let offered = guest.describe()?.kinds;
            let kind = offered
                .iter()
                .find(|kind| *kind == name)
                .or(offered.first())
                .cloned()
                .unwrap_or_else(|| name.to_owned());
            return Ok(vec![(name.to_owned(), Formatter { guest, kind })]);
        }
        let Some(built_in) = BUILT_IN.iter().find(|guest| guest.name == name) else {
            return Ok(Vec::new());
        };
        let guest = Arc::new(runtime.load(name, built_in.bytes)?);
        Ok(kinds
            .iter()
            .map(|kind| {
                let formatter = Formatter {
                    guest: Arc::clone(&guest),
                    kind: (*kind).to_owned(),
                };
                ((*kind).to_owned(), formatter)
            })
            .collect())
    }
}

impl Foreign {
    fn read(&self, name: &str) -> Result<Vec<u8>, GuestError> {
        let bytes = read_component(name, &self.file)?;
        let is: [u8; 32] = Sha256::digest(&bytes).into();
        match self.sha256 {
            Some(pinned) if pinned != is => Err(GuestError::Digest {
                name: name.to_owned(),
                file: self.file.clone(),
                is: hexadecimal(&is),
                pinned: hexadecimal(&pinned),
            }),
            _ => Ok(bytes),
        }
    }
}

fn read_component(name: &str, file: &Path) -> Result<Vec<u8>, GuestError> {
    std::fs::read(file).map_err(|source| GuestError::Read {
        name: name.to_owned(),
        file: file.to_owned(),
        source,
    })
}

/// What there is to tell of a formatter.
#[derive(Clone, Debug)]
pub struct Portrait {
    /// Its name here.
    pub name: String,
    /// What it says of itself; a command says nothing.
    pub description: Option<Description>,
    /// The SHA-256 digest of its bytes.
    pub digest: [u8; 32],
    /// Its size in bytes.
    pub size: u64,
    /// The functions that it imports.
    pub imports: Vec<String>,
    /// What stands around it.
    pub wall: Wall,
}

/// The portraits of the built-in formatters.
///
/// # Errors
/// [`GuestError`] if one cannot be run.
pub fn built_in_portraits(runtime: &Runtime) -> Result<Vec<Portrait>, GuestError> {
    BUILT_IN
        .iter()
        .map(|guest| portrait(runtime, guest.name, guest.bytes))
        .collect()
}

/// The portrait of the formatter in `file`.
///
/// # Errors
/// [`GuestError`] if it cannot be read or run.
pub fn foreign_portrait(runtime: &Runtime, file: &Path) -> Result<Portrait, GuestError> {
    let name = file
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let bytes = read_component(&name, file)?;
    portrait(runtime, &name, &bytes)
}

fn portrait(runtime: &Runtime, name: &str, bytes: &[u8]) -> Result<Portrait, GuestError> {
    let guest = match runtime.load(name, bytes) {
        Err(CellError::IsCommand { .. }) => {
            let line = CommandLine::of_words(&[name]);
            runtime.load_command(name, bytes, &line)?
        }
        loaded => loaded?,
    };
    let description = match guest.command_line() {
        Some(_) => None,
        None => Some(guest.describe()?),
    };
    Ok(Portrait {
        name: name.to_owned(),
        description,
        digest: guest.digest(),
        size: bytes.len() as u64,
        imports: guest.imports().to_vec(),
        wall: guest.wall().clone(),
    })
}
