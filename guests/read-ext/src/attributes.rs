//! Extended attributes: Documentation/filesystems/ext4/attributes.rst, fs/ext4/xattr.h.

use cellblock_guest::Attribute;
use cellblock_guest::crc32c::crc32c;
use cellblock_guest::reader::ReaderError;

use crate::acl;
use crate::content;
use crate::field::{u16, u32};
use crate::inode::{Flags, Inode, Kind};
use crate::volume::Ext;

/// What a name begins with, by its index.
const PREFIXES: [&[u8]; 12] = [
    b"",
    b"user.",
    b"system.posix_acl_access",
    b"system.posix_acl_default",
    b"trusted.",
    b"",
    b"security.",
    b"system.",
    b"system.richacl",
    b"encryption.",
    b"gnu.",
    b"verity.",
];
/// The indexes of attributes that the kernel keeps for itself and shows to nobody: of fscrypt the context, of fs-verity where
/// its descriptor stands.
const HIDDEN: [usize; 2] = [9, 11];
/// Where content stands that has no room in the map.
const INLINE_DATA: &[u8] = b"system.data";
/// The most bytes of a value: `XATTR_SIZE_MAX` of Linux.
const VALUE_LIMIT: u64 = 64 << 10;
/// The most bytes of attributes of an inode: what the host takes in one call.
const ROOM: u64 = 16 << 20;
const ENTRY: usize = 16;

/// An attribute as it stands.
struct Raw {
    name: Vec<u8>,
    value: Vec<u8>,
}

/// The attributes of an inode by ascending name, lists for access control as the kernel gives them.
pub(crate) fn attributes(ext: &Ext<'_>, inode: &Inode) -> Result<Vec<Attribute>, ReaderError> {
    let mut attributes = Vec::new();
    for Raw { name, value } in all(ext, inode)? {
        if name == INLINE_DATA {
            continue;
        }
        let value = match name.strip_prefix(b"system.posix_acl_") {
            Some(_) => acl::kernel_form(&value)
                .ok_or_else(|| inode.damaged("has an access control list that is none"))?,
            None => value,
        };
        attributes.push(Attribute { name, value });
    }
    attributes.sort_unstable();
    let twice = attributes
        .windows(2)
        .find(|pair| pair[0].name == pair[1].name);
    if let Some(pair) = twice {
        let name = pair[0].name.escape_ascii();
        return Err(inode.damaged(format!("has two attributes '{name}'")));
    }
    Ok(attributes)
}

/// What of an inode's content stands in an attribute.
pub(crate) fn inline_data(ext: &Ext<'_>, inode: &Inode) -> Result<Vec<u8>, ReaderError> {
    let inner = entries(ext, inode, &inode.inner_attributes, 0, &mut { ROOM })?;
    let data = inner.into_iter().find(|raw| raw.name == INLINE_DATA);
    Ok(data.map(|raw| raw.value).unwrap_or_default())
}

fn all(ext: &Ext<'_>, inode: &Inode) -> Result<Vec<Raw>, ReaderError> {
    let mut room = ROOM;
    let mut all = entries(ext, inode, &inode.inner_attributes, 0, &mut room)?;
    if inode.attributes != 0 {
        all.extend(of_block(ext, inode, &mut room)?);
    }
    Ok(all)
}

fn of_block(ext: &Ext<'_>, inode: &Inode, room: &mut u64) -> Result<Vec<Raw>, ReaderError> {
    const MAGIC: u32 = 0xEA02_0000;
    const HEAD: usize = 32;
    const CHECKSUM: usize = 16;
    let block = ext.block(inode.attributes, &inode.name())?;
    let damaged =
        |problem: &str| inode.damaged(format!("has a block of attributes that {problem}"));
    if u32(&block, 0) != MAGIC || u32(&block, 8) != 1 {
        return Err(damaged("is none"));
    }
    if let Some(seed) = ext.superblock.seed {
        let mut zeroed = block.clone();
        zeroed[CHECKSUM..][..4].fill(0);
        let seed = crc32c(seed, &inode.attributes.to_le_bytes());
        if crc32c(seed, &zeroed) != u32(&block, CHECKSUM) {
            return Err(damaged("has a wrong checksum"));
        }
    }
    entries(ext, inode, &block, HEAD, room)
}

/// The entries from `first` on; values stand where they say, from the beginning of `area` on.
fn entries(
    ext: &Ext<'_>,
    inode: &Inode,
    area: &[u8],
    first: usize,
    room: &mut u64,
) -> Result<Vec<Raw>, ReaderError> {
    let damaged = |problem: String| inode.damaged(format!("has attributes {problem}"));
    let mut entries = Vec::new();
    let mut at = first;
    while area.len() >= at + 4 && u32(area, at) != 0 {
        let head = area.get(at..at + ENTRY);
        let head = head.ok_or_else(|| damaged("that do not end".to_owned()))?;
        let (length, index) = (usize::from(head[0]), usize::from(head[1]));
        let name = area.get(at + ENTRY..at + ENTRY + length);
        let name = name.ok_or_else(|| damaged(format!("with a name of {length} bytes")))?;
        let prefix = PREFIXES.get(index);
        let prefix = prefix.ok_or_else(|| damaged(format!("in namespace {index}")))?;
        let name = [prefix, name].concat();
        if name.is_empty() || name.contains(&0) {
            return Err(damaged(format!("named '{}'", name.escape_ascii())));
        }
        let size = u32(head, 8);
        let wanted = name.len() as u64 + u64::from(size);
        *room = room.checked_sub(wanted).ok_or_else(|| {
            let what = format!(
                "room for more than {ROOM} bytes of attributes of {}",
                inode.name()
            );
            ReaderError::Unsupported(what)
        })?;
        let value = match u32(head, 4) {
            0 => inner(area, u16(head, 2).into(), size),
            number => Some(outer(ext, inode, number, size)?),
        };
        let value = value.ok_or_else(|| {
            damaged(format!(
                "of which '{}' has a value outside",
                name.escape_ascii()
            ))
        })?;
        if !HIDDEN.contains(&index) {
            entries.push(Raw { name, value });
        }
        at += (ENTRY + length).next_multiple_of(4);
    }
    Ok(entries)
}

fn inner(area: &[u8], offset: usize, size: u32) -> Option<Vec<u8>> {
    let end = offset.checked_add(usize::try_from(size).ok()?)?;
    // A value without bytes may be said to stand anywhere.
    if size == 0 {
        return Some(Vec::new());
    }
    area.get(offset..end).map(<[u8]>::to_vec)
}

/// A value in an inode of its own, which many may share.
fn outer(ext: &Ext<'_>, owner: &Inode, number: u32, size: u32) -> Result<Vec<u8>, ReaderError> {
    if let Some(value) = ext.shared.get(number, size)? {
        return Ok(value);
    }
    let inode = Inode::read(ext, number, &owner.name())?;
    let is_value = inode.kind == Kind::File && inode.flags.contains(Flags::EA_INODE);
    if !is_value || inode.size != u64::from(size) {
        let problem = format!(
            "has an attribute of {size} bytes in inode {number}, which holds {} or no attribute",
            inode.size
        );
        return Err(owner.damaged(problem));
    }
    ext.shared
        .read(number, || content::bytes(ext, &inode, VALUE_LIMIT))
}
