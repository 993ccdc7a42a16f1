//! The objects that files of a dumpfile have their content in.

use super::objects::Objects;
use super::{Dump, DumpError, failure};
use crate::index;
use crate::source::error::SourceError;
use crate::source::forest::{Body, Forest};
use crate::source::store::{StoredFile, WalkedStore};

/// What a line says of the object of a file.
pub(super) struct WantedObject {
    pub(super) line: usize,
    pub(super) path: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) size: u64,
    pub(super) digest: Option<String>,
}

/// All objects that lines name. Until they are found, a file's content has the number that its object has here.
pub(in super::super) struct WantedObjects {
    pub(super) dump: Dump,
    /// The number of the store of what is written out; objects have the next one.
    pub(super) store: u32,
    pub(super) wanted: Vec<WantedObject>,
}

impl WantedObjects {
    /// Finds the objects of those files that have a name, and holds them to their sizes and digests. Returns what holds them, if
    /// there are any.
    pub(in super::super) fn find(
        &self,
        forest: &mut Forest,
    ) -> Result<Option<WalkedStore>, SourceError> {
        let named = forest.named();
        let mut objects = None;
        for (id, inode) in forest.inodes_mut() {
            if let Body::File {
                sparse, content, ..
            } = &mut inode.body
                && content.store != self.store
                && named[id.index()]
            {
                let wanted = &self.wanted[index(content.number)];
                (*content, *sparse) = self.get(wanted, *content, &mut objects)?;
            }
        }
        Ok(objects.map(Objects::into_store))
    }

    fn get(
        &self,
        wanted: &WantedObject,
        content: StoredFile,
        objects: &mut Option<Objects>,
    ) -> Result<(StoredFile, bool), SourceError> {
        let failed = |error| failure(&self.dump.file, wanted.line, error);
        let payload = &wanted.payload[..];
        let Some(basedir) = &self.dump.basedir else {
            return Err(failed(DumpError::NoBasedir {
                payload: payload.into(),
            }));
        };
        let objects = match objects {
            Some(objects) => objects,
            None => objects.insert(Objects::open(basedir)?),
        };
        let object = objects.get(payload)?;
        if object.size != wanted.size {
            return Err(failed(DumpError::Size {
                path: wanted.path.as_slice().into(),
                said: wanted.size,
                found: object.size,
            }));
        }
        if let Some(said) = &wanted.digest {
            let found = objects.digest(payload, said.len())?;
            if found != said {
                return Err(failed(DumpError::Digest {
                    payload: payload.into(),
                    said: said.clone(),
                    found: found.to_owned(),
                }));
            }
        }
        let content = StoredFile {
            number: object.number,
            ..content
        };
        Ok((content, object.sparse))
    }
}
