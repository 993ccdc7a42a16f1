//! What an image becomes, as typed: `PATH,KEY=VALUE`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use super::{ArgumentError, ImagePlace, ReadBy, Run, sector_size};
use crate::completion;
use cellblock_build::image::formats::described;
use cellblock_build::image::{FormatError, OutputFormat};
use cellblock_build::spec::value::parse_platform;
use cellblock_build::table::SectorSize;
use cellblock_build::tree::source::ImagePlatform;
use cellblock_build::{Output, Target};

/// The key behind an output that names its format.
const FORMAT: &str = "format";

/// One output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypedOutput {
    /// The file; `-` is standard output.
    pub path: PathBuf,
    /// What is said behind it.
    options: Vec<(String, String)>,
}

impl TypedOutput {
    /// Takes options off the end: what stands behind a comma and is a word and an equals sign. In double quotes nothing is one.
    fn parse(typed: OsString) -> Self {
        let mut options = Vec::new();
        // A name that is no text says nothing of its format either.
        let Some(mut rest) = typed.to_str() else {
            return Self {
                path: PathBuf::from(typed),
                options,
            };
        };
        while unquoted(rest).is_none()
            && let Some((before, last)) = rest.rsplit_once(',')
            && let Some((key, value)) = last.split_once('=')
            && !key.is_empty()
            && key.bytes().all(|it| it.is_ascii_lowercase() || it == b'_')
        {
            options.insert(0, (key.to_owned(), value.to_owned()));
            rest = before;
        }
        Self {
            path: PathBuf::from(unquoted(rest).unwrap_or(rest)),
            options,
        }
    }

    /// What it becomes at `path`, in the `format` that another option names, or that it names itself, or that its suffix does.
    pub(super) fn at(&self, path: &Path, format: Option<&str>) -> Result<Target, ArgumentError> {
        let failed = |source: FormatError| ArgumentError::Format {
            output: path.to_owned(),
            source,
        };
        let (named, options): (Vec<_>, Vec<_>) = self
            .options
            .iter()
            .cloned()
            .partition(|(key, _)| key == FORMAT);
        let own = match &named[..] {
            [] => None,
            [(_, format)] => Some(format.as_str()),
            _ => {
                return Err(failed(FormatError::Twice {
                    key: FORMAT.to_owned(),
                }));
            }
        };
        let output = Output::parse(path);
        if output.is_terminal() {
            return Err(ArgumentError::Terminal);
        }
        let format = OutputFormat::choose(own.or(format), path, &options).map_err(failed)?;
        Ok(Target { output, format })
    }
}

/// What stands between double quotes that all of it is in.
fn unquoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

/// How outputs are parsed.
pub(super) fn typed_output() -> impl TypedValueParser<Value = TypedOutput> {
    OsStringValueParser::new().map(TypedOutput::parse)
}

/// Refuses a format that is said for several outputs.
pub(super) fn check(targets: &[Target], format: Option<&str>) -> Result<(), ArgumentError> {
    if targets.len() > 1
        && let Some(format) = format
    {
        return Err(ArgumentError::FormatOfSeveral {
            format: format.to_owned(),
        });
    }
    Ok(())
}

/// The formats and what may be said of them, for help.
pub(super) fn formats() -> String {
    let one = |(name, _, options): (&str, &str, &[(&str, &str)])| {
        let keys: Vec<&str> = options.iter().map(|(key, _)| *key).collect();
        if keys.is_empty() {
            name.to_owned()
        } else {
            format!("{name} ({})", keys.join(", "))
        }
    };
    let formats: Vec<String> = described().map(one).collect();
    format!(
        "Formats, and their options, which follow the file as ,KEY=VALUE, in qemu-img's words: {}.\n",
        formats.join("; ")
    )
}

/// The command `export`.
#[derive(Debug, Args)]
#[command(after_help = format!("\
{}
With a name that ends in .tar, or a directory, what is in a partition is exported: disk.img:root, or a file system alone. A tar is in \
the pax format, with owners, times, extended attributes, hard links and holes, in the order of paths. A directory, whose name ends in / \
or which is there and empty, becomes an OCI image layout with one layer; with --base it has two, the base and what differs from it, with \
whiteouts. Both are the same bytes for the same tree.

Examples:
  cellblock export disk.img -o disk.qcow2,compression_type=zstd
  cellblock export disk.img -o disk.vhd -o disk.vmdk
  cellblock export disk.img -o - --output-format raw.zst | ssh HOST ...
  cellblock export disk.img:root -o root.tar
  cellblock export new.img:root --base old.img:root -o layout/", formats()))]
pub struct Export {
    /// The image: a disk (raw, qcow2, VMDK or VHD), or a file system alone; for a tar or an OCI image its partition too, as for `ls`
    #[arg(value_name = "IMAGE")]
    pub image: ImagePlace,
    /// The file to write, in the format of its suffix, followed by `,KEY=VALUE` options as listed below, and `,format=NAME`
    /// if the suffix does not tell; `-` is standard output; repeatable. Existing files are replaced once all are
    /// complete
    #[arg(short, long, value_name = "FILE", required = true, value_parser = typed_output())]
    output: Vec<TypedOutput>,
    /// The format of the only output, regardless of its suffix
    #[arg(long, value_name = "FORMAT", add = ArgValueCandidates::new(formats_and_trees))]
    output_format: Option<String>,
    /// Make the first layer of an OCI image from this partition, and the second from what differs
    #[arg(long, value_name = "PLACE")]
    pub base: Option<ImagePlace>,
    /// The platform of an OCI image, such as linux/arm64; without it, linux and the architecture of its programs
    #[arg(long, value_name = "OS/ARCHITECTURE", value_parser = parse_platform)]
    pub platform: Option<ImagePlatform>,
    /// Bytes in a sector of the disk, 512 or 4096. A GPT says it itself; an MBR does not, and is taken to count in 512
    #[arg(long, value_name = "BYTES", value_parser = sector_size)]
    sector_size: Option<SectorSize>,
    /// What it has in common with commands that make file systems.
    #[command(flatten)]
    pub run: Run,
}

/// What a tree becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeForm {
    /// A tar archive.
    Tar,
    /// An OCI image layout.
    Oci,
}

impl TreeForm {
    /// All, by their names, with what they are.
    pub const ALL: [(&str, Self, &str); 2] = [
        ("tar", Self::Tar, "what is in a partition, as a tar archive"),
        (
            "oci",
            Self::Oci,
            "what is in a partition, as an OCI image layout",
        ),
    ];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::Oci => "oci",
        }
    }
}

/// What an image that exists becomes: a format, or what a tree becomes.
fn formats_and_trees() -> Vec<CompletionCandidate> {
    let trees = TreeForm::ALL
        .map(|(name, _, about)| CompletionCandidate::new(name).help(Some(about.into())));
    completion::formats().into_iter().chain(trees).collect()
}

/// Where a tree goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeOutput {
    /// The file, or the folder.
    pub output: Output,
    /// What it becomes.
    pub form: TreeForm,
}

impl TypedOutput {
    /// What a tree becomes there, if it says that, or what is typed of all.
    fn tree_form(&self, format: Option<&str>) -> Option<TreeForm> {
        let own = self.options.iter().find(|(key, _)| key == FORMAT);
        if let Some(named) = own.map(|(_, format)| format.as_str()).or(format) {
            let mut all = TreeForm::ALL.iter();
            return all
                .find(|(name, ..)| *name == named)
                .map(|(_, form, _)| *form);
        }
        if is_written_as_folder(&self.path) || self.path.is_dir() {
            return Some(TreeForm::Oci);
        }
        let suffix = self.path.extension()?;
        suffix.eq_ignore_ascii_case("tar").then_some(TreeForm::Tar)
    }
}

impl Export {
    /// By what a partition is read.
    #[must_use]
    pub fn by(&self) -> ReadBy {
        ReadBy {
            readers: self.run.readers.clone(),
            sector_size: self.sector_size,
        }
    }

    /// Whether standard output takes it.
    pub(super) fn goes_to_stdout(&self) -> bool {
        self.output.iter().any(|it| it.path == Path::new("-"))
    }

    /// What the image becomes.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn targets(&self) -> Result<Vec<Target>, ArgumentError> {
        targets(&self.output, self.output_format.as_deref())
    }

    /// Where the tree of a partition goes; nothing if the whole image is exported.
    ///
    /// # Errors
    /// When both are asked for, or what only belongs to one of them.
    pub fn trees(&self) -> Result<Option<Vec<TreeOutput>>, ArgumentError> {
        let format = self.output_format.as_deref();
        let mut trees = Vec::new();
        for typed in &self.output {
            let Some(form) = typed.tree_form(format) else {
                continue;
            };
            let path = typed.path.clone();
            let output = Output::parse(&path);
            if let Some((key, _)) = typed.options.iter().find(|(key, _)| key != FORMAT) {
                let key = key.clone();
                return Err(ArgumentError::TreeOption { output: path, key });
            }
            if output == Output::Stdout && (form == TreeForm::Oci || self.output.len() > 1) {
                return Err(ArgumentError::TreeToStdout);
            }
            if output.is_terminal() {
                return Err(ArgumentError::Terminal);
            }
            trees.push(TreeOutput { output, form });
        }
        let is_oci = trees.iter().any(|tree| tree.form == TreeForm::Oci);
        let of_oci = [
            ("--base", self.base.is_some()),
            ("--platform", self.platform.is_some()),
        ];
        if let Some((option, _)) = of_oci.iter().find(|(_, is_typed)| *is_typed && !is_oci) {
            return Err(ArgumentError::OnlyOfLayouts { option });
        }
        if trees.is_empty() {
            return match self.by().is_typed() {
                true => Err(ArgumentError::OnlyOfTrees),
                false => Ok(None),
            };
        }
        if trees.len() < self.output.len() {
            return Err(ArgumentError::DisksAndTrees);
        }
        if trees.len() > 1
            && let Some(format) = format
        {
            let format = format.to_owned();
            return Err(ArgumentError::FormatOfSeveral { format });
        }
        Ok(Some(trees))
    }

    /// The image, of which no part is chosen.
    ///
    /// # Errors
    /// When one is.
    pub fn whole_image(&self) -> Result<&Path, ArgumentError> {
        if self.image.partition.is_some() || self.image.path.is_some() {
            return Err(ArgumentError::PartOfDisk {
                image: self.image.image.clone(),
            });
        }
        Ok(&self.image.image)
    }
}

/// The files that are typed, each with its format.
pub(super) fn targets(
    outputs: &[TypedOutput],
    format: Option<&str>,
) -> Result<Vec<Target>, ArgumentError> {
    let at = |output: &TypedOutput| output.at(&output.path, format);
    let targets: Vec<Target> = outputs.iter().map(at).collect::<Result<_, _>>()?;
    check(&targets, format)?;
    Ok(targets)
}

/// Whether a path is written as that of a directory.
pub(super) fn is_written_as_folder(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/")
}
