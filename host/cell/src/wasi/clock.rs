//! A command's clocks. The wall clock is frozen. The other one moves by itself: a step at every look, and at once to the end
//! of what somebody waits for, so that nobody waits in vain.

use cellblock_contract::Request;

/// The nanoseconds of a step.
const STEP: u64 = 1000;
/// The nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

pub(super) struct Clock {
    seconds: i64,
    nanoseconds: u32,
    /// Nanoseconds.
    monotonic: u64,
}

impl Clock {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            seconds: request.time.seconds,
            nanoseconds: request.time.nanoseconds,
            monotonic: SECOND,
        }
    }

    /// The time on the wall in nanoseconds since 1970, as far as it can be counted.
    pub(super) fn wall_nanoseconds(&self) -> u64 {
        let (seconds, nanoseconds) = self.wall();
        seconds
            .saturating_mul(SECOND)
            .saturating_add(u64::from(nanoseconds))
    }

    /// The time on the wall in seconds since 1970, not before, and nanoseconds.
    pub(super) fn wall(&self) -> (u64, u32) {
        match u64::try_from(self.seconds) {
            Ok(seconds) => (seconds, self.nanoseconds),
            Err(_) => (0, 0),
        }
    }

    /// The other clock, in nanoseconds.
    pub(super) fn monotonic(&mut self) -> u64 {
        self.monotonic = self.monotonic.saturating_add(STEP);
        self.monotonic
    }

    /// Ends a wait for `moment` at once.
    pub(super) fn advance_to(&mut self, moment: u64) {
        self.monotonic = self.monotonic.max(moment);
    }
}
