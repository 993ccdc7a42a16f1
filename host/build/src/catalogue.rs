//! The formatters: those that are built in, and those that somebody brings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::component::{self, ComponentError, Fetch};
use crate::named_file;
use crate::parallel;
use crate::plan::{FilesystemRequest, PlanError, Reason, leaves_attributes_out};
use crate::progress::Progress;
use cellblock_cell::{CellError, Guest, LARGEST_COMPONENT, Runtime, Wall};
use cellblock_contract::{
    CommandLine, Description, KindDescription, Kinds, Loss, Losses, ReaderDescription,
};
use cellblock_spec::{GuestFile, Spec};
use cellblock_text::hexadecimal;

/// A formatter that the program carries.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// The names of the file systems that it makes, known before it is run. What they are it says itself.
    pub kinds: &'static [&'static str],
    /// The component.
    pub bytes: &'static [u8],
}

/// Embeds components of `guests/dist/`, a line each: the name of the guest, and those of its kinds.
macro_rules! embed {
    ($($name:literal: $($kind:literal),+;)+) => {
        /// All formatters that the program carries.
        pub const BUILT_IN: &[BuiltIn] = &[$(BuiltIn {
            name: $name,
            kinds: &[$($kind),+],
            bytes: include_bytes!(concat!("../guests/", $name, ".wasm")),
        }),+];
    };
}

embed! {
    "erofs": "erofs";
    "ext4": "ext2", "ext3", "ext4";
    "squashfs": "squashfs";
    "swap": "swap";
    "vfat": "vfat", "fat12", "fat16", "fat32";
}

/// Embeds readers of `guests/dist/`, a line each: the name of the guest, and the kinds that it reads.
macro_rules! embed_readers {
    ($($name:literal: $($kind:literal),+;)*) => {
        /// All readers that the program carries.
        pub const BUILT_IN_READERS: &[BuiltIn] = &[$(BuiltIn {
            name: $name,
            kinds: &[$($kind),+],
            bytes: include_bytes!(concat!("../guests/", $name, ".wasm")),
        }),*];
    };
}

embed_readers! {
    "read-erofs": "erofs";
    "read-ext": "ext2", "ext3", "ext4";
    "read-fat": "vfat", "fat12", "fat16", "fat32", "exfat";
    "read-squashfs": "squashfs";
}

/// The file systems that built-in formatters make.
pub fn built_in_kinds() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().flat_map(|guest| guest.kinds).copied()
}

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
    /// It is to make a known file system, and makes others.
    #[error(
        "the guest '{name}' makes {kinds}, and no {name}: name it after what it makes, or give it a name that no file system has"
    )]
    OtherKind {
        /// What it is to make.
        name: String,
        /// What it makes.
        kinds: String,
    },
    /// A registry or a layout does not give it.
    #[error("the guest '{name}': {source}")]
    Component {
        /// The guest.
        name: String,
        /// The reason.
        source: ComponentError,
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

impl GuestError {
    /// Whether what was named is wrong: all that is told before anything of the guest runs.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Unknown { .. }
            | Self::Read { .. }
            | Self::Digest { .. }
            | Self::OtherKind { .. } => true,
            Self::Component { source, .. } => source.is_usage(),
            Self::Cell(error) => error.is_of_the_file(),
        }
    }
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
    /// The kind to ask it for, and what that is.
    pub kind: KindDescription,
    /// What its file systems cannot store; a command does not say it, so that this is none of one.
    pub lacks: Option<Losses>,
    /// Whether where the partition lies on its disk is no matter to it: it is then told 0.
    is_blind_to_offset: bool,
    /// Whether somebody brought it.
    pub is_foreign: bool,
    /// What was brought.
    #[cfg(feature = "cache")]
    pub(crate) component: Option<Arc<[u8]>>,
}

/// The built-in formatters whose formats do not store where on a disk they lie. Any other is told, and the offset is in the key
/// of what it makes.
const BLIND_TO_OFFSET: [&str; 4] = ["erofs", "ext4", "squashfs", "swap"];

impl Formatter {
    /// The disk offset in bytes that the formatter is told for a partition that begins at `start`: 0 if it is no matter to the
    /// format, so that a partition that moves is the same partition.
    #[must_use]
    pub fn request_offset(&self, start: u64) -> u64 {
        if self.is_blind_to_offset { 0 } else { start }
    }

    /// Whether it is a component of the contract, and no command: it is told label and identifier, and says what it lacks.
    #[must_use]
    pub fn is_component(&self) -> bool {
        self.guest.command_line().is_none()
    }
}

/// Formatters that are ready, by the names that a spec has for their file systems.
#[derive(Clone, Default)]
pub struct Formatters(BTreeMap<String, Formatter>);

impl Formatters {
    /// The formatter of `kind`, if it was asked for.
    #[must_use]
    pub fn get(&self, kind: &str) -> Option<&Formatter> {
        self.0.get(kind)
    }

    /// Says which guests make them, and behind what.
    pub(crate) fn say(&self, progress: &dyn Progress) {
        for (kind, formatter) in &self.0 {
            let guest = &formatter.guest;
            progress.say(&format!(
                "{kind}: is made by the formatter {}, sha256 {}, behind {}",
                guest.name(),
                hexadecimal(&guest.digest()),
                guest.wall().wall
            ));
        }
    }

    /// Refuses labels for SELinux in file systems that store no attributes.
    ///
    /// # Errors
    /// [`PlanError`] for the first.
    pub(crate) fn check_labels(&self, spec: &Spec) -> Result<(), PlanError> {
        let filesystems = spec
            .partitions
            .iter()
            .filter_map(|it| it.filesystem.as_ref());
        for filesystem in filesystems {
            let kind = &filesystem.kind.value;
            let options = filesystem.options.iter();
            let options = options.map(|(name, value)| (&**name, &*value.value));
            if let Some(selinux) = &filesystem.selinux
                && !self.stores_labels(kind, options)
            {
                let reason = Reason::LabelsNotStored { kind: kind.clone() };
                return Err(PlanError::at(reason, &selinux.place));
            }
        }
        Ok(())
    }

    /// The same of a file system that no spec describes.
    ///
    /// # Errors
    /// [`PlanError`] if it stores none, and is to have some.
    pub(crate) fn check_labels_of(&self, request: &FilesystemRequest) -> Result<(), PlanError> {
        let options = request.options.iter();
        let options = options.map(|(name, value)| (&**name, &**value));
        if request.contexts.is_none() || self.stores_labels(&request.kind, options) {
            return Ok(());
        }
        let kind = request.kind.clone();
        Err(PlanError::of_reason(Reason::LabelsNotStored { kind }))
    }

    /// Whether a kind of file system with these options stores extended attributes, as far as its formatter says that.
    fn stores_labels<'o>(
        &self,
        kind: &str,
        options: impl Iterator<Item = (&'o str, &'o str)>,
    ) -> bool {
        let lacks = self.get(kind).and_then(|formatter| formatter.lacks);
        lacks.is_none_or(|lacks| !lacks.contains(Loss::Attributes))
            && !leaves_attributes_out(kind, options)
    }

    /// What the file systems are.
    #[must_use]
    pub fn kinds(&self) -> Kinds {
        let all = self.0.iter();
        all.map(|(name, formatter)| (name.clone(), formatter.kind.clone()))
            .collect()
    }
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

    /// Makes the formatters of `kinds` ready, on `jobs` threads, and has them say what their file systems are. One that
    /// does not, and has the name of a file system that a built-in formatter makes, is taken to make the same.
    ///
    /// # Errors
    /// [`GuestError`] if one is not there, or cannot be run.
    pub fn load(
        &self,
        runtime: &Runtime,
        kinds: &BTreeSet<&str>,
        jobs: usize,
    ) -> Result<Formatters, GuestError> {
        let mut wanted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for kind in kinds {
            wanted.entry(self.guest_of(kind)?).or_default().push(kind);
        }
        let wanted: Vec<(&str, Vec<&str>)> = wanted.into_iter().collect();
        let loaded = parallel::map(jobs, &wanted, |(name, kinds)| {
            self.load_one(runtime, name, kinds)
        })?;
        Ok(Formatters(loaded.into_iter().flatten().collect()))
    }

    /// The name of the guest that makes `kind`: a foreign one has its kind's name.
    fn guest_of<'a>(&self, kind: &'a str) -> Result<&'a str, GuestError> {
        if self.foreign.contains_key(kind) {
            return Ok(kind);
        }
        makers(kind)
            .next()
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
        let built_in = |name: &str| {
            let found = BUILT_IN.iter().find(|guest| guest.name == name);
            found.expect("a guest is named by a foreign one or by a built-in one")
        };
        let Some(foreign) = self.foreign.get(name) else {
            let built_in = built_in(name);
            let guest = Arc::new(runtime.load_built_in(name, built_in.bytes)?);
            let description = guest.describe()?;
            let (described, lacks) = (description.kinds, Some(description.lacks));
            let is_blind_to_offset = BLIND_TO_OFFSET.contains(&built_in.name);
            let formatter = |name: &&str| {
                let kind = offered(&described, name).cloned();
                let kind = kind.unwrap_or_else(|| KindDescription::untold(name));
                let guest = Arc::clone(&guest);
                let formatter = Formatter {
                    guest,
                    kind,
                    lacks,
                    is_blind_to_offset,
                    is_foreign: false,
                    #[cfg(feature = "cache")]
                    component: None,
                };
                ((*name).to_owned(), formatter)
            };
            return Ok(kinds.iter().map(formatter).collect());
        };
        let bytes = foreign.read(name)?;
        let (guest, mut kind, lacks) = match &foreign.command {
            Some(line) => (runtime.load_command(name, &bytes, line)?, None, None),
            None => {
                let guest = runtime.load(name, &bytes)?;
                let description = guest.describe()?;
                let described = &description.kinds;
                // What one that says otherwise makes is its own affair, and read back.
                let is_known = |kind: &str| makers(kind).next().is_some();
                if offered(described, name).is_none()
                    && is_known(name)
                    && described.iter().any(|kind| is_known(&kind.name))
                {
                    let kinds: Vec<&str> = described.iter().map(|kind| &*kind.name).collect();
                    return Err(GuestError::OtherKind {
                        name: name.to_owned(),
                        kinds: kinds.join(", "),
                    });
                }
                let kind = offered(described, name).or(described.first());
                (guest, kind.cloned(), Some(description.lacks))
            }
        };
        if !kind.as_ref().is_some_and(KindDescription::is_told)
            && let Some(guest) = makers(name).next()
        {
            let replaced = runtime.load_built_in(guest.name, guest.bytes)?;
            let replaced = replaced.describe()?.kinds;
            let asked = kind.map_or_else(|| name.to_owned(), |kind| kind.name);
            kind = offered(&replaced, name).map(|replaced| KindDescription {
                name: asked,
                ..replaced.clone()
            });
        }
        let formatter = Formatter {
            guest: Arc::new(guest),
            kind: kind.unwrap_or_else(|| KindDescription::untold(name)),
            lacks,
            is_blind_to_offset: false,
            is_foreign: true,
            #[cfg(feature = "cache")]
            component: Some(bytes.into()),
        };
        Ok(vec![(name.to_owned(), formatter)])
    }
}

/// The built-in formatters that make `kind`: one, or none.
fn makers(kind: &str) -> impl Iterator<Item = &'static BuiltIn> {
    BUILT_IN
        .iter()
        .filter(move |guest| guest.kinds.contains(&kind))
}

/// The kind of this name among those that a guest makes.
fn offered<'d>(described: &'d [KindDescription], name: &str) -> Option<&'d KindDescription> {
    described.iter().find(|kind| kind.name == name)
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

fn read_component(name: &str, file: &Path) -> Result<Vec<u8>, GuestError> {
    named_file::whole(file, LARGEST_COMPONENT).map_err(|source| GuestError::Read {
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

/// The built-in formatter that makes `name`, or that has this name.
#[must_use]
pub fn built_in(name: &str) -> Option<&'static BuiltIn> {
    let by_name = || BUILT_IN.iter().find(|guest| guest.name == name);
    makers(name).next().or_else(by_name)
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

/// Whether a built-in reader reads this kind of file system.
pub(crate) fn is_read(kind: &str) -> bool {
    let mut readers = BUILT_IN_READERS.iter();
    readers.any(|reader| reader.kinds.contains(&kind))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use cellblock_cell::{RuntimeOptions, Walls};
    use cellblock_contract::Identifier;

    #[test]
    fn built_in_formatters_make_what_their_line_says_and_describe_all_of_it() {
        let runtime = Runtime::new(&RuntimeOptions::default()).unwrap();
        for guest in BUILT_IN {
            let described = runtime.load(guest.name, guest.bytes).unwrap();
            let described = described.describe().unwrap();
            assert_eq!(described.name, guest.name);
            let kinds: Vec<&str> = described.kinds.iter().map(|kind| &*kind.name).collect();
            assert_eq!(kinds, guest.kinds);
            assert!(described.kinds.iter().all(KindDescription::is_told));
        }
    }

    /// The tests' own `main` does not begin with `run_if_cell`: a cell's process would run all of them once more.
    #[test]
    fn a_program_that_cannot_be_a_cell_is_told_so_at_once() {
        for walls in [Walls::Process, Walls::Strongest] {
            let options = RuntimeOptions {
                walls,
                ..RuntimeOptions::default()
            };
            let refused = Runtime::new(&options).err();
            assert!(
                matches!(refused, Some(CellError::NotPrepared)),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn an_old_formatter_under_a_built_in_name_is_taken_for_that_kind_and_another_for_none() {
        // A swap formatter of contract 0.1.0, which cannot say what its kinds are.
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/contract/0.1.0.wasm");
        let foreign = ["swap", "mine"].map(|name| {
            let file = file.clone();
            let foreign = Foreign {
                file: GuestFile::File(file),
                fetch: Fetch::Never,
                sha256: None,
                command: None,
            };
            (name.to_owned(), foreign)
        });
        let runtime = Runtime::new(&RuntimeOptions::default()).unwrap();
        let catalog = Catalog::new(foreign.into());
        let formatters = catalog.load(&runtime, &["swap", "mine"].into(), 1).unwrap();
        let kinds = formatters.kinds();
        assert_eq!(kinds.get("swap").identifier, Identifier::Uuid);
        assert!(!kinds.get("swap").compresses);
        assert_eq!(kinds.get("mine"), KindDescription::untold("swap"));
    }
}
