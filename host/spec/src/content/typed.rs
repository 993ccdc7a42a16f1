//! A source as typed on the command line: its text, and what a look at its path adds.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::value::{
    ValueError, parse_destination, parse_hard_links, parse_mode, parse_owner, parse_part,
    parse_platform, parse_times,
};
use cellblock_text::nearest;
use cellblock_tree::recognise::{Class, HEAD, is_named_as_archive, is_named_as_cpio, recognise};
use cellblock_tree::source::{Disk, Dump, Image, ImagePlatform, Source, What, looks_like_image};

/// A source as typed on the command line, before anybody has looked what its path is.
///
/// `[directory:|archive:|oci:|composefs:|image:|file:]PATH[,to=/x][,owner=0:0][,mode=0644][,exclude=GLOB]...[,times=keep][,from=DIR][,strip=N]`
/// `[,follow=true][,hard-links=break][,metadata=FILE][,basedir=DIR][,reference=NAME][,platform=OS/ARCH][,overlay-whiteouts=true][,partition=NAME]`, of an image also `image:PATH:NAME`. A comma starts an option only before a lowercase word and `=`, so that a path may hold commas; a path or
/// value in double quotes may hold anything, with `\\` before a quote or a backslash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedContent {
    prefix: Option<Prefix>,
    /// What is typed of the source; its content is [`TypedContent::path`], whatever that is.
    source: Source,
    path: PathBuf,
    /// What is typed of an image.
    of_image: OfImage,
    /// The folder of a dumpfile's objects.
    basedir: Option<PathBuf>,
    /// The partition of a disk image.
    partition: Option<String>,
}

/// What is typed of a container image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfImage {
    reference: Option<String>,
    platform: Option<ImagePlatform>,
    overlay_whiteouts: Option<bool>,
}

impl OfImage {
    /// The first option that was typed.
    fn first(&self) -> Option<&'static str> {
        let typed = [
            ("reference", self.reference.is_some()),
            ("platform", self.platform.is_some()),
            ("overlay-whiteouts", self.overlay_whiteouts.is_some()),
        ];
        let first = typed.iter().find(|(_, is_typed)| *is_typed);
        first.map(|(name, _)| *name)
    }

    fn image(self, path: PathBuf) -> Image {
        Image {
            reference: self.reference,
            platform: self.platform,
            overlay_whiteouts: self.overlay_whiteouts.unwrap_or(false),
            ..Image::new(path)
        }
    }
}

/// Why what is typed cannot be taken as a source.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// It cannot be opened.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Nothing tells what comes through standard input.
    #[error(
        "is standard input, and nothing tells what comes: type archive:-, oci:- or composefs:-, or ./- for a file of that name"
    )]
    StandardInput,
    /// It is something that content could come from, and is not read.
    #[error(
        "is {name}, from which no content is read; to put it in as it is, type file: before its path"
    )]
    NotRead {
        /// What it is, with its article.
        name: &'static str,
    },
    /// The folder of objects was typed for something else than a dumpfile.
    #[error(
        "is no composefs dumpfile, and `basedir` is where objects of one are: leave it out, or type composefs: before the path"
    )]
    NotADump,
    /// An option of what has many files was typed for a single one.
    #[error(
        "is a single file, and `{option}` is of a directory, an archive or an image: leave it out"
    )]
    SingleFile {
        /// The option.
        option: &'static str,
    },
    /// It is a file system, or a disk that is read.
    #[error(
        "is {name}: to take what is in it, type image: before its path; to put it in as it is, file:"
    )]
    Filesystem {
        /// What it is, with its article.
        name: &'static str,
    },
    /// The option of disk images was typed for something else.
    #[error("`partition` is one of a disk image: leave it out, or type image: before the path")]
    NotADisk,
    /// An option of images was typed for something else.
    #[error(
        "is no container image, and `{option}` chooses among those: leave it out, or type oci: before the path"
    )]
    NotAnImage {
        /// The option.
        option: &'static str,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    Directory,
    Archive,
    Image,
    Composefs,
    Disk,
    File,
}

impl Prefix {
    const ALL: [(&str, Self); 6] = [
        ("directory:", Self::Directory),
        ("archive:", Self::Archive),
        ("oci:", Self::Image),
        ("composefs:", Self::Composefs),
        ("image:", Self::Disk),
        ("file:", Self::File),
    ];
}

impl TypedContent {
    const OPTIONS: [&str; 15] = [
        "to",
        "owner",
        "mode",
        "exclude",
        "times",
        "from",
        "strip",
        "follow",
        "hard-links",
        "metadata",
        "basedir",
        "reference",
        "platform",
        "overlay-whiteouts",
        "partition",
    ];

    /// Reads a source as typed.
    ///
    /// # Errors
    /// When there is no path, or an option or its value cannot be understood.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let (prefix, typed) = Prefix::ALL
            .iter()
            .find_map(|(name, prefix)| Some((Some(*prefix), text.strip_prefix(name)?)))
            .unwrap_or((None, text));
        let (path, mut rest) = piece(typed)?;
        if path.is_empty() {
            return Err(ValueError::NoPath {
                text: text.to_owned(),
            });
        }
        let path = PathBuf::from(path);
        let mut source = Source::new(What::File(path.clone()));
        let mut of_image = OfImage::default();
        let mut basedir = None;
        let mut partition = None;
        while let Some((name, value)) = rest.strip_prefix(',').and_then(option) {
            let (value, after) = piece(value)?;
            match name {
                "basedir" => basedir = Some(PathBuf::from(value)),
                "partition" => partition = Some(value),
                _ => set(&mut source, &mut of_image, name, &value)?,
            }
            rest = after;
        }
        Ok(Self {
            prefix,
            source,
            path,
            of_image,
            basedir,
            partition,
        })
    }

    /// The path as typed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks what the path is, unless a prefix says it: a directory; a tar, known by its magic or its name (`.tar`,
    /// `.tar.gz`, `.tgz`, `.tar.zst`…); a container image, known by the names in it; any other file is content as it is, if it is nothing that content could come from.
    ///
    /// # Errors
    /// When the path cannot be opened, or is an archive, a file system or a disk that is not read.
    pub fn look(self) -> Result<Source, LookError> {
        let path = self.path;
        if self.partition.is_some() && self.prefix != Some(Prefix::Disk) {
            return Err(LookError::NotADisk);
        }
        let what = match self.prefix {
            Some(Prefix::Disk) => What::Disk(disk(path, self.partition)),
            Some(Prefix::Directory) => What::Directory(path),
            Some(Prefix::Archive) => What::Archive(path),
            Some(Prefix::Image) => What::Image(self.of_image.clone().image(path)),
            Some(Prefix::Composefs) => What::Composefs(Dump {
                file: path,
                basedir: self.basedir.clone(),
            }),
            Some(Prefix::File) => What::File(path),
            None if path == Path::new("-") => return Err(LookError::StandardInput),
            None => match guess(path)? {
                What::Directory(path) | What::Archive(path) if looks_like_image(&path) => {
                    What::Image(Image {
                        recognised: true,
                        ..self.of_image.clone().image(path)
                    })
                }
                other => other,
            },
        };
        if let Some(option) = self.of_image.first()
            && !matches!(what, What::Image(_))
        {
            return Err(LookError::NotAnImage { option });
        }
        if self.basedir.is_some() && !matches!(what, What::Composefs(_)) {
            return Err(LookError::NotADump);
        }
        if matches!(what, What::File(_)) && self.source.metadata.is_some() {
            let option = "metadata";
            return Err(LookError::SingleFile { option });
        }
        Ok(Source {
            what,
            ..self.source
        })
    }
}

/// An option's name and what follows its `=`, if a text begins with one: a lowercase word.
fn option(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let is_word = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    // In `mode=u=rwX,go=rX` the second clause is no option.
    let is_whom = name.bytes().all(|byte| b"ugoa".contains(&byte));
    (is_word && !is_whom).then_some((name, value))
}

/// The path or value that a text begins with, without its quotes, and what follows it: nothing, or a comma and an option.
fn piece(text: &str) -> Result<(String, &str), ValueError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let mut commas = text.match_indices(',');
        let end = commas.find(|(comma, _)| option(&text[comma + 1..]).is_some());
        let end = end.map_or(text.len(), |(comma, _)| comma);
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let open = || ValueError::OpenQuote {
        text: text.to_owned(),
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    loop {
        match characters.next().ok_or_else(open)? {
            (_, '\\') => value.push(characters.next().ok_or_else(open)?.1),
            (end, '"') => {
                let rest = &quoted[end + 1..];
                let is_option = rest.strip_prefix(',').and_then(option).is_some();
                return if rest.is_empty() || is_option {
                    Ok((value, rest))
                } else {
                    Err(open())
                };
            }
            (_, character) => value.push(character),
        }
    }
}

fn set(
    source: &mut Source,
    of_image: &mut OfImage,
    name: &str,
    value: &str,
) -> Result<(), ValueError> {
    let flag = |value: &str| {
        let flag = value.parse();
        flag.map_err(|_| ValueError::NotABoolean {
            text: value.to_owned(),
        })
    };
    let text = || value.to_owned();
    match name {
        "to" => source.to = Some(parse_destination(value)?),
        "owner" => source.owner = Some(parse_owner(value)?),
        "mode" => source.mode = Some(parse_mode(value)?),
        "exclude" => source.exclude.push(text()),
        "times" => source.times = parse_times(value)?,
        "from" => source.from = Some(parse_part(value)?),
        "strip" => {
            let count: Result<u16, _> = value.parse();
            source.strip = count
                .map_err(|_| ValueError::NotACount { text: text() })?
                .into();
        }
        "follow" => source.follow = flag(value)?,
        "reference" => of_image.reference = Some(text()),
        "platform" => of_image.platform = Some(parse_platform(value)?),
        "overlay-whiteouts" => of_image.overlay_whiteouts = Some(flag(value)?),
        "metadata" => source.metadata = Some(value.into()),
        "hard-links" => source.hard_links = parse_hard_links(value)?,
        _ => {
            return Err(ValueError::UnknownContentOption {
                name: name.to_owned(),
                nearest: nearest(name, TypedContent::OPTIONS),
                known: &TypedContent::OPTIONS,
            });
        }
    }
    Ok(())
}

/// A disk image: the longest beginning that is a file, and its partition behind a colon.
fn disk(path: PathBuf, partition: Option<String>) -> Disk {
    let whole = Disk { path, partition };
    if whole.partition.is_some() || whole.path.exists() {
        return whole;
    }
    let Some(text) = whole.path.to_str() else {
        return whole;
    };
    let mut colons = text.rmatch_indices(':').map(|(at, _)| at);
    match colons.find(|at| Path::new(&text[..*at]).exists()) {
        Some(at) if at + 1 < text.len() => Disk {
            path: PathBuf::from(&text[..at]),
            partition: Some(text[at + 1..].to_owned()),
        },
        _ => whole,
    }
}

/// What is at a path.
fn guess(path: PathBuf) -> Result<What, LookError> {
    let metadata = fs::metadata(&path)?;
    if metadata.is_dir() {
        return Ok(What::Directory(path));
    }
    // What is neither is refused when it is read; looking into it might wait, or take what is in it.
    if !metadata.is_file() {
        return Ok(What::File(path));
    }
    let mut head = Vec::new();
    let most = u64::try_from(HEAD).expect("a small number");
    File::open(&path)?.take(most).read_to_end(&mut head)?;
    let name = path.to_string_lossy().to_ascii_lowercase();
    let has_ending = is_named_as_archive(&path);
    let Some(format) = recognise(&head) else {
        // Empty, or without the mark of POSIX: reading it tells.
        return Ok(if has_ending {
            What::Archive(path)
        } else {
            What::File(path)
        });
    };
    match format.class {
        Class::Tar => Ok(What::Archive(path)),
        Class::Compressed(_) if has_ending => Ok(What::Archive(path)),
        Class::OtherCompression if name.contains(".tar") => {
            Err(LookError::NotRead { name: format.name })
        }
        Class::Compressed(_) | Class::OtherCompression if is_named_as_cpio(&path) => {
            Err(LookError::NotRead {
                name: "a compressed cpio archive by its name",
            })
        }
        // Compressed files are content: kernels, initrds, manual pages.
        Class::Compressed(_) | Class::OtherCompression | Class::Other => Ok(What::File(path)),
        Class::Filesystem | Class::ReadDiskImage => {
            Err(LookError::Filesystem { name: format.name })
        }
        Class::Archive | Class::DiskImage => Err(LookError::NotRead { name: format.name }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use cellblock_tree::source::{HardLinks, ModeRule, Times};

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
            "a,times=later",
            "a,from=../b",
            "a,from=/",
            "a,strip=-1",
            "a,follow=yes",
            "a,hard-links=yes",
            "a,exlcude=x",
            "a,colour=x",
            "\"a",
            "\"a\"b",
            "\"a\",b",
        ] {
            assert!(TypedContent::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_unknown_option_is_named_with_the_one_that_is_meant() {
        let message = TypedContent::parse("a.tar,exlcude=x")
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with(
                "`exlcude` is no option of content: did you mean `exclude`?; the options are `to`"
            ),
            "{message}"
        );
    }

    #[test]
    fn clauses_of_a_mode_are_no_options() {
        let content = TypedContent::parse("file:a,mode=u=rwX,go=,to=/x").unwrap();
        let source = content.look().unwrap();
        assert_eq!(source.mode.unwrap().to_string(), "u=rwX,go=");
        assert_eq!(source.to, Some(b"/x".to_vec()));
    }

    #[test]
    fn what_is_quoted_may_hold_options() {
        let content = TypedContent::parse(r#"archive:"a,to=b\\c\"d",to="/x,mode=y",exclude="*,to=z",strip=2,from=r,follow=true,times=keep,hard-links=break"#).unwrap();
        assert_eq!(content.path(), Path::new("a,to=b\\c\"d"));
        let source = content.look().unwrap();
        assert_eq!(source.what, What::Archive("a,to=b\\c\"d".into()));
        assert_eq!(source.to, Some(b"/x,mode=y".to_vec()));
        assert_eq!(source.exclude, ["*,to=z"]);
        assert_eq!(
            (source.strip, source.from, source.follow),
            (2, Some(b"r".to_vec()), true)
        );
        assert_eq!(source.times, Times::Keep);
        assert_eq!(source.hard_links, HardLinks::Break);
        // Commas without an option behind them need no quotes.
        let content = TypedContent::parse("a,b,C=d,e f=g,to=/x").unwrap();
        assert_eq!(content.path(), Path::new("a,b,C=d,e f=g"));
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
        fs::write(directory.join("initrd.img"), b"\x1f\x8b").unwrap();
        assert_eq!(
            look("initrd.img").unwrap(),
            What::File(directory.join("initrd.img"))
        );
        for (name, bytes) in [
            ("empty.tar", &b""[..]),
            ("zeros.tar", &[0; 1024]),
            ("root.tar.bz2", b"BZh91AY&SY"),
            ("root.tar.lz4", &[0x04, 0x22, 0x4d, 0x18]),
        ] {
            fs::write(directory.join(name), bytes).unwrap();
            assert_eq!(look(name).unwrap(), What::Archive(directory.join(name)));
        }
        for (name, bytes, what) in [
            ("r.zip", &b"PK\x03\x04"[..], "a zip archive"),
            ("r.7z", b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
            ("r.rar", b"Rar!\x1a\x07\x01\0", "a rar archive"),
            ("r.cpio", b"070701", "a cpio archive"),
            ("r.tar.lz", b"LZIP", "compressed with lzip"),
            (
                "r.cpio.gz",
                b"\x1f\x8b",
                "a compressed cpio archive by its name",
            ),
            (
                "r.NEWC.lz",
                b"LZIP",
                "a compressed cpio archive by its name",
            ),
        ] {
            fs::write(directory.join(name), bytes).unwrap();
            let message = look(name).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("is {what}, ")) && message.contains("file:"),
                "{message}"
            );
            let path = directory.join(name);
            let as_it_is = TypedContent::parse(&format!("file:{}", path.display()));
            assert_eq!(as_it_is.unwrap().look().unwrap().what, What::File(path));
        }
        let image = directory.join("r");
        for (bytes, name) in [
            (&b"QFI\xfb"[..], "a qcow2 image"),
            (b"hsqs", "a squashfs file system"),
        ] {
            fs::write(&image, bytes).unwrap();
            let message = look("r").unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("is {name}: ")) && message.contains("image:"),
                "{message}"
            );
        }
        for (typed, partition) in [
            ("", None),
            (":root", Some("root")),
            (",partition=2", Some("2")),
        ] {
            let typed = format!("image:{}{typed}", image.display());
            let disk = Disk {
                path: image.clone(),
                partition: partition.map(str::to_owned),
            };
            let looked = TypedContent::parse(&typed).unwrap().look().unwrap();
            assert_eq!(looked.what, What::Disk(disk), "{typed}");
        }
        let typed = format!("file:{},partition=2", image.display());
        let refused = TypedContent::parse(&typed).unwrap().look();
        assert!(matches!(refused, Err(LookError::NotADisk)));
        fs::remove_dir_all(&directory).unwrap();
    }
}
