//! A file or an address that is written as it is, read.

use super::super::error::ProblemKind;
use super::super::fields::{Fields, text};
use super::super::raw::{RawSpec, RawWhat};
use super::size_in_bytes;

pub(super) fn raw(fields: &mut Fields<'_, '_>) -> Option<RawSpec> {
    let place = fields.place.clone();
    let file = fields.take_path("file");
    let size = fields.take("size", size_in_bytes);
    let lba = fields.take("lba", size_in_bytes);
    let partition = fields.take("lba-of", text);
    let plus = fields.take("plus", size_in_bytes);
    let offset = fields.take("offset", size_in_bytes);
    let [is_file, is_lba, is_lba_of] =
        ["file", "lba", "lba-of"].map(|key| fields.get(key).is_some());
    let found = [is_file, is_lba, is_lba_of].into_iter().filter(|is| *is);
    let found = found.count();
    if found != 1 {
        fields.problem(ProblemKind::RawKinds { found }, place);
        return None;
    }
    for (key, value, is_right, needs) in [
        ("plus", plus.as_ref(), is_lba_of, "lba-of"),
        ("size", size.as_ref(), is_file, "file"),
    ] {
        if let (Some(value), false) = (value, is_right) {
            fields.problem(ProblemKind::RawNeeds { key, needs }, value.place.clone());
        }
    }
    let what = match (file, lba) {
        (Some(file), _) => RawWhat::File { file, size },
        (None, Some(lba)) => RawWhat::Lba(lba),
        (None, None) => RawWhat::LbaOf {
            partition: partition?,
            plus: plus.map_or(0, |plus| plus.value),
        },
    };
    Some(RawSpec {
        what,
        offset: offset.map_or(0, |offset| offset.value),
    })
}
