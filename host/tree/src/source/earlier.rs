//! Whether what has the name of an output may be lost: if it stands among the content, it may be the user's.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::recognise::{Class, HEAD, recognise};

/// The units of disks, in bytes.
const SECTOR: u64 = 512;

/// Whether the file at `path` can be what an earlier run has written under this name: an image in any format, a record or a
/// provenance; or nothing yet, as a shell leaves for what it redirects.
///
/// # Errors
/// When it cannot be read.
pub(super) fn may_be_an_output(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut head = Vec::new();
    file.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(length == 0 || is_image(&head, length) || is_record(&head))
}

fn is_image(head: &[u8], length: u64) -> bool {
    let is_written = recognise(head).is_some_and(|format| match format.class {
        Class::Tar
        | Class::Compressed(_)
        | Class::Filesystem
        | Class::ReadDiskImage
        | Class::DiskImage => true,
        Class::OtherCompression | Class::Archive | Class::Other => false,
    });
    // A raw disk, or a file system that a guest of somebody's makes: no text has a zero.
    is_written || (length.is_multiple_of(SECTOR) && head.contains(&0))
}

fn is_record(head: &[u8]) -> bool {
    let has = |word: &[u8]| head.windows(word.len()).any(|part| part == word);
    head.starts_with(b"{") && (has(b"\"cellblock\"") || has(b"\"error\"") || has(b"in-toto.io"))
        || head.starts_with(b"[") && has(b"\"cellblock\"")
        || head.starts_with(b"<?xml") && has(b"<bmap")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_a_user_has_written_is_told_from_what_a_run_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let found = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            may_be_an_output(&path).unwrap()
        };
        let outputs: [&[u8]; 7] = [
            b"",
            b"QFI\xfb\0\0\0\x03",
            b"\x1f\x8b\x08\0",
            &[0; 1024],
            b"{\n  \"cellblock\": \"0.1.0\",",
            b"{\n  \"_type\": \"https://in-toto.io/Statement/v1\",",
            b"<?xml version=\"1.0\" ?>\n<bmap version=\"2.0\">",
        ];
        for bytes in outputs {
            assert!(found(bytes), "{bytes:?}");
        }
        let own: [&[u8]; 5] = [
            b"debian\n",
            &[b'a'; 1024],
            b"{\"name\": \"value\"}",
            b"\x7fELF\x02\x01\x01\0",
            b"[section]\nkey=value\n",
        ];
        for bytes in own {
            assert!(!found(bytes), "{bytes:?}");
        }
    }
}
