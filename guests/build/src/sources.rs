//! The digest of all that decides the bytes of a guest: its sources, the SDK's, the contract, the versions of the crates
//! that it is built from, and the profile.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use crate::Workspace;

/// The digest of what the guest `name` is built from, as hexadecimal digits.
///
/// # Errors
/// If a source cannot be read.
pub fn digest(workspace: &Workspace, name: &str) -> Result<String> {
    let mut hash = Sha256::new();
    for folder in ["wit", "guests/sdk", &format!("guests/{name}")] {
        for file in files(&workspace.root.join(folder))? {
            let path = file.strip_prefix(&workspace.root)?;
            if path.ends_with("Cargo.toml") {
                add(
                    &mut hash,
                    &path.to_string_lossy(),
                    manifest(&file)?.as_bytes(),
                );
            } else if decides(path) {
                add(&mut hash, &path.to_string_lossy(), &fs::read(&file)?);
            }
        }
    }
    let locked = locked_packages(workspace, &["sdk", name])?;
    add(&mut hash, "Cargo.lock", locked.join("\n").as_bytes());
    add(&mut hash, "profile", profile(workspace)?.as_bytes());
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn add(hash: &mut Sha256, name: &str, bytes: &[u8]) {
    for part in [name.as_bytes(), bytes] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
}

fn decides(path: &Path) -> bool {
    let tests = path.components().any(|part| {
        ["tests", "examples", "benches", "README.md"]
            .iter()
            .any(|other| part.as_os_str() == *other)
    });
    !tests
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let path = entry.path();
            // The SDK's `wit` is a link to the contract, which is counted by itself.
            if entry.file_type()?.is_symlink() {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// A manifest without what only tests need.
fn manifest(file: &Path) -> Result<String> {
    let mut manifest = read_table(file)?;
    manifest.remove("dev-dependencies");
    Ok(toml::to_string(&manifest)?)
}

fn read_table(file: &Path) -> Result<Table> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    Ok(text.parse()?)
}

/// The key of a manifest's table of what only native tests of a guest need.
const NATIVE: &str = "cfg(not(target_arch = \"wasm32\"))";

/// The names of the crates that the crate in a folder of `guests/` depends on, for any target but native ones.
fn dependencies(workspace: &Workspace, folder: &str) -> Result<Vec<String>> {
    let manifest = workspace
        .root
        .join("guests")
        .join(folder)
        .join("Cargo.toml");
    let manifest = read_table(&manifest)?;
    let targets = manifest.get("target").and_then(Value::as_table);
    Ok(targets
        .into_iter()
        .flatten()
        .filter(|(target, _)| *target != NATIVE)
        .filter_map(|(_, table)| table.as_table())
        .chain([&manifest])
        .filter_map(|table| table.get("dependencies")?.as_table())
        .flat_map(Table::keys)
        .cloned()
        .collect())
}

/// The packages of `Cargo.lock` that the crates in these folders of `guests/` are built from, each as
/// `name version checksum`, sorted. Crates of this workspace are not among them: their sources are.
fn locked_packages(workspace: &Workspace, folders: &[&str]) -> Result<Vec<String>> {
    let lock = read_table(&workspace.root.join("Cargo.lock"))?;
    let packages = lock
        .get("package")
        .and_then(Value::as_array)
        .context("Cargo.lock has no packages")?;
    let text = |package: &Value, key: &str| {
        let value = package.get(key).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let mut found = BTreeSet::new();
    let mut wanted = Vec::new();
    for folder in folders {
        wanted.extend(dependencies(workspace, folder)?);
    }
    while let Some(want) = wanted.pop() {
        let mut words = want.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next());
        for package in packages {
            if text(package, "name") != name
                || package.get("source").is_none()
                || version.is_some_and(|version| text(package, "version") != version)
            {
                continue;
            }
            let line = ["name", "version", "checksum"]
                .map(|key| text(package, key))
                .join(" ");
            if found.insert(line) {
                let dependencies = package.get("dependencies").and_then(Value::as_array);
                wanted.extend(
                    dependencies
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .map(str::to_owned),
                );
            }
        }
    }
    Ok(found.into_iter().collect())
}

fn profile(workspace: &Workspace) -> Result<String> {
    let manifest = read_table(&workspace.root.join("Cargo.toml"))?;
    let profiles = manifest.get("profile").context("no profiles")?;
    Ok(toml::to_string(profiles)?)
}
