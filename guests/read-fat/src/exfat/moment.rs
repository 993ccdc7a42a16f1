//! Times (sections 7.4.8 to 7.4.10): those of FAT, in steps of 10 ms, with their distance from universal time.

use cellblock_guest::Timestamp;

/// The bit that says that there is a distance, and those that say which.
const HAS_ZONE: u8 = 0x80;
const ZONE: u8 = 0x7F;
/// What the distance is told in, in seconds.
const QUARTER: i64 = 15 * 60;

/// A time as it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) date: u16,
    pub(crate) time: u16,
    pub(crate) hundredths: u8,
    pub(crate) zone: u8,
}

/// The moment; without a distance, the time is taken as universal.
pub(crate) fn moment(of: Stamp) -> Timestamp {
    let local = crate::moment::moment(of.date, of.time);
    let quarters = match of.zone & HAS_ZONE {
        0 => 0,
        // A number of 7 bits with a sign.
        _ => i64::from(of.zone & ZONE) - i64::from(of.zone & ZONE & 0x40) * 2,
    };
    Timestamp {
        seconds: local.seconds + i64::from(of.hundredths / 100) - quarters * QUARTER,
        nanoseconds: u32::from(of.hundredths % 100) * 10_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_taken_off() {
        // 2024-03-01 12:00:02.
        let stamp = |hundredths, zone| {
            let moment = moment(Stamp {
                date: 44 << 9 | 3 << 5 | 1,
                time: 12 << 11 | 1,
                hundredths,
                zone,
            });
            (moment.seconds - 1_709_294_402, moment.nanoseconds)
        };
        assert_eq!(stamp(0, 0), (0, 0));
        assert_eq!(stamp(199, 0x80), (1, 990_000_000));
        // Without the bit, the distance means nothing.
        assert_eq!(stamp(0, 4), (0, 0));
        // An hour east, and three and a half west.
        assert_eq!(stamp(0, 0x84), (-3600, 0));
        assert_eq!(stamp(0, 0x80 | (128 - 14)), (12_600, 0));
    }
}
