//! What no Linux system takes, or would not read again, is refused here, once for every source and every format.
//!
//! ```text
//!   directory ──┐
//!   archive ────┼─> forest ──> validate ──> merged into the tree ──> any format
//!   file, bytes ┘
//! ```
//!
//! A format stores what it is given; whether a kernel can use it shows long after the image is made, and `e2fsck` sees
//! little of it. So each source is held against the kernel's own rules as soon as its owners and modes are settled:
//! owners, the names and values of extended attributes (`fs/xattr.c`), access control lists (`posix_acl_valid`) and
//! capability sets (`security/commoncap.c`). Three things are not refused but put right, because Linux has only one way:
//! a symbolic link has mode 0777; where an access control list and the mode contradict each other, the list holds, as it does
//! when both are set one after the other; and a list that says what a mode can say is none.

mod attribute;
mod capability;
pub(crate) mod fault;
mod list;

use std::collections::{BTreeMap, BTreeSet};

use crate::source::attributes::AttributeSets;
use crate::source::forest::{Body, Forest, Inode, InodeId};
use crate::{Attribute, Kind};

pub use fault::{AttributeFault, CapabilityFault, Fault, Holder, ListFault};

/// The mode of every symbolic link: Linux has no other.
const SYMLINK_MODE: u16 = 0o777;

/// The bits of a mode that an access control list says too.
const PERMISSIONS: u16 = 0o777;

/// The user or the group that is none: -1.
const NOBODY: u32 = u32::MAX;

/// What a node is, as far as that decides which attributes it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    File,
    Directory,
    Symlink,
    /// A device, a fifo or a socket.
    Special,
}

impl Class {
    fn of(body: &Body) -> Self {
        match body {
            Body::Directory(_) => Self::Directory,
            Body::File { .. } => Self::File,
            Body::Other(Kind::Symlink(_)) => Self::Symlink,
            Body::Other(_) => Self::Special,
        }
    }
}

/// What is known of a set of attributes on nodes of one class.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    /// They are taken.
    Sound {
        /// The number of the set: the one that was asked about, or without what was dropped.
        set: u32,
        /// The mode's nine bits, where the set has an access control list.
        listed: Option<u16>,
    },
    /// One of them is not.
    Faulty,
}

/// Holds all nodes of one source against the kernel's rules. With `drop`, attributes that break them are left out instead.
///
/// Nodes that have lost all their names are no content, and are not looked at.
///
/// # Errors
/// The path of the first node, in the order of the tree, that breaks a rule, from the source's root; and the rule.
pub(crate) fn check(
    forest: &mut Forest,
    sets: &mut AttributeSets,
    drop: bool,
) -> Result<(), (Vec<u8>, Fault)> {
    let mut known: BTreeMap<(u32, Class), Verdict> = BTreeMap::new();
    let mut faulty: BTreeSet<InodeId> = BTreeSet::new();
    for (id, inode) in forest.inodes_mut() {
        let Inode {
            metadata: Some(metadata),
            body,
        } = inode
        else {
            continue;
        };
        let class = Class::of(body);
        if class == Class::Symlink {
            metadata.mode = SYMLINK_MODE;
        }
        if metadata.uid == NOBODY || metadata.gid == NOBODY {
            faulty.insert(id);
            continue;
        }
        if metadata.attributes == 0 {
            continue;
        }
        let verdict = known
            .entry((metadata.attributes, class))
            .or_insert_with_key(|(set, class)| judge(*set, *class, sets, drop));
        match *verdict {
            Verdict::Sound { set, listed } => {
                metadata.attributes = set;
                if let Some(bits) = listed {
                    metadata.mode = metadata.mode & !PERMISSIONS | bits;
                }
            }
            Verdict::Faulty => {
                faulty.insert(id);
            }
        }
    }
    if faulty.is_empty() {
        return Ok(());
    }
    let Some((id, path)) = forest.first_named(|id| faulty.contains(&id)) else {
        return Ok(());
    };
    fault_of(forest.inode(id), sets).map_or(Ok(()), |fault| Err((path, fault)))
}

/// What is wrong with a node.
fn fault_of(inode: &Inode, sets: &AttributeSets) -> Option<Fault> {
    let metadata = inode.metadata.as_ref()?;
    for (what, id) in [("user", metadata.uid), ("group", metadata.gid)] {
        if id == NOBODY {
            return Some(Fault::Owner { what });
        }
    }
    let set = sets.get(metadata.attributes);
    attribute::first_fault(set, Class::of(&inode.body))
}

fn judge(number: u32, class: Class, sets: &mut AttributeSets, drop: bool) -> Verdict {
    let set = sets.get(number);
    let fault = attribute::first_fault(set, class);
    if fault.is_some() && !drop {
        return Verdict::Faulty;
    }
    let set = if fault.is_some() {
        let sound = attribute::sound_ones(set, class);
        sets.number(sound)
    } else {
        number
    };
    let is_list = |attribute: &Attribute| attribute.name == list::ACCESS;
    let attributes = sets.get(set);
    let listed = attributes.iter().find(|attribute| is_list(attribute));
    let listed = listed.and_then(|attribute| list::mode_of(&attribute.value));
    let set = match listed {
        Some((_, true)) => {
            let others = attributes.iter().filter(|it| !is_list(it)).cloned();
            let others = others.collect();
            sets.number(others)
        }
        _ => set,
    };
    Verdict::Sound {
        set,
        listed: listed.map(|(bits, _)| bits),
    }
}

#[cfg(test)]
mod tests;
