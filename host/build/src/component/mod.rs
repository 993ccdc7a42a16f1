//! Components from registries and image layouts, as `wkg` publishes them: a manifest with one layer of `application/wasm`.
//!
//! ```text
//!     oci://HOST/PATH@sha256:M ──> manifest, digest M ──> layer: size, digest ──> component
//!                         kept by their digests in the folder of compiled guests
//! ```
//!
//! Manifest and component are held against their digests wherever they come from, what was kept included.

mod document;
mod fuzz;
mod kept;
mod layout;
pub mod lock;

use std::path::PathBuf;

use cellblock_cell::LARGEST_COMPONENT;
use cellblock_spec::{GuestFileError, OciPlace, OciReference, parse_oci_digest};
use cellblock_text::{excerpt, hexadecimal};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use document::Manifest;
#[doc(hidden)]
pub use fuzz::fuzz;
use kept::Kept;
use layout::Layout;

/// How far somebody goes to have a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// Registries are not asked: what is not kept is missing.
    Never,
    /// What is not kept is fetched, and not kept.
    Once,
    /// What is not kept is fetched and kept.
    Keep,
}

/// A component, as its digest says.
#[derive(Clone, Debug)]
pub struct Component {
    /// Where it is, with the digest of its manifest.
    pub reference: OciReference,
    /// The component.
    pub bytes: Vec<u8>,
}

/// Why there is no component.
#[derive(Debug, Error)]
pub enum ComponentError {
    /// It was not fetched before, and nobody has said that it may be fetched.
    #[error(
        "{reference} was never fetched, and a spec makes nobody ask a registry: `cellblock guests lock SPEC` fetches what it names, \
         or `cellblock guests {reference}` this one"
    )]
    NotHere {
        /// The component.
        reference: String,
    },
    /// A tag can lead to another component tomorrow.
    #[error(
        "{reference} may be another component tomorrow: `cellblock guests lock SPEC` pins what a spec names in {}, and `cellblock guests \
         {reference}` tells the digest to write behind it",
        lock::NAME
    )]
    Unpinned {
        /// The component.
        reference: String,
    },
    /// The registry did not give it.
    #[cfg(feature = "cache")]
    #[error("{reference}: {source}")]
    Registry {
        /// The component.
        reference: String,
        /// Why.
        source: cellblock_cache::RegistryError,
    },
    /// There is no client.
    #[cfg(not(feature = "cache"))]
    #[error("{reference} is in a registry, and this program was built without a network")]
    NoNetwork {
        /// The component.
        reference: String,
    },
    /// The layout on the disk cannot be read.
    #[error("{reference}: {}: {source}", path.display())]
    Layout {
        /// The component.
        reference: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The layout has several, and none is chosen, or none that was chosen.
    #[error("{reference}: {}; write oci:FOLDER:TAG or oci:FOLDER@sha256:DIGEST", excerpt(.found))]
    Choice {
        /// The component.
        reference: String,
        /// What there is.
        found: String,
    },
    /// What came is something else.
    #[error("{reference}: {what} has the digest sha256:{is}, and was to have sha256:{wanted}")]
    Digest {
        /// The component.
        reference: String,
        /// What came.
        what: &'static str,
        /// Its digest.
        is: String,
        /// The digest that it was to have.
        wanted: String,
    },
    /// What came is no component.
    #[error("{reference}: {}", excerpt(.why))]
    NoComponent {
        /// The component.
        reference: String,
        /// Why not.
        why: String,
    },
}

impl ComponentError {
    /// Whether what was asked for is wrong, and not what came.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NotHere { .. }
                | Self::Unpinned { .. }
                | Self::Choice { .. }
                | Self::Layout { .. }
        )
    }
}

/// Reads a component whose digest is pinned, or that a layout on the disk has.
///
/// # Errors
/// [`ComponentError`].
pub fn read(reference: &OciReference, fetch: Fetch) -> Result<Component, ComponentError> {
    if matches!(reference.place, OciPlace::Registry { .. }) && reference.digest.is_none() {
        return Err(ComponentError::Unpinned {
            reference: reference.to_string(),
        });
    }
    find(reference, fetch)
}

/// The same of one that has a tag alone, whatever that leads to now.
///
/// # Errors
/// [`ComponentError`].
pub fn find(reference: &OciReference, fetch: Fetch) -> Result<Component, ComponentError> {
    let kept = Kept::open(fetch);
    match &reference.place {
        OciPlace::Layout(folder) => {
            let layout = Layout::new(folder, reference);
            let digest = layout.choose()?;
            taken(reference, digest, &layout)
        }
        #[cfg(feature = "cache")]
        OciPlace::Registry { host, path } => {
            let registry = Remote {
                registry: (fetch != Fetch::Never).then(|| {
                    cellblock_cache::Registry::new(host, path, cellblock_cache::DEFAULT_PATIENCE)
                }),
                reference,
                kept,
            };
            let digest = match reference.digest {
                Some(digest) => digest,
                None => registry.resolve()?,
            };
            taken(reference, digest, &registry)
        }
        #[cfg(not(feature = "cache"))]
        OciPlace::Registry { .. } => {
            let kept = KeptAlone { reference, kept };
            let digest = reference.digest.ok_or_else(|| missing(reference))?;
            taken(reference, digest, &kept)
        }
    }
}

/// Who has manifests and blobs. What they give is not checked.
trait Source {
    fn manifest(&self, digest: &[u8; 32]) -> Result<Vec<u8>, ComponentError>;

    fn blob(&self, digest: &[u8; 32], size: u64) -> Result<Vec<u8>, ComponentError>;

    /// Keeps what has been checked.
    fn keep(&self, _digest: &[u8; 32], _bytes: &[u8]) {}
}

fn taken(
    reference: &OciReference,
    digest: [u8; 32],
    source: &impl Source,
) -> Result<Component, ComponentError> {
    let manifest = source.manifest(&digest)?;
    check(reference, "the manifest", &manifest, &digest)?;
    let no_component = |why: String| ComponentError::NoComponent {
        reference: reference.to_string(),
        why,
    };
    let layer = Manifest::parse(&manifest)
        .and_then(|manifest| manifest.component())
        .map_err(no_component)?;
    let named = parse_oci_digest(&layer.digest);
    let named = named.map_err(|error: GuestFileError| no_component(error.to_string()))?;
    if layer.size > LARGEST_COMPONENT {
        let why = format!(
            "it has {} bytes; at most {LARGEST_COMPONENT} are taken",
            layer.size
        );
        return Err(no_component(why));
    }
    let bytes = source.blob(&named, layer.size)?;
    check(reference, "the component", &bytes, &named)?;
    if bytes.len() as u64 != layer.size {
        let (is, said) = (bytes.len(), layer.size);
        let why = format!("the component has {is} bytes, and its manifest says {said}");
        return Err(no_component(why));
    }
    source.keep(&named, &bytes);
    source.keep(&digest, &manifest);
    Ok(Component {
        reference: OciReference {
            digest: Some(digest),
            ..reference.clone()
        },
        bytes,
    })
}

fn check(
    reference: &OciReference,
    what: &'static str,
    bytes: &[u8],
    wanted: &[u8; 32],
) -> Result<(), ComponentError> {
    let is: [u8; 32] = Sha256::digest(bytes).into();
    if is == *wanted {
        return Ok(());
    }
    Err(ComponentError::Digest {
        reference: reference.to_string(),
        what,
        is: hexadecimal(&is),
        wanted: hexadecimal(wanted),
    })
}

/// A registry, before which stands what was kept of it.
#[cfg(feature = "cache")]
struct Remote<'a> {
    /// None if it is not to be asked.
    registry: Option<cellblock_cache::Registry>,
    reference: &'a OciReference,
    kept: Kept,
}

#[cfg(feature = "cache")]
impl Remote<'_> {
    fn ask(
        &self,
        ask: impl FnOnce(&cellblock_cache::Registry) -> Result<Vec<u8>, cellblock_cache::RegistryError>,
    ) -> Result<Vec<u8>, ComponentError> {
        let reference = || self.reference.to_string();
        let registry = self.registry.as_ref();
        let registry = registry.ok_or_else(|| ComponentError::NotHere {
            reference: reference(),
        })?;
        ask(registry).map_err(|source| ComponentError::Registry {
            reference: reference(),
            source,
        })
    }

    /// The digest of the manifest that a tag leads to now.
    fn resolve(&self) -> Result<[u8; 32], ComponentError> {
        let tag = self.reference.tag.as_deref().unwrap_or_default();
        let manifest = self.ask(|it| it.manifest(tag, document::ACCEPT, document::LARGEST))?;
        Ok(Sha256::digest(&manifest).into())
    }
}

#[cfg(feature = "cache")]
impl Source for Remote<'_> {
    fn manifest(&self, digest: &[u8; 32]) -> Result<Vec<u8>, ComponentError> {
        if let Some(kept) = self.kept.get(digest) {
            return Ok(kept);
        }
        let name = format!("sha256:{}", hexadecimal(digest));
        self.ask(|it| it.manifest(&name, document::ACCEPT, document::LARGEST))
    }

    fn blob(&self, digest: &[u8; 32], size: u64) -> Result<Vec<u8>, ComponentError> {
        if let Some(kept) = self.kept.get(digest) {
            return Ok(kept);
        }
        let size = usize::try_from(size).expect("at most 64 MiB");
        let name = format!("sha256:{}", hexadecimal(digest));
        self.ask(|it| it.blob(&name, size))
    }

    fn keep(&self, digest: &[u8; 32], bytes: &[u8]) {
        self.kept.put(digest, bytes);
    }
}

/// What was kept, where there is no network.
#[cfg(not(feature = "cache"))]
struct KeptAlone<'a> {
    reference: &'a OciReference,
    kept: Kept,
}

#[cfg(not(feature = "cache"))]
fn missing(reference: &OciReference) -> ComponentError {
    ComponentError::NoNetwork {
        reference: reference.to_string(),
    }
}

#[cfg(not(feature = "cache"))]
impl Source for KeptAlone<'_> {
    fn manifest(&self, digest: &[u8; 32]) -> Result<Vec<u8>, ComponentError> {
        self.kept.get(digest).ok_or_else(|| missing(self.reference))
    }

    fn blob(&self, digest: &[u8; 32], _size: u64) -> Result<Vec<u8>, ComponentError> {
        self.kept.get(digest).ok_or_else(|| missing(self.reference))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A manifest, and a component that is as good as kept: nobody bounds it by what the manifest says.
    struct Both(Vec<u8>, &'static [u8]);

    impl Source for Both {
        fn manifest(&self, _digest: &[u8; 32]) -> Result<Vec<u8>, ComponentError> {
            Ok(self.0.clone())
        }

        fn blob(&self, _digest: &[u8; 32], _size: u64) -> Result<Vec<u8>, ComponentError> {
            Ok(self.1.to_vec())
        }
    }

    #[test]
    fn a_component_has_exactly_the_size_that_its_manifest_says() {
        let component = b"component";
        let digest = hexadecimal(&Sha256::digest(component));
        let take = |size: u64| {
            let manifest = format!(
                r#"{{"layers":[{{"mediaType":"application/wasm","digest":"sha256:{digest}","size":{size}}}]}}"#
            );
            let digest = Sha256::digest(&manifest).into();
            let reference = OciReference {
                place: OciPlace::Layout("layout".into()),
                tag: None,
                digest: None,
            };
            taken(&reference, digest, &Both(manifest.into_bytes(), component))
        };
        assert_eq!(take(9).unwrap().bytes, component);
        for wrong in [0, 8, 10, 1009] {
            let said = take(wrong).unwrap_err().to_string();
            let expected = format!("has 9 bytes, and its manifest says {wrong}");
            assert!(said.contains(&expected), "{said}");
        }
    }
}
