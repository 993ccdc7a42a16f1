//! The least that a program has to do: it reads every byte out of its file, once, has the codec work on it, and writes what comes of
//! it, once. What to read is known before, nothing is hashed or looked up, nobody waits for anybody: each thread has a file without a
//! name to write to.

use std::fs::File;
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use cellblock_codec::Codec;

use super::codec::{AllBytes, Blocks, Part};
use super::{Floor, on_all_threads, threads};
use crate::contender::copy;

/// How much one thread copies at once, so that all have work to the end. Bytes.
const STEP: u64 = 4 << 20;

/// An empty file for each thread, without a name.
pub(crate) struct Outputs(Vec<File>);

impl Outputs {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let files = (0..threads()?).map(|_| tempfile::tempfile_in(folder));
        let files: std::io::Result<_> = files.collect();
        Ok(Self(files.with_context(|| folder.display().to_string())?))
    }

    /// The file of a thread.
    pub(crate) fn of(&self, thread: usize) -> &File {
        &self.0[thread]
    }
}

impl AllBytes {
    /// The seconds that reading all of it, compressing it, and writing what comes of that takes; a block that gets no shorter is
    /// written as it is.
    pub(crate) fn compress_into(&self, floor: Floor, folder: &Path) -> Result<f64> {
        let outputs = Outputs::new(folder)?;
        on_all_threads(&self.cut(floor), |thread| {
            let mut codec = Codec::new();
            let (mut block, mut output) = (Vec::new(), Vec::new());
            let mut file = outputs.of(thread);
            move |parts: &Vec<Part>| {
                block.clear();
                for part in parts {
                    self.read_part(part, &mut block)?;
                }
                output.clear();
                let made = codec.encode(&floor.settings, &block, &mut output);
                made.map_err(|failure| anyhow!("{failure}"))?;
                let shorter = if output.is_empty() { &block } else { &output };
                Ok(file.write_all(shorter)?)
            }
        })
    }

    fn read_part(&self, part: &Part, into: &mut Vec<u8>) -> Result<()> {
        let content = &self.0[part.content];
        let file = File::open(&content.path)?;
        let start = content.offset + part.range.start as u64;
        let length = part.range.len();
        let end = into.len();
        into.resize(end + length, 0);
        file.read_exact_at(&mut into[end..], start)
            .with_context(|| content.path.display().to_string())
    }

    /// The files and how many bytes each has.
    pub(crate) fn files(&self) -> Vec<(PathBuf, u64)> {
        let files = self.0.iter();
        files
            .map(|it| (it.path.clone(), it.bytes.len() as u64))
            .collect()
    }
}

impl Blocks {
    /// The seconds that reading what is compressed, decompressing it, and writing what comes of that takes.
    pub(crate) fn decompress_into(&self, folder: &Path) -> Result<f64> {
        let mut image = tempfile::tempfile_in(folder)?;
        let mut placed = Vec::with_capacity(self.made.len());
        let mut at = 0;
        for (piece, length) in &self.made {
            image.write_all(piece)?;
            placed.push((at, piece.len(), *length));
            at += piece.len() as u64;
        }
        let outputs = Outputs::new(folder)?;
        on_all_threads(&placed, |thread| {
            let mut piece = Vec::new();
            let mut file = outputs.of(thread);
            let (image, method) = (&image, self.method);
            move |(at, produced, length): &(u64, usize, usize)| {
                piece.resize(*produced, 0);
                image.read_exact_at(&mut piece, *at)?;
                let plain = cellblock_codec::decode(method, &piece, *length);
                let plain = plain.map_err(|failure| anyhow!("{failure}"))?;
                Ok(file.write_all(&plain)?)
            }
        })
    }
}

/// The seconds that copying so many bytes of each of these files takes: the kernel copies them, and no program touches a byte.
pub(crate) fn copied(files: &[(PathBuf, u64)], folder: &Path) -> Result<f64> {
    let outputs = Outputs::new(folder)?;
    let mut pieces = Vec::new();
    for (path, length) in files {
        for start in (0..*length).step_by(usize::try_from(STEP)?) {
            pieces.push((path, start..(start + STEP).min(*length)));
        }
    }
    on_all_threads(&pieces, |thread| {
        let output = outputs.of(thread);
        let mut end = 0;
        move |(path, range): &(&PathBuf, Range<u64>)| {
            let at = end;
            end += range.end - range.start;
            copy(&File::open(path)?, range.clone(), output, at)
                .with_context(|| path.display().to_string())
        }
    })
}
