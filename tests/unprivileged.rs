//! An ordinary user builds the same bytes, with no right, no device and no program but this one.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::determinism::DEMO;
use crate::support::bench::{copy_program, sha256};
use crate::support::judges::Judge;
use crate::support::{Ability, Bench, Outcome, is_root, judge, lacks, skipped, text, trace};

/// `nobody`.
pub const NOBODY: u32 = 65534;

/// The demo where nobody can read it, the program beside it, and a folder `out` that nobody can write to.
pub fn bench() -> Bench {
    let bench = Bench::with_case("demo");
    copy_program(&bench.path("cellblock"));
    folder_of_nobody(&bench, "out");
    bench
}

/// The arguments of setpriv that leave nothing but an ordinary user.
pub fn without_rights() -> Vec<&'static str> {
    let mut arguments = vec!["--no-new-privs"];
    if is_root() {
        arguments.extend([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--inh-caps=-all",
            "--bounding-set=-all",
        ]);
    } else {
        lacks(
            Ability::Superuser,
            "the demo is built as the user of the tests, not as nobody",
        );
    }
    arguments
}

/// Has `command` build the demo, in an empty environment.
fn build(bench: &Bench, command: &mut Command) -> PathBuf {
    let output = command
        .env_clear()
        .current_dir(bench.folder())
        .arg(bench.path("cellblock"))
        .args(["build", "demo/image.toml", "-o", "out/demo.img", "-q"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(
        crate::support::bench::names(&bench.path("out")),
        ["demo.img"]
    );
    bench.path("out/demo.img")
}

#[test]
fn nobody_builds_the_same_bytes() {
    let bench = bench();
    let Some(setpriv) = judge("setpriv") else {
        return;
    };
    let image = build(
        &bench,
        Command::new(setpriv.program()).args(without_rights()),
    );
    assert_eq!(sha256(&image), DEMO);
    if is_root() {
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!(fs::metadata(image).unwrap().uid(), NOBODY);
    }
}

/// Runs the program as the user nobody, with no right and nothing in the environment, in the folder of `bench`.
pub fn as_nobody(bench: &Bench, setpriv: &Judge, arguments: &[&str]) {
    let copy = bench.path("cellblock");
    copy_program(&copy);
    let output = Command::new(setpriv.program())
        .args(without_rights())
        .arg(copy)
        .args(arguments)
        .env_clear()
        .current_dir(bench.folder())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

/// Makes the folder `name`, which the user nobody can write to.
pub fn folder_of_nobody(bench: &Bench, name: &str) {
    let folder = bench.create_folder(name);
    if is_root() {
        chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

#[test]
fn nobody_builds_project_files_and_gadgets() {
    let bench = Bench::with_case("gadget");
    bench.copy_case("imagecraft", "imagecraft");
    bench.write("root/etc/hostname", "minimal\n");
    let Some(setpriv) = judge("setpriv") else {
        return;
    };
    let commands = [
        ["build", "gadget/meta/gadget.yaml", "--content", "data=root"],
        [
            "build",
            "imagecraft/imagecraft.yaml",
            "--content",
            "rootfs=root",
        ],
    ];
    bench.create_folder("expected");
    folder_of_nobody(&bench, "out");
    for command in commands {
        bench.done(&[&command[..], &["-q", "-o", "expected"]].concat());
        as_nobody(
            &bench,
            &setpriv,
            &[&command[..], &["-q", "-o", "out"]].concat(),
        );
    }
    let images = crate::support::bench::names(&bench.path("out"));
    assert_eq!(images, ["disk.img", "extra.img", "pc.img"]);
    for image in images {
        let (out, expected) = (format!("out/{image}"), format!("expected/{image}"));
        crate::support::bench::assert_same_bytes(&bench.path(out), &bench.path(expected));
    }
}

/// What runs a program with nothing: as nobody, without a right, with an empty folder in the place of /dev, no search path
/// and no home. None where that cannot be.
pub struct Nothing {
    unshare: Judge,
    setpriv: Judge,
    /// An ordinary user is the superuser of a user namespace of its own, where there may be some.
    namespaces: &'static str,
}

impl Nothing {
    const SCRIPT: &str = "mount -t tmpfs -o size=64k none /dev && [ -z \"$(ls -A /dev)\" ] && export PATH= HOME= && exec \"$@\"";

    pub fn new() -> Option<Self> {
        let (unshare, setpriv) = (judge("unshare")?, judge("setpriv")?);
        let namespaces = if is_root() { "-m" } else { "-rm" };
        let nothing = Self {
            unshare,
            setpriv,
            namespaces,
        };
        let probe = nothing.run(Path::new("/bin/true")).output().unwrap();
        if !probe.status.success() {
            lacks(
                Ability::Namespaces,
                &format!("/dev cannot be hidden: {}", text(&probe)),
            );
            return None;
        }
        Some(nothing)
    }

    /// A command that runs `program`, which takes arguments to come.
    fn run(&self, program: &Path) -> Command {
        let mut command = self.bare();
        command.arg(program);
        command
    }

    fn bare(&self) -> Command {
        let mut command = Command::new(self.unshare.program());
        command
            .env_clear()
            .args([self.namespaces, "sh", "-c", Self::SCRIPT, "sh"])
            .arg(self.setpriv.program())
            .args(without_rights());
        command
    }
}

#[test]
fn no_device_is_needed() {
    let bench = bench();
    let Some(nothing) = Nothing::new() else {
        return;
    };
    let image = build(&bench, &mut nothing.bare());
    assert_eq!(sha256(&image), DEMO);
}

/// A run of every command, and which files it leaves. OUT is where they are made.
const COMMANDS: [(&str, &[&str]); 16] = [
    ("build demo/image.toml -o OUT/demo.img -q", &["demo.img"]),
    (
        "build gadget/meta/gadget.yaml --content data=root -o OUT -q",
        &["extra.img", "pc.img"],
    ),
    (
        "mkfs ext4 --content demo/rootfs.tar -o OUT/root.ext4 -q",
        &["root.ext4"],
    ),
    (
        "mkfs vfat --content demo/esp --size 8MiB -o OUT/esp.fat -q",
        &["esp.fat"],
    ),
    ("mkfs swap --size 1MiB -o OUT/swap.fs -q", &["swap.fs"]),
    ("show OUT/demo.img", &[]),
    ("show --json OUT/demo.img", &[]),
    ("cut OUT/demo.img root -o OUT/root.part -q", &["root.part"]),
    (
        "fill OUT/demo.img root --filesystem ext4 --content demo/overlay --drop attributes -q",
        &["demo.img"],
    ),
    ("splice OUT/demo.img root OUT/root.part -q", &["demo.img"]),
    ("convert demo/image.toml", &[]),
    (
        "convert gadget/meta/gadget.yaml --volume pc --content ubuntu-data=root",
        &[],
    ),
    ("guests", &[]),
    ("guests --json", &[]),
    ("schema", &[]),
    ("walls", &[]),
];

#[test]
fn every_command_does_with_nothing_what_it_does_with_everything() {
    let Some(nothing) = Nothing::new() else {
        return;
    };
    let bench = bench();
    bench.copy_case("gadget", "gadget");
    bench.write("root/etc/hostname", "minimal\n");
    bench.create_folder("expected");
    let program = bench.path("cellblock");
    for (command, files) in COMMANDS {
        let run = |mut runner: Command, out: &str| {
            let words = command.replace("OUT", out);
            let outcome = Outcome::of(
                runner
                    .args(words.split_whitespace())
                    .current_dir(bench.folder()),
            );
            assert_eq!(outcome.code, Some(0), "{words}: {}", outcome.stderr);
            outcome.stdout.replace(&format!("{out}/"), "OUT/")
        };
        let expected = run(bench.cellblock(), "expected");
        assert_eq!(run(nothing.run(&program), "out"), expected, "{command}");
        assert!(!expected.is_empty() || !files.is_empty(), "{command}");
        for file in files {
            let [ours, theirs] = ["out", "expected"].map(|out| bench.path(out).join(file));
            crate::support::bench::assert_same_bytes(&ours, &theirs);
        }
    }
    // The last thing that was done to it put back what had been there.
    assert_eq!(sha256(&bench.path("out/demo.img")), DEMO);
}

/// What the program asked the kernel for, a line each, of the calls named in `calls`.
fn traced(bench: &Bench, calls: &str) -> Option<Vec<String>> {
    let strace = judge("strace")?;
    let log = bench.path("trace");
    let probe = strace
        .command()
        .args(["-o", "/dev/null", "true"])
        .output()
        .unwrap();
    if !probe.status.success() {
        lacks(Ability::Trace, &text(&probe));
        return None;
    }
    let mut command = Command::new(strace.program());
    command.args(["-f", "-y", "-s", "4096", "-o"]).arg(&log);
    command.args(["-e", &format!("trace={calls}")]);
    build(bench, &mut command);
    Some(trace::calls(&fs::read_to_string(log).unwrap()))
}

#[test]
fn no_program_is_run() {
    let bench = bench();
    let Some(calls) = traced(&bench, "execve,execveat,fork,vfork") else {
        return;
    };
    // The program is run, and runs itself for each of the three formatters twice, to compile it and to run it, and
    // nothing else.
    let own = format!("execve(\"{}\"", bench.path("cellblock").display());
    // Behind it stand the namespaces that it is cloned into, where it may be.
    let cell = "execve(\"/proc/self/exe\", [\"/proc/self/exe\", \"cell\"";
    let run = |program: &str| calls.iter().filter(|call| call.contains(program)).count();
    assert_eq!((run(&own), run(cell)), (1, 6), "{calls:#?}");
    assert_eq!(calls.len(), 1 + 6, "{calls:#?}");
}

#[test]
fn nothing_is_mounted_and_nobody_is_called() {
    let bench = bench();
    let Some(calls) = traced(
        &bench,
        "execve,mount,umount2,fsopen,fsmount,unshare,setns,chroot,pivot_root,socket,mknod,mknodat,ptrace",
    ) else {
        return;
    };
    // The trace sees what it is to see: see above. And each cell leaves the namespaces that it can leave.
    let (runs, others): (Vec<&String>, Vec<&String>) =
        calls.iter().partition(|call| call.contains("execve"));
    assert!(runs.len() >= 7, "{runs:#?}");
    let others: Vec<&String> = others
        .into_iter()
        .filter(|call| !call.contains("unshare(CLONE_NEW"))
        .collect();
    assert_eq!(others, Vec::<&String>::new());
}

/// Files of the system that every program of Rust and the C library looks into.
const OF_THE_SYSTEM: [&str; 6] = [
    // The dynamic loader.
    "/etc/ld.so.cache",
    "/lib/",
    "/usr/lib/",
    // How much memory and how many processors there are.
    "/proc/",
    "/sys/fs/cgroup/",
    "/sys/devices/system/cpu/",
];

#[test]
fn no_file_is_opened_that_the_spec_does_not_name() {
    let bench = bench();
    let Some(calls) = traced(&bench, "open,openat,openat2,creat") else {
        return;
    };
    let opened: Vec<String> = calls.iter().filter_map(|call| opened(call)).collect();
    let in_bench = |path: &str| bench.path(path).to_str().unwrap().to_owned();
    let named = [in_bench("demo"), in_bench("out")];
    let foreign: Vec<&String> = opened
        .iter()
        .filter(|path| {
            let below =
                |folder: &String| *path == folder || path.starts_with(&format!("{folder}/"));
            let of_system = OF_THE_SYSTEM.iter().any(|prefix| path.starts_with(prefix));
            !of_system && !named.iter().any(below)
        })
        .collect();
    assert!(foreign.is_empty(), "{foreign:#?}");
    // The trace sees what it is to see.
    assert!(opened.contains(&in_bench("demo/rootfs.tar")), "{opened:#?}");
    assert!(opened.contains(&in_bench("demo/esp/.note")), "{opened:#?}");
    assert!(
        !opened.contains(&in_bench("demo/make-rootfs.py")),
        "{opened:#?}"
    );
    assert!(
        !opened.contains(&in_bench("demo/overlay/etc/motd.orig")),
        "{opened:#?}"
    );
}

/// The path behind the descriptor that a call returned: of `… = 3</etc/ld.so.cache>`; none if it failed.
fn opened(call: &str) -> Option<String> {
    let (_, result) = call.rsplit_once(" = ")?;
    let (_, path) = result.split_once('<')?;
    let path = path.strip_suffix('>').or(path.strip_suffix("(deleted)"))?;
    let path = path.strip_suffix(">(deleted)").unwrap_or(path);
    Some(path.to_owned())
}

/// With nothing of its own, the program does not even need a root file system that it knows.
#[test]
fn an_empty_path_and_no_home_are_enough() {
    let bench = bench();
    let mut command = Command::new("/usr/bin/env");
    if !Path::new("/usr/bin/env").exists() {
        skipped("env", "no /usr/bin/env");
        return;
    }
    command.args(["-i", "PATH=", "HOME="]);
    let image = build(&bench, &mut command);
    assert_eq!(sha256(&image), DEMO);
}
