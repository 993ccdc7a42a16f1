//! What no tree of files tells: it is counted on the way, and said once of the whole file system.

use crate::inode::{Flags, Inode, Kind};

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Untold {
    /// Directories, files and symbolic links that are encrypted.
    encrypted: [u64; 3],
    first_encrypted: String,
    /// How many files have a hash tree of fs-verity.
    verity: u64,
    /// How many have each of [`MARKS`].
    marks: [u64; MARKS.len()],
    /// How many belong to a project, and the ID of the first one's.
    projects: u64,
    first_project: u32,
    /// How many are marked in any way.
    marked: u64,
    first_marked: String,
}

/// What somebody can set by `chattr`, and neither content nor attributes say.
const MARKS: [(Flags, &str); 17] = [
    (Flags::IMMUTABLE, "immutable"),
    (Flags::APPEND, "append-only"),
    (Flags::NO_DUMP, "no dump"),
    (Flags::NO_ACCESS_TIME, "no access time"),
    (Flags::SYNCHRONOUS, "synchronous"),
    (Flags::SYNCHRONOUS_DIRECTORY, "synchronous directory"),
    (Flags::JOURNALED_DATA, "journaled data"),
    (Flags::CASEFOLD, "case-insensitive names"),
    (Flags::PROJECT_INHERIT, "project inherited"),
    (Flags::DIRECT_ACCESS, "direct access"),
    (Flags::TOP_DIRECTORY, "top of directories"),
    (Flags::SECURE_DELETION, "secure deletion"),
    (Flags::UNDELETABLE, "undeletable"),
    (Flags::COMPRESSED, "compressed"),
    (Flags::NO_COMPRESSION, "no compression"),
    (Flags::NO_TAIL, "no tail-merging"),
    (Flags::NO_COPY_ON_WRITE, "no copy-on-write"),
];

impl Untold {
    /// Counts what no name or content of `inode` tells, which is called `name`.
    pub(crate) fn note(&mut self, inode: &Inode, name: &[u8]) {
        if inode.flags.contains(Flags::ENCRYPTED) {
            self.note_encrypted(inode, name);
        }
        let is_file = inode.kind == Kind::File;
        self.verity += u64::from(is_file && inode.flags.contains(Flags::VERITY));
        let mut is_marked = false;
        for (count, (flag, _)) in self.marks.iter_mut().zip(MARKS) {
            let has_it = inode.flags.contains(flag);
            *count += u64::from(has_it);
            is_marked |= has_it;
        }
        if inode.project != 0 {
            if self.projects == 0 {
                self.first_project = inode.project;
            }
            self.projects += 1;
            is_marked = true;
        }
        if is_marked {
            if self.marked == 0 {
                self.first_marked = called(inode, name);
            }
            self.marked += 1;
        }
    }

    fn note_encrypted(&mut self, inode: &Inode, name: &[u8]) {
        let index = match inode.kind {
            Kind::Directory => 0,
            Kind::Symlink => 2,
            _ => 1,
        };
        if self.encrypted == [0; 3] {
            self.first_encrypted = called(inode, name);
        }
        self.encrypted[index] += 1;
    }

    /// What is to be said of names, and of content and marks to whoever reads these.
    pub(crate) fn warnings(&self, has_content: bool) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.encrypted != [0; 3] {
            let kinds = ["directories", "files", "symbolic links"];
            warnings.push(format!(
                "encrypted: {}, the first of them {}; without their keys, names and targets of links are shown in base64, and content is told as it stands, encrypted",
                listed(kinds.into_iter().zip(self.encrypted)),
                self.first_encrypted
            ));
        }
        if !has_content {
            return warnings;
        }
        if self.verity > 0 {
            let files = self.verity;
            warnings.push(format!(
                "{files} files are sealed by fs-verity: their content is told, and their hash trees are not"
            ));
        }
        if self.marked > 0 {
            let project = format!("of a project, such as {}", self.first_project);
            let marks = MARKS.into_iter().zip(self.marks);
            let marks = marks
                .map(|((_, name), count)| (name, count))
                .chain([(&*project, self.projects)]);
            warnings.push(format!(
                "files and directories with marks of chattr: {} ({}), the first of them {}; copies of them have no such marks, and comparisons leave these out",
                self.marked,
                listed(marks),
                self.first_marked
            ));
        }
        warnings
    }
}

/// Those that there are, as `2 files, 1 directories`.
fn listed<'n>(counts: impl Iterator<Item = (&'n str, u64)>) -> String {
    let there = counts.filter(|(_, count)| *count > 0);
    let words: Vec<String> = there
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    words.join(", ")
}

fn called(inode: &Inode, name: &[u8]) -> String {
    match name {
        b"" => "the root directory".to_owned(),
        _ => format!(
            "'{}' in inode {}",
            String::from_utf8_lossy(name).escape_debug(),
            inode.number
        ),
    }
}
