//! A file system that is ready to be made.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use super::filled::{Digests, Slot};
use crate::catalogue::Formatter;
use crate::error::PartitionError;
use crate::future;
use crate::kernel::AssembledKernel;
use crate::key::{FillInputs, FillKey, GuestInputs};
#[cfg(feature = "cache")]
use crate::known::KnownDigests;
use crate::plan::{FilesystemPlan, TimeRule};
use crate::said::Said;
use crate::template::Awaited;
#[cfg(feature = "cache")]
use cellblock_cell::Guest;
use cellblock_cell::{Cell, Codecs, Outcome};
use cellblock_contract::{Loss, Losses, Partition, Request};
use cellblock_image::PartitionFile;
use cellblock_tree::source::{ImageInfo, Warning};
use cellblock_tree::{Timestamp, Tree, TreeDigests};

/// A file system whose tree has been read and whose formatter is ready.
pub(crate) struct Prepared {
    pub(crate) index: usize,
    pub(super) name: String,
    pub(super) filesystem: FilesystemPlan,
    /// The formatter, with the tree.
    pub(super) cell: Cell,
    pub(crate) tree: Arc<Tree>,
    /// The derived values that its templates name.
    pub(crate) awaited: Awaited,
    /// The unified kernels that were assembled for it.
    pub(super) kernels: Vec<AssembledKernel>,
    /// The container images in its content.
    pub(super) images: Vec<ImageInfo>,
    /// What the user should know of its content.
    pub(super) warnings: Vec<Warning>,
    /// What is to be dropped, and what the format stores.
    pub(super) kept: Vec<Loss>,
    pub(super) formatter: Formatter,
    /// Who runs codecs for it.
    pub(super) codecs: Arc<Codecs>,
    pub(super) reading: Duration,
    /// The smallest size in bytes, if it was measured.
    pub(crate) smallest: Option<u64>,
    /// The digests of the tree, once they are known.
    pub(super) digests: OnceLock<TreeDigests>,
}

impl Prepared {
    /// Its formatter, and the component where the program does not carry it.
    #[cfg(feature = "cache")]
    pub(crate) fn guest_and_component(&self) -> (&Guest, Option<Arc<[u8]>>) {
        (self.cell.guest(), self.formatter.component.clone())
    }

    /// The name of its partition.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The kind of file system that was asked for.
    pub(crate) fn kind(&self) -> &str {
        &self.filesystem.kind
    }

    /// What it may lose: what is dropped, and what an option of ours leaves out.
    pub(crate) fn lost(&self) -> Losses {
        let dropped = self.filesystem.drop.iter().copied();
        // Nobody knows what the options of somebody's own formatter leave out.
        let left_out = match self.formatter.is_foreign {
            true => None,
            false => self.filesystem.left_out(),
        };
        dropped.chain(left_out).collect()
    }

    /// Whether something derives from it, or it holds what does.
    pub(crate) fn derives(&self) -> bool {
        !self.kernels.is_empty() || !self.awaited.partitions.is_empty()
    }

    /// What the user should know of it, before it is made.
    pub(crate) fn warnings(&self, time: TimeRule) -> Vec<Said> {
        let kind = &self.filesystem.kind;
        let kept = self.kept.iter().map(|loss| {
            let loss = loss.name();
            format!("nothing is dropped by drop = [\"{loss}\"]: {kind} loses no {loss}")
        });
        let of_content = self.warnings.iter().map(ToString::to_string);
        kept.chain(of_content)
            .chain(future::warning(&self.tree, kind, time, SystemTime::now()))
            .map(Said::Warning)
            .collect()
    }

    /// Makes the file system in a partition that is thrown away: what the formatter says of it.
    pub(crate) fn rehearse(
        &self,
        place: &Slot,
        partition: Arc<dyn Partition>,
    ) -> Result<Outcome, PartitionError> {
        Ok(self.cell.format(&self.request(place), partition)?)
    }

    pub(super) fn digests(
        &self,
        place: &Slot,
        partition: &PartitionFile,
    ) -> Result<Digests, PartitionError> {
        let tree = self.tree_digests()?;
        Ok(Digests {
            key: self.key(place, tree),
            partition: partition.digest()?,
            tree: *tree,
        })
    }

    /// The digests of the tree, which takes reading all of its files once.
    pub(crate) fn tree_digests(&self) -> Result<&TreeDigests, PartitionError> {
        if let Some(known) = self.digests.get() {
            return Ok(known);
        }
        let digests = self.tree.digests()?;
        Ok(self.digests.get_or_init(|| digests))
    }

    /// The same, without reading files whose digests are `known`.
    #[cfg(feature = "cache")]
    pub(crate) fn tree_digests_with(
        &self,
        known: Option<&KnownDigests>,
    ) -> Result<&TreeDigests, PartitionError> {
        let (None, Some(known)) = (self.digests.get(), known) else {
            return self.tree_digests();
        };
        let digests = known.of(&self.tree)?;
        Ok(self.digests.get_or_init(|| digests))
    }

    /// Whether its size depends on the bytes of its files, so that measuring takes as long as making.
    #[cfg(feature = "cache")]
    pub(crate) fn is_measured_by_content(&self) -> bool {
        let guest = self.cell.guest();
        guest.encodes() || guest.command_line().is_some()
    }

    /// The key of the file system at `place`; `tree` holds the digests of its tree.
    pub(crate) fn key(&self, place: &Slot, tree: &TreeDigests) -> FillKey {
        FillKey::of(&FillInputs::Filesystem {
            guest: GuestInputs::of(self.cell.guest()),
            request: &self.request(place),
            tree,
        })
    }

    pub(super) fn time(&self, place: &Slot) -> Timestamp {
        match place.time {
            TimeRule::Fixed(seconds) => Timestamp {
                seconds,
                nanoseconds: 0,
            },
            TimeRule::NewestFile => self.tree.newest(),
        }
    }

    pub(crate) fn request(&self, place: &Slot) -> Request {
        let filesystem = &self.filesystem;
        Request {
            kind: self.formatter.kind.name.clone(),
            size: place.size,
            disk_offset: self.formatter.request_offset(place.disk_offset),
            sector_size: u32::try_from(place.sector_size.bytes()).expect("512 or 4096"),
            label: filesystem.label.clone(),
            uuid: filesystem.uuid.into_bytes(),
            seed: filesystem.seed,
            time: self.time(place),
            drop: filesystem.drop.iter().copied().collect(),
            settings: filesystem.settings(),
        }
    }
}
