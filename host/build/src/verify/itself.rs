//! What a file system says of itself, held against what it was to be: others find it by that.

use cellblock_contract::Volume;

use super::subject::changed;
use crate::compare::Difference;
use crate::plan::FilesystemPlan;

/// How kind, label and identifier differ from those that were planned.
pub(super) fn differences(wanted: &FilesystemPlan, found: &Volume) -> Vec<Difference> {
    let is_fat = found.kind.starts_with("fat");
    let same = |one: &str, other: &str| match is_fat {
        true => one.eq_ignore_ascii_case(other),
        false => one == other,
    };
    let mut differences = Vec::new();
    let mut tell = |name, was: &str, is: &str| {
        let (was, is) = (was.to_owned(), is.to_owned());
        differences.push(changed("file system", name, was, is));
    };
    if !is_kind(wanted, &found.kind) {
        tell("kind", &wanted.kind, &found.kind);
    }
    // A squashfs has none.
    if found.kind != "squashfs" && !same(&wanted.label, &found.label) {
        tell("label", &wanted.label, &found.label);
    }
    if let Some(identifier) = &wanted.identifier
        && !identifier.eq_ignore_ascii_case(&found.identifier)
    {
        tell("identifier", identifier, &found.identifier);
    }
    differences
}

/// Whether a reader that finds this kind has found the planned one. It tells the width of a FAT, and of ext the oldest kind that has all
/// its features, which options may change.
fn is_kind(wanted: &FilesystemPlan, found: &str) -> bool {
    let is_ext = |kind: &str| matches!(kind, "ext2" | "ext3" | "ext4");
    wanted.kind == found
        || (wanted.kind == "vfat" && found.starts_with("fat"))
        || (is_ext(&wanted.kind) && is_ext(found) && !wanted.options.is_empty())
}
