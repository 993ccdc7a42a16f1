//! Formatters from registries and image layouts: by digest, or by tags that a lock file pins, and asked for only when that is
//! typed.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::bench::Outcome;
use crate::support::bench::{assert_same_bytes, repository, sha256};
use crate::support::{Bench, Judge, judge};

mod server;

/// The type of a manifest.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A swap formatter, and an older one with other bytes.
fn components() -> [Vec<u8>; 2] {
    ["guests/dist/swap.wasm", "tests/cases/contract/0.1.0.wasm"]
        .map(|path| fs::read(repository(path)).unwrap())
}

/// Writes a blob of a layout; what its descriptor says of it.
fn blob(bench: &Bench, layout: &str, bytes: &[u8]) -> Value {
    let path = bench.write(&format!("{layout}/blobs/new"), bytes);
    let digest = sha256(&path);
    fs::create_dir_all(bench.path(layout).join("blobs/sha256")).unwrap();
    fs::rename(&path, bench.path(layout).join("blobs/sha256").join(&digest)).unwrap();
    json!({ "digest": format!("sha256:{digest}"), "size": bytes.len() })
}

/// A descriptor with its type.
fn typed(mut descriptor: Value, media_type: &str) -> Value {
    descriptor["mediaType"] = media_type.into();
    descriptor
}

/// The manifest of a component, as wkg writes it ("Wasm OCI Artifact layout", CNCF).
fn manifest(bench: &Bench, layout: &str, component: &[u8]) -> Value {
    let layer = blob(bench, layout, component);
    let config =
        json!({ "architecture": "wasm", "os": "wasip2", "layerDigests": [layer["digest"]] });
    let config = blob(bench, layout, config.to_string().as_bytes());
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": typed(config, "application/vnd.wasm.config.v0+json"),
        "layers": [typed(layer, "application/wasm")],
    });
    let manifest = blob(bench, layout, manifest.to_string().as_bytes());
    typed(manifest, MANIFEST)
}

/// Writes a layout of manifests, each with its tag.
fn layout(bench: &Bench, layout: &str, manifests: &[(&str, Value)]) {
    let named = manifests.iter().map(|(tag, descriptor)| {
        let mut descriptor = descriptor.clone();
        descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        descriptor
    });
    let index = json!({ "schemaVersion": 2, "manifests": named.collect::<Vec<_>>() });
    bench.write(&format!("{layout}/index.json"), index.to_string());
    let version = json!({ "imageLayoutVersion": "1.0.0" });
    bench.write(&format!("{layout}/oci-layout"), version.to_string());
}

/// A bench with a layout of both components, `new` and `old`, and their manifests' digests.
fn bench() -> (Bench, [String; 2]) {
    let bench = Bench::new();
    let [new, old] = components().map(|bytes| manifest(&bench, "layout", &bytes));
    let digests = [&new, &old].map(|it| it["digest"].as_str().unwrap().to_owned());
    layout(&bench, "layout", &[("new", new), ("old", old)]);
    (bench, digests)
}

/// Runs the program with a cache folder of this bench alone.
fn run(bench: &Bench, arguments: &[&str]) -> Outcome {
    let mut command = bench.cellblock();
    Outcome::of(
        command
            .env("XDG_CACHE_HOME", bench.path("home"))
            .args(arguments),
    )
}

fn done(bench: &Bench, arguments: &[&str]) -> String {
    run(bench, arguments).done()
}

/// Makes a swap space with a guest.
fn swap(bench: &Bench, image: &str, guest: &str) -> Outcome {
    let guest = format!("swap={guest}");
    let with = ["mkfs", "swap", "--size", "1MiB", "-q", "-o", image];
    run(bench, &[&with[..], &["--guest", &guest]].concat())
}

/// That a run is refused with these words.
fn refused(outcome: &Outcome, why: &str) {
    assert!(
        matches!(outcome.code, Some(1 | 2)) && outcome.stderr.contains(why),
        "{why}: {:?}: {}",
        outcome.code,
        outcome.stderr
    );
}

fn spec(guest: &str) -> String {
    format!(
        "[[partition]]\ntype = \"swap\"\nsize = \"1MiB\"\nfilesystem = \"swap\"\n[guests]\nswap = \"{guest}\"\n"
    )
}

#[test]
fn a_component_of_a_layout_is_the_same_as_its_file() {
    let (bench, [new, old]) = bench();
    let [bytes, _] = components();
    bench.write("swap.wasm", bytes);
    swap(&bench, "file.img", "swap.wasm").done();
    for (image, guest) in [
        ("tag.img", "oci:layout:new".to_owned()),
        ("digest.img", format!("oci:layout@{new}")),
        ("both.img", format!("oci:layout:new@{new}")),
    ] {
        swap(&bench, image, &guest).done();
        assert_same_bytes(&bench.path("file.img"), &bench.path(image));
    }
    let told = done(&bench, &["guests", "oci:layout:old", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told[0]["name"], format!("oci:layout:old@{old}"));
    // A spec's path begins where the spec lies.
    bench.write("project/image.toml", spec("oci:../layout:new"));
    done(
        &bench,
        &["build", "project/image.toml", "-q", "-o", "disk.img"],
    );
    let none = format!("oci:layout:old@{new}");
    for (guest, why) in [
        ("oci:layout", "2 of its images are meant (new, old)"),
        (
            "oci:layout:none",
            "none of its 2 images is meant (new, old)",
        ),
        (&*none, "none of its 2 images is meant"),
        ("oci:nowhere", "nowhere/index.json"),
    ] {
        let outcome = swap(&bench, "no.img", guest);
        refused(&outcome, why);
        assert_eq!(outcome.code, Some(2));
    }
    assert!(!bench.path("home/cellblock/components").exists());
    // No output goes into it.
    let into = ["mkfs", "swap", "--size", "1MiB", "-o", "layout/a.img"];
    let into = [&into[..], &["--guest", "swap=oci:layout:new"]].concat();
    refused(&run(&bench, &into), "a folder that this run reads");
}

#[test]
fn what_is_damaged_in_a_layout_or_is_no_component_is_refused() {
    let (bench, _) = bench();
    let [bytes, _] = components();
    let layer = || typed(blob(&bench, "bad", &bytes), "application/wasm");
    let of = |document: &Value| {
        typed(
            blob(&bench, "bad", document.to_string().as_bytes()),
            MANIFEST,
        )
    };
    let mut changed = layer();
    changed["digest"] = format!("sha256:{}", "0f".repeat(32)).into();
    let mut long = layer();
    long["size"] = (65_u64 << 20).into();
    let mut short = layer();
    short["size"] = 5.into();
    let mut more = layer();
    more["size"] = (bytes.len() + 1000).into();
    let sha512 = json!({ "mediaType": "application/wasm", "digest": format!("sha512:{}", "0f".repeat(64)), "size": 5 });
    for (document, why) in [
        (json!({ "layers": [changed] }), "No such file"),
        (json!({ "layers": [long] }), "at most 67108864 are taken"),
        (json!({ "layers": [short] }), "more than the 5 bytes"),
        (json!({ "layers": [more] }), "bytes, and its manifest says"),
        (json!({ "layers": [sha512] }), "ends in no digest"),
        (json!({ "layers": [] }), "none of its 0 layers"),
        (
            json!({ "layers": [layer(), layer()] }),
            "several of its layers",
        ),
        (json!({ "manifests": [] }), "an index"),
        (json!("text"), "its manifest is none"),
    ] {
        layout(&bench, "bad", &[("1", of(&document))]);
        refused(&swap(&bench, "no.img", "oci:bad"), why);
    }
    // A blob that is not what its name says.
    let index: Value =
        serde_json::from_slice(&fs::read(bench.path("layout/index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    let path = bench
        .path("layout/blobs/sha256")
        .join(&digest["sha256:".len()..]);
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::write(&path, bytes).unwrap();
    refused(
        &swap(&bench, "no.img", "oci:layout:new"),
        "the manifest has the digest",
    );
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(&swap(&bench, "no.img", "oci:layout:new"), "no regular file");
    assert!(!bench.path("no.img").exists());
}

/// Debian's docker-registry; it ends with this.
struct Registry {
    child: Child,
    port: u16,
}

impl Registry {
    fn start(program: &Judge, bench: &Bench) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let folder = bench.path("registry");
        let config = bench.write(
            "registry.yml",
            format!(
                "version: 0.1\nstorage: {{ filesystem: {{ rootdirectory: '{}' }} }}\nhttp: {{ addr: '127.0.0.1:{port}' }}\n",
                folder.display()
            ),
        );
        let child = program
            .command()
            .arg("serve")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut registry = Self { child, port };
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = registry.child.try_wait().unwrap();
            assert!(ended.is_none(), "docker-registry ended: {ended:?}");
            thread::sleep(Duration::from_millis(10));
        }
        registry
    }

    /// Has skopeo put an image of a layout there.
    fn push(&self, skopeo: &Judge, bench: &Bench, from: &str, tag: &str) {
        let to = format!("docker://127.0.0.1:{}/fs/swap:{tag}", self.port);
        let pushed = skopeo
            .command()
            .current_dir(bench.folder())
            .args(["--insecure-policy", "copy", "-q", "--preserve-digests"])
            .args(["--dest-tls-verify=false", from, &to])
            .output()
            .unwrap();
        assert!(
            pushed.status.success(),
            "{}",
            String::from_utf8_lossy(&pushed.stderr)
        );
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_registry_of_debian_gives_what_skopeo_put_there() {
    let (Some(program), Some(skopeo)) = (judge("docker-registry"), judge("skopeo")) else {
        return;
    };
    let (bench, [new, old]) = bench();
    let registry = Registry::start(&program, &bench);
    registry.push(&skopeo, &bench, "oci:layout:new", "1");
    let named = format!("oci://127.0.0.1:{}/fs/swap", registry.port);
    swap(&bench, "layout.img", "oci:layout:new").done();
    swap(&bench, "registry.img", &format!("{named}@{new}")).done();
    assert_same_bytes(&bench.path("layout.img"), &bench.path("registry.img"));
    // By its tag alone it is told of, and not used.
    let told = done(&bench, &["guests", &format!("{named}:1"), "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told[0]["name"], format!("{named}:1@{new}"));
    let tagged = swap(&bench, "no.img", &format!("{named}:1"));
    refused(&tagged, "may be another component tomorrow");
    let missing = swap(
        &bench,
        "no.img",
        &format!("{named}@sha256:{}", "0f".repeat(32)),
    );
    refused(&missing, "has no sha256:0f0f");

    bench.write("image.toml", spec(&format!("{named}:1")));
    let building = ["build", "image.toml", "-q", "-o", "disk.img"];
    refused(&run(&bench, &building), "may be another component tomorrow");
    let lock = done(&bench, &["guests", "lock"]);
    assert!(lock.contains(&new), "{lock}");
    let locked: Value =
        serde_json::from_slice(&fs::read(bench.path("cellblock.lock")).unwrap()).unwrap();
    let expected = json!({ "version": 1, "guests": { format!("{named}:1"): new } });
    assert_eq!(locked, expected);
    done(&bench, &building);
    let first = sha256(&bench.path("disk.img"));
    let over = ["build", "image.toml", "-o", "cellblock.lock"];
    refused(&run(&bench, &over), "the lock file");

    // The tag moves, and the lock does not until that is asked for.
    registry.push(&skopeo, &bench, "oci:layout:old", "1");
    done(&bench, &["guests", "lock", "image.toml"]);
    assert!(
        fs::read_to_string(bench.path("cellblock.lock"))
            .unwrap()
            .contains(&new)
    );
    done(&bench, &building);
    assert_eq!(sha256(&bench.path("disk.img")), first);
    let moved = done(&bench, &["guests", "lock", "--update", "--json"]);
    assert!(moved.contains(&old), "{moved}");
    assert!(
        fs::read_to_string(bench.path("cellblock.lock"))
            .unwrap()
            .contains(&old)
    );

    // Without the registry, what was fetched is there; on another machine it is not, and nobody is asked by a spec.
    drop(registry);
    done(&bench, &building);
    let provenance = ["--provenance", "p.json"];
    done(&bench, &[&building[..], &provenance[..]].concat());
    let told = fs::read_to_string(bench.path("p.json")).unwrap();
    assert!(
        told.contains(&format!("{named}:1@{old}")),
        "it is pinned there"
    );
    done(&bench, &["verify-build", "p.json"]);
    fs::remove_dir_all(bench.path("home/cellblock/components")).unwrap();
    let elsewhere = run(&bench, &building);
    refused(&elsewhere, "was never fetched, and a spec makes nobody ask");
    assert_eq!(elsewhere.code, Some(2));
    assert!(
        elsewhere.stderr.contains("image.toml:6"),
        "{}",
        elsewhere.stderr
    );
    let unlocked = run(&bench, &["guests", "lock"]);
    refused(&unlocked, "cannot be asked");
}

#[test]
fn a_lock_file_that_is_none_is_refused() {
    let bench = Bench::new();
    bench.write("image.toml", spec("oci://127.0.0.1:9/fs/swap:1"));
    for (text, why) in [
        ("", "cellblock.lock"),
        ("{}", "missing field"),
        (r#"{"version":2,"guests":{}}"#, "it has version 2"),
        (
            r#"{"version":1,"guests":{"oci://127.0.0.1:9/fs/swap:1":"sha256:0"}}"#,
            "ends in no digest",
        ),
    ] {
        bench.write("cellblock.lock", text);
        let outcome = run(&bench, &["build", "image.toml", "-o", "disk.img"]);
        refused(&outcome, why);
        assert_eq!(outcome.code, Some(2), "{text}");
    }
    refused(
        &run(&bench, &["guests", "ext4", "image.toml"]),
        "cellblock guests lock",
    );
    bench.write("image.toml", spec("swap.wasm"));
    fs::remove_file(bench.path("cellblock.lock")).unwrap();
    let nothing = done(&bench, &["guests", "lock"]);
    assert!(
        nothing.starts_with("nothing needs a lock file"),
        "{nothing}"
    );
    assert!(!bench.path("cellblock.lock").exists());
}
