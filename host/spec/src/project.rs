//! What a file describes: one disk, or with snapd's gadget one for each volume.

use std::ops::Range;
use std::path::{self, Path, PathBuf};

use toml::de::DeTable;

use super::error::{Problem, SpecError, Within};
use super::fields::Fields;
use super::volumes::{gadget, imagecraft};
use super::{Spec, yaml};

/// The names that end in YAML.
const YAML: [&str; 2] = ["yaml", "yml"];
/// What snapd calls its file.
const GADGET: &str = "gadget.yaml";
/// What imagecraft calls its file.
const IMAGECRAFT: &str = "imagecraft.yaml";
/// Keys that only a project file of imagecraft has, which tell it under another name.
const KEYS_OF_IMAGECRAFT: [&str; 5] = ["filesystems", "parts", "platforms", "base", "build-base"];
/// The folder of a snap that its gadget.yaml lies in.
const META: &str = "meta";

/// The disks that a file describes.
#[derive(Clone, Debug)]
pub struct Project {
    /// One, or of a gadget one for each volume, by name.
    pub volumes: Vec<Volume>,
    /// What is understood, and makes no difference.
    pub notes: Vec<Note>,
}

/// A disk that a file describes.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Its name; a spec in TOML gives none.
    pub name: Option<String>,
    /// The index of the partition that imagecraft mounts at the root.
    pub root: Option<usize>,
    /// What is on it.
    pub spec: Spec,
}

/// Something in a file that makes no difference to the image, and what to say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where it stands, in bytes.
    pub place: Range<usize>,
    /// What to say.
    pub text: String,
}

impl Note {
    /// The line that it is about, from 1; `source` is the text of the file.
    pub fn line(&self, source: &str) -> usize {
        let before = &source.as_bytes()[..self.place.start.min(source.len())];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }
}

impl Project {
    /// Reads the text of the file `path`, whose name tells what it is: YAML is a project file of imagecraft's or a gadget
    /// of snapd's, by its name or else by its keys, and all else a spec in TOML. Relative paths in it are made relative to the file's folder; a gadget's
    /// are relative to its root, which is the folder above `meta/`.
    ///
    /// # Errors
    /// [`SpecError`] with everything that is wrong with the text.
    pub fn parse(source: &str, path: &Path) -> Result<Self, SpecError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        if !is_yaml(path) {
            let spec = Spec::parse(source, folder)?;
            let volume = Volume {
                name: None,
                root: None,
                spec,
            };
            return Ok(Self {
                volumes: vec![volume],
                notes: Vec::new(),
            });
        }
        let table = yaml::parse(source).map_err(|fault| SpecError {
            problems: vec![Problem {
                kind: fault.value.into(),
                place: fault.place,
                within: Within::Top,
            }],
        })?;
        let (mut problems, mut notes) = (Vec::new(), Vec::new());
        let mut top = Fields::new(&table, 0..0, Within::Top, &mut problems);
        let volumes = if is_imagecraft(path, &table) {
            imagecraft::read(&mut top, &mut notes).into_iter().collect()
        } else {
            gadget::read(&mut top, &gadget_root(folder), &mut notes)
        };
        top.finish();
        if problems.is_empty() && !volumes.is_empty() {
            return Ok(Self { volumes, notes });
        }
        problems.sort_by_key(|problem| problem.place.start);
        Err(SpecError { problems })
    }
}

fn is_yaml(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| YAML.iter().any(|yaml| extension.eq_ignore_ascii_case(yaml)))
}

fn is_imagecraft(path: &Path, table: &DeTable<'_>) -> bool {
    match path.file_name().and_then(|name| name.to_str()) {
        Some(IMAGECRAFT) => true,
        Some(GADGET) => false,
        _ => table
            .keys()
            .any(|key| KEYS_OF_IMAGECRAFT.contains(&&**key.get_ref())),
    }
}

/// Where the files of the gadget lie whose gadget.yaml is in `folder`.
fn gadget_root(folder: &Path) -> PathBuf {
    let absolute = path::absolute(folder.join(GADGET)).unwrap_or_default();
    let is_meta = absolute
        .parent()
        .is_some_and(|folder| folder.ends_with(META));
    match folder.parent() {
        _ if !is_meta => folder.to_owned(),
        Some(parent) if folder.ends_with(META) => parent.to_owned(),
        _ => folder.join(".."),
    }
}
