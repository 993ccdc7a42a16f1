//! The looking at names in one open directory: what each is, its attributes, whether it has holes.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::plant::{Found, FoundBody, FoundMetadata};
use super::walk::{STATUS_FLAGS, Walk};
use crate::source::attributes::{self, AttributeAccess, Target};
use crate::source::beneath::{self, ROOT};
use crate::source::budget::OverBudget;
use crate::source::stamp::{Stamp, device, modified};
use crate::{Attribute, Kind};
use rustix::fs::{
    Access, AtFlags, FileType, FsWord, SeekFrom, Statx, StatxFlags, accessat, readlinkat, statx,
};
use rustix::io::Errno;

/// A symbolic link's target of more bytes than this counts for the memory that the walk may take.
const LONG_TARGET: usize = 256;

pub(super) fn metadata(status: &Statx, attributes: Arc<[Attribute]>) -> FoundMetadata {
    FoundMetadata {
        mode: status.stx_mode & 0o7777,
        uid: status.stx_uid,
        gid: status.stx_gid,
        modified: modified(status),
        attributes,
    }
}

pub(super) fn file_type(status: &Statx) -> FileType {
    FileType::from_raw_mode(status.stx_mode.into())
}

/// The looking at names in one open directory.
pub(super) struct Inspection<'a> {
    pub(super) walk: &'a Walk<'a>,
    pub(super) fd: BorrowedFd<'a>,
    /// `/proc/PID/fd/N/`, where there is `/proc`.
    pub(super) proc_path: Vec<u8>,
    /// A device whose file system was found to have no attributes.
    pub(super) without_attributes: Option<u64>,
    /// A device whose file system was found to say how long files are.
    pub(super) with_lengths: Option<u64>,
}

/// What could not be done, and why.
pub(super) enum Failure {
    Io(&'static str, Errno),
    /// A file of such a file system.
    WithoutLength(&'static str),
    Kept(OverBudget),
}

impl Inspection<'_> {
    pub(super) fn status(&self, name: &CStr) -> Result<Statx, Failure> {
        statx(self.fd, name, STATUS_FLAGS, StatxFlags::BASIC_STATS)
            .map_err(|error| Failure::Io("inspect", error))
    }

    pub(super) fn inspect(&mut self, name: &CStr, status: &Statx) -> Result<Found, Failure> {
        let body = match file_type(status) {
            FileType::Directory => FoundBody::Directory {
                number: ROOT,
                stamp: Stamp::new(status),
            },
            FileType::RegularFile => self.file(name, status)?,
            FileType::Symlink => {
                let target = readlinkat(self.fd, name, Vec::new())
                    .map_err(|error| Failure::Io("read the link", error))?;
                FoundBody::Other(Kind::Symlink(target.into_bytes().into()))
            }
            FileType::CharacterDevice => FoundBody::Other(Kind::CharacterDevice {
                major: status.stx_rdev_major,
                minor: status.stx_rdev_minor,
            }),
            FileType::BlockDevice => FoundBody::Other(Kind::BlockDevice {
                major: status.stx_rdev_major,
                minor: status.stx_rdev_minor,
            }),
            FileType::Fifo => FoundBody::Other(Kind::Fifo),
            FileType::Socket => FoundBody::Other(Kind::Socket),
            FileType::Unknown => return Err(Failure::Io("tell the type of", Errno::OPNOTSUPP)),
        };
        let may_have_links = status.stx_nlink > 1 && !matches!(body, FoundBody::Directory { .. });
        let attributes = self.attributes(name, status, &body)?;
        let long_target = match &body {
            FoundBody::Other(Kind::Symlink(target)) if target.len() > LONG_TARGET => target.len(),
            _ => 0,
        };
        let attributes = if attributes.is_empty() && long_target == 0 {
            Arc::default()
        } else {
            self.walk.keep(attributes, long_target)?
        };
        Ok(Found {
            name: name.to_bytes().into(),
            metadata: metadata(status, attributes),
            identity: may_have_links.then(|| (device(status), status.stx_ino)),
            body,
        })
    }

    fn file(&mut self, name: &CStr, status: &Statx) -> Result<FoundBody, Failure> {
        let size = status.stx_size;
        self.check_length(name, status)?;
        // A mode that lets everybody read needs no question; for others it is better asked now than found out
        // when half of the image is written.
        if size > 0 && status.stx_mode & 0o444 != 0o444 {
            // Not every kernel can answer; then reading will.
            let answer = accessat(self.fd, name, Access::READ_OK, AtFlags::EACCESS);
            if answer == Err(Errno::ACCESS) {
                return Err(Failure::Io("read", Errno::ACCESS));
            }
        }
        // Fewer blocks than bytes may also mean compression or inline data: only the file system knows.
        let sparse = status.stx_blocks.saturating_mul(512) < size
            && has_holes(self.fd, name, size).map_err(|error| Failure::Io("read", error))?;
        Ok(FoundBody::File {
            size,
            sparse,
            stamp: Stamp::new(status),
        })
    }

    /// Refuses a file whose length is not known before it is read, as those of `/proc`.
    fn check_length(&mut self, name: &CStr, status: &Statx) -> Result<(), Failure> {
        // Every file system of the kind has a device number without a device.
        if status.stx_dev_major != 0 {
            return Ok(());
        }
        if self.with_lengths != Some(device(status)) {
            let found = beneath::open_path(self.fd, name).and_then(without_lengths);
            if let Ok(Some(filesystem)) = found {
                return Err(Failure::WithoutLength(filesystem));
            }
            self.with_lengths = Some(device(status));
        }
        // Others, such as those of user space, can do it too.
        if status.stx_size == 0
            && let Ok(file) = beneath::open_file(self.fd, name)
            && rustix::io::read(file, &mut [0]).is_ok_and(|count| count > 0)
        {
            return Err(Failure::WithoutLength(
                "a file system that does not tell lengths",
            ));
        }
        Ok(())
    }

    fn attributes(
        &mut self,
        name: &CStr,
        status: &Statx,
        body: &FoundBody,
    ) -> Result<Vec<Attribute>, Failure> {
        if self.without_attributes == Some(device(status)) {
            return Ok(Vec::new());
        }
        let result = match (&self.walk.access, body) {
            (AttributeAccess::Proc(_), _) => self.attributes_through_proc(name),
            (AttributeAccess::Open, FoundBody::Directory { .. } | FoundBody::File { .. }) => {
                beneath::open_file(self.fd, name).and_then(attributes::of_open)
            }
            (AttributeAccess::Open, FoundBody::Other(_)) => Ok(Vec::new()),
        };
        match result {
            Err(Errno::OPNOTSUPP) => {
                self.without_attributes = Some(device(status));
                Ok(Vec::new())
            }
            result => result.map_err(|error| Failure::Io("read the attributes of", error)),
        }
    }

    fn attributes_through_proc(&mut self, name: &CStr) -> Result<Vec<Attribute>, Errno> {
        let directory_length = self.proc_path.len();
        self.proc_path.extend_from_slice(name.to_bytes_with_nul());
        let path = CStr::from_bytes_with_nul(&self.proc_path).expect("the name ends in NUL");
        let result = Target::Path(path).attributes();
        self.proc_path.truncate(directory_length);
        result
    }
}

pub(super) fn has_holes(directory: BorrowedFd<'_>, name: &CStr, size: u64) -> Result<bool, Errno> {
    let file = beneath::open_file(directory, name)?;
    Ok(first_hole(&file).is_some_and(|hole| hole < size))
}

/// The first hole of an open file; `None` where the file system cannot tell.
pub(crate) fn first_hole(file: impl AsFd) -> Option<u64> {
    rustix::fs::seek(file, SeekFrom::Hole(0)).ok()
}

/// What the file system of an open file is called, if its files have no length before they are read.
pub(crate) fn without_lengths(file: impl AsFd) -> Result<Option<&'static str>, Errno> {
    // Their numbers (linux/magic.h).
    const FILESYSTEMS: [(FsWord, &str); 8] = [
        (0x9fa0, "procfs"),
        (0x6265_6572, "sysfs"),
        (0x0027_e0eb, "cgroupfs"),
        (0x6367_7270, "cgroupfs"),
        (0x6462_6720, "debugfs"),
        (0x7472_6163, "tracefs"),
        (0x7363_6673, "securityfs"),
        (0x6265_6570, "configfs"),
    ];
    let found = rustix::fs::fstatfs(file)?.f_type;
    let known = FILESYSTEMS.iter().find(|(number, _)| *number == found);
    Ok(known.map(|(_, name)| *name))
}
