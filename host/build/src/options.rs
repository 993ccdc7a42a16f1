//! How an image is built.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cellblock_image::Durability;

use crate::progress::{Hidden, Progress};
use crate::reading::Readers;
use crate::verify::Verify;
use cellblock_tree::source::FileId;

/// How an image is built; nothing of it changes a byte of the image.
///
/// ```
/// use cellblock_build::BuildOptions;
///
/// let options = BuildOptions {
///     digests: true,
///     ..BuildOptions::default()
/// };
/// assert!(options.jobs >= 1);
/// assert_eq!(options.time, None);
/// ```
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// How many cells and threads work at a time.
    pub jobs: usize,
    /// Whether the record's digests are computed, which reads all content and partitions once more.
    pub digests: bool,
    /// Where progress is shown.
    pub progress: Arc<dyn Progress>,
    /// The bytes that the archives of a file system may decompress to; absent, what its partition could make use of.
    pub archive_limit: Option<u64>,
    /// The time of all that no source gives one, and the latest of all whose source does not keep its times, in seconds since
    /// 1970: the spec's, or the environment's.
    pub time: Option<i64>,
    /// Whether that is the environment's.
    pub time_of_environment: bool,
    /// Whether what is published is flushed to the disk first.
    pub durability: Durability,
    /// What the run writes beside the image, such as other images and records: like the image and the file that standard
    /// output goes to, it is left out of the directories that content comes from.
    pub outputs: Vec<PathBuf>,
    /// Which file systems are read back before anything is published.
    pub verify: Verify,
    /// By what file systems are read: what is read back, and images among the content.
    pub readers: Readers,
    /// Where partitions come from that were made before, and where those go that are made.
    #[cfg(feature = "cache")]
    pub cache: Option<Arc<cellblock_cache::Cache>>,
    /// The digests of files that were hashed in earlier runs, for the keys by which caches are asked; absent, all content is hashed.
    #[cfg(feature = "cache")]
    pub known: Option<Arc<crate::known::KnownDigests>>,
    /// Workers that make partitions.
    #[cfg(feature = "cache")]
    pub remote: Option<Arc<crate::action::Remote>>,
}

impl BuildOptions {
    /// Those of the outputs and of the one at `path` that are there already, and standard output's file.
    pub(crate) fn outputs_with(&self, path: Option<&Path>) -> BTreeSet<FileId> {
        let paths = self.outputs.iter().map(PathBuf::as_path).chain(path);
        let files = paths.map(FileId::of_path);
        // What is missing, or cannot be looked at, is found in no directory either.
        let said = FileId::of_open(io::stdout());
        files.chain([said]).filter_map(Result::ok).collect()
    }
}

impl Default for BuildOptions {
    /// As many jobs as the machine runs at once, and nobody who watches.
    fn default() -> Self {
        Self {
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
            digests: false,
            progress: Arc::new(Hidden),
            archive_limit: None,
            time: None,
            time_of_environment: false,
            durability: Durability::Written,
            outputs: Vec::new(),
            verify: Verify::Foreign,
            readers: Readers::default(),
            #[cfg(feature = "cache")]
            cache: None,
            #[cfg(feature = "cache")]
            known: None,
            #[cfg(feature = "cache")]
            remote: None,
        }
    }
}
