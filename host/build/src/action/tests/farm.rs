//! A farm in memory, whose worker is this process.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use cellblock_text::hexadecimal;
use tempfile::TempDir;

use super::compiled;
use crate::action::farm::{BlobName, Executed, Farm};
use crate::action::{PerformOptions, perform_action};

/// What a worker does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Right,
    /// It is killed.
    Killed,
    /// Nothing comes of it.
    Empty,
    /// It answers with something else than was asked for.
    Other,
    /// The chunks are gone before they are fetched.
    Forgets,
    /// The server does not execute anything.
    Refuses,
}

/// A farm in memory.
#[derive(Debug)]
pub(super) struct Memory {
    folder: TempDir,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    blobs: BTreeMap<BlobName, Vec<u8>>,
    known: BTreeMap<BlobName, Executed>,
    /// What workers do, one after another; then what is right.
    manners: Vec<Manner>,
    uploaded: Vec<u64>,
    executed: usize,
}

impl Memory {
    pub(super) fn new(manners: &[Manner]) -> Self {
        let manners = manners.iter().rev().copied().collect();
        Self {
            folder: tempfile::tempdir().unwrap(),
            state: Mutex::new(State {
                manners,
                ..State::default()
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How many actions were executed.
    pub(super) fn executed(&self) -> usize {
        self.state().executed
    }

    /// The bytes that went up.
    pub(super) fn uploaded(&self) -> u64 {
        self.state().uploaded.iter().sum()
    }

    /// The folder of the action that was executed last.
    pub(super) fn last(&self) -> PathBuf {
        self.folder.path().join((self.executed() - 1).to_string())
    }

    fn blob(&self, digest: &[u8]) -> Vec<u8> {
        let fields = fields(digest);
        let hash = String::from_utf8(fields[0].1.clone()).unwrap();
        let state = self.state();
        let mut blobs = state.blobs.iter();
        let found = blobs.find(|(name, _)| hexadecimal(&name.digest) == hash);
        found.unwrap().1.clone()
    }

    fn lay_out(&self, directory: &[u8], to: &Path) {
        fs::create_dir(to).unwrap();
        for (field, node) in fields(directory) {
            let node = fields(&node);
            let path = to.join(String::from_utf8(node[0].1.clone()).unwrap());
            let bytes = self.blob(&node[1].1);
            match field {
                1 => fs::write(path, bytes).unwrap(),
                2 => self.lay_out(&bytes, &path),
                other => panic!("a directory has no field {other}"),
            }
        }
    }

    /// Takes in all files below a folder.
    fn take_in(&self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.take_in(&path);
            } else {
                let bytes = fs::read(path).unwrap();
                self.state().blobs.insert(BlobName::of(&bytes), bytes);
            }
        }
    }
}

/// The fields of a message that are bytes, each with its number.
fn fields(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    let varint = |bytes: &mut &[u8]| {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let (byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        usize::try_from(number).unwrap()
    };
    while let Some((key, rest)) = bytes.split_first() {
        bytes = rest;
        let length = varint(&mut bytes);
        if key & 7 == 2 {
            let (value, rest) = bytes.split_at(length);
            bytes = rest;
            found.push((key >> 3, value.to_vec()));
        }
    }
    found
}

impl Farm for std::sync::Arc<Memory> {
    fn known(&self, action: &BlobName) -> Result<Option<Executed>, String> {
        Ok(self.state().known.get(action).cloned())
    }

    fn missing(&self, blobs: &[BlobName]) -> Result<Vec<BlobName>, String> {
        let state = self.state();
        let missing = blobs.iter().filter(|it| !state.blobs.contains_key(it));
        Ok(missing.copied().collect())
    }

    fn upload(&self, blobs: &[(BlobName, Vec<u8>)]) -> Result<(), String> {
        let mut state = self.state();
        for (name, bytes) in blobs {
            assert_eq!(*name, BlobName::of(bytes));
            state.uploaded.push(name.size);
            state.blobs.insert(*name, bytes.clone());
        }
        Ok(())
    }

    fn execute(&self, action: &BlobName, _: bool) -> Result<Executed, String> {
        let manner = self.state().manners.pop().unwrap_or(Manner::Right);
        if manner == Manner::Refuses {
            return Err("it executes nothing".to_owned());
        }
        let message = self.state().blobs[action].clone();
        let root = self.blob(&fields(&message)[1].1);
        let count = {
            let mut state = self.state();
            state.executed += 1;
            state.executed
        };
        let folder = self.folder.path().join((count - 1).to_string());
        self.lay_out(&root, &folder);
        let mut executed = Executed {
            exit_code: 0,
            stderr: Vec::new(),
            files: Vec::new(),
            worker: "memory".to_owned(),
        };
        if manner == Manner::Killed {
            executed.exit_code = 137;
            executed.stderr = b"out of\x1b[2Jmemory".to_vec();
            return Ok(executed);
        }
        let options = PerformOptions {
            jobs: 2,
            cache: Some(compiled()),
        };
        let out = folder.join("out");
        if let Err(error) = perform_action(&folder, &out, &options) {
            executed.exit_code = 1;
            executed.stderr = error.to_string().into();
            return Ok(executed);
        }
        let mut made = fs::read(out.join("made")).unwrap();
        if manner == Manner::Other {
            // The first byte of the key.
            made["cellblock made 1\n".len()] ^= 1;
        }
        if manner != Manner::Empty {
            let name = BlobName::of(&made);
            executed.files.push(("out/made".to_owned(), name));
            self.state().blobs.insert(name, made);
        }
        if manner != Manner::Forgets {
            self.take_in(&out.join("chunks"));
        }
        self.state().known.insert(*action, executed.clone());
        Ok(executed)
    }

    fn download(&self, blobs: &[BlobName]) -> Result<Vec<Vec<u8>>, String> {
        let state = self.state();
        let bytes = blobs.iter().map(|name| state.blobs.get(name).cloned());
        let all: Option<Vec<Vec<u8>>> = bytes.collect();
        all.ok_or_else(|| "a blob is not there".to_owned())
    }
}
