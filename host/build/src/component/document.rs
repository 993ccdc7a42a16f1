//! Manifests of components (OCI Image Format Specification 1.1, "OCI Image Manifest"; "Wasm OCI Artifact layout" of the CNCF).

use serde::Deserialize;

/// The type of a manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// What is taken of a registry: an index is refused with a reason, once it is there.
#[cfg(feature = "cache")]
pub(super) const ACCEPT: &str =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
/// The type of a layer that is a component.
const WASM: &str = "application/wasm";
/// The most bytes of a document: what registries take of a manifest (OCI Distribution Specification 1.1, "Pushing Manifests").
pub(super) const LARGEST: usize = 4 << 20;

/// What a blob is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: Option<String>,
    pub(super) digest: String,
    /// In bytes.
    pub(super) size: u64,
    #[serde(default)]
    pub(super) annotations: Option<Annotations>,
}

/// The name of a manifest in an index.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Annotations {
    #[serde(default, rename = "org.opencontainers.image.ref.name")]
    pub(super) name: Option<String>,
}

/// A manifest, or what stands in its place.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    /// Of an index: what it lists.
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
}

impl Manifest {
    /// Reads one; the error is what is wrong.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("its manifest is none: {error}"))
    }

    /// The one layer that is a component; the error says what there is in its place.
    pub(super) fn component(self) -> Result<Descriptor, String> {
        if self.manifests.is_some() {
            return Err("it is an index of several images: name one of them by its digest".into());
        }
        if let Some(other) = self.media_type.filter(|it| it != MANIFEST) {
            return Err(format!("it is a {other:?}, and no image manifest"));
        }
        let is_wasm = |it: &Descriptor| it.media_type.as_deref() == Some(WASM);
        let count = self.layers.len();
        let mut wasm = self.layers.into_iter().filter(is_wasm);
        match (wasm.next(), wasm.next()) {
            (Some(layer), None) => Ok(layer),
            (None, _) => Err(format!(
                "none of its {count} layers has the type {WASM}: it is no component as wkg publishes them"
            )),
            (Some(_), Some(_)) => Err(format!("several of its layers have the type {WASM}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(text: &str) -> Result<u64, String> {
        Ok(Manifest::parse(text.as_bytes())?.component()?.size)
    }

    #[test]
    fn a_manifest_has_one_component() {
        let layer = r#"{"mediaType":"application/wasm","digest":"sha256:0","size":7}"#;
        let other = r#"{"mediaType":"text/plain","digest":"sha256:0","size":8}"#;
        let with = |layers: &str| format!(r#"{{"schemaVersion":2,"layers":[{layers}]}}"#);
        assert_eq!(component(&with(&format!("{other},{layer}"))), Ok(7));
        for (text, why) in [
            (with(other), "none of its 1 layers"),
            (with(&format!("{layer},{layer}")), "several"),
            (r#"{"manifests":[]}"#.to_owned(), "an index"),
            (
                r#"{"mediaType":"application/x","layers":[]}"#.to_owned(),
                "application/x",
            ),
            ("[".to_owned(), "is none"),
            (with(r#"{"digest":"sha256:0","size":-1}"#), "is none"),
            ("[".repeat(100_000), "is none"),
        ] {
            let refused = component(&text).unwrap_or_default();
            assert_eq!(refused, 0);
            let said = component(&text).err().unwrap_or_default();
            assert!(said.contains(why), "{said}");
        }
    }
}
