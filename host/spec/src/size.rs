//! Sizes and offsets as people write them: `"512MiB"`, `"1.5GiB"`, `"minimum + 20%"`, `"rest"`.
//!
//! The one grammar serves the spec and the command line.

use thiserror::Error;

/// Bytes in a kibibyte, and the ratio between neighbouring units.
const KIB: u64 = 1024;
/// Bytes in a mebibyte.
pub const MIB: u64 = KIB * KIB;

/// The units a size can be written in, with their length in bytes.
const UNITS: [(&str, u64); 6] = [
    ("B", 1),
    ("KiB", KIB),
    ("MiB", MIB),
    ("GiB", MIB * KIB),
    ("TiB", MIB * MIB),
    ("PiB", MIB * MIB * KIB),
];

/// Digits kept after the point of a percentage: `12.3456%` is 123,456 parts in a million.
const PERCENT_DIGITS: u32 = 4;

/// A size that could not be understood. Every variant carries the text as it was written.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SizeError {
    /// There is no number where one should be.
    #[error("`{text}` is not a size: write a number and a unit, such as \"512MiB\"")]
    NotANumber {
        /// What was written.
        text: String,
    },
    /// The unit means one thing to some programs and another to others, or is spelled differently.
    #[error("`{text}` has the unit `{unit}`, which is ambiguous: write {instead} (powers of 1024)")]
    AmbiguousUnit {
        /// What was written.
        text: String,
        /// The unit in it.
        unit: String,
        /// The same number with the unit that is meant, in quotes.
        instead: String,
    },
    /// The unit is spelled in other letters.
    #[error("`{text}` has the unit `{unit}`, which is spelled otherwise: write {instead}")]
    Misspelled {
        /// What was written.
        text: String,
        /// The unit in it.
        unit: String,
        /// The same number with the unit as it is spelled, in quotes.
        instead: String,
    },
    /// A share of nothing.
    #[error(
        "`{text}` is a share, and says not of what: write \"minimum + {text}\" for that much more than the content needs, or a size"
    )]
    ShareOfNothing {
        /// What was written.
        text: String,
    },
    /// The unit is none that is known.
    #[error("`{text}` has the unknown unit `{unit}`: the units are B, KiB, MiB, GiB, TiB and PiB")]
    UnknownUnit {
        /// What was written.
        text: String,
        /// The unit in it.
        unit: String,
    },
    /// A fraction that does not come out at whole bytes.
    #[error("`{text}` is not a whole number of bytes: choose a smaller unit")]
    NotWhole {
        /// What was written.
        text: String,
    },
    /// More bytes than 64 bits can count.
    #[error("`{text}` is more than 2^64 bytes")]
    TooLarge {
        /// What was written.
        text: String,
    },
    /// Neither a size nor `minimum…` nor `rest`.
    #[error(
        "`{text}` is no size rule: write a size (\"4GiB\"), \"minimum\", \"minimum + 20%\", \
         \"minimum + 64MiB\" or \"rest\""
    )]
    NotARule {
        /// What was written.
        text: String,
    },
    /// A percentage that is no number, or has more than four digits after the point.
    #[error(
        "`{text}` is not a percentage: write one such as \"minimum + 20%\" or \"minimum + 12.5%\""
    )]
    NotAPercentage {
        /// What was written.
        text: String,
    },
}

/// What is added to the smallest size that holds a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Margin {
    /// A number of bytes.
    Bytes(u64),
    /// A share of the measured size, in parts per million.
    PartsPerMillion(u64),
}

/// How long a partition is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeRule {
    /// Exactly this number of bytes.
    Fixed(u64),
    /// The smallest size that holds the content, and a margin.
    Minimum(Margin),
    /// Everything that the other partitions leave of a disk of fixed size.
    Rest,
}

impl SizeRule {
    /// The smallest size, with nothing added.
    pub const MINIMUM: Self = Self::Minimum(Margin::Bytes(0));

    /// Reads a rule: a size, `minimum`, `minimum + 20%`, `minimum + 64MiB` or `rest`.
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn parse(text: &str) -> Result<Self, SizeError> {
        let trimmed = text.trim();
        if trimmed == "rest" {
            return Ok(Self::Rest);
        }
        if let Some(after) = trimmed.strip_prefix("minimum") {
            return parse_margin(text, after.trim()).map(Self::Minimum);
        }
        if trimmed.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Err(SizeError::NotARule {
                text: text.to_owned(),
            });
        }
        parse_size(text).map(Self::Fixed)
    }
}

/// Reads what follows `minimum`; `whole` is the text to show in errors.
fn parse_margin(whole: &str, after: &str) -> Result<Margin, SizeError> {
    if after.is_empty() {
        return Ok(Margin::Bytes(0));
    }
    let Some(added) = after.strip_prefix('+') else {
        return Err(SizeError::NotARule {
            text: whole.to_owned(),
        });
    };
    match added.trim().strip_suffix('%') {
        Some(percentage) => parse_percentage(whole, percentage.trim()).map(Margin::PartsPerMillion),
        None => parse_size(added).map(Margin::Bytes),
    }
}

fn parse_percentage(whole: &str, percentage: &str) -> Result<u64, SizeError> {
    Decimal::parse(percentage)
        .and_then(|number| number.scaled_by(10_u128.pow(PERCENT_DIGITS)))
        .and_then(|parts| u64::try_from(parts).ok())
        .ok_or_else(|| SizeError::NotAPercentage {
            text: whole.to_owned(),
        })
}

/// Reads a size in bytes: a number, whole or with a fraction, and a unit; without a unit it counts bytes.
///
/// # Errors
/// When there is no number, the unit is unknown or ambiguous (`KB`, `M`), or the result is not a
/// whole number of bytes below 2^64.
pub fn parse_size(text: &str) -> Result<u64, SizeError> {
    let trimmed = text.trim();
    let digits_end = trimmed
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits_end);
    let decimal = Decimal::parse(number).ok_or_else(|| SizeError::NotANumber {
        text: text.to_owned(),
    })?;
    let unit_in_bytes = parse_unit(text, number, unit.trim_start())?;
    let bytes = decimal
        .scaled_by(u128::from(unit_in_bytes))
        .ok_or_else(|| {
            let text = text.to_owned();
            // A whole number of a unit is one of bytes, too, unless there are too many.
            match number.contains('.') {
                true => SizeError::NotWhole { text },
                false => SizeError::TooLarge { text },
            }
        })?;
    u64::try_from(bytes).map_err(|_| SizeError::TooLarge {
        text: text.to_owned(),
    })
}

/// A size as [`parse_size`] reads it: a whole number of the largest unit that divides it.
pub(super) fn written(bytes: u64) -> String {
    let divides = |(_, unit): &&(&str, u64)| bytes != 0 && bytes.is_multiple_of(*unit);
    match UNITS.iter().rev().find(divides) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => "0B".to_owned(),
    }
}

fn parse_unit(text: &str, number: &str, unit: &str) -> Result<u64, SizeError> {
    if unit.is_empty() {
        return Ok(1);
    }
    if let Some((_, bytes)) = UNITS.iter().find(|(name, _)| *name == unit) {
        return Ok(*bytes);
    }
    if unit == "%" {
        return Err(SizeError::ShareOfNothing {
            text: text.to_owned(),
        });
    }
    let first = unit.chars().next().map(|c| c.to_ascii_uppercase());
    let spelling = unit.to_ascii_lowercase();
    let meant = UNITS
        .iter()
        .find(|(name, _)| name.chars().next() == first)
        .filter(|(name, _)| {
            let name = name.to_ascii_lowercase();
            spelling == name || spelling == name.replace('i', "") || spelling == name[..1]
        });
    Err(match meant {
        Some((name, _)) if name.eq_ignore_ascii_case(unit) => SizeError::Misspelled {
            text: text.to_owned(),
            unit: unit.to_owned(),
            instead: format!("\"{number}{name}\""),
        },
        Some((name, _)) => SizeError::AmbiguousUnit {
            text: text.to_owned(),
            unit: unit.to_owned(),
            instead: format!("\"{number}{name}\""),
        },
        None => SizeError::UnknownUnit {
            text: text.to_owned(),
            unit: unit.to_owned(),
        },
    })
}

/// A number with a decimal fraction, exact: `digits / 10^fraction_digits`.
struct Decimal {
    digits: u128,
    fraction_digits: u32,
}

impl Decimal {
    /// More digits than 2^64 bytes with a fraction could need.
    const MOST_DIGITS: usize = 30;

    /// Reads `12` or `1.5`; `None` for anything else.
    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = format!("{whole}{fraction}");
        let usable = !whole.is_empty()
            && !fraction.is_empty()
            && digits.len() <= Self::MOST_DIGITS
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        let fraction_digits = u32::try_from(fraction.len()).ok()?;
        if usable {
            Some(Self {
                digits: digits.parse().ok()?,
                fraction_digits,
            })
        } else {
            None
        }
    }

    /// This number times `factor`, when that is whole.
    fn scaled_by(&self, factor: u128) -> Option<u128> {
        let divisor = 10_u128.checked_pow(self.fraction_digits)?;
        // A product past 128 bits is past 64 bits too: the caller reports it as too large.
        let product = self.digits.saturating_mul(factor);
        product.is_multiple_of(divisor).then(|| product / divisor)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes_are_read_exactly() {
        assert_eq!(parse_size("0"), Ok(0));
        assert_eq!(parse_size("512B"), Ok(512));
        assert_eq!(parse_size("512 MiB"), Ok(512 * MIB));
        assert_eq!(parse_size("1.5GiB"), Ok(1536 * MIB));
        assert_eq!(parse_size("16383PiB"), Ok(16383 * MIB * MIB * KIB));
        assert!(matches!(
            parse_size("16384PiB"),
            Err(SizeError::TooLarge { .. })
        ));
        assert!(matches!(
            parse_size("99999999999999999999999999TiB"),
            Err(SizeError::TooLarge { .. })
        ));
        assert!(matches!(
            parse_size("1.3B"),
            Err(SizeError::NotWhole { .. })
        ));
        assert!(matches!(
            parse_size("0.0001KiB"),
            Err(SizeError::NotWhole { .. })
        ));
        for text in ["", "MiB", "-1MiB", ".5GiB", "1.", "1.2.3GiB", "٣MiB"] {
            assert!(
                matches!(parse_size(text), Err(SizeError::NotANumber { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (bytes, text) in [
            (0, "0B"),
            (1000, "1000B"),
            (512, "512B"),
            (3 << 30, "3GiB"),
            (1536 * MIB, "1536MiB"),
            (u64::MAX, "18446744073709551615B"),
            (1 << 63, "8192PiB"),
        ] {
            assert_eq!(written(bytes), text);
            assert_eq!(parse_size(text), Ok(bytes));
        }
    }

    #[test]
    fn ambiguous_units_say_what_to_write() {
        for (text, instead) in [
            ("4GB", "4GiB"),
            ("10M", "10MiB"),
            ("1.5k", "1.5KiB"),
            ("1mib", "1MiB"),
            ("7b", "7B"),
        ] {
            let message = parse_size(text).unwrap_err().to_string();
            assert!(
                message.contains(&format!("write \"{instead}\"")),
                "{message}"
            );
        }
        assert!(matches!(
            parse_size("4 blocks"),
            Err(SizeError::UnknownUnit { .. })
        ));
        assert!(matches!(
            parse_size("4 µB"),
            Err(SizeError::UnknownUnit { .. })
        ));
    }

    #[test]
    fn rules_are_read() {
        assert_eq!(SizeRule::parse("rest"), Ok(SizeRule::Rest));
        assert_eq!(SizeRule::parse("minimum"), Ok(SizeRule::MINIMUM));
        assert_eq!(
            SizeRule::parse("minimum + 12.5%"),
            Ok(SizeRule::Minimum(Margin::PartsPerMillion(125_000)))
        );
        assert_eq!(
            SizeRule::parse("minimum+1MiB"),
            Ok(SizeRule::Minimum(Margin::Bytes(MIB)))
        );
        assert_eq!(SizeRule::parse("1MiB"), Ok(SizeRule::Fixed(MIB)));
        for text in ["minimum - 1MiB", "minimum 5%", "auto", "max"] {
            assert!(
                matches!(SizeRule::parse(text), Err(SizeError::NotARule { .. })),
                "{text}"
            );
        }
        for text in ["minimum + %", "minimum + 0.00001%", "minimum + x%"] {
            assert!(
                matches!(SizeRule::parse(text), Err(SizeError::NotAPercentage { .. })),
                "{text}"
            );
        }
    }
}
