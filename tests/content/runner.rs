//! Builds from content that hurts, and holds the outcome against what it must be.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Once;
use std::time::{Duration, Instant};

use crate::hostile::runner::{MEBIBYTE, PREVIOUS, check_traces};
use crate::support::judges::{judge_ext4, judge_fat};
use crate::support::watch::watch;
use crate::support::{Bench, disk};

/// What a build may take in memory beside what it keeps of each node, in bytes: the program and its cell's process.
const BASE: u64 = 64 * MEBIBYTE;
/// What a build may keep of each node, in bytes.
const NODE: u64 = 1024;

/// Content, and how the build with it must end.
pub struct Case {
    name: String,
    filesystem: &'static str,
    size: &'static str,
    disk: &'static str,
    more: String,
    arguments: &'static [&'static str],
    content: String,
    prepare: Box<dyn Fn(&Bench)>,
    meanwhile: Box<dyn Fn(&Bench) + Sync + Send>,
    memory: u64,
    unnamed: Option<u64>,
    limit: Duration,
    names: Option<Vec<String>>,
    end: End,
}

/// A look at a file system in a file of its own.
type Check = dyn Fn(&Bench, &Path);

/// How a build ends.
enum End {
    /// With this error of the partition.
    Refused(String),
    /// With a file system that its judge finds right, and that passes this.
    Right(Box<Check>),
}

/// What is in the list `content` of a spec, put there by `prepare`; in 64 MiB of `filesystem`.
pub fn case(
    name: impl Into<String>,
    filesystem: &'static str,
    content: impl Into<String>,
    prepare: impl Fn(&Bench) + 'static,
) -> Case {
    Case {
        name: name.into(),
        filesystem,
        size: "64MiB",
        disk: "",
        more: String::new(),
        arguments: &[],
        content: content.into(),
        prepare: Box::new(prepare),
        meanwhile: Box::new(|_| ()),
        memory: BASE,
        unnamed: None,
        limit: Duration::from_secs(600),
        names: None,
        end: End::Right(Box::new(|_, _| ())),
    }
}

impl Case {
    /// It must end with this error of the partition, of which `…` stands for anything.
    pub fn refused(mut self, error: impl Into<String>) -> Self {
        self.end = End::Refused(error.into());
        self
    }

    /// The file system, in a file of its own, must pass this too.
    pub fn right(mut self, check: impl Fn(&Bench, &Path) + 'static) -> Self {
        self.end = End::Right(Box::new(check));
        self
    }

    /// Its content is put there by this instead.
    pub fn prepared(mut self, prepare: impl Fn(&Bench) + 'static) -> Self {
        self.prepare = Box::new(prepare);
        self
    }

    /// The size of the partition, as the spec has it.
    pub fn size(mut self, size: &'static str) -> Self {
        self.size = size;
        self
    }

    /// Keys of the disk.
    pub fn disk(mut self, keys: &'static str) -> Self {
        self.disk = keys;
        self
    }

    /// More arguments of the command.
    pub fn arguments(mut self, arguments: &'static [&'static str]) -> Self {
        self.arguments = arguments;
        self
    }

    /// More keys of the partition.
    pub fn with(mut self, keys: &str) -> Self {
        self.more = format!("{keys}\n");
        self
    }

    /// How many nodes it may keep in memory.
    pub fn nodes(mut self, nodes: u64) -> Self {
        self.memory = BASE + nodes * NODE;
        self
    }

    /// How much more memory it may take, in bytes.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory += bytes;
        self
    }

    /// How much disk its files without a name may take, in bytes.
    pub fn unnamed(mut self, bytes: u64) -> Self {
        self.unnamed = Some(bytes);
        self
    }

    /// The names in the folder at the end, where what happens meanwhile changes them.
    pub fn leaves(mut self, names: &[&str]) -> Self {
        self.names = Some(names.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    /// How long it may take.
    pub fn seconds(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    /// What happens while it builds.
    pub fn meanwhile(mut self, happens: impl Fn(&Bench) + Sync + Send + 'static) -> Self {
        self.meanwhile = Box::new(happens);
        self
    }

    fn spec(&self) -> String {
        format!(
            "[disk]\n{}\n[[partition]]\nname = \"data\"\ntype = \"linux-generic\"\nsize = \"{}\"\nfilesystem = \"{}\"\n{}\
             content = [{}]\n",
            self.disk, self.size, self.filesystem, self.more, self.content
        )
    }
}

/// Builds with all cases of a family, prints the table, and fails if one of them did not end as it must.
pub fn endure(family: &str, cases: Vec<Case>) {
    // What a compiler takes is no matter of content.
    static COMPILED: Once = Once::new();
    COMPILED.call_once(|| drop(Bench::new().done(&["guests"])));
    let mut table = format!("content: {family}\n");
    let mut failures = String::new();
    for case in cases {
        let ended = run(&case);
        let outcome = match case.end {
            End::Refused(_) => "refused",
            End::Right(_) => "right",
        };
        writeln!(
            table,
            "  {:56} {:4} {outcome:8} {:6.2} s {:5} MiB {:6} MiB on disk",
            case.name,
            case.filesystem,
            ended.time.as_secs_f64(),
            ended.memory / MEBIBYTE,
            ended.unnamed / MEBIBYTE
        )
        .unwrap();
        if let Err(why) = ended.verdict {
            writeln!(failures, "{}, {}: {why}", case.name, case.filesystem).unwrap();
        }
    }
    // The harness captures what tests print, but not what goes to the descriptor.
    std::io::stderr().write_all(table.as_bytes()).unwrap();
    assert!(failures.is_empty(), "{failures}");
}

struct Ended {
    verdict: Result<(), String>,
    time: Duration,
    memory: u64,
    unnamed: u64,
}

fn run(case: &Case) -> Ended {
    let (bench, output) = (Bench::new(), Bench::new());
    bench.write("image.toml", case.spec());
    bench.write("disk.img", PREVIOUS);
    bench.create_folder("temporary");
    (case.prepare)(&bench);
    let names = case.names.clone().unwrap_or_else(|| bench.names());

    let file = |name: &str| File::create(output.path(name)).unwrap();
    let begun = Instant::now();
    let child = bench
        .cellblock()
        .env("TMPDIR", bench.path("temporary"))
        .args(["build", "image.toml", "-o", "disk.img", "-q"])
        .args(case.arguments)
        .stdout(file("stdout"))
        .stderr(file("stderr"))
        .spawn()
        .unwrap();
    let (meanwhile, folder) = (&case.meanwhile, &bench);
    let watched = std::thread::scope(|scope| {
        scope.spawn(move || meanwhile(folder));
        watch(child, case.limit)
    });
    let time = begun.elapsed();
    let said = std::fs::read(output.path("stderr")).unwrap();
    let said = String::from_utf8_lossy(&said);
    let verdict = watched
        .ended
        .and_then(|status| judge(case, &bench, status, &said))
        .and_then(|()| check_traces(&bench, &names, &said, &output.path("stdout")))
        .and_then(|()| at_most("memory", watched.memory, case.memory))
        .and_then(|()| {
            let most = case.unnamed.unwrap_or(u64::MAX);
            at_most("disk", watched.unnamed, most)
        });
    Ended {
        verdict,
        time,
        memory: watched.memory,
        unnamed: watched.unnamed,
    }
}

fn at_most(what: &str, bytes: u64, most: u64) -> Result<(), String> {
    if bytes <= most {
        return Ok(());
    }
    let (bytes, most) = (bytes / MEBIBYTE, most / MEBIBYTE);
    Err(format!(
        "it took {bytes} MiB of {what}, and {most} at most is right"
    ))
}

fn judge(case: &Case, bench: &Bench, status: ExitStatus, said: &str) -> Result<(), String> {
    let image = bench.path("disk.img");
    let check = match &case.end {
        End::Right(_) if status.code() != Some(0) => return Err(format!("{status}: {said:.2000}")),
        End::Right(check) => check,
        End::Refused(error) => {
            let expected = format!("error: partition 'data': {error}\n");
            let (said, code) = without_place(said);
            return if status.code() != Some(code) || !matches(&expected, &said) {
                Err(format!("{status}: {said:.2000}"))
            } else if std::fs::read(&image).unwrap() != PREVIOUS {
                Err("the image from before has changed".to_owned())
            } else {
                Ok(())
            };
        }
    };
    let part = disk::cut_out(bench, &image, "data");
    match case.filesystem {
        "vfat" => judge_fat(&part),
        _ => judge_ext4(&part),
    }
    check(bench, &part);
    std::fs::remove_file(part).unwrap();
    // Where the kernel showed it.
    let _ = std::fs::remove_dir(bench.path("mounted"));
    Ok(())
}

/// What is said without the line of the spec behind it, and the exit code that goes with it: 2 where the spec is to be
/// changed.
pub fn without_place(said: &str) -> (String, i32) {
    let mut message = String::new();
    for line in said.lines() {
        if line.trim_start().starts_with("--> ") {
            return (message, 2);
        }
        message.push_str(line);
        message.push('\n');
    }
    (message, 1)
}

/// Whether `text` is `pattern`, in which `…` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty()
}
