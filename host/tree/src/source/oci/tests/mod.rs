//! Images made by hand.
#![allow(clippy::unwrap_used)]

mod choosing;
mod layers;
mod overlay;
mod readers;
mod refusals;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::super::archive::tests::Builder;
use super::super::tests::{contents, find, spool};
use super::super::{Gathered, ReadOptions, Source, SourceError, What, read_sources};
use super::digest::{Algorithm, Digest};
use super::{Image, ImagePlatform};
use crate::{Kind, Tree};
use serde_json::{Value, json};
use tempfile::TempDir;

fn tar() -> Builder {
    Builder::default()
}

fn dir(name: &[u8]) -> Builder {
    tar().member(name, b'5', b"")
}

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    const ALL: [Self; 3] = [Self::Plain, Self::Gzip, Self::Zstd];

    fn pack(self, tar: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => tar.to_vec(),
            Self::Gzip => {
                let mut gzip =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(tar).unwrap();
                gzip.finish().unwrap()
            }
            Self::Zstd => zstd::encode_all(tar, 1).unwrap(),
        }
    }
}

/// An OCI layout that grows.
struct Layout {
    folder: TempDir,
    manifests: Vec<Value>,
}

impl Layout {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
        fs::create_dir_all(folder.path().join("blobs/sha512")).unwrap();
        fs::write(
            folder.path().join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .unwrap();
        Self {
            folder,
            manifests: Vec::new(),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn blob_path(&self, descriptor: &Value) -> PathBuf {
        let digest = descriptor["digest"].as_str().unwrap();
        self.path().join("blobs").join(digest.replace(':', "/"))
    }

    /// Adds a blob; its descriptor.
    fn blob(&self, kind: &str, bytes: &[u8]) -> Value {
        self.blob_by(Algorithm::Sha256, kind, bytes)
    }

    fn blob_by(&self, algorithm: Algorithm, kind: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(algorithm, bytes);
        fs::write(self.path().join(digest.path()), bytes).unwrap();
        json!({ "mediaType": kind, "digest": digest.to_string(), "size": bytes.len() })
    }

    fn layer(&self, packing: Packing, tar: &[u8]) -> Value {
        let kind = match packing {
            Packing::Plain => "application/vnd.oci.image.layer.v1.tar",
            Packing::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Packing::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        };
        self.blob(kind, &packing.pack(tar))
    }

    /// A manifest of these layers; its descriptor.
    fn manifest(&self, config: &Value, layers: &[Value]) -> Value {
        let bytes = serde_json::to_vec(config).unwrap();
        let config = self.blob("application/vnd.oci.image.config.v1+json", &bytes);
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
        let bytes = serde_json::to_vec(&manifest).unwrap();
        self.blob("application/vnd.oci.image.manifest.v1+json", &bytes)
    }

    fn add(&mut self, mut descriptor: Value, name: &str, platform: Option<&str>) {
        if !name.is_empty() {
            descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        }
        if let Some(platform) = platform {
            let parts: Vec<&str> = platform.split('/').collect();
            descriptor["platform"] = json!({ "os": parts[0], "architecture": parts[1] });
            if let Some(variant) = parts.get(2) {
                descriptor["platform"]["variant"] = json!(variant);
            }
        }
        self.manifests.push(descriptor);
    }

    fn write_index(&self) {
        let index = json!({ "schemaVersion": 2, "manifests": self.manifests });
        fs::write(
            self.path().join("index.json"),
            serde_json::to_vec(&index).unwrap(),
        )
        .unwrap();
    }

    /// A layout of one image with these layers.
    fn of(layers: &[Vec<u8>], packing: Packing) -> Self {
        let mut layout = Self::new();
        let layers: Vec<Value> = layers
            .iter()
            .map(|tar| layout.layer(packing, tar))
            .collect();
        let manifest = layout.manifest(&config("amd64"), &layers);
        layout.add(manifest, "test", None);
        layout.write_index();
        layout
    }

    fn image(&self) -> Image {
        Image::new(self.path().into())
    }
}

fn config(architecture: &str) -> Value {
    json!({ "os": "linux", "architecture": architecture, "config": { "Env": null } })
}

fn gather(image: &Image) -> Result<Gathered, SourceError> {
    let source = Source::new(What::Image(image.clone()));
    read_sources(&[source], &spool, &ReadOptions::within(1 << 30))
}

fn tree_of(image: &Image) -> Tree {
    gather(image).unwrap_or_else(|error| panic!("{error}")).tree
}

/// The tree of an image with these layers, which is the same however they are compressed.
fn layered(layers: &[Vec<u8>]) -> Tree {
    let trees = Packing::ALL.map(|packing| tree_of(&Layout::of(layers, packing).image()));
    let [plain, gzip, zstd] = &trees;
    assert_eq!(plain.digests().unwrap(), gzip.digests().unwrap());
    assert_eq!(plain.digests().unwrap(), zstd.digests().unwrap());
    let [plain, ..] = trees;
    plain
}

fn refusal(image: &Image) -> String {
    match gather(image) {
        Ok(gathered) => panic!("taken: {:?}", paths(&gathered.tree)),
        Err(error) => error.to_string(),
    }
}

/// All paths, without the root.
fn paths(tree: &Tree) -> Vec<String> {
    let paths = tree.nodes().skip(1).map(|node| tree.path(node.id));
    paths
        .map(|path| String::from_utf8_lossy(&path).into_owned())
        .collect()
}

fn platform(text: &str) -> ImagePlatform {
    text.parse().unwrap()
}

/// The layout as a tar.
fn packed(folder: &Path) -> Vec<u8> {
    let mut tar = Builder::default();
    let mut open = vec![folder.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            let target = fs::read_link(&path).ok();
            tar = match target {
                Some(target) => tar.pax(b'x', &[("path", name.as_bytes())]).link(
                    b"x",
                    b'2',
                    target.to_str().unwrap().as_bytes(),
                ),
                None => tar.pax(b'x', &[("path", name.as_bytes())]).member(
                    b"x",
                    b'0',
                    &fs::read(&path).unwrap(),
                ),
            };
        }
    }
    tar.end()
}
