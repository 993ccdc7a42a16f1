//! Volumes in files, and the programs that judge them.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use cellblock_guest::memory::{FileOutput, MemoryTree};
use cellblock_guest::{FormatError, Formatter as _, Request, Summary, Timestamp, Uuid};
use cellblock_vfat::VfatFormatter;

/// The bytes of a mebibyte.
pub const MIB: u64 = 1 << 20;

/// A request for `kind` in so many bytes, with sectors of 512.
pub fn request(kind: &str, size: u64) -> Request {
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
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
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
pub struct Volume {
    pub path: Scratch,
    pub summary: Summary,
    pub warnings: Vec<String>,
}

/// Formats.
pub fn format(request: &Request, tree: &MemoryTree) -> Result<Volume, FormatError> {
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
pub fn measure(request: &Request, tree: &MemoryTree) -> Result<u64, FormatError> {
    VfatFormatter::measure(request, &mut tree.clone())
}

impl Volume {
    /// Bytes of the volume.
    pub fn bytes(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let file = File::open(&self.path.0).unwrap();
        file.read_exact_at(&mut bytes, offset).unwrap();
        bytes
    }

    /// A property of the summary.
    pub fn property(&self, name: &str) -> &str {
        let mut properties = self.summary.properties.iter();
        let property = properties.find(|property| property.name == name);
        &property.expect("a property of the summary").value
    }

    /// Has `fsck.fat` check the volume, which must find nothing to say.
    pub fn fsck(&self) {
        let Some(mut fsck) = judge("fsck.fat") else {
            return;
        };
        let output = fsck.arg("-n").arg(&self.path.0).output().unwrap();
        let text = text(&output);
        // A line with the version, and one that counts files and clusters.
        let quiet = output.status.success() && text.lines().count() == 2;
        assert!(quiet, "fsck.fat: {text}");
    }
}

/// The command for a judge; says so if the machine does not have it.
pub fn judge(name: &str) -> Option<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file());
    let Some(program) = program else {
        println!("skipped: no {name}");
        return None;
    };
    let mut command = Command::new(program);
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    Some(command)
}

/// All that a program printed.
pub fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
