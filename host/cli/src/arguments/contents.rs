//! What goes into the partitions of a file that leaves it open, as typed.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::ArgumentError;
use crate::completion;
use cellblock_build::contract::Loss;
use cellblock_build::spec::project::Volume;
use cellblock_build::spec::value::{
    ValueError, parse_assignment, parse_loss, parse_owner, parse_seed,
};
use cellblock_build::spec::{Choices, FilesystemSpec, Place, Placed, Project, Seed, TypedContent};
use cellblock_build::tree::source::{Source, What};

/// What `build` and `convert` add to the file that they read.
#[derive(Debug, Args)]
#[command(next_help_heading = "Content")]
pub struct Contents {
    /// Put SOURCE into the file system of partition NAME, over the content that the spec gives it; repeatable. SOURCE is as
    /// for `cellblock mkfs`: a directory, an archive or a file, with options
    #[arg(
        long,
        value_name = "NAME=SOURCE",
        value_parser = named_content,
        add = ArgValueCompleter::new(completion::name_and_source)
    )]
    content: Vec<(String, TypedContent)>,
    /// Fill each file system from a directory of its own in DIR: DIR/NAME, or as imagecraft leaves them,
    /// DIR/partitions/volume/VOLUME/NAME/prime, and DIR/prime for the partition that is mounted at /
    #[arg(long, value_name = "DIR")]
    prime: Option<PathBuf>,
    /// Also read FILE, in TOML, for what the spec lacks, such as [boot] beside a YAML; repeatable. Tables of the same name
    /// are joined; a key that stands in both is an error
    #[arg(long, value_name = "FILE")]
    also: Vec<PathBuf>,
    /// What identifiers derive from, in place of the spec's seed: 32 hexadecimal digits, or `random` for new ones each
    /// time; the record has it
    #[arg(long, value_parser = parse_seed)]
    seed: Option<Seed>,
    /// Give everything in the file system of partition NAME this owner, in numbers; repeatable
    #[arg(
        long = "owner",
        value_name = "NAME=USER:GROUP",
        value_parser = named_owner,
        add = ArgValueCompleter::new(completion::name_and_source)
    )]
    owners: Vec<(String, (u32, u32))>,
    /// Leave out what the file system of partition NAME cannot store: symlinks, special-files, hard-links, owners,
    /// permissions or attributes, separated by commas; repeatable
    #[arg(
        long = "drop",
        value_name = "NAME=WHAT",
        value_parser = named_drop,
        add = ArgValueCompleter::new(completion::name_and_loss)
    )]
    drops: Vec<(String, Vec<Loss>)>,
    /// Replace symbolic links in the content of partition NAME by what they lead to within their source, as for a FAT;
    /// repeatable
    #[arg(
        long = "follow",
        value_name = "NAME",
        add = ArgValueCompleter::new(completion::names_in_spec)
    )]
    follows: Vec<String>,
    /// Build for this platform of an imagecraft.yaml; needed if there are several
    #[arg(long, value_name = "NAME")]
    platform: Option<String>,
    /// The directory with the kernel's snap, which the content `$kernel:...` of a gadget.yaml comes from
    #[arg(long, value_name = "DIR")]
    kernel: Option<PathBuf>,
    /// The directory with the root file system, which the content `rootfs:...` of a gadget.yaml comes from
    #[arg(long, value_name = "DIR")]
    rootfs: Option<PathBuf>,
    /// Do not add the root file system `writable` to a gadget.yaml in which no structure has the role `system-data`
    #[arg(long)]
    without_root: bool,
    /// Build only this volume of a gadget.yaml
    #[arg(long, value_name = "NAME")]
    volume: Option<String>,
}

/// `NAME=SOURCE`.
fn named_content(text: &str) -> Result<(String, TypedContent), ValueError> {
    let (name, source) = parse_assignment(text, "NAME=SOURCE")?;
    Ok((name, TypedContent::parse(&source)?))
}

/// `NAME=USER:GROUP`.
fn named_owner(text: &str) -> Result<(String, (u32, u32)), ValueError> {
    let (name, owner) = parse_assignment(text, "NAME=USER:GROUP")?;
    Ok((name, parse_owner(&owner)?))
}

/// `NAME=WHAT,WHAT`.
fn named_drop(text: &str) -> Result<(String, Vec<Loss>), ValueError> {
    let (name, losses) = parse_assignment(text, "NAME=WHAT")?;
    let losses: Result<_, _> = losses.split(',').map(parse_loss).collect();
    Ok((name, losses?))
}

impl Contents {
    /// Gives the volumes the seed that was typed.
    pub fn seed(&self, volumes: &mut [Volume]) {
        if let Some(seed) = self.seed {
            for volume in volumes {
                let place = Place::default();
                volume.spec.disk.seed = Some(Placed { value: seed, place });
            }
        }
    }

    /// What the file leaves open.
    pub fn choices(&self) -> Choices {
        Choices {
            platform: self.platform.clone(),
            kernel: self.kernel.clone(),
            rootfs: self.rootfs.clone(),
            without_root: self.without_root,
        }
    }

    /// The files that are read beside the spec.
    pub fn also(&self) -> impl Iterator<Item = &Path> {
        self.also.iter().map(PathBuf::as_path)
    }

    /// Keeps the volume that is asked for, or all.
    ///
    /// # Errors
    /// When there is none of that name, or something was typed that a spec has no use of.
    pub fn choose(&self, project: &mut Project) -> Result<(), ArgumentError> {
        // Only a spec has a disk without a name.
        if project.volumes.iter().all(|volume| volume.name.is_none()) {
            let typed = [
                ("--platform", self.platform.is_some()),
                ("--kernel", self.kernel.is_some()),
                ("--rootfs", self.rootfs.is_some()),
                ("--without-root", self.without_root),
                ("--volume", self.volume.is_some()),
            ];
            if let Some((option, _)) = typed.into_iter().find(|(_, is_typed)| *is_typed) {
                return Err(ArgumentError::OnlyOfProjects { option });
            }
        }
        let Some(wanted) = &self.volume else {
            return Ok(());
        };
        let names: Vec<String> = project
            .volumes
            .iter()
            .filter_map(|volume| volume.name.clone())
            .collect();
        project
            .volumes
            .retain(|volume| volume.name.as_ref() == Some(wanted));
        if project.volumes.is_empty() {
            return Err(ArgumentError::UnknownVolume {
                name: wanted.clone(),
                known: names,
            });
        }
        Ok(())
    }

    /// Adds the content to the volumes; `names` are those of their partitions.
    ///
    /// # Errors
    /// When a partition or a source is missing, or a partition has no file system.
    pub fn add_to(
        &self,
        volumes: &mut [Volume],
        names: &[Vec<String>],
    ) -> Result<(), ArgumentError> {
        if let Some(folder) = &self.prime {
            fs::read_dir(folder).map_err(|source| ArgumentError::Prime {
                path: folder.clone(),
                source,
            })?;
            for (volume, names) in volumes.iter_mut().zip(names) {
                self.add_primed(folder, volume, names)?;
            }
        }
        for (name, content) in &self.content {
            let filesystem = filesystem("--content", name, volumes, names)?;
            filesystem.content.push(look(content)?.into());
        }
        for (volume, names) in volumes.iter().zip(names) {
            let appended = volume
                .appended
                .map(|index| (index, &volume.spec.partitions[index]));
            if let Some((index, partition)) = appended
                && let Some(filesystem) = &partition.filesystem
                && filesystem.content.is_empty()
            {
                return Err(ArgumentError::NoRoot {
                    name: names[index].clone(),
                });
            }
        }
        for (name, owner) in &self.owners {
            let filesystem = filesystem("--owner", name, volumes, names)?;
            for content in &mut filesystem.content {
                content.set_owner(*owner);
            }
        }
        for (name, losses) in &self.drops {
            let filesystem = filesystem("--drop", name, volumes, names)?;
            filesystem.drop.extend(losses);
        }
        for name in &self.follows {
            let filesystem = filesystem("--follow", name, volumes, names)?;
            for content in &mut filesystem.content {
                content.set_follow();
            }
        }
        Ok(())
    }

    fn add_primed(
        &self,
        folder: &Path,
        volume: &mut Volume,
        names: &[String],
    ) -> Result<(), ArgumentError> {
        let of_volume = volume.name.clone();
        let root = volume.root.or(volume.appended);
        for (index, (partition, name)) in volume.spec.partitions.iter_mut().zip(names).enumerate() {
            let Some(filesystem) = &mut partition.filesystem else {
                continue;
            };
            let places = places(folder, of_volume.as_deref(), name, root == Some(index));
            let found = places.iter().find(|place| place.is_dir());
            let is_typed = self.content.iter().any(|(typed, _)| typed == name);
            match found {
                Some(found) => {
                    let what = What::Directory(found.clone());
                    filesystem.content.push(Source::new(what).into());
                }
                None if is_typed || !filesystem.content.is_empty() => {}
                None => {
                    return Err(ArgumentError::NothingPrimed {
                        name: name.clone(),
                        places,
                    });
                }
            }
        }
        Ok(())
    }
}

/// Where the content of a partition may lie.
fn places(folder: &Path, volume: Option<&str>, name: &str, is_root: bool) -> Vec<PathBuf> {
    let mut places = vec![folder.join(name)];
    if let Some(volume) = volume {
        let partition = format!("partitions/volume/{volume}/{name}/prime");
        places.push(folder.join(partition));
    }
    if is_root {
        places.push(folder.join("prime"));
    }
    places
}

/// The file system of the partition that an option names.
fn filesystem<'a>(
    option: &'static str,
    name: &str,
    volumes: &'a mut [Volume],
    names: &[Vec<String>],
) -> Result<&'a mut FilesystemSpec, ArgumentError> {
    let (volume, partition) = find(option, name, volumes, names)?;
    let filesystem = volumes[volume].spec.partitions[partition]
        .filesystem
        .as_mut();
    filesystem.ok_or_else(|| ArgumentError::ContentWithoutFilesystem {
        option,
        name: name.to_owned(),
    })
}

/// The volume and the partition of a name, which may be `VOLUME/NAME`.
fn find(
    option: &'static str,
    typed: &str,
    volumes: &[Volume],
    names: &[Vec<String>],
) -> Result<(usize, usize), ArgumentError> {
    let mut known = Vec::new();
    let mut found = Vec::new();
    for (index, (volume, names)) in volumes.iter().zip(names).enumerate() {
        for (partition, name) in names.iter().enumerate() {
            let of_volume = volume.name.as_deref().unwrap_or_default();
            let full = format!("{of_volume}/{name}");
            if typed == name || typed == full {
                found.push((index, partition));
            }
            known.push(if volumes.len() > 1 {
                full
            } else {
                name.clone()
            });
        }
    }
    match found[..] {
        [one] => Ok(one),
        _ => Err(ArgumentError::UnknownPartition {
            option,
            name: typed.to_owned(),
            found: found.len(),
            known,
        }),
    }
}

/// The source, after a look at what it is.
pub(super) fn look(content: &TypedContent) -> Result<Source, ArgumentError> {
    let path = content.path().to_owned();
    content
        .clone()
        .look()
        .map_err(|source| ArgumentError::Content { path, source })
}
