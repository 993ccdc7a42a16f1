//! The longest input whose output fits, for methods that cannot stop at a length by themselves.
//!
//! A file system allots whole units, so that a piece is as good as a longer one if little of its last unit is left over:
//!
//! ```text
//!     |  unit  |  unit  |  unit  |  unit  |          limit: 4 units
//!     [####################.......]                  first try: 3 units, much left over
//!     [#########################.]                   second, by the ratio that the first showed
//! ```

use crate::{Failure, made::Made};

/// What the pieces before say of the next: it depends on the block alone.
#[derive(Default)]
pub(crate) struct Estimate {
    /// Bytes of input and output of the last piece that was kept.
    last: Option<(usize, usize)>,
}

impl Estimate {
    /// How much input gives about this much output.
    fn input_for(&self, output: usize) -> usize {
        /// What files of programs come to, roughly.
        const USUAL: (usize, usize) = (5, 2);
        let (input, had) = self.last.unwrap_or(USUAL);
        scale(output, input, had)
    }
}

/// Room for tries, used again.
#[derive(Default)]
pub(crate) struct Scratch {
    bytes: Vec<u8>,
}

/// More tries than this are not worth what they win.
const MOST_TRIES: usize = 5;

/// The share of a unit that may be left over without another try.
const WASTE_TAKEN: usize = 4;

/// Cuts a piece off `rest` that fits into `output`. `compress` returns the length of what its input became, or `None` if that
/// has no room. `None` if nothing was found that fits and is worth it.
pub(crate) fn fit(
    unit: usize,
    rest: &[u8],
    output: &mut [u8],
    estimate: &mut Estimate,
    scratch: &mut Scratch,
    mut compress: impl FnMut(&[u8], &mut [u8]) -> Result<Option<usize>, Failure>,
) -> Result<Option<Made>, Failure> {
    let limit = output.len();
    // A little more room than allowed, so that a try that misses says by how much.
    scratch.bytes.resize(limit + limit / 4 + 64, 0);
    // What is left free below a boundary that a try aims at.
    let margin = (unit / 16).min(limit / 64).max(1);
    let mut best: Option<Made> = None;
    let mut too_long = rest.len() + 1;
    let mut length = estimate.input_for(limit - margin).clamp(1, rest.len());
    for _ in 0..MOST_TRIES {
        let tried = compress(&rest[..length], &mut scratch.bytes)?;
        let aim = match tried {
            Some(produced) if produced <= limit => {
                let units = produced.div_ceil(unit);
                let room = (units * unit).min(limit);
                if best
                    .as_ref()
                    .is_none_or(|best| is_better(unit, length, produced, best))
                {
                    output[..produced].copy_from_slice(&scratch.bytes[..produced]);
                    best = Some(Made {
                        consumed: length,
                        produced,
                    });
                }
                if length == rest.len() || room - produced <= unit / WASTE_TAKEN {
                    break;
                }
                length + scale((room - produced).saturating_sub(margin), length, produced)
            }
            Some(produced) => {
                too_long = too_long.min(length);
                length - scale(produced - limit + margin, length, produced)
            }
            None => {
                too_long = too_long.min(length);
                length / 2
            }
        };
        let longest = (too_long - 1).min(rest.len());
        let shortest = best.as_ref().map_or(1, |best| best.consumed + 1);
        if longest < shortest {
            break;
        }
        let next = aim.clamp(shortest, longest);
        // What is not longer than the limit saves nothing worth a search; and a step of a few bytes wins nothing.
        if next <= unit || next.abs_diff(length) < unit / 64 {
            break;
        }
        length = next;
    }
    if let Some(best) = &best {
        estimate.last = Some((best.consumed, best.produced));
    }
    Ok(best)
}

/// Whether a try puts more content into a unit.
fn is_better(unit: usize, consumed: usize, produced: usize, best: &Made) -> bool {
    let density = |content: usize, others: usize| content * others.div_ceil(unit);
    density(consumed, best.produced) > density(best.consumed, produced)
}

/// `value * by / of`, which for lengths of blocks fits 64 bits.
fn scale(value: usize, by: usize, of: usize) -> usize {
    value * by / of.max(1)
}
