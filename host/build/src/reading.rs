//! The way back: from an image that nobody trusts to its files.
//!
//! ```text
//!     image ──> table, if it has one ──> partition ──> reader, in a cell ──> tree
//! ```

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::DiskError;
use crate::catalogue::{BUILT_IN_READERS, Foreign, GuestError};
pub use crate::elsewhere::Elsewhere;
use crate::existing::{OpenedImage, is_without_table};
use cellblock_cell::{CellError, Guest, ReadVolume, Runtime};
use cellblock_contract::{Level, Log, LogLine, ReaderError, Volume};
use cellblock_image::{ImageError, PartitionBlocks, Superblock};
use cellblock_table::{Finding, Scheme, SectorSize, Selector, Severity};
use cellblock_text::{PathBytes, exact};
use cellblock_tree::source::{OpenedDisk, Source, SourceError, What};
use cellblock_tree::volume::{Blocks, Decoders};
use cellblock_tree::{NodeId, Tree};

/// What is to be said where nothing is found on a disk whose table has no size of sectors.
const SECTORS: &str = "; an MBR does not say how large a sector is, and 512 bytes are taken: if this disk has sectors of 4096, \
    add --sector-size 4096, or where there is no such option, name the file that `cellblock cut --sector-size 4096` makes of the partition";

/// A file system in an image.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The image: a disk, or a file system without a table around it.
    pub image: PathBuf,
    /// The partition of a disk. Without it, the only one that there is.
    pub partition: Option<Selector>,
    /// The size of a sector, where the table does not say it.
    pub sector_size: Option<SectorSize>,
}

/// A file system that was read.
#[derive(Debug)]
pub struct Opened {
    /// What messages call it: the image, and the partition if it is in one.
    pub called: String,
    /// What it says of itself.
    pub volume: Volume,
    /// What is in it.
    pub tree: Tree,
    /// The reader, by its name.
    pub reader: String,
    /// What the reader logged.
    pub log: Log,
    /// What is wrong with the table, though the partition could be found.
    pub findings: Vec<Finding>,
    /// The bytes of the partition that are beyond the end of the image.
    pub missing: u64,
    /// What is to be said of the image's file, if that was opened for this file system alone.
    pub of_image: Vec<String>,
    /// The files whose content is not in it, if somebody wants content.
    pub elsewhere: Option<Elsewhere>,
}

/// Why a file system is not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    /// The image cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image, or its table, is not what was asked for.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// There are several partitions, and none was chosen.
    #[error(
        "{image} is a disk with {count} partitions; say which one: {image}:PARTITION, with {partitions}"
    )]
    Several {
        /// The image.
        image: String,
        /// How many there are.
        count: usize,
        /// What they are called.
        partitions: String,
    },
    /// A partition was chosen of what has none.
    #[error("{image} is a file system without a partition table: leave '{partition}' out")]
    NoPartitions {
        /// The image.
        image: String,
        /// What was chosen.
        partition: String,
    },
    /// What is there is not known, or no reader reads it.
    #[error(
        "{called} holds {}; there are readers of {known}, and --reader NAME=FILE.wasm brings one{}",
        match found {
            Some(found) => format!("{found}, which no reader reads"),
            None => "no file system that is known".to_owned(),
        },
        match guessed {
            true => SECTORS,
            false => "",
        }
    )]
    NoReader {
        /// The image and the partition.
        called: String,
        /// What there is, where that is known.
        found: Option<String>,
        /// What can be read.
        known: String,
        /// Whether the place follows from a size of sectors that is merely the usual one.
        guessed: bool,
    },
    /// A file in it cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A reader cannot be used.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// The reader did not read it.
    #[error("{called}: {error}")]
    Reader {
        /// The image and the partition.
        called: String,
        /// Why.
        error: Box<CellError>,
    },
    /// The path is not there.
    #[error("{called}: there is no {path}")]
    NoPath {
        /// The image and the partition.
        called: String,
        /// The path.
        path: String,
    },
}

impl ReadingError {
    /// Whether what was asked for is wrong.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Several { .. }
            | Self::NoPartitions { .. }
            | Self::NoReader { .. }
            | Self::NoPath { .. } => true,
            Self::Guest(error) => error.is_usage(),
            Self::Disk(error) => error.is_usage(),
            Self::Image(error) => error.is_of_what_was_named(),
            Self::Source(_) | Self::Reader { .. } => false,
        }
    }
}

/// The readers to choose from: those that somebody brings are asked first, in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct Readers {
    foreign: BTreeMap<String, Foreign>,
}

impl Opened {
    /// What somebody should know of it, in words.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let findings = self.findings.iter().map(ToString::to_string);
        let missing =
            (self.missing > 0).then(|| format!("it ends {} beyond the image", exact(self.missing)));
        let log = self.log.lines().iter();
        let told = log
            .filter(|line| line.level == Level::Warning)
            .map(said_by_reader);
        let cut = self.log.cut("its reader");
        let of_image = self.of_image.iter().cloned();
        let elsewhere = self.elsewhere.as_ref().map(ToString::to_string);
        of_image
            .chain(findings)
            .chain(missing)
            .chain(told)
            .chain(elsewhere)
            .chain(cut)
            .collect()
    }

    /// What its reader logged that is no warning, in words.
    pub fn details(&self) -> impl Iterator<Item = String> {
        let log = self.log.lines().iter();
        log.filter(|line| line.level != Level::Warning)
            .map(said_by_reader)
    }
}

/// A line of a reader, as its own words.
fn said_by_reader(line: &LogLine) -> String {
    format!("its reader says: {}", line.text)
}

/// Reads the disks among sources, in their order.
pub(crate) fn open_disks<'s>(
    runtime: &Runtime,
    readers: &Readers,
    sources: impl Iterator<Item = &'s Source>,
) -> Result<Vec<OpenedDisk>, ReadingError> {
    let disks = sources.filter_map(|source| match &source.what {
        What::Disk(disk) => Some(disk),
        _ => None,
    });
    disks
        .map(|disk| {
            let partition = disk.partition.as_ref().map(|text| match text.parse() {
                Ok(selector) => selector,
                Err(never) => match never {},
            });
            let wanted = Wanted {
                image: disk.path.clone(),
                partition,
                sector_size: None,
            };
            let opened = readers.open(runtime, &wanted, true)?;
            let warnings = opened.warnings();
            let tree = opened.tree;
            Ok(OpenedDisk { tree, warnings })
        })
        .collect()
}

/// Where a file system is.
struct Located {
    called: String,
    place: Range<u64>,
    findings: Vec<Finding>,
    /// Whether the place follows from a size of sectors that is merely the usual one.
    guessed: bool,
}

impl Readers {
    /// The built-in ones, and these.
    #[must_use]
    pub fn new(foreign: BTreeMap<String, Foreign>) -> Self {
        Self { foreign }
    }

    /// Reads a file system. Without `extents`, no file of its tree can be read.
    ///
    /// # Errors
    /// [`ReadingError`] if the image cannot be read, no reader reads it, or the reader refuses.
    pub fn open(
        &self,
        runtime: &Runtime,
        wanted: &Wanted,
        extents: bool,
    ) -> Result<Opened, ReadingError> {
        let decoders: Arc<dyn Decoders> = runtime.codecs();
        let image = OpenedImage::open(&wanted.image, wanted.sector_size, &decoders)?;
        let image = Arc::new(image);
        let opened = self.open_in(runtime, &image, wanted.partition.as_ref(), extents)?;
        Ok(Opened {
            of_image: image.warnings(),
            ..opened
        })
    }

    /// Reads a file system in an image that is open: that of a partition, or the only one that there is. What is to be said of the
    /// [image itself](OpenedImage::warnings) is left to whoever opened it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in(
        &self,
        runtime: &Runtime,
        image: &Arc<OpenedImage>,
        partition: Option<&Selector>,
        extents: bool,
    ) -> Result<Opened, ReadingError> {
        self.open_located(runtime, image, locate(image, partition)?, extents)
    }

    /// The same of a place that no table tells.
    pub(crate) fn open_at(
        &self,
        runtime: &Runtime,
        image: &Arc<OpenedImage>,
        place: Range<u64>,
    ) -> Result<Opened, ReadingError> {
        let located = Located {
            called: image.path.display().to_string(),
            place,
            findings: Vec::new(),
            guessed: false,
        };
        self.open_located(runtime, image, located, true)
    }

    fn open_located(
        &self,
        runtime: &Runtime,
        image: &Arc<OpenedImage>,
        located: Located,
        extents: bool,
    ) -> Result<Opened, ReadingError> {
        let Located {
            called,
            place,
            findings,
            guessed,
        } = located;
        let end = place.end.min(image.existing.size());
        let start = place.start.min(end);
        let missing = place.end - end;
        let blocks: Arc<dyn Blocks> = Arc::new(image.blocks(&place));
        let failed = |error: CellError| ReadingError::Reader {
            called: called.clone(),
            error: Box::new(error),
        };
        let find = || {
            Superblock::find(&image.existing, start..end).map_err(|source| {
                ReadingError::from(DiskError::File {
                    file: image.existing.path().to_owned(),
                    source,
                })
            })
        };
        let chosen = self.choose(runtime, &called, &blocks, &find);
        let guest = chosen.map_err(|mut error| {
            if let ReadingError::NoReader {
                found: None,
                guessed: told,
                ..
            } = &mut error
            {
                *told = guessed;
            }
            error
        })?;
        let name = Path::new(&called);
        let read = guest.read_volume(&blocks, name, extents).map_err(failed)?;
        let ReadVolume { volume, tree, log } = read;
        let elsewhere = if extents { Elsewhere::of(&tree) } else { None };
        Ok(Opened {
            reader: guest.name().to_owned(),
            elsewhere,
            called,
            volume,
            tree,
            log,
            findings,
            missing,
            of_image: Vec::new(),
        })
    }

    /// Reads a file system in a partition that was just made.
    pub(crate) fn read(
        &self,
        runtime: &Runtime,
        called: &str,
        partition: Arc<PartitionBlocks>,
    ) -> Result<Opened, ReadingError> {
        let find = || {
            Superblock::find(&*partition, 0..u64::MAX)
                .map_err(|source| ReadingError::from(ImageError::Read { offset: 0, source }))
        };
        let blocks: Arc<dyn Blocks> = Arc::clone(&partition) as _;
        let guest = self.choose(runtime, called, &blocks, &find)?;
        let read = guest.read_volume(&blocks, Path::new(called), true);
        let ReadVolume { volume, tree, log } = read.map_err(|error| ReadingError::Reader {
            called: called.to_owned(),
            error: Box::new(error),
        })?;
        Ok(Opened {
            called: called.to_owned(),
            volume,
            elsewhere: Elsewhere::of(&tree),
            tree,
            reader: guest.name().to_owned(),
            log,
            findings: Vec::new(),
            missing: 0,
            of_image: Vec::new(),
        })
    }

    /// Whether one that somebody brings reads what is at a place of an image.
    pub(crate) fn know(
        &self,
        runtime: &Runtime,
        image: &Arc<OpenedImage>,
        place: &Range<u64>,
    ) -> Result<bool, ReadingError> {
        let blocks: Arc<dyn Blocks> = Arc::new(image.blocks(place));
        let called = image.path.display().to_string();
        Ok(self.brought(runtime, &called, &blocks)?.is_some())
    }

    /// The reader of what is there.
    fn choose(
        &self,
        runtime: &Runtime,
        called: &str,
        blocks: &Arc<dyn Blocks>,
        find: &dyn Fn() -> Result<Option<Superblock>, ReadingError>,
    ) -> Result<Guest, ReadingError> {
        if let Some(brought) = self.brought(runtime, called, blocks)? {
            return Ok(brought);
        }
        let found = find()?;
        let kind = found.as_ref().map(|found| found.kind);
        let reader = BUILT_IN_READERS
            .iter()
            .find(|reader| kind.is_some_and(|kind| reader.kinds.contains(&kind)));
        match reader {
            Some(reader) => Ok(runtime
                .load_built_in_reader(reader.name, reader.bytes)
                .map_err(GuestError::from)?),
            None => {
                let known: Vec<&str> = BUILT_IN_READERS
                    .iter()
                    .flat_map(|reader| reader.kinds)
                    .copied()
                    .collect();
                Err(ReadingError::NoReader {
                    called: called.to_owned(),
                    found: kind.map(str::to_owned),
                    known: known.join(", "),
                    guessed: false,
                })
            }
        }
    }

    /// The first that somebody brings which knows what is there.
    fn brought(
        &self,
        runtime: &Runtime,
        called: &str,
        blocks: &Arc<dyn Blocks>,
    ) -> Result<Option<Guest>, ReadingError> {
        for (name, foreign) in &self.foreign {
            let bytes = foreign.read(name)?;
            let guest = runtime
                .load_reader(name, &bytes)
                .map_err(GuestError::from)?;
            let Err(error) = guest.probe_volume(blocks) else {
                return Ok(Some(guest));
            };
            match error.bare() {
                CellError::NotReadable {
                    reason: ReaderError::Unrecognised,
                    ..
                } => {}
                // It says so once more when it reads.
                CellError::NotReadable { .. } => return Ok(Some(guest)),
                _ => {
                    return Err(ReadingError::Reader {
                        called: called.to_owned(),
                        error: Box::new(error),
                    });
                }
            }
        }
        Ok(None)
    }
}

/// The partition that is chosen, or the only one with content.
fn locate(image: &OpenedImage, partition: Option<&Selector>) -> Result<Located, ReadingError> {
    let name = image.path.display().to_string();
    let decoded = match image.table() {
        Ok(decoded) => decoded,
        Err(error) if is_without_table(&error) => {
            return match partition {
                None => Ok(Located {
                    called: name,
                    place: 0..image.existing.size(),
                    findings: Vec::new(),
                    guessed: false,
                }),
                Some(partition) => Err(ReadingError::NoPartitions {
                    image: name,
                    partition: partition.to_string(),
                }),
            };
        }
        Err(error) => return Err(error.into()),
    };
    let table = &decoded.table;
    let partition = match partition {
        Some(selector) => table
            .select(selector)
            .map_err(|source| DiskError::Select {
                path: image.path.clone(),
                source,
            })?
            .clone(),
        None => {
            let partitions: Vec<_> = table.with_content().collect();
            match partitions[..] {
                [one] => one.clone(),
                _ => {
                    let called: Vec<String> = partitions.iter().map(|one| one.called()).collect();
                    return Err(ReadingError::Several {
                        image: name,
                        count: partitions.len(),
                        partitions: called.join(", "),
                    });
                }
            }
        }
    };
    let findings = decoded.findings.iter();
    Ok(Located {
        called: format!("{name}: partition {}", partition.called()),
        place: table.place_of(&partition),
        guessed: table.scheme() == Scheme::Mbr && !image.says_sector_size(),
        findings: findings
            .filter(|one| one.severity() != Severity::Advice)
            .cloned()
            .collect(),
    })
}

/// The node at a path, which may begin with a `/` and end with one. No link on the way is followed.
#[must_use]
pub fn find(tree: &Tree, path: &[u8]) -> Option<NodeId> {
    let names = path.split(|byte| *byte == b'/').filter(|it| !it.is_empty());
    let mut at = NodeId::ROOT;
    for name in names {
        let below = (at.0 + 1..tree.len()).map(|id| tree.node(NodeId(id)));
        at = below
            .take_while(|node| node.parent >= at)
            .find(|node| node.parent == at && node.name == name)?
            .id;
    }
    Some(at)
}

impl Opened {
    /// The node at a path.
    ///
    /// # Errors
    /// [`ReadingError::NoPath`] if there is none.
    pub fn find(&self, path: &[u8]) -> Result<NodeId, ReadingError> {
        find(&self.tree, path).ok_or_else(|| ReadingError::NoPath {
            called: self.called.clone(),
            path: PathBytes::from(path).to_string(),
        })
    }
}
