//! Reads a pax archive, a member after the other (POSIX.1-2017, pax, "pax Interchange Format").

use std::io::{self, Read};

const BLOCK: usize = 512;

/// What an archive holds under one path.
#[derive(Debug)]
pub struct Member {
    /// From the root, without slashes at its ends; empty for the root.
    pub path: Vec<u8>,
    pub kind: Kind,
    /// Permissions.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Since 1970; what is before counts as 1970.
    pub seconds: u64,
    pub has_attributes: bool,
}

#[derive(Debug)]
pub enum Kind {
    File(Vec<u8>),
    /// Another name of the file with this path.
    HardLink(Vec<u8>),
    Symlink(Vec<u8>),
    /// Major and minor.
    CharacterDevice((u64, u64)),
    BlockDevice((u64, u64)),
    Directory,
    Fifo,
}

impl Member {
    /// An error that names the member.
    pub fn refused(&self, why: &str) -> io::Error {
        refused(&self.path, why)
    }
}

fn refused(path: &[u8], why: &str) -> io::Error {
    io::Error::other(format!("{}: {why}", String::from_utf8_lossy(path)))
}

/// The next member; none at the end, when everything has been read.
///
/// # Errors
/// If the archive cannot be read, or is none.
pub fn next(input: &mut impl Read) -> io::Result<Option<Member>> {
    let mut said = Records::default();
    loop {
        let mut header = [0; BLOCK];
        input.read_exact(&mut header)?;
        if header[0] == 0 {
            io::copy(input, &mut io::sink())?;
            return Ok(None);
        }
        let size = octal(&header[124..136]);
        if header[156] == b'x' {
            said.read(&content(input, size)?)?;
        } else {
            return member(input, &header, said).map(Some);
        }
    }
}

fn member(input: &mut impl Read, header: &[u8; BLOCK], said: Records) -> io::Result<Member> {
    let path = trimmed(&said.path.unwrap_or_else(|| path_of(header))).to_vec();
    let target = said
        .target
        .unwrap_or_else(|| text(&header[157..257]).to_vec());
    let device = (octal(&header[329..337]), octal(&header[337..345]));
    let kind = match header[156] {
        b'0' => Kind::File(content(
            input,
            said.size.unwrap_or_else(|| octal(&header[124..136])),
        )?),
        b'1' => Kind::HardLink(trimmed(&target).to_vec()),
        b'2' => Kind::Symlink(target),
        b'3' => Kind::CharacterDevice(device),
        b'4' => Kind::BlockDevice(device),
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        unknown => {
            return Err(refused(
                &path,
                &format!("a member of type {:?}", char::from(unknown)),
            ));
        }
    };
    Ok(Member {
        path,
        kind,
        mode: u32::try_from(octal(&header[100..108])).unwrap_or(0) & 0o7777,
        uid: said.uid.unwrap_or_else(|| octal(&header[108..116])),
        gid: said.gid.unwrap_or_else(|| octal(&header[116..124])),
        seconds: said.seconds.unwrap_or_else(|| octal(&header[136..148])),
        has_attributes: said.has_attributes,
    })
}

/// What an extended header says, which stands over what the header says.
#[derive(Default)]
struct Records {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    uid: Option<u64>,
    gid: Option<u64>,
    size: Option<u64>,
    seconds: Option<u64>,
    has_attributes: bool,
}

impl Records {
    /// Takes records of the form `LENGTH KEY=VALUE\n`, where the length is that of the whole record.
    fn read(&mut self, mut records: &[u8]) -> io::Result<()> {
        let broken = || io::Error::other("an extended header is broken");
        while !records.is_empty() {
            let space = records
                .iter()
                .position(|byte| *byte == b' ')
                .ok_or_else(broken)?;
            let length = usize::try_from(number(&records[..space])).map_err(|_| broken())?;
            let record = records
                .get(space + 1..length.saturating_sub(1))
                .ok_or_else(broken)?;
            let equals = record
                .iter()
                .position(|byte| *byte == b'=')
                .ok_or_else(broken)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.target = Some(value.to_vec()),
                b"uid" => self.uid = Some(number(value)),
                b"gid" => self.gid = Some(number(value)),
                b"size" => self.size = Some(number(value)),
                b"mtime" => self.seconds = Some(number(value)),
                _ => self.has_attributes |= key.starts_with(b"SCHILY.xattr."),
            }
            records = &records[length..];
        }
        Ok(())
    }
}

fn content(input: &mut impl Read, size: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let padded = size.next_multiple_of(BLOCK as u64);
    if input.take(padded).read_to_end(&mut content)? as u64 != padded {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    content.truncate(usize::try_from(size).map_err(io::Error::other)?);
    Ok(content)
}

fn path_of(header: &[u8; BLOCK]) -> Vec<u8> {
    let (prefix, name) = (text(&header[345..500]), text(&header[..100]));
    if prefix.is_empty() {
        name.to_vec()
    } else {
        [prefix, name].join(&b'/')
    }
}

fn trimmed(path: &[u8]) -> &[u8] {
    let path = path.strip_prefix(b"./").unwrap_or(path);
    path.strip_suffix(b"/").unwrap_or(path)
}

/// What stands before the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn octal(field: &[u8]) -> u64 {
    digits(field, 8)
}

fn number(field: &[u8]) -> u64 {
    digits(field, 10)
}

/// The number that a field begins with.
fn digits(field: &[u8], base: u32) -> u64 {
    field
        .iter()
        .map_while(|byte| char::from(*byte).to_digit(base))
        .fold(0, |value: u64, digit| {
            value
                .saturating_mul(base.into())
                .saturating_add(digit.into())
        })
}
