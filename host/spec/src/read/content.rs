//! The sources of a file system's content.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use super::super::content::{Content, SingleFile};
use super::super::error::ProblemKind;
use super::super::fields::{Fields, boolean, integer, parsed, text, wrong_type};
use super::super::place::{Place, Placed};
use super::super::value::{
    ValueError, parse_destination, parse_hard_links, parse_mode, parse_owner, parse_part,
    parse_platform, parse_times,
};
use cellblock_tree::source::{
    Disk, Dump, HardLinks, Image, ImagePlatform, ModeRule, Source, Times, What,
};

/// What a source is, before its other keys are looked at.
enum Kind {
    Tree(What),
    Single(SingleFile),
}

pub(super) fn content(
    fields: &mut Fields<'_, '_>,
    places: &mut BTreeMap<PathBuf, Place>,
) -> Option<Content> {
    let place = fields.place.clone();
    note_places(fields, places);
    let mut kinds: Vec<Kind> = trees(fields).map(Kind::Tree).collect();
    kinds.extend(single_files(fields).map(Kind::Single));
    let to = fields
        .take("to", parsed(parse_destination))
        .map(|to| to.value);
    let owner = fields
        .take("owner", parsed(parse_owner))
        .map(|owner| owner.value);
    let mode = fields.take("mode", mode_text).map(|mode| mode.value);
    let exclude = fields.take_list("exclude", text);
    let times = fields.take("times", parsed(parse_times));
    let from = fields.take("from", parsed(parse_part));
    let strip = fields.take("strip", |value| integer(value, 0, u64::from(u16::MAX)));
    let follow = fields.take("follow", boolean);
    let hard_links = fields.take("hard-links", parsed(parse_hard_links));
    let metadata = fields.take_path("metadata");
    let of_image = OfImage {
        reference: fields.take("reference", text),
        platform: fields.take("platform", parsed(parse_platform)),
        overlay_whiteouts: fields.take("overlay-whiteouts", boolean),
    };
    let basedir = fields.take_path("basedir");
    let partition = fields.take("partition", text);
    let found = kinds.len();
    let kind = match kinds.pop() {
        Some(kind) if found == 1 => kind,
        _ => {
            fields.problem(ProblemKind::ContentKinds { found }, place);
            return None;
        }
    };
    let kind = with_basedir(of_image.add_to(kind, fields), basedir, fields);
    let kind = with_partition(kind, partition, fields);
    if let Kind::Single(file) = &kind {
        let of_tree = [
            ("exclude", exclude.first().map(|value| &value.place)),
            ("from", from.as_ref().map(|value| &value.place)),
            ("strip", strip.as_ref().map(|value| &value.place)),
            ("follow", follow.as_ref().map(|value| &value.place)),
            ("hard-links", hard_links.as_ref().map(|value| &value.place)),
            ("metadata", metadata.as_ref().map(|value| &value.place)),
        ];
        for (key, place) in of_tree {
            if let Some(place) = place {
                fields.problem(ProblemKind::KeyOfTree { key }, place.clone());
            }
        }
        if let (SingleFile::Text(_) | SingleFile::Template(_), Some(times)) = (file, &times) {
            fields.problem(ProblemKind::TimesOfText, times.place.clone());
        }
    }
    // With a `to` that could not be read, that is the one problem to show.
    let has_to = to.is_some() || fields.get("to").is_some();
    if let (Kind::Single(SingleFile::Text(_) | SingleFile::Template(_)), false) = (&kind, has_to) {
        fields.problem(ProblemKind::WithoutDestination, place);
    }
    let exclude = exclude.into_iter().map(|pattern| pattern.value).collect();
    let times = times.map_or(Times::Clamp, |times| times.value);
    Some(match kind {
        Kind::Tree(what) => Content::Source(Source {
            to,
            owner,
            mode,
            exclude,
            times,
            from: from.map(|from| from.value),
            strip: strip.map_or(0, |strip| {
                u32::try_from(strip.value).expect("it was checked to be small")
            }),
            follow: follow.is_some_and(|follow| follow.value),
            hard_links: hard_links.map_or(HardLinks::Keep, |links| links.value),
            metadata: metadata.map(|metadata| metadata.value),
            ..Source::new(what)
        }),
        Kind::Single(file) => match file.content(to, owner, mode) {
            Content::Source(source) => Content::Source(Source { times, ..source }),
            other @ (Content::Template(_) | Content::Kernel(_)) => other,
        },
    })
}

/// Adds the folder of objects to a dumpfile; beside anything else it is a mistake.
/// A mode: a string, since digits without quotes would be decimal.
fn mode_text(value: &DeValue<'_>) -> Result<ModeRule, ValueError> {
    match value {
        DeValue::Integer(_) => Err(wrong_type(
            "octal digits in quotes, such as \"0644\"",
            value,
        )),
        _ => parsed(parse_mode)(value),
    }
}

fn with_basedir(kind: Kind, basedir: Option<Placed<PathBuf>>, fields: &mut Fields<'_, '_>) -> Kind {
    match (kind, basedir) {
        (Kind::Tree(What::Composefs(dump)), Some(basedir)) => Kind::Tree(What::Composefs(Dump {
            basedir: Some(basedir.value),
            ..dump
        })),
        (kind, Some(basedir)) => {
            fields.problem(ProblemKind::BasedirOfOther, basedir.place);
            kind
        }
        (kind, None) => kind,
    }
}

/// Adds the partition to a disk image; beside anything else it is a mistake.
fn with_partition(
    kind: Kind,
    partition: Option<Placed<String>>,
    fields: &mut Fields<'_, '_>,
) -> Kind {
    match (kind, partition) {
        (Kind::Tree(What::Disk(disk)), Some(partition)) => Kind::Tree(What::Disk(Disk {
            partition: Some(partition.value),
            ..disk
        })),
        (kind, Some(partition)) => {
            fields.problem(ProblemKind::KeyOfDisk, partition.place);
            kind
        }
        (kind, None) => kind,
    }
}

/// What chooses among container images.
struct OfImage {
    reference: Option<Placed<String>>,
    platform: Option<Placed<ImagePlatform>>,
    overlay_whiteouts: Option<Placed<bool>>,
}

impl OfImage {
    /// Adds it to an image; beside anything else it is a mistake.
    fn add_to(self, kind: Kind, fields: &mut Fields<'_, '_>) -> Kind {
        if let Kind::Tree(What::Image(image)) = kind {
            return Kind::Tree(What::Image(Image {
                reference: self.reference.map(|it| it.value),
                platform: self.platform.map(|it| it.value),
                overlay_whiteouts: self.overlay_whiteouts.is_some_and(|it| it.value),
                ..image
            }));
        }
        let keys = [
            ("reference", self.reference.map(|it| it.place)),
            ("platform", self.platform.map(|it| it.place)),
            (
                "overlay-whiteouts",
                self.overlay_whiteouts.map(|it| it.place),
            ),
        ];
        for (key, place) in keys {
            if let Some(place) = place {
                fields.problem(ProblemKind::KeyOfImage { key }, place);
            }
        }
        kind
    }
}

/// Notes where paths stand, for errors that come when they are opened.
fn note_places(fields: &mut Fields<'_, '_>, places: &mut BTreeMap<PathBuf, Place>) {
    for key in [
        "directory",
        "archive",
        "oci",
        "composefs",
        "basedir",
        "image",
        "file",
        "metadata",
        "template",
    ] {
        let value = fields.get(key);
        if let Some(value) = value.filter(|value| value.get_ref().is_str())
            && let Some(path) = fields
                .read_path(key, value)
                .filter(|_| value.get_ref().as_str() != Some(""))
        {
            places.insert(path.value, path.place);
        }
    }
}

fn trees(fields: &mut Fields<'_, '_>) -> impl Iterator<Item = What> + use<> {
    let directory = fields
        .take_path("directory")
        .map(|path| What::Directory(path.value));
    let archive = fields
        .take_path("archive")
        .map(|path| What::Archive(path.value));
    let image = fields
        .take_path("oci")
        .map(|path| What::Image(Image::new(path.value)));
    let dump = fields.take_path("composefs").map(|path| {
        What::Composefs(Dump {
            file: path.value,
            basedir: None,
        })
    });
    let disk = fields.take_path("image").map(|path| {
        What::Disk(Disk {
            path: path.value,
            partition: None,
        })
    });
    directory
        .into_iter()
        .chain(archive)
        .chain(image)
        .chain(dump)
        .chain(disk)
}

/// The single files that a table names.
fn single_files(fields: &mut Fields<'_, '_>) -> impl Iterator<Item = SingleFile> + use<> {
    let file = fields
        .take_path("file")
        .map(|path| SingleFile::Host(path.value));
    let bytes = fields
        .take("text", parsed(|text| Ok(text.as_bytes().to_vec())))
        .map(|text| SingleFile::Text(text.value));
    let template = fields
        .take_path("template")
        .map(|path| SingleFile::Template(path.value));
    file.into_iter().chain(bytes).chain(template)
}

/// A single file as the value of a key: its path, or a table that names one of `file`, `text` and `template`.
pub(super) fn single_file<'text>(
    fields: &mut Fields<'_, 'text>,
    key: &str,
    value: &Spanned<DeValue<'text>>,
) -> Option<SingleFile> {
    let Some(table) = value.get_ref().as_table() else {
        let path = fields.read_path(key, value)?;
        return Some(SingleFile::Host(path.value));
    };
    let within = fields.within();
    let place = fields.at(value);
    let mut inner = fields.inner(table, place.clone(), within);
    let mut files: Vec<SingleFile> = single_files(&mut inner).collect();
    let found = files.len();
    if found != 1 {
        inner.problem(ProblemKind::SingleFileKinds { found }, place);
    }
    inner.finish();
    files.pop()
}
