//! The longest input whose output fits, for methods that cannot stop at a length by themselves.
//!
//! A file system allots whole units, so that a piece is as good as a longer one if little of its last unit is left over:
//!
//! ```text
//!     |  unit  |  unit  |  unit  |  unit  |          limit: 4 units
//!     [####################.......]                  first try, by the ratio of the piece before
//!     [####################################.]        second, by the ratio that the first showed
//!     [###################################]          third, between the two
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

/// More tries of which the length is known are not worth what they win.
const MOST_TRIES: usize = 6;

/// How much may be left over without another try: this share of the limit, and of a unit.
const TAKEN_OF_LIMIT: usize = 128;
const TAKEN_OF_UNIT: usize = 16;

/// The share of that which a try leaves free, so that it rather fits than not.
const MARGIN: usize = 4;

/// How many times the limit a first try takes, and how many times its length the next, at the most: where a hole ends, the
/// ratio of what came before says nothing.
const MOST_GROWTH: usize = 8;

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
    let taken = (limit / TAKEN_OF_LIMIT).min(unit / TAKEN_OF_UNIT);
    let target = limit - (taken / MARGIN).max(1);
    // A little more room than allowed, so that a try that misses says by how much.
    scratch.bytes.resize(limit + limit / 4 + 64, 0);
    let mut search = Search::default();
    let mut best: Option<Made> = None;
    let first = estimate.input_for(target).min(limit * MOST_GROWTH);
    let mut length = first.clamp(1, rest.len());
    let mut tries = 0;
    while tries < MOST_TRIES {
        match compress(&rest[..length], &mut scratch.bytes)? {
            Some(produced) if produced <= limit => {
                tries += 1;
                search.fits = Some((length, produced));
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
                if length == rest.len() || limit - produced <= taken {
                    break;
                }
            }
            Some(produced) => {
                tries += 1;
                search.over = Some((length, Some(produced)));
            }
            None => search.over = Some((length, None)),
        }
        let next = search.next(target, limit, rest.len());
        // What is no longer than a unit saves nothing, and a step of a few bytes wins nothing.
        let Some(next) =
            next.filter(|next| *next > unit && next.abs_diff(length) >= taken / MARGIN)
        else {
            break;
        };
        length = next;
    }
    if let Some(best) = &best {
        estimate.last = Some((best.consumed, best.produced));
    }
    Ok(best)
}

/// What the tries so far have shown: the longest input that fits, and the shortest that does not, with what they became.
#[derive(Default)]
struct Search {
    fits: Option<(usize, usize)>,
    /// Without its output's length where that is far too long.
    over: Option<(usize, Option<usize>)>,
}

impl Search {
    /// The input that is likely to become `target` bytes, if one is left to try.
    fn next(&self, target: usize, limit: usize, rest: usize) -> Option<usize> {
        let aim = match (self.fits, self.over) {
            (None, None) => return None,
            (Some((input, output)), None) => {
                let more = scale(target.saturating_sub(output), input, output);
                (input + more).min(input * MOST_GROWTH)
            }
            (None, Some((input, Some(output)))) => scale(target, input, output),
            (None, Some((input, None))) => (input / 2).min(Estimate::default().input_for(limit)),
            (Some((input, _)), Some((over, None))) => usize::midpoint(input, over),
            (Some((input, output)), Some((over, Some(too_much)))) => {
                let room = target.saturating_sub(output);
                input + scale(room, over - input, too_much - output)
            }
        };
        let shortest = self.fits.map_or(1, |(input, _)| input + 1);
        let longest = self.over.map_or(rest, |(over, _)| over - 1);
        (shortest <= longest).then(|| aim.clamp(shortest, longest))
    }
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
