//! What PyYAML takes an unquoted word for (YAML 1.1, "Language-Independent Types"): `010` is 8, `1.50` is 1.5, `yes` is
//! true, `1:30` is 90. What a number means is kept, and how it was written is lost, as there.

/// What an unquoted word is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A number, as Python writes it.
    Number(String),
    /// True or false.
    Boolean(bool),
    /// A date, perhaps with a time.
    Date,
    /// As it is written.
    Text,
}

/// What PyYAML takes an unquoted word for.
pub(super) fn resolved(word: &str) -> Word {
    if let Some(value) = boolean(word) {
        return Word::Boolean(value);
    }
    if let Some(number) = integer(word) {
        return Word::Number(number);
    }
    if let Some(number) = float(word) {
        return Word::Number(number);
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

/// Binary after `0b`, hexadecimal after `0x`, octal after `0`, decimal, and sixties parted by colons. Underscores part
/// digits.
fn integer(word: &str) -> Option<String> {
    let (is_negative, rest) = signed(word);
    let digits: String = rest.chars().filter(|sign| *sign != '_').collect();
    if !rest.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let read = |digits: &str, radix: u32| {
        let are_digits = digits.chars().all(|digit| digit.is_digit(radix));
        u128::from_str_radix(digits, radix)
            .ok()
            .filter(|_| are_digits)
    };
    let number = if let Some(digits) = digits.strip_prefix("0b") {
        read(digits, 2)?
    } else if let Some(digits) = digits.strip_prefix("0x") {
        read(digits, 16)?
    } else if digits.contains(':') {
        sixties(&digits)?
    } else if digits.len() > 1 && digits.starts_with('0') {
        read(&digits, 8)?
    } else {
        read(&digits, 10)?
    };
    let sign = if is_negative && number != 0 { "-" } else { "" };
    Some(format!("{sign}{number}"))
}

/// `1:30`: the first digit is no zero, and what follows a colon is less than sixty.
fn sixties(digits: &str) -> Option<u128> {
    if digits.starts_with('0') {
        return None;
    }
    let mut number: u128 = 0;
    for (index, part) in digits.split(':').enumerate() {
        let value: u128 = part.parse().ok()?;
        let is_digits = part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits || index > 0 && (value >= 60 || part.len() > 2) {
            return None;
        }
        number = number.checked_mul(60)?.checked_add(value)?;
    }
    Some(number)
}

/// A number with a point; an exponent needs its sign.
fn float(word: &str) -> Option<String> {
    let (_, rest) = signed(word);
    let special = [
        ([".inf", ".Inf", ".INF"], "inf"),
        ([".nan", ".NaN", ".NAN"], "nan"),
    ];
    if let Some((_, name)) = special.iter().find(|(words, _)| words.contains(&rest)) {
        return Some((*name).to_owned());
    }
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (rest, None),
    };
    let (whole, fraction) = mantissa.split_once('.')?;
    let are_digits = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_')
    };
    let has_digits = whole.starts_with(|first: char| first.is_ascii_digit())
        || whole.is_empty() && fraction.starts_with(|first: char| first.is_ascii_digit());
    let is_exponent = |text: &str| {
        let digits = text.strip_prefix(['+', '-']).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_float =
        has_digits && are_digits(whole) && are_digits(fraction) && exponent.is_none_or(is_exponent);
    let plain: String = word.chars().filter(|sign| *sign != '_').collect();
    let number: f64 = plain.parse().ok().filter(|_| is_float)?;
    Some(format!("{number:?}"))
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
    let is_time = time.trim_start_matches(['T', 't', ' ', '\t']);
    let has_time = is_time.split(':').count() >= 3
        && is_time.starts_with(|first: char| first.is_ascii_digit());
    digits(year, 4, 4) && digits(month, 1, 2) && digits(day, 1, 2) && has_time
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each as `yaml.safe_load` of PyYAML 6.0 has it.
    #[test]
    fn words_mean_what_they_mean_to_pyyaml() {
        let number = |text: &str| Word::Number(text.to_owned());
        for (word, expected) in [
            ("0400000000", number("67108864")),
            ("010", number("8")),
            ("08", Word::Text),
            ("0", number("0")),
            ("-0", number("0")),
            ("1_000", number("1000")),
            ("0x1F", number("31")),
            ("0b101", number("5")),
            ("1:30", number("90")),
            ("1:60", Word::Text),
            ("01:30", Word::Text),
            ("1.50", number("1.5")),
            ("1.", number("1.0")),
            (".5", number("0.5")),
            ("-1.5", number("-1.5")),
            ("1.0e+3", number("1000.0")),
            ("1.0e3", Word::Text),
            ("1e3", Word::Text),
            (".inf", number("inf")),
            ("yes", Word::Boolean(true)),
            ("No", Word::Boolean(false)),
            ("OFF", Word::Boolean(false)),
            ("yEs", Word::Text),
            ("y", Word::Text),
            ("2024-01-31", Word::Date),
            ("2024-1-31", Word::Text),
            ("2024-01-31T12:00:00Z", Word::Date),
            ("3G", Word::Text),
            ("0C", Word::Text),
            ("", Word::Text),
            ("0FC63DAF-8483-4772-8E79-3D69D8477DE4", Word::Text),
            (".", Word::Text),
            ("1.2.3", Word::Text),
        ] {
            assert_eq!(resolved(word), expected, "{word}");
        }
    }
}
