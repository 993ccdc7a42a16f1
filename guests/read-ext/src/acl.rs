//! Access control lists: fs/ext4/acl.h on the disk, include/uapi/linux/posix_acl_xattr.h for those who ask.

use crate::field::{u16, u32};

/// The value as `getxattr(2)` returns it; none if it is no list.
pub(crate) fn kernel_form(stored: &[u8]) -> Option<Vec<u8>> {
    const STORED: u32 = 1;
    const TOLD: u32 = 2;
    const USER: u16 = 2;
    const GROUP: u16 = 8;
    let (version, mut rest) = stored.split_at_checked(4)?;
    if u32(version, 0) != STORED {
        return None;
    }
    let mut list = TOLD.to_le_bytes().to_vec();
    while !rest.is_empty() {
        let (short, behind) = rest.split_at_checked(4)?;
        let (id, behind) = if matches!(u16(short, 0), USER | GROUP) {
            let (id, behind) = behind.split_at_checked(4)?;
            (u32(id, 0), behind)
        } else {
            (u32::MAX, behind)
        };
        list.extend(short);
        list.extend(id.to_le_bytes());
        rest = behind;
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_users_and_groups_have_numbers() {
        let stored = [
            &1_u32.to_le_bytes()[..],
            &[1, 0, 6, 0],
            &[2, 0, 4, 0, 0xE8, 3, 0, 0],
            &[0x20, 0, 4, 0],
        ]
        .concat();
        let told = [
            &2_u32.to_le_bytes()[..],
            &[1, 0, 6, 0, 0xFF, 0xFF, 0xFF, 0xFF],
            &[2, 0, 4, 0, 0xE8, 3, 0, 0],
            &[0x20, 0, 4, 0, 0xFF, 0xFF, 0xFF, 0xFF],
        ]
        .concat();
        assert_eq!(kernel_form(&stored), Some(told));
        assert_eq!(kernel_form(&stored[..stored.len() - 1]), None);
        assert_eq!(kernel_form(b"\x02\0\0\0"), None);
    }
}
