//! The features of a file system, in the notation of mke2fs's `-O` and of its configuration.

use cellblock_guest::{FormatError, Request, SettingProblem};

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

/// Whether the user turns a feature off.
pub(super) fn declines(request: &Request, name: &str) -> bool {
    let value = request.setting("features").unwrap_or_default();
    value
        .split([',', ' '])
        .any(|word| word.strip_prefix('^') == Some(name))
}

/// What mke2fs calls the features.
const NAMES: [(&str, Feature); 23] = [
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
            let known = features.apply(words);
            debug_assert!(known, "{words}");
        }
        let defaults = features;
        if !features.apply(request.setting("features").unwrap_or_default()) {
            return Err(FormatError::setting("features", SettingProblem::Malformed));
        }
        features.settle(&defaults)?;
        Ok(features)
    }

    /// Turns features on, and off after a `^`, and all of them off for `none`; false if there is no such choice.
    fn apply(&mut self, words: &str) -> bool {
        for word in words.split([',', ' ']).filter(|word| !word.is_empty()) {
            let (name, on) = match word.strip_prefix('^') {
                Some(name) => (name, false),
                None => (word, true),
            };
            match NAMES.iter().find(|(known, _)| *known == name) {
                Some((_, feature)) => self.set(*feature, on),
                None if word == "none" => *self = Self::NONE,
                None => return false,
            }
        }
        true
    }

    fn set(&mut self, feature: Feature, on: bool) {
        match feature {
            Feature::Compatible(bit) => self.compatible.set(bit, on),
            Feature::Incompatible(bit) => self.incompatible.set(bit, on),
            Feature::ReadOnly(bit) => self.read_only.set(bit, on),
        }
    }

    /// Leaves out those of the `defaults` that need a feature which is off, and refuses others that do.
    fn settle(&mut self, defaults: &Self) -> Result<(), FormatError> {
        let needs = |what| Err(conflict("features", what));
        if self
            .read_only
            .contains(ReadOnlyCompatible::METADATA_CHECKSUMS)
        {
            // One checksum of a group is enough, and the kernel refuses both.
            self.read_only.remove(ReadOnlyCompatible::GROUP_CHECKSUMS);
        } else if self.incompatible.contains(Incompatible::CHECKSUM_SEED) {
            if !defaults.incompatible.contains(Incompatible::CHECKSUM_SEED) {
                return needs("metadata_csum_seed needs metadata_csum");
            }
            self.incompatible.remove(Incompatible::CHECKSUM_SEED);
        }
        if self.compatible.contains(Compatible::RESIZE_INODE)
            && !self.read_only.contains(ReadOnlyCompatible::SPARSE_BACKUPS)
        {
            return needs("resize_inode needs sparse_super");
        }
        if self.compatible.contains(Compatible::RESIZE_INODE)
            && self.incompatible.contains(Incompatible::META_GROUPS)
        {
            return needs("meta_bg needs ^resize_inode");
        }
        if self.compatible.contains(Compatible::ORPHAN_FILE)
            && !self.compatible.contains(Compatible::JOURNAL)
        {
            if !defaults.compatible.contains(Compatible::ORPHAN_FILE) {
                return needs("orphan_file needs has_journal");
            }
            self.compatible.remove(Compatible::ORPHAN_FILE);
        }
        if self.incompatible.contains(Incompatible::WIDE)
            && !self.incompatible.contains(Incompatible::EXTENTS)
        {
            return needs("64bit needs extent");
        }
        Ok(())
    }
}
