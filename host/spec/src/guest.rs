//! Where a formatter or a reader comes from that is not built in: a file, a registry, or an image layout.
//!
//! ```text
//!     minix.wasm                                a file
//!     oci://ghcr.io/me/minix:1.2@sha256:0f…     a registry: a tag, the digest of the manifest, or both
//!     oci:layout:1.2                            an OCI image layout in the folder `layout`
//! ```

use std::fmt;
use std::path::{Path, PathBuf};

use cellblock_text::hexadecimal;
use thiserror::Error;

use super::value::parse_sha256;

/// What the address of a component in a registry begins with.
const REGISTRY: &str = "oci://";
/// What names a component in a layout.
const LAYOUT: &str = "oci:";
/// What a digest begins with.
const SHA256: &str = "sha256:";
/// The most bytes of a tag (OCI Distribution Specification 1.1, "Pulling manifests").
const LONGEST_TAG: usize = 128;

/// Where a component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuestFile {
    /// A file.
    File(PathBuf),
    /// A registry, or a layout on the disk.
    Oci(OciReference),
}

/// A component as `wkg` publishes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OciReference {
    /// Who has it.
    pub place: OciPlace,
    /// What it is called there.
    pub tag: Option<String>,
    /// The SHA-256 digest of its manifest.
    pub digest: Option<[u8; 32]>,
}

/// Who has a component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OciPlace {
    /// A registry.
    Registry {
        /// Its host, with a port if it has one.
        host: String,
        /// The name of the repository there.
        path: String,
    },
    /// An OCI image layout in a folder.
    Layout(PathBuf),
}

/// Why a text names no component.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GuestFileError {
    /// It has no host, no path, or something in them that has no place there.
    #[error(
        "`{text}` names nothing in a registry: write oci://HOST/PATH@sha256:DIGEST, or oci://HOST/PATH:TAG"
    )]
    Address {
        /// What was written.
        text: String,
    },
    /// What is behind `@` is no digest.
    #[error("`{text}` ends in no digest: write @sha256: and 64 hexadecimal digits")]
    Digest {
        /// What was written.
        text: String,
    },
    /// A registry is asked for something that has no name.
    #[error(
        "`{text}` says neither which version nor which digest: write {text}:TAG or {text}@sha256:DIGEST"
    )]
    Version {
        /// What was written.
        text: String,
    },
}

impl GuestFile {
    /// What `text` names: what begins with neither `oci://` nor `oci:` is a file.
    ///
    /// ```
    /// use cellblock_spec::{GuestFile, OciPlace};
    ///
    /// assert_eq!(GuestFile::parse("a.wasm"), Ok(GuestFile::File("a.wasm".into())));
    /// let Ok(GuestFile::Oci(minix)) = GuestFile::parse("oci://localhost:5000/fs/minix:1") else { panic!() };
    /// assert_eq!(minix.tag.as_deref(), Some("1"));
    /// assert!(GuestFile::parse("oci://localhost:5000/fs/minix").is_err());
    /// ```
    ///
    /// # Errors
    /// [`GuestFileError`].
    pub fn parse(text: &str) -> Result<Self, GuestFileError> {
        let Some(rest) = text.strip_prefix(LAYOUT) else {
            return Ok(Self::File(text.into()));
        };
        let (named, digest) = split_digest(rest, text)?;
        let Some(address) = named.strip_prefix("//") else {
            let (folder, tag) = split_tag(named);
            let place = OciPlace::Layout(folder.into());
            return Ok(Self::Oci(OciReference { place, tag, digest }));
        };
        let wrong = || GuestFileError::Address {
            text: text.to_owned(),
        };
        let (host, path) = address.split_once('/').ok_or_else(wrong)?;
        let (path, tag) = split_tag(path);
        if !is_host(host) || !is_repository(path) {
            return Err(wrong());
        }
        if tag.is_none() && digest.is_none() {
            return Err(GuestFileError::Version {
                text: text.to_owned(),
            });
        }
        let (host, path) = (host.to_owned(), path.to_owned());
        let place = OciPlace::Registry { host, path };
        Ok(Self::Oci(OciReference { place, tag, digest }))
    }

    /// The file or the folder on the disk, if it is there.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Oci(reference) => match &reference.place {
                OciPlace::Layout(folder) => Some(folder),
                OciPlace::Registry { .. } => None,
            },
        }
    }

    /// The same with its path in `folder`, if it is relative.
    #[must_use]
    pub(super) fn within(self, folder: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(folder.join(path)),
            Self::Oci(mut reference) => {
                if let OciPlace::Layout(path) = &mut reference.place {
                    *path = folder.join(&*path);
                }
                Self::Oci(reference)
            }
        }
    }
}

impl fmt::Display for GuestFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Oci(reference) => reference.fmt(formatter),
        }
    }
}

impl fmt::Display for OciReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            OciPlace::Registry { host, path } => write!(formatter, "{REGISTRY}{host}/{path}")?,
            OciPlace::Layout(folder) => write!(formatter, "{LAYOUT}{}", folder.display())?,
        }
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(formatter, "@{SHA256}{}", hexadecimal(digest)),
            None => Ok(()),
        }
    }
}

/// A digest as documents of registries write it.
///
/// # Errors
/// [`GuestFileError::Digest`].
pub fn parse_oci_digest(text: &str) -> Result<[u8; 32], GuestFileError> {
    let digest = text.strip_prefix(SHA256).map(parse_sha256);
    digest
        .and_then(Result::ok)
        .ok_or_else(|| GuestFileError::Digest {
            text: text.to_owned(),
        })
}

fn split_digest<'a>(
    rest: &'a str,
    text: &str,
) -> Result<(&'a str, Option<[u8; 32]>), GuestFileError> {
    let Some((named, digest)) = rest.rsplit_once('@') else {
        return Ok((rest, None));
    };
    let digest = parse_oci_digest(digest).map_err(|_| GuestFileError::Digest {
        text: text.to_owned(),
    })?;
    Ok((named, Some(digest)))
}

/// The tag behind the last colon, if what is there can be one.
fn split_tag(named: &str) -> (&str, Option<String>) {
    match named.rsplit_once(':') {
        Some((path, tag)) if is_tag(tag) => (path, Some(tag.to_owned())),
        _ => (named, None),
    }
}

fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=LONGEST_TAG).contains(&text.len())
        && text
            .bytes()
            .all(|byte| is_word(byte) || b".-".contains(&byte))
        && text.bytes().next().is_some_and(is_word)
}

/// A name or an address, and perhaps a port. Who asks has no place in it.
fn is_host(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    !text.is_empty() && text.bytes().all(is_plain)
}

/// The name of a repository (OCI Distribution Specification 1.1, "Pulling manifests").
fn is_repository(text: &str) -> bool {
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    text.split('/').all(|part| {
        part.bytes().all(is_plain)
            && part
                .bytes()
                .next()
                .is_some_and(|it| it.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_read_is_written_as_it_was() {
        let digest = format!("@sha256:{}", "0f".repeat(32));
        for text in [
            "a.wasm".to_owned(),
            "oci.wasm".to_owned(),
            "oci://ghcr.io/me/minix:1.2".to_owned(),
            format!("oci://127.0.0.1:5000/a-b/c_d.e{digest}"),
            format!("oci://[::1]:5000/a:latest{digest}"),
            "oci:layout".to_owned(),
            "oci:/srv/a layout:v1".to_owned(),
            format!("oci:../a{digest}"),
        ] {
            assert_eq!(GuestFile::parse(&text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_no_registry_has_is_refused() {
        for text in [
            "oci://",
            "oci://host",
            "oci://host/",
            "oci:///a:1",
            "oci://host/A:1",
            "oci://user:secret@host/a:1",
            "oci://host/a/../b:1",
            "oci://host/a?b:1",
            "oci://host/a",
            "oci://host/a:",
            "oci://host/a:1@sha256:00",
            "oci://host/a@sha512:00",
            "oci:layout@sha256:0g",
        ] {
            assert!(GuestFile::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_layout_lies_where_the_spec_does() {
        let layout = GuestFile::parse("oci:parts/minix:1").unwrap();
        let layout = layout.within(Path::new("project"));
        assert_eq!(layout.to_string(), "oci:project/parts/minix:1");
        assert_eq!(layout.path(), Some(Path::new("project/parts/minix")));
    }
}
