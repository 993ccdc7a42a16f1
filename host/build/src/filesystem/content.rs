//! What a file system is to hold: its sources opened, its templates filled, and all of it read into one tree.

use std::sync::Arc;

use cellblock_cell::Codecs;
use cellblock_contract::Loss;
use cellblock_spec::Content;
use cellblock_tree::Timestamp;
use cellblock_tree::source::{
    self, Counter, Gathered, ImageInfo, OpenedSources, ReadOptions, Room, Source, What,
};

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
        let facts = &self.facts.clone().with(&values);
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
        let disks = reading::open_disks(self.runtime, sources.iter()).map_err(Box::new)?;
        let opened = OpenedSources { images, disks };
        let gathered = source::read_opened(&sources, opened, &spool, &options)?;
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
