//! The rules for extended attributes, as `setxattr(2)` and `getxattr(2)` apply them.

use super::fault::{AttributeFault, Fault};
use super::{Class, capability, list};
use crate::Attribute;
use cellblock_text::PathBytes;

/// `XATTR_NAME_MAX` of `linux/limits.h`, in bytes.
const LONGEST_NAME: usize = 255;
/// `XATTR_SIZE_MAX` of `linux/limits.h`, in bytes.
const LONGEST_VALUE: usize = 65_536;
/// `XATTR_LIST_MAX` of `linux/limits.h`, in bytes.
const LONGEST_LIST: usize = 65_536;

const USER: &[u8] = b"user.";
/// The namespaces in which a name is free.
const NAMESPACES: [&[u8]; 3] = [USER, b"trusted.", b"security."];
/// The set of capabilities that a program gets.
const CAPABILITY: &[u8] = b"security.capability";

/// What is wrong with a set, sorted by name, on a node of this class.
pub(super) fn first_fault(set: &[Attribute], class: Class) -> Option<Fault> {
    let mut before: Option<&[u8]> = None;
    for attribute in set {
        if let Err(fault) = check(attribute, before, class) {
            let name = PathBytes(attribute.name.clone());
            return Some(Fault::Attribute { name, fault });
        }
        before = Some(&attribute.name);
    }
    let bytes = set.iter().map(listed_bytes).sum();
    (bytes > LONGEST_LIST).then_some(Fault::AttributeNames {
        count: set.len(),
        bytes,
        limit: LONGEST_LIST,
    })
}

/// Those of a set, sorted by name, that keep to the rules.
pub(super) fn sound_ones(set: &[Attribute], class: Class) -> Vec<Attribute> {
    let mut sound: Vec<Attribute> = Vec::new();
    let mut bytes = 0;
    for attribute in set {
        let before = sound.last().map(|before| &before.name[..]);
        let listed = bytes + listed_bytes(attribute);
        if listed <= LONGEST_LIST && check(attribute, before, class).is_ok() {
            bytes = listed;
            sound.push(attribute.clone());
        }
    }
    sound
}

/// A list of names ends each with NUL.
fn listed_bytes(attribute: &Attribute) -> usize {
    attribute.name.len() + 1
}

/// Checks an attribute; `before` is the name of the one before it.
fn check(attribute: &Attribute, before: Option<&[u8]>, class: Class) -> Result<(), AttributeFault> {
    let Attribute { name, value } = attribute;
    if name.contains(&0) {
        return Err(AttributeFault::NulInName);
    }
    check_namespace(name)?;
    if name.len() > LONGEST_NAME {
        return Err(AttributeFault::NameTooLong {
            length: name.len(),
            limit: LONGEST_NAME,
        });
    }
    if before == Some(name) {
        return Err(AttributeFault::Repeated);
    }
    if value.len() > LONGEST_VALUE {
        return Err(AttributeFault::ValueTooLong {
            length: value.len(),
            limit: LONGEST_VALUE,
        });
    }
    let is_list = name == list::ACCESS || name == list::DEFAULT;
    match class {
        Class::Symlink | Class::Special if name.starts_with(USER) => {
            return Err(AttributeFault::UserNamespace);
        }
        Class::Symlink if is_list => return Err(AttributeFault::ListOfSymlink),
        Class::File | Class::Special if name == list::DEFAULT => {
            return Err(AttributeFault::DefaultOfNoDirectory);
        }
        _ => {}
    }
    if is_list {
        list::check(value).map_err(AttributeFault::List)?;
    }
    if name == CAPABILITY {
        capability::check(value).map_err(AttributeFault::Capability)?;
    }
    Ok(())
}

fn check_namespace(name: &[u8]) -> Result<(), AttributeFault> {
    if name.is_empty() || NAMESPACES.contains(&name) {
        return Err(AttributeFault::Unnamed);
    }
    let is_free = NAMESPACES.iter().any(|prefix| name.starts_with(prefix));
    if is_free || name == list::ACCESS || name == list::DEFAULT {
        return Ok(());
    }
    Err(AttributeFault::Namespace)
}
