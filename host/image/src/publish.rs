//! The image's file: spliced together without a name, then published.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use cellblock_text::hexadecimal;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::existing::is_same;
use super::{Copying, ImageError, Obstacle, PartitionFile, Scratch, Sink, copy, scratch};

/// The bytes that are handed to a sink at a time.
const DRAINED: usize = 1 << 20;

/// How often a folder is asked for that somebody has locked, and how long it is waited in between.
const LOCK_ATTEMPTS: u32 = 100;
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// The most copies that are made beside one file at a time.
const MOST_COPIES: u32 = 100;

/// What of a published image is on the disk itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It is written, and the kernel flushes it when it likes: a power cut may take it.
    #[default]
    Written,
    /// The file and its name are flushed before anything is said to be done.
    Flushed,
}

/// The SHA-256 digest of what is drained into it.
struct Digest<'a> {
    state: Sha256,
    /// Is told of each number of bytes of data.
    watch: &'a dyn Fn(u64),
}

impl Sink for Digest<'_> {
    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.state.update(bytes);
        (self.watch)(bytes.len() as u64);
        Ok(())
    }
}

/// An image that is being put together. It has no name until [`Image::publish`].
#[derive(Debug)]
pub struct Image {
    file: File,
    size: u64,
    scratch: Scratch,
}

impl Image {
    /// An image of `size` zero bytes.
    ///
    /// # Errors
    /// [`ImageError`] if its file cannot be made.
    pub fn new(scratch: &Scratch, size: u64) -> Result<Self, ImageError> {
        Self::from_file(scratch, scratch.create()?, size)
    }

    /// An image of `size` bytes that `partition`'s file becomes: the partition stands in it already.
    ///
    /// # Errors
    /// [`ImageError`] if the file cannot be extended.
    pub fn around(
        scratch: &Scratch,
        partition: PartitionFile,
        size: u64,
    ) -> Result<Self, ImageError> {
        Self::from_file(scratch, partition.file, size)
    }

    /// An image whose file is `file`, whole and as long as it is.
    pub(super) fn whole(scratch: &Scratch, file: File, size: u64) -> Self {
        Self {
            file,
            size,
            scratch: scratch.clone(),
        }
    }

    fn from_file(scratch: &Scratch, file: File, size: u64) -> Result<Self, ImageError> {
        file.set_len(size)
            .map_err(|source| scratch.transfer_error("making room", 0, size, source))?;
        Ok(Self::whole(scratch, file, size))
    }

    /// The size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The file, for reading.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    /// [`ImageError`] if the disk does not take them.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), ImageError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|source| self.error(offset, bytes.len() as u64, source))
    }

    /// Where its file was made.
    pub(super) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Takes what the file has become for the image.
    pub(super) fn measure(&mut self) -> Result<(), ImageError> {
        let metadata = self.file.metadata();
        let failed = |source| self.scratch.transfer_error("reading", 0, 0, source);
        self.size = metadata.map_err(failed)?.len();
        Ok(())
    }

    /// Moves `partition` to `offset`, where the image has zeros: clones it, or copies its data. Holes stay holes.
    ///
    /// # Errors
    /// [`ImageError`] if the disk does not take it.
    pub fn splice(
        &self,
        partition: &PartitionFile,
        offset: u64,
        how: Copying<'_>,
    ) -> Result<(), ImageError> {
        let size = partition.size();
        let (source, base) = (&partition.file, partition.base);
        copy::data(source, base, &self.file, offset, size, how)
            .map_err(|source| self.error(offset, size, source))
    }

    /// Copies the file at `path`, which has `length` bytes, to `offset`, where the image has zeros.
    ///
    /// # Errors
    /// [`ImageError`] if it cannot be read or has another length, or the disk does not take it.
    pub fn splice_file(
        &self,
        path: &Path,
        offset: u64,
        length: u64,
        how: Copying<'_>,
    ) -> Result<(), ImageError> {
        copy::raw_file(path, length, &self.file, offset, how)?
            .map_err(|source| self.error(offset, length, source))
    }

    /// A range of the image as one of its own, in a file without a name beside what `scratch` is for: cloned where the disk can,
    /// and holes stay holes.
    ///
    /// # Errors
    /// [`ImageError`] if its file cannot be made, or the disk does not take it.
    pub fn part(
        &self,
        scratch: &Scratch,
        range: Range<u64>,
        how: Copying<'_>,
    ) -> Result<Self, ImageError> {
        let size = range.end - range.start;
        let part = Self::new(scratch, size)?;
        copy::data(&self.file, range.start, &part.file, 0, size, how)
            .map_err(|source| part.error(0, size, source))?;
        Ok(part)
    }

    /// Gives the image its name: at once and complete. What had the name before is replaced, and its permissions stay.
    ///
    /// # Errors
    /// [`ImageError`] if the name cannot be given; what had it before is then as it was.
    pub fn publish(self, path: &Path, durability: Durability) -> Result<(), ImageError> {
        let target = target(path)?;
        let failed = |source| ImageError::Publish {
            path: path.to_owned(),
            source,
        };
        if durability == Durability::Flushed {
            self.file.sync_all().map_err(failed)?;
        }
        match scratch::link(&self.file, &target) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.replace(&target, durability).map_err(failed)?;
            }
            Err(_) => self.copy_to_name(&target, durability).map_err(failed)?,
        }
        if durability == Durability::Flushed {
            let folder = Scratch::beside(&target);
            let folder = File::open(folder.folder());
            folder.and_then(|it| it.sync_all()).map_err(failed)?;
        }
        Ok(())
    }

    /// Hands the bytes of the image to `sink` in order, its holes as holes.
    ///
    /// # Errors
    /// [`ImageError`] if they cannot be read, or the sink does not take them.
    pub fn drain(&self, sink: &mut dyn Sink) -> Result<(), ImageError> {
        self.drain_range(0..self.size, sink)
    }

    fn drain_range(&self, range: Range<u64>, sink: &mut dyn Sink) -> Result<(), ImageError> {
        let (start, length) = (range.start, range.end - range.start);
        let failed = |source| {
            self.scratch
                .transfer_error("reading", start, length, source)
        };
        let taken = |source| ImageError::Sink { source };
        let mut buffer = vec![0; DRAINED];
        let mut offset = start;
        for data in copy::extents(&self.file, start, length).map_err(failed)? {
            sink.zeros(data.start - offset).map_err(taken)?;
            offset = data.start;
            while offset < data.end {
                let count = copy::at_most(data.end - offset, buffer.len());
                let read = self.file.read_exact_at(&mut buffer[..count], offset);
                read.map_err(failed)?;
                sink.data(&buffer[..count]).map_err(taken)?;
                offset += count as u64;
            }
        }
        sink.zeros(range.end - offset).map_err(taken)?;
        sink.finish().map_err(taken)
    }

    /// The SHA-256 digest of the image's bytes. `watch` is told of each number of bytes that has gone in.
    ///
    /// # Errors
    /// [`ImageError`] if they cannot be read.
    pub fn digest(&self, watch: &dyn Fn(u64)) -> Result<[u8; 32], ImageError> {
        self.digest_of(0..self.size, watch)
    }

    /// The SHA-256 digest of a range of the image's bytes. `watch` is told of each number of bytes that has gone in.
    ///
    /// # Errors
    /// [`ImageError`] if they cannot be read.
    pub fn digest_of(
        &self,
        range: Range<u64>,
        watch: &dyn Fn(u64),
    ) -> Result<[u8; 32], ImageError> {
        let mut digest = Digest {
            state: Sha256::new(),
            watch,
        };
        self.drain_range(range, &mut digest)?;
        Ok(digest.state.finalize().into())
    }

    /// `link(2)` does not replace: a name beside the target is linked, and renamed over it at once. Others who build to the
    /// same name use that name too, so the folder is locked meanwhile.
    fn replace(&self, target: &Path, durability: Durability) -> io::Result<()> {
        let permissions = fs::metadata(target)?.permissions();
        self.file.set_permissions(permissions)?;
        let lock = locked_folder(target);
        let mut beside = beside(target);
        if lock.is_none() {
            // Whoever else replaces it at the same time has a name of its own.
            beside
                .as_mut_os_string()
                .push(format!(".{}", std::process::id()));
        }
        scratch::remove(&beside)?;
        match scratch::link(&self.file, &beside) {
            Ok(()) => rename(&beside, target),
            Err(_) => self.copy_to_name(target, durability),
        }
    }

    /// For file systems that cannot name an unnamed file: it is copied to one of a name that nobody else has, which is renamed
    /// once it is complete.
    fn copy_to_name(&self, target: &Path, durability: Durability) -> io::Result<()> {
        let (beside, named) = own_name(target)?;
        let copied = named
            .set_len(self.size)
            .and_then(|()| named.set_permissions(self.file.metadata()?.permissions()))
            .and_then(|()| copy::data(&self.file, 0, &named, 0, self.size, Copying::ALONE))
            .and_then(|()| match durability {
                Durability::Flushed => named.sync_all(),
                Durability::Written => Ok(()),
            });
        match copied {
            Ok(()) => rename(&beside, target),
            Err(error) => {
                scratch::remove(&beside)?;
                Err(error)
            }
        }
    }

    fn error(&self, offset: u64, length: u64, source: io::Error) -> ImageError {
        self.scratch
            .transfer_error("writing", offset, length, source)
    }
}

/// Checks before anything is built that an image can have the name `path`, and gives the name itself: a symbolic link's
/// target.
///
/// # Errors
/// [`ImageError`] if it is a directory's or a device's or that of a file which cannot be replaced, or its folder is not there.
pub fn target(path: &Path) -> Result<PathBuf, ImageError> {
    let create_error = |source| ImageError::Create {
        folder: Scratch::beside(path).folder().to_owned(),
        source,
    };
    // Only a folder can have such a name, and none of this one is there.
    let name = path.as_os_str().as_encoded_bytes();
    if name.ends_with(b"/") || name.ends_with(b"/.") {
        return Err(ImageError::IsDirectory {
            path: path.to_owned(),
        });
    }
    let target = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => {
            path.canonicalize()
                .map_err(|error| match (error.kind(), fs::read_link(path)) {
                    // Where the link of a process leads to a pipe, it has a text that is no path.
                    (io::ErrorKind::NotFound, Ok(_)) if fs::metadata(path).is_ok() => {
                        ImageError::NotAFile {
                            path: path.to_owned(),
                        }
                    }
                    (io::ErrorKind::NotFound, Ok(to)) => ImageError::Dangling {
                        path: path.to_owned(),
                        to,
                    },
                    _ => create_error(error),
                })?
        }
        _ => path.to_owned(),
    };
    match fs::metadata(&target) {
        Ok(metadata) if metadata.is_dir() => Err(ImageError::IsDirectory { path: target }),
        Ok(metadata) if !metadata.is_file() => Err(ImageError::NotAFile { path: target }),
        Ok(_) => match Obstacle::of(&target) {
            Some(obstacle) => Err(ImageError::Held {
                path: path.to_owned(),
                obstacle,
            }),
            None => Ok(target),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if path.file_name().is_none() {
                return Err(ImageError::IsDirectory { path: target });
            }
            let folder = Scratch::beside(&target);
            fs::metadata(folder.folder()).map_err(create_error)?;
            Ok(target)
        }
        Err(error) => Err(create_error(error)),
    }
}

/// The folder of `target`, locked until it is dropped or the process ends; none where folders cannot be locked, or somebody else has locked
/// it for longer than replacing takes, such as `flock FOLDER cellblock …`, which waits for this process in turn.
fn locked_folder(target: &Path) -> Option<File> {
    let folder = File::open(Scratch::beside(target).folder()).ok()?;
    for _ in 0..LOCK_ATTEMPTS {
        match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Some(folder),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) => thread::sleep(LOCK_INTERVAL),
            Err(_) => return None,
        }
    }
    None
}

/// A new file beside `target` with a name that nobody else writes to: who copies keeps it locked, and one that is not locked was left
/// by a process that was killed.
pub(super) fn own_name(target: &Path) -> io::Result<(PathBuf, File)> {
    for number in 0..MOST_COPIES {
        let mut path = beside(target);
        path.as_mut_os_string().push(format!(".copy{number}"));
        if is_left(&path) {
            scratch::remove(&path)?;
        }
        match scratch::create_named(&path) {
            Ok(file) => {
                // Somebody else may have come between, and taken it for one that was left.
                let is_free = !matches!(lock_alone(&file), Err(Errno::WOULDBLOCK));
                if is_free && is_of(&path, &file) {
                    return Ok((path, file));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Whether a copy is nobody's: it is there, and not locked. Where files cannot be locked, none is.
fn is_left(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| lock_alone(&file).is_ok() && is_of(path, &file))
}

fn lock_alone(file: &File) -> Result<(), Errno> {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)
}

/// Whether the open file is the one of this name.
fn is_of(path: &Path, file: &File) -> bool {
    let named = fs::symlink_metadata(path);
    named.is_ok_and(|named| file.metadata().is_ok_and(|open| is_same(&named, &open)))
}

/// The name beside `target` that exists between a link and a rename only; one that a killed process left is replaced. It
/// is short, however long the target's is.
fn beside(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default();
    let digest = Sha256::digest(name.as_encoded_bytes());
    target.with_file_name(format!(".cellblock.{}", hexadecimal(&digest[..8])))
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to).inspect_err(|_| {
        // The error that is returned says more than one of the removal.
        let _ = scratch::remove(from);
    })
}
