//! A container image as a source: its layers, one over the other, as a root file system.
//!
//! ```text
//!   layout ──> documents ──> choose ──> abreast: each layer hashed and decompressed on a thread
//!   directory,  index,       one                │
//!   tar         manifest,    manifest           v
//!               config                 layer: members and whiteouts, in order ──> forest
//! ```
//!
//! Read are image layouts (OCI Image Format Specification 1.1) as a directory or a tar, and what `docker save` writes: the newer form is
//! such a layout, the older one has a `manifest.json` and layers in folders. Nothing is fetched, and nothing is unpacked onto a disk.
//!
//! # Layers
//!
//! A path in a layer is what it says, by its real directories. Where a lower layer has a symbolic link and this one a name below it,
//! the link gives way to a directory, as it does for containerd and Docker, which keep each layer in a folder of its own; a
//! warning says so. A whiteout, too, hides the path that it names and nothing that a link leads to, and a warning says so. Whiteouts and opaque
//! markers hide what lower layers have, never what their own layer has, wherever they stand in it.

mod abreast;
mod choose;
mod config;
mod digest;
mod document;
mod error;
mod layer;
mod layout;
mod parse;
mod platform;
mod saved;
mod search;

pub use config::{ImageConfig, ImageInfo};
pub use error::ImageError;
pub use layout::looks_like_image;
pub use platform::{ImagePlatform, NotAPlatform};

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::archive::Decompressors;
use super::budget::Kept;
use super::error::SourceError;
use super::forest::Forest;
use super::store::FileStore;
use super::warning::Warning;
use choose::Chosen;

/// A container image that content comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The layout: a directory, a tar, or `-` for a tar on standard input.
    pub path: PathBuf,
    /// Which image of the layout: a name and tag as it is written there, or a digest.
    pub reference: Option<String>,
    /// For which platform, where there are several.
    pub platform: Option<ImagePlatform>,
    /// Whether overlayfs's own whiteouts hide names, too: devices 0:0 and the attribute `trusted.overlay.opaque`.
    pub overlay_whiteouts: bool,
    /// Whether nobody said that it is one: it was taken for an image by its looks, and a warning says so.
    pub recognised: bool,
}

impl Image {
    /// The one image of a layout.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            reference: None,
            platform: None,
            overlay_whiteouts: false,
            recognised: false,
        }
    }
}

/// An image that was found and chosen; of its layers nothing has been read yet.
#[derive(Debug)]
pub struct OpenedImage {
    image: Image,
    chosen: Chosen,
    /// Bytes that the layout was decompressed to.
    expanded: u64,
    info: ImageInfo,
}

impl OpenedImage {
    /// What was chosen, and what it says of itself.
    #[must_use]
    pub fn info(&self) -> &ImageInfo {
        &self.info
    }
}

/// Where temporary files come from, and who decompresses.
pub(super) struct Means<'a> {
    pub(super) spool: &'a dyn Fn() -> io::Result<File>,
    pub(super) decompressors: &'a dyn Decompressors,
    /// The bytes that all may still be decompressed to.
    pub(super) expanded: u64,
}

/// Finds an image, and reads what describes it.
pub(super) fn open(image: &Image, means: &Means<'_>) -> Result<OpenedImage, SourceError> {
    let failed = |error| failure(&image.path, error);
    let found = layout::find(&image.path, means)?;
    let chosen = choose::choose(&found.layout, image).map_err(failed)?;
    let info = chosen.info(&image.path);
    Ok(OpenedImage {
        image: image.clone(),
        chosen,
        expanded: found.expanded,
        info,
    })
}

/// An image that has been read.
pub(super) struct ReadImage {
    pub(super) forest: Forest,
    /// What holds the bytes of the layers, in their order.
    pub(super) stores: Vec<FileStore>,
    pub(super) warnings: Vec<Warning>,
    /// Bytes that were decompressed.
    pub(super) expanded: u64,
}

/// Reads the layers of an image; the first one's store has the number `store`.
pub(super) fn read(
    opened: &OpenedImage,
    means: &Means<'_>,
    store: u32,
    kept: &mut Kept,
) -> Result<ReadImage, SourceError> {
    let path = opened.image.path.clone();
    let left = means.expanded.saturating_sub(opened.expanded);
    let overlay = opened.image.overlay_whiteouts;
    let layers = abreast::open_layers(&opened.chosen, means).map_err(|e| failure(&path, e))?;
    let mut forest = Forest::new();
    let mut stores = Vec::new();
    let mut warnings = Vec::new();
    if opened.image.recognised {
        warnings.push(Warning::TakenForImage { root: path.clone() });
    }
    let mut unknown = BTreeSet::new();
    let mut unheeded: Option<Warning> = None;
    let mut number = store;
    let spent = abreast::in_order(layers, means.decompressors, left, |layer, flow| {
        let planted = layer::plant(flow, &mut forest, (number, kept), overlay)?;
        let hidden = layer::apply(&mut forest, &planted);
        if let Some((first, target)) = hidden.links.first() {
            warnings.push(Warning::LinkHidden {
                root: path.clone(),
                layer: layer.to_string(),
                path: first.as_slice().into(),
                target: target.as_slice().into(),
                others: hidden.links.len() - 1,
            });
        }
        if let Some((first, target)) = hidden.passed.first() {
            warnings.push(Warning::WhiteoutBelowLink {
                root: path.clone(),
                layer: layer.to_string(),
                path: first.as_slice().into(),
                target: target.as_slice().into(),
                others: hidden.passed.len() - 1,
            });
        }
        let name = format!("{}: layer {layer}", path.display());
        warnings.extend(Warning::of_files(hidden.files, |first| {
            (name.as_bytes().into(), first.into())
        }));
        warnings.extend(planted.notes.warnings(&name));
        unknown.extend(planted.unknown);
        match (&mut unheeded, planted.unheeded) {
            (Some(Warning::OverlayMarks { others, .. }), _) => *others += planted.unheeded_count,
            (_, Some((first, mark))) => {
                unheeded = Some(Warning::OverlayMarks {
                    root: path.clone(),
                    layer: layer.to_string(),
                    path: first.as_slice().into(),
                    what: mark.noun(),
                    others: planted.unheeded_count - 1,
                });
            }
            (_, None) => {}
        }
        number = number.checked_add(1).expect("layers are few");
        stores.push(planted.spans);
        Ok(())
    });
    warnings.extend(unheeded);
    let (files, spent) = spent.map_err(|error| failure(&path, error))?;
    let stores = files.into_iter().zip(stores);
    let stores = stores.map(|((file, reach), spans)| FileStore {
        path: path.clone(),
        file,
        reach,
        spans,
    });
    let stores = stores.collect();
    if !unknown.is_empty() {
        warnings.push(Warning::UnknownRecords {
            root: path,
            keywords: unknown.into_iter().collect(),
        });
    }
    Ok(ReadImage {
        forest,
        stores,
        warnings,
        expanded: spent + opened.expanded,
    })
}

fn failure(path: &Path, error: ImageError) -> SourceError {
    SourceError::Image {
        path: path.into(),
        error: Box::new(error),
    }
}

#[cfg(test)]
mod tests;
