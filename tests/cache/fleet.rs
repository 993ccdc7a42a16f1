//! Many images by several processes at once: each distinct partition is made once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use crate::support::Bench;

/// Processes at a time.
const PROCESSES: usize = 4;
/// Partitions of an image.
const PARTITIONS: usize = 5;

/// The partitions of an image, each with one of several contents. Identifiers follow from the seed and the number, so that a content
/// belongs to a number.
fn partitions(image: usize, distinct: usize) -> Vec<usize> {
    let contents = distinct / PARTITIONS;
    (0..PARTITIONS)
        .map(|at| at + PARTITIONS * ((image / (at + 1)) % contents))
        .collect()
}

fn spec(image: usize, distinct: usize) -> String {
    let mut spec = "[disk]\nseed = \"00000000-0000-0000-0000-000000000001\"\n\
                    time = \"2024-03-01T12:00:00Z\"\n"
        .to_owned();
    for id in partitions(image, distinct) {
        writeln!(
            spec,
            "[[partition]]\nname = \"p{id}\"\ntype = \"linux-generic\"\nsize = \"2MiB\"\n\
             filesystem = \"ext4\"\ncontent = [{{ text = \"{id}\", to = \"/id\" }}]"
        )
        .unwrap();
    }
    spec
}

fn fleet(images: usize, distinct: usize) {
    let bench = Bench::new();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut seen: Vec<(String, String, bool)> = Vec::new();
        loop {
            let image = next.fetch_add(1, Ordering::Relaxed);
            if image >= images {
                return seen;
            }
            let (toml, name) = (format!("{image}.toml"), format!("{image}.img"));
            bench.write(&toml, spec(image, distinct));
            let arguments = [
                "build", &*toml, "-o", &*name, "--json", "-", "--cache", "cache",
            ];
            let record: Value = serde_json::from_str(&bench.done(&arguments)).unwrap();
            for partition in record["partitions"].as_array().unwrap() {
                let text = |key: &str| partition[key].as_str().unwrap().to_owned();
                let is_made = partition["filesystem"]["cache"].is_null();
                seen.push((text("name"), text("sha256"), is_made));
            }
            std::fs::remove_file(bench.path(&name)).unwrap();
        }
    };
    let seen: Vec<(String, String, bool)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..PROCESSES).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|it| it.join().unwrap())
            .collect()
    });
    assert_eq!(seen.len(), images * PARTITIONS);
    let mut digests = BTreeMap::new();
    for (name, digest, _) in &seen {
        let first = digests.entry(name).or_insert(digest);
        assert_eq!(first, &digest, "{name}");
    }
    let made = seen.iter().filter(|(.., is_made)| *is_made).count();
    assert_eq!((digests.len(), made), (distinct, distinct));
}

#[test]
fn each_distinct_partition_of_a_fleet_is_made_once() {
    fleet(24, 10);
}

#[test]
#[ignore = "a thousand images take minutes"]
fn each_distinct_partition_of_a_thousand_images_is_made_once() {
    fleet(1000, 40);
}
