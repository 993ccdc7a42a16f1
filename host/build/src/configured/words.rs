//! Text of strangers as words of a shell and of systemd: it can be nothing but a word there.

/// Words with spaces between them.
pub(super) fn join(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

/// A word as a POSIX shell reads it (POSIX.1-2017, Shell Command Language, 2.2.2).
pub(super) fn shell(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%=".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A variable as `env` takes it from a shell. The name stays bare where a shell has such names.
///
/// # Errors
/// Why there is none.
pub(super) fn variable(entry: &str) -> Result<String, String> {
    let refused = |why: &str| Err(format!("the image's environment has '{entry:.64}', {why}"));
    let Some((name, value)) = entry.split_once('=') else {
        return refused("which has no value");
    };
    if name.is_empty() || name.starts_with('-') || name.contains(char::is_control) {
        return refused("whose name no program can be given on a command line");
    }
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    Ok(if name.bytes().all(is_bare) {
        format!("{name}={}", shell(value))
    } else {
        shell(entry)
    })
}

/// What stands on a line of its own, as it is.
///
/// # Errors
/// Why it cannot.
pub(super) fn bare(text: &str) -> Result<String, String> {
    match text.find(char::is_control) {
        None => Ok(text.to_owned()),
        Some(at) => {
            let letter = text[at..].chars().next().unwrap_or_default();
            Err(format!(
                "it has {letter:?} in it, as byte {at}, and would not end with its line"
            ))
        }
    }
}

/// A word as systemd reads it (systemd.syntax(7), "Quoting"; systemd.service(5), "Command lines"): specifiers are not expanded, and
/// in a command line neither are variables.
pub(super) fn systemd(word: &str, is_command: bool) -> String {
    let mut quoted = String::from("\"");
    for letter in word.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '%' => quoted.push_str("%%"),
            '$' if is_command => quoted.push_str("$$"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            letter if letter.is_control() => {
                for byte in letter.to_string().bytes() {
                    quoted.push_str(&format!("\\x{byte:02x}"));
                }
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A command line for `ExecStart=`.
///
/// # Errors
/// If systemd would take the beginning of its first word for one of its prefixes, quoted or not (systemd.service(5), "Special
/// executable prefixes").
pub(super) fn systemd_command<'w>(
    mut words: impl Iterator<Item = &'w str>,
) -> Result<String, String> {
    let Some(first) = words.next() else {
        return Ok(String::new());
    };
    if first.starts_with(['-', '@', ':', '+', '!', '|']) {
        return Err(format!(
            "the command '{first:.64}' begins with what systemd takes for a prefix of its own, quoted or not"
        ));
    }
    let words = std::iter::once(first).chain(words);
    Ok(join(words.map(|word| systemd(word, true))))
}

/// A path for `WorkingDirectory=`, which is no word: all of the line is the path (systemd.exec(5)).
///
/// # Errors
/// If it cannot be one.
pub(super) fn systemd_path(path: &str) -> Result<String, String> {
    let path = bare(path)?;
    if !path.starts_with('/') || path.ends_with(['\\', ' ']) {
        return Err(format!(
            "'{path:.64}' would not be read as it is: systemd wants a path from the root, without a blank or a backslash at its end"
        ));
    }
    Ok(path.replace('%', "%%"))
}
