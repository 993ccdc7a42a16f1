//! Who performs an action: what is read of its folder is held against its key, made in a cell, and written as chunks.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cellblock_cache::{Chunk, cut, encode_list};
use cellblock_cell::{Guest, LARGEST_COMPONENT, Runtime, RuntimeOptions, Wall};
use cellblock_image::{ImageError, PartitionFile, Scratch};
use cellblock_text::hexadecimal;
use cellblock_tree::Tree;
use cellblock_tree::volume::Decoders;
use sha2::{Digest as _, Sha256};

use super::contents::{Contents, path_of};
use super::document::{Action, MEASURE, MOST_ACTION, Made, NamedGuest, StoodWalls, command_line};
use super::error::{ActionError, ActionFault};
use super::tree::{self, MOST_TREE};
use super::{ACTION, CHUNKS, CONTENT, GUEST, MADE, TREE};
use crate::cached::block_of;
use crate::catalogue::BUILT_IN;
use crate::error::PartitionError;
use crate::filesystem::format;
use crate::key::{FillInputs, FillKey, GuestInputs};
use crate::named_file;
use crate::notes::Notes;

/// How an action is performed; nothing of it changes a byte of what comes of it.
#[derive(Clone, Debug)]
pub struct PerformOptions {
    /// How many threads copy and compress.
    pub jobs: usize,
    /// The folder of compiled guests; none to compile its formatter anew.
    pub cache: Option<PathBuf>,
}

/// What came of an action.
#[derive(Clone, Debug)]
pub struct Performed {
    /// The bytes of the partition.
    pub size: u64,
    /// The bytes of its data.
    pub data: u64,
    /// How many chunks that is.
    pub chunks: usize,
    /// What stood around the formatter.
    pub wall: Wall,
    /// Why nothing was taken from the folder of compiled guests, or kept there, if one was named that is not used.
    pub cache_refusal: Option<String>,
}

/// Performs the action in `folder`, none of which is believed, and writes what comes of it into the folder `out`, which is made
/// if it is missing. The file `made` there comes last: without it, the rest is nothing.
///
/// # Errors
/// [`ActionError`].
pub fn perform_action(
    folder: &Path,
    out: &Path,
    options: &PerformOptions,
) -> Result<Performed, ActionError> {
    let bytes = read(&folder.join(ACTION), MOST_ACTION)?;
    let faulty = |name: &str| {
        let file = folder.join(name);
        move |fault| ActionError::Fault { file, fault }
    };
    let action = Action::of_bytes(&bytes).map_err(faulty(ACTION))?;
    let runtime = Runtime::new(&RuntimeOptions {
        limits: action.limits,
        cache: options.cache.clone(),
        walls: action.walls.walls(),
    });
    let runtime = runtime.map_err(ActionError::Guest)?;
    let cache_refusal = runtime.cache_refusal().map(str::to_owned);
    let tree = Arc::new(read_tree(folder, &action, runtime.codecs())?);
    let guest = Arc::new(guest(folder, &action, &runtime)?);
    check(&action, &guest, &tree)?;
    occupy(out)?;
    let scratch = Scratch::beside(&out.join(MADE));
    let codecs = guest.codecs();
    let mut cell = guest.cell(&tree);
    if guest.encodes() {
        let spool = scratch.create().map_err(PartitionError::Image)?;
        cell = cell.encoding_on(&codecs, options.jobs, spool);
    }
    let size = action.request.size;
    let walls = || StoodWalls::of(guest.wall(), codecs.wall());
    if size == MEASURE {
        let made = Made {
            key: action.key,
            size: cell
                .measure(&action.request)
                .map_err(PartitionError::Cell)?
                .size,
            list: Vec::new(),
            notes: Notes::default(),
            walls: walls(),
        };
        write_made(out, &made.to_bytes())?;
        return Ok(Performed {
            size: made.size,
            data: 0,
            chunks: 0,
            wall: guest.wall().clone(),
            cache_refusal,
        });
    }
    let image_error = |error: ImageError| ActionError::Partition(error.into());
    let partition = PartitionFile::new(&scratch, size).map_err(image_error)?;
    let made = format(
        &cell,
        &action.request,
        &tree,
        partition,
        options.jobs,
        |_| {},
    );
    let (partition, outcome) = made?;
    let chunks = write_chunks(&partition, block_of(&action.request), &out.join(CHUNKS))?;
    let list = encode_list(&chunks).ok_or(ActionError::Chunks { size })?;
    let made = Made {
        key: action.key,
        size,
        list,
        notes: Notes::of(&outcome, cell.encoded()),
        walls: walls(),
    };
    write_made(out, &made.to_bytes())?;
    Ok(Performed {
        size,
        data: chunks.iter().map(|chunk| u64::from(chunk.length)).sum(),
        chunks: chunks.len(),
        wall: guest.wall().clone(),
        cache_refusal,
    })
}

/// Refuses what has another key than the action says.
fn check(action: &Action, guest: &Guest, tree: &Tree) -> Result<(), ActionError> {
    let digests = tree.digests()?;
    let FillKey(found) = FillKey::of(&FillInputs::Filesystem {
        guest: GuestInputs::of(guest),
        request: &action.request,
        tree: &digests,
    });
    if found == action.key {
        return Ok(());
    }
    Err(ActionError::Key {
        said: hexadecimal(&action.key),
        found: hexadecimal(&found),
    })
}

fn read(file: &Path, limit: u64) -> Result<Vec<u8>, ActionError> {
    let failed = |source| ActionError::Read {
        file: file.to_owned(),
        source,
    };
    named_file::whole(file, limit).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => ActionError::Long {
            file: file.to_owned(),
            limit,
        },
        _ => failed(error),
    })
}

fn guest(folder: &Path, action: &Action, runtime: &Runtime) -> Result<Guest, ActionError> {
    let faulty = |fault| ActionError::Fault {
        file: folder.join(ACTION),
        fault,
    };
    let loaded = match &action.guest {
        NamedGuest::BuiltIn(name) => {
            let built_in = BUILT_IN.iter().find(|guest| guest.name == name);
            let built_in =
                built_in.ok_or_else(|| faulty(ActionFault::NoGuest { name: name.clone() }))?;
            runtime.load_built_in(name, built_in.bytes)
        }
        NamedGuest::Component(name) => {
            let bytes = read(&folder.join(GUEST), LARGEST_COMPONENT)?;
            runtime.load(name, &bytes)
        }
        NamedGuest::Command(name, arguments) => {
            let line = command_line(arguments).map_err(faulty)?;
            let bytes = read(&folder.join(GUEST), LARGEST_COMPONENT)?;
            runtime.load_command(name, &bytes, &line)
        }
    };
    loaded.map_err(ActionError::Guest)
}

fn read_tree(
    folder: &Path,
    action: &Action,
    decoders: Arc<dyn Decoders>,
) -> Result<Tree, ActionError> {
    let file = folder.join(TREE);
    let bytes = read(&file, MOST_TREE)?;
    let faulty = |fault| ActionError::Fault {
        file: file.clone(),
        fault,
    };
    let found: [u8; 32] = Sha256::digest(&bytes).into();
    if found != action.tree {
        return Err(faulty(ActionFault::Digest {
            said: hexadecimal(&action.tree),
            found: hexadecimal(&found),
        }));
    }
    let decoded = tree::decode(&bytes).map_err(faulty)?;
    let contents = Contents::new(
        folder.join(CONTENT),
        decoded.pieces,
        decoded.uses,
        decoded.end,
    );
    let finished = decoded
        .builder
        .finish(folder.to_owned(), Arc::new(contents), decoders);
    // Attributes that were left out are missing in the key, too.
    Ok(finished.map_err(|fault| faulty(fault.into()))?.tree)
}

/// Makes the folder for what comes of it, unless it is there and empty.
fn occupy(out: &Path) -> Result<(), ActionError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ActionError::Write { path, source }
    };
    fs::create_dir_all(out).map_err(failed(out))?;
    let occupied = || ActionError::Occupied {
        folder: out.to_owned(),
    };
    for entry in fs::read_dir(out).map_err(failed(out))? {
        let entry = entry.map_err(failed(out))?;
        // A worker may have made the folders of outputs.
        let is_empty = entry.file_name() == CHUNKS
            && fs::read_dir(entry.path()).is_ok_and(|mut inside| inside.next().is_none());
        if !is_empty {
            return Err(occupied());
        }
    }
    let chunks = out.join(CHUNKS);
    fs::create_dir_all(&chunks).map_err(failed(&chunks))
}

/// Writes the data of a partition as files, equal ones once.
fn write_chunks(
    partition: &PartitionFile,
    block: u32,
    folder: &Path,
) -> Result<Vec<Chunk>, ActionError> {
    let image_error = |error: ImageError| ActionError::Partition(error.into());
    let mut chunks = Vec::new();
    let mut written = BTreeSet::new();
    let read = |offset: u64, buffer: &mut [u8]| {
        let read = partition.read(offset, buffer);
        read.map_err(io::Error::other)
    };
    for range in partition.data().map_err(image_error)? {
        let mut take = |offset: u64, bytes: &[u8]| {
            let digest: [u8; 32] = Sha256::digest(bytes).into();
            if written.insert(digest) {
                let path = folder.join(path_of(&digest));
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
                fs::write(&path, bytes)?;
            }
            let length = u32::try_from(bytes.len()).expect("a chunk has at most 1 MiB");
            chunks.push(Chunk {
                offset,
                length,
                digest,
            });
            Ok(())
        };
        cut(range, block, &read, &mut take).map_err(|source| ActionError::Write {
            path: folder.to_owned(),
            source,
        })?;
    }
    Ok(chunks)
}

/// Writes the file that says what was made, which is there whole or not at all.
fn write_made(out: &Path, bytes: &[u8]) -> Result<(), ActionError> {
    let (unfinished, path) = (out.join(".made"), out.join(MADE));
    let written = fs::write(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, &path));
    written.map_err(|source| ActionError::Write { path, source })
}
