//! `cellblock.lock`: which manifests the tags of a spec's guests led to when somebody looked.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use cellblock_spec::{GuestFile, OciPlace, OciReference, Spec, parse_oci_digest};
use cellblock_text::{excerpt, hexadecimal};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::named_file;

/// The name of the file, beside the spec.
pub const NAME: &str = "cellblock.lock";
/// The form of the file.
const VERSION: u32 = 1;
/// The most bytes of it.
const LARGEST: u64 = 1 << 20;

/// What tags led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    path: PathBuf,
    pinned: BTreeMap<String, [u8; 32]>,
}

/// The file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    guests: BTreeMap<String, String>,
}

/// Why it cannot be used.
#[derive(Debug, Error)]
pub enum LockError {
    /// It cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It says something else.
    #[error(
        "{}: {}; `cellblock guests lock SPEC` writes it anew once it is removed",
        path.display(),
        excerpt(.why)
    )]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl Lock {
    /// Reads the one beside a spec; one that is not there pins nothing.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn beside(spec: &Path) -> Result<Self, LockError> {
        let path = spec.parent().unwrap_or(Path::new("")).join(NAME);
        let text = match named_file::whole(&path, LARGEST) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let pinned = BTreeMap::new();
                return Ok(Self { path, pinned });
            }
            Err(source) => return Err(LockError::File { path, source }),
        };
        let wrong = |why: String| LockError::Form {
            path: path.clone(),
            why,
        };
        let document: Document =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if document.version != VERSION {
            let why = format!(
                "it has version {}, and {VERSION} is known",
                document.version
            );
            return Err(wrong(why));
        }
        let digests = document.guests.into_iter().map(|(name, digest)| {
            let digest = parse_oci_digest(&digest).map_err(|error| wrong(error.to_string()))?;
            Ok((name, digest))
        });
        let pinned = digests.collect::<Result<_, LockError>>()?;
        Ok(Self { path, pinned })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the guests of a spec that have a tag alone the digest that it led to.
    pub fn pin(&self, spec: &mut Spec) {
        for guest in spec.guests.values_mut() {
            if let GuestFile::Oci(reference) = &mut guest.file.value
                && is_open(reference)
            {
                reference.digest = self.pinned.get(&reference.to_string()).copied();
            }
        }
    }

    /// The digest of a reference that has a tag alone.
    #[must_use]
    pub fn get(&self, reference: &OciReference) -> Option<[u8; 32]> {
        self.pinned.get(&reference.to_string()).copied()
    }

    /// Pins these alone, and writes the file: all of it or nothing.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn write(&mut self, pinned: BTreeMap<String, [u8; 32]>) -> Result<(), LockError> {
        self.pinned = pinned;
        let guests = self.pinned.iter();
        let document = Document {
            version: VERSION,
            guests: guests
                .map(|(name, digest)| (name.clone(), format!("sha256:{}", hexadecimal(digest))))
                .collect(),
        };
        let text = serde_json::to_string_pretty(&document).map_err(io::Error::from);
        text.and_then(|text| named_file::replace(&self.path, (text + "\n").as_bytes()))
            .map_err(|source| LockError::File {
                path: self.path.clone(),
                source,
            })
    }
}

/// Whether a reference leads to another component as its tag moves.
#[must_use]
pub fn is_open(reference: &OciReference) -> bool {
    matches!(reference.place, OciPlace::Registry { .. }) && reference.digest.is_none()
}

/// The references of a spec's guests.
pub fn references(spec: &Spec) -> impl Iterator<Item = (&str, &OciReference)> {
    spec.guests
        .iter()
        .filter_map(|(name, guest)| match &guest.file.value {
            GuestFile::Oci(reference) => Some((name.as_str(), reference)),
            GuestFile::File(_) => None,
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;

    /// Cut off it could be a lock that pins less.
    #[test]
    fn a_lock_that_is_too_long_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let spec = folder.path().join("image.toml");
        let mut text = r#"{"version":1,"guests":{}}"#.to_owned();
        let longest = usize::try_from(LARGEST).unwrap();
        text.extend(std::iter::repeat_n(' ', longest - text.len()));
        fs::write(folder.path().join(NAME), &text).unwrap();
        Lock::beside(&spec).unwrap();
        text.push(' ');
        fs::write(folder.path().join(NAME), &text).unwrap();
        let error = Lock::beside(&spec).unwrap_err().to_string();
        assert!(error.contains("more than the 1048576 bytes"), "{error}");
    }

    #[test]
    fn a_lock_that_is_no_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
        let error = Lock::beside(&folder.path().join("image.toml")).unwrap_err();
        let said = error.to_string();
        assert!(said.ends_with("it is no regular file"), "{said}");
    }

    #[test]
    fn what_a_lock_says_is_told_in_part() {
        let folder = tempfile::tempdir().unwrap();
        let digest = "0".repeat(100_000);
        let text = format!(r#"{{"version":1,"guests":{{"a":"{digest}"}}}}"#);
        fs::write(folder.path().join(NAME), text).unwrap();
        let error = Lock::beside(&folder.path().join("image.toml")).unwrap_err();
        let length = error.to_string().chars().count();
        assert!((500..1000).contains(&length), "{length}");
    }
}
