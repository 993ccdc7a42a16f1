//! The commands that a spec is given to: build and its like.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use cellblock_build::spec::project::Volume;
use cellblock_build::{Split, SplitPattern, Target};

use super::outputs::{self, is_written_as_folder, typed_output};
use super::{ArgumentError, Contents, Run, TypedOutput};
use crate::completion;

/// The spec that `build` looks for, and `init` writes.
pub const DEFAULT_SPEC: &str = "image.toml";

/// The command `build`.
#[derive(Debug, Args)]
#[command(after_help = "\
A spec may say, for a disk with one ext4 file system made from the directory rootfs:

  [[partition]]
  name = \"root\"
  type = \"linux-generic\"
  size = \"minimum + 20%\"
  filesystem = \"ext4\"
  content = [{ directory = \"rootfs\" }]

A file whose name ends in .yaml or .yml is imagecraft's project file or snapd's gadget; its volumes are built as they are \
described. If a gadget has several volumes, each becomes an image VOLUME.img in the directory that -o names.

A spec can also put boot loaders where firmware finds them ([boot]), write files and addresses at offsets (raw), and \
fill identifiers into files (template). `cellblock schema` lists every key.

Examples:
  cellblock build image.toml -o disk.img
  cellblock build imagecraft.yaml --content rootfs=root/ -o disk.img
  cellblock build gadget/meta/gadget.yaml -o images/")]
pub struct Build {
    /// The spec: a TOML file that describes the disk, an imagecraft.yaml, or a gadget.yaml; `-` is standard input
    #[arg(default_value = DEFAULT_SPEC)]
    pub spec: PathBuf,
    /// The image to write, or a directory to write VOLUME.img to; without it, the volume's or else the spec's name with
    /// .img, in the current directory. Its suffix is its format: .qcow2, .vmdk, .vhd, .zst and others;
    /// `cellblock export --help` lists them and their options. Repeatable, for several from one build.
    /// An existing image is replaced once all new ones are complete, and stays as it is if the build fails
    #[arg(short, long, value_name = "IMAGE", value_parser = typed_output())]
    pub(super) output: Vec<TypedOutput>,
    /// The format of the image, regardless of its suffix
    #[arg(long, value_name = "FORMAT", add = ArgValueCandidates::new(completion::formats))]
    output_format: Option<String>,
    /// Also write each partition as a file into DIR, with their digests in SHA256SUMS, for update programs such as
    /// systemd-sysupdate. SHA256SUMS names those of this build, and no others that are in DIR
    #[arg(long, value_name = "DIR")]
    pub split: Option<PathBuf>,
    /// The names of the files of --split: text with {name}, {number}, {type} (its GUID, or MBR byte), {uuid} and {version}. Without it,
    /// {name}_{version}_{uuid}.raw, which systemd-sysupdate expects, or {name}_{uuid}.raw if no version is given
    #[arg(long, value_name = "PATTERN", requires = "split")]
    split_name: Option<String>,
    /// The {version} in the names of --split
    #[arg(long, value_name = "VERSION", requires = "split")]
    split_version: Option<String>,
    /// Write the provenance of the image to FILE: an in-toto statement with the SLSA predicate, and the digests of all
    /// that was read and made. `cellblock verify-build` builds from it again and compares
    #[arg(long, value_name = "FILE")]
    pub provenance: Option<PathBuf>,
    /// Show what would be made, as `cellblock plan` does, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What goes in.
    #[command(flatten)]
    pub contents: Contents,
    /// What all commands have in common that make file systems.
    #[command(flatten)]
    pub run: Run,
}

impl Build {
    /// The images to write: of each volume, what it becomes.
    ///
    /// # Errors
    /// When several are to have one name, or a format cannot be.
    pub fn targets(&self, volumes: &[Volume]) -> Result<Vec<Vec<Target>>, ArgumentError> {
        let format = self.output_format.as_deref();
        let folder = match &self.output[..] {
            [] => Path::new(""),
            [_] if self.folder(volumes).is_some() => self.folder(volumes).unwrap_or(Path::new("")),
            several if volumes.len() == 1 => return Ok(vec![outputs::targets(several, format)?]),
            [output] => {
                return Err(ArgumentError::OneOutput {
                    output: output.path.clone(),
                    volumes: volumes.len(),
                });
            }
            _ => {
                let volumes = volumes.len();
                return Err(ArgumentError::OutputsOfSeveral { volumes });
            }
        };
        let unsaid = TypedOutput::default();
        let typed = self.output.first().unwrap_or(&unsaid);
        let suffix = typed.at(Path::new(""), format)?.format.suffix();
        let target = |volume: &Volume| {
            let path = folder.join(self.image(volume, suffix));
            let format = Some(format.unwrap_or("raw"));
            Ok(vec![typed.at(&path, format)?])
        };
        volumes.iter().map(target).collect()
    }

    /// The name of a volume's image.
    fn image(&self, volume: &Volume, suffix: &str) -> OsString {
        // That of standard input would begin with what options do.
        let named = (self.spec != Path::new("-")).then_some(&self.spec);
        let stem = || {
            let stem = named.and_then(|spec| spec.file_stem());
            stem.unwrap_or(OsStr::new("disk"))
        };
        let mut name = match &volume.name {
            Some(name) => OsString::from(name),
            None => stem().to_owned(),
        };
        name.push(".");
        name.push(suffix);
        name
    }

    /// Where partitions go as files of their own, if they do.
    ///
    /// # Errors
    /// When the names cannot be, or there are several images.
    pub fn split(&self, volumes: &[Volume]) -> Result<Option<Split>, ArgumentError> {
        let Some(folder) = &self.split else {
            return Ok(None);
        };
        one_image("--split", volumes)?;
        let (name, version) = (self.split_name.as_deref(), self.split_version.as_deref());
        Ok(Some(Split {
            folder: folder.clone(),
            pattern: SplitPattern::new(name, version)?,
        }))
    }

    /// The directory that the images go to, if `-o` names one.
    pub fn folder(&self, volumes: &[Volume]) -> Option<&Path> {
        let [output] = &self.output[..] else {
            return None;
        };
        let named = volumes.iter().all(|it| it.name.is_some());
        let path = &*output.path;
        (is_written_as_folder(path) || (path.is_dir() && named)).then_some(path)
    }
}

/// Checks what takes one image.
///
/// # Errors
/// When there are several.
pub fn one_image(option: &'static str, volumes: &[Volume]) -> Result<(), ArgumentError> {
    if volumes.len() == 1 {
        return Ok(());
    }
    Err(ArgumentError::SeveralImages {
        option,
        volumes: volumes.len(),
    })
}

/// The command `verify-build`.
#[derive(Debug, Args)]
#[command(after_help = "\
PROVENANCE is what `build --provenance` wrote. It contains the whole spec; the files that the spec names are read from where they \
are now, so run this in the folder of the build. The image is not kept. The exit code is 0 if every byte is the same, and 1 if not; \
the differences are then listed: inputs, formatters, versions and partitions, and the first byte of IMAGE that differs.

Examples:
  cellblock build image.toml -o disk.img --provenance disk.json
  cellblock verify-build disk.json
  cellblock verify-build disk.json --image elsewhere/disk.img")]
pub struct VerifyBuild {
    /// The provenance
    #[arg(value_name = "PROVENANCE")]
    pub statement: PathBuf,
    /// The first image, to show where bytes differ. Without it, the one that PROVENANCE names, if it is beside it
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<PathBuf>,
    /// What all commands have in common that make file systems.
    #[command(flatten)]
    pub run: Run,
}

/// The command `convert`.
#[derive(Debug, Args)]
#[command(after_help = "\
What is printed is complete and in a fixed form: `build` makes the same bytes of it as of FILE. Relative paths in it are \
relative to the current directory, so keep it there. Of several volumes, name one with --volume.

Examples:
  cellblock convert imagecraft.yaml --content rootfs=root/ > image.toml
  cellblock convert gadget/meta/gadget.yaml --volume pc > pc.toml")]
pub struct Convert {
    /// The file to read: a spec in TOML, an imagecraft.yaml or a gadget.yaml; `-` is standard input
    #[arg(id = "spec", value_name = "FILE")]
    pub file: PathBuf,
    /// Print the spec as JSON, whose members are the keys of the TOML
    #[arg(long)]
    pub json: bool,
    /// What goes in.
    #[command(flatten)]
    pub contents: Contents,
}
