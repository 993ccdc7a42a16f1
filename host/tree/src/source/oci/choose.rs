//! The image of a layout that is meant, and its layers.

use std::path::Path;

use super::config::{ImageConfig, ImageInfo};
use super::digest::Digest;
use super::document::{Configuration, Descriptor};
use super::error::{ImageError, LayerName};
use super::layout::{Blob, Layout, SAVED};
use super::parse::hold_to_size;
use super::platform::ImagePlatform;
use super::search::{FoundImage, search};
use super::{Image, saved};

/// The most layers of an image; Docker takes 127.
const LAYERS: usize = 500;

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
        return chosen(layout, search(layout, image)?);
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

/// What is known of an image that was found.
fn chosen(layout: &Layout, found: FoundImage) -> Result<Chosen, ImageError> {
    let FoundImage {
        candidate,
        manifest,
        config_digest,
        configuration,
    } = found;
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
        layer(layout, descriptor, name, diff_id.transpose()?)
    });
    let layers = layers.collect::<Result<_, _>>()?;
    let platform = candidate.platform;
    let platform = platform.or_else(|| configuration.platform());
    Ok(Chosen {
        names: candidate.names,
        platform,
        manifest: Some(candidate.digest),
        config: usable(configuration, &config_digest)?,
        config_digest,
        layers,
    })
}

fn layer(
    layout: &Layout,
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
    } else if is_foreign && !layout.has(&digest.path()) {
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
    let blob = layout.open(&digest.path())?;
    hold_to_size(&blob, Some(descriptor.size))?;
    Ok(LayerBlob {
        name,
        blob,
        check: Check::Blob(digest),
        diff_id,
    })
}

/// Whether something of this media type is a layer; how it is compressed its bytes tell.
fn is_layer(kind: &str) -> bool {
    kind.is_empty()
        || kind.starts_with("application/vnd.oci.image.layer.")
        || kind.starts_with("application/vnd.docker.image.rootfs.")
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
