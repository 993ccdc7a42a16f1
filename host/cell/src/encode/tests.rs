//! A call's session over a real tree, with workers of this process and with ones that fail.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cellblock_codec::{Block, Method, Piece, Settings, decode};
use cellblock_tree::source::{self, ReadOptions, Source, What};
use cellblock_tree::{Kind, NodeId, Tree};

use super::session::{Refused, Unhashed};
use super::task::Span;
use super::{Encoded, Failure, Pool, Session, Threads, Worker, WorkerError, Workers};

const SETTINGS: Settings = Settings {
    unit: 512,
    ..Settings::new(Method::Zstd, 3)
};

/// A folder with files of these names and contents, as a tree.
fn tree(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Arc<Tree>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let no_spool = || Err(std::io::ErrorKind::Unsupported.into());
    let sources = [Source::new(What::Directory(folder.path().into()))];
    let gathered = source::read_sources(&sources, &no_spool, &ReadOptions::within(0)).unwrap();
    (folder, Arc::new(gathered.tree))
}

fn find(tree: &Tree, name: &str) -> NodeId {
    let mut ids = (0..tree.len()).map(NodeId);
    ids.find(|id| tree.node(*id).name == name.as_bytes())
        .unwrap()
}

fn spool() -> File {
    tempfile::tempfile().unwrap()
}

fn pool(tree: &Arc<Tree>, jobs: usize) -> Arc<Pool> {
    Arc::new(Pool::new(tree, Arc::new(Threads), jobs, spool()))
}

fn span(file: NodeId, offset: u64, length: u64) -> Span {
    Span {
        file,
        offset,
        length,
    }
}

fn soon() -> Option<Instant> {
    Instant::now().checked_add(Duration::from_secs(60))
}

/// All pieces, a few at a time.
fn drained(session: &mut Session, step: u32) -> Vec<(u32, u32)> {
    let mut all = Vec::new();
    loop {
        let pieces = session.pieces(step, soon()).unwrap();
        if pieces.is_empty() {
            return all;
        }
        assert!(pieces.len() <= step as usize);
        all.extend(pieces);
    }
}

/// Text in which every block differs.
fn text(length: usize) -> Vec<u8> {
    let lines = (0_u32..).flat_map(|line| format!("line {line} of the text\n").into_bytes());
    lines.take(length).collect()
}

#[test]
fn pieces_come_in_order_whatever_the_threads_and_the_steps() {
    let content = text(3_000_000);
    let (_folder, tree) = tree(&[("a", &content), ("b", b"short"), ("c", &content[..5000])]);
    let [a, b, c] = ["a", "b", "c"].map(|name| find(&tree, name));
    let limited = Settings {
        limit: 4096,
        unit: 4096,
        ..Settings::new(Method::Lz4, 0)
    };
    let mut seen = Vec::new();
    for (jobs, step) in [(1, 1), (4, 7), (3, 1000)] {
        let pool = pool(&tree, jobs);
        let mut session = Session::new(&pool);
        let spans = [span(b, 0, 5), span(c, 100, 4000), span(a, 0, 1_000_000)];
        session.encode(SETTINGS, &[2, 1], &spans, soon()).unwrap();
        session
            .encode(
                limited,
                &[1, 1],
                &[span(a, 0, 2_000_000), span(b, 1, 2)],
                soon(),
            )
            .unwrap();
        let pieces = drained(&mut session, step);
        let bytes: Vec<_> = (0..)
            .zip(&pieces)
            .filter(|(_, (_, produced))| (1..=64 << 10).contains(produced))
            .map(|(id, _)| session.bytes(id).unwrap())
            .collect();
        seen.push((pieces, bytes));
    }
    assert!(seen[0].0.len() > 100);
    assert_eq!(seen[0].0[0].0, 4005);
    assert_eq!(seen[0].0.last(), Some(&(2, 0)));
    let first = decode(Method::Zstd, &seen[0].1[0], 4005).unwrap();
    assert!(first == [b"short", &content[100..4100]].concat());
    assert!(seen[0] == seen[1] && seen[1] == seen[2]);
}

#[test]
fn what_one_call_had_encoded_the_next_finds() {
    let content = text(500_000);
    let (_folder, tree) = tree(&[("a", &content)]);
    let a = find(&tree, "a");
    let pool = pool(&tree, 2);
    let blocks: Vec<Span> = (0..4)
        .map(|index| span(a, index * 100_000, 100_000))
        .collect();
    let own = vec![text(9000), b"x".to_vec()];
    let mut measured = Session::new(&pool);
    measured.encode(SETTINGS, &[1; 4], &blocks, soon()).unwrap();
    let pieces = drained(&mut measured, 100);
    let outputs = measured
        .encode_bytes(SETTINGS, own.clone(), soon())
        .unwrap();
    assert!(outputs[1].is_empty());
    assert_eq!(decode(Method::Zstd, &outputs[0], 9000).unwrap(), own[0]);
    drop(measured);

    let mut formatted = Session::new(&pool);
    formatted
        .encode(SETTINGS, &[1; 4], &blocks, soon())
        .unwrap();
    assert_eq!(drained(&mut formatted, 3), pieces);
    assert_eq!(
        formatted.encode_bytes(SETTINGS, own, soon()).unwrap(),
        outputs
    );
    let counts = pool.counts();
    assert_eq!((counts.blocks, counts.reused), (6, 6));
    assert_eq!(counts.bytes_in, 400_000 + 9001);
    let other = Settings {
        level: 4,
        ..SETTINGS
    };
    formatted.encode(other, &[1], &blocks[..1], soon()).unwrap();
    drained(&mut formatted, 1);
    assert_eq!((pool.counts().blocks, pool.counts().reused), (7, 6));
}

#[test]
fn pieces_are_taken_once_and_only_when_they_are_told() {
    let content = text(100_000);
    let (_folder, tree) = tree(&[("a", &content)]);
    let a = find(&tree, "a");
    let pool = pool(&tree, 2);
    let mut session = Session::new(&pool);
    session
        .encode(
            SETTINGS,
            &[1, 1],
            &[span(a, 0, 50_000), span(a, 0, 10)],
            soon(),
        )
        .unwrap();
    assert_eq!(
        session.take(3, 0),
        Err(Refused::Piece(3)),
        "it is not told yet"
    );
    let pieces = drained(&mut session, 1);
    assert_eq!(pieces[1], (10, 0));
    let taken = session.take(0, 0).unwrap();
    assert_eq!((taken.content, taken.length), pieces[0]);
    for piece in [0, 1, 2, u32::MAX] {
        assert_eq!(session.take(7, piece), Err(Refused::Piece(7)));
        assert_eq!(session.bytes(piece), Err(Refused::Piece(0)));
    }
    session.give_back(0);
    assert_eq!(session.take(0, 0), Ok(taken));
    assert!(
        session.pieces(5, soon()).unwrap().is_empty(),
        "nothing was asked for"
    );
    assert!(session.pieces(0, soon()).unwrap().is_empty());
}

#[test]
fn what_cannot_be_is_refused_as_a_whole() {
    let (_folder, tree) = tree(&[("a", &[b'a'; 10_000])]);
    let a = find(&tree, "a");
    let pool = pool(&tree, 2);
    let mut session = Session::new(&pool);
    let good = span(a, 0, 100);
    for bad in [
        span(a, 0, 0),
        span(a, 9_999, 2),
        span(a, u64::MAX, 2),
        span(a, 2, u64::MAX),
        span(NodeId::ROOT, 0, 1),
        span(NodeId(u32::MAX), 0, 1),
    ] {
        assert_eq!(
            session.encode(SETTINGS, &[1, 1], &[good, bad], soon()),
            Err(Refused::Block(1)),
            "{bad:?}"
        );
    }
    for counts in [&[0, 1][..], &[3], &[u32::MAX]] {
        assert_eq!(
            session.encode(SETTINGS, counts, &[good], soon()),
            Err(Refused::Block(0))
        );
    }
    assert_eq!(
        session.encode(SETTINGS, &[1], &[good, good], soon()),
        Err(Refused::Block(1))
    );
    // More than 16 MiB in one block.
    let many = vec![span(a, 0, 10_000); 1700];
    assert_eq!(
        session.encode(SETTINGS, &[1700], &many, soon()),
        Err(Refused::Block(0))
    );
    let level = Settings {
        level: 0,
        ..SETTINGS
    };
    assert_eq!(
        session.encode(level, &[1], &[good], soon()),
        Err(Refused::Settings)
    );
    assert!(session.pieces(9, soon()).unwrap().is_empty());
    assert_eq!(pool.counts().blocks, 0);
    let long = vec![vec![1], vec![0; (1 << 20) + 1]];
    assert_eq!(
        session.encode_bytes(SETTINGS, long, soon()),
        Err(Refused::Block(1))
    );
    assert_eq!(
        session.encode_bytes(SETTINGS, vec![vec![]], soon()),
        Err(Refused::Block(0))
    );
    let limited = Settings {
        limit: 4096,
        ..SETTINGS
    };
    assert_eq!(
        session.encode_bytes(limited, vec![vec![1]], soon()),
        Err(Refused::Settings)
    );
}

#[test]
fn a_call_asks_for_no_more_than_its_tree_can_need() {
    let (_folder, tree) = tree(&[("a", &vec![b'a'; 1 << 20])]);
    let a = find(&tree, "a");
    let pool = pool(&tree, 2);
    let mut session = Session::new(&pool);
    let fast = Settings::new(Method::Lz4, 0);
    let mut rounds = 0;
    while session
        .encode(fast, &[1], &[span(a, 0, 1 << 20)], soon())
        .is_ok()
    {
        rounds += 1;
    }
    assert_eq!(rounds, 4 + 64);
    assert_eq!(pool.counts().reused, 67, "it is the same block each time");
    // Bytes are left in a session of its own, and yet not for as many blocks as one likes.
    let mut session = Session::new(&pool);
    let tiny = vec![span(a, 0, 1); 1 << 20];
    let counts = vec![1; 1 << 20];
    session.encode(fast, &counts, &tiny, soon()).unwrap();
    assert_eq!(
        session.encode(fast, &counts, &tiny, soon()),
        Err(Refused::Exhausted)
    );
}

#[test]
fn a_file_that_changed_is_named() {
    let (folder, tree) = tree(&[("a", &[b'a'; 5000])]);
    let a = find(&tree, "a");
    std::fs::write(folder.path().join("a"), [b'b'; 4000]).unwrap();
    let pool = pool(&tree, 2);
    let mut session = Session::new(&pool);
    session
        .encode(SETTINGS, &[1], &[span(a, 0, 5000)], soon())
        .unwrap();
    assert_eq!(session.pieces(1, soon()), Err(Refused::Failed));
    let failure = session.failure.take().unwrap();
    let Failure::Source(error) = failure else {
        panic!("{failure:?}")
    };
    assert!(error.to_string().contains("/a"), "{error}");
    assert_eq!(session.digests(&[a.0], soon()), Err(Unhashed::Failed));
    assert!(matches!(session.failure, Some(Failure::Source(_))));
}

#[test]
fn a_block_that_failed_before_is_told_as_that_and_not_as_a_panic() {
    let (folder, tree) = tree(&[("a", &[b'a'; 5000])]);
    let a = find(&tree, "a");
    std::fs::write(folder.path().join("a"), [b'b'; 4000]).unwrap();
    let pool = pool(&tree, 1);
    for is_first in [true, false] {
        let mut session = Session::new(&pool);
        let block = [span(a, 0, 5000)];
        session.encode(SETTINGS, &[1], &block, soon()).unwrap();
        assert_eq!(session.pieces(1, soon()), Err(Refused::Failed));
        let failure = session.failure.take().unwrap();
        match is_first {
            true => assert!(matches!(failure, Failure::Source(_)), "{failure:?}"),
            false => assert!(matches!(failure, Failure::Told), "{failure:?}"),
        }
    }
}

/// Workers of which each `n`th block is lost, with the worker.
struct Faulty {
    fault: Fault,
    started: AtomicUsize,
}

#[derive(Clone, Copy)]
enum Fault {
    Dies,
    Lies,
    Hangs,
}

struct FaultyWorker(Fault, Vec<u8>);

impl Workers for Faulty {
    fn start(&self) -> Result<Box<dyn Worker>, WorkerError> {
        self.started.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(FaultyWorker(self.fault, Vec::new())))
    }
}

impl Worker for FaultyWorker {
    fn room(&mut self, length: usize) -> Result<&mut [u8], WorkerError> {
        self.1.resize(length, 0);
        Ok(&mut self.1)
    }

    fn encode(&mut self, blocks: &[Block]) -> Result<Vec<Encoded<'_>>, WorkerError> {
        match self.0 {
            Fault::Dies => Err(WorkerError::Lost("was killed".to_owned())),
            Fault::Lies => Ok(blocks
                .iter()
                .map(|_| Encoded {
                    pieces: &[Piece {
                        consumed: u32::MAX,
                        produced: 7,
                    }],
                    bytes: b"seven b",
                })
                .collect()),
            Fault::Hangs => {
                std::thread::sleep(Duration::from_secs(1));
                Err(WorkerError::Lost("was too slow".to_owned()))
            }
        }
    }
}

#[test]
fn a_worker_that_dies_or_lies_is_an_error_that_names_the_file() {
    for (fault, said) in [
        (Fault::Dies, "was killed"),
        (Fault::Lies, "answers lengths that cannot be"),
    ] {
        let (_folder, tree) = tree(&[("a", &[b'a'; 5000])]);
        let a = find(&tree, "a");
        let workers = Arc::new(Faulty {
            fault,
            started: AtomicUsize::new(0),
        });
        let pool = Arc::new(Pool::new(&tree, Arc::clone(&workers) as _, 1, spool()));
        let mut session = Session::new(&pool);
        session
            .encode(
                SETTINGS,
                &[1, 1],
                &[span(a, 0, 5000), span(a, 1, 4999)],
                soon(),
            )
            .unwrap();
        assert_eq!(session.pieces(1, soon()), Err(Refused::Failed));
        let error = crate::CellError::from(session.failure.take().unwrap()).to_string();
        assert_eq!(error, format!("compressing /a: the codec worker {said}"));
        drop(session);
        drop(pool);
        assert!(workers.started.load(Ordering::Relaxed) <= 2);
    }
}

#[test]
fn workers_end_with_the_call_and_others_serve_the_next() {
    struct Counted(Arc<AtomicUsize>);
    struct CountedWorker(Box<dyn Worker>, Arc<AtomicUsize>);
    impl Workers for Counted {
        fn start(&self) -> Result<Box<dyn Worker>, WorkerError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Box::new(CountedWorker(
                Threads.start()?,
                Arc::clone(&self.0),
            )))
        }
    }
    impl Worker for CountedWorker {
        fn room(&mut self, length: usize) -> Result<&mut [u8], WorkerError> {
            self.0.room(length)
        }
        fn encode(&mut self, blocks: &[Block]) -> Result<Vec<Encoded<'_>>, WorkerError> {
            self.0.encode(blocks)
        }
    }
    impl Drop for CountedWorker {
        fn drop(&mut self) {
            self.1.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let (_folder, tree) = tree(&[("a", &[b'a'; 50_000])]);
    let a = find(&tree, "a");
    let alive = Arc::new(AtomicUsize::new(0));
    let workers = Arc::new(Counted(Arc::clone(&alive)));
    let pool = Arc::new(Pool::new(&tree, workers, 2, spool()));
    for round in 0..3 {
        let mut session = Session::new(&pool);
        let spans = [span(a, round, 20_000), span(a, round, 30_000)];
        session.encode(SETTINGS, &[1, 1], &spans, soon()).unwrap();
        assert_eq!(drained(&mut session, 9).len(), 2);
        assert!(alive.load(Ordering::Relaxed) > 0);
        drop(session);
        let late = soon();
        while alive.load(Ordering::Relaxed) > 0 {
            assert!(Instant::now() < late.unwrap());
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_call_whose_time_is_over_does_not_wait() {
    let (_folder, tree) = tree(&[("a", &[b'a'; 5000])]);
    let a = find(&tree, "a");
    let workers = Faulty {
        fault: Fault::Hangs,
        started: AtomicUsize::new(0),
    };
    let pool = Arc::new(Pool::new(&tree, Arc::new(workers), 1, spool()));
    let mut session = Session::new(&pool);
    let blocks: Vec<Span> = (0..1000).map(|offset| span(a, offset, 1000)).collect();
    session
        .encode(SETTINGS, &[1; 1000], &blocks, soon())
        .unwrap();
    let deadline = Instant::now().checked_add(Duration::from_millis(20));
    assert_eq!(session.pieces(1, deadline), Err(Refused::Late));
    // What was not begun is not waited for: the test would take a quarter of an hour.
    drop(session);
}

#[test]
fn equal_contents_have_equal_digests() {
    let long = text(3 << 20);
    let mut other = long.clone();
    other[2 << 20] ^= 1;
    let zeros = vec![0; 5 << 20];
    let (folder, _) = tree(&[
        ("a", &long),
        ("b", &long),
        ("c", &other),
        ("d", b""),
        ("e", &zeros),
    ]);
    let sparse = File::create(folder.path().join("f")).unwrap();
    sparse.set_len(5 << 20).unwrap();
    let no_spool = || Err(std::io::ErrorKind::Unsupported.into());
    let sources = [Source::new(What::Directory(folder.path().into()))];
    let read = source::read_sources(&sources, &no_spool, &ReadOptions::within(0)).unwrap();
    let tree = Arc::new(read.tree);
    let ids = ["a", "b", "c", "d", "e", "f"].map(|name| find(&tree, name).0);
    let mut seen = Vec::new();
    for jobs in [1, 3] {
        let pool = pool(&tree, jobs);
        let mut session = Session::new(&pool);
        let digests = session.digests(&ids, soon()).unwrap();
        assert_eq!(digests[0], digests[1]);
        assert_eq!(digests[4], digests[5], "holes are zeros");
        for pair in [(0, 2), (0, 3), (3, 4)] {
            assert_ne!(digests[pair.0], digests[pair.1], "{pair:?}");
        }
        let backwards: Vec<u32> = ids.iter().rev().copied().collect();
        let mut again = session.digests(&backwards, soon()).unwrap();
        again.reverse();
        assert_eq!(again, digests);
        let blocks = |session: &mut Session, file: usize| {
            session.block_digests(ids[file], 1 << 20, soon()).unwrap()
        };
        let (a, c) = (blocks(&mut session, 0), blocks(&mut session, 2));
        assert_eq!(a.len(), 3);
        assert_eq!(a[..2], c[..2]);
        assert_ne!(a[2], c[2]);
        assert_eq!(blocks(&mut session, 4), blocks(&mut session, 5));
        assert!(blocks(&mut session, 3).is_empty());
        assert_eq!(session.digests(&[0], soon()), Err(Unhashed::NotAFile));
        assert_eq!(
            session.digests(&[u32::MAX], soon()),
            Err(Unhashed::NotAFile)
        );
        for size in [0, 2048, 5000, 32 << 20] {
            assert_eq!(
                session.block_digests(ids[0], size, soon()),
                Err(Unhashed::OutOfRange)
            );
        }
        seen.push(digests);
    }
    assert_eq!(seen[0], seen[1], "whatever the number of threads");
}

#[test]
fn files_that_are_hashed_together_have_the_digests_of_each_alone() {
    let mut files: Vec<(String, Vec<u8>)> = (0..700)
        .map(|at| (format!("{at:04}"), text(at * 37 % 9000)))
        .collect();
    let around = [(64 << 10) - 1, 64 << 10, (64 << 10) + 1, 1 << 20];
    files.extend(around.map(|size| (format!("text of {size}"), text(size))));
    files.extend(around.map(|size| (format!("zeros of {size}"), vec![0; size])));
    let named: Vec<(&str, &[u8])> = files.iter().map(|(name, it)| (&**name, &**it)).collect();
    let (_folder, tree) = tree(&named);
    let ids: Vec<u32> = files.iter().map(|(name, _)| find(&tree, name).0).collect();
    let alone: Vec<_> = ids
        .chunks(1)
        .flat_map(|one| {
            let pool = pool(&tree, 1);
            Session::new(&pool).digests(one, soon()).unwrap()
        })
        .collect();
    for jobs in [1, 2] {
        let pool = pool(&tree, jobs);
        let together = Session::new(&pool).digests(&ids, soon()).unwrap();
        assert!(together == alone);
    }
    let different: std::collections::BTreeSet<_> = alone.iter().collect();
    let contents: std::collections::BTreeSet<_> = files.iter().map(|(_, it)| it).collect();
    assert_eq!(different.len(), contents.len());
}

#[test]
fn a_sparse_file_of_many_terabytes_takes_no_longer_than_its_data() {
    let (folder, _) = tree(&[]);
    let sparse = File::create(folder.path().join("huge")).unwrap();
    if sparse.set_len(8 << 40).is_err() {
        return;
    }
    let no_spool = || Err(std::io::ErrorKind::Unsupported.into());
    let sources = [Source::new(What::Directory(folder.path().into()))];
    let read = source::read_sources(&sources, &no_spool, &ReadOptions::within(0)).unwrap();
    let tree = Arc::new(read.tree);
    let huge = find(&tree, "huge");
    assert!(matches!(
        tree.node(huge).kind,
        Kind::File { sparse: true, .. }
    ));
    let pool = pool(&tree, 2);
    let mut session = Session::new(&pool);
    assert_eq!(session.digests(&[huge.0], soon()).unwrap().len(), 1);
    assert_eq!(
        session.block_digests(huge.0, 4096, soon()),
        Err(Unhashed::OutOfRange)
    );
}
