//! Extended attributes: those behind an inode, and those that inodes share.

use cellblock_guest::Attribute;
use cellblock_guest::fields::Fields;
use cellblock_guest::reader::ReaderError;

use crate::inode::Inode;
use crate::meta::Open;

/// The bit of an index that says that the prefix is one of the file system's own.
const LONG: u8 = 0x80;
/// The index of no namespace.
const HIDDEN: u8 = 0;
/// The most bytes of values that inodes share, for all of them together.
const SHARED_LIMIT: u64 = 1 << 30;

/// The prefixes that the file system has of its own.
pub(crate) type Prefixes = Vec<Prefix>;

/// What the name of an attribute begins with.
#[derive(Clone, Debug)]
pub(crate) struct Prefix {
    pub(crate) name: Vec<u8>,
    /// Whether it is in none of the kernel's namespaces: the kernel shows such attributes to nobody. mkfs.erofs keeps digests of
    /// content in one (`--xattr-inode-digest`).
    is_hidden: bool,
}

/// Reads the prefixes of `bytes`, a row of lengths and strings.
pub(crate) fn prefixes(bytes: &[u8], count: u8) -> Result<Prefixes, ReaderError> {
    let damaged = |problem: String| {
        ReaderError::damaged("the table of prefixes of attributes", None, problem)
    };
    let mut prefixes = Vec::new();
    let mut at = 0_usize;
    for number in 0..count {
        at = at.next_multiple_of(4);
        let mut fields = Fields(bytes.get(at..).unwrap_or_default());
        let prefix = fields.u16().and_then(|length| {
            at += 2 + usize::from(length);
            fields.bytes(length.into())
        });
        let Some([base, infix @ ..]) = prefix else {
            return Err(damaged(format!("ends within number {number}")));
        };
        let is_hidden = *base == HIDDEN;
        let base = short(*base).ok_or_else(|| damaged(format!("has a base of {base}")))?;
        prefixes.push(Prefix {
            name: [base, infix].concat(),
            is_hidden,
        });
    }
    Ok(prefixes)
}

fn short(index: u8) -> Option<&'static [u8]> {
    Some(match index {
        HIDDEN => b"",
        1 => b"user.",
        2 => b"system.posix_acl_access",
        3 => b"system.posix_acl_default",
        4 => b"trusted.",
        5 => b"lustre.",
        6 => b"security.",
        _ => return None,
    })
}

/// The attributes of an inode, by name.
pub(crate) fn attributes(
    open: &Open<'_>,
    prefixes: &Prefixes,
    inode: &Inode,
    shared_bytes: &mut u64,
) -> Result<Vec<Attribute>, ReaderError> {
    let length = inode.end - inode.attributes;
    if length == 0 {
        return Ok(Vec::new());
    }
    let owner = inode.name();
    open.spend(length, &owner)?;
    let length = usize::try_from(length).expect("it is at most 256 KiB");
    let bytes = open.bytes(inode.attributes, length, &owner)?;
    let mut fields = Fields(&bytes);
    let ends = || inode.damaged("has attributes that end early");
    let _filter = fields.u32().ok_or_else(ends)?;
    let header = fields.u64().ok_or_else(ends)?;
    let mut all = Vec::new();
    for _ in 0..header & 0xFF {
        let id = fields.u32().ok_or_else(ends)?;
        let area = u64::from(open.superblock.attribute_area) << open.superblock.block_bits;
        let offset = area + u64::from(id) * 4;
        let entry = open.bytes(offset, 4, "the shared attributes")?;
        let length = usize::from(entry[0]) + usize::from(u16::from_le_bytes([entry[2], entry[3]]));
        *shared_bytes += length as u64;
        if *shared_bytes > SHARED_LIMIT {
            let what = format!("more than {SHARED_LIMIT} bytes of shared attributes");
            return Err(ReaderError::Unsupported(what));
        }
        let entry = open.bytes(offset, 4 + length, "the shared attributes")?;
        let attribute = attribute(&mut Fields(&entry), prefixes).ok_or_else(ends)?;
        all.extend(attribute.map_err(|problem| inode.damaged(problem))?);
    }
    while !fields.0.is_empty() {
        // Room that is left is zeros.
        if fields.0.iter().all(|byte| *byte == 0) {
            break;
        }
        let before = fields.0.len();
        let attribute = attribute(&mut fields, prefixes).ok_or_else(ends)?;
        all.extend(attribute.map_err(|problem| inode.damaged(problem))?);
        let padding = (before - fields.0.len()).next_multiple_of(4) - (before - fields.0.len());
        fields.bytes(padding).ok_or_else(ends)?;
    }
    all.sort_unstable();
    if all.windows(2).any(|two| two[0].name == two[1].name) {
        return Err(inode.damaged("has an attribute twice"));
    }
    Ok(all)
}

/// The next attribute; none of one that is hidden.
fn attribute(
    fields: &mut Fields<'_>,
    prefixes: &Prefixes,
) -> Option<Result<Option<Attribute>, String>> {
    let lengths = fields.u16()?;
    let [length, index] = lengths.to_le_bytes();
    let size = fields.u16()?;
    let name = fields.bytes(length.into())?;
    let value = fields.bytes(size.into())?;
    let prefix = if index & LONG == 0 {
        short(index).map(|prefix| (prefix, index == HIDDEN))
    } else {
        let own = prefixes.get(usize::from(index & !LONG));
        own.map(|own| (&*own.name, own.is_hidden))
    };
    let Some((prefix, is_hidden)) = prefix else {
        return Some(Err(format!("has an attribute with prefix {index}")));
    };
    let attribute = Attribute {
        name: [prefix, name].concat(),
        value: value.to_vec(),
    };
    Some(Ok((!is_hidden).then_some(attribute)))
}
