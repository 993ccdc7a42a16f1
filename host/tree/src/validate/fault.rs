//! What can be wrong with a node, with the numbers.

use std::fmt;

use cellblock_text::PathBytes;

/// What about a node no Linux system takes, or would not read again. Shown, it says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The owner or the group is -1, which stands for none.
    Owner {
        /// `user` or `group`.
        what: &'static str,
    },

    /// An extended attribute breaks a rule.
    Attribute {
        /// The attribute's full name.
        name: PathBytes,
        /// The rule.
        fault: AttributeFault,
    },

    /// More names of attributes than the kernel lists.
    AttributeNames {
        /// How many attributes it has.
        count: usize,
        /// The bytes of their names, each with the NUL that ends it.
        bytes: usize,
        /// How many of those there may be.
        limit: usize,
    },
}

impl Fault {
    /// What is wrong, without what to do about it.
    #[must_use]
    pub fn problem(&self) -> String {
        match self {
            Self::Owner { what } => {
                format!("its {what} is 4294967295, which is -1 and nobody's number on Linux")
            }
            Self::Attribute { name, fault } => format!("its attribute '{name}' {fault}"),
            Self::AttributeNames {
                count,
                bytes,
                limit,
            } => format!(
                "the names of its {count} attributes take {bytes} bytes, and Linux lists no more than {limit}"
            ),
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Owner { .. } => "set another one with owner = \"0:0\"",
            Self::Attribute { .. } => {
                "mend it, or leave such attributes out with drop = [\"attributes\"], or --drop attributes"
            }
            Self::AttributeNames { .. } => {
                "remove some, or leave out what is too much with drop = [\"attributes\"], or --drop attributes"
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; {}", self.problem(), self.remedy())
    }
}

impl std::error::Error for Fault {}

/// The rule that an extended attribute breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributeFault {
    /// The name is a namespace and nothing else, or empty.
    #[error("has a namespace and no name")]
    Unnamed,

    /// A NUL byte ends a name early.
    #[error("has a NUL byte in its name")]
    NulInName,

    /// The name is longer than system calls take.
    #[error("has a name of {length} bytes, and Linux takes {limit} at most")]
    NameTooLong {
        /// Bytes that it has.
        length: usize,
        /// Bytes that it may have.
        limit: usize,
    },

    /// The name begins like none that the kernel knows.
    #[error(
        "is in no namespace of Linux (user., trusted., security., or an access control list in system.)"
    )]
    Namespace,

    /// Another attribute has the same name.
    #[error("is there twice")]
    Repeated,

    /// The value is longer than system calls take.
    #[error("has {length} bytes, and Linux takes {limit} at most")]
    ValueTooLong {
        /// Bytes that it has.
        length: usize,
        /// Bytes that it may have.
        limit: usize,
    },

    /// Attributes in `user.` belong to files and directories.
    #[error("is in user., which on Linux only files and directories have")]
    UserNamespace,

    /// A symbolic link has no access control list.
    #[error("is an access control list, which a symbolic link does not have")]
    ListOfSymlink,

    /// Only a directory has a default list.
    #[error("is the list that new files in a directory get, and this is no directory")]
    DefaultOfNoDirectory,

    /// The value is no access control list.
    #[error("is no access control list that Linux takes: {0}")]
    List(ListFault),

    /// The value is no capability set.
    #[error("is no capability set that Linux takes: {0}")]
    Capability(CapabilityFault),
}

/// What is wrong with a set of capabilities (`struct vfs_cap_data` of `linux/capability.h`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityFault {
    /// Too short to say of which revision it is.
    #[error("it has {length} bytes, and the first field alone has 4")]
    Truncated {
        /// Bytes that it has.
        length: usize,
    },

    /// A revision that there is not, or that only old kernels take.
    #[error("it is of revision {revision}, and Linux takes 2 and 3")]
    Revision {
        /// The revision that it states.
        revision: u32,
    },

    /// Not as long as its revision is.
    #[error("it has {length} bytes, and one of revision {revision} has {expected}")]
    Length {
        /// The revision that it states.
        revision: u32,
        /// Bytes that it has.
        length: usize,
        /// Bytes that one of its revision has.
        expected: usize,
    },

    /// Flags that there are not.
    #[error("it has the flags 0x{flags:x}, and there is only 0x1")]
    Flags {
        /// The flags that it has.
        flags: u32,
    },

    /// The user that counts as root where it holds is -1.
    #[error("it is for a system whose root is 4294967295, which is -1 and nobody's number")]
    Root,
}

/// What is wrong with an access control list, as `posix_acl_valid` of the kernel judges.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListFault {
    /// Not a header and whole entries.
    #[error("it has {length} bytes, and a list has 4 and then 8 for each entry")]
    Length {
        /// Bytes that it has.
        length: usize,
    },

    /// Another version of the encoding.
    #[error("it is of version {version}, and there is only 2")]
    Version {
        /// The version that it states.
        version: u32,
    },

    /// An entry is for nobody that there is.
    #[error("entry {entry} has the tag 0x{tag:02x}, which there is not")]
    Tag {
        /// Which entry, counted from 1.
        entry: usize,
        /// Its tag.
        tag: u16,
    },

    /// Permissions beyond read, write and execute.
    #[error("the entry of {holder} has permissions {permissions}, and there are 0 to 7")]
    Permissions {
        /// Whose entry it is.
        holder: Holder,
        /// The permissions, as a digit of a mode.
        permissions: u16,
    },

    /// A named user or group is -1.
    #[error("it has an entry for {holder}, which is -1 and nobody's number")]
    Nobody {
        /// Whose entry it is.
        holder: Holder,
    },

    /// One of them has two entries.
    #[error("it has two entries for {holder}")]
    Repeated {
        /// Whose entries they are.
        holder: Holder,
    },

    /// Entries do not stand in the order of their tags.
    #[error(
        "its entry for {holder} comes after that for {before}; the order is owner, users, group, groups, mask, others"
    )]
    Order {
        /// Whose entry stands in the wrong place.
        holder: Holder,
        /// Whose entry stands before it.
        before: Holder,
    },

    /// An entry that every list has is not there.
    #[error("it has no entry for {holder}")]
    Missing {
        /// Whose entry is missing.
        holder: Holder,
    },

    /// Named users or groups need a mask.
    #[error("it has an entry for {holder} and none for the mask")]
    NoMask {
        /// The first that is named.
        holder: Holder,
    },
}

/// Whom an entry of an access control list is for. The order is that of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// The file's owner.
    Owner,
    /// The user of this number.
    User(u32),
    /// The file's group.
    OwningGroup,
    /// The group of this number.
    Group(u32),
    /// The most that users, groups and the file's group get.
    Mask,
    /// All others.
    Others,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner => f.write_str("the owner"),
            Self::User(id) => write!(f, "user {id}"),
            Self::OwningGroup => f.write_str("the owning group"),
            Self::Group(id) => write!(f, "group {id}"),
            Self::Mask => f.write_str("the mask"),
            Self::Others => f.write_str("all others"),
        }
    }
}
