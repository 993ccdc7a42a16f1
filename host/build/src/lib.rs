//! Builds disk images: a spec in, an image and its record out. Each partition's file system is formatted and populated in
//! a WebAssembly cell that can reach its partition, its tree and nothing else; the host lays out the table and splices.
//!
//! ```text
//!     spec ──> plan ──> table ────────────────────────────┐
//!               │                                         v
//!     source ──> tree ──> cell ──> partition file ──> image ──> published
//! ```
//!
//! [`build_image`] is the whole of it. The rooms below are reachable from here, so that an embedding program needs no
//! other crate.
//!
//! ```
//! use cellblock_build::cell::{Runtime, RuntimeOptions, Walls};
//! use cellblock_build::spec::Spec;
//! use cellblock_build::{BuildOptions, Catalog, build_image};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let text = r#"
//!     [[partition]]
//!     name = "root"
//!     type = "root-x86-64"
//!     size = "4MiB"
//!     filesystem = "ext4"
//!     content = [{ text = "made in a cell\n", to = "/etc/motd" }]
//! "#;
//! let folder = tempfile::tempdir()?;
//! // What the spec names lies in this folder; here it names nothing.
//! let spec = Spec::parse(text, folder.path())?;
//! // WebAssembly alone. A program whose `main` begins with `cellblock_build::cell::run_if_cell` can take
//! // `Walls::Strongest`, which puts a locked-down process around each cell as well.
//! let runtime = Runtime::new(&RuntimeOptions {
//!     walls: Walls::Wasm,
//!     ..RuntimeOptions::default()
//! })?;
//! let image = folder.path().join("disk.img");
//! let record = build_image(
//!     &spec,
//!     &image,
//!     &runtime,
//!     &Catalog::default(),
//!     &BuildOptions::default(),
//! )?;
//! // A mebibyte for the table and what alignment asks for, the partition, and room for the backup table.
//! assert_eq!(record.size, std::fs::metadata(&image)?.len());
//! assert_eq!(record.partitions[0].start, 1 << 20);
//! assert_eq!(record.partitions[0].size, 4 << 20);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

#[cfg(feature = "cache")]
pub mod action;
pub mod boot;
mod cache_folder;
#[cfg(feature = "cache")]
mod cached;
pub mod catalogue;
pub mod compare;
pub mod component;
mod configured;
mod derive;
mod differing;
mod disk;
pub mod disks;
mod elsewhere;
pub mod error;
mod existing;
mod filesystem;
pub mod footprint;
mod future;
mod graph;
mod kernel;
mod key;
#[cfg(feature = "cache")]
mod known;
pub mod layout;
mod making;
mod named_file;
#[cfg(feature = "cache")]
mod notes;
mod options;
mod output;
mod parallel;
pub mod plan;
mod preview;
pub mod progress;
pub mod provenance;
pub mod reading;
mod record;
mod said;
mod signing;
mod split;
mod staging;
mod steps;
mod targets;
mod template;
pub mod verify;

#[cfg(feature = "cache")]
pub use cellblock_cache as cache;
pub use cellblock_cell as cell;
pub use cellblock_contract as contract;
pub use cellblock_image as image;
pub use cellblock_sign as sign;
pub use cellblock_spec as spec;
pub use cellblock_table as table;
pub use cellblock_text as text;
pub use cellblock_tree as tree;

pub use cache_folder::{cache_folder, make_private_folder};
pub use catalogue::Catalog;
pub use derive::{Derived, derive_image};
pub use disk::{Assembled, assemble_filesystem, assemble_image, build_image};
pub use error::{Error, PartitionError};
pub use existing::{
    Asked, Changed, DiskError, OpenedImage, Seen, Taken, cut_partition, decode_table,
    fill_partition, repair_table, splice_partition,
};
pub use filesystem::TimeSource;
pub use key::{FillInputs, FillKey, GuestInputs, RawInputs};
#[cfg(feature = "cache")]
pub use known::KnownDigests;
pub use options::BuildOptions;
pub use output::Output;
pub use preview::{Preview, Space, preview_image};
pub use record::{
    EncodedRecord, FilesystemRecord, KernelRecord, MendRecord, OutputRecord, PartitionRecord,
    Record, RepairRecord, SignatureRecord, SplitRecord, Timings, VerityRecord, type_of,
};
pub use said::Said;
pub use signing::ToSign;
pub use split::{Split, SplitError, SplitFiles, SplitPattern, check_folder};
pub use targets::{Packed, Target, export_image};
pub use template::{Fault, FaultReason, TemplateError};
