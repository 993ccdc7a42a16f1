//! Builds with a hostile formatter, and holds the outcome against what it must be.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use crate::content::runner::without_place;
use crate::support::watch::watch;
use crate::support::{Bench, component};

/// A formatter, and how the build with it must end.
pub struct Attack {
    name: String,
    wall: &'static str,
    component: Vec<u8>,
    size: &'static str,
    memory: u64,
    seconds: u64,
    end: End,
}

/// How a build ends.
enum End {
    /// With an error of the partition that has this in it.
    Refused(String),
    /// With an error of the guest, before any partition is made, that has this in it.
    NotLoaded(String),
    /// As one whose file is no guest.
    NotAGuest(String),
    /// With an error of the plan, which places the partition as the formatter measured it.
    Unplanned,
    /// With an image in which nothing but its own partition is the formatter's, and with this among the warnings.
    Harmless(&'static str),
}

/// What a build may take beyond the memory of its one hostile cell, in bytes: the program, the compiler, what crosses the
/// border in one call (at most 128 MiB) and what the host makes of it.
const OVERHEAD: u64 = 512 << 20;
/// A build may take this much longer than its cell.
const SLACK: Duration = Duration::from_secs(60);
pub const MEBIBYTE: u64 = 1 << 20;
/// The second partition table at the end of the disk, in bytes.
const TABLE: u64 = 33 * 512;

/// A formatter from the text that [`super::template`] completes.
pub fn formatter(name: impl Into<String>, wall: &'static str, text: &str) -> Attack {
    bytes(name, wall, component::formatter_of(text))
}

/// A component from its whole text.
pub fn whole(name: impl Into<String>, wall: &'static str, text: &str) -> Attack {
    bytes(name, wall, component::component_of(text))
}

/// Bytes that say that they are a component.
pub fn bytes(name: impl Into<String>, wall: &'static str, component: Vec<u8>) -> Attack {
    Attack {
        name: name.into(),
        wall,
        component,
        size: "1MiB",
        memory: 64 * MEBIBYTE,
        seconds: 600,
        end: End::Harmless(""),
    }
}

impl Attack {
    /// It must end with an error of the partition.
    pub fn refused(mut self, cause: impl Into<String>) -> Self {
        self.end = End::Refused(cause.into());
        self
    }

    /// It must not come to a partition.
    pub fn not_loaded(mut self, cause: impl Into<String>) -> Self {
        self.end = End::NotLoaded(cause.into());
        self
    }

    /// Its file must be taken for no guest.
    pub fn no_guest(mut self, cause: impl Into<String>) -> Self {
        self.end = End::NotAGuest(cause.into());
        self
    }

    /// The plan must refuse what it measures.
    pub fn unplanned(mut self) -> Self {
        self.end = End::Unplanned;
        self
    }

    /// It must succeed, and what it says must be among the warnings.
    pub fn heard(mut self, warning: &'static str) -> Self {
        self.end = End::Harmless(warning);
        self
    }

    /// The size of its partition, as the spec has it.
    pub fn size(mut self, size: &'static str) -> Self {
        self.size = size;
        self
    }

    /// The memory of its cell in bytes.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// The time of its cell.
    pub fn seconds(mut self, seconds: u64) -> Self {
        self.seconds = seconds;
        self
    }

    fn spec(&self, filesystem: bool) -> String {
        let filesystem = if filesystem {
            "filesystem = \"hostile\"\ncontent = [{ directory = \"content\" }]\n"
        } else {
            ""
        };
        let size = match self.size {
            // What the smallest sizes that are told come to.
            "minimum" if filesystem.is_empty() => "1MiB",
            size => size,
        };
        format!(
            "disk = {{ seed = \"00000000000000000000000000000001\" }}\n\
             [[partition]]\nname = \"neighbour\"\ntype = \"linux-generic\"\nsize = \"1MiB\"\nfilesystem = \"swap\"\n\n\
             [[partition]]\nname = \"victim\"\ntype = \"linux-generic\"\nsize = \"{size}\"\n{filesystem}"
        )
    }
}

/// Builds with every attack of a family, prints the table, and fails if one of them did not end as it must.
pub fn withstand(family: &str, attacks: Vec<Attack>) {
    let named = |attack: &Attack| (attack.name.clone(), attack.wall);
    withstand_with(&format!("hostile: {family}"), &attacks, named, run);
}

/// Runs every attack within each wall by `run`, prints the table, in which an attack has a name and what stops it, and fails if
/// one of them did not end as it must.
pub fn withstand_with<A>(
    title: &str,
    attacks: &[A],
    named: impl Fn(&A) -> (String, &'static str),
    run: impl Fn(&A, &str) -> Ended,
) {
    let mut table = format!("{title}\n");
    let mut failures = String::new();
    let runs = attacks
        .iter()
        .flat_map(|attack| ["wasm", "process"].map(|walls| (attack, walls)));
    for (attack, walls) in runs {
        let (name, wall) = named(attack);
        let ended = run(attack, walls);
        writeln!(
            table,
            "  {name:52} {wall:24} {walls:8} {:6.2} s {:5} MiB",
            ended.time.as_secs_f64(),
            ended.peak / MEBIBYTE
        )
        .unwrap();
        if let Err(why) = ended.verdict {
            writeln!(failures, "{name}, {walls}: {why}").unwrap();
        }
    }
    // The harness captures what tests print, but not what goes to the descriptor.
    std::io::stderr().write_all(table.as_bytes()).unwrap();
    assert!(failures.is_empty(), "{failures}");
}

/// How an attack ended.
pub struct Ended {
    /// Whether as it must.
    pub verdict: Result<(), String>,
    pub time: Duration,
    /// The most memory that the processes had, each at its worst, in bytes.
    pub peak: u64,
}

fn run(attack: &Attack, walls: &str) -> Ended {
    let (bench, output) = (Bench::new(), Bench::new());
    bench.write("image.toml", attack.spec(true));
    bench.write("hostile.wasm", &attack.component);
    bench.write("disk.img", PREVIOUS);
    bench.write("content/data", vec![b'x'; 100_000]);
    let holes = File::create(bench.path("content/holes")).unwrap();
    holes.set_len(512 << 10).unwrap();
    bench.create_folder("temporary");
    let names = bench.names();

    let file = |name: &str| File::create(output.path(name)).unwrap();
    let begun = Instant::now();
    let child = bench
        .cellblock()
        .env("TMPDIR", bench.path("temporary"))
        .args(["build", "image.toml", "-o", "disk.img", "-q", "--no-cache"])
        .args(["--guest", "hostile=hostile.wasm"])
        .args(["--walls", walls])
        .args(["--memory-limit", &attack.memory.to_string()])
        .args(["--time-limit", &attack.seconds.to_string()])
        .stdout(file("stdout"))
        .stderr(file("stderr"))
        .spawn()
        .unwrap();
    let watched = watch(child, Duration::from_secs(attack.seconds) + SLACK);
    let (time, peak) = (begun.elapsed(), watched.memory);
    let said = std::fs::read(output.path("stderr")).unwrap();
    let said = String::from_utf8_lossy(&said);
    let verdict = watched
        .ended
        .and_then(|status| judge(attack, &bench, status, &said))
        .and_then(|()| check_traces(&bench, &names, &said, &output.path("stdout")))
        .and_then(|()| match peak <= attack.memory + OVERHEAD {
            true => Ok(()),
            false => Err(format!("it took {} MiB", peak / MEBIBYTE)),
        });
    Ended {
        verdict,
        time,
        peak,
    }
}

/// What stands in the image before.
pub const PREVIOUS: &[u8] = b"an image from before";

/// The lines of the program itself: those that a guest says stand indented below its errors.
pub fn own_lines(said: &str) -> usize {
    let lines = said.lines();
    lines.filter(|line| !line.starts_with("    | ")).count()
}

fn judge(attack: &Attack, bench: &Bench, status: ExitStatus, said: &str) -> Result<(), String> {
    // What a formatter says of a size, a label or an option points at the spec's line.
    let (said, refused) = without_place(said);
    let (code, parts) = match &attack.end {
        End::Refused(cause) => (refused, ["error: partition 'victim': ", cause]),
        End::NotLoaded(cause) => (1, ["the guest 'hostile'", cause]),
        End::NotAGuest(cause) => (2, ["the guest 'hostile'", cause]),
        End::Unplanned => (2, ["error: ", "victim"]),
        End::Harmless(warning) => (0, ["", *warning]),
    };
    if status.code() != Some(code) {
        return Err(format!("{status}: {said:.1000}"));
    }
    if !parts.iter().all(|part| said.contains(part)) {
        return Err(format!("it does not say {parts:?}: {said:.1000}"));
    }
    let image = bench.path("disk.img");
    if code == 0 {
        return check_outside(attack, bench, &image);
    }
    if std::fs::read(&image).unwrap() != PREVIOUS {
        return Err("the previous image has changed".to_owned());
    }
    if code != 0 && !matches!(attack.end, End::Unplanned) && own_lines(&said) != 1 {
        return Err(format!("it says more than an error: {said:.1000}"));
    }
    Ok(())
}

/// Holds what lies before and after the formatter's partition against an image that no formatter filled.
fn check_outside(attack: &Attack, bench: &Bench, image: &Path) -> Result<(), String> {
    let other = Bench::new();
    other.write("image.toml", attack.spec(false));
    let empty = other.build("image.toml", "empty.img");
    let lengths = [&empty, image].map(|path| path.metadata().unwrap().len());
    let [is, should] = [image, &empty].map(|path| {
        let start = std::fs::read(bench.cut(path, 0, 2 * MEBIBYTE, "start")).unwrap();
        let end = std::fs::read(bench.cut(path, lengths[0] - TABLE, TABLE, "end")).unwrap();
        (start, end)
    });
    for name in ["start", "end"] {
        std::fs::remove_file(bench.path(name)).unwrap();
    }
    if lengths[0] != lengths[1] || is != should {
        return Err("the formatter reached something outside its partition".to_owned());
    }
    Ok(())
}

/// No file is left, and nothing that is said acts on a terminal or fills it.
pub fn check_traces(
    bench: &Bench,
    names: &[String],
    said: &str,
    stdout: &Path,
) -> Result<(), String> {
    if bench.names() != names {
        return Err(format!("it left {:?}", bench.names()));
    }
    let temporary = crate::support::bench::names(&bench.path("temporary"));
    if !temporary.is_empty() {
        return Err(format!("it left {temporary:?}"));
    }
    let said = format!("{said}{}", std::fs::read_to_string(stdout).unwrap());
    if let Some(control) = said.chars().find(|c| c.is_control() && *c != '\n') {
        return Err(format!("it says {control:?}: {said:.1000}"));
    }
    if said.len() as u64 > 8 * MEBIBYTE {
        return Err(format!("it says {} bytes", said.len()));
    }
    Ok(())
}
