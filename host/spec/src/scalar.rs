//! What PyYAML takes an unquoted word for (YAML 1.1, "Language-Independent Types"): `010` is 8, `1.50` is 1.5, `yes` is
//! true, `1:30` is 90. What a number means is kept, and how it was written is lost, as there.

/// What an unquoted word is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A number, as Python writes it.
    Number(String),
    /// True or false.
    Boolean(bool),
    /// A date, perhaps with a time; it need not be one that the calendar has.
    Date,
    /// What looks like a value and is none, which is an error: `=`, `0x_`.
    Nothing,
    /// As it is written.
    Text,
}

/// What PyYAML takes an unquoted word for.
pub(super) fn resolved(word: &str) -> Word {
    if let Some(value) = boolean(word) {
        return Word::Boolean(value);
    }
    if word == "=" {
        return Word::Nothing;
    }
    if let Some(found) = integer(word).or_else(|| float(word)) {
        return found;
    }
    if is_date(word) {
        return Word::Date;
    }
    Word::Text
}

/// A word in small letters, in capitals, or with a capital first.
fn boolean(word: &str) -> Option<bool> {
    const WORDS: [(&str, bool); 6] = [
        ("yes", true),
        ("no", false),
        ("true", true),
        ("false", false),
        ("on", true),
        ("off", false),
    ];
    let small = word.to_ascii_lowercase();
    let rest_is = |is: fn(&u8) -> bool| word.bytes().skip(1).all(|byte| is(&byte));
    let starts_large = word.starts_with(|first: char| first.is_ascii_uppercase());
    let is_cased =
        rest_is(u8::is_ascii_lowercase) || starts_large && rest_is(u8::is_ascii_uppercase);
    let (_, value) = WORDS.iter().find(|(known, _)| *known == small)?;
    is_cased.then_some(*value)
}

/// The sign, and what is behind it.
fn signed(word: &str) -> (bool, &str) {
    match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    }
}

/// What underscores part, without them.
fn digits(text: &str) -> String {
    text.chars().filter(|sign| *sign != '_').collect()
}

/// Whether all is digits of this radix and underscores.
fn are_digits(text: &str, radix: u32) -> bool {
    text.chars().all(|sign| sign == '_' || sign.is_digit(radix))
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

/// Whether what is behind the first colon is minutes, or minutes and seconds, and so on: each less than sixty.
fn are_sixtieths(parts: &[&str]) -> bool {
    let is_one = |part: &&str| {
        (1..=2).contains(&part.len())
            && are_digits(part, 10)
            && !part.contains('_')
            && (part.len() == 1 || part.as_bytes()[0] <= b'5')
    };
    !parts.is_empty() && parts.iter().all(is_one)
}

/// Binary after `0b`, hexadecimal after `0x`, octal after `0`, decimal, and sixties parted by colons. Underscores part
/// digits.
fn integer(word: &str) -> Option<Word> {
    let (is_negative, rest) = signed(word);
    let read = |text: &str, radix: u32| {
        let number = digits(text);
        if number.is_empty() {
            return Some(Word::Nothing);
        }
        let number = u128::from_str_radix(&number, radix).ok();
        // Nothing has so large a value, and its digits say so too.
        let number = number.map_or_else(|| digits(rest), |number| number.to_string());
        let sign = if is_negative && number != "0" {
            "-"
        } else {
            ""
        };
        Some(Word::Number(format!("{sign}{number}")))
    };
    if let Some(text) = rest.strip_prefix("0b") {
        return read(text, 2).filter(|_| !text.is_empty() && are_digits(text, 2));
    }
    if let Some(text) = rest.strip_prefix("0x") {
        return read(text, 16).filter(|_| !text.is_empty() && are_digits(text, 16));
    }
    if rest.len() > 1 && rest.starts_with('0') {
        return read(rest, 8).filter(|_| are_digits(rest, 8));
    }
    if !starts_with_digit(rest) {
        return None;
    }
    let parts: Vec<&str> = rest.split(':').collect();
    if parts.len() == 1 {
        return read(rest, 10).filter(|_| are_digits(rest, 10));
    }
    let is_number = are_digits(parts[0], 10) && are_sixtieths(&parts[1..]);
    let number = parts.iter().try_fold(0_u128, |number, part| {
        let part: u128 = digits(part).parse().ok()?;
        number.checked_mul(60)?.checked_add(part)
    })?;
    read(&number.to_string(), 10).filter(|_| is_number)
}

/// A number with a point; an exponent needs its sign, and a number that begins with the point has none.
fn float(word: &str) -> Option<Word> {
    let (is_negative, rest) = signed(word);
    let sign = if is_negative { "-" } else { "" };
    if [".inf", ".Inf", ".INF"].contains(&rest) {
        return Some(Word::Number(format!("{sign}inf")));
    }
    if [".nan", ".NaN", ".NAN"].contains(&word) {
        return Some(Word::Number("nan".to_owned()));
    }
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (rest, None),
    };
    let is_exponent = |text: &str| {
        let digits = text.strip_prefix(['+', '-']).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (whole, fraction) = mantissa.split_once('.')?;
    let parts: Vec<&str> = whole.split(':').collect();
    let is_float = are_digits(fraction, 10)
        && exponent.is_none_or(is_exponent)
        && match parts[..] {
            [""] => starts_with_digit(fraction) && rest == word,
            [whole] => starts_with_digit(whole) && are_digits(whole, 10),
            _ => {
                starts_with_digit(parts[0])
                    && are_digits(parts[0], 10)
                    && are_sixtieths(&parts[1..])
                    && exponent.is_none()
            }
        };
    if !is_float {
        return None;
    }
    let number = if parts.len() > 1 {
        let last = format!("{}.{}0", parts[parts.len() - 1], digits(fraction));
        let last: f64 = last.parse().ok()?;
        let mut whole = parts[..parts.len() - 1].iter();
        let minutes = whole.try_fold(0.0, |sum, part| {
            Some(sum * 60.0 + digits(part).parse::<f64>().ok()?)
        })?;
        minutes * 60.0 + last
    } else {
        digits(rest).parse().ok()?
    };
    Some(Word::Number(format!("{sign}{}", as_python(number))))
}

/// A number that is not negative, as Python writes it: with an exponent from 1e+16 on and below 0.0001.
fn as_python(number: f64) -> String {
    let plain = format!("{number:?}");
    if number == 0.0 || (1e-4..1e16).contains(&number) || !number.is_finite() {
        return plain;
    }
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return plain;
    };
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

/// `2024-01-31`, alone or before a time.
fn is_date(word: &str) -> bool {
    let digits = |text: &str, least: usize, most: usize| {
        (least..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let end = word.find(['T', 't', ' ', '\t']).unwrap_or(word.len());
    let (date, time) = word.split_at(end);
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts[..] else {
        return false;
    };
    if time.is_empty() {
        return digits(year, 4, 4) && digits(month, 2, 2) && digits(day, 2, 2);
    }
    let time = match time.strip_prefix(['T', 't']) {
        Some(time) => time,
        None => time.trim_start_matches([' ', '\t']),
    };
    let clock_end = time.find(|sign: char| !sign.is_ascii_digit() && sign != ':');
    let (clock, rest) = time.split_at(clock_end.unwrap_or(time.len()));
    let clock: Vec<&str> = clock.split(':').collect();
    let [hour, minute, second] = clock[..] else {
        return false;
    };
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|sign: char| sign.is_ascii_digit()),
        None => rest,
    };
    let zone = rest.trim_start_matches([' ', '\t']);
    let is_zone = match zone.strip_prefix(['+', '-']) {
        Some(zone) => match zone.split_once(':') {
            Some((hours, minutes)) => digits(hours, 1, 2) && digits(minutes, 2, 2),
            None => digits(zone, 1, 2),
        },
        None => zone == "Z" || rest.is_empty(),
    };
    digits(year, 4, 4)
        && digits(month, 1, 2)
        && digits(day, 1, 2)
        && digits(hour, 1, 2)
        && digits(minute, 2, 2)
        && digits(second, 2, 2)
        && is_zone
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each as `yaml.safe_load` of PyYAML 6.0.3 has it, where it is the value of a key; `null` is told apart before.
    #[test]
    fn words_mean_what_they_mean_to_pyyaml() {
        let number = |text: &str| Word::Number(text.to_owned());
        for (word, expected) in [
            ("0400000000", number("67108864")),
            ("010", number("8")),
            ("08", Word::Text),
            ("0", number("0")),
            ("-0", number("0")),
            ("+0", number("0")),
            ("00", number("0")),
            ("000", number("0")),
            ("007", number("7")),
            ("09", Word::Text),
            ("1_000", number("1000")),
            ("1__000", number("1000")),
            ("_1", Word::Text),
            ("1_", number("1")),
            ("-1_0", number("-10")),
            ("+12", number("12")),
            ("-12", number("-12")),
            ("0x1F", number("31")),
            ("0X1F", Word::Text),
            ("0x_1F", number("31")),
            ("0x", Word::Text),
            ("0xg", Word::Text),
            ("0b101", number("5")),
            ("0b", Word::Text),
            ("0b2", Word::Text),
            ("0B1", Word::Text),
            ("0o17", Word::Text),
            ("0o7", Word::Text),
            ("-0x10", number("-16")),
            ("+0b11", number("3")),
            ("-010", number("-8")),
            ("1:30", number("90")),
            ("1:60", Word::Text),
            ("01:30", Word::Text),
            ("1:5", number("65")),
            ("1:05", number("65")),
            ("190:20:30", number("685230")),
            ("1:2:3:4", number("223384")),
            ("-1:30", number("-90")),
            ("+1:30", number("90")),
            ("1:30:60", Word::Text),
            ("0:30", Word::Text),
            ("1:30.", number("90.0")),
            ("190:20:30.15", number("685230.15")),
            ("1:30.5", number("90.5")),
            ("-1:30.5", number("-90.5")),
            ("1.50", number("1.5")),
            ("1.", number("1.0")),
            (".5", number("0.5")),
            ("-1.5", number("-1.5")),
            ("+1.5", number("1.5")),
            ("-.5", Word::Text),
            ("+.5", Word::Text),
            ("1.0e+3", number("1000.0")),
            ("1.0e3", Word::Text),
            ("1e3", Word::Text),
            ("1e+3", Word::Text),
            ("1.e+3", number("1000.0")),
            (".5e-3", number("0.0005")),
            ("1.5E+3", number("1500.0")),
            ("1_0.5", number("10.5")),
            ("1._5", number("1.5")),
            ("._5", Word::Text),
            ("._", Word::Text),
            ("1.0e+20", number("1e+20")),
            ("1.0e+16", number("1e+16")),
            ("1.0e+15", number("1000000000000000.0")),
            ("1.0e-5", number("1e-05")),
            ("1.0e-4", number("0.0001")),
            ("123456789012345678.0", number("1.2345678901234568e+17")),
            ("0.1", number("0.1")),
            ("0.00001", number("1e-05")),
            ("100000000000000000000", number("100000000000000000000")),
            (
                "99999999999999999999999999999999999999999",
                number("99999999999999999999999999999999999999999"),
            ),
            (".inf", number("inf")),
            ("-.inf", number("-inf")),
            ("+.inf", number("inf")),
            (".Inf", number("inf")),
            (".INF", number("inf")),
            (".iNF", Word::Text),
            (".nan", number("nan")),
            (".NaN", number("nan")),
            (".NAN", number("nan")),
            ("-.nan", Word::Text),
            (".Nan", Word::Text),
            ("yes", Word::Boolean(true)),
            ("Yes", Word::Boolean(true)),
            ("YES", Word::Boolean(true)),
            ("yEs", Word::Text),
            ("no", Word::Boolean(false)),
            ("No", Word::Boolean(false)),
            ("NO", Word::Boolean(false)),
            ("on", Word::Boolean(true)),
            ("On", Word::Boolean(true)),
            ("ON", Word::Boolean(true)),
            ("off", Word::Boolean(false)),
            ("Off", Word::Boolean(false)),
            ("OFF", Word::Boolean(false)),
            ("true", Word::Boolean(true)),
            ("True", Word::Boolean(true)),
            ("TRUE", Word::Boolean(true)),
            ("false", Word::Boolean(false)),
            ("False", Word::Boolean(false)),
            ("FALSE", Word::Boolean(false)),
            ("tRUE", Word::Text),
            ("y", Word::Text),
            ("Y", Word::Text),
            ("n", Word::Text),
            ("N", Word::Text),
            ("nULL", Word::Text),
            ("=", Word::Nothing),
            ("2024-01-31", Word::Date),
            ("2024-1-31", Word::Text),
            ("2024-13-01", Word::Date),
            ("2024-02-30", Word::Date),
            ("2024-01-31T12:00:00Z", Word::Date),
            ("2024-1-31T1:00:00Z", Word::Date),
            ("2024-01-31t12:00:00", Word::Date),
            ("2024-01-31T12:00", Word::Text),
            ("2024-01-31T12:00:00.5", Word::Date),
            ("2024-01-31T12:00:00+1", Word::Date),
            ("2024-01-31T12:00:00+01:30", Word::Date),
            ("2024-01-31T12:00:00-0130", Word::Text),
            ("20240131", number("20240131")),
            ("2024-01", Word::Text),
            ("3G", Word::Text),
            ("0C", Word::Text),
            ("83", number("83")),
            ("0x83", number("131")),
            ("3M", Word::Text),
            ("1e", Word::Text),
            ("0FC63DAF-8483-4772-8E79-3D69D8477DE4", Word::Text),
            (".", Word::Text),
            ("..", Word::Text),
            ("...", Word::Text),
            ("1.2.3", Word::Text),
            ("1,000", Word::Text),
            ("1.5e+", Word::Text),
            ("+-", Word::Text),
            ("+", Word::Text),
            ("0.0", number("0.0")),
            ("-0.0", number("-0.0")),
            ("00.5", number("0.5")),
            ("01.5", number("1.5")),
            ("0_7", number("7")),
            ("0_8", Word::Text),
            ("0:0", Word::Text),
            ("1_1:30", number("690")),
            ("1:3_0", Word::Text),
            ("1e-7", Word::Text),
            ("12e03", Word::Text),
            ("685.230_15e+03", number("685230.15")),
            ("685_230.15", number("685230.15")),
            ("0x_", Word::Nothing),
            ("0b_1", number("1")),
            ("0b1_0", number("2")),
            ("-0b1_0", number("-2")),
            ("0_", number("0")),
            ("0__", number("0")),
            ("1:59", number("119")),
            ("12:34:56", number("45296")),
            ("9:9", number("549")),
            ("60:00", number("3600")),
            ("5:9:9", number("18549")),
            (".5.5", Word::Text),
            (".e+3", Word::Text),
            ("1.e5", Word::Text),
            ("1.0E+3", number("1000.0")),
            ("1.0e+1_0", Word::Text),
            ("6.8523015e+5", number("685230.15")),
            ("2001-12-14t21:59:43.10-05:00", Word::Date),
            ("2002-1-1T0:0:0", Word::Text),
            ("2001-12-14 21:59:43.10 -5", Word::Date),
            ("2001-12-15 2:59:43.10", Word::Date),
            ("2024-01-31 12:00:00", Word::Date),
            ("2024-01-31 noon", Word::Text),
            ("", Word::Text),
        ] {
            assert_eq!(resolved(word), expected, "{word}");
        }
    }
}
