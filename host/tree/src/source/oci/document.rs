//! The JSON documents of an image, as far as they are needed. Their sizes are bounded before they are read; serde_json bounds their
//! depth (128). What is `null` counts as absent, for Go writes empty lists so.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::config::ImageConfig;
use super::platform::ImagePlatform;

/// The most bytes of one document: what registries take of a manifest (OCI Distribution Specification 1.1, "Pushing Manifests").
pub(super) const LARGEST: u64 = 4 << 20;

/// What a blob is, and its digest and size.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: Option<String>,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default)]
    pub(super) platform: Option<Platform>,
    #[serde(default)]
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

impl Descriptor {
    /// Its media type without parameters; empty if it has none.
    pub(super) fn kind(&self) -> &str {
        without_parameters(self.media_type.as_deref().unwrap_or_default())
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Platform {
    #[serde(default)]
    pub(super) os: String,
    #[serde(default)]
    pub(super) architecture: String,
    #[serde(default)]
    pub(super) variant: Option<String>,
    #[serde(default, rename = "os.version")]
    pub(super) os_version: Option<String>,
}

fn without_parameters(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim_end()
}

/// An index or a manifest: what it has tells which.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    #[serde(default)]
    pub(super) schema_version: Option<u64>,
    #[serde(default)]
    pub(super) media_type: Option<String>,
    #[serde(default)]
    pub(super) artifact_type: Option<String>,
    /// An index has these.
    #[serde(default)]
    pub(super) manifests: Option<Vec<Descriptor>>,
    /// A manifest has these.
    #[serde(default)]
    pub(super) config: Option<Descriptor>,
    #[serde(default)]
    pub(super) layers: Option<Vec<Descriptor>>,
}

/// The media types of an index, and of a manifest.
pub(super) const OF_INDEXES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
const OF_MANIFESTS: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// The media types of the configuration of an image.
const OF_CONFIGURATIONS: [&str; 2] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
];

impl Document {
    /// What is wrong with a document that others could take for something else than it is taken for here (OCI Image Format
    /// Specification 1.1, "OCI Image Manifest Specification" and "OCI Image Index Specification", `mediaType`; CVE-2021-41190).
    pub(super) fn contradiction(&self) -> Option<String> {
        let is_manifest = self.config.is_some() || self.layers.is_some();
        let (noun, types) = match (&self.manifests, is_manifest) {
            (Some(_), true) => {
                let reason = "it has `manifests`, as an index, and `config` or `layers`, as a manifest: it may be one of them only";
                return Some(reason.to_owned());
            }
            (Some(_), false) => ("an index", OF_INDEXES),
            (None, true) => ("a manifest", OF_MANIFESTS),
            (None, false) => return None,
        };
        let own = self.media_type.as_deref().filter(|own| !own.is_empty())?;
        let own = without_parameters(own);
        (!types.contains(&own)).then(|| {
            let own = cellblock_text::printable(own);
            format!("it is {noun}, and its `mediaType` is {own}")
        })
    }

    /// What it is, if it is neither an index nor the manifest of an image.
    pub(super) fn other_than_an_image(&self) -> Option<String> {
        let Some(config) = &self.config else {
            return Some("no manifest of an image".to_owned());
        };
        let kind = config.kind();
        if kind.is_empty() || OF_CONFIGURATIONS.contains(&kind) {
            return None;
        }
        let kind = self.artifact_type.as_deref().unwrap_or(kind);
        let kind = cellblock_text::printable(kind);
        Some(format!("an artifact of the kind {kind}"))
    }
}

/// The file that tells a layout.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LayoutMark {
    #[serde(default)]
    pub(super) image_layout_version: Option<String>,
}

impl LayoutMark {
    /// Whether it tells one that is read here: of version 1.
    pub(super) fn is_known(&self) -> bool {
        let version = self.image_layout_version.as_deref().unwrap_or_default();
        version.split('.').next() == Some("1")
    }
}

/// The configuration of an image.
#[derive(Debug, Deserialize)]
pub(super) struct Configuration {
    #[serde(default)]
    pub(super) os: Option<String>,
    #[serde(default)]
    pub(super) architecture: Option<String>,
    #[serde(default)]
    pub(super) variant: Option<String>,
    #[serde(default, rename = "os.version")]
    pub(super) os_version: Option<String>,
    #[serde(default)]
    pub(super) config: Option<ImageConfig>,
    #[serde(default)]
    pub(super) rootfs: Option<RootFs>,
}

impl Configuration {
    pub(super) fn platform(&self) -> Option<ImagePlatform> {
        let (os, architecture) = (self.os.as_deref()?, self.architecture.as_deref()?);
        ImagePlatform::stated(os, architecture, self.variant.as_deref())
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct RootFs {
    #[serde(default, rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) diff_ids: Option<Vec<String>>,
}

/// One image of `manifest.json`, as `docker save` writes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SavedImage {
    pub(super) config: String,
    #[serde(default)]
    pub(super) repo_tags: Option<Vec<String>>,
    #[serde(default)]
    pub(super) layers: Option<Vec<String>>,
}
