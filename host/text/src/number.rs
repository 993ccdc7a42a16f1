//! Numbers for people.

/// The units of [`human`], largest first.
const UNITS: [(&str, u32); 6] = [
    ("EiB", 60),
    ("PiB", 50),
    ("TiB", 40),
    ("GiB", 30),
    ("MiB", 20),
    ("KiB", 10),
];

/// A size in bytes, in the largest unit of which there is one: `256 MiB`, `1.9 GiB`, `512 B`.
///
/// One digit after the point, unless the size is a whole number of units; rounded down, so that what
/// is shown fits in what there is.
#[must_use]
pub fn human(bytes: u64) -> String {
    let Some((unit, shift)) = UNITS.into_iter().find(|(_, shift)| bytes >> shift != 0) else {
        return format!("{bytes} B");
    };
    let (whole, rest) = (bytes >> shift, bytes & ((1 << shift) - 1));
    match (u128::from(rest) * 10) >> shift {
        _ if rest == 0 => format!("{whole} {unit}"),
        tenths => format!("{whole}.{tenths} {unit}"),
    }
}

/// A size in bytes to the last one, for errors: `41 943 040 bytes`.
#[must_use]
pub fn exact(bytes: u64) -> String {
    match bytes {
        1 => "1 byte".to_owned(),
        _ => format!("{} bytes", grouped(bytes)),
    }
}

/// A number in groups of three digits: `41 943 040`; up to four digits stay together.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    if digits.len() <= 4 {
        return digits;
    }
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_their_largest_unit() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (256 << 20, "256 MiB"),
            ((2 << 30) - 1, "1.9 GiB"),
            ((1 << 30) + 1, "1.0 GiB"),
            (u64::MAX, "15.9 EiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn long_numbers_are_grouped() {
        assert_eq!(grouped(2048), "2048");
        assert_eq!(grouped(41_943_040), "41 943 040");
        assert_eq!(exact(1), "1 byte");
        assert_eq!(exact(12_345), "12 345 bytes");
    }
}
