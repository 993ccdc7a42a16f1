//! A partition in memory that knows what the host promises of every call, and panics where it is broken.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cellblock_contract::{Part, Partition, PiecePlacement, Placement, Run};
use cellblock_tree::{Kind, Tree};

/// What a byte of the partition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Free,
    Written,
    Placed,
}

struct Kept {
    bytes: Vec<u8>,
    uses: Vec<Use>,
    settled: bool,
    broken: bool,
}

/// See the [module](self).
pub(crate) struct Disk {
    tree: Arc<Tree>,
    state: Mutex<Kept>,
}

impl Disk {
    /// Bytes.
    pub(crate) const SIZE: u64 = 4096;

    pub(crate) fn new(tree: Arc<Tree>) -> Self {
        let size = usize::try_from(Self::SIZE).expect("a small number");
        Self {
            tree,
            state: Mutex::new(Kept {
                bytes: vec![0; size],
                uses: vec![Use::Free; size],
                settled: true,
                broken: false,
            }),
        }
    }

    /// From now on, everything fails.
    pub(super) fn break_down(&self) {
        self.lock().broken = true;
    }

    /// What is there now.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes from `offset` on, as indices.
    fn range(offset: u64, length: u64) -> std::ops::Range<usize> {
        let end = offset.checked_add(length).filter(|end| *end <= Self::SIZE);
        let index = |at: u64| usize::try_from(at).expect("a small number");
        let end = end.unwrap_or_else(|| panic!("{offset} + {length} is outside the partition"));
        index(offset)..index(end)
    }
}

impl Kept {
    fn works(&self) -> io::Result<()> {
        if self.broken {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl Partition for Disk {
    fn size(&self) -> u64 {
        Self::SIZE
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.lock();
        let range = Self::range(offset, buffer.len() as u64);
        let placed = state.uses[range.clone()].contains(&Use::Placed);
        assert!(state.settled || !placed, "{range:?} may be on its way");
        state.works()?;
        buffer.copy_from_slice(&state.bytes[range]);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        let range = Self::range(offset, bytes.len() as u64);
        let uses = &state.uses[range.clone()];
        assert!(!uses.contains(&Use::Placed), "{range:?} is placed");
        state.works()?;
        state.uses[range.clone()].fill(Use::Written);
        state.bytes[range].copy_from_slice(bytes);
        Ok(())
    }

    fn place(&self, batch: Vec<Placement>) -> io::Result<()> {
        let mut state = self.lock();
        for placement in &batch {
            let node = self.tree.node(placement.file);
            let Kind::File { size, .. } = node.kind else {
                panic!("{placement:?} is of {}", node.kind.noun());
            };
            let file_end = placement.file_offset.checked_add(placement.length);
            assert!(file_end.is_some_and(|end| end <= *size), "{placement:?}");
            let length = placement.length + u64::from(placement.padding);
            let range = Self::range(placement.partition_offset, length);
            let uses = &mut state.uses[range];
            assert!(uses.iter().all(|it| *it == Use::Free), "{placement:?}");
            uses.fill(Use::Placed);
        }
        state.settled = false;
        state.works()?;
        for placement in &batch {
            let length = placement.length + u64::from(placement.padding);
            let range = Self::range(placement.partition_offset, length);
            let content = usize::try_from(placement.length).expect("within the partition");
            self.tree
                .reader()
                .read(
                    placement.file,
                    placement.file_offset,
                    &mut state.bytes[range][..content],
                )
                .unwrap_or_else(|error| panic!("{error}"));
        }
        Ok(())
    }

    fn compose(&self, run: Run) -> io::Result<()> {
        let mut state = self.lock();
        let length = run.own.len() as u64
            + run
                .placements
                .iter()
                .map(|it| it.end() - it.partition_offset)
                .sum::<u64>();
        let range = Self::range(run.offset, length);
        let uses = &state.uses[range.clone()];
        assert!(uses.iter().all(|it| *it == Use::Free), "{run:?}");
        let mut written = 0;
        for part in run.parts() {
            if let Part::Own(offset, bytes) = part {
                let range = Self::range(offset, bytes.len() as u64);
                written += bytes.len();
                state.uses[range.clone()].fill(Use::Placed);
                state.bytes[range].copy_from_slice(bytes);
            }
        }
        assert_eq!(written, run.own.len(), "all of it has a place");
        drop(state);
        let end = run.placements.last().map_or(run.offset, Placement::end);
        assert!(end <= run.offset + length);
        self.place(run.placements)
    }

    fn place_pieces(&self, spool: &Arc<File>, batch: Vec<PiecePlacement>) -> io::Result<()> {
        let mut state = self.lock();
        let end = spool.metadata()?.len();
        for piece in &batch {
            assert!(
                piece.spool_offset + u64::from(piece.length) <= end,
                "{piece:?}"
            );
            let range = Self::range(piece.partition_offset, piece.end() - piece.partition_offset);
            let uses = &mut state.uses[range];
            assert!(uses.iter().all(|it| *it == Use::Free), "{piece:?}");
            uses.fill(Use::Placed);
        }
        state.settled = false;
        state.works()?;
        for piece in &batch {
            let start = piece.partition_offset + u64::from(piece.leading);
            let range = Self::range(start, u64::from(piece.length));
            spool.read_exact_at(&mut state.bytes[range], piece.spool_offset)?;
        }
        Ok(())
    }

    fn settle(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.settled = true;
        state.works()
    }
}
