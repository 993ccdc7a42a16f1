//! The command that makes one file system.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use cellblock_build::Target;
use cellblock_build::plan::MkfsRequest;
use cellblock_build::spec::SizeRule;
use cellblock_build::spec::value::ValueError;
use cellblock_build::table::SectorSize;

use super::outputs::{self, typed_output};
use super::{ArgumentError, Filesystem, Run, TypedKind, TypedOutput, sector_size};
use crate::completion;

/// The command `mkfs`.
#[derive(Debug, Args)]
#[command(
    override_usage = "cellblock mkfs [OPTIONS] --output <FILE> <KIND>",
    after_help = "\
SOURCE is a directory, a tar archive (plain, or compressed as .tar.gz, .tar.zst, .tar.xz, .tar.bz2 or .tar.lz4), a \
container image (an OCI layout as a directory or a tar, or what `docker save` writes), or a \
single file. Its name and first bytes tell which, unless a prefix does: `directory:`, `archive:`, `oci:` or `file:`; \
`composefs:` is a dumpfile of composefs, whose objects are in its option `basedir`; \
`image:` is the content of a file system: image:FILE, or for a disk image:FILE:PARTITION. \
`archive:-`, `oci:-` and `composefs:-` are standard input. Options follow after commas:

  ,to=/PATH           where it goes
  ,owner=USER:GROUP   in numbers
  ,mode=0644          or clauses: ,mode=u=rwX,go=rX
  ,exclude=PATTERN    what to leave out; repeatable
  ,from=DIR           the directory in it to take
  ,strip=N            names taken off the beginning of each path
  ,follow=true        links become what they lead to
  ,hard-links=break   each name becomes a file of its own
  ,metadata=FILE      owners, modes and times from an mtree(5) file
  ,times=keep         also those later than --time
  ,basedir=DIR        where the objects of a composefs dumpfile are
  ,reference=NAME     which image of a layout: its name, or a digest
  ,platform=OS/ARCH   which image, by platform: linux/arm64
  ,overlay-whiteouts=true
                      apply overlayfs's whiteouts in layers, too
  ,partition=NAME     which partition of a disk

Quote a path or value that contains such an option: '\"a,to=b\",to=/c'.

Examples:
  cellblock mkfs ext4 -o root.img --content root.tar --size \"minimum + 20%\"
  cellblock mkfs ext4 -o root.img --content oci:debian,reference=12
  cellblock mkfs vfat -o esp.img --size 64MiB --label UEFI --content esp/
  cellblock mkfs ext4 -o home.img --content skel/,to=/user,owner=1000:1000
  cellblock mkfs swap -o swap.img --size 1GiB"
)]
pub struct Mkfs {
    /// Which file system.
    #[command(flatten)]
    pub kind: TypedKind,
    /// The file to write. Its suffix is its format: .qcow2, .zst and others; `cellblock export --help` lists them and
    /// their options; repeatable. Existing files are replaced once all new ones are complete
    #[arg(short, long, value_name = "FILE", required = true, value_parser = typed_output())]
    pub(super) output: Vec<TypedOutput>,
    /// The format of the file, whatever its suffix
    #[arg(long, value_name = "FORMAT", add = ArgValueCandidates::new(completion::formats))]
    output_format: Option<String>,
    /// The size: 512MiB, minimum, "minimum + 20%" or "minimum + 64MiB"
    #[arg(long, default_value = "minimum", value_parser = size_rule)]
    size: SizeRule,
    /// What goes into it.
    #[command(flatten)]
    pub filesystem: Filesystem,
    /// Bytes in a sector of the disk that it is meant for: 512 or 4096
    #[arg(long, value_name = "BYTES", default_value = "512", value_parser = sector_size)]
    sector_size: SectorSize,
    /// What all commands have in common that make file systems.
    #[command(flatten)]
    pub run: Run,
}

impl Mkfs {
    /// What it becomes.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn targets(&self) -> Result<Vec<Target>, ArgumentError> {
        outputs::targets(&self.output, self.output_format.as_deref())
    }

    /// What is asked for, after a look at what each source is.
    ///
    /// # Errors
    /// When a source is missing, or the environment's time is no number.
    pub fn request(&self) -> Result<MkfsRequest, ArgumentError> {
        Ok(MkfsRequest {
            filesystem: self.filesystem.request(self.kind.name())?,
            size: self.size,
            sector_size: self.sector_size,
        })
    }
}

fn size_rule(text: &str) -> Result<SizeRule, ValueError> {
    Ok(SizeRule::parse(text)?)
}
