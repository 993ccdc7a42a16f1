//! The features of a file system, in the notation of mke2fs's `-O` and of its configuration.

use cellblock_guest::{FormatError, Request};

use super::conflict;
use super::profile::{Generation, Profile};
use crate::format::{Compatible, Incompatible, ReadOnlyCompatible};

/// The features of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Features {
    pub(crate) compatible: Compatible,
    pub(crate) incompatible: Incompatible,
    pub(crate) read_only: ReadOnlyCompatible,
}

/// A feature, in its class.
#[derive(Clone, Copy)]
enum Feature {
    Compatible(Compatible),
    Incompatible(Incompatible),
    ReadOnly(ReadOnlyCompatible),
}

/// Whether the user turns a feature on, or off; none if nothing is said of it.
pub(super) fn choice(request: &Request, name: &str) -> Option<bool> {
    words(request.setting("features").unwrap_or_default())
        .filter(|(word, _)| word.eq_ignore_ascii_case(name))
        .last()
        .map(|(_, on)| on)
}

/// The features of a list, and whether each is to be on.
fn words(list: &str) -> impl Iterator<Item = (&str, bool)> {
    list.split([',', ' ', '\t'])
        .filter(|word| !word.is_empty())
        .map(|word| match word.strip_prefix(['^', '-']) {
            Some(name) => (name, false),
            None => (word.strip_prefix('+').unwrap_or(word), true),
        })
}

/// What mke2fs calls the features.
const NAMES: [(&str, Feature); 24] = [
    ("64bit", Feature::Incompatible(Incompatible::WIDE)),
    (
        "dir_index",
        Feature::Compatible(Compatible::DIRECTORY_INDEX),
    ),
    (
        "dir_nlink",
        Feature::ReadOnly(ReadOnlyCompatible::MANY_SUBDIRECTORIES),
    ),
    ("ext_attr", Feature::Compatible(Compatible::ATTRIBUTES)),
    ("extent", Feature::Incompatible(Incompatible::EXTENTS)),
    ("extents", Feature::Incompatible(Incompatible::EXTENTS)),
    (
        "extra_isize",
        Feature::ReadOnly(ReadOnlyCompatible::EXTRA_INODE_SIZE),
    ),
    ("filetype", Feature::Incompatible(Incompatible::FILE_TYPE)),
    (
        "flex_bg",
        Feature::Incompatible(Incompatible::FLEXIBLE_GROUPS),
    ),
    ("has_journal", Feature::Compatible(Compatible::JOURNAL)),
    (
        "huge_file",
        Feature::ReadOnly(ReadOnlyCompatible::HUGE_FILES),
    ),
    (
        "inline_data",
        Feature::Incompatible(Incompatible::INLINE_CONTENT),
    ),
    (
        "large_dir",
        Feature::Incompatible(Incompatible::LARGE_DIRECTORIES),
    ),
    (
        "large_file",
        Feature::ReadOnly(ReadOnlyCompatible::LARGE_FILES),
    ),
    ("meta_bg", Feature::Incompatible(Incompatible::META_GROUPS)),
    (
        "metadata_csum",
        Feature::ReadOnly(ReadOnlyCompatible::METADATA_CHECKSUMS),
    ),
    (
        "metadata_csum_seed",
        Feature::Incompatible(Incompatible::CHECKSUM_SEED),
    ),
    ("orphan_file", Feature::Compatible(Compatible::ORPHAN_FILE)),
    (
        "resize_inode",
        Feature::Compatible(Compatible::RESIZE_INODE),
    ),
    (
        "sparse_super",
        Feature::ReadOnly(ReadOnlyCompatible::SPARSE_BACKUPS),
    ),
    (
        "sparse_super2",
        Feature::Compatible(Compatible::TWO_BACKUPS),
    ),
    (
        "stable_inodes",
        Feature::Compatible(Compatible::STABLE_INODES),
    ),
    (
        "uninit_bg",
        Feature::ReadOnly(ReadOnlyCompatible::GROUP_CHECKSUMS),
    ),
    (
        "uninit_groups",
        Feature::ReadOnly(ReadOnlyCompatible::GROUP_CHECKSUMS),
    ),
];

/// Features of mke2fs that are not made here.
const NOT_MADE: [&str; 11] = [
    "bigalloc",
    "casefold",
    "ea_inode",
    "encrypt",
    "fast_commit",
    "journal_dev",
    "mmp",
    "project",
    "quota",
    "shared_blocks",
    "verity",
];

/// What turns all features off.
const ALL_OFF: [&str; 2] = ["none", "clear"];

/// What is wrong with the name of a feature that there is not.
fn unknown(name: &str) -> String {
    if NOT_MADE
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
    {
        return format!("mke2fs has {name}, but it is not made here");
    }
    let nearest = NAMES
        .iter()
        .map(|(known, _)| (distance(known, name), *known))
        .min();
    match nearest {
        Some((..=2, known)) => format!("there is no feature {name}; did you mean {known}?"),
        _ => format!("there is no feature {name}"),
    }
}

/// How many characters must change, come or go to turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, a) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, b) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[b.len()]
}

impl Features {
    const NONE: Self = Self {
        compatible: Compatible::empty(),
        incompatible: Incompatible::empty(),
        read_only: ReadOnlyCompatible::empty(),
    };

    /// The features that `request` asks for, over those of its profile.
    ///
    /// # Errors
    /// [`FormatError::Setting`].
    pub(super) fn of(
        request: &Request,
        generation: Generation,
        profile: Profile,
    ) -> Result<Self, FormatError> {
        let mut features = Self::NONE;
        for words in profile.features(generation) {
            features.apply(words)?;
        }
        let defaults = features;
        features.apply(request.setting("features").unwrap_or_default())?;
        features.settle(&defaults, generation)?;
        Ok(features)
    }

    /// Turns features on and off, and all of them off for `none`.
    fn apply(&mut self, list: &str) -> Result<(), FormatError> {
        for (name, on) in words(list) {
            let is_named = |known: &str| known.eq_ignore_ascii_case(name);
            match NAMES.iter().find(|(known, _)| is_named(known)) {
                Some((_, feature)) => self.set(*feature, on),
                None if on && ALL_OFF.iter().any(|word| is_named(word)) => *self = Self::NONE,
                None => return Err(conflict("features", &unknown(name))),
            }
        }
        Ok(())
    }

    fn set(&mut self, feature: Feature, on: bool) {
        match feature {
            Feature::Compatible(bit) => self.compatible.set(bit, on),
            Feature::Incompatible(bit) => self.incompatible.set(bit, on),
            Feature::ReadOnly(bit) => self.read_only.set(bit, on),
        }
    }

    /// Leaves out those of the `defaults` that need a feature which is off, and refuses others that do.
    fn settle(&mut self, defaults: &Self, generation: Generation) -> Result<(), FormatError> {
        let needs = |what| Err(conflict("features", what));
        if self.incompatible.contains(Incompatible::INLINE_CONTENT)
            && generation != Generation::Ext4
        {
            return needs("only ext4 knows inline_data");
        }
        if self
            .read_only
            .contains(ReadOnlyCompatible::METADATA_CHECKSUMS)
        {
            // One checksum of a group is enough, and the kernel refuses both.
            self.read_only.remove(ReadOnlyCompatible::GROUP_CHECKSUMS);
        } else if self.incompatible.contains(Incompatible::CHECKSUM_SEED) {
            if !defaults.incompatible.contains(Incompatible::CHECKSUM_SEED) {
                return needs("metadata_csum_seed needs metadata_csum as well");
            }
            self.incompatible.remove(Incompatible::CHECKSUM_SEED);
        }
        if self.compatible.contains(Compatible::RESIZE_INODE)
            && !self.read_only.contains(ReadOnlyCompatible::SPARSE_BACKUPS)
        {
            return needs("resize_inode needs sparse_super; turn both off, or none");
        }
        if self.compatible.contains(Compatible::RESIZE_INODE)
            && self.incompatible.contains(Incompatible::META_GROUPS)
        {
            return needs("meta_bg and resize_inode exclude each other; add ^resize_inode");
        }
        if self.compatible.contains(Compatible::ORPHAN_FILE)
            && !self.compatible.contains(Compatible::JOURNAL)
        {
            if !defaults.compatible.contains(Compatible::ORPHAN_FILE) {
                return needs("orphan_file needs has_journal as well");
            }
            self.compatible.remove(Compatible::ORPHAN_FILE);
        }
        if self.incompatible.contains(Incompatible::WIDE)
            && !self.incompatible.contains(Incompatible::EXTENTS)
        {
            return needs("64bit needs extent; turn both off, or none");
        }
        Ok(())
    }
}
