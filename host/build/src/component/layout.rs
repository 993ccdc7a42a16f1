//! A component in an OCI image layout on the disk (OCI Image Format Specification 1.1, "OCI Image Layout Specification").

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cellblock_spec::{OciReference, parse_oci_digest};
use cellblock_text::hexadecimal;
use serde::Deserialize;

use super::document::{self, Descriptor};
use super::{ComponentError, Source};

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
        let path = self.folder.join(name);
        read(&path, most).map_err(|source| ComponentError::Layout {
            reference: self.reference.to_string(),
            path,
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

/// A regular file of at most `most` bytes.
fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // Anything else could have no end, or nobody at its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let why = format!("it has more than the {most} bytes that it may have");
        return Err(io::Error::other(why));
    }
    Ok(bytes)
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
