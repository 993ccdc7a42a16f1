//! What a build would make, and why each partition is as large as it is: the whole build but for the bytes of content.

use std::collections::BTreeMap;
use std::sync::Arc;

use cellblock_cell::Runtime;
use cellblock_contract::{Log, Property};
use cellblock_image::Rehearsal;
use cellblock_spec::Spec;
use cellblock_table::Table;
use cellblock_text::PathBytes;
use cellblock_tree::{Kind, NodeId, Tree};

use crate::BuildOptions;
use crate::catalogue::Catalog;
use crate::disk::Groundwork;
use crate::error::{Error, PartitionError};
use crate::filesystem::{Prepared, Slot};
use crate::output::Output;
use crate::parallel;
use crate::plan::Plan;
use crate::said::{Said, said_by_formatter};
use crate::signing::Signers;

/// The most folders that are named.
const FOLDERS: usize = 10;

/// What a build would make.
#[derive(Debug)]
pub struct Preview {
    /// Every size, offset and identifier.
    pub plan: Plan,
    /// The partition table.
    pub table: Table,
    /// Where the space of each file system goes, by the index of its partition.
    pub filesystems: BTreeMap<usize, Space>,
    /// What is said of the file systems, by partition.
    pub log: Vec<(String, Said)>,
}

/// Where the space of a file system goes, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// The nodes that are stored.
    pub nodes: u32,
    /// The content of files, with what fills up their blocks.
    pub content: u64,
    /// What the format needs beside it.
    pub metadata: u64,
    /// What is left.
    pub spare: u64,
    /// What the formatter says of it.
    pub properties: Vec<Property>,
    /// The folders with the most bytes in files of their own, the largest first: their paths.
    pub heaviest: Vec<(PathBytes, u64)>,
}

/// What a build of `spec` would make. Content is read as far as its metadata goes, and nothing stays on the disk.
///
/// # Errors
/// [`Error`], as the build.
pub fn preview_image(
    spec: &Spec,
    output: &Output,
    runtime: &Runtime,
    catalog: &Catalog,
    options: &BuildOptions,
) -> Result<Preview, Error> {
    let scratch = output.scratch()?;
    let signers = Signers::read(spec)?.noting();
    let ground = Groundwork::new(spec, signers, output, &scratch, runtime, catalog, options)?;
    let places = &ground.places;
    let preparation = ground
        .basis
        .preparation(runtime, &scratch, options, output.file());
    let spaces = parallel::map(options.jobs, &ground.prepared, |prepared| {
        let place = &places[&prepared.index];
        let rehearsal = Rehearsal::new(&scratch, place.size);
        rehearsal
            .map_err(PartitionError::from)
            .and_then(|rehearsal| rehearse(prepared, place, rehearsal))
            .map_err(|reason| preparation.failed(prepared.name(), reason))
    })?;
    let mut log = ground.log;
    for (prepared, (_, said)) in ground.prepared.iter().zip(&spaces) {
        let said = said_by_formatter(said);
        let warnings = prepared.warnings(places[&prepared.index].time).into_iter();
        let all = warnings.chain(said);
        log.extend(all.map(|said| (prepared.name().to_owned(), said)));
    }
    let indexes = ground.prepared.iter().map(|prepared| prepared.index);
    let spaces = spaces.into_iter().map(|(space, _)| space);
    Ok(Preview {
        log,
        table: ground.plan.table()?,
        plan: ground.plan,
        filesystems: indexes.zip(spaces).collect(),
    })
}

fn rehearse(
    prepared: &Prepared,
    place: &Slot,
    rehearsal: Rehearsal,
) -> Result<(Space, Log), PartitionError> {
    let rehearsal = Arc::new(rehearsal);
    let outcome = prepared.rehearse(place, Arc::clone(&rehearsal) as _)?;
    let (summary, log) = (outcome.summary, outcome.log);
    let content = rehearsal.placed();
    let space = Space {
        nodes: prepared.tree.len(),
        content,
        // A command places nothing: all that it wrote counts as its own.
        metadata: summary.used.saturating_sub(content),
        spare: place.size.saturating_sub(summary.used),
        properties: summary.properties,
        heaviest: heaviest(&prepared.tree),
    };
    Ok((space, log))
}

/// The folders with the most bytes in files of their own.
fn heaviest(tree: &Tree) -> Vec<(PathBytes, u64)> {
    let mut bytes: BTreeMap<NodeId, u64> = BTreeMap::new();
    for node in tree.nodes() {
        if let Kind::File { size, .. } = node.kind {
            *bytes.entry(node.parent).or_default() += size;
        }
    }
    let mut folders: Vec<(NodeId, u64)> = bytes.into_iter().filter(|(_, size)| *size > 0).collect();
    folders.sort_by_key(|(id, size)| (std::cmp::Reverse(*size), *id));
    folders.truncate(FOLDERS);
    folders
        .into_iter()
        .map(|(id, size)| (PathBytes(tree.path(id)), size))
        .collect()
}
