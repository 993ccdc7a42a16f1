//! Choosing one image of a layout: by its name or digest, and by its platform.

use std::collections::BTreeSet;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::config::{ImageConfig, ImageInfo};
use super::digest::Digest;
use super::document::{Configuration, Descriptor, Document, LayoutMark};
use super::error::{ImageError, LayerName};
use super::layout::{Blob, INDEX, Layout, MARK, SAVED};
use super::{Image, ImagePlatform, saved};

/// The most documents that are read to find an image.
const DOCUMENTS: usize = 1000;
/// The most layers of an image; Docker takes 127.
const LAYERS: usize = 500;
/// The most indexes within each other.
const DEPTH: usize = 8;

/// The name of an image, as `skopeo` and the specification write it.
const REFERENCE: &str = "org.opencontainers.image.ref.name";
/// The full name of an image, as containerd and Docker write it.
const FULL_NAME: &str = "io.containerd.image.name";
/// What BuildKit says of the provenance of an image stands beside it as a manifest.
const KIND_OF_REFERENCE: &str = "vnd.docker.reference.type";

/// An image of which all is known but its layers.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) names: Vec<String>,
    pub(super) platform: Option<ImagePlatform>,
    pub(super) manifest: Option<Digest>,
    pub(super) config_digest: Digest,
    pub(super) config: ImageConfig,
    pub(super) layers: Vec<LayerBlob>,
}

/// A layer that has been found.
#[derive(Debug)]
pub(super) struct LayerBlob {
    pub(super) name: LayerName,
    pub(super) blob: Blob,
    /// What its bytes must be.
    pub(super) check: Check,
    /// The digest that the configuration has of it without its compression, beside that of the manifest. It is compared where
    /// there is no compression: the digest of the blob says as much, and another one of all bytes would have to be computed.
    pub(super) diff_id: Option<Digest>,
}

/// The digest that a layer is held to.
#[derive(Clone, Debug)]
pub(super) enum Check {
    /// Of the blob.
    Blob(Digest),
    /// Of what it is without its compression, for what `docker save` wrote in its older form.
    Content(Digest),
}

impl Chosen {
    pub(super) fn info(&self, path: &Path) -> ImageInfo {
        let layers = self.layers.iter().map(|layer| layer.name.digest.clone());
        ImageInfo {
            path: path.into(),
            names: self.names.clone(),
            platform: self.platform.clone(),
            manifest: self.manifest.as_ref().map(ToString::to_string),
            config_digest: self.config_digest.to_string(),
            layers: layers.collect(),
            config: self.config.clone(),
        }
    }
}

/// Finds the one image that is meant.
pub(super) fn choose(layout: &Layout, image: &Image) -> Result<Chosen, ImageError> {
    if layout.is_oci() {
        let mut search = Search {
            layout,
            image,
            read: 0,
        };
        return search.choose();
    }
    if layout.is_skopeos_folder() {
        return Err(ImageError::NotAnImage {
            found: "it is what skopeo writes to dir:",
        });
    }
    if layout.has(SAVED) {
        return saved::choose(layout, image);
    }
    Err(ImageError::NotAnImage {
        found: "it has neither an index.json nor a manifest.json",
    })
}

/// A manifest that could be meant.
#[derive(Clone, Debug)]
struct Candidate {
    digest: Digest,
    size: Option<u64>,
    names: Vec<String>,
    platform: Option<ImagePlatform>,
}

impl Candidate {
    fn describe(&self) -> String {
        let mut parts = vec![self.names.first().cloned().unwrap_or_default()];
        parts.extend(self.platform.as_ref().map(ToString::to_string));
        parts.push(self.digest.to_string());
        parts.retain(|part| !part.is_empty());
        parts.join(" ")
    }
}

/// The search for an image in an OCI layout.
struct Search<'a> {
    layout: &'a Layout,
    image: &'a Image,
    /// Documents that have been read.
    read: usize,
}

impl Search<'_> {
    fn choose(&mut self) -> Result<Chosen, ImageError> {
        let mut candidates = self.candidates()?;
        if let Some(wanted) = &self.image.platform {
            let all = std::mem::take(&mut candidates);
            let mut there = Vec::new();
            for mut candidate in all {
                if candidate.platform.is_none() {
                    let (_, _, configuration) = self.manifest(&candidate)?;
                    candidate.platform = configuration.platform();
                }
                let fits = candidate
                    .platform
                    .as_ref()
                    .is_some_and(|platform| wanted.means(platform));
                there.push(candidate.describe());
                if fits {
                    candidates.push(candidate);
                }
            }
            if candidates.is_empty() {
                return Err(ImageError::NoPlatform {
                    wanted: wanted.to_string(),
                    there,
                });
            }
        }
        match candidates.as_slice() {
            [one] => self.chosen(one),
            [] => Err(ImageError::Empty),
            several => Err(ImageError::Ambiguous {
                there: several.iter().map(Candidate::describe).collect(),
            }),
        }
    }

    /// All manifests that the reference may mean.
    fn candidates(&mut self) -> Result<Vec<Candidate>, ImageError> {
        self.check_mark()?;
        let index: Document = parse(&self.layout.open(INDEX)?)?;
        if let Some(reason) = index.contradiction() {
            let name = INDEX.as_bytes().into();
            return Err(ImageError::Malformed { name, reason });
        }
        let all = index.manifests.unwrap_or_default();
        let mut found = Found::default();
        let reference = self.image.reference.as_deref();
        if let Some(digest) = reference.filter(|it| it.contains(':')).map(Digest::parse)
            && let Ok(digest) = digest
        {
            let named = all.iter().find(|it| it.digest == digest.to_string());
            let names = named.map(names_of).unwrap_or_default();
            let platform = named.and_then(platform_of);
            self.walk(&digest, None, (names, platform), &mut found, 0)?;
            return Ok(found.candidates);
        }
        let fits = |descriptor: &&Descriptor| {
            let names = names_of(descriptor);
            reference.is_none_or(|wanted| names.iter().any(|name| is_called(name, wanted)))
        };
        let mut chosen = all.iter().filter(fits).peekable();
        if let Some(wanted) = reference
            && chosen.peek().is_none()
        {
            return Err(ImageError::NoReference {
                reference: wanted.to_owned(),
                there: all.iter().map(described).collect(),
            });
        }
        for descriptor in chosen {
            self.descend(descriptor, &names_of(descriptor), &mut found, 0)?;
        }
        Ok(found.candidates)
    }

    /// Holds the layout to its version. Without the mark, which old writers leave out, it is of the first one.
    fn check_mark(&self) -> Result<(), ImageError> {
        if !self.layout.has(MARK) {
            return Ok(());
        }
        let blob = self.layout.open(MARK)?;
        let mark: LayoutMark = parse(&blob)?;
        if mark.is_known() {
            return Ok(());
        }
        let version = mark.image_layout_version.unwrap_or_default();
        let version = cellblock_text::printable(&version);
        Err(ImageError::Malformed {
            name: blob.name,
            reason: format!(
                "its `imageLayoutVersion` is '{version}', and layouts of version 1 are read"
            ),
        })
    }

    fn descend(
        &mut self,
        descriptor: &Descriptor,
        names: &[String],
        found: &mut Found,
        depth: usize,
    ) -> Result<(), ImageError> {
        // What BuildKit attests of an image is for no platform.
        if descriptor.annotation(KIND_OF_REFERENCE).is_some() {
            return Ok(());
        }
        let platform = platform_of(descriptor);
        let is_other = match (&self.image.platform, &platform) {
            (Some(wanted), Some(platform)) => !wanted.means(platform),
            _ => false,
        };
        let digest = Digest::parse(&descriptor.digest)?;
        let is_manifest = descriptor
            .media_type
            .as_ref()
            .is_some_and(|kind| kind.contains("manifest.v"));
        // Of a manifest for another platform only the name is wanted, and it need not be there.
        if is_manifest && (is_other || platform.is_some()) {
            found.add(Candidate {
                digest,
                size: Some(descriptor.size),
                names: names.to_vec(),
                platform,
            });
            return Ok(());
        }
        let known = (names.to_vec(), platform);
        self.walk(&digest, Some(descriptor.size), known, found, depth)
    }

    /// Looks whether a document is a manifest or an index.
    fn walk(
        &mut self,
        digest: &Digest,
        size: Option<u64>,
        (names, platform): (Vec<String>, Option<ImagePlatform>),
        found: &mut Found,
        depth: usize,
    ) -> Result<(), ImageError> {
        let document = self.document(digest, size)?;
        match document.manifests {
            Some(_) if depth == DEPTH => Err(ImageError::Unsupported {
                digest: digest.to_string(),
                what: format!("an index within {DEPTH} others"),
            }),
            Some(manifests) => manifests
                .iter()
                .try_for_each(|descriptor| self.descend(descriptor, &names, found, depth + 1)),
            None => {
                found.add(Candidate {
                    digest: digest.clone(),
                    size,
                    names,
                    platform,
                });
                Ok(())
            }
        }
    }

    /// A document that is named by its digest.
    fn document(&mut self, digest: &Digest, size: Option<u64>) -> Result<Document, ImageError> {
        self.read += 1;
        if self.read > DOCUMENTS {
            return Err(ImageError::TooManyDocuments { limit: DOCUMENTS });
        }
        let document: Document = parse_blob(self.layout, digest, size)?.0;
        if document.schema_version == Some(1) {
            return Err(ImageError::Unsupported {
                digest: digest.to_string(),
                what: "a manifest of Docker's first form (schema 1)".to_owned(),
            });
        }
        if let Some(reason) = document.contradiction() {
            return Err(ImageError::Malformed {
                name: digest.path().as_bytes().into(),
                reason,
            });
        }
        Ok(document)
    }

    /// The manifest of a candidate, and its configuration with its digest.
    fn manifest(
        &mut self,
        candidate: &Candidate,
    ) -> Result<(Document, Digest, Configuration), ImageError> {
        let manifest = self.document(&candidate.digest, candidate.size)?;
        let unsupported = |what: String| ImageError::Unsupported {
            digest: candidate.digest.to_string(),
            what,
        };
        let Some(config) = &manifest.config else {
            return Err(unsupported("no manifest of an image".to_owned()));
        };
        let kind = config.media_type.as_deref().unwrap_or_default();
        let is_image = kind.is_empty()
            || kind.starts_with("application/vnd.oci.image.config.v1+json")
            || kind.starts_with("application/vnd.docker.container.image.v1+json");
        if !is_image {
            let kind = manifest.artifact_type.as_deref().unwrap_or(kind);
            let kind = cellblock_text::printable(kind);
            return Err(unsupported(format!("an artifact of the kind {kind}")));
        }
        let digest = Digest::parse(&config.digest)?;
        let (configuration, _) = parse_blob(self.layout, &digest, Some(config.size))?;
        Ok((manifest, digest, configuration))
    }

    fn chosen(&mut self, candidate: &Candidate) -> Result<Chosen, ImageError> {
        let (manifest, config_digest, configuration) = self.manifest(candidate)?;
        let layers = manifest.layers.unwrap_or_default();
        let count = counted(layers.len())?;
        let diff_ids = configuration
            .diff_ids(count)
            .map_err(|reason| ImageError::Malformed {
                name: config_digest.path().as_bytes().into(),
                reason,
            })?;
        let layers = layers.iter().enumerate().map(|(index, descriptor)| {
            let name = LayerName {
                number: index + 1,
                of: count,
                digest: descriptor.digest.clone(),
            };
            let diff_id = diff_ids.get(index).map(|text| Digest::parse(text));
            self.layer(descriptor, name, diff_id.transpose()?)
        });
        let layers = layers.collect::<Result<_, _>>()?;
        let platform = candidate.platform.clone();
        let platform = platform.or_else(|| configuration.platform());
        Ok(Chosen {
            names: candidate.names.clone(),
            platform,
            manifest: Some(candidate.digest.clone()),
            config: usable(configuration, &config_digest)?,
            config_digest,
            layers,
        })
    }

    fn layer(
        &self,
        descriptor: &Descriptor,
        name: LayerName,
        diff_id: Option<Digest>,
    ) -> Result<LayerBlob, ImageError> {
        let kind = descriptor.media_type.as_deref().unwrap_or_default();
        let is_foreign = kind.contains("nondistributable") || kind.contains(".foreign.");
        let digest = Digest::parse(&descriptor.digest)?;
        let shown = cellblock_text::printable(kind);
        let reason = if kind.contains("+encrypted") {
            Some("is encrypted: decrypt the image first (skopeo copy --decryption-key)".to_owned())
        } else if !is_layer(kind) {
            Some(format!(
                "is of the kind {shown}, which is no layer of a root file system"
            ))
        } else if is_foreign && !self.layout.has(&digest.path()) {
            Some(format!(
                "is foreign ({shown}): its bytes are elsewhere and not in the layout"
            ))
        } else {
            None
        };
        if let Some(reason) = reason {
            return Err(ImageError::UnusableLayer {
                number: name.number,
                digest: name.digest,
                reason,
            });
        }
        let blob = self.layout.open(&digest.path())?;
        hold_to_size(&blob, Some(descriptor.size))?;
        Ok(LayerBlob {
            name,
            blob,
            check: Check::Blob(digest),
            diff_id,
        })
    }
}

/// Whether something of this media type is a layer; how it is compressed its bytes tell.
fn is_layer(kind: &str) -> bool {
    kind.is_empty()
        || kind.starts_with("application/vnd.oci.image.layer.")
        || kind.starts_with("application/vnd.docker.image.rootfs.")
}

/// Manifests that were found, each once.
#[derive(Default)]
struct Found {
    candidates: Vec<Candidate>,
    digests: BTreeSet<Digest>,
}

impl Found {
    fn add(&mut self, candidate: Candidate) {
        if self.digests.insert(candidate.digest.clone()) {
            self.candidates.push(candidate);
        }
    }
}

impl Configuration {
    /// The digests of the layers without their compression, which an image of `layers` layers has as many of; none if it has no
    /// list of them.
    fn diff_ids(&self, layers: usize) -> Result<&[String], String> {
        let Some(rootfs) = &self.rootfs else {
            return Ok(&[]);
        };
        if let Some(kind) = rootfs.kind.as_deref().filter(|kind| *kind != "layers") {
            let kind = cellblock_text::printable(kind);
            return Err(format!("its `rootfs.type` is '{kind}' and not 'layers'"));
        }
        let diff_ids = rootfs.diff_ids.as_deref().unwrap_or_default();
        if diff_ids.len() == layers {
            return Ok(diff_ids);
        }
        let count = diff_ids.len();
        Err(format!(
            "its `rootfs.diff_ids` are the digests of {count} layers, and the manifest names {layers}"
        ))
    }

    pub(super) fn platform(&self) -> Option<ImagePlatform> {
        platform(
            self.os.as_deref()?,
            self.architecture.as_deref()?,
            self.variant.as_deref(),
        )
    }
}

fn platform_of(descriptor: &Descriptor) -> Option<ImagePlatform> {
    let stated = descriptor.platform.as_ref()?;
    platform(&stated.os, &stated.architecture, stated.variant.as_deref())
}

fn platform(os: &str, architecture: &str, variant: Option<&str>) -> Option<ImagePlatform> {
    if os.is_empty() || architecture.is_empty() {
        return None;
    }
    Some(ImagePlatform {
        os: os.to_owned(),
        architecture: architecture.to_owned(),
        variant: variant.filter(|it| !it.is_empty()).map(str::to_owned),
    })
}

fn names_of(descriptor: &Descriptor) -> Vec<String> {
    let full = descriptor.annotation(FULL_NAME).map(str::to_owned);
    let short = descriptor.annotation(REFERENCE).map(str::to_owned);
    full.into_iter().chain(short).collect()
}

fn described(descriptor: &Descriptor) -> String {
    let names = names_of(descriptor);
    names
        .into_iter()
        .next()
        .unwrap_or_else(|| descriptor.digest.clone())
}

/// Whether `wanted` means an image of this name: as Docker shows it, without its own registry, and `:latest` need not be typed.
pub(super) fn is_called(name: &str, wanted: &str) -> bool {
    let familiar = |name: &str| {
        let short = name.strip_prefix("docker.io/").unwrap_or(name);
        short.strip_prefix("library/").unwrap_or(short).to_owned()
    };
    let (name, wanted) = (familiar(name), familiar(wanted));
    name == wanted || name.strip_suffix(":latest") == Some(&wanted)
}

pub(super) fn counted(count: usize) -> Result<usize, ImageError> {
    if count > LAYERS {
        return Err(ImageError::TooManyLayers {
            count,
            limit: LAYERS,
        });
    }
    Ok(count)
}

/// How an image wants to be run, unless nothing can be run so.
pub(super) fn usable(
    configuration: Configuration,
    digest: &Digest,
) -> Result<ImageConfig, ImageError> {
    let config = configuration.config.unwrap_or_default();
    match config.unusable() {
        None => Ok(config),
        Some(key) => Err(ImageError::Malformed {
            name: digest.path().into_bytes().as_slice().into(),
            reason: format!("its `{key}` has a NUL byte in it"),
        }),
    }
}

/// A document that is held to its digest and size, and the blob that it is in.
fn parse_blob<T: DeserializeOwned>(
    layout: &Layout,
    digest: &Digest,
    size: Option<u64>,
) -> Result<(T, Blob), ImageError> {
    let blob = layout.open(&digest.path())?;
    hold_to_size(&blob, size)?;
    let bytes = blob.document()?;
    let found = Digest::of(digest.algorithm, &bytes);
    if found != *digest {
        return Err(wrong_digest(&blob, digest, &found));
    }
    let parsed = parse_bytes(&blob, &bytes)?;
    Ok((parsed, blob))
}

pub(super) fn parse<T: DeserializeOwned>(blob: &Blob) -> Result<T, ImageError> {
    parse_bytes(blob, &blob.document()?)
}

pub(super) fn parse_bytes<T: DeserializeOwned>(blob: &Blob, bytes: &[u8]) -> Result<T, ImageError> {
    serde_json::from_slice(bytes).map_err(|error| ImageError::Malformed {
        name: blob.name.clone(),
        reason: error.to_string(),
    })
}

fn hold_to_size(blob: &Blob, size: Option<u64>) -> Result<(), ImageError> {
    match size {
        Some(wanted) if wanted != blob.length => Err(ImageError::WrongSize {
            name: blob.name.clone(),
            wanted,
            found: blob.length,
        }),
        _ => Ok(()),
    }
}

pub(super) fn wrong_digest(blob: &Blob, wanted: &Digest, found: &Digest) -> ImageError {
    ImageError::WrongDigest {
        name: blob.name.clone(),
        wanted: wanted.to_string(),
        found: found.to_string(),
    }
}
