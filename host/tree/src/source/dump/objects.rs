//! The folder of objects.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use cellblock_text::PathBytes;
use rustix::fs::FileType;
use rustix::io::Errno;

use super::fsverity;
use crate::index;
use crate::source::beneath::{OpenDirectories, ROOT, Record, open_file};
use crate::source::directory::first_hole;
use crate::source::error::SourceError;
use crate::source::stamp::{Stamp, status};
use crate::source::store::{WalkedFile, WalkedStore};
use crate::source::walked::failure;

/// The bytes of an object that are read at a time.
const BUFFER: usize = 1 << 20;

/// The folder, and the objects in it that have been asked for.
pub(super) struct Objects {
    path: PathBuf,
    root: Dir,
    directories: Vec<Record>,
    /// Their numbers, by the one that they are in, and their name.
    numbers: BTreeMap<(u32, Box<[u8]>), u32>,
    files: Vec<WalkedFile>,
    known: BTreeMap<Vec<u8>, Object>,
    /// The digests that have been computed, by the object's number and by how many digits they have.
    digests: BTreeMap<(u32, usize), String>,
    open: OpenDirectories,
}

/// An object.
#[derive(Clone, Copy)]
pub(super) struct Object {
    /// In the store.
    pub(super) number: u32,
    pub(super) size: u64,
    pub(super) sparse: bool,
}

impl Objects {
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let root = Dir::open_ambient_dir(path, ambient_authority());
        let root = root.map_err(|error| SourceError::Open {
            path: path.into(),
            error,
        })?;
        Ok(Self {
            path: path.into(),
            root,
            directories: vec![Record {
                parent: ROOT,
                depth: 0,
                name: Box::default(),
            }],
            numbers: BTreeMap::new(),
            files: Vec::new(),
            known: BTreeMap::new(),
            digests: BTreeMap::new(),
            open: OpenDirectories::default(),
        })
    }

    /// The object at a path below the folder.
    pub(super) fn get(&mut self, payload: &[u8]) -> Result<Object, SourceError> {
        if let Some(known) = self.known.get(payload) {
            return Ok(*known);
        }
        let (directory, name) = self.place(payload)?;
        let file = self.opened(directory, name, payload)?;
        let status = status(&file).map_err(|error| self.failure(payload, "inspect", error))?;
        if FileType::from_raw_mode(status.stx_mode.into()) != FileType::RegularFile {
            return Err(self.failure(payload, "read as a file", Errno::INVAL));
        }
        let size = status.stx_size;
        let number = u32::try_from(self.files.len()).map_err(|_| SourceError::TooManyNodes)?;
        self.files.push(WalkedFile {
            directory,
            name: Some(name.into()),
            stamp: Stamp::new(&status),
        });
        let object = Object {
            number,
            size,
            sparse: status.stx_blocks.saturating_mul(512) < size
                && first_hole(&file).is_some_and(|hole| hole < size),
        };
        self.known.insert(payload.to_vec(), object);
        Ok(object)
    }

    /// The fs-verity digest of an object, with so many hexadecimal digits. It is read once, however many files it is the content of.
    pub(super) fn digest(&mut self, payload: &[u8], digits: usize) -> Result<&str, SourceError> {
        let object = self.get(payload)?;
        if !self.digests.contains_key(&(object.number, digits)) {
            let digest = self.hashed(payload, object, digits)?;
            self.digests.insert((object.number, digits), digest);
        }
        Ok(&self.digests[&(object.number, digits)])
    }

    fn hashed(
        &mut self,
        payload: &[u8],
        object: Object,
        digits: usize,
    ) -> Result<String, SourceError> {
        let (directory, name) = self.place(payload)?;
        let file = File::from(self.opened(directory, name, payload)?);
        let reader = BufReader::with_capacity(BUFFER, &file);
        let digest = fsverity::digest(reader, object.size, digits);
        let digest = digest.map_err(|error| SourceError::Io {
            root: self.path.clone(),
            path: payload.into(),
            action: "read",
            error,
        })?;
        let stamp = &self.files[index(object.number)].stamp;
        stamp.verify(object.size, &file, || (self.path.clone(), payload.into()))?;
        Ok(digest)
    }

    /// The number of the directory that an object is in, and its name there.
    fn place<'p>(&mut self, payload: &'p [u8]) -> Result<(u32, &'p [u8]), SourceError> {
        let mut names: Vec<&[u8]> = payload.split(|byte| *byte == b'/').collect();
        let name = names.pop().expect("a split has a part");
        let mut at = ROOT;
        for directory in names {
            let key = (at, directory.into());
            at = match self.numbers.get(&key) {
                Some(number) => *number,
                None => {
                    let number = u32::try_from(self.directories.len());
                    let number = number.map_err(|_| SourceError::TooManyNodes)?;
                    self.directories.push(Record {
                        parent: at,
                        depth: self.directories[index(at)].depth + 1,
                        name: directory.into(),
                    });
                    self.numbers.insert(key, number);
                    number
                }
            };
        }
        Ok((at, name))
    }

    fn opened(
        &mut self,
        directory: u32,
        name: &[u8],
        payload: &[u8],
    ) -> Result<OwnedFd, SourceError> {
        let route = self.open.route(&self.directories, directory);
        let folder = self.open.follow(self.root.as_fd(), &route);
        let file = folder.and_then(|folder| open_file(folder, name));
        file.map_err(|error| self.failure(payload, "open", error))
    }

    fn failure(&self, payload: &[u8], action: &'static str, error: Errno) -> SourceError {
        match error {
            Errno::ACCESS | Errno::PERM => {
                failure(&self.path, PathBytes(payload.to_vec()), action, error)
            }
            error => SourceError::Io {
                root: self.path.clone(),
                path: payload.into(),
                action,
                error: error.into(),
            },
        }
    }

    pub(super) fn into_store(self) -> WalkedStore {
        WalkedStore {
            path: self.path,
            root: self.root,
            directories: self.directories,
            files: self.files,
        }
    }
}
