//! Whether what a statement tells of comes out again.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde::Serialize;

use super::inputs::{digest, of_file};
use super::statement::{Resource, guests, of_input, of_partition};
use super::{Input, Statement};
use crate::Assembled;
use crate::differing;
use cellblock_table::gaps;
use cellblock_text::{grouped, printable};

/// What came of building once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verdict {
    /// Whether every byte of the image is the same.
    pub equal: bool,
    /// The SHA-256 digest that the statement has.
    pub was: String,
    /// That of what was built.
    pub is: String,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// Something that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// What it is.
    pub what: String,
    /// What the statement says; none if it does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// What it is now; none if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<String>,
    /// The SHA-256 digest of the bytes that the first image has there, if it is that image which differs from both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where the bytes of the first image begin to be others, if that is at hand: in the partition, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The same, counted from the start of the disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_offset: Option<u64>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| {
            let value = value.as_deref();
            value.map_or_else(|| "nothing".to_owned(), |it| printable(it).to_string())
        };
        write!(f, "{}: ", printable(&self.what))?;
        match (&self.offset, &self.disk_offset) {
            (Some(offset), Some(disk)) if offset != disk => write!(
                f,
                "differs from byte {} on, byte {} of the disk",
                grouped(*offset),
                grouped(*disk)
            )?,
            (Some(offset), _) => write!(f, "differs from byte {} on", grouped(*offset))?,
            _ => f.write_str("differs")?,
        }
        match &self.image {
            Some(image) => write!(
                f,
                ": the image has {image}, and {} is told and comes out",
                shown(&self.is)
            ),
            None => write!(f, ": was {}, is {}", shown(&self.was), shown(&self.is)),
        }
    }
}

/// Compares what a statement says with `built`, an image that was built from its spec and from `inputs`. `image` is the first
/// image, if that is at hand: then it is told where bytes begin to differ.
///
/// # Errors
/// When one of the images cannot be read.
pub fn compare(
    statement: &Statement,
    built: &Assembled,
    inputs: &[Input],
    image: Option<&File>,
) -> io::Result<Verdict> {
    let record = &built.record;
    let mut differences = Vec::new();
    let versions = &statement.predicate.run_details.builder.version;
    let was = versions.get("cellblock").cloned();
    if was.as_deref() != Some(record.cellblock) {
        differences.push(plain(
            "the program's version",
            was,
            Some(record.cellblock.to_owned()),
        ));
    }
    of_codecs(statement, built, &mut differences);
    of_inputs(
        statement,
        inputs,
        guests(record).collect(),
        &mut differences,
    );
    let was = statement.image().sha256().unwrap_or_default().to_owned();
    let is = record.digest.clone().unwrap_or_default();
    let size = statement.image().annotations.get("size").cloned();
    if size.as_deref() != Some(&*record.size.to_string()) {
        differences.push(plain(
            "the size of the image",
            size,
            Some(record.size.to_string()),
        ));
    }
    of_partitions(statement, built, image, &mut differences)?;
    if let Some(image) = image
        && let Some(difference) = around(built, image)?
    {
        differences.push(difference);
    } else if was != is && differences.is_empty() {
        let what = "the partition table, or what lies around the partitions".to_owned();
        differences.push(plain(what, Some(was.clone()), Some(is.clone())));
    }
    Ok(Verdict {
        equal: was == is,
        was,
        is,
        differences,
    })
}

fn plain(what: impl Into<String>, was: Option<String>, is: Option<String>) -> Difference {
    Difference {
        what: what.into(),
        was,
        is,
        image: None,
        offset: None,
        disk_offset: None,
    }
}

fn of_codecs(statement: &Statement, built: &Assembled, differences: &mut Vec<Difference>) {
    let before = &statement.predicate.build_definition.internal_parameters;
    let now = super::statement(String::new(), &[], &built.record);
    let now = now.predicate.build_definition.internal_parameters;
    let names: std::collections::BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    for name in names {
        let (was, is) = (before.get(name).cloned(), now.get(name).cloned());
        if was != is {
            differences.push(plain(format!("the codec library {name}"), was, is));
        }
    }
}

/// Inputs have no names that are sure to be told apart, so that they are found by all that is known of them but their digests, in order.
fn of_inputs(
    statement: &Statement,
    inputs: &[Input],
    guests: Vec<Resource>,
    differences: &mut Vec<Difference>,
) {
    let mut now: Vec<Resource> = inputs.iter().map(of_input).chain(guests).collect();
    for before in statement.dependencies() {
        let same = |it: &Resource| it.name == before.name && it.annotations == before.annotations;
        let found = now.iter().position(same).map(|at| now.remove(at));
        // The files that the spec was written in are no longer read: the statement has all of it.
        let found = found.map(|it| it.digest).or_else(|| {
            let digest = of_file(Path::new(&before.name)).ok()?;
            Some([("sha256".to_owned(), digest.0)].into())
        });
        for (algorithm, was) in &before.digest {
            let is = found
                .as_ref()
                .and_then(|digests| digests.get(algorithm))
                .cloned();
            if is.as_deref() != Some(was) {
                let what = before
                    .annotations
                    .get("what")
                    .map_or("the input", String::as_str);
                let of = before.annotations.get("partition");
                let of = of.map_or_else(String::new, |name| format!(" of partition '{name}'"));
                let what = format!("{what} {}{of} ({algorithm})", before.name);
                differences.push(plain(what, Some(was.clone()), is));
            }
        }
    }
}

fn of_partitions(
    statement: &Statement,
    built: &Assembled,
    image: Option<&File>,
    differences: &mut Vec<Difference>,
) -> io::Result<()> {
    let byproducts = &statement.predicate.run_details.byproducts;
    let mut known: Vec<&Resource> = byproducts.iter().collect();
    for partition in &built.record.partitions {
        for now in of_partition(partition) {
            let found = known.iter().position(|it| it.name == now.name);
            let before = found.map(|at| known.remove(at));
            let was = before.and_then(Resource::sha256).map(str::to_owned);
            let is = now.sha256().map(str::to_owned);
            let place = |key| before.and_then(|it| it.annotations.get(key));
            let lies_there = ["start", "size"]
                .iter()
                .all(|key| place(*key) == now.annotations.get(*key));
            let is_partition = now.annotations.contains_key("start");
            let what = display_name(&now.name);
            if was == is && is_partition && !lies_there {
                let place = |of: Option<&Resource>| {
                    let of = of?;
                    let at = |key| of.annotations.get(key).map(String::as_str);
                    Some(format!("{} bytes at {}", at("size")?, at("start")?))
                };
                let (was, is) = (place(before), place(Some(&now)));
                differences.push(plain(format!("the place of {what}"), was, is));
            }
            let range = partition.start..partition.start + partition.size;
            let first = match image {
                Some(image) if is_partition && lies_there => {
                    first_difference(image, built.image.file(), range.clone())?
                }
                _ => None,
            };
            let of_image = match image {
                Some(image) if was == is && first.is_some() => Some(digest_of(image, range)?),
                _ => None,
            };
            if was != is || first.is_some() {
                differences.push(Difference {
                    offset: first.map(|at| at - partition.start),
                    disk_offset: first,
                    image: of_image,
                    ..plain(what, was, is)
                });
            }
        }
    }
    for gone in known {
        let what = display_name(&gone.name);
        differences.push(plain(what, gone.sha256().map(str::to_owned), None));
    }
    Ok(())
}

fn display_name(name: &str) -> String {
    match name.strip_prefix("partition:").map(|it| it.split_once(':')) {
        Some(Some((partition, file))) => format!("{file} in partition '{partition}'"),
        Some(None) => format!("partition '{}'", &name["partition:".len()..]),
        None => name.to_owned(),
    }
}

/// The first difference outside the partitions.
fn around(built: &Assembled, image: &File) -> io::Result<Option<Difference>> {
    let partitions = built.record.partitions.iter();
    let taken = partitions.map(|one| one.start..one.start + one.size);
    for range in gaps(taken, 0..built.record.size) {
        if let Some(offset) = first_difference(image, built.image.file(), range)? {
            let what = "the partition table, or what lies around the partitions";
            return Ok(Some(Difference {
                offset: Some(offset),
                disk_offset: Some(offset),
                ..plain(
                    what,
                    Some("the image's".to_owned()),
                    Some("others".to_owned()),
                )
            }));
        }
    }
    Ok(None)
}

/// The SHA-256 digest of a range of a file, as far as it goes.
fn digest_of(mut file: &File, range: Range<u64>) -> io::Result<String> {
    file.seek(SeekFrom::Start(range.start))?;
    digest(file.take(range.end - range.start))
}

/// The first byte of the range that the two files do not have in common.
fn first_difference(one: &File, other: &File, range: Range<u64>) -> io::Result<Option<u64>> {
    // The first image may be cut off: its end is a difference, too.
    let end = one.metadata()?.len().clamp(range.start, range.end);
    let found = differing::first(
        range.start..end,
        |at, bytes| one.read_exact_at(bytes, at),
        |at, bytes| other.read_exact_at(bytes, at),
    )?;
    Ok(found.or((end < range.end).then_some(end)))
}
