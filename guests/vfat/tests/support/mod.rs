//! Volumes in files, and the programs that judge them.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use cellblock_guest::memory::{FileOutput, MemoryTree};
use cellblock_guest::{FormatError, Formatter as _, Kind, Request, Summary, Timestamp, Uuid};
use cellblock_judges::{judge, text};
use cellblock_vfat::VfatFormatter;

/// The bytes of a mebibyte.
pub(crate) const MIB: u64 = 1 << 20;

/// A request for `kind` in so many bytes, with sectors of 512.
pub(crate) fn request(kind: &str, size: u64) -> Request {
    Request {
        kind: kind.to_owned(),
        size,
        sector_size: 512,
        uuid: Uuid(*b"0123456789ab\x12\x34\xAB\xCD"),
        time: Timestamp {
            seconds: 1_700_000_000,
            nanoseconds: 0,
        },
        ..Request::default()
    }
}

/// A path that no other test has, gone with the value.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("vfat-{}-{number}-{name}", std::process::id());
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A finished volume.
pub(crate) struct Volume {
    pub(crate) path: Scratch,
    pub(crate) summary: Summary,
    pub(crate) warnings: Vec<String>,
}

/// Formats.
pub(crate) fn format(request: &Request, tree: &MemoryTree) -> Result<Volume, FormatError> {
    let path = Scratch::new("volume.img");
    let file = File::create(&path.0).unwrap();
    let mut output = FileOutput::new(file, request.size, tree).unwrap();
    let summary = VfatFormatter::format(request, &mut tree.clone(), &mut output)?;
    Ok(Volume {
        path,
        summary,
        warnings: output.warnings,
    })
}

/// Measures.
pub(crate) fn measure(request: &Request, tree: &MemoryTree) -> Result<u64, FormatError> {
    VfatFormatter::measure(request, &mut tree.clone())
}

impl Volume {
    /// Bytes of the volume.
    pub(crate) fn bytes(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let file = File::open(&self.path.0).unwrap();
        file.read_exact_at(&mut bytes, offset).unwrap();
        bytes
    }

    /// A property of the summary.
    pub(crate) fn property(&self, name: &str) -> &str {
        let mut properties = self.summary.properties.iter();
        let property = properties.find(|property| property.name == name);
        &property.expect("a property of the summary").value
    }

    /// Has `fsck.fat` check the volume, which must find nothing to say.
    pub(crate) fn fsck(&self) {
        let Some(fsck) = judge("fsck.fat") else {
            return;
        };
        let output = fsck.run(&["-n"], &self.path.0);
        let text = text(&output);
        // A line with the version, and one that counts files and clusters.
        let quiet = output.status.success() && text.lines().count() == 2;
        assert!(quiet, "fsck.fat: {text}");
    }
}

/// The content of every file of `tree`, by path; `None` for a directory.
fn listing(tree: &mut MemoryTree) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut paths: Vec<String> = Vec::new();
    let mut result = BTreeMap::new();
    for (node, data) in tree.nodes().to_vec() {
        let name = String::from_utf8(node.name.into_owned()).unwrap();
        let path = match paths.get(node.parent.index()) {
            Some(parent) => format!("{parent}/{name}"),
            None => String::new(),
        };
        paths.push(path.clone());
        let content = match node.kind {
            Kind::File { size, .. } => {
                let mut bytes = vec![0; usize::try_from(size).unwrap()];
                for (offset, part) in data {
                    let offset = usize::try_from(offset).unwrap();
                    bytes[offset..offset + part.len()].copy_from_slice(&part);
                }
                Some(bytes)
            }
            _ => None,
        };
        result.insert(path, content);
    }
    result.remove("");
    result
}

fn collect(folder: &Path, prefix: &str, result: &mut BTreeMap<String, Option<Vec<u8>>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &path, result);
            result.insert(path, None);
        } else {
            result.insert(path, Some(fs::read(entry.path()).unwrap()));
        }
    }
}

/// Reads everything back with mtools and compares it with `tree`. Returns the folder for more.
pub(crate) fn read_back(volume: &Volume, tree: &mut MemoryTree) -> Option<Scratch> {
    let mut mcopy = judge("mcopy")?.command();
    let folder = Scratch::new("read-back");
    fs::create_dir(&folder.0).unwrap();
    let expected = listing(tree);
    mcopy
        .args(["-s", "-Q", "-n", "-m", "-p", "-i"])
        .arg(&volume.path.0);
    let output = mcopy.arg("::/").arg(&folder.0).output().unwrap();
    assert!(output.status.success(), "mcopy: {}", text(&output));
    assert_eq!(text(&output), "");
    let mut found = BTreeMap::new();
    collect(&folder.0, "", &mut found);
    assert!(
        found.keys().eq(expected.keys()),
        "names: {:?} for {:?}",
        found.keys(),
        expected.keys()
    );
    assert!(found == expected, "contents differ");
    Some(folder)
}
