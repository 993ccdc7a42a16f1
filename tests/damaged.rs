//! The damaged file systems that e2fsprogs' own tests repair: each is read as the kernel reads it, or refused with what is wrong.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::hostile::runner::MEBIBYTE;
use crate::support::listing::Kind;
use crate::support::mount::{Mount, may_mount};
use crate::support::reading::{Acls, of_archive};
use crate::support::watch::watch;
use crate::support::{Ability, Bench, Listing, judge, lacks, skipped};

/// Whoever takes longer hangs: a second where nothing else runs, and many where others do.
const LIMIT: Duration = Duration::from_secs(600);
/// The program and its cell's process.
const BASE: u64 = 64 * MEBIBYTE;
/// What may be kept of each node.
const NODE: u64 = 1024;

/// Those of which what the kernel reads is not held against what was read here, and why.
const OTHERWISE: [(&str, &str); 6] = [
    (
        "f_ea_inode_fast_symlink",
        "its attribute of 9 KiB does not go onto the disk of this test, which is an ext4 itself",
    ),
    (
        "f_h_badnode",
        "the kernel follows a hash tree that is damaged, and leaves out names that stand in the directory's blocks",
    ),
    (
        "f_many_subdirs",
        "130 000 directories take as long to unpack as all other images together",
    ),
    (
        "f_orphan_extents_inode",
        "the kernel truncates a file as it mounts, at the time of that",
    ),
    (
        "f_orphan_indirect_inode",
        "the kernel truncates a file as it mounts, at the time of that",
    ),
    (
        "f_valid_ea_in_inode",
        "its attributes of 9 KiB do not go onto the disk of this test, which is an ext4 itself",
    ),
];
/// Those that are refused though nothing of them is damaged, and for what the reader does not have.
const LACKING: [(&str, &str); 2] = [
    (
        "f_ext_journal",
        "a replay of its journal, which is on another device",
    ),
    (
        "j_recover_fast_commit",
        "a replay of the fast commits in its journal",
    ),
];
/// The nodes of the largest one, `f_many_subdirs`.
const MOST_NODES: u64 = 131_072;

/// How reading one ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// The kernel mounts it and reads all of it, and both find the same.
    AsTheKernel,
    /// The kernel does not mount it, or not read all of it; it was read here.
    BeyondTheKernel,
    /// It was read, and no kernel was asked.
    Read,
    /// It was refused with the structure that is damaged.
    Damaged,
    /// It was refused for what the reader does not have.
    Lacking,
    /// It is no file system of this family.
    Another,
}

#[test]
fn damaged_file_systems_are_read_as_the_kernel_reads_them_or_refused() {
    let Some(folder) = corpus() else {
        return;
    };
    let images = images(&folder);
    assert!(images.len() > 150, "{} images", images.len());
    let mut ends: BTreeMap<End, Vec<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for image in &images {
        let name = image.parent().unwrap().file_name().unwrap();
        let name = name.to_string_lossy().into_owned();
        match read(image, &name) {
            Ok(end) => ends.entry(end).or_default().push(name),
            Err(problem) => wrong.push(format!("{name}: {problem}")),
        }
    }
    for (end, names) in &ends {
        println!("{:4} {end:?}", names.len());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Those that are read at all, and those that are refused, are many of each.
    let count = |end| ends.get(&end).map_or(0, Vec::len);
    assert!(count(End::Damaged) > 50, "{ends:?}");
    let read = count(End::AsTheKernel) + count(End::BeyondTheKernel) + count(End::Read);
    assert!(read > 100, "{ends:?}");
}

/// Where `tests/judges/build-peers` has put the source of e2fsprogs.
fn corpus() -> Option<PathBuf> {
    let peers = std::env::var_os("CELLBLOCK_PEERS").map(PathBuf::from);
    let folder = peers.map(|peers| peers.join("e2fsprogs/source/tests"));
    let folder = folder.filter(|folder| folder.is_dir());
    if folder.is_none() {
        skipped(
            "damaged file systems of e2fsprogs",
            "tests/judges/build-peers FOLDER e2fsprogs gets them, and CELLBLOCK_PEERS=FOLDER names them",
        );
    }
    folder
}

fn images(folder: &Path) -> Vec<PathBuf> {
    let mut images: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|test| ["image.gz", "image.bz2"].map(|name| test.join(name)))
        .filter(|image| image.is_file())
        .collect();
    images.sort();
    images
}

fn read(image: &Path, name: &str) -> Result<End, String> {
    let bench = Bench::new();
    let packed = fs::File::open(image).unwrap();
    let mut bytes = Vec::new();
    match image.extension().unwrap().to_str() {
        Some("gz") => flate2::read::MultiGzDecoder::new(packed).read_to_end(&mut bytes),
        _ => bzip2::read::MultiBzDecoder::new(packed).read_to_end(&mut bytes),
    }
    .unwrap();
    let image = bench.write("disk.img", bytes);
    let mut command = bench.cellblock();
    command
        .args(["tar", "disk.img", "-q", "-o", "root.tar"])
        .stdout(Stdio::null())
        .stderr(fs::File::create(bench.path("said")).unwrap());
    let watched = watch(command.spawn().unwrap(), LIMIT);
    let said = fs::read_to_string(bench.path("said")).unwrap();
    let code = watched.ended?.code();
    let is_held = OTHERWISE.iter().all(|(one, _)| *one != name);
    let unpacked = match code {
        Some(0) if is_held => of_archive(&bench, &bench.path("root.tar"), Acls::Attributes),
        _ => None,
    };
    let nodes = unpacked.as_ref().map(|listing| listing.0.len() as u64);
    let allowed = BASE + NODE * nodes.unwrap_or(MOST_NODES);
    if watched.memory > allowed {
        return Err(format!("{} bytes of memory, of {allowed}", watched.memory));
    }
    match code {
        Some(0) => match unpacked {
            Some(found) => against_the_kernel(&bench, &image, &found),
            None => Ok(End::Read),
        },
        Some(1) if said.starts_with("error: disk.img: damaged: ") => Ok(End::Damaged),
        Some(1) if lacks_what_is_known(name, &said) => Ok(End::Lacking),
        Some(2) if said.contains("; there are readers of ") => Ok(End::Another),
        code => Err(format!("exit code {code:?}: {said}")),
    }
}

/// Whether an image is refused for what its row says.
fn lacks_what_is_known(name: &str, said: &str) -> bool {
    LACKING.iter().any(|(one, what)| {
        let words = format!("error: disk.img: it needs {what}");
        *one == name && said.starts_with(&words) && said.contains("which the reader does not have")
    })
}

/// Holds what was read against what the kernel reads, if it reads all of it. It replays the journal of its copy.
fn against_the_kernel(bench: &Bench, image: &Path, found: &Listing) -> Result<End, String> {
    if !may_mount() {
        lacks(Ability::LoopDevices, "the kernel does not read it");
        return Ok(End::Read);
    }
    let Some(losetup) = judge("losetup") else {
        return Ok(End::Read);
    };
    let device = Loop::new(losetup.command(), image);
    let point = bench.create_folder("mounted");
    let Ok(_mounted) = Mount::new("ext4", "ro,errors=continue", &device.path, point.clone()) else {
        return Ok(End::BeyondTheKernel);
    };
    let Ok(mut kernels) = Listing::of_readable(&point) else {
        return Ok(End::BeyondTheKernel);
    };
    // No tar has sockets, and of those that are left out a line is said.
    kernels.0.retain(|_, entry| entry.kind != Kind::Socket);
    // Counts of links are among what is damaged.
    let differences = kernels.counted().differences(&found.clone().counted());
    if differences.is_empty() {
        return Ok(End::AsTheKernel);
    }
    let short = |line: &String| line.chars().take(200).collect::<String>();
    let shown: Vec<_> = differences.iter().take(5).map(short).collect();
    Err(format!(
        "{} differences from the kernel: {}",
        differences.len(),
        shown.join("; ")
    ))
}

/// A loop device over a file that may be written to, which a journal's replay needs, until it is dropped.
struct Loop {
    path: PathBuf,
}

impl Loop {
    fn new(mut losetup: Command, file: &Path) -> Self {
        let output = losetup
            .args(["--find", "--show"])
            .arg(file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let path = String::from_utf8(output.stdout).unwrap();
        Self {
            path: PathBuf::from(path.trim()),
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup")
            .arg("--detach")
            .arg(&self.path)
            .status();
    }
}
