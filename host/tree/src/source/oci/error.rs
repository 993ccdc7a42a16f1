//! What can be wrong with a container image.

use std::fmt;
use std::io;

use cellblock_text::PathBytes;

use super::super::error::ArchiveError;
use super::digest::Digest;

/// Why an image cannot be taken as content.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It is no layout.
    #[error(
        "is no container image: {found}; an image is an OCI layout as a directory or a tar (skopeo copy docker://NAME oci:DIR), or what `docker \
         save` writes"
    )]
    NotAnImage {
        /// What was found.
        found: &'static str,
    },

    /// A file of the layout is missing, or is no regular file within it.
    #[error("cannot open {name}: {error}{}", outside(error))]
    Open {
        /// Its path in the layout.
        name: PathBytes,
        /// The system's reason.
        error: io::Error,
    },

    /// A file of the layout cannot be read.
    #[error("cannot read {name}: {error}")]
    Read {
        /// Its path in the layout.
        name: PathBytes,
        /// The system's reason.
        error: io::Error,
    },

    /// A file of the layout is something else.
    #[error("{name} is {found}, and a regular file is needed; make the layout again")]
    NotAFile {
        /// Its path in the layout.
        name: PathBytes,
        /// What it is.
        found: &'static str,
    },

    /// A document is too large.
    #[error("{name} has {length} bytes, and a document of an image may have {limit}")]
    TooLarge {
        /// Its path in the layout.
        name: PathBytes,
        /// Its length in bytes.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },

    /// A document is malformed.
    #[error("{name}: {reason}; the image is damaged, or is none")]
    Malformed {
        /// Its path in the layout.
        name: PathBytes,
        /// What is wrong with it.
        reason: String,
    },

    /// A digest is malformed, or of an unknown algorithm.
    #[error("the digest '{digest}' {reason}")]
    Digest {
        /// The digest.
        digest: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// A blob has another digest than it is known by.
    #[error(
        "{name} has the digest {found} and not {wanted}: it is damaged; make or fetch the image again"
    )]
    WrongDigest {
        /// Its path in the layout.
        name: PathBytes,
        /// The digest that it should have.
        wanted: String,
        /// The digest that it has.
        found: String,
    },

    /// A blob has another length than its descriptor says.
    #[error(
        "{name} has {found} bytes, and its descriptor says {wanted}: it is damaged; make or fetch the image again"
    )]
    WrongSize {
        /// Its path in the layout.
        name: PathBytes,
        /// The length that it should have in bytes.
        wanted: u64,
        /// The length that it has in bytes.
        found: u64,
    },

    /// No image is called so.
    #[error("has no image '{reference}'; it has {}", listed(there))]
    NoReference {
        /// What was asked for.
        reference: String,
        /// What there is.
        there: Vec<String>,
    },

    /// No image is for the platform.
    #[error("has nothing for the platform {wanted}; it has {}", listed(there))]
    NoPlatform {
        /// What was asked for.
        wanted: String,
        /// What there is.
        there: Vec<String>,
    },

    /// Several images fit.
    #[error(
        "has several images: {}; say which with `reference` and `platform`, or `reference` and a digest",
        listed(there)
    )]
    Ambiguous {
        /// Those that fit.
        there: Vec<String>,
    },

    /// There are no images in it.
    #[error("has no image in it{}", beside(there))]
    Empty {
        /// What there is in place of one.
        there: Vec<String>,
    },

    /// More documents than are read to find one image.
    #[error(
        "more than {limit} documents would have to be read to find the image; name it by its digest"
    )]
    TooManyDocuments {
        /// How many are read.
        limit: usize,
    },

    /// More layers than any image has.
    #[error("the image has {count} layers, and {limit} are taken")]
    TooManyLayers {
        /// How many it has.
        count: usize,
        /// How many there may be.
        limit: usize,
    },

    /// Something else than an image.
    #[error("{digest} is {what}, from which no root file system is taken")]
    Unsupported {
        /// Its digest.
        digest: String,
        /// What it is.
        what: String,
    },

    /// A layer is not there, encrypted, or of an unknown kind.
    #[error("layer {number} ({digest}) {reason}")]
    UnusableLayer {
        /// Its number, from 1.
        number: usize,
        /// Its digest.
        digest: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A layer cannot be read.
    #[error("layer {layer}: {fault}")]
    Layer {
        /// Which.
        layer: LayerName,
        /// What is wrong with it.
        fault: LayerFault,
    },
}

impl ImageError {
    /// Whether what names the image is wrong: there is none, none of this name or for this platform, or more than one.
    #[must_use]
    pub fn is_of_what_was_named(&self) -> bool {
        matches!(
            self,
            Self::NotAnImage { .. }
                | Self::NoReference { .. }
                | Self::NoPlatform { .. }
                | Self::Ambiguous { .. }
                | Self::Empty { .. }
        )
    }

    /// Whether something is not in the layout.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Open { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether this blob is not in the layout.
    pub(super) fn is_absence_of(&self, digest: &Digest) -> bool {
        let is_of = |name: &PathBytes| name.0 == digest.path().as_bytes();
        self.is_absence() && matches!(self, Self::Open { name, .. } if is_of(name))
    }
}

/// A layer, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerName {
    /// Its number, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// Its digest.
    pub digest: String,
}

impl fmt::Display for LayerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, of, digest } = self;
        write!(formatter, "{number} of {of} ({digest})")
    }
}

/// What can be wrong with a layer.
#[derive(Debug, thiserror::Error)]
pub enum LayerFault {
    /// As an archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Its bytes are not those that the manifest names.
    #[error(
        "its bytes have the digest {found} and not {wanted}: it is damaged; make or fetch the image again"
    )]
    WrongDigest {
        /// The digest that they should have.
        wanted: String,
        /// The digest that they have.
        found: String,
    },
    /// A marker that cannot be meant.
    #[error("member '{member}' {reason}")]
    Whiteout {
        /// The member.
        member: PathBytes,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A hard link that could be to what a whiteout of overlayfs behind it hides, or to the whiteout.
    #[error(
        "member '{link}' is a hard link to '{mark}', which is a whiteout of overlayfs further on in the layer: it could be one, too, or \
         mean the file that it hides in a lower layer; write the whiteout before the links to it"
    )]
    LinkBeforeMark {
        /// The link.
        link: PathBytes,
        /// The whiteout.
        mark: PathBytes,
    },
}

/// At most so many of a list are shown.
const SHOWN: usize = 20;

fn beside(there: &[String]) -> String {
    if there.is_empty() {
        return String::new();
    }
    format!("; it has {}", listed(there))
}

fn listed(there: &[String]) -> String {
    if there.is_empty() {
        return "none".to_owned();
    }
    let shown = there
        .iter()
        .take(SHOWN)
        .map(|name| cellblock_text::printable(name));
    let shown: Vec<String> = shown.collect();
    let shown = shown.join(", ");
    match there.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// What helps against a link that leads out of a layout.
fn outside(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::PermissionDenied {
        "; links that lead out of a layout are not followed: copy it with cp -rL"
    } else {
        ""
    }
}
