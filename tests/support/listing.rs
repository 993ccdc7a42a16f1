//! Everything that can be known of a tree of files, to compare one with another.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::{lgetxattr, llistxattr, major, minor};
use rustix::io::Errno;

use super::bench::digest;

/// A tree of files by their paths, as bytes and relative to its root, whose own path is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing(pub BTreeMap<Vec<u8>, Entry>);

/// One path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    pub mode: u32,
    pub owner: (u32, u32),
    /// Seconds and nanoseconds.
    pub modified: (i64, i64),
    pub attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first path of the same file.
    pub first: Vec<u8>,
    /// The number of names, as the file system counts them; for directories their own and their children's.
    pub links: u64,
}

/// What is at a path.
#[derive(Clone, PartialEq, Eq)]
pub enum Kind {
    Directory,
    File { size: u64, sha256: [u8; 32] },
    Symlink(Vec<u8>),
    Character(u32, u32),
    Block(u32, u32),
    Fifo,
    Socket,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => f.write_str("a directory"),
            Self::File { size, sha256 } => {
                write!(f, "a file of {size} bytes, sha256 {:02x?}…", &sha256[..4])
            }
            Self::Symlink(target) => write!(f, "a link to {}", target.escape_ascii()),
            Self::Character(major, minor) => write!(f, "a character device {major}:{minor}"),
            Self::Block(major, minor) => write!(f, "a block device {major}:{minor}"),
            Self::Fifo => f.write_str("a fifo"),
            Self::Socket => f.write_str("a socket"),
        }
    }
}

impl Listing {
    /// Everything below `top`, and `top` itself.
    pub fn of_directory(top: &Path) -> Self {
        Self::of_readable(top).unwrap()
    }

    /// The same of what may not be readable.
    ///
    /// # Errors
    /// The first that there is.
    pub fn of_readable(top: &Path) -> io::Result<Self> {
        let mut entries = BTreeMap::new();
        let mut inodes = BTreeMap::new();
        let mut waiting = vec![top.to_owned()];
        while let Some(path) = waiting.pop() {
            let metadata = fs::symlink_metadata(&path)?;
            if metadata.is_dir() {
                for entry in fs::read_dir(&path)? {
                    waiting.push(entry?.path());
                }
            }
            let name = path.strip_prefix(top).unwrap().as_os_str().as_bytes();
            inodes.insert(name.to_vec(), (metadata.dev(), metadata.ino()));
            entries.insert(name.to_vec(), Entry::of(&path, &metadata)?);
        }
        let mut firsts: BTreeMap<(u64, u64), Vec<u8>> = BTreeMap::new();
        for (name, entry) in &mut entries {
            let first = firsts.entry(inodes[name]).or_insert_with(|| name.clone());
            entry.first.clone_from(first);
        }
        Ok(Self(entries))
    }

    /// The same with no time after this one.
    pub fn clamped(mut self, seconds: i64) -> Self {
        for entry in self.0.values_mut() {
            entry.modified = entry.modified.min((seconds, 0));
        }
        self
    }

    /// The same tree with `other` over it, as `cp -a` would: directories merge, all else is replaced.
    pub fn overlaid(mut self, other: Self) -> Self {
        for (path, entry) in other.0 {
            self.0.insert(path, entry);
        }
        self
    }

    /// The entry at `path`.
    pub fn get(&mut self, path: &str) -> &mut Entry {
        self.0
            .get_mut(path.as_bytes())
            .unwrap_or_else(|| panic!("{path} is not there"))
    }

    /// The same tree with the link counts that it has by itself: names outside it do not count.
    pub fn counted(mut self) -> Self {
        let mut links: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for (path, entry) in &self.0 {
            *links.entry(entry.first.clone()).or_default() += 1;
            if entry.kind == Kind::Directory {
                // Its own "." and the ".." of each directory in it.
                *links.entry(path.clone()).or_default() += 1;
                if !path.is_empty() {
                    *links.entry(parent(path).to_vec()).or_default() += 1;
                }
            }
        }
        for entry in self.0.values_mut() {
            entry.links = links[&entry.first];
        }
        self
    }

    /// What FAT stores of the tree: names, content, and times in steps of two seconds.
    pub fn on_fat(mut self) -> Self {
        // The root directory has no entry that could have a time.
        self.get("").modified = (0, 0);
        for (path, entry) in &mut self.0 {
            entry.mode = 0;
            entry.owner = (0, 0);
            entry.attributes.clear();
            entry.first.clone_from(path);
            entry.links = 1;
            entry.modified = (entry.modified.0 - entry.modified.0.rem_euclid(2), 0);
        }
        self
    }

    /// How `found` differs from this tree, a line each.
    pub fn differences(&self, found: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, entry) in &self.0 {
            let path_text = path.escape_ascii();
            match found.0.get(path) {
                None => lines.push(format!("/{path_text} is missing: {:?}", entry.kind)),
                Some(other) => lines.extend(
                    entry
                        .differences(other)
                        .into_iter()
                        .map(|difference| format!("/{path_text}: {difference}")),
                ),
            }
        }
        for (path, entry) in &found.0 {
            if !self.0.contains_key(path) {
                let path = path.escape_ascii();
                lines.push(format!("/{path} is too many: {:?}", entry.kind));
            }
        }
        lines
    }

    /// Fails unless `found` is the same tree.
    pub fn assert_same(&self, found: &Self) {
        let lines = self.differences(found);
        let shown = lines.iter().take(50).cloned().collect::<Vec<_>>();
        assert!(
            lines.is_empty(),
            "{} differences:\n{}",
            lines.len(),
            shown.join("\n")
        );
    }
}

fn parent(path: &[u8]) -> &[u8] {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    &path[..slash.unwrap_or(0)]
}

impl Entry {
    fn of(path: &Path, metadata: &Metadata) -> io::Result<Self> {
        Ok(Self {
            kind: Kind::of(path, metadata)?,
            mode: metadata.mode() & 0o7777,
            owner: (metadata.uid(), metadata.gid()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            attributes: attributes(path)?,
            first: Vec::new(),
            links: metadata.nlink(),
        })
    }

    fn differences(&self, found: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut compare = |what: &str, expected: &dyn fmt::Debug, found: &dyn fmt::Debug| {
            let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
            if expected != found {
                lines.push(format!("its {what} is {found}, not {expected}"));
            }
        };
        let octal = |mode: u32| format!("{mode:04o}");
        compare("mode", &octal(self.mode), &octal(found.mode));
        compare("owner", &self.owner, &found.owner);
        compare("time", &self.modified, &found.modified);
        compare("attributes", &self.attributes, &found.attributes);
        compare("first name", &self.first, &found.first);
        compare("link count", &self.links, &found.links);
        if self.kind != found.kind {
            lines.push(format!("is {:?}, not {:?}", found.kind, self.kind));
        }
        lines
    }
}

impl Kind {
    fn of(path: &Path, metadata: &Metadata) -> io::Result<Self> {
        let kind = metadata.file_type();
        let (major, minor) = (major(metadata.rdev()), minor(metadata.rdev()));
        Ok(if kind.is_dir() {
            Self::Directory
        } else if kind.is_symlink() {
            Self::Symlink(fs::read_link(path)?.as_os_str().as_bytes().to_vec())
        } else if kind.is_char_device() {
            Self::Character(major, minor)
        } else if kind.is_block_device() {
            Self::Block(major, minor)
        } else if kind.is_fifo() {
            Self::Fifo
        } else if kind.is_socket() {
            Self::Socket
        } else {
            let (size, sha256) = digest(path)?;
            Self::File { size, sha256 }
        })
    }
}

fn attributes(path: &Path) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut names = vec![0_u8; 65536];
    let length = match llistxattr(path, &mut names[..]) {
        Ok(length) => length,
        // A file system that has none.
        Err(Errno::NOTSUP) => 0,
        Err(error) => return Err(error.into()),
    };
    names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0_u8; 65536];
            let length = lgetxattr(path, std::ffi::OsStr::from_bytes(name), &mut value[..])?;
            value.truncate(length);
            Ok((name.to_vec(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;

    use super::Listing;
    use crate::support::Bench;
    use crate::support::bench::set_time;

    /// A file, a second name of it, a link and a folder.
    fn tree(bench: &Bench) -> Listing {
        bench.write("top/folder/file", "content");
        fs::hard_link(bench.path("top/folder/file"), bench.path("top/name")).unwrap();
        symlink("folder/file", bench.path("top/link")).unwrap();
        for path in ["top/folder/file", "top/link", "top/folder", "top"] {
            set_time(&bench.path(path), 1_000_000_000, 5);
        }
        Listing::of_directory(&bench.path("top"))
    }

    /// What a change of the tree looks like.
    fn differences(change: impl Fn(&Path)) -> Vec<String> {
        let bench = Bench::new();
        let before = tree(&bench);
        assert_eq!(before.clone().counted(), before);
        change(&bench.path("top"));
        before.differences(&Listing::of_directory(&bench.path("top")))
    }

    #[test]
    fn every_difference_is_seen() {
        let name = |top: &Path| top.join("name");
        assert_eq!(differences(|_| ()), Vec::<String>::new());
        assert_eq!(
            differences(|top| set_time(&top.join("link"), 1_000_000_000, 6)).len(),
            1
        );
        let mode = differences(|top| {
            fs::set_permissions(top, fs::Permissions::from_mode(0o711)).unwrap();
        });
        assert_eq!(mode.len(), 1, "{mode:?}");
        let content = differences(|top| {
            fs::write(name(top), "CONTENT").unwrap();
            set_time(&name(top), 1_000_000_000, 5);
        });
        // Both names of the one file.
        assert_eq!(content.len(), 2, "{content:?}");
        let copied = differences(|top| {
            fs::remove_file(name(top)).unwrap();
            fs::write(name(top), "content").unwrap();
            set_time(&name(top), 1_000_000_000, 5);
            set_time(top, 1_000_000_000, 5);
        });
        // A copy has the content, but it is no second name.
        assert_eq!(copied.len(), 3, "{copied:?}");
        let more = differences(|top| {
            fs::write(top.join("folder/more"), "").unwrap();
            set_time(&top.join("folder"), 1_000_000_000, 5);
        });
        assert_eq!(more.len(), 1, "{more:?}");
        let retargeted = differences(|top| {
            fs::remove_file(top.join("link")).unwrap();
            symlink("name", top.join("link")).unwrap();
            set_time(&top.join("link"), 1_000_000_000, 5);
            set_time(top, 1_000_000_000, 5);
        });
        assert_eq!(
            retargeted,
            ["/link: is a link to name, not a link to folder/file"]
        );
    }
}
