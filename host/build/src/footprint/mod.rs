//! Every file that a run reads and every one that it writes, in one place, so that no output is an input or another
//! output.
//!
//! Files are compared by device and inode, through symbolic links, and so are standard input and output where they are files.
//! An output that is not there yet is compared by its folder and its name.

mod overlap;

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cellblock_spec::{
    BootSpec, Content, GrubBiosSpec, GrubEfiSpec, GuestFile, GuestSpec, KernelAddon, KernelParts,
    OciPlace, OciReference, RawSpec, SignSpec, SignedBy, SingleFile, Spec, SystemdBootSpec,
    UnifiedKernel,
};
use cellblock_tree::source::{FileContexts, Source, What};

use crate::output::Output;
use crate::plan::FilesystemRequest;

pub use overlap::{Overlap, SameFile};

/// The name of standard input among what is read, and of standard output among what is written.
const STREAM: &str = "-";

/// What of that may be standard input.
const STREAMED: [&str; 4] = ["the spec", "the archive", "the image", "the dumpfile"];

/// The most symbolic links that lead from one to the next, as on Linux (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// The files of a run.
#[derive(Clone, Debug, Default)]
pub struct Footprint {
    read: Vec<Named>,
    written: Vec<Named>,
    /// Folders that files of names not yet known are written into.
    filled: Vec<Named>,
    /// What of it is a private key, or decides no byte.
    secrets: Vec<PathBuf>,
    /// Folders that files are read from whose names are known later: layouts of container images, objects of composefs.
    whole: Vec<PathBuf>,
}

/// A file and what it is for.
#[derive(Clone, Debug)]
struct Named {
    /// What it is, with its article: `the spec`.
    what: String,
    path: PathBuf,
}

impl Footprint {
    /// The run reads this file, or standard input for `-`.
    pub fn reads(&mut self, what: impl Into<String>, path: impl Into<PathBuf>) {
        self.read.push(Named {
            what: what.into(),
            path: path.into(),
        });
    }

    /// The run writes this file, or standard output for `-`.
    pub fn writes(&mut self, what: impl Into<String>, path: impl Into<PathBuf>) {
        self.written.push(Named {
            what: what.into(),
            path: path.into(),
        });
    }

    /// The run reads this file, which is no input of the image: what is made does not depend on it.
    pub fn reads_aside(&mut self, what: impl Into<String>, path: impl Into<PathBuf>) {
        let path = path.into();
        self.secrets.push(path.clone());
        self.reads(what, path);
    }

    /// What the run reads, and what for, in the order in which it was told; without what decides no byte, and without private
    /// keys, whose digests nobody is to be told.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, &Path)> {
        let told = self
            .read
            .iter()
            .filter(|it| !self.secrets.contains(&it.path));
        told.map(|it| (&*it.what, &*it.path))
    }

    /// The run writes files into this folder whose names are known later.
    pub fn fills(&mut self, what: impl Into<String>, folder: impl Into<PathBuf>) {
        self.filled.push(Named {
            what: what.into(),
            path: folder.into(),
        });
    }

    /// The run writes there.
    pub fn writes_output(&mut self, what: impl Into<String>, output: &Output) {
        self.writes(what, output.file().unwrap_or(Path::new(STREAM)));
    }

    /// The run reads all that goes into a file system that no spec describes.
    pub fn reads_request(&mut self, request: &FilesystemRequest) {
        for source in &request.sources {
            self.reads_source(source);
        }
        for file in request
            .contexts
            .iter()
            .flat_map(|it| FileContexts::files(it))
        {
            self.reads("the file contexts", file);
        }
    }

    /// The run reads all that a spec names.
    pub fn reads_spec(&mut self, spec: &Spec) {
        let Spec {
            disk,
            partitions,
            boot,
            guests,
            cache,
        } = spec;
        for partition in partitions {
            let contents = partition.filesystem.iter().flat_map(|it| &it.content);
            contents.for_each(|content| self.reads_content(content));
            let selinux = partition
                .filesystem
                .iter()
                .filter_map(|it| it.selinux.as_ref());
            for file in selinux.flat_map(|it| FileContexts::files(&it.contexts.value)) {
                self.reads("the file contexts", file);
            }
            self.reads_raw(&partition.raw);
            let signature = partition.verity_signature.as_ref();
            self.reads_signer(signature.map(|it| &it.sign));
        }
        self.reads_raw(&disk.raw);
        self.reads_boot(boot);
        for key in cache.iter().flat_map(|it| &it.trust) {
            self.reads_aside("a key of the cache", &key.value);
        }
        for (name, guest) in guests {
            let GuestSpec {
                file,
                sha256: _,
                command: _,
            } = guest;
            self.reads_guest(name, &file.value);
        }
    }

    /// The run reads this guest: a file, or a layout, whose blobs decide what is taken. What a registry has is no file here.
    pub fn reads_guest(&mut self, name: &str, guest: &GuestFile) {
        let what = format!("the guest '{name}'");
        match guest {
            GuestFile::File(path) => self.reads(what, path),
            GuestFile::Oci(OciReference {
                place: OciPlace::Layout(folder),
                ..
            }) => {
                self.whole.push(folder.clone());
                self.reads_aside(what, folder);
            }
            GuestFile::Oci(_) => {}
        }
    }

    /// The run reads this content.
    pub fn reads_content(&mut self, content: &Content) {
        match content {
            Content::Source(source) => self.reads_source(source),
            Content::Template(template) => self.reads("the template", &template.file),
            Content::Kernel(kernel) => self.reads_parts(&kernel.parts),
        }
    }

    /// The run reads this source.
    pub fn reads_source(&mut self, source: &Source) {
        if let Some(metadata) = &source.metadata {
            self.reads("the metadata", metadata);
        }
        match &source.what {
            What::Directory(path) => self.reads("the directory", path),
            What::Archive(path) => self.reads("the archive", path),
            What::Image(image) => {
                self.reads("the image", &image.path);
                self.whole.push(image.path.clone());
            }
            What::Composefs(dump) => {
                self.reads("the dumpfile", &dump.file);
                if let Some(basedir) = &dump.basedir {
                    self.reads("the objects", basedir);
                    self.whole.push(basedir.clone());
                }
            }
            What::Disk(disk) => self.reads("the disk", &disk.path),
            What::File(path) => self.reads("the source", path),
            What::Bytes(_) => {}
        }
    }

    fn reads_raw(&mut self, raw: &[RawSpec]) {
        for file in raw.iter().filter_map(RawSpec::file) {
            self.reads("the raw file", &file.value);
        }
    }

    fn reads_boot(&mut self, boot: &BootSpec) {
        let BootSpec {
            grub_bios,
            grub_efi,
            systemd_boot,
            unified_kernels,
        } = boot;
        if let Some(GrubBiosSpec {
            boot_image,
            core_image,
        }) = grub_bios
        {
            self.reads("GRUB's boot image", &boot_image.value);
            self.reads("GRUB's core image", &core_image.value);
        }
        if let Some(GrubEfiSpec {
            image,
            shim,
            sign,
            config,
        }) = grub_efi
        {
            self.reads_signer(sign.as_ref());
            self.reads("GRUB", &image.value);
            if let Some(shim) = shim {
                self.reads("the shim", &shim.value);
            }
            config.iter().for_each(|config| self.reads_single(config));
        }
        if let Some(SystemdBootSpec {
            image,
            sign,
            config,
            entries,
        }) = systemd_boot
        {
            self.reads_signer(sign.as_ref());
            self.reads("systemd-boot", &image.value);
            config.iter().for_each(|config| self.reads_single(config));
            entries.values().for_each(|entry| self.reads_single(entry));
        }
        for kernel in unified_kernels {
            match kernel {
                UnifiedKernel::Whole(file) => self.reads("the kernel", &file.value),
                UnifiedKernel::Assembled(parts) => self.reads_parts(parts),
            }
        }
    }

    fn reads_parts(&mut self, parts: &KernelParts) {
        for file in parts.files() {
            self.reads("a part of the kernel", &file.value);
        }
        parts.texts().for_each(|text| self.reads_single(text));
        let addons = parts.addons.iter().map(KernelAddon::parts);
        addons.for_each(|parts| self.reads_parts(&parts));
        self.secrets
            .extend(parts.pcr_key.iter().map(|key| key.value.clone()));
        self.reads_signer(parts.sign.as_ref());
    }

    fn reads_signer(&mut self, sign: Option<&SignSpec>) {
        if let Some(SignedBy::Key(key)) = sign.map(|sign| &sign.by) {
            self.secrets.push(key.value.clone());
        }
        for (what, file) in sign.iter().flat_map(|sign| sign.files()) {
            self.reads(what, &file.value);
        }
    }

    fn reads_single(&mut self, file: &SingleFile) {
        match file {
            SingleFile::Host(path) => self.reads("the boot file", path),
            SingleFile::Template(path) => self.reads("the template", path),
            SingleFile::Text(_) => {}
        }
    }

    /// Refuses outputs that are inputs, outputs that are one file, and folders of outputs in folders that are read. What a run
    /// says goes to standard output, which is an output too.
    ///
    /// # Errors
    /// [`Overlap`] for the first.
    pub fn check(&self) -> Result<(), Overlap> {
        self.check_stream()?;
        self.check_files()?;
        self.check_images()?;
        for filled in &self.filled {
            let Some(folder) = resolved(&filled.path) else {
                continue;
            };
            let holds = |read: &&Named| {
                read.path.is_dir()
                    && resolved(&read.path).is_some_and(|read| folder.starts_with(read))
            };
            if let Some(read) = self.read.iter().find(holds) {
                return Err(Overlap::Folder {
                    what: filled.what.clone(),
                    path: filled.path.clone(),
                    of: read.what.clone(),
                    other: read.path.clone(),
                });
            }
        }
        Ok(())
    }

    /// Refuses standard input for two of what may come through it.
    ///
    /// # Errors
    /// [`Overlap::Twice`].
    pub fn check_stream(&self) -> Result<(), Overlap> {
        let may_be = |it: &&Named| STREAMED.contains(&&*it.what) && it.path == Path::new(STREAM);
        let mut read = self.read.iter().filter(may_be);
        match (read.next(), read.next()) {
            (Some(one), Some(other)) => Err(Overlap::Twice {
                one: one.what.clone(),
                other: other.what.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Refuses outputs in layouts of images, of which any file may be read.
    fn check_images(&self) -> Result<(), Overlap> {
        let folders = self.whole.iter().filter(|path| path.is_dir());
        for (image, folder) in folders.filter_map(|path| Some((path, resolved(path)?))) {
            let is_inside = |output: &&Named| {
                if output.path == Path::new(STREAM) {
                    return false;
                }
                let output = resolved(&output.path);
                output.is_some_and(|output| output.starts_with(&folder))
            };
            let mut outputs = self.written.iter().chain(&self.filled);
            if let Some(output) = outputs.find(is_inside) {
                return Err(Overlap::InImage {
                    what: output.what.clone(),
                    path: output.path.clone(),
                    image: image.clone(),
                });
            }
        }
        Ok(())
    }

    fn check_files(&self) -> Result<(), SameFile> {
        let mut outputs: Vec<(Identity, &Named)> = Vec::new();
        let read_as = |identity: &Identity| {
            let is_it = |input: &&Named| Identity::of_input(&input.path).as_ref() == Some(identity);
            self.read.iter().find(is_it)
        };
        for output in &self.written {
            let Some(identity) = Identity::of_output(&output.path) else {
                continue;
            };
            let read = read_as(&identity);
            let written = outputs.iter().find(|(other, _)| *other == identity);
            if let Some(other) = read.or(written.map(|(_, other)| *other)) {
                return Err(SameFile {
                    output: output.what.clone(),
                    path: output.path.clone(),
                    other: other.what.clone(),
                    other_path: other.path.clone(),
                    is_read: read.is_some(),
                });
            }
            outputs.push((identity, output));
        }
        let said = Identity::of_stream(&io::stdout());
        match said.as_ref().and_then(read_as) {
            Some(input) => Err(SameFile {
                output: "standard output".to_owned(),
                path: STREAM.into(),
                other: input.what.clone(),
                other_path: input.path.clone(),
                is_read: true,
            }),
            None => Ok(()),
        }
    }
}

/// The path without links; of a folder that is not there yet, that of the first above it that is, with the names below.
fn resolved(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let mut above = absolute.as_path();
    loop {
        if let Ok(found) = above.canonicalize() {
            let below = absolute.strip_prefix(above).ok()?;
            return Some(found.join(below));
        }
        above = above.parent()?;
    }
}

/// What makes two names one file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Identity {
    /// A file that is there: its device and inode.
    There(u64, u64),
    /// One that is not: the device and inode of its folder, and its name.
    ToBe(u64, u64, std::ffi::OsString),
}

impl Identity {
    /// Of what is read from there.
    fn of_input(path: &Path) -> Option<Self> {
        if path == Path::new(STREAM) {
            return Self::of_stream(&io::stdin());
        }
        Self::of(path)
    }

    /// Of what is written there.
    fn of_output(path: &Path) -> Option<Self> {
        if path == Path::new(STREAM) {
            return Self::of_stream(&io::stdout());
        }
        Self::of(path)
    }

    /// Of a file that was open before this program began; a pipe or a terminal is none that could be lost.
    fn of_stream(stream: &impl AsFd) -> Option<Self> {
        let status = rustix::fs::fstat(stream).ok()?;
        let is_file = rustix::fs::FileType::from_raw_mode(status.st_mode).is_file();
        is_file.then_some(Self::There(status.st_dev, status.st_ino))
    }

    /// None if there can be no such file, which who opens it tells.
    fn of(path: &Path) -> Option<Self> {
        if let Ok(metadata) = fs::metadata(path) {
            // What is written to a terminal or to /dev/null is not lost by being written there twice.
            return metadata
                .is_file()
                .then(|| Self::There(metadata.dev(), metadata.ino()));
        }
        // Symbolic links to a file that is not there yet.
        let mut target = path.to_owned();
        for _ in 0..MOST_LINKS {
            match fs::read_link(&target) {
                Ok(next) => target = target.parent().unwrap_or(Path::new("")).join(next),
                Err(_) => break,
            }
        }
        let folder = match target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let folder = fs::metadata(folder).ok()?;
        let name = target.file_name()?.to_owned();
        Some(Self::ToBe(folder.dev(), folder.ino(), name))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn standard_input_is_read_once() {
        let mut footprint = Footprint::default();
        footprint.reads("the spec", "image.toml");
        footprint.reads("the archive", "-");
        footprint.reads("the source", "-");
        footprint.check().unwrap();
        footprint.reads("the archive", "-");
        let said = footprint.check().unwrap_err().to_string();
        assert!(
            said.starts_with("standard input is named twice, for the archive and for the archive"),
            "{said}"
        );
    }

    #[test]
    fn an_output_that_is_an_input_is_refused_under_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("spec"), "").unwrap();
        symlink("spec", path("link")).unwrap();
        fs::hard_link(path("spec"), path("hard")).unwrap();
        symlink("later", path("dangling")).unwrap();
        symlink("dangling", path("twice")).unwrap();
        for (input, output, is_refused) in [
            ("spec", "spec", true),
            ("spec", "link", true),
            ("link", "hard", true),
            ("spec", "./spec", true),
            ("spec", "other", false),
            ("absent", "other", false),
        ] {
            let mut footprint = Footprint::default();
            footprint.reads("the spec", path(input));
            footprint.writes("the image", path(output));
            assert_eq!(footprint.check().is_err(), is_refused, "{input} {output}");
        }
        for (one, other, is_refused) in [
            ("new", "new", true),
            ("new", "./new", true),
            ("later", "dangling", true),
            ("twice", "later", true),
            ("twice", "dangling", true),
            ("new", "newer", false),
        ] {
            let mut footprint = Footprint::default();
            footprint.writes("the image", path(one));
            footprint.writes("the record", path(other));
            assert_eq!(footprint.check().is_err(), is_refused, "{one} {other}");
        }
    }

    #[test]
    fn the_error_has_both_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a.toml"), "").unwrap();
        symlink("a.toml", path("b.img")).unwrap();
        let mut footprint = Footprint::default();
        footprint.reads("the spec", path("a.toml"));
        footprint.writes("the image", path("b.img"));
        let said = footprint.check().unwrap_err().to_string();
        let expected = format!(
            "{0}/b.img: is both the image and the spec ({0}/a.toml); give one of them another name; \
             nothing has been written",
            folder.path().display()
        );
        assert_eq!(said, expected);
    }
}
