//! Members that are read on a thread of their own, while those before them go into the forest.

use std::sync::mpsc::{self, SyncSender};
use std::thread;

use super::super::error::ArchiveError;
use super::super::store::Span;
use super::blocks::ReadAt;
use super::member::{Member, MemberKind, Members};
use crate::Kind;

/// What is handed over at once: so many members, or fewer where they take so many bytes.
const MEMBERS: usize = 256;
const BYTES: usize = 256 * 1024;
/// So often can that be ahead.
const BATCHES: usize = 4;

type Batch = Vec<Result<Member, ArchiveError>>;

/// Gives `members` to `take` in their order, up to the first error.
pub(super) fn read_ahead<R: ReadAt + Sync, T>(
    members: Members<'_, R>,
    take: impl FnOnce(&mut dyn Iterator<Item = Result<Member, ArchiveError>>) -> T,
) -> T {
    thread::scope(|scope| {
        let (sender, batches) = mpsc::sync_channel(BATCHES);
        let (hand, handed) = mpsc::sync_channel(1);
        let started = thread::Builder::new().spawn_scoped(scope, move || {
            if let Ok(members) = handed.recv() {
                send_all(members, &sender);
            }
        });
        if started.is_err() {
            // No thread may be started here: they are read as they are taken.
            return take(&mut { members });
        }
        hand.send(members).expect("the thread waits for them");
        take(&mut batches.into_iter().flatten())
    })
}

/// Sends all members, until nobody wants more.
fn send_all<R: ReadAt>(members: Members<'_, R>, batches: &SyncSender<Batch>) {
    let mut batch = Batch::new();
    let mut bytes = 0;
    for member in members {
        bytes += member.as_ref().map_or(0, size);
        let is_last = member.is_err();
        batch.push(member);
        if is_last {
            break;
        }
        if batch.len() >= MEMBERS || bytes >= BYTES {
            bytes = 0;
            if batches.send(std::mem::take(&mut batch)).is_err() {
                return;
            }
        }
    }
    // Whoever wants no more has an error of its own.
    let _ = batches.send(batch);
}

/// About the bytes that a member takes.
fn size(member: &Member) -> usize {
    let attributes = member.attributes.iter();
    let attributes: usize = attributes
        .map(|attribute| attribute.name.len() + attribute.value.len())
        .sum();
    let target = match &member.kind {
        MemberKind::HardLink(target) => target.len(),
        MemberKind::Other(Kind::Symlink(target)) => target.len(),
        MemberKind::File {
            span: Span::Pieces(pieces),
            ..
        } => size_of_val(&**pieces),
        _ => 0,
    };
    size_of::<Member>() + member.path.len() + target + attributes
}
