//! POSIX access control lists: from the text that archives carry to the kernel's attribute.
//!
//! The attribute (`linux/posix_acl_xattr.h`) is little endian: the version, 2, as `u32`; then for each entry,
//! sorted by tag and id, the tag (`u16`), the permissions (`u16`, as one digit of a mode) and the id (`u32`).

/// The attribute with a node's own list.
pub(crate) const ACCESS: &[u8] = b"system.posix_acl_access";
/// The attribute with the list that a directory hands down.
pub(crate) const DEFAULT: &[u8] = b"system.posix_acl_default";

pub(crate) const VERSION: u32 = 2;
const HEADER: usize = 4;
pub(crate) const ENTRY: usize = 8;

pub(crate) const USER_OWNER: u16 = 0x01;
pub(crate) const USER: u16 = 0x02;
pub(crate) const GROUP_OWNER: u16 = 0x04;
pub(crate) const GROUP: u16 = 0x08;
pub(crate) const MASK: u16 = 0x10;
pub(crate) const OTHER: u16 = 0x20;

/// The id of entries that name nobody.
const UNDEFINED: u32 = u32::MAX;

/// An entry that cannot be converted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadEntry {
    pub(crate) entry: Vec<u8>,
    pub(crate) reason: &'static str,
}

/// Converts `user::rw-,user:lisa:r--:1001,…`, with entries separated by commas or newlines. A named entry must have a
/// numeric name, or its number as a fourth field. Gives `None` for a list without entries. Whether the list is one that
/// the kernel takes, [`crate::validate`] says.
pub(crate) fn from_text(text: &[u8]) -> Result<Option<Vec<u8>>, BadEntry> {
    let mut entries = text
        .split(|byte| matches!(byte, b',' | b'\n'))
        .map(|entry| {
            let comment = entry.iter().position(|byte| *byte == b'#');
            entry[..comment.unwrap_or(entry.len())].trim_ascii()
        })
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            parse_entry(entry).map_err(|reason| BadEntry {
                entry: entry.to_vec(),
                reason,
            })
        })
        .collect::<Result<Vec<_>, BadEntry>>()?;
    entries.sort_unstable_by_key(|(tag, _, id)| (*tag, *id));
    let mut value = VERSION.to_le_bytes().to_vec();
    for (tag, permissions, id) in &entries {
        value.extend_from_slice(&tag.to_le_bytes());
        value.extend_from_slice(&permissions.to_le_bytes());
        value.extend_from_slice(&id.to_le_bytes());
    }
    Ok((!entries.is_empty()).then_some(value))
}

/// The text of a list, `user::rw-,user:1001:r--,…`, as [`from_text`] takes it; none if it is not one that the kernel takes.
pub(crate) fn to_text(value: &[u8]) -> Option<String> {
    let entries = value.strip_prefix(&VERSION.to_le_bytes())?;
    let (entries, rest) = entries.as_chunks::<ENTRY>();
    if entries.is_empty() || !rest.is_empty() {
        return None;
    }
    let entries = entries.iter().map(|entry| {
        let half = |at: usize| u16::from_le_bytes([entry[at], entry[at + 1]]);
        let id = u32::from(half(4)) | u32::from(half(6)) << 16;
        let who = match half(0) {
            USER_OWNER => "user:".to_owned(),
            USER => format!("user:{id}"),
            GROUP_OWNER => "group:".to_owned(),
            GROUP => format!("group:{id}"),
            MASK => "mask:".to_owned(),
            OTHER => "other:".to_owned(),
            _ => return None,
        };
        let permissions = half(2);
        if permissions > 7 {
            return None;
        }
        let letter = |bit, letter| if permissions & bit == 0 { '-' } else { letter };
        let letters = [letter(4, 'r'), letter(2, 'w'), letter(1, 'x')];
        Some(format!("{who}:{}", letters.iter().collect::<String>()))
    });
    Some(entries.collect::<Option<Vec<String>>>()?.join(","))
}

fn parse_entry(entry: &[u8]) -> Result<(u16, u16, u32), &'static str> {
    let fields: Vec<&[u8]> = entry.split(|byte| *byte == b':').collect();
    let (tag, name, permissions, number) = match fields[..] {
        // `mask:rwx` and `other:r-x` may leave out the empty name.
        [tag, permissions] => (tag, &b""[..], permissions, None),
        [tag, name, permissions] => (tag, name, permissions, None),
        [tag, name, permissions, number] => (tag, name, permissions, Some(number)),
        _ => return Err("does not have the form tag:name:permissions"),
    };
    let (owner, named) = match tag {
        b"user" | b"u" => (USER_OWNER, Some(USER)),
        b"group" | b"g" => (GROUP_OWNER, Some(GROUP)),
        b"mask" | b"m" => (MASK, None),
        b"other" | b"o" => (OTHER, None),
        _ => return Err("has an unknown tag"),
    };
    let permissions = parse_permissions(permissions)?;
    if name.is_empty() {
        return Ok((owner, permissions, UNDEFINED));
    }
    let tag = named.ok_or("names somebody where nobody can be named")?;
    let id = std::str::from_utf8(number.unwrap_or(name).trim_ascii())
        .ok()
        .and_then(|id| id.parse().ok())
        .filter(|id| *id != UNDEFINED)
        .ok_or("has no number, as GNU tar writes them: make the archive with bsdtar, which adds it, or name the folder in its place")?;
    Ok((tag, permissions, id))
}

fn parse_permissions(text: &[u8]) -> Result<u16, &'static str> {
    let letters = text.trim_ascii();
    if letters.len() > 3 {
        return Err("has more than three permissions");
    }
    letters.iter().try_fold(0, |bits, letter| {
        Ok(bits
            | match letter {
                b'r' => 4,
                b'w' => 2,
                b'x' => 1,
                b'-' => 0,
                _ => return Err("has permissions other than r, w, x and -"),
            })
    })
}

/// Makes an access list agree with a changed `mode`, as `chmod(2)` does: the owner's and the others' entries, and
/// the mask, or the group's entry where there is no mask.
pub(crate) fn set_mode(value: &mut [u8], mode: u16) {
    let Some(entries) = value.get_mut(HEADER..) else {
        return;
    };
    let tag_of = |entry: &[u8]| u16::from_le_bytes([entry[0], entry[1]]);
    let masked = entries
        .chunks_exact(ENTRY)
        .any(|entry| tag_of(entry) == MASK);
    for entry in entries.chunks_exact_mut(ENTRY) {
        let bits = match tag_of(entry) {
            USER_OWNER => mode >> 6,
            MASK => mode >> 3,
            GROUP_OWNER if !masked => mode >> 3,
            OTHER => mode,
            _ => continue,
        };
        entry[2..4].copy_from_slice(&(bits & 7).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hex(value: &[u8]) -> String {
        value.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn text_becomes_the_kernels_encoding() {
        let text =
            b"user::rw-\nuser:lisa:r--:1001\ngroup::r-x\t#effective:r--\nmask::r--\nother::---";
        let value = from_text(text).unwrap().unwrap();
        assert_eq!(
            hex(&value),
            "02000000\
             01000600ffffffff02000400e903000004000500ffffffff10000400ffffffff20000000ffffffff"
        );
    }

    #[test]
    fn a_list_becomes_the_text_that_it_comes_from() {
        let text = "user::rw-,user:1001:r--,group::r-x,group:4000000000:--x,mask::r--,other::---";
        let value = from_text(text.as_bytes()).unwrap().unwrap();
        assert_eq!(to_text(&value).unwrap(), text);
        for cut in [0, 3, 4, value.len() - 1] {
            assert_eq!(to_text(&value[..cut]), None);
        }
        let mut odd = value.clone();
        odd[4] = 0x40;
        assert_eq!(to_text(&odd), None);
    }

    #[test]
    fn name_without_a_number_is_refused() {
        let error = from_text(b"user::rw-,user:lisa:r--").unwrap_err();
        assert_eq!(error.entry, b"user:lisa:r--");
        assert!(from_text(b"user:17:r--").is_ok());
    }

    #[test]
    fn mode_changes_the_mask_and_not_the_group() {
        let mut value = from_text(b"u::rwx,u:7:rwx,g::rwx,m::rwx,o::rwx")
            .unwrap()
            .unwrap();
        set_mode(&mut value, 0o640);
        let expected = from_text(b"u::rw-,u:7:rwx,g::rwx,m::r--,o::---")
            .unwrap()
            .unwrap();
        assert_eq!(value, expected);
    }
}
