//! Bytes as vis(3) writes them.

/// The bytes of a word, or what is wrong with its escapes.
pub(super) fn unescaped(word: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (byte, after) = escape(rest)?;
        bytes.extend(byte);
        rest = after;
    }
    Ok(bytes)
}

/// The byte that follows a backslash, if it means one, and what comes after it.
fn escape(rest: &[u8]) -> Result<(Option<u8>, &[u8]), &'static str> {
    const CUT: &str = "ends within an escape";
    let (letter, after) = rest.split_first().ok_or(CUT)?;
    let plain = |byte| Ok((Some(byte), after));
    match letter {
        b'0'..=b'7' => octal(rest),
        b'x' => hexadecimal(after),
        b'n' => plain(b'\n'),
        b'r' => plain(b'\r'),
        b't' => plain(b'\t'),
        b'a' => plain(7),
        b'b' => plain(8),
        b'v' => plain(11),
        b'f' => plain(12),
        b's' => plain(b' '),
        b'E' => plain(27),
        b'^' => {
            let (byte, after) = control(after)?;
            Ok((Some(byte), after))
        }
        b'M' => match after.split_first().ok_or(CUT)? {
            (b'-', after) => {
                let (byte, after) = after.split_first().ok_or(CUT)?;
                Ok((Some(byte | 0x80), after))
            }
            (b'^', after) => {
                let (byte, after) = control(after)?;
                Ok((Some(byte | 0x80), after))
            }
            _ => Err("has an escape \\M without - or ^"),
        },
        // Ends an escape, and is nothing itself.
        b'$' => Ok((None, after)),
        byte if byte.is_ascii_graphic() && !byte.is_ascii_alphanumeric() => plain(*byte),
        _ => Err("has an escape that vis(3) does not have"),
    }
}

/// One to three digits.
fn octal(rest: &[u8]) -> Result<(Option<u8>, &[u8]), &'static str> {
    let digits = rest.iter().take(3);
    let length = digits
        .take_while(|byte| (b'0'..=b'7').contains(byte))
        .count();
    let value = rest[..length]
        .iter()
        .fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
    let byte = u8::try_from(value).map_err(|_| "has an octal escape above 377")?;
    Ok((Some(byte), &rest[length..]))
}

/// Two digits.
fn hexadecimal(rest: &[u8]) -> Result<(Option<u8>, &[u8]), &'static str> {
    let digits = rest.get(..2).and_then(|digits| str::from_utf8(digits).ok());
    let byte = digits
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        .ok_or("has an escape \\x without two digits")?;
    Ok((Some(byte), &rest[2..]))
}

fn control(rest: &[u8]) -> Result<(u8, &[u8]), &'static str> {
    let (byte, after) = rest.split_first().ok_or("ends within an escape")?;
    let byte = if *byte == b'?' { 127 } else { byte & 0x1f };
    Ok((byte, after))
}
