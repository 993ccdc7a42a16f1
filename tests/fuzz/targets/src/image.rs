//! A container image.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;

use cellblock_tree::source::{Image, ReadOptions, Source, What, read_sources};
use rustix::fs::{MemfdFlags, memfd_create};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use crate::archive::check;

/// The most bytes that layers are decompressed into.
const SPOOL: u64 = 1 << 20;
/// What parts the files of an image.
const BETWEEN: &[u8] = b"\n--\n";
/// The most files of an image.
const FILES: usize = 10;

/// Reads an image whose files these are, and every file in it: `index.json`, then blobs. In a file, `@N` stands for the digest of the
/// blob N, which comes later, and `#N` for its size, as otherwise no document would lead to another.
pub fn image(data: &[u8]) {
    let mut file: File = memfd_create("fuzz", MemfdFlags::CLOEXEC)
        .expect("a file in memory")
        .into();
    file.write_all(&layout(data)).expect("memory for it");
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    for overlay_whiteouts in [false, true] {
        let image = Image {
            overlay_whiteouts,
            ..Image::new(path.clone().into())
        };
        let source = Source::new(What::Image(image));
        let spool =
            || -> io::Result<File> { Ok(memfd_create("spool", MemfdFlags::CLOEXEC)?.into()) };
        match read_sources(&[source], &spool, &ReadOptions::within(SPOOL)) {
            Ok(read) => check(&read.tree),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// The tar of an image.
fn layout(data: &[u8]) -> Vec<u8> {
    let mut files: Vec<Vec<u8>> = Vec::new();
    let mut rest = data;
    while files.len() < FILES {
        let end = rest.windows(BETWEEN.len()).position(|it| it == BETWEEN);
        files.push(rest[..end.unwrap_or(rest.len())].to_vec());
        match end {
            Some(end) => rest = &rest[end + BETWEEN.len()..],
            None => break,
        }
    }
    // From the last one on, so that digests are known when they are named.
    let mut names: Vec<String> = vec![String::new(); files.len()];
    for at in (0..files.len()).rev() {
        for later in at + 1..files.len() {
            let size = files[later].len().to_string();
            let digest = format!("sha256:{}", names[later]);
            files[at] = replaced(&files[at], b'@', later, digest.as_bytes());
            files[at] = replaced(&files[at], b'#', later, size.as_bytes());
        }
        let digest: [u8; 32] = Sha256::digest(&files[at]).into();
        names[at] = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    }
    let mut tar = Vec::new();
    for (at, file) in files.iter().enumerate() {
        let name = match at {
            0 => "index.json".to_owned(),
            _ => format!("blobs/sha256/{}", names[at]),
        };
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(EntryType::Regular);
        header.set_size(file.len() as u64);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(file);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar
}

/// The text with `MARK NUMBER` replaced.
fn replaced(text: &[u8], mark: u8, number: usize, by: &[u8]) -> Vec<u8> {
    let digit = b'0' + u8::try_from(number).expect("a digit");
    let mut result = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        match after {
            [second, after @ ..] if (*first, *second) == (mark, digit) => {
                result.extend_from_slice(by);
                rest = after;
            }
            _ => {
                result.push(*first);
                rest = after;
            }
        }
    }
    result
}
