//! The formatters: those that are built in, and those that somebody brings.

mod carried;
mod error;
mod foreign;
mod portrait;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::parallel;
use crate::plan::{FilesystemRequest, PlanError, Reason, leaves_attributes_out};
use crate::progress::Progress;
use cellblock_cell::{Guest, Runtime};
use cellblock_contract::{CommandLine, KindDescription, Kinds, Loss, Losses};
use cellblock_spec::Spec;
use cellblock_text::hexadecimal;

pub(crate) use carried::is_read;
pub use carried::{BUILT_IN, BUILT_IN_READERS, BuiltIn, built_in, built_in_kinds};
pub use error::GuestError;
pub use foreign::Foreign;
pub use portrait::{
    Portrait, Says, built_in_portrait, built_in_portraits, foreign_portrait, portrait_of,
};

use carried::makers;

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

/// The kind of this name among those that a guest makes.
fn offered<'d>(described: &'d [KindDescription], name: &str) -> Option<&'d KindDescription> {
    described.iter().find(|kind| kind.name == name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;
    use crate::component::Fetch;
    use cellblock_cell::{CellError, RuntimeOptions, Walls};
    use cellblock_contract::Identifier;
    use cellblock_spec::GuestFile;

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
