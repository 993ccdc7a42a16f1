//! The pieces of an action: files that are held to their digests whenever they are read.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read as _};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cellblock_text::hexadecimal;
use cellblock_tree::volume::Blocks;
use sha2::{Digest as _, Sha256};

use super::tree::Piece;
use crate::named_file;

/// The bytes of pieces that are kept for whoever reads on.
const KEPT: usize = 32 << 20;

/// The pieces of an action, one after another as files are of them.
#[derive(Debug)]
pub(super) struct Contents {
    folder: PathBuf,
    pieces: Vec<Piece>,
    /// Where each use of a piece begins, and the piece's number; ascending.
    uses: Vec<(u64, u32)>,
    end: u64,
    kept: Mutex<Kept>,
}

/// Pieces that were read, the oldest first.
#[derive(Debug, Default)]
struct Kept {
    pieces: BTreeMap<u32, Arc<[u8]>>,
    order: VecDeque<u32>,
    bytes: usize,
}

/// The path of a piece, or of a chunk, in its folder of folders: `ab/abcd…`.
pub(super) fn path_of(digest: &[u8; 32]) -> String {
    let name = hexadecimal(digest);
    format!("{}/{name}", &name[..2])
}

impl Contents {
    pub(super) fn new(
        folder: PathBuf,
        pieces: Vec<Piece>,
        uses: Vec<(u64, u32)>,
        end: u64,
    ) -> Self {
        Self {
            folder,
            pieces,
            uses,
            end,
            kept: Mutex::default(),
        }
    }

    fn piece(&self, number: u32) -> io::Result<Arc<[u8]>> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept().pieces.get(&number) {
            return Ok(Arc::clone(found));
        }
        let piece = &self.pieces[number as usize];
        let read: Arc<[u8]> = self.read_piece(piece)?.into();
        let mut kept = kept();
        if kept.pieces.insert(number, Arc::clone(&read)).is_none() {
            kept.order.push_back(number);
            kept.bytes += read.len();
        }
        while kept.bytes > KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            let gone = kept.pieces.remove(&oldest);
            kept.bytes -= gone.map_or(0, |gone| gone.len());
        }
        Ok(read)
    }

    fn read_piece(&self, piece: &Piece) -> io::Result<Vec<u8>> {
        let path = path_of(&piece.digest);
        let failed = |why: &dyn std::fmt::Display| {
            let folder = super::CONTENT;
            io::Error::other(format!("its piece {folder}/{path} is not used: {why}"))
        };
        let file = named_file::open(&self.folder.join(&path)).map_err(|error| failed(&error))?;
        let mut bytes = Vec::with_capacity(piece.length as usize);
        let most = u64::from(piece.length) + 1;
        let read = file.take(most).read_to_end(&mut bytes);
        read.map_err(|error| failed(&error))?;
        if bytes.len() != piece.length as usize {
            let said = piece.length;
            let found = if bytes.len() > said as usize {
                "more".to_owned()
            } else {
                bytes.len().to_string()
            };
            return Err(failed(&format_args!(
                "it has {found} bytes, and should have {said}"
            )));
        }
        let found: [u8; 32] = Sha256::digest(&bytes).into();
        if found != piece.digest {
            let found = hexadecimal(&found);
            return Err(failed(&format_args!("it has the SHA-256 digest {found}")));
        }
        Ok(bytes)
    }
}

impl Blocks for Contents {
    fn size(&self) -> u64 {
        self.end
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        let first = self.uses.partition_point(|(start, _)| *start <= offset);
        let mut uses = self.uses[first.saturating_sub(1)..].iter();
        while filled < buffer.len() {
            let outside = || io::Error::other("no piece is there");
            let (start, number) = uses.next().ok_or_else(outside)?;
            let bytes = self.piece(*number)?;
            let skip = usize::try_from((offset + filled as u64).saturating_sub(*start));
            let part = skip.ok().and_then(|skip| bytes.get(skip..));
            let part = part.ok_or_else(outside)?;
            let count = part.len().min(buffer.len() - filled);
            buffer[filled..filled + count].copy_from_slice(&part[..count]);
            filled += count;
        }
        Ok(())
    }

    /// They are in many files, and each is held to its digest.
    fn position(&self, _: u64) -> Option<(BorrowedFd<'_>, u64)> {
        None
    }
}
