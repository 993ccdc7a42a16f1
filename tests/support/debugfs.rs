//! An ext4 file system as debugfs shows it, where the kernel may not mount it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::bench::digest;
use super::judges::Judge;
use super::listing::{Entry, Kind, Listing};
use super::{Bench, judge, text};

/// The inode number of the root directory.
const ROOT: u64 = 2;

/// What debugfs finds in the file system `file`; nothing, with a word, where it is not installed. No name may have a
/// line break in it.
pub fn read_ext4(bench: &Bench, file: &Path) -> Option<Listing> {
    let session = Session {
        debugfs: judge("debugfs")?,
        file,
        scratch: bench.create_folder("debugfs"),
    };
    let paths = session.paths();
    let mut names: BTreeMap<u64, Vec<&[u8]>> = BTreeMap::new();
    for (path, inode) in &paths {
        names.entry(*inode).or_default().push(path);
    }
    let mut entries = BTreeMap::new();
    for (inode, entry) in session.inodes(names.keys().copied()) {
        for path in &names[&inode] {
            let mut entry = entry.clone();
            entry.first = names[&inode][0].to_vec();
            entries.insert(path.to_vec(), entry);
        }
    }
    fs::remove_dir_all(session.scratch).unwrap();
    Some(Listing(entries))
}

struct Session<'a> {
    debugfs: Judge,
    file: &'a Path,
    /// A folder for what debugfs takes out.
    scratch: PathBuf,
}

impl Session<'_> {
    /// The answers to `requests`, in their order.
    fn ask(&self, requests: &[String]) -> Vec<Vec<u8>> {
        let script = self.scratch.join("requests");
        fs::write(&script, requests.join("\n") + "\n").unwrap();
        let mut command = self.debugfs.command();
        let output = command
            .arg("-f")
            .arg(script)
            .arg(self.file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        // Each request is shown before its answer.
        let mut answers: Vec<Vec<u8>> = Vec::new();
        for line in output.stdout.split_inclusive(|byte| *byte == b'\n') {
            if line.starts_with(b"debugfs: ") {
                answers.push(Vec::new());
            } else if let Some(answer) = answers.last_mut() {
                answer.extend_from_slice(line);
            }
        }
        assert_eq!(answers.len(), requests.len(), "{}", text(&output));
        answers
    }

    /// Every path and its inode, a level of directories at a time.
    fn paths(&self) -> BTreeMap<Vec<u8>, u64> {
        let mut paths = BTreeMap::from([(Vec::new(), ROOT)]);
        let mut level = vec![(Vec::new(), ROOT)];
        while !level.is_empty() {
            let requests: Vec<String> = level
                .iter()
                .map(|(_, inode)| format!("ls -p <{inode}>"))
                .collect();
            let answers = self.ask(&requests);
            let mut next = Vec::new();
            for ((folder, _), answer) in level.iter().zip(&answers) {
                for (name, inode, is_directory) in
                    answer.split(|byte| *byte == b'\n').filter_map(child)
                {
                    let mut path = folder.clone();
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend_from_slice(name);
                    if is_directory {
                        next.push((path.clone(), inode));
                    }
                    paths.insert(path, inode);
                }
            }
            level = next;
        }
        paths
    }

    fn inodes(&self, numbers: impl Iterator<Item = u64>) -> BTreeMap<u64, Entry> {
        let numbers: Vec<u64> = numbers.collect();
        let requests: Vec<String> = numbers
            .iter()
            .map(|inode| format!("stat <{inode}>"))
            .collect();
        let answers = self.ask(&requests);
        let shown = numbers.iter().zip(answers);
        shown
            .map(|(inode, answer)| (*inode, self.entry(*inode, &answer)))
            .collect()
    }

    fn entry(&self, inode: u64, shown: &[u8]) -> Entry {
        let words = String::from_utf8_lossy(shown);
        let number = |field: &str| after(&words, field).parse::<i64>().unwrap();
        // Printed as if they had a sign.
        let id = |field: &str| u32::try_from(number(field).rem_euclid(1 << 32)).unwrap();
        Entry {
            kind: self.kind(inode, shown, &words),
            mode: u32::from_str_radix(after(&words, "Mode:"), 8).unwrap(),
            owner: (id("User:"), id("Group:")),
            modified: time(after(&words, "mtime:")),
            attributes: self.attributes(inode, &words),
            first: Vec::new(),
            links: u64::try_from(number("Links:")).unwrap(),
        }
    }

    fn kind(&self, inode: u64, shown: &[u8], words: &str) -> Kind {
        match after(words, "Type:") {
            "directory" => Kind::Directory,
            "regular" => {
                let (size, sha256) = digest(&self.dumped(inode)).unwrap();
                Kind::File { size, sha256 }
            }
            "symlink" => Kind::Symlink(match fast_target(shown) {
                Some(target) => target,
                None => fs::read(self.dumped(inode)).unwrap(),
            }),
            "character" => {
                let (major, minor) = device(words);
                Kind::Character(major, minor)
            }
            "block" => {
                let (major, minor) = device(words);
                Kind::Block(major, minor)
            }
            "FIFO" => Kind::Fifo,
            "socket" => Kind::Socket,
            other => panic!("inode {inode} is a {other}"),
        }
    }

    fn attributes(&self, inode: u64, words: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let names = words
            .lines()
            .skip_while(|line| *line != "Extended attributes:")
            .skip(1)
            .map_while(|line| line.strip_prefix("  ")?.split_once(" ("));
        names
            .map(|(name, _)| {
                let out = self.scratch.join("out");
                self.ask(&[format!("ea_get -f {} <{inode}> {name}", out.display())]);
                let mut value = fs::read(out).unwrap();
                if name.starts_with("system.posix_acl_") {
                    clear_unused_ids(&mut value);
                }
                (name.into(), value)
            })
            .collect()
    }

    /// A copy of an inode's content.
    fn dumped(&self, inode: u64) -> PathBuf {
        let out = self.scratch.join("out");
        self.ask(&[format!("dump <{inode}> {}", out.display())]);
        out
    }
}

/// Of `/12/100644/0/0/name/10/`: the name, the inode and whether it is a directory; none for `.`, `..` and unused entries.
fn child(line: &[u8]) -> Option<(&[u8], u64, bool)> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b'/').collect();
    let [_, inode, mode, _, _, name, ..] = fields[..] else {
        return None;
    };
    let inode = std::str::from_utf8(inode).ok()?.parse().ok()?;
    let is_directory = mode.starts_with(b"04");
    let is_child = inode != 0 && name != b"." && name != b"..";
    is_child.then_some((name, inode, is_directory))
}

/// The word after `field`.
fn after<'a>(words: &'a str, field: &str) -> &'a str {
    let (_, rest) = words
        .split_once(field)
        .unwrap_or_else(|| panic!("no {field} in\n{words}"));
    rest.split_whitespace().next().unwrap_or_default()
}

/// Of the two fields of an inode in hexadecimal digits: seconds, and then two more bits of seconds below the nanoseconds.
fn time(fields: &str) -> (i64, i64) {
    let (seconds, extra) = fields.trim_start_matches("0x").split_once(':').unwrap();
    let low = i64::from(u32::from_str_radix(seconds, 16).unwrap().cast_signed());
    let extra = i64::from(u32::from_str_radix(extra, 16).unwrap());
    (low + ((extra & 3) << 32), extra >> 2)
}

fn device(words: &str) -> (u32, u32) {
    let numbers = after(words, "Device major/minor number:");
    let (major, minor) = numbers.split_once(':').unwrap();
    (major.parse().unwrap(), minor.parse().unwrap())
}

/// The target of a symbolic link that stands in the inode.
fn fast_target(shown: &[u8]) -> Option<Vec<u8>> {
    let line = shown
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"Fast link dest: \""))?;
    let target = line.strip_suffix(b"\"").unwrap();
    Some(target.to_vec())
}

/// Entries of an access control list that are of nobody in particular have no id: the kernel gives them the highest, and
/// debugfs 0 (linux/posix_acl_xattr.h).
fn clear_unused_ids(list: &mut [u8]) {
    const USER: u16 = 2;
    const GROUP: u16 = 8;
    for entry in list[4..].chunks_exact_mut(8) {
        let tag = u16::from_le_bytes([entry[0], entry[1]]);
        if tag != USER && tag != GROUP {
            entry[4..].fill(0xff);
        }
    }
}
