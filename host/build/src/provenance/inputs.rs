//! The digests of all that a build reads.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::BuildOptions;
use crate::footprint::Footprint;
use cellblock_spec::{Content, Spec};
use cellblock_text::hexadecimal;
use cellblock_tree::Timestamp;
use cellblock_tree::source::{self, ReadOptions, Seen, Source, SourceError, What};

/// The bytes that are hashed at a time.
const BUFFER: usize = 1 << 20;

/// Something that a build reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its path as the spec has it.
    pub path: PathBuf,
    /// What it is: `the archive`, `the directory`.
    pub what: String,
    /// Of a directory, the partition that it goes into.
    pub partition: Option<String>,
    /// Digests in hexadecimal, by their names: `sha256` of a file; of a directory, as far as the spec takes it,
    /// `cellblockTree` ([`Tree::digest`](cellblock_tree::Tree::digest)) and `cellblockContent`
    /// ([`Tree::content_digest`](cellblock_tree::Tree::content_digest)); of a container image in a directory `ociManifest`, or where
    /// it has none `ociConfig`: the SHA-256 digest of that document, or another one with its algorithm in front.
    pub digest: BTreeMap<String, String>,
    /// Of a file, as it was when it was hashed.
    seen: Option<Seen>,
}

impl Input {
    /// Looks whether a file is still the one that was hashed, so that its digest is that of what went in.
    ///
    /// # Errors
    /// [`InputError`] if it is not, or cannot be looked at.
    pub fn check(&self) -> Result<(), InputError> {
        let Some(seen) = &self.seen else {
            return Ok(());
        };
        let failed = |source| InputError::File {
            path: self.path.clone(),
            source,
        };
        let change = File::open(&self.path).and_then(|file| seen.change(&file));
        match change.map_err(failed)? {
            None => Ok(()),
            Some(how) => Err(InputError::Changed {
                path: self.path.clone(),
                how,
            }),
        }
    }
}

/// An input whose digest cannot be had.
#[derive(Debug, Error)]
pub enum InputError {
    /// A file.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file that is not what was hashed.
    #[error("{}: changed while the image was built: {how}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What of it has changed.
        how: String,
    },
    /// A directory.
    #[error(transparent)]
    Directory(Box<SourceError>),
}

/// All that a build of `spec` reads, in the order of their kinds and then of the spec: files that `footprint` has, each once,
/// and directories. Standard input is none: its text is in the statement.
///
/// # Errors
/// [`InputError`] for the first that cannot be read.
pub fn inputs(
    footprint: &Footprint,
    spec: &Spec,
    names: &[String],
    options: &BuildOptions,
) -> Result<Vec<Input>, InputError> {
    let mut found: Vec<Input> = Vec::new();
    for (what, path) in footprint.inputs() {
        let is_known = found.iter().any(|input| input.path == path);
        if is_known || path == Path::new("-") || path.is_dir() {
            continue;
        }
        let (digest, seen) = of_file(path)?;
        found.push(Input {
            path: path.to_owned(),
            what: what.to_owned(),
            partition: None,
            digest: BTreeMap::from([("sha256".to_owned(), digest)]),
            seen: Some(seen),
        });
    }
    for (partition, name) in spec.partitions.iter().zip(names) {
        let contents = partition.filesystem.iter().flat_map(|it| &it.content);
        for content in contents {
            let Content::Source(source) = content else {
                continue;
            };
            let (path, what, digest) = match &source.what {
                What::Directory(path) => (path, "the directory", of_directory(source, options)),
                What::Composefs(dump) => match &dump.basedir {
                    Some(basedir) => (basedir, "the objects", of_directory(source, options)),
                    None => continue,
                },
                What::Image(image) if image.path.is_dir() => {
                    (&image.path, "the image", of_image(source))
                }
                _ => continue,
            };
            found.push(Input {
                path: path.clone(),
                what: what.to_owned(),
                partition: Some(name.clone()),
                digest: digest.map_err(|error| InputError::Directory(Box::new(error)))?,
                seen: None,
            });
        }
    }
    Ok(found)
}

/// The SHA-256 digest of a file, and the file as it was before it was read.
pub(super) fn of_file(path: &Path) -> Result<(String, Seen), InputError> {
    let failed = |source| InputError::File {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let seen = Seen::of(&file).map_err(failed)?;
    let digest = digest(file).map_err(failed)?;
    Ok((digest, seen))
}

/// The SHA-256 digest of all that can be read.
pub(super) fn digest(mut source: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

/// The digest that all of an image follows from.
fn of_image(source: &Source) -> Result<BTreeMap<String, String>, SourceError> {
    let no_spool = || Err(io::ErrorKind::Unsupported.into());
    let sources = std::iter::once(source);
    let opened = source::open_images(sources, &no_spool, &ReadOptions::within(0))?;
    let digests = opened.iter().map(|image| {
        let info = image.info();
        let (name, digest) = match &info.manifest {
            Some(digest) => ("ociManifest", digest),
            None => ("ociConfig", &info.config_digest),
        };
        let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
        (name.to_owned(), digits.to_owned())
    });
    Ok(digests.collect())
}

fn of_directory(
    source: &Source,
    options: &BuildOptions,
) -> Result<BTreeMap<String, String>, SourceError> {
    let no_spool = || Err(io::ErrorKind::Unsupported.into());
    let read = ReadOptions {
        time: options.time.map(|seconds| Timestamp {
            seconds,
            nanoseconds: 0,
        }),
        leave_out: options.outputs_with(None),
        ..ReadOptions::within(0)
    };
    let tree = source::read_sources(std::slice::from_ref(source), &no_spool, &read)?.tree;
    let digests = [
        ("cellblockTree", tree.digest()),
        ("cellblockContent", tree.content_digest()?),
    ];
    let digests = digests.map(|(name, digest)| (name.to_owned(), hexadecimal(&digest)));
    Ok(digests.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_that_is_another_one_than_was_hashed_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("initrd");
        std::fs::write(&path, b"one").unwrap();
        let (digest, seen) = of_file(&path).unwrap();
        let input = Input {
            path: path.clone(),
            what: "the initrd".to_owned(),
            partition: None,
            digest: BTreeMap::from([("sha256".to_owned(), digest)]),
            seen: Some(seen),
        };
        input.check().unwrap();
        std::fs::write(&path, b"three").unwrap();
        let error = input.check().unwrap_err().to_string();
        assert!(error.contains("its size was 3, and is 5"), "{error}");
    }
}
