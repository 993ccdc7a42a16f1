//! How what a cell places is shared out among threads: neighbours together, large files in pieces.

use std::fs::File;
use std::sync::Arc;

use cellblock_contract::{PiecePlacement, Placement};

use crate::copy;

/// Placements that one thread copies together.
pub(super) enum Job {
    /// Neighbours in the partition, of at most [`JOINED`] bytes, which are read one by one and written at once.
    Joined(Joined),
    /// A range of a large file, which the kernel copies.
    Large(Placement),
    /// Pieces of this file, neighbours in the partition of at most [`JOINED`] bytes or one that is longer.
    Pieces(Arc<File>, Vec<PiecePlacement>),
}

/// Content, and bytes of the guest's own around it.
#[derive(Default)]
pub(super) struct Joined {
    /// Where it begins and ends in the partition.
    pub(super) start: u64,
    pub(super) end: u64,
    /// What stands wherever nothing is placed, in order.
    pub(super) own: Vec<u8>,
    pub(super) placements: Vec<Placement>,
}

/// The bytes that are written at once.
const JOINED: u64 = 1 << 20;
/// From this many bytes on, the kernel copies.
const LARGE: u64 = 256 << 10;

impl Job {
    pub(super) fn placements(&self) -> usize {
        match self {
            Self::Joined(joined) => joined.placements.len(),
            Self::Large(_) => 1,
            Self::Pieces(_, placements) => placements.len(),
        }
    }

    /// The bytes of the guest's own.
    pub(super) fn own(&self) -> usize {
        match self {
            Self::Joined(joined) => joined.own.len(),
            Self::Large(_) | Self::Pieces(..) => 0,
        }
    }
}

/// Shares a batch out.
pub(super) fn jobs(batch: Vec<Placement>) -> Vec<Job> {
    let mut sharing = Sharing::default();
    for placement in batch {
        sharing.place(placement);
    }
    sharing.finish()
}

/// Shares out what is to be done: neighbours together, large files in pieces.
#[derive(Default)]
pub(super) struct Sharing {
    jobs: Vec<Job>,
    joined: Joined,
}

impl Sharing {
    pub(super) fn place(&mut self, placement: Placement) {
        let placement = with_bounded_padding(placement);
        if placement.length >= LARGE {
            self.flush(placement.end());
            self.jobs.extend(pieces(placement).map(Job::Large));
            return;
        }
        let length = placement.end() - placement.partition_offset;
        if !self.joined.has_room(placement.partition_offset, length) {
            self.flush(placement.partition_offset);
        }
        self.joined.end = placement.end();
        self.joined.placements.push(placement);
    }

    pub(super) fn write(&mut self, mut offset: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if !self.joined.has_room(offset, 1) {
                self.flush(offset);
            }
            let room = JOINED - (offset - self.joined.start);
            let (now, later) = bytes.split_at(bytes.len().min(small(room)));
            self.joined.own.extend_from_slice(now);
            offset += now.len() as u64;
            self.joined.end = offset;
            bytes = later;
        }
    }

    /// What follows begins at `next`.
    fn flush(&mut self, next: u64) {
        let empty = Joined {
            start: next,
            end: next,
            ..Joined::default()
        };
        let joined = std::mem::replace(&mut self.joined, empty);
        if joined.start < joined.end {
            self.jobs.push(Job::Joined(joined));
        }
    }

    pub(super) fn finish(mut self) -> Vec<Job> {
        self.flush(0);
        self.jobs
    }
}

impl Joined {
    /// Whether so many bytes at `offset` follow it and fit beside it.
    fn has_room(&self, offset: u64, length: u64) -> bool {
        offset == self.end && self.end - self.start + length <= JOINED
    }
}

/// Pieces as they are written at once: neighbours in the partition together, and their outermost zeros left out if these are
/// more than that, since the partition reads as zeros there.
pub(super) fn joined_pieces(batch: Vec<PiecePlacement>) -> Vec<Vec<PiecePlacement>> {
    let mut jobs: Vec<Vec<PiecePlacement>> = Vec::new();
    let mut bytes = 0;
    for piece in batch.into_iter().map(with_bounded_zeros) {
        let total = piece.end() - piece.partition_offset;
        match jobs.last_mut() {
            Some(job)
                if bytes + total <= JOINED
                    && job.last().map(PiecePlacement::end) == Some(piece.partition_offset) =>
            {
                bytes += total;
                job.push(piece);
            }
            _ => {
                bytes = total;
                jobs.push(vec![piece]);
            }
        }
    }
    jobs
}

/// The piece without its leading zeros or its padding if these are more than is written at once.
fn with_bounded_zeros(piece: PiecePlacement) -> PiecePlacement {
    let bounded = |zeros: u32| if u64::from(zeros) > JOINED { 0 } else { zeros };
    let leading = bounded(piece.leading);
    PiecePlacement {
        partition_offset: piece.partition_offset + u64::from(piece.leading - leading),
        leading,
        padding: bounded(piece.padding),
        ..piece
    }
}

/// The placement without its padding if that is more than is written at once: the partition reads as zeros there, where
/// nothing was written.
fn with_bounded_padding(placement: Placement) -> Placement {
    let padding = if u64::from(placement.padding) > JOINED {
        0
    } else {
        placement.padding
    };
    Placement {
        padding,
        ..placement
    }
}

fn pieces(placement: Placement) -> impl Iterator<Item = Placement> {
    copy::pieces(placement.length).map(move |piece| Placement {
        file_offset: placement.file_offset + piece.start,
        partition_offset: placement.partition_offset + piece.start,
        length: piece.end - piece.start,
        // The partition reads as zeros, and nothing was written there: the padding of a large file is there already.
        padding: 0,
        ..placement
    })
}

/// A length of at most [`JOINED`] bytes, or of a piece with at most as many zeros on both sides.
pub(super) fn small(length: u64) -> usize {
    usize::try_from(length).expect("what is joined has a bound that fits memory")
}
