//! An image that exists, and the content of one of its partitions: out of it, and into it.
//!
//! ```text
//!                      ┌─ clone, without a name ── put ── publish: the old image or the new one, at any moment
//!     Existing, locked ┤
//!                      └─ reserve ── put, in place: the partition is undefined while it is written
//! ```
//!
//! Nothing outside the partition is ever written, the table included. Where the content has a hole the partition gets
//! one, or zeros where the file system cannot take blocks back: no byte from before remains.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FlockOperation, XattrFlags};
use rustix::io::Errno;

use super::disk::is_fixed_vhd;
use super::{
    Bytes, Copying, Durability, Image, ImageError, PartitionFile, Scratch, Snapshots, VirtualDisk,
    copy,
};
use cellblock_table::{ReadAt, SectorSize};
use cellblock_tree::recognise::{Format, HEAD, recognise};
use cellblock_tree::source::Seen;
use cellblock_tree::volume::Decoders;

/// The longest list of extended attributes, and the longest value of one (xattr(7)).
const LONGEST_ATTRIBUTE: usize = 64 << 10;

/// An image that exists, or a disk that may be read.
#[derive(Debug)]
pub struct Existing {
    file: File,
    path: PathBuf,
    size: u64,
    /// Of a block device, as the kernel says it; a file has none.
    sector_size: Option<SectorSize>,
    /// The disk in it, where it is no plain one.
    disk: Option<VirtualDisk>,
}

/// Whether the image is changed in a clone or a copy that then takes its place at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Atomic {
    /// Where the file system clones files, and the image has one name and an owner and attributes that a clone can have.
    Auto,
    /// Always, by copying the image where it cannot be cloned.
    Always,
    /// Never: in place.
    Never,
}

/// How an image was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A changed clone or copy has taken its place.
    Replaced,
    /// It was written in place.
    InPlace,
}

/// What a partition is to hold: a range of a file, and zeros behind it.
#[derive(Debug)]
pub struct Replacement<'a> {
    file: &'a File,
    base: u64,
    length: u64,
    seen: Seen,
}

impl<'a> Replacement<'a> {
    /// A file, whole.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn of_file(file: &'a File) -> io::Result<Self> {
        let seen = Seen::of(file)?;
        Ok(Self {
            file,
            base: 0,
            length: seen.size(),
            seen,
        })
    }

    /// A partition file.
    ///
    /// # Errors
    /// [`ImageError::Transfer`] if it cannot be looked at.
    pub fn of_partition(partition: &'a PartitionFile) -> Result<Self, ImageError> {
        let (file, base, length) = (&partition.file, partition.base, partition.size());
        let seen =
            Seen::of(file).map_err(|source| partition.error("reading", 0, length, source))?;
        Ok(Self {
            file,
            base,
            length,
            seen,
        })
    }

    /// The length in bytes, without the zeros behind it.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Refuses a file that has been written to since it was looked at.
    fn check(&self) -> io::Result<()> {
        match self.seen.change(self.file)? {
            None => Ok(()),
            Some(how) => Err(io::Error::other(format!(
                "the file with its new content changed while it was copied: {how}"
            ))),
        }
    }
}

impl ReadAt for Existing {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &self.disk {
            Some(disk) => disk.read(offset, buffer),
            None => self.file.read_exact_at(buffer, offset),
        }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn sector_size(&self) -> Option<SectorSize> {
        self.sector_size
    }
}

/// The size of a block device's logical sectors; none for anything else, and where the kernel does not say it.
fn sector_size(file: &File) -> Option<SectorSize> {
    let is_device = file.metadata().ok()?.file_type().is_block_device();
    let bytes = is_device.then(|| rustix::fs::ioctl_blksszget(file).ok())?;
    SectorSize::try_from(bytes?).ok()
}

impl Existing {
    /// Opens an image or a disk for reading.
    ///
    /// # Errors
    /// [`ImageError::Open`] if it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        Self::from_file(path, File::open(path))
    }

    /// The disk in it, where it is a file of a format that virtual machines have and [that is read](VirtualDisk); else itself.
    /// Nothing can be changed in such a disk. `decoders` are asked for what is compressed in it.
    ///
    /// # Errors
    /// [`ImageError::Open`] if the format has what is not read, or the file is damaged.
    pub fn with_disk(mut self, decoders: &Arc<dyn Decoders>) -> Result<Self, ImageError> {
        let disk = VirtualDisk::open(&self.file, self.size, decoders);
        self.disk = disk.map_err(|source| ImageError::Open {
            path: self.path.clone(),
            source,
        })?;
        if let Some(disk) = &self.disk {
            self.size = disk.size();
        }
        Ok(self)
    }

    /// The snapshots that its file holds beside the [disk in it](Self::with_disk); none of them is read.
    #[must_use]
    pub fn snapshots(&self) -> Option<&Snapshots> {
        self.disk.as_ref()?.snapshots()
    }

    /// What the kernel knows of its file.
    ///
    /// # Errors
    /// If that cannot be asked.
    pub fn metadata(&self) -> io::Result<fs::Metadata> {
        self.file.metadata()
    }

    /// The file in which its bytes are as they are; none if it is a [disk in a file of another format](Self::with_disk).
    #[must_use]
    pub fn plain_file(&self) -> Option<&File> {
        self.disk.is_none().then_some(&self.file)
    }

    /// What it is by its first bytes, or as a VHD by its last ones, if that is a known format. Of a
    /// [disk in it](Self::with_disk) it is what that holds.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn recognise(&self) -> io::Result<Option<&'static Format>> {
        let length = usize::try_from(self.size).map_or(HEAD, |size| size.min(HEAD));
        let mut head = vec![0; length];
        self.read_at(0, &mut head)?;
        if self.disk.is_none()
            && let Some(vhd) = is_fixed_vhd(&self.file, self.size)?
        {
            return Ok(Some(vhd));
        }
        Ok(recognise(&head))
    }

    /// Opens an image for reading, while nobody changes it. `waiting` is called before waiting for somebody who does.
    ///
    /// # Errors
    /// [`ImageError`] if it cannot be opened or locked.
    pub fn open_unchanging(path: &Path, waiting: &dyn Fn()) -> Result<Self, ImageError> {
        Self::locked(waiting, true, || Self::open(path))
    }

    /// Opens an image for changing it, alone. `waiting` is called before waiting for somebody else who reads or changes
    /// it.
    ///
    /// # Errors
    /// [`ImageError`] if it is no regular file, or cannot be opened or locked.
    pub fn open_alone(path: &Path, waiting: &dyn Fn()) -> Result<Self, ImageError> {
        Self::locked(waiting, false, || Self::open_changeable(path))
    }

    /// Opens an image that could be changed, without a lock.
    ///
    /// # Errors
    /// [`ImageError`] if it is no regular file or cannot be opened.
    pub fn open_changeable(path: &Path) -> Result<Self, ImageError> {
        let failed = |source| ImageError::Open {
            path: path.to_owned(),
            source,
        };
        // The name itself: the new image takes the place of the file, not of a symbolic link to it.
        let target = path.canonicalize().map_err(failed)?;
        if !fs::metadata(&target).map_err(failed)?.is_file() {
            return Err(ImageError::NotChangeable { path: target });
        }
        let file = OpenOptions::new().read(true).write(true).open(&target);
        Self::from_file(&target, file)
    }

    /// Where its bytes are, and their number.
    pub(super) fn whole(&self) -> (Bytes<'_>, u64) {
        let bytes = match &self.disk {
            Some(disk) => Bytes::Disk(disk),
            None => Bytes::File(&self.file),
        };
        (bytes, self.size)
    }

    /// The SHA-256 digest of the bytes in `range`.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn digest(&self, range: Range<u64>) -> io::Result<[u8; 32]> {
        let (bytes, _) = self.whole();
        bytes.digest(range, |_, source| source)
    }

    fn from_file(path: &Path, file: io::Result<File>) -> Result<Self, ImageError> {
        // The end of a device is found by seeking, not by asking for its length.
        let opened = file.and_then(|file| {
            let kind = file.metadata()?.file_type();
            if kind.is_dir() {
                let why = "is a directory, and an image is a file";
                return Err(io::Error::new(io::ErrorKind::IsADirectory, why));
            }
            if !kind.is_file() && !kind.is_block_device() {
                let why = "is neither a file nor a disk; write what it gives into a file first";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
            let size = io::Seek::seek(&mut &file, io::SeekFrom::End(0))?;
            Ok((file, size))
        });
        let (file, size) = opened.map_err(|source| ImageError::Open {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            sector_size: sector_size(&file),
            file,
            path: path.to_owned(),
            size,
            disk: None,
        })
    }

    fn locked(
        waiting: &dyn Fn(),
        shared: bool,
        open: impl Fn() -> Result<Self, ImageError>,
    ) -> Result<Self, ImageError> {
        loop {
            let image = open()?;
            let failed = |source| ImageError::Lock {
                path: image.path.clone(),
                source,
            };
            image.lock(shared, waiting).map_err(failed)?;
            // Whoever held the lock may have put a new file in the place of this one.
            let named = fs::metadata(&image.path).map_err(failed)?;
            if is_same(&named, &image.file.metadata().map_err(failed)?) {
                // Its length is that of now, not of before the wait.
                return Self::from_file(&image.path, Ok(image.file));
            }
        }
    }

    fn lock(&self, shared: bool, waiting: &dyn Fn()) -> io::Result<()> {
        let (at_once, patiently) = if shared {
            (
                FlockOperation::NonBlockingLockShared,
                FlockOperation::LockShared,
            )
        } else {
            (
                FlockOperation::NonBlockingLockExclusive,
                FlockOperation::LockExclusive,
            )
        };
        match rustix::fs::flock(&self.file, at_once) {
            Err(Errno::WOULDBLOCK) => {
                waiting();
                Ok(rustix::io::retry_on_intr(|| {
                    rustix::fs::flock(&self.file, patiently)
                })?)
            }
            result => Ok(result?),
        }
    }

    /// The name: of a symbolic link, that of the file behind it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether `other` is this very file.
    ///
    /// # Errors
    /// If one of them cannot be looked at.
    pub fn is(&self, other: &File) -> io::Result<bool> {
        Ok(is_same(&self.file.metadata()?, &other.metadata()?))
    }

    /// The bytes of `place`, in an image of their own without a name; holes stay holes.
    ///
    /// # Errors
    /// [`ImageError`] if they cannot be read, or there is no room for them.
    pub fn cut(
        &self,
        place: Range<u64>,
        scratch: &Scratch,
        how: Copying<'_>,
    ) -> Result<Image, ImageError> {
        let length = place.end - place.start;
        let image = Image::new(scratch, length)?;
        let copied = match &self.disk {
            None => copy::data(&self.file, place.start, image.file(), 0, length, how),
            Some(disk) => {
                let cut = disk.copy(place, image.file(), how.watch);
                cut.map_err(|source| ImageError::Open {
                    path: self.path.clone(),
                    source,
                })?
            }
        };
        copied.map_err(|source| scratch.transfer_error("writing", 0, length, source))?;
        Ok(image)
    }

    /// Makes the bytes of `place` those of `content`, and zeros behind it, and touches no other. They are flushed to the
    /// disk before this returns.
    ///
    /// # Errors
    /// [`ImageError`]. Unless it is [`ImageError::Torn`], the image is as it was.
    ///
    /// # Panics
    /// If the content is longer than the place.
    pub fn splice(
        &self,
        place: Range<u64>,
        content: &Replacement<'_>,
        atomic: Atomic,
        how: Copying<'_>,
    ) -> Result<Change, ImageError> {
        assert!(content.length <= place.end - place.start);
        let scratch = Scratch::beside(&self.path);
        let failed =
            |source| scratch.transfer_error("writing", place.start, content.length, source);
        if let Some(copy) = self.replacement(atomic, &scratch, how.threads)? {
            put(&copy, &place, content, how).map_err(failed)?;
            let copy = Image::whole(&scratch, copy, self.size);
            copy.publish(&self.path, Durability::Flushed)?;
            return Ok(Change::Replaced);
        }
        reserve(&self.file, &place, content).map_err(failed)?;
        put(&self.file, &place, content, how)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| ImageError::Torn {
                path: self.path.clone(),
                source,
            })?;
        Ok(Change::InPlace)
    }

    /// Writes bytes in place, and has them on the disk before it returns.
    ///
    /// # Errors
    /// [`ImageError::InPlace`]; then some of the bytes may have been written.
    pub fn write_through(&self, offset: u64, bytes: &[u8]) -> Result<(), ImageError> {
        let written = self.file.write_all_at(bytes, offset);
        let flushed = written.and_then(|()| self.file.sync_data());
        flushed.map_err(|source| ImageError::InPlace {
            path: self.path.clone(),
            offset,
            source,
        })
    }

    /// A copy of the image that can take its place; none if it is to be changed in place.
    fn replacement(
        &self,
        atomic: Atomic,
        scratch: &Scratch,
        threads: usize,
    ) -> Result<Option<File>, ImageError> {
        let refused = |reason: String| ImageError::NotReplaceable {
            path: self.path.clone(),
            reason,
        };
        match atomic {
            Atomic::Never => Ok(None),
            Atomic::Auto => Ok(self.clone_of(scratch).ok()),
            Atomic::Always => match self.clone_of(scratch) {
                Ok(clone) => Ok(Some(clone)),
                Err(NoClone::NotSupported(copy)) => {
                    let how = Copying {
                        threads,
                        ..Copying::ALONE
                    };
                    copy.set_len(self.size)
                        .and_then(|()| copy::data(&self.file, 0, &copy, 0, self.size, how))
                        .map_err(|source| {
                            scratch.transfer_error("writing", 0, self.size, source)
                        })?;
                    Ok(Some(copy))
                }
                Err(NoClone::Names(count)) => {
                    Err(refused(format!("it has {count} names (hard links)")))
                }
                Err(NoClone::Other(error)) => Err(refused(error.to_string())),
            },
        }
    }

    /// A clone of the image without a name, with its owner, mode and attributes.
    fn clone_of(&self, scratch: &Scratch) -> Result<File, NoClone> {
        let metadata = self.file.metadata()?;
        if metadata.nlink() != 1 {
            return Err(NoClone::Names(metadata.nlink()));
        }
        let clone = scratch.file()?;
        make_alike(&self.file, &metadata, &clone)?;
        match rustix::fs::ioctl_ficlone(&clone, &self.file) {
            Ok(()) => Ok(clone),
            Err(_) => Err(NoClone::NotSupported(clone)),
        }
    }
}

/// Why there is no clone of an image.
enum NoClone {
    /// The file system makes none; here is the file that was to be one, empty.
    NotSupported(File),
    /// The image has several names, of which only one would be the clone's.
    Names(u64),
    /// Something failed.
    Other(io::Error),
}

impl From<io::Error> for NoClone {
    fn from(error: io::Error) -> Self {
        Self::Other(error)
    }
}

/// Whether both are of one file.
pub(super) fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Gives `copy` the owner, the mode and the extended attributes of `original`, access control lists among them.
fn make_alike(original: &File, metadata: &fs::Metadata, copy: &File) -> io::Result<()> {
    let own = copy.metadata()?;
    if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
        std::os::unix::fs::fchown(copy, Some(metadata.uid()), Some(metadata.gid()))?;
    }
    copy.set_permissions(metadata.permissions())?;
    let mut names = vec![0; LONGEST_ATTRIBUTE];
    let length = match rustix::fs::flistxattr(original, &mut names[..]) {
        Err(Errno::OPNOTSUPP) => 0,
        result => result?,
    };
    for name in names[..length].split(|byte| *byte == 0) {
        if !name.is_empty() {
            copy_attribute(original, name, copy)?;
        }
    }
    Ok(())
}

fn copy_attribute(original: &File, name: &[u8], copy: &File) -> io::Result<()> {
    let value = |file: &File| -> io::Result<Vec<u8>> {
        let mut value = vec![0; LONGEST_ATTRIBUTE];
        let length = rustix::fs::fgetxattr(file, name, &mut value[..])?;
        value.truncate(length);
        Ok(value)
    };
    let wanted = value(original)?;
    // Labels that the system gives may not be set, and are often there already.
    if value(copy).is_ok_and(|has| has == wanted) {
        return Ok(());
    }
    Ok(rustix::fs::fsetxattr(
        copy,
        name,
        &wanted,
        XattrFlags::empty(),
    )?)
}

/// Takes the blocks for the content now, so that a full disk is found before a byte has changed.
fn reserve(image: &File, place: &Range<u64>, content: &Replacement<'_>) -> io::Result<()> {
    for data in copy::extents(content.file, content.base, content.length)? {
        let (start, length) = (
            data.start - content.base + place.start,
            data.end - data.start,
        );
        match rustix::fs::fallocate(image, FallocateFlags::KEEP_SIZE, start, length) {
            Ok(()) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Makes the bytes of `place` those of `content`, and zeros where that has holes and behind it.
fn put(
    image: &File,
    place: &Range<u64>,
    content: &Replacement<'_>,
    how: Copying<'_>,
) -> io::Result<()> {
    let mut position = place.start;
    let mut parts = Vec::new();
    for data in copy::extents(content.file, content.base, content.length)? {
        let start = data.start - content.base + place.start;
        let end = data.end - content.base + place.start;
        copy::erase(image, position..start)?;
        (how.watch)(start - position);
        parts.push(copy::Part {
            from: data,
            to: start,
        });
        position = end;
    }
    copy::erase(image, position..place.end)?;
    (how.watch)(place.end - position);
    copy::parts(content.file, parts, image, how)?;
    content.check()
}
