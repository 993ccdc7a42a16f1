//! Layers side by side: each is hashed and decompressed on a thread, while those before it are taken in order.
//!
//! ```text
//!   layer 1   read ─> hash ─> decompress ─> unnamed file ─────> taken ─> forest
//!   layer 2   read ─> hash ─> decompress ─> unnamed file ─> waits …
//!   layer 3   read ─> hash (plain: stays where it is) ────> waits …
//! ```
//!
//! A thread hashes two plain layers at a time, which takes little longer than one.
//!
//! What is taken waits for the bytes that it needs, and at its end for the digest. Where both the digest and what is in the layer are
//! wrong, the digest is what is told.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::super::archive::Decompressors;
use super::super::archive::blocks::ReadAt;
use super::super::archive::packed::{decompress_error, detect, fill};
use super::super::error::ArchiveError;
use super::super::store::{Reach, long, small};
use super::Means;
use super::choose::{Check, Chosen, LayerBlob};
use super::digest::{Digest, Hasher};
use super::error::{ImageError, LayerFault, LayerName};
use super::layout::Blob;
use crate::recognise::{Compression, HEAD};

/// Bytes read or decompressed at a time.
const CHUNK: usize = 256 * 1024;
/// Bytes read at a time of each of the plain layers that a thread hashes: both stay in a processor's cache.
const PIECE: usize = 64 * 1024;
/// The plain layers that a thread hashes at a time.
const LANES: usize = 2;

/// A layer whose bytes are to be read.
#[derive(Debug)]
pub(super) struct Layer {
    name: LayerName,
    blob: Blob,
    check: Check,
    /// How it is compressed, and the file that it is decompressed into; none if it is plain.
    packed: Option<(Compression, File)>,
}

/// Looks how each layer is compressed.
pub(super) fn open_layers(chosen: &Chosen, means: &Means<'_>) -> Result<Vec<Layer>, ImageError> {
    let layers = chosen.layers.iter().map(|found| {
        let failed = |fault| ImageError::Layer {
            layer: found.name.clone(),
            fault: LayerFault::Archive(fault),
        };
        let blob = found
            .blob
            .again()
            .map_err(|error| failed(ArchiveError::Read(error)))?;
        let packed = match compression(&blob).map_err(failed)? {
            None => {
                hold_to_diff_id(found)?;
                None
            }
            Some(compression) => {
                let file = (means.spool)();
                Some((
                    compression,
                    file.map_err(|error| failed(ArchiveError::Spool(error)))?,
                ))
            }
        };
        Ok(Layer {
            name: found.name.clone(),
            blob,
            check: found.check.clone(),
            packed,
        })
    });
    layers.collect()
}

/// A layer that is not compressed has one digest, which manifest and configuration both state.
fn hold_to_diff_id(layer: &LayerBlob) -> Result<(), ImageError> {
    match (&layer.check, &layer.diff_id) {
        (Check::Blob(digest), Some(diff_id))
            if digest.algorithm == diff_id.algorithm && digest != diff_id =>
        {
            Err(ImageError::UnusableLayer {
                number: layer.name.number,
                digest: digest.to_string(),
                reason: format!(
                    "is not compressed, and the configuration has the digest {diff_id} for it: make or fetch the image again"
                ),
            })
        }
        _ => Ok(()),
    }
}

fn compression(blob: &Blob) -> Result<Option<Compression>, ArchiveError> {
    let length = blob.length.min(long(HEAD));
    let mut head = vec![0; small(length)];
    let read = blob.file.read_exact_at(&mut head, blob.offset);
    read.map_err(ArchiveError::Read)?;
    detect(&head)
}

/// The uncompressed bytes of a layer, as far as they are there.
pub(super) struct Flow<'a> {
    file: &'a File,
    /// Where they begin in the file.
    base: u64,
    state: Mutex<Arrived>,
    more: Condvar,
    /// Nobody wants more of it: only its digest is still looked at.
    unwanted: AtomicBool,
}

struct Arrived {
    /// Bytes that are there.
    done: u64,
    end: Option<Result<(), LayerFault>>,
}

impl Flow<'_> {
    /// Where the bytes of the layer begin in their file.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    fn is_unwanted(&self) -> bool {
        self.unwanted.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&self, done: u64) {
        self.lock().done = done;
        self.more.notify_all();
    }

    fn end(&self, result: Result<(), LayerFault>) {
        self.lock().end = Some(result);
        self.more.notify_all();
    }

    /// Waits for the end.
    fn wait(&self) -> Result<(), LayerFault> {
        let mut state = self.lock();
        loop {
            if let Some(end) = state.end.take() {
                return end;
            }
            state = self
                .more
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl ReadAt for Flow<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, self.base + offset)
    }

    fn reach(&self, end: u64) -> Result<u64, ArchiveError> {
        let mut state = self.lock();
        loop {
            if state.done >= end {
                return Ok(state.done);
            }
            match &state.end {
                Some(Ok(())) => return Ok(state.done),
                // Whoever waits for the end is told why.
                Some(Err(_)) => return Err(ArchiveError::Read(io::ErrorKind::Other.into())),
                None => {
                    state = self
                        .more
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

/// Gives the layers to `take` in their order, while others are still read. Returns what holds their bytes, and how many bytes were
/// decompressed, of which there may be `limit`.
pub(super) fn in_order(
    layers: Vec<Layer>,
    decompressors: &dyn Decompressors,
    limit: u64,
    mut take: impl FnMut(&LayerName, &Flow<'_>) -> Result<(), LayerFault>,
) -> Result<(Vec<(File, Reach)>, u64), ImageError> {
    let spent = AtomicU64::new(0);
    let work = Work {
        layers: &layers,
        flows: &layers.iter().map(Layer::flow).collect::<Vec<_>>(),
        next: Mutex::new(0),
        stopped: AtomicBool::new(false),
        decompressors,
        spent: &spent,
        limit,
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let started = (0..threads.min(layers.len()))
            .filter(|_| {
                let run = || work.run();
                thread::Builder::new().spawn_scoped(scope, run).is_ok()
            })
            .count();
        for (index, layer) in layers.iter().enumerate() {
            if started == 0 {
                // No thread may be started here: each is read when it is taken.
                work.run_one(index);
            }
            let taken = work.take(index, &mut take);
            taken.map_err(|fault| ImageError::Layer {
                layer: layer.name.clone(),
                fault,
            })?;
        }
        Ok(())
    })?;
    let files = layers.into_iter().map(|layer| match layer.packed {
        None => {
            let reach = layer.blob.reach();
            (layer.blob.file, reach)
        }
        Some((_, file)) => (file, Reach::Private),
    });
    Ok((files.collect(), spent.into_inner()))
}

impl Layer {
    fn flow(&self) -> Flow<'_> {
        let (file, base, done) = match &self.packed {
            None => (&self.blob.file, self.blob.offset, self.blob.length),
            Some((_, file)) => (file, 0, 0),
        };
        Flow {
            file,
            base,
            state: Mutex::new(Arrived { done, end: None }),
            more: Condvar::new(),
            unwanted: AtomicBool::new(false),
        }
    }
}

/// What the threads share.
struct Work<'a> {
    layers: &'a [Layer],
    flows: &'a [Flow<'a>],
    /// The layer that the next free thread takes.
    next: Mutex<usize>,
    /// The image has failed.
    stopped: AtomicBool,
    decompressors: &'a dyn Decompressors,
    /// Bytes that were decompressed, of all layers.
    spent: &'a AtomicU64,
    limit: u64,
}

impl Work<'_> {
    fn run(&self) {
        let mut lanes = Vec::with_capacity(LANES);
        loop {
            while lanes.len() < LANES
                && let Some(index) = self.claim(!lanes.is_empty())
            {
                lanes.extend(self.begin(index));
            }
            if lanes.is_empty() {
                return;
            }
            self.advance(&mut lanes);
        }
    }

    /// The next layer that no thread has; `of_plain` ones alone, while others are hashed.
    fn claim(&self, of_plain: bool) -> Option<usize> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let layer = self.layers.get(*next)?;
        if of_plain && layer.packed.is_some() {
            return None;
        }
        *next += 1;
        Some(*next - 1)
    }

    /// Hashes a piece of each of these layers, and takes away those that are at their end.
    fn advance(&self, lanes: &mut Vec<Lane<'_>>) {
        for lane in &mut *lanes {
            lane.read();
        }
        match &mut lanes[..] {
            [one, other] => Hasher::update_both(
                [&mut one.hasher, &mut other.hasher],
                [&one.buffer[..one.filled], &other.buffer[..other.filled]],
            ),
            lanes => {
                for lane in lanes {
                    lane.hasher.update(&lane.buffer[..lane.filled]);
                }
            }
        }
        lanes.retain_mut(|lane| {
            if self.is_abandoned(lane.flow) {
                lane.flow.end(Ok(()));
                return false;
            }
            match lane.end() {
                None => true,
                Some(end) => {
                    lane.flow.end(end);
                    false
                }
            }
        });
    }

    /// Takes one layer, and waits for its digest.
    fn take(
        &self,
        index: usize,
        take: &mut impl FnMut(&LayerName, &Flow<'_>) -> Result<(), LayerFault>,
    ) -> Result<(), LayerFault> {
        let flow = &self.flows[index];
        let taken = take(&self.layers[index].name, flow);
        if taken.is_err() {
            flow.unwanted.store(true, Ordering::Release);
            self.stopped.store(true, Ordering::Release);
        }
        let result = flow.wait().and(taken);
        if result.is_err() {
            self.stopped.store(true, Ordering::Release);
        }
        result
    }

    /// Reads one layer to its end.
    fn run_one(&self, index: usize) {
        let mut lanes: Vec<Lane<'_>> = self.begin(index).into_iter().collect();
        while !lanes.is_empty() {
            self.advance(&mut lanes);
        }
    }

    /// Begins to hash a layer that is plain; one that is compressed is read to its end.
    fn begin(&self, index: usize) -> Option<Lane<'_>> {
        let (layer, flow) = (&self.layers[index], &self.flows[index]);
        match &layer.packed {
            None => Some(Lane::new(layer, flow)),
            Some((compression, spool)) => {
                self.run_packed(layer, *compression, spool, flow);
                None
            }
        }
    }

    /// Decompresses a layer, and reads its blob to its end.
    fn run_packed(&self, layer: &Layer, compression: Compression, spool: &File, flow: &Flow<'_>) {
        if self.is_abandoned(flow) {
            return flow.end(Ok(()));
        }
        let hashing = Rc::new(RefCell::new(Hashing::of(&layer.check)));
        let content = self.unpack(layer, compression, spool, flow, &hashing);
        let hashed = self.rest(layer, flow, &hashing);
        let hashing = Rc::try_unwrap(hashing)
            .unwrap_or_else(|_| unreachable!("the decompressor is gone"))
            .into_inner();
        let digest = hashed.and_then(|()| held_to(hashing.hasher, &layer.check));
        // A wrong digest explains whatever else is wrong.
        flow.end(match (digest, content) {
            (Err(fault @ LayerFault::WrongDigest { .. }), _) | (_, Err(fault)) => Err(fault),
            (digest, Ok(())) => digest,
        });
    }

    /// Decompresses a layer into its file.
    fn unpack(
        &self,
        layer: &Layer,
        compression: Compression,
        spool: &File,
        flow: &Flow<'_>,
        hashing: &Rc<RefCell<Hashing>>,
    ) -> Result<(), LayerFault> {
        let format = compression.name();
        let input = HashedInput {
            file: layer.blob.file.try_clone().map_err(ArchiveError::Read)?,
            from: layer.blob.offset,
            length: layer.blob.length,
            hashing: Rc::clone(hashing),
        };
        let mut output = self
            .decompressors
            .start(compression, Box::new(input), true)
            .map_err(|error| decompress_error(format, 0, error))?;
        let mut buffer = vec![0; CHUNK];
        let mut done = 0;
        while !flow.is_unwanted() && !self.is_abandoned(flow) {
            let filled = fill(&mut *output, &mut buffer)
                .map_err(|error| decompress_error(format, done, error))?;
            if filled == 0 {
                return Ok(());
            }
            let spent = self.spent.fetch_add(long(filled), Ordering::Relaxed) + long(filled);
            if spent > self.limit {
                return Err(ArchiveError::SpoolLimit { limit: self.limit }.into());
            }
            let piece = &buffer[..filled];
            spool
                .write_all_at(piece, done)
                .map_err(ArchiveError::Spool)?;
            hashing.borrow_mut().content(piece);
            done += long(filled);
            flow.advance(done);
        }
        Ok(())
    }

    /// Hashes what is left of a layer's blob, if that is what counts.
    fn rest(
        &self,
        layer: &Layer,
        flow: &Flow<'_>,
        hashing: &RefCell<Hashing>,
    ) -> Result<(), LayerFault> {
        let mut hashing = hashing.borrow_mut();
        if hashing.of_content {
            return Ok(());
        }
        let mut buffer = vec![0; CHUNK];
        while hashing.position < layer.blob.length && !self.is_abandoned(flow) {
            let left = layer.blob.length - hashing.position;
            let wanted = small(left.min(long(CHUNK)));
            let offset = layer.blob.offset + hashing.position;
            let piece = &mut buffer[..wanted];
            let read = layer.blob.file.read_exact_at(piece, offset);
            read.map_err(ArchiveError::Read)?;
            hashing.hasher.update(piece);
            hashing.position += long(wanted);
        }
        Ok(())
    }

    /// Whether another layer has failed, so that nobody waits for this one.
    fn is_abandoned(&self, flow: &Flow<'_>) -> bool {
        self.stopped.load(Ordering::Acquire) && !flow.is_unwanted()
    }
}

/// A plain layer that is being hashed.
struct Lane<'a> {
    layer: &'a Layer,
    flow: &'a Flow<'a>,
    hasher: Hasher,
    /// Bytes of the blob that were read.
    position: u64,
    buffer: Vec<u8>,
    /// Those of the last piece.
    filled: usize,
    fault: Option<io::Error>,
}

impl<'a> Lane<'a> {
    fn new(layer: &'a Layer, flow: &'a Flow<'a>) -> Self {
        let (Check::Blob(digest) | Check::Content(digest)) = &layer.check;
        Self {
            layer,
            flow,
            hasher: Hasher::new(digest.algorithm),
            position: 0,
            buffer: vec![0; PIECE],
            filled: 0,
            fault: None,
        }
    }

    /// Reads the next piece.
    fn read(&mut self) {
        let blob = &self.layer.blob;
        let wanted = small((blob.length - self.position).min(long(PIECE)));
        let read = blob
            .file
            .read_exact_at(&mut self.buffer[..wanted], blob.offset + self.position);
        self.filled = wanted;
        self.position += long(wanted);
        self.fault = read.err();
    }

    /// What came of it, if it is at its end.
    fn end(&mut self) -> Option<Result<(), LayerFault>> {
        if let Some(error) = self.fault.take() {
            return Some(Err(ArchiveError::Read(error).into()));
        }
        if self.position < self.layer.blob.length {
            return None;
        }
        Some(held_to(self.hasher.clone(), &self.layer.check))
    }
}

/// A digest in the making.
struct Hashing {
    hasher: Hasher,
    /// Bytes of the blob that are in it.
    position: u64,
    /// Whether it is of what is decompressed.
    of_content: bool,
}

impl Hashing {
    fn of(check: &Check) -> Self {
        let (digest, of_content) = match check {
            Check::Blob(digest) => (digest, false),
            Check::Content(digest) => (digest, true),
        };
        Self {
            hasher: Hasher::new(digest.algorithm),
            position: 0,
            of_content,
        }
    }

    fn content(&mut self, piece: &[u8]) {
        if self.of_content {
            self.hasher.update(piece);
        }
    }
}

fn held_to(hasher: Hasher, check: &Check) -> Result<(), LayerFault> {
    let (Check::Blob(wanted) | Check::Content(wanted)) = check;
    let found: Digest = hasher.finish();
    if found == *wanted {
        return Ok(());
    }
    Err(LayerFault::WrongDigest {
        wanted: wanted.to_string(),
        found: found.to_string(),
    })
}

/// The bytes of a blob, hashed as they are read.
struct HashedInput {
    file: File,
    from: u64,
    length: u64,
    hashing: Rc<RefCell<Hashing>>,
}

impl Read for HashedInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut hashing = self.hashing.borrow_mut();
        let left = self.length - hashing.position;
        let wanted = small(left.min(long(buffer.len())));
        let offset = self.from + hashing.position;
        let count = self.file.read_at(&mut buffer[..wanted], offset)?;
        if !hashing.of_content {
            hashing.hasher.update(&buffer[..count]);
        }
        hashing.position += long(count);
        Ok(count)
    }
}
