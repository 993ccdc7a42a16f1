//! What was found becomes a forest, in the order of names.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::source::beneath::{ROOT, Record};
use crate::source::budget::{Kept, OverBudget};
use crate::source::error::SourceError;
use crate::source::forest::{Body, Children, Forest, Full, Inode, InodeId, Metadata};
use crate::source::stamp::Stamp;
use crate::source::store::{StoredFile, WalkedFile, long};
use crate::source::walked::path_of;
use crate::{Attribute, Kind, Timestamp, index};

/// A node as it was found.
pub(super) struct Found {
    pub(super) name: Box<[u8]>,
    pub(super) metadata: FoundMetadata,
    /// Device and inode, where there may be more names for it.
    pub(super) identity: Option<(u64, u64)>,
    pub(super) body: FoundBody,
}

pub(super) struct FoundMetadata {
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) modified: Timestamp,
    pub(super) attributes: Arc<[Attribute]>,
}

pub(super) enum FoundBody {
    Directory {
        /// Once it has one.
        number: u32,
        stamp: Stamp,
    },
    File {
        size: u64,
        sparse: bool,
        stamp: Stamp,
    },
    Other(Kind),
}

/// The making of a forest out of all listings, in the order of names.
pub(super) struct Planting<'a> {
    pub(super) path: &'a Path,
    pub(super) directories: &'a [Record],
    pub(super) store: u32,
    pub(super) kept: &'a mut Kept,
    pub(super) renames: bool,
    pub(super) files: Vec<WalkedFile>,
}

impl Planting<'_> {
    pub(super) fn plant(
        &mut self,
        root: FoundMetadata,
        mut listings: Vec<Vec<Found>>,
    ) -> Result<Forest, SourceError> {
        let mut forest = Forest::new();
        forest.set_metadata(InodeId::ROOT, root.intern(self.kept));
        let mut links: HashMap<(u64, u64), InodeId> = HashMap::new();
        let mut pending = vec![(ROOT, InodeId::ROOT)];
        while let Some((number, directory)) = pending.pop() {
            let mut children = Vec::new();
            let first_pending = pending.len();
            for found in std::mem::take(&mut listings[index(number)]) {
                let known = found.identity.and_then(|identity| links.get(&identity));
                if let Some(known) = known {
                    children.push((found.name, *known));
                    continue;
                }
                let subdirectory = match found.body {
                    FoundBody::Directory { number, .. } => Some(number),
                    _ => None,
                };
                let identity = found.identity;
                let (name, inode) = self.inode(number, found)?;
                let inode = forest.add(inode)?;
                links.extend(identity.map(|identity| (identity, inode)));
                pending.extend(subdirectory.map(|number| (number, inode)));
                children.push((name, inode));
            }
            pending[first_pending..].reverse();
            forest.set_children(directory, Children::from_iter(children));
        }
        Ok(forest)
    }

    fn inode(&mut self, directory: u32, found: Found) -> Result<(Box<[u8]>, Inode), SourceError> {
        let Found {
            name,
            metadata,
            identity,
            body,
        } = found;
        let target = match &body {
            FoundBody::Other(Kind::Symlink(target)) => target.len(),
            _ => 0,
        };
        let metadata = metadata.intern(self.kept);
        self.kept
            .node(long(name.len() + target))
            .map_err(|OverBudget { kept, limit }| SourceError::Kept {
                root: self.path.into(),
                path: path_of(self.directories, directory, &name),
                kept,
                limit,
            })?;
        let other_name = (self.renames || identity.is_some()).then(|| name.clone());
        let inode = Inode {
            metadata: Some(metadata),
            body: body.settle(self.store, directory, other_name, &mut self.files)?,
        };
        Ok((name, inode))
    }
}

impl FoundMetadata {
    fn intern(self, kept: &mut Kept) -> Metadata {
        Metadata {
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            modified: Some(self.modified),
            attributes: kept.sets.number(self.attributes.to_vec()),
        }
    }
}

impl FoundBody {
    fn settle(
        self,
        store: u32,
        directory: u32,
        name: Option<Box<[u8]>>,
        files: &mut Vec<WalkedFile>,
    ) -> Result<Body, Full> {
        Ok(match self {
            Self::Directory { .. } => Body::Directory(Children::new()),
            Self::Other(kind) => Body::Other(kind),
            Self::File {
                size,
                sparse,
                stamp,
            } => {
                let number = u32::try_from(files.len()).map_err(|_| Full)?;
                files.push(WalkedFile {
                    directory,
                    name,
                    stamp,
                });
                Body::File {
                    size,
                    sparse,
                    content: StoredFile { store, number },
                }
            }
        })
    }
}
