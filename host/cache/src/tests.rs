#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;

const PRIVATE: &[u8] = b"-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";
pub(crate) const SIZE: u64 = 40 << 20;

pub(crate) fn options(folder: &Path) -> Options {
    Options {
        places: vec![Place::Folder(folder.to_owned())],
        mode: Mode::ReadWrite,
        signer: None,
        trusted: Vec::new(),
        limit: DEFAULT_LIMIT,
        patience: DEFAULT_PATIENCE,
        verify_percent: 0,
        jobs: 3,
        locks: None,
    }
}

/// Two ranges of data with a hole between them.
pub(crate) fn partition() -> (Vec<u8>, Vec<Range<u64>>) {
    let mut bytes = vec![0; usize::try_from(SIZE).unwrap()];
    let data = vec![4096..9_000_000, 20 << 20..(20 << 20) + 5];
    let mut state = 1_u64;
    for range in &data {
        for at in range.clone() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            bytes[usize::try_from(at).unwrap()] = state.to_be_bytes()[0];
        }
    }
    (bytes, data)
}

pub(crate) fn store(cache: &Cache, key: Key) {
    store_in_blocks(cache, key, 4096);
}

pub(crate) fn store_in_blocks(cache: &Cache, key: Key, block: u32) {
    let (bytes, data) = partition();
    let read = |offset: u64, buffer: &mut [u8]| {
        let offset = usize::try_from(offset).unwrap();
        buffer.copy_from_slice(&bytes[offset..offset + buffer.len()]);
        Ok(())
    };
    let stored = Stored {
        size: SIZE,
        data: &data,
        block,
        read: &read,
        notes: b"notes".to_vec(),
    };
    cache.store(&key, &stored);
}

/// What comes back, if anything does.
fn restored(cache: &Cache, key: Key) -> Option<Vec<u8>> {
    cache.find(&key, |hit| {
        assert_eq!((hit.size(), hit.notes()), (SIZE, &b"notes"[..]));
        let target = Mutex::new(vec![0; usize::try_from(SIZE).unwrap()]);
        let is_whole = hit.restore(&|offset: u64, bytes: &[u8]| {
            let offset = usize::try_from(offset).unwrap();
            target.lock().unwrap()[offset..offset + bytes.len()].copy_from_slice(bytes);
            Ok(())
        });
        is_whole.then(|| target.into_inner().unwrap())
    })
}

#[test]
fn what_was_stored_comes_back() {
    let base = tempfile::tempdir().unwrap();
    let cache = Cache::open(options(&base.path().join("one"))).unwrap();
    assert_eq!(restored(&cache, Key([1; 32])), None);
    store(&cache, Key([1; 32]));
    assert!(restored(&cache, Key([1; 32])).unwrap() == partition().0);
    assert_eq!(restored(&cache, Key([2; 32])), None);
    assert_eq!(cache.take_warnings(), Vec::<String>::new());
    // Holes are not stored.
    let places = [Place::Folder(base.path().join("one"))];
    let (_, counts) = Cache::stats(&places).unwrap().remove(0);
    assert!((9_000_000..9_500_000).contains(&counts.bytes), "{counts:?}");
}

/// However much is wrong, whoever makes the partition again leaves all of it right.
#[test]
fn chunks_that_were_changed_are_not_used_and_are_mended_at_once() {
    type Damage<'a> = &'a dyn Fn(&Path, usize);
    let flip = |path: &Path, _: usize| {
        let mut bytes = fs::read(path).unwrap();
        bytes[3] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let cut_off = |path: &Path, _: usize| fs::write(path, "short").unwrap();
    let lose_some = |path: &Path, index: usize| match index % 2 {
        0 => fs::remove_file(path).unwrap(),
        _ => fs::write(path, "").unwrap(),
    };
    let damages: [Damage<'_>; 3] = [&flip, &cut_off, &lose_some];
    for damage in damages {
        for spares_list in [false, true] {
            let base = tempfile::tempdir().unwrap();
            store(&Cache::open(options(base.path())).unwrap(), Key([1; 32]));
            let entries = fs::read_dir(base.path().join("cas")).unwrap();
            let mut paths: Vec<_> = entries.map(|it| it.unwrap().path()).collect();
            // The list is the only one whose bytes are records of 44.
            let is_list = |path: &Path| fs::metadata(path).unwrap().len().is_multiple_of(44);
            paths.retain(|path| !(spares_list && is_list(path)));
            paths.sort();
            assert!(paths.len() > 5, "{}", paths.len());
            for (index, path) in paths.iter().enumerate() {
                damage(path, index);
            }
            let cache = Cache::open(options(base.path())).unwrap();
            assert_eq!(restored(&cache, Key([1; 32])), None);
            assert!(cache.take_warnings().len() <= 1);
            store(&cache, Key([1; 32]));
            let next = Cache::open(options(base.path())).unwrap();
            assert!(restored(&next, Key([1; 32])).unwrap() == partition().0);
            assert_eq!(next.take_warnings(), Vec::<String>::new());
        }
    }
}

#[test]
fn a_folder_that_others_may_write_to_is_used_with_signatures_alone() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("shared");
    let unsigned = Cache::open(options(&folder)).unwrap();
    store(&unsigned, Key([1; 32]));
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();

    assert!(matches!(
        Cache::open(options(&folder)),
        Err(CacheError::Trust { .. })
    ));
    let signer = || SigningKey::read(PRIVATE).unwrap();
    let trusting = Options {
        trusted: vec![signer().public()],
        ..options(&folder)
    };
    assert!(matches!(Cache::open(trusting), Err(CacheError::Key { .. })));
    let signing = || Options {
        trusted: vec![signer().public()],
        signer: Some(signer()),
        ..options(&folder)
    };
    let cache = Cache::open(signing()).unwrap();
    assert_eq!(restored(&cache, Key([1; 32])), None, "it is not signed");
    let said = cache.take_warnings();
    assert!(
        said.len() == 1 && said[0].contains("--cache-trust"),
        "{said:?}"
    );
    store(&cache, Key([1; 32]));
    assert!(restored(&cache, Key([1; 32])).is_some());
    // An entry under another key is that of another partition, signed or not.
    let [from, to] = [[1; 32], [3; 32]].map(|key| folder.join("ac").join(hexadecimal(&key)));
    fs::copy(from, to).unwrap();
    assert_eq!(restored(&cache, Key([3; 32])), None);
}

#[test]
fn a_folder_that_cannot_be_used_is_said_and_left() {
    let base = tempfile::tempdir().unwrap();
    fs::write(base.path().join("file"), "").unwrap();
    let cache = Cache::open(options(&base.path().join("file/cache"))).unwrap();
    store(&cache, Key([1; 32]));
    assert_eq!(restored(&cache, Key([1; 32])), None);
    assert_eq!(cache.take_warnings().len(), 1);
}

#[test]
fn modes_read_or_write_alone() {
    let base = tempfile::tempdir().unwrap();
    let with = |mode| {
        let options = options(base.path());
        Cache::open(Options { mode, ..options }).unwrap()
    };
    store(&with(Mode::Read), Key([1; 32]));
    assert_eq!(restored(&with(Mode::ReadWrite), Key([1; 32])), None);
    store(&with(Mode::Write), Key([1; 32]));
    assert_eq!(restored(&with(Mode::Write), Key([1; 32])), None);
    assert!(restored(&with(Mode::Read), Key([1; 32])).is_some());
}

#[test]
fn one_waits_for_another_that_makes_the_same() {
    let base = tempfile::tempdir().unwrap();
    let cache = Cache::open(options(base.path())).unwrap();
    let first = cache.begin(&Key([1; 32]));
    assert!(first.is_locked() && cache.begin(&Key([2; 32])).is_locked());
    let is_made = AtomicBool::new(false);
    thread::scope(|scope| {
        let second = scope.spawn(|| {
            let second = cache.begin(&Key([1; 32]));
            assert!(second.is_locked());
            is_made.load(Ordering::SeqCst)
        });
        // Whoever begins later sees what the first one did, however long either takes.
        thread::sleep(Duration::from_millis(60));
        is_made.store(true, Ordering::SeqCst);
        drop(first);
        assert!(second.join().unwrap());
    });
}
