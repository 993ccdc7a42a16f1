//! Caches that a spec names: what the project has, and not what the machine does with it. How caches are used (whether they are
//! written, and signed with which key) is said where the program is called, never here.

use std::path::PathBuf;

use schemars::JsonSchema;

use super::Placed;
use super::place::Place;

/// Where partitions may come from that were made before, as `[cache]` says it. Nothing of it is used unless whoever builds
/// asks for it.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CacheSpec {
    /// Where the table stands.
    #[schemars(skip)]
    pub place: Place,
    /// Folders, and addresses that begin with `http://` or `https://`; the first that has a partition is used.
    #[schemars(with = "Vec<String>", length(min = 1))]
    pub places: Vec<Placed<CachePlace>>,
    /// The Ed25519 public keys (PEM) whose entries are used, from servers and from folders that others can write to.
    #[schemars(default, with = "Vec<PathBuf>")]
    pub trust: Vec<Placed<PathBuf>>,
}

/// A cache that a spec names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CachePlace {
    /// A folder.
    Folder(PathBuf),
    /// What has `://` in it: the address of a server.
    Address(String),
}
