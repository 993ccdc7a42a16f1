//! One file system without a spec: in a file of its own, which is a disk of one partition without a table, or in a
//! partition of a disk that exists.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::error::{Locate, PlanError, Reason};
use super::sectors::{whole_sectors, with_margin};
use super::space::MOST_BYTES;
use super::{FilesystemPlan, SectorSize, TimeRule, identity};
use cellblock_contract::{Kinds, Loss, Losses};
use cellblock_spec::{Content, FilesystemId, SizeRule};
use cellblock_tree::source::Source;

/// A file system on its own has the identifiers of partition number 1.
const NUMBER: u32 = 1;

/// A file system as asked for, without a spec.
#[derive(Clone, Debug)]
pub struct FilesystemRequest {
    /// The kind, which names a guest.
    pub kind: String,
    /// The volume label; may be empty.
    pub label: String,
    /// The identifier; derived from the seed when absent.
    pub uuid: Option<FilesystemId>,
    /// What identifiers derive from; absent, it follows from what is asked for.
    pub seed: Option<[u8; 16]>,
    /// Seconds since 1970 that the file system is stamped with: as asked for, or the environment's.
    pub time: Option<i64>,
    /// The formatter's options.
    pub options: BTreeMap<String, String>,
    /// What the format may lose.
    pub drop: Vec<Loss>,
    /// What goes in; of two sources with the same file the later wins.
    pub sources: Vec<Source>,
    /// The `file_contexts` that labels all of it for SELinux.
    pub contexts: Option<PathBuf>,
}

/// A file system in a file of its own, as asked for.
#[derive(Clone, Debug)]
pub struct MkfsRequest {
    /// The file system.
    pub filesystem: FilesystemRequest,
    /// How long the file is to be.
    pub size: SizeRule,
    /// The size of a sector; the file's length is a multiple of it.
    pub sector_size: SectorSize,
}

/// A file system on its own with everything decided but a length that must be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MkfsPlan {
    /// What identifiers that were not given derive from.
    pub seed: [u8; 16],
    /// What to make.
    pub filesystem: FilesystemPlan,
    /// The time that it is stamped with.
    pub time: TimeRule,
    /// The size of a sector.
    pub sector_size: SectorSize,
    size: SizeRule,
}

/// Decides everything about a file system on its own but a length that must be measured.
///
/// # Errors
/// When the size is "rest", zero or no whole number of sectors, or the identifier is of another kind than the file
/// system stores.
pub fn mkfs_plan(request: MkfsRequest, kinds: &Kinds) -> Result<MkfsPlan, PlanError> {
    let size = check_size(request.size, request.sector_size).map_err(|reason| reason.at(None))?;
    let most = match size {
        SizeRule::Fixed(bytes) => Some(bytes),
        SizeRule::Minimum(_) | SizeRule::Rest => None,
    };
    let mut alone = request.filesystem;
    let seed = alone.seed.unwrap_or_else(|| {
        let sector = request.sector_size.bytes();
        identity::seed_of_text(&format!(
            "{}size {size:?}\nsector-size {sector}\n",
            alone.identity()
        ))
    });
    alone.seed = Some(seed);
    let (filesystem, time) = filesystem_alone(alone, kinds, NUMBER, most)?;
    Ok(MkfsPlan {
        seed,
        filesystem,
        time,
        sector_size: request.sector_size,
        size,
    })
}

/// Decides everything about a file system that goes into partition `number` of a disk that a spec does not describe:
/// what it is, and the time that it is stamped with. It is what a spec with the same seed makes of that partition, which
/// has `most` bytes at the most, if that is known.
///
/// # Errors
/// When the identifier is of another kind than the file system stores.
pub fn filesystem_alone(
    request: FilesystemRequest,
    kinds: &Kinds,
    number: u32,
    most: Option<u64>,
) -> Result<(FilesystemPlan, TimeRule), PlanError> {
    let seed = request
        .seed
        .unwrap_or_else(|| identity::seed_of_text(&request.identity()));
    let uuid = identity::filesystem_id(seed, number, &request.kind, kinds, request.uuid)
        .map_err(|reason| reason.at(None))?;
    identity::check_label(&request.label).map_err(|reason| reason.at(None))?;
    let mut drop = request.drop;
    drop.sort_unstable();
    drop.dedup();
    let filesystem = FilesystemPlan {
        identifier: identity::shown(uuid, &request.kind, kinds),
        kind: request.kind,
        label: request.label,
        uuid,
        seed: identity::hash_seed(seed, number),
        options: request.options.into_iter().collect(),
        drop,
        contents: request.sources.into_iter().map(Content::from).collect(),
        most,
        contexts: request.contexts,
    };
    let time = request.time.map_or(TimeRule::NewestFile, TimeRule::Fixed);
    Ok((filesystem, time))
}

impl FilesystemRequest {
    /// What tells it from others, as text: all but paths, content and time.
    fn identity(&self) -> String {
        let Self {
            kind,
            label,
            uuid,
            seed: _,
            time: _,
            options,
            drop,
            sources: _,
            contexts: _,
        } = self;
        let drop: Losses = drop.iter().copied().collect();
        format!(
            "# cellblock identity 1\nfilesystem {kind:?}\nlabel {label:?}\nuuid {uuid:?}\noptions {options:?}\ndrop {drop}\n"
        )
    }
}

fn check_size(size: SizeRule, sector_size: SectorSize) -> Result<SizeRule, Reason> {
    match size {
        SizeRule::Rest => Err(Reason::RestOfFile),
        SizeRule::Fixed(0) => Err(Reason::EmptySize),
        SizeRule::Fixed(bytes) if bytes > MOST_BYTES => Err(Reason::TooLarge { most: MOST_BYTES }),
        SizeRule::Fixed(bytes) => {
            whole_sectors("size", bytes, sector_size.bytes()).map(SizeRule::Fixed)
        }
        SizeRule::Minimum(_) => Ok(size),
    }
}

impl MkfsPlan {
    /// Whether the length follows from a measurement by the formatter.
    pub fn wants_measurement(&self) -> bool {
        matches!(self.size, SizeRule::Minimum(_))
    }

    /// The length of the file in bytes; `measured` is the smallest that holds the content, and is not looked at
    /// unless [`MkfsPlan::wants_measurement`].
    ///
    /// # Errors
    /// When that is longer than a file can be.
    pub fn size(&self, measured: u64) -> Result<u64, PlanError> {
        let bytes = match self.size {
            SizeRule::Fixed(bytes) => Some(bytes),
            SizeRule::Minimum(margin) => with_margin(measured, margin, self.sector_size.bytes()),
            SizeRule::Rest => None,
        };
        bytes.ok_or_else(|| Reason::TooLarge { most: MOST_BYTES }.at(None))
    }
}
