//! Members of a tar archive in the pax interchange format (POSIX.1-2017, pax): header blocks from metadata.
//!
//! What does not fit the ustar header stands in an extended header before it. Numbers that do not fit stand in both, in the
//! header as the binary numbers that GNU tar and star read.

pub mod write;

use crate::Timestamp;
use crate::source::acl;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A directory.
    Directory,
    /// A file.
    File,
    /// A file of whose holes is known.
    SparseFile,
    /// A symbolic link.
    Symlink,
    /// Another name.
    HardLink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket, which tar has no type for.
    Socket,
}

use MemberKind as Kind;

/// A tar archive is made of blocks of this many bytes.
pub const BLOCK: usize = 512;

/// A member of an archive.
#[derive(Clone, Debug)]
pub struct Member {
    /// The path from the root, without a `/` before it; a directory's ends with one.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// What the kind asks for: a file's size; a device's driver in the high 32 bits and its unit in the low ones.
    pub value: u64,
    /// The path of a hard link's original, or what a symbolic link says.
    pub target: Vec<u8>,
    /// The permission bits.
    pub mode: u16,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// When it was modified: seconds since 1970.
    pub seconds: i64,
    /// And nanoseconds after them.
    pub nanoseconds: u32,
    /// Names and values.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The parts of a ustar header that metadata fills, as their first byte and their length.
type Field = (usize, usize);
const NAME: Field = (0, 100);
const MODE: Field = (100, 8);
const UID: Field = (108, 8);
const GID: Field = (116, 8);
const SIZE: Field = (124, 12);
const MODIFIED: Field = (136, 12);
const CHECKSUM: Field = (148, 8);
const TYPE: usize = 156;
const LINK_NAME: Field = (157, 100);
const MAGIC: Field = (257, 8);
const DEVICE_MAJOR: Field = (329, 8);
const DEVICE_MINOR: Field = (337, 8);
const PREFIX: Field = (345, 155);

/// What stands before the content of `member`: its headers.
#[must_use]
pub fn headers(member: &Member) -> Vec<u8> {
    headers_with(member, &[])
}

/// The same with more records.
fn headers_with(member: &Member, more: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    let mut block = [0; BLOCK];
    let mut records = Vec::new();
    for (key, value) in more {
        record(&mut records, key, value);
    }
    match split(&member.path) {
        Some((prefix, name)) => {
            put(&mut block, PREFIX, prefix);
            put(&mut block, NAME, name);
        }
        None => {
            record(&mut records, b"path", &member.path);
            put(&mut block, NAME, &member.path);
        }
    }
    if member.target.len() > LINK_NAME.1 {
        record(&mut records, b"linkpath", &member.target);
    }
    put(&mut block, LINK_NAME, &member.target);
    number(&mut block, MODE, u64::from(member.mode));
    for (field, key, value) in [
        (UID, &b"uid"[..], u64::from(member.uid)),
        (GID, b"gid", u64::from(member.gid)),
        (SIZE, b"size", size(member)),
    ] {
        if !number(&mut block, field, value) {
            record(&mut records, key, value.to_string().as_bytes());
        }
    }
    let fits = u64::try_from(member.seconds).is_ok_and(|time| number(&mut block, MODIFIED, time));
    if !fits || member.nanoseconds > 0 {
        record(&mut records, b"mtime", time(member).as_bytes());
    }
    for (name, value) in &member.attributes {
        let key = [b"SCHILY.xattr.", &encoded(name)[..]].concat();
        record(&mut records, &key, value);
        // GNU tar and bsdtar take a list from its text alone, and what takes the attribute knows no text.
        let lists = [
            (acl::ACCESS, &b"SCHILY.acl.access"[..]),
            (acl::DEFAULT, b"SCHILY.acl.default"),
        ];
        let list = lists.iter().find(|(attribute, _)| name == attribute);
        if let Some(((_, key), text)) = list.zip(acl::to_text(value)) {
            record(&mut records, key, text.as_bytes());
        }
    }
    if matches!(member.kind, Kind::CharacterDevice | Kind::BlockDevice) {
        number(&mut block, DEVICE_MAJOR, member.value >> 32);
        number(&mut block, DEVICE_MINOR, member.value & u64::from(u32::MAX));
    }
    block[TYPE] = type_flag(member.kind);
    seal(&mut block);
    let mut headers = extended(&records);
    headers.extend(block);
    headers
}

/// The zeros that fill the last block of `length` bytes.
#[must_use]
pub fn padding(length: u64) -> usize {
    let block = BLOCK as u64;
    usize::try_from((block - length % block) % block).expect("less than a block")
}

/// The bytes of content that follow.
fn size(member: &Member) -> u64 {
    match member.kind {
        Kind::File | Kind::SparseFile => member.value,
        _ => 0,
    }
}

fn type_flag(kind: Kind) -> u8 {
    match kind {
        // Sockets do not get here.
        Kind::File | Kind::SparseFile | Kind::Socket => b'0',
        Kind::HardLink => b'1',
        Kind::Symlink => b'2',
        Kind::CharacterDevice => b'3',
        Kind::BlockDevice => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    }
}

/// A path as the prefix and the name of a header, which stand for `prefix/name`; none if it does not fit.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME.1 {
        return Some((b"", path));
    }
    // The shortest prefix that leaves a name that fits.
    let from = path.len().checked_sub(NAME.1 + 1)?;
    let slash = from + path[from..].iter().position(|byte| *byte == b'/')?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (prefix.len() <= PREFIX.1 && !name.is_empty()).then_some((prefix, name))
}

/// The extended header with these records, or nothing for none.
fn extended(records: &[u8]) -> Vec<u8> {
    if records.is_empty() {
        return Vec::new();
    }
    let mut block = [0; BLOCK];
    put(&mut block, NAME, b"PaxHeader");
    number(&mut block, MODE, 0o644);
    number(&mut block, UID, 0);
    number(&mut block, GID, 0);
    number(&mut block, SIZE, records.len() as u64);
    number(&mut block, MODIFIED, 0);
    block[TYPE] = b'x';
    seal(&mut block);
    let mut header = block.to_vec();
    header.extend(records);
    header.resize(header.len() + padding(records.len() as u64), 0);
    header
}

/// The name of an attribute without `=`, which ends a key: as GNU tar writes it.
fn encoded(name: &[u8]) -> Vec<u8> {
    name.iter()
        .flat_map(|byte| match byte {
            b'=' => b"%3D".to_vec(),
            b'%' => b"%25".to_vec(),
            other => vec![*other],
        })
        .collect()
}

/// Adds `LENGTH KEY=VALUE\n`, whose length counts its own digits.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let others = key.len() + value.len() + 3;
    let mut length = others + 1;
    while others + length.to_string().len() > length {
        length += 1;
    }
    records.extend(length.to_string().into_bytes());
    records.push(b' ');
    records.extend(key);
    records.push(b'=');
    records.extend(value);
    records.push(b'\n');
}

/// Seconds with their fraction, perhaps negative.
fn time(member: &Member) -> String {
    let (seconds, nanoseconds) = (member.seconds, member.nanoseconds);
    match nanoseconds {
        0 => seconds.to_string(),
        _ => Timestamp {
            seconds,
            nanoseconds,
        }
        .decimal(),
    }
}

/// Puts the beginning of `bytes` that fits into a field.
fn put(block: &mut [u8; BLOCK], (start, length): Field, bytes: &[u8]) {
    let count = bytes.len().min(length);
    block[start..start + count].copy_from_slice(&bytes[..count]);
}

/// Puts a number in octal and a NUL; one that is too large in binary, and then it is false.
fn number(block: &mut [u8; BLOCK], (start, length): Field, value: u64) -> bool {
    let octal = format!("{value:0width$o}", width = length - 1);
    if octal.len() < length {
        put(block, (start, length), octal.as_bytes());
        return true;
    }
    let bytes = value.to_be_bytes();
    let end = start + length;
    let count = bytes.len().min(length - 1);
    block[end - count..end].copy_from_slice(&bytes[bytes.len() - count..]);
    block[start] = 0x80;
    false
}

/// Puts what is the same in every header, and the checksum, for which its own bytes count as spaces.
fn seal(block: &mut [u8; BLOCK]) {
    put(block, MAGIC, b"ustar\x0000");
    put(block, CHECKSUM, &[b' '; CHECKSUM.1]);
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    put(block, CHECKSUM, format!("{sum:06o}\0 ").as_bytes());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn file(path: &[u8], size: u64) -> Member {
        Member {
            path: path.to_vec(),
            kind: Kind::File,
            value: size,
            target: Vec::new(),
            mode: 0o644,
            uid: 0,
            gid: 0,
            seconds: 1,
            nanoseconds: 0,
            attributes: Vec::new(),
        }
    }

    #[test]
    fn a_file_of_8_gib_has_its_size_in_a_record_and_in_binary() {
        let largest = headers(&file(b"f", (8 << 30) - 1));
        assert_eq!(largest.len(), BLOCK);
        assert_eq!(&largest[124..136], b"77777777777\0");
        let headers = headers(&file(b"f", 8 << 30));
        assert_eq!(headers.len(), 3 * BLOCK);
        assert!(headers[BLOCK..].starts_with(b"19 size=8589934592\n\0"));
        let header = tar::Header::from_byte_slice(&headers[2 * BLOCK..]);
        assert_eq!(header.entry_size().unwrap(), 8 << 30);
    }

    #[test]
    fn a_record_counts_its_own_digits() {
        for (value, length) in [(92, 98), (93, 99), (94, 101), (95, 102)] {
            let mut records = Vec::new();
            record(&mut records, b"k", &vec![b'v'; value]);
            assert_eq!(records.len(), length);
            assert!(records.starts_with(format!("{length} k=v").as_bytes()));
        }
    }

    #[test]
    fn a_path_is_split_where_it_can_be() {
        let name = "n".repeat(100);
        for (path, prefix) in [
            (name.clone(), Some("")),
            (format!("p/{name}"), Some("p")),
            (
                format!("{}/{name}", "p".repeat(155)),
                Some(&"p".repeat(155)[..]),
            ),
            (format!("{}/{name}", "p".repeat(156)), None),
            (format!("{name}n"), None),
            (format!("{name}/"), None),
        ] {
            let split = split(path.as_bytes()).map(|(prefix, _)| prefix);
            assert_eq!(split, prefix.map(str::as_bytes), "{path}");
        }
    }

    #[test]
    fn times_before_1970_have_their_fraction() {
        let written = |seconds, nanoseconds| {
            time(&Member {
                seconds,
                nanoseconds,
                ..file(b"f", 0)
            })
        };
        assert_eq!(written(5, 0), "5");
        assert_eq!(written(5, 1), "5.000000001");
        assert_eq!(written(-2, 750_000_000), "-1.250000000");
        assert_eq!(written(-1, 999_999_999), "-0.000000001");
        assert_eq!(written(-3, 0), "-3");
    }

    #[test]
    fn the_name_of_an_attribute_does_not_end_its_key() {
        let mut member = file(b"f", 0);
        member.attributes = vec![(b"user.a=b%".to_vec(), b"c=d".to_vec())];
        let headers = headers(&member);
        let expected = b"34 SCHILY.xattr.user.a%3Db%25=c=d\n\0";
        assert!(
            headers[BLOCK..].starts_with(expected),
            "{}",
            headers[BLOCK..600].escape_ascii()
        );
    }
}
