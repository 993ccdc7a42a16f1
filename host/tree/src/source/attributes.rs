//! Extended attributes: reading them from the host, and keeping equal sets once.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use super::acl;
use crate::{Attribute, index};
use rustix::fs::{
    fgetxattr, flistxattr, flistxattr_query, lgetxattr, llistxattr, llistxattr_query, readlink,
};
use rustix::io::Errno;

/// `XATTR_SIZE_MAX` and `XATTR_LIST_MAX` of `linux/limits.h`: the longest value, and the longest list of names.
const LONGEST: usize = 65_536;

/// A first try that suffices nearly always: the kernel clears a buffer of the size that it is given.
const USUAL: usize = 512;

/// All sets of attributes of a tree, equal ones once. Number 0 is the empty set.
#[derive(Debug)]
pub(crate) struct AttributeSets {
    sets: Vec<Arc<[Attribute]>>,
    numbers: BTreeMap<Arc<[Attribute]>, u32>,
    /// In memory.
    bytes: u64,
}

impl AttributeSets {
    pub(crate) fn new() -> Self {
        let mut sets = Self {
            sets: Vec::new(),
            numbers: BTreeMap::new(),
            bytes: 0,
        };
        sets.number(Vec::new());
        sets
    }

    /// The number of this set, in whatever order it is given.
    pub(crate) fn number(&mut self, mut attributes: Vec<Attribute>) -> u32 {
        if attributes.is_empty() && !self.sets.is_empty() {
            return 0;
        }
        attributes.sort();
        let set: Arc<[Attribute]> = attributes.into();
        if let Some(number) = self.numbers.get(&set) {
            return *number;
        }
        let number = u32::try_from(self.sets.len()).expect("there are fewer sets than nodes");
        self.bytes += memory(&set);
        self.sets.push(Arc::clone(&set));
        self.numbers.insert(set, number);
        number
    }

    /// The set of this number, sorted by name.
    pub(crate) fn get(&self, number: u32) -> &[Attribute] {
        &self.sets[index(number)]
    }

    /// The bytes that all of them take in memory, equal sets counted once.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The set that a node of set `number` has after its mode became `mode`: an access control list holds the mode too.
    pub(crate) fn with_mode(&mut self, number: u32, mode: u16) -> u32 {
        let set = &self.sets[index(number)];
        if set.iter().all(|attribute| attribute.name != acl::ACCESS) {
            return number;
        }
        let mut changed = set.to_vec();
        for attribute in &mut changed {
            if attribute.name == acl::ACCESS {
                acl::set_mode(&mut attribute.value, mode);
            }
        }
        self.number(changed)
    }

    pub(crate) fn into_vec(self) -> Vec<Arc<[Attribute]>> {
        self.sets
    }
}

/// The bytes that a set takes in memory.
pub(crate) fn memory(set: &[Attribute]) -> u64 {
    let lengths = set.iter().map(|it| it.name.len() + it.value.len());
    let bytes = lengths.sum::<usize>() + size_of_val(set);
    u64::try_from(bytes).expect("a length fits 64 bits")
}

/// How the attributes of a name in an open directory are reached. There is no system call for that before Linux 6.13,
/// and the only way without opening the file, which its mode may forbid and which is not done to a device, leads
/// through `/proc`: its entry for the directory is followed, the name is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AttributeAccess {
    /// By path, through this directory of descriptors: `/proc/PID/fd`.
    Proc(String),
    /// There is no `/proc`: by opening files and directories. Symbolic links and special files are taken to have none.
    Open,
}

impl AttributeAccess {
    /// Whether `/proc` shows this process's descriptors.
    pub(crate) fn detect(directory: BorrowedFd<'_>) -> Self {
        // The link `self` would be followed for every node; what it says now stays true.
        let Ok(Ok(process)) = readlink(c"/proc/self", Vec::new()).map(CString::into_string) else {
            return Self::Open;
        };
        let descriptors = format!("/proc/{process}/fd");
        let through_proc = rustix::fs::stat(format!("{descriptors}/{}", directory.as_raw_fd()));
        match (through_proc, rustix::fs::fstat(directory)) {
            (Ok(one), Ok(other)) if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino) => {
                Self::Proc(descriptors)
            }
            _ => Self::Open,
        }
    }
}

/// Something whose attributes can be read.
pub(crate) enum Target<'a> {
    /// A path; a link at its end is not followed.
    Path(&'a CStr),
    /// An open file or directory.
    Descriptor(BorrowedFd<'a>),
}

impl Target<'_> {
    fn list_length(&self) -> Result<usize, Errno> {
        match self {
            Self::Path(path) => llistxattr_query(*path),
            Self::Descriptor(fd) => flistxattr_query(fd),
        }
    }

    fn list(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Path(path) => llistxattr(*path, buffer),
            Self::Descriptor(fd) => flistxattr(fd, buffer),
        }
    }

    fn get(&self, name: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Path(path) => lgetxattr(*path, name, buffer),
            Self::Descriptor(fd) => fgetxattr(fd, name, buffer),
        }
    }

    /// All attributes that the user can see; none where the file system has no such thing.
    pub(crate) fn attributes(&self) -> Result<Vec<Attribute>, Errno> {
        match self.list_length() {
            Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Ok(_) => {}
            Err(error) => return Err(error),
        }
        let names = grow(|buffer| self.list(buffer))?;
        let mut attributes = Vec::new();
        for name in names
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
        {
            let c_name = CString::new(name).expect("the list was split at NUL");
            match grow(|buffer| self.get(&c_name, buffer)) {
                Ok(value) => attributes.push(Attribute {
                    name: name.to_vec(),
                    value,
                }),
                // A name may be listed that the user cannot read, and it may vanish.
                Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(attributes)
    }
}

fn grow(mut read: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; USUAL];
    let length = match read(&mut buffer) {
        Err(Errno::RANGE) => {
            buffer.resize(LONGEST, 0);
            read(&mut buffer)?
        }
        result => result?,
    };
    buffer.truncate(length);
    Ok(buffer)
}

/// The attributes of an open file or directory.
pub(crate) fn of_open(fd: impl AsFd) -> Result<Vec<Attribute>, Errno> {
    Target::Descriptor(fd.as_fd()).attributes()
}
