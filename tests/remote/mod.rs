//! Partitions that workers of a farm make: BuildGrid's servers, which we did not write, and a worker of ours.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use cellblock_build::action::{BlobName, Executed, Farm, Remote, RemoteOptions};
use cellblock_build::cell::{Runtime, RuntimeOptions, Walls};
use cellblock_build::spec::Spec;
use cellblock_build::text::hexadecimal;
use cellblock_build::{BuildOptions, Catalog, Record, build_image};
use serde_json::{Value, json};

use crate::support::bench::{self, repository, sha256};
use crate::support::{Bench, judge};

const SPEC: &str = r#"
[disk]
seed = "00000000-0000-0000-0000-000000000001"
time = "2024-03-01T12:00:00Z"

[[partition]]
name = "root"
type = "linux"
size = "16MiB"
filesystem = "ext4"
content = [{ directory = "root" }]

[[partition]]
name = "boot"
type = "linux"
size = "40MiB"
filesystem = "vfat"
content = [{ directory = "root" }]
drop = ["symlinks", "owners", "permissions"]

[[partition]]
name = "usr"
type = "linux"
size = "minimum"
filesystem = "erofs"
options = { compression = "lz4" }
content = [{ directory = "root" }]

[[partition]]
name = "srv"
type = "linux"
size = "16MiB"
filesystem = "squashfs"
options = { compression = "zstd" }
content = [{ directory = "root" }]
"#;

/// What the worker is called: `WORKER` of `farm.py`.
const WORKER: &str = "worker-of-the-tests";

/// A running farm; it ends with this, since its standard input does.
#[derive(Debug)]
struct Grid {
    folder: PathBuf,
    speech: Mutex<Speech>,
    child: Mutex<Child>,
}

/// What is said to the farm, and what it answers.
#[derive(Debug)]
struct Speech {
    calls: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Grid {
    /// Starts one whose worker fails in these ways, one after another; none where a program that it needs is missing.
    fn start(bench: &Bench, failures: &[&str]) -> Option<Arc<Self>> {
        let bgd = judge("bgd")?;
        judge("initdb")?;
        judge("postgres")?;
        let folder = bench.path("farm");
        // That of the environment that BuildGrid is installed in.
        let python = bgd.program().with_file_name("python");
        let failures = failures.iter().flat_map(|failure| ["--fail", failure]);
        let mut child = Command::new(python)
            .arg(repository("tests/remote/farm.py"))
            .arg(&folder)
            .args(failures)
            .env("GRPC_VERBOSITY", "NONE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let speech = Speech {
            calls: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().unwrap()),
        };
        let grid = Self {
            folder,
            speech: Mutex::new(speech),
            child: Mutex::new(child),
        };
        assert_eq!(grid.answer(), Ok(json!("ready")));
        Some(Arc::new(grid))
    }

    fn answer(&self) -> Result<Value, String> {
        read(&mut self.speech.lock().unwrap())
    }

    fn call(&self, name: &str, with: Value) -> Result<Value, String> {
        let mut speech = self.speech.lock().unwrap();
        let call = json!({ "call": name, "with": with });
        let calls = speech.calls.as_mut().unwrap();
        writeln!(calls, "{call}").unwrap();
        read(&mut speech)
    }

    /// How the actions ended that were run.
    fn ran(&self) -> Vec<String> {
        let ran = self.call("ran", json!([])).unwrap();
        serde_json::from_value(ran).unwrap()
    }

    fn exchanged(&self, name: &BlobName) -> PathBuf {
        self.folder.join("exchange").join(hexadecimal(&name.digest))
    }
}

fn read(speech: &mut Speech) -> Result<Value, String> {
    let mut line = String::new();
    speech.answers.read_line(&mut line).unwrap();
    let answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"));
    match &answer["error"] {
        Value::Null => Ok(answer["ok"].clone()),
        error => Err(error.to_string()),
    }
}

impl Drop for Grid {
    fn drop(&mut self) {
        drop(self.speech.lock().unwrap().calls.take());
        let _ = self.child.lock().unwrap().wait();
    }
}

fn told(name: &BlobName) -> Value {
    json!([hexadecimal(&name.digest), name.size])
}

fn told_all(names: &[BlobName]) -> Value {
    json!([names.iter().map(told).collect::<Vec<_>>()])
}

fn blob(hash: &Value, size: &Value) -> BlobName {
    let hash = hash.as_str().unwrap();
    let byte = |at| u8::from_str_radix(&hash[2 * at..2 * at + 2], 16).unwrap();
    BlobName {
        digest: std::array::from_fn(byte),
        size: size.as_u64().unwrap(),
    }
}

fn executed(result: &Value) -> Executed {
    let files = result["files"].as_array().unwrap().iter();
    let text = |key: &str| result[key].as_str().unwrap().to_owned();
    Executed {
        exit_code: i32::try_from(result["exit-code"].as_i64().unwrap()).unwrap(),
        stderr: text("stderr").into_bytes(),
        files: files
            .map(|it| (it[0].as_str().unwrap().to_owned(), blob(&it[1], &it[2])))
            .collect(),
        worker: text("worker"),
    }
}

/// The grid, as the library asks it.
#[derive(Debug)]
struct Asked(Arc<Grid>);

impl Farm for Asked {
    fn known(&self, action: &BlobName) -> Result<Option<Executed>, String> {
        let known = self.0.call("known", json!([told(action)]))?;
        Ok((!known.is_null()).then(|| executed(&known)))
    }

    fn missing(&self, blobs: &[BlobName]) -> Result<Vec<BlobName>, String> {
        let missing = self.0.call("missing", told_all(blobs))?;
        let missing = missing.as_array().unwrap().iter();
        Ok(missing.map(|it| blob(&it[0], &it[1])).collect())
    }

    fn upload(&self, blobs: &[(BlobName, Vec<u8>)]) -> Result<(), String> {
        for (name, bytes) in blobs {
            fs::write(self.0.exchanged(name), bytes).unwrap();
        }
        let names: Vec<BlobName> = blobs.iter().map(|(name, _)| *name).collect();
        self.0.call("upload", told_all(&names)).map(drop)
    }

    fn execute(&self, action: &BlobName, anew: bool) -> Result<Executed, String> {
        let result = self.0.call("execute", json!([told(action), anew]))?;
        Ok(executed(&result))
    }

    fn download(&self, blobs: &[BlobName]) -> Result<Vec<Vec<u8>>, String> {
        self.0.call("download", told_all(blobs))?;
        Ok(blobs
            .iter()
            .map(|it| fs::read(self.0.exchanged(it)).unwrap())
            .collect())
    }
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    bench.write("root/etc/motd", "hello\n");
    bench.write("root/etc/empty", "");
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0] & 0x3f
    })
    .take((2 << 20) + 12_345)
    .collect();
    bench.write("root/noise", &noise);
    let sparse = fs::File::create(bench.path("root/sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"in the middle", 1 << 20).unwrap();
    std::os::unix::fs::symlink("motd", bench.path("root/etc/link")).unwrap();
    bench
}

/// What `cellblock build` makes of the same spec.
fn image_of_the_program(bench: &Bench) -> String {
    let arguments = [
        "build",
        "image.toml",
        "-o",
        "here.img",
        "--json",
        "record.json",
    ];
    bench.done(&arguments);
    sha256(&bench.path("here.img"))
}

/// An image whose partitions the grid makes: its digest, the worker of each, and the record.
fn image_of(bench: &Bench, grid: &Arc<Grid>) -> (String, Vec<Option<String>>, Record) {
    // Only the program can put processes around cells; this is none.
    let text = fs::read_to_string(bench.path("image.toml")).unwrap();
    let spec = Spec::parse(&text, bench.folder()).unwrap();
    let runtime = Runtime::new(&RuntimeOptions {
        walls: Walls::Wasm,
        cache: Some(bench::cache()),
        ..RuntimeOptions::default()
    });
    let property = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let remote = RemoteOptions {
        place: "the grid".to_owned(),
        platform: vec![property("pool", "images"), property("OSFamily", "linux")],
        program: Some(bench::program().to_owned()),
        least: 0,
        walls: Walls::Strongest,
    };
    let farm = Box::new(Asked(Arc::clone(grid)));
    let options = BuildOptions {
        remote: Some(Arc::new(Remote::new(farm, remote).unwrap())),
        time: spec.disk.time.as_ref().map(|time| time.value),
        jobs: 1,
        ..BuildOptions::default()
    };
    let image = bench.path("there.img");
    let catalog = Catalog::default();
    let record = build_image(&spec, &image, &runtime.unwrap(), &catalog, &options).unwrap();
    let partitions = record.partitions.iter();
    let workers = partitions.map(|it| it.filesystem.as_ref().unwrap().worker.clone());
    (sha256(&image), workers.collect(), record)
}

fn workers(expected: [bool; 4]) -> Vec<Option<String>> {
    let named = expected.map(|is_there| is_there.then(|| WORKER.to_owned()));
    named.into()
}

#[test]
fn a_grid_makes_the_same_bytes() {
    let bench = bench();
    let Some(grid) = Grid::start(&bench, &[]) else {
        return;
    };
    let here = image_of_the_program(&bench);
    let (there, by, record) = image_of(&bench, &grid);
    assert_eq!((there, by), (here.clone(), workers([true; 4])));
    let plain: Value =
        serde_json::from_slice(&fs::read(bench.path("record.json")).unwrap()).unwrap();
    let plain = plain["partitions"].as_array().unwrap();
    for (here, there) in plain.iter().zip(&record.partitions) {
        let there = serde_json::to_value(there).unwrap();
        for key in ["wall", "codecs", "used", "properties"] {
            assert_eq!(here["filesystem"][key], there["filesystem"][key], "{key}");
        }
    }
    // One measures, and four make: without an environment, and without rights.
    let ran = "0 none OSFamily=linux,pool=images";
    assert_eq!(grid.ran(), [ran; 5]);
    // What the server knows is not made again.
    let (again, by, _) = image_of(&bench, &grid);
    assert_eq!((again, by), (here, workers([true; 4])));
    assert_eq!(grid.ran(), [ran; 5]);
}

#[test]
fn a_worker_that_fails_costs_time_and_not_the_image() {
    let bench = bench();
    // One measures. Of the partitions the first is made here, and each other one by the second worker.
    let failures = [
        "none", "killed", "killed", "empty", "none", "forged", "none", "wrong",
    ];
    let Some(grid) = Grid::start(&bench, &failures) else {
        return;
    };
    let here = image_of_the_program(&bench);
    let (there, by, _) = image_of(&bench, &grid);
    let ran = grid.ran();
    assert_eq!(by, workers([false, true, true, true]), "{ran:?}");
    assert_eq!(there, here, "{ran:?}");
    let ways: Vec<&str> = ran.iter().map(|it| it.split(' ').nth(1).unwrap()).collect();
    assert_eq!(ways, [&failures[..], &["none"]].concat());
}
