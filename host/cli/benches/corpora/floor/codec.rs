//! The codec alone: the same blocks, the same library, all threads, from memory, and the results thrown away.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use cellblock_codec::{Codec, Method};
use sha2::Digest as _;

use super::{Floor, on_all_threads};

/// Content, each once.
pub(crate) struct AllBytes(pub(super) Vec<Content>);

/// A file, or a part of one.
pub(super) struct Content {
    pub(super) path: PathBuf,
    /// Where it begins in the file, in bytes.
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

/// A range of a content that goes into a block.
pub(super) struct Part {
    pub(super) content: usize,
    pub(super) range: Range<usize>,
}

impl AllBytes {
    /// The bytes of all files below `directory`.
    pub(crate) fn read(directory: &Path) -> Result<Self> {
        let mut content = Self(Vec::new());
        content.add(directory, &mut BTreeSet::new())?;
        Ok(content)
    }

    /// What of a disk is not zeros, in pieces of `block` bytes.
    pub(crate) fn of_disk(path: &Path, block: usize) -> Result<Self> {
        let bytes = fs::read(path)?;
        let blocks = (0_u64..).step_by(block).zip(bytes.chunks(block));
        let data = blocks.filter(|(_, block)| block.iter().any(|byte| *byte != 0));
        let content = data.map(|(offset, block)| Content {
            path: path.to_owned(),
            offset,
            bytes: block.to_vec(),
        });
        Ok(Self(content.collect()))
    }

    /// Equal content is compressed once by either program, and so it is here.
    fn add(&mut self, directory: &Path, seen: &mut BTreeSet<[u8; 32]>) -> Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                self.add(&entry.path(), seen)?;
            } else if metadata.is_file() && metadata.size() > 0 {
                let bytes = fs::read(entry.path())?;
                if seen.insert(sha2::Sha256::digest(&bytes).into()) {
                    self.0.push(Content {
                        path: entry.path(),
                        offset: 0,
                        bytes,
                    });
                }
            }
        }
        Ok(())
    }

    /// The seconds that compressing all of it takes.
    pub(crate) fn compress(&self, floor: Floor) -> Result<f64> {
        on_all_threads(&self.blocks(floor), |_| {
            let mut codec = Codec::new();
            let mut output = Vec::new();
            move |block: &Cow<'_, [u8]>| {
                output.clear();
                let made = codec.encode(&floor.settings, block, &mut output);
                made.map(drop).map_err(|failure| anyhow!("{failure}"))
            }
        })
    }

    /// All of it, compressed; what that makes no shorter is left out, since nobody has to decode it.
    pub(crate) fn compressed(&self, floor: Floor) -> Result<Blocks> {
        let mut codec = Codec::new();
        let mut made = Vec::new();
        for block in self.blocks(floor) {
            let mut output = Vec::new();
            codec
                .encode(&floor.settings, &block, &mut output)
                .map_err(|failure| anyhow!("{failure}"))?;
            if !output.is_empty() {
                made.push((output, block.len()));
            }
        }
        Ok(Blocks {
            method: floor.settings.method,
            made,
        })
    }

    fn blocks(&self, floor: Floor) -> Vec<Cow<'_, [u8]>> {
        let joined = |parts: Vec<Part>| match &parts[..] {
            [part] => Cow::Borrowed(self.bytes(part)),
            parts => {
                let bytes = parts.iter().map(|part| self.bytes(part));
                Cow::Owned(bytes.collect::<Vec<_>>().concat())
            }
        };
        self.cut(floor).into_iter().map(joined).collect()
    }

    fn bytes(&self, part: &Part) -> &[u8] {
        &self.0[part.content].bytes[part.range.clone()]
    }

    /// What each block has: the ends of files stand alone, or one behind the other as fragments do.
    pub(super) fn cut(&self, floor: Floor) -> Vec<Vec<Part>> {
        let (mut blocks, mut ends) = (Vec::new(), Ends::default());
        for (index, content) in self.0.iter().enumerate() {
            let length = content.bytes.len();
            let whole = length / floor.block * floor.block;
            let part = |range| Part {
                content: index,
                range,
            };
            for start in (0..whole).step_by(floor.block) {
                blocks.push(vec![part(start..start + floor.block)]);
            }
            if floor.ends_alone && whole < length {
                blocks.push(vec![part(whole..length)]);
            } else {
                ends.add(part(whole..length), floor.block, &mut blocks);
            }
        }
        blocks.push(ends.parts);
        blocks.retain(|block| !block.is_empty());
        blocks
    }
}

/// The block of ends that is being filled.
#[derive(Default)]
struct Ends {
    parts: Vec<Part>,
    length: usize,
}

impl Ends {
    /// Adds a part; a block that is full joins `blocks`.
    fn add(&mut self, mut part: Part, block: usize, blocks: &mut Vec<Vec<Part>>) {
        while !part.range.is_empty() {
            let fits = part.range.len().min(block - self.length);
            let (start, end) = (part.range.start, part.range.start + fits);
            self.parts.push(Part {
                content: part.content,
                range: start..end,
            });
            self.length += fits;
            part.range.start = end;
            if self.length == block {
                blocks.push(std::mem::take(&mut self.parts));
                self.length = 0;
            }
        }
    }
}

/// Blocks that are compressed, each with its length.
pub(crate) struct Blocks {
    pub(super) method: Method,
    pub(super) made: Vec<(Vec<u8>, usize)>,
}

impl Blocks {
    /// The seconds that decompressing all of them takes.
    pub(crate) fn decompress(&self) -> Result<f64> {
        on_all_threads(&self.made, |_| {
            |(piece, length): &(Vec<u8>, usize)| {
                let plain = cellblock_codec::decode(self.method, piece, *length);
                plain.map(drop).map_err(|failure| anyhow!("{failure}"))
            }
        })
    }
}
