//! Makes a cpio archive of the kind `newc`, as the kernel unpacks for its first root, of a pax archive.
//!
//! ```text
//!     header | name | content || header | name | content || … || header | "TRAILER!!!"
//! ```
//!
//! A header is text: a magic number and thirteen numbers of eight hexadecimal digits. Name and content are filled up to
//! four bytes each.

pub mod pax;

use std::collections::BTreeMap;
use std::io::{self, Read};

use pax::{Kind, Member};

const MAGIC: &str = "070701";
const HEADER: usize = 110;
const TRAILER: &str = "TRAILER!!!";

/// The cpio archive of a pax archive.
///
/// # Errors
/// If the pax archive cannot be read, or holds what a cpio archive cannot.
pub fn archive(mut input: impl Read) -> io::Result<Vec<u8>> {
    let mut members = Vec::new();
    while let Some(member) = pax::next(&mut input)? {
        members.push(member);
    }
    let links = count_links(&members);
    let mut inodes = BTreeMap::new();
    let mut output = Vec::new();
    for member in &members {
        let original = match &member.kind {
            Kind::HardLink(path) => path,
            _ => &member.path,
        };
        let next = inodes.len() + 1;
        let inode = *inodes.entry(original.clone()).or_insert(next);
        entry(
            &mut output,
            member,
            inode,
            links.get(original).copied().unwrap_or(1),
        )?;
    }
    put(
        &mut output,
        [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        TRAILER.as_bytes(),
        b"",
    );
    Ok(output)
}

/// How many names each file with more than one has, by the path of the first.
fn count_links(members: &[Member]) -> BTreeMap<Vec<u8>, u32> {
    let mut links = BTreeMap::new();
    for member in members {
        if let Kind::HardLink(original) = &member.kind {
            *links.entry(original.clone()).or_insert(1) += 1;
        }
    }
    links
}

fn entry(output: &mut Vec<u8>, member: &Member, inode: usize, links: u32) -> io::Result<()> {
    let (kind, content, device) = match &member.kind {
        Kind::File(content) => (0o100000, &content[..], (0, 0)),
        // The content stands with the first name.
        Kind::HardLink(_) => (0o100000, &b""[..], (0, 0)),
        Kind::Symlink(target) => (0o120000, &target[..], (0, 0)),
        Kind::CharacterDevice(device) => (0o020000, &b""[..], *device),
        Kind::BlockDevice(device) => (0o060000, &b""[..], *device),
        Kind::Directory => (0o040000, &b""[..], (0, 0)),
        Kind::Fifo => (0o010000, &b""[..], (0, 0)),
    };
    if member.has_attributes {
        return Err(member.refused("has extended attributes, and cpio has none"));
    }
    let small = |what: &str, value: u64| {
        u32::try_from(value).map_err(|_| {
            member.refused(&format!(
                "its {what} is {value}, and cpio ends at {}",
                u32::MAX
            ))
        })
    };
    let links = if kind == 0o040000 { 2 } else { links };
    let numbers = [
        small("inode", inode as u64)?,
        kind | member.mode,
        small("owner", member.uid)?,
        small("group", member.gid)?,
        links,
        small("time", member.seconds)?,
        small("size", content.len() as u64)?,
        0,
        0,
        small("device", device.0)?,
        small("device", device.1)?,
    ];
    let root = b".".to_vec();
    put(
        output,
        numbers,
        if member.path.is_empty() {
            &root
        } else {
            &member.path
        },
        content,
    );
    Ok(())
}

/// Puts the numbers, of which the length of the name is missing, and what they describe.
fn put(output: &mut Vec<u8>, numbers: [u32; 11], name: &[u8], content: &[u8]) {
    let mut header = MAGIC.to_owned();
    for number in numbers {
        header.push_str(&format!("{number:08x}"));
    }
    // With its NUL; and a checksum, which this kind does not have.
    header.push_str(&format!("{:08x}{:08x}", name.len() + 1, 0));
    assert_eq!(header.len(), HEADER, "a header");
    output.extend(header.bytes());
    output.extend(name);
    output.push(0);
    output.resize(output.len().next_multiple_of(4), 0);
    output.extend(content);
    output.resize(output.len().next_multiple_of(4), 0);
}
