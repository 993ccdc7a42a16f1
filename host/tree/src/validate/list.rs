//! POSIX access control lists in the kernel's encoding, judged as its `posix_acl_valid` does.

use std::mem::discriminant;

use super::NOBODY;
use super::fault::{Holder, ListFault};
use crate::source::acl::{ENTRY, GROUP, GROUP_OWNER, MASK, OTHER, USER, USER_OWNER, VERSION};

pub(super) use crate::source::acl::{ACCESS, DEFAULT};

/// An entry: whom it is for, and what they may do, as a digit of a mode.
type Entry = (Holder, u16);

/// Checks a list. Beyond what the kernel asks, no user and no group may be named twice, as `acl_valid(3)` has it.
pub(super) fn check(value: &[u8]) -> Result<(), ListFault> {
    let entries = entries(value)?;
    for pair in entries.windows(2) {
        let [(before, _), (holder, _)] = [pair[0], pair[1]];
        // Of those that are named the order is free.
        let is_same_kind = discriminant(&before) == discriminant(&holder);
        if before == holder {
            return Err(ListFault::Repeated { holder });
        }
        if holder < before && !is_same_kind {
            let seen = entries.iter().filter(|(other, _)| *other == holder);
            return Err(if seen.count() > 1 {
                ListFault::Repeated { holder }
            } else {
                ListFault::Order { holder, before }
            });
        }
    }
    let mut holders: Vec<Holder> = entries.iter().map(|(holder, _)| *holder).collect();
    holders.sort_unstable();
    if let Some(pair) = holders.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(ListFault::Repeated { holder: pair[0] });
    }
    for holder in [Holder::Owner, Holder::OwningGroup, Holder::Others] {
        if !holders.contains(&holder) {
            return Err(ListFault::Missing { holder });
        }
    }
    let is_named = |holder: &&Holder| matches!(holder, Holder::User(_) | Holder::Group(_));
    match holders.iter().find(is_named) {
        Some(holder) if !holders.contains(&Holder::Mask) => {
            Err(ListFault::NoMask { holder: *holder })
        }
        _ => Ok(()),
    }
}

/// The nine bits of a mode that goes with a list, as `posix_acl_equiv_mode` has them: the mask stands in the place of the owning
/// group's; and whether the list says no more than these. None if it is no list.
pub(super) fn mode_of(value: &[u8]) -> Option<(u16, bool)> {
    let entries = entries(value).ok()?;
    let of = |wanted: Holder| {
        let mut found = entries.iter().filter(|(holder, _)| *holder == wanted);
        found.next().map(|(_, permissions)| *permissions)
    };
    let (owner, others) = (of(Holder::Owner)?, of(Holder::Others)?);
    let group = of(Holder::OwningGroup)?;
    let shown = of(Holder::Mask).unwrap_or(group);
    Some((owner << 6 | shown << 3 | others, entries.len() == 3))
}

fn entries(value: &[u8]) -> Result<Vec<Entry>, ListFault> {
    let wrong_length = ListFault::Length {
        length: value.len(),
    };
    let Some((version, entries)) = value.split_first_chunk() else {
        return Err(wrong_length);
    };
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        return Err(ListFault::Version { version });
    }
    let (entries, []) = entries.as_chunks::<ENTRY>() else {
        return Err(wrong_length);
    };
    entries
        .iter()
        .zip(1..)
        .map(|(bytes, number)| entry(bytes, number))
        .collect()
}

/// Reads the entry of this number, counted from 1.
fn entry(bytes: &[u8; ENTRY], number: usize) -> Result<Entry, ListFault> {
    let [tag_low, tag_high, low, high, id @ ..] = *bytes;
    let tag = u16::from_le_bytes([tag_low, tag_high]);
    let permissions = u16::from_le_bytes([low, high]);
    let id = u32::from_le_bytes(id);
    let holder = match tag {
        USER_OWNER => Holder::Owner,
        USER => Holder::User(id),
        GROUP_OWNER => Holder::OwningGroup,
        GROUP => Holder::Group(id),
        MASK => Holder::Mask,
        OTHER => Holder::Others,
        _ => return Err(ListFault::Tag { entry: number, tag }),
    };
    if permissions > 7 {
        return Err(ListFault::Permissions {
            holder,
            permissions,
        });
    }
    match holder {
        Holder::User(NOBODY) | Holder::Group(NOBODY) => Err(ListFault::Nobody { holder }),
        _ => Ok((holder, permissions)),
    }
}
