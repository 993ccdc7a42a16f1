//! The files that an image becomes: each in a format, all complete before any gets its name.
//!
//! ```text
//!     image ──> zst, without a name ────────┐
//!           ──> bmap, without a name ───────┤
//!           itself: the plain one, or qcow2 ┴──> published, one after the other
//! ```
//!
//! The image is put together in a sparse file without a name, whatever it becomes. The first output that takes that file, being the plain
//! disk or having it with little of it moved, gets it when every other has been written from it.

use std::sync::Arc;
use std::time::Instant;

use crate::disk::deliver;
use crate::error::Error;
use crate::output::Output;
use crate::progress::{Phase, Progress, watched};
use crate::record::{OutputRecord, Record};
use crate::{Assembled, BuildOptions, DiskError};
use cellblock_cell::{Codecs, Runtime};
use cellblock_image::{
    Conversion, Durability, Existing, Image, ImageError, OutputFormat, Snapshots,
};
use cellblock_text::hexadecimal;
use cellblock_tree::recognise::Class;
use cellblock_tree::volume::Decoders;

/// A file that an image becomes.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it goes.
    pub output: Output,
    /// Its format.
    pub format: OutputFormat,
}

impl Target {
    /// The one of several beside which an image is put together: the first that can take its file.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn first(targets: &[Self]) -> &Self {
        let takes = targets.iter().find(|it| it.format.takes_file());
        takes
            .or(targets.first())
            .expect("an image has at least one output")
    }

    /// The name of its file, for formats that repeat it.
    fn name(&self) -> String {
        let name = self.output.file().and_then(|path| path.file_name());
        name.map_or_else(
            || "disk".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        )
    }
}

/// How images are written in formats.
struct Packing<'a> {
    codecs: Arc<Codecs>,
    options: &'a BuildOptions,
}

impl Packing<'_> {
    /// Has `convert` write an image of `size` bytes as `target`.
    fn pack<T>(
        &self,
        target: &Target,
        size: u64,
        convert: impl FnOnce(&Conversion<'_>) -> Result<T, ImageError>,
    ) -> Result<T, Error> {
        let name = target.output.to_string();
        let progress = &*self.options.progress;
        watched(progress, Phase::Packing, &name, Some(size), |watch| {
            let how = Conversion {
                jobs: self.options.jobs,
                codecs: &*self.codecs,
                decoders: &(self.codecs.clone() as Arc<dyn Decoders>),
                time: self.options.time,
                name: &target.name(),
                watch,
            };
            convert(&how).map_err(|reason| Error::Output {
                output: name.clone(),
                reason,
            })
        })
    }

    /// What the record says of an output.
    fn record(&self, target: &Target, image: &Image) -> Result<OutputRecord, Error> {
        let file = target.output.to_string();
        let digest = if self.options.digests {
            let progress = &*self.options.progress;
            let size = Some(image.size());
            let digest = watched(progress, Phase::Hashing, &file, size, |watch| {
                image.digest(watch)
            })?;
            Some(hexadecimal(&digest))
        } else {
            None
        };
        Ok(OutputRecord {
            file,
            format: target.format.name(),
            size: image.size(),
            sha256: digest,
        })
    }
}

/// Files that are complete, and have no names yet.
#[derive(Debug)]
pub struct Packed {
    files: Vec<(Output, Image)>,
    durability: Durability,
    progress: Arc<dyn Progress>,
    /// What the file of the image that was read holds beside its disk.
    pub snapshots: Option<Snapshots>,
}

impl Packed {
    /// Gives all their names, or hands them to standard output.
    ///
    /// # Errors
    /// [`Error`] for the first that fails; what had that name, and those behind it, are as they were.
    pub fn deliver(self) -> Result<(), Error> {
        let mut before = Vec::new();
        for (output, image) in self.files {
            match deliver(&output, image, self.durability, &*self.progress) {
                Ok(()) => before.push(output.to_string()),
                Err(error) if before.is_empty() => return Err(error),
                Err(error) => {
                    let reason = Box::new(error);
                    return Err(Error::Later { before, reason });
                }
            }
        }
        Ok(())
    }
}

impl Assembled {
    /// Writes the image in the formats of its outputs; nothing has a name yet. The record has their digests then.
    ///
    /// # Errors
    /// [`Error`]; nothing is left behind.
    ///
    /// # Panics
    /// If there are no outputs.
    pub fn pack(
        self,
        targets: &[Target],
        runtime: &Runtime,
        options: &BuildOptions,
    ) -> Result<(Packed, Record), Error> {
        let packing = Packing {
            codecs: runtime.codecs(),
            options,
        };
        let Self {
            mut image,
            mut record,
            ..
        } = self;
        let size = image.size();
        // To leave the disk as it is costs least.
        let is_raw = targets.iter().position(|it| it.format.is_raw());
        let itself = is_raw.or_else(|| targets.iter().position(|it| it.format.takes_file()));
        let mut files = Vec::with_capacity(targets.len());
        for (index, target) in targets.iter().enumerate() {
            if Some(index) != itself {
                let scratch = target.output.scratch()?;
                let file = packing.pack(target, size, |how| {
                    image.convert(&scratch, &target.format, how)
                })?;
                files.push((index, file));
            }
        }
        if let Some(index) = itself {
            let target = &targets[index];
            packing.pack(target, size, |how| image.become_one(&target.format, how))?;
            files.push((index, image));
        }
        files.sort_by_key(|(index, _)| *index);
        for (index, file) in &files {
            let target = &targets[*index];
            let known = target.format.is_raw().then(|| record.digest.clone());
            record.outputs.push(match known.flatten() {
                Some(digest) => OutputRecord {
                    file: target.output.to_string(),
                    format: target.format.name(),
                    size: file.size(),
                    sha256: Some(digest),
                },
                None => packing.record(target, file)?,
            });
        }
        let plain = targets.iter().find(|it| it.format.is_raw());
        record.image = plain.unwrap_or(&targets[0]).output.to_string();
        record.codecs = packing.codecs.wall();
        let named = |(index, file): (usize, Image)| (targets[index].output.clone(), file);
        let packed = Packed {
            files: files.into_iter().map(named).collect(),
            durability: options.durability,
            progress: Arc::clone(&options.progress),
            snapshots: None,
        };
        Ok((packed, record))
    }
}

/// Writes a disk that exists, plain or in a format that is read, or a file system alone, in other formats; nothing has a name yet. `waiting` is called before waiting
/// for somebody who changes it.
///
/// # Errors
/// [`Error`]; nothing is left behind.
pub fn export_image(
    path: &std::path::Path,
    targets: &[Target],
    runtime: &Runtime,
    options: &BuildOptions,
    waiting: &dyn Fn(),
) -> Result<(Packed, Record), Error> {
    let begun = Instant::now();
    let codecs = runtime.codecs();
    let decoders: Arc<dyn Decoders> = codecs.clone();
    let image = Existing::open_unchanging(path, waiting)?.with_disk(&decoders)?;
    let format = image.recognise().map_err(|source| ImageError::Open {
        path: path.to_owned(),
        source,
    })?;
    if let Some(format) = format.filter(|it| is_no_disk(it.class)) {
        let path = path.to_owned();
        return Err(DiskError::Recognised { path, format }.into());
    }
    let packing = Packing { codecs, options };
    let (mut files, mut outputs) = (Vec::new(), Vec::new());
    for target in targets {
        let scratch = target.output.scratch()?;
        let file = packing.pack(target, image.size(), |how| {
            image.convert(&scratch, &target.format, how)
        })?;
        outputs.push(packing.record(target, &file)?);
        files.push((target.output.clone(), file));
    }
    let mut record = Record::of_export(&path.display(), image.size(), outputs, begun.elapsed());
    record.codecs = packing.codecs.wall();
    let packed = Packed {
        files,
        durability: options.durability,
        progress: Arc::clone(&options.progress),
        snapshots: image.snapshots().cloned(),
    };
    Ok((packed, record))
}

/// Whether a file of this kind holds no disk as it is: what is made of it would be taken for one.
fn is_no_disk(class: Class) -> bool {
    match class {
        Class::Tar
        | Class::Compressed(_)
        | Class::OtherCompression
        | Class::Archive
        | Class::ReadDiskImage
        | Class::DiskImage => true,
        Class::Filesystem | Class::Other => false,
    }
}
