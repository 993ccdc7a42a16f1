//! `cellblock show`: what an image holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::{Failure, print, print_json};
use crate::arguments::Show;
use crate::report::{describe_held, draw, list_held, terminal};
use cellblock_build::Seen;
use cellblock_build::image::Superblock;
use cellblock_build::table::{Decoded, Severity, SfdiskPartition, SfdiskTable, json_like_sfdisk};
use cellblock_build::tree::volume::Decoders;

pub(super) fn run(show: &Show) -> Result<(), Failure> {
    let name = show.image.display().to_string();
    let codecs = super::codecs()?;
    let decoders: Arc<dyn Decoders> = codecs.clone();
    let image = super::open_image(&show.image, show.sector_size, &decoders)?;
    let seen = image.look()?;
    super::warn_of_decoders(&codecs);
    match seen {
        Seen::Filesystem(found) if show.json => print_json(&Alone {
            filesystem: Filesystem::of(&found, Some(&name)),
        }),
        Seen::Filesystem(found) => print(&describe_held(&name, &found)),
        Seen::Disk { decoded, holds } => {
            if show.json {
                print_json(&Disk::of(&name, &decoded, &holds))?;
            } else {
                let (columns, color) = (terminal::columns(), super::color());
                let mut text = draw(&decoded.table, columns, color);
                let list = list_held(&holds, columns, color);
                if !list.is_empty() {
                    text = format!("{text}\n{list}");
                }
                print(&text)?;
            }
            print_findings(&name, &decoded)
        }
    }
}

/// What is wrong with the table. Damage is a failure, after all is shown.
fn print_findings(name: &str, decoded: &Decoded) -> Result<(), Failure> {
    let mut damaged = 0;
    for finding in &decoded.findings {
        match finding.severity() {
            Severity::Damage => {
                damaged += 1;
                tell!("damaged: {finding}");
            }
            Severity::Warning => tell!("warning: {finding}"),
            Severity::Advice => tell!("note: {finding}"),
        }
    }
    if damaged > 0 {
        return Err(Failure::told(format_args!(
            "{name}: {damaged} {} in the partition table",
            if damaged == 1 { "fault" } else { "faults" }
        )));
    }
    Ok(())
}

/// The shape of `sfdisk --json`, with what each partition holds.
#[derive(Serialize)]
struct Disk<'a> {
    partitiontable: DiskTable<'a>,
}

#[derive(Serialize)]
struct DiskTable<'a> {
    /// Without its partitions.
    #[serde(flatten)]
    table: SfdiskTable,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    partitions: Vec<Holding<'a>>,
}

#[derive(Serialize)]
struct Holding<'a> {
    #[serde(flatten)]
    partition: SfdiskPartition,
    #[serde(skip_serializing_if = "Option::is_none")]
    filesystem: Option<Filesystem<'a>>,
}

/// A file system without a table around it.
#[derive(Serialize)]
struct Alone<'a> {
    filesystem: Filesystem<'a>,
}

/// A file system; what is not known of it is left out.
#[derive(Serialize)]
struct Filesystem<'a> {
    /// The image, if it has no partition table.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<u64>,
}

impl<'a> Disk<'a> {
    fn of(name: &str, decoded: &Decoded, holds: &'a BTreeMap<u32, Superblock>) -> Self {
        let report = json_like_sfdisk(&decoded.table, name).with_entries(decoded.entries);
        let mut table = report.partitiontable;
        // They are in the order of their numbers.
        let mut numbers: Vec<u32> = decoded
            .table
            .partitions
            .iter()
            .map(|it| it.number)
            .collect();
        numbers.sort_unstable();
        let partitions = std::mem::take(&mut table.partitions);
        let partitions = partitions
            .into_iter()
            .zip(numbers)
            .map(|(partition, number)| Holding {
                partition,
                filesystem: holds.get(&number).map(|held| Filesystem::of(held, None)),
            });
        Self {
            partitiontable: DiskTable {
                partitions: partitions.collect(),
                table,
            },
        }
    }
}

impl<'a> Filesystem<'a> {
    fn of(held: &'a Superblock, device: Option<&'a str>) -> Self {
        let Superblock {
            kind,
            version,
            label,
            uuid,
            size,
            used,
        } = held;
        Self {
            device,
            kind,
            version: version.as_deref(),
            label: label.as_deref(),
            uuid: uuid.as_deref(),
            size: *size,
            used: *used,
        }
    }
}
