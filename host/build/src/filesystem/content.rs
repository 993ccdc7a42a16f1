//! What a file system is to hold: its sources opened, its templates filled, and all of it read into one tree.

use std::sync::Arc;

use cellblock_cell::Codecs;
use cellblock_contract::{Loss, Losses};
use cellblock_spec::Content;
use cellblock_tree::source::{
    self, Counter, Gathered, ImageInfo, OpenedSources, ReadOptions, Room, Source, What,
};
use cellblock_tree::{NodeId, Timestamp, Tree};

use super::Preparation;
use crate::catalogue::Formatter;
use crate::configured;
use crate::error::PartitionError;
use crate::kernel::{self, AssembledKernel};
use crate::plan::{Facts, FilesystemPlan};
use crate::progress::Phase;
use crate::reading;
use crate::template::{self, Awaited};

/// The content of a file system, read.
pub(super) struct ReadContent {
    pub(super) gathered: Gathered,
    pub(super) kernels: Vec<AssembledKernel>,
    pub(super) images: Vec<ImageInfo>,
}

/// What the archives of a file system may decompress to, beside twice its partition: headers, and what fills up blocks.
const HEADERS: u64 = 256 << 20;
/// What they may decompress to where nothing is known of the partition's size.
const UNBOUNDED: u64 = 64 << 30;

impl Preparation<'_> {
    /// Reads what a file system is to hold. What its templates wait for goes to `awaited`.
    pub(super) fn read_tree(
        &self,
        name: &str,
        filesystem: &FilesystemPlan,
        formatter: &Formatter,
        codecs: &Arc<Codecs>,
        awaited: &mut Awaited,
    ) -> Result<ReadContent, PartitionError> {
        self.say_sources(name, filesystem);
        let found = Counter::default();
        let counter = found.clone();
        let _ongoing = self.options.progress.begin(
            Phase::Reading,
            name,
            None,
            Box::new(move || counter.count()),
        );
        let options = ReadOptions {
            room: self.room(filesystem, formatter),
            time: self.options.time.map(|seconds| Timestamp {
                seconds,
                nanoseconds: 0,
            }),
            leave_out: self.outputs.clone(),
            found,
            decompressors: Arc::clone(codecs) as _,
            contexts: filesystem.contexts.clone(),
            lost_and_found: matches!(&*filesystem.kind, "ext2" | "ext3" | "ext4"),
        };
        let spool = || self.scratch.file();
        let images = filesystem.contents.iter().filter_map(Content::source);
        let images = source::open_images(images, &spool, &options)?;
        let infos: Vec<ImageInfo> = images.iter().map(|image| image.info().clone()).collect();
        // Of several images the last one, which lies over the others.
        let values = infos.last().map(configured::values).unwrap_or_default();
        let facts = &self.facts.clone().and(values);
        let mut kernels = Vec::new();
        let sources = filesystem
            .contents
            .iter()
            .map(|content| {
                let source = match content {
                    Content::Source(source) => source.clone(),
                    Content::Template(template) => template::filled(template, facts, awaited)?,
                    Content::Kernel(kernel) => {
                        let (source, told) =
                            kernel::assembled(kernel, facts, awaited, self.signers)?;
                        kernels.push(told);
                        source
                    }
                };
                Ok(Source {
                    drop_attributes: filesystem.drop.contains(&Loss::Attributes),
                    ..source
                })
            })
            .collect::<Result<Vec<_>, PartitionError>>()?;
        let readers = &self.options.readers;
        let disks = reading::open_disks(self.runtime, readers, sources.iter()).map_err(Box::new)?;
        let opened = OpenedSources { images, disks };
        let mut gathered = source::read_opened(&sources, opened, &spool, &options)?;
        if stores_modes(formatter) {
            gathered
                .warnings
                .extend(closed_root(&sources, &gathered.tree));
        }
        Ok(ReadContent {
            gathered,
            kernels,
            images: infos,
        })
    }

    /// Says where the content comes from.
    fn say_sources(&self, name: &str, filesystem: &FilesystemPlan) {
        let sources = filesystem.contents.iter().map(|content| match content {
            Content::Kernel(_) => "a unified kernel".to_owned(),
            Content::Template(template) => format!("the template {}", template.file.display()),
            Content::Source(source) => match &source.what {
                What::Directory(path) => format!("the directory {}", path.display()),
                What::Archive(path) => format!("the archive {}", path.display()),
                What::Image(image) => format!("the image {}", image.path.display()),
                What::Composefs(dump) => format!("the dumpfile {}", dump.file.display()),
                What::Disk(disk) => {
                    let partition = disk.partition.iter();
                    let partition: String =
                        partition.map(|it| format!("partition {it} of ")).collect();
                    format!("{partition}the disk {}", disk.path.display())
                }
                What::File(path) => format!("the file {}", path.display()),
                What::Bytes(bytes) => format!("{} bytes of the spec", bytes.len()),
            },
        });
        let sources: Vec<String> = sources.collect();
        if !sources.is_empty() {
            let sources = sources.join(", ");
            self.options
                .progress
                .say(&format!("{name}: its content is {sources}"));
        }
    }

    /// What archives may decompress to: what the user says, or what the partition could make use of. Nobody knows that of a
    /// formatter that may compress in its turn.
    fn room(&self, filesystem: &FilesystemPlan, formatter: &Formatter) -> Room {
        let most = filesystem.most.filter(|_| !formatter.kind.compresses);
        match (self.options.archive_limit, most) {
            (Some(limit), _) => Room::from(limit),
            (None, Some(most)) => Room {
                expanded: most.saturating_mul(2).saturating_add(HEADERS),
                partition: Some(most),
            },
            (None, None) => Room::from(UNBOUNDED),
        }
    }
}

/// Whether a formatter is known to store modes: a FAT has none, and of a command nobody knows.
fn stores_modes(formatter: &Formatter) -> bool {
    let lacks_modes = |lacks: Losses| lacks.contains(Loss::Permissions);
    formatter.is_component() && !formatter.lacks.is_some_and(lacks_modes)
}

/// What is to be said of a root directory that lets others not in, where it has that from a directory or an archive: few know
/// that the mode of the folder itself goes in, and that of `mktemp -d` is 0700. Of an image it is taken for meant.
fn closed_root(sources: &[Source], tree: &Tree) -> Option<source::Warning> {
    const OTHERS_ENTER: u16 = 0o001;
    let root = tree.node(NodeId::ROOT);
    let is_root_of = |source: &Source| {
        let names = source.to.iter().flatten();
        matches!(source.what, What::Directory(_) | What::Archive(_))
            && names.copied().all(|byte| matches!(byte, b'/' | b'.'))
    };
    let is_closed = root.mode & OTHERS_ENTER == 0 && sources.iter().any(is_root_of);
    is_closed.then_some(source::Warning::ClosedRoot {
        mode: root.mode,
        uid: root.uid,
        gid: root.gid,
    })
}

/// The derived values that the templates of a file system name, known before its content is read.
pub(crate) fn awaited(filesystem: &FilesystemPlan, facts: &Facts) -> Awaited {
    let mut awaited = Awaited::default();
    for content in &filesystem.contents {
        match content {
            Content::Source(_) => {}
            Content::Template(template) => template::scan(&template.file, facts, &mut awaited),
            Content::Kernel(kernel) => kernel::scan(&kernel.parts, facts, &mut awaited),
        }
    }
    awaited
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_root_directory_that_lets_others_not_in_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let of = |to: Option<&[u8]>, mode: u32| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            let source = Source {
                to: to.map(Into::into),
                owner: Some((1000, 7)),
                ..Source::new(What::Directory(folder.path().into()))
            };
            let sources = [source];
            let none = || Err(std::io::ErrorKind::Unsupported.into());
            let read = source::read_sources(&sources, &none, &ReadOptions::within(0)).unwrap();
            closed_root(&sources, &read.tree).map(|warning| warning.to_string())
        };
        assert_eq!(
            of(None, 0o700).unwrap(),
            "the root directory has the mode 0700 and the owner 1000:7, as its source has, and lets nobody else in: \
             where others are to enter, make the mode of the source 0755"
        );
        assert!(of(Some(b"/"), 0o750).is_some());
        assert_eq!(of(None, 0o711), None);
        assert_eq!(of(Some(b"/srv"), 0o700), None);
    }
}
