#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::*;
use crate::tests::{SIZE, options, partition, store, store_in_blocks};
use crate::{Cache, Key};

const KEY: Key = Key([1; 32]);

/// A partition on a disk that shares whole blocks.
struct Sharing<'d> {
    bytes: Mutex<Vec<u8>>,
    /// The bytes that were shared.
    shared: AtomicU64,
    /// What happens to a file just before it is shared.
    before: &'d (dyn Fn(&File) + Sync),
}

impl<'d> Sharing<'d> {
    fn new(before: &'d (dyn Fn(&File) + Sync)) -> Self {
        Self {
            bytes: Mutex::new(vec![0; usize::try_from(SIZE).unwrap()]),
            shared: AtomicU64::new(0),
            before,
        }
    }

    fn shared(&self) -> u64 {
        self.shared.load(Ordering::Relaxed)
    }
}

impl Target for Sharing<'_> {
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.bytes.lock().unwrap()[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn shares(&self, file: &File, length: u64, offset: u64) -> bool {
        if !length.is_multiple_of(4096) || !offset.is_multiple_of(4096) {
            return false;
        }
        (self.before)(file);
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        self.write(offset, &bytes).unwrap();
        self.shared.fetch_add(length, Ordering::Relaxed);
        true
    }
}

/// The chunks, the list of them among these.
fn blobs(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("cas")).unwrap();
    let mut paths: Vec<_> = entries.map(|it| it.unwrap().path()).collect();
    paths.sort();
    paths
}

/// All chunks were stored so long ago.
fn age(folder: &Path, age: Duration) {
    for path in blobs(folder) {
        let file = File::open(path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
}

/// Whether the right bytes came back into `target`; none if nothing did.
fn came(folder: &Path, target: &Sharing<'_>) -> Option<bool> {
    let cache = Cache::open(options(folder)).unwrap();
    let came = cache.find(&KEY, |hit| hit.restore(target).then_some(()));
    assert!(cache.take_warnings().len() <= 1);
    came.map(|()| *target.bytes.lock().unwrap() == partition().0)
}

fn stored() -> tempfile::TempDir {
    let base = tempfile::tempdir().unwrap();
    store(&Cache::open(options(base.path())).unwrap(), KEY);
    base
}

const SETTLED: Duration = Duration::from_secs(120);

#[test]
fn whole_blocks_are_shared_once_they_are_on_the_disk_and_the_rest_is_written() {
    let base = stored();
    let fresh = Sharing::new(&|_| ());
    assert_eq!(came(base.path(), &fresh), Some(true));
    assert_eq!(fresh.shared(), 0, "the disk would be waited for");
    age(base.path(), SETTLED);
    let settled = Sharing::new(&|_| ());
    assert_eq!(came(base.path(), &settled), Some(true));
    // All but the last chunk of each range, which ends within a block.
    let data: u64 = 9_000_000 - 4096;
    assert!((data - (1 << 20)..data).contains(&settled.shared()));
}

#[test]
fn chunks_that_were_cut_within_blocks_are_used_and_written() {
    let base = tempfile::tempdir().unwrap();
    store_in_blocks(&Cache::open(options(base.path())).unwrap(), KEY, 1);
    age(base.path(), SETTLED);
    let target = Sharing::new(&|_| ());
    assert_eq!(came(base.path(), &target), Some(true));
    // By chance one may be whole blocks.
    assert!(target.shared() < 1 << 20, "{}", target.shared());
}

#[test]
fn what_changes_between_hashing_and_sharing_is_written_as_it_was_hashed() {
    let base = stored();
    age(base.path(), SETTLED);
    let change = |file: &File| {
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file));
        let other = File::options().write(true).open(path).unwrap();
        other.write_all_at(b"other bytes", 5000).unwrap();
    };
    let target = Sharing::new(&change);
    assert_eq!(came(base.path(), &target), Some(true));
    assert!(target.shared() > 0);
    // The files are wrong now, and that is found.
    age(base.path(), SETTLED);
    assert_eq!(came(base.path(), &Sharing::new(&|_| ())), None);
}

/// Each chunk alone, at each place of it, whether it would be shared or written.
#[test]
fn a_chunk_that_is_wrong_anywhere_is_not_used() {
    let flip = |bytes: &mut Vec<u8>, at: usize| bytes[at] ^= 1;
    type Damage<'a> = &'a dyn Fn(&mut Vec<u8>, &[u8]);
    let damages: [Damage<'_>; 8] = [
        &|bytes, _| flip(bytes, 0),
        &|bytes, _| flip(bytes, bytes.len() / 2),
        &|bytes, _| flip(bytes, bytes.len() - 1),
        &|bytes, _| bytes.truncate(bytes.len() - 1),
        &|bytes, _| bytes.push(0),
        &|bytes, _| bytes.clear(),
        &|bytes, _| bytes.fill(0),
        &|bytes, other| *bytes = other.to_vec(),
    ];
    let base = stored();
    let paths = blobs(base.path());
    assert!(paths.len() > 10);
    for (index, path) in paths.iter().enumerate() {
        let right = fs::read(path).unwrap();
        let other = fs::read(&paths[(index + 1) % paths.len()]).unwrap();
        for (number, damage) in damages.iter().enumerate() {
            let mut wrong = right.clone();
            damage(&mut wrong, &other);
            for is_settled in [false, true] {
                fs::write(path, &wrong).unwrap();
                if is_settled {
                    age(base.path(), SETTLED);
                }
                let found = came(base.path(), &Sharing::new(&|_| ()));
                assert_eq!(found, None, "{}: {number}", path.display());
            }
        }
        fs::write(path, &right).unwrap();
    }
    assert_eq!(came(base.path(), &Sharing::new(&|_| ())), Some(true));
}

#[test]
fn a_chunk_is_told_to_be_used_by_its_time_once_an_hour() {
    let base = stored();
    let times = || -> Vec<SystemTime> {
        let of = |path: &PathBuf| fs::metadata(path).unwrap().modified().unwrap();
        blobs(base.path()).iter().map(of).collect()
    };
    age(base.path(), Duration::from_secs(59 * 60));
    let before = times();
    assert_eq!(came(base.path(), &Sharing::new(&|_| ())), Some(true));
    assert_eq!(times(), before);
    age(base.path(), Duration::from_secs(61 * 60));
    assert_eq!(came(base.path(), &Sharing::new(&|_| ())), Some(true));
    let now = SystemTime::now();
    let is_new = |time: &SystemTime| now.duration_since(*time).is_ok_and(|it| it < SETTLED);
    assert!(times().iter().all(is_new));
}

#[test]
fn neighbours_in_the_buffer_and_in_the_partition_are_written_at_once() {
    let ranges = [(0, 0..10), (10, 10..15), (20, 15..20), (25, 22..23)];
    let found = neighbours(&ranges);
    assert_eq!(found, [(0, 0..15), (20, 15..20), (25, 22..23)]);
    assert_eq!(neighbours(&[]), []);
}
