//! One layer over those below it (OCI Image Format Specification 1.1, "Image Layer Filesystem Changeset", "Applying Changesets").
//!
//! A layer is planted beside what is there, as a tree of its own. Then what its markers name is removed from the lower ones, and at
//! last it is merged into them. So a marker hides nothing of its own layer, wherever it stands, and what a layer's hard link leads
//! to in a lower layer keeps its inode, though its name may go.
//!
//! Overlayfs gives all whiteouts of an upper directory one inode, so that tar has the second and all others as hard links to the first:
//! they are whiteouts, too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cellblock_text::PathBytes;

use super::super::archive::blocks::Blocks;
use super::super::archive::member::{Member, MemberKind, Members};
use super::super::archive::{Notes, Planting, names};
use super::super::budget::Kept;
use super::super::error::ArchiveError;
use super::super::forest::{Forest, InodeId};
use super::super::store::Span;
use super::abreast::Flow;
use super::error::LayerFault;
use crate::Attribute;
use crate::overlayfs::{self, Mark};

/// What a whiteout's name begins with.
const WHITEOUT: &[u8] = b".wh.";
/// What hides all that lower layers have in a directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Where AUFS keeps what has several names.
const LINKED: &[u8] = b".wh..wh.plnk";
/// What names of AUFS begin with that mean nothing to others.
const OF_AUFS: &[u8] = b".wh..wh.";

/// A layer that has been read, and hides nothing yet.
pub(super) struct Planted {
    root: InodeId,
    whiteouts: Vec<Path>,
    opaque: Vec<Path>,
    /// Where the bytes of its files are.
    pub(super) spans: Vec<Span>,
    /// Keywords of pax headers that say nothing to this program.
    pub(super) unknown: BTreeSet<String>,
    /// The first member with a mark of overlayfs that was not heeded, and how many have one.
    pub(super) unheeded: Option<(Vec<u8>, Mark)>,
    pub(super) unheeded_count: usize,
    pub(super) notes: Arc<Notes>,
}

/// The names of a path.
type Path = Vec<Box<[u8]>>;

/// Reads a layer, whose files are in the store of this number, into the forest of those below it. With `overlay`, the markers
/// of overlayfs count too.
pub(super) fn plant(
    flow: &Flow<'_>,
    forest: &mut Forest,
    (store, kept): (u32, &mut Kept),
    overlay: bool,
) -> Result<Planted, LayerFault> {
    let root = forest.add_root().map_err(ArchiveError::from)?;
    let mut planting = Planting::new(forest, root, store, kept);
    planting.lower = Some(InodeId::ROOT);
    planting.base = flow.base();
    let (mut whiteouts, mut opaque) = (Vec::new(), Vec::new());
    let (mut unheeded, mut unheeded_count) = (None, 0);
    let mut marked = Marked::default();
    let members = Members::of_layer(Blocks::new(flow));
    let notes = members.notes();
    for member in members {
        let mut member = member?;
        let path = names(&member.path, &member.path)?;
        match marker(&path, &member.path)? {
            Marker::None => {}
            Marker::Ignored => continue,
            Marker::Linked if matches!(member.kind, MemberKind::File { .. }) => {
                planting.add(member)?;
                continue;
            }
            Marker::Linked => continue,
            Marker::Whiteout(hidden) => {
                planting.note(&member)?;
                whiteouts.push(hidden);
                continue;
            }
            Marker::Opaque(directory) => {
                planting.note(&member)?;
                opaque.push(directory);
                continue;
            }
        }
        let is_whiteout = match mark(&member) {
            Some(mark) if !overlay => {
                unheeded_count += 1;
                unheeded.get_or_insert_with(|| (member.path.clone(), mark));
                false
            }
            Some(Mark::Device | Mark::Whiteout) => true,
            Some(Mark::Opaque) => {
                opaque.push(owned(&path));
                false
            }
            Some(Mark::Elsewhere) => {
                return Err(LayerFault::Whiteout {
                    member: member.path.as_slice().into(),
                    reason: "is renamed, or has its content, in another layer by overlayfs (redirect_dir, metacopy), which is not \
                             read; make the layers without these",
                });
            }
            None => overlay && marked.are_linked_by(&member, &mut planting)?,
        };
        if is_whiteout {
            let path = owned(&path);
            marked.add(&path)?;
            planting.note(&member)?;
            planting.unname(&path);
            whiteouts.push(path);
            continue;
        }
        if overlay {
            hide_own_attributes(&mut member);
        }
        planting.add(member)?;
    }
    let (spans, unknown) = (planting.spans, planting.unknown);
    forest.unname(root, LINKED);
    Ok(Planted {
        root,
        whiteouts,
        opaque,
        spans,
        unknown,
        unheeded,
        unheeded_count,
        notes,
    })
}

/// What somebody should know of a layer over those below it.
pub(super) struct Hidden {
    /// The symbolic links of lower layers that give way to a directory of which the layer has no member, by path, with their
    /// targets.
    pub(super) links: Vec<(Vec<u8>, Vec<u8>)>,
    /// What else gives way so, by path, with what it is.
    pub(super) files: Vec<(Vec<u8>, &'static str)>,
    /// The symbolic links that whiteouts would have to lead through, and so hide nothing, likewise.
    pub(super) passed: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Puts a layer over those below it.
pub(super) fn apply(forest: &mut Forest, planted: &Planted) -> Hidden {
    let passed = passed_links(forest, planted);
    for path in &planted.opaque {
        forest.empty(&borrowed(path));
    }
    for path in &planted.whiteouts {
        forest.remove(&borrowed(path));
    }
    let merged = forest.merge_layer(planted.root);
    Hidden {
        links: merged.links,
        files: merged.files,
        passed,
    }
}

/// The symbolic links of lower layers on the way to what a layer's markers name, each once. Where the layer has something of its own
/// in the place of a link, that takes its place.
fn passed_links(forest: &Forest, planted: &Planted) -> Vec<(Vec<u8>, Vec<u8>)> {
    // A whiteout hides a link itself as anything else; an opaque marker is in what it names.
    let above = planted.whiteouts.iter().map(|path| &path[..path.len() - 1]);
    let within = planted.opaque.iter().map(|path| &path[..]);
    let mut passed = BTreeMap::new();
    for path in above.chain(within) {
        let path = borrowed(path);
        let Some((count, target)) = forest.symlink_in(InodeId::ROOT, &path) else {
            continue;
        };
        let link = &path[..count];
        if forest.lookup_in(planted.root, link).is_none() {
            passed.insert(crate::join_path(link.iter().copied()), target.to_vec());
        }
    }
    passed.into_iter().collect()
}

/// The whiteouts of overlayfs that a layer has, for the hard links to them.
#[derive(Default)]
struct Marked {
    names: BTreeSet<Path>,
    /// The hard links to what only lower layers have so far, by their target.
    below: BTreeMap<Path, Vec<u8>>,
}

impl Marked {
    /// Whether a member is a hard link to one of them. If it leads to what only lower layers have, that is remembered.
    fn are_linked_by(
        &mut self,
        member: &Member,
        planting: &mut Planting<'_>,
    ) -> Result<bool, LayerFault> {
        let MemberKind::HardLink(target) = &member.kind else {
            return Ok(false);
        };
        let target = owned(&names(target, &member.path)?);
        if planting.has(&target) {
            return Ok(false);
        }
        if self.names.contains(&target) {
            return Ok(true);
        }
        planting.note(member)?;
        let known = self.below.entry(target);
        known.or_insert_with(|| member.path.clone());
        Ok(false)
    }

    /// Adds a whiteout. A hard link before it to its name could be to what it hides as well as to itself.
    fn add(&mut self, path: &Path) -> Result<(), LayerFault> {
        if let Some(link) = self.below.get(path) {
            return Err(LayerFault::LinkBeforeMark {
                link: link.as_slice().into(),
                mark: PathBytes(borrowed(path).join(&b'/')),
            });
        }
        self.names.insert(path.clone());
        Ok(())
    }
}

/// What a member's name means.
enum Marker {
    None,
    /// It is for AUFS alone.
    Ignored,
    /// It is no part of the tree, but what has several names is kept there by AUFS, and they are hard links to it.
    Linked,
    Whiteout(Path),
    Opaque(Path),
}

/// Reads a name. What a marker is besides, a file or a hard link, makes no difference.
fn marker(path: &[&[u8]], member: &[u8]) -> Result<Marker, LayerFault> {
    let refuse = |reason| LayerFault::Whiteout {
        member: member.into(),
        reason,
    };
    let Some((name, parents)) = path.split_last() else {
        return Ok(Marker::None);
    };
    if let [LINKED] = parents {
        return Ok(Marker::Linked);
    }
    if parents.iter().any(|name| name.starts_with(OF_AUFS)) {
        return Ok(Marker::Ignored);
    }
    if parents.iter().any(|name| name.starts_with(WHITEOUT)) {
        return Err(refuse("lies below a whiteout, which has nothing below it"));
    }
    if *name == OPAQUE {
        return Ok(Marker::Opaque(owned(parents)));
    }
    if name.starts_with(OF_AUFS) {
        return Ok(Marker::Ignored);
    }
    let Some(hidden) = name.strip_prefix(WHITEOUT) else {
        return Ok(Marker::None);
    };
    if matches!(hidden, b"" | b"." | b"..") {
        return Err(refuse("is a whiteout that names nothing it could hide"));
    }
    let mut path = owned(parents);
    path.push(hidden.into());
    Ok(Marker::Whiteout(path))
}

/// What a member means to overlayfs.
fn mark(member: &Member) -> Option<Mark> {
    let kind = match &member.kind {
        MemberKind::Other(kind) => Some(kind),
        _ => None,
    };
    let is_empty = matches!(member.kind, MemberKind::File { size: 0, .. });
    Mark::on(kind, is_empty, &member.attributes)
}

/// Takes away the attributes that overlayfs keeps to itself, and one escape of those for an overlayfs above it.
fn hide_own_attributes(member: &mut Member) {
    if member
        .attributes
        .iter()
        .any(|it| overlayfs::is_own(&it.name))
    {
        let shown = member.attributes.iter().filter_map(|attribute| {
            Some(Attribute {
                name: overlayfs::shown(&attribute.name)?,
                value: attribute.value.clone(),
            })
        });
        member.attributes = shown.collect();
    }
}

fn owned(path: &[&[u8]]) -> Path {
    path.iter().map(|name| Box::from(*name)).collect()
}

fn borrowed(path: &[Box<[u8]>]) -> Vec<&[u8]> {
    path.iter().map(|name| &**name).collect()
}
