//! A volume of an eMMC's hardware partitions, which an installer writes and which are in no image.

use super::super::super::fields::{Fields, parsed, text};
use super::super::super::value::parse_choice;
use super::super::{VolumeFault, is_given, optional};

const EMMC: &str = "emmc";
/// What the two partitions are called.
const NAMES: [(&str, ()); 2] = [("boot0", ()), ("boot1", ())];
/// What only a disk has.
const OF_A_DISK: [&str; 3] = ["bootloader", "id", "partial"];
/// What only a part of a disk has.
const OF_A_STRUCTURE: [&str; 9] = [
    "size",
    "min-size",
    "filesystem-label",
    "offset",
    "offset-write",
    "filesystem",
    "type",
    "id",
    "role",
];
/// What an image has on a disk, or a file.
const OF_CONTENT: [&str; 4] = ["offset", "size", "source", "target"];

/// Whether a volume is one.
pub(super) fn is_one(fields: &mut Fields<'_, '_>) -> bool {
    let schema = fields.get("schema");
    schema.is_some_and(|schema| schema.get_ref().as_str() == Some(EMMC))
}

/// Checks it as snapd does.
pub(super) fn check(fields: &mut Fields<'_, '_>) {
    refuse(fields, &OF_A_DISK);
    if !is_given(fields, "structure") {
        return;
    }
    fields.take_tables("structure", |_, structure| {
        structure.require(
            "name",
            "name: boot0",
            parsed(|text| parse_choice(text, &NAMES)),
        );
        refuse(structure, &OF_A_STRUCTURE);
        structure.get("update");
        if is_given(structure, "content") {
            structure.take_tables("content", |_, content| {
                content.require("image", "image: boot.bin", text);
                optional(content, "unpack", text);
                refuse(content, &OF_CONTENT);
                Some(())
            });
        }
        Some(())
    });
}

fn refuse(fields: &mut Fields<'_, '_>, keys: &[&'static str]) {
    for key in keys {
        if let (true, Some(value)) = (is_given(fields, key), fields.get(key)) {
            let place = fields.at(value);
            fields.problem(VolumeFault::OfNoEmmc { key }.into(), place);
        }
    }
}
