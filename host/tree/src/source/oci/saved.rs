//! Choosing an image of what `docker save` writes in its older form: `manifest.json`, and for each layer a tar in a folder. Layers
//! are known by the digests of what they are without compression, which the configuration lists.

use super::Image;
use super::choose::{Check, Chosen, LayerBlob, counted, usable};
use super::digest::{Algorithm, Digest};
use super::document::{Configuration, SavedImage};
use super::error::{ImageError, LayerName};
use super::layout::{Blob, Layout, SAVED};
use super::parse::{parse, parse_bytes, wrong_digest};
use super::platform::Fit;
use super::search::is_called;

/// One image of what `docker save` wrote in its older form.
pub(super) fn choose(layout: &Layout, image: &Image) -> Result<Chosen, ImageError> {
    let all: Vec<SavedImage> = parse(&layout.open(SAVED)?)?;
    let names = |saved: &SavedImage| saved.repo_tags.clone().unwrap_or_default();
    let describe = |saved: &SavedImage| {
        let names = names(saved).join(" ");
        if names.is_empty() {
            saved.config.clone()
        } else {
            names
        }
    };
    let reference = image.reference.as_deref();
    let fits = |saved: &&SavedImage| {
        reference.is_none_or(|wanted| {
            let is_config = Digest::parse(wanted)
                .is_ok_and(|digest| config_path_digest(&saved.config).as_ref() == Some(&digest));
            is_config || names(saved).iter().any(|name| is_called(name, wanted))
        })
    };
    let found: Vec<&SavedImage> = all.iter().filter(fits).collect();
    let saved = match (found.as_slice(), reference) {
        ([one], _) => *one,
        ([], Some(wanted)) => {
            return Err(ImageError::NoReference {
                reference: wanted.to_owned(),
                there: all.iter().map(describe).collect(),
            });
        }
        ([], None) => return Err(ImageError::Empty { there: Vec::new() }),
        (several, _) => {
            return Err(ImageError::Ambiguous {
                there: several.iter().map(|saved| describe(saved)).collect(),
            });
        }
    };
    let blob = layout.open(&saved.config)?;
    let bytes = blob.document()?;
    let config_digest = Digest::of(Algorithm::Sha256, &bytes);
    if let Some(wanted) = config_path_digest(&saved.config)
        && wanted != config_digest
    {
        return Err(wrong_digest(&blob, &wanted, &config_digest));
    }
    let configuration: Configuration = parse_bytes(&blob, &bytes)?;
    let platform = configuration.platform();
    if let Some(wanted) = &image.platform
        && platform
            .as_ref()
            .is_none_or(|found| wanted.fit(found) == Fit::No)
    {
        return Err(ImageError::NoPlatform {
            wanted: wanted.to_string(),
            there: platform.iter().map(ToString::to_string).collect(),
        });
    }
    let layers = saved_layers(layout, saved, &configuration, &blob)?;
    Ok(Chosen {
        names: names(saved),
        platform,
        manifest: None,
        config: usable(configuration, &config_digest)?,
        config_digest,
        layers,
    })
}

/// The layers of an image that are known by what they are without compression.
fn saved_layers(
    layout: &Layout,
    saved: &SavedImage,
    configuration: &Configuration,
    config: &Blob,
) -> Result<Vec<LayerBlob>, ImageError> {
    let paths = saved.layers.as_deref().unwrap_or_default();
    let rootfs = configuration.rootfs.as_ref();
    let digests = rootfs.and_then(|rootfs| rootfs.diff_ids.as_deref());
    let digests = digests.unwrap_or_default();
    if digests.len() != paths.len() {
        return Err(ImageError::Malformed {
            name: config.name.clone(),
            reason: format!(
                "it has the digests of {} layers, and manifest.json names {}",
                digests.len(),
                paths.len()
            ),
        });
    }
    let of = counted(paths.len())?;
    let layers = paths.iter().zip(digests).enumerate();
    let layers = layers.map(|(index, (path, digest))| {
        Ok(LayerBlob {
            name: LayerName {
                number: index + 1,
                of,
                digest: digest.clone(),
            },
            blob: layout.open(path)?,
            check: Check::Content(Digest::parse(digest)?),
            diff_id: None,
        })
    });
    layers.collect()
}

/// The digest of a configuration, which its file is called by.
fn config_path_digest(path: &str) -> Option<Digest> {
    let digits = path
        .strip_suffix(".json")
        .or_else(|| path.strip_prefix("blobs/sha256/"))?;
    Digest::parse(&format!("sha256:{digits}")).ok()
}
