//! Many images by several processes at once, against one server: each distinct partition is made once.

mod plot;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use serde_json::Value;

use super::nginx::Nginx;
use super::{PRIVATE, PUBLIC};
use crate::support::bench::address;
use crate::support::{Bench, judge};

/// Processes at a time.
const PROCESSES: usize = 4;
/// The partitions of an image: their file systems and options. The first is the root.
const PARTITIONS: [(&str, &str); 5] = [
    ("squashfs", "size = \"minimum\""),
    (
        "erofs",
        "size = \"minimum\"\noptions = { compression = \"lz4\" }",
    ),
    ("ext4", "size = \"24MiB\""),
    ("ext4", "size = \"32MiB\""),
    ("vfat", "size = \"34MiB\""),
];
const KEYS: [&str; 6] = [
    "--cache-key",
    "key.pem",
    "--cache-trust",
    "trust.pem",
    // A machine with much to do answers late, and is not down.
    "--cache-timeout",
    "600",
];

/// Images of five partitions, each of which has one of several contents.
struct Fleet {
    bench: Bench,
    images: usize,
    /// Contents that a partition may have.
    contents: usize,
}

/// A partition of an image that was built.
struct Built {
    /// Its number in the image, and its content.
    id: (usize, usize),
    digest: String,
    /// Whether no cache had it.
    is_made: bool,
}

/// What the builds of all images were.
struct Run {
    built: Vec<Built>,
    /// Seconds after which each image was there.
    seconds: Vec<f64>,
}

impl Run {
    fn made(&self) -> usize {
        self.built.iter().filter(|it| it.is_made).count()
    }

    /// The digest of each distinct partition, of which all images have the same.
    fn digests(&self) -> BTreeMap<(usize, usize), &str> {
        let mut digests = BTreeMap::new();
        for Built { id, digest, .. } in &self.built {
            let first = digests.entry(*id).or_insert(&**digest);
            assert_eq!(first, digest, "{id:?}");
        }
        digests
    }

    fn took(&self) -> f64 {
        self.seconds.last().copied().unwrap_or_default()
    }
}

impl Fleet {
    /// Each content has so many files of 40 KiB.
    fn new(images: usize, contents: usize, files: usize) -> Self {
        let bench = Bench::new();
        bench.write("key.pem", PRIVATE);
        bench.write("trust.pem", PUBLIC);
        for partition in 0..PARTITIONS.len() {
            for content in 0..contents {
                for file in 0..files {
                    let path = format!("content/{partition}-{content}/{file}");
                    bench.write(&path, text(partition * 1000 + content, file));
                }
            }
        }
        Self {
            bench,
            images,
            contents,
        }
    }

    /// Which contents an image has: all come about equally often, in many combinations.
    fn of(&self, image: usize) -> [usize; 5] {
        std::array::from_fn(|at| (image / (at + 1)) % self.contents)
    }

    /// The distinct partitions of all images.
    fn distinct(&self) -> BTreeSet<(usize, usize)> {
        let images = (0..self.images).map(|image| self.of(image));
        images
            .flat_map(|contents| contents.into_iter().enumerate())
            .collect()
    }

    fn spec(&self, image: usize) -> String {
        let mut spec = "[disk]\nseed = \"00000000-0000-0000-0000-000000000001\"\n\
                        time = \"2024-03-01T12:00:00Z\"\n"
            .to_owned();
        for (at, content) in self.of(image).into_iter().enumerate() {
            let (kind, rest) = PARTITIONS[at];
            writeln!(
                spec,
                "[[partition]]\nname = \"p{at}-{content}\"\ntype = \"linux-generic\"\n\
                 filesystem = \"{kind}\"\n{rest}\n\
                 content = [{{ directory = \"content/{at}-{content}\", owner = \"0:0\" }}]"
            )
            .unwrap();
        }
        spec
    }

    /// Builds all images; `before` is told how many were begun.
    fn run(&self, arguments: &[&str], before: impl Fn(usize) + Sync) -> Run {
        let next = AtomicUsize::new(0);
        let begun = Instant::now();
        let run = Mutex::new(Run {
            built: Vec::new(),
            seconds: Vec::new(),
        });
        let work = || {
            loop {
                let image = next.fetch_add(1, Ordering::Relaxed);
                if image >= self.images {
                    return;
                }
                before(image);
                let built = self.build(image, arguments);
                let mut run = run.lock().unwrap();
                run.built.extend(built);
                run.seconds.push(begun.elapsed().as_secs_f64());
            }
        };
        thread::scope(|scope| {
            for _ in 0..PROCESSES {
                scope.spawn(work);
            }
        });
        let run = run.into_inner().unwrap();
        assert_eq!(run.built.len(), self.images * PARTITIONS.len());
        run
    }

    fn build(&self, image: usize, arguments: &[&str]) -> Vec<Built> {
        let (toml, name) = (format!("{image}.toml"), format!("{image}.img"));
        self.bench.write(&toml, self.spec(image));
        let build = ["build", &*toml, "-o", &*name, "--json", "-"];
        let record = self.bench.done(&[&build[..], arguments].concat());
        let record: Value = serde_json::from_str(&record).unwrap();
        fs::remove_file(self.bench.path(&name)).unwrap();
        let partitions = record["partitions"].as_array().unwrap().iter();
        partitions
            .zip(self.of(image).into_iter().enumerate())
            .map(|(partition, id)| Built {
                id,
                digest: partition["sha256"].as_str().unwrap().to_owned(),
                is_made: partition["filesystem"]["cache"].is_null(),
            })
            .collect()
    }
}

/// 40 KiB of text that no other file has.
fn text(content: usize, file: usize) -> String {
    (0..2048)
        .map(|line| format!("{content:05} {file:05} {line:06}\n"))
        .collect()
}

/// The bytes of all files in a folder.
fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                bytes_in(&entry.path())
            } else {
                metadata.len()
            }
        })
        .sum()
}

/// All that is asked of the fleet; what is told of it, and how long each run took until each image was there.
fn fleet(images: usize, contents: usize, files: usize) {
    let Some(nginx) = judge("nginx") else {
        return;
    };
    let fleet = Fleet::new(images, contents, files);
    let distinct = fleet.distinct().len();
    let alone = fleet.run(&[], |_| ());
    let right = alone.digests();
    assert_eq!((right.len(), alone.made()), (distinct, images * 5));

    let server = Nginx::start(&nginx, &fleet.bench, address());
    let url = server.url();
    let with = [&["--cache", &*url], &KEYS[..]].concat();
    let shared = fleet.run(&with, |_| ());
    assert_eq!(shared.made(), distinct, "each is made once");
    assert_eq!(shared.digests(), right);
    let served = fleet.bench.path("nginx/served");
    let stored = bytes_in(&served);
    let (sent, received) = server.traffic();

    // One file of one root is another one.
    let mut changed = text(0, 0);
    changed.replace_range(20_000..20_001, "x");
    fleet.bench.write("content/0-0/0", changed);
    let second = fleet.run(&with, |_| ());
    assert_eq!(second.made(), 1, "the root that changed");
    let more = bytes_in(&served) - stored;
    assert!(more < stored / 4, "{more} more than {stored}");
    fleet.bench.write("content/0-0/0", text(0, 0));

    // A server that knows nothing ends after a third of the images, and begins again after another.
    fs::remove_dir_all(&served).unwrap();
    drop(server);
    let address = address();
    let server = Nginx::start(&nginx, &fleet.bench, address);
    let url = server.url();
    let server = Mutex::new(Some(server));
    let with = [&["--cache", &*url], &KEYS[..]].concat();
    let interrupted = fleet.run(&with, |image| {
        let mut server = server.lock().unwrap();
        if image == images / 3 {
            *server = None;
        } else if image == images * 2 / 3 {
            *server = Some(Nginx::start(&nginx, &fleet.bench, address));
        }
    });
    assert_eq!(interrupted.digests(), right, "all images are right");

    let runs = [
        ("without a cache", &alone),
        ("one server, empty at first", &shared),
        ("one file of one root changed", &second),
        ("the server killed and started again", &interrupted),
    ];
    for (name, run) in runs {
        let (made, took) = (run.made(), run.took());
        eprintln!("{images} images, {name}: {made} partitions made, {took:.1} s");
    }
    eprintln!("stored {stored} bytes, and {more} for the change; sent {sent}, received {received}");
    let plot = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fleet-{images}.svg"));
    fs::write(
        &plot,
        plot::svg(&runs.map(|(name, run)| (name, &*run.seconds))),
    )
    .unwrap();
    eprintln!("drawn: {}", plot.display());
}

#[test]
#[ignore = "takes 15 s; a step of CI"]
fn each_distinct_partition_of_a_fleet_is_made_once() {
    fleet(16, 2, 3);
}

#[test]
#[ignore = "four thousand images take half an hour; CELLBLOCK_FLEET says how many others"]
fn each_distinct_partition_of_a_thousand_images_is_made_once() {
    let images = std::env::var("CELLBLOCK_FLEET").ok();
    let images = images.map_or(1000, |number| number.parse().unwrap());
    fleet(images, 8, 200);
}
