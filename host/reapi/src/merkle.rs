//! Folders and commands in the words of the Remote Execution API: messages, each named by its digest.
//!
//! ```text
//!     Action ──> Command: arguments, outputs, platform
//!            └─> Directory ──> Directory … ──> files
//! ```

use std::collections::BTreeMap;

use bazel_remote_apis::build::bazel::remote::execution::v2 as api;
use prost::Message;

use super::{BlobName, digest};

/// A folder of files.
#[derive(Debug, Default)]
pub struct Folder {
    files: BTreeMap<String, (BlobName, bool)>,
    folders: BTreeMap<String, Folder>,
}

impl Folder {
    /// Puts a file at a path, whose parts stand between slashes.
    pub fn put(&mut self, path: &str, name: BlobName, is_executable: bool) {
        match path.split_once('/') {
            Some((folder, rest)) => {
                let folder = self.folders.entry(folder.to_owned()).or_default();
                folder.put(rest, name, is_executable);
            }
            None => drop(self.files.insert(path.to_owned(), (name, is_executable))),
        }
    }

    /// The `Directory` of this folder, and those below it; all of them are put into `blobs`.
    pub fn directory(&self, blobs: &mut Vec<(BlobName, Vec<u8>)>) -> BlobName {
        // Sorted by their names, as the API asks for it.
        let files = self.files.iter();
        let files = files.map(|(name, (blob, is_executable))| api::FileNode {
            name: name.clone(),
            digest: Some(digest(blob)),
            is_executable: *is_executable,
            ..Default::default()
        });
        let folders = self.folders.iter();
        let directories = folders.map(|(name, folder)| api::DirectoryNode {
            name: name.clone(),
            digest: Some(digest(&folder.directory(blobs))),
        });
        let directory = api::Directory {
            files: files.collect(),
            directories: directories.collect(),
            ..Default::default()
        };
        put(blobs, &directory)
    }
}

/// What is run in a folder.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The program and its arguments.
    pub arguments: &'a [&'a str],
    /// Files that come of it.
    pub output_files: &'a [&'a str],
    /// Folders that come of it.
    pub output_folders: &'a [&'a str],
    /// What a worker has to be, by name.
    pub platform: &'a [(String, String)],
}

impl Job<'_> {
    /// The `Action` of this job in a folder, whose messages are put into `blobs`.
    pub fn action(&self, root: BlobName, blobs: &mut Vec<(BlobName, Vec<u8>)>) -> BlobName {
        let owned = |texts: &[&str]| texts.iter().map(|it| (*it).to_owned()).collect();
        let mut outputs = [self.output_files, self.output_folders].concat();
        outputs.sort_unstable();
        // Servers before version 2.1 know two of these lists and the platform here, and later ones the third, and the platform of the action.
        #[allow(deprecated, reason = "servers before version 2.1 know no other")]
        let command = api::Command {
            arguments: owned(self.arguments),
            output_files: owned(self.output_files),
            output_directories: owned(self.output_folders),
            output_paths: owned(&outputs),
            platform: self.platform(),
            ..Default::default()
        };
        let action = api::Action {
            command_digest: Some(digest(&put(blobs, &command))),
            input_root_digest: Some(digest(&root)),
            platform: self.platform(),
            ..Default::default()
        };
        put(blobs, &action)
    }

    fn platform(&self) -> Option<api::Platform> {
        let mut properties = self.platform.to_vec();
        properties.sort();
        let properties = properties.into_iter();
        let properties = properties.map(|(name, value)| api::platform::Property { name, value });
        let platform = api::Platform {
            properties: properties.collect(),
        };
        (!platform.properties.is_empty()).then_some(platform)
    }
}

fn put(blobs: &mut Vec<(BlobName, Vec<u8>)>, message: &impl Message) -> BlobName {
    let bytes = message.encode_to_vec();
    let name = BlobName::of(&bytes);
    blobs.push((name, bytes));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand from the encoding of protocol buffers and the numbers of the fields, so that what servers know is not sent anew.
    #[test]
    fn messages_have_the_bytes_that_they_had() {
        let hash = "ab".repeat(32);
        let named = BlobName {
            digest: [0xab; 32],
            size: 300,
        };
        let mut folder = Folder::default();
        folder.put("b", named, true);
        folder.put("a/c", named, false);
        let mut blobs = Vec::new();
        let root = folder.directory(&mut blobs);
        let digest = |name: &BlobName, size: &[u8]| {
            let hash = cellblock_text::hexadecimal(&name.digest);
            [b"\x0a\x40", hash.as_bytes(), b"\x10", size].concat()
        };
        let file = |name: &[u8], tail: &[u8]| {
            let digest = digest(&named, b"\xac\x02");
            assert!(digest.windows(64).any(|it| it == hash.as_bytes()));
            [b"\x0a\x01", name, b"\x12\x45", &digest, tail].concat()
        };
        let inner = [b"\x0a\x4a", &file(b"c", b"")[..]].concat();
        let inner_name = BlobName::of(&inner);
        assert_eq!(blobs[0], (inner_name, inner));
        let inner_digest = digest(&inner_name, b"\x4c");
        let outer = [
            b"\x0a\x4c",
            &file(b"b", b"\x20\x01")[..],
            b"\x12\x49\x0a\x01a\x12\x44",
            &inner_digest,
        ];
        assert_eq!(blobs[1], (root, outer.concat()));

        let job = Job {
            arguments: &["./x", "y"],
            output_files: &["o/m"],
            output_folders: &["o/c"],
            platform: &[("os".to_owned(), "linux".to_owned())],
        };
        let action = job.action(root, &mut blobs);
        let platform = b"\x0a\x0b\x0a\x02os\x12\x05linux";
        let command = [
            &b"\x0a\x03./x\x0a\x01y\x1a\x03o/m\x22\x03o/c\x2a\x0d"[..],
            platform,
            b"\x3a\x03o/c\x3a\x03o/m",
        ];
        let command = command.concat();
        let command_name = BlobName::of(&command);
        assert_eq!(blobs[2], (command_name, command.clone()));
        let size = [u8::try_from(command.len()).expect("a few bytes")];
        let root_size = [0x99, 0x01];
        let message = [
            b"\x0a\x44",
            &digest(&command_name, &size)[..],
            b"\x12\x45",
            &digest(&root, &root_size),
            b"\x52\x0d",
            platform,
        ];
        assert_eq!(blobs[3], (action, message.concat()));
    }
}
