//! A hash tree, read.

use toml::de::DeValue;

use super::super::error::ProblemKind;
use super::super::fields::{Fields, boolean, integer, parsed, text};
use super::super::place::Placed;
use super::super::value::{ValueError, parse_choice, parse_salt, parse_uuid};
use super::super::verity::{VerityHash, VeritySpec};
use super::size_in_bytes;

/// The size of a block that is not given, in bytes.
const USUAL_BLOCK: u32 = 4096;
/// The sizes that a block can have, in bytes.
const BLOCK_SIZES: std::ops::RangeInclusive<u32> = 512..=65536;

pub(super) fn verity(partition: &mut Fields<'_, '_>) -> Option<VeritySpec> {
    let within = partition.within();
    let mut fields = partition.take_table("verity", within)?;
    let place = fields.place.clone();
    let of = fields.take("of", text);
    let behind = fields.take("behind", boolean);
    let is_behind = behind.as_ref().is_some_and(|it| it.value);
    if of.is_some() == is_behind {
        let found = if is_behind { "both" } else { "none" };
        fields.problem(ProblemKind::VerityOver { found }, place.clone());
    }
    let spec = VeritySpec {
        place,
        hash: fields.take("hash", parsed(|name| parse_choice(name, &VerityHash::ALL))),
        data_block_size: fields.take("data-block-size", block_size),
        hash_block_size: fields.take("hash-block-size", block_size),
        salt: fields.take("salt", parsed(parse_salt)),
        superblock: fields.take("superblock", boolean),
        uuid: fields.take("uuid", parsed(parse_uuid)),
        fec_roots: fields.take("fec-roots", fec_roots),
        of,
        behind,
    };
    if let (Some(uuid), Some(false)) = (&spec.uuid, spec.superblock.as_ref().map(|it| it.value)) {
        fields.problem(ProblemKind::UuidWithoutSuperblock, uuid.place.clone());
    }
    let size = |size: &Option<Placed<u32>>| size.as_ref().map_or(USUAL_BLOCK, |it| it.value);
    let (data, hash) = (size(&spec.data_block_size), size(&spec.hash_block_size));
    if let Some(roots) = &spec.fec_roots
        && data != hash
    {
        let kind = ProblemKind::FecOfUnequalBlocks { data, hash };
        fields.problem(kind, roots.place.clone());
    }
    fields.finish();
    Some(spec)
}

fn fec_roots(value: &DeValue<'_>) -> Result<u8, ValueError> {
    let roots = integer(value, 2, 24)?;
    Ok(u8::try_from(roots).expect("24 at most"))
}

fn block_size(value: &DeValue<'_>) -> Result<u32, ValueError> {
    let bytes = size_in_bytes(value)?;
    u32::try_from(bytes)
        .ok()
        .filter(|size| size.is_power_of_two() && BLOCK_SIZES.contains(size))
        .ok_or(ValueError::NotABlockSize {
            bytes,
            least: *BLOCK_SIZES.start(),
            most: *BLOCK_SIZES.end(),
        })
}
