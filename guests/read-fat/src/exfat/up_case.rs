//! The table by which names are compared (section 7.2). Nothing here compares names; it is looked at for a warning.

use cellblock_guest::reader::{Partition, ReaderError};

use super::clusters::{Allocation, Clusters};

const NAME: &str = "the up-case table";
/// The most bytes of one: an unit for each of 2^16.
const LIMIT: u64 = 128 << 10;

/// What is wrong with it, in words, though all can be read.
///
/// # Errors
/// [`ReaderError::Damaged`] if its clusters cannot be.
pub(crate) fn check(
    partition: &dyn Partition,
    clusters: &mut Clusters<'_>,
    table: Option<(Allocation, u32)>,
) -> Result<Option<String>, ReaderError> {
    let Some((allocation, stored)) = table else {
        return Ok(Some(format!(
            "it has no table of upper case: {NAME} is missing"
        )));
    };
    let length = allocation.length;
    let mut runs = Vec::new();
    clusters.each_run(&allocation, NAME, &mut |run| runs.push(run))?;
    if length > LIMIT {
        return Ok(Some(format!(
            "{NAME} has {length} bytes, more than {LIMIT}"
        )));
    }
    let (mut left, mut sum) = (length, 0);
    for run in runs {
        let length = run.length.min(left);
        let count = usize::try_from(length).expect("it is small");
        sum = checksum(sum, &partition.bytes(run.start, count)?);
        left -= length;
    }
    Ok((sum != stored)
        .then(|| format!("{NAME} has the checksum {stored:#010x}, and its bytes {sum:#010x}")))
}

/// Section 7.2.2.
fn checksum(sum: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(sum, |sum, byte| {
        sum.rotate_right(1).wrapping_add((*byte).into())
    })
}
