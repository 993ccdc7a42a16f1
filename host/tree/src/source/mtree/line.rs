//! Lines of a specification, and what they say.

use super::words::unescaped;
use super::{MOST_LINE, MOST_TOLD, MtreeError, Unheeded, parse_time};
use crate::source::forest::Body;
use crate::source::mode::ModeRule;
use crate::{Kind, Timestamp};

/// Lines put together: a backslash at the end has the next one continue it.
#[derive(Default)]
pub(super) struct Lines {
    number: usize,
    begun: Vec<u8>,
    first: usize,
}

impl Lines {
    /// The number of the line that was added last, from 1.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Takes a line as it was read; what is whole, and where it began.
    pub(super) fn add(&mut self, line: &[u8]) -> Result<Option<(usize, Vec<u8>)>, MtreeError> {
        self.number += 1;
        if self.begun.is_empty() {
            self.first = self.number;
        }
        if self.begun.len() + line.len() > MOST_LINE {
            return Err(MtreeError::LongLine { limit: MOST_LINE });
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = without_comment(line);
        // Two of them are one that was escaped.
        let backslashes = line.iter().rev().take_while(|byte| **byte == b'\\');
        let is_continued = backslashes.count() % 2 == 1;
        if is_continued {
            self.begun.extend_from_slice(&line[..line.len() - 1]);
            self.begun.push(b' ');
            return Ok(None);
        }
        let mut whole = std::mem::take(&mut self.begun);
        whole.extend_from_slice(line);
        Ok(Some((self.first, whole)))
    }

    /// What is left at the end.
    pub(super) fn end(&mut self) -> Option<(usize, Vec<u8>)> {
        let left = std::mem::take(&mut self.begun);
        (!left.is_empty()).then_some((self.first, left))
    }
}

/// A line up to a word that begins with a `#`, as NetBSD's mtree reads it; in a name it is escaped.
fn without_comment(line: &[u8]) -> &[u8] {
    let mut places = line.iter().enumerate();
    let end = places.find(|(place, byte)| {
        let begins = *place == 0 || line[place - 1].is_ascii_whitespace();
        **byte == b'#' && begins
    });
    &line[..end.map_or(line.len(), |(place, _)| place)]
}

/// One line.
pub(super) enum Line {
    /// `/set`.
    Set(Facts),
    /// `/unset`, with keywords.
    Unset(Vec<String>),
    /// `..`.
    Up,
    /// An entry.
    Entry { name: Vec<u8>, facts: Facts },
}

impl Line {
    /// Reads a line; nothing for one that says nothing.
    pub(super) fn parse(text: &[u8], unheeded: &mut Unheeded) -> Result<Option<Self>, MtreeError> {
        let mut words = text.split(u8::is_ascii_whitespace);
        let mut words = words.by_ref().filter(|word| !word.is_empty());
        let Some(first) = words.next() else {
            return Ok(None);
        };
        Ok(Some(match first {
            b"/set" => Self::Set(Facts::parse(words, unheeded)?),
            b"/unset" => Self::Unset(
                words
                    .map(|word| String::from_utf8_lossy(word).into_owned())
                    .collect(),
            ),
            b".." => Self::Up,
            _ if first.starts_with(b"/") => {
                let text = String::from_utf8_lossy(first).into_owned();
                return Err(MtreeError::Command { text });
            }
            _ => Self::Entry {
                name: unescaped(first).map_err(|reason| MtreeError::Name {
                    name: first.into(),
                    reason,
                })?,
                facts: Facts::parse(words, unheeded)?,
            },
        }))
    }
}

/// What is said of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) kind: Option<Type>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mode: Option<u16>,
    pub(super) time: Option<Timestamp>,
    pub(super) link: Option<Box<[u8]>>,
    /// It need not be there.
    pub(super) optional: bool,
    /// Nothing but its type counts.
    pub(super) no_change: bool,
}

/// Keywords that tell of content or of where it was, and are not compared.
const UNCOMPARED: [&str; 30] = [
    "cksum",
    "device",
    "inode",
    "md5",
    "md5digest",
    "nlink",
    "resdevice",
    "rmd160",
    "rmd160digest",
    "ripemd160digest",
    "sha1",
    "sha1digest",
    "sha256",
    "sha256digest",
    "sha384",
    "sha384digest",
    "sha512",
    "sha512digest",
    "size",
    "ignore",
    "tags",
    "contents",
    "dev",
    "blocks",
    "atime",
    "ctime",
    "btime",
    "ftype",
    "sha512_256",
    "sha224",
];

impl Facts {
    fn parse<'t>(
        words: impl Iterator<Item = &'t [u8]>,
        unheeded: &mut Unheeded,
    ) -> Result<Self, MtreeError> {
        let mut facts = Self::default();
        let mut named = (false, false);
        for word in words {
            let mut parts = word.splitn(2, |byte| *byte == b'=');
            let keyword = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
            let value = parts.next();
            named.0 |= keyword == "uname";
            named.1 |= keyword == "gname";
            let is_heeded = facts.take(&keyword, value)?
                || UNCOMPARED.contains(&&*keyword)
                || matches!(&*keyword, "uname" | "gname")
                || keyword == "flags" && value == Some(b"none");
            if !is_heeded {
                unheeded.note(keyword);
            }
        }
        // Beside a number, a name says nothing more.
        if named.0 && facts.uid.is_none() {
            unheeded.note("uname".to_owned());
        }
        if named.1 && facts.gid.is_none() {
            unheeded.note("gname".to_owned());
        }
        Ok(facts)
    }

    /// Takes a keyword; whether it is one that counts.
    fn take(&mut self, keyword: &str, value: Option<&[u8]>) -> Result<bool, MtreeError> {
        match keyword {
            "optional" => self.optional = true,
            "nochange" => self.no_change = true,
            "type" => self.kind = Some(text("type", value, Type::parse, "is no type")?),
            "uid" => self.uid = Some(text("uid", value, number, "is no user's number")?),
            "gid" => self.gid = Some(text("gid", value, number, "is no group's number")?),
            "mode" => {
                let reason =
                    "is no mode: write octal digits up to 7777, or clauses such as u=rwx,go=rx";
                self.mode = Some(text("mode", value, mode, reason)?);
            }
            "time" => {
                let reason = "is no time: write SECONDS.NANOSECONDS";
                self.time = Some(text("time", value, parse_time, reason)?);
            }
            "link" => self.link = Some(target(value.unwrap_or_default())?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// These, and where they say nothing, what `defaults` says.
    pub(super) fn or(self, defaults: &Self) -> Self {
        Self {
            kind: self.kind.or(defaults.kind),
            uid: self.uid.or(defaults.uid),
            gid: self.gid.or(defaults.gid),
            mode: self.mode.or(defaults.mode),
            time: self.time.or(defaults.time),
            link: self.link.or_else(|| defaults.link.clone()),
            optional: self.optional || defaults.optional,
            no_change: self.no_change || defaults.no_change,
        }
    }

    pub(super) fn unset(&mut self, keyword: &str) {
        match keyword {
            "all" => *self = Self::default(),
            "type" => self.kind = None,
            "uid" => self.uid = None,
            "gid" => self.gid = None,
            "mode" => self.mode = None,
            "time" => self.time = None,
            "link" => self.link = None,
            "optional" => self.optional = false,
            "nochange" => self.no_change = false,
            _ => {}
        }
    }

    pub(super) fn is_directory(&self) -> bool {
        self.kind == Some(Type::Directory)
    }
}

impl Unheeded {
    fn note(&mut self, keyword: String) {
        if self.keywords.len() < MOST_TOLD {
            self.keywords.insert(keyword);
        }
    }
}

/// The value of a keyword, read by `read`.
fn text<T>(
    keyword: &'static str,
    value: Option<&[u8]>,
    read: impl Fn(&str) -> Option<T>,
    reason: &'static str,
) -> Result<T, MtreeError> {
    let value = value.unwrap_or_default();
    let found = str::from_utf8(value).ok().and_then(read);
    found.ok_or_else(|| MtreeError::Value {
        keyword,
        value: value.into(),
        reason,
    })
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok()
}

/// Octal digits, or clauses, which change a mode of 0 as in NetBSD's mtree.
fn mode(text: &str) -> Option<u16> {
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        let rule = text.parse::<ModeRule>().ok()?;
        return Some(rule.apply(0, false));
    }
    let mode = u16::from_str_radix(text, 8).ok()?;
    (mode <= 0o7777).then_some(mode)
}

fn target(value: &[u8]) -> Result<Box<[u8]>, MtreeError> {
    let refuse = |reason| MtreeError::Value {
        keyword: "link",
        value: value.into(),
        reason,
    };
    let target = unescaped(value).map_err(refuse)?;
    if target.is_empty() || target.contains(&0) {
        return Err(refuse("leads nowhere"));
    }
    Ok(target.into())
}

/// What an entry may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Block,
    Character,
    Directory,
    Fifo,
    File,
    Link,
    Socket,
}

impl Type {
    const ALL: [(&str, Self); 7] = [
        ("block", Self::Block),
        ("char", Self::Character),
        ("dir", Self::Directory),
        ("fifo", Self::Fifo),
        ("file", Self::File),
        ("link", Self::Link),
        ("socket", Self::Socket),
    ];

    fn parse(text: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(name, _)| *name == text).map(|(_, kind)| *kind)
    }

    pub(super) fn name(self) -> &'static str {
        let mut all = Self::ALL.iter();
        let found = all.find(|(_, kind)| *kind == self);
        found.expect("every type has a name").0
    }

    pub(super) fn is_of(self, body: &Body) -> bool {
        match body {
            Body::Directory(_) => self == Self::Directory,
            Body::File { .. } => self == Self::File,
            Body::Other(kind) => match kind {
                Kind::Symlink(_) => self == Self::Link,
                Kind::CharacterDevice { .. } => self == Self::Character,
                Kind::BlockDevice { .. } => self == Self::Block,
                Kind::Fifo => self == Self::Fifo,
                Kind::Socket => self == Self::Socket,
                Kind::Directory | Kind::File { .. } | Kind::HardLink(_) => false,
            },
        }
    }
}
