//! The host's side of a cell, as functions of bytes: what a guest calls, and what a process says that it has taken over.
//!
//! `tests/fuzz` runs them, and the tests here replay its seeds. Each panics where the host did what it must not.

mod contract;
mod disk;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use cellblock_tree::Tree;
use cellblock_tree::source::{self, ReadOptions, Source, What};

pub use super::wall::fuzzing::channel;
pub use contract::contract;
pub(super) use disk::Disk;

/// A tree with a node of each kind that bytes alone can describe.
pub(super) fn tree() -> Arc<Tree> {
    static TREE: OnceLock<Arc<Tree>> = OnceLock::new();
    let tree = TREE.get_or_init(|| {
        let sources = [
            ("a/empty", 0),
            ("a/small", 5),
            ("b/large", 3000),
            ("c", 512),
        ];
        let sources = sources.map(|(path, length)| Source {
            to: Some(path.into()),
            ..Source::new(What::Bytes(vec![0x5a; length]))
        });
        let no_spool = || Err(std::io::ErrorKind::Unsupported.into());
        let read = source::read_sources(&sources, &no_spool, &ReadOptions::within(0));
        Arc::new(read.unwrap_or_else(|error| panic!("{error}")).tree)
    });
    Arc::clone(tree)
}
