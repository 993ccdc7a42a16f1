//! What goes into a file system, and how the command line's `--content` says it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::value::{ValueError, parse_destination, parse_mode, parse_owner};
use cellblock_tree::source::{ModeRule, Source, What};

/// Something that goes into a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// As it is.
    Source(Source),
    /// With placeholders filled in.
    Template(Template),
}

impl From<Source> for Content {
    fn from(source: Source) -> Self {
        Self::Source(source)
    }
}

/// A text with placeholders, which becomes a file: root's and of mode 0644 where nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The text.
    pub file: PathBuf,
    /// The path of the file that it becomes.
    pub to: Vec<u8>,
    /// The owner, if another one is to have it.
    pub owner: Option<(u32, u32)>,
    /// The mode, if it is to have another one.
    pub mode: Option<ModeRule>,
}

/// What becomes one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SingleFile {
    /// A file of the host.
    Host(PathBuf),
    /// These bytes.
    Text(Vec<u8>),
    /// A text with placeholders.
    Template(PathBuf),
}

impl SingleFile {
    /// The file as content. A text and a template need a path that they go `to`.
    #[must_use]
    pub fn content(
        self,
        to: Option<Vec<u8>>,
        owner: Option<(u32, u32)>,
        mode: Option<ModeRule>,
    ) -> Content {
        let what = match self {
            Self::Host(path) => What::File(path),
            Self::Text(bytes) => What::Bytes(bytes),
            Self::Template(file) => {
                return Content::Template(Template {
                    file,
                    to: to.unwrap_or_default(),
                    owner,
                    mode,
                });
            }
        };
        Content::Source(Source {
            to,
            owner,
            mode,
            ..Source::new(what)
        })
    }
}

/// A source as typed on the command line, before anybody has looked what its path is.
///
/// `[directory:|archive:|file:]PATH[,to=/x][,owner=0:0][,mode=0644][,exclude=GLOB]...`. A comma starts an
/// option only before one of these four names, so that a path may hold commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedContent {
    prefix: Option<Prefix>,
    path: PathBuf,
    to: Option<Vec<u8>>,
    owner: Option<(u32, u32)>,
    mode: Option<ModeRule>,
    exclude: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    Directory,
    Archive,
    File,
}

impl Prefix {
    const ALL: [(&str, Self); 3] = [
        ("directory:", Self::Directory),
        ("archive:", Self::Archive),
        ("file:", Self::File),
    ];
}

impl TypedContent {
    const OPTIONS: [&str; 4] = ["to=", "owner=", "mode=", "exclude="];

    /// Reads a source as typed.
    ///
    /// # Errors
    /// When there is no path, or an option's value cannot be understood.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let mut parts = split_options(text, &Self::OPTIONS).into_iter();
        let typed = parts.next().unwrap_or_default();
        let (prefix, path) = Prefix::ALL
            .iter()
            .find_map(|(name, prefix)| Some((Some(*prefix), typed.strip_prefix(name)?)))
            .unwrap_or((None, typed));
        if path.is_empty() {
            return Err(ValueError::NoPath {
                text: text.to_owned(),
            });
        }
        let path = PathBuf::from(path);
        let mut content = Self {
            prefix,
            path,
            to: None,
            owner: None,
            mode: None,
            exclude: Vec::new(),
        };
        for part in parts {
            content.set(part)?;
        }
        Ok(content)
    }

    fn set(&mut self, option: &str) -> Result<(), ValueError> {
        match option.split_once('=') {
            Some(("to", value)) => self.to = Some(parse_destination(value)?),
            Some(("owner", value)) => self.owner = Some(parse_owner(value)?),
            Some(("mode", value)) => self.mode = Some(parse_mode(value)?),
            Some((_, value)) => self.exclude.push(value.to_owned()),
            None => {}
        }
        Ok(())
    }

    /// The path as typed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks what the path is, unless a prefix says it: a directory; a tar, known by its magic or, when it is
    /// compressed, by its name (`.tar.gz`, `.tgz`, `.tar.zst`, `.tar.xz`…); any other file is content as it is.
    ///
    /// # Errors
    /// When the path cannot be opened.
    pub fn look(self) -> io::Result<Source> {
        let path = self.path;
        let what = match self.prefix {
            Some(Prefix::Directory) => What::Directory(path),
            Some(Prefix::Archive) => What::Archive(path),
            Some(Prefix::File) => What::File(path),
            None if fs::metadata(&path)?.is_dir() => What::Directory(path),
            None if is_archive(&path)? => What::Archive(path),
            None => What::File(path),
        };
        let Self {
            to,
            owner,
            mode,
            exclude,
            ..
        } = self;
        Ok(Source {
            to,
            owner,
            mode,
            exclude,
            ..Source::new(what)
        })
    }
}

/// Splits at the commas that stand before one of `options`.
fn split_options<'a>(text: &'a str, options: &[&str]) -> Vec<&'a str> {
    let mut starts = vec![0];
    for (comma, _) in text.match_indices(',') {
        if options
            .iter()
            .any(|option| text[comma + 1..].starts_with(option))
        {
            starts.push(comma + 1);
        }
    }
    let ends = starts
        .iter()
        .skip(1)
        .map(|start| start - 1)
        .chain([text.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| &text[*start..end])
        .collect()
}

/// Whether a file is a tar: by the magic of its first header, or by the magic of a compression and its name.
fn is_archive(path: &Path) -> io::Result<bool> {
    /// Offset of `ustar` in a header (POSIX.1-2017, pax, "ustar Interchange Format").
    const MAGIC_OFFSET: usize = 257;
    const MAGIC: &[u8] = b"ustar";
    const COMPRESSIONS: [&[u8]; 3] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd], b"\xfd7zXZ\0"];
    const NAMES: [&str; 6] = [".tar.gz", ".tgz", ".tar.zst", ".tzst", ".tar.xz", ".txz"];

    let mut start = Vec::new();
    File::open(path)?.take(512).read_to_end(&mut start)?;
    let name = path.to_string_lossy().to_ascii_lowercase();
    let is_tar = start
        .get(MAGIC_OFFSET..)
        .is_some_and(|rest| rest.starts_with(MAGIC));
    let is_compressed = COMPRESSIONS.iter().any(|magic| start.starts_with(magic));
    Ok(is_tar || is_compressed && NAMES.iter().any(|ending| name.ends_with(ending)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn options_follow_the_path() {
        let content =
            TypedContent::parse("file:a,b,to=/etc/x,owner=1:2,mode=0600,exclude=*.o,exclude={a,b}")
                .unwrap();
        assert_eq!(content.path(), Path::new("a,b"));
        let looked = content.look().unwrap();
        assert_eq!(looked.what, What::File("a,b".into()));
        assert_eq!(looked.to, Some(b"/etc/x".to_vec()));
        assert_eq!(
            (looked.owner, looked.mode),
            (Some((1, 2)), Some(ModeRule::Octal(0o600)))
        );
        assert_eq!(looked.exclude, ["*.o", "{a,b}"]);
    }

    #[test]
    fn wrong_options_are_refused() {
        for text in [
            "",
            "file:",
            ",to=/x",
            "a,to=x",
            "a,owner=root:root",
            "a,mode=9",
        ] {
            assert!(TypedContent::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sources_are_told_apart_by_looking() {
        let directory = std::env::temp_dir().join(format!("cellblock-look-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        fs::write(directory.join("root"), &tar).unwrap();
        fs::write(directory.join("root.tar.gz"), [0x1f, 0x8b, 8]).unwrap();
        fs::write(directory.join("notes.gz"), [0x1f, 0x8b, 8]).unwrap();
        let look = |name: &str| {
            let path = directory.join(name);
            TypedContent::parse(path.to_str().unwrap())
                .unwrap()
                .look()
                .map(|content| content.what)
        };
        assert_eq!(look("").unwrap(), What::Directory(directory.join("")));
        assert_eq!(look("root").unwrap(), What::Archive(directory.join("root")));
        assert_eq!(
            look("root.tar.gz").unwrap(),
            What::Archive(directory.join("root.tar.gz"))
        );
        assert_eq!(
            look("notes.gz").unwrap(),
            What::File(directory.join("notes.gz"))
        );
        assert!(look("absent").is_err());
        fs::remove_dir_all(&directory).unwrap();
    }
}
