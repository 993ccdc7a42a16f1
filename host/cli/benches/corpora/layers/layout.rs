//! An OCI image layout of a tar archive: its members, in order, as layers of about the same size.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// How layers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// The blocks of a tar archive.
const BLOCK: u64 = 512;
/// What passes at once. Bytes.
const PIECE: usize = 1 << 20;

impl Packing {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Plain => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }

    fn pack(self, from: &mut dyn io::Read, to: File) -> io::Result<()> {
        match self {
            Self::Plain => {
                let mut to = to;
                io::copy(from, &mut to)?;
            }
            Self::Gzip => {
                let mut to = flate2::write::GzEncoder::new(to, flate2::Compression::new(6));
                io::copy(from, &mut to)?;
                to.finish()?;
            }
            Self::Zstd => zstd::stream::copy_encode(from, to, 3)?,
        }
        Ok(())
    }

    /// Decompresses what is in a layer.
    pub(super) fn unpack(self, layer: impl io::Read, into: &mut dyn io::Write) -> io::Result<()> {
        let mut layer = BufReader::with_capacity(PIECE, layer);
        match self {
            Self::Plain => io::copy(&mut layer, into)?,
            Self::Gzip => io::copy(&mut flate2::bufread::MultiGzDecoder::new(layer), into)?,
            Self::Zstd => io::copy(&mut zstd::stream::read::Decoder::with_buffer(layer)?, into)?,
        };
        Ok(())
    }

    /// Does what nobody can leave out who takes a layer from strangers: it is read, hashed, decompressed, hashed again, and written.
    pub(super) fn check_into(self, layer: &Path, into: &File) -> io::Result<()> {
        let mut packed = Hashed::new(File::open(layer)?);
        let mut plain = BufWriter::with_capacity(PIECE, Hashed::new(into));
        self.unpack(&mut packed, &mut plain)?;
        plain.flush()?;
        // The digests are taken and not compared: this only takes the time.
        black_box((
            packed.hash.finalize(),
            plain.get_ref().hash.clone().finalize(),
        ));
        Ok(())
    }
}

/// What passes through, hashed.
struct Hashed<T> {
    inner: T,
    hash: Sha256,
}

impl<T> Hashed<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
        }
    }
}

impl<T: io::Read> io::Read for Hashed<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

impl<T: io::Write> io::Write for Hashed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

pub(super) struct Layout {
    pub(super) folder: PathBuf,
    pub(super) packing: Packing,
    /// The files of the layers.
    pub(super) layers: Vec<PathBuf>,
}

impl Layout {
    /// Makes a layout in `folder` of so many layers of an archive.
    pub(super) fn make(
        archive: &Path,
        folder: &Path,
        count: usize,
        packing: Packing,
    ) -> Result<Self> {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        let mut file = File::open(archive).with_context(|| archive.display().to_string())?;
        let (mut layers, mut described, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        for end in ends(&mut file, count)? {
            file.seek(SeekFrom::Start(start))?;
            let mut members = Vec::new();
            (&file).take(end - start).read_to_end(&mut members)?;
            // What ends an archive.
            members.resize(members.len() + 1024, 0);
            plain.push(format!("sha256:{:x}", Digest256(&members)));
            let part = blobs.join("part");
            packing.pack(&mut &*members, File::create(&part)?)?;
            let (path, descriptor) = adopt(&part, &blobs, packing.media_type())?;
            layers.push(path);
            described.push(descriptor);
            start = end;
        }
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": plain },
        });
        let config = write(&blobs, &config, "application/vnd.oci.image.config.v1+json")?;
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": config,
            "layers": described,
        });
        let mut manifest = write(&blobs, &manifest, media_type)?;
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "it" });
        let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
        fs::write(folder.join("index.json"), index.to_string())?;
        let version = json!({ "imageLayoutVersion": "1.0.0" });
        fs::write(folder.join("oci-layout"), version.to_string())?;
        Ok(Self {
            folder: folder.to_owned(),
            packing,
            layers,
        })
    }
}

struct Digest256<'a>(&'a [u8]);

impl std::fmt::LowerHex for Digest256<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digest = Sha256::digest(self.0);
        digest
            .iter()
            .try_for_each(|it| write!(formatter, "{it:02x}"))
    }
}

/// Writes a document as a blob: its descriptor.
fn write(blobs: &Path, document: &Value, media_type: &str) -> Result<Value> {
    let part = blobs.join("part");
    fs::write(&part, document.to_string())?;
    Ok(adopt(&part, blobs, media_type)?.1)
}

/// Gives a blob its name: where it is, and its descriptor.
fn adopt(part: &Path, blobs: &Path, media_type: &str) -> Result<(PathBuf, Value)> {
    let bytes = fs::read(part)?;
    let digest = format!("{:x}", Digest256(&bytes));
    let path = blobs.join(&digest);
    fs::rename(part, &path)?;
    let descriptor = json!({
        "mediaType": media_type,
        "digest": format!("sha256:{digest}"),
        "size": bytes.len(),
    });
    Ok((path, descriptor))
}

/// Where layers end: at members, after about the same number of bytes each.
fn ends(archive: &mut File, count: usize) -> Result<Vec<u64>> {
    let length = archive.metadata()?.len();
    let step = length.div_ceil(count as u64).max(1);
    let (mut ends, mut at) = (Vec::new(), 0);
    loop {
        let mut header = [0; 512];
        archive.seek(SeekFrom::Start(at))?;
        archive.read_exact(&mut header)?;
        if header.iter().all(|byte| *byte == 0) {
            ends.push(at);
            return Ok(ends);
        }
        let header = tar::Header::from_byte_slice(&header);
        let is_before_another = matches!(header.as_bytes()[156], b'x' | b'g' | b'L' | b'K');
        at += BLOCK + header.entry_size()?.next_multiple_of(BLOCK);
        if !is_before_another && at >= step * (ends.len() as u64 + 1) {
            ends.push(at);
        }
    }
}
