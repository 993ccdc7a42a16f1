//! Folders and commands in the words of the Remote Execution API: messages of protocol buffers, each named by its digest.
//!
//! ```text
//!     Action ──> Command: arguments, outputs, platform
//!            └─> Directory ──> Directory … ──> files
//! ```
//!
//! The messages are those of `build.bazel.remote.execution.v2`; numbers in the code are those of its fields.

use std::collections::BTreeMap;

pub use cellblock_cache::reapi::BlobName;

/// A `Digest`.
fn digest(name: &BlobName) -> Message {
    let mut message = Message::default();
    message.text(1, &cellblock_text::hexadecimal(&name.digest));
    message.number(2, name.size);
    message
}

/// A message as it is written.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// A field of an integer; zero is not written.
    pub(super) fn number(&mut self, field: u8, number: u64) {
        if number != 0 {
            self.0.push(field << 3);
            self.varint(number);
        }
    }

    /// A field of bytes, a string or a message.
    fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.0.push(field << 3 | 2);
        self.varint(u64::try_from(bytes.len()).expect("a length fits 64 bits"));
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, field: u8, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    pub(super) fn message(&mut self, field: u8, message: &Self) {
        self.bytes(field, &message.0);
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }
}

/// A folder of files.
#[derive(Debug, Default)]
pub(super) struct Folder {
    files: BTreeMap<String, (BlobName, bool)>,
    folders: BTreeMap<String, Folder>,
}

impl Folder {
    /// Puts a file at a path.
    pub(super) fn put(&mut self, path: &str, name: BlobName, is_executable: bool) {
        match path.split_once('/') {
            Some((folder, rest)) => {
                let folder = self.folders.entry(folder.to_owned()).or_default();
                folder.put(rest, name, is_executable);
            }
            None => drop(self.files.insert(path.to_owned(), (name, is_executable))),
        }
    }

    /// The `Directory` of this folder, and those below it; all of them are put into `blobs`.
    pub(super) fn directory(&self, blobs: &mut Vec<(BlobName, Vec<u8>)>) -> BlobName {
        let mut directory = Message::default();
        for (name, (blob, is_executable)) in &self.files {
            let mut file = Message::default();
            file.text(1, name);
            file.message(2, &digest(blob));
            file.number(4, (*is_executable).into());
            directory.message(1, &file);
        }
        for (name, folder) in &self.folders {
            let mut node = Message::default();
            node.text(1, name);
            node.message(2, &digest(&folder.directory(blobs)));
            directory.message(2, &node);
        }
        put(blobs, directory)
    }
}

/// What is run in a folder.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) arguments: &'a [&'a str],
    /// Files that come of it.
    pub(super) output_files: &'a [&'a str],
    /// Folders that come of it.
    pub(super) output_folders: &'a [&'a str],
    /// What a worker has to be, by name.
    pub(super) platform: &'a [(String, String)],
}

impl Job<'_> {
    /// The `Action` of this job in a folder, whose messages are put into `blobs`.
    pub(super) fn action(&self, root: BlobName, blobs: &mut Vec<(BlobName, Vec<u8>)>) -> BlobName {
        let platform = self.platform();
        let mut command = Message::default();
        self.arguments.iter().for_each(|it| command.text(1, it));
        // Servers before version 2.1 know these two, and later ones what follows.
        self.output_files.iter().for_each(|it| command.text(3, it));
        self.output_folders
            .iter()
            .for_each(|it| command.text(4, it));
        if let Some(platform) = &platform {
            command.message(5, platform);
        }
        let mut outputs = [self.output_files, self.output_folders].concat();
        outputs.sort_unstable();
        outputs.iter().for_each(|it| command.text(7, it));
        let command = put(blobs, command);
        let mut action = Message::default();
        action.message(1, &digest(&command));
        action.message(2, &digest(&root));
        if let Some(platform) = &platform {
            action.message(10, platform);
        }
        put(blobs, action)
    }

    fn platform(&self) -> Option<Message> {
        let mut properties = self.platform.to_vec();
        properties.sort();
        let mut platform = Message::default();
        for (name, value) in &properties {
            let mut property = Message::default();
            property.text(1, name);
            property.text(2, value);
            platform.message(1, &property);
        }
        (!properties.is_empty()).then_some(platform)
    }
}

fn put(blobs: &mut Vec<(BlobName, Vec<u8>)>, message: Message) -> BlobName {
    let bytes = message.into_bytes();
    let name = BlobName::of(&bytes);
    blobs.push((name, bytes));
    name
}
