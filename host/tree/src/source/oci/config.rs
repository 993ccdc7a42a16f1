//! What an image says of itself: how it is to be run, and which one it is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use super::ImagePlatform;

/// How an image wants to be run (OCI Image Format Specification 1.1, "OCI Image Configuration", "config").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all(serialize = "kebab-case", deserialize = "PascalCase"))]
pub struct ImageConfig {
    /// The user, and the group behind a colon, as names or numbers; empty for root.
    #[serde(default, deserialize_with = "or_default")]
    pub user: String,
    /// The environment: `NAME=VALUE` each.
    #[serde(default, deserialize_with = "or_default")]
    pub env: Vec<String>,
    /// What is run.
    #[serde(default, deserialize_with = "or_default")]
    pub entrypoint: Vec<String>,
    /// The arguments of the entry point, or without one what is run.
    #[serde(default, deserialize_with = "or_default")]
    pub cmd: Vec<String>,
    /// Where it is run; empty for `/`.
    #[serde(default, deserialize_with = "or_default")]
    pub working_dir: String,
    /// Labels by name.
    #[serde(default, deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// The signal that ends it, such as `SIGTERM`; empty for that one.
    #[serde(default, deserialize_with = "or_default")]
    pub stop_signal: String,
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl ImageConfig {
    /// What is run, with its arguments.
    pub fn command(&self) -> impl Iterator<Item = &str> {
        self.entrypoint.iter().chain(&self.cmd).map(String::as_str)
    }

    /// Names and values of the environment, as far as they are such.
    pub fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.env.iter().filter_map(|entry| entry.split_once('='))
    }

    /// The first value with a NUL byte in it, which no program can be given.
    pub(super) fn unusable(&self) -> Option<&'static str> {
        let has_nul = |text: &String| text.contains('\0');
        let lists = [
            ("Env", &self.env),
            ("Entrypoint", &self.entrypoint),
            ("Cmd", &self.cmd),
        ];
        let listed = lists
            .iter()
            .find(|(_, list)| list.iter().any(has_nul))
            .map(|(name, _)| *name);
        let single = [
            ("User", &self.user),
            ("WorkingDir", &self.working_dir),
            ("StopSignal", &self.stop_signal),
        ];
        let single = single.iter().find(|(_, text)| has_nul(text));
        listed.or(single.map(|(name, _)| *name))
    }
}

/// Which image was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImageInfo {
    /// The layout.
    pub path: PathBuf,
    /// The names that it has there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// What it is for, if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<ImagePlatform>,
    /// The digest of its manifest; what `docker save` wrote in its older form has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// The digest of its configuration.
    pub config_digest: String,
    /// The digests of its layers, the lowest first: of the blobs, or where those have none, of what is in them.
    pub layers: Vec<String>,
    /// How it wants to be run.
    pub config: ImageConfig,
}
