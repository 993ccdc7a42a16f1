//! The fields of a line.

use super::{DumpError, block, character, fsverity};
use crate::{Attribute, Kind, Timestamp};

/// Fields before the attributes.
const FIXED: usize = 11;
/// The longest name in a directory, in bytes.
const LONGEST_NAME: usize = 255;
/// Bits of `st_mode`: the type, and what it may be.
const TYPE: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const CHARACTER: u32 = 0o020_000;
const BLOCK: u32 = 0o060_000;
const FIFO: u32 = 0o010_000;
const SOCKET: u32 = 0o140_000;
/// The mode of every symbolic link.
const SYMLINK_MODE: u16 = 0o777;

/// One line.
#[derive(Debug)]
pub(super) struct Row {
    /// Absolute, without `.`, `..` and empty names.
    pub(super) path: Vec<u8>,
    pub(super) size: u64,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) modified: Timestamp,
    pub(super) content: RowKind,
    pub(super) attributes: Vec<Attribute>,
}

#[derive(Debug)]
pub(super) enum RowKind {
    Directory,
    Other(Kind),
    /// In the line.
    Written(Vec<u8>),
    /// In the folder of objects.
    Object {
        payload: Vec<u8>,
        digest: Option<String>,
    },
    HardLink(Vec<u8>),
}

impl Row {
    pub(super) fn parse(line: &[u8]) -> Result<Self, DumpError> {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let [
            path,
            size,
            mode,
            links,
            uid,
            gid,
            rdev,
            time,
            payload,
            content,
            digest,
        ] = *fields.first_chunk::<FIXED>().ok_or(DumpError::Fields {
            found: fields.len(),
        })?;
        let path = parse_path("path", path)?;
        for (field, text) in [
            ("size", size),
            ("mode", mode),
            ("number of links", links),
            ("user", uid),
            ("group", gid),
            ("device", rdev),
            ("time", time),
            ("payload", payload),
            ("digest", digest),
        ] {
            if text.is_empty() {
                return Err(DumpError::EmptyField { field });
            }
        }
        let payload = optional("payload", payload)?;
        let (mode, is_link) = match mode.strip_prefix(b"@") {
            Some(mode) => (mode, true),
            None => (mode, false),
        };
        if is_link {
            let target = payload.unwrap_or_default();
            check_path("payload", &target, &target)?;
            return Ok(Self::link(path, target));
        }
        let mode = read("mode", mode, |text| u32::from_str_radix(text, 8).ok())?;
        let _: u32 = number("number of links", links)?;
        let size = number("size", size)?;
        let content = Sayings {
            size,
            rdev: number("device", rdev)?,
            payload,
            content: optional("content", content)?,
            digest: parse_digest(digest)?,
            path: &path,
        };
        let content = content.of_type(mode)?;
        let is_symlink = matches!(content, RowKind::Other(Kind::Symlink(_)));
        let permissions = u16::try_from(mode & 0o7777).expect("twelve bits");
        Ok(Self {
            size,
            mode: if is_symlink {
                SYMLINK_MODE
            } else {
                permissions
            },
            uid: number("user", uid)?,
            gid: number("group", gid)?,
            modified: read("time", time, parse_time)?,
            content,
            attributes: attributes(&fields[FIXED..])?,
            path,
        })
    }

    /// Of a hard link nothing else counts.
    fn link(path: Vec<u8>, target: Vec<u8>) -> Self {
        Self {
            path,
            size: 0,
            mode: 0,
            uid: 0,
            gid: 0,
            modified: Timestamp::default(),
            content: RowKind::HardLink(target),
            attributes: Vec::new(),
        }
    }

    /// Bytes that are kept in memory, beside the path and the attributes.
    pub(super) fn written_bytes(&self) -> usize {
        match &self.content {
            RowKind::Written(bytes) | RowKind::HardLink(bytes) => bytes.len(),
            RowKind::Object { payload, .. } => payload.len(),
            RowKind::Other(Kind::Symlink(target)) => target.len(),
            RowKind::Directory | RowKind::Other(_) => 0,
        }
    }
}

/// What a line says of content.
struct Sayings<'a> {
    size: u64,
    rdev: u64,
    payload: Option<Vec<u8>>,
    content: Option<Vec<u8>>,
    digest: Option<String>,
    path: &'a [u8],
}

impl Sayings<'_> {
    fn of_type(self, mode: u32) -> Result<RowKind, DumpError> {
        let rdev = self.rdev;
        self.check_use(mode & TYPE)?;
        Ok(match mode & TYPE {
            DIRECTORY => RowKind::Directory,
            FILE => self.of_file()?,
            SYMLINK => {
                let target = self.payload.filter(|target| !target.is_empty());
                let target = target.filter(|target| !target.contains(&0));
                let target = target.ok_or_else(|| DumpError::Field {
                    field: "payload",
                    value: b"-"[..].into(),
                    reason: "leads nowhere, and the mode is that of a symbolic link",
                })?;
                RowKind::Other(Kind::Symlink(target.into()))
            }
            CHARACTER => RowKind::Other(character(rdev)),
            BLOCK => RowKind::Other(block(rdev)),
            FIFO => RowKind::Other(Kind::Fifo),
            SOCKET => RowKind::Other(Kind::Socket),
            _ => {
                return Err(DumpError::Field {
                    field: "mode",
                    value: format!("{mode:o}").as_bytes().into(),
                    reason: "is of no type of file",
                });
            }
        })
    }

    /// Refuses what nothing would be made of.
    fn check_use(&self, kind: u32) -> Result<(), DumpError> {
        const REASON: &str = "is for a regular file, which this is not";
        if kind == FILE {
            return Ok(());
        }
        let payload = self.payload.as_deref().filter(|_| kind != SYMLINK);
        for (field, said) in [
            ("payload", payload),
            ("content", self.content.as_deref()),
            ("digest", self.digest.as_deref().map(str::as_bytes)),
        ] {
            if let Some(said) = said {
                return Err(refuse(field, said, REASON));
            }
        }
        Ok(())
    }

    fn of_file(self) -> Result<RowKind, DumpError> {
        let Self {
            size,
            payload,
            content,
            digest,
            path,
            ..
        } = self;
        match (content, payload) {
            (Some(_), Some(payload)) => Err(DumpError::Field {
                field: "payload",
                value: payload.as_slice().into(),
                reason: "stands beside content",
            }),
            (Some(content), None) => {
                let found = u64::try_from(content.len()).expect("a length fits 64 bits");
                if found != size {
                    return Err(DumpError::Size {
                        path: path.into(),
                        said: size,
                        found,
                    });
                }
                written(path, content, digest)
            }
            (None, Some(payload)) => {
                check_payload(&payload)?;
                Ok(RowKind::Object { payload, digest })
            }
            (None, None) if size == 0 => written(path, Vec::new(), digest),
            (None, None) => Err(DumpError::NoContent {
                path: path.into(),
                size,
            }),
        }
    }
}

/// A file whose content is in the line, held to the digest that is said of it.
fn written(path: &[u8], content: Vec<u8>, digest: Option<String>) -> Result<RowKind, DumpError> {
    if let Some(said) = digest {
        let size = u64::try_from(content.len()).expect("a length fits 64 bits");
        let found = fsverity::digest(&content[..], size, said.len());
        let found = found.expect("bytes in memory can be read");
        if found != said {
            let payload = path.into();
            return Err(DumpError::Digest {
                payload,
                said,
                found,
            });
        }
    }
    Ok(RowKind::Written(content))
}

fn refuse(field: &'static str, value: &[u8], reason: &'static str) -> DumpError {
    DumpError::Field {
        field,
        value: value.into(),
        reason,
    }
}

/// The bytes of a field.
fn unescaped(field: &'static str, text: &[u8]) -> Result<Vec<u8>, DumpError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (byte, length) = match rest {
            [b'x', high, low, ..] => {
                let digits = [*high, *low];
                let digits = str::from_utf8(&digits).ok();
                let digits = digits.filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()));
                let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                (byte, 3)
            }
            [b'\\', ..] => (Some(b'\\'), 1),
            [b'n', ..] => (Some(b'\n'), 1),
            [b'r', ..] => (Some(b'\r'), 1),
            [b't', ..] => (Some(b'\t'), 1),
            _ => (None, 0),
        };
        let reason = "has an escape that there is not: \\xXY, \\\\, \\n, \\r, \\t";
        bytes.push(byte.ok_or_else(|| refuse(field, text, reason))?);
        rest = &rest[length..];
    }
    Ok(bytes)
}

/// The bytes of a field that may be left out.
fn optional(field: &'static str, text: &[u8]) -> Result<Option<Vec<u8>>, DumpError> {
    if text == b"-" {
        return Ok(None);
    }
    unescaped(field, text).map(Some)
}

fn read<T>(
    field: &'static str,
    text: &[u8],
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, DumpError> {
    let found = str::from_utf8(text).ok().and_then(parse);
    found.ok_or_else(|| refuse(field, text, "is none"))
}

fn number<T: std::str::FromStr>(field: &'static str, text: &[u8]) -> Result<T, DumpError> {
    let is_number = text.first().is_some_and(u8::is_ascii_digit);
    let text_if = if is_number { text } else { b"" };
    read(field, text_if, |text| text.parse().ok()).map_err(|_| refuse(field, text, "is no number"))
}

/// Seconds and nanoseconds, each a number of its own.
fn parse_time(text: &str) -> Option<Timestamp> {
    let (seconds, nanoseconds) = text.split_once('.')?;
    let is_number = !nanoseconds.is_empty() && nanoseconds.bytes().all(|it| it.is_ascii_digit());
    let nanoseconds: u32 = nanoseconds.parse().ok().filter(|_| is_number)?;
    (nanoseconds < 1_000_000_000).then_some(Timestamp {
        seconds: seconds.parse().ok()?,
        nanoseconds,
    })
}

/// An absolute path of names.
fn parse_path(field: &'static str, text: &[u8]) -> Result<Vec<u8>, DumpError> {
    let path = unescaped(field, text)?;
    check_path(field, &path, text)?;
    Ok(path)
}

/// Whether it is one; `text` is how it is written.
fn check_path(field: &'static str, path: &[u8], text: &[u8]) -> Result<(), DumpError> {
    let Some(names) = path.strip_prefix(b"/") else {
        return Err(refuse(field, text, "does not begin with /"));
    };
    if names.is_empty() {
        return Ok(());
    }
    check_names(field, names)
}

fn check_names(field: &'static str, path: &[u8]) -> Result<(), DumpError> {
    for name in path.split(|byte| *byte == b'/') {
        let reason = match name {
            b"" => "has an empty name in it",
            b"." | b".." => "has . or .. in it",
            name if name.contains(&0) => "has a NUL byte in it",
            name if name.len() > LONGEST_NAME => "has a name of more than 255 bytes",
            _ => continue,
        };
        return Err(refuse(field, path, reason));
    }
    Ok(())
}

/// A payload is a path below the folder of objects.
fn check_payload(payload: &[u8]) -> Result<(), DumpError> {
    if payload.starts_with(b"/") {
        return Err(refuse(
            "payload",
            payload,
            "is no path below the folder of objects",
        ));
    }
    check_names("payload", payload)
}

/// A digest of fs-verity in hexadecimal: SHA-256 or SHA-512.
fn parse_digest(text: &[u8]) -> Result<Option<String>, DumpError> {
    let Some(digest) = optional("digest", text)? else {
        return Ok(None);
    };
    let is_digest = matches!(digest.len(), 64 | 128) && digest.iter().all(u8::is_ascii_hexdigit);
    let digest = String::from_utf8(digest).ok().filter(|_| is_digest);
    let reason = "is no digest of 64 or 128 hexadecimal digits";
    let digest = digest.ok_or_else(|| refuse("digest", text, reason))?;
    Ok(Some(digest.to_ascii_lowercase()))
}

fn attributes(fields: &[&[u8]]) -> Result<Vec<Attribute>, DumpError> {
    const FIELD: &str = "attribute";
    let mut attributes: Vec<Attribute> = Vec::with_capacity(fields.len());
    // A space at the end of a line is nothing, as for mkcomposefs.
    let fields = match fields {
        [fields @ .., []] => fields,
        fields => fields,
    };
    for field in fields {
        if field.is_empty() {
            return Err(DumpError::EmptyField { field: FIELD });
        }
        let at = field.iter().position(|byte| *byte == b'=');
        let at = at.ok_or_else(|| refuse(FIELD, field, "has no '='"))?;
        let name = unescaped(FIELD, &field[..at])?;
        let value = unescaped(FIELD, &field[at + 1..])?;
        attributes.push(Attribute { name, value });
    }
    attributes.sort();
    let twice = attributes
        .windows(2)
        .find(|pair| pair[0].name == pair[1].name);
    match twice {
        Some(pair) => Err(refuse(FIELD, &pair[0].name, "is there twice")),
        None => Ok(attributes),
    }
}
