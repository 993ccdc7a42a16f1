//! Memory that the host and a process behind the wall both see, and either may write to at any time.
//!
//! It is a file without a name whose size can change no more, so that none of it is ever gone. The host takes every word of it
//! once, into memory of its own, before it looks at it: what another process writes meanwhile changes no check.

#![expect(
    unsafe_code,
    reason = "memory is mapped, and another process writes to it"
)]

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The bytes of a word: offsets are multiples of it.
pub(super) const WORD: usize = 8;

/// Where a process behind the wall has the memory that it shares. Everything else of its own stands above, where the kernel puts
/// it, so that one comparison tells an address of shared memory.
pub(super) const PLACE: u64 = 64 << 30;
/// The end of the addresses that shared memory may have in a process behind the wall.
pub(super) const PLACE_END: u64 = 96 << 30;

/// What keeps its size.
const SEALS: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::SEAL);

/// A mapping of shared memory.
pub(super) struct Shared {
    start: NonNull<AtomicU64>,
    /// In bytes.
    length: usize,
}

// SAFETY: every access is to an atomic.
unsafe impl Send for Shared {}
// SAFETY: the same.
unsafe impl Sync for Shared {}

impl Shared {
    /// New memory of `length` bytes, all zero, and the file that another process gets it by.
    pub(super) fn new(length: usize) -> io::Result<(Self, OwnedFd)> {
        let file =
            rustix::fs::memfd_create("cellblock", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, length as u64)?;
        fcntl_add_seals(&file, SEALS)?;
        let shared = Self::map(&file, length, None)?;
        Ok((shared, file))
    }

    /// The memory of `file`, as a process behind the wall has it: at least `least` bytes.
    pub(super) fn inside(file: impl AsFd, least: usize) -> io::Result<Self> {
        let length = Self::length(&file)?;
        if length < least || !fcntl_get_seals(&file)?.contains(SEALS) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let place = usize::try_from(PLACE).map_err(|_| ErrorKind::Unsupported)?;
        Self::map(file, length, Some(place))
    }

    /// The memory of `file` once more in this process.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn again(file: impl AsFd) -> io::Result<Self> {
        let length = Self::length(&file)?;
        Self::map(file, length, None)
    }

    fn length(file: impl AsFd) -> io::Result<usize> {
        let size = fstat(&file)?.st_size;
        usize::try_from(size).map_err(|_| ErrorKind::InvalidInput.into())
    }

    fn map(file: impl AsFd, length: usize, place: Option<usize>) -> io::Result<Self> {
        let (place, flags) = match place {
            None => (std::ptr::null_mut(), MapFlags::SHARED),
            Some(place) => (
                std::ptr::without_provenance_mut(place),
                MapFlags::SHARED | MapFlags::FIXED_NOREPLACE,
            ),
        };
        // SAFETY: the mapping is new: it takes the place of nothing.
        let start = unsafe {
            mmap(
                place,
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                flags,
                file,
                0,
            )?
        };
        // Kernels before 4.17 take a place for a wish.
        if !place.is_null() && start != place {
            // SAFETY: nobody knows of the mapping.
            unsafe { munmap(start, length)? };
            return Err(ErrorKind::AddrInUse.into());
        }
        let start = NonNull::new(start.cast()).ok_or(ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// The address of `length` bytes from the byte `offset` on. The other process may write there at any time.
    pub(super) fn address(&self, offset: usize, length: usize) -> *mut u8 {
        self.words(offset, length).as_ptr().cast_mut().cast()
    }

    /// The words of `length` bytes from the byte `offset` on.
    fn words(&self, offset: usize, length: usize) -> &[AtomicU64] {
        let end = offset.checked_add(length).expect("bytes of memory");
        assert!(
            offset.is_multiple_of(WORD) && end <= self.length,
            "{offset} to {end} in shared memory of {} bytes",
            self.length
        );
        // SAFETY: these bytes are mapped as long as `self` is there, a mapping begins at a page, and both sides use atomics.
        unsafe {
            let start = self.start.add(offset / WORD);
            std::slice::from_raw_parts(start.as_ptr(), length.div_ceil(WORD))
        }
    }

    /// The word at the byte `offset`.
    pub(super) fn word(&self, offset: usize) -> &AtomicU64 {
        &self.words(offset, WORD)[0]
    }

    /// Takes the bytes from `offset` on.
    pub(super) fn read(&self, offset: usize, buffer: &mut [u8]) {
        let words = self.words(offset, buffer.len());
        let (chunks, rest) = buffer.as_chunks_mut::<WORD>();
        for (chunk, word) in chunks.iter_mut().zip(words) {
            *chunk = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        if let Some(word) = words.get(chunks.len()) {
            let length = rest.len();
            rest.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes()[..length]);
        }
    }

    /// Puts `bytes` at `offset`, and zeros behind them up to a whole word.
    pub(super) fn write(&self, offset: usize, bytes: &[u8]) {
        let words = self.words(offset, bytes.len());
        let (chunks, rest) = bytes.as_chunks::<WORD>();
        for (chunk, word) in chunks.iter().zip(words) {
            word.store(u64::from_ne_bytes(*chunk), Ordering::Relaxed);
        }
        if let Some(word) = words.get(chunks.len()) {
            let mut last = [0; WORD];
            last[..rest.len()].copy_from_slice(rest);
            word.store(u64::from_ne_bytes(last), Ordering::Relaxed);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: nothing borrows from the mapping any more. What fails here leaves it where it is.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bytes_are_seen_on_both_sides() {
        let (one, file) = Shared::new(4096).unwrap();
        let other = Shared::again(&file).unwrap();
        for length in [0, 1, 7, 8, 9, 23, 64] {
            let bytes: Vec<u8> = (1..=length).collect();
            one.write(4000, &bytes);
            let mut read = vec![0xff; bytes.len()];
            other.read(4000, &mut read);
            assert_eq!(read, bytes);
        }
        other.word(8).store(7, Ordering::Relaxed);
        assert_eq!(one.word(8).load(Ordering::Relaxed), 7);
    }

    #[test]
    fn its_size_stays() {
        let (_, file) = Shared::new(4096).unwrap();
        assert_eq!(ftruncate(&file, 0), Err(rustix::io::Errno::PERM));
        assert_eq!(ftruncate(&file, 8192), Err(rustix::io::Errno::PERM));
        // What could shrink is not taken.
        let open = rustix::fs::memfd_create("open", MemfdFlags::empty()).unwrap();
        ftruncate(&open, 4096).unwrap();
        assert!(Shared::inside(&open, 4096).is_err());
        assert!(Shared::inside(&file, 8192).is_err());
    }

    #[test]
    #[should_panic(expected = "4096 to 4104 in shared memory of 4096 bytes")]
    fn nothing_is_read_beyond_its_end() {
        let (shared, _) = Shared::new(4096).unwrap();
        shared.read(4096, &mut [0; 8]);
    }
}
