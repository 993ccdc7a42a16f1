//! What goes into a file system, as typed: the same for every command that makes one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCandidates;

use super::contents::look;
use crate::completion;

use super::{ArgumentError, drawn_seed, option, source_date_epoch};
use cellblock_build::contract::Loss;
use cellblock_build::plan::FilesystemRequest;
use cellblock_build::spec::value::{Seed, parse_filesystem_id, parse_loss, parse_seed, parse_time};
use cellblock_build::spec::{FilesystemId, TypedContent};

/// Which file system. It is shown in one spelling, and taken in two.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct TypedKind {
    /// The kind of file system: ext4, ext3, ext2, erofs, squashfs, vfat (fat12, fat16, fat32), swap, or the NAME of a --guest
    #[arg(value_name = "KIND", add = ArgValueCandidates::new(completion::kinds))]
    kind: Option<String>,
    /// The same as an option
    #[arg(
        id = "filesystem",
        long = "filesystem",
        value_name = "KIND",
        hide = true,
        add = ArgValueCandidates::new(completion::kinds)
    )]
    option: Option<String>,
}

impl TypedKind {
    /// Its name.
    pub fn name(&self) -> &str {
        let typed = self.kind.as_deref().or(self.option.as_deref());
        typed.expect("the parser asks for one of both")
    }
}

/// A file system and what goes into it.
#[derive(Debug, Args)]
pub struct Filesystem {
    /// The volume label
    #[arg(long)]
    label: Option<String>,
    /// The file system's UUID, or for FAT its serial number, such as ABCD-1234. Derived from the seed when absent
    #[arg(long, value_parser = parse_filesystem_id)]
    uuid: Option<FilesystemId>,
    /// What identifiers derive from: 32 hexadecimal digits, or `random` for new ones each time. When absent,
    /// from everything that is typed except paths
    #[arg(long, value_parser = parse_seed)]
    seed: Option<Seed>,
    /// The time stamped on the file system: 2024-01-31T12:00:00Z, or seconds since 1970. When absent,
    /// SOURCE_DATE_EPOCH from the environment, else the time of the newest file, else 1980-01-01
    #[arg(long, value_parser = parse_time, allow_hyphen_values = true)]
    time: Option<i64>,
    /// What goes in (see SOURCE below); repeatable, and of two sources with the same file the later wins
    #[arg(
        long,
        value_name = "SOURCE",
        value_parser = TypedContent::parse,
        value_hint = ValueHint::AnyPath
    )]
    content: Vec<TypedContent>,
    /// Label everything for SELinux by the policy's file_contexts; `.local`, `.homedirs`, `.subs` and `.subs_dist` beside it
    /// are read too
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    contexts: Option<PathBuf>,
    /// An option of the formatter; repeatable. `cellblock guests` lists them
    #[arg(long = "option", value_name = "KEY=VALUE", value_parser = option)]
    options: Vec<(String, String)>,
    /// What the format may lose instead of refusing it: symlinks, special-files, hard-links, owners, permissions
    /// or attributes; repeatable, or separated by commas
    #[arg(
        long,
        value_name = "WHAT",
        value_delimiter = ',',
        value_parser = parse_loss,
        add = ArgValueCandidates::new(completion::losses)
    )]
    drop: Vec<Loss>,
}

impl Filesystem {
    /// Whether a time was typed.
    pub fn has_time(&self) -> bool {
        self.time.is_some()
    }

    /// What is asked for of a kind of file system, after a look at what each source is.
    ///
    /// # Errors
    /// When a source is missing, or the environment's time is no number.
    pub fn request(&self, kind: &str) -> Result<FilesystemRequest, ArgumentError> {
        let looked = self.content.iter().map(look);
        let sources = looked.collect::<Result<_, _>>()?;
        let time = match self.time {
            Some(time) => Some(time),
            None => source_date_epoch()?,
        };
        let seed = match self.seed {
            Some(Seed::Given(bytes)) => Some(bytes),
            Some(Seed::Random) => Some(drawn_seed()?),
            None => None,
        };
        Ok(FilesystemRequest {
            kind: kind.to_owned(),
            label: self.label.clone().unwrap_or_default(),
            uuid: self.uuid,
            seed,
            time,
            options: self.options.iter().cloned().collect::<BTreeMap<_, _>>(),
            drop: self.drop.clone(),
            sources,
            contexts: self.contexts.clone(),
        })
    }
}
