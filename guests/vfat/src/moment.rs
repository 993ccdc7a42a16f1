//! Times as FAT keeps them: local time, which is taken as UTC, from 1980 to 2107.

use cellblock_guest::Timestamp;

/// A time in the three fields of a directory entry (FAT 1.03, page 25).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Years since 1980 (7 bits), month from 1 (4 bits), day from 1 (5 bits).
    pub(crate) date: u16,
    /// Hours (5 bits), minutes (6 bits), seconds by two (5 bits).
    pub(crate) time: u16,
    /// Hundredths of a second after `time`, below 200.
    pub(crate) hundredths: u8,
}

const SECONDS_A_DAY: i64 = 86_400;
/// 1980-01-01T00:00:00Z.
const FIRST_SECOND: i64 = 315_532_800;
/// 2107-12-31T23:59:59Z.
const LAST_SECOND: i64 = 4_354_819_199;

impl Moment {
    /// Whether FAT counts so far.
    pub(crate) fn counts(timestamp: Timestamp) -> bool {
        (FIRST_SECOND..=LAST_SECOND).contains(&timestamp.seconds)
    }

    /// Whether FAT never comes so far.
    pub(crate) fn is_too_late(timestamp: Timestamp) -> bool {
        timestamp.seconds > LAST_SECOND
    }

    /// `timestamp`, or the nearest that FAT counts.
    pub(crate) fn nearest(timestamp: Timestamp) -> Self {
        let seconds = timestamp.seconds.clamp(FIRST_SECOND, LAST_SECOND);
        let (year, month, day) = civil_date(seconds / SECONDS_A_DAY);
        let second_of_day = seconds % SECONDS_A_DAY;
        let (hour, minute, second) = (
            second_of_day / 3600,
            second_of_day / 60 % 60,
            second_of_day % 60,
        );
        let hundredths =
            second % 2 * 100 + i64::from(timestamp.nanoseconds.min(999_999_999)) / 10_000_000;
        Self {
            date: fit(((year - 1980) << 9) | (month << 5) | day),
            time: fit((hour << 11) | (minute << 5) | (second / 2)),
            hundredths: u8::try_from(hundredths).expect("two seconds have 200"),
        }
    }
}

/// `value`, which the range of times keeps within 16 bits.
fn fit(value: i64) -> u16 {
    u16::try_from(value).expect("the range of times keeps it within 16 bits")
}

/// The year, month and day of a day after 1970-01-01, in the Gregorian calendar. Counts from 1 March of year 0, so that the leap day ends a year.
fn civil_date(day: i64) -> (i64, i64, i64) {
    const DAYS_TO_1970: i64 = 719_468;
    const DAYS_IN_400_YEARS: i64 = 146_097;
    let day = day + DAYS_TO_1970;
    let era = day / DAYS_IN_400_YEARS;
    let day_of_era = day % DAYS_IN_400_YEARS;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_month)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp {
            seconds,
            nanoseconds: 987_654_321,
        }
    }

    fn fields(moment: Moment) -> (u16, u16, u16, u16, u16, u16) {
        (
            1980 + (moment.date >> 9),
            moment.date >> 5 & 15,
            moment.date & 31,
            moment.time >> 11,
            moment.time >> 5 & 63,
            moment.time & 31,
        )
    }

    #[test]
    fn the_first_and_the_last_second_are_stored() {
        assert_eq!(
            fields(Moment::nearest(at(FIRST_SECOND))),
            (1980, 1, 1, 0, 0, 0)
        );
        let last = Moment::nearest(at(LAST_SECOND));
        assert_eq!(fields(last), (2107, 12, 31, 23, 59, 29));
        assert_eq!(last.hundredths, 198);
    }

    #[test]
    fn a_second_outside_becomes_the_nearest() {
        assert!(!Moment::counts(at(FIRST_SECOND - 1)) && Moment::counts(at(FIRST_SECOND)));
        assert!(!Moment::counts(at(LAST_SECOND + 1)) && Moment::counts(at(LAST_SECOND)));
        assert_eq!(fields(Moment::nearest(at(i64::MIN))), (1980, 1, 1, 0, 0, 0));
        assert_eq!(
            fields(Moment::nearest(at(i64::MAX))),
            (2107, 12, 31, 23, 59, 29)
        );
    }

    #[test]
    fn leap_days_are_days() {
        assert_eq!(
            fields(Moment::nearest(at(951_782_400))),
            (2000, 2, 29, 0, 0, 0)
        );
        assert_eq!(
            fields(Moment::nearest(at(4_107_542_399))),
            (2100, 2, 28, 23, 59, 29)
        );
        assert_eq!(
            fields(Moment::nearest(at(4_107_542_400))),
            (2100, 3, 1, 0, 0, 0)
        );
        assert_eq!(
            fields(Moment::nearest(at(1_700_000_001))),
            (2023, 11, 14, 22, 13, 10)
        );
    }
}
