//! What the fuzzer runs: the files that a client hands to a worker, and those that a worker hands back.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use cellblock_cache::{MOST_CHUNK, decode_list};
use cellblock_tree::Kind;
use cellblock_tree::volume::{Blocks, Decoder, Decoders};

use super::document::{Action, Made, NamedGuest, command_line};
use super::tree;

/// The most bytes of a file that are read, and the most files: they may have any size.
const READ: u64 = 64 << 10;
const FILES: usize = 16;

/// What there is in the place of pieces: zeros.
#[derive(Debug)]
struct Zeros(u64);

impl Blocks for Zeros {
    fn size(&self) -> u64 {
        self.0
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        assert!(
            end.is_some_and(|end| end <= self.0),
            "it reads beyond the pieces"
        );
        buffer.fill(0);
        Ok(())
    }

    fn position(&self, _: u64) -> Option<(BorrowedFd<'_>, u64)> {
        None
    }
}

impl Decoders for Zeros {
    fn start(&self) -> io::Result<Box<dyn Decoder>> {
        panic!("nothing of an action is encoded")
    }
}

/// Reads bytes as the file that the first of them names: an action, a tree, or what was made.
///
/// # Panics
/// If what was read is not what it says.
pub fn fuzz(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, bytes)) => action(bytes),
        Some((1, bytes)) => nodes(bytes),
        Some((2, bytes)) => made(bytes),
        _ => {}
    }
}

fn action(bytes: &[u8]) {
    let Ok(action) = Action::of_bytes(bytes) else {
        return;
    };
    let again = Action::of_bytes(&action.to_bytes());
    assert_eq!(again.as_ref(), Ok(&action));
    if let NamedGuest::Command(_, arguments) = &action.guest
        && let Err(fault) = command_line(arguments)
    {
        assert!(!fault.to_string().is_empty());
    }
}

fn nodes(bytes: &[u8]) {
    let Ok(decoded) = tree::decode(bytes) else {
        return;
    };
    let mut end = 0;
    for (start, piece) in &decoded.uses {
        assert_eq!(*start, end, "a piece begins where the one before it ends");
        end += u64::from(decoded.pieces[*piece as usize].length);
    }
    assert_eq!(end, decoded.end);
    let blocks = Arc::new(Zeros(end));
    let finished = decoded
        .builder
        .finish("tree".into(), blocks, Arc::new(Zeros(0)));
    let Ok(finished) = finished else {
        return;
    };
    let tree = finished.tree;
    let mut reader = tree.reader();
    let mut files = 0;
    for node in tree.nodes() {
        assert!(
            node.parent.0 <= node.id.0,
            "a folder comes before what is in it"
        );
        let Kind::File { size, .. } = node.kind else {
            continue;
        };
        files += 1;
        if files > FILES {
            continue;
        }
        for range in reader.ranges(node.id).expect("ranges are in memory") {
            assert!(range.length > 0 && range.offset + range.length <= *size);
            let length = usize::try_from(range.length.min(READ)).expect("it is small");
            let mut buffer = vec![1; length];
            let read = reader.read(node.id, range.offset, &mut buffer);
            read.expect("zeros can be read");
            assert!(buffer.iter().all(|byte| *byte == 0));
        }
    }
}

fn made(bytes: &[u8]) {
    let Ok(made) = Made::of_bytes(bytes) else {
        return;
    };
    let again = Made::of_bytes(&made.to_bytes());
    assert_eq!(again.as_ref(), Ok(&made));
    if let Some(chunks) = decode_list(&made.list, made.size, MOST_CHUNK) {
        let data: u64 = chunks.iter().map(|chunk| u64::from(chunk.length)).sum();
        assert!(
            data <= made.size,
            "chunks lie inside the partition, apart from one another"
        );
    }
    let _ = made.walls.told();
}
