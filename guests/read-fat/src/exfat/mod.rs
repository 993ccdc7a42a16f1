//! exFAT, by Microsoft's "exFAT file system specification", revision 1.00, whose sections are named here.
//!
//! ```text
//!   boot region, or its backup ──> root directory ──> sets of entries ──> clusters in a row, or chains ──> directories, extents
//!                                    |     |                                 |
//!                        up-case table    bitmap: free, and a warning      table
//! ```
//!
//! What has a wrong checksum and is needed is refused; what is not needed, as the backup of the boot region, the up-case table
//! and the bitmap, is warned of. Behind the valid bytes of a file (section 7.6.5) there is a hole.

mod bitmap;
mod boot;
mod clusters;
mod directory;
mod moment;
mod owned;
mod up_case;

use std::collections::BTreeSet;

use cellblock_guest::reader::{
    FileExtent, Listing, Partition, Place, ReaderError, ReaderRequest, Teller, Volume,
};
use cellblock_guest::{Kind, NodeId};

use crate::told::{self, Marked};
use bitmap::Bitmap;
use boot::Boot;
use clusters::{Allocation, Clusters, Run};
use directory::{Entries, Entry, SIZE_LIMIT, Special};

pub(crate) use boot::is_exfat;

pub(crate) const KIND: &str = "exfat";
const ROOT: &str = "the root directory";

/// What it says of itself.
pub(crate) fn probe(partition: &dyn Partition) -> Result<Volume, ReaderError> {
    let boot = Boot::read(partition)?;
    let mut clusters = Clusters::new(partition, &boot);
    let head = Head::read(partition, &boot, &mut clusters)?;
    let survey = match &head.bitmap {
        Some(bitmap) => bitmap.survey(partition, &boot, &clusters.owned)?.free,
        None => 0,
    };
    Ok(head.volume(&boot, survey))
}

/// Tells all of it.
pub(crate) fn read(
    request: &ReaderRequest,
    partition: &dyn Partition,
    listing: &mut dyn Listing,
) -> Result<Volume, ReaderError> {
    let boot = Boot::read(partition)?;
    for warning in &boot.warnings {
        listing.warn(warning);
    }
    let mut clusters = Clusters::new(partition, &boot);
    let head = Head::read(partition, &boot, &mut clusters)?;
    if let Some(warning) = up_case::check(partition, &mut clusters, head.special.up_case)? {
        listing.warn(&warning);
    }
    let mut walk = Walk {
        partition,
        clusters: &mut clusters,
        wants_extents: request.extents,
        teller: Teller::new(listing),
        waiting: Vec::new(),
        marked: Marked::default(),
    };
    walk.all(&head.root)?;
    if request.extents
        && let Some(warning) = walk.marked.warning()
    {
        walk.teller.warn(&warning);
    }
    walk.teller.finish();
    let Some(bitmap) = &head.bitmap else {
        listing.warn("it has no allocation bitmap, so that nobody knows what is free");
        return Ok(head.volume(&boot, 0));
    };
    let survey = bitmap.survey(partition, &boot, &clusters.owned)?;
    if let Some(first) = survey.first {
        listing.warn(&format!(
            "the allocation bitmap calls {} clusters free that are in use, from cluster {first} on: writing to it would damage files",
            survey.unmarked
        ));
    }
    Ok(head.volume(&boot, survey.free))
}

/// What is known before any file is.
struct Head {
    root: Vec<Run>,
    special: Special,
    bitmap: Option<Bitmap>,
}

impl Head {
    fn read(
        partition: &dyn Partition,
        boot: &Boot,
        clusters: &mut Clusters<'_>,
    ) -> Result<Self, ReaderError> {
        let limit = SIZE_LIMIT / boot.cluster_size;
        let root = clusters.whole_chain(boot.root, limit, ROOT)?;
        let mut entries = Entries::new(true);
        scan(partition, &root, &mut entries, ROOT, &mut |found| {
            found.clear();
            Ok(())
        })?;
        let special = entries.special;
        let bitmap = Bitmap::find(boot, &special, clusters)?;
        Ok(Self {
            root,
            special,
            bitmap,
        })
    }

    fn volume(self, boot: &Boot, free: u64) -> Volume {
        Volume {
            kind: KIND.to_owned(),
            label: self.special.label.unwrap_or_default(),
            identifier: told::serial(boot.serial),
            block_size: u32::try_from(boot.cluster_size).expect("a cluster has at most 32 MiB"),
            size: boot.size,
            free: free * boot.cluster_size,
            properties: vec![
                ("clusters".to_owned(), boot.clusters.to_string()),
                ("revision".to_owned(), boot::revision(boot.revision)),
                ("sector-size".to_owned(), boot.sector_size.to_string()),
            ],
        }
    }
}

/// Takes in a directory up to its end, and hands over what was found, piece by piece.
fn scan(
    partition: &dyn Partition,
    runs: &[Run],
    entries: &mut Entries,
    owner: &str,
    take: &mut dyn FnMut(&mut Vec<Entry>) -> Result<(), ReaderError>,
) -> Result<(), ReaderError> {
    /// Most directories are small, whatever clusters are.
    const FIRST: u64 = 4 << 10;
    const MOST: u64 = 1 << 20;
    let damaged = |(at, problem)| ReaderError::damaged(owner, at, problem);
    let mut at_once = FIRST;
    for run in runs {
        let mut at = 0;
        while at < run.length && !entries.is_over() {
            let length = at_once.min(run.length - at);
            let bytes = usize::try_from(length).expect("it is small");
            let bytes = partition.bytes(run.start + at, bytes)?;
            entries.take(&bytes, run.start + at).map_err(damaged)?;
            take(&mut entries.found)?;
            at += length;
            at_once = (at_once * 2).min(MOST);
        }
    }
    entries.end().map_err(damaged)
}

/// A way through all directories.
struct Walk<'a, 'c, 't> {
    partition: &'a dyn Partition,
    clusters: &'c mut Clusters<'a>,
    wants_extents: bool,
    teller: Teller<'t>,
    /// Directories that were told, and not looked into.
    waiting: Vec<(NodeId, Allocation)>,
    marked: Marked,
}

impl Walk<'_, '_, '_> {
    fn all(&mut self, root: &[Run]) -> Result<(), ReaderError> {
        let id = self.teller.node(told::root())?;
        self.directory(id, root, true, ROOT)?;
        while let Some((id, allocation)) = self.waiting.pop() {
            let owner = format!("the directory at cluster {}", allocation.first);
            let mut runs = Vec::new();
            let mut left = allocation.length;
            self.clusters.each_run(&allocation, &owner, &mut |run| {
                let length = run.length.min(left);
                left -= length;
                runs.push(Run { length, ..run });
            })?;
            self.directory(id, &runs, false, &owner)?;
        }
        Ok(())
    }

    fn directory(
        &mut self,
        id: NodeId,
        runs: &[Run],
        is_root: bool,
        owner: &str,
    ) -> Result<(), ReaderError> {
        let partition = self.partition;
        let mut entries = Entries::new(is_root);
        let mut names = BTreeSet::new();
        scan(partition, runs, &mut entries, owner, &mut |found| {
            found.drain(..).try_for_each(|entry| {
                if names.contains(&entry.name) {
                    return Err(told::twice(owner, &entry.name));
                }
                self.entry(id, &entry)?;
                names.insert(entry.name);
                Ok(())
            })
        })
    }

    fn entry(&mut self, parent: NodeId, entry: &Entry) -> Result<(), ReaderError> {
        self.marked.note(entry.is_marked, &entry.name);
        if entry.is_directory {
            let told = told::directory(parent, &entry.name, entry.modified);
            let id = self.teller.node(told)?;
            self.waiting.push((id, entry.allocation));
            return Ok(());
        }
        let size = entry.allocation.length;
        let kind = Kind::File {
            size,
            sparse: false,
        };
        let is_locked = entry.is_read_only;
        let told = told::file(parent, &entry.name, kind, is_locked, entry.modified);
        let file = self.teller.node(told)?;
        if !self.wants_extents {
            return Ok(());
        }
        let owner = format!("the file at cluster {}", entry.allocation.first);
        let teller = &mut self.teller;
        let mut offset = 0;
        self.clusters
            .each_run(&entry.allocation, &owner, &mut |run| {
                let length = run.length.min(entry.valid.saturating_sub(offset));
                teller.extent(FileExtent {
                    file,
                    offset,
                    length,
                    place: Place::Plain(run.start),
                });
                offset += run.length;
            })
    }
}
