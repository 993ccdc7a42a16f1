//! The reader of FAT12, FAT16 and FAT32 with long names, and of exFAT (in `exfat`): from a partition to its nodes, and where
//! the bytes of files are.
//!
//! ```text
//!   boot sector ──> root directory ──> entries ──> chains of clusters ──> directories, extents for the host
//!        |                                              |
//!      table <──────────────────────────────────────────┘
//! ```
//!
//! It shares no code with the formatter but the SDK. What it reads nobody has checked: each number is held against what there
//! is before it is used, and each cluster has one owner, so that there are no loops, and nothing is read twice.
//!
//! FAT has neither owners nor permissions: all is root's, directories have mode 755, and files 644, or 444 if they are
//! read-only. Times are taken as universal time. Short names are in code page 437.

#![deny(unsafe_code)]

mod boot;
mod directory;
mod exfat;
mod moment;
mod names;
mod table;
mod told;

#[cfg(target_arch = "wasm32")]
#[allow(
    unsafe_code,
    reason = "what the bindings of the contract export and import"
)]
mod component;

use cellblock_guest::reader::{
    FileExtent, Listing, Partition, Place, Reader, ReaderDescription, ReaderError, ReaderRequest,
    Teller, Volume,
};
use cellblock_guest::{Kind, NodeId};

use boot::{Boot, Width};
use directory::{Entries, Entry};
use table::Table;
use told::{Marked, Torn};

/// The reader.
#[derive(Clone, Copy, Debug)]
pub struct Fat;

impl Reader for Fat {
    fn describe() -> ReaderDescription {
        ReaderDescription {
            name: "fat",
            version: env!("CARGO_PKG_VERSION"),
            summary: "reads FAT12, FAT16, FAT32 and exFAT",
            kinds: &["vfat", "fat12", "fat16", "fat32", exfat::KIND],
        }
    }

    fn probe(partition: &dyn Partition) -> Result<Volume, ReaderError> {
        if exfat::is_exfat(partition)? {
            return exfat::probe(partition);
        }
        let boot = Boot::read(partition)?;
        let mut walk = Walk {
            partition,
            table: Table::new(partition, &boot),
            boot: &boot,
        };
        let root = walk.root()?;
        volume(&boot, &root, &mut walk.table)
    }

    fn read(
        request: &ReaderRequest,
        partition: &dyn Partition,
        listing: &mut dyn Listing,
    ) -> Result<Volume, ReaderError> {
        if exfat::is_exfat(partition)? {
            return exfat::read(request, partition, listing);
        }
        let boot = Boot::read(partition)?;
        let mut walk = Walk {
            partition,
            table: Table::new(partition, &boot),
            boot: &boot,
        };
        let root = walk.root()?;
        let volume = volume(&boot, &root, &mut walk.table)?;
        walk.tell(root, request.extents, Teller::new(listing))?;
        Ok(volume)
    }
}

fn volume(boot: &Boot, root: &Entries, table: &mut Table<'_>) -> Result<Volume, ReaderError> {
    let in_boot_sector = names::label(boot.label);
    let label = match root.label {
        Some(label) => names::label(label),
        None if in_boot_sector == b"NO NAME" => Vec::new(),
        None => in_boot_sector,
    };
    let serial = boot.serial.map(told::serial);
    Ok(Volume {
        kind: boot.kind().to_owned(),
        label,
        identifier: serial.unwrap_or_default(),
        block_size: u32::try_from(boot.cluster_size).expect("a cluster has at most 512 KiB"),
        size: boot.size,
        free: u64::from(table.free()?) * boot.cluster_size,
        properties: vec![("clusters".to_owned(), boot.clusters.to_string())],
    })
}

/// Linux would open one of two entries of a name, and never the other.
fn of_different_names(entries: Entries, owner: &str) -> Result<Entries, ReaderError> {
    match entries.twice() {
        None => Ok(entries),
        Some(name) => Err(told::twice(owner, name)),
    }
}

/// A way through all directories.
struct Walk<'a> {
    partition: &'a dyn Partition,
    boot: &'a Boot,
    table: Table<'a>,
}

impl Walk<'_> {
    /// The most bytes of a directory that are read at once.
    const AT_ONCE: u64 = 1 << 20;

    fn root(&mut self) -> Result<Entries, ReaderError> {
        const NAME: &str = "the root directory";
        if self.boot.width == Width::ThirtyTwo {
            return self.entries(self.boot.root_cluster, Entries::of_root(), NAME);
        }
        let length = usize::try_from(self.boot.root_size).expect("it is at most 2 MiB");
        let bytes = self.partition.bytes(self.boot.root, length)?;
        let mut entries = Entries::of_root();
        let damaged = |problem| ReaderError::damaged(NAME, self.boot.root, problem);
        entries.take(&bytes).map_err(damaged)?;
        of_different_names(entries, NAME)
    }

    fn entries(
        &mut self,
        cluster: u32,
        mut entries: Entries,
        owner: &str,
    ) -> Result<Entries, ReaderError> {
        for run in self.table.chain(cluster, None, owner)? {
            let mut at = 0;
            while at < run.length && !entries.is_over() {
                let length = Self::AT_ONCE.min(run.length - at);
                let bytes = usize::try_from(length).expect("it is small");
                let bytes = self.partition.bytes(run.start + at, bytes)?;
                let damaged = |problem| ReaderError::damaged(owner, run.start + at, problem);
                entries.take(&bytes).map_err(damaged)?;
                at += length;
            }
        }
        of_different_names(entries, owner)
    }

    fn tell(
        mut self,
        root: Entries,
        wants_extents: bool,
        mut teller: Teller<'_>,
    ) -> Result<(), ReaderError> {
        let id = teller.node(told::root())?;
        let mut marked = Marked::default();
        let mut torn = Torn::default();
        let mut waiting = vec![(root, id)];
        while let Some((entries, parent)) = waiting.pop() {
            torn.note(entries.torn, &entries.first_torn);
            for entry in entries.all {
                let cluster = self.cluster(&entry);
                marked.note(entry.is_marked, &entry.name);
                if entry.is_directory {
                    let told = told::directory(parent, &entry.name, entry.modified);
                    let id = teller.node(told)?;
                    let owner = format!("the directory at cluster {cluster}");
                    let entries = self.entries(cluster, Entries::of_another(), &owner)?;
                    waiting.push((entries, id));
                    continue;
                }
                let kind = Kind::File {
                    size: entry.size.into(),
                    sparse: false,
                };
                let is_locked = entry.is_read_only;
                let told = told::file(parent, &entry.name, kind, is_locked, entry.modified);
                let id = teller.node(told)?;
                if wants_extents {
                    self.extents(&entry, cluster, id, &mut teller)?;
                }
            }
        }
        if let Some(warning) = torn.warning() {
            teller.warn(&warning);
        }
        if wants_extents && let Some(warning) = marked.warning() {
            teller.warn(&warning);
        }
        teller.finish();
        Ok(())
    }

    /// The first cluster; what stands in its upper half counts in FAT32 alone.
    fn cluster(&self, entry: &Entry) -> u32 {
        match self.boot.width {
            Width::ThirtyTwo => entry.cluster,
            _ => entry.cluster & 0xFFFF,
        }
    }

    fn extents(
        &mut self,
        entry: &Entry,
        cluster: u32,
        file: NodeId,
        teller: &mut Teller<'_>,
    ) -> Result<(), ReaderError> {
        let size = u64::from(entry.size);
        let owner = format!("the file at cluster {cluster}");
        let mut offset = 0;
        for run in self.table.chain(cluster, Some(size), &owner)? {
            let length = run.length.min(size - offset);
            teller.extent(FileExtent {
                file,
                offset,
                length,
                place: Place::Plain(run.start),
            });
            offset += length;
        }
        Ok(())
    }
}
