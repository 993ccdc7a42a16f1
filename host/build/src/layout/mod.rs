//! Trees as a container image: an OCI image layout (OCI Image Format Specification 1.1), the same bytes for the same trees.
//!
//! ```text
//!     base ──> layer ──────────────────────┐
//!     tree ──> layer of what differs from  ├──> config ──> manifest ──> index.json
//!              the base, with whiteouts ───┘
//! ```
//!
//! Layers are plain tars: a registry's client compresses them on the way, and the digest of a layer is that of its content.

mod difference;
mod machine;

pub use machine::architecture_of;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};

use cellblock_image::{Folder, ImageError};
use cellblock_text::{PathBytes, hexadecimal};
use cellblock_tree::overlayfs::Mark;
use cellblock_tree::pax::write::{Layer, PaxError, write_layer};
use cellblock_tree::source::{ImagePlatform, SourceError};
use cellblock_tree::{Kind, Tree};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The bytes that are written at once.
const BUFFER: usize = 1 << 20;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Why trees do not become a container image.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A name means something else in a layer.
    #[error(
        "{path}: a name that begins with .wh. takes another file away in a layer, and cannot be in one: rename it, or export a tar"
    )]
    Whiteout {
        /// The file.
        path: PathBytes,
    },
    /// The trees cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A layer was not written.
    #[error(transparent)]
    Layer(#[from] PaxError),
    /// The folder takes no files.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A document was not written.
    #[error("writing the image: {0}")]
    Write(#[from] io::Error),
}

/// What a layout came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenLayout {
    /// The bytes of its blobs.
    pub size: u64,
    /// The SHA-256 digest of the manifest, by which the image is called, in hexadecimal.
    pub manifest: String,
    /// The members of each layer.
    pub members: Vec<u64>,
    /// Sockets, which layers have no type for, and which are left out.
    pub sockets: u64,
    /// What whoever mounts the layers by overlayfs sees as a mark of that, and not as the file that it is.
    pub marks: Option<Marks>,
}

/// Files in layers that overlayfs takes for marks of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The first one.
    pub first: PathBytes,
    /// What it is.
    pub what: &'static str,
    /// How many there are.
    pub count: usize,
}

/// Writes an image of `tree` into a folder, which is not published yet. With a base it has two layers: the base, and what differs from
/// that. Files are read on at most `jobs` threads.
///
/// # Errors
/// [`LayoutError`] if a tree cannot be read or be a layer, or the folder does not take it.
pub fn write_layout(
    base: Option<&Tree>,
    tree: &Tree,
    platform: &ImagePlatform,
    folder: &mut Folder,
    jobs: usize,
) -> Result<WrittenLayout, LayoutError> {
    let mut layers: Vec<(&Tree, Layer)> = Vec::new();
    match base {
        None => layers.push((tree, Layer::whole(tree))),
        Some(base) => {
            layers.push((base, Layer::whole(base)));
            layers.push((tree, difference::between(base, tree)?));
        }
    }
    let mut written = WrittenLayout {
        size: 0,
        manifest: String::new(),
        members: Vec::new(),
        sockets: 0,
        marks: marks(&layers),
    };
    let mut described = Vec::new();
    for (tree, layer) in layers {
        refuse_whiteouts(tree, &layer)?;
        let file = folder.create()?;
        let mut output = Hashed::new(file);
        let told = write_layer(tree, &layer, &mut output, jobs)?;
        written.members.push(told.members);
        written.sockets += told.sockets;
        described.push(output.finish(LAYER, folder)?);
    }
    let mut config = json!({
        "architecture": platform.architecture,
        "os": platform.os,
        "config": {},
        "rootfs": {
            "type": "layers",
            "diff_ids": described.iter().map(|it| &*it.digest).collect::<Vec<_>>(),
        },
    });
    if let Some(variant) = &platform.variant {
        config["variant"] = variant.as_str().into();
    }
    let config = document(&config, CONFIG, folder)?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": described,
    });
    let manifest = document(&manifest, MANIFEST, folder)?;
    let blobs = described.iter().chain([&config, &manifest]);
    written.size = blobs.map(|it| it.size).sum();
    written.manifest = manifest.digest.replacen("sha256:", "", 1);
    let mut named = serde_json::to_value(&manifest).map_err(io::Error::from)?;
    named["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
    // What names all others gets its own name last.
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [named],
    });
    for (name, value) in [
        ("oci-layout", json!({ "imageLayoutVersion": "1.0.0" })),
        ("index.json", index),
    ] {
        let mut file = folder.create()?;
        file.write_all(value.to_string().as_bytes())?;
        folder.add(name, file);
    }
    Ok(written)
}

/// What a manifest or an index says of a blob.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: &'static str,
    digest: String,
    size: u64,
}

/// A blob that is written, and hashed as it is.
struct Hashed {
    file: BufWriter<File>,
    digest: Sha256,
    size: u64,
}

impl Hashed {
    fn new(file: File) -> Self {
        Self {
            file: BufWriter::with_capacity(BUFFER, file),
            digest: Sha256::new(),
            size: 0,
        }
    }

    fn finish(self, media_type: &'static str, folder: &mut Folder) -> io::Result<Descriptor> {
        let digest: [u8; 32] = self.digest.finalize().into();
        let digest = hexadecimal(&digest);
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        folder.add(format!("blobs/sha256/{digest}"), file);
        Ok(Descriptor {
            media_type,
            digest: format!("sha256:{digest}"),
            size: self.size,
        })
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn document(
    value: &Value,
    media_type: &'static str,
    folder: &mut Folder,
) -> Result<Descriptor, LayoutError> {
    let mut output = Hashed::new(folder.create()?);
    output.write_all(value.to_string().as_bytes())?;
    Ok(output.finish(media_type, folder)?)
}

/// What overlayfs takes for its own in these layers. What two of them have is one file.
fn marks(layers: &[(&Tree, Layer)]) -> Option<Marks> {
    let mut marked: BTreeMap<Vec<u8>, Mark> = BTreeMap::new();
    for (tree, layer) in layers {
        let held = tree.nodes().filter(|node| layer.holds(node.id));
        marked.extend(held.filter_map(|node| Some((tree.path(node.id), Mark::of(&node)?))));
    }
    let (first, mark) = marked.first_key_value()?;
    Some(Marks {
        first: first.as_slice().into(),
        what: mark.noun(),
        count: marked.len(),
    })
}

fn refuse_whiteouts(tree: &Tree, layer: &Layer) -> Result<(), LayoutError> {
    let mut nodes = tree.nodes().filter(|node| layer.holds(node.id));
    let is_whiteout = |name: &[u8]| name.starts_with(Layer::WHITEOUT);
    match nodes.find(|node| is_whiteout(node.name) && !matches!(node.kind, Kind::Socket)) {
        Some(node) => Err(LayoutError::Whiteout {
            path: PathBytes(tree.path(node.id)),
        }),
        None => Ok(()),
    }
}
