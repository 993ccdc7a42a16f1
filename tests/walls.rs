//! The second wall: a process for each formatter, which can do nothing but ask.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::determinism::DEMO;
use crate::support::bench::{Outcome, cache, program, sha256};
use crate::support::{Ability, Bench, component, judge, lacks};

/// A disk whose one formatter never returns.
const ENDLESS: &str = r#"
[[partition]]
name = "victim"
type = "linux-generic"
size = "1MiB"
filesystem = "hostile"
"#;

#[test]
fn what_is_behind_the_wall_cannot_get_out() {
    let told = Bench::new().done(&["walls"]);
    for attempt in [
        "open a file",
        "make a file",
        "make a network socket",
        "make a local socket",
        "signal its host",
        "take a descriptor of its host",
        "start a thread",
        "start a program",
        "become another program",
        "take back a limit",
        "lower a limit of its host",
        "change the priority of its host",
        "outlive its host",
        "be dumped",
        "use a descriptor it was started with",
        "share memory",
        "have a mapping that grows",
        "make memory executable",
        "make what it shares executable",
        "leave its namespaces",
        "mount a file system",
        "load a program into the kernel",
        "queue work for the kernel",
        "send out of band",
    ] {
        let line = told.lines().find(|line| line.starts_with(attempt));
        let refused =
            line.is_some_and(|line| line.ends_with("Operation not permitted (os error 1)"));
        assert!(refused, "{attempt}: {told}");
    }
    // What the filter lets through, and limits do not.
    for attempt in [
        "take more memory than it may  ",
        "take more of what it has reserved  ",
        "take more addresses than it may  ",
    ] {
        let line = told.lines().find(|line| line.starts_with(attempt));
        let refused =
            line.is_some_and(|line| line.ends_with("Cannot allocate memory (os error 12)"));
        assert!(refused, "{attempt}: {told}");
    }
}

/// The rows of the table in `SECURITY.md` whose heading begins so: a call, and its arguments in each stage.
fn table(heading: &str) -> BTreeMap<String, [String; 2]> {
    let page = include_str!("../SECURITY.md");
    let rows = page.lines().skip_while(|line| !line.starts_with(heading));
    rows.skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [call, compiling, running] = cells[..] else {
                panic!("{line}");
            };
            let cells = [compiling.to_owned(), running.to_owned()];
            (call.trim_matches('`').to_owned(), cells)
        })
        .collect()
}

#[test]
#[cfg(target_arch = "x86_64")]
fn every_system_call_of_a_process_that_was_taken_over_is_in_the_table() {
    /// Which no filter is asked about: `SECURITY.md` says so.
    const UPROBE: &str = "336";
    let told = Bench::new().done(&["walls", "--calls"]);
    let mut allowed: BTreeMap<String, [Vec<&str>; 2]> = BTreeMap::new();
    for line in told.lines() {
        let (stage, rest) = line.split_once(' ').unwrap();
        let (call, arguments) = rest.trim().split_once("  ").unwrap();
        let stage = ["compiling", "running"]
            .iter()
            .position(|known| *known == stage)
            .unwrap();
        let arguments = match arguments.trim() {
            "any arguments" => "any",
            other => other,
        };
        if call != UPROBE {
            allowed.entry(call.to_owned()).or_default()[stage].push(arguments);
        }
    }
    let allowed: BTreeMap<String, [String; 2]> = allowed
        .into_iter()
        .map(|(call, stages)| {
            let cells = stages.map(|arguments| match &arguments[..] {
                [] => "no".to_owned(),
                some => some.join("; "),
            });
            (call, cells)
        })
        .collect();
    let rows: String = allowed
        .iter()
        .map(|(call, [compiling, running])| format!("| `{call}` | {compiling} | {running} |\n"))
        .collect();
    assert_eq!(
        table("| Call | While a formatter is compiled"),
        allowed,
        "{rows}"
    );
}

#[test]
fn images_are_the_same_within_each_wall() {
    for walls in ["wasm", "process"] {
        let bench = Bench::with_case("demo");
        let record = bench.done(&[
            "build",
            "demo/image.toml",
            "-o",
            "demo.img",
            "--json",
            "-",
            "--walls",
            walls,
        ]);
        assert_eq!(sha256(&bench.path("demo.img")), DEMO);
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        let partitions = record["partitions"].as_array().unwrap();
        let stood: Vec<_> = partitions
            .iter()
            .filter_map(|partition| partition.get("filesystem"))
            .map(|filesystem| filesystem["wall"].as_str().unwrap())
            .collect();
        assert_eq!(stood, [walls; 3]);
    }
}

/// Starts to build with the formatter that never returns, until its process is there: the build, and that process.
#[expect(clippy::zombie_processes, reason = "the caller waits for it")]
fn endless(bench: &Bench) -> (Child, Pid) {
    component::formatter(bench, "endless-loop");
    bench.write("image.toml", ENDLESS);
    let mut build = bench.cellblock();
    build
        .args(["build", "image.toml", "-o", "disk.img", "-q"])
        .args(["--guest", "hostile=endless-loop.wasm", "--walls", "process"])
        .stderr(Stdio::piped());
    let mut build = build.spawn().unwrap();
    let begun = Instant::now();
    loop {
        if let Some(cell) = cell_of(&build).filter(|cell| is_running(*cell)) {
            return (build, cell);
        }
        if begun.elapsed() > Duration::from_secs(60) {
            build.kill().unwrap();
            build.wait().unwrap();
            panic!("no process of a cell");
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The process that a build has started.
fn cell_of(build: &Child) -> Option<Pid> {
    let threads = fs::read_dir(format!("/proc/{}/task", build.id())).ok()?;
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|children| {
            let numbers = children
                .split_whitespace()
                .map(|number| number.parse().ok());
            numbers.collect::<Vec<Option<i32>>>()
        })
        .flatten()
        .find_map(Pid::from_raw)
}

/// Whether a process has computed for a while: it calls its guest.
fn is_running(process: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    let ticks = status.ok().and_then(|status| {
        let (_, fields) = status.rsplit_once(") ")?;
        fields.split(' ').nth(11)?.parse::<u32>().ok()
    });
    ticks.is_some_and(|ticks| ticks > 50)
}

#[test]
fn a_process_that_is_killed_is_an_error_of_its_partition() {
    let bench = Bench::new();
    bench.write("disk.img", "an image from before");
    let (build, cell) = endless(&bench);
    kill_process(cell, Signal::KILL).unwrap();
    let output = build.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    let start =
        "error: partition 'victim': the guest 'hostile' has lost its process (signal: 9 (SIGKILL))";
    assert!(error.starts_with(start), "{error}");
    assert_eq!(
        fs::read_to_string(bench.path("disk.img")).unwrap(),
        "an image from before"
    );
    assert_eq!(
        bench.names(),
        ["disk.img", "endless-loop.wasm", "image.toml"]
    );
}

#[test]
fn a_process_has_given_up_its_user_its_rights_and_its_descriptors() {
    let bench = Bench::new();
    bench.write("secret", "of whoever started the build");
    // As a shell or a service leaves one open: without the flag that closes it.
    let flags = rustix::fs::OFlags::RDWR;
    let inherited =
        rustix::fs::open(bench.path("secret"), flags, rustix::fs::Mode::empty()).unwrap();
    let (mut build, cell) = endless(&bench);
    drop(inherited);
    let about = |name: &str| {
        fs::read_to_string(format!("/proc/{}/{name}", cell.as_raw_nonzero())).unwrap_or_default()
    };
    let (status, limits) = (about("status"), about("limits"));
    let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/pid")).ok();
    let pid_namespaces = [
        namespace("self"),
        namespace(&cell.as_raw_nonzero().to_string()),
    ];
    let descriptors = fs::read_dir(format!("/proc/{}/fd", cell.as_raw_nonzero()))
        .map(|descriptors| descriptors.flatten().count());
    build.kill().unwrap();
    build.wait().unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} in {status}")).trim()
    };
    for rights in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(field(rights), "0000000000000000", "{rights}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    // Filters.
    assert_eq!(field("Seccomp:"), "2");
    for limit in [
        "Max core file size",
        "Max processes",
        "Max open files",
        "Max file size",
        "Max locked memory",
    ] {
        let line = limits.lines().find_map(|line| line.strip_prefix(limit));
        let numbers: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
        assert_eq!(numbers[..2], ["0", "0"], "{limit} in {limits}");
    }
    for limit in ["Max address space", "Max data size", "Max cpu time"] {
        let line = limits.lines().find(|line| line.starts_with(limit));
        assert!(
            line.is_some_and(|line| !line.contains("unlimited")),
            "{limits}"
        );
    }
    // Its number where it is, beside the one that is known here, unless the kernel lets nobody make a namespace.
    if may_make_namespaces() {
        assert!(field("NSpid:").ends_with("\t1"), "{status}");
        if let [Some(ours), Some(own)] = pid_namespaces {
            assert_ne!(ours, own);
        }
    }
    if rustix::process::geteuid().is_root() {
        assert_eq!(field("Uid:"), "65534\t65534\t65534\t65534");
        assert_eq!(field("Gid:"), "65534\t65534\t65534\t65534");
        assert_eq!(field("Groups:"), "");
        assert_eq!(descriptors.unwrap(), 1, "the socket alone");
    } else {
        // It is not dumpable, so that its user does not see into it.
        assert!(descriptors.is_err());
    }
}

/// Whether `unshare`, of util-linux, may make what a cell is to be in.
fn may_make_namespaces() -> bool {
    let Some(unshare) = judge("unshare") else {
        return false;
    };
    let mut command = unshare.command();
    command.args(["--pid", "--fork"]);
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--net", "--ipc", "--uts", "--mount"]);
    }
    command.arg("true").output().unwrap().status.success()
}

/// Whether a process is there, and has not ended.
fn is_alive(process: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    status.is_ok_and(|status| {
        let state = status.rsplit_once(") ").map(|(_, fields)| &fields[..1]);
        !matches!(state, Some("Z" | "X"))
    })
}

#[test]
fn no_process_outlives_the_build() {
    let bench = Bench::new();
    let (mut build, cell) = endless(&bench);
    assert!(is_alive(cell));
    build.kill().unwrap();
    build.wait().unwrap();
    let begun = Instant::now();
    while is_alive(cell) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it goes on");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Makes a file system with `home` as the home, and no other place for a cache: what is in `home` then.
fn made_at(bench: &Bench, home: &Path) -> Vec<String> {
    let mut command = bench.cellblock();
    command
        .args(["mkfs", "swap", "-o", "swap.img", "--size", "1MiB", "-q"])
        .env_remove("XDG_CACHE_HOME")
        .env("HOME", home);
    let outcome = Outcome::of(&mut command);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    names(home)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_cache_that_others_could_write_to_is_not_used() {
    let bench = Bench::new();
    let home = bench.path("home");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, Permissions::from_mode(0o777)).unwrap();
    assert!(made_at(&bench, &home).is_empty());
    fs::set_permissions(&home, Permissions::from_mode(0o755)).unwrap();
    if rustix::process::geteuid().is_root() {
        // As with `sudo`, which keeps the home of whoever calls it.
        chown(&home, Some(12345), Some(12345)).unwrap();
        assert!(made_at(&bench, &home).is_empty());
        let mut walls = bench.cellblock();
        walls
            .arg("walls")
            .env_remove("XDG_CACHE_HOME")
            .env("HOME", &home);
        let told = Outcome::of(&mut walls).stderr;
        assert!(told.contains("belongs to the user 12345"), "{told}");
        chown(&home, Some(0), Some(0)).unwrap();
    }
    assert_eq!(made_at(&bench, &home), [".cache"]);

    let cache = home.join(".cache/cellblock");
    let kept = names(&cache);
    let [code, key] = &kept[..] else {
        panic!("{kept:?}");
    };
    assert_eq!(key, "key");
    for name in [code, key] {
        let mode = fs::metadata(cache.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
    }
    // What somebody else has put there is not run, but replaced.
    let genuine = fs::read(cache.join(code)).unwrap();
    let mut forged = genuine.clone();
    *forged.last_mut().unwrap() ^= 1;
    fs::write(cache.join(code), forged).unwrap();
    made_at(&bench, &home);
    assert!(fs::read(cache.join(code)).unwrap() == genuine);
}

/// Makes swap space where a system call fails as if the kernel did not have it.
fn without(bench: &Bench, call: &str, options: &[&str]) -> Option<Outcome> {
    let make = ["mkfs", "swap", "-o", "swap.img", "--size", "1MiB"];
    run_without(bench, call, &[&make, options].concat())
}

/// Runs the program where a system call fails as if the kernel did not have it; none where it cannot be traced.
pub fn run_without(bench: &Bench, call: &str, arguments: &[&str]) -> Option<Outcome> {
    let strace = judge("strace")?;
    let mut command = strace.command();
    command
        .args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={call}"),
        ])
        .args(["-e", &format!("inject={call}:error=ENOSYS")])
        .arg(program())
        .args(arguments)
        .current_dir(bench.folder());
    let outcome = Outcome::of(&mut command);
    if outcome.stderr.contains("ptrace") {
        lacks(Ability::Trace, "strace may not trace here");
        return None;
    }
    Some(outcome)
}

#[test]
fn a_kernel_that_lacks_something_is_told_of() {
    for (call, name) in [
        ("landlock_create_ruleset", "Landlock"),
        ("seccomp", "seccomp"),
        // By which the program starts itself; as where there is no /proc.
        ("chdir", "/proc/self/exe"),
    ] {
        let bench = Bench::new();
        let Some(refused) = without(&bench, call, &["--walls", "process"]) else {
            return;
        };
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        let start = "error: a cell cannot be confined to a process here: ";
        assert!(refused.stderr.starts_with(start), "{}", refused.stderr);
        assert!(
            refused.stderr.contains(&format!("does not allow {name}")),
            "{}",
            refused.stderr
        );
        // Nor does one run that somebody brought, although nothing was asked for.
        let brought = format!(
            "swap={}/../../guests/dist/swap.wasm",
            env!("CARGO_MANIFEST_DIR")
        );
        let refused = without(&bench, call, &["--guest", &brought]).unwrap();
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        let start =
            "error: the guest 'swap' is not built in, and cannot be confined to a process here: ";
        assert!(refused.stderr.starts_with(start), "{}", refused.stderr);
        assert!(!Path::new(&bench.path("swap.img")).exists());
        let asked = without(&bench, call, &["--guest", &brought, "--walls", "wasm"]).unwrap();
        assert_eq!(asked.code, Some(0), "{}", asked.stderr);

        let warned = without(&bench, call, &["-q"]).unwrap();
        assert_eq!(warned.code, Some(0), "{}", warned.stderr);
        assert!(
            warned.stderr.starts_with(
                "warning: this kernel, or the container around this program, does not allow "
            ) && warned.stderr.lines().count() == 1,
            "{}",
            warned.stderr
        );
        let record = without(&bench, call, &["--json", "-"]).unwrap().stdout;
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        let filesystem = &record["partitions"][0]["filesystem"];
        assert_eq!(filesystem["wall"], "wasm");
        assert!(
            filesystem["no-process"].as_str().unwrap().starts_with(name),
            "{record}"
        );
    }
}

/// Makes swap space in the host's own process where system calls fail with EAGAIN, from the `first` one on.
fn refused_from(bench: &Bench, calls: &str, first: usize) -> Option<Outcome> {
    let mut command = judge("strace")?.command();
    let (trace, inject) = (
        format!("trace={calls}"),
        format!("inject={calls}:error=EAGAIN:when={first}+"),
    );
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject])
        .arg(program())
        .args(["mkfs", "swap", "-o", "swap.img", "--size", "1MiB"])
        .args(["--walls", "wasm", "-q"])
        .current_dir(bench.folder());
    let outcome = Outcome::of(&mut command);
    if outcome.stderr.contains("ptrace") {
        lacks(Ability::Trace, "strace may not trace here");
        return None;
    }
    Some(outcome)
}

#[test]
fn no_random_numbers_are_an_error() {
    let bench = Bench::new();
    let Some(outcome) = refused_from(&bench, "getrandom", 1) else {
        return;
    };
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let expected = "error: the kernel gives no random numbers (getrandom), ";
    assert!(outcome.stderr.starts_with(expected), "{}", outcome.stderr);
    assert!(bench.names().is_empty());
}

/// Wherever on its way the limit is met: the compiler has threads too.
#[test]
fn too_few_threads_are_an_error() {
    let bench = Bench::new();
    for allowed in 0..64 {
        let Some(outcome) = refused_from(&bench, "clone,clone3", allowed + 1) else {
            return;
        };
        if outcome.code == Some(0) {
            assert!(allowed > 2, "it has several threads");
            return;
        }
        let said = &outcome.stderr;
        assert_eq!(outcome.code, Some(1), "{allowed}: {said}");
        assert!(
            said.starts_with("error: ") && said.contains(" thread ") && said.lines().count() == 1,
            "{allowed}: {said}"
        );
        assert!(bench.names().is_empty());
    }
    panic!("it starts threads without end");
}

/// Around the least address space that suffices, where something is refused at each step of the way.
#[test]
fn too_little_address_space_is_an_error() {
    const STEP: u64 = 64 << 10;
    let bench = Bench::new();
    let Some(prlimit) = judge("prlimit") else {
        return;
    };
    let with = |addresses: u64| {
        let mut command = prlimit.command();
        command
            .arg(format!("--as={addresses}"))
            .arg(program())
            .args([
                "mkfs", "swap", "-o", "swap.img", "--size", "1MiB", "--walls", "wasm",
            ])
            .env("XDG_CACHE_HOME", cache())
            .current_dir(bench.folder());
        let outcome = Outcome::of(&mut command);
        let _ = fs::remove_file(bench.path("swap.img"));
        outcome
    };
    let (mut too_little, mut enough) = (1 << 30, 64 << 30);
    while enough - too_little > STEP {
        let middle = (too_little + enough) / 2;
        match with(middle).code {
            Some(0) => enough = middle,
            _ => too_little = middle,
        }
    }
    for steps in 0..32 {
        let outcome = with(enough - steps * STEP);
        if outcome.code != Some(0) {
            assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
            assert!(
                outcome
                    .stderr
                    .starts_with("error: the guest 'swap' failed: "),
                "{}",
                outcome.stderr
            );
            assert!(bench.names().is_empty());
        }
    }
}
