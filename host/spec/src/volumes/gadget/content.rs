//! What a structure holds: files of a file system, or images as they are.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::super::fields::{Fields, text};
use super::super::super::value::{ValueError, parse_destination};
use super::super::super::{Place, Placed, RawSpec, RawWhat};
use super::super::{MOST_BYTES, VolumeFault, is_given, optional};
use super::{parse_size, size};
use cellblock_tree::source::{Source, What};

/// What a source begins with that lies in the kernel's snap; the name of one of its assets and a `/` follow.
const KERNEL: &str = "$kernel:";
/// What a source begins with that lies in the root file system.
const ROOTFS: &str = "rootfs:";
/// The highest offset of an address, in bytes.
const MOST_OFFSET: u64 = 1 << 32;

/// Where an address is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OffsetWrite {
    /// The structure that the offset counts from; the disk's start when absent.
    pub(super) relative_to: Option<String>,
    /// In bytes.
    pub(super) offset: u64,
}

/// An image that is copied as it is.
#[derive(Clone, Debug)]
pub(super) struct Image {
    /// With the offset from the start of the structure.
    pub(super) raw: RawSpec,
    /// In bytes from the start of the structure.
    pub(super) end: u64,
    pub(super) offset_write: Option<Placed<OffsetWrite>>,
}

/// Reads `92` or `mbr+92`.
pub(super) fn offset_write(text: &str) -> Result<OffsetWrite, ValueError> {
    let (relative_to, offset) = match text.split_once('+') {
        Some((name, offset)) => (Some(name), offset),
        None => (None, text),
    };
    parse_size(offset)
        .filter(|offset| *offset <= MOST_OFFSET && relative_to != Some(""))
        .map(|offset| OffsetWrite {
            relative_to: relative_to.map(str::to_owned),
            offset,
        })
        .ok_or_else(|| ValueError::NotAnOffsetWrite {
            text: text.to_owned(),
        })
}

/// Where content lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Folders<'a> {
    /// The gadget.
    pub(crate) gadget: &'a Path,
    /// The kernel's snap.
    pub(crate) kernel: Option<&'a Path>,
    /// The root file system.
    pub(crate) rootfs: Option<&'a Path>,
}

impl Folders<'_> {
    /// The path of a source; `None` if nobody says where it lies.
    fn find(&self, source: &str) -> Option<PathBuf> {
        let below = |folder: &Path, path: &str| folder.join(path.trim_start_matches('/'));
        if let Some(path) = source.strip_prefix(KERNEL) {
            let path = path.split_once('/').map_or("", |(_, path)| path);
            return Some(below(self.kernel?, path));
        }
        match source.strip_prefix(ROOTFS) {
            Some(path) => Some(below(self.rootfs?, path)),
            None => Some(self.gadget.join(source)),
        }
    }
}

/// The files that go into a file system.
pub(super) fn read_files(fields: &mut Fields<'_, '_>, folders: &Folders<'_>) -> Vec<Source> {
    if !is_given(fields, "content") {
        return Vec::new();
    }
    fields.take_tables("content", |_, fields| {
        let is_foreign = refuse(fields, ["image", "offset", "size"], true);
        check_unpack(fields);
        if is_foreign {
            fields.allow_others();
            return None;
        }
        let source = fields.require("source", "source: grub/", text);
        let source = source.filter(|source| is_inside(fields, source));
        let target = fields.require("target", "target: EFI/ubuntu/", target);
        file(fields, folders, &source?, target?.value)
    })
}

/// Whether a source lies in the gadget, or in the snap that it names.
fn is_inside(fields: &mut Fields<'_, '_>, source: &Placed<String>) -> bool {
    let text = &source.value;
    let fault = if text.split('/').any(|step| step == "..") {
        VolumeFault::OutsideContent {
            source_path: text.clone(),
        }
    } else if text.starts_with(KERNEL) && !is_kernel_content(text) {
        VolumeFault::NoKernelContent {
            reference: text.clone(),
        }
    } else {
        return true;
    };
    fields.problem(fault.into(), source.place.clone());
    false
}

/// `$kernel:ASSET/PATH`, where the path has no empty step but at its end.
fn is_kernel_content(text: &str) -> bool {
    let reference = text
        .strip_prefix(KERNEL)
        .and_then(|rest| rest.split_once('/'));
    let Some((asset, path)) = reference else {
        return false;
    };
    let is_asset = asset.starts_with(|first: char| first.is_ascii_alphanumeric())
        && asset
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let path = path.strip_suffix('/').unwrap_or(path);
    is_asset && path.split('/').all(|step| !step.is_empty() && step != ".")
}

/// The path in the file system, which needs no `/` at its start.
fn target(value: &toml::de::DeValue<'_>) -> Result<String, ValueError> {
    let text = text(value)?;
    let steps = text
        .split('/')
        .filter(|step| !step.is_empty() && *step != ".");
    let mut absolute: String = steps.flat_map(|step| ["/", step]).collect();
    if text.ends_with('/') || text.ends_with("/.") || absolute.is_empty() {
        absolute.push('/');
    }
    parse_destination(&absolute)?;
    Ok(absolute)
}

/// A file, or a directory: with a `/` at its end what is in it, and without one the directory itself.
fn file(
    fields: &mut Fields<'_, '_>,
    folders: &Folders<'_>,
    source: &Placed<String>,
    target: String,
) -> Option<Source> {
    let Some(path) = folders.find(&source.value) else {
        let fault = VolumeFault::ElsewhereContent {
            is_kernel: source.value.starts_with(KERNEL),
        };
        fields.problem(fault.into(), source.place.clone());
        return None;
    };
    let metadata = look(fields, &path, &source.place)?;
    let mut to = target;
    let what = if metadata.is_dir() {
        if let (false, Some(name)) = (source.value.ends_with('/'), path.file_name()) {
            to = format!("{}/{}", to.trim_end_matches('/'), name.to_string_lossy());
        }
        What::Directory(path)
    } else {
        What::File(path)
    };
    Some(Source {
        to: Some(to.into_bytes()),
        ..Source::new(what)
    })
}

/// The images of a structure without a file system; one without an offset lies behind the one before it.
pub(super) fn read_images(fields: &mut Fields<'_, '_>, root: &Path) -> Vec<Image> {
    if !is_given(fields, "content") {
        return Vec::new();
    }
    let mut end = 0;
    fields.take_tables("content", |_, fields| {
        let is_foreign = refuse(fields, ["source", "target"], false);
        check_unpack(fields);
        if is_foreign {
            fields.allow_others();
            return None;
        }
        let image = fields.require("image", "image: pc-core.img", text);
        let offset = optional(fields, "offset", size).map_or(end, |offset| offset.value);
        let size = optional(fields, "size", size);
        let address = optional(
            fields,
            "offset-write",
            super::super::super::fields::parsed(offset_write),
        );
        let image = image.filter(|image| is_inside(fields, image))?;
        let path = root.join(&image.value);
        let length = look(fields, &path, &image.place)?.len();
        let room = size.as_ref().map_or(length, |size| size.value);
        // Where one is refused that ends beyond all files, the next is read as if it ended there.
        end = MOST_BYTES.min(offset + room);
        Some(Image {
            raw: RawSpec {
                what: RawWhat::File {
                    file: Placed {
                        value: path,
                        place: image.place,
                    },
                    size,
                },
                offset,
            },
            end,
            offset_write: address,
        })
    })
}

/// Refuses keys that go with the other kind of structure; whether there were some.
fn refuse<const N: usize>(
    fields: &mut Fields<'_, '_>,
    keys: [&'static str; N],
    has_filesystem: bool,
) -> bool {
    let mut found = false;
    for key in keys {
        if let (true, Some(value)) = (is_given(fields, key), fields.get(key)) {
            let fault = VolumeFault::ForeignContent {
                key,
                has_filesystem,
            };
            fields.problem(fault.into(), fields.at(value));
            found = true;
        }
    }
    found
}

/// Nothing is ever unpacked.
fn check_unpack(fields: &mut Fields<'_, '_>) {
    if let (true, Some(value)) = (is_given(fields, "unpack"), fields.get("unpack"))
        && value.get_ref().as_str() != Some("false")
    {
        fields.problem(VolumeFault::Unpack.into(), fields.at(value));
    }
}

/// Looks at a file of the gadget.
fn look(fields: &mut Fields<'_, '_>, path: &PathBuf, place: &Place) -> Option<fs::Metadata> {
    match fs::metadata(path) {
        Ok(metadata) => Some(metadata),
        Err(error) => {
            let fault = VolumeFault::NoSuchFile {
                path: path.clone(),
                why: error.to_string(),
            };
            fields.problem(fault.into(), place.clone());
            None
        }
    }
}
