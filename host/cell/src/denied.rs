//! What the host has refused to a guest, with the numbers: the contract's answers have a code alone.

use std::fmt::Write as _;
use std::mem::discriminant;

use cellblock_contract::{FormatError, PlaceError};
use cellblock_text::{PathBytes, exact, grouped};
use cellblock_tree::{NodeId, Tree};

use super::bindings::cellblock::format::placement::Placement;
use super::bindings::wasi::filesystem::types;
use super::files::ErrorCode;
use super::ledger::{Cause, Refused, Taken};
use super::translate;

/// The last refusals of a call, each with the answer that the guest got and what was wrong with what it asked for.
#[derive(Default)]
pub(super) struct Denied {
    placement: Option<(PlaceError, String)>,
    partition: Option<(String, String)>,
}

impl Denied {
    /// A placement is refused.
    pub(super) fn placement(&mut self, refused: &Refused, what: String) {
        let error = translate::place_error(refused.error());
        self.placement = Some((error, what));
    }

    /// The use of the partition is refused.
    pub(super) fn partition(&mut self, code: ErrorCode, what: String) {
        self.partition = Some((types::ErrorCode::from(code).to_string(), what));
    }

    /// What was wrong with what the guest asked for, if this is the answer that it got.
    pub(super) fn of(&self, error: &FormatError) -> Option<String> {
        match error {
            FormatError::Placement(error) => {
                let (answer, what) = self.placement.as_ref()?;
                // Of one that handles batches of its own, the number may be another.
                (discriminant(answer) == discriminant(error)).then(|| what.clone())
            }
            FormatError::Partition(code) => {
                let (answer, what) = self.partition.as_ref()?;
                (answer == code).then(|| what.clone())
            }
            _ => None,
        }
    }
}

/// What a node is called.
pub(super) fn node(tree: &Tree, id: u32) -> String {
    if id >= tree.len() {
        return format!("node {id}, of the {} that there are", tree.len());
    }
    let id = NodeId(id);
    format!(
        "{}, {}",
        PathBytes(tree.path(id)),
        tree.node(id).kind.noun()
    )
}

/// What is wrong with one of `batch`, or with all of it as a run.
pub(super) fn placement(
    tree: &Tree,
    batch: &[Placement],
    refused: &Refused,
    partition_size: u64,
) -> String {
    let index = usize::try_from(refused.index).unwrap_or(usize::MAX);
    let Some(asked) = batch.get(index) else {
        return range("a run of content and bytes", refused, partition_size);
    };
    if matches!(refused.cause, Cause::NotAFile) {
        return node(tree, asked.file);
    }
    let path = PathBytes(tree.path(NodeId(asked.file)));
    let mut what = format!(
        "{} of {path} from byte {} on",
        exact(asked.length),
        grouped(asked.file_offset)
    );
    if asked.padding != 0 {
        let padding = grouped(u64::from(asked.padding));
        write!(what, " and {padding} of padding").expect("a String takes all");
    }
    match refused.cause {
        Cause::OutsideFile(size) => format!("{what}; the file has {}", exact(size)),
        _ => {
            let refused = Refused {
                start: asked.partition_offset,
                ..*refused
            };
            range(&what, &refused, partition_size)
        }
    }
}

/// What is wrong with a range of the partition that `what` was to take.
pub(super) fn range(what: &str, refused: &Refused, partition_size: u64) -> String {
    let place = format!("{what}, at byte {} of", grouped(refused.start));
    let has = exact(partition_size);
    match refused.cause {
        Cause::NotAFile | Cause::OutsideFile(_) => what.to_owned(),
        Cause::OutsidePartition => format!("{place} a partition that has {has}"),
        Cause::FewBytes { own, gap } => format!(
            "{place} a partition that has {has}; the run has {} of its own for the {} before it",
            exact(own),
            grouped(gap)
        ),
        Cause::BeforeItsTurn(end) => format!(
            "{place} the partition; what stands before it in its run ends at byte {}",
            grouped(end)
        ),
        Cause::Taken(Taken {
            start,
            end,
            is_written,
        }) => format!(
            "{place} the partition, where {} from byte {} on {} before",
            exact(end - start),
            grouped(start),
            if is_written {
                "were written"
            } else {
                "were placed"
            }
        ),
    }
}
