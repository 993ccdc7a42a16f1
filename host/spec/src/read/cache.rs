//! `[cache]`, read.

use super::super::cache::{CachePlace, CacheSpec};
use super::super::error::{ProblemKind, Within};
use super::super::fields::{Fields, text};
use super::super::place::Placed;

/// What an address has behind its scheme, and a path has not.
const SCHEME: &str = "://";

/// The table `cache`, if it is there.
pub(super) fn cache(top: &mut Fields<'_, '_>) -> Option<CacheSpec> {
    let mut fields = top.take_table("cache", Within::Cache)?;
    let place = fields.place.clone();
    let named = fields.take_list("places", text);
    if super::is_absent_or_empty(&mut fields, "places") {
        let missing = ProblemKind::MissingKey {
            key: "places",
            example: "places = [\"https://cache.example\"]",
        };
        fields.problem(missing, place.clone());
    }
    let trust = fields.take_list("trust", text);
    let places = named.into_iter().map(|named| Placed {
        value: match named.value.contains(SCHEME) {
            true => CachePlace::Address(named.value.clone()),
            false => CachePlace::Folder(fields.resolved(&named)),
        },
        place: named.place,
    });
    let spec = CacheSpec {
        place,
        places: places.collect(),
        trust: trust
            .into_iter()
            .map(|file| Placed {
                value: fields.resolved(&file),
                place: file.place,
            })
            .collect(),
    };
    fields.finish();
    Some(spec)
}
