//! Dates and times: two numbers of 16 bits, in whole pairs of seconds, taken as universal time.

use cellblock_guest::Timestamp;

/// The moment; what is no date is the nearest.
pub(crate) fn moment(date: u16, time: u16) -> Timestamp {
    let year = 1980 + i64::from(date >> 9);
    let month = i64::from(date >> 5 & 15).clamp(1, 12);
    let day = i64::from(date & 31).max(1);
    let seconds =
        i64::from(time >> 11) * 3600 + i64::from(time >> 5 & 63) * 60 + i64::from(time & 31) * 2;
    Timestamp {
        seconds: (days(year, month) + day - 1) * 86_400 + seconds,
        nanoseconds: 0,
    }
}

/// The days from 1970 to the first of a month.
fn days(year: i64, month: i64) -> i64 {
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let before = usize::try_from(month - 1).map_or(0, |month| BEFORE[month]);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969) + before + i64::from(is_leap && month > 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let seconds = |date: u16, time: u16| moment(date, time).seconds;
        assert_eq!(seconds(0x21, 0), 315_532_800);
        // 2024-02-29 23:59:58 and a day and two seconds later.
        let leap = 44 << 9 | 2 << 5 | 29;
        assert_eq!(seconds(leap, 23 << 11 | 59 << 5 | 29), 1_709_251_198);
        assert_eq!(seconds(44 << 9 | 3 << 5 | 1, 0), 1_709_251_200);
        // 2107-12-31.
        assert_eq!(seconds(127 << 9 | 12 << 5 | 31, 0), 4_354_732_800);
        assert_eq!(seconds(0, 0), 315_532_800);
    }
}
