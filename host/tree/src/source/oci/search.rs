//! The search for one image in an OCI layout: by its name or digest, and by its platform.
//!
//! What is in an index and is no image, an attestation or an artifact, is passed over, and so is what is not in the layout, as long as
//! it is not what was meant. An error that says what there is lists it too.

use std::collections::BTreeSet;

use super::Image;
use super::digest::Digest;
use super::document::{Configuration, Descriptor, Document, LayoutMark, OF_INDEXES};
use super::error::ImageError;
use super::layout::{INDEX, Layout, MARK};
use super::parse::{parse, parse_blob};
use super::platform::{Fit, ImagePlatform};

/// The most documents that are read to find an image.
const DOCUMENTS: usize = 1000;
/// The most indexes within each other.
const DEPTH: usize = 8;
/// As many are remembered of what is passed over.
const PASSED: usize = 1000;

/// The name of an image, as `skopeo` and the specification write it.
const REFERENCE: &str = "org.opencontainers.image.ref.name";
/// The full name of an image, as containerd and Docker write it.
const FULL_NAME: &str = "io.containerd.image.name";
/// What BuildKit says of the provenance of an image stands beside it as a manifest.
const KIND_OF_REFERENCE: &str = "vnd.docker.reference.type";

/// A manifest that could be meant.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) digest: Digest,
    size: Option<u64>,
    pub(super) names: Vec<String>,
    pub(super) platform: Option<ImagePlatform>,
    /// The version of the operating system, by which images for Windows differ.
    os_version: Option<String>,
}

impl Candidate {
    fn describe(&self) -> String {
        let mut parts = vec![self.names.first().cloned().unwrap_or_default()];
        parts.extend(self.platform.as_ref().map(ToString::to_string));
        let version = self.os_version.as_ref();
        parts.extend(version.map(|version| format!("(os.version {version})")));
        parts.push(self.digest.to_string());
        parts.retain(|part| !part.is_empty());
        parts.join(" ")
    }
}

/// An image that was found, and the documents that describe it.
pub(super) struct FoundImage {
    pub(super) candidate: Candidate,
    pub(super) manifest: Document,
    pub(super) config_digest: Digest,
    pub(super) configuration: Configuration,
}

/// Finds the one image that is meant.
pub(super) fn search(layout: &Layout, image: &Image) -> Result<FoundImage, ImageError> {
    let mut search = Search {
        layout,
        image,
        read: 0,
    };
    let found = search.found()?;
    let candidate = search.one_of(found)?;
    let (manifest, config_digest, configuration) = search.manifest(&candidate)?;
    Ok(FoundImage {
        candidate,
        manifest,
        config_digest,
        configuration,
    })
}

struct Search<'a> {
    layout: &'a Layout,
    image: &'a Image,
    /// Documents that have been read.
    read: usize,
}

impl Search<'_> {
    /// The one of what was found that is for the platform.
    fn one_of(&mut self, found: Found) -> Result<Candidate, ImageError> {
        let Found {
            candidates,
            mut passed,
            ..
        } = found;
        if candidates.is_empty() {
            return Err(passed.nothing());
        }
        let mut there = Vec::new();
        let mut fitting: Vec<(Fit, Candidate)> = Vec::new();
        for mut candidate in candidates {
            let fit = match &self.image.platform {
                None => Fit::Same,
                Some(wanted) => {
                    if candidate.platform.is_none() {
                        match self.manifest(&candidate) {
                            Ok((_, _, configuration)) => candidate.learn(&configuration),
                            Err(error) if error.is_absence() => {
                                passed.add(candidate.describe(), ABSENT, Some(error));
                                continue;
                            }
                            Err(error) => return Err(error),
                        }
                    }
                    let platform = candidate.platform.as_ref();
                    platform.map_or(Fit::No, |platform| wanted.fit(platform))
                }
            };
            there.push(candidate.describe());
            if fit > Fit::No {
                fitting.push((fit, candidate));
            }
        }
        let best = fitting.iter().map(|(fit, _)| *fit).max();
        fitting.retain(|(fit, _)| Some(*fit) == best);
        let Some((_, first)) = fitting.first() else {
            there.extend(passed.told);
            return Err(match &self.image.platform {
                Some(wanted) => ImageError::NoPlatform {
                    wanted: wanted.to_string(),
                    there,
                },
                None => ImageError::Empty { there },
            });
        };
        // Names and platforms may lead to one image.
        if fitting.iter().all(|(_, it)| it.digest == first.digest) {
            return Ok(fitting.swap_remove(0).1);
        }
        Err(ImageError::Ambiguous {
            there: fitting.iter().map(|(_, it)| it.describe()).collect(),
        })
    }

    /// All manifests that the reference may mean.
    fn found(&mut self) -> Result<Found, ImageError> {
        self.check_mark()?;
        let index: Document = parse(&self.layout.open(INDEX)?)?;
        if let Some(reason) = index.contradiction() {
            let name = INDEX.as_bytes().into();
            return Err(ImageError::Malformed { name, reason });
        }
        let all = index.manifests.unwrap_or_default();
        let mut found = Found::default();
        let reference = self.image.reference.as_deref();
        if let Some(digest) = reference.filter(|it| it.contains(':')).map(Digest::parse)
            && let Ok(digest) = digest
        {
            let named = all.iter().find(|it| it.digest == digest.to_string());
            let candidate = Candidate {
                digest,
                size: None,
                names: named.map(names_of).unwrap_or_default(),
                platform: named.and_then(platform_of),
                os_version: named.and_then(os_version_of),
            };
            self.walk(candidate, &mut found, 0)?;
            return Ok(found);
        }
        let fits = |descriptor: &&Descriptor| {
            let names = names_of(descriptor);
            reference.is_none_or(|wanted| names.iter().any(|name| is_called(name, wanted)))
        };
        let mut chosen = all.iter().filter(fits).peekable();
        if let Some(wanted) = reference
            && chosen.peek().is_none()
        {
            return Err(ImageError::NoReference {
                reference: wanted.to_owned(),
                there: all.iter().map(described).collect(),
            });
        }
        for descriptor in chosen {
            self.descend(descriptor, &names_of(descriptor), &mut found, 0)?;
        }
        Ok(found)
    }

    /// Holds the layout to its version. Without the mark, which old writers leave out, it is of the first one.
    fn check_mark(&self) -> Result<(), ImageError> {
        if !self.layout.has(MARK) {
            return Ok(());
        }
        let blob = self.layout.open(MARK)?;
        let mark: LayoutMark = parse(&blob)?;
        if mark.is_known() {
            return Ok(());
        }
        let version = mark.image_layout_version.unwrap_or_default();
        let version = cellblock_text::printable(&version);
        Err(ImageError::Malformed {
            name: blob.name,
            reason: format!(
                "its `imageLayoutVersion` is '{version}', and layouts of version 1 are read"
            ),
        })
    }

    fn descend(
        &mut self,
        descriptor: &Descriptor,
        names: &[String],
        found: &mut Found,
        depth: usize,
    ) -> Result<(), ImageError> {
        let candidate = Candidate {
            digest: Digest::parse(&descriptor.digest)?,
            size: Some(descriptor.size),
            names: names.to_vec(),
            platform: platform_of(descriptor),
            os_version: os_version_of(descriptor),
        };
        if let Some(what) = descriptor.other_than_an_image() {
            let error = ImageError::Unsupported {
                digest: candidate.digest.to_string(),
                what: what.clone(),
            };
            found.passed.add(candidate.describe(), &what, Some(error));
            return Ok(());
        }
        // What is known to be a manifest for a platform is not looked into: another one than is wanted need not be there.
        if descriptor.is_manifest() && candidate.platform.is_some() {
            found.add(candidate);
            return Ok(());
        }
        match self.walk(candidate.clone(), found, depth) {
            // It could be meant as well as others, but where a platform is wanted they may be for that.
            Err(error) if error.is_absence_of(&candidate.digest) => {
                if self.image.platform.is_some() {
                    let shown = candidate.describe();
                    found.passed.add(shown, ABSENT, Some(error));
                } else {
                    found.add(candidate);
                }
                Ok(())
            }
            done => done,
        }
    }

    /// Looks whether a document is a manifest or an index.
    fn walk(
        &mut self,
        candidate: Candidate,
        found: &mut Found,
        depth: usize,
    ) -> Result<(), ImageError> {
        let document = self.document(&candidate.digest, candidate.size)?;
        match &document.manifests {
            Some(_) if depth == DEPTH => Err(ImageError::Unsupported {
                digest: candidate.digest.to_string(),
                what: format!("an index within {DEPTH} others"),
            }),
            Some(manifests) => manifests.iter().try_for_each(|descriptor| {
                self.descend(descriptor, &candidate.names, found, depth + 1)
            }),
            None => {
                match document.other_than_an_image() {
                    None => found.add(candidate),
                    Some(what) => {
                        let error = ImageError::Unsupported {
                            digest: candidate.digest.to_string(),
                            what: what.clone(),
                        };
                        found.passed.add(candidate.describe(), &what, Some(error));
                    }
                }
                Ok(())
            }
        }
    }

    /// A document that is named by its digest.
    fn document(&mut self, digest: &Digest, size: Option<u64>) -> Result<Document, ImageError> {
        self.read += 1;
        if self.read > DOCUMENTS {
            return Err(ImageError::TooManyDocuments { limit: DOCUMENTS });
        }
        let document: Document = parse_blob(self.layout, digest, size)?.0;
        if document.schema_version == Some(1) {
            return Err(ImageError::Unsupported {
                digest: digest.to_string(),
                what: "a manifest of Docker's first form (schema 1)".to_owned(),
            });
        }
        if let Some(reason) = document.contradiction() {
            return Err(ImageError::Malformed {
                name: digest.path().as_bytes().into(),
                reason,
            });
        }
        Ok(document)
    }

    /// The manifest of a candidate, and its configuration with its digest.
    fn manifest(
        &mut self,
        candidate: &Candidate,
    ) -> Result<(Document, Digest, Configuration), ImageError> {
        let manifest = self.document(&candidate.digest, candidate.size)?;
        let unsupported = |what: String| ImageError::Unsupported {
            digest: candidate.digest.to_string(),
            what,
        };
        if let Some(what) = manifest.other_than_an_image() {
            return Err(unsupported(what));
        }
        let Some(config) = &manifest.config else {
            return Err(unsupported("no manifest of an image".to_owned()));
        };
        let digest = Digest::parse(&config.digest)?;
        let (configuration, _) = parse_blob(self.layout, &digest, Some(config.size))?;
        Ok((manifest, digest, configuration))
    }
}

impl Candidate {
    /// Takes over what the configuration says, which its descriptor does not.
    fn learn(&mut self, configuration: &Configuration) {
        self.platform = configuration.platform();
        self.os_version = configuration.os_version.clone();
    }
}

/// Why something is passed over that is not there.
const ABSENT: &str = "not in the layout";

/// What was found.
#[derive(Default)]
struct Found {
    candidates: Vec<Candidate>,
    /// The candidates, each once for a platform.
    seen: BTreeSet<(Digest, Option<ImagePlatform>)>,
    passed: Passed,
}

impl Found {
    fn add(&mut self, candidate: Candidate) {
        if candidate
            .platform
            .as_ref()
            .is_some_and(ImagePlatform::is_unknown)
        {
            let what = "for no platform, as what is attested of an image";
            let error = ImageError::Unsupported {
                digest: candidate.digest.to_string(),
                what: what.to_owned(),
            };
            return self.passed.add(candidate.describe(), what, Some(error));
        }
        let key = (candidate.digest.clone(), candidate.platform.clone());
        if self.seen.insert(key) {
            self.candidates.push(candidate);
        }
    }
}

/// What was passed over.
#[derive(Default)]
struct Passed {
    told: Vec<String>,
    /// What is wrong with the first one.
    error: Option<ImageError>,
}

impl Passed {
    fn add(&mut self, shown: String, what: &str, error: Option<ImageError>) {
        if self.told.len() < PASSED {
            self.told.push(format!("{shown} ({what})"));
        }
        self.error = self.error.take().or(error);
    }

    /// That there is nothing else.
    fn nothing(self) -> ImageError {
        match self.error {
            Some(error) if self.told.len() == 1 => error,
            _ => ImageError::Empty { there: self.told },
        }
    }
}

impl Descriptor {
    /// What it names, if that is no image and no index of such.
    fn other_than_an_image(&self) -> Option<String> {
        if self.annotation(KIND_OF_REFERENCE).is_some() {
            return Some("what BuildKit attests of an image".to_owned());
        }
        let kind = self.kind();
        if !kind.is_empty() && !OF_INDEXES.contains(&kind) && !self.is_manifest() {
            let kind = cellblock_text::printable(kind);
            return Some(format!("of the media type {kind}"));
        }
        None
    }

    fn is_manifest(&self) -> bool {
        self.kind().contains("manifest.v")
    }
}

fn platform_of(descriptor: &Descriptor) -> Option<ImagePlatform> {
    let stated = descriptor.platform.as_ref()?;
    ImagePlatform::stated(&stated.os, &stated.architecture, stated.variant.as_deref())
}

fn os_version_of(descriptor: &Descriptor) -> Option<String> {
    descriptor.platform.as_ref()?.os_version.clone()
}

fn names_of(descriptor: &Descriptor) -> Vec<String> {
    let full = descriptor.annotation(FULL_NAME).map(str::to_owned);
    let short = descriptor.annotation(REFERENCE).map(str::to_owned);
    full.into_iter().chain(short).collect()
}

fn described(descriptor: &Descriptor) -> String {
    let names = names_of(descriptor);
    names
        .into_iter()
        .next()
        .unwrap_or_else(|| descriptor.digest.clone())
}

/// Whether `wanted` means an image of this name: as Docker shows it, without its own registry, and `:latest` need not be typed.
pub(super) fn is_called(name: &str, wanted: &str) -> bool {
    let familiar = |name: &str| {
        let short = name.strip_prefix("docker.io/").unwrap_or(name);
        short.strip_prefix("library/").unwrap_or(short).to_owned()
    };
    let (name, wanted) = (familiar(name), familiar(wanted));
    name == wanted || name.strip_suffix(":latest") == Some(&wanted)
}
