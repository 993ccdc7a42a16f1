//! What a file describes: one disk, or with snapd's gadget one for each volume.

use std::path::{self, Path, PathBuf};

use toml::de::DeTable;

use super::error::{Problem, SpecError, Within};
use super::fields::{Fields, Findings};
use super::joined::joined;
use super::place::{FileId, Files, Place};
use super::read::read_beside;
pub use super::volume::{Note, Volume};
use super::volumes::gadget::Folders;
use super::volumes::imagecraft::Platform;
use super::volumes::{VolumeFault, gadget, imagecraft};
use super::yaml::Words;
use super::{Spec, TableName, yaml};

/// The names that end in YAML.
const YAML: [&str; 2] = ["yaml", "yml"];
/// What standard input is called.
const STANDARD_INPUT: &str = "-";
/// The key of the disks in YAML.
const VOLUMES: &str = "volumes:";
/// What snapd calls its file.
const GADGET: &str = "gadget.yaml";
/// What imagecraft calls its file.
const IMAGECRAFT: &str = "imagecraft.yaml";
/// Keys that only a project file of imagecraft has, which tell it under another name.
const KEYS_OF_IMAGECRAFT: [&str; 5] = ["filesystems", "parts", "platforms", "base", "build-base"];
/// The folder of a snap that its gadget.yaml lies in.
const META: &str = "meta";

/// What a file leaves open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// The platform of imagecraft's that is built for; the only one when absent.
    pub platform: Option<String>,
    /// Where the kernel's snap lies, which the content `$kernel:…` of a gadget comes from.
    pub kernel: Option<PathBuf>,
    /// Where the root file system lies, which the content `rootfs:…` of a gadget comes from.
    pub rootfs: Option<PathBuf>,
    /// Whether a gadget without a structure for its root file system stays without it.
    pub without_root: bool,
}

impl Choices {
    /// The platform that is built for, if it can be told.
    fn platform(&self, platforms: Vec<Platform>, findings: &mut Findings<'_>) -> Option<Platform> {
        let known: Vec<String> = platforms
            .iter()
            .map(|platform| platform.name.clone())
            .collect();
        let Some(name) = &self.platform else {
            return platforms.into_iter().next().filter(|_| known.len() == 1);
        };
        let found = platforms
            .into_iter()
            .find(|platform| platform.name == *name);
        if found.is_none() {
            findings.problems.push(Problem {
                kind: VolumeFault::UnknownPlatform {
                    name: name.clone(),
                    known,
                }
                .into(),
                place: Place::default(),
                within: Within::Top,
            });
        }
        found
    }
}

/// The disks that a file describes.
#[derive(Clone, Debug)]
pub struct Project {
    /// One, or of a gadget one for each volume, by name.
    pub volumes: Vec<Volume>,
    /// What is understood, and makes no difference.
    pub notes: Vec<Note>,
}

impl Project {
    /// Reads the text of the file `path`, as [`read`](Self::read) does.
    ///
    /// # Errors
    /// [`SpecError`] with everything that is wrong with the text.
    pub fn parse(source: &str, path: &Path) -> Result<Self, SpecError> {
        Self::read(&Files::one(path, source), &Choices::default())
    }

    /// Reads a file, and what others say beside it. The name of the first tells what it is: YAML is a project file of
    /// imagecraft's or a gadget of snapd's, by its name or else by its keys, and all else a spec in TOML. The others are
    /// TOML, and say what the first does not; beside YAML, they say it of every volume.
    ///
    /// Relative paths are made relative to the folder of the file that they are in; a gadget's to its root, which is the
    /// folder above `meta/`.
    ///
    /// # Errors
    /// [`SpecError`] with everything that is wrong with the texts.
    pub fn read(files: &Files, choices: &Choices) -> Result<Self, SpecError> {
        let main = FileId::default();
        let path = files.path(main);
        if !is_yaml(path, files.text(main)) {
            let volume = Volume {
                name: None,
                root: None,
                appended: None,
                spec: Spec::read(files)?,
            };
            return Ok(Self {
                volumes: vec![volume],
                notes: Vec::new(),
            });
        }
        let mut table = parsed(files.text(main), Words::AsWritten)?;
        let is_imagecraft = is_imagecraft(path, &table);
        let beside = joined(files, files.ids().skip(1))?;
        let (mut findings, mut notes) = (Findings::new(files), Vec::new());
        if is_imagecraft {
            table = parsed(files.text(main), Words::Python)?;
            let platforms = imagecraft::platforms(&table, files);
            if let Some(platform) = choices.platform(platforms, &mut findings) {
                findings.problems.extend(platform.choose(&mut table, files));
            }
        }
        let mut top = Fields::new(&table, Place::default(), Within::Top, &mut findings);
        let mut volumes: Vec<Volume> = if is_imagecraft {
            imagecraft::read(&mut top, &mut notes).into_iter().collect()
        } else {
            let folder = path.parent().unwrap_or(Path::new(""));
            let folders = Folders {
                gadget: &gadget_root(folder),
                kernel: choices.kernel.as_deref(),
                rootfs: choices.rootfs.as_deref(),
            };
            gadget::read(&mut top, folders, !choices.without_root, &mut notes)
        };
        top.finish();
        let mut top = Fields::new(&beside, Place::default(), Within::Top, &mut findings);
        let beside = read_beside(&mut top, table_of(&volumes));
        top.finish();
        for volume in &mut volumes {
            beside.add_to(&mut volume.spec, &mut findings.problems);
        }
        findings.none_or(Self { volumes, notes })
    }
}

fn parsed(text: &str, words: Words) -> Result<DeTable<'_>, SpecError> {
    yaml::parse(text, words).map_err(|fault| SpecError {
        problems: vec![Problem {
            kind: fault.value.into(),
            place: fault.place,
            within: Within::Top,
        }],
    })
}

/// The kind of table of the first volume, which those that are built together share as a rule.
fn table_of(volumes: &[Volume]) -> TableName {
    volumes
        .first()
        .map_or(TableName::Gpt, |volume| volume.spec.disk.table_name())
}

/// Whether a file is YAML, by its name. Standard input has none: there a line begins with a key that no line of TOML
/// begins with, or all of it is the JSON that is YAML too.
fn is_yaml(path: &Path, text: &str) -> bool {
    if path == Path::new(STANDARD_INPUT) {
        let has_volumes = text.lines().any(|line| line.starts_with(VOLUMES));
        return has_volumes || text.trim_start().starts_with('{');
    }
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
