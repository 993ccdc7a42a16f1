//! What an image becomes, as typed: `PATH,KEY=VALUE`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap_complete::engine::ArgValueCandidates;

use super::{ArgumentError, Run};
use crate::completion;
use cellblock_build::image::formats::described;
use cellblock_build::image::{FormatError, OutputFormat};
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
        "Formats, and what may be said behind the file as ,KEY=VALUE, in the words of qemu-img: {}.\n",
        formats.join("; ")
    )
}

/// The command `export`.
#[derive(Debug, Args)]
#[command(after_help = format!("\
{}
Examples:
  cellblock export disk.img -o disk.qcow2,compression_type=zstd
  cellblock export disk.img -o disk.vhd -o disk.vmdk
  cellblock export disk.img -o - --output-format raw.zst | ssh HOST ...", formats()))]
pub struct Export {
    /// The image: a raw disk, or a file system alone
    pub image: PathBuf,
    /// The file to write, in the format of its suffix, with `,KEY=VALUE` behind it as listed below, and `,format=NAME`
    /// where the suffix does not tell; `-` is standard output; repeatable. Files that exist are replaced once all are
    /// complete
    #[arg(short, long, value_name = "FILE", required = true, value_parser = typed_output())]
    output: Vec<TypedOutput>,
    /// The format of the one output, whatever its suffix
    #[arg(long, value_name = "FORMAT", add = ArgValueCandidates::new(completion::formats))]
    output_format: Option<String>,
    /// What it has in common with commands that make file systems.
    #[command(flatten)]
    pub run: Run,
}

impl Export {
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
