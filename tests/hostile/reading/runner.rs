//! Takes what a hostile reader tells out of an image, and holds the outcome against what it must be.

use std::fs::File;
use std::time::{Duration, Instant};

use super::reader::Reader;
use crate::hostile::runner::{Ended, MEBIBYTE, check_traces, own_lines, withstand_with};
use crate::support::watch::watch;
use crate::support::{Bench, component};

/// A reader, and how a look through it must end.
pub struct Attack {
    name: String,
    wall: &'static str,
    reader: Reader,
    memory: u64,
    seconds: u64,
    host: u64,
    end: End,
}

enum End {
    /// With an error that has this in it, and no archive.
    Refused(String),
    /// With an archive of so many members, and this among what is said.
    Harmless(usize, &'static str),
}

/// What a look takes beside the memory of its cell, in bytes: the program, the compiler, and what crosses the border in one
/// call (at most 128 MiB).
const BASE: u64 = 320 << 20;
/// A look may take this much longer than its cell.
const SLACK: Duration = Duration::from_secs(60);
/// The bytes of the image, which are all the same.
pub const IMAGE: usize = 1 << 20;

/// A reader that must be refused, by this wall and with this in the error.
pub fn refused(
    name: impl Into<String>,
    wall: &'static str,
    reader: Reader,
    cause: impl Into<String>,
) -> Attack {
    Attack {
        name: name.into(),
        wall,
        reader,
        memory: 64 * MEBIBYTE,
        seconds: 600,
        host: 0,
        end: End::Refused(cause.into()),
    }
}

/// A reader that may do what it does, and of which an archive of so many members comes.
pub fn harmless(
    name: impl Into<String>,
    wall: &'static str,
    reader: Reader,
    members: usize,
) -> Attack {
    Attack {
        end: End::Harmless(members, ""),
        ..refused(name, wall, reader, "")
    }
}

impl Attack {
    pub fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    /// What it says must be among what is said.
    pub fn heard(mut self, said: &'static str) -> Self {
        if let End::Harmless(_, heard) = &mut self.end {
            *heard = said;
        }
        self
    }

    /// The memory of its cell in bytes.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// What the host may keep of what it tells, in bytes.
    pub fn host(mut self, bytes: u64) -> Self {
        self.host = bytes;
        self
    }

    /// The time of its cell.
    pub fn seconds(mut self, seconds: u64) -> Self {
        self.seconds = seconds;
        self
    }
}

/// Looks through every reader of a family, prints the table, and fails if one of them did not end as it must.
pub fn withstand(family: &str, attacks: Vec<Attack>) {
    let named = |attack: &Attack| (attack.name.clone(), attack.wall);
    withstand_with(&format!("hostile readers: {family}"), &attacks, named, run);
}

fn run(attack: &Attack, walls: &str) -> Ended {
    let (bench, output) = (Bench::new(), Bench::new());
    bench.write("disk.img", vec![b'x'; IMAGE]);
    bench.write(
        "hostile.wasm",
        component::reader_of(&attack.reader.module()),
    );
    bench.create_folder("temporary");
    let mut names = bench.names();

    let file = |name: &str| File::create(output.path(name)).unwrap();
    let begun = Instant::now();
    let child = bench
        .cellblock()
        .env("TMPDIR", bench.path("temporary"))
        .args(["tar", "disk.img", "-o", "out.tar", "-q", "--no-cache"])
        .args(["--reader", "hostile=hostile.wasm", "--walls", walls])
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
    if let End::Harmless(..) = attack.end {
        names.push("out.tar".to_owned());
        names.sort();
    }
    let most = BASE + attack.memory + attack.host;
    let verdict = watched
        .ended
        .and_then(|status| judge(attack, &bench, status.code(), &said))
        .and_then(|()| check_traces(&bench, &names, &said, &output.path("stdout")))
        .and_then(|()| match peak <= most {
            true => Ok(()),
            false => Err(format!(
                "it took {} MiB, and {} at most is right",
                peak / MEBIBYTE,
                most / MEBIBYTE
            )),
        });
    Ended {
        verdict,
        time,
        peak,
    }
}

fn judge(attack: &Attack, bench: &Bench, code: Option<i32>, said: &str) -> Result<(), String> {
    let (expected, cause) = match &attack.end {
        End::Refused(cause) => (1, &**cause),
        End::Harmless(_, heard) => (0, *heard),
    };
    if code != Some(expected) || !said.contains(cause) {
        return Err(format!(
            "{code:?}, and it does not say '{cause}': {said:.1000}"
        ));
    }
    if !std::fs::read(bench.path("disk.img"))
        .unwrap()
        .iter()
        .all(|byte| *byte == b'x')
    {
        return Err("the image has changed".to_owned());
    }
    match attack.end {
        End::Refused(_) if own_lines(said) != 1 => {
            Err(format!("it says more than an error: {said:.1000}"))
        }
        End::Refused(_) => Ok(()),
        End::Harmless(members, _) => {
            // GNU tar, where it is.
            let Some(tar) = crate::support::judge("tar") else {
                return Ok(());
            };
            let listed = tar.run(&["-tf"], &bench.path("out.tar"));
            let lines = listed.stdout.iter().filter(|byte| **byte == b'\n').count();
            match listed.status.success() && lines == members {
                true => Ok(()),
                false => Err(format!(
                    "tar lists {lines} members, and {members} are right"
                )),
            }
        }
    }
}
