//! The small grammars that the spec and the command line share: identifiers, owners, modes, times, destinations.

mod error;

use toml::value::{Datetime, Offset};
use uuid::Uuid;

use cellblock_contract::Loss;
use cellblock_table::{DiskId, Scheme};
use cellblock_tree::source::{HardLinks, ImagePlatform, ModeRule, Times};

pub use error::ValueError;

/// The identifier of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilesystemId {
    /// The 128 bits that most formats store.
    Uuid(Uuid),
    /// The 32-bit volume serial number of a FAT.
    Serial(u32),
}

/// Reads the name of a loss, such as `symlinks`.
///
/// # Errors
/// When the name is none of [`Loss::ALL`].
pub fn parse_loss(text: &str) -> Result<Loss, ValueError> {
    Loss::parse(text).ok_or_else(|| ValueError::NotAChoice {
        text: text.to_owned(),
        choices: Loss::ALL.iter().map(|loss| loss.name()).collect(),
    })
}

/// Reads one of a fixed set of words.
pub(super) fn parse_choice<T: Copy>(
    text: &str,
    choices: &[(&'static str, T)],
) -> Result<T, ValueError> {
    choices
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, value)| *value)
        .ok_or_else(|| ValueError::NotAChoice {
            text: text.to_owned(),
            choices: choices.iter().map(|(name, _)| *name).collect(),
        })
}

/// Reads a UUID: 32 hexadecimal digits, with or without hyphens.
///
/// # Errors
/// When the text is anything else.
pub fn parse_uuid(text: &str) -> Result<Uuid, ValueError> {
    Uuid::parse_str(text.trim()).map_err(|_| ValueError::NotAUuid {
        text: text.to_owned(),
    })
}

/// The UUID of a partition: not that of zeros, which names none, as UEFI 2.10 (5.3.3) asks for one that no other partition has.
///
/// # Errors
/// When the text is anything else.
pub fn parse_partition_id(text: &str) -> Result<Uuid, ValueError> {
    let id = parse_uuid(text)?;
    if id.is_nil() {
        return Err(ValueError::ZeroId);
    }
    Ok(id)
}

/// What identifiers that are not given derive from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// These bytes.
    Given([u8; 16]),
    /// Bytes that are drawn anew for each build. Whoever builds draws them, since nothing below does so:
    /// [`Spec::draw_seed`](crate::Spec::draw_seed).
    Random,
}

/// Reads a seed: 32 hexadecimal digits, with or without the hyphens of a UUID, or `random`.
///
/// # Errors
/// When the text is neither.
pub fn parse_seed(text: &str) -> Result<Seed, ValueError> {
    if text.trim() == "random" {
        return Ok(Seed::Random);
    }
    parse_uuid(text)
        .map(|uuid| Seed::Given(uuid.into_bytes()))
        .map_err(|_| ValueError::NotASeed {
            text: text.to_owned(),
        })
}

/// Reads the identifier of a file system: a UUID, or 8 hexadecimal digits for FAT (`ABCD-1234`).
///
/// # Errors
/// When the text is neither.
pub fn parse_filesystem_id(text: &str) -> Result<FilesystemId, ValueError> {
    let trimmed = text.trim();
    let serial = trimmed
        .split_once('-')
        .map(|(high, low)| (high.len(), low.len(), [high, low].concat()));
    let digits = match serial {
        Some((4, 4, digits)) => digits,
        _ => trimmed.to_owned(),
    };
    if let Some(serial) = parse_hex32(&digits) {
        return Ok(FilesystemId::Serial(serial));
    }
    parse_uuid(trimmed)
        .map(FilesystemId::Uuid)
        .map_err(|_| ValueError::NotAFilesystemId {
            text: text.to_owned(),
        })
}

/// Reads the identifier of a disk: a UUID for a GPT, `0x` and 8 hexadecimal digits for an MBR.
///
/// # Errors
/// When the text is not what this kind of table stores.
pub fn parse_disk_id(text: &str, scheme: Scheme) -> Result<DiskId, ValueError> {
    let trimmed = text.trim();
    let id = match scheme {
        Scheme::Gpt => parse_uuid(trimmed).ok().map(DiskId::Gpt),
        Scheme::Mbr => trimmed
            .strip_prefix("0x")
            .and_then(parse_hex32)
            .map(DiskId::Mbr),
        Scheme::None => None,
    };
    id.ok_or_else(|| ValueError::NotADiskId {
        text: text.to_owned(),
        scheme,
    })
}

/// Exactly eight hexadecimal digits.
fn parse_hex32(digits: &str) -> Option<u32> {
    let all_hex = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if all_hex {
        u32::from_str_radix(digits, 16).ok()
    } else {
        None
    }
}

/// Reads a numeric owner, `USER:GROUP`.
///
/// # Errors
/// When either side is no 32-bit number, or the largest of them: on Linux that is -1, which stands for none.
pub fn parse_owner(text: &str) -> Result<(u32, u32), ValueError> {
    let number = |digits| parse_digits(digits).filter(|number| *number != u32::MAX);
    text.split_once(':')
        .and_then(|(user, group)| Some((number(user)?, number(group)?)))
        .ok_or_else(|| ValueError::NotAnOwner {
            text: text.to_owned(),
        })
}

fn parse_digits(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// Reads a mode: octal, `0644`, or clauses, `u=rwX,go=rX`.
///
/// # Errors
/// When the text is neither.
pub fn parse_mode(text: &str) -> Result<ModeRule, ValueError> {
    Ok(text.parse()?)
}

/// Reads a SHA-256 digest of 64 hexadecimal digits.
///
/// # Errors
/// When the text is anything else.
pub fn parse_sha256(text: &str) -> Result<[u8; 32], ValueError> {
    let error = || ValueError::NotADigest {
        text: text.to_owned(),
    };
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(error());
    }
    let mut digest = [0; 32];
    for (byte, position) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[position..position + 2], 16).map_err(|_| error())?;
    }
    Ok(digest)
}

/// Reads a salt: an even number of hexadecimal digits, at most 512, or `none`.
///
/// # Errors
/// When the text is neither.
pub fn parse_salt(text: &str) -> Result<Vec<u8>, ValueError> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let error = || ValueError::NotASalt {
        text: text.to_owned(),
    };
    if text.is_empty() || text.len() > 512 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(error());
    }
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| match pair {
            [_, _] => str::from_utf8(pair)
                .ok()
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .ok_or_else(error),
            _ => Err(error()),
        })
        .collect()
}

/// Reads what becomes of times.
///
/// # Errors
/// When it is neither `clamp` nor `keep`.
pub fn parse_times(text: &str) -> Result<Times, ValueError> {
    match text {
        "clamp" => Ok(Times::Clamp),
        "keep" => Ok(Times::Keep),
        _ => Err(ValueError::NotTimes {
            text: text.to_owned(),
        }),
    }
}

/// Reads what becomes of hard links.
///
/// # Errors
/// When it is neither of the two.
pub fn parse_hard_links(text: &str) -> Result<HardLinks, ValueError> {
    match text {
        "keep" => Ok(HardLinks::Keep),
        "break" => Ok(HardLinks::Break),
        _ => Err(ValueError::NotHardLinks {
            text: text.to_owned(),
        }),
    }
}

/// Reads the platform of a container image: `linux/arm64`.
///
/// # Errors
/// When it is none.
pub fn parse_platform(text: &str) -> Result<ImagePlatform, ValueError> {
    text.parse().map_err(|_| ValueError::NotAPlatform {
        text: text.to_owned(),
    })
}

/// Reads the path of a directory in a source, which may begin with a slash.
///
/// # Errors
/// When it names nothing, or has `..` or NUL in it.
pub fn parse_part(text: &str) -> Result<Vec<u8>, ValueError> {
    let mut names = text.split('/').filter(|name| !matches!(*name, "" | "."));
    if names.clone().next().is_none() || names.any(|name| name == "..") || text.contains('\0') {
        return Err(ValueError::NotAPart {
            text: text.to_owned(),
        });
    }
    Ok(text.as_bytes().to_vec())
}

/// Reads a destination inside a file system: an absolute path without `..` or NUL.
///
/// # Errors
/// When the text is anything else.
pub fn parse_destination(text: &str) -> Result<Vec<u8>, ValueError> {
    let usable = text.starts_with('/')
        && !text.contains('\0')
        && !text.split('/').any(|component| component == "..");
    usable
        .then(|| text.as_bytes().to_vec())
        .ok_or_else(|| ValueError::NotADestination {
            text: text.to_owned(),
        })
}

/// Reads a time in seconds since 1970: RFC 3339 with an offset, or a whole number. One of 8 or 14 digits, which other tools
/// take for `YYYYMMDD` or `YYYYMMDDhhmmss`, needs a sign.
///
/// # Errors
/// When the text is neither, names a day that does not exist, has a fraction of a second, or may be a date in digits.
pub fn parse_time(text: &str) -> Result<i64, ValueError> {
    let trimmed = text.trim();
    if looks_like_a_date(trimmed) {
        return Err(date_in_digits(trimmed));
    }
    if let Ok(seconds) = trimmed.parse() {
        return Ok(seconds);
    }
    trimmed
        .parse()
        .ok()
        .and_then(|datetime: Datetime| seconds_since_1970(&datetime))
        .ok_or_else(|| ValueError::NotATime {
            text: text.to_owned(),
        })
}

/// Whether digits may be `YYYYMMDD` or `YYYYMMDDhhmmss`, of whatever day.
pub(super) fn looks_like_a_date(text: &str) -> bool {
    matches!(text.len(), 8 | 14) && text.bytes().all(|digit| digit.is_ascii_digit())
}

/// Seconds since 1970 as [`parse_time`] takes them.
pub(super) fn written_time(seconds: i64) -> String {
    let digits = seconds.to_string();
    match looks_like_a_date(&digits) {
        true => format!("\"+{digits}\""),
        false => digits,
    }
}

/// The refusal of what [looks like a date](looks_like_a_date).
pub(super) fn date_in_digits(digits: &str) -> ValueError {
    let (day, time) = digits.split_at(8);
    let time = if time.is_empty() { "000000" } else { time };
    let date = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &day[..4],
        &day[4..6],
        &day[6..],
        &time[..2],
        &time[2..4],
        &time[4..]
    );
    ValueError::DateInDigits {
        text: digits.to_owned(),
        date: Some(date).filter(|date| date.parse::<Datetime>().is_ok()),
    }
}

/// The seconds since 1970 of a date with a time and an offset; `None` when one of them is absent
/// or there is a fraction of a second.
pub(super) fn seconds_since_1970(datetime: &Datetime) -> Option<i64> {
    let (date, time) = (datetime.date?, datetime.time?);
    let offset_in_minutes = match datetime.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    if time.nanosecond.is_some_and(|nanoseconds| nanoseconds != 0) {
        return None;
    }
    let minutes = days_since_1970(
        i64::from(date.year),
        i64::from(date.month),
        i64::from(date.day),
    ) * 24
        * 60
        + i64::from(time.hour) * 60
        + i64::from(time.minute)
        - offset_in_minutes;
    Some(minutes * 60 + i64::from(time.second.unwrap_or(0)))
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, year 0 or later.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    const DAYS_FROM_0000_03_01_TO_1970: i64 = 719_468;
    // A year that begins in March has its leap day at the end, so that the days before a month
    // follow from a line: 153 days in each five months.
    let (year, month_from_march) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    year * 365 + leap_days + day_of_year - DAYS_FROM_0000_03_01_TO_1970
}

/// Reads `NAME=VALUE`; `form` is shown in the error.
///
/// # Errors
/// When the equals sign, the name or the value is missing.
pub fn parse_assignment(text: &str, form: &'static str) -> Result<(String, String), ValueError> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(ValueError::NotAnAssignment {
            text: text.to_owned(),
            form,
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_are_seconds_since_1970() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2024-01-01T00:00:00Z", 1_704_067_200),
            ("2024-02-29T12:30:15+02:00", 1_709_202_615),
            ("1969-12-31T23:59:59Z", -1),
            ("2446-05-10T22:38:55Z", 15_032_385_535),
            ("0000-03-01T00:00:00Z", -62_162_035_200),
            ("-5", -5),
            ("1704067200", 1_704_067_200),
            ("+20000101", 20_000_101),
        ] {
            assert_eq!(parse_time(text), Ok(seconds), "{text}");
        }
        for seconds in [0, -5, 20_000_101, 1_704_067_200, 20_000_101_000_000] {
            let written = written_time(seconds);
            assert_eq!(parse_time(written.trim_matches('"')), Ok(seconds));
        }
        for text in [
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2023-02-29T00:00:00Z",
            "yesterday",
            "1.5",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_date_in_digits_is_not_taken_for_seconds() {
        let refused = |text| parse_time(text).unwrap_err().to_string();
        assert_eq!(
            refused("20000101123000"),
            "`20000101123000` may be a date, or seconds since 1970: write \"2000-01-01T12:30:00Z\", or \"+20000101123000\" if it is seconds"
        );
        assert!(refused("20000101").contains("write \"2000-01-01T00:00:00Z\","));
        assert!(refused("20001301").contains("write \"2024-01-31T12:00:00Z\","));
    }

    #[test]
    fn identifiers_are_read() {
        assert_eq!(
            parse_filesystem_id("ABCD-1234"),
            Ok(FilesystemId::Serial(0xABCD_1234))
        );
        assert_eq!(
            parse_filesystem_id("abcd1234"),
            Ok(FilesystemId::Serial(0xABCD_1234))
        );
        let uuid = "0fc63daf-8483-4772-8e79-3d69d8477de4";
        assert_eq!(
            parse_filesystem_id(uuid),
            Ok(FilesystemId::Uuid(uuid.parse().unwrap()))
        );
        assert!(parse_filesystem_id("ABC-D1234").is_err());
        assert!(parse_filesystem_id("+BCD-1234").is_err());
        assert_eq!(
            parse_disk_id("0x0000002a", Scheme::Mbr),
            Ok(DiskId::Mbr(42))
        );
        assert!(parse_disk_id("0x2a", Scheme::Mbr).is_err());
        assert!(parse_disk_id("0x0000002a", Scheme::Gpt).is_err());
        assert!(parse_disk_id(uuid, Scheme::Mbr).is_err());
        assert_eq!(
            parse_disk_id(uuid, Scheme::Gpt),
            Ok(DiskId::Gpt(uuid.parse().unwrap()))
        );
    }

    #[test]
    fn owners_and_modes_are_numbers() {
        assert_eq!(parse_owner("0:4294967294"), Ok((0, u32::MAX - 1)));
        for text in [
            "root:root",
            "0",
            "0:",
            "+1:0",
            "0:4294967295",
            "4294967295:0",
            "0:4294967296",
        ] {
            assert!(parse_owner(text).is_err(), "{text}");
        }
        assert_eq!(parse_mode("0644"), Ok(ModeRule::Octal(0o644)));
        assert!(matches!(
            parse_mode("u=rwX,go=rX"),
            Ok(ModeRule::Symbolic(_))
        ));
        for text in ["", "8", "10000", "rw", "-1"] {
            assert!(parse_mode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn digests_and_destinations_are_checked() {
        assert_eq!(parse_sha256(&"0f".repeat(32)), Ok([0x0f; 32]));
        assert_eq!(parse_seed("random"), Ok(Seed::Random));
        assert!(parse_seed("Random").is_err());
        assert!(parse_sha256(&"0g".repeat(32)).is_err());
        assert_eq!(parse_destination("/etc/fstab"), Ok(b"/etc/fstab".to_vec()));
        for text in ["etc", "", "/a/../b", "/a\0"] {
            assert!(parse_destination(text).is_err(), "{text}");
        }
    }
}
