//! `cellblock guests lock`: what a spec names in registries, fetched, and its tags pinned beside it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use cellblock_build::component::lock::{self, Lock};
use cellblock_build::component::{self, Fetch};
use cellblock_build::spec::{Choices, Files, OciPlace, OciReference, Project};
use cellblock_build::text::{hexadecimal, printable};
use serde_json::json;

use crate::arguments::{DEFAULT_SPEC, Guests};
use crate::command::{Failure, print, print_json, read_text};

pub(super) fn run(guests: &Guests) -> Result<(), Failure> {
    let spec = guests.spec.as_deref().unwrap_or(Path::new(DEFAULT_SPEC));
    let references = references(spec)?;
    let mut lock = Lock::beside(spec).map_err(Failure::usage)?;
    let mut pinned = BTreeMap::new();
    let (mut text, mut documents) = (String::new(), Vec::new());
    for reference in references {
        let is_open = lock::is_open(&reference);
        let mut wanted = reference.clone();
        if is_open && !guests.update {
            wanted.digest = lock.get(&reference);
        }
        let found = component::find(&wanted, Fetch::Keep).map_err(Failure::failed)?;
        let digest = found.reference.digest.unwrap_or_default();
        if is_open {
            pinned.insert(reference.to_string(), digest);
        }
        let digest = format!("sha256:{}", hexadecimal(&digest));
        let named = reference.to_string();
        let _ = writeln!(text, "{}: {digest}", printable(&named));
        documents.push(json!({ "guest": named, "digest": digest, "pinned": is_open }));
    }
    if pinned.is_empty() && !lock.path().exists() {
        text.push_str("nothing needs a lock file: no guest of a registry has a tag alone\n");
    } else {
        lock.write(pinned).map_err(Failure::failed)?;
        let _ = writeln!(text, "{} written", lock.path().display());
    }
    if guests.json {
        return print_json(&documents);
    }
    print(&text)
}

/// What the guests of a spec have in registries, each once.
fn references(path: &Path) -> Result<Vec<OciReference>, Failure> {
    let mut files = Files::default();
    files.add(path, read_text(path)?);
    let project = Project::read(&files, &Choices::default()).map_err(|error| {
        Failure::rendered(error.render(&files, crate::command::color_of_errors()))
    })?;
    let specs = project.volumes.iter().map(|volume| &volume.spec);
    let all = specs.flat_map(lock::references);
    let mut references: Vec<OciReference> = all.map(|(_, reference)| reference.clone()).collect();
    references.retain(|it| matches!(it.place, OciPlace::Registry { .. }));
    references.sort();
    references.dedup();
    Ok(references)
}
