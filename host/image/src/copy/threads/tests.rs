#![allow(clippy::unwrap_used)]
use std::cell::Cell;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::data;
use super::*;

const MIB: u64 = 1 << 20;

/// Bytes that no two pieces have in common.
fn content(length: u64) -> Vec<u8> {
    (0..length / 8)
        .flat_map(|at| (at * 31 + 7).to_le_bytes())
        .collect()
}

fn file(bytes: &[u8]) -> File {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn bytes(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

#[test]
fn threads_copy_the_same_bytes_keep_holes_and_tell_of_each() {
    // Data, a hole, data that ends within a piece.
    let length = 40 * MIB;
    let source = tempfile::tempfile().unwrap();
    source.set_len(length).unwrap();
    source.write_all_at(&content(13 * MIB), 0).unwrap();
    source
        .write_all_at(&content(5 * MIB + 4096), 30 * MIB)
        .unwrap();
    let mut made = Vec::new();
    for threads in [1, 2, 5] {
        let target = tempfile::tempfile().unwrap();
        target.set_len(length + 4096).unwrap();
        let told = Cell::new(0);
        let watch = |count| told.set(told.get() + count);
        let how = Copying {
            threads,
            watch: &watch,
        };
        data(&source, 0, &target, 4096, length, how).unwrap();
        assert_eq!(told.get(), length);
        let stored = target.metadata().unwrap().blocks() * 512;
        assert!(stored < 20 * MIB, "{stored} bytes are stored");
        made.push(bytes(&target));
    }
    assert!(made[0][4096..] == bytes(&source)[..]);
    assert!(made[0] == made[1] && made[0] == made[2]);
}

#[test]
fn a_source_that_ends_while_it_is_copied_is_an_error() {
    let length = 24 * MIB;
    let source = file(&content(length));
    for threads in [1, 2] {
        source.set_len(length).unwrap();
        let target = tempfile::tempfile().unwrap();
        let cut = |_| source.set_len(MIB).unwrap();
        let how = Copying {
            threads,
            watch: &cut,
        };
        let parts = (0..6).map(|at| Part {
            from: at * 4 * MIB..(at + 1) * 4 * MIB,
            to: at * 4 * MIB,
        });
        source.set_len(20 * MIB).unwrap();
        let error = super::parts(&source, parts.collect(), &target, how).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{threads}");
    }
}

#[test]
fn a_target_that_takes_no_more_is_an_error() {
    use rustix::fs::{MemfdFlags, SealFlags};
    let source = file(&content(24 * MIB));
    for threads in [1, 2] {
        let target = rustix::fs::memfd_create("target", MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&target, 13 * MIB).unwrap();
        rustix::fs::fcntl_add_seals(&target, SealFlags::GROW).unwrap();
        let how = Copying {
            threads,
            ..Copying::ALONE
        };
        let error = data(&source, 0, &target.into(), 0, 24 * MIB, how).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{threads}");
    }
}

#[test]
fn the_first_of_several_errors_is_told_and_nothing_is_taken_after_it() {
    for threads in [1, 2, 4] {
        for _ in 0..20 {
            let (mut next, worked) = (0..1000_u64, AtomicU64::new(0));
            let how = Copying {
                threads,
                ..Copying::ALONE
            };
            let shared = share(
                how,
                |_| next.next(),
                |item, _| {
                    worked.fetch_add(1, Ordering::Relaxed);
                    match item {
                        // What comes first fails last.
                        7 => {
                            thread::sleep(std::time::Duration::from_millis(2));
                            Err(item)
                        }
                        8.. => Err(item),
                        _ => Ok(0),
                    }
                },
            );
            assert_eq!(shared, Err(7), "{threads}");
            assert!(worked.load(Ordering::Relaxed) <= 7 + threads as u64);
        }
    }
}

/// All orders of a few parts, up and down: each is the same as if all had been read first.
#[test]
fn parts_are_moved_within_a_file_as_if_all_had_been_read_before() {
    let unit = MOVED / 2 + 512;
    let mut state = 0x2545_f491_u64;
    let mut below = |limit: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    for round in 0..60 {
        let (mut from, mut to) = (below(3) * unit, below(6) * unit);
        let mut parts = Vec::new();
        for _ in 0..1 + below(6) {
            let length = unit * (1 + below(3)) - below(512);
            parts.push(Part {
                from: from..from + length,
                to,
            });
            from += length + below(3) * unit;
            to += length + below(3) * 700;
        }
        let before = content((from + unit).next_multiple_of(8));
        let at = |offset: u64| usize::try_from(offset).unwrap();
        let mut expected = before.clone();
        expected.resize(before.len().max(at(to + unit)), 0);
        for part in &parts {
            expected[at(part.to)..at(part.to + part.length())]
                .copy_from_slice(&before[at(part.from.start)..at(part.from.end)]);
        }
        for threads in [1, 3] {
            let file = file(&before);
            let told = Cell::new(0);
            let watch = |count| told.set(told.get() + count);
            let how = Copying {
                threads,
                watch: &watch,
            };
            shift(&file, &parts, how).unwrap();
            file.set_len(expected.len() as u64).unwrap();
            assert!(bytes(&file) == expected, "round {round}: {parts:?}");
            assert_eq!(told.get(), parts.iter().map(Part::length).sum::<u64>());
        }
    }
}
