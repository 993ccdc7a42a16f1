//! A component in an OCI image layout on the disk (OCI Image Format Specification 1.1, "OCI Image Layout Specification").

use std::io;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use cellblock_spec::{OciReference, parse_oci_digest};
use cellblock_text::hexadecimal;
use serde::Deserialize;

use super::document::{self, Descriptor};
use super::{ComponentError, Source};
use crate::named_file;

/// A layout.
pub(super) struct Layout<'a> {
    folder: &'a Path,
    reference: &'a OciReference,
}

/// `index.json`.
#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

impl<'a> Layout<'a> {
    pub(super) fn new(folder: &'a Path, reference: &'a OciReference) -> Self {
        Self { folder, reference }
    }

    /// The digest of the manifest that is meant: by its digest, by its name, or the only one.
    pub(super) fn choose(&self) -> Result<[u8; 32], ComponentError> {
        let bytes = self.read(Path::new("index.json"), document::LARGEST as u64)?;
        chosen(&bytes, self.reference)
    }

    fn read(&self, name: &Path, most: u64) -> Result<Vec<u8>, ComponentError> {
        read(self.folder, name, most).map_err(|source| ComponentError::Layout {
            reference: self.reference.to_string(),
            path: self.folder.join(name),
            source,
        })
    }
}

/// The digest of the manifest that is meant, in the bytes of an `index.json`.
pub(super) fn chosen(index: &[u8], reference: &OciReference) -> Result<[u8; 32], ComponentError> {
    let index: Index =
        serde_json::from_slice(index).map_err(|error| ComponentError::NoComponent {
            reference: reference.to_string(),
            why: format!("its index.json is none: {error}"),
        })?;
    let name = |it: &Descriptor| it.annotations.as_ref().and_then(|it| it.name.clone());
    let tag = reference.tag.as_deref();
    let digest = reference.digest;
    let is_meant = |it: &&Descriptor| {
        let own = parse_oci_digest(&it.digest).ok();
        tag.is_none_or(|tag| name(it).as_deref() == Some(tag))
            && digest.is_none_or(|digest| own == Some(digest))
    };
    let meant: Vec<&Descriptor> = index.manifests.iter().filter(is_meant).collect();
    match &meant[..] {
        [one] => parse_oci_digest(&one.digest).map_err(|error| ComponentError::NoComponent {
            reference: reference.to_string(),
            why: error.to_string(),
        }),
        _ => {
            let listed = index.manifests.iter();
            let listed = listed.map(|it| name(it).unwrap_or_else(|| it.digest.clone()));
            let listed: Vec<String> = listed.take(MOST_LISTED).collect();
            let count = index.manifests.len();
            let found = match meant.len() {
                0 => format!(
                    "none of its {count} images is meant ({})",
                    listed.join(", ")
                ),
                several => format!("{several} of its images are meant ({})", listed.join(", ")),
            };
            Err(ComponentError::Choice {
                reference: reference.to_string(),
                found,
            })
        }
    }
}

/// How many images of a layout an error names.
const MOST_LISTED: usize = 10;

/// A regular file of at most `most` bytes in the folder: a link that leads out of it is not followed.
fn read(folder: &Path, name: &Path, most: u64) -> io::Result<Vec<u8>> {
    let folder = Dir::open_ambient_dir(folder, ambient_authority())?;
    let mut options = OpenOptions::new();
    let flags = named_file::FLAGS.bits().cast_signed();
    let file = folder.open_with(name, options.read(true).custom_flags(flags))?;
    named_file::whole_of(&named_file::regular(file.into_std())?, most)
}

fn blob(digest: &[u8; 32]) -> PathBuf {
    Path::new("blobs").join("sha256").join(hexadecimal(digest))
}

impl Source for Layout<'_> {
    fn manifest(&self, digest: &[u8; 32]) -> Result<Vec<u8>, ComponentError> {
        self.read(&blob(digest), document::LARGEST as u64)
    }

    fn blob(&self, digest: &[u8; 32], size: u64) -> Result<Vec<u8>, ComponentError> {
        self.read(&blob(digest), size)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_is_followed_within_the_layout_alone() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("layout");
        fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
        fs::write(base.path().join("secret"), "secret").unwrap();
        fs::write(folder.join("here"), "here").unwrap();
        let links = [
            ("in", "../../here"),
            ("out", "../../../secret"),
            ("absolute", "/dev/null"),
        ];
        for (name, to) in links {
            symlink(to, folder.join("blobs/sha256").join(name)).unwrap();
        }
        symlink("..", folder.join("up")).unwrap();
        let read = |name: &str| read(&folder, Path::new(name), 10);
        assert_eq!(read("blobs/sha256/in").unwrap(), b"here");
        for name in ["blobs/sha256/out", "blobs/sha256/absolute", "up/secret"] {
            assert!(read(name).is_err(), "{name}");
        }
        let error = read("blobs").unwrap_err().to_string();
        assert_eq!(error, "it is no regular file");
    }
}
