//! `[cache]` in a spec: used when that is asked for, never written to unless that is typed, and below what is typed.

use std::fs;

use super::server::Server;
use super::{FILESYSTEMS, SPEC, STRANGER, bench, build};

/// Writes the spec with these caches in it.
fn names(bench: &crate::support::Bench, places: &str, trust: &str) {
    let spec = format!("{SPEC}\n[cache]\nplaces = [{places}]\ntrust = [{trust}]\n");
    bench.write("image.toml", spec);
}

const NOTE: &str = "[cache] of the spec is not used";

#[test]
fn a_spec_asks_nobody_and_sends_nothing_by_itself() {
    let bench = bench();
    let without = build(&bench, &[]);
    let server = Server::start();
    let url = server.url();
    names(&bench, &format!("\"{url}\", \"parts\""), "\"trust.pem\"");
    server.count();
    let built = build(&bench, &[]);
    assert_eq!(server.count(), 0, "nobody was to be asked");
    assert!(!bench.path("parts").exists());
    assert_eq!((&built.digest, built.cached()), (&without.digest, vec![]));
    assert_eq!(
        built.stderr.matches(NOTE).count(),
        1,
        "said once: {}",
        built.stderr
    );
    assert!(built.stderr.contains(&url), "{}", built.stderr);
    // Whoever has said which caches are used is not told.
    for decided in [
        &["--cache", "mine"][..],
        &["--no-cache"],
        &["--spec-cache", "--cache-timeout", "5"],
    ] {
        let built = build(&bench, decided);
        assert!(
            !built.stderr.contains(NOTE),
            "{decided:?}: {}",
            built.stderr
        );
        assert_eq!(built.digest, without.digest);
    }
    // Asked for, it is read: nothing came there that was not there before.
    assert!(server.count() > 0);
    assert_eq!(server.kept(), 0, "it was only to be read");
    assert!(!bench.path("parts").exists(), "it was only to be read");
    let plan = bench.run(&["plan", "image.toml"]);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    assert!(plan.stderr.contains(NOTE), "{}", plan.stderr);
}

#[test]
fn the_caches_of_a_spec_are_read_with_its_keys_and_written_where_that_is_typed() {
    let bench = bench();
    let server = Server::start();
    let url = server.url();
    names(&bench, &format!("\"{url}\""), "\"trust.pem\"");
    let filling = [
        "--spec-cache",
        "--cache-mode",
        "read-write",
        "--cache-key",
        "key.pem",
    ];
    let filled = build(&bench, &filling);
    assert!(server.kept() > 0);
    let hot = build(&bench, &["--spec-cache"]);
    assert_eq!(
        (&hot.digest, hot.cached(), hot.said()),
        (&filled.digest, FILESYSTEMS.to_vec(), vec![])
    );
    // Keys that are typed stand in place of the spec's, and so do places.
    let other = build(&bench, &["--spec-cache", "--cache-trust", "stranger.pem"]);
    assert_eq!(other.cached(), [""; 0]);
    assert!(other.said()[0].contains("no key of --cache-trust"));
    let asked = server.count();
    let mine = build(&bench, &["--spec-cache", "--cache", "mine"]);
    assert_eq!(mine.cached(), [""; 0]);
    assert_eq!(
        server.count(),
        asked,
        "the typed place stands for those of the spec"
    );
    assert!(bench.path("mine/ac").exists());
    // A spec whose key is a stranger's gets what it asks for only from that stranger.
    bench.write("trust.pem", STRANGER);
    let strange = build(&bench, &["--spec-cache"]);
    assert_eq!(
        (&strange.digest, strange.cached()),
        (&filled.digest, vec![])
    );
}

#[test]
fn paths_of_caches_begin_where_the_spec_lies() {
    let bench = bench();
    bench.create_folder("project");
    for name in ["esp", "root", "trust.pem"] {
        fs::rename(bench.path(name), bench.path("project").join(name)).unwrap();
    }
    names(&bench, "\"parts\"", "\"trust.pem\"");
    fs::rename(bench.path("image.toml"), bench.path("project/image.toml")).unwrap();
    let run = |arguments: &[&str]| {
        let with = ["build", "project/image.toml", "-o", "disk.img", "-q"];
        let outcome = bench.run(&[&with[..], arguments].concat());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        outcome.stderr
    };
    run(&["--spec-cache", "--cache-mode", "read-write"]);
    assert!(bench.path("project/parts/ac").exists());
    assert!(!bench.path("parts").exists());
    assert_eq!(run(&["--spec-cache"]), "");
}

#[test]
fn what_a_spec_cannot_mean_is_refused_and_none_is_needed_by_what_has_none() {
    let bench = bench();
    let refused = |arguments: &[&str], why: &str| {
        let outcome = bench.run(arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains(why),
            "{arguments:?}: {}",
            outcome.stderr
        );
    };
    let building = ["build", "image.toml", "-o", "disk.img", "--spec-cache"];
    refused(&building, "no spec here has a [cache]");
    let made = ["mkfs", "ext4", "-o", "a.img", "--content", "root"];
    let made = [&made[..], &["--spec-cache"]].concat();
    refused(&made, "no spec here has a [cache]");
    names(&bench, "\"https://cache.example\"", "");
    refused(&building, "--cache-trust");
    names(&bench, "\"gopher://cache.example\"", "");
    refused(&building, "'gopher://' is not supported");
    names(&bench, "\"parts\"", "\"key.pem\"");
    refused(&building, "no Ed25519 public key");
    // No output is one of its keys.
    let over = ["build", "image.toml", "-o", "trust.pem"];
    names(&bench, "\"parts\"", "\"trust.pem\"");
    refused(&over, "is both the image and a key of the cache");
    let over = ["build", "image.toml", "-o", "key.pem", "--cache", "c"];
    let over = [&over[..], &["--cache-key", "key.pem"]].concat();
    refused(&over, "is both the image and a key of the cache");
}

#[test]
fn a_provenance_tells_nothing_of_caches() {
    let bench = bench();
    let arguments = ["--provenance", "p.json", "--cache", "c"];
    build(&bench, &arguments);
    let without = fs::read(bench.path("p.json")).unwrap();
    names(&bench, "\"https://ci:secret@c.example\"", "\"trust.pem\"");
    build(&bench, &arguments);
    let text = fs::read_to_string(bench.path("p.json")).unwrap();
    assert!(!text.contains("secret") && !text.contains("trust.pem"));
    let parsed = |bytes: &[u8]| -> serde_json::Value { serde_json::from_slice(bytes).unwrap() };
    let spec = |it: &serde_json::Value| {
        let it = &it["predicate"]["buildDefinition"]["externalParameters"];
        assert!(!it.is_null());
        it.clone()
    };
    assert_eq!(spec(&parsed(&without)), spec(&parsed(text.as_bytes())));
}
