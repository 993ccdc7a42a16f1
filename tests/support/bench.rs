//! A folder for one test, and the program to run in it.

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// A folder for one test.
pub struct Bench {
    folder: TempDir,
}

/// How a run of the program ended.
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Bench {
    /// An empty folder that others may enter and list.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    /// An empty folder in another one.
    pub fn within(folder: &Path) -> Self {
        let folder = tempfile::tempdir_in(folder).unwrap();
        Self { folder }
    }

    /// A folder with a copy of `tests/cases/NAME` in it, under its name.
    pub fn with_case(name: &str) -> Self {
        let bench = Self::new();
        bench.copy_case(name, name);
        bench
    }

    /// Copies `tests/cases/NAME` to `to`.
    pub fn copy_case(&self, name: &str, to: &str) {
        copy(&case(name), &self.path(to));
    }

    /// A path in the folder.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, and the folders that it stands in.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Makes a folder.
    pub fn create_folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// The program, to be run in the folder. Compiled guests are shared among all tests.
    pub fn cellblock(&self) -> Command {
        let mut command = Command::new(program());
        command
            .current_dir(self.folder())
            .env_remove("SOURCE_DATE_EPOCH")
            .env("XDG_CACHE_HOME", cache());
        command
    }

    /// Runs the program.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.cellblock().args(arguments))
    }

    /// Runs the program, which must succeed; what it prints.
    pub fn done(&self, arguments: &[&str]) -> String {
        self.run(arguments).done()
    }

    /// Builds a spec with `to` in the place of `from`, which must be refused as what is wrong at a line of it: with `expected`, and
    /// with nothing written.
    pub fn refuses_spec(&self, spec: &str, from: &str, to: &str, expected: &str) {
        let changed = spec.replace(from, to);
        assert_ne!(changed, spec, "{from}");
        self.write("image.toml", changed);
        let outcome = self.run(&["build", "image.toml", "-o", "disk.img"]);
        assert_eq!(outcome.code, Some(2), "{to}: {}", outcome.stderr);
        for words in [expected, "image.toml:"] {
            assert!(outcome.stderr.contains(words), "{to}: {}", outcome.stderr);
        }
        assert!(!self.path("disk.img").exists());
    }

    /// Builds `spec` into `image`.
    pub fn build(&self, spec: &str, image: &str) -> PathBuf {
        self.done(&["build", spec, "-o", image, "--quiet"]);
        self.path(image)
    }

    /// Builds a spec given as text, which stands in the folder as `image.toml`.
    pub fn build_text(&self, spec: &str) -> PathBuf {
        self.write("image.toml", spec);
        self.build("image.toml", "disk.img")
    }

    /// The names in the folder, sorted.
    pub fn names(&self) -> Vec<String> {
        names(self.folder())
    }

    /// Copies `length` bytes at `offset` of the file `image` into a file `name` of their own, and leaves out zeros.
    pub fn cut(&self, image: &Path, offset: u64, length: u64, name: &str) -> PathBuf {
        let mut source = fs::File::open(image).unwrap();
        source.seek(SeekFrom::Start(offset)).unwrap();
        let path = self.path(name);
        let mut target = fs::File::create(&path).unwrap();
        let mut buffer = vec![0; 1 << 20];
        let mut left = length;
        while left > 0 {
            let count = buffer.len().min(usize::try_from(left).unwrap());
            let part = &mut buffer[..count];
            source.read_exact(part).expect("the image ends early");
            if part.iter().all(|byte| *byte == 0) {
                target.seek_relative(i64::try_from(count).unwrap()).unwrap();
            } else {
                target.write_all(part).unwrap();
            }
            left -= u64::try_from(count).unwrap();
        }
        target.set_len(length).unwrap();
        path
    }
}

impl Outcome {
    /// Runs `command` to its end.
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The output of a run that must have succeeded.
    pub fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }
}

/// The program under test.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_cellblock"))
}

/// Puts the program at `path`, to be run there.
///
/// By a process of its own: what is open here for writing is open in each process that another test starts just then, and a
/// file that somebody has open for writing cannot be run.
pub fn copy_program(path: &Path) {
    let copied = Command::new("cp").arg(program()).arg(path).status();
    assert!(copied.unwrap().success());
}

/// Where the tests keep compiled guests.
pub fn cache() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A file or a folder of the repository.
pub fn repository(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// The folder of a case.
pub fn case(name: &str) -> PathBuf {
    repository("tests/cases").join(name)
}

/// The names in `folder`, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The SHA-256 digest of a file, as hexadecimal digits.
pub fn sha256(path: &Path) -> String {
    let (_, digest) = digest(path).unwrap();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The size and the SHA-256 digest of a file.
///
/// # Errors
/// If it cannot be read.
pub fn digest(path: &Path) -> io::Result<(u64, [u8; 32])> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((size, hash.finalize().into()));
        }
        hash.update(&buffer[..count]);
        size += count as u64;
    }
}

/// Fails unless the two files are equal.
pub fn assert_same_bytes(one: &Path, other: &Path) {
    assert_eq!(
        sha256(one),
        sha256(other),
        "{} and {} differ",
        one.display(),
        other.display()
    );
}

/// Copies a case as a checkout makes it: with the time of now.
fn copy(from: &Path, to: &Path) {
    let metadata = fs::symlink_metadata(from).unwrap();
    if metadata.is_symlink() {
        symlink(fs::read_link(from).unwrap(), to).unwrap();
    } else if metadata.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// Sets the modification time of a file, or of a symbolic link itself.
pub fn set_time(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(
        CWD,
        path.as_os_str().as_bytes(),
        &times,
        AtFlags::SYMLINK_NOFOLLOW,
    )
    .unwrap();
}

/// An address of this machine that no other test has: where a server ended, one can begin again.
pub fn address() -> SocketAddrV4 {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [high, low, ..] = std::process::id().to_le_bytes();
    let ip = Ipv4Addr::new(
        127,
        64 + NEXT.fetch_add(1, Ordering::Relaxed) % 128,
        high,
        low.max(1),
    );
    SocketAddrV4::new(ip, 8080)
}
