//! Builds guests: source to core module, core module to component, with the digest of the sources inside.

#![forbid(unsafe_code)]

pub mod build;
pub mod sources;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The workspace that the guests are built from.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Its top folder.
    pub root: PathBuf,
}

impl Workspace {
    /// The workspace that this package stands in.
    #[must_use]
    pub fn here() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        Self {
            root: root.canonicalize().unwrap_or(root),
        }
    }

    /// The names of the guests that belong into `guests/dist/`, sorted.
    ///
    /// # Errors
    /// If the folder of the guests cannot be read.
    pub fn guests(&self) -> Result<Vec<String>> {
        const NO_GUESTS: [&str; 5] = ["build", "dist", "sdk", "template", "template-reader"];
        let folder = self.root.join("guests");
        let mut names = Vec::new();
        for entry in folder.read_dir().context("the folder guests/")? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().join("Cargo.toml").is_file() && !NO_GUESTS.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Where the component of the guest `name` stands.
    #[must_use]
    pub fn dist(&self, name: &str) -> PathBuf {
        self.root.join("guests/dist").join(format!("{name}.wasm"))
    }
}
